package idserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// LoadUser returns a guard that lets every request through; [UserFrom] then returns the user if one is signed in. A
// visitor whose credentials are not valid, or who cannot be verified because the provider is unavailable, or who sends an
// unsafe cross-site request, counts as not signed in.
func (c *Client) LoadUser() Guard {
	return c.sharedGuard(func(ctx context.Context, r Request) (context.Context, Answer) {
		if a := c.stillAdmitted(ctx, &r); a != nil {
			return ctx, c.goOn(&r, a.user, a.fields)
		}
		v := c.identify(ctx, &r)
		if v.user == nil {
			if a := admittedFrom(ctx); a != nil && a.client == c { // whom a guard found for other credentials, or earlier
				ctx = &admitted{Context: ctx}
			}
			return ctx, c.goOn(&r, nil, v.fields)
		}
		return c.admit(ctx, &r, &v), c.goOn(&r, v.user, v.fields)
	})
}

// RequireUser returns a guard that admits a signed-in user, identified by a bearer access token or by the session cookie.
// A browser's navigation without a session is redirected to sign in, if Config.BaseURL is set. Any other request is
// refused, with 401 if it has no valid credentials.
func (c *Client) RequireUser() Guard {
	return c.guard(CodeNotAdmitted, func(*User) bool { return true })
}

// RequireRole returns a guard that admits a signed-in user who has at least one of the roles, built-in or custom. It
// panics if a role is empty.
func (c *Client) RequireRole(role string, more ...string) Guard {
	mustBeRoles(role, more)
	return c.guard(CodeInsufficientRole, func(u *User) bool { return u.HasAnyRole(role, more...) })
}

// RequireAllRoles returns a guard that admits a signed-in user who has all of the roles, built-in or custom. It panics if
// a role is empty.
func (c *Client) RequireAllRoles(role string, more ...string) Guard {
	mustBeRoles(role, more)
	return c.guard(CodeInsufficientRole, func(u *User) bool { return u.HasAllRoles(role, more...) })
}

// RequireBuiltInRole is like [Client.RequireRole] but ignores a tenant's custom roles, whose names the tenant chooses
// freely. It panics if a role is empty.
func (c *Client) RequireBuiltInRole(role string, more ...string) Guard {
	mustBeRoles(role, more)
	return c.guard(CodeInsufficientRole, func(u *User) bool {
		return u.HasBuiltInRole(role) || slices.ContainsFunc(more, u.HasBuiltInRole)
	})
}

// Require returns a guard that admits a signed-in user for whom admit returns true; any other user is answered with 403
// and not redirected to sign in. admit must be safe for concurrent use. Require panics if it is nil.
func (c *Client) Require(admit func(*User) bool) Guard {
	if admit == nil {
		panic("idserver: Require: no predicate")
	}
	return c.guard(CodeNotAdmitted, admit)
}

// mustBeRoles panics rather than let a guard require nothing.
func mustBeRoles(role string, more []string) {
	for _, r := range append([]string{role}, more...) {
		if strings.TrimSpace(r) == "" {
			panic("idserver: a guard asks for an empty role")
		}
	}
}

// guard admits a signed-in user for whom admit is true; other is the code of the refusal for the rest. Behind another
// guard of this client it takes the user that was found there and returns the same header fields; writing an answer twice
// adds each field once.
func (c *Client) guard(other RefusalCode, admit func(*User) bool) Guard {
	return c.sharedGuard(func(ctx context.Context, r Request) (context.Context, Answer) {
		if a := c.stillAdmitted(ctx, &r); a != nil {
			if !admit(a.user) {
				return ctx, c.refuseUser(ctx, r, a.user, other, nil, a.fields...)
			}
			return ctx, c.goOn(&r, a.user, a.fields)
		}
		v := c.identify(ctx, &r)
		switch {
		case v.code == CodeNotSignedIn && v.err == nil && c.web != nil && r.isNavigation() && len(r.Authorization) == 0:
			return ctx, seeOther(c.web.signInURL(r), v.fields...)
		case v.user == nil:
			return ctx, c.refuse(ctx, r, v.code, v.err, v.fields...)
		case !admit(v.user):
			return ctx, c.refuseUser(ctx, r, v.user, other, nil, v.fields...)
		}
		return c.admit(ctx, &r, &v), c.goOn(&r, v.user, v.fields)
	})
}

// identity is the sender of a request, as far as its credentials tell.
type identity struct {
	user        *User // nil: nobody
	accessToken string
	fields      []Field     // of a session that was renewed, or is over
	code        RefusalCode // why there is no user
	err         error
	found       time.Time
	revoked     int64 // the number of revocations before
}

// goOn is the answer for a request that is let through. Unless the handler says otherwise, a page of a session is not to
// be stored: the browser's back button would show it after sign-out (which clears the cache all the same). An answer with
// cookies is not to be stored either, so that nobody else gets them.
func (c *Client) goOn(r *Request, user *User, fields []Field) Answer {
	a := Answer{Add: onlyVary}
	if len(fields) > 0 {
		a.Add = append([]Field{varyOnCredentials}, fields...)
	}
	if len(fields) > 0 || user != nil && r.isNavigation() && len(r.Authorization) == 0 {
		a.Set = onlyNoStore
	}
	return a
}

