package idgin_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/idtest/adaptertest"
	idgin "github.com/signward/idserver-go/gin"
)

func init() { gin.SetMode(gin.ReleaseMode) }

// application is the one that adaptertest.Application asks for.
func application(client *idserver.Client, listener net.Listener) error {
	auth := idgin.New(client)
	r := gin.New()
	auth.Mount(r.Group("/auth"))
	idgin.New(adaptertest.Published(client)).Mount(r)
	suite := r.Group("/suite")
	suite.GET("/open", auth.LoadUser(), seen)
	suite.GET("/user", auth.RequireUser(), seen)
	suite.POST("/user", auth.RequireUser(), seen)
	suite.GET("/admin", auth.RequireRole("admin"), seen)
	suite.GET("/behind", auth.RequireUser(), auth.RequireRole("admin"), seen)
	suite.GET("/editors", auth.RequireRole("admin", "editor"), seen)
	suite.GET("/billing", auth.RequireAllRoles("admin", "billing"), seen)
	suite.GET("/of/:tenant", auth.RequireTenant("tenant"), seen)
	suite.GET("/builtin", auth.Guard(client.RequireBuiltInRole("billing")), seen)
	suite.GET("/own", auth.Guard(client.Require(adaptertest.IsAlice)), seen)
	for path, guard := range adaptertest.Guards(client) {
		suite.GET(path, auth.Guard(guard), seen)
		suite.POST(path, auth.Guard(guard), seen)
	}
	suite.GET("/public", auth.LoadUser(), public, seen)
	suite.GET("/clash", func(c *gin.Context) {
		for name, value := range adaptertest.Clash {
			c.Header(name, value)
		}
	}, auth.RequireUser(), seen)
	inspect, rewrite := auth.Guard(adaptertest.Inspect), func(c *gin.Context) { c.Request.URL.Path = "/elsewhere" }
	suite.GET("/inspect", inspect)
	suite.HEAD("/inspect", inspect)
	suite.POST("/inspect", inspect)
	suite.GET("/rewritten", rewrite, auth.RequireUser(), inspect)
	suite.POST("/rewritten", rewrite, auth.RequireUser(), inspect)
	suite.GET("/stream", auth.RequireUser(), stream)
	suite.GET("/poll", auth.RequireRole("admin"), poll)
	suite.GET("/socket", auth.Guard(client.Require(adaptertest.IsAlice)), socket)
	return http.Serve(listener, r)
}

func public(c *gin.Context) {
	for name, value := range adaptertest.Public {
		c.Header(name, value)
	}
}

func seen(c *gin.Context) {
	c.String(http.StatusOK, "%s", adaptertest.Seen(c.Request.Context(), idgin.User(c)))
}

func stream(c *gin.Context) {
	c.Header("Content-Type", "text/event-stream")
	adaptertest.Stream(c.Request.Context(), idgin.User(c), c.Writer, http.NewResponseController(c.Writer).Flush)
}

func poll(c *gin.Context) {
	c.String(http.StatusOK, "%s", adaptertest.Poll(c.Request.Context(), idgin.User(c)))
}

func socket(c *gin.Context) {
	if conn, _, err := c.Writer.Hijack(); err == nil {
		adaptertest.Socket(c.Request.Context(), idgin.User(c), c.GetHeader("Sec-WebSocket-Key"), conn)
	}
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
			idgin.New(client).Mount(gin.New().Group(row.path))
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
	auth := idgin.New(client)
	auth.RefusalsAsErrors = true
	for name, row := range map[string]struct {
		handler gin.HandlerFunc
		status  int
		body    string
	}{
		"a handler of errors": {func(c *gin.Context) {
			c.Next()
			var refusal *idserver.Refusal
			if len(c.Errors) == 1 && errors.As(c.Errors[0], &refusal) {
				c.String(http.StatusTeapot, "own words: %s", refusal.Code)
			}
		}, http.StatusTeapot, "own words: not_signed_in"},
		"none": {func(*gin.Context) {}, http.StatusUnauthorized, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := gin.New()
			r.GET("/", row.handler, auth.RequireUser(), func(c *gin.Context) { t.Error("the handler is reached") })
			request, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			request.Header.Set("Cookie", "idserver-8080=not-sealed")
			r.ServeHTTP(answer, request)
			if answer.Code != row.status || answer.Body.String() != row.body {
				t.Errorf("%d %q, want %d %q", answer.Code, answer.Body, row.status, row.body)
			}
			if h := answer.Header(); h.Get("WWW-Authenticate") != "Bearer" || !strings.HasPrefix(h.Get("Set-Cookie"), "idserver-8080=;") || strings.Contains(h.Get("Content-Type"), "problem") || h.Get("Content-Security-Policy") != "" {
				t.Errorf("header %v", h)
			}
		})
	}
}

// The guide warns that gin's own context finds nobody, unless its engine has ContextWithFallback.
func TestUserInGinContext(t *testing.T) {
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, fallback := range []bool{false, true} {
		t.Run(fmt.Sprint("ContextWithFallback ", fallback), func(t *testing.T) {
			r := gin.New()
			r.ContextWithFallback = fallback
			r.GET("/", idgin.New(client).RequireUser(), func(c *gin.Context) {
				if idgin.User(c) == nil || idserver.UserFrom(c.Request.Context()) == nil {
					t.Error("the request's context has no user")
				}
				if found := idserver.UserFrom(c) != nil; found != fallback {
					t.Errorf("gin's context has a user: %v", found)
				}
			})
			request, answer := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
			request.Header.Set("Authorization", "Bearer "+provider.MintAccessToken("alice"))
			if r.ServeHTTP(answer, request); answer.Code != http.StatusOK {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
}

// A renewed session stays private however gin writes the header.
func TestPrivate(t *testing.T) {
	renews := func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
		return ctx, idserver.Answer{Add: []idserver.Field{{Name: "Set-Cookie", Value: "session=1"}}, SameContext: true}
	}
	for name, handler := range map[string]gin.HandlerFunc{
		"nothing":        func(*gin.Context) {},
		"a status":       func(c *gin.Context) { c.Status(204) },
		"an abort":       func(c *gin.Context) { c.AbortWithStatus(404) },
		"text":           func(c *gin.Context) { c.String(200, "x") },
		"JSON":           func(c *gin.Context) { c.JSON(200, 1) },
		"bytes":          func(c *gin.Context) { _, _ = c.Writer.Write([]byte("x")) },
		"a string":       func(c *gin.Context) { _, _ = c.Writer.WriteString("x") },
		"a redirect":     func(c *gin.Context) { c.Redirect(302, "/x") },
		"a flush":        func(c *gin.Context) { c.Writer.Flush() },
		"a controller's": func(c *gin.Context) { _ = http.NewResponseController(c.Writer).Flush() },
		"a file":         func(c *gin.Context) { c.File("idgin.go") },
		"an error":       func(c *gin.Context) { http.Error(c.Writer, "x", 500) },
	} {
		t.Run(name, func(t *testing.T) {
			client, err := idserver.New(idtest.NewProvider(t).Config(""))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			r := gin.New()
			r.GET("/", idgin.New(client).Guard(renews), func(c *gin.Context) { c.Header("Cache-Control", "public"); handler(c) })
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
			if got := answer.Result().Header.Get("Cache-Control"); got != "private, no-store" {
				t.Errorf("%d, Cache-Control %q", answer.Code, got)
			}
		})
	}
}
