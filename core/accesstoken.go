package idserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/memo"
)

// ValidateOption changes one call of [Client.ValidateToken].
type ValidateOption func(*validation)

type validation struct {
	audience string
	leeway   time.Duration
}

func (v validation) with(options []ValidateOption) validation {
	for _, option := range options {
		option(&v)
	}
	return v
}

// WithAudience requires this aud instead of Config.Audience. An empty one refuses every token.
func WithAudience(aud string) ValidateOption { return func(v *validation) { v.audience = aud } }

// WithLeeway allows this clock skew instead of Config.Leeway, clamped to between 0 and 5 min.
func WithLeeway(d time.Duration) ValidateOption {
	return func(v *validation) { v.leeway = min(max(d, 0), maxLeeway) }
}

// ValidateToken verifies an access token that is a JWT (RFC 9068) and returns its user, who is shared by requests and
// must not be modified. It checks the signature, iss, aud, exp, nbf, iat and sub, and that the token is not an ID token
// or of another kind. It does not check jti, nor whether the token was revoked other than by this client. The error is an
// [InvalidTokenError]; or wraps [ErrUnavailable] if the keys are not available, so that nothing can be said about the
// token; or is ctx's. Once the keys are known, no network is used, unless a token names an unknown key, or names none and
// its signature does not verify: the keys are then fetched again, at most once in ten seconds.
//
// Only the fact that a token's signature was verified is remembered (see Config.TokenCacheBytes). Issuer, audience and
// times are compared at each call, and the key must still be in the set that the provider publishes, so that a remembered
// token is never accepted where a new verification would refuse it.
func (c *Client) ValidateToken(ctx context.Context, accessToken string, options ...ValidateOption) (*User, error) {
	return c.validate(ctx, accessToken, c.now(), options...)
}

func (c *Client) validate(ctx context.Context, accessToken string, now time.Time, options ...ValidateOption) (*User, error) {
	want := validation{audience: c.cfg.Audience, leeway: c.cfg.Leeway}
	if len(options) > 0 {
		want = want.with(options)
	}
	if p := c.proven.Get(accessToken); p != nil {
		if issuer, ok := c.stillGood(ctx, p, accessToken, now); ok {
			if err := p.facts.check(p.user.Issuer, issuer, c.cfg.ClientID, want, now); err != nil {
				return nil, err
			}
			return &p.user, nil
		}
	}
	issuer, err := c.issuer(ctx, now)
	if err != nil {
		return nil, err
	}
	revoked := c.revoked.made.Load() // a revocation from here on is noticed at the next use
	v, facts, err := c.proveAccessToken(ctx, accessToken, issuer, want, now)
	if err != nil {
		return nil, err
	}
	e := new(memo.Entry[proven])
	p := &e.Value
	p.facts = facts
	p.key.Store(v.key)
	p.user.fill(v.Object, c.cfg.RolesClaim)
	p.user.shared = true
	if c.proven != nil {
		p.revoked.Store(revoked)
		if set, ok := c.keys.Fresh(now); ok && meant(set, v.header, v.key) != nil {
			p.set.Store(&set[0])
		}
		c.remember(e, accessToken, issuer)
	}
	return &p.user, nil
}

// proveAccessToken verifies and checks a token that is not remembered.
func (c *Client) proveAccessToken(ctx context.Context, accessToken, issuer string, want validation, now time.Time) (v verified, facts accessFacts, err error) {
	if v, err = c.verify(ctx, accessToken, now); err != nil {
		return v, facts, err
	}
	if facts, err = accessTokenFacts(v.tokenClaims, v.header.Type); err != nil {
		return v, facts, err
	}
	if err := facts.check(v.Issuer, issuer, c.cfg.ClientID, want, c.now()); err != nil { // the keys may have taken a while
		return v, facts, err
	}
	if c.revoked.has(accessToken) {
		return v, facts, invalidToken(ReasonRevoked, "it was revoked here")
	}
	return v, facts, nil
}

// verifyAccessToken returns the claims of an access token that is valid here.
func (c *Client) verifyAccessToken(ctx context.Context, accessToken string) (*tokenClaims, error) {
	now := c.now()
	issuer, err := c.issuer(ctx, now)
	if err != nil {
		return nil, err
	}
	v, _, err := c.proveAccessToken(ctx, accessToken, issuer, validation{audience: c.cfg.Audience, leeway: c.cfg.Leeway}, now)
	return v.tokenClaims, err
}

// accessFacts are what is checked of an access token at each request, besides its issuer. Times are in milliseconds, to
// save memory: many of these are kept.
type accessFacts struct {
	audience                    []string
	expiry, notBefore, issuedAt int64
	plain                       bool // nothing marks it as an access token, except that it is no other known kind
}

// accessTokenFacts reads them from claims whose signature is verified, and refuses what can never be an access token: RFC
// 9068 section 4, as far as the token alone decides.
func accessTokenFacts(t *tokenClaims, kind string) (facts accessFacts, err error) {
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if !slices.Contains([]string{"at+jwt", "jwt", ""}, kind) { // many providers send JWT, or nothing
		return facts, invalidToken(ReasonType, "typ is %q, want at+jwt", kind)
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "events"} {
		if t.has(name) { // an ID token or a logout token must not open an API
			return facts, invalidToken(ReasonType, "it has %s, which no access token has", name)
		}
	}
	if t.has("cnf") { // RFC 7800: bound to a key, of which no proof is asked for here
		return facts, invalidToken(ReasonType, "it is bound to a key (cnf), and came as a bearer token")
	}
	return accessFacts{
		audience: t.Audience, expiry: unixMilli(t.Expiry), notBefore: unixMilli(t.NotBefore), issuedAt: unixMilli(t.IssuedAt),
		plain: kind != "at+jwt" && !t.has("scope") && !t.has("scp") && !t.has("client_id"),
	}, checkSubject(t.Subject)
}

// check applies the rest of RFC 9068 section 4: what depends on the time and on the caller.
func (f *accessFacts) check(iss, issuer, clientID string, want validation, now time.Time) error {
	switch {
	case f.plain && want.audience == clientID:
		// A token whose audience is the client is an ID token, unless it says that it is an access token.
		return invalidToken(ReasonType, "aud is the client itself, and neither typ nor scope nor client_id tells that it is an access token")
	case iss != issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", iss, issuer)
	case want.audience == "" || !slices.Contains(f.audience, want.audience):
		return invalidToken(ReasonAudience, "aud is %q, want %q (Config.Audience)", f.audience, want.audience)
	}
	return checkTimes(fromUnixMilli(f.expiry), fromUnixMilli(f.notBefore), fromUnixMilli(f.issuedAt), now, want.leeway)
}
