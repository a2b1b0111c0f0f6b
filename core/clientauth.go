package idserver

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Methods of client authentication, OpenID Connect Core section 9.
const (
	clientSecretBasic = "client_secret_basic"
	clientSecretPost  = "client_secret_post"
	privateKeyJWT     = "private_key_jwt"
	spiffeJWT         = "spiffe_jwt"      // draft-ietf-oauth-spiffe-client-auth
	tlsClientAuth     = "tls_client_auth" // RFC 8705 section 2
	selfSignedTLS     = "self_signed_tls_client_auth"
	noClientAuth      = "none"
)

var clientAuthMethods = []string{clientSecretBasic, clientSecretPost, privateKeyJWT, spiffeJWT, tlsClientAuth, selfSignedTLS, noClientAuth}

// assertionForTokenEndpoint is the ProviderConfig.AssertionAudience that is not the issuer.
const assertionForTokenEndpoint = "token_endpoint"

// authentication is how the client proves who it is with every request that wants it: token, refresh, revocation.
func (p *provider) authentication(m *metadata) endpoint.Authentication {
	id, secret := p.cfg.ClientID, p.cfg.ClientSecret
	assert := func(context.Context) (string, error) { return p.clientAssertion(m) }
	switch p.clientAuth(m) {
	case privateKeyJWT:
		return endpoint.Assertion{ClientID: id, Type: endpoint.JWTBearer, Make: assert}
	case spiffeJWT:
		return endpoint.Assertion{ClientID: id, Type: endpoint.JWTSPIFFE, Make: assert}
	case clientSecretBasic:
		return endpoint.SecretBasic{ClientID: id, ClientSecret: secret}
	case clientSecretPost:
		return endpoint.SecretPost{ClientID: id, ClientSecret: secret}
	}
	return endpoint.None{ClientID: id} // with a certificate, the connection says the rest (RFC 8705 section 2)
}

// authenticates reports whether the client can prove who it is.
func (c *Config) authenticates() bool {
	return c.ClientSecret != "" || len(c.ClientKeys) > 0 || c.ClientAssertionFile != "" || c.ClientCertificate != nil
}

// clientAuthMethods are those that the configuration has the means for, in order of preference: what nobody else knows goes
// before what lies at the provider too.
func (c *Config) clientAuthMethods(signs bool) (methods []string) {
	if signs {
		methods = append(methods, privateKeyJWT)
	}
	if c.ClientAssertionFile != "" {
		methods = append(methods, privateKeyJWT, spiffeJWT)
	}
	if c.ClientCertificate != nil {
		methods = append(methods, tlsClientAuth, selfSignedTLS)
	}
	if c.ClientSecret != "" {
		methods = append(methods, clientSecretBasic, clientSecretPost)
	}
	return methods
}

// clientAuth chooses the method: the first of ours that the metadata lists. Where it lists none, a secret is sent by
// client_secret_basic (OpenID Connect Discovery section 3, RFC 8414), which RFC 6749 section 2.3.1 prefers.
func (p *provider) clientAuth(m *metadata) string {
	methods := p.cfg.clientAuthMethods(p.clientKeys.signer != nil)
	if len(methods) == 0 {
		return noClientAuth
	}
	if p.cfg.Provider.ClientAuth != "" {
		return p.cfg.Provider.ClientAuth
	}
	for _, method := range methods {
		if slices.Contains(m.TokenAuthMethods, method) {
			return method
		}
	}
	if p.cfg.ClientSecret != "" {
		return clientSecretBasic
	}
	return methods[0]
}

// clientAssertion makes an assertion for one request, or reads it.
func (p *provider) clientAssertion(m *metadata) (string, error) {
	if p.cfg.ClientAssertionFile != "" {
		return p.cfg.assertionFile().read()
	}
	jti, err := randomText(p.cfg.Rand)
	if err != nil {
		return "", err
	}
	audience := m.Issuer
	if p.cfg.Provider.AssertionAudience == assertionForTokenEndpoint || isTemplate(audience) {
		audience = m.TokenEndpoint
	}
	if audience == "" {
		return "", errors.New("the client assertion has no audience: there is no token_endpoint")
	}
	return assertion(p.clientKeys.signer, assertionClaims{
		typ: cmp.Or(p.cfg.Provider.AssertionType, defaultAssertionType), clientID: p.cfg.ClientID, audience: audience, jti: jti, now: p.now(),
	})
}

const (
	defaultAssertionType = "JWT"
	assertionLife        = time.Minute
)

// assertionClaims are what a client assertion says.
type assertionClaims struct {
	typ, clientID, audience, jti string
	now                          time.Time
}

// assertion makes a client assertion, RFC 7523 section 3. Its audience is one string: an assertion for several could be
// presented to another of them (RFC 10070).
func assertion(key *signingKey, c assertionClaims) (string, error) {
	payload, err := appendMembers([]byte{'{'},
		"iss", c.clientID, "sub", c.clientID, "aud", c.audience, "jti", c.jti,
	)
	if err != nil {
		return "", err
	}
	payload = appendTimes(payload, c.now, assertionLife)
	return key.Sign(jose.SigningHeader{Type: c.typ, KeyID: key.id, Certificate: key.certificate}, append(payload, '}'))
}

// appendMembers appends names and values, in pairs, to a JSON object that is open. Empty values are left out.
func appendMembers(out []byte, pairs ...string) (_ []byte, err error) {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), pairs[i]...), `":`...)
		if out, err = strictjson.AppendString(out, pairs[i+1]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendTimes appends iat and exp.
func appendTimes(out []byte, now time.Time, life time.Duration) []byte {
	out = strconv.AppendInt(append(out, `,"iat":`...), now.Unix(), 10)
	return strconv.AppendInt(append(out, `,"exp":`...), now.Add(life).Unix(), 10)
}
