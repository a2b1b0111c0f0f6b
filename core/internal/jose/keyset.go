package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Key is a public key that a provider signs with.
type Key struct {
	ID         string // kid; empty if the key has none
	Public     crypto.PublicKey
	Algorithms []string // what it may be used with, never empty
	Named      bool     // its own alg says so; otherwise its type and the caller's list
	Issuer     string   // who signs with it, where the set is one of several issuers (Entra's); "" if it does not say
}

// ParseSet parses the signature keys of a JSON Web Key Set, RFC 7517 section 5. A key that is broken, of an unknown kind,
// symmetric, private, too weak or not for signatures is left out, with the reason in skipped, and does not spoil the
// others. allowed, if not empty, lists the only algorithms that may be used; without it, a key that names no algorithm
// has one by its type: RS256, ES256, ES384, ES512, EdDSA.
func ParseSet(document []byte, allowed []string) (keys []Key, skipped []error, err error) {
	elements, err := strictjson.Elements(document, "keys")
	if err != nil {
		return nil, nil, err
	}
	for i, element := range elements {
		key, err := parseKey(element, allowed)
		switch {
		case err != nil:
			skipped = append(skipped, fmt.Errorf("key %d: %w", i, err))
		default:
			keys = append(keys, key)
		}
	}
	return keys, skipped, nil
}

func parseKey(element []byte, allowed []string) (Key, error) {
	var members struct {
		Type       string         `json:"kty"`
		ID         string         `json:"kid"`
		Algorithm  string         `json:"alg"`
		Use        string         `json:"use"`
		Operations []string       `json:"key_ops"`
		Private    strictjson.Raw `json:"d"`
	}
	if err := strictjson.Unmarshal(element, &members); err != nil {
		return Key{}, err
	}
	whole, err := strictjson.ParseObject(element)
	if err != nil {
		return Key{}, err
	}
	switch {
	case members.Type == "oct":
		// Anyone who reads the set could sign with it.
		return Key{}, errors.New("symmetric, and published")
	case members.Private != nil:
		return Key{}, errors.New("private, and published")
	case members.Use != "" && members.Use != "sig":
		return Key{}, fmt.Errorf("its use is %q", members.Use)
	case members.Operations != nil && !slices.Contains(members.Operations, "verify"):
		return Key{}, errors.New("its key_ops lack verify")
	}
	public, err := publicKey(material(whole))
	if err != nil {
		return Key{}, err
	}
	key := Key{ID: members.ID, Public: public, Named: members.Algorithm != ""}
	key.Issuer, _ = strictjson.String(whole.Get("issuer"))
	key.Algorithms = algorithmsOf(public, members.Algorithm, allowed)
	if len(key.Algorithms) == 0 {
		return Key{}, fmt.Errorf("no accepted algorithm (alg %q)", members.Algorithm)
	}
	return key, nil
}

// algorithmsOf returns the algorithms that a key may be used with: the one that it names, or those that fit it, as far as
// they are allowed.
func algorithmsOf(public crypto.PublicKey, named string, allowed []string) []string {
	var names []string
	switch {
	case named == "EdDSA" || named == "Ed25519":
		names = []string{"EdDSA", "Ed25519"} // one algorithm with two names, RFC 9864
	case named != "":
		names = []string{named}
	case len(allowed) > 0:
		names = allowed
	default:
		names = byType(public)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		a, known := algorithms[name]
		return !known || !a.fits(public) || len(allowed) > 0 && !slices.Contains(allowed, name)
	})
}

// material returns a key of nothing but its type and its numbers (RFC 7518 section 6, RFC 8037 section 2): another member,
// such as an x5c that is not as RFC 7517 wants it, does not spoil a key for which it is not needed.
func material(whole strictjson.Object) []byte {
	names := []string{"kty", "crv", "x", "y"}
	if whole.Get("kty") == `"RSA"` {
		names = []string{"kty", "n", "e"}
	}
	var text []byte
	for _, name := range names {
		if value := whole.Get(name); value != "" {
			text = fmt.Appendf(text, ",%q:%s", name, value)
		}
	}
	if len(text) == 0 {
		return []byte("{}")
	}
	text[0] = '{'
	return append(text, '}')
}

// publicKey lets jwx parse the key's numbers, and refuses weak ones.
func publicKey(element []byte) (crypto.PublicKey, error) {
	parsed, err := jwk.ParseKey(element)
	if err != nil {
		return nil, errors.New("not a key that is understood")
	}
	var raw any
	if err := parsed.Raw(&raw); err != nil {
		return nil, errors.New("not a key that is understood")
	}
	if public, ok := raw.(*rsa.PublicKey); ok {
		// jwx truncates a long exponent.
		return public, checkRSA(public.N, new(big.Int).SetBytes(parsed.(jwk.RSAPublicKey).E()))
	}
	return raw, checkPublic(raw)
}

