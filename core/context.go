package idserver

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// userContext is the context behind a guard: who sent the request, and how that was found out.
type userContext struct {
	context.Context
	user        *User
	accessToken string
	proofKey    []byte   // that it is bound to, where there is no session yet
	session     *session // nil: no session was found
	fields      []Field  // of a session that was renewed

	client      *Client // the client whose guard it was; nil in a context of WithUser
	by          *Client // the same or, where several issuers' tokens are taken, the one whose provider issued this
	credentials string  // the line of Authorization or Cookie; "" if there were several, which the next guard does not reuse
	bySession   bool
	until       int64 // when the bearer token is over, in milliseconds, with the leeway
	found       int64 // when, in nanoseconds
	revoked     int64 // the number of revocations before

	typed *typedClaims // of the token or the session; nil in a context of WithUser
	trial *trial       // nil: no guard of AnyOf is being asked
}

// reuseFor is how long a guard behind another reuses the user that was found: long enough for the middleware in between.
// A long-running handler that asks a guard again gets a current result.
const reuseFor = time.Second

type userContextKey struct{}

func (u *userContext) Value(key any) any {
	if key == (userContextKey{}) {
		return u
	}
	return u.Context.Value(key)
}

// String keeps the context's contents out of a log that prints it; of the context within, it prints only what that one
// prints itself.
func (u *userContext) String() string { return contextName(u.Context) + ".WithUser" }

// contextName is how a context is printed within another.
func contextName(ctx context.Context) string {
	if named, ok := ctx.(fmt.Stringer); ok {
		return named.String()
	}
	return fmt.Sprintf("%T", ctx)
}

// ContextKey is under which the context behind a guard holds itself, for an adapter whose framework hands on values of the
// request besides contexts: where a context made of those has the guard's under this key, [UserFrom] finds the user in it.
func ContextKey() any { return userContextKey{} }

// userContextFrom returns what the innermost guard found, or nil if there was none or nobody was signed in.
func userContextFrom(ctx context.Context) *userContext {
	u, _ := ctx.Value(userContextKey{}).(*userContext)
	return u
}

// credentials returns the line of the header that identifies the sender, or "" if there is not exactly one.
func (c *Client) credentials(r *Request, bySession bool) string {
	name := c.header
	if bySession {
		name = "Cookie"
	}
	switch lines := r.values(name); {
	case len(lines) != 1:
		return ""
	case c.possession != nil && !bySession:
		return c.possession.credentials(r, lines[0])
	default:
		return lines[0]
	}
}

// provenIn returns what a guard in front of this one, of this client or of another Resource, found about the very proof of this request,
// or nil: a proof is good once, and so for a whole request, whatever guards of the application's own stand in between.
func (c *Client) provenIn(ctx context.Context, r *Request) *userContext {
	for u := userContextFrom(ctx); u != nil; u = userContextFrom(u.Context) {
		if u.client != nil && u.client.takesProofs() && !u.bySession && u.credentials != "" && u.credentials == c.credentials(r, false) {
			return u
		}
	}
	return nil
}

// behind returns the context behind a guard that lets a request through.
func (c *Client) behind(ctx context.Context, r *Request, v *identity) *userContext {
	bySession := len(r.values(c.header)) == 0
	return &userContext{
		Context: ctx, user: v.user, accessToken: v.accessToken, session: v.session, fields: v.fields,
		client: c, by: cmp.Or(v.by, c), credentials: c.credentials(r, bySession), bySession: bySession,
		typed: v.typed, until: v.until, found: v.found.UnixNano(), revoked: v.revoked,
	}
}

// isCurrent reports whether before, the innermost guard's context or nil, is what a guard of this client has just found out
// about the request, for a guard behind it. It holds only for the same credentials, since an application may pass another request on with the context of the first; it
// holds only for a request whose origin is acceptable, where sessions depend on that; and only until a token is revoked.
func (c *Client) isCurrent(before *userContext, r *Request) bool {
	if before == nil || before.client != c || before.credentials == "" || before.revoked != before.by.provider.revoked.Added() {
		return false
	}
	if before.bySession && (r.hasAuthorization() || c.site.crossSite(*r)) {
		return false
	}
	if c.credentials(r, before.bySession) != before.credentials {
		return false
	}
	age := c.cfg.Now().UnixNano() - before.found
	return 0 <= age && age <= int64(reuseFor)
}

// WithUser returns a context in which [UserFrom] finds u, for tests of handlers and for guards of your own. The guards of
// a [Client] ignore it.
func WithUser(ctx context.Context, u *User) context.Context {
	return &userContext{Context: ctx, user: u}
}

// UserFrom returns the user that a guard put into ctx, or nil if nobody is signed in, which is possible behind
// [Client.LoadUser].
func UserFrom(ctx context.Context) *User {
	if u := userContextFrom(ctx); u != nil {
		return u.user
	}
	return nil
}

// AccessTokenFrom returns the access token of the request: the bearer token that it came with, or the session's, which is
// refreshed shortly before it expires. It returns "" if nobody is signed in, and in a context of [WithUser]. Use it to
// call another API on the user's behalf ([Client.Transport] does), and send it only to an API that it was issued for (its aud).
func AccessTokenFrom(ctx context.Context) string {
	if u := userContextFrom(ctx); u != nil {
		return u.accessToken
	}
	return ""
}

// SessionTokensFrom returns the ID token and the refresh token of the session that the request came with, for who must have them.
// Both are "" for a bearer token, in Config.AdmitUser and in a context of [WithUser]. The access token is [AccessTokenFrom]'s.
//
// The ID token is as the provider issued it at the sign-in or the last refresh, such as for a service that exchanges it. It may
// have expired long ago, and it is "" with Config.Session.NoIDToken.
//
// The refresh token is the longest-lived secret of a session: whoever has it can act for the user until it is revoked. Do not
// redeem it yourself where the provider rotates refresh tokens (the session would send it a second time, which counts as theft
// and ends it), and do not keep it after the session is over. It is "" if the provider issued none.
func SessionTokensFrom(ctx context.Context) (idToken, refreshToken string) {
	if u := userContextFrom(ctx); u != nil && u.session != nil {
		return u.session.tokens.IDToken, u.session.tokens.RefreshToken
	}
	return "", ""
}
