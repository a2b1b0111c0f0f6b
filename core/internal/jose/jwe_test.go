package jose

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
)

// sealed is a compact JWE that jwx made; key is public, or symmetric.
func sealed(t testing.TB, alg, enc string, key any, plaintext string, options ...jwe.EncryptOption) string {
	t.Helper()
	options = append(options, jwe.WithKey(jwa.KeyEncryptionAlgorithm(alg), key), jwe.WithContentEncryption(jwa.ContentEncryptionAlgorithm(enc)))
	return string(must(jwe.Encrypt([]byte(plaintext), options...)))
}

func keyOf(size int) []byte { return []byte(strings.Repeat("k", size)) }

const personal = "Tan Ah Mêng 陳亞明, #08-15\n\x00'\"{}"

func TestDecrypt(t *testing.T) {
	t.Parallel()
	for enc, kind := range contents {
		for alg := range oaepHashes {
			for _, plaintext := range []string{personal, "", strings.Repeat("x", 16), strings.Repeat("y", 100<<10)} {
				got, err := DecryptRSA(sealed(t, alg, enc, &rsaKey().PublicKey, plaintext), rsaKey())
				if err != nil || string(got) != plaintext {
					t.Errorf("%s, %s, %d bytes: %v", alg, enc, len(plaintext), err)
				}
			}
		}
		for alg, size := range map[string]int{"dir": kind.key, "A128KW": 16, "A192KW": 24, "A256KW": 32, "A128GCMKW": 16, "A192GCMKW": 24, "A256GCMKW": 32} {
			for _, plaintext := range []string{personal, ""} {
				got, err := DecryptSymmetric(sealed(t, alg, enc, keyOf(size), plaintext), keyOf(size))
				if err != nil || string(got) != plaintext {
					t.Errorf("%s, %s, %d bytes: %v", alg, enc, len(plaintext), err)
				}
			}
		}
	}
}

var otherRSAKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

// part replaces one of the five parts of a compact JWE.
func part(compact string, i int, edit func(decoded []byte) []byte) string {
	parts := strings.Split(compact, ".")
	parts[i] = b64(edit(must(decode(parts[i]))))
	return strings.Join(parts, ".")
}

// bits turns the last bit of the last byte over.
func bits(b []byte) []byte {
	b[len(b)-1] ^= 1
	return b
}

func header(edit func(map[string]any)) func([]byte) []byte {
	return func(b []byte) []byte {
		var h map[string]any
		if err := json.Unmarshal(b, &h); err != nil {
			panic(err)
		}
		edit(h)
		return must(json.Marshal(h))
	}
}

func member(name string, value any) func([]byte) []byte {
	return header(func(h map[string]any) { h[name] = value })
}

