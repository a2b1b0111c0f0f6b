package idserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// world is an application, its provider and their common clock.
type world struct {
	*idserver.Client
	provider *idtest.Provider
	clock    *clock
	log      *logBuffer
	cfg      idserver.Config
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
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

const (
	base      = "http://127.0.0.1:8080"
	secretOne = "the-first-session-secret-of-32-bytes-or-more"
	secretTwo = "the-second-session-secret-of-32-bytes-or-more"
)

// newWorld starts a provider and makes an application at base.
func newWorld(t *testing.T, edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	w.provider = idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory = w.clock.Now, true })
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret = secretOne
	w.cfg.Now = w.clock.Now
	w.cfg.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Client = w.client(t, edit...)
	return w
}

// client makes one more client of the same application: another process.
func (w *world) client(t *testing.T, edit ...func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := w.cfg
	for _, e := range edit {
		e(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// browser keeps cookies by their names. It does what is asked on routes and guards as values, as an
// adapter would.
type browser struct {
	t       *testing.T
	client  *idserver.Client
	cookies map[string]string
}

func (w *world) browser(t *testing.T) *browser {
	return &browser{t, w.Client, map[string]string{}}
}

type edit = func(*idserver.Request)

// navigates is what browsers send when a person follows a link.
func navigates(r *idserver.Request) {
	send(r, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin")
	send(r, "Accept", "text/html,application/xhtml+xml")
}

func fetches(r *idserver.Request) {
	send(r, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin")
	send(r, "Accept", "application/json")
}

func (b *browser) request(method, target string, edits []edit) idserver.Request {
	path, query, _ := strings.Cut(strings.TrimPrefix(target, base), "?")
	r := idserver.Request{Method: method, Path: path, RawQuery: query, Host: "127.0.0.1:8080", Header: http.Header{}}
	var line []string
	for name, value := range b.cookies {
		line = append(line, name+"="+value)
	}
	if len(line) > 0 {
		r.Header.(http.Header)["Cookie"] = []string{strings.Join(line, "; ")}
	}
	for _, e := range edits {
		e(&r)
	}
	return r
}

// send sets header fields of a request, each a name and a value.
func send(r *idserver.Request, namesAndValues ...string) {
	for i := 0; i < len(namesAndValues); i += 2 {
		r.Header.(http.Header).Set(namesAndValues[i], namesAndValues[i+1])
	}
}

// routesOf returns a client's routes as a router at Config.RoutesPath registers them.
func routesOf(t *testing.T, client *idserver.Client) []idserver.Route {
	t.Helper()
	routes, err := client.Routes("")
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// route asks a sign-in route.
func (b *browser) route(method, target string, edits ...edit) idserver.Answer {
	b.t.Helper()
	r := b.request(method, target, edits)
	for _, route := range routesOf(b.t, b.client) {
		if "/auth"+route.Path == r.Path && (route.Method == method || method == http.MethodHead && route.Method == http.MethodGet) {
			return b.keep(route.Serve(b.t.Context(), r))
		}
	}
	b.t.Fatalf("no route %s %s", method, target)
	return idserver.Answer{}
}

// pass asks a guard.
func (b *browser) pass(guard idserver.Guard, method, target string, edits ...edit) (context.Context, idserver.Answer) {
	ctx, answer := guard(b.t.Context(), b.request(method, target, edits))
	return ctx, b.keep(answer)
}

// keep takes an answer's cookies over.
func (b *browser) keep(a idserver.Answer) idserver.Answer {
	b.t.Helper()
	for _, f := range a.Add {
		if f.Name != "Set-Cookie" {
			continue
		}
		c, err := http.ParseSetCookie(f.Value)
		if err != nil {
			b.t.Fatalf("Set-Cookie: %v", err)
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("cookie %s is readable by scripts or sent across sites", c.Name)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return a
}

// logins are the names of the login cookies.
func (b *browser) logins() (names []string) {
	for name := range b.cookies {
		if strings.Contains(name, "-login-") {
			names = append(names, name)
		}
	}
	return names
}

// begin goes to /login and returns the provider's address.
func (b *browser) begin(target string) string {
	b.t.Helper()
	a := b.route("GET", target, navigates)
	if a.Status != http.StatusSeeOther {
		b.t.Fatalf("login: %d %s", a.Status, a.Body)
	}
	return field(a, "Location")
}

// authorize is the person at the provider; it returns the callback's address.
func (w *world) authorize(t *testing.T, address, login string) string {
	t.Helper()
	callback, err := w.provider.Authorize(t.Context(), address, login)
	if err != nil {
		t.Fatal(err)
	}
	return callback.String()
}

// signedIn returns a browser in which login is signed in.
func (w *world) signedIn(t *testing.T, login string) *browser {
	t.Helper()
	b := w.browser(t)
	a := b.route("GET", w.authorize(t, b.begin("/auth/login"), login), navigates)
	if a.Status != http.StatusSeeOther || field(a, "Location") != "/" {
		t.Fatalf("callback: %d %s %s", a.Status, field(a, "Location"), a.Body)
	}
	return b
}

func field(a idserver.Answer, name string) string {
	for _, fields := range [][]idserver.Field{a.Set, a.Add} {
		for _, f := range fields {
			if f.Name == name {
				return f.Value
			}
		}
	}
	return ""
}

// code reads the code of a refusal, from the page or the problem document.
func code(t *testing.T, a idserver.Answer) idserver.RefusalCode {
	t.Helper()
	if strings.HasPrefix(field(a, "Content-Type"), "text/html") {
		_, rest, _ := bytes.Cut(a.Body, []byte("Code: "))
		text, _, _ := bytes.Cut(rest, []byte("<"))
		return idserver.RefusalCode(text)
	}
	var problem struct {
		Code   idserver.RefusalCode
		Status int
	}
	if err := json.Unmarshal(a.Body, &problem); err != nil {
		t.Fatalf("not a problem document: %s", a.Body)
	}
	if problem.Status != a.Status {
		t.Errorf("status %d in an answer of status %d", problem.Status, a.Status)
	}
	return problem.Code
}

func query(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func bearer(token string) edit {
	return func(r *idserver.Request) { r.Header.(http.Header)["Authorization"] = []string{"Bearer " + token} }
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	below := func(base string) *idserver.Client {
		return w.client(t, func(c *idserver.Config) { c.BaseURL = base })
	}
	api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
	for name, row := range map[string]struct {
		client *idserver.Client
		mount  string
		first  string   // the path of the first route
		wants  []string // or what the error says
	}{
		"at the path of the routes":      {w.Client, "/auth", "/login", nil},
		"as a prefix without slash":      {w.Client, "auth/", "/login", nil},
		"with a slash at the end":        {w.Client, "/auth/", "/login", nil},
		"at an unknown place":            {w.Client, "", "/login", nil},
		"at the root":                    {w.Client, "/", "/auth/login", nil},
		"elsewhere":                      {w.Client, "/login", "", []string{`"/login"`, `"/auth"`}},
		"below a path, which is kept":    {below(base + "/app"), "/app/auth", "/login", nil},
		"below a path, at its root":      {below(base + "/app"), "/app", "/auth/login", nil},
		"below a path, which is gone":    {below(base + "/app"), "/auth", "/login", nil},
		"below a path, elsewhere":        {below(base + "/app"), "/app/login", "", []string{`"/app/login"`, `"/auth"`}},
		"of an API, which has none":      {api, "/auth", "", []string{"BASE_URL"}},
		"of an API, at an unknown place": {api, "", "", []string{"BASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			routes, err := row.client.Routes(row.mount)
			for _, want := range row.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want %s in it", err, want)
				}
			}
			if row.wants == nil && (err != nil || routes[0].Path != row.first) {
				t.Errorf("%v, the routes are %v, want the first at %s", err, routes, row.first)
			}
		})
	}
}
