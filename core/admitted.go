package idserver

import (
	"context"
	"fmt"
)

// admitted is the context behind a guard: who asks, and how that was found out.
type admitted struct {
	context.Context
	user        *User
	accessToken string

	client      *Client // whose guard it was; nil in a context of WithUser
	credentials string  // the line of Authorization, or of Cookie where that was the only one
	bySession   bool
}

type admittedKey struct{}

func (a *admitted) Value(key any) any {
	if key == (admittedKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// String and GoString keep what is in the context from a log that prints it, as the contexts of package context do.
func (a *admitted) String() string   { return fmt.Sprint(a.Context) + ".WithUser" }
func (a *admitted) GoString() string { return a.String() }

// admittedFrom returns what the innermost guard found, nil where there was none or nobody was signed in.
func admittedFrom(ctx context.Context) *admitted {
	a, _ := ctx.Value(admittedKey{}).(*admitted)
	return a
}

// admit is the context behind a guard that lets a request through.
func (c *Client) admit(ctx context.Context, r Request, v identity) context.Context {
	a := &admitted{Context: ctx, user: v.user, accessToken: v.accessToken, client: c}
	switch {
	case len(r.Authorization) > 0:
		a.credentials = r.Authorization[0] // the only one, or it would be refused
	case len(r.Cookie) == 1:
		a.credentials, a.bySession = r.Cookie[0], true
	}
	return a
}

// stillAdmitted returns what a guard of this client found out about the request, for a guard behind it; nil when there was none.
// Others' guards count for nothing, and so does another request that an application sends on with the context of
// the first one: it has credentials of its own, or comes from another site.
func (c *Client) stillAdmitted(ctx context.Context, r Request) *admitted {
	a := admittedFrom(ctx)
	if a == nil || a.client != c || a.credentials == "" {
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
