package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// hangs ends what waits for nothing.
const hangs = 2 * time.Minute

// application is the program, and a browser.
type application struct {
	*httptest.Server
	provider *idtest.Provider
	jar      http.CookieJar
}

func start(t *testing.T) *application {
	t.Helper()
	var mux *http.ServeMux
	a := &application{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r) }))}
	t.Cleanup(a.Close)
	a.provider = idtest.NewProvider(t)
	client, err := idserver.New(a.provider.Config(a.URL))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	mux = routes(idchi.New(client))
	return a
}

// signIn begins with a new browser.
func (a *application) signIn(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	a.jar = jar
	login := a.do(t, "GET", "/auth/login", nil, "Sec-Fetch-Mode", "navigate")
	callback, err := a.provider.Authorize(t.Context(), login.Header.Get("Location"), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if done := a.do(t, "GET", callback.RequestURI(), nil, "Sec-Fetch-Mode", "navigate"); done.StatusCode != http.StatusSeeOther {
		t.Fatalf("callback: %d", done.StatusCode)
	}
}

// do sends a request and does not read the answer.
func (a *application) do(t *testing.T, method, target string, form url.Values, header ...string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, a.URL+target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Jar: a.jar, Transport: a.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// handshake is what a browser sends with a WebSocket's.
func (a *application) handshake(origin string) http.Header {
	h := http.Header{"Origin": {origin}}
	at, _ := url.Parse(a.URL)
	for _, cookie := range a.jar.Cookies(at) {
		h.Add("Cookie", cookie.String())
	}
	return h
}

// stream is an open one: what it says, one message at a time, and at last its end.
type stream struct {
	said  chan string
	leave func()
}

// read has next send each message until its error, which is told last.
func read(next func() (string, error), leave func()) *stream {
	s := &stream{make(chan string, 100), leave}
	go func() {
		defer close(s.said)
		for {
			text, err := next()
			if err != nil {
				s.said <- err.Error()
				return
			}
			s.said <- text
		}
	}()
	return s
}

func (s *stream) next(t *testing.T) string {
	t.Helper()
	select {
	case text := <-s.said:
		return text
	case <-time.After(hangs):
		t.Fatal("the stream hangs")
		return ""
	}
}

var kinds = map[string]struct {
	open func(t *testing.T, a *application) *stream
	end  string
}{
	"events": {func(t *testing.T, a *application) *stream {
		answer := a.do(t, "GET", "/events", nil, "Accept", "text/event-stream")
		lines := bufio.NewScanner(answer.Body)
		return read(func() (text string, err error) {
			for lines.Scan() {
				if line := lines.Text(); line != "" {
					return strings.TrimPrefix(line, "data: "), nil
				}
			}
			return "", errors.Join(lines.Err(), io.EOF)
		}, func() { _ = answer.Body.Close() })
	}, "event: end"},
	"coder": {func(t *testing.T, a *application) *stream {
		conn, _, err := coder.Dial(t.Context(), a.URL+"/coder", &coder.DialOptions{HTTPHeader: a.handshake(a.URL)})
		if err != nil {
			t.Fatal(err)
		}
		return read(func() (string, error) {
			_, text, err := conn.Read(context.Background())
			if status := coder.CloseStatus(err); status != -1 {
				return status.String(), nil
			}
			return string(text), err
		}, func() { _ = conn.CloseNow() })
	}, "StatusPolicyViolation"},
	"gorilla": {func(t *testing.T, a *application) *stream {
		conn, _, err := gorilla.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(a.URL, "http")+"/gorilla", a.handshake(a.URL))
		if err != nil {
			t.Fatal(err)
		}
		return read(func() (string, error) {
			_, text, err := conn.ReadMessage()
			if closed := (*gorilla.CloseError)(nil); errors.As(err, &closed) {
				return closed.Text, nil
			}
			return string(text), err
		}, func() { _ = conn.Close() })
	}, "signed out"},
}

// Each stream shows what is written, ends when its user signs out or its browser leaves, and leaves nothing running.
func TestStreams(t *testing.T) {
	a := start(t)
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			a.signIn(t)
			stays, goes := kind.open(t, a), kind.open(t, a)
			stays.next(t)
			goes.next(t)
			goes.leave()
			if answer := a.do(t, "POST", "/write", url.Values{"text": {"news"}}); answer.StatusCode != http.StatusOK {
				t.Fatalf("writing: %d", answer.StatusCode)
			}
			if got := stays.next(t); got != "news" {
				t.Errorf("it says %q", got)
			}
			a.do(t, "POST", "/auth/logout", nil)
			if got := stays.next(t); !strings.Contains(got, kind.end) {
				t.Errorf("signed out, it says %q, want %q", got, kind.end)
			}
			stays.leave()
			endsEverything(t)
		})
	}
}

