// Command echov5 is a web application and an API whose users sign in with an OpenID provider.
// Copy this folder to start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echov5"
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
	cfg.ApplicationName = cmp.Or(cfg.ApplicationName, "Example")
	leave, err := share(&cfg)
	if err != nil {
		return err
	}
	defer leave()
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
	server := &http.Server{Handler: app(ctx, client), ReadTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped // once the open requests are answered
}

func app(ctx context.Context, client *idserver.Client) http.Handler {
	e := echo.New()
	e.Use(middleware.Recover()) // in a request logger use LogURIPath, not LogURI: that contains codes

	auth := idecho.New(client)
	auth.Mount(e.Group("/auth"))
	e.GET("/ready", func(c *echo.Context) error { return c.NoContent(ready(c.Request().Context(), client)) })
	e.GET("/", page("home"), auth.LoadUser())
	e.GET("/profile", page("profile"), auth.RequireUser())
	e.GET("/admin", page("admin"), auth.RequireRole("admin"))
	e.GET("/live", func(c *echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, "text/event-stream")
		to := http.NewResponseController(c.Response())
		live(ctx, c.Request().Context(), c.Response(), to.Flush, to.SetWriteDeadline)
		return nil
	}, auth.RequireUser())

	if replicated() {
		mountDevices(e, auth, client)
	}

	e.GET("/api/me", func(c *echo.Context) error { return c.JSON(http.StatusOK, idecho.User(c)) }, auth.RequireUser())
	e.GET("/api/admin", ok, auth.RequireRole("admin"))
	e.GET("/api/editors", ok, auth.RequireRole("admin", "editor"))
	e.GET("/api/billing", ok, auth.RequireAllRoles("admin", "billing"))
	e.POST("/api/echo", ok, auth.RequireUser())
	return e
}

func page(name string) echo.HandlerFunc {
	return func(c *echo.Context) error {
		c.Response().Header().Set(echo.HeaderContentType, echo.MIMETextHTMLCharsetUTF8)
		return writePage(c.Response(), name, idecho.User(c))
	}
}

func ok(c *echo.Context) error { return c.JSON(http.StatusOK, map[string]any{"ok": true}) }
