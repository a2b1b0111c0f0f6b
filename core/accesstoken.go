package idserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/memo"
)

// ValidateOption changes one call of ValidateToken.
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

// WithAudience wants another aud than Config.Audience. An empty one refuses every token.
func WithAudience(aud string) ValidateOption { return func(v *validation) { v.audience = aud } }

// WithLeeway allows another difference of clocks than Config.Leeway, from 0 to 5 min.
func WithLeeway(d time.Duration) ValidateOption {
	return func(v *validation) { v.leeway = min(max(d, 0), maxLeeway) }
}

// ValidateToken verifies an access token that is a JWT (RFC 9068) and returns its user, who is shared by requests and must
// not be changed. The signature, iss, aud, exp, nbf, iat and sub are checked, and that it is no ID token or another kind of
// token; jti is not, nor whether it was revoked elsewhere meanwhile. The error is an InvalidTokenError, or
// is ErrUnavailable when the keys cannot be had and nothing can be said of the token. There is
// no network in it once the keys are known, but for a token that names another key: then they are fetched anew, at
// most once in ten seconds.
//
// That a token's signature is good is remembered (Config.TokenCacheBytes), and nothing else is taken from memory: issuer, audience and
// times are compared at each call with what the call wants, and the key must still be in the set that the provider publishes.
// A remembered token is therefore never accepted where it would be refused anew.
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
	issuer, err := c.issuer(ctx)
	if err != nil {
		return nil, err
	}
	revoked := c.revoked.made.Load() // one that comes from here on is looked for at the next use
	v, facts, err := c.proveAccessToken(ctx, accessToken, issuer, want)
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
func (c *Client) proveAccessToken(ctx context.Context, accessToken, issuer string, want validation) (v verified, facts accessFacts, err error) {
	if v, err = c.verify(ctx, accessToken); err != nil {
		return v, facts, err
	}
	if facts, err = accessTokenFacts(v.tokenClaims, v.header.Type); err != nil {
		return v, facts, err
	}
	if err := facts.check(v.Issuer, issuer, c.cfg.ClientID, want, c.now()); err != nil {
		return v, facts, err
	}
	if c.revoked.has(accessToken) {
		return v, facts, invalidToken(ReasonRevoked, "it was revoked here")
	}
	return v, facts, nil
}

// verifyAccessToken returns the claims of an access token that is good here.
func (c *Client) verifyAccessToken(ctx context.Context, accessToken string) (*tokenClaims, error) {
	issuer, err := c.issuer(ctx)
	if err != nil {
		return nil, err
	}
	v, _, err := c.proveAccessToken(ctx, accessToken, issuer, validation{audience: c.cfg.Audience, leeway: c.cfg.Leeway})
	return v.tokenClaims, err
}

// accessFacts are what is asked of an access token at each request, beside its issuer. Times are in milliseconds: there are many
// of these.
type accessFacts struct {
	audience                    []string
	expiry, notBefore, issuedAt int64
	plain                       bool // nothing tells that it is an access token but that no other kind is known
}

// accessTokenFacts reads them from claims whose signature is verified, and refuses what can never be an access token: RFC 9068
// section 4, as far as the token alone decides.
func accessTokenFacts(t *tokenClaims, kind string) (facts accessFacts, err error) {
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if !slices.Contains([]string{"at+jwt", "jwt", ""}, kind) { // many providers say JWT, or nothing
		return facts, invalidToken(ReasonType, "typ is %q, want at+jwt", kind)
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "events"} {
		if t.has(name) { // an ID token or a logout token must not open an API
			return facts, invalidToken(ReasonType, "it has %s, which no access token has", name)
		}
	}
	if t.has("cnf") { // RFC 7800: bound to a key whose proof is not asked for here
		return facts, invalidToken(ReasonType, "it is bound to a key (cnf), and came as a bearer token")
	}
	return accessFacts{
		audience: t.Audience, expiry: unixMilli(t.Expiry), notBefore: unixMilli(t.NotBefore), issuedAt: unixMilli(t.IssuedAt),
		plain: kind != "at+jwt" && !t.has("scope") && !t.has("scp") && !t.has("client_id"),
	}, checkSubject(t.Subject)
}

// check applies the rest of RFC 9068 section 4: what the time and the one who asks decide.
func (f *accessFacts) check(iss, issuer, clientID string, want validation, now time.Time) error {
	switch {
	case f.plain && want.audience == clientID:
		// What has the client for its audience is an ID token, unless it says what it is.
		return invalidToken(ReasonType, "aud is the client itself, and neither typ nor scope nor client_id tells that it is an access token")
	case iss != issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", iss, issuer)
	case want.audience == "" || !slices.Contains(f.audience, want.audience):
		return invalidToken(ReasonAudience, "aud is %q, want %q (Config.Audience)", f.audience, want.audience)
	}
	return checkTimes(fromUnixMilli(f.expiry), fromUnixMilli(f.notBefore), fromUnixMilli(f.issuedAt), now, want.leeway)
}
