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
	maxAge           = "Access-Control-Max-Age"
)

// varyOnOrigin keeps caches from serving one origin's response to another.
var varyOnOrigin = Field{"Vary", "Origin"}

var onlyVaryOnAll = []Field{varyOnCredentials, varyOnOrigin}

// share lets a page of a trusted origin read an answer. The answer's slices may be shared between requests, so nothing is
// appended to them in place.
func (w *web) share(r Request, a Answer) Answer {
	if r.Origin == "" {
		if !a.Ends() && len(a.Add) == 1 { // a cache may store the handler's response, and serve it to a page of another origin
			a.Add = onlyVaryOnAll
		}
		return a
	}
	a.Add = append(slices.Clip(a.Add), varyOnOrigin)
	if slices.Contains(w.trusted, r.Origin) {
		a.Set = append(slices.Clip(a.Set), Field{allowOrigin, r.Origin}, Field{allowCredentials, "true"})
	}
	return a
}

// preflight answers what a browser asks before a request that a form could not send. It allows the header fields that
// this package reads; an application that needs others uses its framework's CORS middleware.
func (w *web) preflight(r Request, methods string) Answer {
	a := Answer{Status: http.StatusNoContent}
	if slices.Contains(w.trusted, r.Origin) {
		a.Set = []Field{{allowMethods, methods}, {allowHeaders, "Authorization, Content-Type"}, {maxAge, "600"}}
	}
	return w.share(r, a)
}

// sharedGuard wraps guard: its answers are shared, and preflights are answered if the router passes OPTIONS to it. A
// preflight never has credentials. Without trusted origins it returns guard itself.
func (c *Client) sharedGuard(guard Guard) Guard {
	if c.web == nil || len(c.web.trusted) == 0 {
		return guard
	}
	return func(ctx context.Context, r Request) (context.Context, Answer) {
		if r.Method == http.MethodOptions && len(r.Cookie) == 0 && len(r.Authorization) == 0 && slices.Contains(c.web.trusted, r.Origin) {
			return ctx, c.web.preflight(r, "GET, HEAD, POST, PUT, PATCH, DELETE")
		}
		ctx, a := guard(ctx, r)
		return ctx, c.web.share(r, a)
	}
}

// sharedRoutes returns the routes with their answers shared, and preflights of those that a script may use. Without
// trusted origins it returns routes itself.
func (w *web) sharedRoutes(routes []Route) []Route {
	if len(w.trusted) == 0 {
		return routes
	}
	var all []Route
	for _, route := range routes {
		all = append(all, Route{route.Method, route.Path, func(ctx context.Context, r Request) Answer {
			return w.share(r, route.Serve(ctx, r))
		}})
	}
	for _, p := range []struct{ path, methods string }{{"/login", "GET"}, {"/logout", "POST"}, {"/userinfo", "GET"}} {
		all = append(all, Route{http.MethodOptions, p.path, func(_ context.Context, r Request) Answer {
			return w.preflight(r, p.methods)
		}})
	}
	return all
}