func TestPoll(t *testing.T) {
	a := start(t)
	a.signIn(t)
	poll := func(seen string) *http.Response {
		return a.do(t, "GET", "/poll?seen="+seen, nil, "Accept", "text/plain")
	}
	if text, err := io.ReadAll(poll("").Body); err != nil || string(text) != "Welcome" {
		t.Errorf("the first: %q %v", text, err)
	}
	waits := make(chan *http.Response)
	go func() { waits <- poll("Welcome") }()
	isPolling(t)
	a.do(t, "POST", "/auth/logout", nil)
	select {
	case answer := <-waits:
		if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || len(text) > 0 {
			t.Errorf("signed out: %d %q %v", answer.StatusCode, text, err)
		}
	case <-time.After(hangs):
		t.Fatal("it waits on")
	}
	if answer := poll("Welcome"); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("after that: %d", answer.StatusCode)
	}
	endsEverything(t)
}

// What is no handshake for this session is refused before a connection is taken over.
func TestHandshakes(t *testing.T) {
	a := start(t)
	for _, path := range []string{"/coder", "/gorilla"} {
		for name, row := range map[string]struct {
			origin, body string
			signedIn     bool
			status       int
		}{
			"of nobody":         {a.URL, "", false, http.StatusUnauthorized},
			"of another origin": {"https://evil.example", "", true, http.StatusForbidden},
			"with a body":       {a.URL, "text=news", true, http.StatusBadRequest},
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				a.signIn(t)
				if !row.signedIn {
					a.do(t, "POST", "/auth/logout", nil)
				}
				var form url.Values
				if row.body != "" {
					form, _ = url.ParseQuery(row.body)
				}
				answer := a.do(t, "GET", path, form, "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13",
					"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Origin", row.origin)
				if answer.StatusCode != row.status {
					t.Errorf("%d, want %d", answer.StatusCode, row.status)
				}
			})
		}
		if answer := a.do(t, "GET", path, nil, "Authorization", "Bearer "+a.provider.MintAccessToken("bob")); answer.StatusCode/100 != 4 {
			t.Errorf("%s, not asked to be a WebSocket: %d", path, answer.StatusCode)
		}
	}
	endsEverything(t)
}

// running are the stacks in which this program, or a package for WebSockets, is at work.
func running() (stacks []string) {
	all := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		for _, of := range []string{"streams.(*board)", "github.com/coder/websocket.", "github.com/gorilla/websocket."} {
			if strings.Contains(stack, of) {
				stacks = append(stacks, stack)
				break
			}
		}
	}
	return stacks
}

func endsEverything(t *testing.T) {
	t.Helper()
	eventually(t, func() bool { return len(running()) == 0 })
	if t.Failed() {
		t.Log(strings.Join(running(), "\n\n"))
	}
}

func isPolling(t *testing.T) {
	t.Helper()
	eventually(t, func() bool { return strings.Contains(strings.Join(running(), ""), "streams.(*board).watch") })
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	again, deadline := time.NewTicker(time.Millisecond), time.After(hangs)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline:
			t.Error("it does not come to that")
			return
		}
	}
}
