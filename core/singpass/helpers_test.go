package singpass_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

// bubble runs a test in a bubble of testing/synctest, beside others.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

const base = "http://127.0.0.1:8080"

// world is an application and its Singpass, in memory.
type world struct {
	*singpass.Client
	provider *singpasstest.Provider
	log      *logBuffer
	cfg      singpass.Config
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, product singpass.Product, options func(*singpasstest.Options), edit ...func(*singpass.Config)) *world {
	t.Helper()
	w := &world{log: &logBuffer{}}
	w.provider = singpasstest.NewProvider(t, func(o *singpasstest.Options) {
		o.InMemory = true
		if options != nil {
			options(o)
		}
	})
	w.cfg = w.provider.Config(product, base)
	w.cfg.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, e := range edit {
		e(&w.cfg)
	}
	var err error
	if w.Client, err = singpass.New(w.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.provider.Register(w.Client, product)
	return w
}

// browser keeps cookies by their names, and asks routes and guards as values.
type browser struct {
	t       *testing.T
	w       *world
	cookies map[string]string
}

func (w *world) browser(t *testing.T) *browser { return &browser{t, w, map[string]string{}} }

func (b *browser) request(method, target string) idserver.Request {
	path, query, _ := strings.Cut(strings.TrimPrefix(target, base), "?")
	header := http.Header{
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"},
	}
	var line []string
	for name, value := range b.cookies {
		line = append(line, name+"="+value)
	}
	if len(line) > 0 {
		header["Cookie"] = []string{strings.Join(line, "; ")}
	}
	return idserver.Request{Method: method, Path: path, RawQuery: query, Host: "127.0.0.1:8080", Header: header}
}

func (b *browser) keep(a idserver.Answer) idserver.Answer {
	for _, f := range a.Add {
		if f.Name != "Set-Cookie" {
			continue
		}
		c, err := http.ParseSetCookie(f.Value)
		if err != nil {
			b.t.Fatal(err)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return a
}

func (b *browser) route(target string) idserver.Answer {
	b.t.Helper()
	r := b.request("GET", target)
	routes, err := b.w.Routes("")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, route := range routes {
		if route.Method == "GET" && "/auth"+route.Path == r.Path {
			return b.keep(route.Serve(b.t.Context(), r))
		}
	}
	b.t.Fatalf("no route %s", target)
	return idserver.Answer{}
}

func location(a idserver.Answer) string {
	for _, f := range a.Set {
		if f.Name == "Location" {
			return f.Value
		}
	}
	return ""
}

// callback begins a sign-in, acts as the person, and returns the answer of the callback.
func (b *browser) callback(login string) idserver.Answer {
	b.t.Helper()
	a := b.route("/auth/login")
	if a.Status != http.StatusSeeOther {
		b.t.Fatalf("login: %d, %s", a.Status, b.w.log)
	}
	back, err := b.w.provider.Authorize(b.t.Context(), location(a), login)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.route(back.String())
}

// signIn returns the context behind a guard.
func (b *browser) signIn(login string) context.Context {
	b.t.Helper()
	if a := b.callback(login); a.Status != http.StatusSeeOther {
		b.t.Fatalf("callback: %d, %s", a.Status, b.w.log)
	}
	return b.behind()
}

func (b *browser) behind() context.Context {
	b.t.Helper()
	ctx, a := b.w.RequireUser()(b.t.Context(), b.request("GET", "/"))
	if b.keep(a); a.Ends() {
		b.t.Fatalf("the guard answers %d: %s", a.Status, b.w.log)
	}
	return ctx
}

func goodConfig() singpass.Config {
	return singpass.Config{
		Product: singpass.Login, Environment: singpass.Production, ClientID: "client", Keys: singpasstest.Keys(), BaseURL: "https://app.example",
		SessionSecret: "a-session-secret-of-more-than-32-bytes-it-is", Logger: slog.New(slog.DiscardHandler),
	}
}

const minute = time.Minute
