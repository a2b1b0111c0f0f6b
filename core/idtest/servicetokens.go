package idtest

import (
	"cmp"
	"crypto/rand"
	"net/url"
	"strings"
	"time"
)

// The grants beside those of sign-ins: RFC 8693, RFC 7523 as Entra uses it, and RFC 8628.
const (
	grantExchange  = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantDevice    = "urn:ietf:params:oauth:grant-type:device_code"

	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// clientCredentials implements RFC 6749 section 4.4: a token for the client itself, whose sub it is.
func (p *Provider) clientCredentials(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	if client.Secret == "" && !client.hasKeys() {
		return nil, &oauthError{Code: "unauthorized_client", Description: "a public client has no credentials"}
	}
	return p.tokenFor(Person{Subject: client.ID}, client, form, jkt)
}

// exchangeToken implements RFC 8693 for access tokens: the client acts for the person of the subject_token (act, section 4.1).
func (p *Provider) exchangeToken(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	for name, want := range map[string]string{"subject_token_type": accessTokenType, "requested_token_type": accessTokenType} {
		if got := form.Get(name); got != want && (got != "" || name == "subject_token_type") {
			return nil, &oauthError{Code: "invalid_request", Description: name + " must be " + want}
		}
	}
	response, fault := p.tokenInExchange(client, form.Get("subject_token"), form, jkt)
	if fault == nil {
		response["issued_token_type"] = accessTokenType
	}
	return response, fault
}

// onBehalfOf implements Entra's on-behalf-of flow.
func (p *Provider) onBehalfOf(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	if form.Get("requested_token_use") != "on_behalf_of" {
		return nil, &oauthError{Code: "invalid_request", Description: "requested_token_use must be on_behalf_of"}
	}
	return p.tokenInExchange(client, form.Get("assertion"), form, jkt)
}

func (p *Provider) tokenInExchange(client Client, token string, form url.Values, jkt string) (map[string]any, *oauthError) {
	claims, use := p.claimsOf(token)
	subject, _ := claims["sub"].(string)
	person, ok := p.registry.personOf(subject)
	switch {
	case client.Secret == "" && !client.hasKeys():
		return nil, &oauthError{Code: "unauthorized_client", Description: "a public client may not exchange tokens"}
	case token == "":
		return nil, &oauthError{Code: "invalid_request", Description: "the token to exchange is missing"}
	case use != "access_token" || p.introspection(token)["active"] != true || !ok:
		return nil, &oauthError{Code: "invalid_grant", Description: "the token to exchange is not an access token of a person that is good here"}
	}
	return p.tokenFor(person, client, form, jkt)
}

// tokenFor issues an access token without a sign-in, and without a refresh token.
func (p *Provider) tokenFor(person Person, client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	if fault := checkResource(form.Get("resource")); fault != nil {
		return nil, fault
	}
	scope := strings.Join(strings.Fields(form.Get("scope")), " ")
	of := grantOf{clientID: client.ID, scope: scope, resource: cmp.Or(form.Get("audience"), form.Get("resource")), jti: rand.Text(), jkt: jkt}
	act := func(claims map[string]any) {
		if person.Subject != client.ID {
			claims["act"] = map[string]any{"sub": client.ID}
		}
	}
	return map[string]any{
		"access_token": p.accessToken(person, of, act), "token_type": tokenType(jkt), "expires_in": int64(p.options.AccessTTL / time.Second), "scope": scope,
	}, nil
}

// personOf returns the person with a subject.
func (g *registry) personOf(subject string) (Person, bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, person := range g.people {
		if person.Subject == subject {
			return person, true
		}
	}
	return Person{}, false
}
