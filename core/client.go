package idserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/keys"
	"github.com/signward/idserver-go/core/internal/memo"
)

// Client signs users in at one provider and verifies its tokens. Create it with [New]. It is safe for concurrent use.
type Client struct {
	cfg      Config
	http     *providerHTTP
	metadata *fetched.Value[*metadata]
	keys     keys.Set
	headers  jose.Headers
	proven   *memo.Memo[proven] // nil: nothing is remembered
	opened   *memo.Memo[openedSession]
	revoked  revocations
	audience []string // Config.Audience, shared by all remembered tokens

	web *web // nil for an API
}

// New validates cfg and returns a client. It does not use the network: the provider's metadata and keys are fetched when
// first needed, so a provider that is down does not keep a program from starting. The error joins everything that is
// wrong with the configuration.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.faults(); err != nil {
		return nil, fmt.Errorf("idserver: configuration: %w", err)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	c := &Client{cfg: cfg, http: newProviderHTTP(cfg)}
	c.audience = []string{cfg.Audience}
	c.proven = memo.New[proven](cfg.TokenCacheBytes)
	c.opened = memo.New[openedSession](cfg.TokenCacheBytes)
	c.metadata = fetched.New(cfg.Now, mathrand.Float64, c.fetchMetadata)
	c.keys = keys.Set{Value: fetched.New(cfg.Now, mathrand.Float64, c.fetchKeys)}
	if cfg.BaseURL != "" {
		var err error
		if c.web, err = newWeb(cfg); err != nil {
			return nil, fmt.Errorf("idserver: configuration: %w", err)
		}
	}
	if cfg.HTTP.InsecureSkipTLSVerify {
		cfg.Logger.Warn("idserver: the provider's TLS certificate is not verified (InsecureSkipTLSVerify)", "authority", cfg.Authority)
	}
	return c, nil
}

// Close stops the client's background work (fetching metadata and keys, refreshing tokens) and waits for it to end.
// Afterwards, metadata and keys already fetched are still used, but they are not fetched again, sessions are not
// refreshed and the callback route completes no sign-in. Close may be called more than once; a program that uses the
// client until it exits need not call it.
func (c *Client) Close() {
	c.keys.Close()
	c.metadata.Close()
	c.proven.Clear()
	c.opened.Clear()
	if c.web != nil {
		c.web.grants.close()
	}
	if c.cfg.HTTP.Client == nil {
		c.http.client.CloseIdleConnections()
	}
}

// Refetch fetches the provider's metadata and keys now, but at most once in ten seconds: within that time it returns the
// outcome of the last fetch. It is useful in health checks and tests; otherwise both are kept fresh automatically. The
// error is a [DiscoveryError], or ctx's.
func (c *Client) Refetch(ctx context.Context) error {
	_, err := c.metadata.Refetch(ctx)
	if err == nil {
		_, err = c.keys.Refetch(ctx)
	}
	return err
}

// PrivacyCenterURL returns the page where a signed-in user can see and manage the data that Signward holds about them.
// Set Config.Provider.WebBaseURL if it is not below the Authority.
func (c *Client) PrivacyCenterURL() string {
	return strings.TrimSuffix(c.cfg.Provider.WebBaseURL, "/") + "/Auth/MyPrivacy"
}

// EndSession holds the parameters of RP-Initiated Logout 1.0 section 2. All are optional.
type EndSession struct {
	IDTokenHint           string // the ID token of the session to end
	PostLogoutRedirectURI string // must be registered at the provider
	State                 string // returned with the redirect
}

// EndSessionURL returns the URL to send a browser to in order to end its session at the provider. It needs the provider's
// metadata. The error is a [DiscoveryError], also if the provider has no such endpoint.
func (c *Client) EndSessionURL(ctx context.Context, e EndSession) (string, error) {
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return "", err
	}
	if m.EndSessionEndpoint == "" {
		return "", &DiscoveryError{c.cfg.Authority, errors.New("no end_session_endpoint in it")}
	}
	query := url.Values{"client_id": {c.cfg.ClientID}}
	for name, value := range map[string]string{
		"id_token_hint": e.IDTokenHint, "post_logout_redirect_uri": e.PostLogoutRedirectURI, "state": e.State,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return withQuery(m.EndSessionEndpoint, query), nil
}

// withQuery adds parameters to an endpoint's URL, which may already have a query (RFC 6749 section 3.1).
func withQuery(endpoint string, query url.Values) string {
	separator := "?"
	if strings.Contains(endpoint, "?") {
		separator = "&"
	}
	return endpoint + separator + query.Encode()
}

// String describes the client without its secrets.
func (c *Client) String() string {
	return fmt.Sprintf("idserver.Client{Authority: %q, ClientID: %q, BaseURL: %q}", c.cfg.Authority, c.cfg.ClientID, c.cfg.BaseURL)
}

// GoString returns [Client.String], so that %#v does not print the secrets either.
func (c *Client) GoString() string { return c.String() }

func (c *Client) now() time.Time { return c.cfg.Now() }
