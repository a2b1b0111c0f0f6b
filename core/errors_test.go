package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// Every error that the package exports is idserver.Err, and all of them are in this list.
func TestErrIsEveryExportedError(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	all := map[string]error{
		"Err":          idserver.Err,
		"ErrDiscovery": idserver.ErrDiscovery, "ErrInvalidToken": idserver.ErrInvalidToken, "ErrTokenEndpoint": idserver.ErrTokenEndpoint,
		"ErrUserInfo":    idserver.ErrUserInfo,
		"ErrUnavailable": idserver.ErrUnavailable, "ErrSignedOut": idserver.ErrSignedOut,

		"ReasonMalformed": idserver.ReasonMalformed, "ReasonAlgorithm": idserver.ReasonAlgorithm, "ReasonUnknownKey": idserver.ReasonUnknownKey,
		"ReasonAmbiguousKey": idserver.ReasonAmbiguousKey, "ReasonSignature": idserver.ReasonSignature, "ReasonType": idserver.ReasonType,
		"ReasonIssuer": idserver.ReasonIssuer, "ReasonAudience": idserver.ReasonAudience, "ReasonAuthorizedParty": idserver.ReasonAuthorizedParty,
		"ReasonExpired": idserver.ReasonExpired, "ReasonNotYetValid": idserver.ReasonNotYetValid, "ReasonIssuedAt": idserver.ReasonIssuedAt,
		"ReasonAuthTime": idserver.ReasonAuthTime, "ReasonNonce": idserver.ReasonNonce, "ReasonRevoked": idserver.ReasonRevoked,
		"ReasonSubject": idserver.ReasonSubject, "ReasonAccessTokenHash": idserver.ReasonAccessTokenHash,
		"ReasonEncryption": idserver.ReasonEncryption,

		"DiscoveryError":     &idserver.DiscoveryError{Err: cause},
		"InvalidTokenError":  &idserver.InvalidTokenError{Reason: idserver.ReasonExpired, Err: cause},
		"AuthorizationError": &idserver.AuthorizationError{},
		"TokenEndpointError": &idserver.TokenEndpointError{Status: 400},
		"UserInfoError":      &idserver.UserInfoError{Status: 400},
		"Refusal":            &idserver.Refusal{},
		"Reason":             idserver.Reason("other"),
	}
	isError := func(name string, kind ast.ObjKind) bool {
		switch kind {
		case ast.Typ:
			return strings.HasSuffix(name, "Error") || name == "Refusal" || name == "Reason"
		case ast.Var:
			return strings.HasPrefix(name, "Err")
		}
		return kind == ast.Con && strings.HasPrefix(name, "Reason")
	}
	if names := declared(t, isError); !slices.Equal(names, slices.Sorted(maps.Keys(all))) {
		t.Errorf("the package exports the errors %q; this test knows %q", names, slices.Sorted(maps.Keys(all)))
	}
	for name, err := range all {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, idserver.Err) {
				t.Error("it is not idserver.Err")
			}
			//lint:ignore SA1032 the other way round is what must not hold
			if errors.Is(err, http.ErrNoCookie) || name != "Err" && errors.Is(idserver.Err, err) {
				t.Error("it is what it is not")
			}
		})
	}
}

