package idserver_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// renewing is the answer of a guard that renews a session.
var renewing = idserver.Answer{Set: []idserver.Field{{Name: "Cache-Control", Value: "private, no-store"}}, Add: []idserver.Field{{Name: "Set-Cookie", Value: "session=1"}}}

// An answer with cookies is for nobody else, whatever the handler says and however it says it.
func TestPrivate(t *testing.T) {
	t.Parallel()
	say := func(values ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Header()["Cache-Control"] = values }
	}
	const private = "[private, no-store]"
	for name, row := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"nothing":                 {func(http.ResponseWriter, *http.Request) {}, private},
		"public":                  {say("public"), private},
		"public, with an age":     {say("public, max-age=60"), private},
		"an age":                  {say("max-age=60"), private},
		"an age for caches":       {say("s-maxage=60"), private},
		"both":                    {say("private", "public"), private},
		"private but for caches":  {say("private, s-maxage=60"), private},
		"no-cache":                {say("no-cache"), private},
		"private for a field":     {say(`private="set-cookie"`), private},
		"none":                    {say(), private},
		"private":                 {say("private, max-age=60"), "[private, max-age=60]"},
		"private, in big letters": {say("Private"), "[Private]"},
		"no-store":                {say("no-store"), "[no-store]"},
		"an error of net/http": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "public")
			http.Error(w, "x", 404)
		}, private},
		"an early hint": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			say("public")(w, r)
		}, private},
		"a stream": {func(w http.ResponseWriter, r *http.Request) {
			say("public")(w, r)
			w.(http.Flusher).Flush()
		}, private},
		"a stream by its controller": {func(w http.ResponseWriter, r *http.Request) {
			say("public")(w, r)
			_ = http.NewResponseController(w).Flush()
		}, private},
		"a body": {func(w http.ResponseWriter, r *http.Request) {
			say("public")(w, r)
			_, _ = w.Write([]byte("x"))
		}, private},
		"a panic": {func(w http.ResponseWriter, r *http.Request) {
			say("public")(w, r)
			panic("a fault of the handler's")
		}, private},
	} {
		t.Run(name, func(t *testing.T) {
			recorded := httptest.NewRecorder()
			func() {
				defer func() { _ = recover() }() // as a middleware of the application's does
				renewing.WriteTo(recorded)
				behind, end := renewing.Behind(recorded)
				defer end()
				row.handler(behind, httptest.NewRequest("GET", "/", nil))
			}()
			for when, h := range map[string]http.Header{"sent": recorded.Result().Header, "at the end": recorded.Header()} {
				if got := fmt.Sprint(h["Cache-Control"]); got != row.want {
					t.Errorf("%s: it is %s, want %s", when, got, row.want)
				}
			}
		})
	}
}

// A WebSocket's handler takes the connection over, behind a guard that deletes the cookies of a session that is over too.
func TestPrivateWriterIsHijacked(t *testing.T) {
	t.Parallel()
	var fault error
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		renewing.WriteTo(w)
		behind, end := renewing.Behind(w)
		defer end()
		var connection net.Conn
		if connection, _, fault = behind.(http.Hijacker).Hijack(); fault == nil {
			_, _ = io.WriteString(connection, "HTTP/1.1 204 Taken Over\r\nConnection: close\r\n\r\n")
			connection.Close()
		}
	}))
	defer server.Close()
	response, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if fault != nil || response.Status != "204 Taken Over" {
		t.Errorf("%v, %s", fault, response.Status)
	}
	behind, end := renewing.Behind(httptest.NewRecorder())
	defer end()
	if _, _, err := behind.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("a writer that cannot be hijacked: %v", err)
	}
}

// Some caches let themselves be told something else than everybody else (RFC 9213).
func TestPrivateInCachesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control", "X-Accel-Expires"} {
		recorded := httptest.NewRecorder()
		renewing.WriteTo(recorded)
		behind, end := renewing.Behind(recorded)
		behind.Header().Set(name, "max-age=60")
		behind.WriteHeader(200)
		end()
		if got := recorded.Result().Header.Get(name); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestPrivateIsForAnswersWithCookies(t *testing.T) {
	t.Parallel()
	recorded := httptest.NewRecorder()
	plain := idserver.Answer{Absent: []idserver.Field{{Name: "Cache-Control", Value: "private"}}}
	behind, end := plain.Behind(recorded)
	defer end()
	if behind != http.ResponseWriter(recorded) {
		t.Error("the writer of an answer without cookies is replaced")
	}
	for before, want := range map[string]string{"": "private", "max-age=60": "max-age=60"} {
		h := http.Header{}
		if before != "" {
			h.Set("Cache-Control", before)
		}
		if plain.WriteHeader(h); h.Get("Cache-Control") != want {
			t.Errorf("after %q it is %q, want %q", before, h.Get("Cache-Control"), want)
		}
	}
}
