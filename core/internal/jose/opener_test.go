package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwe"
)

// elsewhere is a key that agrees in a KMS.
type elsewhere struct {
	key    *ecdh.PrivateKey
	public crypto.PublicKey
	err    error
}

func (e elsewhere) Public() crypto.PublicKey { return e.public }
func (e elsewhere) ECDH(remote *ecdh.PublicKey) ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	return e.key.ECDH(remote)
}

func withKeyID(id string) jwe.EncryptOption {
	h := jwe.NewHeaders()
	if err := h.Set("kid", id); err != nil {
		panic(err)
	}
	return jwe.WithProtectedHeaders(h)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const inner = "eyJhbGciOiJFUzI1NiJ9.e30.AA"
	agreed := must(p256Key().ECDH())
	for name, private := range map[string]any{
		"ecdsa": p256Key(), "ecdh": agreed, "P-384": must(p384Key().ECDH()), "P-521": p521Key(),
		"elsewhere": elsewhere{agreed, agreed.Public(), nil}, "elsewhere, with a signer's public key": elsewhere{agreed, &p256Key().PublicKey, nil},
	} {
		key := must(NewOpener(private, "1", ""))
		if got, err := Open(sealed(t, key.Default(), "A256GCM", key.Public(), inner), []*Opener{key}); err != nil || got != inner {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	first, second, third := must(NewOpener(p256Key(), "1", "")), must(NewOpener(p384Key(), "2", "")), must(NewOpener(rsaKey(), "3", ""))
	keys := []*Opener{first, second, third}
	for name, compact := range map[string]string{
		"by kid":                    sealed(t, "ECDH-ES", "A128GCM", second.Public(), inner, withKeyID("2")),
		"without kid":               sealed(t, "ECDH-ES+A128KW", "A128GCM", second.Public(), inner),
		"RSA":                       sealed(t, third.Default(), "A256GCM", third.Public(), inner, withKeyID("3")),
		"white space around it":     " " + sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner) + "\r\n",
		"a key with the same kid":   sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner, withKeyID("1")),
		"RSA, with the other hash ": sealed(t, "RSA-OAEP", "A256GCM", third.Public(), inner),
	} {
		if got, err := Open(compact, keys); err != nil || got != inner {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	twice := sealed(t, "ECDH-ES", "A128GCM", first.Public(), sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner))
	good := sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner, withKeyID("1"))
	for name, row := range map[string]struct {
		compact string
		want    error
	}{
		"signed only":        {inner, ErrNotEncrypted},
		"empty":              {"", ErrNotEncrypted},
		"two levels":         {twice, ErrNested},
		"claims in the open": {sealed(t, "ECDH-ES", "A128GCM", first.Public(), `{"sub":"alice"}`), ErrNested},
		"nothing in it":      {sealed(t, "ECDH-ES", "A128GCM", first.Public(), ""), ErrNested},
		"unknown kid":        {sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner, withKeyID("4")), ErrOtherKey},
		"an empty kid":       {sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner, withKeyID("")), ErrOtherKey},
		"another key's kid":  {sealed(t, "ECDH-ES", "A128GCM", first.Public(), inner, withKeyID("2")), ErrDecrypt},
		"altered":            {part(good, 3, bits), ErrDecrypt},
		"kid a number":       {part(good, 0, member("kid", 1)), ErrDecrypt},
		"a stranger's key":   {sealed(t, "ECDH-ES", "A128GCM", p521Key().Public(), inner), ErrDecrypt},
		"too long":           {good + string(make([]byte, MaxEncrypted)), ErrDecrypt},
	} {
		if got, err := Open(row.compact, keys); got != "" || !errors.Is(err, row.want) {
			t.Errorf("%s: %q, %v, want %v", name, got, err, row.want)
		}
	}
	if _, err := Open(good, nil); !errors.Is(err, ErrOtherKey) {
		t.Errorf("no key: %v", err)
	}
	away := must(NewOpener(elsewhere{nil, agreed.Public(), errors.New("away")}, "1", ""))
	if _, err := Open(good, []*Opener{away}); !errors.As(err, new(*KeyError)) {
		t.Errorf("away: %v", err)
	}
}

func TestNewOpenerRefuses(t *testing.T) {
	t.Parallel()
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	for name, row := range map[string]struct {
		private   any
		algorithm string
		want      string
	}{
		"nothing":          {nil, "", "does not decrypt"},
		"Ed25519":          {edwards(), "", "does not decrypt"},
		"public":           {&p256Key().PublicKey, "", "does not decrypt"},
		"bytes":            {make([]byte, 32), "", "does not decrypt"},
		"P-224":            {p224, "", "unknown curve"},
		"X25519":           {x25519, "", "unknown curve"},
		"nobody":           {elsewhere{nil, "nobody", nil}, "", "does not sign"},
		"ES256":            {p256Key(), "ES256", `the algorithm "ES256"`},
		"RSA-OAEP with EC": {p256Key(), "RSA-OAEP", "EC on P-256"},
		"ECDH-ES with RSA": {rsaKey(), "ECDH-ES", "RSA of 2048 bits"},
		"RSA1_5":           {rsaKey(), "RSA1_5", "nothing is decrypted"},
	} {
		if o, err := NewOpener(row.private, "", row.algorithm); o != nil || !holds(err, row.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, row.want)
		}
	}
}
