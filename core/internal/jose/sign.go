package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Signer signs compact JSON Web Signatures with one key and one algorithm. The key may be in a KMS or an HSM: nothing of it
// is used but crypto.Signer. It is safe for concurrent use if the key is.
type Signer struct {
	Algorithm string
	key       crypto.Signer
}

// signable are the algorithms that Sign makes signatures with. RS256 is for a key that names it: a profile does not.
var signable = map[string]bool{
	"ES256": true, "ES384": true, "ES512": true, "PS256": true, "EdDSA": true, "Ed25519": true, "RS256": true,
}

// Signable reports whether name is an algorithm that this package signs with.
func Signable(name string) bool { return signable[name] }

// NewSigner returns a signer with an algorithm that fits the key or, if that is empty, with the one that its type has: ES256,
// ES384, ES512, PS256 or EdDSA. The error says what is wrong with the key.
func NewSigner(key crypto.Signer, algorithm string) (*Signer, error) {
	public := key.Public()
	if err := checkPublic(public); err != nil {
		return nil, err
	}
	if algorithm == "" {
		algorithm = signingAlgorithm(public)
	}
	switch a := algorithms[algorithm]; {
	case !signable[algorithm]:
		return nil, fmt.Errorf("nothing is signed with the algorithm %q: want ES256, ES384, ES512, PS256 or EdDSA", algorithm)
	case !a.fits(public):
		return nil, fmt.Errorf("the algorithm %s is not for a key of this kind, %s", algorithm, describe(public))
	}
	return &Signer{algorithm, key}, nil
}

// signingAlgorithm is the algorithm of a key that names none. For RSA it is PS256: no profile admits PKCS #1 v1.5.
func signingAlgorithm(public crypto.PublicKey) string {
	if isRSA(public) {
		return "PS256"
	}
	return byType(public)[0]
}

// Public returns the key that verifies.
func (s *Signer) Public() crypto.PublicKey { return s.key.Public() }

// SigningHeader is the protected header of what is signed; alg comes from the signer. Empty members are left out.
type SigningHeader struct {
	Type        string // typ
	KeyID       string // kid
	Certificate string // x5t#S256
	Key         []byte // jwk, a JSON object
}

// Sign returns the compact JWS of payload, RFC 7515 section 5.1.
func (s *Signer) Sign(h SigningHeader, payload []byte) (string, error) {
	header, err := h.append(make([]byte, 0, 96+len(h.Key)), s.Algorithm)
	if err != nil {
		return "", err
	}
	size := base64url.EncodedLen(len(header)) + 1 + base64url.EncodedLen(len(payload)) + 1
	signed := base64url.AppendEncode(make([]byte, 0, size+base64url.EncodedLen(512)), header)
	signed = base64url.AppendEncode(append(signed, '.'), payload)
	signature, err := s.signature(signed)
	if err != nil {
		return "", err
	}
	return string(base64url.AppendEncode(append(signed, '.'), signature)), nil
}

func (h SigningHeader) append(out []byte, algorithm string) ([]byte, error) {
	out = append(append(append(out, `{"alg":"`...), algorithm...), '"')
	var err error
	for _, member := range []struct{ name, value string }{{`,"typ":`, h.Type}, {`,"kid":`, h.KeyID}, {`,"x5t#S256":`, h.Certificate}} {
		if member.value == "" {
			continue
		}
		if out, err = strictjson.AppendString(append(out, member.name...), member.value); err != nil {
			return nil, err
		}
	}
	if h.Key != nil {
		out = append(append(out, `,"jwk":`...), h.Key...)
	}
	return append(out, '}'), nil
}

// KeyError is what a private key said that did not do its work: of a KMS that cannot be reached, say. What it says is for who
// holds the key, and not part of the text: it may name accounts.
type KeyError struct{ Err error }

func (e *KeyError) Error() string { return "the private key did not do its work" }
func (e *KeyError) Unwrap() error { return e.Err }

func (s *Signer) signature(signed []byte) ([]byte, error) {
	a := algorithms[s.Algorithm]
	var options crypto.SignerOpts = a.hash // 0 for Ed25519, which hashes by itself
	text := signed
	if a.hash != 0 {
		text = digest(a.hash, signed)
	}
	if s.Algorithm == "PS256" {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash}
	}
	signature, err := s.key.Sign(rand.Reader, text, options)
	if err != nil {
		return nil, &KeyError{err}
	}
	if public, ok := s.key.Public().(*ecdsa.PublicKey); ok {
		return fixedSignature(signature, (public.Params().BitSize+7)/8)
	}
	return signature, nil
}

// fixedSignature makes R and S, each of size bytes (RFC 7518 section 3.4), of the ASN.1 that crypto.Signer returns.
func fixedSignature(der []byte, size int) ([]byte, error) {
	wrong := &KeyError{errors.New("its signature is not an ECDSA signature in ASN.1")}
	content, rest, ok := derValue(der, 0x30)
	if !ok || len(rest) > 0 {
		return nil, wrong
	}
	fixed := make([]byte, 2*size)
	for _, half := range [][]byte{fixed[:size], fixed[size:]} {
		var n []byte
		if n, content, ok = derValue(content, 0x02); !ok {
			return nil, wrong
		}
		for len(n) > 0 && n[0] == 0 {
			n = n[1:]
		}
		if len(n) > size {
			return nil, wrong
		}
		copy(half[size-len(n):], n)
	}
	if len(content) > 0 {
		return nil, wrong
	}
	return fixed, nil
}

// derValue splits a value with this tag, and of fewer than 256 bytes, from what follows it.
func derValue(der []byte, tag byte) (value, rest []byte, ok bool) {
	if len(der) < 2 || der[0] != tag {
		return nil, nil, false
	}
	length, begin := int(der[1]), 2
	if der[1] == 0x81 && len(der) > 2 {
		length, begin = int(der[2]), 3
	} else if der[1] > 127 {
		return nil, nil, false
	}
	if len(der) < begin+length {
		return nil, nil, false
	}
	return der[begin : begin+length], der[begin+length:], true
}

// describe names the kind of a public key for an error.
func describe(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", public.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC on " + curveName(public.Curve)
	}
	if isEd25519(public) {
		return "Ed25519"
	}
	return "of an unknown kind"
}

func curveName(curve elliptic.Curve) string {
	if curve == nil {
		return "no curve"
	}
	return curve.Params().Name
}
