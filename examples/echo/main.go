// Command echo is a web application and an API whose users sign in with an OpenID provider.
// Copy this folder to start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C exits at once
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8080"))
	if err != nil {
		return fmt.Errorf("ADDR: want a free address, such as 127.0.0.1:8081: %w", err)
	}
	cfg, provider, err := idtest.ConfigFromEnv(listener.Addr()) // your own program: cfg := idserver.ConfigFromEnv()
	if err != nil {
		return err
	}
	client, err := idserver.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()

	fmt.Println("open", cfg.BaseURL)
	if provider != nil {
		fmt.Println("provider", provider.URL())
		fmt.Printf("curl -H 'Authorization: Bearer %s' %s/api/me\n", provider.MintAccessToken("alice"), cfg.BaseURL)
	}
	server := &http.Server{Handler: app(idecho.New(client)), ReadTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped // once the open requests are answered
}

func app(auth *idecho.Auth) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover()) // in a request logger use LogURIPath, not LogURI: that contains codes

	auth.Mount(e.Group("/auth"))
	e.GET("/", page("home"), auth.LoadUser())
	e.GET("/profile", profile, auth.RequireUser())
	e.GET("/admin", page("admin"), auth.RequireRole("admin"))

	e.GET("/api/me", func(c echo.Context) error { return c.JSON(http.StatusOK, idecho.User(c)) }, auth.RequireUser())
	e.GET("/api/admin", ok, auth.RequireRole("admin"))
	e.GET("/api/editors", ok, auth.RequireRole("admin", "editor"))
	e.GET("/api/billing", ok, auth.RequireAllRoles("admin", "billing"))
	e.POST("/api/echo", ok, auth.RequireUser())
	return e
}

func page(name string) echo.HandlerFunc {
	return func(c echo.Context) error { return write(c, name, idecho.User(c)) }
}

func profile(c echo.Context) error {
	var claims map[string]json.RawMessage
	if err := idecho.User(c).Claims(&claims); err != nil {
		return err
	}
	return write(c, "profile", claims)
}

func ok(c echo.Context) error { return c.JSON(http.StatusOK, echo.Map{"ok": true}) }

func write(c echo.Context, name string, data any) error {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
	return pages.ExecuteTemplate(c.Response(), name, data)
}

var pages = template.Must(template.New("").Parse(`{{define "top"}}<!doctype html><meta charset="utf-8"><title>Example</title><meta name="viewport" content="width=device-width">
<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui;max-width:44rem;margin:3rem auto;padding:0 1rem}a,td{padding-right:1rem}code{overflow-wrap:anywhere}</style>
<nav><a href="/">Home</a><a href="/profile">Profile</a><a href="/admin">Admin</a></nav>{{end}}
{{define "home"}}{{template "top"}}{{with .}}<h1>Hello, {{.Name}}</h1><p>{{.Email}}, tenant {{.TenantID}}, roles {{range .Roles}}<b>{{.}}</b> {{end}}{{range .CustomRoles}}<b>{{.}}</b> {{end}}
<form method="post" action="/auth/logout"><button>Sign out</button></form>{{else}}<h1>Hello</h1><p>You are signed out. <a href="/auth/login">Sign in</a>{{end}}{{end}}
{{define "profile"}}{{template "top"}}<h1>Your profile</h1><table>{{range $name, $value := .}}<tr><td>{{$name}}<td><code>{{printf "%s" $value}}</code>{{end}}</table>{{end}}
{{define "admin"}}{{template "top"}}<h1>Administration</h1><p>{{.Name}}, you have the role admin.{{end}}`))
