package idserver

import (
	"fmt"
	"slices"

	"github.com/signward/idserver-go/core/internal/fault"
)

// Each Config.Profile: the FAPI 2.0 Security Profile, and FAPI 2.0 Message Signing on top of it.
const (
	fapi2               = "fapi2"
	fapi2MessageSigning = "fapi2-message-signing"
)

var profiles = []string{fapi2, fapi2MessageSigning}

// profileAlgorithms are those of FAPI 2.0 section 5.4. Ed25519 is another name of EdDSA (RFC 9864).
var profileAlgorithms = []string{"PS256", "ES256", "EdDSA", "Ed25519"}

// profileMethods are those of FAPI 2.0 section 5.3.3.1.
var profileMethods = []string{privateKeyJWT, tlsClientAuth, selfSignedTLS}

// withProfile fills in what the profile settles.
func (c Config) withProfile() Config {
	if !slices.Contains(profiles, c.Profile) {
		return c
	}
	c.DPoP = c.DPoP || c.ClientCertificate == nil // FAPI 2.0 section 5.3.3.1 item 1: the one or the other
	c.Provider.PushedAuthorization = true
	if len(c.Provider.Algorithms) == 0 {
		c.Provider.Algorithms = profileAlgorithms
	}
	return c
}

// checkProfile names each setting that the profile does not allow.
func (c *Config) checkProfile(faults *fault.List) {
	const field, variable = "Profile", "IDSERVER_PROFILE"
	switch {
	case c.Profile == "":
		return
	case !slices.Contains(profiles, c.Profile):
		faults.Add(field, variable, "%q: want one of %q, or nothing", c.Profile, profiles)
		return
	}
	refuse := func(field, variable, why string, args ...any) {
		faults.Add(field, variable, why+", and Profile (IDSERVER_PROFILE) is "+c.Profile, args...)
	}
	p := &c.Provider
	keys, wrong := readClientKeys(c.ClientKeys)
	switch {
	case len(wrong) > 0: // a fault of its own
	case keys.signer == nil && (c.ClientCertificate == nil || c.Profile == fapi2MessageSigning):
		refuse("ClientKeys", "IDSERVER_CLIENT_KEYS", "has no key that signs")
	case keys.signer != nil && !slices.Contains(profileAlgorithms, keys.signer.Algorithm):
		refuse("ClientKeys", "IDSERVER_CLIENT_KEYS", "signs with %s: want PS256, ES256 or EdDSA", keys.signer.Algorithm)
	}
	if c.ClientSecret != "" {
		refuse("ClientSecret", "IDSERVER_CLIENT_SECRET", "is set")
	}
	if c.ClientAssertionFile != "" { // whoever writes it signs what the client does not see
		refuse("ClientAssertionFile", "IDSERVER_CLIENT_ASSERTION_FILE", "is set")
	}
	if p.ClientAuth != "" && !slices.Contains(profileMethods, p.ClientAuth) && slices.Contains(clientAuthMethods, p.ClientAuth) {
		refuse("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "is %s: want one of %q", p.ClientAuth, profileMethods)
	}
	if p.AssertionAudience != "" {
		refuse("Provider.AssertionAudience", "", "is set: the issuer is the only audience")
	}
	for _, name := range p.Algorithms {
		if !slices.Contains(profileAlgorithms, name) {
			refuse("Provider.Algorithms", "IDSERVER_ALGORITHMS", "has %q: want PS256, ES256 or EdDSA", name)
		}
	}
	if p.Endpoints != (Endpoints{}) {
		refuse("Provider.Endpoints", "", "is set: they come from the metadata alone")
	}
	if len(p.Tenants) > 0 || p.AdmitTenant != nil {
		refuse("Provider.Tenants", "IDSERVER_TENANTS", "is set: there is one issuer")
	}
	if len(c.InsecurePlainHTTP) > 0 {
		refuse("InsecurePlainHTTP", "IDSERVER_INSECURE_PLAIN_HTTP", "is set")
	}
}

// checkProfile checks that the metadata does not rule out what the profile wants. What it does not list, it may have.
func (m *metadata) checkProfile(cfg Config) error {
	if cfg.Profile == "" {
		return nil
	}
	type wanted struct {
		member string
		listed []string
		oneOf  []string
	}
	keys, _ := readClientKeys(cfg.ClientKeys) // New has checked them
	methods := cfg.clientAuthMethods(keys.signer != nil)
	if cfg.Provider.ClientAuth != "" {
		methods = []string{cfg.Provider.ClientAuth}
	}
	all := []wanted{
		{"token_endpoint_auth_methods_supported", m.TokenAuthMethods, methods},
		{"id_token_signing_alg_values_supported", m.IDTokenAlgorithms, cfg.Provider.Algorithms},
		{"code_challenge_methods_supported", m.ChallengeMethods, []string{"S256"}},
	}
	if keys.signer != nil && slices.Contains(methods, privateKeyJWT) {
		all = append(all, wanted{"token_endpoint_auth_signing_alg_values_supported", m.AssertionAlgorithms, []string{keys.signer.Algorithm}})
	}
	if cfg.Profile == fapi2MessageSigning {
		all = append(all,
			wanted{"request_object_signing_alg_values_supported", m.RequestAlgorithms, []string{keys.signer.Algorithm}},
			wanted{"authorization_signing_alg_values_supported", m.ResponseAlgorithms, cfg.Provider.Algorithms},
			wanted{"response_modes_supported", m.ResponseModes, []string{cfg.signedMode(), "jwt"}},
		)
	}
	for _, want := range all {
		ok := slices.ContainsFunc(want.listed, func(name string) bool { return slices.Contains(want.oneOf, name) })
		if len(want.listed) > 0 && !ok {
			return m.missing(fmt.Sprintf("its %s has none of %q, which Config.Profile (IDSERVER_PROFILE) wants", want.member, want.oneOf))
		}
	}
	if !cfg.DPoP && !m.BindsToCertificate {
		return m.missing("its tls_client_certificate_bound_access_tokens is not true, and Config.Profile (IDSERVER_PROFILE) wants tokens bound to ClientCertificate, or DPoP (IDSERVER_DPOP)")
	}
	if isTemplate(m.Issuer) {
		return m.missing("its issuer stands for many tenants, and Config.Profile (IDSERVER_PROFILE) wants one")
	}
	return nil
}
