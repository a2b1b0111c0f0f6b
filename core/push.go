package idserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// maxRequestURI limits the length of a request_uri, in bytes: it goes into the URL that the browser is sent to.
const maxRequestURI = 1 << 10

// pushes reports whether authorization requests are pushed to the provider, RFC 9126: where its metadata requires it, or the
// configuration does.
func (p *provider) pushes(m *metadata) bool {
	return m.RequiresPushed || p.cfg.Provider.PushedAuthorization
}

// push sends the parameters of an authorization request to the provider, RFC 9126 section 2, and returns the request_uri that
// stands for them. Browsers, their history and what lies between then see none of them, and nobody can change one.
func (p *provider) push(ctx context.Context, m *metadata, form url.Values, key *dpop.Key) (requestURI string, err error) {
	if m.PushedAuthorizationEndpoint == "" {
		return "", &DiscoveryError{p.cfg.Authority, errors.New("no pushed_authorization_request_endpoint in it")}
	}
	a, err := p.post(ctx, m, "pushed authorization", m.PushedAuthorizationEndpoint, form, key)
	if err != nil {
		return "", notPushed(err)
	}
	var reply struct {
		RequestURI string         `json:"request_uri"`
		ExpiresIn  strictjson.Raw `json:"expires_in"`
	}
	if err = a.JSON(&reply); err == nil {
		err = checkRequestURI(reply.RequestURI)
	}
	if err != nil {
		return "", notPushed(&TokenEndpointError{Status: a.Status, Err: err})
	}
	return reply.RequestURI, nil
}

// checkRequestURI checks what stands for the request. What is no URI, the provider would not know either.
func checkRequestURI(text string) error {
	switch u, err := url.Parse(text); {
	case text == "":
		return errors.New("there is no request_uri in it")
	case len(text) > maxRequestURI:
		return fmt.Errorf("its request_uri is longer than %d bytes", maxRequestURI)
	case err != nil || u.Scheme == "" || strings.ContainsFunc(text, isNotOfURI):
		return errors.New("its request_uri is no URI")
	}
	return nil
}

// isNotOfURI reports whether a character may not stand in a URI, RFC 3986 section 2.
func isNotOfURI(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }

// notPushed marks an error as one of a pushed authorization request.
func notPushed(err error) error {
	var refused *TokenEndpointError
	if errors.As(err, &refused) {
		refused.pushed = true
	}
	return err
}

// toMend says what to look at when the provider refuses a pushed authorization request with this code, RFC 9126 section 2.3.
func toMend(code string) string {
	switch code {
	case "invalid_request":
		return "compare the redirect_uri with those that are registered at the provider, and Config.AuthorizeParameters with what it takes"
	case "invalid_scope":
		return "compare Config.Scopes with those that the client may have"
	case "invalid_dpop_proof":
		return "compare this machine's clock with the provider's"
	case "unauthorized_client", "invalid_authorization_details":
		return "compare what is asked for with what the client may ask for"
	}
	return ""
}
