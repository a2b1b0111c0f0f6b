package idserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/jose"
)

// LoadUser returns a guard that lets every request through; [UserFrom] then returns the user if one is signed in. A
// visitor whose credentials are not valid, or who cannot be verified because the provider is unavailable, or who sends an
// unsafe cross-site request, counts as not signed in.
func (c *Client) LoadUser() Guard {
	return c.cors.guard(func(ctx context.Context, r Request) (context.Context, Answer) {
		before := userContextFrom(ctx)
		if c.isCurrent(before, &r) {
			return ctx, before.again(&r)
		}
		v, err := c.sender(ctx, before, &r)
		if err == nil {
			return c.behindIn(ctx, before, &r, &v), c.passOn(&r, v.user, v.fields)
		}
		a := c.passOn(&r, nil, denialOf(err).fields)
		if before != nil && before.client == c {
			return &userContext{Context: ctx}, a // not whom a guard found for other credentials, or earlier
		}
		a.SameContext = true
		return ctx, a
	})
}

// RequireUser returns a guard that admits a signed-in user, identified by a bearer access token or by the session cookie.
// A browser's navigation without a session is redirected to sign in, if Config.BaseURL is set. Any other request is
// refused, with 401 if it has no valid credentials.
func (c *Client) RequireUser() Guard {
	return c.guard(requirement{code: CodeNotAdmitted, met: func(*User) bool { return true }})
}

// RequireRole returns a guard that admits a signed-in user who has at least one of the roles, built-in or custom. It
// panics if a role is empty.
func (c *Client) RequireRole(role string, more ...string) Guard {
	return c.guard(requireRoles((*User).HasAnyRole, role, more))
}

// RequireAllRoles returns a guard that admits a signed-in user who has all of the roles, built-in or custom. It panics if
// a role is empty.
func (c *Client) RequireAllRoles(role string, more ...string) Guard {
	return c.guard(requireRoles((*User).HasAllRoles, role, more))
}

// RequireBuiltInRole is like [Client.RequireRole] but ignores a tenant's custom roles, whose names the tenant chooses
// freely. It panics if a role is empty.
func (c *Client) RequireBuiltInRole(role string, more ...string) Guard {
	return c.guard(requireRoles((*User).HasAnyBuiltInRole, role, more))
}

// RequireAllBuiltInRoles is like [Client.RequireAllRoles] but ignores a tenant's custom roles. It panics if a role is
// empty.
func (c *Client) RequireAllBuiltInRoles(role string, more ...string) Guard {
	return c.guard(requireRoles((*User).HasAllBuiltInRoles, role, more))
}

// Require returns a guard that admits a signed-in user for whom admit returns true; any other user is answered with 403
// and not redirected to sign in. admit must be safe for concurrent use. Require panics if it is nil.
func (c *Client) Require(admit func(*User) bool) Guard {
	if admit == nil {
		panic("idserver: Require: no predicate")
	}
	return c.guard(requirement{code: CodeNotAdmitted, met: admit})
}

// requirement is what a guard requires of a signed-in user.
type requirement struct {
	code         RefusalCode // of the refusal for a user for whom met is false
	roles        []string    // that were wanted, for the log
	scopes, tell []string    // that were wanted, for the log; and those to ask for
	met          func(*User) bool

	authentication *Authentication // that was wanted
	tenant         *string
}

// requireRoles requires the roles, of which a user must have what has asks for. It panics rather than let a guard require
// nothing.
func requireRoles(has func(u *User, role string, more ...string) bool, role string, more []string) requirement {
	roles := append([]string{role}, more...)
	for _, r := range roles {
		if strings.TrimSpace(r) == "" {
			panic("idserver: a guard asks for an empty role")
		}
	}
	return requirement{
		code: CodeInsufficientRole, roles: roles,
		met: func(u *User) bool { return has(u, roles[0], roles[1:]...) },
	}
}

// refuse refuses a user who does not meet the requirement. The log tells which roles were wanted and which are held.
func (q *requirement) refuse(u *User, fields []Field) error {
	d := &denial{code: q.code, user: u, fields: fields}
	switch {
	case q.scopes != nil:
		q.refuseScope(u, d)
	case q.authentication != nil:
		q.authentication.refuse(u, d)
	case q.tenant != nil:
		refuseTenant(u, *q.tenant, d)
	case q.roles != nil:
		d.log = []slog.Attr{slog.Any("wanted", q.roles), slog.Any("roles", listed(u.Roles)), slog.Any("custom_roles", listed(u.CustomRoles))}
	}
	return d
}

// Limits on what a log line tells of the roles that somebody has: a token may hold thousands, and each request writes one.
const (
	maxListed   = 32
	maxRoleText = 64 // bytes
)

// listed returns roles for the log.
func listed(roles []string) []string {
	all := make([]string, 0, min(len(roles), maxListed+1))
	for _, role := range roles[:min(len(roles), maxListed)] {
		all = append(all, endpoint.Cut(role, maxRoleText))
	}
	if more := len(roles) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return all
}

// guard admits a signed-in user who meets a requirement.
func (c *Client) guard(q requirement) Guard {
	return c.cors.guard(func(ctx context.Context, r Request) (context.Context, Answer) {
		behind, a, err := c.check(ctx, &r, &q)
		if err != nil {
			if _, ok := trialIn(ctx); ok {
				return ctx, c.deny(err)
			}
			return ctx, c.refuse(ctx, &r, err)
		}
		return behind, a
	})
}

