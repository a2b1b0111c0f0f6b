package sgid

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/jose"
)

// Config describes one application at sgID. The first fields are what sgID's developer portal shows; Web turns the
// sign-in routes on.
type Config struct {
	// ClientID and ClientSecret are those shown in the portal. Required: sgID has no public clients.
	ClientID, ClientSecret string
	// PrivateKey is the RSA private key from the portal in PEM, PKCS#1 or PKCS#8, of 2048 to 16384 bits. Line breaks may
	// be written as \n or be missing, as is common in environment variables. Required.
	PrivateKey string
	// RedirectURI is where sgID sends the browser back to, for AuthorizeURL and Callback. Default: that of the
	// routes, Web.BaseURL + Web.RoutesPath + /callback; with Web.BaseURL set, no other is allowed.
	RedirectURI string
	// Hostname is the origin of sgID. Default: https://api.id.gov.sg. http is allowed on loopback only.
	Hostname string
	// Scopes are the scopes requested at sign-in. Default: openid myinfo.name. openid is always added.
	Scopes []string

	// Web configures the sign-in routes (BaseURL, SessionSecret, RoutesPath, TrustedOrigins, AfterSignIn, AdmitUser, ...)
	// and the underlying client (HTTPClient, Timeout, Leeway, Logger, Now, ...), with the defaults of [idserver.Config].
	// Leave out what sgID determines: Authority, Issuer, ClientID, ClientSecret, ClientAuth, Scopes, Audience, Algorithms
	// and Endpoints. The default of UserInfoResponse differs: it answers what [idserver.User.MarshalJSON] encodes, with the
	// sub and data of [Client.UserInfo] added.
	Web idserver.Config
}

const defaultHostname = "https://api.id.gov.sg"

// ConfigFromEnv returns a Config with the fields that are set in the environment: SGID_CLIENT_ID, SGID_CLIENT_SECRET,
// SGID_PRIVATE_KEY, SGID_REDIRECT_URI, SGID_HOSTNAME, SGID_SCOPES (separated by spaces), and APPLICATION_NAME, BASE_URL,
// SESSION_SECRET and SESSION_SECRET_OLD as in [idserver.ConfigFromEnv]. It does not validate them: [New] does.
func ConfigFromEnv() Config {
	web := idserver.ConfigFromEnv()
	return Config{
		ClientID:     os.Getenv("SGID_CLIENT_ID"),
		ClientSecret: os.Getenv("SGID_CLIENT_SECRET"),
		PrivateKey:   os.Getenv("SGID_PRIVATE_KEY"),
		RedirectURI:  os.Getenv("SGID_REDIRECT_URI"),
		Hostname:     os.Getenv("SGID_HOSTNAME"),
		Scopes:       strings.Fields(os.Getenv("SGID_SCOPES")),
		Web: idserver.Config{
			ApplicationName: web.ApplicationName, BaseURL: web.BaseURL, SessionSecret: web.SessionSecret, Session: idserver.SessionConfig{OldSecrets: web.Session.OldSecrets},
		},
	}
}

// String describes the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("sgid.Config{ClientID: %q, RedirectURI: %q, Hostname: %q, Web: %v}", c.ClientID, c.RedirectURI, c.Hostname, c.Web)
}

// GoString returns [Config.String], so that %#v does not print the secrets either.
func (c Config) GoString() string { return c.String() }

