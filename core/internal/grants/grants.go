// Package grants is the way from package apitoken to the token endpoint of an idserver.Client: what a client knows (its metadata, how
// it authenticates, its keys) stays in package idserver, and no name of it is on that package's page.
package grants

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/dpop"
)

// Token is an access token that the token endpoint issued.
type Token struct {
	*oauth2.Token
	Key        *dpop.Key // that it is bound to; nil: a bearer token
	IssuedType string    // issued_token_type (RFC 8693 section 2.2.1); "" if there is none, or if it is no text
}

// Endpoint is the token endpoint of a client, and what else a grant needs of that.
type Endpoint interface {
	// Identity tells issuer and client, for cache keys.
	Identity() string
	// Authenticates reports whether the client has a secret or a key.
	Authenticates() bool
	Now() time.Time
	// NewKey makes the key that a token will be bound to; nil if the client asks for bearer tokens.
	NewKey() (*dpop.Key, error)
	// Request sends one token request. The error is a TokenEndpointError or a DiscoveryError of package idserver.
	Request(ctx context.Context, form url.Values, key *dpop.Key) (Token, error)
	// Subject returns the access token of the user who sent the request that ctx is behind, as Client.TokenSource does, and
	// the key that it is bound to.
	Subject(ctx context.Context) (*oauth2.Token, *dpop.Key, error)
	// Transport is Client.Transport with tokens of another source.
	Transport(source func() (Token, error), origin string, base http.RoundTripper) http.RoundTripper
	// Device sends a device authorization request (RFC 8628 section 3.1), and returns the body of the answer.
	Device(ctx context.Context, form url.Values) ([]byte, error)
	// DeviceTokens sends one device access token request (RFC 8628 section 3.4). tokens is an *idserver.Tokens, whose ID token is
	// verified, if there is one. refusal is the OAuth error code, if the provider answered with one.
	DeviceTokens(ctx context.Context, form url.Values, key *dpop.Key) (tokens any, refusal string, err error)
	// AlsoClose has end called when the client is closed.
	AlsoClose(end func())
}

// Of returns the endpoint of an *idserver.Client. Package idserver sets it.
var Of func(client any) Endpoint
