package idtest

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/devenv"
)

// maxRegistered limits how many clients may register themselves.
const maxRegistered = 1000

// clientMetadata is what a client says of itself, RFC 7591 section 2. Members that are not here are ignored, as the section wants.
type clientMetadata struct {
	RedirectURIs  []string        `json:"redirect_uris"`
	AuthMethod    string          `json:"token_endpoint_auth_method"`
	GrantTypes    []string        `json:"grant_types"`
	ResponseTypes []string        `json:"response_types"`
	Name          string          `json:"client_name,omitempty"`
	Scope         string          `json:"scope,omitempty"`
	JWKS          json.RawMessage `json:"jwks,omitempty"`
}

// register implements RFC 7591 section 3, without initial access tokens: anybody may register a client.
func (p *Provider) register(w http.ResponseWriter, r *http.Request) {
	// A page of another origin cannot send JSON without a preflight, which is not answered.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		(&oauthError{Code: "invalid_client_metadata", Description: "the request must be application/json"}).write(w)
		return
	}
	var metadata clientMetadata
	document, err := io.ReadAll(r.Body) // of at most maxBody
	if err == nil {
		err = json.Unmarshal(document, &metadata)
	}
	if err != nil {
		(&oauthError{Code: "invalid_client_metadata", Description: "the request cannot be read"}).write(w)
		return
	}
	client, fault := metadata.client()
	if fault == nil && !p.registry.register(client) {
		fault = &oauthError{Code: "temporarily_unavailable", Description: "too many clients have registered", status: http.StatusServiceUnavailable}
	}
	if fault != nil {
		fault.write(w)
		return
	}
	response := map[string]any{"client_id": client.ID, "client_id_issued_at": p.now().Unix()}
	if client.Secret != "" {
		response["client_secret"], response["client_secret_expires_at"] = client.Secret, 0
	}
	about, err := json.Marshal(metadata)
	if err == nil {
		err = json.Unmarshal(about, &response) // RFC 7591 section 3.2.1: what was registered, with the defaults
	}
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusCreated, response)
}

// client returns what is registered, and fills in the defaults of RFC 7591 section 2.
func (m *clientMetadata) client() (Client, *oauthError) {
	m.AuthMethod = cmp.Or(m.AuthMethod, "client_secret_basic")
	if m.GrantTypes == nil {
		m.GrantTypes = []string{"authorization_code"}
	}
	if m.ResponseTypes == nil {
		m.ResponseTypes = []string{"code"}
	}
	fault := func(format string, args ...any) (Client, *oauthError) {
		return Client{}, &oauthError{Code: "invalid_client_metadata", Description: fmt.Sprintf(format, args...)}
	}
	if len(m.RedirectURIs) == 0 {
		return Client{}, &oauthError{Code: "invalid_redirect_uri", Description: "redirect_uris is missing"}
	}
	for _, uri := range m.RedirectURIs {
		if err := checkRegistered(uri); err != nil {
			return Client{}, &oauthError{Code: "invalid_redirect_uri", Description: fmt.Sprintf("%q: %v", uri, err)}
		}
	}
	for _, kind := range m.GrantTypes {
		if kind != "authorization_code" && kind != "refresh_token" {
			return fault("grant_types has %q: authorization_code and refresh_token are supported", kind)
		}
	}
	if !slices.Contains(m.GrantTypes, "authorization_code") || !slices.Equal(m.ResponseTypes, []string{"code"}) {
		return fault("grant_types must have authorization_code, and response_types code alone")
	}
	client := Client{ID: rand.Text(), RedirectURIs: m.RedirectURIs}
	switch m.AuthMethod {
	case "none":
	case "client_secret_basic", "client_secret_post":
		client.Secret = rand.Text() + rand.Text()
	case "private_key_jwt":
		if client.JWKS = m.JWKS; client.JWKS == nil { // nothing is fetched from where a stranger wants it
			return fault("private_key_jwt needs jwks; jwks_uri is not supported")
		}
	default:
		return fault("token_endpoint_auth_method %q: none, client_secret_basic, client_secret_post or private_key_jwt is wanted", m.AuthMethod)
	}
	if m.JWKS != nil && client.JWKS == nil {
		return fault("jwks is for private_key_jwt")
	}
	return client, nil
}

// checkRegistered checks a redirect URI as RFC 8252 and RFC 9700 section 4.1.1 want it: https, loopback, or an application's own
// scheme.
func checkRegistered(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return fmt.Errorf("an absolute URI is wanted")
	case strings.Contains(uri, "#"):
		return fmt.Errorf("a fragment is not allowed")
	case u.Scheme == "https" && u.Host != "", u.Scheme == "http" && devenv.IsLoopback(u.Hostname()):
		return nil
	case !strings.Contains(u.Scheme, "."): // RFC 8252 section 7.1
		return fmt.Errorf("https, http at a loopback address, or a scheme with a dot in it is wanted")
	}
	return nil
}

// register adds a client that registers itself, and reports whether there was room for it.
func (g *registry) register(client Client) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.registered >= maxRegistered {
		return false
	}
	g.registered++
	g.clients = append(g.clients, client)
	return true
}
