package jose

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
)

// decryptWith decrypts with a key of whatever kind.
func decryptWith(compact string, key *Opener) ([]byte, error) {
	e, err := parseEncrypted(compact)
	if err != nil {
		return nil, err
	}
	return key.open(e)
}

// What jwx encrypts, on each curve, with each algorithm and content encryption.
func TestDecryptECDH(t *testing.T) {
	t.Parallel()
	for _, key := range []*Opener{must(NewOpener(p256Key(), "", "")), must(NewOpener(p384Key(), "", "")), must(NewOpener(p521Key(), "", ""))} {
		for _, alg := range append(slices.Collect(maps.Keys(ecdhWraps)), ecdhDirect) {
			for enc := range contents {
				got, err := decryptWith(sealed(t, alg, enc, key.Public(), personal), key)
				if err != nil || string(got) != personal {
					t.Errorf("%s, %s, %s: %v", alg, enc, describe(key.Public()), err)
				}
			}
		}
	}
}

// RFC 7518 appendix C: Bob's key, Alice's ephemeral key, and the key that they agree on.
func TestConcatKDF(t *testing.T) {
	t.Parallel()
	bob := must(ParsePrivateKeys(`{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck","d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`))[0]
	o := must(NewOpener(bob.Private, "", ""))
	alice := must(parseEphemeral([]byte(`{"kty":"EC","crv":"P-256","x":"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0","y":"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"}`), o.curve))
	agreed := must(o.key.ECDH(alice))
	if got := b64(concatKDF(agreed, "A128GCM", []byte("Alice"), []byte("Bob"), 16)); got != "VqqN6vgjbSBcIijNcacQGg" {
		t.Errorf("derived is %s", got)
	}
}

// epk is a header in which a member of the ephemeral key is another.
func epk(name string, value any) func([]byte) []byte {
	return header(func(h map[string]any) {
		key := h["epk"].(map[string]any)
		if key[name] = value; value == nil {
			delete(key, name)
		}
	})
}

