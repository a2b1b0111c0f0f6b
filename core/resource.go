package idserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/fault"
)

// Resource is an API whose access tokens differ from those of the [Client] that it was made with, by their audience first
// of all: one of several in a program, or an API beside a web application. It takes access tokens only, and never the
// session's cookie, so that no page of another site can use it with a browser's credentials. It shares the client's keys, and
// what is remembered of tokens. Create it with [Client.NewResource]. It is safe for concurrent use.
type Resource struct{ as *Client } // the client as it is to this API

// ResourceConfig describes a [Resource]. The zero value of an optional field means its default.
type ResourceConfig struct {
	// Identifier is the aud that an access token must have, alone or among others: the URL of the API, where clients ask for a
	// token with it (resource, RFC 8707), or else what the provider puts into aud for this API. It is compared exactly, in at
	// most 2048 bytes. Required.
	Identifier string
	// IgnoreFinalSlash compares the audience, which must be a URL, without a slash at its end: some clients ask for a token for
	// https://api.example.com/, which is the same resource, and some providers add it.
	IgnoreFinalSlash bool
	// Scopes are what clients are told to ask for in the challenge of a 401 (RFC 6750 section 3). No guard requires them by
	// that: [Resource.RequireScope] does. Default: none.
	Scopes []string
	// OnlyTyped takes only tokens whose typ is at+jwt (RFC 9068 section 2.1). Turn it on where the provider sends it: an ID
	// token can then never be mistaken for an access token. Default: JWT and none do too, as many providers send them.
	OnlyTyped bool
	// Leeway is the clock skew allowed, at most 5 min; a negative one allows none. Default: Config.Provider.Leeway.
	Leeway time.Duration
	// Issuer is the iss that access tokens must have, exactly, where it is another one than the client's takes. They must be signed with
	// the same provider's keys. For a client of several tenants it must be a template with {tenantid} in it. Default:
	// Config.Provider.AccessTokenIssuer and, without it, the provider's issuer.
	Issuer string
	// Header is the field of the request that holds the access token, alone or after "Bearer": a gateway in front may put it into
	// a field of its own. The Authorization header is then not looked at. Default: Authorization.
	Header string
	// Introspect asks the provider what access tokens stand for (RFC 7662), as this client and with its authentication: "opaque"
	// about those that are no JWT, "all" about every one, which notices soon what was revoked. A JWT that is verified here and
	// not good is never asked about. The answer must have aud, and its claims are checked as those of a JWT, cnf among them; one about a
	// refresh token or an ID token is refused. A token that is not active is a 401, a provider that
	// cannot be asked a 503. At most 32 requests run at once. Default: no token is asked about.
	Introspect string
	// IntrospectionKept is how long an answer is used again, and so how long a token may live that the provider has revoked: at
	// most 60 s, and never beyond its exp; [Client.RevokeToken] ends it at once. A negative value keeps none. That a token is
	// not active is kept for 5 s. Default: 10 s.
	IntrospectionKept time.Duration
	// SignedIntrospection asks for answers that are signed (RFC 9701), and takes no others.
	SignedIntrospection bool
	// Issuers are other clients whose issuers' tokens are taken too, if they are for Identifier: each with its own keys, place of
	// the roles and default leeway. See [Issuers]. Default: none.
	Issuers []*Client
	// FindIssuer returns the client of an issuer that is neither this client's nor among Issuers, or nil if its tokens are not
	// to be taken. Look it up in what you know: an issuer that merely looks right, such as a subdomain, may be anybody's. It
	// is called with issuers that strangers made up, at most 16 at a time, each within 10 s and once, for tokens that are for
	// Identifier and have not expired. A client that it returns is kept until it is closed, at most 1000 of them; nil is
	// remembered for ten minutes. An error, also of ctx, means that it cannot be told now: 503.
	FindIssuer func(ctx context.Context, issuer string) (*Client, error)

	// DPoP takes access tokens that are bound to a key (RFC 9449), with the scheme DPoP and a proof of its possession for this
	// request: whoever finds such a token cannot use it. Bearer tokens are taken too, see OnlyBound, but a bound token never as one.
	// A proof is for a method and a URL: that of Identifier, without its path, and the path that the request asks for. So
	// Identifier must have the scheme and host at which clients reach the API, and a proxy in front leaves the path as it is; the
	// Host header is not looked at. A proof may be a minute old (with Leeway, which also is how far ahead it may be), and is good
	// once: at all replicas if Config.Store is a [Swapper], and otherwise in this process, which remembers a million. Proofs are
	// signed with ES256, ES384, ES512, PS256 or EdDSA. Refusals are invalid_dpop_proof and use_dpop_nonce. Default: false.
	DPoP bool
	// DPoPNonces wants a nonce of this API in each proof (RFC 9449 section 9), so that none can be made long before it is
	// used, and none by a client whose clock cannot be trusted: a client learns it from the first answer, and tries again. It
	// lives for five minutes, and the next one comes in time. Nothing is remembered of them. Default: false.
	DPoPNonces bool
	// DPoPNonceSecrets are what nonces are sealed with, at least 32 bytes each: the first makes them, all are taken. Replicas need the
	// same, or each wants its own. Default: one of this process.
	DPoPNonceSecrets []string
	// MTLS takes access tokens that are bound to the client's certificate (RFC 8705 section 3), as bearer tokens over a connection
	// with that certificate. The server must ask for it in the handshake ([tls.RequestClientCert] or more): only that the client
	// has its private key counts here, and not who has issued it or until when it is valid. Default: false.
	MTLS bool
	// OnlyBound takes no access token that is bound to nothing. It needs DPoP or MTLS. Default: false.
	OnlyBound bool
	// InsecureCertificateField is the header field in which a proxy that ends TLS says which certificate the client has: as
	// Client-Cert does (RFC 9440), or in PEM, escaped as in a URL ($ssl_client_escaped_cert of nginx). It counts only in requests from
	// InsecureCertificateProxies, addresses or ranges such as 10.0.0.0/24, and there the certificate of the connection does not.
	// The name says what it is: whoever can send requests from these addresses, or send the field through the
	// proxy because that does not replace it, is whoever they like. Default: none, and the field is ignored.
	InsecureCertificateField   string
	InsecureCertificateProxies []string

	// PublishMetadata tells clients that have no token where to get one (RFC 9728), as those of MCP servers want it: [Resource.Routes]
	// has the document then, for an adapter's Mount on the root router, and each 401, and each 403 for a scope, names it in its
	// challenge. It is at /.well-known/oauth-protected-resource before the path of Identifier and, for the first such API of a
	// client, without that path too. Every page may read it. Identifier must be the URL at which clients reach the API. The guards
	// then check Origin, see Origins, and, if Identifier is on loopback, that Host is. Default: false.
	PublishMetadata bool
	// AuthorizationServers are the issuers that the metadata names. Default: those of the client and of Issuers, as they are
	// configured: Config.Provider.Issuer or Config.Authority.
	AuthorizationServers []string
	// MoreScopes are scopes that some requests need beside Scopes. The metadata names both. Default: none.
	MoreScopes []string
	// Name is what people are told that the API is called. Default: none.
	Name string
	// Origins are those of the pages whose scripts may use the API, each with a token of its own; "*" is all of them. The
	// guards let them read the answers, and answer their preflights, for which Mount registers OPTIONS at the path of
	// Identifier. A request from a page of any other origin but Identifier's own is refused: cross_site. Default: none.
	Origins []string
}

