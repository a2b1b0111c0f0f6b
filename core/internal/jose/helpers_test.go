package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
)

// The keys of all tests. Ed25519's is always the same, so that a token of it can be a seed for fuzzing.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edwards  = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) })
	rsaPSSes = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token is a compact form of any header, payload and signature.
func token(header, payload, signature string) string {
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64([]byte(signature))
}

// webKey is a JSON Web Key in the making; a row of a table spoils it.
type webKey map[string]any

// with returns a copy in which a member has another value, or with nil is gone.
func (k webKey) with(member string, value any) webKey {
	k = maps.Clone(k)
	if k[member] = value; value == nil {
		delete(k, member)
	}
	return k
}

func jwkOf(public crypto.PublicKey) webKey {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return webKey{"kty": "RSA", "n": b64(public.N.Bytes()), "e": b64(big.NewInt(int64(public.E)).Bytes())}
	case *ecdsa.PublicKey:
		point := must(public.Bytes())[1:] // without the 4 that says uncompressed
		return webKey{"kty": "EC", "crv": public.Params().Name, "x": b64(point[:len(point)/2]), "y": b64(point[len(point)/2:])}
	case ed25519.PublicKey:
		return webKey{"kty": "OKP", "crv": "Ed25519", "x": b64(public)}
	}
	panic("not a key of these tests")
}

func setOf(elements ...any) []byte {
	return must(json.Marshal(map[string]any{"keys": elements}))
}

// parsed returns the keys of a set that nothing is wrong with.
func parsed(t testing.TB, allowed []string, elements ...any) []Key {
	t.Helper()
	keys, skipped, err := ParseSet(setOf(elements...), allowed)
	if err != nil || len(skipped) > 0 {
		t.Fatalf("a good set: %v, skipped %v", err, skipped)
	}
	return keys
}

func holds(err error, part string) bool { return err != nil && strings.Contains(err.Error(), part) }
