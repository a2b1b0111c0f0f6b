package idtest

import (
	"cmp"
	"crypto/subtle"
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"

	"github.com/signward/idserver-go/core/internal/devenv"
)

// The clients of [Clients].
const (
	// ExampleClient is the ID of a confidential client whose secret is [ExampleSecret].
	ExampleClient = "example"
	// ExampleSecret is not a secret: everyone can read it here.
	ExampleSecret = "example-secret-of-at-least-32-bytes"
	// ExamplePublicClient is the ID of a public client.
	ExamplePublicClient = "example-cli"
)

// Client is a relying party registered at the provider.
type Client struct {
	// ID is the client_id.
	ID string

	// Secret authenticates the client at the token and revocation endpoints, with client_secret_basic or
	// client_secret_post. A client without a secret and without keys is public (RFC 6749 section 2.1) and sends only its ID.
	Secret string

	// JWKS is the client's public JSON Web Key Set, and JWKSURI is where the provider fetches it each time that it needs it.
	// A client with one of them authenticates with private_key_jwt (RFC 7523), and with nothing else: ES256, ES384, ES512,
	// PS256 or EdDSA (Ed25519), the issuer as the only audience, at most five minutes, and each jti once.
	JWKS    []byte
	JWKSURI string

	// AssertionIssuer and AssertionSubject are iss and sub of assertions that another issuer makes for the client, such as Kubernetes,
	// whose keys are JWKS then. They need no jti, may be used until they expire, and live as long as that issuer likes. The
	// client_assertion_type of a subject that begins with spiffe:// is that of a JWT-SVID. Default: the client's own, both.
	AssertionIssuer, AssertionSubject string

	// Certificates are the client's own, of which it presents one to authenticate (self_signed_tls_client_auth, RFC 8705 section
	// 2.2). CertificateAuthority is who has issued the one that it presents, for CertificateSubject (tls_client_auth, section 2.1), in the
	// form of pkix.Name.String. A client with keys, too, authenticates with those. See Options.TLS.
	Certificates         []*x509.Certificate
	CertificateAuthority *x509.Certificate
	CertificateSubject   string

	// CertificateBound binds the client's access tokens to the certificate that it presents (RFC 8705 section 3).
	CertificateBound bool

	// IDTokenEncryption and UserInfoEncryption are content encryptions, such as A256CBC-HS512 or A256GCM, with which the
	// provider encrypts ID tokens and signed userinfo for the client's key whose use is enc. UserInfoSigned signs userinfo
	// without encrypting it. Default: neither is encrypted, and userinfo is JSON.
	IDTokenEncryption, UserInfoEncryption string
	UserInfoSigned                        bool

	// ResponseEncryption is the same for signed authorization responses (JARM). Default: they are not encrypted.
	ResponseEncryption string

	// RedirectURIs are the allowed values of redirect_uri, which must match exactly.
	RedirectURIs []string

	// PostLogoutRedirectURIs are the allowed values of post_logout_redirect_uri, which must match exactly.
	PostLogoutRedirectURIs []string

	// RequirePAR refuses authorization requests of this client that were not pushed (RFC 9126 section 6), and DPoPBound token
	// requests without a DPoP proof (RFC 9449 section 5.2).
	RequirePAR, DPoPBound bool

	// BackchannelLogoutURI is where [Provider.EndSessions] sends logout tokens, on loopback: for the sign-in routes, BaseURL +
	// RoutesPath + /backchannel-logout.
	BackchannelLogoutURI string

	// AnyLoopbackRedirect also allows every http URL with a loopback host, for both kinds of redirect.
	AnyLoopbackRedirect bool
}

// Clients returns the clients of the example apps: [ExampleClient], which is confidential, and [ExamplePublicClient],
// both with any loopback redirect_uri. The caller may modify the slice.
func Clients() []Client {
	return []Client{
		{ID: ExampleClient, Secret: ExampleSecret, AnyLoopbackRedirect: true},
		{ID: ExamplePublicClient, AnyLoopbackRedirect: true},
	}
}

// AddClient registers a client, or replaces the one with the same ID.
func (p *Provider) AddClient(client Client) { p.registry.setClient(client) }

func (c Client) hasKeys() bool { return c.JWKS != nil || c.JWKSURI != "" }

func (c Client) isPublic() bool { return c.Secret == "" && !c.hasKeys() && !c.hasCertificate() }

func (c Client) mayRedirect(uri string) bool {
	return slices.Contains(c.RedirectURIs, uri) || c.AnyLoopbackRedirect && isLoopbackURL(uri)
}

func (c Client) mayRedirectAfterLogout(uri string) bool {
	return slices.Contains(c.PostLogoutRedirectURIs, uri) || c.AnyLoopbackRedirect && isLoopbackURL(uri)
}

func isLoopbackURL(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme == "http" && devenv.IsLoopback(u.Hostname()) && u.User == nil && u.Fragment == ""
}

// oauthError is an error response: RFC 6749 section 4.1.2.1 in a redirect, section 5.2 in a body.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
	status      int    // default 400
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

func (e *oauthError) write(w http.ResponseWriter) {
	status := e.status
	status = cmp.Or(status, http.StatusBadRequest)
	writeJSON(w, status, e)
}

// readForm returns the form of a POST. Parameters in the URL do not count, and none may be repeated (RFC 6749 section
// 3.2).
func readForm(r *http.Request) (url.Values, *oauthError) {
	if err := r.ParseForm(); err != nil {
		return nil, &oauthError{Code: "invalid_request", Description: "the form cannot be read"}
	}
	if name := repeated(r.PostForm); name != "" {
		return nil, &oauthError{Code: "invalid_request", Description: name + " is there more than once"}
	}
	return r.PostForm, nil
}

func repeated(values url.Values) string {
	for name, list := range values {
		if len(list) > 1 {
			return name
		}
	}
	return ""
}

// authenticate reads a client's request and identifies the client, RFC 6749 section 2.3.
func (p *Provider) authenticate(w http.ResponseWriter, r *http.Request) (Client, url.Values, *oauthError) {
	form, fault := readForm(r)
	if fault != nil {
		return Client{}, nil, fault
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" {
			return Client{}, nil, &oauthError{Code: "invalid_request", Description: "the client authenticates in two ways at once"}
		}
		basicID, err1 := url.QueryUnescape(user)
		basicSecret, err2 := url.QueryUnescape(password)
		if err1 != nil || err2 != nil || id != "" && id != basicID {
			return Client{}, nil, &oauthError{Code: "invalid_request", Description: "the Authorization header is malformed or names another client"}
		}
		id, secret = basicID, basicSecret
	}
	client, known := p.registry.client(id)
	if known && client.hasKeys() {
		if err := p.checkAssertion(client, form); err != nil {
			return Client{}, nil, &oauthError{Code: "invalid_client", Description: err.Error(), status: http.StatusUnauthorized}
		}
		return client, form, nil
	}
	if known && client.hasCertificate() {
		if err := p.checkCertificate(client, r); err != nil {
			return Client{}, nil, &oauthError{Code: "invalid_client", Description: err.Error(), status: http.StatusUnauthorized}
		}
		return client, form, nil
	}
	if !known || subtle.ConstantTimeCompare([]byte(client.Secret), []byte(secret)) != 1 {
		w.Header().Set("WWW-Authenticate", `Basic realm="idtest"`)
		return Client{}, nil, &oauthError{Code: "invalid_client", Description: "unknown client or wrong secret", status: http.StatusUnauthorized}
	}
	return client, form, nil
}
