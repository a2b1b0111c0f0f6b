package idserver

import (
	"context"
	"slices"
	"strings"
	"time"
)

// ValidateOption changes one call of ValidateToken.
type ValidateOption func(*validation)

type validation struct {
	audience string
	leeway   time.Duration
}

// WithAudience wants another aud than Config.Audience. An empty one refuses every token.
func WithAudience(aud string) ValidateOption { return func(v *validation) { v.audience = aud } }

// WithLeeway allows another difference of clocks than Config.Leeway, from 0 to 5 min.
func WithLeeway(d time.Duration) ValidateOption {
	return func(v *validation) { v.leeway = min(max(d, 0), maxLeeway) }
}

// ValidateToken verifies an access token that is a JWT (RFC 9068) and returns its user. The
// signature, iss, aud, exp, nbf, iat and sub are checked, and that it is no ID token or another kind of
// token; jti is not, nor whether it was revoked meanwhile. The error is an InvalidTokenError, or
// is ErrUnavailable when the keys cannot be had and nothing can be said of the token. There is
// no network in it once the keys are known, but for a token that names another key: then they are fetched anew, at
// most once in ten seconds.
func (c *Client) ValidateToken(ctx context.Context, accessToken string, options ...ValidateOption) (*User, error) {
	claims, err := c.verifyAccessToken(ctx, accessToken, options...)
	if err != nil {
		return nil, err
	}
	return newUser(claims.all, c.cfg.RolesClaim), nil
}

func (c *Client) verifyAccessToken(ctx context.Context, accessToken string, options ...ValidateOption) (*tokenClaims, error) {
	want := validation{audience: c.cfg.Audience, leeway: c.cfg.Leeway}
	for _, option := range options {
		option(&want)
	}
	issuer, err := c.issuer(ctx)
	if err != nil {
		return nil, err
	}
	message, claims, err := c.verify(ctx, accessToken)
	if err != nil {
		return nil, err
	}
	return claims, checkAccessToken(claims, message.Header.Type, issuer, c.cfg.ClientID, want, c.now())
}

// checkAccessToken applies RFC 9068 section 4 to claims whose signature is verified.
func checkAccessToken(t *tokenClaims, kind, issuer, clientID string, want validation, now time.Time) error {
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if !slices.Contains([]string{"at+jwt", "jwt", ""}, kind) { // many providers say JWT, or nothing
		return invalidToken(ReasonType, "typ is %q, want at+jwt", kind)
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "events"} {
		if t.has(name) { // an ID token or a logout token must not open an API
			return invalidToken(ReasonType, "it has %s, which no access token has", name)
		}
	}
	switch {
	case want.audience == clientID && kind != "at+jwt" && !t.has("scope") && !t.has("scp") && !t.has("client_id"):
		// What has the client for its audience is an ID token, unless it says what it is.
		return invalidToken(ReasonType, "aud is the client itself, and neither typ nor scope nor client_id tells that it is an access token")
	case t.Issuer != issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", t.Issuer, issuer)
	case want.audience == "" || !slices.Contains(t.Audience, want.audience):
		return invalidToken(ReasonAudience, "aud is %q, want %q (Config.Audience)", t.Audience, want.audience)
	}
	if err := checkTimes(t, now, want.leeway); err != nil {
		return err
	}
	if t.has("cnf") { // RFC 7800: bound to a key whose proof is not asked for here
		return invalidToken(ReasonType, "it is bound to a key (cnf), and came as a bearer token")
	}
	return checkSubject(t.Subject)
}
