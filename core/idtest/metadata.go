package idtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"time"
)

// Endpoint names one of the provider's endpoints, to count its requests or make it fail.
type Endpoint string

// The endpoints, with their paths below [Provider.URL].
const (
	Discovery     Endpoint = "discovery"     // /.well-known/openid-configuration
	KeySet        Endpoint = "key set"       // /.well-known/jwks.json
	Authorization Endpoint = "authorization" // /connect/authorize
	Token         Endpoint = "token"         // /connect/token
	UserInfo      Endpoint = "userinfo"      // /connect/userinfo
	Revocation    Endpoint = "revocation"    // /connect/revoke
	EndSession    Endpoint = "end session"   // /connect/endsession

	Introspection       Endpoint = "introspection"        // /connect/introspect
	PushedAuthorization Endpoint = "pushed authorization" // /connect/par
	DeviceAuthorization Endpoint = "device authorization" // /connect/deviceauthorization

	Registration        Endpoint = "registration"                  // /connect/register, with Options.Registration
	AuthorizationServer Endpoint = "authorization server metadata" // /.well-known/oauth-authorization-server, before the issuer's path
)

var paths = map[Endpoint]string{
	Discovery:     "/.well-known/openid-configuration",
	KeySet:        "/.well-known/jwks.json",
	Authorization: "/connect/authorize",
	Token:         "/connect/token",
	UserInfo:      "/connect/userinfo",
	Revocation:    "/connect/revoke",
	EndSession:    "/connect/endsession",

	Introspection:       "/connect/introspect",
	PushedAuthorization: "/connect/par",
	DeviceAuthorization: "/connect/deviceauthorization",

	Registration:        "/connect/register",
	AuthorizationServer: "/.well-known/oauth-authorization-server",
}

// SetMetadata sets a function that may change the provider's metadata (OpenID Connect Discovery section 3, RFC 8414) each
// time it is requested; nil removes it. It is called concurrently.
func (p *Provider) SetMetadata(edit func(metadata map[string]any)) { p.hooks.metadata.Store(&edit) }

func (p *Provider) metadata() map[string]any {
	metadata := map[string]any{
		"issuer": p.URL(),

		"scopes_supported":                 []string{"openid", "profile", "email", "roles", "offline_access"},
		"response_types_supported":         []string{"code"},
		"response_modes_supported":         append([]string{"query", "form_post"}, signedModes...),
		"grant_types_supported":            []string{"authorization_code", "refresh_token", "client_credentials", grantExchange, grantJWTBearer, grantDevice},
		"code_challenge_methods_supported": []string{"S256"},
		"subject_types_supported":          []string{"public"},
		"prompt_values_supported":          []string{"none", "login"},
		"claims_supported": []string{
			"sub", "email", "email_verified", "name", "given_name", "family_name", "tenant_id", "roles", "custom_roles",
		},
		"id_token_signing_alg_values_supported":            []string{p.keys.algorithm},
		"token_endpoint_auth_methods_supported":            []string{"client_secret_post", "client_secret_basic", "private_key_jwt", "none"},
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms,
		"revocation_endpoint_auth_methods_supported":       []string{"client_secret_post", "client_secret_basic", "private_key_jwt", "none"},
		"introspection_endpoint_auth_methods_supported":    []string{"client_secret_post", "client_secret_basic", "private_key_jwt"},
		"introspection_signing_alg_values_supported":       []string{p.keys.algorithm},
		"authorization_response_iss_parameter_supported":   true,
		"backchannel_logout_supported":                     true,
		"backchannel_logout_session_supported":             true,
		"request_parameter_supported":                      p.options.Dialect.SignedRequests,
		"request_object_signing_alg_values_supported":      assertionAlgorithms,
		"authorization_signing_alg_values_supported":       []string{p.keys.algorithm},
		"request_uri_parameter_supported":                  false,
	}
	for member, e := range map[string]Endpoint{
		"authorization_endpoint": Authorization, "token_endpoint": Token, "userinfo_endpoint": UserInfo,
		"revocation_endpoint": Revocation, "end_session_endpoint": EndSession, "jwks_uri": KeySet,
		"pushed_authorization_request_endpoint": PushedAuthorization, "registration_endpoint": Registration, "introspection_endpoint": Introspection,
		"device_authorization_endpoint": DeviceAuthorization,
	} {
		if path := p.path(e); path != "" {
			metadata[member] = p.URL() + path
		}
	}
	if p.options.TLS {
		aliases := map[string]any{}
		for member, e := range mutual {
			if path := p.path(e); path != "" {
				aliases[member] = p.URL() + mutualPath + path
			}
		}
		metadata["mtls_endpoint_aliases"], metadata["tls_client_certificate_bound_access_tokens"] = aliases, true
		metadata["token_endpoint_auth_methods_supported"] = []string{
			"client_secret_post", "client_secret_basic", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth", "none",
		}
	}
	if p.options.Dialect.RequirePAR {
		metadata["require_pushed_authorization_requests"] = true
	}
	if !p.options.Dialect.NoDPoP {
		metadata["dpop_signing_alg_values_supported"] = proofAlgorithms
	}
	applyEdits(metadata, p.options.Dialect.Metadata, &p.hooks.metadata)
	return metadata
}

func (p *Provider) discovery(w http.ResponseWriter, r *http.Request) {
	document, err := json.Marshal(p.metadata())
	if err != nil {
		problem(w, http.StatusInternalServerError, err.Error())
		return
	}
	serveDocument(w, r, document)
}

// serveDocument answers with JSON that may be cached, and with 304 if the client already has it.
func serveDocument(w http.ResponseWriter, r *http.Request, document []byte) {
	sum := sha256.Sum256(document)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "public, max-age=600")
	h.Set("ETag", `"`+base64url.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
}
