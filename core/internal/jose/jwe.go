package jose

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha1" // the hash of RSA-OAEP, where collisions do not matter
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// MaxEncrypted limits the size of a compact JWE, in bytes, before any of it is decoded.
const MaxEncrypted = 256 << 10

// ErrDecrypt means that a JWE was not decrypted. It does not say why: an attacker who sends altered ones must not learn
// from the response what went wrong (RFC 7516 section 11.5).
var ErrDecrypt = errors.New("not decrypted")

// content is an accepted content encryption, RFC 7518 section 5.1: the sizes of its key, initialization vector and tag in
// bytes, and, for CBC, the hash.
type content struct {
	key, iv, tag int
	hash         func() hash.Hash // nil: GCM
}

var contents = map[string]content{
	"A128GCM":       {16, 12, 16, nil},
	"A192GCM":       {24, 12, 16, nil},
	"A256GCM":       {32, 12, 16, nil},
	"A128CBC-HS256": {32, 16, 16, sha256.New},
	"A192CBC-HS384": {48, 16, 24, sha512.New384},
	"A256CBC-HS512": {64, 16, 32, sha512.New},
}

// The accepted key management algorithms besides dir and ECDH-ES, RFC 7518 section 4.1. RSA1_5 and PBES2 are not among them,
// so that no setting can enable them.
var (
	oaepHashes = map[string]func() hash.Hash{"RSA-OAEP": sha1.New, "RSA-OAEP-256": sha256.New}
	keyWraps   = map[string]int{"A128KW": 16, "A192KW": 24, "A256KW": 32} // with their key sizes, in bytes
	gcmWraps   = map[string]int{"A128GCMKW": 16, "A192GCMKW": 24, "A256GCMKW": 32}
)

// DecryptRSA decrypts a compact JWE that was encrypted for key, with RSA-OAEP or RSA-OAEP-256. The error is ErrDecrypt.
func DecryptRSA(compact string, key *rsa.PrivateKey) ([]byte, error) {
	e, err := parseEncrypted(compact)
	if err != nil {
		return nil, err
	}
	return e.openRSA(key)
}

func (e *encrypted) openRSA(key *rsa.PrivateKey) ([]byte, error) {
	newHash, ok := oaepHashes[e.header.Algorithm]
	if !ok {
		return nil, ErrDecrypt
	}
	contentKey, err := rsa.DecryptOAEP(newHash(), nil, key, e.key, nil)
	if err != nil {
		return nil, ErrDecrypt
	}
	return e.open(contentKey)
}

// DecryptSymmetric decrypts a compact JWE that was encrypted with key, either directly (dir) or with a content key that
// is wrapped with it (A128KW to A256GCMKW). The error is ErrDecrypt.
func DecryptSymmetric(compact string, key []byte) ([]byte, error) {
	e, err := parseEncrypted(compact)
	if err != nil {
		return nil, err
	}
	contentKey := key
	switch name := e.header.Algorithm; {
	case name == "dir" && len(e.key) == 0:
	case keyWraps[name] != 0 && keyWraps[name] == len(key):
		contentKey, err = unwrap(key, e.key)
	case gcmWraps[name] != 0 && gcmWraps[name] == len(key):
		contentKey, err = e.unwrapGCM(key)
	default:
		return nil, ErrDecrypt
	}
	if err != nil {
		return nil, ErrDecrypt
	}
	return e.open(contentKey)
}

// encrypted is a compact JWE split into its parts.
type encrypted struct {
	header               encryptedHeader
	content              content
	key, iv, cipher, tag []byte
	additional           []byte // the protected header, as received
}

// encryptedHeader is the part of a protected header that is used here, RFC 7516 section 4.
type encryptedHeader struct {
	Algorithm  string         `json:"alg"`
	Encryption string         `json:"enc"`
	IV         string         `json:"iv"` // for A*GCMKW, RFC 7518 section 4.7.1
	Tag        string         `json:"tag"`
	KeyID      *string        `json:"kid"`
	Ephemeral  strictjson.Raw `json:"epk"` // for ECDH-ES, RFC 7518 section 4.6.1
	PartyU     string         `json:"apu"`
	PartyV     string         `json:"apv"`
	Critical   strictjson.Raw `json:"crit"`
	Zip        strictjson.Raw `json:"zip"`
}

