// Command sgid is a web application whose users sign in with sgID, in two styles: pages that the server renders, and a page
// that fetches all it shows. Copy this folder to start your own. README.md lists its settings.
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
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
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
	cfg, provider, err := sgidtest.ConfigFromEnv(listener.Addr()) // your own program: cfg := sgid.ConfigFromEnv()
	if err != nil {
		return err
	}
	if provider != nil { // sgID gives each application the scopes of its registration
		cfg.Scopes = []string{
			sgid.ScopeOpenID, sgid.ScopeName, sgid.ScopeDateOfBirth, sgid.ScopeEmail, sgid.ScopeMobileNumber, sgid.ScopeRegisteredAddress,
			sgid.ScopeNationality, sgid.ScopeVehicles, sgid.ScopeMaritalStatus, sgid.ScopePublicOfficerDetails,
		}
	}
	a := &application{}
	cfg.ApplicationName = cmp.Or(cfg.ApplicationName, "sgID example")
	cfg.AdmitUser, cfg.UserInfoResponse = keepIceCream, a.userInfo
	if a.sgID, err = sgid.New(cfg); err != nil {
		return err
	}
	defer a.sgID.Close()

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

type application struct{ sgID *sgid.Client }

func (a *application) routes() http.Handler {
	auth := idchi.New(a.sgID)
	r := chi.NewRouter() // middleware.Logger would log whole URIs, and codes do not belong in a log
	r.Use(middleware.Recoverer)
	auth.Mount(r)
	r.With(auth.LoadUser()).Get("/", func(w http.ResponseWriter, r *http.Request) { writePage(w, "home", view{User: idchi.User(r)}) })
	r.With(auth.RequireUser()).Get("/profile", a.profile)
	r.Get("/spa", func(w http.ResponseWriter, r *http.Request) { writePage(w, "spa", view{}) })
	return r
}

// userInfo is what GET /auth/userinfo answers to the page that fetches it.
func (a *application) userInfo(ctx context.Context, user *idserver.User) (any, error) {
	info, err := a.sgID.UserInfoFrom(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]any{"sub": info.Sub, "data": info.Data, "ice_cream": iceCream(user)}, nil
}

// profile asks sgID each time: this application stores nothing about the person.
func (a *application) profile(w http.ResponseWriter, r *http.Request) {
	info, err := a.sgID.UserInfoFrom(r.Context())
	if err != nil {
		log.Println(err)
		w.WriteHeader(http.StatusBadGateway)
		writePage(w, "failed", view{User: idchi.User(r)})
		return
	}
	writePage(w, "profile", view{User: idchi.User(r), Info: info})
}
