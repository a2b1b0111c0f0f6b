package idserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/jose"
)

// IDTokenCheck is what an ID token must match, besides the configuration.
type IDTokenCheck struct {
	// Nonce is that of the authorization request. It may be empty only for an ID token that came with a refresh, and
	// Subject is then required. [Client.RefreshToken] compares a nonce in such a token with that of the sign-in (OpenID
	// Connect Core section 12.2); ValidateIDToken does not.
	Nonce string
	// Code is the authorization code that the ID token was issued for. If set, it is compared with c_hash, if the ID token has
	// that.
	Code string
	// AccessToken is the one issued together with the ID token. It is compared with at_hash, if the ID token has that.
	AccessToken string
	// Subject, if set, must be the token's sub: at a refresh, the user who signed in.
	Subject string
	// MaxAge is the max_age of the authorization request; 0 means that none was sent.
	MaxAge time.Duration
	// ACR are the authentication context class references that were asked for; the token's acr must be one of them. Empty means
	// that it does not matter.
	ACR []string
}

// String describes the check without the nonce and the access token.
func (c IDTokenCheck) String() string {
	return fmt.Sprintf("idserver.IDTokenCheck{Subject: %q, MaxAge: %v, ACR: %q}", c.Subject, c.MaxAge, c.ACR)
}

// maxIDTokenAge limits how long ago an ID token may have been issued when it is first seen.
const maxIDTokenAge = 10 * time.Minute

// firstIDToken is what later ID tokens of a session are compared with, OpenID Connect Core section 12.2. Zero values are not
// known.
type firstIDToken struct {
	nonce    string // a hash of it
	authTime time.Time
	acr      string // the newest: a refresh may tell another
}

