package idchi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"

	"github.com/go-chi/chi/v5"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Pages that only a signed-in user sees.
func Example() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	server := httptest.NewUnstartedServer(nil)
	defer server.Close()
	client, err := idserver.New(provider.Config("http://" + server.Listener.Addr().String())) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()

	auth := idchi.New(client)
	r := chi.NewRouter()
	auth.Mount(r) // login, callback, logout, userinfo
	r.With(auth.RequireUser()).Get("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello, ", idchi.User(r).Name) })
	server.Config.Handler = r
	server.Start()

	// A visitor is sent to the provider, signs in there as Alice, and comes back.
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login, err := browser.Get(server.URL + "/auth/login")
	if err != nil {
		panic(err)
	}
	callback, err := provider.Authorize(context.Background(), login.Header.Get("Location"), "alice")
	if err != nil {
		panic(err)
	}
	browser.CheckRedirect = nil
	page, err := browser.Get(callback.String())
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(os.Stdout, page.Body)
	// Output: hello, Alice Tan
}
