package idfiber_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"

	"github.com/gofiber/fiber/v3"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idfiber "github.com/signward/idserver-go/fiberv3"
)

// Pages that only a signed-in user sees.
func Example() {
	provider, err := idtest.Start(idtest.Options{InMemory: true})
	if err != nil {
		panic(err)
	}
	defer provider.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	client, err := idserver.New(provider.Config("http://" + listener.Addr().String())) // a program has idserver.ConfigFromEnv()
	if err != nil {
		panic(err)
	}
	defer client.Close()
	auth := idfiber.New(client)
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
	auth.Mount(app.Group("/auth")) // login, callback, logout, userinfo
	app.Get("/", auth.RequireUser(), func(c fiber.Ctx) error { return c.SendString("hello, " + idfiber.User(c).Name) })
	go func() { _ = app.Listener(listener, fiber.ListenConfig{DisableStartupMessage: true}) }()
	defer func() { _ = app.Shutdown() }()
	// A visitor is sent to the provider, signs in there as Alice, and comes back.
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	login, err := browser.Get("http://" + listener.Addr().String() + "/auth/login")
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
