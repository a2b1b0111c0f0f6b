package idtest

import (
	"fmt"
	"net/http"
	"net/url"
)

// endSession implements OpenID Connect RP-Initiated Logout 1.0. The provider keeps no session to end: it only checks the
// request and redirects back.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if r.Method == http.MethodPost && err == nil {
		err = r.ParseForm()
		params = r.PostForm
	}
	if err != nil {
		refusalPage(w, "The request cannot be read.")
		return
	}
	if name := repeated(params); name != "" {
		refusalPage(w, name+" is there more than once.")
		return
	}
	target, refusal := p.afterLogout(params)
	if refusal != "" {
		refusalPage(w, refusal)
		return
	}
	if target == "" {
		messagePage(w, http.StatusOK, "You are signed out", "This provider keeps no sign-in. You can close this page.")
		return
	}
	redirect(w, target)
}

// afterLogout returns the page to go to, "" if none was asked for, or what to tell the person.
func (p *Provider) afterLogout(params url.Values) (target, refusal string) {
	clientID := params.Get("client_id")
	if hint := params.Get("id_token_hint"); hint != "" {
		claims, err := p.keys.verify(hint) // it may have expired: people stay longer than their ID token is valid
		if err != nil || claims["iss"] != p.Issuer() {
			return "", "id_token_hint is not an ID token of this provider."
		}
		audience, _ := claims["aud"].(string)
		if clientID != "" && clientID != audience {
			return "", fmt.Sprintf("id_token_hint was issued to the client %q, not to %q.", audience, clientID)
		}
		clientID = audience
	}
	uri := params.Get("post_logout_redirect_uri")
	if uri == "" {
		return "", ""
	}
	client, ok := p.registry.client(clientID)
	switch {
	case clientID == "":
		return "", "post_logout_redirect_uri needs id_token_hint or client_id."
	case !ok:
		return "", fmt.Sprintf("There is no client %q.", clientID)
	case !client.mayRedirectAfterLogout(uri):
		return "", fmt.Sprintf("post_logout_redirect_uri %q is not registered for the client %q.", uri, clientID)
	}
	response := url.Values{}
	if state := params.Get("state"); state != "" {
		response.Set("state", state)
	}
	return withQuery(uri, response), ""
}
