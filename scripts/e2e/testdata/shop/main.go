// Command shop is an application for the tests behind a proxy: its routes may lie below the path of BASE_URL, and dave has a
// session that needs several cookies. Its provider knows the redirect URI of BASE_URL, and serves the examples too.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func main() {
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	cfg, provider, err := idtest.ConfigFromEnv(listener.Addr())
	if err != nil {
		log.Fatal(err)
	}
	provider.AddClient(idtest.Client{
		ID: idtest.ExampleClient, Secret: idtest.ExampleSecret,
		RedirectURIs: []string{cfg.BaseURL + "/auth/callback"}, PostLogoutRedirectURIs: []string{cfg.BaseURL + "/"},
	})
	dave := idtest.Person{Login: "dave", Subject: "dave", Email: "dave@example.test", Name: "Dave"}
	for i := range 700 {
		dave.CustomRoles = append(dave.CustomRoles, fmt.Sprintf("%x", 7919*(i+1)*(i+3)))
	}
	provider.SetPerson(dave)
	client, err := idserver.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	auth, mux := idchi.New(client), http.NewServeMux()
	auth.Mount(mux)
	mux.Handle("GET /profile", auth.RequireUser()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello,", idchi.User(r).Name)
	})))
	var app http.Handler = mux
	if base, err := url.Parse(cfg.BaseURL); err == nil && os.Getenv("KEPT") != "" { // the proxy does not strip the path
		app = http.StripPrefix(base.Path, mux)
	}
	fmt.Println("open", cfg.BaseURL)
	fmt.Println("provider", provider.URL())
	fmt.Println("client", idtest.ExampleClient)
	fmt.Println("secret", idtest.ExampleSecret)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() { <-ended; os.Exit(0) }()
	log.Fatal(http.Serve(listener, app))
}
