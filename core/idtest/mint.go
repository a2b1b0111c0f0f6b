package idtest

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// defaultScope is the scope of tokens that no client has asked for.
const defaultScope = "openid profile email roles"

// hooks are the functions with which a test edits the provider's responses.
type hooks struct {
	metadata, tokenResponse, idToken, accessToken, userInfo, introspection hook[map[string]any]
	signedResponse                                                         hook[map[string]any]
	authorizationResponse                                                  hook[url.Values]
}

type hook[T any] struct{ atomic.Pointer[func(T)] }

func (h *hook[T]) apply(value T) {
	if edit := h.Load(); edit != nil && *edit != nil {
		(*edit)(value)
	}
}

// SetAccessTokenClaims sets a function that may change the claims of every access token before it is signed; nil removes
// it. It is called concurrently.
func (p *Provider) SetAccessTokenClaims(edit func(claims map[string]any)) {
	p.hooks.accessToken.Store(&edit)
}

// SetIDTokenClaims sets a function that may change the claims of every ID token before it is signed; nil removes it. It
// is called concurrently.
func (p *Provider) SetIDTokenClaims(edit func(claims map[string]any)) { p.hooks.idToken.Store(&edit) }

// MintAccessToken returns an access token for a person, as a sign-in at the first client with the scope "openid profile
// email roles" would. The functions may change its claims before it is signed. It panics if there is no such person.
func (p *Provider) MintAccessToken(login string, edit ...func(claims map[string]any)) string {
	return p.accessToken(p.mustPerson(login), grantOf{clientID: p.registry.firstClient(), scope: defaultScope, jti: rand.Text()}, edit...)
}

// MintIDToken returns an ID token for a person and a client, without nonce and at_hash. The functions may change its
// claims before it is signed. It panics if there is no such person; the client need not exist.
func (p *Provider) MintIDToken(login, clientID string, edit ...func(claims map[string]any)) string {
	about := map[string]any{"auth_time": p.now().Unix(), "sid": rand.Text()}
	return p.idToken(p.mustPerson(login), clientID, defaultScope, about, edit...)
}

// Sign returns a JWT with exactly these claims, signed with the current key; its header has alg, kid and typ "JWT".
func (p *Provider) Sign(claims map[string]any) string { return p.sign("JWT", claims) }

// SignRaw returns a JWS in compact form (RFC 7515 section 7.1) with any header and payload: a []byte, json.RawMessage or
// string is used as it is, anything else is encoded as JSON. It is signed with RS256 and the current key, whatever the
// header says. It panics if a value cannot be encoded as JSON.
func (p *Provider) SignRaw(header, claims any) string {
	return signRaw(p.PrivateKey(), header, claims)
}

func (p *Provider) mustPerson(login string) Person {
	person, ok := p.registry.person(login)
	if !ok {
		panic(fmt.Sprintf("idtest: there is no person %q", login))
	}
	return person
}

// grantOf is what an access token says about its grant.
type grantOf struct {
	clientID, scope, resource, jti, jkt string
	by                                  *grant // nil: it was minted
}

func (p *Provider) accessToken(person Person, of grantOf, edit ...func(map[string]any)) string {
	claims := p.accessTokenClaims(person, of)
	for _, change := range edit {
		change(claims)
	}
	return p.sign(cmp.Or(p.options.Dialect.AccessTokenType, "at+jwt"), claims) // RFC 9068 section 2.1
}

// accessTokenClaims are what an access token says, or stands for.
func (p *Provider) accessTokenClaims(person Person, of grantOf) map[string]any {
	now := p.now()
	claims := map[string]any{
		"iss": p.URL(), "sub": person.Subject, "aud": cmp.Or(of.resource, p.options.Audience),
		"client_id": of.clientID, "scope": of.scope, "jti": of.jti,
		"iat": now.Unix(), "exp": now.Add(p.options.AccessTTL).Unix(),
	}
	put(claims, "email", person.Email)
	put(claims, "name", person.Name)
	person.addTenantClaims(claims)
	of.by.addTo(claims)
	if of.jkt != "" {
		claims["cnf"] = confirmation(of.jkt)
	}
	applyEdits(claims, p.options.Dialect.AccessTokenClaims, &p.hooks.accessToken)
	return claims
}