// checkRSA refuses keys that are weak, and those that Go's library does not verify with: exponents of more than 31 bits, even
// moduli.
func checkRSA(n, e *big.Int) error {
	switch bits := n.BitLen(); {
	case bits < 2048 || bits > 16384:
		return fmt.Errorf("RSA of %d bits", bits)
	case e.BitLen() > 31 || e.Int64() < 3 || e.Bit(0) == 0:
		return errors.New("RSA with a bad exponent")
	case n.Bit(0) == 0:
		return errors.New("RSA with an even modulus")
	case isROCA(n):
		return errors.New("RSA whose factors can be computed (ROCA, CVE-2017-15361)")
	}
	return nil
}

// isROCA recognizes the moduli that Infineon's chips generated (of 2048 bits and more): modulo every prime up to 701 they
// are a power of 65537. Of other moduli, one in 2^167 is.
func isROCA(n *big.Int) bool {
	for p := int64(3); p <= 701; p += 2 {
		prime := big.NewInt(p)
		if !prime.ProbablyPrime(0) { // which is exact for small numbers
			continue
		}
		remainder := new(big.Int).Mod(n, prime).Int64()
		for power := int64(1); power != remainder; {
			if power = power * 65537 % p; power == 1 {
				return false
			}
		}
	}
	return true
}

// Same reports whether two keys are equal in ID, issuer, material and use.
func (k *Key) Same(other *Key) bool {
	if k.ID != other.ID || k.Issuer != other.Issuer || !slices.Equal(k.Algorithms, other.Algorithms) {
		return false
	}
	return k.sameMaterial(other)
}

func (k *Key) sameMaterial(other *Key) bool {
	switch k.Public.(type) { // mostly a pointer to the same key: Equal would encode the numbers
	case *rsa.PublicKey, *ecdsa.PublicKey:
		if k.Public == other.Public {
			return true
		}
	}
	own, ok := k.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(other.Public)
}

// Select returns the one key that the header can refer to: the key with its kid that may be used with its alg or, if it
// has no kid, the only key that may. Keys of different types may share a kid, and a key that is listed more than once is
// one key. The errors are ErrUnknownKey, ErrAlgorithm and ErrAmbiguous.
func Select(keys []Key, h Header) (*Key, error) {
	var found *Key
	fitting := 0
	sawKeyID := false
	for i := range keys {
		key := &keys[i]
		if h.KeyID != nil && key.ID != *h.KeyID {
			continue
		}
		sawKeyID = true
		if slices.Contains(key.Algorithms, h.Algorithm) && (found == nil || !found.sameMaterial(key)) {
			if fitting++; found == nil {
				found = key
			}
		}
	}
	switch {
	case fitting == 1:
		return found, nil
	case fitting > 1:
		return nil, ErrAmbiguous
	case !Known(h.Algorithm) || sawKeyID:
		return nil, ErrAlgorithm
	default:
		return nil, ErrUnknownKey
	}
}

// Admissible reports whether a list of algorithms with the header's in it would let one of the keys that the header refers
// to be used with it: a key without an alg of its own.
func Admissible(keys []Key, h Header) bool {
	a, known := algorithms[h.Algorithm]
	return known && slices.ContainsFunc(keys, func(k Key) bool {
		return (h.KeyID == nil || k.ID == *h.KeyID) && !k.Named && a.fits(k.Public)
	})
}

// Others returns the keys of the set that are like key in type and in what the algorithm may be used with, other than key
// itself: at most eight.
func Others(keys []Key, key *Key, algorithm string) []Key {
	var others []Key
	for i := range keys {
		k := &keys[i]
		if len(others) < 8 && slices.Contains(k.Algorithms, algorithm) && !k.sameMaterial(key) { // which fits one type only
			others = append(others, *k)
		}
	}
	return others
}

// Verify checks the message's signature with key. The algorithm must be one of the key's: the token's alg only selects
// among them.
func (m *Message) Verify(key *Key) error {
	if !slices.Contains(key.Algorithms, m.Header.Algorithm) {
		return ErrAlgorithm
	}
	a := algorithms[m.Header.Algorithm]
	if !a.fits(key.Public) || !a.check(key.Public, a, m.signed, m.signature) {
		return ErrSignature
	}
	return nil
}
