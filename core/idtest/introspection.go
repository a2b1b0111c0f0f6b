package idtest

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// opaqueTokens are the access tokens of MintOpaqueToken.
type opaqueTokens struct {
	mu     sync.Mutex
	claims map[string]map[string]any
}

// MintOpaqueToken returns an access token for a person that is random text, whatever the dialect: only the introspection
// endpoint knows what it stands for, which are the claims of [Provider.MintAccessToken]. The functions may change them. It is
// revoked as any other. It panics if there is no such person.
func (p *Provider) MintOpaqueToken(login string, edit ...func(claims map[string]any)) string {
	person, token := p.mustPerson(login), rand.Text()+"-"+rand.Text()
	claims := p.accessTokenClaims(person, grantOf{clientID: p.registry.firstClient(), scope: defaultScope, jti: rand.Text()})
	for _, change := range edit {
		change(claims)
	}
	p.opaque.mu.Lock()
	defer p.opaque.mu.Unlock()
	if p.opaque.claims == nil {
		p.opaque.claims = map[string]map[string]any{}
	}
	p.opaque.claims[token] = claims
	return token
}

// SetIntrospection sets a function that may change what the introspection endpoint answers (RFC 7662 section 2.2), also about
// tokens that are not active; nil removes it. It is called concurrently.
func (p *Provider) SetIntrospection(edit func(answer map[string]any)) {
	p.hooks.introspection.Store(&edit)
}

// introspect implements RFC 7662 and, for who accepts application/token-introspection+jwt, RFC 9701. As Hydra does, it calls
// refresh tokens active, with their token_use: a resource must look at that.
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	client, form, fault := p.authenticate(w, r)
	switch {
	case fault == nil && client.isPublic(): // RFC 7662 section 2.1: or anybody could try tokens out
		fault = &oauthError{Code: "invalid_client", Description: "a client without a secret may not introspect tokens", status: http.StatusUnauthorized}
	case fault == nil && form.Get("token") == "":
		fault = &oauthError{Code: "invalid_request", Description: "token is missing"}
	}
	if fault != nil {
		fault.write(w)
		return
	}
	answer := p.introspection(form.Get("token"))
	p.hooks.introspection.apply(answer)
	if !strings.Contains(r.Header.Get("Accept"), "application/token-introspection+jwt") {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	signed := p.sign("token-introspection+jwt", map[string]any{
		"iss": p.URL(), "aud": client.ID, "iat": p.now().Unix(), "token_introspection": answer,
	})
	w.Header().Set("Content-Type", "application/token-introspection+jwt")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(signed)) // who has gone needs none
}

// introspection returns what a token stands for: nothing but active, false if it is not good (RFC 7662 section 2.2).
func (p *Provider) introspection(token string) map[string]any {
	inactive := map[string]any{"active": false}
	claims, use := p.claimsOf(token)
	expires, _ := claims["exp"].(float64)
	if at, ok := claims["exp"].(int64); ok {
		expires = float64(at)
	}
	if claims == nil || float64(p.now().Unix()) >= expires && expires != 0 || p.Revoked(token) {
		return inactive
	}
	answer := maps.Clone(claims)
	answer["active"], answer["token_type"], answer["token_use"] = true, "Bearer", use
	if cnf, _ := claims["cnf"].(map[string]any); cnf["jkt"] != nil { // RFC 9449 section 6.2
		answer["token_type"] = "DPoP"
	}
	return answer
}

// claimsOf returns the claims that a token of this provider has or stands for; nil if there is no such token.
func (p *Provider) claimsOf(token string) (claims map[string]any, use string) {
	p.opaque.mu.Lock()
	minted := p.opaque.claims[token]
	p.opaque.mu.Unlock()
	if minted != nil {
		return minted, "access_token"
	}
	if grant, err := p.opaqueGrant(token); err == nil {
		if person, ok := p.registry.person(grant.Login); ok {
			claims := p.accessTokenClaims(person, grantOf{clientID: grant.ClientID, scope: grant.Scope, jti: token, by: p.grants.ofAccess(token)})
			claims["exp"] = p.grants.expiry(token).Unix()
			return claims, "access_token"
		}
	}
	if login, client, expires, ok := p.grants.refreshToken(token); ok {
		if person, known := p.registry.person(login); known {
			return map[string]any{
				"sub": person.Subject, "client_id": client, "iss": p.URL(), "aud": p.options.Audience, "exp": expires.Unix(),
			}, "refresh_token"
		}
	}
	if read, err := p.keys.verify(token); err == nil {
		if _, ok := read["scope"]; ok {
			return read, "access_token"
		}
		return read, "id_token"
	}
	return nil, ""
}

// forget makes an opaque token that was minted stand for nothing.
func (o *opaqueTokens) forget(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.claims, token)
}

// expiry returns when an access token that was issued expires.
func (l *ledger) expiry(id string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.access[id]; t != nil {
		return t.expires
	}
	return time.Time{}
}

// ofAccess returns the grant of an access token that was issued, of which only what never changes may be read.
func (l *ledger) ofAccess(id string) *grant {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.access[id]; t != nil {
		return t.grant
	}
	return nil
}

// refreshToken returns what a refresh token stands for that can still be used.
func (l *ledger) refreshToken(token string) (login, client string, expires time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.refresh[token]
	if t == nil || t.used || t.revoked || t.grant.revoked {
		return "", "", expires, false
	}
	return t.grant.login, t.grant.client, t.expires, true
}
