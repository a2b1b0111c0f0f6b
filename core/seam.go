package idserver

import (
	"context"
	"net/http"
	"reflect"
	"slices"
)

// Request is what the routes and guards read of a request. An adapter fills it in; with
// net/http, RequestFrom does. The strings, not the slices, may be kept: an adapter whose framework reuses their memory
// copies them first.
type Request struct {
	Method   string
	Path     string // escaped, as it came
	RawQuery string

	// All lines of these headers, in their order: a second one must be seen. The slices are read during the call only.
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

// Answer is what to do with a request. With Status 0 it goes on to the handler, the header
// fields written before; with any other it ends here.
type Answer struct {
	Status int
	Set    []Field // replace what the application may have set
	Add    []Field // stand beside it, each once: Set-Cookie, Vary, WWW-Authenticate
	Body   []byte

	// Refusal is what the request is refused for; nil for any other answer. A framework with an error handler
	// can be given it as the error, in the place of Status and Body. Set and Add are written all the same.
	Refusal *Refusal
}

// WithoutBody is a refusal whose status and body an application's own error handler writes: the header fields that describe the
// built-in body are left out.
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
	Path   string // below Config.RoutesPath: /login
	Serve  func(context.Context, Request) Answer
}

// Guard admits a request, with a context that UserFrom reads, or answers it. An application's
// own guard is a function of this type too. A Client's guard behind another one of the same Client takes the user that was found for the
// same credentials: it opens, checks and renews nothing again. It is safe for concurrent use.
type Guard func(context.Context, Request) (context.Context, Answer)

// RequestFrom reads a net/http request. It copies nothing.
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

// WithContext is r.WithContext(ctx), or r itself where ctx is its context already, as it is behind a guard that another one
// has spared the work.
func WithContext(ctx context.Context, r *http.Request) *http.Request {
	if reflect.TypeOf(ctx).Kind() == reflect.Pointer && ctx == r.Context() { // others may not be comparable
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

// WriteHeader writes the header fields to h, among those of the application. A field of Add that is there already is not added again.
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

// WriteTo writes the header fields, and status and body when the answer ends the request.
func (a Answer) WriteTo(w http.ResponseWriter) {
	a.WriteHeader(w.Header())
	if a.Ends() {
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body) // the reader may be gone; there is nobody left to tell
	}
}
