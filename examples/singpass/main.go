// Command singpass is a web application whose users sign in with Singpass and, with Myinfo, share data. Copy this folder to start your
// own. README.md lists its settings.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
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
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
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
	cfg, provider, err := singpasstest.ConfigFromEnv(listener.Addr()) // your own program: cfg := singpass.ConfigFromEnv()
	if err != nil {
		return err
	}
	if all, ok := scopes[cfg.Product]; ok && provider != nil {
		cfg.Scopes = all
	}
	a := &application{product: cfg.Product}
	cfg.ApplicationName = cmp.Or(cfg.ApplicationName, "Singpass example")
	if a.singpass, err = singpass.New(cfg); err != nil {
		return err
	}
	defer a.singpass.Close()

	fmt.Println("open", cfg.BaseURL)
	if provider != nil {
		fmt.Println("provider", provider.URL())
	}
	server := &http.Server{Handler: a.routes(), ReadTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped // once the open requests are answered
}

type application struct {
	singpass *singpass.Client
	product  singpass.Product
}

func (a *application) routes() http.Handler {
	auth := idchi.New(a.singpass)
	r := chi.NewRouter() // middleware.Logger would log whole URIs, and codes do not belong in a log
	r.Use(middleware.Recoverer)
	auth.Mount(r) // /auth/login, callback, logout, userinfo, jwks
	r.With(auth.LoadUser()).Get("/", func(w http.ResponseWriter, r *http.Request) {
		writePage(w, http.StatusOK, "home", view{User: idchi.User(r)})
	})
	r.With(auth.RequireUser()).Get("/profile", a.profile)
	return r
}

// profile asks Myinfo, or Corppass, each time: its data must not be kept to fill in a form later.
func (a *application) profile(w http.ResponseWriter, r *http.Request) {
	var person *singpass.Person
	var business *singpass.Business
	var err error
	switch a.product {
	case singpass.Myinfo:
		person, err = a.singpass.PersonFrom(r.Context())
	case singpass.Corppass, singpass.MyinfoBusiness:
		if business, err = a.singpass.BusinessFrom(r.Context()); err == nil {
			person = business.Person
		}
	}
	switch {
	case errors.Is(err, singpass.ErrSignInAgain): // Myinfo takes an access token for half an hour
		http.Redirect(w, r, "/auth/login?return_to=/profile", http.StatusSeeOther)
	case errors.Is(err, idserver.ErrUnavailable): // such as the weekly maintenance of an agency
		w.Header().Set("Retry-After", "300")
		writePage(w, http.StatusServiceUnavailable, "failed", view{User: idchi.User(r)})
	case err != nil:
		log.Println(err)
		writePage(w, http.StatusBadGateway, "failed", view{User: idchi.User(r)})
	default:
		writePage(w, http.StatusOK, "profile", view{User: idchi.User(r), Person: person, Business: business})
	}
}