// Most requests are answered with these, which are never modified.
var (
	onlyVary    = []Field{varyOnCredentials}
	onlyNoStore = []Field{noStore}
)

// identify finds out who sent a request. If there is an Authorization header, it alone decides: a request that has one
// never counts as the browser's session.
func (c *Client) identify(ctx context.Context, r *Request) identity {
	switch {
	case len(r.Authorization) > 0:
		return c.bearer(ctx, r)
	case c.web == nil || !r.hasCookie(c.web.sessionName):
		return identity{code: CodeNotSignedIn}
	case c.web.crossSite(r):
		return identity{code: CodeCrossSite}
	}
	return c.fromSession(ctx, r)
}

// bearer identifies the user by a bearer token, RFC 6750 section 2.1.
func (c *Client) bearer(ctx context.Context, r *Request) identity {
	scheme, token, _ := strings.Cut(r.Authorization[0], " ")
	token = strings.TrimLeft(token, " ")
	switch {
	case len(r.Authorization) > 1:
		return identity{code: CodeInvalidRequest, err: errors.New("more than one Authorization header")}
	case !strings.EqualFold(scheme, "Bearer"):
		return identity{code: CodeNotSignedIn, err: errors.New("the Authorization header is not of the scheme Bearer")}
	}
	now, revoked := c.now(), c.revoked.made.Load()
	user, err := c.validate(ctx, token, AccessTokenCheck{}, now)
	switch {
	case err != nil && !isToken68(token): // only checked here because it takes longer than to recognize a token
		return identity{code: CodeInvalidRequest, err: errors.New("the Authorization header is not of the form: Bearer <access token>")}
	case errors.Is(err, ErrInvalidToken):
		return identity{code: CodeInvalidToken, err: err}
	case err != nil:
		return identity{code: CodeProviderUnavailable, err: err}
	}
	return identity{user: user, accessToken: token, found: now, revoked: revoked}
}

// isToken68 reports whether s can be a bearer token, RFC 6750 section 2.1.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	return body != "" && !strings.ContainsFunc(body, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._~+/", c))
	})
}

// fromSession identifies the user by the session cookie, and renews the session when that is due.
func (c *Client) fromSession(ctx context.Context, r *Request) identity {
	now, revoked := c.now(), c.revoked.made.Load()
	s, renew := c.loadSession(*r, now)
	if s == nil {
		return identity{code: CodeNotSignedIn, fields: c.dropSession(*r)}
	}
	next, err := c.refresh(ctx, s)
	if errors.Is(err, errLeft) {
		return identity{code: CodeProviderUnavailable, err: err}
	}
	if err != nil {
		c.cfg.Logger.InfoContext(ctx, "idserver: the session is over", "subject", s.user.Subject, "error", err)
		return identity{code: CodeNotSignedIn, fields: c.dropSession(*r)}
	}
	if next == nil && renew {
		next = newSession(s.user, s.tokens, s.signedIn, now)
	}
	if next == nil {
		return identity{user: s.user, accessToken: s.tokens.AccessToken, found: now, revoked: revoked}
	}
	fields, err := c.saveSession(*r, next)
	if err != nil {
		return identity{code: CodeInternal, err: err}
	}
	return identity{user: next.user, accessToken: next.tokens.AccessToken, fields: fields, found: now, revoked: revoked}
}

// signInURL returns where to send a navigation that needs a user, with the way back.
func (w *web) signInURL(r Request) string {
	target := w.asSeen(r)
	if p, _, _ := strings.Cut(target, "?"); p == w.path("/login") { // a sign-in that was not completed: the page that it was for
		query, _ := url.ParseQuery(r.RawQuery)
		target = query.Get("return_to")
	}
	if w.returnTo(target) == "" {
		return w.path("/login")
	}
	return w.path("/login") + "?return_to=" + url.QueryEscape(target)
}

// userInfoRoute answers /userinfo: it tells a front end who is signed in. The answer never contains a token and is never
// a redirect.
func (c *Client) userInfoRoute(ctx context.Context, r Request) Answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return c.refuse(ctx, r, CodeMethodNotAllowed, nil)
	}
	v := c.identify(ctx, &r)
	if v.user == nil {
		return c.refuse(ctx, r, v.code, v.err, v.fields...)
	}
	var shown any = v.user
	if c.cfg.UserInfoResponse != nil {
		var err error
		if shown, err = c.cfg.UserInfoResponse(c.admit(ctx, &r, &v), v.user); err != nil {
			code := codeOf(err)
			if refused := (*UserInfoError)(nil); errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
				code = CodeInvalidToken // the access token has expired and the session has not: signing in brings a new one
			}
			return c.refuse(ctx, r, code, err, v.fields...)
		}
	}
	a, err := jsonAnswer(shown, v.fields...)
	if err != nil {
		return c.refuse(ctx, r, CodeInternal, err, v.fields...)
	}
	return a
}
