// Package seal encrypts and authenticates small values that others keep for us: cookies, and what is in a shared store.
//
// A Ring holds secrets: the first one seals, all of them open, so that the secret can be changed without signing anybody
// out. The package is pure: randomness is an argument, and there is no clock.
package seal

import (
	"bytes"
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"
)

// Every value is encrypted with an AES-256 key of its own, derived with HKDF-SHA256 (RFC 5869) from the secret, a random
// salt and the purpose. The GCM nonce can therefore be constant, and there is no practical limit to the number of values
// that a secret may seal (with random 96-bit nonces under one key, it would be 2^32).
const (
	version   = 1
	idSize    = 4
	saltSize  = 24
	keySize   = 32
	prefixLen = 1 + idSize + saltSize
)

// Overhead is how much longer a sealed value is than its plaintext, in bytes, before base64url.
const Overhead = prefixLen + 16

// MinSecret is the minimum length of a secret, in bytes.
const MinSecret = 32

// ErrOpen means that a value was not sealed by this ring for this purpose, or was altered. It does not say which.
var ErrOpen = errors.New("not a value that was sealed here")

// ErrForeign means that a value was sealed with a secret that this ring does not have, or in another version of the form.
// Nothing is known of it: another replica, which has the next secret already or the last one still, may be able to open it.
var ErrForeign = errors.New("a value that was sealed with another secret, or in another way")

// Ring seals and opens values. It is safe for concurrent use.
type Ring struct{ secrets []secret }

type secret struct {
	id       [idSize]byte
	key      []byte     // HKDF's pseudorandom key
	derivers *sync.Pool // with that key: to begin an HMAC costs as much as to use it
}

// New returns a ring. first seals; first and the others open. application is bound into every value: two applications
// that share a secret cannot read each other's values.
func New(application, first string, others ...string) (*Ring, error) {
	r := &Ring{}
	for _, s := range append([]string{first}, others...) {
		if len(s) < MinSecret {
			return nil, errors.New("a secret is shorter than 32 bytes")
		}
		prk, err := hkdf.Extract(sha256.New, []byte(s), []byte("idserver-go seal v1\x00"+application))
		if err != nil {
			return nil, err
		}
		id, err := hkdf.Expand(sha256.New, prk, "key id", idSize)
		if err != nil {
			return nil, err
		}
		derivers := &sync.Pool{New: func() any { return &deriver{mac: hmac.New(sha256.New, prk)} }}
		r.secrets = append(r.secrets, secret{id: [idSize]byte(id), key: prk, derivers: derivers})
	}
	return r, nil
}

// Seal encrypts plaintext for a purpose, which Open must be given too: a value sealed as one kind of cookie is not valid
// as another. The result is base64url.
func (r *Ring) Seal(random io.Reader, purpose string, plaintext []byte) (string, error) {
	sealed, err := r.SealBytes(random, purpose, plaintext)
	if err != nil {
		return "", err
	}
	return encoding.EncodeToString(sealed), nil
}

// SealBytes is like Seal, without the base64url: the result is Overhead bytes longer than plaintext.
func (r *Ring) SealBytes(random io.Reader, purpose string, plaintext []byte) ([]byte, error) {
	s := r.secrets[0]
	out := make([]byte, prefixLen, len(plaintext)+Overhead)
	out[0] = version
	copy(out[1:], s.id[:])
	if _, err := io.ReadFull(random, out[1+idSize:]); err != nil {
		return nil, err
	}
	aead, err := s.aead(purpose, out[:prefixLen])
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce[:], plaintext, out[:prefixLen]), nil
}

// Open decrypts what was sealed for purpose. old reports whether it should be sealed again because its secret is no
// longer the first. The error is ErrOpen or ErrForeign.
func (r *Ring) Open(purpose, sealed string) (plaintext []byte, old bool, err error) {
	return r.OpenIn(nil, purpose, sealed)
}

