package idserver_test

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// jwtParts returns the header and the claims of a JWT, which nobody has verified.
func jwtParts(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// Keys of all kinds authenticate the client at the token endpoint, at a refresh and at revocation: the provider verifies the
// assertion against the published keys, and takes each jti once.
func TestPrivateKeyJWT(t *testing.T) {
	for name, key := range map[string]crypto.Signer{
		"ES256": signP256(), "ES384": signP384(), "PS256": signRSA(), "EdDSA": signEd(), "ES256 in a KMS": signs{signP256(), nil}, "PS256 in a KMS": signs{signRSA(), nil},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
			client := withKeys(t, w, []idserver.ClientKey{{ID: "s1", Private: key}}, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: seen} })
			_, tokens := signInByHand(t, w, client, "alice")
			if _, err := client.RefreshToken(t.Context(), tokens); err != nil {
				t.Fatal(err)
			}
			if err := client.RevokeToken(t.Context(), tokens.RefreshToken); err != nil {
				t.Fatal(err)
			}
			if len(seen.requests) != 3 {
				t.Fatalf("%d requests, want 3", len(seen.requests))
			}
			for _, request := range seen.requests {
				form := request.form
				if request.authorization != "" || form.Get("client_id") != idtest.ExampleClient || form.Has("client_secret") {
					t.Errorf("the header is %q, the form %v", request.authorization, form)
				}
				header, claims := jwtParts(t, form.Get("client_assertion"))
				if header["alg"] != strings.Fields(name)[0] || header["typ"] != "JWT" || header["kid"] != "s1" || len(header) != 3 {
					t.Errorf("the header is %v", header)
				}
				jti, _ := claims["jti"].(string)
				iat, exp := claims["iat"].(float64), claims["exp"].(float64)
				if claims["iss"] != idtest.ExampleClient || claims["sub"] != idtest.ExampleClient || claims["aud"] != w.provider.URL() || len(jti) != 43 || exp-iat != 60 || len(claims) != 6 {
					t.Errorf("the claims are %v", claims)
				}
			}
		}))
	}
}

// What is settable of an assertion.
func TestAssertionSettings(t *testing.T) {
	for name, row := range map[string]struct {
		dialect func(*idtest.Dialect)
		edit    func(*idserver.Config)
	}{
		"typ": {func(d *idtest.Dialect) { d.AssertionType = "client-authentication+jwt" }, func(c *idserver.Config) {
			c.Provider.AssertionType = "client-authentication+jwt"
		}},
		"the token endpoint as aud": {func(d *idtest.Dialect) { d.AssertionForTokenEndpoint = true }, func(c *idserver.Config) {
			c.Provider.AssertionAudience = "token_endpoint"
		}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			provider := idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory, o.Now = true, w.clock.Now; row.dialect(&o.Dialect) })
			w.provider, w.cfg.Authority, w.cfg.HTTP.Client = provider, provider.URL(), provider.HTTPClient()
			keys := []idserver.ClientKey{{ID: "s1", Private: signP256()}}
			client := withKeys(t, w, keys)
			request, code := authorizedCode(t, w, client, "alice")
			if _, err := client.ExchangeCode(t.Context(), code, request); err == nil {
				t.Error("the provider takes the default")
			}
			signInByHand(t, w, withKeys(t, w, keys, row.edit), "alice")
		}))
	}
}

// A certificate is named in the header, for Entra.
func TestAssertionNamesCertificate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
		client := withKeys(t, w, []idserver.ClientKey{{Private: signP256(), Certificate: signedFor()}}, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: seen} })
		signInByHand(t, w, client, "alice")
		header, _ := jwtParts(t, seen.requests[0].form.Get("client_assertion"))
		sum := sha256.Sum256(signedFor().Raw)
		if header["x5t#S256"] != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("the header is %v", header)
		}
	})
}

// How the method is chosen where there are keys.
func TestClientAuthWithKeys(t *testing.T) {
	methods := func(list ...string) func(map[string]any) {
		return func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = list }
	}
	absent := func(m map[string]any) { delete(m, "token_endpoint_auth_methods_supported") }
	const post, basic, key = "client_secret_post", "client_secret_basic", "private_key_jwt"
	for name, row := range map[string]struct {
		secret, auth string
		metadata     func(map[string]any)
		want         string
	}{
		"keys alone":                        {"", "", methods(key, basic), key},
		"keys alone, nothing on offer":      {"", "", absent, key},
		"keys alone, not on offer":          {"", "", methods(basic), key},
		"both":                              {"s3cret", "", methods(basic, key), key},
		"both, not on offer":                {"s3cret", "", methods(post), post},
		"both, nothing on offer":            {"s3cret", "", absent, basic},
		"both, by configuration":            {"s3cret", key, methods(basic), key},
		"both, the secret by configuration": {"s3cret", post, methods(key), post},
		"none by configuration":             {"", "none", methods(key), "none"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetMetadata(row.metadata)
			seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
			client := w.client(t, func(c *idserver.Config) {
				c.ClientSecret, c.ClientKeys = row.secret, []idserver.ClientKey{{Private: signP256()}}
				c.Provider.ClientAuth, c.HTTP.Client = row.auth, &http.Client{Transport: seen}
			})
			registered := idtest.Client{ID: idtest.ExampleClient, Secret: row.secret, AnyLoopbackRedirect: true}
			if row.want == key {
				registered.JWKS = client.PublicKeys()
			}
			w.provider.AddClient(registered)
			signInByHand(t, w, client, "alice")
			got := "none"
			switch request := seen.requests[0]; {
			case request.form.Has("client_assertion"):
				got = key
			case request.form.Has("client_secret"):
				got = post
			case request.authorization != "":
				got = basic
			}
			if got != row.want {
				t.Errorf("it is %s, want %s", got, row.want)
			}
		}))
	}
}

// Rotation is the order of one list: at every moment, the provider that has fetched the set of the deployment before knows the key
// that signs, and what it encrypted can be decrypted.
func TestClientKeyRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		s1, s2 := idserver.ClientKey{ID: "s1", Private: signP256()}, idserver.ClientKey{ID: "s2", Private: signP384()}
		e1, e2 := idserver.ClientKey{ID: "e1", Private: openP256(), Use: "enc"}, idserver.ClientKey{ID: "e2", Private: openP521(), Use: "enc"}
		var fetched []byte
		for i, keys := range [][]idserver.ClientKey{{s1, e1}, {s1, s2, e2, e1}, {s2, e2}} {
			client := withKeys(t, w, keys)
			for _, set := range [][]byte{fetched, client.PublicKeys()} { // what the provider holds: the old one for up to an hour
				if set == nil {
					continue
				}
				w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: slices.Clone(set), IDTokenEncryption: "A256GCM", AnyLoopbackRedirect: true})
				request, code := authorizedCode(t, w, client, "alice")
				if _, err := client.ExchangeCode(t.Context(), code, request); err != nil {
					t.Errorf("deployment %d: %v", i, err)
				}
			}
			fetched = client.PublicKeys()
		}
	})
}
