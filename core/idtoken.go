package idserver

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/jose"
)

// IDTokenCheck is what an ID token must match, besides the configuration.
type IDTokenCheck struct {
	// Nonce is that of the authorization request. It may be empty only for an ID token that came with a refresh, and
	// Subject is then required: the nonce is not compared again (OpenID Connect Core section 12.2).
	Nonce string
	// AccessToken is the one issued together with the ID token. It is compared with at_hash, if the ID token has that.
	AccessToken string
	// Subject, if set, must be the token's sub: at a refresh, the user who signed in.
	Subject string
	// MaxAge is the max_age of the authorization request; 0 means that none was sent.
	MaxAge time.Duration
}

// String describes the check without the nonce and the access token.
func (c IDTokenCheck) String() string {
	return fmt.Sprintf("idserver.IDTokenCheck{Subject: %q, MaxAge: %v}", c.Subject, c.MaxAge)
}

// maxIDTokenAge limits how long ago an ID token may have been issued when it is first seen.
const maxIDTokenAge = 10 * time.Minute

// verifyIDToken verifies an ID token as OpenID Connect Core section 3.1.3.7 prescribes. One that did not come straight from
// the provider is also checked before anything is fetched for it.
func (p *provider) verifyIDToken(ctx context.Context, idToken string, check IDTokenCheck, from provenance) (*claims.Claims, error) {
	issuer, err := p.issuer(ctx, p.now())
	if err != nil {
		return nil, err
	}
	rules := func(v verified) error {
		return checkIDToken(v.Claims, idTokenRules{
			IDTokenCheck: check, issuer: issuer, clientID: p.cfg.ClientID, now: p.now(), leeway: p.cfg.Provider.Leeway,
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
	return v.Claims, rules(v)
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
// and 6 to 8 are done in verify: no encryption was asked for, the algorithm is the key's, and it is never a MAC. Step 12
// does not apply: no acr is requested as essential.
func checkIDToken(t *claims.Claims, want idTokenRules) error {
	switch {
	case !slices.Contains([]string{"", "jwt"}, strings.ToLower(want.kind)): // RFC 8725 section 3.11
		return invalidToken(ReasonType, "typ is %q, want JWT", want.kind)
	case t.Has("events"): // a logout token
		return invalidToken(ReasonType, "it has events, as a logout token")
	case t.Issuer != want.issuer: // step 2
		return invalidToken(ReasonIssuer, "iss is %q, want %q", t.Issuer, want.issuer)
	case want.clientID == "" || !slices.Contains(t.Audience, want.clientID): // step 3
		return invalidToken(ReasonAudience, "aud is %q, want %q", t.Audience, want.clientID)
	case len(t.Audience) > 1 && t.AuthorizedParty == nil: // step 4
		return invalidToken(ReasonAuthorizedParty, "aud is %q and there is no azp", t.Audience)
	case t.AuthorizedParty != nil && *t.AuthorizedParty != want.clientID: // step 5
		return invalidToken(ReasonAuthorizedParty, "azp is %q, want %q", *t.AuthorizedParty, want.clientID)
	}
	if err := checkTimes(t.Expiry, t.NotBefore, t.IssuedAt, want.now, want.leeway); err != nil { // steps 9 and 10
		return err
	}
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
	case want.MaxAge > 0 && t.AuthTime.IsZero(): // step 13
		return invalidToken(ReasonAuthTime, "max_age was sent, and there is no auth_time")
	case want.MaxAge > 0 && want.now.After(t.AuthTime.Add(want.MaxAge+want.leeway)): // step 13
		return invalidToken(ReasonAuthTime, "auth_time was %v ago, want at most %v", want.now.Sub(t.AuthTime).Round(time.Second), want.MaxAge)
	case t.AccessTokenHash != nil && !sameHash(*t.AccessTokenHash, want.AccessToken, want.algorithm): // section 3.1.3.8
		return invalidToken(ReasonAccessTokenHash, "at_hash is not the access token's")
	case want.Subject != "" && t.Subject != want.Subject: // section 12.2
		return invalidToken(ReasonSubject, "sub is not the one that signed in")
	}
	return checkSubject(t.Subject)
}

// sameNonce compares in constant time. If none was sent (a refresh), the ID token need not have one; it may repeat that
// of the sign-in (section 12.2), which is not kept, so that it cannot be compared.
func sameNonce(got *string, want string) bool {
	if want == "" {
		return true
	}
	return got != nil && subtle.ConstantTimeCompare([]byte(*got), []byte(want)) == 1
}

// sameHash compares at_hash with the left half of the access token's hash, section 3.1.3.6.
func sameHash(atHash, accessToken, algorithm string) bool {
	h := jose.Hash(algorithm).New()
	h.Write([]byte(accessToken))
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	return accessToken != "" && subtle.ConstantTimeCompare([]byte(atHash), []byte(want)) == 1
}