// Every call that fails returns an idserver.Err, whoever is at fault: the caller, the provider, or a context that ended.
func TestErrIsEveryResult(t *testing.T) {
	calls := map[string]func(context.Context, *idserver.Client) error{
		"Refetch": func(ctx context.Context, c *idserver.Client) error { return c.Refetch(ctx) },
		"AuthorizeURL": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.AuthorizeURL(ctx, idserver.AuthorizeOptions{Extra: map[string][]string{"state": {"x"}}})
			return err
		},
		"ReadCallback": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ReadCallback(ctx, "error=access_denied&state=s", &idserver.AuthorizationRequest{State: "s"})
			return err
		},
		"ReadCallback, bad query": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ReadCallback(ctx, "%", nil)
			return err
		},
		"ReadCallback, bad state": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ReadCallback(ctx, "code=x&state=s", nil)
			return err
		},
		"ExchangeCode": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ExchangeCode(ctx, "code", &idserver.AuthorizationRequest{})
			return err
		},
		"ExchangeCode, nothing": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ExchangeCode(ctx, "", nil)
			return err
		},
		"RefreshToken": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.RefreshToken(ctx, &idserver.Tokens{RefreshToken: "x", User: &idserver.User{Subject: "s"}})
			return err
		},
		"RefreshToken, nothing": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.RefreshToken(ctx, &idserver.Tokens{})
			return err
		},
		"RevokeToken": func(ctx context.Context, c *idserver.Client) error {
			return c.RevokeToken(ctx, "x")
		},
		"ValidateAccessToken": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ValidateAccessToken(ctx, "x", idserver.AccessTokenCheck{})
			return err
		},
		"ValidateIDToken": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.ValidateIDToken(ctx, "x", idserver.IDTokenCheck{})
			return err
		},
		"UserInfo": func(ctx context.Context, c *idserver.Client) error {
			_, err := c.UserInfo(ctx, "x", "s")
			return err
		},
		"Refetch, closed": func(ctx context.Context, c *idserver.Client) error {
			c.Close()
			return c.Refetch(ctx)
		},
		"Routes": func(_ context.Context, c *idserver.Client) error {
			_, err := c.Routes("/elsewhere")
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			ended, end := context.WithCancel(t.Context())
			end()
			away := func(c *idserver.Config) {
				c.HTTP.Client = &http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("away") })}
			}
			for situation, err := range map[string]error{
				"the context ended":    call(ended, w.client(t)),
				"the provider is away": call(t.Context(), w.client(t, away)),
			} {
				if !errors.Is(err, idserver.Err) || !strings.HasPrefix(err.Error(), "idserver: ") {
					t.Errorf("%s: %v", situation, err)
				}
			}
			succeeds := name == "Refetch" || name == "RevokeToken" // of a token that the provider does not know
			if err := call(t.Context(), w.client(t)); errors.Is(err, idserver.Err) == succeeds {
				t.Errorf("%v", err)
			}
		}))
	}
}

func TestErrWithoutClient(t *testing.T) {
	t.Parallel()
	_, ofNew := idserver.New(idserver.Config{})
	_, ofJSON := json.Marshal(&idserver.User{Subject: "\xff"})
	for name, err := range map[string]error{
		"New": ofNew, "MarshalJSON": ofJSON,
		"Claims":             new(idserver.User).Claims(new(int)),
		"Set, of what":       new(idserver.User).Set("sub", "x"),
		"Set, not JSON":      new(idserver.User).Set("x", func() {}),
		"Set, no good texts": new(idserver.User).Set("x", "\xff"),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, idserver.Err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// What only the operator can mend is said to them: a provider's words for a wrong secret are often "invalid_client" alone.
func TestTokenEndpointErrorSaysWhatToCompare(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err     *idserver.TokenEndpointError
		advised bool
	}{
		"the client is refused":   {&idserver.TokenEndpointError{Status: 401, Code: "invalid_client"}, true},
		"with 400":                {&idserver.TokenEndpointError{Status: 400, Code: "invalid_client"}, true},
		"401 and nothing more":    {&idserver.TokenEndpointError{Status: 401}, true},
		"the grant is refused":    {&idserver.TokenEndpointError{Status: 400, Code: "invalid_grant"}, false},
		"the grant, but with 401": {&idserver.TokenEndpointError{Status: 401, Code: "invalid_grant"}, false},
		"the provider is down":    {&idserver.TokenEndpointError{Status: 503}, false},
		"there is no answer":      {&idserver.TokenEndpointError{Err: errors.New("connection refused")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Contains(row.err.Error(), "compare the client ID"); got != row.advised {
				t.Errorf("%v: advised %v, want %v", row.err, got, row.advised)
			}
		})
	}
}
