package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"slices"
	"testing"
)

// signer is an algorithm with a key of its own and another key of the same type.
type signer struct {
	key, other crypto.Signer
	sign       func(key crypto.Signer, signed []byte) []byte
}

func digestOf(h crypto.Hash, signed []byte) []byte {
	d := h.New()
	d.Write(signed)
	return d.Sum(nil)
}

func pkcs1(h crypto.Hash) func(crypto.Signer, []byte) []byte {
	return func(key crypto.Signer, signed []byte) []byte {
		return must(rsa.SignPKCS1v15(nil, key.(*rsa.PrivateKey), h, digestOf(h, signed)))
	}
}

func pss(h crypto.Hash, opts *rsa.PSSOptions) func(crypto.Signer, []byte) []byte {
	return func(key crypto.Signer, signed []byte) []byte {
		return must(rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), h, digestOf(h, signed), opts))
	}
}

// rs signs as RFC 7518 section 3.4 has it: R and S, each of size bytes.
func rs(h crypto.Hash, size int) func(crypto.Signer, []byte) []byte {
	return func(key crypto.Signer, signed []byte) []byte {
		r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), digestOf(h, signed))
		if err != nil {
			panic(err)
		}
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	}
}

func pure(key crypto.Signer, signed []byte) []byte {
	return ed25519.Sign(key.(ed25519.PrivateKey), signed)
}

func signers() map[string]signer {
	curve := func(c elliptic.Curve) crypto.Signer { return must(ecdsa.GenerateKey(c, rand.Reader)) }
	r, e := must(rsa.GenerateKey(rand.Reader, 2048)), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	return map[string]signer{
		"RS256":   {rsaKey(), r, pkcs1(crypto.SHA256)},
		"RS384":   {rsaKey(), r, pkcs1(crypto.SHA384)},
		"RS512":   {rsaKey(), r, pkcs1(crypto.SHA512)},
		"PS256":   {rsaKey(), r, pss(crypto.SHA256, rsaPSSes)},
		"PS384":   {rsaKey(), r, pss(crypto.SHA384, rsaPSSes)},
		"PS512":   {rsaKey(), r, pss(crypto.SHA512, rsaPSSes)},
		"ES256":   {p256Key(), curve(elliptic.P256()), rs(crypto.SHA256, 32)},
		"ES384":   {p384Key(), curve(elliptic.P384()), rs(crypto.SHA384, 48)},
		"ES512":   {p521Key(), curve(elliptic.P521()), rs(crypto.SHA512, 66)},
		"EdDSA":   {edwards(), e, pure},
		"Ed25519": {edwards(), e, pure},
	}
}

// message is a parsed token; sign makes the signature of what is signed.
func message(t testing.TB, algorithm, payload string, sign func([]byte) []byte) *Message {
	t.Helper()
	signed := b64([]byte(`{"alg":"`+algorithm+`"}`)) + "." + b64([]byte(payload))
	m, err := Parse(signed + "." + b64(sign([]byte(signed))))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestVerify(t *testing.T) {
	all := signers()
	if got, want := slices.Sorted(maps.Keys(algorithms)), slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Fatalf("the algorithms are %v, and %v are tested", got, want)
	}
	for name, s := range all {
		t.Run(name, func(t *testing.T) {
			key := parsed(t, nil, jwkOf(s.key.Public()).with("alg", name))[0]
			signature := []byte(nil)
			good := func(signed []byte) []byte { signature = s.sign(s.key, signed); return signature }
			if err := message(t, name, "{}", good).Verify(&key); err != nil {
				t.Fatalf("a good signature: %v", err)
			}
			flipped := bytes.Clone(signature)
			flipped[len(flipped)/3] ^= 1
			for what, sign := range map[string]func([]byte) []byte{
				"none":              func([]byte) []byte { return nil },
				"of something else": func([]byte) []byte { return s.sign(s.key, []byte("something else")) },
				"with another key":  func(signed []byte) []byte { return s.sign(s.other, signed) },
				"a bit flipped":     func([]byte) []byte { return flipped },
				"zeros":             func([]byte) []byte { return make([]byte, len(signature)) },
				"ones":              func([]byte) []byte { return bytes.Repeat([]byte{0xff}, len(signature)) },
				"a byte short":      func(signed []byte) []byte { return s.sign(s.key, signed)[1:] },
				"a byte cut off":    func(signed []byte) []byte { return s.sign(s.key, signed)[:len(signature)-1] },
				"a zero before":     func(signed []byte) []byte { return append([]byte{0}, s.sign(s.key, signed)...) },
				"a zero after":      func(signed []byte) []byte { return append(s.sign(s.key, signed), 0) },
				"twice":             func(signed []byte) []byte { return slices.Repeat(s.sign(s.key, signed), 2) },
				"as long as a byte": func([]byte) []byte { return []byte{1} },
				"over the payload":  func(signed []byte) []byte { return s.sign(s.key, bytes.SplitN(signed, []byte("."), 2)[1]) },
			} {
				if err := message(t, name, "{}", sign).Verify(&key); !errors.Is(err, ErrSignature) {
					t.Errorf("signature %s: %v", what, err)
				}
			}
		})
	}
}

