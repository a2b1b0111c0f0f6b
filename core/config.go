package idserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/seal"
)

// Config describes one relying party at one provider. The zero value of every optional
// field is its default.
type Config struct {
	// Authority is the provider's URL; its metadata is read from below it
	// (OpenID Connect Discovery 1.0 section 4). Required. http is allowed on loopback only.
	Authority string
	// Issuer is the provider's issuer identifier where it is not the Authority. The
	// metadata's and every token's issuer must equal it, character by character. Without it the metadata's may differ
	// from the Authority by one slash at the end.
	Issuer string
	// ClientID is the client_id registered at the provider. Required with BaseURL.
	ClientID string
	// ClientSecret is the client's secret; empty for a public client.
	ClientSecret string
	// ClientAuth is how the secret is sent to the token endpoint: "client_secret_post" or
	// "client_secret_basic". Default: what the provider's metadata lists, of both the
	// first; the first where it lists nothing.
	ClientAuth string

	// BaseURL is where browsers reach the application, such as https://app.example.com. It turns
	// the sign-in routes on. http is allowed on loopback only.
	BaseURL string
	// RoutesPath is where the sign-in routes lie below BaseURL. Default: /auth. The
	// redirect_uri to register at the provider is BaseURL + RoutesPath + /callback.
	RoutesPath string
	// SessionSecret seals the cookies, at least 32 bytes. Required with BaseURL.
	SessionSecret string
	// OldSessionSecrets open cookies and no longer seal any: put the former
	// SessionSecret here when you change it.
	OldSessionSecrets []string
	// SessionIdle ends a session that is not used for so long, at least 1 min. Default: 1 h, or SessionMax if
	// that is shorter.
	SessionIdle time.Duration
	// SessionMax ends every session so long after its sign-in; it is not shorter than SessionIdle. Default: 12 h.
	SessionMax time.Duration
	// AfterSignIn and AfterSignOut are the pages to go to when no other was wanted: paths of this application as
	// browsers see them, with BaseURL's own path. Default: the root of BaseURL.
	AfterSignIn, AfterSignOut string
	// TrustedOrigins are other origins (scheme://host[:port]) that may be returned to after
	// sign-in, may send unsafe requests with the session cookie, and whose scripts may read the answers of
	// the sign-in routes and of what guards protect (CORS, with credentials). The cookies are SameSite=Lax: browsers send them along
	// from the same site only, such as from https://www.example.com to https://api.example.com.
	TrustedOrigins []string

	// Scopes are asked for at sign-in. Default: openid profile email, and roles where the
	// provider's metadata offers it. openid is always among them.
	Scopes []string
	// Audience is the aud that a bearer access token must have. Default: idserver-api.
	Audience string
	// RolesClaim is where the roles lie in the claims, one element per level: {"realm_access", "roles"}.
	// Default: {"roles"}.
	RolesClaim []string
	// Algorithms, when set, are the only signature algorithms accepted, and the ones of a
	// key that names none. Default: a key's own alg, and for a key without one RS256,
	// ES256, ES384, ES512 or EdDSA by its type. HMAC and none are never accepted.
	Algorithms []string
	// Leeway is the difference of clocks allowed in exp, nbf and iat, at most 5 min. Default: 10 s; for none at all
	// there is WithLeeway(0).
	Leeway time.Duration

	// TokenCacheBytes bounds the memory for access tokens whose signature was verified (see ValidateToken), and as much again for session
	// cookies that were opened. Default: 16 MiB, about 10,000 tokens of 1 kB. A token that takes more than a 32nd of it is
	// not remembered, and below 0 none is.
	TokenCacheBytes int

	// Endpoints replace what the provider's metadata says, for a provider whose metadata
	// is missing or wrong.
	Endpoints Endpoints
	// WebBaseURL is where PrivacyCenterURL points. Default: Authority.
	WebBaseURL string

	// HTTPClient sends the requests to the provider; it is used and never closed, and
	// a private CA or a proxy is its Transport's business. Its redirect policy is not used:
	// redirects are not followed. Default: a client of our own.
	HTTPClient *http.Client
	// Timeout bounds a request to the provider, body included. Default: 10 s.
	Timeout time.Duration
	// InsecureSkipTLSVerify turns the check of the provider's certificate off. New refuses it
	// for any Authority that is not on loopback, and together with an HTTPClient.
	InsecureSkipTLSVerify bool

	// OnSignIn is called with the user of each sign-in, after every check, and of each refresh. It may
	// change the user (roles of your own, Set) and may refuse by an error, which is logged: the browser is shown a page
	// with the code sign_in_refused, and at a refresh the session ends. An error that wraps ErrUnavailable says that the
	// application cannot tell now: the sign-in is answered 503, and a session goes on. It is not called for bearer access tokens: what must
	// hold for them too is asked by Client.Require. It is called concurrently.
	// In ctx, AccessTokenFrom finds the user's access token and AppDataFrom what the link to /auth/login carried.
	OnSignIn func(ctx context.Context, user *User) error
	// UserInfoRoute, when set, makes what GET /auth/userinfo answers, as JSON. In ctx are the user and, for AccessTokenFrom, the access
	// token. An error is answered as one of the provider's: 503 provider_unavailable when it is ErrUnavailable, 502
	// provider_error when it is ErrUserInfo, 401 invalid_token when that is a UserInfoError of status 401, else 500. It is called concurrently.
	// Default: the user, as User.MarshalJSON writes it.
	UserInfoRoute func(ctx context.Context, user *User) (any, error)
	// RenderRefusal, when set, makes the status, content type and body of every refusal instead of
	// the built-in page and problem+json. Headers and cookies of the refusal stay as they
	// are. A zero Rendered leaves that one to the built-in rendering. It is called concurrently.
	RenderRefusal func(ctx context.Context, refusal Refusal) Rendered

	// Logger receives what an operator wants to know, and no secret: warnings are the operator's to mend, information is
	// of sign-ins and refusals, and requests that merely lack credentials are of the level Debug. Default: slog.Default().
	Logger *slog.Logger
	// Now is the clock, called concurrently. Default: time.Now.
	Now func() time.Time
	// Rand is the source of state, nonce, verifier and keys of cookies, read concurrently. Default: crypto/rand.
	Rand io.Reader
}

