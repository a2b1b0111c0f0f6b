package idserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/grants"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

func init() {
	grants.Of = func(client any) grants.Endpoint { return grantEndpoint{client.(*Client)} }
}

// grantEndpoint is the token endpoint of a client, for package apitoken.
type grantEndpoint struct{ client *Client }

func (e grantEndpoint) Identity() string { return e.client.issuer() + "\x00" + e.client.cfg.ClientID }

func (e grantEndpoint) Authenticates() bool {
	p := e.client.provider
	return p.cfg.ClientSecret != "" || p.clientKeys.signer != nil
}

func (e grantEndpoint) Now() time.Time { return e.client.cfg.Now() }

func (e grantEndpoint) NewKey() (*dpop.Key, error) { return e.client.provider.newProofKey() }

func (e grantEndpoint) AlsoClose(end func()) { e.client.provider.alsoClose(end) }

func (e grantEndpoint) Request(ctx context.Context, form url.Values, key *dpop.Key) (t grants.Token, err error) {
	var kept []byte
	if key != nil {
		if kept, err = key.Bytes(); err != nil {
			return t, err
		}
	}
	tokens, err := e.client.provider.requestTokens(ctx, form, kept)
	if err != nil {
		return t, baseerror.Of(err)
	}
	if strings.ContainsFunc(tokens.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }) { // it would be more than one word of a header field
		return t, &TokenEndpointError{Status: http.StatusOK, Err: errNotSendable}
	}
	return grants.Token{
		Token: &oauth2.Token{AccessToken: tokens.AccessToken, TokenType: tokens.kind(), Expiry: tokens.Expiry},
		Key:   key, IssuedType: tokens.issuedType,
	}, nil
}

var errNotSendable = errors.New("the access token has characters that cannot be sent with it (RFC 6749 appendix A.12)")

func (e grantEndpoint) Subject(ctx context.Context) (*oauth2.Token, *dpop.Key, error) {
	t, key, err := e.client.userTokens(ctx).bound()
	return t, key, baseerror.Of(err)
}

func (e grantEndpoint) Transport(source func() (grants.Token, error), origin string, base http.RoundTripper) http.RoundTripper {
	return e.client.transport(grantedTokens(source), origin, base)
}

// grantedTokens is the source of a transport.
type grantedTokens func() (grants.Token, error)

func (source grantedTokens) bound() (*oauth2.Token, *dpop.Key, error) {
	t, err := source()
	return t.Token, t.Key, err
}

func (e grantEndpoint) Device(ctx context.Context, form url.Values) ([]byte, error) {
	p := e.client.provider
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, baseerror.Of(err)
	}
	if m.DeviceAuthorizationEndpoint == "" {
		return nil, &DiscoveryError{p.cfg.Authority, errors.New("no device_authorization_endpoint in it")}
	}
	a, err := p.post(ctx, m, "device authorization", m.DeviceAuthorizationEndpoint, form, nil)
	if err != nil {
		return nil, baseerror.Of(err)
	}
	return a.Body, nil
}

func (e grantEndpoint) DeviceTokens(ctx context.Context, form url.Values, key *dpop.Key) (_ any, refusal string, err error) {
	var kept []byte
	if key != nil {
		if kept, err = key.Bytes(); err != nil {
			return nil, "", err
		}
	}
	tokens, err := e.client.provider.deviceTokens(ctx, form, kept)
	var refused *TokenEndpointError
	if errors.As(err, &refused) {
		refusal = refused.Code
	}
	if err != nil {
		return nil, refusal, baseerror.Of(err)
	}
	return tokens, "", nil
}

// deviceTokens requests the tokens of a person who signs in with another device. The ID token, if openid was asked for, came over
// TLS in answer to a code that only this program has; there is no nonce to compare.
func (p *provider) deviceTokens(ctx context.Context, form url.Values, kept []byte) (*Tokens, error) {
	tokens, err := p.requestTokens(ctx, form, kept)
	if err != nil || tokens.IDToken == "" {
		return tokens, err
	}
	if tokens.IDToken, err = p.opened(tokens.IDToken); err != nil {
		return nil, err
	}
	said, err := unverifiedClaims(tokens.IDToken)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(said.Subject); err != nil {
		return nil, err
	}
	idToken, err := p.verifyIDToken(ctx, tokens.IDToken, IDTokenCheck{AccessToken: tokens.AccessToken, Subject: said.Subject}, issuedIDToken)
	if err != nil {
		return nil, err
	}
	tokens.first, tokens.sid, tokens.issued = firstOf(idToken), claims.Text(idToken.Get("sid")), idToken.IssuedAt
	return tokens, p.makeUser(ctx, &gathered{tokens: tokens, idToken: idToken, renewed: true})
}

// issuedTypeOf reads issued_token_type, which matters to who exchanged a token.
func issuedTypeOf(raw strictjson.Raw) string {
	text, _ := strictjson.String(string(raw))
	return text
}
