// Package idgin carries the sign-in routes and guards of package idserver into gin.
package idgin

import (
	"github.com/gin-gonic/gin"

	idserver "github.com/signward/idserver-go/core"
)

// Auth makes gin handlers of a client's routes and guards. It is safe for concurrent use once its field is set.
type Auth struct {
	// RefusalsAsErrors adds refusals to gin's Context.Errors, each an *idserver.Refusal, for a middleware of
	// the application's own that writes status and body; where none does, the body is empty. Default: the core's pages and
	// problem+json. Header fields and cookies are written either way.
	RefusalsAsErrors bool

	client *idserver.Client
}

// New returns the gin form of client.
func New(client *idserver.Client) *Auth { return &Auth{client: client} }

// Mount registers login, callback, logout and userinfo on g, which must lie at the client's
// Config.RoutesPath: auth.Mount(r.Group("/auth")). Anywhere else, and for a client without
// Config.BaseURL, it panics with what to change, as gin does for routes that cannot be.
func (a *Auth) Mount(g *gin.RouterGroup) {
	if err := a.client.CheckMount(g.BasePath()); err != nil {
		panic(err)
	}
	for _, route := range a.client.Routes() {
		g.Handle(route.Method, route.Path, func(c *gin.Context) {
			a.end(c, route.Serve(c.Request.Context(), idserver.RequestFrom(c.Request)))
		})
	}
}

// LoadUser admits everybody; User returns the user where one is signed in. See idserver.Client.LoadUser.
func (a *Auth) LoadUser() gin.HandlerFunc { return a.Guard(a.client.LoadUser()) }

// RequireUser admits a signed-in user. See idserver.Client.RequireUser.
func (a *Auth) RequireUser() gin.HandlerFunc { return a.Guard(a.client.RequireUser()) }

// RequireRole admits a user who has any of the roles. See idserver.Client.RequireRole.
func (a *Auth) RequireRole(role string, more ...string) gin.HandlerFunc {
	return a.Guard(a.client.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See idserver.Client.RequireAllRoles.
func (a *Auth) RequireAllRoles(role string, more ...string) gin.HandlerFunc {
	return a.Guard(a.client.RequireAllRoles(role, more...))
}

// Guard makes a gin handler of any guard: auth.Guard(client.Require(...)). A request that is refused is
// answered and goes no further; the context of one that is admitted holds the user.
func (a *Auth) Guard(guard idserver.Guard) gin.HandlerFunc {
	return func(c *gin.Context) {
		ctx, answer := guard(c.Request.Context(), idserver.RequestFrom(c.Request))
		if answer.Ends() {
			a.end(c, answer)
			return
		}
		answer.WriteHeader(c.Writer.Header())
		c.Request = idserver.WithContext(ctx, c.Request)
		c.Next()
	}
}

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

// User returns the user that a guard found, or nil when nobody is signed in.
func User(c *gin.Context) *idserver.User { return idserver.UserFrom(c.Request.Context()) }
