package idserver

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// metadata is the part of the provider's metadata that is used, OpenID Connect Discovery 1.0 section 3.
type metadata struct {
	Issuer                      string
	AuthorizationEndpoint       string
	TokenEndpoint               string
	UserInfoEndpoint            string
	PushedAuthorizationEndpoint string
	RequiresPushed              bool // RFC 9126 section 5
	IntrospectionEndpoint       string
	RevocationEndpoint          string
	DeviceAuthorizationEndpoint string // RFC 8628
	EndSessionEndpoint          string
	JWKSURI                     string
	ScopesSupported             []string
	TokenAuthMethods            []string // nil: it does not say
	ProofAlgorithms             []string // of DPoP; nil: it does not say
	AssertionAlgorithms         []string // the same of private_key_jwt, ID tokens and PKCE, for a profile
	IDTokenAlgorithms           []string
	ChallengeMethods            []string
	RequestAlgorithms           []string // the same of signed requests and responses
	ResponseAlgorithms          []string
	ResponseModes               []string
	SendsIssuer                 bool // RFC 9207
	BindsToCertificate          bool // RFC 8705 section 3.3
	ClaimsParameter             bool // OpenID Connect Core section 5.5

	aliases map[string]string // of endpoints, for a client that presents a certificate: RFC 8705 section 5

	ignored []string // what is wrong with members that count as absent
}

// parseMetadata reads the members that are used. One that is not of its type counts as absent: most are not needed, and
// check notices if one that is needed is not there.
func parseMetadata(document []byte) (*metadata, error) {
	object, err := strictjson.ParseObject(document)
	if err != nil {
		return nil, err
	}
	m := new(metadata)
	m.readAliases(object.Get("mtls_endpoint_aliases"))
	for name, field := range map[string]*string{
		"issuer": &m.Issuer, "authorization_endpoint": &m.AuthorizationEndpoint, "token_endpoint": &m.TokenEndpoint,
		"jwks_uri": &m.JWKSURI, "userinfo_endpoint": &m.UserInfoEndpoint, "revocation_endpoint": &m.RevocationEndpoint, "introspection_endpoint": &m.IntrospectionEndpoint, "device_authorization_endpoint": &m.DeviceAuthorizationEndpoint,
		"end_session_endpoint": &m.EndSessionEndpoint, "pushed_authorization_request_endpoint": &m.PushedAuthorizationEndpoint,
	} {
		if value := object.Get(name); value != "" && value != "null" {
			var ok bool
			if *field, ok = strictjson.String(value); !ok {
				m.ignore(name, "a string is wanted")
			}
		}
	}
	for name, field := range map[string]*[]string{
		"scopes_supported": &m.ScopesSupported, "token_endpoint_auth_methods_supported": &m.TokenAuthMethods,
		"dpop_signing_alg_values_supported": &m.ProofAlgorithms, "token_endpoint_auth_signing_alg_values_supported": &m.AssertionAlgorithms,
		"id_token_signing_alg_values_supported": &m.IDTokenAlgorithms, "code_challenge_methods_supported": &m.ChallengeMethods,
		"request_object_signing_alg_values_supported": &m.RequestAlgorithms, "authorization_signing_alg_values_supported": &m.ResponseAlgorithms,
		"response_modes_supported": &m.ResponseModes,
	} {
		if value := object.Get(name); value != "" && value != "null" {
			all, mixed, ok := strictjson.Strings(value)
			if *field = all; mixed || !ok {
				m.ignore(name, "an array of strings is wanted")
			}
		}
	}
	for name, field := range map[string]*bool{
		"authorization_response_iss_parameter_supported": &m.SendsIssuer, "require_pushed_authorization_requests": &m.RequiresPushed,
		"tls_client_certificate_bound_access_tokens": &m.BindsToCertificate,
		"claims_parameter_supported":                 &m.ClaimsParameter,
	} {
		switch value := object.Get(name); value {
		case "true":
			*field = true
		case "", "false", "null":
		default:
			m.ignore(name, "true or false is wanted")
		}
	}
	return m, nil
}

// readAliases reads mtls_endpoint_aliases. One that cannot be read counts as absent, as any other member does.
func (m *metadata) readAliases(value string) {
	const name = "mtls_endpoint_aliases"
	if value == "" || value == "null" {
		return
	}
	object, err := strictjson.ParseObject([]byte(value))
	if err != nil {
		m.ignore(name, "an object is wanted")
		return
	}
	m.aliases = map[string]string{}
	for alias := range m.aliased() {
		if value := object.Get(alias); value != "" && value != "null" {
			var ok bool
			if m.aliases[alias], ok = strictjson.String(value); !ok {
				m.ignore(name+"."+alias, "a string is wanted")
				delete(m.aliases, alias)
			}
		}
	}
}

// aliased are the endpoints at which the client authenticates, or presents a token.
func (m *metadata) aliased() map[string]*string {
	return map[string]*string{
		"token_endpoint": &m.TokenEndpoint, "userinfo_endpoint": &m.UserInfoEndpoint, "revocation_endpoint": &m.RevocationEndpoint,
		"introspection_endpoint": &m.IntrospectionEndpoint, "pushed_authorization_request_endpoint": &m.PushedAuthorizationEndpoint,
	}
}

