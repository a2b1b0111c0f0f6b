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
	sid                  string
	authTime             time.Time
	revoked              bool
}

type code struct {
	grant                         *grant
	redirectURI, challenge, nonce string
	expires                       time.Time
	used                          bool
}

type issuedToken struct {
	grant   *grant
	scope   string // of an access token
	expires time.Time
	used    bool // a refresh token can be used once
	revoked bool
}

// ledger records every code and token that was issued. It forgets none: a test is short, and a developer signs in a few
// times a day.
type ledger struct {
	mu      sync.Mutex
	codes   map[string]*code
	refresh map[string]*issuedToken // by the token
	access  map[string]*issuedToken // by its jti, or by itself if it is opaque
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
func (l *ledger) redeem(value string, client, redirectURI, verifier string, now time.Time) (code, *oauthError) {
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
	case !answersChallenge(verifier, c.challenge):
		return code{}, invalidGrant("code_verifier does not answer the code_challenge")
	}
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

// issue records a new access token by its ID and returns a new refresh token.
func (l *ledger) issue(id string, access issuedToken, refreshExpires time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refresh == nil {
		l.refresh, l.access = map[string]*issuedToken{}, map[string]*issuedToken{}
	}
	token := rand.Text() + rand.Text()
	l.refresh[token] = &issuedToken{grant: access.grant, expires: refreshExpires}
	l.access[id] = &access
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
	return Grant{Login: t.grant.login, ClientID: t.grant.client, Scope: t.scope}, nil
}

// spend uses a refresh token up, unless it may be kept. A second use revokes everything that came from the sign-in, RFC 9700 section 4.14.2: one
// of the two holders has stolen it.
func (l *ledger) spend(token, client, scope string, now time.Time, keep bool) (*grant, *oauthError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.refresh[token]
	switch {
	case !ok:
		return nil, invalidGrant("there is no such refresh token")
	case t.grant.client != client:
		return nil, invalidGrant("the refresh token was issued to another client")
	case t.used:
		t.grant.revoked = true
		return nil, invalidGrant("the refresh token was used before")
	case t.grant.revoked || t.revoked:
		return nil, invalidGrant("the refresh token is revoked")
	case !now.Before(t.expires):
		return nil, invalidGrant("the refresh token has expired")
	}
	for _, name := range strings.Fields(scope) {
		if !hasScope(t.grant.scope, name) {
			return nil, &oauthError{Code: "invalid_scope", Description: "the sign-in did not have the scope " + name}
		}
	}
	t.used = !keep
	return t.grant, nil
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
