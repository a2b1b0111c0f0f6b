package idserver

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/memo"
)

// AccessTokenCheck is what an access token must match, where that differs from the configuration.
type AccessTokenCheck struct {
	// Audience is the aud that the token must have. Default: Config.Audience.
	Audience string
	// Leeway is the clock skew allowed, at most 5 min; a negative one allows none. Default: Config.Provider.Leeway.
	Leeway time.Duration
}

// tokenRules are what differs between the access tokens that are taken: those of a client, and of each [Resource].
type tokenRules struct {
	audience   string
	finalSlash bool // the audience is a URL, and the token's may have a slash more or less at its end
	typed      bool // typ must be at+jwt
	leeway     time.Duration
	issuer     string              // "": that of the metadata
	holds      func(*binding) bool // whether what a token of our own is bound to is ours; nil: a token is another's
	bound      bool                // it may be bound to a key: the caller has the sender show that they hold it
	only       bool                // it must be
	resource   bool                // of a Resource: where the settings are, for the log
}

// rules are those of a configuration.
func (c *Config) rules() tokenRules {
	return tokenRules{audience: c.Audience, leeway: c.Provider.Leeway, issuer: c.Provider.AccessTokenIssuer}
}

// with returns the rules with what is checked in another way, once.
func (want tokenRules) with(check AccessTokenCheck) tokenRules {
	want.audience = cmp.Or(check.Audience, want.audience)
	want.leeway = min(max(cmp.Or(check.Leeway, want.leeway), 0), maxLeeway)
	return want
}

// trustedIssuer is the iss that access tokens must have, where ID tokens have that of the metadata.
func (want *tokenRules) trustedIssuer(ofMetadata string) string {
	return cmp.Or(want.issuer, ofMetadata)
}

// checkAudience applies RFC 7519 section 4.1.3.
func (want *tokenRules) checkAudience(audience []string) error {
	setting := "Config.Audience, IDSERVER_AUDIENCE"
	switch {
	case want.isFor(audience):
		return nil
	case want.resource:
		setting = "ResourceConfig.Identifier"
	}
	return invalidToken(ReasonAudience, "aud is %q, want %q ("+setting+")", audience, want.audience)
}

// isFor reports whether one of a token's audiences is the wanted one.
func (want *tokenRules) isFor(audience []string) bool {
	switch {
	case want.audience == "":
		return false
	case slices.Contains(audience, want.audience):
		return true
	}
	return want.finalSlash && slices.ContainsFunc(audience, func(aud string) bool {
		return strings.TrimSuffix(aud, "/") == strings.TrimSuffix(want.audience, "/")
	})
}

// validateAccessToken verifies an access token, and returns what is known of it: from memory, if the fact that its signature was verified is remembered.
func (p *provider) validateAccessToken(
	ctx context.Context, accessToken string, want tokenRules, now time.Time,
) (*proven, error) {
	if known := p.proven.Get(accessToken); known != nil {
		if issuer, ok := p.stillGood(ctx, known, accessToken, now); ok {
			wanted, err := p.issuerOf(ctx, want.trustedIssuer(issuer), known.user.Issuer, true)
			if err == nil {
				err = known.facts.check(known.user.Issuer, wanted, p.cfg.ClientID, want, now)
			}
			if err != nil {
				return nil, err
			}
			return known, nil
		}
	}
	revoked := p.revoked.Added() // a revocation from here on is noticed at the next use
	v, facts, err := p.proveAccessToken(ctx, accessToken, presented, want, now)
	if err != nil {
		return nil, err
	}
	e := new(memo.Entry[proven])
	known := &e.Value
	known.facts = facts
	known.key.Store(v.key)
	known.user.readClaims(v.Object, p.roles, false)
	known.user.shared = true
	p.warnOfClaims(ctx, "access token", v.Claims)
	if p.proven != nil {
		known.revoked.Store(revoked)
		if set, ok := p.keys.Fresh(now); ok && sameKeyIn(set, v.header, v.key) != nil {
			known.set.Store(&set[0])
		}
		p.remember(e, accessToken, v.Issuer)
	}
	return known, nil
}

// proveAccessToken verifies and checks a token that is not remembered. What it says of itself is looked at first: a token
// that is for somebody else or expired has nothing fetched for it, and is refused while the provider is away too.
func (p *provider) proveAccessToken(
	ctx context.Context, accessToken string, from provenance, want tokenRules, now time.Time,
) (v verified, facts accessFacts, err error) {
	issuer := ""
	v, err = p.verify(ctx, accessToken, from, now, func(unverified verified) (err error) {
		if facts, err = p.accessTokenFacts(unverified.Claims, unverified.header.Type); err != nil {
			return err
		}
		if err = facts.check(unverified.Issuer, unverified.Issuer, p.cfg.ClientID, want, now); err != nil { // all but the issuer
			return err
		}
		if issuer, err = p.issuer(ctx, now); err != nil {
			return err
		}
		return p.checkAccessToken(ctx, issuer, unverified, &facts, want, now)
	})
	if err != nil {
		return v, facts, err
	}
	if err := p.checkAccessToken(ctx, issuer, v, &facts, want, p.now()); err != nil {
		return v, facts, err // the keys may have taken a while
	}
	if p.isRevoked(accessToken) {
		return v, facts, invalidToken(ReasonRevoked, "it was revoked here")
	}
	return v, facts, nil
}