// useAliases replaces endpoints by those where a certificate can be presented. What does not exist without one does not with one.
func (m *metadata) useAliases() {
	for name, field := range m.aliased() {
		if alias := m.aliases[name]; alias != "" && *field != "" {
			*field = alias
		}
	}
}

func (m *metadata) ignore(name, why string) { m.ignored = append(m.ignored, name+": "+why) }

// override replaces the values that the configuration sets.
func (m *metadata) override(e Endpoints) {
	for field, value := range map[*string]string{
		&m.AuthorizationEndpoint: e.Authorization, &m.TokenEndpoint: e.Token, &m.JWKSURI: e.JWKS,
		&m.PushedAuthorizationEndpoint: e.PushedAuthorization,
		&m.UserInfoEndpoint:            e.UserInfo, &m.RevocationEndpoint: e.Revocation, &m.IntrospectionEndpoint: e.Introspection, &m.DeviceAuthorizationEndpoint: e.DeviceAuthorization, &m.EndSessionEndpoint: e.EndSession,
	} {
		if value != "" {
			*field = value
		}
	}
}

// check refuses metadata that another issuer published, and URLs that must not be sent secrets. A URL that nothing depends
// on counts as absent then.
func (m *metadata) check(cfg Config) error {
	if err := m.checkIssuer(cfg); err != nil {
		return err
	}
	web := cfg.BaseURL != ""
	if err := m.checkEndpoints(cfg, web); err != nil {
		return err
	}
	switch {
	case m.JWKSURI == "":
		return m.missing("no jwks_uri in it: set Config.Provider.Endpoints.JWKS")
	case web && (m.AuthorizationEndpoint == "" || m.TokenEndpoint == ""):
		return m.missing("no authorization_endpoint or no token_endpoint in it: set Config.Provider.Endpoints")
	case web && m.PushedAuthorizationEndpoint == "" && (m.RequiresPushed || cfg.Provider.PushedAuthorization):
		return m.missing("no pushed_authorization_request_endpoint in it, and requests must be pushed: set Config.Provider.Endpoints.PushedAuthorization")
	}
	if err := m.checkProofs(cfg); err != nil {
		return err
	}
	return m.checkProfile(cfg)
}

// checkIssuer compares the issuer with the one that is trusted, OpenID Connect Discovery 1.0 section 4.3.
func (m *metadata) checkIssuer(cfg Config) error {
	if isTemplate(m.Issuer) {
		return m.checkTemplate(cfg)
	}
	trusted := cfg.Provider.Issuer
	switch {
	case m.Issuer == "":
		return m.missing("no issuer in it")
	case trusted != "" && m.Issuer != trusted:
		return fmt.Errorf("its issuer is %q, and Config.Provider.Issuer (IDSERVER_ISSUER) is %q: they must be equal", m.Issuer, trusted)
	case trusted == "" && m.Issuer != cfg.Authority && m.Issuer != strings.TrimSuffix(cfg.Authority, "/"):
		return fmt.Errorf("its issuer is %q, and Config.Authority (IDSERVER_AUTHORITY) is %q: if that issuer is the one you trust, set Config.Provider.Issuer (IDSERVER_ISSUER) to %q", m.Issuer, cfg.Authority, m.Issuer)
	}
	return nil
}

// checkEndpoints checks each URL. Those of sign-in are needed where there is a web application.
func (m *metadata) checkEndpoints(cfg Config, web bool) error {
	for _, endpoint := range []struct {
		name   string
		url    *string
		needed bool
		// byBrowser is what only browsers are sent to, never a request of ours.
		byBrowser bool
	}{
		{"authorization_endpoint", &m.AuthorizationEndpoint, web, true},
		{"token_endpoint", &m.TokenEndpoint, web, false},
		{"jwks_uri", &m.JWKSURI, true, false},
		{"userinfo_endpoint", &m.UserInfoEndpoint, false, false},
		{"pushed_authorization_request_endpoint", &m.PushedAuthorizationEndpoint, false, false},
		{"revocation_endpoint", &m.RevocationEndpoint, false, false},
		{"introspection_endpoint", &m.IntrospectionEndpoint, false, false},
		{"device_authorization_endpoint", &m.DeviceAuthorizationEndpoint, false, false},
		{"end_session_endpoint", &m.EndSessionEndpoint, false, true},
	} {
		if *endpoint.url == "" {
			continue
		}
		err := checkEndpoint(*endpoint.url, cfg, endpoint.byBrowser)
		switch {
		case err != nil && endpoint.needed:
			return fmt.Errorf("its %s %q: %w", endpoint.name, *endpoint.url, err)
		case err != nil:
			m.ignore(endpoint.name, fmt.Sprintf("%q: %v", shown(*endpoint.url), err))
			*endpoint.url = ""
		}
	}
	return nil
}

