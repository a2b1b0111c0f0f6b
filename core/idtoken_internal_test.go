package idserver

import (
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
)

// at_hash is made with the hash of the ID token's algorithm, OpenID Connect Core section 3.1.3.6. The first
// row is that of its appendix A.3; the others were made with: printf %s TOKEN | openssl dgst -sha384 -binary | head -c24 | basenc --base64url.
func TestAtHashOfEachAlgorithm(t *testing.T) {
	const token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	const sha256, sha384, sha512 = "77QmUPtjPfzWtF2AnpK9RQ", "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs", "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"
	for algorithm, want := range map[string]string{
		"RS256": sha256, "PS256": sha256, "ES256": sha256,
		"RS384": sha384, "PS384": sha384, "ES384": sha384,
		"RS512": sha512, "PS512": sha512, "ES512": sha512, "EdDSA": sha512, "Ed25519": sha512,
	} {
		t.Run(algorithm, func(t *testing.T) {
			now := time.Unix(1800000000, 0)
			check := func(atHash string) error {
				nonce := "n"
				return checkIDToken(&claims.Claims{
					Issuer: "i", Subject: "s", Audience: []string{"c"}, Nonce: &nonce, AccessTokenHash: &atHash,
					Expiry: now.Add(time.Minute), IssuedAt: now,
				}, idTokenRules{
					IDTokenCheck: IDTokenCheck{Nonce: nonce, AccessToken: token}, issuer: "i", clientID: "c", now: now, algorithm: algorithm, kind: "JWT",
				})
			}
			if err := check(want); err != nil {
				t.Error(err)
			}
			for _, other := range []string{sha256, sha384, sha512, "", want[:len(want)-1]} {
				if err := check(other); other != want && !errors.Is(err, ReasonAccessTokenHash) {
					t.Errorf("at_hash %q: %v", other, err)
				}
			}
			if raw, err := base64.RawURLEncoding.DecodeString(want); err != nil || sameHash(base64.URLEncoding.EncodeToString(raw)+"=", token, algorithm) {
				t.Errorf("a padded at_hash is taken: %v", err)
			}
		})
	}
}