// parseEncrypted splits a compact JWE into its parts, RFC 7516 section 5.2 steps 1 to 4, as strictly as Parse does.
// Nothing is decompressed: zip is refused, and so is every crit.
func parseEncrypted(compact string) (*encrypted, error) {
	if len(compact) > MaxEncrypted || strings.Count(compact, ".") != 4 {
		return nil, ErrDecrypt
	}
	segments := strings.Split(compact, ".")
	e := &encrypted{additional: []byte(segments[0])}
	var header []byte
	for i, into := range []*[]byte{&header, &e.key, &e.iv, &e.cipher, &e.tag} {
		var err error
		if *into, err = decode(segments[i]); err != nil {
			return nil, ErrDecrypt
		}
	}
	var h *encryptedHeader // nil after null, which is not a JSON object
	if strictjson.Unmarshal(header, &h) != nil || h == nil || h.Critical != nil || h.Zip != nil {
		return nil, ErrDecrypt
	}
	e.header = *h
	var ok bool
	if e.content, ok = contents[h.Encryption]; !ok || len(e.iv) != e.content.iv || len(e.tag) != e.content.tag {
		return nil, ErrDecrypt
	}
	return e, nil
}

// open decrypts the content and checks its tag, RFC 7518 sections 5.2.2.2 and 5.3.
func (e *encrypted) open(key []byte) ([]byte, error) {
	if len(key) != e.content.key {
		return nil, ErrDecrypt
	}
	if e.content.hash == nil {
		return openGCM(key, e.iv, e.cipher, e.tag, e.additional)
	}
	macKey, key := key[:len(key)/2], key[len(key)/2:]
	mac := hmac.New(e.content.hash, macKey)
	for _, part := range [][]byte{e.additional, e.iv, e.cipher, binary.BigEndian.AppendUint64(nil, uint64(len(e.additional))*8)} {
		mac.Write(part)
	}
	if subtle.ConstantTimeCompare(mac.Sum(nil)[:e.content.tag], e.tag) != 1 {
		return nil, ErrDecrypt
	}
	block, err := aes.NewCipher(key)
	if err != nil || len(e.cipher) == 0 || len(e.cipher)%aes.BlockSize != 0 {
		return nil, ErrDecrypt
	}
	plaintext := make([]byte, len(e.cipher))
	cipher.NewCBCDecrypter(block, e.iv).CryptBlocks(plaintext, e.cipher)
	return unpad(plaintext)
}

// unpad removes PKCS #7 padding, RFC 5652 section 6.3. The tag has been checked, so only someone who has the key can see
// how it responds: there is no padding oracle.
func unpad(padded []byte) ([]byte, error) {
	n := int(padded[len(padded)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, ErrDecrypt
	}
	for _, b := range padded[len(padded)-n:] {
		if int(b) != n {
			return nil, ErrDecrypt
		}
	}
	return padded[:len(padded)-n], nil
}

func openGCM(key, iv, ciphertext, tag, additional []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrDecrypt
	}
	aead, err := cipher.NewGCM(block)
	if err != nil || len(iv) != aead.NonceSize() || len(tag) != aead.Overhead() {
		return nil, ErrDecrypt
	}
	plaintext, err := aead.Open([]byte{}, iv, append(append([]byte{}, ciphertext...), tag...), additional)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plaintext, nil
}

// unwrapGCM is the inverse of A*GCMKW, RFC 7518 section 4.7.
func (e *encrypted) unwrapGCM(key []byte) ([]byte, error) {
	iv, err := decode(e.header.IV)
	tag, err2 := decode(e.header.Tag)
	if err != nil || err2 != nil {
		return nil, ErrDecrypt
	}
	return openGCM(key, iv, e.key, tag, nil)
}

// unwrap implements AES key unwrap, RFC 3394 section 2.2.2.
func unwrap(key, wrapped []byte) ([]byte, error) {
	const half = aes.BlockSize / 2
	n := len(wrapped)/half - 1
	block, err := aes.NewCipher(key)
	if err != nil || len(wrapped)%half != 0 || n < 2 {
		return nil, ErrDecrypt
	}
	r := append([]byte{}, wrapped[half:]...)
	var b [aes.BlockSize]byte // A, and the current R[i]
	copy(b[:half], wrapped)
	for t := 6 * n; t > 0; t-- {
		at := r[(t-1)%n*half:][:half]
		binary.BigEndian.PutUint64(b[:half], binary.BigEndian.Uint64(b[:half])^uint64(t))
		copy(b[half:], at)
		block.Decrypt(b[:], b[:])
		copy(at, b[half:])
	}
	if subtle.ConstantTimeCompare(b[:half], []byte("\xa6\xa6\xa6\xa6\xa6\xa6\xa6\xa6")) != 1 {
		return nil, ErrDecrypt
	}
	return r, nil
}

// ParseSymmetricKey returns the bytes of a JSON Web Key of type oct, RFC 7518 section 6.4. Its other members are ignored.
// It is for a key that came encrypted: a published one is not a secret, and ParseSet leaves it out.
func ParseSymmetricKey(document []byte) ([]byte, error) {
	var key *struct {
		Type  string `json:"kty"`
		Bytes string `json:"k"`
	}
	if strictjson.Unmarshal(document, &key) != nil || key == nil || key.Type != "oct" || key.Bytes == "" {
		return nil, errors.New("not a symmetric JSON Web Key")
	}
	return decode(key.Bytes)
}
