package idserver

import (
	"errors"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/signward/idserver-go/core/internal/budget"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/seal"
)

// faults returns everything that is wrong with a configuration whose defaults are filled in.
func (c *Config) faults() fault.List {
	faults := slices.Clone(c.fromEnv)
	c.checkAuthority(&faults)
	c.checkProvider(&faults)
	c.checkHTTP(&faults)
	c.checkPlainHTTP(&faults)
	if n := c.ApplicationName; len(n) > maxApplicationName || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl) {
		faults.Add("ApplicationName", "APPLICATION_NAME", "%q: want at most %d bytes of UTF-8 without control characters", n, maxApplicationName)
	}
	switch c.LogSubject {
	case subjectHashed, subjectPlain, subjectOmitted:
	default:
		faults.Add("LogSubject", "IDSERVER_LOG_SUBJECT", "%q: want %s, %s or %s", c.LogSubject, subjectHashed, subjectPlain, subjectOmitted)
	}
	for _, pasted := range []struct{ field, variable, value string }{
		{"ClientID", "IDSERVER_CLIENT_ID", c.ClientID}, {"ClientSecret", "IDSERVER_CLIENT_SECRET", c.ClientSecret},
		{"Audience", "IDSERVER_AUDIENCE", c.Audience},
	} {
		if strings.TrimSpace(pasted.value) != pasted.value {
			faults.Add(pasted.field, pasted.variable, "begins or ends with white space: remove it")
		}
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsFunc(scope, isNotOfScope) {
			faults.Add("Scopes", "IDSERVER_SCOPES", "has %q, which is not one scope: separate scopes with spaces, without commas or quotes", scope)
		}
	}
	c.checkParameters(&faults)
	c.checkStore(&faults)
	c.checkProfile(&faults)
	if slices.Contains(c.RolesClaim, "") {
		faults.Add("RolesClaim", "IDSERVER_ROLES_CLAIM", "%q has an empty element", c.RolesClaim)
	}
	switch {
	case c.BaseURL != "":
		c.checkSignIn(&faults)
		c.checkSession(&faults)
	case c.SessionSecret != "":
		faults.Add("SessionSecret", "SESSION_SECRET", "is set and BaseURL (BASE_URL) is empty: set where browsers reach the application, such as https://app.example.com, or leave both out for an API")
	}
	return faults
}

// checkParameters checks what is added to authorization requests.
func (c *Config) checkParameters(faults *fault.List) {
	const field, variable = "AuthorizeParameters", "IDSERVER_AUTHORIZE_PARAMETERS"
	for _, name := range slices.Sorted(maps.Keys(c.AuthorizeParameters)) {
		if name != "max_age" && isReserved(name) {
			faults.Add(field, variable, "has %q, which the protocol itself sets", name)
		}
	}
	if _, ok := maxAgeOf(c.AuthorizeParameters); !ok {
		faults.Add(field, variable, "has the max_age %q: want whole seconds from 1, once", c.AuthorizeParameters["max_age"])
	}
}

func (c *Config) checkAuthority(faults *fault.List) {
	if c.Authority == "" {
		hint := ""
		if c.BaseURL == "" {
			hint = ". For the sign-in routes set BaseURL (BASE_URL), ClientID (IDSERVER_CLIENT_ID) and SessionSecret (SESSION_SECRET) as well"
		}
		faults.Add("Authority", "IDSERVER_AUTHORITY", "is empty: set the provider's URL, such as https://mytenant.signward.com%s", hint)
		return
	}
	switch _, err := parseBaseURL(c.Authority, c.InsecurePlainHTTP); {
	case errors.Is(err, errNotHTTPS):
		faults.Add("Authority", "IDSERVER_AUTHORITY", "%q: %w, or for a server in a private network that InsecurePlainHTTP (IDSERVER_INSECURE_PLAIN_HTTP) lists", c.Authority, err)
	case err != nil:
		faults.Add("Authority", "IDSERVER_AUTHORITY", "%q: %w", c.Authority, err)
	}
}