// LogValue returns [Config.String], for package slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// New validates cfg and returns a client. It does not use the network. The error joins everything that is wrong with the
// configuration; a private key that cannot be used is [ErrPrivateKey].
func New(cfg Config) (*Client, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if cfg.ClientID == "" {
		fault("ClientID (SGID_CLIENT_ID) is empty: set the client ID of sgID's developer portal")
	}
	if cfg.ClientSecret == "" {
		fault("ClientSecret (SGID_CLIENT_SECRET) is empty: set the client secret of sgID's developer portal")
	}
	key, err := jose.ParseRSAPrivateKey(cfg.PrivateKey)
	if err != nil {
		fault("PrivateKey (SGID_PRIVATE_KEY): %w: %w", ErrPrivateKey, err)
	}
	origin, err := originOf(cmp.Or(cfg.Hostname, defaultHostname))
	if err != nil {
		fault("Hostname (SGID_HOSTNAME) %q: %w", cfg.Hostname, err)
		origin = defaultHostname
	}
	if cfg.Web.BaseURL != "" {
		routes := strings.TrimSuffix(cfg.Web.BaseURL, "/") + cmp.Or(cfg.Web.RoutesPath, "/auth") + "/callback"
		if cfg.RedirectURI != "" && cfg.RedirectURI != routes {
			fault("RedirectURI (SGID_REDIRECT_URI) %q: the routes are at %q; leave it out, or leave Web.BaseURL (BASE_URL) out and have no routes", cfg.RedirectURI, routes)
		}
		cfg.RedirectURI = routes
	} else if u, err := url.Parse(cfg.RedirectURI); cfg.RedirectURI != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "") {
		fault("RedirectURI (SGID_REDIRECT_URI) %q: want a URL such as https://app.example.com/callback", cfg.RedirectURI)
	}
	for _, f := range cfg.settledBySgID() {
		fault("Web.%s is set: sgID settles it", f)
	}

	c := &Client{cfg: cfg, key: key, issuer: origin + "/v2"}
	engine := c.engine()
	if c.client, err = idserver.New(engine); err != nil {
		faults = append(faults, err)
	}
	engine.BaseURL, engine.SessionSecret, engine.Session.OldSecrets = "", "", nil
	engine.Provider.Endpoints.UserInfo = c.issuer + "/oauth/userinfo"
	if len(faults) == 0 {
		c.asking, err = idserver.New(engine)
		if err == nil {
			return c, nil
		}
		faults = append(faults, err)
	}
	if c.client != nil {
		c.client.Close()
	}
	return nil, baseerror.Errorf("sgid: configuration: %w", errors.Join(faults...))
}

// engine returns the configuration of the idserver client that speaks to sgID: version 2, whose metadata neither of
// sgID's SDKs reads. It has no userinfo endpoint, so that signing in does not ask for an envelope that it could not read.
func (c *Client) engine() idserver.Config {
	engine := c.cfg.Web
	engine.Authority, engine.Provider.Issuer = c.issuer, c.issuer
	engine.ClientID = cmp.Or(c.cfg.ClientID, "-") // its absence is already reported
	engine.ClientSecret, engine.Provider.ClientAuth = c.cfg.ClientSecret, "client_secret_post"
	engine.Scopes = c.scopes(nil)
	engine.Provider.Algorithms = []string{"RS256"}
	engine.Provider.Endpoints = idserver.Endpoints{
		Authorization: c.issuer + "/oauth/authorize",
		Token:         c.issuer + "/oauth/token",
		JWKS:          c.issuer + "/.well-known/jwks.json",
	}
	if engine.UserInfoResponse == nil {
		engine.UserInfoResponse = c.userInfoRoute
	}
	return engine
}

// settledBySgID returns the fields of Web that are set and must not be.
func (c Config) settledBySgID() []string {
	var names []string
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"Authority", c.Web.Authority != ""}, {"Provider.Issuer", c.Web.Provider.Issuer != ""}, {"ClientID", c.Web.ClientID != ""},
		{"ClientSecret", c.Web.ClientSecret != ""}, {"Provider.ClientAuth", c.Web.Provider.ClientAuth != ""}, {"Scopes", c.Web.Scopes != nil},
		{"Audience", c.Web.Audience != ""}, {"Provider.Algorithms", c.Web.Provider.Algorithms != nil}, {"Provider.Endpoints", c.Web.Provider.Endpoints != idserver.Endpoints{}},
	} {
		if f.set {
			names = append(names, f.name)
		}
	}
	return names
}

// originOf parses Hostname. A path is refused because the version is not for the caller to choose, except for /v2, which
// some people write.
func originOf(hostname string) (string, error) {
	u, err := url.Parse(hostname)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return "", errors.New("want a URL such as " + defaultHostname)
	case !slices.Contains([]string{"", "/", "/v2", "/v2/"}, u.Path) || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("want no more than a scheme, a host and a port: " + defaultHostname)
	}
	host := strings.ToLower(u.Host)
	if port := map[string]string{"https": "443", "http": "80"}[u.Scheme]; u.Port() == port {
		host = strings.TrimSuffix(host, ":"+port) // as the issuer is written
	}
	return u.Scheme + "://" + host, nil
}
