// Package idecho carries the sign-in routes and guards of package idserver into echo.
package idecho

import (
	"strings"

	"github.com/labstack/echo/v4"

	idserver "github.com/signward/idserver-go/core"
)

// Auth makes echo handlers and middleware of a client's routes and guards. It is safe for concurrent use once its
// field is set.
type Auth struct {
	// RefusalsAsErrors returns refusals to echo's HTTPErrorHandler, as an *echo.HTTPError in which errors.As finds
	// the *idserver.Refusal, for an application that writes status and body itself. Default: the core's pages and
	// problem+json. Header fields and cookies are written either way.
	RefusalsAsErrors bool

	client *idserver.Client
}

// New returns the echo form of client.
func New(client *idserver.Client) *Auth { return &Auth{client: client} }

// Mount registers login, callback, logout and userinfo on g, which must lie at the client's
// Config.RoutesPath: auth.Mount(e.Group("/auth")). Anywhere else, and for a client without
// Config.BaseURL, it panics with what to change.
func (a *Auth) Mount(g *echo.Group) {
	if err := a.client.CheckMount(a.client.RoutesPath()); err != nil {
		panic(err)
	}
	for _, route := range a.client.Routes() {
		registered := g.Add(route.Method, route.Path, func(c echo.Context) error {
			return a.end(c, route.Serve(c.Request().Context(), idserver.RequestFrom(c.Request())))
		})
		if err := a.client.CheckMount(strings.TrimSuffix(registered.Path, route.Path)); err != nil {
			panic(err)
		}
	}
}

// LoadUser admits everybody; User returns the user where one is signed in. See idserver.Client.LoadUser.
func (a *Auth) LoadUser() echo.MiddlewareFunc { return a.Guard(a.client.LoadUser()) }

// RequireUser admits a signed-in user. See idserver.Client.RequireUser.
func (a *Auth) RequireUser() echo.MiddlewareFunc { return a.Guard(a.client.RequireUser()) }

// RequireRole admits a user who has any of the roles. See idserver.Client.RequireRole.
func (a *Auth) RequireRole(role string, more ...string) echo.MiddlewareFunc {
	return a.Guard(a.client.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See idserver.Client.RequireAllRoles.
func (a *Auth) RequireAllRoles(role string, more ...string) echo.MiddlewareFunc {
	return a.Guard(a.client.RequireAllRoles(role, more...))
}

// Guard makes echo middleware of any guard: auth.Guard(client.Require(...)). A request that is refused is
// answered and goes no further; the context of one that is admitted holds the user.
func (a *Auth) Guard(guard idserver.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, answer := guard(c.Request().Context(), idserver.RequestFrom(c.Request()))
			if answer.Ends() {
				return a.end(c, answer)
			}
			answer.WriteHeader(c.Response().Header())
			c.SetRequest(idserver.WithContext(ctx, c.Request()))
			return next(c)
		}
	}
}

// end answers a request that goes no further.
func (a *Auth) end(c echo.Context, answer idserver.Answer) error {
	if answer.Refusal == nil || !a.RefusalsAsErrors {
		answer.WriteTo(c.Response())
		return nil
	}
	answer.WithoutBody().WriteHeader(c.Response().Header())
	return echo.NewHTTPError(answer.Status, answer.Refusal.Title).SetInternal(answer.Refusal)
}

// User returns the user that a guard found, or nil when nobody is signed in.
func User(c echo.Context) *idserver.User { return idserver.UserFrom(c.Request().Context()) }
