package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"
	"math/big"
)

// checkPublic refuses public keys that are weak, or of a kind that neither signs nor agrees on keys here.
func checkPublic(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public == nil || public.N == nil {
			return errNoKey
		}
		return checkRSA(public.N, big.NewInt(int64(public.E)))
	case *ecdsa.PublicKey:
		if public == nil || public.Curve == nil {
			return errNoKey
		}
		// ECDH refuses a point that is not on the curve, and curves that Go's library does not have.
		if _, err := public.ECDH(); err != nil || byType(public) == nil {
			return errors.New("EC with an unknown curve or a point that is not on it: want P-256, P-384 or P-521")
		}
		return nil
	case ed25519.PublicKey:
		switch {
		case len(public) != ed25519.PublicKeySize:
			return errors.New("Ed25519 of a wrong length")
		case isSmallOrder(public):
			return errors.New("Ed25519 of a small order, for which anybody can sign")
		}
		return nil
	}
	return errors.New("of a type that does not sign")
}

var errNoKey = errors.New("there is no key")

// PublicJWK returns the members of a public key that a thumbprint counts, in their order and without white space: RFC 7638
// section 3.2, RFC 8037 section 2. The key is one that NewSigner or NewOpener took.
func PublicJWK(public crypto.PublicKey) []byte {
	var out []byte
	member := func(name string, value []byte) {
		out = append(append(append(out, ',', '"'), name...), `":"`...)
		out = append(base64url.AppendEncode(out, value), '"')
	}
	word := func(name, value string) {
		out = append(append(append(append(out, ',', '"'), name...), `":"`...), value...)
		out = append(out, '"')
	}
	switch public := public.(type) {
	case *rsa.PublicKey:
		member("e", big.NewInt(int64(public.E)).Bytes())
		word("kty", "RSA")
		member("n", public.N.Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes()
		if err != nil {
			return nil
		}
		point = point[1:] // without the 4 that says uncompressed
		word("crv", public.Params().Name)
		word("kty", "EC")
		member("x", point[:len(point)/2])
		member("y", point[len(point)/2:])
	case ed25519.PublicKey:
		word("crv", "Ed25519")
		word("kty", "OKP")
		member("x", public)
	default:
		return nil
	}
	out[0] = '{'
	return append(out, '}')
}

// Thumbprint returns the SHA-256 thumbprint of a public key, RFC 7638, in base64url.
func Thumbprint(public crypto.PublicKey) string {
	sum := sha256.Sum256(PublicJWK(public))
	return base64url.EncodeToString(sum[:])
}

// NewECKey makes a P-256 key of random bytes: Go's ecdsa.GenerateKey ignores the reader that it is given.
func NewECKey(random io.Reader) (*ecdsa.PrivateKey, error) {
	var d [ECKeySize]byte
	for range 16 { // one in 2^32 is out of range
		if _, err := io.ReadFull(random, d[:]); err != nil {
			return nil, err
		}
		if key, err := ParseECKey(d[:]); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("the random bytes make no key")
}

// ECKeySize is the size of a P-256 key, in bytes.
const ECKeySize = 32

// ParseECKey makes the P-256 key of the bytes that its method Bytes returned.
func ParseECKey(d []byte) (*ecdsa.PrivateKey, error) {
	return ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
}
