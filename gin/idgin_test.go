package idgin_test

import (
	"errors"
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
	suite := r.Group("/suite")
	suite.GET("/open", auth.LoadUser(), seen)
	suite.GET("/user", auth.RequireUser(), seen)
	suite.POST("/user", auth.RequireUser(), seen)
	suite.GET("/admin", auth.RequireRole("admin"), seen)
	suite.GET("/behind", auth.RequireUser(), auth.RequireRole("admin"), seen)
	suite.GET("/editors", auth.RequireRole("admin", "editor"), seen)
	suite.GET("/billing", auth.RequireAllRoles("admin", "billing"), seen)
	suite.GET("/builtin", auth.Guard(client.RequireBuiltInRole("billing")), seen)
	suite.GET("/own", auth.Guard(client.Require(adaptertest.IsAlice)), seen)
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