// A key is used with its own algorithms only: not with another of its type whose signature would be right, and
// an algorithm verifies nothing but itself.
func TestVerifyAnotherAlgorithm(t *testing.T) {
	all := signers()
	for own, s := range all {
		key := parsed(t, nil, jwkOf(s.key.Public()).with("alg", own))[0]
		for other, o := range all {
			if slices.Contains(key.Algorithms, other) {
				continue
			}
			right := message(t, other, "{}", func(signed []byte) []byte { return o.sign(o.key, signed) })
			if err := right.Verify(&key); !errors.Is(err, ErrAlgorithm) {
				t.Errorf("%s with a key for %s: %v", other, own, err)
			}
			mixed := message(t, own, "{}", func(signed []byte) []byte { return o.sign(o.key, signed) })
			if err := mixed.Verify(&key); !errors.Is(err, ErrSignature) {
				t.Errorf("said to be %s and signed by %s: %v", own, other, err)
			}
		}
	}
}

// EdDSA and Ed25519 are two names of one algorithm, RFC 9864: a key under either verifies a token under either.
func TestVerifyEd25519Names(t *testing.T) {
	for _, ofKey := range []any{"EdDSA", "Ed25519", nil} {
		keys := parsed(t, nil, jwkOf(edwards().Public()).with("alg", ofKey))
		for _, ofToken := range []string{"EdDSA", "Ed25519"} {
			m := message(t, ofToken, "{}", func(signed []byte) []byte { return pure(edwards(), signed) })
			key, err := Select(keys, m.Header)
			if err == nil {
				err = m.Verify(key)
			}
			if err != nil {
				t.Errorf("a token with alg %s, a key with alg %v: %v", ofToken, ofKey, err)
			}
		}
		m := message(t, "Ed448", "{}", func(signed []byte) []byte { return pure(edwards(), signed) })
		if _, err := Select(keys, m.Header); !errors.Is(err, ErrAlgorithm) {
			t.Errorf("a token with alg Ed448: %v", err)
		}
	}
}

