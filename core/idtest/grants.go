package idtest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"
)

// grant is what one sign-in gave a client. When it is revoked, so is every token made from it.
type grant struct {
	client, login, scope string
	resource             string // that the access tokens are for; empty: Options.Audience
	sid                  string
	acr                  string
	authTime             time.Time
	asked                bool // for an acr or max_age: access tokens tell how the person was authenticated
	revoked              bool
	jkt                  string // the key of the refresh tokens of a public client
	told                 bool   // its client knows that the session has ended
}

type code struct {
	grant                         *grant
	redirectURI, challenge, nonce string
	jkt                           string // the key that it is bound to, RFC 9449 section 10
	expires                       time.Time
	used                          bool
}

type issuedToken struct {
	grant   *grant
	scope   string // of an access token
	jkt     string // the key that an access token is bound to
	expires time.Time
	revoked bool

	used    bool           // a refresh token can be used once
	usedAt  time.Time      // for the first time
	brought []*issuedToken // by a refresh token, when it was used
}

// withdrawBrought revokes what a refresh token has brought, and all that came of that.
func (t *issuedToken) withdrawBrought() {
	for _, later := range t.brought {
		later.revoked = true
		later.withdrawBrought()
	}
	t.brought = nil
}

// RefreshCounts say what became of the refresh requests since the start or the last [Provider.ResetRequests]. Those that a
// [Fault] answered are not among them, unless it was Lost.
type RefreshCounts struct {
	Answered int // with new tokens, including those that were Replayed or Lost
	Replayed int // answered again, within Dialect.RefreshGrace
	Reused   int // refused: the refresh token was used before
	Lost     int // answers with new tokens that a Fault with Lost kept from the client
}

// RefreshCounts returns what became of the refresh requests.
func (p *Provider) RefreshCounts() RefreshCounts {
	p.faults.mu.Lock()
	lost := p.faults.lostRefreshes
	p.faults.mu.Unlock()
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	counts := p.grants.refreshes
	counts.Lost = lost
	return counts
}

// ledger records every code and token that was issued. It forgets none: a test is short, and a developer signs in a few
// times a day.
type ledger struct {
	mu      sync.Mutex
	codes   map[string]*code
	refresh map[string]*issuedToken // by the token
	access  map[string]*issuedToken // by its jti, or by itself if it is opaque

	redeemed []*grant // in order

	refreshes RefreshCounts
}

func invalidGrant(description string) *oauthError {
	return &oauthError{Code: "invalid_grant", Description: description}
}

func (l *ledger) addCode(c code) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.codes == nil {
		l.codes = map[string]*code{}
	}
	value := rand.Text()
	l.codes[value] = &c
	return value
}

// redeem uses a code up: after its client's first attempt, successful or not, it cannot be used again.
func (l *ledger) redeem(value string, client, redirectURI, verifier, jkt string, now time.Time) (code, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.codes[value]
	switch {
	case !ok:
		return code{}, invalidGrant("there is no such code")
	case c.grant.client != client:
		return code{}, invalidGrant("the code was issued to another client")
	case c.used:
		c.grant.revoked = true // RFC 6749 section 4.1.2: someone else may have the tokens
		return code{}, invalidGrant("the code was used before")
	}
	c.used = true
	switch {
	case !now.Before(c.expires):
		return code{}, invalidGrant("the code has expired")
	case c.redirectURI != redirectURI:
		return code{}, invalidGrant("redirect_uri is not that of the authorization request")
	case c.jkt != "" && c.jkt != jkt:
		return code{}, invalidProof("the DPoP proof does not match the dpop_jkt of the authorization request")
	case !answersChallenge(verifier, c.challenge):
		return code{}, invalidGrant("code_verifier does not answer the code_challenge")
	}
	l.redeemed = append(l.redeemed, c.grant)
	return *c, nil
}

// answersChallenge implements RFC 7636 section 4.6 with S256.
func answersChallenge(verifier, challenge string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64url.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// issue records a new access token by its ID and returns a new refresh token. by is the refresh token that brings them, or
// nil.
func (l *ledger) issue(id string, access issuedToken, refreshExpires time.Time, by *issuedToken) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refresh == nil {
		l.refresh, l.access = map[string]*issuedToken{}, map[string]*issuedToken{}
	}
	token := rand.Text() + rand.Text()
	refresh := &issuedToken{grant: access.grant, expires: refreshExpires}
	l.refresh[token], l.access[id] = refresh, &access
	if by != nil {
		by.brought = append(by.brought, refresh, &access)
	}
	return token
}

// opaque returns what an opaque access token stands for.
func (l *ledger) opaque(token string, now time.Time) (Grant, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.access[token]
	switch {
	case !ok:
		return Grant{}, errors.New("not an access token of this provider")
	case !now.Before(t.expires):
		return Grant{}, errors.New("the token has expired")
	case t.revoked || t.grant.revoked:
		return Grant{}, errors.New("the token is revoked")
	}
	return Grant{Login: t.grant.login, ClientID: t.grant.client, Scope: t.scope, jkt: t.jkt}, nil
}

// spend uses a refresh token up, unless the dialect lets it be kept. A second use revokes everything that came from the
// sign-in, RFC 9700 section 4.14.2: one of the two holders has stolen it. Within a grace period it is taken for one of a
// client that has not got the answer.
func (l *ledger) spend(token, client, scope, resource, jkt string, now time.Time, dialect *Dialect) (*issuedToken, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.refresh[token]
	switch {
	case !ok:
		return nil, invalidGrant("there is no such refresh token")
	case t.grant.client != client:
		return nil, invalidGrant("the refresh token was issued to another client")
	case t.used && !now.Before(t.usedAt.Add(dialect.RefreshGrace)):
		l.refreshes.Reused++
		t.grant.revoked = t.grant.revoked || !dialect.NoReuseDetection
		return nil, invalidGrant("the refresh token was used before")
	case t.grant.revoked || t.revoked:
		return nil, invalidGrant("the refresh token is revoked")
	case !now.Before(t.expires):
		return nil, invalidGrant("the refresh token has expired")
	case t.grant.jkt != "" && t.grant.jkt != jkt: // RFC 9449 section 5
		return nil, invalidProof("the refresh token is bound to another key")
	}
	if fault := checkResourceOf(resource, t.grant.resource); fault != nil {
		return nil, fault
	}
	for _, name := range strings.Fields(scope) {
		if !hasScope(t.grant.scope, name) {
			return nil, &oauthError{Code: "invalid_scope", Description: "the sign-in did not have the scope " + name}
		}
	}
	switch {
	case t.used:
		l.refreshes.Replayed++
		if dialect.LastReplayWins {
			t.withdrawBrought()
		}
	case !dialect.NoRotation:
		t.used, t.usedAt = true, now
	}
	l.refreshes.Answered++
	return t, nil
}

// revoke revokes a refresh token with everything that came from its sign-in, or only the access token with this jti. An
// unknown token is not an error, RFC 7009 section 2.2.
func (l *ledger) revoke(token, jti, client string) *oauthError {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, isRefresh := l.refresh[token]
	if !isRefresh {
		t = l.access[jti]
	}
	switch {
	case t == nil:
		return nil
	case t.grant.client != client:
		return invalidGrant("the token was issued to another client")
	}
	t.revoked = true
	if isRefresh {
		t.grant.revoked = true
	}
	return nil
}

func (l *ledger) isRevoked(token, jti string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.refresh[token]
	if !ok {
		t = l.access[jti]
	}
	return t != nil && (t.revoked || t.grant.revoked)
}
