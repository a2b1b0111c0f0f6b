package idtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
)

// encryptFor encrypts a signed token for the first key of a client's set that is for that, with ECDH-ES (RFC 7518 section
// 4.6): the JWE has the key's own alg, or ECDH-ES+A256KW. The core has decryption code of its own: the two agree only on the
// RFCs.
func encryptFor(document []byte, encryption, signed string) (string, error) {
	var set struct {
		Keys []struct{ Kty, Crv, X, Y, Use, Alg, Kid string }
	}
	if err := json.Unmarshal(document, &set); err != nil {
		return "", fmt.Errorf("the client's key set cannot be read: %w", err)
	}
	for _, key := range set.Keys {
		curve, x, y := curveOf(key.Crv), decoded(key.X), decoded(key.Y)
		if key.Use != "enc" || key.Kty != "EC" || curve == nil {
			continue
		}
		recipient, err := curve.NewPublicKey(slices.Concat([]byte{4}, x, y))
		if err != nil {
			return "", errors.New("the client's key is not on its curve")
		}
		ephemeral, err := curve.GenerateKey(rand.Reader)
		if err != nil {
			return "", err
		}
		agreed, err := ephemeral.ECDH(recipient)
		if err != nil {
			return "", err
		}
		point := ephemeral.PublicKey().Bytes()[1:]
		header := map[string]any{
			"alg": key.Alg, "enc": encryption, "cty": "JWT", "typ": "JWT", "kid": key.Kid,
			"epk": map[string]string{
				"kty": "EC", "crv": key.Crv, "x": base64url.EncodeToString(point[:len(point)/2]), "y": base64url.EncodeToString(point[len(point)/2:]),
			},
		}
		if key.Kid == "" {
			delete(header, "kid")
		}
		if key.Alg == "" {
			header["alg"] = "ECDH-ES+A256KW"
		}
		return encryptWith(agreed, header, signed)
	}
	return "", errors.New("the client's key set has no EC key to encrypt for")
}

func curveOf(name string) ecdh.Curve {
	return map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}[name]
}

func decoded(text string) []byte {
	b, err := base64url.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

var (
	contentSizes = map[string]int{"A128GCM": 16, "A192GCM": 24, "A256GCM": 32, "A128CBC-HS256": 32, "A192CBC-HS384": 48, "A256CBC-HS512": 64}
	wrapSizes    = map[string]int{"ECDH-ES+A128KW": 16, "ECDH-ES+A192KW": 24, "ECDH-ES+A256KW": 32}
)

func encryptWith(agreed []byte, header map[string]any, signed string) (string, error) {
	alg, _ := header["alg"].(string)
	enc, _ := header["enc"].(string)
	size := contentSizes[enc]
	if size == 0 || wrapSizes[alg] == 0 && alg != "ECDH-ES" {
		return "", fmt.Errorf("nothing is encrypted with %q and %q", alg, enc)
	}
	var content, wrapped []byte
	if alg == "ECDH-ES" {
		content = derive(agreed, enc, size)
	} else {
		content = randomBytes(size)
		wrapped = wrapKey(derive(agreed, alg, wrapSizes[alg]), content)
	}
	protected := base64url.EncodeToString(raw(header))
	iv, ciphertext, tag := seal(enc, content, []byte(signed), []byte(protected))
	compact := protected
	for _, part := range [][]byte{wrapped, iv, ciphertext, tag} {
		compact += "." + base64url.EncodeToString(part)
	}
	return compact, nil
}

// derive implements RFC 7518 section 4.6.2, without names of the parties.
func derive(agreed []byte, id string, size int) (key []byte) {
	for round := uint32(1); len(key) < size; round++ {
		h := sha256.New()
		for _, part := range [][]byte{be32(round), agreed, be32(uint32(len(id))), []byte(id), be32(0), be32(0), be32(uint32(size) * 8)} {
			h.Write(part)
		}
		key = h.Sum(key)
	}
	return key[:size]
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// wrapKey implements AES key wrap, RFC 3394 section 2.2.1.
func wrapKey(with, key []byte) []byte {
	block := mustAES(with)
	a := slices.Repeat([]byte{0xa6}, 8)
	r := slices.Clone(key)
	for t := 1; t <= 6*len(key)/8; t++ {
		at := r[(t-1)*8%len(key):][:8]
		b := slices.Concat(a, at)
		block.Encrypt(b, b)
		binary.BigEndian.PutUint64(b, binary.BigEndian.Uint64(b)^uint64(t))
		a = b[:8]
		copy(at, b[8:])
	}
	return slices.Concat(a, r)
}

// seal implements RFC 7518 sections 5.2 and 5.3.
func seal(enc string, key, plaintext, additional []byte) (iv, ciphertext, tag []byte) {
	newHash := map[string]func() hash.Hash{"A128CBC-HS256": sha256.New, "A192CBC-HS384": sha512.New384, "A256CBC-HS512": sha512.New}[enc]
	if newHash == nil {
		aead, err := cipher.NewGCM(mustAES(key))
		if err != nil {
			panic(err)
		}
		iv = randomBytes(aead.NonceSize())
		sealed := aead.Seal(nil, iv, plaintext, additional)
		return iv, sealed[:len(plaintext)], sealed[len(plaintext):]
	}
	macKey, key := key[:len(key)/2], key[len(key)/2:]
	iv = randomBytes(aes.BlockSize)
	n := aes.BlockSize - len(plaintext)%aes.BlockSize
	ciphertext = append(slices.Clone(plaintext), slices.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(mustAES(key), iv).CryptBlocks(ciphertext, ciphertext)
	mac := hmac.New(newHash, macKey)
	for _, part := range [][]byte{additional, iv, ciphertext, binary.BigEndian.AppendUint64(nil, uint64(len(additional))*8)} {
		mac.Write(part)
	}
	return iv, ciphertext, mac.Sum(nil)[:len(macKey)]
}

func mustAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the sizes are chosen in this file
	}
	return block
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
