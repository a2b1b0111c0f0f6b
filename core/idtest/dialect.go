package idtest

import (
	"net/http"
	"net/url"
	"time"
)

// Dialect is how a provider differs from Signward Identity Server, for the stand-in of another provider: package sgidtest
// is made with it. The zero value differs in nothing. Its functions are called concurrently.
type Dialect struct {
	// Paths are the paths of the endpoints below Options.BaseURL, each beginning with a slash. An endpoint without one
	// does not exist, and the metadata does not name it. Default, if nil: the paths beside the constants.
	Paths map[Endpoint]string

	// OpenIDOnly refuses an authorization request without the scope openid.
	OpenIDOnly bool

	// NoRefreshTokens neither issues nor takes refresh tokens.
	NoRefreshTokens bool

	// OpaqueAccessTokens issues access tokens that are random text, of which only the userinfo endpoint can make
	// anything, in place of JWTs. [Provider.MintAccessToken] still makes a JWT, which userinfo then refuses.
	OpaqueAccessTokens bool

	// NoRotation lets a refresh token be used again and again; a refresh then issues none.
	NoRotation bool

	// RefreshGrace is for how long after its first use a refresh token that was rotated is answered again, with further tokens
	// of the same sign-in: what Okta and others do for a client that has lost an answer. A later use is reuse. Default: none.
	RefreshGrace time.Duration

	// LastReplayWins revokes, when a refresh token is answered again within RefreshGrace, the tokens that it brought before and
	// all that came of those.
	LastReplayWins bool

	// NoReuseDetection refuses the second use of a refresh token and revokes nothing. Default: it revokes everything that came
	// from the sign-in (RFC 9700 section 4.14.2).
	NoReuseDetection bool

	// TenantClaims puts tenant_id, roles and custom_roles into ID tokens too, where IDTokenClaims may rename them.
	TenantClaims bool

	// AssertionType is the only typ of client assertions that is accepted. Default: JWT, client-authentication+jwt, or none.
	AssertionType string

	// AssertionForTokenEndpoint wants the URL of the token endpoint as the audience of client assertions, in place of the
	// issuer.
	AssertionForTokenEndpoint bool

	// RequirePAR refuses authorization requests that were not pushed (RFC 9126 section 5), and RequireDPoP token requests without
	// a DPoP proof. See also [FAPI2].
	RequirePAR, RequireDPoP bool

	// CertificateBound binds access tokens to the client's certificate (RFC 8705 section 3), which must then be presented; see
	// Options.TLS.
	CertificateBound bool

	// DPoPNonces wants a nonce of this provider in every DPoP proof (RFC 9449 section 8). A nonce is good for five to ten
	// minutes, or until [Provider.RotateDPoPNonce].
	DPoPNonces bool

	// SignedRequests refuses pushed authorization requests that are no request object (RFC 9101), and SignedResponses those that do not
	// ask for a signed response (JARM). See also [FAPI2MessageSigning].
	SignedRequests, SignedResponses bool

	// NoDPoP ignores DPoP proofs, and issues bearer tokens.
	NoDPoP bool

	// SigningAlgorithm is what ID tokens, access tokens and userinfo are signed with: RS256, PS256 or ES256. Default: RS256.
	SigningAlgorithm string

	// AccessTokenType is the typ of access tokens; "none" leaves it out. Default: at+jwt.
	AccessTokenType string

	// AccessTokenClaims and UserInfoClaims may change the claims of access tokens and of userinfo responses, before a test's
	// function does.
	AccessTokenClaims, UserInfoClaims func(claims map[string]any)

	// Metadata, AuthorizationResponse, TokenResponse and IDTokenClaims may change what the provider would send, before
	// the function of a test does that was set with the Provider's method Set and the same name.
	Metadata              func(metadata map[string]any)
	AuthorizationResponse func(response url.Values)
	TokenResponse         func(response map[string]any)
	IDTokenClaims         func(claims map[string]any)

	// IDTokenOf may change the claims of the ID token of a grant, before IDTokenClaims does.
	IDTokenOf func(grant Grant, claims map[string]any)

	// MaxAssertionLife is how long client assertions may be good for. Default: 5 min.
	MaxAssertionLife time.Duration

	// CheckPushed may refuse a pushed authorization request of a client that is good otherwise: an error is invalid_request.
	CheckPushed func(clientID string, form url.Values) error

	// UserInfo returns the userinfo response for a valid access token. An error is answered with a status of 500 that
	// shows it. Default: the person's claims.
	UserInfo func(grant Grant) (map[string]any, error)

	// RefuseUserInfo answers a userinfo request without a valid access token, or without a valid DPoP proof of its key: the text of
	// err then begins with invalid_token, invalid_dpop_proof or use_dpop_nonce. Default: a 401 as of RFC 6750 section 3 or RFC 9449
	// section 7.1.
	RefuseUserInfo func(w http.ResponseWriter, err error)

	issuerSuffix string // of the issuer, behind the URL
}

// Grant is what an access token stands for.
type Grant struct {
	Login    string // of the [Person]
	Subject  string // the sub claim
	ClientID string
	Scope    string // the names, separated by spaces

	jkt string // the key that it is bound to
}

// path returns the path of an endpoint below [Provider.URL], or "" if there is none.
func (p *Provider) path(e Endpoint) string {
	if e == Registration && !p.options.Registration {
		return ""
	}
	if p.options.Dialect.Paths != nil {
		return p.options.Dialect.Paths[e]
	}
	return paths[e]
}

// applyEdits applies a function of the dialect and then that of a test, where there is one.
func applyEdits[T any](value T, dialect func(T), test *hook[T]) {
	if dialect != nil {
		dialect(value)
	}
	test.apply(value)
}
