// Package idecho provides the sign-in routes and guards of package idserver for echo v5.
package idecho

import (
	"cmp"
	"strings"

	"github.com/labstack/echo/v5"

	idserver "github.com/signward/idserver-go/core"
)

// Auth turns a client's routes and guards into echo handlers and middleware. It is safe for concurrent use once its field
// is set.
type Auth struct {
	// RefusalsAsErrors makes Auth return refusals to echo's HTTPErrorHandler, each as an *echo.HTTPError in which
	// errors.As finds the *idserver.Refusal, for an application that writes status and body itself. By default, Auth
	// writes the core's pages and problem+json. Header fields and cookies are written either way.
	RefusalsAsErrors bool

	guards idserver.Guards
}

// New returns an Auth for what gives guards and routes, such as an [idserver.Client].
func New(guards idserver.Guards) *Auth { return &Auth{guards: guards} }

// Router is an *echo.Echo or an *echo.Group.
type Router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) echo.RouteInfo
}

// Mount registers login, callback, logout and userinfo on r, which must be the *echo.Echo itself or a group at the
// client's Config.RoutesPath: auth.Mount(e.Group("/auth")). It must be the *echo.Echo where Config.CallbackPath is
// elsewhere. If it is not, or the client has no Config.BaseURL, Mount panics and says what to change.
func (a *Auth) Mount(r Router) {
	mount := "" // a group does not tell where it is; its routes do, once they are registered
	if _, ok := r.(*echo.Echo); ok {
		mount = "/"
	}
	routes, err := a.guards.Routes(mount)
	if err != nil {
		panic(err)
	}
	for _, route := range routes {
		registered := r.Add(route.Method, route.Path, func(c *echo.Context) error {
			return a.end(c, route.Serve(c.Request().Context(), idserver.RequestFrom(c.Request())))
		})
		if _, err := a.guards.Routes(cmp.Or(strings.TrimSuffix(registered.Path, route.Path), "/")); err != nil {
			panic(err)
		}
	}
}

// LoadUser lets every request through; [User] returns the user if one is signed in. See [idserver.Client.LoadUser].
func (a *Auth) LoadUser() echo.MiddlewareFunc { return a.Guard(a.guards.LoadUser()) }

// RequireUser admits a signed-in user. See [idserver.Client.RequireUser].
func (a *Auth) RequireUser() echo.MiddlewareFunc { return a.Guard(a.guards.RequireUser()) }

// RequireRole admits a user who has at least one of the roles. See [idserver.Client.RequireRole].
func (a *Auth) RequireRole(role string, more ...string) echo.MiddlewareFunc {
	return a.Guard(a.guards.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See [idserver.Client.RequireAllRoles].
func (a *Auth) RequireAllRoles(role string, more ...string) echo.MiddlewareFunc {
	return a.Guard(a.guards.RequireAllRoles(role, more...))
}

// RequireAuthentication admits a user whom the provider has authenticated as it is wanted here, and sends a browser to sign in
// again. See [idserver.Client.RequireAuthentication].
func (a *Auth) RequireAuthentication(wanted idserver.Authentication) echo.MiddlewareFunc {
	return a.Guard(a.guards.RequireAuthentication(wanted))
}

// RequireTenant admits a user of the tenant that the path names with this parameter. See [idserver.Client.RequireTenant].
func (a *Auth) RequireTenant(parameter string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error { return a.Guard(a.guards.RequireTenant(c.Param(parameter)))(next)(c) }
	}
}

// Guard turns any guard into echo middleware: auth.Guard(client.Require(...)). A request that the guard refuses is
// answered and goes no further; one that it admits goes on with the user in its context.
func (a *Auth) Guard(guard idserver.Guard) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			ctx, answer := guard(c.Request().Context(), idserver.RequestFrom(c.Request()))
			if answer.Ends() {
				return a.end(c, answer)
			}
			answer.WriteHeader(c.Response().Header())
			if !answer.SameContext {
				c.SetRequest(c.Request().WithContext(ctx))
			}
			if behind, end := answer.Behind(c.Response()); answer.HasLast() {
				c.SetResponse(behind) // and it stays: an error that the handler returns is written later
				defer end()
			}
			return next(c)
		}
	}
}

// end answers a request that goes no further.
func (a *Auth) end(c *echo.Context, answer idserver.Answer) error {
	if answer.Refusal == nil || !a.RefusalsAsErrors {
		answer.WriteTo(c.Response())
		return nil
	}
	answer.WithoutBody().WriteHeader(c.Response().Header())
	return echo.NewHTTPError(answer.Status, answer.Refusal.Title).Wrap(answer.Refusal)
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(c *echo.Context) *idserver.User { return idserver.UserFrom(c.Request().Context()) }