// missing says what is not there and, as that may be the reason, what counts as absent.
func (m *metadata) missing(text string) error {
	if len(m.ignored) > 0 {
		text += " (" + strings.Join(m.ignored, "; ") + ")"
	}
	return errors.New(text)
}

// checkEndpoint checks a URL of the metadata. http at a listed server is for a provider that is at one itself: no other may
// lead away from TLS, or to an application of ours. Such a provider may send a developer's browser to loopback, where a
// container's port is published.
func checkEndpoint(raw string, cfg Config, byBrowser bool) error {
	trusted, err := parseServerURL(cfg.Authority, cfg.InsecurePlainHTTP)
	if err != nil {
		return err
	}
	plain := plainHTTP(cfg.InsecurePlainHTTP)
	atListed := plain.lists(trusted)
	if !atListed && !cfg.Provider.Endpoints.has(raw) {
		plain = nil
	}
	u, err := parseServerURL(raw, plain)
	switch {
	case err != nil:
		return err
	case byBrowser && atListed && isLoopback(u.Hostname()):
		return nil
	case (isLoopback(u.Hostname()) || isUnspecified(u.Hostname())) && !isLoopback(trusted.Hostname()):
		// A provider elsewhere must not make us send requests to services on our own machine.
		return errors.New("it is on loopback, and Config.Authority is not")
	case cfg.HTTP.InsecureSkipTLSVerify && !isLoopback(u.Hostname()):
		return errors.New("it is not on loopback, and InsecureSkipTLSVerify is on")
	}
	return nil
}

// configured returns metadata made from the configuration alone, if that is sufficient.
func (c Config) configured() (*metadata, bool) {
	e := c.Provider.Endpoints
	if e.JWKS == "" || c.BaseURL != "" && (e.Authorization == "" || e.Token == "") {
		return nil, false
	}
	m := &metadata{Issuer: cmp.Or(c.Provider.Issuer, c.Authority)}
	m.override(e)
	return m, true
}

const wellKnown = "/.well-known/openid-configuration"

// fetchMetadata fetches the provider's metadata.
func (p *provider) fetchMetadata(ctx context.Context, held *metadata) (fetched.Document[*metadata], error) {
	var document fetched.Document[*metadata]
	if m, ok := p.cfg.configured(); ok {
		document.Value = m
		return document, nil
	}
	location := strings.TrimSuffix(p.cfg.Authority, "/") + wellKnown
	fail := func(err error) (fetched.Document[*metadata], error) {
		p.cfg.Logger.WarnContext(ctx, "idserver: metadata not read", "url", location, "error", err)
		return document, &DiscoveryError{location, err}
	}
	a, err := p.published(ctx, "metadata", location, p.otherAuthority)
	if a != nil {
		document.Fresh, document.RetryAfter = a.FreshFor(), a.RetryAfter()
	}
	if err != nil {
		return fail(err)
	}
	if document.Value, err = parseMetadata(bytes.TrimPrefix(a.Body, byteOrderMark)); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	if p.presenter != nil {
		document.Value.useAliases()
	}
	document.Value.override(p.cfg.Provider.Endpoints)
	if err := document.Value.check(p.cfg); err != nil {
		return fail(err)
	}
	p.warnOfMetadata(ctx, location, document.Value, held)
	return document, nil
}

// warnOfMetadata says once what of the metadata is not used as it is.
func (p *provider) warnOfMetadata(ctx context.Context, location string, m, held *metadata) {
	slices.Sort(m.ignored)
	if held == nil {
		held = new(metadata)
	}
	if len(m.ignored) > 0 && !slices.Equal(m.ignored, held.ignored) {
		p.cfg.Logger.WarnContext(ctx, "idserver: members of the metadata are not usable and count as absent", "url", location, "members", m.ignored)
	}
	methods := m.TokenAuthMethods
	unknown := len(methods) > 0 && !slices.Contains(methods, clientSecretBasic) && !slices.Contains(methods, clientSecretPost)
	decides := p.cfg.ClientSecret != "" && p.cfg.Provider.ClientAuth == ""
	if unknown && decides && !slices.Equal(methods, held.TokenAuthMethods) {
		p.cfg.Logger.WarnContext(ctx, "idserver: the token endpoint lists neither client_secret_basic nor client_secret_post; the secret is sent by the first. Set Config.Provider.ClientAuth (IDSERVER_CLIENT_AUTH) if it takes the other",
			"url", location, "token_endpoint_auth_methods_supported", shown(methods))
	}
}

// otherAuthority says what to change if there is no metadata where the configuration leads, but perhaps at target.
func (p *provider) otherAuthority(target string) string {
	if base, _, found := strings.Cut(p.cfg.Authority, "/.well-known"); found {
		return fmt.Sprintf("Config.Authority (IDSERVER_AUTHORITY) is the URL before /.well-known: set it to %q", base)
	}
	if base, found := strings.CutSuffix(target, wellKnown); found {
		return fmt.Sprintf("if that is the provider you trust, set Config.Authority (IDSERVER_AUTHORITY) to %q", base)
	}
	return fmt.Sprintf("check Config.Authority (IDSERVER_AUTHORITY), which is %q", p.cfg.Authority)
}