func (c *Config) checkProvider(faults *fault.List) {
	p := &c.Provider
	for _, base := range []struct{ field, variable, url string }{
		{"Provider.Issuer", "IDSERVER_ISSUER", p.Issuer}, {"Provider.WebBaseURL", "", p.WebBaseURL},
	} {
		if base.url == "" || base.url == c.Authority {
			continue
		}
		if _, err := parseBaseURL(base.url, c.InsecurePlainHTTP); err != nil {
			faults.Add(base.field, base.variable, "%q: %w", base.url, err)
		}
	}
	for _, e := range p.Endpoints.named() {
		if e.url == "" {
			continue
		}
		if _, err := parseServerURL(e.url, c.InsecurePlainHTTP); err != nil {
			faults.Add(e.field, "", "%q: %w", e.url, err)
		}
	}
	c.checkClientKeys(faults)
	for _, name := range p.Algorithms {
		if !jose.Known(name) {
			faults.Add("Provider.Algorithms", "IDSERVER_ALGORITHMS", "has %q, which is not a public-key signature algorithm that is verified here", name)
		}
	}
	for _, tenant := range p.Tenants {
		if !isTenantID(tenant) {
			faults.Add("Provider.Tenants", "IDSERVER_TENANTS", "has %q: want tenants' IDs, UUIDs in lower case, as in the claim tid", tenant)
		}
	}
	if p.Leeway < 0 || p.Leeway > maxLeeway {
		faults.Add("Provider.Leeway", "IDSERVER_LEEWAY", "%v: want 0 to %v", p.Leeway, maxLeeway)
	}
	if n := p.TokenRequestsPerMinute; n < -1 || n > budget.Most {
		faults.Add("Provider.TokenRequestsPerMinute", "IDSERVER_TOKEN_REQUESTS_PER_MINUTE", "%d: want 1 to %d, or -1 for no limit", n, budget.Most)
	}
	p.checkAccessTokens(faults)
}

// checkAccessTokens checks the oddities of a provider's access tokens.
func (p *ProviderConfig) checkAccessTokens(faults *fault.List) {
	if issuer := p.AccessTokenIssuer; issuer != "" {
		if u, err := url.Parse(issuer); err != nil || u.Scheme == "" || strings.TrimSpace(issuer) != issuer { // AD FS has http in it
			faults.Add("Provider.AccessTokenIssuer", "", "%q: want the iss of access tokens, a URL", issuer)
		}
	}
	if slices.Contains(p.AccessTokenClients, "") {
		faults.Add("Provider.AccessTokenClients", "", "%q has an empty element", p.AccessTokenClients)
	}
}

// namedURL is a URL of the configuration with the field that holds it.
type namedURL struct{ field, url string }

func (e *Endpoints) named() []namedURL {
	return []namedURL{
		{"Provider.Endpoints.Authorization", e.Authorization}, {"Provider.Endpoints.Token", e.Token},
		{"Provider.Endpoints.JWKS", e.JWKS}, {"Provider.Endpoints.UserInfo", e.UserInfo},
		{"Provider.Endpoints.Revocation", e.Revocation}, {"Provider.Endpoints.Introspection", e.Introspection}, {"Provider.Endpoints.DeviceAuthorization", e.DeviceAuthorization}, {"Provider.Endpoints.EndSession", e.EndSession},
		{"Provider.Endpoints.PushedAuthorization", e.PushedAuthorization},
	}
}

// has reports whether url is one of the configured URLs.
func (e *Endpoints) has(url string) bool {
	return slices.ContainsFunc(e.named(), func(n namedURL) bool { return n.url == url })
}

func (c *Config) checkHTTP(faults *fault.List) {
	if c.HTTP.Timeout < 0 {
		faults.Add("HTTP.Timeout", "IDSERVER_TIMEOUT", "%v: want more than 0", c.HTTP.Timeout)
	}
	if !c.HTTP.InsecureSkipTLSVerify {
		return
	}
	if c.HTTP.Client != nil {
		faults.Add("HTTP.InsecureSkipTLSVerify", "", "does nothing for an HTTP.Client of your own: leave one of both out")
	}
	for _, e := range append([]namedURL{{"Authority", c.Authority}}, c.Provider.Endpoints.named()...) {
		// A URL that cannot be parsed has a fault of its own.
		if u, err := parseServerURL(e.url, c.InsecurePlainHTTP); err == nil && !isLoopback(u.Hostname()) {
			faults.Add("HTTP.InsecureSkipTLSVerify", "", "is for a provider on loopback only, and %s is %q", e.field, e.url)
			return
		}
	}
}

