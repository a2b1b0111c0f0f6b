package idserver

import (
	"context"
	"net/http"
	"slices"
)

// The header fields of the CORS protocol, Fetch standard section 3.3, for a page of a trusted origin that sends requests
// with the session's cookie. Any other origin gets none of them, and its browser withholds the response from it.
const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
	allowMethods     = "Access-Control-Allow-Methods"
	allowHeaders     = "Access-Control-Allow-Headers"
	allowMaxAge      = "Access-Control-Max-Age"
	exposeHeaders    = "Access-Control-Expose-Headers"
)

// varyOnOrigin keeps caches from serving one origin's response to another.
var varyOnOrigin = Field{"Vary", "Origin"}

var onlyVaryOnAll = []Field{varyOnCredentials, varyOnOrigin}

// cors answers for pages of the trusted origins. Without any it changes nothing.
type cors struct {
	trusted []string
	api     *apiPages // of a Resource with published metadata, in place of trusted
}

// allow lets a page of a trusted origin read an answer. The answer's slices may be shared between requests, so nothing is
// appended to them in place.
func (c cors) allow(origin string, a Answer) Answer {
	if origin == "" {
		if !a.Ends() && len(a.Add) == 1 { // a cache may store the handler's response, and serve it to a page of another origin
			a.Add = onlyVaryOnAll
		}
		return a
	}
	a.Add = append(slices.Clip(a.Add), varyOnOrigin)
	if slices.Contains(c.trusted, origin) {
		a.Set = append(slices.Clip(a.Set), Field{allowOrigin, origin}, Field{allowCredentials, "true"})
	}
	return a
}

// preflight answers what a browser asks before a request that a form could not send. It allows the header fields that
// this package reads; an application that needs others uses its framework's CORS middleware.
func (c cors) preflight(origin, methods string) Answer {
	a := Answer{Status: http.StatusNoContent}
	if slices.Contains(c.trusted, origin) {
		a.Set = []Field{{allowMethods, methods}, {allowHeaders, "Authorization, Content-Type"}, {allowMaxAge, "600"}}
	}
	return c.allow(origin, a)
}

// guard wraps a guard: pages of the trusted origins may read its answers, and preflights are answered if the router
// passes OPTIONS to it. A preflight never has credentials.
func (c cors) guard(guard Guard) Guard {
	switch {
	case c.api != nil:
		return c.api.guard(guard)
	case len(c.trusted) == 0:
		return guard
	}
	return func(ctx context.Context, r Request) (context.Context, Answer) {
		origin := r.value("Origin")
		preflight := r.Method == http.MethodOptions && !r.hasAuthorization() && len(r.values("Cookie")) == 0
		if preflight && slices.Contains(c.trusted, origin) {
			return ctx, c.preflight(origin, "GET, HEAD, POST, PUT, PATCH, DELETE")
		}
		ctx, a := guard(ctx, r)
		return ctx, c.allow(origin, a)
	}
}

// routes wraps routes in the same way, and adds the preflights of those that a script may use. below is what comes before
// their paths.
func (c cors) routes(below string, routes []Route) []Route {
	if len(c.trusted) == 0 {
		return routes
	}
	var all []Route
	for _, route := range routes {
		all = append(all, Route{route.Method, route.Path, func(ctx context.Context, r Request) Answer {
			return c.allow(r.value("Origin"), route.Serve(ctx, r))
		}})
	}
	for _, p := range []struct{ path, methods string }{{"/login", "GET"}, {"/logout", "POST"}, {"/userinfo", "GET"}} {
		all = append(all, Route{http.MethodOptions, below + p.path, func(_ context.Context, r Request) Answer {
			return c.preflight(r.value("Origin"), p.methods)
		}})
	}
	return all
}