// maxIdentifier limits a ResourceConfig.Identifier, in bytes.
const maxIdentifier = 2048

// NewResource returns an API of its own audience, whose guards share this client's keys and caches. It uses no network. The
// error joins everything that is wrong with the configuration. The resource works until the client is closed.
func (c *Client) NewResource(cfg ResourceConfig) (*Resource, error) {
	cfg.Header = http.CanonicalHeaderKey(cfg.Header)
	if err := cfg.faults(&c.cfg).Err(); err != nil {
		return nil, baseerror.Errorf("idserver: resource: %w", err)
	}
	as := c.api(cfg.rules(c.tokens))
	if cfg.Issuer != "" {
		as.tokens.issuer = cfg.Issuer
	}
	if cfg.Header != "" {
		as.header, as.vary = cfg.Header, []Field{{"Vary", cfg.Header}}
	}
	if len(cfg.Scopes) > 0 {
		as.challenged = []parameter{{"scope", strings.Join(cfg.Scopes, " ")}}
	}
	if cfg.Introspect != "" {
		as.introspection = newIntrospection(as, &cfg)
		c.provider.introspects.Store(true)
		c.provider.alsoClose(as.introspection.asking.Close)
	}
	if len(cfg.Issuers) > 0 || cfg.FindIssuer != nil {
		as.issuers = newIssuers(as, &cfg)
		if err := as.issuers.faults("Issuers").Err(); err != nil {
			return nil, baseerror.Errorf("idserver: resource: %w", err)
		}
		c.provider.alsoClose(as.issuers.asking.Close)
	}
	as.possession = newPossession(&cfg, as)
	if cfg.PublishMetadata {
		if err := as.publish(&cfg, c).Err(); err != nil {
			return nil, baseerror.Errorf("idserver: resource: %w", err)
		}
	}
	return &Resource{as}, nil
}

// api returns the client as it is to an API: without sign-in and sessions, and for tokens by these rules.
func (c *Client) api(rules tokenRules) *Client {
	as := &Client{cfg: c.cfg, provider: c.provider, site: apiOnly{}, header: authorization, tokens: rules, vary: []Field{{"Vary", authorization}}}
	as.cfg.BaseURL = ""
	return as
}