// hashOfNonce returns what is kept of a nonce: 128 bits, in 22 characters.
func hashOfNonce(nonce string) string {
	sum := sha256.Sum256([]byte("nonce\x00" + nonce))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// firstOf returns what is to be remembered of the ID token of a sign-in.
func firstOf(t *claims.Claims) (first firstIDToken) {
	if t.Nonce != nil {
		first.nonce = hashOfNonce(*t.Nonce)
	}
	first.authTime, first.acr = t.AuthTime, claims.Text(t.Get("acr"))
	return first
}

// check compares the ID token of a refresh. It need not have either claim; one that it has must be that of the sign-in.
// Times may be rounded differently.
func (first firstIDToken) check(t *claims.Claims) error {
	switch {
	case first.nonce != "" && t.Nonce != nil && subtle.ConstantTimeCompare([]byte(hashOfNonce(*t.Nonce)), []byte(first.nonce)) != 1:
		return invalidToken(ReasonNonce, "nonce is not that of the sign-in")
	case !first.authTime.IsZero() && !t.AuthTime.IsZero() && t.AuthTime.Sub(first.authTime).Abs() > time.Second:
		return invalidToken(ReasonAuthTime, "auth_time is not that of the sign-in: it differs by %v", t.AuthTime.Sub(first.authTime))
	}
	return nil
}

// opened returns the signed token in an encrypted one, OpenID Connect Core section 3.1.3.7 step 1. With keys that decrypt,
// nothing else is taken: whoever registered encryption does not want it left out.
func (p *provider) opened(token string) (string, error) {
	if len(p.clientKeys.openers) == 0 {
		return token, nil
	}
	signed, err := jose.Open(token, p.clientKeys.openers)
	switch {
	case errors.As(err, new(*jose.KeyError)):
		return "", cannotJudge(err)
	case err != nil:
		return "", &InvalidTokenError{ReasonEncryption, err}
	}
	return signed, nil
}

// verifyIDToken verifies an ID token as OpenID Connect Core section 3.1.3.7 prescribes. One that did not come straight from
// the provider is also checked before anything is fetched for it.
func (p *provider) verifyIDToken(ctx context.Context, idToken string, check IDTokenCheck, from provenance) (*claims.Claims, error) {
	issuer, err := p.issuer(ctx, p.now())
	if err != nil {
		return nil, err
	}
	rules := func(v verified) error {
		wanted, err := p.issuerOfToken(ctx, issuer, issuer, v)
		if err != nil {
			return err
		}
		return checkIDToken(v.Claims, idTokenRules{
			IDTokenCheck: check, issuer: wanted, clientID: p.cfg.ClientID, now: p.now(), leeway: p.cfg.Provider.Leeway,
			algorithm: v.header.Algorithm, kind: v.header.Type,
		})
	}
	before := rules
	if from != presented {
		before = nil
	}
	v, err := p.verify(ctx, idToken, from, p.now(), before) // steps 1 and 6 to 8
	if err != nil {
		return nil, err
	}
	if err = rules(v); err == nil {
		p.warnOfClaims(ctx, "ID token", v.Claims)
	}
	return v.Claims, err
}

// idTokenRules are what checkIDToken compares with.
type idTokenRules struct {
	IDTokenCheck
	issuer, clientID string
	now              time.Time
	leeway           time.Duration
	algorithm, kind  string // the header's alg and typ
}

// checkIDToken applies OpenID Connect Core section 3.1.3.7, in its order, to claims whose signature is verified. Steps 1
// and 6 to 8 are done in opened and verify: the algorithm is the key's, and it is never a MAC.
func checkIDToken(t *claims.Claims, want idTokenRules) error {
	if err := checkParties(t, want); err != nil { // steps 2 to 5
		return err
	}
	if err := checkTimes(t.Expiry, t.NotBefore, t.IssuedAt, want.now, want.leeway); err != nil { // steps 9 and 10
		return err
	}
	if err := checkAttempt(t, want); err != nil { // steps 10 to 13
		return err
	}
	return checkSubject(t.Subject)
}

// checkParties checks of what kind the token is, who issued it and for whom.
func checkParties(t *claims.Claims, want idTokenRules) error {
	audience := slices.Compact(slices.Sorted(slices.Values(t.Audience))) // some name one twice
	for _, name := range []string{"azp", "nonce", "at_hash", "c_hash", "iat"} {
		if t.Odd(name) {
			return invalidToken(ReasonMalformed, "%s is of a wrong type, or out of range", name)
		}
	}
	switch {
	case !slices.Contains([]string{"", "jwt", "application/jwt"}, strings.ToLower(want.kind)): // RFC 8725 section 3.11
		return invalidToken(ReasonType, "typ is %q, want JWT", want.kind)
	case t.Has("events"): // a logout token
		return invalidToken(ReasonType, "it has events, as a logout token")
	case t.Issuer != want.issuer: // step 2
		return invalidToken(ReasonIssuer, "iss is %q, want %q", t.Issuer, want.issuer)
	case want.clientID == "" || !slices.Contains(t.Audience, want.clientID): // step 3
		return invalidToken(ReasonAudience, "aud is %q, want %q", t.Audience, want.clientID)
	case len(audience) > 1 && t.AuthorizedParty == nil: // step 4
		return invalidToken(ReasonAuthorizedParty, "aud is %q and there is no azp", t.Audience)
	case t.AuthorizedParty != nil && *t.AuthorizedParty != want.clientID: // step 5
		return invalidToken(ReasonAuthorizedParty, "azp is %q, want %q", *t.AuthorizedParty, want.clientID)
	}
	return nil
}

// checkAttempt checks that the token belongs to this attempt to sign in, or to this user's refresh.
func checkAttempt(t *claims.Claims, want idTokenRules) error {
	switch {
	case t.IssuedAt.IsZero(): // step 10
		return invalidToken(ReasonIssuedAt, "no iat")
	case want.now.After(t.IssuedAt.Add(maxIDTokenAge + want.leeway)): // step 10
		return invalidToken(ReasonIssuedAt, "iat was %v ago, want at most %v", want.now.Sub(t.IssuedAt).Round(time.Second), maxIDTokenAge)
	case want.Nonce == "" && want.Subject == "":
		return invalidToken(ReasonNonce, "no nonce was sent")
	case want.Nonce != "" && t.Nonce == nil: // step 11
		return invalidToken(ReasonNonce, "there is no nonce in it, and one was sent")
	case !sameNonce(t.Nonce, want.Nonce): // step 11
		return invalidToken(ReasonNonce, "nonce is not the one that was sent")
	case len(want.ACR) > 0 && !slices.Contains(want.ACR, claims.Text(t.Get("acr"))): // step 12
		return invalidToken(reasonACR, "acr is %q, want one of %q", endpoint.Printable(claims.Text(t.Get("acr")), maxRoleText), want.ACR)
	case want.MaxAge > 0 && t.AuthTime.IsZero(): // step 13
		return invalidToken(ReasonAuthTime, "max_age was sent, and there is no auth_time")
	case want.MaxAge > 0 && want.now.After(t.AuthTime.Add(want.MaxAge+want.leeway)): // step 13
		return invalidToken(ReasonAuthTime, "auth_time was %v ago, want at most %v", want.now.Sub(t.AuthTime).Round(time.Second), want.MaxAge)
	case want.MaxAge > 0 && want.now.Add(want.leeway).Before(t.AuthTime): // it would count for longer than it may
		return invalidToken(ReasonAuthTime, "auth_time is in %v", t.AuthTime.Sub(want.now).Round(time.Second))
	case t.AccessTokenHash != nil && !sameHash(*t.AccessTokenHash, want.AccessToken, want.algorithm): // section 3.1.3.8
		return invalidToken(ReasonAccessTokenHash, "at_hash is not the access token's")
	case want.Code != "" && t.CodeHash != nil && !sameHash(*t.CodeHash, want.Code, want.algorithm): // section 3.3.2.11
		return invalidToken(reasonCodeHash, "c_hash is not the code's")
	case want.Subject != "" && t.Subject != want.Subject: // section 12.2
		return invalidToken(ReasonSubject, "sub is not the one that signed in")
	}
	return nil
}

// sameNonce compares in constant time. If none was sent (a refresh), the ID token need not have one; what it has is
// compared by firstIDToken.
func sameNonce(got *string, want string) bool {
	if want == "" {
		return true
	}
	return got != nil && subtle.ConstantTimeCompare([]byte(*got), []byte(want)) == 1
}

// sameHash compares at_hash or c_hash with the left half of the hash of a token or code, sections 3.1.3.6 and 3.3.2.11.
func sameHash(hash, of, algorithm string) bool {
	h := jose.Hash(algorithm).New()
	h.Write([]byte(of))
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	return of != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(want)) == 1
}
