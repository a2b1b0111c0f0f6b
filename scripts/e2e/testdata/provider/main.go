// Command provider is an application for scripts/providers. It shows who is signed in, and their access token.
//
// Environment: what idserver.ConfigFromEnv reads; ADDR; ROLES_SEPARATOR and AFTER_SIGN_OUT, for the fields of that
// name; CLOCK, by how much this application's clock is ahead, such as -5s.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-chi/chi/v5"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
)

func main() {
	ahead, err := time.ParseDuration(os.Getenv("CLOCK"))
	if err != nil {
		log.Fatal(err)
	}
	cfg := idserver.ConfigFromEnv()
	cfg.LogSubject = "plain"
	cfg.Provider.RolesSeparator = os.Getenv("ROLES_SEPARATOR")
	cfg.AfterSignOut = os.Getenv("AFTER_SIGN_OUT")
	cfg.Now = func() time.Time { return time.Now().Add(ahead) }
	client, err := idserver.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	auth := idchi.New(client)
	r := chi.NewRouter()
	auth.Mount(r)
	r.Get("/", func(http.ResponseWriter, *http.Request) {})
	r.With(auth.RequireUser()).Get("/me", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(idchi.User(r))
	})
	r.With(auth.RequireUser()).Get("/token", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, idserver.AccessTokenFrom(r.Context()))
	})
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("open", cfg.BaseURL)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() { log.Print(http.Serve(listener, r)) }()
	<-ended
}
