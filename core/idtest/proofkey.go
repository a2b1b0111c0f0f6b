package idtest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/dpop"
)

// ProofKey is a key that access tokens are bound to (DPoP, RFC 9449), for the test of an API that takes such tokens
// (ResourceConfig.DPoP):
//
//	key := idtest.NewProofKey(nil)
//	token := provider.MintAccessToken("alice", key.Bind)
//	request.Header.Set("Authorization", "DPoP "+token)
//	request.Header.Set("DPoP", key.Proof("GET", "https://api.example.com/orders", token, ""))
//
// It is safe for concurrent use.
type ProofKey struct {
	key *dpop.Key
	now func() time.Time
}

// NewProofKey returns a new key, whose proofs are of the time that now tells; nil is time.Now. A test with a clock of its own hands it
// that.
func NewProofKey(now func() time.Time) *ProofKey {
	key, err := dpop.NewKey(rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("idtest: %v", err)) // of the machine's random numbers
	}
	if now == nil {
		now = time.Now
	}
	return &ProofKey{key, now}
}

// Thumbprint is what a token that is bound to the key has in cnf.jkt.
func (k *ProofKey) Thumbprint() string { return k.key.Thumbprint() }

// Bind makes the claims of an access token those of one that is bound to the key: for [Provider.MintAccessToken],
// [Provider.MintOpaqueToken] and [Provider.SetAccessTokenClaims].
func (k *ProofKey) Bind(claims map[string]any) { bind(claims, "jkt", k.Thumbprint()) }

// Proof returns a new proof for one request, with the nonce that the API has asked for, if it has.
func (k *ProofKey) Proof(method, url, accessToken, nonce string) string {
	proof, err := dpop.Make(k.key, dpop.Proof{Method: method, URL: url, AccessToken: accessToken, Nonce: nonce, ID: rand.Text(), Now: k.now()})
	if err != nil {
		panic(fmt.Sprintf("idtest: %v", err)) // of text that is no UTF-8
	}
	return proof
}

// BindCertificate returns a function like [ProofKey.Bind] for a token that is bound to a client's certificate, in DER (RFC 8705
// section 3.1): Certificate[0] of a [crypto/tls.Certificate].
func BindCertificate(der []byte) func(claims map[string]any) {
	sum := sha256.Sum256(der)
	return func(claims map[string]any) { bind(claims, "x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:])) }
}

// bind adds a member to cnf: a token may be bound to more than one.
func bind(claims map[string]any, name, thumbprint string) {
	cnf := map[string]any{name: thumbprint}
	if before, ok := claims["cnf"].(map[string]any); ok {
		for n, v := range before {
			cnf[n] = v
		}
		cnf[name] = thumbprint
	}
	claims["cnf"] = cnf
}
