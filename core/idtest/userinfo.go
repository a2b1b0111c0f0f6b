package idtest

import (
	"errors"
	"net/http"
	"strings"
)

// SetUserInfo sets a function that may change the userinfo endpoint's successful responses; nil removes it. It is called
// concurrently.
func (p *Provider) SetUserInfo(edit func(claims map[string]any)) { p.hooks.userInfo.Store(&edit) }

// userInfo implements OpenID Connect Core section 5.3, with the access token in the header only.
func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="idtest"`)
		problem(w, http.StatusUnauthorized, "an access token is wanted")
		return
	}
	person, scope, err := p.bearer(strings.TrimSpace(token))
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="idtest", error="invalid_token", error_description="`+err.Error()+`"`)
		problem(w, http.StatusUnauthorized, err.Error())
		return
	}
	claims := person.standardClaims(scope)
	person.addTenantClaims(claims)
	p.hooks.userInfo.apply(claims)
	writeJSON(w, http.StatusOK, claims)
}

// bearer finds the person that an access token is about. An ID token has no jti and no scope.
func (p *Provider) bearer(token string) (person Person, scope string, err error) {
	claims, err := p.keys.verify(token)
	if err != nil {
		return person, "", errors.New("not a token of this provider")
	}
	jti, _ := claims["jti"].(string)
	scope, isAccessToken := claims["scope"].(string)
	expires, _ := claims["exp"].(float64)
	switch {
	case claims["iss"] != p.URL() || jti == "" || !isAccessToken:
		return person, "", errors.New("not an access token of this provider")
	case float64(p.now().Unix()) >= expires:
		return person, "", errors.New("the token has expired")
	case p.grants.isRevoked(token, jti):
		return person, "", errors.New("the token is revoked")
	}
	for _, person := range p.registry.everyone() {
		if claims["sub"] == person.Subject {
			return person, scope, nil
		}
	}
	return person, "", errors.New("the person is no longer here")
}
