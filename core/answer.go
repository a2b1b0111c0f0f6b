package idserver

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Answer says what to do with a request. If Status is 0, write the header fields and pass the request on to the handler;
// otherwise the request ends with this answer.
type Answer struct {
	Status int
	Set    []Field // replace those that the application may have set
	Absent []Field // set unless the application has set them
	Add    []Field // added to the application's, without duplicates: Set-Cookie, Vary, WWW-Authenticate
	Body   []byte

	// SameContext says that the context that came with the answer is the one that the guard was given. An adapter whose
	// framework copies a request to change its context need not do that.
	SameContext bool
	// stepsUp says that the browser is sent to sign in again, as it is wanted here. It stands here because room counts: what has
	// more than 128 bytes, closures of adapters would keep on the heap.
	stepsUp bool

	// Refusal says why the request is refused; nil for any other answer. An adapter for a framework with an error handler
	// can pass it on as the error, in place of Status and Body. Set and Add are written all the same.
	Refusal *Refusal

	denied *denied // in a trial of AnyOf: the refusal, which is not rendered yet
}

// Field is one header field.
type Field struct{ Name, Value string }

// setCookie makes a header field of a cookie.
func setCookie(cookie string) Field { return Field{"Set-Cookie", cookie} }

func setCookies(cookies []string) (fields []Field) {
	for _, cookie := range cookies {
		fields = append(fields, setCookie(cookie))
	}
	return fields
}

// String returns the name: the value may be a cookie.
func (f Field) String() string { return f.Name }

// String describes the answer without its cookies and its body.
func (a Answer) String() string {
	return fmt.Sprintf("idserver.Answer{Status: %d, Set: %v, Add: %v}", a.Status, a.Set, a.Add)
}

// Ends reports whether the request ends with this answer.
func (a Answer) Ends() bool { return a.Status != 0 }

// WithoutBody returns a refusal whose status and body are left to the application's error handler: it omits the body and
// the header fields that describe it.
func (a Answer) WithoutBody() Answer {
	a.Body = nil
	a.Set = slices.DeleteFunc(slices.Clone(a.Set), func(f Field) bool {
		return f.Name == "Content-Type" || f.Name == "Content-Security-Policy" || f.Name == "Referrer-Policy"
	})
	return a
}

// WriteHeader adds the header fields to h, which may hold fields of the application. A field of Add that is already there
// is not added again.
func (a Answer) WriteHeader(h http.Header) {
	var lines []string // one piece of memory for all
	line := func(value string) []string {
		if lines == nil {
			lines = make([]string, 0, len(a.Set)+len(a.Absent)+len(a.Add))
		}
		lines = append(lines, value)
		return lines[len(lines)-1 : len(lines) : len(lines)]
	}
	for _, f := range a.Set {
		h[http.CanonicalHeaderKey(f.Name)] = line(f.Value)
	}
	for _, f := range a.Absent {
		if name := http.CanonicalHeaderKey(f.Name); len(h[name]) == 0 {
			h[name] = line(f.Value)
		}
	}
	for _, f := range a.Add {
		switch name := http.CanonicalHeaderKey(f.Name); {
		case len(h[name]) == 0:
			h[name] = line(f.Value)
		case !slices.Contains(h[name], f.Value): // a guard before this one may have written it
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

// varyOnCredentials keeps caches from serving one user's response to another.
var varyOnCredentials = Field{"Vary", "Authorization, Cookie"}

var noStore = Field{"Cache-Control", "no-store"}

// Most requests are let through with these, which are never modified.
var (
	onlyVary    = []Field{varyOnCredentials}
	onlyNoStore = []Field{noStore}
	onlyNobody  = []Field{nobodyElse}
	onlyPrivate = []Field{{"Cache-Control", "private"}}
)

// passOn is the answer for a request that is let through. What is for a user is private, unless the application says
// otherwise. A page of a session is not to be stored: the browser's back button would show it after sign-out (which clears
// the cache all the same). An answer with cookies is for nobody else, whatever the application says: see [Answer.Last].
func (c *Client) passOn(r *Request, user *User, fields []Field) Answer {
	a := Answer{Add: c.vary}
	switch {
	case len(fields) > 0:
		a.Set, a.Add = onlyNobody, append(slices.Clip(c.vary), fields...)
	case user != nil && !r.hasAuthorization() && r.isNavigation():
		a.Set = onlyNoStore
	case user != nil:
		a.Absent = onlyPrivate
	}
	return a
}

// seeOther redirects the browser, which follows with GET (RFC 9110 section 15.4.4).
func seeOther(target string, add ...Field) Answer {
	return Answer{
		Status: http.StatusSeeOther,
		Set:    []Field{{"Location", target}, noStore},
		Add:    append([]Field{varyOnCredentials}, add...),
	}
}

// jsonAnswer is a 200 response for a script of the application.
func jsonAnswer(v any, add ...Field) (Answer, error) {
	body, err := strictjson.Marshal(v)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Status: http.StatusOK,
		Set:    []Field{{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}, noStore},
		Add:    append([]Field{varyOnCredentials}, add...),
		Body:   append(body, '\n'),
	}, nil
}

// pageAnswer is a 200 response with one of the built-in pages.
func pageAnswer(page []byte) Answer {
	return Answer{
		Status: http.StatusOK,
		Set:    append([]Field{noStore, {"X-Content-Type-Options", "nosniff"}}, pageFields...),
		Add:    []Field{varyOnCredentials},
		Body:   page,
	}
}