// Endpoints are URLs of a provider. Empty ones are read from its metadata; when
// Authorization, Token and JWKS are all set (for an API without BaseURL: JWKS), the
// metadata is not asked for at all.
type Endpoints struct {
	Authorization, Token, JWKS, UserInfo, Revocation, EndSession string
}

// String tells the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("idserver.Config{Authority: %q, ClientID: %q, BaseURL: %q}", c.Authority, c.ClientID, c.BaseURL)
}

// GoString is String: %#v does not print the secrets either.
func (c Config) GoString() string { return c.String() }

// Defaults of Config.
const (
	defaultAudience    = "idserver-api"
	defaultRoutesPath  = "/auth"
	defaultLeeway      = 10 * time.Second
	maxLeeway          = 5 * time.Minute
	defaultCacheBytes  = 16 << 20
	defaultTimeout     = 10 * time.Second
	defaultSessionIdle = time.Hour
	defaultSessionMax  = 12 * time.Hour
)

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	set(&c.Audience, defaultAudience)
	set(&c.RoutesPath, defaultRoutesPath)
	set(&c.Leeway, defaultLeeway)
	set(&c.TokenCacheBytes, defaultCacheBytes)
	set(&c.Timeout, defaultTimeout)
	set(&c.SessionMax, defaultSessionMax)
	set(&c.SessionIdle, min(defaultSessionIdle, c.SessionMax))
	set(&c.WebBaseURL, c.Authority)
	if len(c.RolesClaim) == 0 {
		c.RolesClaim = []string{"roles"}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// faults lists all that is wrong with a configuration that has its defaults.
func (c Config) faults() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	authority, err := parseBaseURL(c.Authority)
	switch {
	case c.Authority == "":
		hint := ""
		if c.BaseURL == "" {
			hint = ". For the sign-in routes set BaseURL (BASE_URL), ClientID (IDSERVER_CLIENT_ID) and SessionSecret (SESSION_SECRET) as well"
		}
		fault("Authority (IDSERVER_AUTHORITY) is empty: set the provider's URL, such as https://mytenant.signward.com%s", hint)
	case err != nil:
		fault("Authority (IDSERVER_AUTHORITY) %q: %w", c.Authority, err)
	case c.InsecureSkipTLSVerify && !isLoopback(authority.Hostname()):
		fault("InsecureSkipTLSVerify is for a provider on loopback only, and Authority is %q", c.Authority)
	}
	if c.InsecureSkipTLSVerify && c.HTTPClient != nil {
		fault("InsecureSkipTLSVerify does nothing for an HTTPClient of your own: leave one of both out")
	}
	for name, base := range map[string]string{"Issuer (IDSERVER_ISSUER)": c.Issuer, "WebBaseURL": c.WebBaseURL} {
		if base == "" || base == c.Authority {
			continue
		}
		if _, err := parseBaseURL(base); err != nil {
			fault("%s %q: %w", name, base, err)
		}
	}
	for _, e := range []struct{ name, url string }{
		{"Endpoints.Authorization", c.Endpoints.Authorization}, {"Endpoints.Token", c.Endpoints.Token},
		{"Endpoints.JWKS", c.Endpoints.JWKS}, {"Endpoints.UserInfo", c.Endpoints.UserInfo},
		{"Endpoints.Revocation", c.Endpoints.Revocation}, {"Endpoints.EndSession", c.Endpoints.EndSession},
	} {
		if e.url == "" {
			continue
		}
		u, err := parseServerURL(e.url)
		switch {
		case err != nil:
			fault("%s %q: %w", e.name, e.url, err)
		case c.InsecureSkipTLSVerify && !isLoopback(u.Hostname()):
			fault("InsecureSkipTLSVerify is for a provider on loopback only, and %s is %q", e.name, e.url)
		}
	}
	switch c.ClientAuth {
	case "", clientSecretPost, clientSecretBasic:
	default:
		fault("ClientAuth %q: want %s or %s", c.ClientAuth, clientSecretPost, clientSecretBasic)
	}
	for _, name := range c.Algorithms {
		if !jose.Known(name) {
			fault("Algorithms: %q is not a public-key signature algorithm that is verified here", name)
		}
	}
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		fault("Leeway %v: want 0 to %v", c.Leeway, maxLeeway)
	}
	if c.Timeout < 0 {
		fault("Timeout %v: want more than 0", c.Timeout)
	}
	if slices.Contains(c.RolesClaim, "") {
		fault("RolesClaim %q has an empty element", c.RolesClaim)
	}
	faults = append(faults, c.signInFaults()...)
	return errors.Join(faults...)
}

