package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// kms is a key elsewhere: nothing is known of it but crypto.Signer.
type kms struct {
	key  crypto.Signer
	sign func([]byte, crypto.SignerOpts) ([]byte, error) // nil: as the key does
}

func (k kms) Public() crypto.PublicKey { return k.key.Public() }

func (k kms) Sign(random io.Reader, text []byte, options crypto.SignerOpts) ([]byte, error) {
	if k.sign != nil {
		return k.sign(text, options)
	}
	return k.key.Sign(random, text, options)
}

// What is signed here verifies here and with jwx, with a key at hand and with one in a KMS.
func TestSign(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		key       crypto.Signer
		algorithm string // "" is what the key's type has
	}{
		"ES256": {p256Key(), ""}, "ES384": {p384Key(), ""}, "ES512": {p521Key(), ""}, "PS256": {rsaKey(), ""}, "EdDSA": {edwards(), ""},
		"RS256": {rsaKey(), "RS256"}, "Ed25519": {edwards(), "Ed25519"},
	} {
		for _, key := range []crypto.Signer{row.key, kms{key: row.key}} {
			signer := must(NewSigner(key, row.algorithm))
			public := PublicJWK(signer.Public())
			token := must(signer.Sign(SigningHeader{Type: "dpop+jwt", KeyID: "k\"1", Certificate: "x5", Key: public}, []byte(`{"sub":"alice"}`)))
			m := must(Parse(token))
			if m.Header.Algorithm != name || m.Header.Type != "dpop+jwt" || *m.Header.KeyID != "k\"1" {
				t.Errorf("%s: the header is %+v", name, m.Header)
			}
			if err := m.Verify(&Key{Public: row.key.Public(), Algorithms: []string{name}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			theirs := jwa.SignatureAlgorithm(name)
			if name == "Ed25519" {
				continue // jwx does not know the name
			}
			payload, err := jws.Verify([]byte(token), jws.WithKey(theirs, row.key.Public()), jws.WithCompact())
			if err != nil || string(payload) != `{"sub":"alice"}` {
				t.Errorf("%s: jwx says %q, %v", name, payload, err)
			}
			var header map[string]json.RawMessage
			if err := json.Unmarshal(must(decode(strings.Split(token, ".")[0])), &header); err != nil || !bytes.Equal(header["jwk"], public) || string(header["x5t#S256"]) != `"x5"` || len(header) != 5 {
				t.Errorf("%s: the header is %s, %v", name, header, err)
			}
		}
	}
}

func TestNewSignerRefuses(t *testing.T) {
	t.Parallel()
	weak := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	small := ed25519.PrivateKey(make([]byte, ed25519.PrivateKeySize)) // its public part has order 4
	for name, row := range map[string]struct {
		key       crypto.Signer
		algorithm string
		want      string
	}{
		"RSA 1024":             {weak, "", "1024 bits"},
		"P-224":                {p224, "", "unknown curve"},
		"Ed25519, small order": {small, "", "small order"},
		"no public key":        {kms{key: nobody{}}, "", "does not sign"},
		"ES384 with P-256":     {p256Key(), "ES384", "not for a key of this kind, EC on P-256"},
		"ES256 with RSA":       {rsaKey(), "ES256", "not for a key of this kind, RSA of 2048 bits"},
		"PS256 with Ed25519":   {edwards(), "PS256", "not for a key of this kind, Ed25519"},
		"HS256":                {rsaKey(), "HS256", "nothing is signed with"},
		"none":                 {rsaKey(), "none", "nothing is signed with"},
		"PS512":                {rsaKey(), "PS512", "nothing is signed with"},
		"RS512":                {rsaKey(), "RS512", "nothing is signed with"},
		"ECDH-ES":              {p256Key(), "ECDH-ES", "nothing is signed with"},
		"in lower case":        {p256Key(), "es256", "nothing is signed with"},
	} {
		if s, err := NewSigner(row.key, row.algorithm); s != nil || !holds(err, row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}

type nobody struct{}

func (nobody) Public() crypto.PublicKey                                  { return "nobody" }
func (nobody) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, nil }

// A KMS that cannot be reached, or that answers with what is no signature, is an error that repeats nothing of it.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	der := func(values ...*big.Int) []byte { return must(asn1.Marshal(values)) }
	big256 := new(big.Int).Lsh(big.NewInt(1), 256)
	good := der(big.NewInt(1), big.NewInt(2))
	for name, signature := range map[string][]byte{
		"empty": nil, "raw": make([]byte, 64), "one number": der(big.NewInt(1)), "three numbers": der(big.NewInt(1), big.NewInt(2), big.NewInt(3)),
		"too large": der(big256, big.NewInt(1)), "cut": good[:len(good)-1], "something behind": append(bytes.Clone(good), 0), "no numbers": {0x30, 0},
		"a long form": {0x30, 0x82, 0, 6, 2, 1, 1, 2, 1, 1}, "length alone": {0x30, 0x81},
	} {
		s := must(NewSigner(kms{p256Key(), func([]byte, crypto.SignerOpts) ([]byte, error) { return signature, nil }}, ""))
		if _, err := s.Sign(SigningHeader{}, nil); !holds(err, "did not do its work") {
			t.Errorf("%s: %v", name, err)
		}
	}
	away := errors.New("arn:aws:kms:key/secret-name is away")
	s := must(NewSigner(kms{p256Key(), func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, away }}, ""))
	if _, err := s.Sign(SigningHeader{}, nil); !errors.Is(err, away) || holds(err, "secret-name") {
		t.Errorf("away: %v", err)
	}
	if _, err := must(NewSigner(p256Key(), "")).Sign(SigningHeader{KeyID: "\xff"}, nil); err == nil {
		t.Error("a kid that is not Unicode")
	}
}

// R and S that begin with zeros, or with a bit that ASN.1 takes for a sign, keep their places.
func TestFixedSignature(t *testing.T) {
	t.Parallel()
	for _, r := range []int64{1, 127, 128, 255, 256} {
		fixed := must(fixedSignature(must(asn1.Marshal([]*big.Int{big.NewInt(r), big.NewInt(5)})), 66))
		if len(fixed) != 132 || new(big.Int).SetBytes(fixed[:66]).Int64() != r || new(big.Int).SetBytes(fixed[66:]).Int64() != 5 {
			t.Errorf("%d: %x", r, fixed)
		}
	}
	whole := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 521), big.NewInt(1)) // longer than 127 bytes together
	if fixed := must(fixedSignature(must(asn1.Marshal([]*big.Int{whole, whole})), 66)); new(big.Int).SetBytes(fixed[:66]).Cmp(whole) != 0 {
		t.Errorf("%x", fixed)
	}
}

// The inverse of what verification does with R and S.
func FuzzFixedSignature(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 132))
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 2 && len(b)%2 == 0 && len(b) <= 132 {
			half := len(b) / 2
			back, err := fixedSignature(ecdsaSignature(nil, b[:half], b[half:]), half)
			if err != nil || !bytes.Equal(back, b) {
				t.Errorf("%x is %x, %v", b, back, err)
			}
		}
		if fixed, err := fixedSignature(b, 32); err == nil && len(fixed) != 64 {
			t.Errorf("%x", fixed)
		}
	})
}
