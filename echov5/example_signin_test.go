package idecho_test

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"

	"github.com/labstack/echo/v5"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echov5"
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

	auth := idecho.New(client)
	e := echo.New()
	auth.Mount(e.Group("/auth")) // login, callback, logout, userinfo
	e.GET("/", func(c *echo.Context) error { return c.String(200, "hello, "+idecho.User(c).Name) }, auth.RequireUser())
	server.Config.Handler = e
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