// rules are those of a resource, where a client has others.
func (cfg *ResourceConfig) rules(of tokenRules) tokenRules {
	of.resource = true
	of.audience, of.finalSlash, of.typed, of.only = cfg.Identifier, cfg.IgnoreFinalSlash, cfg.OnlyTyped, cfg.OnlyBound
	if cfg.Leeway != 0 {
		of.leeway = max(cfg.Leeway, 0)
	}
	return of
}

// faults returns everything that is wrong with the configuration of a resource of a client's.
func (cfg *ResourceConfig) faults(of *Config) (faults fault.List) {
	const field = "Identifier"
	switch id := cfg.Identifier; {
	case id == "":
		faults.Add(field, "", "is empty: set what the provider puts into aud of the tokens for this API, such as its URL")
	case len(id) > maxIdentifier || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		faults.Add(field, "", "%q: want at most %d visible ASCII characters without spaces", shown(id), maxIdentifier)
	case strings.Contains(id, "://") && strings.Contains(id, "#"):
		faults.Add(field, "", "%q: a resource has no fragment (RFC 8707 section 2)", id)
	}
	if u, err := url.Parse(cfg.Identifier); cfg.IgnoreFinalSlash && (err != nil || u.Scheme == "" || u.Host == "") {
		faults.Add("IgnoreFinalSlash", "", "needs an Identifier that is a URL")
	}
	faults = append(faults, cfg.publishedFaults()...)
	for _, scope := range cfg.Scopes {
		if !claims.IsScope(scope) {
			faults.Add("Scopes", "", "has %q, which is not one scope", shown(scope))
		}
	}
	if cfg.Leeway > maxLeeway {
		faults.Add("Leeway", "", "%v: want at most %v", cfg.Leeway, maxLeeway)
	}
	cfg.checkIntrospection(of, &faults)
	cfg.checkBound(&faults)
	if slices.Contains(cfg.Issuers, nil) {
		faults.Add("Issuers", "", "have a nil among them")
	}
	severalTenants := len(of.Provider.Tenants) > 0 || of.Provider.AdmitTenant != nil
	switch u, err := url.Parse(cfg.Issuer); {
	case cfg.Issuer == "":
	case err != nil && !isTemplate(cfg.Issuer), err == nil && u.Scheme == "", strings.TrimSpace(cfg.Issuer) != cfg.Issuer:
		faults.Add("Issuer", "", "%q: want the iss of access tokens, a URL", shown(cfg.Issuer))
	case severalTenants != isTemplate(cfg.Issuer): // a key may be one tenant's alone, which a fixed issuer does not show
		faults.Add("Issuer", "", "%q: want %s in it for a client of several tenants (Config.Provider.Tenants), and for no other", cfg.Issuer, tenantID)
	}
	if !isTokenField(cfg.Header) {
		faults.Add("Header", "", "%q: want the name of a header field that is not a browser's own, such as X-Access-Token", shown(cfg.Header))
	}
	return faults
}

func (cfg *ResourceConfig) checkIntrospection(of *Config, faults *fault.List) {
	const field = "Introspect"
	switch cfg.Introspect {
	case "":
		if cfg.SignedIntrospection || cfg.IntrospectionKept != 0 {
			faults.Add(field, "", "is empty, and SignedIntrospection or IntrospectionKept is set: set it to %s or %s", introspectOpaque, introspectAll)
		}
		return
	case introspectOpaque, introspectAll:
	default:
		faults.Add(field, "", "%q: want %s or %s", cfg.Introspect, introspectOpaque, introspectAll)
	}
	if of.ClientID == "" || !of.authenticates() { // RFC 7662 section 2.1
		faults.Add(field, "", "needs a client that authenticates: set Config.ClientID and a ClientSecret, ClientKeys, ClientAssertionFile or ClientCertificate")
	}
	if cfg.IntrospectionKept > maxIntrospected {
		faults.Add("IntrospectionKept", "", "%v: want at most %v", cfg.IntrospectionKept, maxIntrospected)
	}
}

// isTokenField reports whether a token may come in a field: "" stands for the default. Not in one that browsers fill in by
// themselves, which any page could make them send.
func isTokenField(name string) bool {
	isToken := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	}
	browsers := []string{"Accept", "Accept-Language", "Content-Language", "Content-Type", "Cookie", "Host", "Origin", "Range", "Referer", "User-Agent"}
	return len(name) <= 64 && !slices.Contains(browsers, name) && !strings.HasPrefix(name, "Sec-") &&
		!strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) })
}

// LoadUser returns a guard that lets every request through; [UserFrom] then returns the token's subject, if the token is
// good for this API. See [Client.LoadUser].
func (r *Resource) LoadUser() Guard { return r.as.LoadUser() }

