package idecho_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/idtest/adaptertest"
	idecho "github.com/signward/idserver-go/echov5"
)

// application is the one that adaptertest.Application asks for.
func application(client *idserver.Client, listener net.Listener) error {
	auth := idecho.New(client)
	e := echo.New()
	auth.Mount(e.Group("/auth"))
	idecho.New(adaptertest.Published(client)).Mount(e)
	suite := e.Group("/suite")
	suite.GET("/open", seen, auth.LoadUser())
	suite.GET("/user", seen, auth.RequireUser())
	suite.POST("/user", seen, auth.RequireUser())
	suite.GET("/admin", seen, auth.RequireRole("admin"))
	suite.GET("/behind", seen, auth.RequireUser(), auth.RequireRole("admin"))
	suite.GET("/editors", seen, auth.RequireRole("admin", "editor"))
	suite.GET("/billing", seen, auth.RequireAllRoles("admin", "billing"))
	suite.GET("/of/:tenant", seen, auth.RequireTenant("tenant"))
	suite.GET("/builtin", seen, auth.Guard(client.RequireBuiltInRole("billing")))
	suite.GET("/own", seen, auth.Guard(client.Require(adaptertest.IsAlice)))
	for path, guard := range adaptertest.Guards(client) {
		suite.GET(path, seen, auth.Guard(guard))
		suite.POST(path, seen, auth.Guard(guard))
	}
	suite.GET("/public", public, auth.LoadUser())
	suite.GET("/clash", seen, clash, auth.RequireUser())
	inspect := auth.Guard(adaptertest.Inspect)
	suite.GET("/inspect", seen, inspect)
	suite.HEAD("/inspect", seen, inspect)
	suite.POST("/inspect", seen, inspect)
	suite.GET("/rewritten", seen, rewrite, auth.RequireUser(), inspect)
	suite.POST("/rewritten", seen, rewrite, auth.RequireUser(), inspect)
	suite.GET("/stream", stream, auth.RequireUser())
	suite.GET("/poll", poll, auth.RequireRole("admin"))
	suite.GET("/socket", socket, auth.Guard(client.Require(adaptertest.IsAlice)))
	return http.Serve(listener, e)
}

func public(c *echo.Context) error {
	for name, value := range adaptertest.Public {
		c.Response().Header().Set(name, value)
	}
	return seen(c)
}

func seen(c *echo.Context) error {
	return c.String(http.StatusOK, adaptertest.Seen(c.Request().Context(), idecho.User(c)))
}

func clash(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		for name, value := range adaptertest.Clash {
			c.Response().Header().Set(name, value)
		}
		return next(c)
	}
}

func rewrite(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.Request().URL.Path = "/elsewhere"
		return next(c)
	}
}

func stream(c *echo.Context) error {
	c.Response().Header().Set("Content-Type", "text/event-stream")
	adaptertest.Stream(c.Request().Context(), idecho.User(c), c.Response(), http.NewResponseController(c.Response()).Flush)
	return nil
}

func poll(c *echo.Context) error {
	return c.String(http.StatusOK, adaptertest.Poll(c.Request().Context(), idecho.User(c)))
}

func socket(c *echo.Context) error {
	conn, _, err := http.NewResponseController(c.Response()).Hijack()
	if err == nil {
		adaptertest.Socket(c.Request().Context(), idecho.User(c), c.Request().Header.Get("Sec-WebSocket-Key"), conn)
	}
	return err
}

func TestBehaviour(t *testing.T) { adaptertest.Run(t, application) }
func TestIsolation(t *testing.T) { adaptertest.RunIsolation(t, application) }

func TestMount(t *testing.T) {
	provider := idtest.NewProvider(t)
	for name, row := range map[string]struct {
		baseURL, path string
		wants         []string
	}{
		"elsewhere": {"http://127.0.0.1:8080", "/sign-in", []string{`"/sign-in"`, `"/auth"`}},
		"an API":    {"", "/auth", []string{"BASE_URL"}},
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
			idecho.New(client).Mount(echo.New().Group(row.path))
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
	auth := idecho.New(client)
	auth.RefusalsAsErrors = true
	for name, row := range map[string]struct {
		handler echo.HTTPErrorHandler
		status  int
		body    string
	}{
		"a handler of errors": {func(c *echo.Context, err error) {
			var refusal *idserver.Refusal
			if errors.As(err, &refusal) {
				_ = c.String(http.StatusTeapot, "own words: "+string(refusal.Code))
			}
		}, http.StatusTeapot, "own words: not_signed_in"},
		"echo's own": {nil, http.StatusUnauthorized, `{"message":"Not signed in"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			e := echo.New()
			if row.handler != nil {
				e.HTTPErrorHandler = row.handler
			}
			e.GET("/", func(c *echo.Context) error { t.Error("the handler is reached"); return nil }, auth.RequireUser())
			request, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			request.Header.Set("Cookie", "idserver-8080=not-sealed")
			e.ServeHTTP(answer, request)
			if answer.Code != row.status || answer.Body.String() != row.body {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, row.status, row.body)
			}
			if h := answer.Header(); h.Get("WWW-Authenticate") != "Bearer" || !strings.HasPrefix(h.Get("Set-Cookie"), "idserver-8080=;") || strings.Contains(h.Get("Content-Type"), "problem") || h.Get("Content-Security-Policy") != "" {
				t.Errorf("header %v", h)
			}
		})
	}
}

// What an error handler writes, after the guard has returned, is as private as what a handler writes.
func TestErrorsArePrivate(t *testing.T) {
	renewed := idserver.Answer{Add: []idserver.Field{{Name: "Set-Cookie", Value: "a=b"}}}
	auth := idecho.New(new(idserver.Client))
	e := echo.New()
	e.HTTPErrorHandler = func(c *echo.Context, err error) {
		c.Response().Header().Set("Cache-Control", "public")
		_ = c.String(http.StatusTeapot, err.Error())
	}
	e.GET("/", func(c *echo.Context) error { return errors.New("own words") }, auth.Guard(func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
		return ctx, renewed
	}))
	answer := httptest.NewRecorder()
	e.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
	if got := answer.Result().Header.Get("Cache-Control"); answer.Code != http.StatusTeapot || got != "private, no-store" {
		t.Errorf("%d, Cache-Control %q", answer.Code, got)
	}
}
