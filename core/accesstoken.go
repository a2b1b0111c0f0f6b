package idserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/memo"
)

// AccessTokenCheck is what an access token must match, where that differs from the configuration.
type AccessTokenCheck struct {
	// Audience is the aud that the token must have. Default: Config.Audience.
	Audience string
	// Leeway is the clock skew allowed, at most 5 min; a negative one allows none. Default: Config.Provider.Leeway.
	Leeway time.Duration
}

// or fills in what is left out.
func (check AccessTokenCheck) or(audience string, leeway time.Duration) AccessTokenCheck {
	set(&check.Audience, audience)
	set(&check.Leeway, leeway)
	check.Leeway = min(max(check.Leeway, 0), maxLeeway)
	return check
}

// ValidateAccessToken verifies an access token that is a JWT (RFC 9068) and returns its user, who is shared by requests and
// must not be modified. It checks the signature, iss, aud, exp, nbf, iat and sub, and that the token is not an ID token
// or of another kind. It does not check jti, nor whether the token was revoked other than by this client. The error is an
// [InvalidTokenError]; or wraps [ErrUnavailable] if the keys are not available, so that nothing can be said about the
// token; or is ctx's. Once the keys are known, no network is used, unless a token names an unknown key, or names none and
// its signature does not verify: the keys are then fetched again, at most once in ten seconds.
//
// Only the fact that a token's signature was verified is remembered (see Config.TokenCacheBytes). Issuer, audience and
// times are compared at each call, and the key must still be in the set that the provider publishes, so that a remembered
// token is never accepted where a new verification would refuse it.
func (c *Client) ValidateAccessToken(ctx context.Context, accessToken string, check AccessTokenCheck) (*User, error) {
	return c.validate(ctx, accessToken, check, c.now())
}

func (c *Client) validate(ctx context.Context, accessToken string, check AccessTokenCheck, now time.Time) (*User, error) {
	want := check.or(c.cfg.Audience, c.cfg.Provider.Leeway)
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
func (c *Client) proveAccessToken(ctx context.Context, accessToken, issuer string, want AccessTokenCheck, now time.Time) (v verified, facts accessFacts, err error) {
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
	v, _, err := c.proveAccessToken(ctx, accessToken, issuer, AccessTokenCheck{}.or(c.cfg.Audience, c.cfg.Provider.Leeway), now)
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
func (f *accessFacts) check(iss, issuer, clientID string, want AccessTokenCheck, now time.Time) error {
	switch {
	case f.plain && want.Audience == clientID:
		// A token whose audience is the client is an ID token, unless it says that it is an access token.
		return invalidToken(ReasonType, "aud is the client itself, and neither typ nor scope nor client_id tells that it is an access token")
	case iss != issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", iss, issuer)
	case want.Audience == "" || !slices.Contains(f.audience, want.Audience):
		return invalidToken(ReasonAudience, "aud is %q, want %q (Config.Audience)", f.audience, want.Audience)
	}
	return checkTimes(fromUnixMilli(f.expiry), fromUnixMilli(f.notBefore), fromUnixMilli(f.issuedAt), now, want.Leeway)
}
