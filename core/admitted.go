package idserver

import (
	"context"
	"fmt"
	"time"
)

// admitted is the context behind a guard: who asks, and how that was found out.
type admitted struct {
	context.Context
	user        *User
	accessToken string
	fields      []Field // of a session that was renewed

	client      *Client // whose guard it was; nil in a context of WithUser
	credentials string  // the line of Authorization or of Cookie; "" where there were several, which no guard behind takes again
	bySession   bool
	found       int64 // when, in nanoseconds
	revoked     int64 // how many revocations there were before
}

// admittedFor is for how long a guard behind another takes the user that was found: for what middleware needs between them. A handler that
// lasts and asks a guard once more is told what is true then.
const admittedFor = time.Second

type admittedKey struct{}

func (a *admitted) Value(key any) any {
	if key == (admittedKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// String and GoString keep what is in the context from a log that prints it, and print of a context within only what that one tells.
func (a *admitted) String() string {
	if within, ok := a.Context.(fmt.Stringer); ok {
		return within.String() + ".WithUser"
	}
	return fmt.Sprintf("%T.WithUser", a.Context)
}

func (a *admitted) GoString() string { return a.String() }

// admittedFrom returns what the innermost guard found, nil where there was none or nobody was signed in.
func admittedFrom(ctx context.Context) *admitted {
	a, _ := ctx.Value(admittedKey{}).(*admitted)
	return a
}

// admit is the context behind a guard that lets a request through.
func (c *Client) admit(ctx context.Context, r Request, v identity) context.Context {
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

// stillAdmitted returns what a guard of this client has just found out about the request, for a guard behind it; nil when there was none.
// It is bound to the credentials, for an application may send another request on with the context of the first one; to the
// request's coming from where those count; and to no token's being revoked since.
func (c *Client) stillAdmitted(ctx context.Context, r Request) *admitted {
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

// WithUser returns a context in which UserFrom finds u: for tests of handlers and for guards of your own. The guards of a Client do not
// look at it.
func WithUser(ctx context.Context, u *User) context.Context {
	return &admitted{Context: ctx, user: u}
}

// UserFrom returns the user that a guard put into ctx, or nil when nobody is signed in: behind LoadUser look at that first.
func UserFrom(ctx context.Context) *User {
	if a := admittedFrom(ctx); a != nil {
		return a.user
	}
	return nil
}

// AccessTokenFrom returns the access token of the request: the bearer token it came with, or
// the session's, refreshed when it was about to end. It is "" when nobody is signed in, and in a context of WithUser. It is for calling another API in the
// user's name; send it only to an API that it was issued for (its aud).
func AccessTokenFrom(ctx context.Context) string {
	if a := admittedFrom(ctx); a != nil {
		return a.accessToken
	}
	return ""
}
