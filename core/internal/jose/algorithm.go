package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
)

// algorithm is a signature algorithm of RFC 7518 section 3.1, RFC 8037 or RFC 9864. HMAC and none are not among them, so
// that no setting can enable them.
type algorithm struct {
	hash  crypto.Hash
	fits  func(crypto.PublicKey) bool
	check func(pub crypto.PublicKey, a algorithm, signed, signature []byte) bool
}

var algorithms = map[string]algorithm{
	"RS256":   {hash: crypto.SHA256, fits: isRSA, check: checkPKCS1},
	"RS384":   {hash: crypto.SHA384, fits: isRSA, check: checkPKCS1},
	"RS512":   {hash: crypto.SHA512, fits: isRSA, check: checkPKCS1},
	"PS256":   {hash: crypto.SHA256, fits: isRSA, check: checkPSS},
	"PS384":   {hash: crypto.SHA384, fits: isRSA, check: checkPSS},
	"PS512":   {hash: crypto.SHA512, fits: isRSA, check: checkPSS},
	"ES256":   {hash: crypto.SHA256, fits: isOn(elliptic.P256()), check: checkECDSA},
	"ES384":   {hash: crypto.SHA384, fits: isOn(elliptic.P384()), check: checkECDSA},
	"ES512":   {hash: crypto.SHA512, fits: isOn(elliptic.P521()), check: checkECDSA},
	"EdDSA":   {fits: isEd25519, check: checkEd25519},
	"Ed25519": {fits: isEd25519, check: checkEd25519},
}

// Known reports whether name is a signature algorithm that this package verifies.
func Known(name string) bool { _, ok := algorithms[name]; return ok }

// Hash returns the hash that the algorithm signs, which is also that of at_hash (OpenID Connect Core section 3.1.3.6).
// For Ed25519 it is SHA-512, which Ed25519 uses itself.
func Hash(name string) crypto.Hash {
	if h := algorithms[name].hash; h != 0 {
		return h
	}
	return crypto.SHA512
}

// byType returns the algorithms of a key that names none.
func byType(pub crypto.PublicKey) []string {
	switch {
	case isRSA(pub):
		return []string{"RS256"}
	case isOn(elliptic.P256())(pub):
		return []string{"ES256"}
	case isOn(elliptic.P384())(pub):
		return []string{"ES384"}
	case isOn(elliptic.P521())(pub):
		return []string{"ES512"}
	case isEd25519(pub):
		return []string{"EdDSA", "Ed25519"}
	}
	return nil
}

func isRSA(pub crypto.PublicKey) bool { _, ok := pub.(*rsa.PublicKey); return ok }

func isEd25519(pub crypto.PublicKey) bool { _, ok := pub.(ed25519.PublicKey); return ok }

func isOn(curve elliptic.Curve) func(crypto.PublicKey) bool {
	return func(pub crypto.PublicKey) bool {
		key, ok := pub.(*ecdsa.PublicKey)
		return ok && key.Curve == curve
	}
}

func digest(h crypto.Hash, signed []byte) []byte {
	if h == crypto.SHA256 {
		sum := sha256.Sum256(signed)
		return sum[:]
	}
	d := h.New()
	d.Write(signed)
	return d.Sum(nil)
}

func checkPKCS1(pub crypto.PublicKey, a algorithm, signed, signature []byte) bool {
	return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), a.hash, digest(a.hash, signed), signature) == nil
}

// checkPSS requires a salt as long as the hash, RFC 7518 section 3.5.
func checkPSS(pub crypto.PublicKey, a algorithm, signed, signature []byte) bool {
	opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	return rsa.VerifyPSS(pub.(*rsa.PublicKey), a.hash, digest(a.hash, signed), signature, opts) == nil
}

// checkECDSA takes R and S, each as long as the curve's order, RFC 7518 section 3.4.
func checkECDSA(pub crypto.PublicKey, a algorithm, signed, signature []byte) bool {
	key := pub.(*ecdsa.PublicKey)
	size := (key.Curve.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	var der [2 * (66 + 4)]byte // for P-521, the largest
	return ecdsa.VerifyASN1(key, digest(a.hash, signed), ecdsaSignature(der[:0], signature[:size], signature[size:]))
}

// ecdsaSignature encodes R and S in the ASN.1 that Go's library expects, RFC 3279 section 2.2.3.
func ecdsaSignature(der, r, s []byte) []byte {
	r, s = bytes.TrimLeft(r, "\x00"), bytes.TrimLeft(s, "\x00")
	length := integerLength(r) + integerLength(s)
	der = append(der, 0x30)
	if length > 127 {
		der = append(der, 0x81)
	}
	der = append(der, byte(length))
	for _, n := range [][]byte{r, s} {
		der = append(der, 0x02, byte(integerLength(n)-2))
		if len(n) == 0 || n[0] > 127 { // keeps the integer positive
			der = append(der, 0)
		}
		der = append(der, n...)
	}
	return der
}

// integerLength returns the length of an INTEGER including its tag and length bytes, if it has fewer than 128 bytes.
func integerLength(n []byte) int {
	if len(n) == 0 || n[0] > 127 {
		return 3 + len(n)
	}
	return 2 + len(n)
}

func checkEd25519(pub crypto.PublicKey, _ algorithm, signed, signature []byte) bool {
	return ed25519.Verify(pub.(ed25519.PublicKey), signed, signature)
}
