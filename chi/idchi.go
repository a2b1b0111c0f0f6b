// Package idchi carries the sign-in routes and guards of package idserver into chi, and into any other router of
// net/http handlers.
package idchi

import (
	"net/http"

	idserver "github.com/signward/idserver-go/core"
)

// Auth makes net/http handlers and middleware of a client's routes and guards. It is safe for concurrent use.
type Auth struct{ client *idserver.Client }

// New returns the net/http form of client.
func New(client *idserver.Client) *Auth { return &Auth{client} }

// Router is what Mount needs of a router. Every chi.Router is one, and *http.ServeMux.
type Router interface {
	// Handle registers a handler for a pattern such as "GET /auth/login".
	Handle(pattern string, handler http.Handler)
}

// Mount registers login, callback, logout and userinfo on r at the client's Config.RoutesPath, whole paths: r is the
// router that serves the root of Config.BaseURL, and no sub-router at /auth. For a client without Config.BaseURL it
// panics with what to change, as chi does for routes that cannot be.
func (a *Auth) Mount(r Router) {
	if err := a.client.CheckMount(a.client.RoutesPath()); err != nil {
		panic(err)
	}
	for _, route := range a.client.Routes() {
		pattern := route.Method + " " + a.client.RoutesPath() + route.Path
		r.Handle(pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		}))
	}
}

// LoadUser admits everybody; User returns the user where one is signed in. See idserver.Client.LoadUser.
func (a *Auth) LoadUser() func(http.Handler) http.Handler { return a.Guard(a.client.LoadUser()) }

// RequireUser admits a signed-in user. See idserver.Client.RequireUser.
func (a *Auth) RequireUser() func(http.Handler) http.Handler { return a.Guard(a.client.RequireUser()) }

// RequireRole admits a user who has any of the roles. See idserver.Client.RequireRole.
func (a *Auth) RequireRole(role string, more ...string) func(http.Handler) http.Handler {
	return a.Guard(a.client.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See idserver.Client.RequireAllRoles.
func (a *Auth) RequireAllRoles(role string, more ...string) func(http.Handler) http.Handler {
	return a.Guard(a.client.RequireAllRoles(role, more...))
}

// Guard makes middleware of any guard: auth.Guard(client.Require(...)). A request that is refused is
// answered and goes no further; the context of one that is admitted holds the user.
func (a *Auth) Guard(guard idserver.Guard) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
			answer.WriteTo(w)
			if !answer.Ends() {
				next.ServeHTTP(w, idserver.WithContext(ctx, r))
			}
		})
	}
}

// User returns the user that a guard found, or nil when nobody is signed in.
func User(r *http.Request) *idserver.User { return idserver.UserFrom(r.Context()) }
