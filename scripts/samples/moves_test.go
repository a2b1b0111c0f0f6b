package samples

import (
	"strings"
	"testing"
)

// moves are from the adapter of one version of a framework to that of the next. Where is what each writes of its own: the imports,
// and the name of the context.
var moves = map[string]struct {
	program string
	where   [][2]string // in the old version and in the new one
}{
	"echo": {`package main

import (
	"errors"
	"net/http"

	FRAMEWORK

	idserver "github.com/signward/idserver-go/core"
	ADAPTER
)

type Ctx = CONTEXT

func routes(client *idserver.Client, e *echo.Echo) {
	auth := idecho.New(client)
	auth.RefusalsAsErrors = true
	auth.Mount(e.Group("/auth"))
	e.Use(auth.LoadUser())
	e.GET("/profile", profile, auth.RequireUser())
	e.GET("/admin", profile, auth.RequireRole("admin", "owner"))
	e.GET("/billing", profile, auth.RequireAllRoles("admin", "billing"))
	own := e.Group("/own", auth.Guard(client.Require(func(u *idserver.User) bool { return u.Email != "" })))
	own.POST("", profile)
}

func profile(c Ctx) error {
	if u := idecho.User(c); u == nil || idserver.UserFrom(c.Request().Context()) != u {
		return errors.New("nobody")
	}
	return c.JSON(http.StatusOK, idecho.User(c))
}

func main() { routes(nil, echo.New()) }
`, [][2]string{
		{`"github.com/labstack/echo/v4"`, `"github.com/labstack/echo/v5"`},
		{`idecho "github.com/signward/idserver-go/echo"`, `idecho "github.com/signward/idserver-go/echov5"`},
		{"echo.Context", "*echo.Context"},
	}},
	"fiber": {`package main

import (
	"errors"

	FRAMEWORK

	idserver "github.com/signward/idserver-go/core"
	ADAPTER
)

type Ctx = CONTEXT

func routes(client *idserver.Client, app *fiber.App) {
	auth := idfiber.New(client)
	auth.RefusalsAsErrors = true
	auth.Mount(app.Group("/auth"))
	app.Use(auth.LoadUser())
	app.Get("/profile", auth.RequireUser(), profile)
	app.Get("/admin", auth.RequireRole("admin", "owner"), profile)
	app.Get("/billing", auth.RequireAllRoles("admin", "billing"), profile)
	app.Post("/own", auth.Guard(client.Require(func(u *idserver.User) bool { return u.Email != "" })), profile)
}

func profile(c Ctx) error {
	if idfiber.User(c) == nil {
		return errors.New("nobody")
	}
	return c.JSON(idfiber.User(c))
}

func main() { routes(nil, fiber.New()) }
`, [][2]string{
		{`"github.com/gofiber/fiber/v2"`, `"github.com/gofiber/fiber/v3"`},
		{`idfiber "github.com/signward/idserver-go/fiber"`, `idfiber "github.com/signward/idserver-go/fiberv3"`},
		{"*fiber.Ctx", "fiber.Ctx"},
	}},
}

// Who moves to the next version of a framework changes one import of ours, and no handler that is written over a name for the
// framework's context.
func TestMoves(t *testing.T) {
	dirs := map[string][2]string{"echo": {"examples/echo", "examples/echov5"}, "fiber": {"examples/fiber", "examples/fiberv3"}}
	for framework, move := range moves {
		for i, dir := range dirs[framework] {
			t.Run(dir, func(t *testing.T) {
				program := strings.NewReplacer("FRAMEWORK", move.where[0][i], "ADAPTER", move.where[1][i], "CONTEXT", move.where[2][i])
				compile(t, dir, []byte(program.Replace(move.program)))
			})
		}
	}
}
