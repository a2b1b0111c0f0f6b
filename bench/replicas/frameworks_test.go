package replicas

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	fiber3 "github.com/gofiber/fiber/v3"
	"github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	idecho "github.com/signward/idserver-go/echo"
	idecho5 "github.com/signward/idserver-go/echov5"
	idfiber "github.com/signward/idserver-go/fiber"
	idfiber3 "github.com/signward/idserver-go/fiberv3"
	idgin "github.com/signward/idserver-go/gin"
)

// pathMe answers with the user's e-mail address.
const pathMe = "/api/me"

// application is a running application of one framework.
type application interface {
	serve(net.Listener) error
	stop() error
}

// frameworks make the same application: the sign-in routes, and pathMe.
var frameworks = map[string]func(*idserver.Client) application{
	"gin": func(client *idserver.Client) application {
		gin.SetMode(gin.ReleaseMode)
		auth, r := idgin.New(client), gin.New()
		auth.Mount(r.Group("/auth"))
		r.GET(pathMe, auth.RequireUser(), func(c *gin.Context) { c.String(http.StatusOK, idgin.User(c).Email) })
		return overHTTP(r)
	},
	"echo": func(client *idserver.Client) application {
		auth, e := idecho.New(client), echo.New()
		auth.Mount(e.Group("/auth"))
		e.GET(pathMe, func(c echo.Context) error { return c.String(http.StatusOK, idecho.User(c).Email) }, auth.RequireUser())
		return overHTTP(e)
	},
	"echov5": func(client *idserver.Client) application {
		auth, e := idecho5.New(client), echo5.New()
		auth.Mount(e.Group("/auth"))
		e.GET(pathMe, func(c *echo5.Context) error { return c.String(http.StatusOK, idecho5.User(c).Email) }, auth.RequireUser())
		return overHTTP(e)
	},
	"fiber": func(client *idserver.Client) application {
		auth, app := idfiber.New(client), fiber.New(fiber.Config{ReadBufferSize: 16 << 10, DisableStartupMessage: true})
		auth.Mount(app.Group("/auth"))
		app.Get(pathMe, auth.RequireUser(), func(c *fiber.Ctx) error { return c.SendString(idfiber.User(c).Email) })
		return &overFiber{app.Listener, app.Shutdown}
	},
	"fiberv3": func(client *idserver.Client) application {
		auth, app := idfiber3.New(client), fiber3.New(fiber3.Config{ReadBufferSize: 16 << 10})
		auth.Mount(app.Group("/auth"))
		app.Get(pathMe, auth.RequireUser(), func(c fiber3.Ctx) error { return c.SendString(idfiber3.User(c).Email) })
		return &overFiber{
			func(l net.Listener) error { return app.Listener(l, fiber3.ListenConfig{DisableStartupMessage: true}) }, app.Shutdown,
		}
	},
	"chi": func(client *idserver.Client) application {
		auth, r := idchi.New(client), chi.NewRouter()
		auth.Mount(r)
		r.With(auth.RequireUser()).Get(pathMe, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(idchi.User(r).Email)) })
		return overHTTP(r)
	},
}

type httpApplication struct{ *http.Server }

func overHTTP(h http.Handler) application { return httpApplication{&http.Server{Handler: h}} }

func (a httpApplication) serve(l net.Listener) error {
	if err := a.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a httpApplication) stop() error { return a.Shutdown(context.Background()) }

type overFiber struct {
	listen   func(net.Listener) error
	shutdown func() error
}

func (a *overFiber) serve(l net.Listener) error { return a.listen(l) }
func (a *overFiber) stop() error                { return a.shutdown() }
