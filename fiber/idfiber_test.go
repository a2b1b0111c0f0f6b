package idfiber_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/idtest/adaptertest"
	idfiber "github.com/signward/idserver-go/fiber"
)

// application is the one that adaptertest.Application asks for.
func application(client *idserver.Client, listener net.Listener) error {
	return serve(fiber.Config{}, client, listener)
}

func serve(cfg fiber.Config, client *idserver.Client, listener net.Listener) error {
	auth := idfiber.New(client)
	cfg.ReadBufferSize, cfg.DisableStartupMessage = 16<<10, true
	app := fiber.New(cfg)
	auth.Mount(app.Group("/auth"))
	idfiber.New(adaptertest.Published(client)).Mount(app)
	suite := app.Group("/suite")
	suite.Get("/open", auth.LoadUser(), seen)
	suite.Get("/user", auth.RequireUser(), seen)
	suite.Post("/user", auth.RequireUser(), seen)
	suite.Get("/admin", auth.RequireRole("admin"), seen)
	suite.Get("/behind", auth.RequireUser(), auth.RequireRole("admin"), seen)
	suite.Get("/editors", auth.RequireRole("admin", "editor"), seen)
	suite.Get("/billing", auth.RequireAllRoles("admin", "billing"), seen)
	suite.Get("/of/:tenant", auth.RequireTenant("tenant"), seen)
	suite.Get("/builtin", auth.Guard(client.RequireBuiltInRole("billing")), seen)
	suite.Get("/own", auth.Guard(client.Require(adaptertest.IsAlice)), seen)
	for path, guard := range adaptertest.Guards(client) {
		suite.Get(path, auth.Guard(guard), seen)
		suite.Post(path, auth.Guard(guard), seen)
	}
	suite.Get("/public", auth.LoadUser(), public, seen)
	suite.Get("/clash", func(c *fiber.Ctx) error {
		for name, value := range adaptertest.Clash {
			c.Set(name, value)
		}
		return c.Next()
	}, auth.RequireUser(), seen)
	inspect := auth.Guard(adaptertest.Inspect)
	suite.Get("/inspect", inspect) // HEAD too
	suite.Post("/inspect", inspect)
	suite.Get("/rewritten", rewrite, auth.RequireUser(), inspect)
	suite.Post("/rewritten", rewrite, auth.RequireUser(), inspect)
	suite.Get("/stream", auth.RequireUser(), stream)
	suite.Get("/poll", auth.RequireRole("admin"), poll)
	suite.Get("/socket", auth.Guard(client.Require(adaptertest.IsAlice)), socket)
	return app.Listener(listener)
}

func public(c *fiber.Ctx) error {
	for name, value := range adaptertest.Public {
		c.Set(name, value)
	}
	return c.Next()
}

func seen(c *fiber.Ctx) error {
	return c.SendString(adaptertest.Seen(c.UserContext(), idfiber.User(c)))
}

func rewrite(c *fiber.Ctx) error {
	c.Path("/elsewhere")
	return c.Next()
}

// stream writes after the handler has returned, when c is of another request.
func stream(c *fiber.Ctx) error {
	ctx, user := c.UserContext(), idfiber.User(c)
	c.Set("Content-Type", "text/event-stream")
	c.Context().SetBodyStreamWriter(func(w *bufio.Writer) { adaptertest.Stream(ctx, user, w, w.Flush) })
	return nil
}

func poll(c *fiber.Ctx) error {
	return c.SendString(adaptertest.Poll(c.UserContext(), idfiber.User(c)))
}

func socket(c *fiber.Ctx) error {
	ctx, user, key := c.UserContext(), idfiber.User(c), strings.Clone(c.Get("Sec-WebSocket-Key"))
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(conn net.Conn) { adaptertest.Socket(ctx, user, key, conn) })
	return nil
}

func TestBehaviour(t *testing.T) {
	for name, cfg := range map[string]fiber.Config{
		"as fiber is":              {},
		"DisableHeaderNormalizing": {DisableHeaderNormalizing: true},
		"StreamRequestBody":        {StreamRequestBody: true},
	} {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, func(client *idserver.Client, listener net.Listener) error { return serve(cfg, client, listener) })
		})
	}
}

func TestIsolation(t *testing.T) { adaptertest.RunIsolation(t, application) }

// What a handler keeps of a request's user is still that user's when fasthttp has used the request's memory again.
func TestKeptUser(t *testing.T) {
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	type kept struct {
		user  *idserver.User
		token string
	}
	var all []kept
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/", idfiber.New(client).RequireUser(), func(c *fiber.Ctx) error {
		all = append(all, kept{idfiber.User(c), idserver.AccessTokenFrom(c.UserContext())})
		return nil
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Listener(listener) }()
	transport := &http.Transport{MaxConnsPerHost: 1} // one connection: fasthttp reads all requests into the same memory
	defer transport.CloseIdleConnections()
	tokens := map[string]string{}
	for i := range 200 {
		login := []string{"alice", "bob", "carol"}[i%3]
		token := provider.MintAccessToken(login)
		tokens[token] = login
		request := httptest.NewRequest("GET", "http://"+listener.Addr().String()+"/", nil)
		request.RequestURI = ""
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := transport.RoundTrip(request)
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		answer.Body.Close()
	}
	if err := app.Shutdown(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for i, k := range all {
		if login := tokens[k.token]; login != []string{"alice", "bob", "carol"}[i%3] || k.user.Email != login+"@example.test" {
			t.Fatalf("request %d was %q's, and is now of %s with the token of %q", i, []string{"alice", "bob", "carol"}[i%3], k.user.Email, login)
		}
	}
}

