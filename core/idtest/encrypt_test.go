package idtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"

	"github.com/signward/idserver-go/core/idtest"
)

// What is encrypted for a client, jwx decrypts: ID tokens and userinfo, with all content encryptions and algorithms.
func TestEncryption(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := idtest.NewProvider(t)
	sign := func(id string) string {
		target, err := p.Authorize(t.Context(), authorizationURL(p, "client_id", id), "alice")
		if err != nil {
			t.Fatal(err)
		}
		return target.Query().Get("code")
	}
	form := func(id string) url.Values {
		now := p.MintIDToken("alice", id)
		_, claims := decode(t, now)
		return with(map[string]string{
			"grant_type": "authorization_code", "code": sign(id), "redirect_uri": callback, "code_verifier": verifier, "client_id": id,
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
			"client_assertion": signES256(clientKey(), map[string]any{"alg": "ES256", "kid": "s1"}, map[string]any{
				"iss": id, "sub": id, "aud": p.URL(), "jti": rand.Text(), "iat": claims["iat"], "exp": claims["iat"].(float64) + 60,
			}),
		})
	}
	for _, alg := range []string{"", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW"} {
		for _, enc := range []string{"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"} {
			jwk := jwkOf(key, "e1", "enc")
			if alg != "" {
				jwk["alg"] = alg
			}
			id := "client " + alg + enc
			p.AddClient(idtest.Client{
				ID: id, JWKS: setOf(jwkOf(clientKey(), "s1", "sig"), jwk), IDTokenEncryption: enc, UserInfoEncryption: enc, AnyLoopbackRedirect: true,
			})
			a := post(t, p, "/connect/token", form(id))
			if a.status != http.StatusOK {
				t.Fatalf("%s: %s", id, a.body)
			}
			members := a.json(t)
			info := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+members["access_token"].(string))
			for _, compact := range []string{members["id_token"].(string), info.body} {
				name := alg
				if name == "" {
					name = "ECDH-ES+A256KW"
				}
				signed, err := jwe.Decrypt([]byte(compact), jwe.WithKey(jwa.KeyEncryptionAlgorithm(name), key))
				if err != nil || strings.Count(string(signed), ".") != 2 {
					t.Errorf("%s: %v", id, err)
				}
			}
			same(t, "the type of userinfo", info.header.Get("Content-Type"), "application/jwt")
		}
	}
	p.AddClient(idtest.Client{ID: "no key", JWKS: setOf(jwkOf(clientKey(), "s1", "sig")), IDTokenEncryption: "A128GCM", AnyLoopbackRedirect: true})
	equal(t, "the status without a key to encrypt for", post(t, p, "/connect/token", form("no key")).status, http.StatusInternalServerError)
	p.AddClient(idtest.Client{ID: "signed", JWKS: setOf(jwkOf(clientKey(), "s1", "sig")), UserInfoSigned: true, AnyLoopbackRedirect: true})
	members := post(t, p, "/connect/token", form("signed")).json(t)
	info := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+members["access_token"].(string))
	_, claims := decode(t, info.body)
	same(t, "aud of signed userinfo", claims["aud"], "signed")
}
