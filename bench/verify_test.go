package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v2/jwt"

	idserver "github.com/signward/idserver-go/core"
)

// verifier reads a token's roles once the token is verified.
type verifier func(token string) (roles []string, err error)

// smallCache is too small for the tokens of a cold benchmark to be met again: each is verified, and what it takes to
// remember it is measured with it.
const smallCache = 128 << 10

// verifiers are ours and the peers', each set up as its documentation has it: keys cached, issuer, audience and times
// checked, claims read into a struct.
var verifiers = []struct {
	name string
	make func(tb testing.TB, alg string) verifier
}{
	{"idserver", func(tb testing.TB, _ string) verifier { return oursVerifier(tb, smallCache) }},
	{"idserver-cacheless", func(tb testing.TB, _ string) verifier { return oursVerifier(tb, -1) }},
	{"golang-jwt+keyfunc", func(tb testing.TB, alg string) verifier {
		keys, err := keyfunc.NewDefaultCtx(tb.Context(), []string{provider.url + "/jwks"})
		fatal(tb, err)
		parser := jwt.NewParser(jwt.WithValidMethods([]string{alg}), jwt.WithIssuer(provider.url), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
		return func(token string) ([]string, error) {
			var c claims
			_, err := parser.ParseWithClaims(token, &c, keys.Keyfunc)
			return c.Roles, err
		}
	}},
	{"go-oidc", func(tb testing.TB, alg string) verifier {
		p, err := oidc.NewProvider(context.Background(), provider.url)
		fatal(tb, err)
		v := p.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{alg}})
		return func(token string) ([]string, error) {
			t, err := v.Verify(context.Background(), token)
			if err != nil {
				return nil, err
			}
			var c claims
			err = t.Claims(&c)
			return c.Roles, err
		}
	}},
	{"jwx", func(tb testing.TB, _ string) verifier {
		set, err := jwk.Parse(provider.set)
		fatal(tb, err)
		return func(token string) ([]string, error) {
			t, err := jwxjwt.Parse([]byte(token), jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(provider.url), jwxjwt.WithAudience(audience), jwxjwt.WithRequiredClaim("exp"))
			if err != nil {
				return nil, err
			}
			roles, _ := t.Get("roles")
			all, _ := roles.([]any)
			var texts []string
			for _, role := range all {
				text, _ := role.(string)
				texts = append(texts, text)
			}
			return texts, nil
		}
	}},
	{"auth0", func(tb testing.TB, alg string) verifier {
		v := auth0(tb, alg)
		return func(token string) ([]string, error) {
			t, err := v.ValidateToken(context.Background(), token)
			if err != nil {
				return nil, err
			}
			return t.(*validator.ValidatedClaims).CustomClaims.(*customClaims).Roles, nil
		}
	}},
}

func oursVerifier(tb testing.TB, cacheBytes int) verifier {
	client := ours(tb, cacheBytes)
	return func(token string) ([]string, error) {
		u, err := client.ValidateAccessToken(context.Background(), token, idserver.AccessTokenCheck{})
		if err != nil {
			return nil, err
		}
		return u.Roles, nil
	}
}

func auth0(tb testing.TB, alg string) *validator.Validator {
	tb.Helper()
	at, err := url.Parse(provider.url)
	fatal(tb, err)
	keys := jwks.NewCachingProvider(at, 5*time.Minute)
	v, err := validator.New(keys.KeyFunc, validator.SignatureAlgorithm(alg), provider.url, []string{audience},
		validator.WithCustomClaims(func() validator.CustomClaims { return new(customClaims) }))
	fatal(tb, err)
	return v
}

func fatal(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

const coldTokens = 2000

// floors are the bare signature checks, hash included.
func floor(tb testing.TB, alg string) func(signed, signature []byte) bool {
	switch key := provider.public[alg].(type) {
	case *rsa.PublicKey:
		return func(signed, signature []byte) bool {
			sum := sha256.Sum256(signed)
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}
	case *ecdsa.PublicKey:
		return func(signed, signature []byte) bool {
			sum := sha256.Sum256(signed)
			return ecdsa.VerifyASN1(key, sum[:], signature)
		}
	case ed25519.PublicKey:
		return func(signed, signature []byte) bool { return ed25519.Verify(key, signed, signature) }
	}
	tb.Fatalf("no key for %s", alg)
	return nil
}

// part is a token taken apart.
type part struct{ signed, signature []byte }

func takenApart(tb testing.TB, alg string, all []string) (parts []part) {
	tb.Helper()
	for _, token := range all {
		i := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
		fatal(tb, err)
		if alg == "ES256" { // in the form that Go's library reads without a detour
			signature, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])})
			fatal(tb, err)
		}
		parts = append(parts, part{[]byte(token[:i]), signature})
	}
	return parts
}

