package adaptertest

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// pushed tests an application whose provider wants authorization requests to be pushed.
func pushed(s *suite) {
	s.provider.SetMetadata(func(m map[string]any) { m["require_pushed_authorization_requests"] = true })
	addr := s.serve()
	v := s.visitor(addr)
	v.step("login that is pushed", "RFC 9126 section 4: the browser carries a reference", "GET", "/auth/login?login_hint=alice&return_to=/suite/user", aPage)
	v.step("login that is pushed, by a script", "the same reference", "GET", "/auth/login", aScript)
	v.step("callback of a login that was pushed", "as any other", "GET", v.comeBack(v.begin("?return_to=/suite/user"), "alice"), aPage)
	for name, fault := range inOrder(map[string]idtest.Fault{
		"down": {Status: 503}, "limited": {Status: 429}, "troubled": {OAuthError: "server_error"}, "refused": {OAuthError: "invalid_request"},
		"a page": {HTML: true}, "a redirect": {Redirect: "https://evil.example/"}, "without request_uri": {Status: 201, Body: "{}"}, "without end": {Endless: true},
	}) {
		s.provider.Fail(idtest.PushedAuthorization, fault)
		s.visitor(addr).step("login whose push is "+name, "answered here, and never without it", "GET", "/auth/login", aPage)
		s.provider.Heal(idtest.PushedAuthorization)
	}
}

// bound tests an application whose access tokens are bound to a key.
func bound(s *suite) {
	v := s.visitor(s.serve(func(c *idserver.Config) { c.DPoP = true }))
	v.step("login with a key", "RFC 9449 section 10: the code is bound to it", "GET", "/auth/login", aPage)
	v.step("callback of a login with a key", "the token too", "GET", v.comeBack(v.begin(""), "alice"), aPage)
	v.step("alice, whose token is bound to a key", "a session as any other", "GET", "/suite/user", aScript)
	s.clock.advance(14*time.Minute + 30*time.Second)
	v.step("alice, whose token is bound to a key, when it ends", "refreshed, with the same key", "GET", "/suite/user", aScript)
	s.provider.SetTokenResponse(func(r map[string]any) { r["token_type"] = "Bearer" })
	v.step("callback with a bearer token in place of a bound one", "no downgrade", "GET", v.comeBack(v.begin(""), "alice"), aPage)
}

// fapi2 tests an application that follows FAPI 2.0, at a provider that insists on it and wants nonces.
func fapi2(s *suite) {
	s.provider = idtest.NewProvider(s.t, idtest.FAPI2, func(o *idtest.Options) {
		o.Now, o.InMemory, o.Dialect.DPoPNonces = s.clock.Now, true, true
	})
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	addr := s.serve(func(c *idserver.Config) {
		c.Profile, c.ClientSecret, c.ClientKeys = "fapi2", "", []idserver.ClientKey{{ID: "s1", Private: key}}
	})
	v := s.visitor(addr)
	set := v.do("GET", "/auth/jwks", aProgram)
	s.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: []byte(set.body), RedirectURIs: []string{suiteOrigin + "/auth/callback"}})
	v.step("login of FAPI 2.0", "pushed, with a key and the nonce that is asked for", "GET", "/auth/login?return_to=/suite/user", aPage)
	s.provider.RotateDPoPNonce()
	v.step("login of FAPI 2.0 with an old nonce", "asked for once more", "GET", "/auth/login", aPage)
	back := v.comeBack(v.begin("?return_to=/suite/user"), "alice")
	s.provider.RotateDPoPNonce()
	v.step("callback of FAPI 2.0", "the same key, another nonce", "GET", back, aPage)
	v.step("alice by FAPI 2.0", "a session as any other", "GET", "/suite/user", aScript)
	s.clock.advance(14*time.Minute + 30*time.Second)
	v.step("alice by FAPI 2.0, when her token ends", "refreshed", "GET", "/suite/user", aScript)
	v.step("alice by FAPI 2.0 signs out", "the refresh token is revoked", "POST", "/auth/logout", aPage)
	defer s.messageSigning()
	defer s.mutualTLS()
	s.provider.SetMetadata(func(m map[string]any) { delete(m, "pushed_authorization_request_endpoint") })
	s.visitor(s.serve(func(c *idserver.Config) {
		c.Profile, c.ClientSecret, c.ClientKeys = "fapi2", "", []idserver.ClientKey{{ID: "s1", Private: key}}
	})).step("login of FAPI 2.0 where nothing can be pushed", "the log names the member", "GET", "/auth/login", aPage)
}

// messageSigning tests FAPI 2.0 with signed requests and responses.
func (s *suite) messageSigning() {
	s.provider = idtest.NewProvider(s.t, idtest.FAPI2MessageSigning, func(o *idtest.Options) { o.Now, o.InMemory = s.clock.Now, true })
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	addr := s.serve(func(c *idserver.Config) {
		c.Profile, c.ClientSecret, c.ClientKeys = "fapi2-message-signing", "", []idserver.ClientKey{{ID: "s1", Private: key}}
	})
	v := s.visitor(addr)
	set := v.do("GET", "/auth/jwks", aProgram)
	s.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: []byte(set.body), RedirectURIs: []string{suiteOrigin + "/auth/callback"}})
	v.step("callback with a signed response", "JARM", "GET", v.comeBack(v.begin("?return_to=/suite/user"), "alice"), aPage)
	v = s.visitor(addr)
	v.step("callback with a parameter beside a signed response", "two responses are none", "GET", v.comeBack(v.begin(""), "alice")+"&code=x", aPage)
	s.provider.SetSignedResponse(func(claims map[string]any) { claims["aud"] = "another" })
	v.step("callback with a response that is signed for another", "nothing is sent for it", "GET", v.comeBack(v.begin(""), "alice"), aPage)
	s.provider.SetSignedResponse(func(claims map[string]any) { delete(claims, "code"); claims["error"] = "access_denied" })
	v.step("callback with a signed refusal", "the person cancelled", "GET", v.comeBack(v.begin(""), "alice"), aPage)
}

// mutualTLS tests FAPI 2.0 with a certificate in place of keys and of DPoP.
func (s *suite) mutualTLS() {
	s.provider = idtest.NewProvider(s.t, idtest.FAPI2MutualTLS, func(o *idtest.Options) { o.Now, o.InMemory = s.clock.Now, true })
	certificate := s.certificate("the application")
	s.provider.AddClient(idtest.Client{
		ID: idtest.ExampleClient, Certificates: []*x509.Certificate{certificate.Leaf}, RedirectURIs: []string{suiteOrigin + "/auth/callback"},
	})
	v := s.visitor(s.serve(func(c *idserver.Config) {
		c.Profile, c.ClientSecret = "fapi2", ""
		c.ClientCertificate = func() (*tls.Certificate, error) { return &certificate, nil }
	}))
	v.step("callback of FAPI 2.0 with a certificate", "RFC 8705: it authenticates, and the token is bound to it", "GET", v.comeBack(v.begin("?return_to=/suite/user"), "alice"), aPage)
	s.clock.advance(14*time.Minute + 30*time.Second)
	v.step("alice by a certificate, when her token ends", "refreshed, at the endpoint that counts it", "GET", "/suite/user", aScript)
	s.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = s.provider.MintAccessToken("alice") })
	v.step("callback with a token that is bound to no certificate", "no downgrade", "GET", v.comeBack(v.begin(""), "alice"), aPage)
}