// checkSignIn checks the settings of the sign-in routes.
func (c *Config) checkSignIn(faults *fault.List) {
	if _, err := parseBaseURL(c.BaseURL, c.InsecurePlainHTTP); err != nil {
		faults.Add("BaseURL", "BASE_URL", "%q: %w", c.BaseURL, err)
	}
	if c.ClientID == "" {
		faults.Add("ClientID", "IDSERVER_CLIENT_ID", "is empty: set the client_id that the provider gave to the application")
	}
	c.checkRoutes(faults)
	for _, page := range []struct{ field, path string }{{"AfterSignIn", c.AfterSignIn}, {"AfterSignOut", c.AfterSignOut}} {
		if page.path != "" && !isLocalPath(page.path) && !(page.field == "AfterSignOut" && page.path == noPostLogout) {
			faults.Add(page.field, "", "%q: want a path of this application, such as /welcome", page.path)
		}
	}
	for _, origin := range c.TrustedOrigins {
		switch u, err := parseServerURL(origin, nil); {
		case err == nil && strings.Contains(u.Host, "*"):
			faults.Add("TrustedOrigins", "TRUSTED_ORIGINS", "has %q with a wildcard, which no browser's origin equals: name each origin", origin)
		case err == nil && originOf(u) != origin:
			faults.Add("TrustedOrigins", "TRUSTED_ORIGINS", "has %q, which is not as browsers write that origin: want %q", origin, originOf(u))
		case err != nil:
			faults.Add("TrustedOrigins", "TRUSTED_ORIGINS", "has %q, which is not an origin (scheme://host or scheme://host:port): %w", origin, err)
		}
	}
}

// checkRoutes checks where the routes lie, and how the provider's response comes to the callback.
func (c *Config) checkRoutes(faults *fault.List) {
	switch c.ResponseMode {
	case "", "query":
	case formPost:
		if !strings.HasPrefix(strings.ToLower(c.BaseURL), "https:") {
			faults.Add("ResponseMode", "IDSERVER_RESPONSE_MODE", "%s needs a BaseURL (BASE_URL) of https, on loopback too: browsers send the cookies of a sign-in across sites over nothing else", formPost)
		}
	default:
		faults.Add("ResponseMode", "IDSERVER_RESPONSE_MODE", "%q: want query or %s", c.ResponseMode, formPost)
	}
	switch callback := c.CallbackPath; {
	case !isRoutePath(c.RoutesPath):
		faults.Add("RoutesPath", "", "%q: want a path such as %s", c.RoutesPath, defaultRoutesPath)
	case !isRoutePath(callback):
		faults.Add("CallbackPath", "", "%q: want a path such as /signin-oidc", callback)
	default:
		for _, other := range []string{"/login", "/logout", "/backchannel-logout", "/userinfo", "/jwks"} {
			if strings.EqualFold(callback, c.RoutesPath+other) {
				faults.Add("CallbackPath", "", "%q is the path of another route", callback)
			}
		}
	}
}

// isRoutePath reports whether p is a path that every router takes for itself.
func isRoutePath(p string) bool {
	return p[0] == '/' && path.Clean(p) == p && p != "/" && !strings.ContainsAny(p, "?#%;\\ \"*{}:")
}

func (c *Config) checkSession(faults *fault.List) {
	switch n := len(c.SessionSecret); {
	case n == 0:
		faults.Add("SessionSecret", "SESSION_SECRET", "is empty: set at least %d random bytes, such as the output of: openssl rand -base64 32", seal.MinSecret)
	case n < seal.MinSecret:
		faults.Add("SessionSecret", "SESSION_SECRET", "has %d bytes: want at least %d, such as the output of: openssl rand -base64 32", n, seal.MinSecret)
	case isGuessable(c.SessionSecret):
		faults.Add("SessionSecret", "SESSION_SECRET", "repeats itself, or consists of words that stand in every list of passwords: set random bytes, such as the output of: openssl rand -base64 32")
	}
	for i, old := range c.Session.OldSecrets {
		switch n := len(old); {
		case n == 0:
			faults.Add("Session.OldSecrets", "SESSION_SECRET_OLD", "has an empty element")
		case n < seal.MinSecret:
			faults.Add("Session.OldSecrets", "SESSION_SECRET_OLD", "has %d bytes in element %d: want at least %d, as it had when it was SessionSecret", n, i, seal.MinSecret)
		}
	}
	if c.Session.Idle < time.Minute || c.Session.Max < c.Session.Idle {
		faults.Add("Session.Idle", "", "%v and Session.Max %v: want at least a minute, and the second not shorter than the first", c.Session.Idle, c.Session.Max)
	}
}

// isNotOfScope reports whether c cannot be in a scope, RFC 6749 section 3.3. A comma may, and is refused all the same: no
// provider's scope has one, and a list that is separated by commas does.
func isNotOfScope(c rune) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == ',' }
