package idserver

import (
	"context"
	"fmt"
	"time"
)

// admitted is the context behind a guard: who sent the request, and how that was found out.
type admitted struct {
	context.Context
	user        *User
	accessToken string
	fields      []Field // of a session that was renewed

	client      *Client // the client whose guard it was; nil in a context of WithUser
	credentials string  // the line of Authorization or Cookie; "" if there were several, which the next guard does not reuse
	bySession   bool
	found       int64 // when, in nanoseconds
	revoked     int64 // the number of revocations before
}

// admittedFor is how long a guard behind another reuses the user that was found: long enough for the middleware in
// between. A long-running handler that asks a guard again gets a current result.
const admittedFor = time.Second

type admittedKey struct{}

func (a *admitted) Value(key any) any {
	if key == (admittedKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// String and GoString keep the context's contents out of a log that prints it; of the context within, they print only
// what that one prints itself.
func (a *admitted) String() string {
	if within, ok := a.Context.(fmt.Stringer); ok {
		return within.String() + ".WithUser"
	}
	return fmt.Sprintf("%T.WithUser", a.Context)
}

func (a *admitted) GoString() string { return a.String() }

// admittedFrom returns what the innermost guard found, or nil if there was none or nobody was signed in.
func admittedFrom(ctx context.Context) *admitted {
	a, _ := ctx.Value(admittedKey{}).(*admitted)
	return a
}

// admit returns the context behind a guard that lets a request through.
func (c *Client) admit(ctx context.Context, r *Request, v *identity) context.Context {
	a := &admitted{
		Context: ctx, user: v.user, accessToken: v.accessToken, fields: v.fields,
		client: c, bySession: len(r.Authorization) == 0, found: v.found.UnixNano(), revoked: v.revoked,
	}
	lines := r.Authorization
	if a.bySession {
		lines = r.Cookie
	}
	if len(lines) == 1 {
		a.credentials = lines[0]
	}
	return a
}

// stillAdmitted returns what a guard of this client has just found out about the request, for a guard behind it, or nil.
// It holds only for the same credentials, since an application may pass another request on with the context of the first;
// it holds only for a request whose origin is acceptable, where sessions depend on that; and only until a token is
// revoked.
func (c *Client) stillAdmitted(ctx context.Context, r *Request) *admitted {
	a := admittedFrom(ctx)
	if a == nil || a.client != c || a.credentials == "" || a.revoked != c.revoked.made.Load() {
		return nil
	}
	lines := r.Authorization
	if a.bySession {
		if len(lines) > 0 || c.web.crossSite(r) {
			return nil
		}
		lines = r.Cookie
	}
	if len(lines) != 1 || lines[0] != a.credentials {
		return nil
	}
	if age := c.now().UnixNano() - a.found; age < 0 || age > int64(admittedFor) {
		return nil
	}
	return a
}

// WithUser returns a context in which [UserFrom] finds u, for tests of handlers and for guards of your own. The guards of
// a [Client] ignore it.
func WithUser(ctx context.Context, u *User) context.Context {
	return &admitted{Context: ctx, user: u}
}

// UserFrom returns the user that a guard put into ctx, or nil if nobody is signed in, which is possible behind
// [Client.LoadUser].
func UserFrom(ctx context.Context) *User {
	if a := admittedFrom(ctx); a != nil {
		return a.user
	}
	return nil
}

// AccessTokenFrom returns the access token of the request: the bearer token that it came with, or the session's, which is
// refreshed shortly before it expires. It returns "" if nobody is signed in, and in a context of [WithUser]. Use it to
// call another API on the user's behalf, and send it only to an API that it was issued for (its aud).
func AccessTokenFrom(ctx context.Context) string {
	if a := admittedFrom(ctx); a != nil {
		return a.accessToken
	}
	return ""
}
