package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v3"
	auth0core "github.com/auth0/go-jwt-middleware/v3/core"
	jwksv3 "github.com/auth0/go-jwt-middleware/v3/jwks"
	validatorv3 "github.com/auth0/go-jwt-middleware/v3/validator"
	"github.com/golang-jwt/jwt/v5"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const (
	boundAPI = "https://api.example.test"
	boundURL = boundAPI + "/orders"
)

// boundAPIs take tokens that are bound to a key (DPoP), each as its documentation has it. handler answers with 204 to whom it admits.
var boundAPIs = []struct {
	name string
	make func(tb testing.TB) http.Handler
}{
	{"idserver", func(tb testing.TB) http.Handler { return oursBound(tb, 32<<20) }},
	{"idserver-cacheless", func(tb testing.TB) http.Handler { return oursBound(tb, -1) }},
	{"auth0", func(tb testing.TB) http.Handler {
		at, err := url.Parse(provider.url)
		fatal(tb, err)
		keys, err := jwksv3.NewCachingProvider(jwksv3.WithIssuerURL(at), jwksv3.WithCacheTTL(5*time.Minute))
		fatal(tb, err)
		v, err := validatorv3.New(validatorv3.WithKeyFunc(keys.KeyFunc), validatorv3.WithAlgorithm(validatorv3.ES256), validatorv3.WithIssuer(provider.url),
			validatorv3.WithAudience(boundAPI), validatorv3.WithCustomClaims(func() *customClaims { return new(customClaims) }))
		fatal(tb, err)
		m, err := jwtmiddleware.New(jwtmiddleware.WithValidator(v), jwtmiddleware.WithDPoPMode(auth0core.DPoPRequired))
		fatal(tb, err)
		return m.CheckJWT(noContent)
	}},
}

var noContent = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

func oursBound(tb testing.TB, cacheBytes int) http.Handler {
	tb.Helper()
	api, err := ours(tb, cacheBytes).NewResource(idserver.ResourceConfig{Identifier: boundAPI, DPoP: true, OnlyBound: true})
	fatal(tb, err)
	guard := api.RequireUser()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, a := guard(r.Context(), idserver.RequestFrom(r))
		if a.WriteTo(w); !a.Ends() {
			noContent(w, r.WithContext(ctx))
		}
	})
}

func boundToken(key *idtest.ProofKey) string {
	return mint("ES256", 1, time.Now(), func(all jwt.MapClaims) {
		all["aud"] = boundAPI
		key.Bind(all)
	})
}

func boundRequest(token, proof string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, boundURL, nil)
	r.Header.Set("Authorization", "DPoP "+token)
	r.Header.Set("DPoP", proof)
	return r
}

// discarded is a response that nobody reads.
type discarded struct {
	header http.Header
	status int
}

func (d *discarded) Header() http.Header         { return d.header }
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarded) WriteHeader(status int)      { d.status = status }

// What is measured does what it is for. Which of them refuse a proof that was used before is in the table.
func TestBoundAPIs(t *testing.T) {
	key := idtest.NewProofKey(nil)
	token := boundToken(key)
	for _, api := range boundAPIs {
		handler := api.make(t)
		ask := func(r *http.Request) int {
			w := &discarded{header: http.Header{}}
			handler.ServeHTTP(w, r)
			return w.status
		}
		good := key.Proof(http.MethodGet, boundURL, token, "")
		if status := ask(boundRequest(token, good)); status != http.StatusNoContent {
			t.Errorf("%s: a good proof: %d", api.name, status)
		}
		t.Logf("%s: the same proof once more: %d", api.name, ask(boundRequest(token, good)))
		other := boundRequest(token, key.Proof(http.MethodGet, "https://evil.example/orders", token, ""))
		other.Host = "evil.example"
		t.Logf("%s: the proof for another host, with a Host field that says so: %d", api.name, ask(other))
		for name, proof := range map[string]string{
			"another method": key.Proof(http.MethodPost, boundURL, token, ""), "another path": key.Proof(http.MethodGet, boundURL+"/1", token, ""),
			"another token": key.Proof(http.MethodGet, boundURL, token+"x", ""), "another key": idtest.NewProofKey(nil).Proof(http.MethodGet, boundURL, token, ""),
		} {
			if status := ask(boundRequest(token, proof)); status != http.StatusUnauthorized && status != http.StatusBadRequest {
				t.Errorf("%s: the proof of %s: %d", api.name, name, status)
			}
		}
	}
}

// BenchmarkBound is a request with a bound token and a new proof each time, signed with ES256, by a token that was seen before.
func BenchmarkBound(b *testing.B) {
	b.Run("impl=floor", func(b *testing.B) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		fatal(b, err)
		sum := sha256.Sum256([]byte(base64.RawURLEncoding.EncodeToString(make([]byte, 300))))
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
		fatal(b, err)
		b.ReportAllocs()
		for b.Loop() {
			if !ecdsa.VerifyASN1(&key.PublicKey, sum[:], signature) {
				b.Fatal("the signature does not verify")
			}
		}
	})
	for _, api := range boundAPIs {
		b.Run("impl="+api.name, func(b *testing.B) {
			key, handler := idtest.NewProofKey(nil), api.make(b)
			token := boundToken(key)
			requests := make([]*http.Request, b.N+1)
			for i := range requests {
				requests[i] = boundRequest(token, key.Proof(http.MethodGet, boundURL, token, ""))
			}
			w := &discarded{header: http.Header{}}
			handler.ServeHTTP(w, requests[b.N]) // from then on, the token is known
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				clear(w.header)
				w.status = 0
				if handler.ServeHTTP(w, requests[i]); w.status != http.StatusNoContent {
					b.Fatalf("refused: %d", w.status)
				}
			}
		})
	}
}
