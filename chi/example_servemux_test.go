package idchi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The same without chi: http.ServeMux and handlers of net/http.
func Example_serveMux() {
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
	mux := http.NewServeMux()
	auth.Mount(mux) // login, callback, logout, userinfo
	hello := func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello, ", idchi.User(r).Name) }
	mux.Handle("GET /{$}", auth.RequireUser()(http.HandlerFunc(hello)))
	server.Config.Handler = mux
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
