package idtest

import (
	"cmp"
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// SetTokenResponse sets a function that may change the token endpoint's successful responses (RFC 6749 section 5.1); nil
// removes it. It is called concurrently.
func (p *Provider) SetTokenResponse(edit func(response map[string]any)) {
	p.hooks.tokenResponse.Store(&edit)
}

// LastTokenRequest returns the form of the last request that reached the token endpoint without meeting a [Fault], or nil
// if there was none. Secrets, codes, verifiers and refresh tokens are replaced with "[redacted]".
func (p *Provider) LastTokenRequest() url.Values {
	last := p.lastTokenRequest.Load()
	if last == nil {
		return nil
	}
	return maps.Clone(*last)
}

type recordedForm = atomic.Pointer[url.Values]

func redact(form url.Values) url.Values {
	shown := url.Values{}
	for name, values := range form {
		switch name {
		case "client_secret", "code", "code_verifier", "refresh_token", "client_assertion", "subject_token", "assertion", "device_code":
			values = []string{"[redacted]"}
		}
		shown[name] = values
	}
	return shown
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	client, form, fault := p.authenticate(w, r)
	if r.PostForm != nil {
		shown := redact(r.PostForm)
		p.lastTokenRequest.Store(&shown)
	}
	if fault != nil {
		fault.write(w)
		return
	}
	jkt, fault := p.tokenProof(w, r, client)
	if fault != nil {
		fault.write(w)
		return
	}
	var response map[string]any
	switch form.Get("grant_type") {
	case "authorization_code":
		response, fault = p.exchange(client, form, jkt)
	case "refresh_token":
		if p.options.Dialect.NoRefreshTokens {
			fault = &oauthError{Code: "unsupported_grant_type", Description: "grant_type must be authorization_code"}
			break
		}
		response, fault = p.refresh(client, form, jkt)
	case "client_credentials":
		response, fault = p.clientCredentials(client, form, jkt)
	case grantExchange:
		response, fault = p.exchangeToken(client, form, jkt)
	case grantJWTBearer:
		response, fault = p.onBehalfOf(client, form, jkt)
	case grantDevice:
		response, fault = p.deviceTokens(client, form, jkt)
	case "":
		fault = &oauthError{Code: "invalid_request", Description: "grant_type is missing"}
	default:
		fault = &oauthError{Code: "unsupported_grant_type", Description: "grant_type must be one of grant_types_supported"}
	}
	if fault != nil {
		fault.write(w)
		return
	}
	applyEdits(response, p.options.Dialect.TokenResponse, &p.hooks.tokenResponse)
	writeJSON(w, http.StatusOK, response)
}

// exchange implements RFC 6749 section 4.1.3 with RFC 7636 section 4.5.
func (p *Provider) exchange(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	for _, name := range []string{"code", "redirect_uri", "code_verifier"} {
		if form.Get(name) == "" {
			return nil, &oauthError{Code: "invalid_request", Description: name + " is missing"}
		}
	}
	c, fault := p.grants.redeem(form.Get("code"), client.ID, form.Get("redirect_uri"), form.Get("code_verifier"), jkt, p.now())
	if fault != nil {
		return nil, fault
	}
	if fault := checkResourceOf(form.Get("resource"), c.grant.resource); fault != nil {
		return nil, fault
	}
	if client.isPublic() {
		c.grant.jkt = jkt
	}
	return p.issue(c.grant, issued{scope: c.grant.scope, nonce: c.nonce, jkt: jkt})
}

// refresh implements RFC 6749 section 6.
func (p *Provider) refresh(client Client, form url.Values, jkt string) (map[string]any, *oauthError) {
	token := form.Get("refresh_token")
	if token == "" {
		return nil, &oauthError{Code: "invalid_request", Description: "refresh_token is missing"}
	}
	scope := strings.Join(strings.Fields(form.Get("scope")), " ")
	spent, fault := p.grants.spend(token, client.ID, scope, form.Get("resource"), jkt, p.now(), &p.options.Dialect)
	if fault != nil {
		return nil, fault
	}
	scope = cmp.Or(scope, spent.grant.scope)
	response, fault := p.issue(spent.grant, issued{scope: scope, by: spent, jkt: jkt})
	if p.options.Dialect.NoRotation && fault == nil {
		delete(response, "refresh_token")
	}
	return response, fault
}

// forClient encrypts a signed token for a client that is registered so.
func (p *Provider) forClient(id, signed string, encryption func(Client) string) (string, error) {
	client, _ := p.registry.client(id)
	if encryption(client) == "" {
		return signed, nil
	}
	document, err := p.keySetOf(client)
	if err != nil {
		return "", err
	}
	return encryptFor(document, encryption(client), signed)
}

// issued is what tokens are issued for.
type issued struct {
	scope, nonce string
	jkt          string       // the key that the access token is bound to
	by           *issuedToken // the refresh token that brings them
}

// issue makes the tokens of a grant. Signward issues a refresh token whether or not offline_access was requested.
func (p *Provider) issue(g *grant, of issued) (map[string]any, *oauthError) {
	person, ok := p.registry.person(g.login)
	if !ok {
		return nil, invalidGrant("the person is no longer here")
	}
	scope, id := of.scope, rand.Text()
	var accessToken string
	if p.options.Dialect.OpaqueAccessTokens {
		id += "+/" + rand.Text() // all that RFC 6750 section 2.1 allows may be in it
		accessToken = id
	} else {
		accessToken = p.accessToken(person, grantOf{g.client, scope, g.resource, id, of.jkt, g})
	}
	now := p.now()
	response := map[string]any{
		"access_token": accessToken,
		"token_type":   tokenType(of.jkt),
		"expires_in":   int64(p.options.AccessTTL / time.Second),
		"scope":        scope,
	}
	access := issuedToken{grant: g, scope: scope, jkt: of.jkt, expires: now.Add(p.options.AccessTTL)}
	if refreshToken := p.grants.issue(id, access, now.Add(p.options.RefreshTTL), of.by); !p.options.Dialect.NoRefreshTokens {
		response["refresh_token"] = refreshToken
	}
	if hasScope(scope, "openid") {
		about := map[string]any{"auth_time": g.authTime.Unix(), "sid": g.sid, "at_hash": atHash(accessToken)}
		put(about, "nonce", of.nonce)
		put(about, "acr", g.acr)
		idToken, err := p.forClient(g.client, p.idToken(person, g.client, scope, about), func(c Client) string { return c.IDTokenEncryption })
		if err != nil {
			return nil, &oauthError{Code: "server_error", Description: err.Error(), status: http.StatusInternalServerError}
		}
		response["id_token"] = idToken
	}
	return response, nil
}

// tokenType is the token_type of an access token that is bound to a key, or to none.
func tokenType(jkt string) string {
	if jkt != "" && !isBoundToCertificate(jkt) {
		return "DPoP"
	}
	return "Bearer"
}