// idToken contains no tenant and no roles: with Signward, those are in the access token.
func (p *Provider) idToken(person Person, clientID, scope string, about map[string]any, edit ...func(map[string]any)) string {
	now := p.now()
	claims := person.standardClaims(scope)
	maps.Copy(claims, map[string]any{
		"iss": p.URL(), "aud": clientID, "iat": now.Unix(), "exp": now.Add(idTokenTTL).Unix(),
	})
	maps.Copy(claims, about)
	if p.options.Dialect.TenantClaims {
		person.addTenantClaims(claims)
	}
	if p.options.Dialect.IDTokenOf != nil {
		p.options.Dialect.IDTokenOf(Grant{Login: person.Login, Subject: person.Subject, ClientID: clientID, Scope: scope}, claims)
	}
	applyEdits(claims, p.options.Dialect.IDTokenClaims, &p.hooks.idToken)
	for _, change := range edit {
		change(claims)
	}
	return p.sign("JWT", claims)
}

func (p *Provider) sign(typ string, claims map[string]any) string {
	key := p.keys.current()
	header := map[string]string{"alg": p.keys.algorithm, "kid": key.id, "typ": typ}
	if typ == "none" {
		delete(header, "typ")
	}
	return signWith(key, p.keys.algorithm, header, claims)
}

func signRaw(key *rsa.PrivateKey, header, claims any) string {
	return signWith(signingKey{private: key}, "RS256", header, claims)
}

func signWith(key signingKey, algorithm string, header, claims any) string {
	signed := base64url.EncodeToString(raw(header)) + "." + base64url.EncodeToString(raw(claims))
	signature, err := signingMethods[algorithm].sign(key, sha256.Sum256([]byte(signed)))
	if err != nil {
		panic(err)
	}
	return signed + "." + base64url.EncodeToString(signature)
}

func raw(value any) []byte {
	switch v := value.(type) {
	case []byte:
		return v
	case json.RawMessage:
		return v
	case string:
		return []byte(v)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("idtest: %v", err))
	}
	return text
}

// atHash returns the at_hash claim, OpenID Connect Core section 3.1.3.6.
func atHash(accessToken string) string {
	sum := sha256.Sum256([]byte(accessToken))
	return base64url.EncodeToString(sum[:len(sum)/2])
}

// devToken issues an access token to anyone who asks at a terminal, but not to a page that a browser on this machine
// happens to show. scope and resource are as in a sign-in.
func (p *Provider) devToken(w http.ResponseWriter, r *http.Request) {
	if err := sameOrigin(r); err != nil {
		problem(w, http.StatusForbidden, "this is not for pages of another origin")
		return
	}
	form, fault := readForm(r)
	if fault != nil {
		problem(w, http.StatusBadRequest, fault.Description)
		return
	}
	person, ok := p.registry.person(form.Get("user"))
	if !ok {
		var logins []string
		for _, person := range p.registry.everyone() {
			logins = append(logins, person.Login)
		}
		problem(w, http.StatusBadRequest, "user must be one of "+strings.Join(logins, ", "))
		return
	}
	if fault := checkResource(form.Get("resource")); fault != nil {
		problem(w, http.StatusBadRequest, fault.Description)
		return
	}
	scope := cmp.Or(strings.Join(strings.Fields(form.Get("scope")), " "), defaultScope)
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": p.accessToken(person, grantOf{clientID: p.registry.firstClient(), scope: scope, resource: form.Get("resource"), jti: rand.Text()}),
		"token_type":   "Bearer",
		"expires_in":   int64(p.options.AccessTTL / time.Second),
	})
}
