// Command chi is a web application and an API whose users sign in with an OpenID provider.
// Copy this folder to start your own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
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
	r := chi.NewRouter() // middleware.Logger would log whole URIs, and codes do not belong in a log
	r.Use(middleware.Recoverer, middleware.SetHeader("Content-Type", "text/html; charset=utf-8"))

	auth := idchi.New(client)
	auth.Mount(r)
	r.Get("/ready", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(ready(r.Context(), client)) })
	r.With(auth.LoadUser()).Get("/", page("home"))
	r.With(auth.RequireUser()).Get("/profile", page("profile"))
	r.With(auth.RequireRole("admin")).Get("/admin", page("admin"))
	r.With(auth.RequireUser()).Get("/live", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		to := http.NewResponseController(w)
		live(ctx, r.Context(), w, to.Flush, to.SetWriteDeadline)
	})

	if replicated() {
		mountDevices(r, auth, client)
	}

	r.Route("/api", func(r chi.Router) {
		r.Use(middleware.SetHeader("Content-Type", "application/json; charset=utf-8"))
		r.With(auth.RequireUser()).Get("/me", func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(idchi.User(r)) })
		r.With(auth.RequireRole("admin")).Get("/admin", ok)
		r.With(auth.RequireRole("admin", "editor")).Get("/editors", ok)
		r.With(auth.RequireAllRoles("admin", "billing")).Get("/billing", ok)
		r.With(auth.RequireUser()).Post("/echo", ok)
	})
	return r
}

func page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { _ = writePage(w, name, idchi.User(r)) }
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"ok":true}`)) }
