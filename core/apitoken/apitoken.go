// Package apitoken gets access tokens for the next API: in the name of the user who sent a request, or of the program itself; and
// signs people in to programs without a browser.
//
// An access token is for one API (its aud). A program that passes the one that it was called with on to another API is refused there,
// or opens to everybody who has that token what only it should reach. It exchanges it instead, at the provider:
//
//	orders, err := apitoken.New(client, apitoken.Config{Audience: "orders-api", Scopes: []string{"orders:read"}})
//	…
//	api := http.Client{Transport: orders.UserTransport(r.Context(), "https://orders.example.com", nil)}
//
// The client is that of package idserver, with its own authentication: a secret, or a key.
package apitoken

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/grants"
)

// Config says which API the tokens are for. At least one of Audience, Resource and Scopes must be set.
type Config struct {
	// Audience is the logical name of the API (audience, RFC 8693 section 2.1, which Auth0 takes in every grant), and Resource its
	// URL (resource, RFC 8707): what the provider puts into aud. Default: not sent.
	Audience, Resource string
	// Scopes are asked for. At Entra, one is the API's own with /.default. Default: what the provider gives.
	Scopes []string
	// OnBehalfOf exchanges the user's token as Entra does (its on-behalf-of flow: the jwt-bearer grant of RFC 7523 with
	// requested_token_use), and as AD FS does. Default: RFC 8693.
	OnBehalfOf bool
	// Parameters are added to every token request. One that the grants themselves set is an error.
	Parameters url.Values
}

// Limits on what is kept and asked.
const (
	mostRunning    = 64
	requestLimit   = 15 * time.Second
	refreshWait    = 3 * time.Second // how long a caller waits for a new token while the old one is good
	refusalKept    = 5 * time.Second
	failureKept    = time.Second
	unknownLife    = time.Minute // of a token of which nobody says when it expires
	mostResultSize = 1 << 20
)

// Source gets access tokens for one API, and keeps them until a fifth of their life is left: one for the program itself, and one for
// each access token that users come with. Create it with [New], once. It is safe for concurrent use.
type Source struct {
	cfg      Config
	endpoint grants.Endpoint
	kept     kept
	asking   *flight.Group[grants.Token]
}

// New returns a source of tokens for an API. It uses no network. The source works until the client is closed. The client must have
// a secret or a key (RFC 6749 section 4.4). The error joins everything that is wrong with the configuration.
func New(client *idserver.Client, cfg Config) (*Source, error) {
	if client == nil {
		return nil, baseerror.New("apitoken: there is no client")
	}
	cfg.Scopes = slices.Clone(cfg.Scopes)
	s := &Source{cfg: cfg, endpoint: grants.Of(client)}
	if err := s.faults().Err(); err != nil {
		return nil, baseerror.Errorf("apitoken: configuration: %w", err)
	}
	s.asking = flight.New(flight.Options[grants.Token]{
		Now: s.endpoint.Now, Limit: requestLimit, MostRunning: mostRunning, MostBytes: mostResultSize,
		Size: func(grants.Token, error) int { return 0 },
		Kept: func(_ grants.Token, err error) time.Duration {
			switch {
			case err == nil:
				return 0 // it is in kept
			case errors.Is(err, idserver.ErrUnavailable):
				return failureKept
			}
			return refusalKept
		},
	})
	s.endpoint.AlsoClose(s.asking.Close)
	return s, nil
}

// reserved are the parameters that the grants themselves set.
var reserved = []string{
	"grant_type", "scope", "audience", "resource", "subject_token", "subject_token_type", "requested_token_type", "requested_token_use",
	"assertion", "client_id", "client_secret", "client_assertion", "client_assertion_type",
}

