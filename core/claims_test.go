package idserver_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Hydra signs the ID token of a refresh with its new key under the old kid, and publishes both (ory/hydra#3573). Straight from
// the token endpoint that is good enough, with a line in the log; for no other token is it.
func TestIDTokenSignedByAnotherKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		old := w.provider.KeyID()
		w.provider.RotateKey() // both are published
		var idToken string
		w.provider.SetTokenResponse(func(r map[string]any) {
			idToken = resign(t, w, r["id_token"].(string), old)
			r["id_token"] = idToken
		})
		for n := range 6 { // more often than there are fetches
			next, err := w.RefreshToken(t.Context(), tokens)
			if err != nil {
				t.Fatalf("refresh %d: %v", n, err)
			}
			tokens = next
		}
		if log := w.log.String(); !strings.Contains(log, "ory/hydra#3573") || !strings.Contains(log, w.provider.KeyID()) {
			t.Errorf("the log does not say so: %s", log)
		}
		_, err := w.ValidateIDToken(t.Context(), idToken, idserver.IDTokenCheck{Subject: tokens.User.Subject, AccessToken: tokens.AccessToken})
		refused(t, err, idserver.ReasonSignature)
		_, err = w.ValidateAccessToken(t.Context(), resign(t, w, w.provider.MintAccessToken("alice"), old), idserver.AccessTokenCheck{})
		refused(t, err, idserver.ReasonSignature)

		stranger := idtest.NewProvider(t)
		stranger.RotateKey()
		w.provider.SetTokenResponse(func(r map[string]any) {
			parts := strings.Split(r["id_token"].(string), ".")
			payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
			r["id_token"] = stranger.SignRaw(map[string]any{"alg": "RS256", "kid": old}, payload)
		})
		w.clock.advance(time.Minute)
		_, err = w.RefreshToken(t.Context(), tokens)
		refused(t, err, idserver.ReasonSignature)
	})
}

// A token whose algorithm the key does not name: the error names the setting that admits it, and with that it is admitted.
func TestAlgorithmBySetting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		key := jwkOf(w.provider, w.provider.KeyID())
		delete(key, "alg")
		document, err := json.Marshal(map[string]any{"keys": []any{key}})
		if err != nil {
			t.Fatal(err)
		}
		w.provider.SetJWKS(document)
		pss := func(i *idToken) {
			i.header["alg"] = "PS256"
			i.sign = func(signed string) string {
				sum := sha256.Sum256([]byte(signed))
				signature, err := rsa.SignPSS(rand.Reader, w.provider.PrivateKey(), crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
				if err != nil {
					t.Fatal(err)
				}
				return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
			}
		}
		i := newAccessToken(w)
		pss(i)
		token := i.token()
		_, err = w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		refused(t, err, idserver.ReasonAlgorithm)
		for _, want := range []string{`"PS256"`, "Config.Provider.Algorithms", "IDSERVER_ALGORITHMS"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not name %s", err, want)
			}
		}
		if _, err := w.client(t, func(c *idserver.Config) { c.Provider.Algorithms = []string{"PS256"} }).ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("with the setting: %v", err)
		}
		i = newAccessToken(w)
		i.header["alg"] = "ES256"
		_, err = w.ValidateAccessToken(t.Context(), i.token(), idserver.AccessTokenCheck{})
		refused(t, err, idserver.ReasonAlgorithm)
		if strings.Contains(err.Error(), "Config") {
			t.Errorf("no setting admits that: %v", err)
		}
	})
}
