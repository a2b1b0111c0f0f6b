package idserver

import (
	"context"
	"net/http"
	"reflect"
	"slices"
)

// Request holds what routes and guards need of a request. An adapter fills it in; for net/http, [RequestFrom] does. The
// client may keep the strings (but not the slices), so an adapter whose framework reuses their memory must copy them.
type Request struct {
	Method   string
	Path     string // escaped, as received
	RawQuery string

	// All lines of these header fields, in order, so that a second one is noticed. The slices are read only during the
	// call.
	Authorization []string
	Cookie        []string

	Accept       string
	Origin       string
	Host         string
	SecFetchSite string // Sec-Fetch-Site, -Mode, -Dest: how a browser came to send the request
	SecFetchMode string
	SecFetchDest string
	SecPurpose   string
}

// Answer says what to do with a request. If Status is 0, write the header fields and pass the request on to the handler;
// otherwise the request ends with this answer.
type Answer struct {
	Status int
	Set    []Field // replace those that the application may have set
	Add    []Field // added to the application's, without duplicates: Set-Cookie, Vary, WWW-Authenticate
	Body   []byte

	// Refusal says why the request is refused; nil for any other answer. An adapter for a framework with an error handler
	// can pass it on as the error, in place of Status and Body. Set and Add are written all the same.
	Refusal *Refusal
}

// WithoutBody returns a refusal whose status and body are left to the application's error handler: it omits the body and
// the header fields that describe it.
func (a Answer) WithoutBody() Answer {
	a.Body = nil
	a.Set = slices.DeleteFunc(slices.Clone(a.Set), func(f Field) bool {
		return f.Name == "Content-Type" || f.Name == "Content-Security-Policy" || f.Name == "Referrer-Policy"
	})
	return a
}

// Field is one header field.
type Field struct{ Name, Value string }

// Ends reports whether the request ends with this answer.
func (a Answer) Ends() bool { return a.Status != 0 }

// Route is one of the sign-in routes, for an adapter to register.
type Route struct {
	Method string
	Path   string // below Config.RoutesPath, such as /login
	Serve  func(context.Context, Request) Answer
}

// Guard either admits a request, returning a context for [UserFrom], or answers it. An application's own guards are
// functions of this type too. A Client's guard behind another one of the same Client reuses, within a second, the user
// found for the same credentials: nothing is opened, checked or renewed again. The guards of a Client are safe for
// concurrent use.
type Guard func(context.Context, Request) (context.Context, Answer)

// RequestFrom makes a Request from a net/http request. It copies nothing.
func RequestFrom(r *http.Request) Request {
	h := r.Header
	return Request{
		Method:        r.Method,
		Path:          r.URL.EscapedPath(),
		RawQuery:      r.URL.RawQuery,
		Authorization: h["Authorization"],
		Cookie:        h["Cookie"],
		Accept:        first(h["Accept"]),
		Origin:        first(h["Origin"]),
		Host:          r.Host,
		SecFetchSite:  first(h["Sec-Fetch-Site"]),
		SecFetchMode:  first(h["Sec-Fetch-Mode"]),
		SecFetchDest:  first(h["Sec-Fetch-Dest"]),
		SecPurpose:    first(h["Sec-Purpose"]),
	}
}

// WithContext returns r.WithContext(ctx), or r itself if it already has that context, as behind a guard whose result was
// reused.
func WithContext(ctx context.Context, r *http.Request) *http.Request {
	if reflect.TypeOf(ctx).Kind() == reflect.Pointer && ctx == r.Context() { // other types may not be comparable
		return r
	}
	return r.WithContext(ctx)
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// WriteHeader adds the header fields to h, which may hold fields of the application. A field of Add that is already there
// is not added again.
func (a Answer) WriteHeader(h http.Header) {
	for _, f := range a.Set {
		h.Set(f.Name, f.Value)
	}
	for _, f := range a.Add {
		name := http.CanonicalHeaderKey(f.Name)
		if !slices.Contains(h[name], f.Value) { // a guard before this one may have written it
			h[name] = append(h[name], f.Value)
		}
	}
}

// WriteTo writes the header fields and, if the answer ends the request, status and body.
func (a Answer) WriteTo(w http.ResponseWriter) {
	a.WriteHeader(w.Header())
	if a.Ends() {
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body) // if the client is gone, there is nobody left to tell
	}
}