func (s *Source) faults() (faults fault.List) {
	if !s.endpoint.Authenticates() {
		faults.Add("Client", "", "must authenticate: set Config.ClientSecret or Config.ClientKeys of package idserver")
	}
	if s.cfg.Audience == "" && s.cfg.Resource == "" && len(s.cfg.Scopes) == 0 {
		faults.Add("Audience", "", "is empty, and so are Resource and Scopes: say which API the tokens are for")
	}
	if u, err := url.Parse(s.cfg.Resource); s.cfg.Resource != "" && (err != nil || u.Scheme == "" || strings.Contains(s.cfg.Resource, "#")) {
		faults.Add("Resource", "", "%q: want an absolute URI without a fragment (RFC 8707 section 2)", s.cfg.Resource)
	}
	for _, scope := range s.cfg.Scopes {
		if !claims.IsScope(scope) {
			faults.Add("Scopes", "", "has %q, which is not one scope", scope)
		}
	}
	for name := range s.cfg.Parameters {
		if slices.Contains(reserved, strings.ToLower(name)) {
			faults.Add("Parameters", "", "must not hold %q", name)
		}
	}
	return faults
}

// Service returns the source of a token for the program itself (client credentials, RFC 6749 section 4.4). Token waits for the
// provider as long as ctx lasts, at most 15 s.
//
// An error that is [idserver.ErrUnavailable] is passing: try again later. So is none of the others (an [idserver.TokenEndpointError], an
// [idserver.DiscoveryError]): the provider does not know the client, the API or the scope, or answers with something that is no
// access token. While a token is good, a passing fault is none.
//
// A token that is bound to a key (idserver.Config.DPoP) is of type DPoP, and of no use without a proof, which only
// [Source.ServiceTransport] makes.
func (s *Source) Service(ctx context.Context) oauth2.TokenSource {
	return source(func() (grants.Token, error) { return s.service(ctx) })
}

// User returns the source of a token in the name of the user who sent a request: their access token is exchanged for one for
// this API (RFC 8693, or see Config.OnBehalfOf). ctx is the context behind a guard of the client, or of a Resource of it; the
// source may be used after the request, as that of [idserver.Client.TokenSource].
//
// What is exchanged is the token that idserver's TokenSource returns, and its errors are this one's: [idserver.ErrSignedOut] when
// the session is over. An exchanged token is kept with the one that it was exchanged for, and never given to another user, or
// for another token of the same. For the others see [Source.Service]. An answer that is of another type than an access token
// (issued_token_type) is refused; with Config.OnBehalfOf it may leave that out.
func (s *Source) User(ctx context.Context) oauth2.TokenSource {
	return source(func() (grants.Token, error) { return s.user(ctx) })
}

// ServiceTransport adds the token of [Source.Service] to requests of one origin, in the way of [idserver.Client.Transport], with a proof
// of its key where it is bound to one.
func (s *Source) ServiceTransport(ctx context.Context, origin string, base http.RoundTripper) http.RoundTripper {
	return s.endpoint.Transport(func() (grants.Token, error) { return s.service(ctx) }, origin, base)
}

// UserTransport adds the token of [Source.User] to requests of one origin, in the way of [idserver.Client.Transport], with a proof of
// its key where it is bound to one.
func (s *Source) UserTransport(ctx context.Context, origin string, base http.RoundTripper) http.RoundTripper {
	return s.endpoint.Transport(func() (grants.Token, error) { return s.user(ctx) }, origin, base)
}

// source is an oauth2.TokenSource.
type source func() (grants.Token, error)

// Token implements [oauth2.TokenSource].
func (get source) Token() (*oauth2.Token, error) {
	t, err := get()
	if err != nil {
		return nil, err
	}
	own := *t.Token // a caller may change it
	return &own, nil
}

// String keeps what the source holds out of a log.
func (source) String() string { return "apitoken.Source" }

func (s *Source) service(ctx context.Context) (grants.Token, error) {
	key := sha256.Sum256([]byte("service\x00" + s.endpoint.Identity()))
	return s.token(ctx, key, func(ctx context.Context) (grants.Token, error) {
		bound, err := s.endpoint.NewKey()
		if err != nil {
			return grants.Token{}, err
		}
		return s.endpoint.Request(ctx, s.form(url.Values{"grant_type": {"client_credentials"}}), bound)
	})
}