func TestMount(t *testing.T) {
	provider := idtest.NewProvider(t)
	for name, row := range map[string]struct {
		baseURL string
		router  fiber.Router
		wants   []string
	}{
		"elsewhere": {"http://127.0.0.1:8080", fiber.New().Group("/sign-in"), []string{`"/sign-in"`, `"/auth"`}},
		"an API":    {"", fiber.New().Group("/auth"), []string{"BASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := idserver.New(provider.Config(row.baseURL))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			defer func() {
				fault, _ := recover().(error)
				for _, want := range row.wants {
					if fault == nil || !strings.Contains(fault.Error(), want) {
						t.Errorf("Mount panics with %v, want %s in it", fault, want)
					}
				}
			}()
			idfiber.New(client).Mount(row.router)
		})
	}
}

// An application's own error handler writes status and body; header fields and cookies are there all the same.
func TestRefusalsAsErrors(t *testing.T) {
	client, err := idserver.New(idtest.NewProvider(t).Config("http://127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	auth := idfiber.New(client)
	auth.RefusalsAsErrors = true
	for name, row := range map[string]struct {
		handler fiber.ErrorHandler
		status  int
		body    string
	}{
		"a handler of errors": {func(c *fiber.Ctx, err error) error {
			var refusal *idserver.Refusal
			if errors.As(err, &refusal) {
				return c.Status(fiber.StatusTeapot).SendString("own words: " + string(refusal.Code))
			}
			return err
		}, fiber.StatusTeapot, "own words: not_signed_in"},
		"fiber's own": {nil, fiber.StatusUnauthorized, "Not signed in"},
	} {
		t.Run(name, func(t *testing.T) {
			app := fiber.New(fiber.Config{ErrorHandler: row.handler})
			app.Get("/", auth.RequireUser(), func(c *fiber.Ctx) error { t.Error("the handler is reached"); return nil })
			request := httptest.NewRequest("GET", "/", nil)
			request.Header.Set("Cookie", "idserver-8080=not-sealed")
			answer, err := app.Test(request, -1)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != row.status || !strings.HasPrefix(string(body), row.body) {
				t.Errorf("%d %q %v, want %d %q", answer.StatusCode, body, err, row.status, row.body)
			}
			if h := answer.Header; h.Get("WWW-Authenticate") != "Bearer" || !strings.HasPrefix(h.Get("Set-Cookie"), "idserver-8080=;") || strings.Contains(h.Get("Content-Type"), "problem") || h.Get("Content-Security-Policy") != "" {
				t.Errorf("header %v", h)
			}
		})
	}
}

// A body above fiber's limit is refused before any guard, and a stream is read only as far as a guard wants.
func TestBodyLimit(t *testing.T) {
	client, err := idserver.New(idtest.NewProvider(t).Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, row := range map[string]struct {
		cfg  fiber.Config
		body int
		want string // in the answer; "" if the guard is not reached
	}{
		"below":           {fiber.Config{BodyLimit: 64}, 64, "aaaaaaaaaaaaaaaa"},
		"above":           {fiber.Config{BodyLimit: 64}, 65, ""},
		"above, a stream": {fiber.Config{BodyLimit: 64, StreamRequestBody: true}, 65, "aaaaaaaaaaaaaaaa"},
	} {
		t.Run(name, func(t *testing.T) {
			app, reached := fiber.New(row.cfg), false
			app.Post("/", idfiber.New(client).Guard(func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
				reached = true
				return adaptertest.Inspect(ctx, r)
			}))
			answer, err := app.Test(httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("a", row.body))), -1)
			if reached != (row.want != "") {
				t.Errorf("the guard is reached: %t (%v)", reached, err)
			}
			if row.want == "" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(body), `body "`+row.want+`"`) {
				t.Errorf("the guard sees %s (%v)", body, err)
			}
		})
	}
}

// Fiber's default limit of a request's header answers 431 to who has a long session; the log says so before.
func TestHeaderLimit(t *testing.T) {
	for limit, warnings := range map[int]int{0: 1, 16 << 10: 0} {
		var log bytes.Buffer
		cfg := idtest.NewProvider(t).Config("http://127.0.0.1:8080")
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		app := fiber.New(fiber.Config{ReadBufferSize: limit})
		app.Get("/", idfiber.New(client).LoadUser(), func(c *fiber.Ctx) error { return nil })
		for range 3 {
			if _, err := app.Test(httptest.NewRequest("GET", "/", nil), -1); err != nil {
				t.Fatal(err)
			}
		}
		client.Close()
		if n := strings.Count(log.String(), "limit="); n != warnings {
			t.Errorf("ReadBufferSize %d: %d warnings, want %d:\n%s", limit, n, warnings, log.String())
		}
	}
}

