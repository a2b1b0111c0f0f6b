package main

import (
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idfiber "github.com/signward/idserver-go/fiber"
)

// The WebSocket ends when its user signs out, and when its browser leaves; it leaves nothing running.
func TestClock(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := "http://" + listener.Addr().String()
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config(app))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	server := routes(idfiber.New(client))
	served := make(chan error, 1)
	go func() { served <- server.Listener(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	})

	cookies := map[string]string{}
	ask := func(method, target string, header ...string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header = handshake(app, cookies)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		for _, cookie := range response.Cookies() {
			cookies[cookie.Name] = cookie.Value
		}
		return response
	}
	address := "ws" + strings.TrimPrefix(app, "http") + "/clock"
	if _, answer, err := gorilla.DefaultDialer.DialContext(t.Context(), address, handshake(app, cookies)); err == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %v", err)
	}

	callback, err := provider.Authorize(t.Context(), ask("GET", app+"/auth/login", "Sec-Fetch-Mode", "navigate").Header.Get("Location"), "alice")
	if err != nil {
		t.Fatal(err)
	}
	ask("GET", callback.String(), "Sec-Fetch-Mode", "navigate")
	if _, answer, err := gorilla.DefaultDialer.DialContext(t.Context(), address, handshake("https://evil.example", cookies)); err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("another origin: %v", err)
	}
	open := func() *gorilla.Conn {
		t.Helper()
		conn, answer, err := gorilla.DefaultDialer.DialContext(t.Context(), address, handshake(app, cookies))
		if err != nil {
			t.Fatal(err, answer)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, text, err := conn.ReadMessage(); err != nil || len(text) != len(time.TimeOnly) {
			t.Fatalf("it says %q %v", text, err)
		}
		return conn
	}
	goes, stays := open(), open()
	_ = goes.Close()
	ask("POST", app+"/auth/logout", "Sec-Fetch-Site", "same-origin")
	for err == nil {
		_, _, err = stays.ReadMessage()
	}
	if closed := (*gorilla.CloseError)(nil); !errors.As(err, &closed) || closed.Code != gorilla.ClosePolicyViolation {
		t.Errorf("signed out, it ends with %v", err)
	}

	again, deadline := time.NewTicker(time.Millisecond), time.After(2*time.Minute)
	defer again.Stop()
	for left := running(); strings.Contains(left, "fibersocket.clock"); left = running() {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("this is still running:\n%s", left)
		}
	}
}

// handshake is what a browser sends with a WebSocket's.
func handshake(origin string, cookies map[string]string) http.Header {
	h := http.Header{"Origin": {origin}}
	for name, value := range cookies {
		h.Add("Cookie", name+"="+value)
	}
	return h
}

func running() string {
	all := make([]byte, 1<<20)
	return string(all[:runtime.Stack(all, true)])
}
