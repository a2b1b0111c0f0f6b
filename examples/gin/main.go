// Command gin is a web application and an API whose users sign in with an OpenID provider.
// Copy this folder to start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idgin "github.com/signward/idserver-go/gin"
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
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.LoggerWithConfig(gin.LoggerConfig{SkipQueryString: true}), recovery()) // codes and cookies do not belong in a log

	auth := idgin.New(client)
	auth.Mount(r.Group("/auth"))
	r.GET("/ready", func(c *gin.Context) { c.Status(ready(c.Request.Context(), client)) })
	r.GET("/", auth.LoadUser(), page("home"))
	r.GET("/profile", auth.RequireUser(), page("profile"))
	r.GET("/admin", auth.RequireRole("admin"), page("admin"))
	r.GET("/live", auth.RequireUser(), func(c *gin.Context) {
		c.Header("Content-Type", "text/event-stream")
		to := http.NewResponseController(c.Writer)
		live(ctx, c.Request.Context(), c.Writer, to.Flush, to.SetWriteDeadline)
	})

	if replicated() {
		mountDevices(r, auth, client)
	}

	api := r.Group("/api")
	api.GET("/me", auth.RequireUser(), func(c *gin.Context) { c.JSON(http.StatusOK, idgin.User(c)) })
	api.GET("/admin", auth.RequireRole("admin"), ok)
	api.GET("/editors", auth.RequireRole("admin", "editor"), ok)
	api.GET("/billing", auth.RequireAllRoles("admin", "billing"), ok)
	api.POST("/echo", auth.RequireUser(), ok)
	return r
}

// recovery is gin.Recovery without the request, whose cookies that one writes to the log.
func recovery() gin.HandlerFunc {
	return gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		log.Printf("panic in %s %s: %v\n%s", c.Request.Method, c.FullPath(), cause, debug.Stack())
		c.AbortWithStatus(http.StatusInternalServerError)
	})
}

func page(name string) gin.HandlerFunc {
	return func(c *gin.Context) {
		c.Header("Content-Type", "text/html; charset=utf-8")
		if err := writePage(c.Writer, name, idgin.User(c)); err != nil {
			_ = c.Error(err)
		}
	}
}

func ok(c *gin.Context) { c.JSON(http.StatusOK, gin.H{"ok": true}) }