// checkAccessToken checks a token's issuer, and then the rest.
func (p *provider) checkAccessToken(ctx context.Context, issuer string, v verified, facts *accessFacts, want tokenRules, now time.Time) error {
	wanted, err := p.issuerOfToken(ctx, issuer, want.trustedIssuer(issuer), v)
	if err != nil {
		return err
	}
	return facts.check(v.Issuer, wanted, p.cfg.ClientID, want, now)
}

// verifyAccessToken returns the claims of an access token that the provider has just issued and that is valid here.
func (p *provider) verifyAccessToken(ctx context.Context, t *Tokens) (*claims.Claims, error) {
	want := p.cfg.rules()
	want.holds = func(b *binding) bool { return p.holds(b, t.ProofKey) }
	v, _, err := p.proveAccessToken(ctx, t.AccessToken, issuedAccessToken, want, p.now())
	return v.Claims, err
}

// holds reports whether what an access token is bound to is ours: the key that it was asked for with, and the certificate of then.
func (p *provider) holds(b *binding, proofKeyOfToken []byte) bool {
	if b.other || b.certificate != "" && (p.presenter == nil || !p.presenter.isOurs(b.certificate)) {
		return false
	}
	if b.key == "" {
		return true
	}
	key, err := proofKey(proofKeyOfToken)
	return err == nil && key != nil && b.key == key.Thumbprint()
}

// accessFacts are what is checked of an access token at each request, besides its issuer. Times are in milliseconds, to
// save memory: many of these are kept.
type accessFacts struct {
	audience                    []string
	expiry, notBefore, issuedAt int64
	plain                       bool     // nothing marks it as an access token, except that it is no other known kind
	typed                       bool     // typ is at+jwt
	bound                       *binding // nil: whoever has it may use it
}

// accessTokenFacts reads them from claims whose signature is verified, and refuses what can never be an access token: RFC
// 9068 section 4, as far as the token alone decides.
func (p *provider) accessTokenFacts(t *claims.Claims, kind string) (facts accessFacts, err error) {
	kind = strings.TrimPrefix(strings.ToLower(kind), "application/")
	if !slices.Contains([]string{"at+jwt", "jwt", ""}, kind) { // many providers send JWT, or nothing
		return facts, invalidToken(ReasonType, "typ is %q, want at+jwt", kind)
	}
	for _, name := range []string{"at_hash", "c_hash"} {
		if value := t.Get(name); value != "" && value != "null" { // an ID token must not open an API
			return facts, invalidToken(ReasonType, "it has %s, which no access token has", name)
		}
	}
	facts = accessFacts{
		audience: t.Audience, expiry: unixMilli(t.Expiry), notBefore: unixMilli(t.NotBefore), issuedAt: unixMilli(t.IssuedAt),
		typed: kind == "at+jwt", bound: bindingOf(t.Get("cnf")),
		plain: kind != "at+jwt" && !t.Has("scope") && !t.Has("scp") && !t.Has("client_id"),
	}
	use := claims.Text(t.Get("token_use")) // Cognito's
	nonce := t.Get("nonce")
	hasNonce := nonce != "" && nonce != "null"
	maybeIDToken := kind != "at+jwt" && (facts.plain || slices.Contains(t.Audience, p.cfg.ClientID))
	switch {
	case t.Has("events"): // a logout token
		return facts, invalidToken(ReasonType, "it has events, which no access token has")
	case use == "id":
		return facts, invalidToken(ReasonType, "token_use is id: it is an ID token")
	case hasNonce && maybeIDToken:
		// Keycloak before version 25 puts the nonce into access tokens too.
		return facts, invalidToken(ReasonType, "it has a nonce, as an ID token, and neither typ nor aud with a scope or client_id tells that it is an access token")
	case !t.Has("aud") && use == "access" && slices.Contains(p.cfg.Provider.AccessTokenClients, claims.Text(t.Get("client_id"))):
		facts.audience = p.audience
	}
	return facts, checkSubject(t.Subject)
}

// check applies the rest of RFC 9068 section 4: what depends on the time and on the caller.
func (f *accessFacts) check(iss, issuer, clientID string, want tokenRules, now time.Time) error {
	switch {
	case f.bound != nil && !want.bound && (want.holds == nil || !want.holds(f.bound)): // nobody is asked to show the key here
		return invalidToken(ReasonType, "it is bound to a key or a certificate (cnf), and only bearer tokens are taken here: a Resource with ResourceConfig.DPoP or MTLS has the sender show the key")
	case f.bound == nil && want.only:
		return invalidToken(ReasonType, "it is bound to no key (cnf), and only those that are bound are taken (ResourceConfig.OnlyBound)")
	case want.typed && !f.typed:
		return invalidToken(ReasonType, "typ is not at+jwt (ResourceConfig.OnlyTyped)")
	case f.plain && want.audience == clientID:
		// A token whose audience is the client is an ID token, unless it says that it is an access token.
		return invalidToken(ReasonType, "aud is the client itself, and neither typ nor scope nor client_id tells that it is an access token")
	case iss != issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", iss, issuer)
	}
	if err := want.checkAudience(f.audience); err != nil {
		return err
	}
	return checkTimes(fromUnixMilli(f.expiry), fromUnixMilli(f.notBefore), fromUnixMilli(f.issuedAt), now, want.leeway)
}
