// Package idchi provides the sign-in routes and guards of package idserver for net/http: for http.ServeMux, for chi, and for any
// other router of net/http handlers. It does not import chi.
package idchi

import (
	"net/http"

	idserver "github.com/signward/idserver-go/core"
)

// Auth turns a client's routes and guards into net/http handlers and middleware. It is safe for concurrent use.
type Auth struct{ guards idserver.Guards }

// New returns an Auth for what gives guards and routes, such as an [idserver.Client].
func New(guards idserver.Guards) *Auth { return &Auth{guards} }

// Router is what Mount needs of a router. Every chi.Router implements it, and so does *http.ServeMux.
type Router interface {
	// Handle registers a handler for a pattern such as "GET /auth/login".
	Handle(pattern string, handler http.Handler)
}

// Mount registers login, callback, logout and userinfo on r under their whole paths, which begin with the client's
// Config.RoutesPath: r must be the router that serves the root of Config.BaseURL, not a sub-router at /auth. If the
// client has no Config.BaseURL, Mount panics and says what to change, as chi does for a route that cannot be registered.
func (a *Auth) Mount(r Router) {
	routes, err := a.guards.Routes("/")
	if err != nil {
		panic(err)
	}
	for _, route := range routes {
		r.Handle(route.Method+" "+route.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			route.Serve(r.Context(), idserver.RequestFrom(r)).WriteTo(w)
		}))
	}
}

// LoadUser lets every request through; [User] returns the user if one is signed in. See [idserver.Client.LoadUser].
func (a *Auth) LoadUser() func(http.Handler) http.Handler { return a.Guard(a.guards.LoadUser()) }

// RequireUser admits a signed-in user. See [idserver.Client.RequireUser].
func (a *Auth) RequireUser() func(http.Handler) http.Handler { return a.Guard(a.guards.RequireUser()) }

// RequireRole admits a user who has at least one of the roles. See [idserver.Client.RequireRole].
func (a *Auth) RequireRole(role string, more ...string) func(http.Handler) http.Handler {
	return a.Guard(a.guards.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See [idserver.Client.RequireAllRoles].
func (a *Auth) RequireAllRoles(role string, more ...string) func(http.Handler) http.Handler {
	return a.Guard(a.guards.RequireAllRoles(role, more...))
}

// RequireAuthentication admits a user whom the provider has authenticated as it is wanted here, and sends a browser to sign in
// again. See [idserver.Client.RequireAuthentication].
func (a *Auth) RequireAuthentication(wanted idserver.Authentication) func(http.Handler) http.Handler {
	return a.Guard(a.guards.RequireAuthentication(wanted))
}

// RequireTenant admits a user of the tenant that the path names with this parameter. See [idserver.Client.RequireTenant].
func (a *Auth) RequireTenant(parameter string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.Guard(a.guards.RequireTenant(r.PathValue(parameter)))(next).ServeHTTP(w, r)
		})
	}
}

// Guard turns any guard into middleware: auth.Guard(client.Require(...)). A request that the guard refuses is answered
// and goes no further; one that it admits goes on with the user in its context.
func (a *Auth) Guard(guard idserver.Guard) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, answer := guard(r.Context(), idserver.RequestFrom(r))
			answer.WriteTo(w)
			if answer.Ends() {
				return
			}
			if !answer.SameContext {
				r = r.WithContext(ctx)
			}
			behind, end := answer.Behind(w)
			defer end()
			next.ServeHTTP(behind, r)
		})
	}
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(r *http.Request) *idserver.User { return idserver.UserFrom(r.Context()) }