func TestDecryptRefuses(t *testing.T) {
	t.Parallel()
	good := sealed(t, "RSA-OAEP-256", "A256GCM", &rsaKey().PublicKey, personal)
	cbc := sealed(t, "RSA-OAEP", "A128CBC-HS256", &rsaKey().PublicKey, personal)
	direct := sealed(t, "dir", "A256GCM", keyOf(32), personal)
	wrapped := sealed(t, "A128GCMKW", "A128GCM", keyOf(16), personal)
	zipped := sealed(t, "dir", "A256GCM", keyOf(32), strings.Repeat("z", 1<<10), jwe.WithCompress(jwa.Deflate))
	password := sealed(t, "PBES2-HS256+A128KW", "A128GCM", keyOf(16), personal)

	none := func([]byte) []byte { return nil }
	shorter := func(b []byte) []byte { return b[:len(b)-1] }
	longer := func(b []byte) []byte { return append(b, 0) }
	for name, compact := range map[string]string{
		"empty":                    "",
		"one part":                 "x",
		"four parts":               strings.TrimSuffix(good, good[strings.LastIndex(good, "."):]),
		"six parts":                good + ".x",
		"a line break":             good + "\n",
		"padding":                  good + "=",
		"a JSON serialization":     `{"protected":"e30","encrypted_key":"","iv":"","ciphertext":"","tag":""}`,
		"too long":                 sealed(t, "RSA-OAEP-256", "A256GCM", &rsaKey().PublicKey, strings.Repeat("x", MaxEncrypted)),
		"header altered":           part(good, 0, bits),
		"header another text":      part(good, 0, func(b []byte) []byte { return append([]byte(" "), b...) }),
		"header null":              part(good, 0, func([]byte) []byte { return []byte("null") }),
		"header empty":             part(good, 0, none),
		"header twice":             part(good, 0, func([]byte) []byte { return []byte(`{"alg":"RSA-OAEP-256","alg":"RSA-OAEP-256","enc":"A256GCM"}`) }),
		"header without alg":       part(good, 0, header(func(h map[string]any) { delete(h, "alg") })),
		"header without enc":       part(good, 0, header(func(h map[string]any) { delete(h, "enc") })),
		"alg a number":             part(good, 0, member("alg", 1)),
		"alg of the other hash":    part(good, 0, member("alg", "RSA-OAEP")),
		"alg RSA1_5":               sealed(t, "RSA1_5", "A256GCM", &rsaKey().PublicKey, personal),
		"alg RSA-OAEP-512":         part(good, 0, member("alg", "RSA-OAEP-512")),
		"alg none":                 part(good, 0, member("alg", "none")),
		"alg dir":                  part(part(good, 0, member("alg", "dir")), 1, none),
		"alg in lower case":        part(good, 0, member("alg", "rsa-oaep-256")),
		"enc unknown":              part(good, 0, member("enc", "A512GCM")),
		"enc of another length":    part(good, 0, member("enc", "A128GCM")),
		"crit":                     part(good, 0, member("crit", []string{"exp"})),
		"zip":                      part(good, 0, member("zip", "DEF")),
		"zip null":                 part(good, 0, member("zip", nil)),
		"key altered":              part(good, 1, bits),
		"key empty":                part(good, 1, none),
		"key shorter":              part(good, 1, shorter),
		"key longer":               part(good, 1, longer),
		"iv altered":               part(good, 2, bits),
		"iv empty":                 part(good, 2, none),
		"iv shorter":               part(good, 2, shorter),
		"iv longer":                part(good, 2, longer),
		"ciphertext altered":       part(good, 3, bits),
		"ciphertext empty":         part(good, 3, none),
		"ciphertext shorter":       part(good, 3, shorter),
		"tag altered":              part(good, 4, bits),
		"tag empty":                part(good, 4, none),
		"tag shorter":              part(good, 4, shorter),
		"tag longer":               part(good, 4, longer),
		"CBC key altered":          part(cbc, 1, bits),
		"CBC iv altered":           part(cbc, 2, bits),
		"CBC ciphertext altered":   part(cbc, 3, bits),
		"CBC ciphertext empty":     part(cbc, 3, none),
		"CBC ciphertext shorter":   part(cbc, 3, shorter),
		"CBC tag altered":          part(cbc, 4, bits),
		"CBC tag empty":            part(cbc, 4, none),
		"encrypted for a stranger": sealed(t, "RSA-OAEP", "A256GCM", &otherRSAKey().PublicKey, personal),
		"symmetric":                direct,
		"an unused bit set":        good[:len(good)-1] + "_",
	} {
		refused(t, "RSA: "+name, func() ([]byte, error) { return DecryptRSA(compact, rsaKey()) })
	}
	for name, row := range map[string]struct {
		compact string
		key     []byte
	}{
		"dir, another key":            {direct, []byte(strings.Repeat("K", 32))},
		"dir, a short key":            {direct, keyOf(16)},
		"dir, no key":                 {direct, nil},
		"dir, with an encrypted key":  {part(direct, 1, func([]byte) []byte { return keyOf(32) }), keyOf(32)},
		"dir, header altered":         {part(direct, 0, member("kid", "x")), keyOf(32)},
		"dir, iv altered":             {part(direct, 2, bits), keyOf(32)},
		"dir, ciphertext altered":     {part(direct, 3, bits), keyOf(32)},
		"dir, tag altered":            {part(direct, 4, bits), keyOf(32)},
		"dir, compressed":             {zipped, keyOf(32)},
		"wrapped, another key":        {wrapped, []byte(strings.Repeat("K", 16))},
		"wrapped, a long key":         {wrapped, keyOf(32)},
		"wrapped, key altered":        {part(wrapped, 1, bits), keyOf(16)},
		"wrapped, key empty":          {part(wrapped, 1, none), keyOf(16)},
		"wrapped, key longer":         {part(wrapped, 1, longer), keyOf(16)},
		"wrapped, iv gone":            {part(wrapped, 0, header(func(h map[string]any) { delete(h, "iv") })), keyOf(16)},
		"wrapped, iv empty":           {part(wrapped, 0, member("iv", "")), keyOf(16)},
		"wrapped, iv short":           {part(wrapped, 0, member("iv", "AAAA")), keyOf(16)},
		"wrapped, iv a number":        {part(wrapped, 0, member("iv", 1)), keyOf(16)},
		"wrapped, tag gone":           {part(wrapped, 0, header(func(h map[string]any) { delete(h, "tag") })), keyOf(16)},
		"wrapped, tag short":          {part(wrapped, 0, member("tag", "AAAA")), keyOf(16)},
		"wrapped, ciphertext altered": {part(wrapped, 3, bits), keyOf(16)},
		"A128KW, key empty":           {part(part(wrapped, 0, member("alg", "A128KW")), 1, none), keyOf(16)},
		"a password":                  {password, keyOf(16)},
		"for an RSA key":              {good, keyOf(32)},
	} {
		refused(t, "symmetric: "+name, func() ([]byte, error) { return DecryptSymmetric(row.compact, row.key) })
	}
}

func refused(t *testing.T, name string, decrypt func() ([]byte, error)) {
	t.Helper()
	if got, err := decrypt(); err != ErrDecrypt || got != nil { // the very error: nothing is told apart
		t.Errorf("%s: %q, %v, want ErrDecrypt", name, got, err)
	}
}

func FuzzDecrypt(f *testing.F) {
	f.Add(sealed(f, "dir", "A256GCM", keyOf(32), personal), 32)
	f.Add(sealed(f, "A128GCMKW", "A128GCM", keyOf(16), personal), 16)
	f.Add(sealed(f, "A256KW", "A256CBC-HS512", keyOf(32), personal), 32)
	f.Add("eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA", 16)
	f.Add("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkExMjhDQkMtSFMyNTYifQ.AA.AAAAAAAAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA", 0)
	f.Fuzz(func(t *testing.T, compact string, size int) {
		if size < 0 || size > 64 {
			return
		}
		for _, decrypt := range []func() ([]byte, error){
			func() ([]byte, error) { return DecryptSymmetric(compact, keyOf(size)) },
			func() ([]byte, error) { return DecryptRSA(compact, rsaKey()) },
		} {
			if got, err := decrypt(); err != nil && (!errors.Is(err, ErrDecrypt) || got != nil) {
				t.Errorf("%q, %v", got, err)
			}
		}
	})
}
