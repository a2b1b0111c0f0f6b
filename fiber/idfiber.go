// Package idfiber provides the sign-in routes and guards of package idserver for fiber v2, without net/http.
package idfiber

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	idserver "github.com/signward/idserver-go/core"
)

// Auth turns a client's routes and guards into fiber handlers. It is safe for concurrent use once its field is set.
type Auth struct {
	// RefusalsAsErrors makes Auth return refusals to fiber's ErrorHandler, each as an error in which errors.As finds the
	// *fiber.Error and the *idserver.Refusal, for an application that writes status and body itself. By default, Auth
	// writes the core's pages and problem+json. Header fields and cookies are written either way.
	RefusalsAsErrors bool

	guards     idserver.Guards
	checkLimit sync.Once
}

// New returns an Auth for what gives guards and routes, such as an [idserver.Client].
func New(guards idserver.Guards) *Auth { return &Auth{guards: guards} }

// Mount registers login, callback, logout and userinfo on r, which must be the *fiber.App itself or a group at the
// client's Config.RoutesPath: auth.Mount(app.Group("/auth")). It must be the *fiber.App where Config.CallbackPath is
// elsewhere. If it is not, or the client has no Config.BaseURL, Mount panics and says what to change. So it does with
// Prefork, unless the provider does not rotate refresh tokens: see [idserver.Client.CheckProcesses].
func (a *Auth) Mount(r fiber.Router) {
	mount := "/"
	if group, ok := r.(*fiber.Group); ok {
		mount = cmp.Or(group.Prefix, "/")
	}
	routes, err := a.guards.Routes(mount)
	if app, ok := r.(*fiber.App); err == nil && (fiber.IsChild() || ok && app.Config().Prefork) {
		err = a.guards.CheckProcesses()
	}
	if err != nil {
		panic(err)
	}
	for _, route := range routes {
		r.Add(route.Method, route.Path, a.Guard(func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
			return ctx, route.Serve(ctx, r) // every answer of a route ends the request
		}))
	}
}

// LoadUser lets every request through; [User] returns the user if one is signed in. See [idserver.Client.LoadUser].
func (a *Auth) LoadUser() fiber.Handler { return a.Guard(a.guards.LoadUser()) }

// RequireUser admits a signed-in user. See [idserver.Client.RequireUser].
func (a *Auth) RequireUser() fiber.Handler { return a.Guard(a.guards.RequireUser()) }

// RequireRole admits a user who has at least one of the roles. See [idserver.Client.RequireRole].
func (a *Auth) RequireRole(role string, more ...string) fiber.Handler {
	return a.Guard(a.guards.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See [idserver.Client.RequireAllRoles].
func (a *Auth) RequireAllRoles(role string, more ...string) fiber.Handler {
	return a.Guard(a.guards.RequireAllRoles(role, more...))
}

// RequireAuthentication admits a user whom the provider has authenticated as it is wanted here, and sends a browser to sign in
// again. See [idserver.Client.RequireAuthentication].
func (a *Auth) RequireAuthentication(wanted idserver.Authentication) fiber.Handler {
	return a.Guard(a.guards.RequireAuthentication(wanted))
}

// RequireTenant admits a user of the tenant that the path names with this parameter. Fiber gives it as it is in the path, escaped. See [idserver.Client.RequireTenant].
func (a *Auth) RequireTenant(parameter string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		return a.Guard(a.guards.RequireTenant(strings.Clone(c.Params(parameter))))(c)
	}
}

// Guard turns any guard into a fiber handler: auth.Guard(client.Require(...)). A request that the guard refuses is
// answered and goes no further; one that it admits goes on with the user in its user context.
func (a *Auth) Guard(guard idserver.Guard) fiber.Handler {
	return func(c *fiber.Ctx) error {
		a.checkLimit.Do(func() { a.guards.CheckHeaderLimit(c.App().Server().ReadBufferSize) })
		r, behind := c.Locals(readerKey{}).(*reader)
		if !behind {
			r = readers.Get().(*reader)
			r.c = c
			c.Locals(readerKey{}, r)
			defer r.release()
		}
		ctx, answer := guard(c.UserContext(), r.request())
		if answer.Ends() {
			r.drain()
			return a.end(c, answer)
		}
		writeHeader(c, answer)
		if !answer.SameContext {
			c.SetUserContext(ctx)
			c.Context().SetUserValue(idserver.ContextKey(), ctx) // for net/http handlers behind fiber's adaptor
		}
		defer writeLast(c, answer)
		return c.Next()
	}
}

// end answers a request that goes no further.
func (a *Auth) end(c *fiber.Ctx, answer idserver.Answer) error {
	if answer.Refusal != nil && a.RefusalsAsErrors {
		writeHeader(c, answer.WithoutBody())
		return errors.Join(fiber.NewError(answer.Status, answer.Refusal.Title), answer.Refusal)
	}
	writeHeader(c, answer)
	return c.Status(answer.Status).Send(answer.Body)
}

func writeHeader(c *fiber.Ctx, answer idserver.Answer) {
	for _, f := range answer.Set {
		c.Set(f.Name, f.Value)
	}
	for _, f := range answer.Absent {
		if len(c.Response().Header.Peek(f.Name)) == 0 {
			c.Set(f.Name, f.Value)
		}
	}
	for _, f := range answer.Add {
		if !isWritten(c, f) {
			c.Response().Header.Add(f.Name, f.Value)
		}
	}
}

// writeLast writes what an answer has to say after the handler.
func writeLast(c *fiber.Ctx, answer idserver.Answer) {
	header := &c.Response().Header
	values := func(name string) (lines []string) {
		for _, line := range header.PeekAll(name) {
			lines = append(lines, string(line))
		}
		return lines
	}
	for _, f := range answer.Last(values) {
		if header.Del(f.Name); f.Value != "" {
			header.Set(f.Name, f.Value)
		}
	}
}

// isWritten reports whether the response has the field, with this value, from a guard before.
func isWritten(c *fiber.Ctx, f idserver.Field) (is bool) {
	header := &c.Response().Header
	if !strings.EqualFold(f.Name, fiber.HeaderSetCookie) {
		return slices.ContainsFunc(header.PeekAll(f.Name), func(value []byte) bool { return string(value) == f.Value })
	}
	//lint:ignore SA1019 fasthttp 1.51, which fiber v2 brings, has no iterators; the workspace has a newer one
	header.VisitAllCookie(func(_, cookie []byte) { is = is || string(cookie) == f.Value }) // PeekAll joins them
	return is
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(c *fiber.Ctx) *idserver.User { return idserver.UserFrom(c.UserContext()) }