// benchFloor checks the signatures of tokens that were taken apart before.
func benchFloor(b *testing.B, alg string, all []string) {
	check, parts := floor(b, alg), takenApart(b, alg, all)
	b.ReportAllocs()
	i := 0
	defer processor(b)()
	for b.Loop() {
		p := parts[i%len(parts)]
		if i++; !check(p.signed, p.signature) {
			b.Fatal("the signature does not verify")
		}
	}
}

// BenchmarkCold verifies tokens that were not seen before, and their bare signatures.
func BenchmarkCold(b *testing.B) {
	for _, alg := range algorithms {
		all := tokens(b, alg, coldTokens)
		b.Run("alg="+alg+"/impl=floor", func(b *testing.B) { benchFloor(b, alg, all) })
		for _, v := range verifiers {
			b.Run("alg="+alg+"/impl="+v.name, func(b *testing.B) {
				verify := v.make(b, alg)
				if _, err := verify(all[0]); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				i := 1
				defer processor(b)()
				for b.Loop() {
					if _, err := verify(all[i%len(all)]); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
}

// BenchmarkWarm verifies tokens that were seen before: as many distinct ones as the row says, in the default memory for 10,000 and in
// more for 100,000.
func BenchmarkWarm(b *testing.B) {
	bare := tokens(b, "RS256", coldTokens)
	b.Run("alg=RS256/impl=floor", func(b *testing.B) { benchFloor(b, "RS256", bare) }) // beside, for the ratio
	b.Run("alg=RS256/impl=floor/parallel", func(b *testing.B) {                        // how far this machine's cores are cores of their own
		check, parts := floor(b, "RS256"), takenApart(b, "RS256", bare)
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for i := 0; p.Next(); i++ {
				if part := parts[i%len(parts)]; !check(part.signed, part.signature) {
					b.Error("the signature does not verify")
					return
				}
			}
		})
	})
	for _, row := range []struct {
		name  string
		n     int
		bytes int
	}{{"10000", 10_000, 0}, {"100000", 100_000, 256 << 20}} {
		all := tokens(b, "EdDSA", row.n)
		client := ours(b, row.bytes)
		ctx := context.Background()
		for _, token := range all {
			_, err := client.ValidateAccessToken(ctx, token, idserver.AccessTokenCheck{})
			fatal(b, err)
		}
		b.Run("tokens="+row.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			defer processor(b)()
			for b.Loop() {
				i += 7919 // far apart in memory
				if _, err := client.ValidateAccessToken(ctx, all[i%len(all)], idserver.AccessTokenCheck{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("tokens="+row.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			var begun atomic.Int64
			b.RunParallel(func(p *testing.PB) {
				for i := int(begun.Add(1)) * row.n / 3; p.Next(); i += 7919 { // not all at the same token
					if _, err := client.ValidateAccessToken(ctx, all[i%len(all)], idserver.AccessTokenCheck{}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// What is measured does something: each accepts the good token, reads its roles, and refuses every bad one.
func TestVerifiers(t *testing.T) {
	for _, alg := range algorithms {
		good := tokens(t, alg, 2)[1]
		parts := takenApart(t, alg, []string{good, bad(t, alg)["another payload"]})
		if check := floor(t, alg); !check(parts[0].signed, parts[0].signature) || check(parts[1].signed, parts[1].signature) {
			t.Errorf("%s: the floor does not tell a good signature from a bad one", alg)
		}
		for _, v := range verifiers {
			t.Run(alg+" "+v.name, func(t *testing.T) {
				verify := v.make(t, alg)
				roles, err := verify(good)
				if err != nil {
					t.Fatal("the good token is refused:", err)
				}
				if len(roles) != 2 || roles[0] != "admin" {
					t.Errorf("roles %q", roles)
				}
				if _, err := verify(strings.Clone(good)); err != nil { // from memory, where there is one
					t.Errorf("the second time: %v", err)
				}
				for name, token := range bad(t, alg) {
					if _, err := verify(token); err == nil {
						t.Errorf("a token is accepted: %s", name)
					}
				}
			})
		}
	}
}