// OpenIn does what Open does, in the memory of scratch if that has room: the plaintext then is a part of it.
func (r *Ring) OpenIn(scratch []byte, purpose, sealed string) (plaintext []byte, old bool, err error) {
	if strings.ContainsAny(sealed, "\r\n") { // Go's decoder skips them, which would give one value many spellings
		return nil, false, ErrOpen
	}
	in, err := encoding.AppendDecode(scratch[:0], []byte(sealed))
	if err != nil {
		return nil, false, ErrOpen
	}
	return r.open(in, purpose, in)
}

// OpenBytes is the inverse of SealBytes, and returns what Open does.
func (r *Ring) OpenBytes(purpose string, in []byte) (plaintext []byte, old bool, err error) {
	return r.open(nil, purpose, in)
}

// open decrypts in, over itself if own is in: nobody else needs it.
func (r *Ring) open(own []byte, purpose string, in []byte) (plaintext []byte, old bool, err error) {
	switch {
	case len(in) < prefixLen:
		return nil, false, ErrOpen
	case in[0] != version:
		return nil, false, ErrForeign
	}
	known := 0
	for _, s := range r.secrets {
		if s.id == [idSize]byte(in[1:1+idSize]) {
			known++
		}
	}
	if known == 0 {
		return nil, false, ErrForeign
	}
	var out []byte
	if own != nil && known == 1 { // what cannot be decrypted is wiped out, and with a second secret it might be
		out = own[prefixLen:prefixLen]
	}
	for i, s := range r.secrets {
		if s.id != [idSize]byte(in[1:1+idSize]) {
			continue
		}
		aead, err := s.aead(purpose, in[:prefixLen])
		if err != nil {
			return nil, false, ErrOpen
		}
		plaintext, err := aead.Open(out, nonce[:], in[prefixLen:], in[:prefixLen])
		if err == nil {
			return plaintext, i > 0, nil
		}
	}
	return nil, false, ErrOpen
}

// Each returns a ring for each secret, with that one alone, in the order of the secrets' key ids: it is the same for all who
// have the same secrets, whichever of them seals.
func (r *Ring) Each() []*Ring {
	var each []*Ring
	for _, s := range r.secrets {
		if !slices.ContainsFunc(each, func(other *Ring) bool { return bytes.Equal(other.secrets[0].key, s.key) }) {
			each = append(each, &Ring{secrets: []secret{s}})
		}
	}
	slices.SortFunc(each, func(a, b *Ring) int {
		return cmp.Or(bytes.Compare(a.secrets[0].id[:], b.secrets[0].id[:]), bytes.Compare(a.secrets[0].key, b.secrets[0].key))
	})
	return each
}

// Derive returns 32 bytes that only who has the secret that seals can make, for a purpose of their own: nothing is sealed
// with them.
func (r *Ring) Derive(purpose string) [32]byte {
	derived, err := hkdf.Expand(sha256.New, r.secrets[0].key, "derived\x00"+purpose, keySize)
	if err != nil {
		panic(err) // 32 bytes are not too many, and that is all that can be wrong
	}
	return [32]byte(derived)
}

var encoding = base64.RawURLEncoding.Strict()

// nonce is always the same, as the key is always another.
var nonce [12]byte

// aead derives the cipher for one value.
func (s secret) aead(purpose string, prefix []byte) (cipher.AEAD, error) {
	d := s.derivers.Get().(*deriver)
	defer s.derivers.Put(d)
	block, err := aes.NewCipher(d.key(prefix, purpose))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// deriver is HKDF-Expand, RFC 5869 section 2.3, for one pseudorandom key and one block: the HMAC of the info and of the number 1.
type deriver struct {
	mac       hash.Hash
	info, out []byte
}

func (d *deriver) key(prefix []byte, purpose string) []byte {
	d.info = append(append(append(d.info[:0], prefix...), purpose...), 1)
	d.mac.Reset()
	_, _ = d.mac.Write(d.info)
	d.out = d.mac.Sum(d.out[:0])
	return d.out
}