func (s *Source) user(ctx context.Context) (grants.Token, error) {
	subject, bound, err := s.endpoint.Subject(ctx)
	if err != nil {
		return grants.Token{}, baseerror.Errorf("apitoken: %w", err)
	}
	key := sha256.Sum256([]byte("user\x00" + s.endpoint.Identity() + "\x00" + subject.AccessToken))
	return s.token(ctx, key, func(ctx context.Context) (grants.Token, error) {
		return s.exchange(ctx, subject.AccessToken, bound)
	})
}

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtBearerGrant  = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token"
)

// exchange exchanges an access token. One that is bound to a key of ours is exchanged with a proof of that, and the new one is bound to
// the same.
func (s *Source) exchange(ctx context.Context, subject string, bound *dpop.Key) (grants.Token, error) {
	if bound == nil {
		var err error
		if bound, err = s.endpoint.NewKey(); err != nil {
			return grants.Token{}, err
		}
	}
	if s.cfg.OnBehalfOf {
		t, err := s.endpoint.Request(ctx, s.form(url.Values{
			"grant_type": {jwtBearerGrant}, "assertion": {subject}, "requested_token_use": {"on_behalf_of"},
		}), bound)
		if err == nil && t.IssuedType != "" && t.IssuedType != accessTokenType { // RFC 7523 has no such member, and Entra sends none
			return grants.Token{}, &idserver.TokenEndpointError{Status: http.StatusOK, Err: errOtherType}
		}
		return t, err
	}
	t, err := s.endpoint.Request(ctx, s.form(url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {subject}, "subject_token_type": {accessTokenType}, "requested_token_type": {accessTokenType},
	}), bound)
	if err == nil && t.IssuedType != accessTokenType {
		return grants.Token{}, &idserver.TokenEndpointError{Status: http.StatusOK, Err: errOtherType}
	}
	return t, err
}

var errOtherType = errors.New("issued_token_type is not that of an access token (RFC 8693 section 2.2.1)")

// form adds to a request what the API is.
func (s *Source) form(form url.Values) url.Values {
	for name, values := range s.cfg.Parameters {
		form[name] = values
	}
	for name, value := range map[string]string{"audience": s.cfg.Audience, "resource": s.cfg.Resource, "scope": strings.Join(s.cfg.Scopes, " ")} {
		if value != "" {
			form.Set(name, value)
		}
	}
	return form
}

// token returns the token that is kept, or has it requested, once for everybody who wants it.
func (s *Source) token(ctx context.Context, key [32]byte, request func(context.Context) (grants.Token, error)) (grants.Token, error) {
	old, state := s.kept.get(key, s.endpoint.Now())
	if state == fresh {
		return old, nil
	}
	asking, cancel := ctx, context.CancelFunc(func() {})
	if state == due {
		asking, cancel = context.WithTimeout(ctx, refreshWait)
	}
	defer cancel()
	t, err := s.asking.Do(asking, key, func(ctx context.Context) (grants.Token, error) {
		if t, state := s.kept.get(key, s.endpoint.Now()); state == fresh { // somebody was quicker
			return t, nil
		}
		asked := s.endpoint.Now()
		t, err := request(ctx)
		if err == nil {
			s.kept.put(key, t, asked)
		} else if !errors.Is(err, idserver.ErrUnavailable) {
			s.kept.forget(key)
		}
		return t, err
	})
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, flight.ErrLeft) && ctx.Err() != nil:
		return t, baseerror.Errorf("apitoken: %w", err)
	case errors.Is(err, flight.ErrLeft), errors.Is(err, flight.ErrBusy), errors.Is(err, flight.ErrClosed), errors.Is(err, flight.ErrPanicked):
		err = baseerror.Errorf("apitoken: %w: %w", idserver.ErrUnavailable, err)
	default:
		err = baseerror.Errorf("apitoken: %w", err)
	}
	if state == due && errors.Is(err, idserver.ErrUnavailable) { // it is good for a while yet
		return old, nil
	}
	return t, err
}