func TestDecryptECDHRefuses(t *testing.T) {
	t.Parallel()
	key := must(NewOpener(p256Key(), "", ""))
	public := key.Public()
	wrapped, direct := sealed(t, "ECDH-ES+A256KW", "A256GCM", public, personal), sealed(t, "ECDH-ES", "A256GCM", public, personal)
	none := func([]byte) []byte { return nil }
	x := must(decode(jwkOf(public)["x"].(string)))
	rows := map[string]string{
		"no epk":                     part(wrapped, 0, header(func(h map[string]any) { delete(h, "epk") })),
		"epk null":                   part(wrapped, 0, member("epk", nil)),
		"epk a string":               part(wrapped, 0, member("epk", "x")),
		"epk empty":                  part(wrapped, 0, member("epk", map[string]any{})),
		"epk of another type":        part(wrapped, 0, epk("kty", "OKP")),
		"epk, curve of another":      part(wrapped, 0, epk("crv", "P-384")),
		"epk, curve unknown":         part(wrapped, 0, epk("crv", "secp256k1")),
		"epk, X25519":                part(wrapped, 0, member("epk", map[string]any{"kty": "OKP", "crv": "X25519", "x": b64(make([]byte, 32))})),
		"epk, no curve":              part(wrapped, 0, epk("crv", nil)),
		"epk, a point off the curve": part(wrapped, 0, epk("y", b64(x))),
		"epk, the point at infinity": part(wrapped, 0, header(func(h map[string]any) { h["epk"] = webKey{"kty": "EC", "crv": "P-256", "x": "", "y": ""} })),
		"epk, the origin": part(wrapped, 0, header(func(h map[string]any) {
			h["epk"] = webKey{"kty": "EC", "crv": "P-256", "x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}
		})),
		"epk, x shorter":              part(wrapped, 0, epk("x", b64(x[1:]))),
		"epk, x longer":               part(wrapped, 0, epk("x", b64(append([]byte{0}, x...)))),
		"epk, x beyond the field":     part(wrapped, 0, epk("x", b64([]byte(strings.Repeat("\xff", 32))))),
		"epk, x not base64url":        part(wrapped, 0, epk("x", "!")),
		"epk, a key of ours":          part(wrapped, 0, member("epk", jwkOf(public))),
		"key empty":                   part(wrapped, 1, none),
		"key shorter":                 part(wrapped, 1, func(b []byte) []byte { return b[8:] }),
		"key altered":                 part(wrapped, 1, bits),
		"direct with a key":           part(direct, 1, func([]byte) []byte { return make([]byte, 40) }),
		"direct as wrapped":           part(direct, 0, member("alg", "ECDH-ES+A256KW")),
		"wrapped as direct":           part(part(wrapped, 0, member("alg", "ECDH-ES")), 1, none),
		"another wrap":                part(wrapped, 0, member("alg", "ECDH-ES+A128KW")),
		"apu added":                   part(wrapped, 0, member("apu", "QWxpY2U")),
		"apu not base64url":           part(wrapped, 0, member("apu", "!")),
		"apu a number":                part(wrapped, 0, member("apu", 1)),
		"apv added":                   part(wrapped, 0, member("apv", "Qm9i")),
		"ECDH-1PU":                    part(wrapped, 0, member("alg", "ECDH-1PU+A256KW")),
		"ECDH-ES+A256GCMKW":           part(wrapped, 0, member("alg", "ECDH-ES+A256GCMKW")),
		"RSA1_5":                      sealed(t, "RSA1_5", "A256GCM", &rsaKey().PublicKey, personal),
		"RSA-OAEP":                    sealed(t, "RSA-OAEP", "A256GCM", &rsaKey().PublicKey, personal),
		"a password":                  sealed(t, "PBES2-HS256+A128KW", "A128GCM", keyOf(16), personal),
		"for another key":             sealed(t, "ECDH-ES+A256KW", "A256GCM", p384Key().Public(), personal),
		"crit":                        part(wrapped, 0, member("crit", []string{"exp"})),
		"zip":                         part(wrapped, 0, member("zip", "DEF")),
		"tag altered":                 part(wrapped, 4, bits),
		"ciphertext altered":          part(direct, 3, bits),
		"enc of another length":       part(direct, 0, member("enc", "A128GCM")),
		"four parts":                  wrapped[:strings.LastIndex(wrapped, ".")],
		"the JSON serialization":      string(must(jwe.Encrypt([]byte(personal), jwe.WithKey(jwa.ECDH_ES_A256KW, public), jwe.WithJSON()))),
		"many rounds of a password":   part(sealed(t, "PBES2-HS256+A128KW", "A128GCM", keyOf(16), personal), 0, member("p2c", 1<<31-1)),
		"an algorithm in lower case":  part(wrapped, 0, member("alg", "ecdh-es+a256kw")),
		"one that the key excludes":   direct,
		"an epk with a private part?": part(wrapped, 0, epk("d", "AA")) + "x",
	}
	only := must(NewOpener(p256Key(), "", "ECDH-ES+A256KW"))
	for name, compact := range rows {
		refused(t, name, func() ([]byte, error) { return decryptWith(compact, only) })
	}
	for _, good := range []string{wrapped, direct} {
		if _, err := decryptWith(good, key); err != nil {
			t.Errorf("a good one: %v", err)
		}
	}
}

// Any header before any key and any text either decrypts or is refused: nothing panics, and nothing is told apart.
func FuzzDecryptECDH(f *testing.F) {
	openers := []*Opener{must(NewOpener(p256Key(), "", "")), must(NewOpener(p384Key(), "", "")), must(NewOpener(p521Key(), "", ""))}
	good := strings.Split(sealed(f, "ECDH-ES+A256KW", "A256GCM", openers[0].Public(), personal), ".")
	f.Add(string(must(decode(good[0]))), strings.Join(good[1:], "."))
	f.Add(`{"alg":"ECDH-ES","enc":"A128CBC-HS256","epk":{"kty":"EC","crv":"P-521","x":"AA","y":"AA"},"apu":"AA"}`, ".AAAAAAAAAAAAAAAAAAAAAA..AAAAAAAAAAAAAAAAAAAAAA")
	f.Add(`{"alg":"ECDH-ES+A128KW","enc":"A128GCM","epk":{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}}`, ".AAAAAAAAAAAAAAAA.AA.AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, header, rest string) {
		compact := b64([]byte(header)) + "." + rest
		for _, key := range openers {
			got, err := decryptWith(compact, key)
			if err != nil && (!errors.Is(err, ErrDecrypt) || got != nil) {
				t.Errorf("%q, %v", got, err)
			}
			var h struct {
				Epk *json.RawMessage `json:"epk"`
			}
			if err == nil && (json.Unmarshal([]byte(header), &h) != nil || h.Epk == nil) {
				t.Errorf("decrypted without an ephemeral key: %s", header)
			}
		}
	})
}