// One signature has one spelling: R and S as long as the curve's order, and nothing else.
func TestVerifyECDSAForm(t *testing.T) {
	for name, row := range map[string]struct {
		key  *ecdsa.PrivateKey
		hash crypto.Hash
		size int
	}{
		"ES256": {p256Key(), crypto.SHA256, 32},
		"ES384": {p384Key(), crypto.SHA384, 48},
		"ES512": {p521Key(), crypto.SHA512, 66},
	} {
		pair := func(signed []byte) (r, s *big.Int) {
			r, s, err := ecdsa.Sign(rand.Reader, row.key, digestOf(row.hash, signed))
			if err != nil {
				t.Fatal(err)
			}
			return r, s
		}
		join := func(r, s *big.Int, size int) []byte {
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
		key := parsed(t, nil, jwkOf(row.key.Public()))[0]
		order := row.key.Params().N
		for form, sign := range map[string]func([]byte) []byte{
			"DER": func(signed []byte) []byte {
				return must(ecdsa.SignASN1(rand.Reader, row.key, digestOf(row.hash, signed)))
			},
			"a zero before each": func(signed []byte) []byte { r, s := pair(signed); return join(r, s, row.size+1) },
			"a zero before S": func(signed []byte) []byte {
				r, s := pair(signed)
				return append(r.FillBytes(make([]byte, row.size)), s.FillBytes(make([]byte, row.size+1))...)
			},
			"S before R":  func(signed []byte) []byte { r, s := pair(signed); return join(s, r, row.size) },
			"R alone":     func(signed []byte) []byte { r, _ := pair(signed); return r.FillBytes(make([]byte, row.size)) },
			"R 0":         func(signed []byte) []byte { _, s := pair(signed); return join(new(big.Int), s, row.size) },
			"S 0":         func(signed []byte) []byte { r, _ := pair(signed); return join(r, new(big.Int), row.size) },
			"R the order": func(signed []byte) []byte { _, s := pair(signed); return join(order, s, row.size) },
		} {
			t.Run(name+" "+form, func(t *testing.T) {
				if err := message(t, name, "{}", sign).Verify(&key); !errors.Is(err, ErrSignature) {
					t.Errorf("got %v, want ErrSignature", err)
				}
			})
		}
	}
}

// RFC 7518 section 3.5: the salt is as long as the hash.
func TestVerifyPSSSalt(t *testing.T) {
	key := parsed(t, nil, jwkOf(rsaKey().Public()).with("alg", "PS256"))[0]
	for salt, want := range map[int]error{32: nil, 20: ErrSignature, 31: ErrSignature, 64: ErrSignature} {
		m := message(t, "PS256", "{}", func(signed []byte) []byte {
			return pss(crypto.SHA256, &rsa.PSSOptions{SaltLength: salt})(rsaKey(), signed)
		})
		if err := m.Verify(&key); !errors.Is(err, want) {
			t.Errorf("a salt of %d bytes: got %v, want %v", salt, err, want)
		}
	}
}

// What is public is no secret: a token whose MAC was made with a public key, in any spelling, is refused.
func TestVerifyMACWithPublicKey(t *testing.T) {
	pkix := must(x509.MarshalPKIXPublicKey(rsaKey().Public()))
	element := jwkOf(rsaKey().Public())
	for spelling, secret := range map[string][]byte{
		"PEM":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}),
		"DER":     pkix,
		"PKCS #1": x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey),
		"n":       rsaKey().N.Bytes(),
		"set":     setOf(element),
		"nothing": nil,
	} {
		for _, algorithm := range []string{"HS256", "RS256", "none", ""} {
			m := message(t, algorithm, "{}", func(signed []byte) []byte {
				mac := hmac.New(sha256.New, secret)
				mac.Write(signed)
				return mac.Sum(nil)
			})
			for _, allowed := range [][]string{nil, {"RS256", "HS256", "none"}} {
				key := parsed(t, allowed, element)[0]
				if _, err := Select([]Key{key}, m.Header); algorithm != "RS256" && !errors.Is(err, ErrAlgorithm) {
					t.Errorf("%s as the secret of %q: Select says %v", spelling, algorithm, err)
				}
				if err := m.Verify(&key); err == nil {
					t.Errorf("%s as the secret of %q is taken", spelling, algorithm)
				}
			}
		}
	}
}

func TestHash(t *testing.T) {
	for name, want := range map[string]crypto.Hash{
		"RS256": crypto.SHA256, "PS256": crypto.SHA256, "ES256": crypto.SHA256,
		"RS384": crypto.SHA384, "PS384": crypto.SHA384, "ES384": crypto.SHA384,
		"RS512": crypto.SHA512, "PS512": crypto.SHA512, "ES512": crypto.SHA512,
		"EdDSA": crypto.SHA512, "Ed25519": crypto.SHA512,
	} {
		if got := Hash(name); got != want || !Known(name) {
			t.Errorf("%s: got %v, known %v, want %v", name, got, Known(name), want)
		}
	}
	for _, name := range []string{"", "none", "None", "HS256", "HS384", "HS512", "rs256", "RS1", "ES256K", "Ed448", "RSA-OAEP", "dir"} {
		if Known(name) {
			t.Errorf("%q is known", name)
		}
	}
}
