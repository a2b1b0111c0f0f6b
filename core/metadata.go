package idserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// metadata is the part of the provider's metadata that is used, OpenID Connect Discovery 1.0 section 3.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	ScopesSupported       []string `json:"scopes_supported"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	SendsIssuer           bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

// override replaces the values that the configuration sets.
func (m *metadata) override(e Endpoints) {
	for field, value := range map[*string]string{
		&m.AuthorizationEndpoint: e.Authorization, &m.TokenEndpoint: e.Token, &m.JWKSURI: e.JWKS,
		&m.UserInfoEndpoint: e.UserInfo, &m.RevocationEndpoint: e.Revocation, &m.EndSessionEndpoint: e.EndSession,
	} {
		if value != "" {
			*field = value
		}
	}
}

// check refuses metadata that another issuer published, or whose URLs must not be sent secrets.
func (m *metadata) check(cfg Config) error {
	authority := strings.TrimSuffix(cfg.Authority, "/")
	switch {
	case m.Issuer == "":
		return errors.New("no issuer in it")
	case cfg.Provider.Issuer != "" && m.Issuer != cfg.Provider.Issuer:
		return fmt.Errorf("its issuer is %q, and Config.Provider.Issuer (IDSERVER_ISSUER) is %q: they must be equal", m.Issuer, cfg.Provider.Issuer)
	case cfg.Provider.Issuer == "" && m.Issuer != authority && m.Issuer != cfg.Authority:
		return fmt.Errorf("its issuer is %q, and Config.Authority is %q: if that issuer is the one you trust, set Config.Provider.Issuer (IDSERVER_ISSUER) to %q", m.Issuer, cfg.Authority, m.Issuer)
	}
	trusted, err := parseServerURL(cfg.Authority)
	if err != nil {
		return err
	}
	for name, endpoint := range map[string]string{
		"authorization_endpoint": m.AuthorizationEndpoint, "token_endpoint": m.TokenEndpoint, "jwks_uri": m.JWKSURI,
		"userinfo_endpoint": m.UserInfoEndpoint, "revocation_endpoint": m.RevocationEndpoint, "end_session_endpoint": m.EndSessionEndpoint,
	} {
		if endpoint == "" {
			continue
		}
		u, err := parseServerURL(endpoint)
		if err != nil {
			return fmt.Errorf("its %s %q: %w", name, endpoint, err)
		}
		// A provider elsewhere must not make us send requests to services on our own machine.
		if (isLoopback(u.Hostname()) || isUnspecified(u.Hostname())) && !isLoopback(trusted.Hostname()) {
			return fmt.Errorf("its %s %q is on loopback, and Config.Authority is not", name, endpoint)
		}
		if cfg.HTTP.InsecureSkipTLSVerify && !isLoopback(u.Hostname()) {
			return fmt.Errorf("its %s %q is not on loopback, and InsecureSkipTLSVerify is on", name, endpoint)
		}
	}
	if m.JWKSURI == "" {
		return errors.New("no jwks_uri in it: set Config.Provider.Endpoints.JWKS")
	}
	if cfg.BaseURL != "" && (m.AuthorizationEndpoint == "" || m.TokenEndpoint == "") {
		return errors.New("no authorization_endpoint or no token_endpoint in it: set Config.Provider.Endpoints")
	}
	return nil
}

// configured returns metadata made from the configuration alone, if that is sufficient.
func (c Config) configured() (*metadata, bool) {
	e := c.Provider.Endpoints
	if e.JWKS == "" || c.BaseURL != "" && (e.Authorization == "" || e.Token == "") {
		return nil, false
	}
	m := &metadata{Issuer: c.Provider.Issuer}
	set(&m.Issuer, c.Authority)
	m.override(e)
	return m, true
}

// fetchMetadata fetches the provider's metadata.
func (p *provider) fetchMetadata(ctx context.Context, _ *metadata) (fetched.Document[*metadata], error) {
	var document fetched.Document[*metadata]
	if m, ok := p.cfg.configured(); ok {
		document.Value = m
		return document, nil
	}
	location := strings.TrimSuffix(p.cfg.Authority, "/") + "/.well-known/openid-configuration"
	fail := func(err error) (fetched.Document[*metadata], error) {
		p.cfg.Logger.WarnContext(ctx, "idserver: metadata not read", "url", location, "error", err)
		return document, &DiscoveryError{location, err}
	}
	a, err := p.do(ctx, "metadata", endpoint.Call{URL: location})
	if err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	document.Fresh, document.Value = a.MaxAge(), new(metadata)
	if err := a.JSON(document.Value); err != nil {
		return fail(fmt.Errorf("%w: %w", ErrUnavailable, err))
	}
	document.Value.override(p.cfg.Provider.Endpoints)
	if err := document.Value.check(p.cfg); err != nil {
		return fail(err)
	}
	return document, nil
}

// fetchKeys fetches the provider's key set. A response without a single usable key is an error: it must not replace good
// keys.
func (p *provider) fetchKeys(ctx context.Context, held []jose.Key) (fetched.Document[[]jose.Key], error) {
	var document fetched.Document[[]jose.Key]
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return document, err
	}
	fail := func(err error) (fetched.Document[[]jose.Key], error) {
		p.cfg.Logger.WarnContext(ctx, "idserver: key set not read", "url", m.JWKSURI, "error", err)
		return document, &DiscoveryError{m.JWKSURI, fmt.Errorf("%w: %w", ErrUnavailable, err)}
	}
	a, err := p.do(ctx, "keys", endpoint.Call{URL: m.JWKSURI})
	if err != nil {
		return fail(err)
	}
	document.Fresh = a.MaxAge()
	if a.Status != http.StatusOK {
		return fail(fmt.Errorf("status %d", a.Status))
	}
	keys, skipped, err := jose.ParseSet(a.Body, p.cfg.Provider.Algorithms)
	if err != nil {
		return fail(err)
	}
	if len(skipped) > 0 { // one line, and not long: anyone can have the keys fetched again
		p.cfg.Logger.InfoContext(ctx, "idserver: published keys are left out", "url", m.JWKSURI, "keys", len(skipped), "reason", errors.Join(skipped[:min(len(skipped), 3)]...))
	}
	switch same := func(a, b jose.Key) bool { return a.Same(&b) }; {
	case len(keys) == 0:
		return fail(errors.New("no key in it that can be used"))
	case slices.EqualFunc(keys, held, same):
		document.Value = held // and what was verified with these keys need not be looked at again
	default:
		document.Value = keys
	}
	changed := len(held) == 0 || &document.Value[0] != &held[0]
	tell(ctx, p.cfg.Logger, p.cfg.Events.KeysFetched, KeysEvent{Keys: len(keys), LeftOut: len(skipped), Changed: changed})
	return document, nil
}
