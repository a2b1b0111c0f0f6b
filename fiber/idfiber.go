// Package idfiber provides the sign-in routes and guards of package idserver for fiber, without net/http.
package idfiber

import (
	"context"
	"errors"
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

	client *idserver.Client
}

// New returns an Auth for client.
func New(client *idserver.Client) *Auth { return &Auth{client: client} }

// Mount registers login, callback, logout and userinfo on r, which must be at the client's Config.RoutesPath:
// auth.Mount(app.Group("/auth")). If it is not, or the client has no Config.BaseURL, Mount panics and says what to
// change.
func (a *Auth) Mount(r fiber.Router) {
	path := ""
	if group, ok := r.(*fiber.Group); ok {
		path = group.Prefix
	}
	if err := a.client.CheckMount(path); err != nil {
		panic(err)
	}
	for _, route := range a.client.Routes() {
		r.Add(route.Method, route.Path, a.Guard(func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
			return ctx, route.Serve(ctx, r) // every answer of a route ends the request
		}))
	}
}

// LoadUser lets every request through; [User] returns the user if one is signed in. See [idserver.Client.LoadUser].
func (a *Auth) LoadUser() fiber.Handler { return a.Guard(a.client.LoadUser()) }

// RequireUser admits a signed-in user. See [idserver.Client.RequireUser].
func (a *Auth) RequireUser() fiber.Handler { return a.Guard(a.client.RequireUser()) }

// RequireRole admits a user who has at least one of the roles. See [idserver.Client.RequireRole].
func (a *Auth) RequireRole(role string, more ...string) fiber.Handler {
	return a.Guard(a.client.RequireRole(role, more...))
}

// RequireAllRoles admits a user who has all of the roles. See [idserver.Client.RequireAllRoles].
func (a *Auth) RequireAllRoles(role string, more ...string) fiber.Handler {
	return a.Guard(a.client.RequireAllRoles(role, more...))
}

// Guard turns any guard into a fiber handler: auth.Guard(client.Require(...)). A request that the guard refuses is
// answered and goes no further; one that it admits goes on with the user in its user context.
func (a *Auth) Guard(guard idserver.Guard) fiber.Handler {
	return func(c *fiber.Ctx) error {
		a.client.CheckHeaderLimit(c.App().Server().ReadBufferSize)
		r, behind := c.Locals(readerKey{}).(*reader)
		if !behind {
			r = readers.Get().(*reader)
			c.Locals(readerKey{}, r)
			defer r.release(c)
		}
		ctx, answer := guard(c.UserContext(), r.read(c))
		if answer.Ends() {
			return a.end(c, answer)
		}
		writeHeader(c, answer)
		c.SetUserContext(ctx)
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

// reader is a request as the core reads it. All guards of one request share it.
type reader struct {
	request idserver.Request
	lines   [8]string // the memory of its lists of header lines, which the core reads but does not keep
}

type readerKey struct{}

var readers = sync.Pool{New: func() any { return new(reader) }}

// String and GoString keep the credentials from middleware that prints a request's locals.
func (r *reader) String() string   { return "idfiber.reader" }
func (r *reader) GoString() string { return r.String() }

// release makes the memory available to another request, without anything that was in it.
func (r *reader) release(c *fiber.Ctx) {
	c.Locals(readerKey{}, nil)
	*r = reader{}
	readers.Put(r)
}

// read copies what the core reads into one string: fasthttp reuses the memory of a request for the next one, and what the
// core keeps (a session, a token, a log line) would change along with it.
func (r *reader) read(c *fiber.Ctx) idserver.Request {
	if r.holds(c) {
		return r.request
	}
	header, uri := &c.Request().Header, c.Request().URI()
	var all strings.Builder
	all.Grow(len(header.RawHeaders()) + len(header.RequestURI()) + len(header.Method()))
	keep := func(b []byte) string {
		from := all.Len()
		all.Write(b)
		return all.String()[from:]
	}
	lines := r.lines[:0]
	keepAll := func(name string) []string {
		from := len(lines)
		for _, line := range header.PeekAll(name) {
			lines = append(lines, keep(line))
		}
		return lines[from:len(lines):len(lines)]
	}
	r.request = idserver.Request{
		Method: keep(header.Method()), Path: keep(uri.PathOriginal()), RawQuery: keep(uri.QueryString()), Host: keep(header.Host()),
		Authorization: keepAll(fiber.HeaderAuthorization), Cookie: keepAll(fiber.HeaderCookie),
		Accept: keep(header.Peek(fiber.HeaderAccept)), Origin: keep(header.Peek(fiber.HeaderOrigin)), SecFetchSite: keep(header.Peek("Sec-Fetch-Site")),
		SecFetchMode: keep(header.Peek("Sec-Fetch-Mode")), SecFetchDest: keep(header.Peek("Sec-Fetch-Dest")), SecPurpose: keep(header.Peek("Sec-Purpose")),
	}
	return r.request
}

// holds reports whether a guard before this one has read the request, and what is asked for, by whom and from where has
// not changed since.
func (r *reader) holds(c *fiber.Ctx) bool {
	header, uri := &c.Request().Header, c.Request().URI()
	same := func(kept string, now []byte) bool { return kept == string(now) }
	return same(r.request.Method, header.Method()) && same(r.request.Path, uri.PathOriginal()) && same(r.request.RawQuery, uri.QueryString()) &&
		slices.EqualFunc(r.request.Authorization, header.PeekAll(fiber.HeaderAuthorization), same) &&
		slices.EqualFunc(r.request.Cookie, header.PeekAll(fiber.HeaderCookie), same) &&
		same(r.request.Origin, header.Peek(fiber.HeaderOrigin)) && same(r.request.SecFetchSite, header.Peek("Sec-Fetch-Site"))
}

// User returns the user that a guard found, or nil if nobody is signed in.
func User(c *fiber.Ctx) *idserver.User { return idserver.UserFrom(c.UserContext()) }
