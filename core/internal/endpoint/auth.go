package endpoint

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/url"
)

// Authentication proves to an endpoint who sends the request.
type Authentication interface {
	// Authenticate adds to the header or the form of r, and names to r.Hide what of that is confidential. It may ask a
	// signer or read a file. It must be safe for concurrent use.
	Authenticate(ctx context.Context, r *Request) error
}

var errNoForm = errors.New("this client authentication needs a form")

// None is for a public client: it only identifies itself, RFC 6749 section 2.3.1.
type None struct{ ClientID string }

func (n None) Authenticate(_ context.Context, r *Request) error {
	if r.Form == nil {
		return errNoForm
	}
	r.Form.Set("client_id", n.ClientID)
	return nil
}

// SecretPost is client_secret_post: the secret goes in the form, RFC 6749 section 2.3.1.
type SecretPost struct{ ClientID, ClientSecret string }

func (s SecretPost) Authenticate(_ context.Context, r *Request) error {
	if r.Form == nil {
		return errNoForm
	}
	r.Form.Set("client_id", s.ClientID)
	r.Form.Set("client_secret", s.ClientSecret)
	r.Hide(s.ClientSecret)
	return nil
}

// SecretBasic is client_secret_basic: the secret goes in the header, form-encoded before it is put together (RFC 6749
// section 2.3.1).
type SecretBasic struct{ ClientID, ClientSecret string }

func (s SecretBasic) Authenticate(_ context.Context, r *Request) error {
	credentials := url.QueryEscape(s.ClientID) + ":" + url.QueryEscape(s.ClientSecret)
	encoded := base64.StdEncoding.EncodeToString([]byte(credentials))
	r.Header.Set("Authorization", "Basic "+encoded)
	r.Hide(s.ClientSecret, encoded)
	return nil
}

// Assertion is a client assertion that is made for each request, RFC 7521 section 4.2.
type Assertion struct {
	ClientID string
	Type     string // client_assertion_type
	Make     func(ctx context.Context) (string, error)
}

// Types of assertions.
const (
	JWTBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
	JWTSPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe" // draft-ietf-oauth-spiffe-client-auth
)

func (a Assertion) Authenticate(ctx context.Context, r *Request) error {
	if r.Form == nil {
		return errNoForm
	}
	assertion, err := a.Make(ctx)
	if err != nil {
		return err
	}
	r.Form.Set("client_id", a.ClientID)
	r.Form.Set("client_assertion_type", a.Type)
	r.Form.Set("client_assertion", assertion)
	r.Hide(assertion)
	return nil
}

// Bearer is an access token, RFC 6750 section 2.1.
type Bearer struct{ AccessToken string }

func (b Bearer) Authenticate(_ context.Context, r *Request) error {
	r.Header.Set("Authorization", "Bearer "+b.AccessToken)
	r.Hide(b.AccessToken)
	return nil
}

// Bound is an access token that is bound to a key, RFC 9449 section 7.1. Its proof is another's business.
type Bound struct{ AccessToken string }

func (b Bound) Authenticate(_ context.Context, r *Request) error {
	r.Header.Set("Authorization", "DPoP "+b.AccessToken)
	r.Hide(b.AccessToken)
	return nil
}

// String, GoString and LogValue name the method and nothing else.
func (s SecretPost) String() string        { return "client_secret_post" }
func (s SecretPost) GoString() string      { return s.String() }
func (s SecretPost) LogValue() slog.Value  { return slog.StringValue(s.String()) }
func (s SecretBasic) String() string       { return "client_secret_basic" }
func (s SecretBasic) GoString() string     { return s.String() }
func (s SecretBasic) LogValue() slog.Value { return slog.StringValue(s.String()) }
func (a Assertion) String() string         { return "client assertion" }
func (a Assertion) GoString() string       { return a.String() }
func (a Assertion) LogValue() slog.Value   { return slog.StringValue(a.String()) }
func (b Bearer) String() string            { return "bearer token" }
func (b Bearer) GoString() string          { return b.String() }
func (b Bearer) LogValue() slog.Value      { return slog.StringValue(b.String()) }
func (b Bound) String() string             { return "bound token" }
func (b Bound) GoString() string           { return b.String() }
func (b Bound) LogValue() slog.Value       { return slog.StringValue(b.String()) }