// signInFaults lists what is wrong with the settings of the sign-in routes.
func (c Config) signInFaults() []error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.BaseURL == "" {
		if c.SessionSecret != "" {
			fault("SessionSecret (SESSION_SECRET) is set and BaseURL (BASE_URL) is empty: set where browsers reach the application, such as https://app.example.com, or leave both out for an API")
		}
		return faults
	}
	if _, err := parseBaseURL(c.BaseURL); err != nil {
		fault("BaseURL (BASE_URL) %q: %w", c.BaseURL, err)
	}
	if c.ClientID == "" {
		fault("ClientID (IDSERVER_CLIENT_ID) is empty: set the client_id that the provider gave to the application")
	}
	if c.SessionSecret == "" {
		fault("SessionSecret (SESSION_SECRET) is empty: set at least %d random bytes, such as the output of: openssl rand -base64 32", seal.MinSecret)
	}
	if n := len(c.SessionSecret); n > 0 && n < seal.MinSecret {
		fault("SessionSecret (SESSION_SECRET) has %d bytes: want at least %d, such as the output of: openssl rand -base64 32", n, seal.MinSecret)
	}
	for i, old := range c.OldSessionSecrets {
		if n := len(old); n > 0 && n < seal.MinSecret {
			fault("OldSessionSecrets[%d] (SESSION_SECRET_OLD) has %d bytes: want at least %d, as it had when it was SessionSecret", i, n, seal.MinSecret)
		}
	}
	if slices.Contains(c.OldSessionSecrets, "") {
		fault("OldSessionSecrets has an empty element")
	}
	if c.RoutesPath[0] != '/' || path.Clean(c.RoutesPath) != c.RoutesPath || c.RoutesPath == "/" || strings.ContainsAny(c.RoutesPath, "?#%;\\ \"") {
		fault("RoutesPath %q: want a path such as %s", c.RoutesPath, defaultRoutesPath)
	}
	for name, page := range map[string]string{"AfterSignIn": c.AfterSignIn, "AfterSignOut": c.AfterSignOut} {
		if page != "" && !isLocalPath(page) {
			fault("%s %q: want a path of this application, such as /welcome", name, page)
		}
	}
	for _, origin := range c.TrustedOrigins {
		switch u, err := parseServerURL(origin); {
		case err == nil && strings.Contains(u.Host, "*"):
			fault("TrustedOrigins: %q has a wildcard, which no browser's origin equals: name each origin", origin)
		case err == nil && originOf(u) != origin:
			fault("TrustedOrigins: %q is not as browsers write that origin: want %q", origin, originOf(u))
		case err != nil:
			fault("TrustedOrigins: %q is not an origin (scheme://host or scheme://host:port): %w", origin, err)
		}
	}
	if c.SessionIdle < time.Minute || c.SessionMax < c.SessionIdle {
		fault("SessionIdle %v and SessionMax %v: want at least a minute, and the second not shorter than the first", c.SessionIdle, c.SessionMax)
	}
	return faults
}

// parseServerURL reads the URL of a server that is trusted: https, or http on loopback.
func parseServerURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("not a URL with a scheme and a host: want https://..., or http://... on loopback")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("want https: http is allowed on loopback only")
	case u.User != nil || strings.Contains(raw, "#"):
		return nil, errors.New("want no user and no fragment")
	}
	return u, nil
}

// parseBaseURL reads the URL that others are made of, by adding a path.
func parseBaseURL(raw string) (*url.URL, error) {
	u, err := parseServerURL(raw)
	switch {
	case err != nil:
		return nil, err
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("want no query")
	}
	if p := strings.TrimSuffix(u.EscapedPath(), "/"); p != "" && (path.Clean(p) != p || p == "/") {
		return nil, errors.New("want a plain path: no // and no .. in it")
	}
	return u, nil
}

// isLoopback tells by the name alone; nothing is looked up.
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, ".")) // resolvers take these for the same name
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// isUnspecified tells 0.0.0.0 and [::], which systems connect to themselves.
func isUnspecified(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsUnspecified()
}

// originOf is the ASCII serialization of a URL's origin, RFC 6454 section 6.2.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}
