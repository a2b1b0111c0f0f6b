package idserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Client signs users in at one provider and verifies its tokens. Create it with [New]. It is safe for concurrent use.
type Client struct {
	cfg      Config
	provider *provider
	site     site
	cors     cors
	// documents are routes at absolute paths, such as /.well-known/..., which exist without Config.BaseURL too. Routes has
	// them on the root router only.
	documents []siteRoute

	introspection *introspection // of an API; nil: tokens are verified here
	issuers       *issuers       // whose tokens an API takes; nil: the provider's alone
	tokens        tokenRules     // of the bearer tokens that guards take
	possession    *possession    // what an API asks of who sends a bound token; nil: none is taken
	header        string         // the field that they come in, in canonical form
	vary          []Field        // the answer of a guard depends on these fields of the request
	// challenged are the parameters of each challenge to a sender who has no good token.
	challenged []parameter
	metadata   []parameter // of each challenge that may lead to a better token

	warnedOfLimit atomic.Bool
	publishedRoot atomic.Bool // the metadata of an API of this client is at the root
}

// New validates cfg and returns a client. It does not wait for the network: the provider's metadata and keys are fetched when
// first needed, and Config.Store is looked at in the background, with a warning if something is wrong with it (see
// [Client.Health]), so that neither keeps a program from starting. The error joins everything that is wrong with the
// configuration.
func New(cfg Config) (*Client, error) {
	rolesConfigured := len(cfg.RolesClaim) > 0
	cfg = cfg.withDefaults()
	if err := cfg.faults().Err(); err != nil {
		return nil, baseerror.Errorf("idserver: configuration: %w", err)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if base, err := url.Parse(cfg.BaseURL); err == nil { // it was parsed before
		cfg.ApplicationName = cmp.Or(cfg.ApplicationName, base.Host)
	}
	cfg.Logger = discreetly(cfg)
	cfg.warnOfAssertionFile()
	c := &Client{cfg: cfg, provider: newProvider(cfg), site: apiOnly{}, tokens: cfg.rules(), header: authorization, vary: onlyVary}
	c.provider.rolesConfigured = rolesConfigured
	if cfg.BaseURL != "" {
		web, err := newWeb(cfg, c.provider)
		if err != nil {
			return nil, baseerror.Errorf("idserver: configuration: %w", err)
		}
		c.site, c.cors, c.provider.redirectURI = web, cors{trusted: cfg.TrustedOrigins}, web.redirectURI
	}
	if cfg.Audience == defaultAudience && !isSignward(cfg.Authority) {
		cfg.Logger.Info("idserver: bearer tokens must have Signward's audience, because no other is configured: set Config.Audience (IDSERVER_AUDIENCE) to what this provider puts into aud for this API", "audience", cfg.Audience, "authority", cfg.Authority)
	}
	if cfg.HTTP.InsecureSkipTLSVerify {
		cfg.Logger.Warn("idserver: the provider's TLS certificate is not verified (InsecureSkipTLSVerify)", "authority", cfg.Authority)
	}
	if len(cfg.InsecurePlainHTTP) > 0 {
		cfg.Logger.Warn("idserver: http without TLS is allowed (InsecurePlainHTTP): whoever is in between reads and changes passwords, tokens and sessions", "servers", cfg.InsecurePlainHTTP)
	}
	return c, nil
}

// isSignward reports whether an authority is a tenant of Signward, or a provider on loopback, which stands in for one.
func isSignward(authority string) bool {
	u, err := url.Parse(authority)
	return err == nil && isLoopback(u.Hostname()) || isSignwardTenant(authority)
}

// Close stops the client's background work (fetching metadata and keys, refreshing tokens) and waits for it to end.
// Afterwards, metadata and keys already fetched are still used, but they are not fetched again, sessions are not
// refreshed and the callback route completes no sign-in; contexts of [UntilSignedOut] have ended. Close may be called more than once; a program that uses the
// client until it exits need not call it.
func (c *Client) Close() {
	c.provider.streams.Close(errClosed)
	c.provider.close()
	c.site.close()
}

// Refetch fetches the provider's metadata and keys now, but at most once in ten seconds: within that time it returns the
// outcome of the last fetch. It is useful in health checks and tests; otherwise both are kept fresh automatically. The
// error is a [DiscoveryError], or ctx's.
func (c *Client) Refetch(ctx context.Context) error {
	return baseerror.Of(c.provider.refetch(ctx))
}

// AuthorizeURL begins a sign-in for a program that does not use [Client.Routes]. It makes an authorization code request
// with a fresh state, nonce and S256 code challenge (OpenID Connect Core section 3.1.2.1, RFC 7636). The caller keeps the
// result, bound to the browser, for [Client.ReadCallback] and [Client.ExchangeCode]. It needs the provider's metadata:
// the error is a [DiscoveryError], or says which option is wrong. Where the request is pushed (see
// Config.Provider.PushedAuthorization), the URL is good for as long as the provider says, often a minute, and the error may be a
// [TokenEndpointError].
func (c *Client) AuthorizeURL(ctx context.Context, o AuthorizeOptions) (*AuthorizationRequest, error) {
	r, err := c.provider.authorize(ctx, o, "")
	return r, baseerror.Of(err)
}

// ReadCallback checks the query, or with form_post the body, with which the provider answered r and returns the code in it,
// for a program that does not use [Client.Routes]. The state must be that of r (RFC 6749 section 10.12), the issuer the
// provider's (RFC 9207), and no parameter may be repeated. The error is an [AuthorizationError] if the provider answered with
// an error, and a [DiscoveryError] if its metadata is not available; any other says what is wrong with the query.
// ReadCallback does not detect that a code was used before.
func (c *Client) ReadCallback(ctx context.Context, rawQuery string, r *AuthorizationRequest) (code string, err error) {
	code, err = c.provider.readCallback(ctx, rawQuery, r)
	return code, baseerror.Of(err)
}

// ExchangeCode exchanges an authorization code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5) and verifies the
// ID token. code is what [Client.ReadCallback] returned, and r what [Client.AuthorizeURL] returned for the same sign-in.
// The user is made from the ID token. A name, e-mail address, tenant or roles that it lacks are taken from the access
// token, if that is a JWT that is valid here for the same subject, and otherwise from the userinfo endpoint, which is
// asked once, and only for what is wanted: an e-mail address and a name if Config.Scopes have email and profile, roles if
// Config.RolesClaim is set or the provider offers them. What it does not tell is missing. The error is a
// [TokenEndpointError], [InvalidTokenError], [UserInfoError] or [DiscoveryError]. If the ID token is valid but roles that it
// lacks cannot be fetched now, the tokens are returned along with the error, without a User.
func (c *Client) ExchangeCode(ctx context.Context, code string, r *AuthorizationRequest) (*Tokens, error) {
	tokens, err := c.provider.exchangeCode(ctx, code, r)
	return tokens, baseerror.Of(err)
}

// RefreshToken requests new tokens, RFC 6749 section 6. Of old, it uses RefreshToken, IDToken and User: a new ID token,
// if one is issued, must have the same subject (OpenID Connect Core section 12.2), and a refresh token or ID token that
// is not issued anew keeps its old value; a nonce and auth_time in it must be those of the sign-in. Roles that no source
// tells any more last Config.Session.StaleMax beyond the expiry of the access token that they came with; of tokens that the
// caller has put together itself, beyond the iat of the ID token. The user is made anew as in [Client.ExchangeCode]. If an
// error occurs after the provider has issued the new tokens, they are returned along with it, without a User, because the
// old refresh token may be used up. Providers that rotate refresh tokens accept each only once: do not call RefreshToken
// twice with the same one.
func (c *Client) RefreshToken(ctx context.Context, old *Tokens) (*Tokens, error) {
	tokens, err := c.provider.refreshToken(ctx, old)
	return tokens, baseerror.Of(err)
}

// RevokeToken asks the provider to revoke a token, RFC 7009: a refresh token together with the access tokens made from
// it, or an access token, which this client then refuses until it expires (it remembers the 10,000 that expire last). A
// token that the provider does not know is not an error. If the provider has no revocation endpoint, the error is a
// [DiscoveryError]; if the provider refuses, a [TokenEndpointError].
func (c *Client) RevokeToken(ctx context.Context, token string) error {
	return baseerror.Of(c.provider.revokeToken(ctx, token))
}

// ValidateAccessToken verifies an access token that is a JWT (RFC 9068) and returns its user, who is shared by requests and
// must not be modified. It checks the signature, iss, aud, exp, nbf, iat and sub, and that the token is not an ID token
// or of another kind. It does not check jti, nor whether the token was revoked other than by this client. The error is an
// [InvalidTokenError]; or wraps [ErrUnavailable] if the keys are not available now, so that nothing can be said about the
// token; or is a [DiscoveryError] without ErrUnavailable if the provider or the configuration must be mended first; or is
// ctx's.
//
// Once the keys are known, no network is used, unless a token that is otherwise good names an unknown key, or its signature
// does not verify with the known one: the keys are then fetched again, three or two times at once and then each at most once
// in ten seconds. A token of an unknown key that was asked for is refused for ten seconds without asking; for one that was
// not, and for which nothing may be fetched now, the error wraps ErrUnavailable. Tokens may have 64 kB.
//
// Only the fact that a token's signature was verified is remembered (see Config.TokenCacheBytes). Issuer, audience and
// times are compared at each call, and the key must still be in the set that the provider publishes, so that a remembered
// token is never accepted where a new verification would refuse it.
func (c *Client) ValidateAccessToken(ctx context.Context, accessToken string, check AccessTokenCheck) (*User, error) {
	known, err := c.provider.validateAccessToken(ctx, accessToken, c.tokens.with(check), c.cfg.Now())
	if err != nil {
		return nil, baseerror.Of(err)
	}
	return &known.user, nil
}

// ValidateIDToken verifies an ID token as OpenID Connect Core section 3.1.3.7 prescribes and returns its user. One that is
// encrypted is decrypted with Config.ClientKeys first; it need not be, as [Tokens] has what was in it. The error is one of those
// of [Client.ValidateAccessToken], and the same limits hold.
func (c *Client) ValidateIDToken(ctx context.Context, idToken string, check IDTokenCheck) (*User, error) {
	if strings.Count(idToken, ".") == 4 {
		var err error
		if idToken, err = c.provider.opened(idToken); err != nil {
			return nil, baseerror.Of(err)
		}
	}
	claims, err := c.provider.verifyIDToken(ctx, idToken, check, presented)
	if err != nil {
		return nil, baseerror.Of(err)
	}
	return newUser(claims.Object, c.provider.roles, true), nil
}

// UserInfo fetches the user from the userinfo endpoint, OpenID Connect Core section 5.3. The sub of the response must
// equal subject, which is that of the ID token: without this comparison the response proves nothing (section 5.3.2). The
// error is a [UserInfoError] or a [DiscoveryError]. An access token that is bound to a key (Config.DPoP) must be the one of ctx
// ([AccessTokenFrom]), where the key is; [Client.UserInfoOf] is for any other.
func (c *Client) UserInfo(ctx context.Context, accessToken, subject string) (*User, error) {
	return c.userInfo(ctx, accessToken, subject, proofKeyIn(ctx, accessToken))
}

// UserInfoOf is [Client.UserInfo] with an access token that [Client.ExchangeCode] or [Client.RefreshToken] returned, and the key that it may be
// bound to. Of t, it uses AccessToken, ProofKey and User.
func (c *Client) UserInfoOf(ctx context.Context, t *Tokens) (*User, error) {
	subject := ""
	if t.User != nil {
		subject = t.User.Subject
	}
	return c.userInfo(ctx, t.AccessToken, subject, t.ProofKey)
}

func (c *Client) userInfo(ctx context.Context, accessToken, subject string, bound []byte) (*User, error) {
	claims, err := c.provider.userInfo(ctx, accessToken, subject, bound)
	if err != nil {
		return nil, baseerror.Of(err)
	}
	return newUser(claims, c.provider.roles, true), nil
}

// EndSessionURL returns the URL to send a browser to in order to end its session at the provider. It needs the provider's
// metadata. The error is a [DiscoveryError], also if the provider has no such endpoint.
func (c *Client) EndSessionURL(ctx context.Context, e EndSession) (string, error) {
	target, err := c.provider.endSessionURL(ctx, e)
	return target, baseerror.Of(err)
}

// PrivacyCenterURL returns the page where a signed-in user can see and manage the data that Signward holds about them.
// Set Config.Provider.WebBaseURL if it is not below the Authority.
func (c *Client) PrivacyCenterURL() string {
	return strings.TrimSuffix(c.cfg.Provider.WebBaseURL, "/") + "/Auth/MyPrivacy"
}

// String describes the client without its secrets.
func (c *Client) String() string {
	return fmt.Sprintf("idserver.Client{Authority: %q, ClientID: %q, BaseURL: %q}", c.cfg.Authority, c.cfg.ClientID, c.cfg.BaseURL)
}
