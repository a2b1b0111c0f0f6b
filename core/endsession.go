package idserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// EndSession holds the parameters of RP-Initiated Logout 1.0 section 2. All are optional.
type EndSession struct {
	IDTokenHint           string // the ID token of the session to end; left out of a URL that would have more than 2 kB
	PostLogoutRedirectURI string // must be registered at the provider
	State                 string // returned with the redirect
}

// String describes the parameters without the token.
func (e EndSession) String() string {
	return fmt.Sprintf("idserver.EndSession{PostLogoutRedirectURI: %q}", e.PostLogoutRedirectURI)
}

// endSessionURL returns where to send a browser to end its session at the provider: see [Client.EndSessionURL].
func (p *provider) endSessionURL(ctx context.Context, e EndSession) (string, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return "", err
	}
	if m.EndSessionEndpoint == "" {
		return "", &DiscoveryError{p.cfg.Authority, errors.New("no end_session_endpoint in it")}
	}
	target := endSessionWith(m.EndSessionEndpoint, p.cfg.ClientID, e)
	if len(target) > maxEndSessionURL { // client_id tells the provider what it needs to know of the token
		e.IDTokenHint = ""
		target = endSessionWith(m.EndSessionEndpoint, p.cfg.ClientID, e)
	}
	return target, nil
}

// maxEndSessionURL is how long a URL may be before the ID token is left out of it, in bytes: servers and firewalls refuse
// long ones, and the person would be left on an error page.
const maxEndSessionURL = 2 << 10

func endSessionWith(endpoint, clientID string, e EndSession) string {
	query := url.Values{"client_id": {clientID}}
	for name, value := range map[string]string{
		"id_token_hint": e.IDTokenHint, "post_logout_redirect_uri": e.PostLogoutRedirectURI, "state": e.State,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return withQuery(endpoint, query)
}

// withQuery adds parameters to an endpoint's URL, which may already have a query (RFC 6749 section 3.1).
func withQuery(endpoint string, query url.Values) string {
	separator := "?"
	if strings.Contains(endpoint, "?") {
		separator = "&"
	}
	return endpoint + separator + query.Encode()
}
