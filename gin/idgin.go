// Package idgin provides the sign-in routes and guards of package idserver for gin.
package idgin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	idserver "github.com/signward/idserver-go/core"
)

// Auth turns a client's routes and guards into gin handlers. It is safe for concurrent use once its field is set.
type Auth struct {
	// RefusalsAsErrors makes Auth add refusals, each an *idserver.Refusal, to gin's Context.Errors, for a middleware of
	// the application that writes status and body; if none does, the body is empty. By default, Auth writes the core's
	// pages and problem+json. Header fields and cookies are written either way.
	RefusalsAsErrors bool

	guards idserver.Guards
}

// New returns an Auth for what gives guards and routes, such as an [idserver.Client].
func New(guards idserver.Guards) *Auth { return &Auth{guards: guards} }

// Router is a *gin.Engine or a *gin.RouterGroup.
type Router interface {
	BasePath() string
	Handle(method, path string, handlers ...gin.HandlerFunc) gin.IRoutes
}

// Mount registers login, callback, logout and userinfo on r, which must be the root or at the client's Config.RoutesPath:
// auth.Mount(r.Group("/auth")). It must be the root where Config.CallbackPath is elsewhere. If it is not, or the client has
// no Config.BaseURL, Mount panics and says what to change, as gin does for a route that cannot be registered.
func (a *Auth) Mount(r Router) {
	routes, err := a.guards.Routes(r.BasePath())
	if err != nil {
		panic(err)
	}
	for _, route := range routes {
		r.Handle(route.Method, route.Path, func(c *gin.Context) {
			a.end(c, route.Serve(c.Request.Context(), idserver.RequestFrom(c.Request)))
		})
	}
}

// LoadUser lets every request through; [User] returns the user if one is signed in. See [idserver.Client.LoadUser].
func (a *Auth) LoadUser() gin.HandlerFunc { return a.Guard(a.guards.LoadUser()) }

// RequireUser admits a signed-in user. See [idserver.Client.RequireUser].
func (a *Auth) RequireUser() gin.HandlerFunc { return a.Guard(a.guards.RequireUser()) }

// RequireRole admits a user who has at least one of the roles. See [idserver.Client.RequireRole].
func (a *Auth) RequireRole(role string, more ...string) gin.HandlerFunc {
	return a.Guard(a.guards.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See [idserver.Client.RequireAllRoles].
func (a *Auth) RequireAllRoles(role string, more ...string) gin.HandlerFunc {
	return a.Guard(a.guards.RequireAllRoles(role, more...))
}

// RequireAuthentication admits a user whom the provider has authenticated as it is wanted here, and sends a browser to sign in
// again. See [idserver.Client.RequireAuthentication].
func (a *Auth) RequireAuthentication(wanted idserver.Authentication) gin.HandlerFunc {
	return a.Guard(a.guards.RequireAuthentication(wanted))
}

// RequireTenant admits a user of the tenant that the path names with this parameter. See [idserver.Client.RequireTenant].
func (a *Auth) RequireTenant(parameter string) gin.HandlerFunc {
	return func(c *gin.Context) { a.Guard(a.guards.RequireTenant(c.Param(parameter)))(c) }
}

// Guard turns any guard into a gin handler: auth.Guard(client.Require(...)). A request that the guard refuses is answered
// and goes no further; one that it admits goes on with the user in its context.
func (a *Auth) Guard(guard idserver.Guard) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, answer := guard(c.Request.Context(), idserver.RequestFrom(c.Request))
		if answer.Ends() {
			a.end(c, answer)
			return
		}
		answer.WriteHeader(c.Writer.Header())
		if !answer.SameContext {
			c.Request = c.Request.WithContext(ctx)
		}
		if answer.HasLast() {
			last := &writer{c.Writer, answer}
			c.Writer = last
			defer last.write() // for a handler that wrote nothing
		}
		c.Next()
	}
}

// writer writes an answer's last header fields before gin sends the header.
type writer struct {
	gin.ResponseWriter
	answer idserver.Answer
}

func (w *writer) write() {
	if !w.Written() {
		w.answer.WriteLast(w.Header())
	}
}

func (w *writer) WriteHeaderNow()             { w.write(); w.ResponseWriter.WriteHeaderNow() }
func (w *writer) Write(b []byte) (int, error) { w.write(); return w.ResponseWriter.Write(b) }
func (w *writer) WriteString(s string) (int, error) {
	w.write()
	return w.ResponseWriter.WriteString(s)
}
func (w *writer) Flush()                      { w.write(); w.ResponseWriter.Flush() }
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end answers a request that goes no further.
func (a *Auth) end(c *gin.Context, answer idserver.Answer) {
	c.Abort()
	if answer.Refusal == nil || !a.RefusalsAsErrors {
		answer.WriteTo(c.Writer)
		return
	}
	answer.WithoutBody().WriteHeader(c.Writer.Header())
	c.Status(answer.Status)
	_ = c.Error(answer.Refusal)
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(c *gin.Context) *idserver.User { return idserver.UserFrom(c.Request.Context()) }
