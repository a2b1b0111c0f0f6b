package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
)

// Opener decrypts compact JSON Web Encryptions with one private key. It is safe for concurrent use if the key is.
type Opener struct {
	ID        string // kid
	Algorithm string // the only one that is accepted; "": those that fit the key

	public crypto.PublicKey
	rsa    *rsa.PrivateKey
	key    Agreement
	curve  ecdh.Curve
}

// NewOpener returns an opener with an *ecdsa.PrivateKey or *ecdh.PrivateKey on P-256, P-384 or P-521, an *rsa.PrivateKey, or
// a key elsewhere (a KMS) that is an [Agreement] and tells its public key. algorithm may be empty. The error says what is
// wrong with the key.
func NewOpener(private any, id, algorithm string) (*Opener, error) {
	o := &Opener{ID: id, Algorithm: algorithm}
	var err error
	switch key := private.(type) {
	case *rsa.PrivateKey:
		o.rsa, o.public = key, &key.PublicKey
	case *ecdsa.PrivateKey:
		if err := checkPublic(&key.PublicKey); err != nil {
			return nil, err
		}
		o.public = &key.PublicKey
		if o.key, err = key.ECDH(); err != nil {
			return nil, errors.New("EC with an unknown curve: want P-256, P-384 or P-521")
		}
	case interface {
		Agreement
		Public() crypto.PublicKey
	}:
		o.key = key
		if o.public, err = signingForm(key.Public()); err != nil {
			return nil, err
		}
	default:
		return nil, errors.New("it does not decrypt: want a private EC key on P-256, P-384 or P-521 (ECDH-ES)")
	}
	if err := checkPublic(o.public); err != nil {
		return nil, err
	}
	if public, ok := o.public.(*ecdsa.PublicKey); ok {
		o.curve = curves[public.Params().Name]
	}
	if !o.accepts(algorithm) {
		return nil, fmt.Errorf("nothing is decrypted with the algorithm %q and a key of this kind, %s: want ECDH-ES+A256KW, or another of ECDH-ES, for a key on P-256, P-384 or P-521", algorithm, describe(o.public))
	}
	return o, nil
}

// signingForm returns an agreement's public key as a *ecdsa.PublicKey, of which JWKs are made.
func signingForm(public crypto.PublicKey) (crypto.PublicKey, error) {
	key, ok := public.(*ecdh.PublicKey)
	if !ok {
		return public, nil
	}
	for name, curve := range curves {
		if key.Curve() == curve {
			return ecdsa.ParseUncompressedPublicKey(ellipticCurves[name], key.Bytes())
		}
	}
	return nil, errors.New("EC with an unknown curve: want P-256, P-384 or P-521")
}

// Public returns the key to encrypt for.
func (o *Opener) Public() crypto.PublicKey { return o.public }

// Default is the algorithm that is published for a key that names none.
func (o *Opener) Default() string {
	if o.rsa != nil {
		return "RSA-OAEP-256"
	}
	return "ECDH-ES+A256KW"
}

// Decrypts reports whether an algorithm is one that an Opener may be for.
func Decrypts(algorithm string) bool {
	return algorithm == ecdhDirect || ecdhWraps[algorithm] != 0 || oaepHashes[algorithm] != nil
}

// accepts reports whether the key may be used with an algorithm; "" stands for any that fits it.
func (o *Opener) accepts(algorithm string) bool {
	if o.rsa != nil {
		return algorithm == "" || oaepHashes[algorithm] != nil
	}
	return algorithm == "" || algorithm == ecdhDirect || ecdhWraps[algorithm] != 0
}

// Why an encrypted token is not opened, besides ErrDecrypt: for logs. None tells more than the header does, which anybody can
// read.
var (
	ErrNotEncrypted = errors.New("it is not encrypted (five parts), and a key to encrypt it for is configured")
	ErrOtherKey     = errors.New("it is encrypted for a key (kid) that is not among the configured ones")
	ErrNested       = errors.New("what was encrypted is not a signed token (three parts)")
)

// Open decrypts a compact JWE around a compact JWS, RFC 7519 section 5.2, and returns the JWS: one level, and no more. The
// key is the one with the header's kid or, if that has none, the first that decrypts it. The error is ErrDecrypt, one of those
// above, or a KeyError.
func Open(compact string, keys []*Opener) (signed string, err error) {
	compact = strings.TrimSpace(compact)
	if strings.Count(compact, ".") != 4 {
		return "", ErrNotEncrypted
	}
	e, err := parseEncrypted(compact)
	if err != nil {
		return "", err
	}
	err = ErrOtherKey
	for _, key := range keys {
		if e.header.KeyID != nil && *e.header.KeyID != key.ID {
			continue
		}
		var plaintext []byte
		if plaintext, err = key.open(e); err != nil {
			continue
		}
		if signed = string(plaintext); strings.Count(signed, ".") != 2 {
			return "", ErrNested
		}
		return signed, nil
	}
	return "", err
}

func (o *Opener) open(e *encrypted) ([]byte, error) {
	switch {
	case o.Algorithm != "" && o.Algorithm != e.header.Algorithm:
		return nil, ErrDecrypt
	case o.rsa != nil:
		return e.openRSA(o.rsa)
	}
	return e.openECDH(o.key, o.curve)
}
