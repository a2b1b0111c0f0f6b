package sgid

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Client signs users in with sgID. Create it with [New]. It is safe for concurrent use.
type Client struct {
	// Guards are the guards and routes, so that an adapter takes a Client: idgin.New(client). Do not set it.
	idserver.Guards

	cfg    Config
	key    *rsa.PrivateKey
	issuer string
	engine *idserver.Client
}

// New validates cfg and returns a client. It does not use the network. The error joins everything that is wrong with the
// configuration; a private key that cannot be used is [ErrPrivateKey].
func New(cfg Config) (*Client, error) {
	origin, key, faults := cfg.validate()
	c := &Client{cfg: cfg, key: key, issuer: origin + "/v2"}
	engine, err := idserver.New(c.engineConfig())
	if faults = append(faults, passedOn(err, faults)...); len(faults) > 0 {
		if engine != nil {
			engine.Close()
		}
		return nil, baseerror.Errorf("sgid: configuration: %w", faults)
	}
	c.engine, c.Guards = engine, engine
	return c, nil
}

// engineConfig returns the configuration of the idserver client that speaks to sgID: version 2, whose metadata neither of
// sgID's SDKs reads. Signing in does not ask userinfo for an envelope that the engine could not read.
func (c *Client) engineConfig() idserver.Config {
	cfg := &c.cfg
	engine := idserver.Config{
		Authority: c.issuer, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, Scopes: c.scopes(nil),
		ApplicationName: cfg.ApplicationName, BaseURL: cfg.BaseURL, RoutesPath: cfg.RoutesPath, CallbackPath: cfg.CallbackPath, SessionSecret: cfg.SessionSecret,
		AfterSignIn: cfg.AfterSignIn, AfterSignOut: cfg.AfterSignOut, TrustedOrigins: cfg.TrustedOrigins,
		Session: cfg.Session, HTTP: cfg.HTTP, TokenCacheBytes: cfg.TokenCacheBytes,
		Store: cfg.Store, SingleReplica: cfg.SingleReplica, StrictSignOut: cfg.StrictSignOut, ServerSessions: cfg.ServerSessions,
		AdmitUser: cfg.AdmitUser, UserInfoResponse: cfg.UserInfoResponse, RenderRefusal: cfg.RenderRefusal, Events: cfg.Events,
		Logger: cfg.Logger, LogSubject: cfg.LogSubject, Now: cfg.Now, Rand: cfg.Rand,
		Provider: idserver.ProviderConfig{
			Issuer: c.issuer, ClientAuth: "client_secret_post", Algorithms: []string{"RS256"}, Leeway: cfg.Leeway, NoUserInfo: true,
			Endpoints: idserver.Endpoints{
				Authorization: c.issuer + "/oauth/authorize",
				Token:         c.issuer + "/oauth/token",
				UserInfo:      c.issuer + "/oauth/userinfo",
				JWKS:          c.issuer + "/.well-known/jwks.json",
			},
		},
	}
	if engine.UserInfoResponse == nil {
		engine.UserInfoResponse = c.userInfoResponse
	}
	return engine
}

// Routes returns the routes of [idserver.Client.Routes] but backchannel-logout: sgID tells nobody who signs out there.
func (c *Client) Routes(mount string) ([]idserver.Route, error) {
	routes, err := c.Guards.Routes(mount)
	return slices.DeleteFunc(routes, func(r idserver.Route) bool {
		return r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/backchannel-logout")
	}), err
}

// Client returns the client of package idserver that c is built on, for what c does not have itself, such as Require.
func (c *Client) Client() *idserver.Client { return c.engine }

// Close stops the client's background work and waits for it to end.
func (c *Client) Close() { c.engine.Close() }

// String describes the client without its secrets.
func (c *Client) String() string { return c.cfg.String() }

// AuthorizeOptions are the settings of an authorization request.
type AuthorizeOptions struct {
	CodeChallenge string   // from GeneratePKCEPair. Required
	State         string   // compare it with the one that comes back. Default: a fresh one
	Nonce         string   // the ID token must contain it. Default: a fresh one
	Scopes        []string // default: Config.Scopes; openid is always among them
	RedirectURI   string   // default: Config.RedirectURI
}

// String describes the options without the secrets.
func (o AuthorizeOptions) String() string {
	return fmt.Sprintf("sgid.AuthorizeOptions{Scopes: %q, RedirectURI: %q}", o.Scopes, o.RedirectURI)
}

// AuthorizationRequest is the URL to send the browser to, and what must be kept together with the code verifier, bound to that
// browser, until the code comes back.
type AuthorizationRequest struct {
	URL   string
	State string
	Nonce string
}

