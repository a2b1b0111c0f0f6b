// Package idfiber provides the sign-in routes and guards of package idserver for fiber, without net/http.
package idfiber

import (
	"cmp"
	"context"
	"errors"
	"io"
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
// client's Config.RoutesPath: auth.Mount(app.Group("/auth")). If it is not, or the client has no Config.BaseURL, Mount
// panics and says what to change.
func (a *Auth) Mount(r fiber.Router) {
	mount := "/"
	if group, ok := r.(*fiber.Group); ok {
		mount = cmp.Or(group.Prefix, "/")
	}
	routes, err := a.guards.Routes(mount)
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
			return a.end(c, answer)
		}
		writeHeader(c, answer)
		if !answer.SameContext {
			c.SetUserContext(ctx)
		}
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
	header := &c.Response().Header
	for _, f := range answer.Add {
		written := slices.ContainsFunc(header.PeekAll(f.Name), func(value []byte) bool { return string(value) == f.Value })
		header.VisitAllCookie(func(_, cookie []byte) { written = written || string(cookie) == f.Value }) // PeekAll joins them
		if !written {
			header.Add(f.Name, f.Value)
		}
	}
}

// reader gives the core access to a request. fasthttp reuses the memory of a request for the next one, and what the core
// keeps (a session, a token, a log line) would change along with it: what is asked for is copied, and nothing else. All
// guards of one request share it.
type reader struct {
	c      *fiber.Ctx
	all    strings.Builder // every copy: one piece of memory
	method string
	uri    string
	host   string
	fields []field
	lines  []string // the memory of their lines
	body   []byte   // what of it has not been read yet
	opened bool
}

// field is a header field that was asked for.
type field struct {
	name  string
	lines []string
}

type readerKey struct{}

var readers = sync.Pool{New: func() any { return new(reader) }}

// String and GoString keep the credentials from middleware that prints a request's locals.
func (r *reader) String() string   { return "idfiber.reader" }
func (r *reader) GoString() string { return r.String() }

// release makes the memory available to another request, without anything that was in it.
func (r *reader) release() {
	r.c.Locals(readerKey{}, nil)
	clear(r.fields)
	clear(r.lines)
	*r = reader{fields: r.fields[:0], lines: r.lines[:0]}
	readers.Put(r)
}

// request is the request as it is now: middleware between two guards may have changed it.
func (r *reader) request() idserver.Request {
	header := &r.c.Request().Header
	r.method, r.uri, r.host = r.copied(r.method, header.Method()), r.copied(r.uri, header.RequestURI()), r.copied(r.host, header.Host())
	path, query, _ := strings.Cut(r.uri, "?")
	if !strings.HasPrefix(path, "/") { // the absolute form of RFC 9112 section 3.2.2
		uri := r.c.Request().URI()
		path, query = r.copied("", uri.PathOriginal()), r.copied("", uri.QueryString())
	}
	return idserver.Request{Method: r.method, Path: path, RawQuery: query, Host: r.host, Header: r, Body: r, TLS: r.c.Context().TLSConnectionState()}
}

// Values returns copies of all lines of a header field. What was copied before is compared rather than copied again.
func (r *reader) Values(name string) []string {
	lines := r.c.Request().Header.PeekAll(name)
	for i := range r.fields {
		if f := &r.fields[i]; f.name == name {
			if !slices.EqualFunc(f.lines, lines, func(kept string, now []byte) bool { return kept == string(now) }) {
				f.lines = r.copies(lines)
			}
			return f.lines
		}
	}
	r.fields = append(r.fields, field{name, r.copies(lines)})
	return r.fields[len(r.fields)-1].lines
}

func (r *reader) copies(lines [][]byte) []string {
	from := len(r.lines)
	for _, line := range lines {
		r.lines = append(r.lines, r.copied("", line))
	}
	return r.lines[from:len(r.lines):len(r.lines)]
}

// copied returns before, if now is the same, or a copy of now.
func (r *reader) copied(before string, now []byte) string {
	if before == string(now) {
		return before
	}
	if r.all.Cap() == 0 {
		header := &r.c.Request().Header
		r.all.Grow(len(header.RawHeaders()) + len(header.RequestURI()) + len(header.Method()))
	}
	from := r.all.Len()
	r.all.Write(now)
	return r.all.String()[from:]
}

// Read reads the request's body.
func (r *reader) Read(p []byte) (int, error) {
	if !r.opened {
		r.opened, r.body = true, r.c.Request().Body()
	}
	if len(r.body) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.body)
	r.body = r.body[n:]
	return n, nil
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(c *fiber.Ctx) *idserver.User { return idserver.UserFrom(c.UserContext()) }
