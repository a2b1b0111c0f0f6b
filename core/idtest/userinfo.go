package idtest

import (
	"errors"
	"io"
	"net/http"
	"strings"
)

// SetUserInfo sets a function that may change the userinfo endpoint's successful responses; nil removes it. It is called
// concurrently.
func (p *Provider) SetUserInfo(edit func(claims map[string]any)) { p.hooks.userInfo.Store(&edit) }

var (
	errNoToken = errors.New("an access token is wanted")
	errNobody  = errors.New("the person is no longer here")
)

// userInfo implements OpenID Connect Core section 5.3, with the access token in the header only.
func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	grant, err := p.presented(w, r)
	if err != nil {
		p.refuseUserInfo(w, err)
		return
	}
	about := p.claimsFor
	if p.options.Dialect.UserInfo != nil {
		about = p.options.Dialect.UserInfo
	}
	claims, err := about(grant)
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	applyEdits(claims, p.options.Dialect.UserInfoClaims, &p.hooks.userInfo)
	if client, _ := p.registry.client(grant.ClientID); client.UserInfoSigned || client.UserInfoEncryption != "" {
		p.signedUserInfo(w, client, claims)
		return
	}
	writeJSON(w, http.StatusOK, claims)
}

// signedUserInfo answers with a JWT, which may be encrypted: OpenID Connect Core section 5.3.2.
func (p *Provider) signedUserInfo(w http.ResponseWriter, client Client, claims map[string]any) {
	claims["iss"], claims["aud"] = p.Issuer(), client.ID
	token, err := p.forClient(client.ID, p.sign("JWT", claims), func(c Client) string { return c.UserInfoEncryption })
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	w.WriteHeader(http.StatusOK)
	io.WriteString(w, token)
}

func (p *Provider) claimsFor(grant Grant) (map[string]any, error) {
	person, ok := p.registry.person(grant.Login)
	if !ok {
		return nil, errNobody
	}
	claims := person.standardClaims(grant.Scope)
	person.addTenantClaims(claims)
	return claims, nil
}

func (p *Provider) refuseUserInfo(w http.ResponseWriter, err error) {
	challenge := `Bearer realm="idtest"`
	var fault *oauthError
	switch {
	case p.options.Dialect.RefuseUserInfo != nil:
		p.options.Dialect.RefuseUserInfo(w, err)
		return
	case errors.As(err, &fault):
		challenge = dpopChallenge(fault.Code, fault.Description)
	case !errors.Is(err, errNoToken):
		challenge += `, error="invalid_token", error_description="` + err.Error() + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	problem(w, http.StatusUnauthorized, err.Error())
}

// presented returns what the access token of a request stands for. The texts of its errors go into a quoted string.
func (p *Provider) presented(w http.ResponseWriter, r *http.Request) (grant Grant, err error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	bound := strings.EqualFold(scheme, "DPoP")
	if !bound && !strings.EqualFold(scheme, "Bearer") || bound && p.options.Dialect.NoDPoP || token == "" {
		return Grant{}, errNoToken
	}
	if p.options.Dialect.OpaqueAccessTokens {
		grant, err = p.opaqueGrant(token)
	} else {
		grant, err = p.jwtGrant(token)
	}
	switch {
	case err != nil && bound:
		return Grant{}, invalidBoundToken(err.Error())
	case err != nil:
		return Grant{}, err
	}
	return grant, p.possession(w, r, scheme, token, grant)
}

// opaqueGrant returns what an opaque access token stands for.
func (p *Provider) opaqueGrant(token string) (Grant, error) {
	grant, err := p.grants.opaque(token, p.now())
	if err != nil {
		return Grant{}, err
	}
	person, ok := p.registry.person(grant.Login)
	if !ok {
		return Grant{}, errNobody
	}
	grant.Subject = person.Subject
	return grant, nil
}

// jwtGrant returns what an access token that is a JWT stands for. An ID token has no jti and no scope.
func (p *Provider) jwtGrant(token string) (Grant, error) {
	claims, err := p.keys.verify(token)
	if err != nil {
		return Grant{}, errors.New("not a token of this provider")
	}
	jti, _ := claims["jti"].(string)
	scope, isAccessToken := claims["scope"].(string)
	expires, _ := claims["exp"].(float64)
	if grant, err := p.opaqueGrant(jti); err == nil && claims["iss"] == p.Issuer() { // it may be in another shape: see Dialect
		return grant, nil
	}
	switch {
	case claims["iss"] != p.Issuer() || jti == "" || !isAccessToken:
		return Grant{}, errors.New("not an access token of this provider")
	case float64(p.now().Unix()) >= expires:
		return Grant{}, errors.New("the token has expired")
	case p.grants.isRevoked(token, jti):
		return Grant{}, errors.New("the token is revoked")
	}
	clientID, _ := claims["client_id"].(string)
	cnf, _ := claims["cnf"].(map[string]any)
	for _, person := range p.registry.everyone() {
		if claims["sub"] == person.Subject {
			return Grant{Login: person.Login, Subject: person.Subject, ClientID: clientID, Scope: scope, jkt: bindingOf(cnf)}, nil
		}
	}
	return Grant{}, errNobody
}