// String returns the name of the type, without the secrets.
func (a AuthorizationRequest) String() string { return "sgid.AuthorizationRequest{}" }

// AuthorizeURL begins a sign-in for a program that does not use the routes (RFC 6749 section 4.1.1, RFC 7636 section
// 4.3). The error is [ErrMissingRedirectURI] or [ErrCodeChallenge].
func (c *Client) AuthorizeURL(o AuthorizeOptions) (*AuthorizationRequest, error) {
	redirectURI, err := c.redirectURI(o.RedirectURI)
	if err != nil {
		return nil, err
	}
	if hash, err := base64.RawURLEncoding.Strict().DecodeString(o.CodeChallenge); err != nil || len(hash) != 32 {
		return nil, baseerror.Errorf("sgid: %w", ErrCodeChallenge)
	}
	a := &AuthorizationRequest{State: o.State, Nonce: o.Nonce}
	for _, secret := range []*string{&a.State, &a.Nonce} {
		if *secret == "" {
			*secret = randomText(minLength)
		}
	}
	a.URL = c.issuer + "/oauth/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {c.cfg.ClientID}, "redirect_uri": {redirectURI},
		"scope": {strings.Join(c.scopes(o.Scopes), " ")}, "state": {a.State}, "nonce": {a.Nonce},
		"code_challenge": {o.CodeChallenge}, "code_challenge_method": {"S256"},
	}.Encode()
	return a, nil
}

// scopes returns the scopes of the call, or else those of the configuration, or else the default.
func (c *Client) scopes(asked []string) []string {
	switch {
	case len(asked) > 0:
	case len(c.cfg.Scopes) > 0:
		asked = c.cfg.Scopes
	default:
		asked = []string{ScopeOpenID, ScopeName}
	}
	if !slices.Contains(asked, ScopeOpenID) {
		asked = append([]string{ScopeOpenID}, asked...)
	}
	return asked
}

func (c *Client) redirectURI(ofCall string) (string, error) {
	switch {
	case ofCall != "":
		return ofCall, nil
	case c.cfg.RedirectURI != "":
		return c.cfg.RedirectURI, nil
	}
	return "", baseerror.Errorf("sgid: %w", ErrMissingRedirectURI)
}

// CallbackParams are what completes a sign-in.
type CallbackParams struct {
	Code         string // from the redirect
	CodeVerifier string // from GeneratePKCEPair
	Nonce        string // the one that AuthorizeURL returned
	RedirectURI  string // the one given to AuthorizeURL. Default: Config.RedirectURI
}

// String describes the parameters without the secrets.
func (p CallbackParams) String() string {
	return fmt.Sprintf("sgid.CallbackParams{RedirectURI: %q}", p.RedirectURI)
}

// SignIn is what Callback returns.
type SignIn struct {
	Sub         string // opaque, and different for the same person at another client
	IDToken     string // verified
	AccessToken string // for UserInfo
}

// String tells who signed in, without the tokens.
func (s SignIn) String() string { return fmt.Sprintf("sgid.SignIn{Sub: %q}", s.Sub) }

// Callback exchanges the code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5) and verifies the ID token (OpenID
// Connect Core section 3.1.3.7). It does not compare the state: that is up to the caller. The error is [ErrMissingCode],
// [ErrMissingNonce], [ErrMissingRedirectURI], [ErrCodeVerifierLength] or one of [idserver.Client.ExchangeCode].
func (c *Client) Callback(ctx context.Context, p CallbackParams) (*SignIn, error) {
	redirectURI, err := c.redirectURI(p.RedirectURI)
	switch {
	case err != nil:
		return nil, err
	case p.Code == "":
		return nil, baseerror.Errorf("sgid: %w", ErrMissingCode)
	case p.Nonce == "":
		return nil, baseerror.Errorf("sgid: %w", ErrMissingNonce)
	case !within(len(p.CodeVerifier)):
		return nil, baseerror.Errorf("sgid: %w, not %d", ErrCodeVerifierLength, len(p.CodeVerifier))
	}
	tokens, err := c.engine.ExchangeCode(ctx, p.Code, &idserver.AuthorizationRequest{
		RedirectURI: redirectURI, Nonce: p.Nonce, CodeVerifier: p.CodeVerifier,
	})
	if err != nil {
		return nil, err
	}
	return &SignIn{tokens.User.Subject, tokens.IDToken, tokens.AccessToken}, nil
}

// errNobody is the error of UserInfoFrom in a context that does not come from a guard.
var errNobody = baseerror.New("sgid: UserInfoFrom: nobody is signed in: a guard must come before")