// RequireUser returns a guard that admits the sender of a good access token. Any other request is refused with 401, and
// none is redirected to sign in.
func (r *Resource) RequireUser() Guard { return r.as.RequireUser() }

// RequireRole is like [Client.RequireRole], for this API's tokens.
func (r *Resource) RequireRole(role string, more ...string) Guard {
	return r.as.RequireRole(role, more...)
}

// RequireAllRoles is like [Client.RequireAllRoles], for this API's tokens.
func (r *Resource) RequireAllRoles(role string, more ...string) Guard {
	return r.as.RequireAllRoles(role, more...)
}

// RequireBuiltInRole is like [Client.RequireBuiltInRole], for this API's tokens.
func (r *Resource) RequireBuiltInRole(role string, more ...string) Guard {
	return r.as.RequireBuiltInRole(role, more...)
}

// RequireAllBuiltInRoles is like [Client.RequireAllBuiltInRoles], for this API's tokens.
func (r *Resource) RequireAllBuiltInRoles(role string, more ...string) Guard {
	return r.as.RequireAllBuiltInRoles(role, more...)
}

// RequireScope is like [Client.RequireScope], for this API's tokens.
func (r *Resource) RequireScope(scope string, more ...string) Guard {
	return r.as.RequireScope(scope, more...)
}

// RequireAnyScope is like [Client.RequireAnyScope], for this API's tokens.
func (r *Resource) RequireAnyScope(scope string, more ...string) Guard {
	return r.as.RequireAnyScope(scope, more...)
}

// RequireAuthentication is like [Client.RequireAuthentication], for this API's tokens: by their acr and auth_time (RFC 9470
// section 6.2), or those of the provider's answer about them.
func (r *Resource) RequireAuthentication(wanted Authentication) Guard {
	return r.as.RequireAuthentication(wanted)
}

// RequireTenant is like [Client.RequireTenant], for this API's tokens.
func (r *Resource) RequireTenant(tenant string) Guard { return r.as.RequireTenant(tenant) }

// Require is like [Client.Require], for this API's tokens.
func (r *Resource) Require(admit func(*User) bool) Guard { return r.as.Require(admit) }

// ValidateAccessToken verifies an access token for this API, as its guards do. See [Client.ValidateAccessToken]. One that is bound to a
// key is refused, because there is no request that proves its possession: ask a guard, with a [Request] of your own.
func (r *Resource) ValidateAccessToken(ctx context.Context, accessToken string) (*User, error) {
	_, known, _, err := r.as.judge(ctx, accessToken, false, r.as.cfg.Now())
	if err != nil {
		return nil, baseerror.Of(err)
	}
	return &known.user, nil
}

// Routes implements [Guards]. They are the API's metadata, for the root router: see ResourceConfig.PublishMetadata. It is an error
// if it is not published.
func (r *Resource) Routes(mount string) ([]Route, error) {
	switch {
	case r.as.documents == nil:
		return nil, baseerror.New("idserver: a Resource without PublishMetadata has no routes to mount: mount those of the Client")
	case mount == "" || strings.Trim(mount, "/") != "":
		return nil, baseerror.Errorf("idserver: the metadata of a Resource is mounted at %q: mount it on the root router", mount)
	}
	return r.as.served("", r.as.documents), nil
}

// CheckHeaderLimit implements [Guards]. A resource has no cookies, and any limit will do.
func (r *Resource) CheckHeaderLimit(int) {}

// CheckProcesses implements [Guards]. A resource has no sessions, and may be used by several processes.
func (r *Resource) CheckProcesses() error { return nil }

func (r *Resource) guards() {}

// SecuritySchemes describes what the guards take, as [Client.SecuritySchemes] does: bearer and openid or, with a Header of its
// own, token. With ResourceConfig.DPoP there is dpop, {"type": "http", "scheme": "DPoP"}, and with OnlyBound no bearer then.
func (r *Resource) SecuritySchemes() map[string]map[string]string {
	all := r.as.SecuritySchemes()
	if r.as.takesProofs() {
		all["dpop"] = map[string]string{"type": "http", "scheme": dpopType, "description": all["bearer"]["description"] + " It is bound to a key, with a proof in the DPoP header (RFC 9449)."}
		if r.as.possession.only && !r.as.possession.tls {
			delete(all, "bearer")
		}
	}
	if r.as.header == authorization {
		return all
	}
	return map[string]map[string]string{"token": {
		"type": "apiKey", "in": "header", "name": r.as.header, "description": all["bearer"]["description"],
	}}
}

// String describes the resource.
func (r *Resource) String() string {
	return fmt.Sprintf("idserver.Resource{Identifier: %q}", r.as.tokens.audience)
}
