//go:build !race

// The race detector makes pools forget, and counts what it allocates itself.

package idfiber_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idfiber "github.com/signward/idserver-go/fiberv3"
)

// What a guard adds to a request with a known token, or with a known session, is counted: at most 2 allocations.
func TestAllocations(t *testing.T) {
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config("http://127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	auth := idfiber.New(client)
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
	ok := func(c fiber.Ctx) error { return c.SendStatus(fiber.StatusNoContent) }
	app.Get("/bare", ok)
	app.Get("/user", auth.RequireUser(), ok)
	app.Get("/admin", auth.RequireRole("admin"), ok)
	app.Get("/next", auth.RequireUser(), func(c fiber.Ctx) error { return c.Next() }, ok)
	app.Get("/behind", auth.RequireUser(), auth.RequireRole("admin"), ok)
	handler := app.Handler()
	for name, line := range map[string]string{
		fiber.HeaderAuthorization: "Bearer " + provider.MintAccessToken("alice"),
		fiber.HeaderCookie:        signedIn(t, client, provider),
	} {
		count := func(path string) float64 {
			var ctx fasthttp.RequestCtx
			text := "GET " + path + " HTTP/1.1\r\nHost: app\r\nAccept: application/json\r\n" + name + ": " + line + "\r\n\r\n"
			source := strings.NewReader(text)
			connection := bufio.NewReaderSize(source, 16<<10)
			return testing.AllocsPerRun(200, func() {
				ctx.Response.Reset()
				ctx.ResetUserValues()
				source.Reset(text)
				connection.Reset(source)
				if err := ctx.Request.Read(connection); err != nil {
					t.Fatal(err)
				}
				if handler(&ctx); ctx.Response.StatusCode() != fiber.StatusNoContent {
					t.Fatalf("%s by %s: %d", path, name, ctx.Response.StatusCode())
				}
			})
		}
		bare := count("/bare")
		if n := count("/user") - bare; n > 2 {
			t.Errorf("RequireUser by %s adds %v allocations, want at most 2", name, n)
		}
		if n := count("/admin") - count("/user"); n > 0 {
			t.Errorf("a role by %s adds %v allocations, want none", name, n)
		}
		if n := count("/behind") - count("/next"); n > 0 {
			t.Errorf("a role behind RequireUser by %s adds %v allocations, want none", name, n)
		}
	}
}