// check decides whether a request may pass. Behind another guard of this client it takes the user that was found there
// and returns the same header fields; writing an answer twice adds each field once.
func (c *Client) check(ctx context.Context, r *Request, q *requirement) (context.Context, Answer, error) {
	before := userContextFrom(ctx)
	if c.isCurrent(before, r) {
		if !q.met(before.user) {
			return c.unmet(ctx, r, q, before.user, before.fields)
		}
		return ctx, before.again(r), nil
	}
	v, err := c.sender(ctx, before, r)
	if err != nil {
		if toSignIn := c.signInInstead(r, err); toSignIn != "" {
			return ctx, seeOther(toSignIn, denialOf(err).fields...), nil
		}
		return ctx, Answer{}, err
	}
	if !q.met(v.user) {
		return c.unmet(ctx, r, q, v.user, v.fields)
	}
	return c.behindIn(ctx, before, r, &v), c.passOn(r, v.user, v.fields), nil
}

// unmet answers for a user who does not meet a requirement: a browser is sent to sign in again, if that may help.
func (c *Client) unmet(ctx context.Context, r *Request, q *requirement, u *User, fields []Field) (context.Context, Answer, error) {
	if toSignIn := c.stepUpInstead(r, q.authentication); toSignIn != "" {
		a := seeOther(toSignIn, fields...)
		a.stepsUp = true
		return ctx, a, nil
	}
	return ctx, Answer{}, q.refuse(u, fields)
}

// sender finds out who sent a request: in a trial of [AnyOf], once.
func (c *Client) sender(ctx context.Context, before *userContext, r *Request) (identity, error) {
	if before.inTrial() {
		return before.trial.identify(ctx, c, r)
	}
	return c.identify(ctx, r)
}

// behindIn returns the context behind a guard, and in a trial still in that.
func (c *Client) behindIn(ctx context.Context, before *userContext, r *Request, v *identity) context.Context {
	behind := c.behind(ctx, r, v)
	if before.inTrial() {
		behind.trial = before.trial
	}
	return behind
}

// again is the answer of a guard behind the one that found the user.
func (u *userContext) again(r *Request) Answer {
	a := u.client.passOn(r, u.user, u.fields)
	a.SameContext = true
	return a
}

// signInInstead returns where to send a navigation that has no credentials at all; "" for any other request, which is
// refused.
func (c *Client) signInInstead(r *Request, err error) string {
	d := denialOf(err)
	lacksCredentials := d.code == CodeNotSignedIn && d.err == nil && !r.hasAuthorization()
	if !lacksCredentials || !r.isVisit() {
		return ""
	}
	return c.site.signInURL(*r)
}

// identity is the sender of a request.
type identity struct {
	user        *User
	by          *Client // whose provider issued the token; nil: the client's that the guard is of
	typed       *typedClaims
	accessToken string
	session     *session // nil: a bearer token
	until       int64    // when the bearer token is over, in milliseconds, with the leeway
	fields      []Field  // of a session that was renewed, or the next nonce of proofs
	found       time.Time
	revoked     int64 // the number of revocations before
}

// notSignedIn refuses a request without credentials, which most are on a public page.
var notSignedIn = &denial{code: CodeNotSignedIn}

// identify finds out who sent a request. If there is an Authorization header, it alone decides: a request that has one
// never counts as the browser's session.
func (c *Client) identify(ctx context.Context, r *Request) (identity, error) {
	if r.Method == http.MethodGet && r.hasBody() && r.isHandshake() { // who takes the connection over would read it as data
		return identity{}, refused(CodeInvalidHandshake, nil)
	}
	if lines := r.values(c.header); len(lines) > 0 {
		return c.bearer(ctx, r, lines)
	}
	return c.site.identify(ctx, *r)
}

// bearer identifies the user by a bearer token, RFC 6750 section 2.1, or by one that is bound to a key.
func (c *Client) bearer(ctx context.Context, r *Request, lines []string) (v identity, err error) {
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimLeft(token, " ")
	if c.header != authorization && token == "" { // a field of its own may hold the token alone
		scheme, token = "Bearer", lines[0]
	}
	byProof := c.takesProofs() && strings.EqualFold(scheme, dpopType)
	switch {
	case len(lines) > 1:
		return v, refused(CodeInvalidRequest, errors.New("more than one "+c.header+" header"))
	case !byProof && strings.EqualFold(scheme, dpopType):
		return v, refused(CodeNotSignedIn, errors.New("the "+c.header+" header is of the scheme DPoP, which a Resource with ResourceConfig.DPoP takes"))
	case !byProof && !strings.EqualFold(scheme, "Bearer"):
		return v, refused(CodeNotSignedIn, errors.New("the "+c.header+" header is not of the scheme Bearer"))
	}
	now := c.cfg.Now()
	by, known, revoked, err := c.judge(ctx, token, c.possession != nil, now)
	switch {
	case err != nil && len(token) <= jose.MaxToken && !isToken68(token): // checked last: to recognize a token takes less time
		return v, refused(CodeInvalidRequest, errors.New("the "+c.header+" header is not of the form: Bearer <access token>"))
	case errors.Is(err, ErrInvalidToken):
		return v, refused(CodeInvalidToken, err)
	case misconfigured(err):
		return v, refused(CodeProviderMisconfigured, err)
	case err != nil:
		return v, refused(CodeProviderUnavailable, err)
	}
	if c.possession != nil {
		if v.fields, err = c.possession.check(ctx, r, token, known.facts.bound, byProof, c.provenIn(ctx, r), now); err != nil {
			return v, err
		}
	}
	until := known.facts.expiry + by.tokens.leeway.Milliseconds()
	return identity{user: &known.user, typed: &known.typed, by: by, accessToken: token, until: until, fields: v.fields, found: now, revoked: revoked}, nil
}

// isToken68 reports whether s can be a bearer token, RFC 6750 section 2.1.
func isToken68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		c := body[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~+/", c) >= 0) {
			return false
		}
	}
	return body != ""
}
