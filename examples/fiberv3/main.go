// Command fiberv3 is a web application and an API whose users sign in with an OpenID provider.
// Copy this folder to start your own. README.md lists its settings.
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/middleware/logger"
	"github.com/gofiber/fiber/v3/middleware/recover"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idfiber "github.com/signward/idserver-go/fiberv3"
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
	server := app(ctx, client)
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		err := server.Shutdown()
		_ = listener.Close() // a server that was told so before it began to serve would never end
		stopped <- err
	})
	if err := server.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}); err != nil && ctx.Err() == nil {
		return err
	}
	return <-stopped // once the open requests are answered
}

func app(ctx context.Context, client *idserver.Client) *fiber.App {
	// Fiber's default of 4 kB for a request header is too small for session cookies (431).
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10, ReadTimeout: 10 * time.Second})
	app.Use(logger.New(logger.Config{Format: "${time} ${status} ${method} ${path} ${latency}\n"}), recover.New())

	auth := idfiber.New(client)
	auth.Mount(app.Group("/auth"))
	app.Get("/ready", func(c fiber.Ctx) error { c.Status(ready(c.Context(), client)); return nil })
	app.Get("/", auth.LoadUser(), page("home"))
	app.Get("/profile", auth.RequireUser(), page("profile"))
	app.Get("/admin", auth.RequireRole("admin"), page("admin"))
	app.Get("/live", auth.RequireUser(), func(c fiber.Ctx) error {
		admitted, to := c.Context(), c.RequestCtx().Conn() // of c, nothing may be used later
		c.Set("Content-Type", "text/event-stream")
		return c.SendStreamWriter(func(w *bufio.Writer) { live(ctx, admitted, w, w.Flush, to.SetWriteDeadline) })
	})

	if replicated() {
		mountDevices(app, auth, client)
	}

	app.Get("/api/me", auth.RequireUser(), func(c fiber.Ctx) error { return c.JSON(idfiber.User(c)) })
	app.Get("/api/admin", auth.RequireRole("admin"), ok)
	app.Get("/api/editors", auth.RequireRole("admin", "editor"), ok)
	app.Get("/api/billing", auth.RequireAllRoles("admin", "billing"), ok)
	app.Post("/api/echo", auth.RequireUser(), ok)
	return app
}

func page(name string) fiber.Handler {
	return func(c fiber.Ctx) error { return writePage(c.Type("html", "utf-8"), name, idfiber.User(c)) }
}

func ok(c fiber.Ctx) error { return c.JSON(fiber.Map{"ok": true}) }
