package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwk"

	idserver "github.com/signward/idserver-go/core"
)

const audience = "idserver-api"

// algorithms are measured; each has one key, published with its kid and alg.
var algorithms = []string{"RS256", "ES256", "EdDSA"}

// issuer publishes metadata and keys, and signs.
type issuer struct {
	url     string
	private map[string]crypto.Signer
	public  map[string]crypto.PublicKey
	set     []byte
}

var provider issuer

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	provider.private = map[string]crypto.Signer{"RS256": rsaKey, "ES256": ecKey, "EdDSA": edKey}
	provider.public = map[string]crypto.PublicKey{}
	set := jwk.NewSet()
	for alg, key := range provider.private {
		provider.public[alg] = key.Public()
		public, err := jwk.FromRaw(key.Public())
		must(err)
		must(public.Set(jwk.KeyIDKey, "key-"+alg))
		must(public.Set(jwk.AlgorithmKey, alg))
		must(public.Set(jwk.KeyUsageKey, "sig"))
		must(set.AddKey(public))
	}
	provider.set, err = json.Marshal(set)
	must(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/jwks" {
			_, _ = w.Write(provider.set)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": provider.url, "jwks_uri": provider.url + "/jwks", "authorization_endpoint": provider.url + "/authorize", "token_endpoint": provider.url + "/token",
			"id_token_signing_alg_values_supported": algorithms, "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		})
	}))
	provider.url = server.URL
	status := m.Run()
	server.Close()
	os.Exit(status)
}

// processor reports, when the function that it returns is called, how much processor time each turn of a benchmark took: on a machine
// that others use, the clock tells more about them. What waits, for a store, takes none.
func processor(b *testing.B) (done func()) {
	begun := processorTime()
	return func() {
		if used := processorTime() - begun; used > 0 {
			b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// claims are what every library reads a token into.
type claims struct {
	jwt.RegisteredClaims
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	TenantID    string   `json:"tenant_id"`
	Roles       []string `json:"roles"`
	CustomRoles []string `json:"custom_roles"`
}

// checkedClaims check issuer, audience and an expiry's presence themselves: echo-jwt and gofiber/contrib/jwt hand golang-jwt no options.
type checkedClaims struct{ claims }

func (c *checkedClaims) Validate() error {
	if c.Issuer != provider.url || !slices.Contains(c.Audience, audience) || c.ExpiresAt == nil {
		return errors.New("of another issuer, for another audience or without an end")
	}
	return nil
}

// customClaims are read by auth0's validator beside the registered ones, which it reads and checks itself.
type customClaims struct {
	Email       string   `json:"email"`
	Name        string   `json:"name"`
	TenantID    string   `json:"tenant_id"`
	Roles       []string `json:"roles"`
	CustomRoles []string `json:"custom_roles"`
}

func (c *customClaims) Validate(context.Context) error { return nil }

// bad are tokens that nobody may accept, by what is wrong with them.
func bad(tb testing.TB, alg string) map[string]string {
	good, now := tokens(tb, alg, 2)[1], time.Now()
	part := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(part[1])
	must(err)
	with := func(claim string, value any) string {
		return mint(alg, 1, now, func(all jwt.MapClaims) { all[claim] = value })
	}
	return map[string]string{
		"another payload":      part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), `"user"`, `"root"`, 1))) + "." + part[2],
		"another's signature":  part[0] + "." + part[1] + "." + strings.Split(tokens(tb, alg, 1)[0], ".")[2],
		"the algorithm none":   base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"key-`+alg+`","typ":"at+jwt"}`)) + "." + part[1] + ".",
		"another issuer":       with("iss", "http://127.0.0.1:1"),
		"for another audience": with("aud", "another-api"),
		"expired":              mint(alg, 1, now.Add(-48*time.Hour)),
	}
}

var minted = map[string][]string{}

// tokens are n distinct access tokens of 1,000 bytes (or one less, as base64 rounds).
func tokens(tb testing.TB, alg string, n int) []string {
	tb.Helper()
	now := time.Now()
	for i := len(minted[alg]); i < n; i++ {
		minted[alg] = append(minted[alg], mint(alg, i, now))
	}
	return minted[alg][:n]
}

func mint(alg string, i int, now time.Time, edit ...func(all jwt.MapClaims)) string {
	all := jwt.MapClaims{
		"iss": provider.url, "aud": audience, "sub": fmt.Sprintf("6f0c2a3e-0000-4000-8000-%012d", i), "client_id": "orders", "scope": "openid profile email roles",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(6 * time.Hour).Unix(), "jti": fmt.Sprintf("%026d", i),
		"email": fmt.Sprintf("alice%d@example.test", i), "name": "Alice Tan", "given_name": "Alice", "family_name": "Tan",
		"tenant_id": "7b1d5c52-0000-4000-8000-00000000acee", "roles": []string{"admin", "user"}, "custom_roles": []string{"billing"},
	}
	for _, e := range edit {
		e(all)
	}
	sign := func() string {
		token := jwt.NewWithClaims(jwt.GetSigningMethod(alg), all)
		token.Header["kid"], token.Header["typ"] = "key-"+alg, "at+jwt"
		signed, err := token.SignedString(provider.private[alg])
		must(err)
		return signed
	}
	if missing := 1000 - len(sign()); missing > 12 {
		all["note"] = strings.Repeat("x", missing*3/4-9)
	}
	return sign()
}

// ours is a client whose memory for tokens has so many bytes.
func ours(tb testing.TB, cacheBytes int) *idserver.Client {
	tb.Helper()
	client, err := idserver.New(idserver.Config{Authority: provider.url, Audience: audience, TokenCacheBytes: cacheBytes})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}
