package idtest

import "net/http"

// Revoked reports whether an access token or refresh token was revoked: directly, together with its refresh token, or
// because a code or a refresh token was used twice. A refresh token that was exchanged for the next one is used up, not
// revoked. For a token that no sign-in issued, Revoked returns false.
func (p *Provider) Revoked(token string) bool {
	return p.grants.isRevoked(token, p.tokenID(token))
}

// revoke implements RFC 7009 section 2.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	client, form, fault := p.authenticate(w, r)
	if fault == nil && form.Get("token") == "" {
		fault = &oauthError{Code: "invalid_request", Description: "token is missing"}
	}
	if fault == nil {
		token := form.Get("token")
		p.opaque.forget(token)
		fault = p.grants.revoke(token, p.tokenID(token), client.ID)
	}
	if fault != nil {
		fault.write(w)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

// tokenID returns what the ledger knows an access token by: the jti of one of the provider's JWTs, or "" for anything
// else, or the token itself where it is opaque.
func (p *Provider) tokenID(token string) string {
	if p.options.Dialect.OpaqueAccessTokens {
		return token
	}
	claims, err := p.keys.verify(token)
	if err != nil {
		return ""
	}
	jti, _ := claims["jti"].(string)
	return jti
}