// A guard behind another writes the same cookies. Fasthttp keeps them apart from other header fields.
func TestCookiesAreWrittenOnce(t *testing.T) {
	provider := idtest.NewProvider(t)
	provider.SetAccessTokenClaims(func(claims map[string]any) {
		noise := make([]byte, 3000) // more than fits into one cookie
		_, _ = rand.Read(noise)
		claims["noise"] = hex.EncodeToString(noise)
	})
	var later atomic.Int64
	cfg := provider.Config("http://127.0.0.1:8080")
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	auth := idfiber.New(client)
	app := fiber.New(fiber.Config{ReadBufferSize: 64 << 10})
	ok := func(c *fiber.Ctx) error { return c.SendStatus(fiber.StatusNoContent) }
	app.Get("/one", auth.RequireUser(), ok)
	app.Get("/three", auth.LoadUser(), auth.RequireUser(), auth.RequireRole("admin"), ok)
	line := signedIn(t, client, provider)
	later.Store(int64(7 * time.Minute)) // the cookies are written again
	lines := func(path string) (cookies, vary int) {
		request := httptest.NewRequest("GET", path, nil)
		request.Header.Set("Cookie", line)
		answer, err := app.Test(request, -1)
		if err != nil || answer.StatusCode != fiber.StatusNoContent {
			t.Fatalf("%s: %v, %v", path, answer, err)
		}
		return len(answer.Header.Values("Set-Cookie")), len(answer.Header.Values("Vary"))
	}
	if cookies, vary := lines("/one"); cookies < 2 || vary != 1 {
		t.Fatalf("behind one guard there are %d cookies and %d lines of Vary, want some and 1", cookies, vary)
	}
	one, _ := lines("/one")
	if three, vary := lines("/three"); three != one || vary != 1 {
		t.Errorf("behind three guards there are %d cookies and %d lines of Vary, want %d and 1", three, vary, one)
	}
}

// signedIn returns the Cookie line of alice's browser.
func signedIn(t *testing.T, client *idserver.Client, provider *idtest.Provider) string {
	t.Helper()
	routes, err := client.Routes("/auth")
	if err != nil {
		t.Fatal(err)
	}
	begun := routes[0].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
	var location string
	for _, f := range begun.Set {
		if f.Name == "Location" {
			location = f.Value
		}
	}
	callback, err := provider.Authorize(t.Context(), location, "alice")
	if err != nil {
		t.Fatal(err)
	}
	back := routes[1].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/callback", RawQuery: callback.RawQuery, Header: http.Header{"Cookie": cookies(begun)}})
	return strings.Join(cookies(back), "; ")
}

func cookies(a idserver.Answer) (lines []string) {
	for _, f := range a.Add {
		if f.Name == "Set-Cookie" {
			pair, _, _ := strings.Cut(f.Value, ";")
			lines = append(lines, pair)
		}
	}
	return lines
}

// A net/http handler behind fiber's adaptor gets fasthttp's context, in which the user is too.
func TestUserBehindAdaptor(t *testing.T) {
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	app := fiber.New()
	app.Get("/", idfiber.New(client).LoadUser(), adaptor.HTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := idserver.UserFrom(r.Context()); u != nil && idserver.AccessTokenFrom(r.Context()) != "" {
			_, _ = io.WriteString(w, u.Email)
		}
	}))
	for header, want := range map[string]string{"Bearer " + provider.MintAccessToken("alice"): "alice@example.test", "": ""} {
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("Authorization", header)
		response, err := app.Test(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != want {
			t.Errorf("%q %v, want %q", body, err, want)
		}
	}
}

// The processes of Prefork would each refresh a session, which a provider that rotates refresh tokens takes for theft.
func TestMountInPrefork(t *testing.T) {
	provider := idtest.NewProvider(t)
	for name, row := range map[string]struct {
		prefork, child, noRotation, panics bool
	}{
		"one process":                      {},
		"Prefork":                          {prefork: true, panics: true},
		"a child's group":                  {child: true, panics: true},
		"Prefork, no rotation":             {prefork: true, noRotation: true},
		"a child's group, and no rotation": {child: true, noRotation: true},
	} {
		t.Run(name, func(t *testing.T) {
			if row.child {
				t.Setenv("FIBER_PREFORK_CHILD", "1")
			}
			cfg := provider.Config("http://127.0.0.1:8080")
			cfg.Session.NoRotation = row.noRotation
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			defer func() {
				fault, _ := recover().(error)
				if (fault != nil) != row.panics || row.panics && !strings.Contains(fault.Error(), "Session.NoRotation") {
					t.Errorf("Mount panics with %v", fault)
				}
			}()
			app := fiber.New(fiber.Config{Prefork: row.prefork})
			if row.child {
				idfiber.New(client).Mount(app.Group("/auth"))
			} else {
				idfiber.New(client).Mount(app)
			}
		})
	}
}
