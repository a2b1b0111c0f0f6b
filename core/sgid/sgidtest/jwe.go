package sgidtest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
)

var base64url = base64.RawURLEncoding

// sealEnvelope encrypts a person's values with a fresh block key, and that key for the client. The core has decryption
// code of its own: the two agree only on the RFCs.
func sealEnvelope(algorithms Algorithms, client *rsa.PublicKey, values map[string]string) (key string, data map[string]string) {
	data = map[string]string{}
	if algorithms == MockPass {
		block := random(32)
		for scope, value := range values {
			header := map[string]string{"alg": "dir", "enc": "A256GCM", "kid": "block"}
			data[scope] = sealCompact(header, nil, block, []byte(value), sealGCM)
		}
		return sealBlockKey(client, map[string]string{"kty": "oct", "alg": "A256GCM", "kid": "block", "k": base64url.EncodeToString(block)},
			map[string]string{"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "kid": "client"}), data
	}
	block := random(16)
	for scope, value := range values {
		content, iv := random(16), random(12)
		wrapped, tag := sealGCM(block, iv, content, nil)
		header := map[string]string{"alg": "A128GCMKW", "enc": "A128GCM", "iv": base64url.EncodeToString(iv), "tag": base64url.EncodeToString(tag)}
		data[scope] = sealCompact(header, wrapped, content, []byte(value), sealGCM)
	}
	return sealBlockKey(client, map[string]string{"kty": "oct", "alg": "A128GCM", "k": base64url.EncodeToString(block)},
		map[string]string{"alg": "RSA-OAEP-256", "enc": "A256GCM"}), data
}

// sealBlockKey encrypts a JSON Web Key for the client, RFC 7518 section 4.3.
func sealBlockKey(client *rsa.PublicKey, jwk, header map[string]string) string {
	hash, seal := sha256.New(), sealGCM
	if header["alg"] == "RSA-OAEP" {
		hash, seal = sha1.New(), sealCBC
	}
	content := random(32)
	wrapped, err := rsa.EncryptOAEP(hash, rand.Reader, client, content, nil)
	if err != nil {
		panic(err) // the key has room for 32 bytes, whatever its size
	}
	return sealCompact(header, wrapped, content, mustJSON(jwk), seal)
}

// sealCompact implements RFC 7516 section 5.1, steps 11 to 19.
func sealCompact(header map[string]string, wrapped, key, plaintext []byte, seal func(key, iv, plaintext, additional []byte) (ciphertext, tag []byte)) string {
	protected := base64url.EncodeToString(mustJSON(header))
	iv := random(12)
	if header["enc"] == "A128CBC-HS256" {
		iv = random(aes.BlockSize)
	}
	ciphertext, tag := seal(key, iv, plaintext, []byte(protected))
	compact := protected
	for _, part := range [][]byte{wrapped, iv, ciphertext, tag} {
		compact += "." + base64url.EncodeToString(part)
	}
	return compact
}

// sealGCM implements RFC 7518 section 5.3.
func sealGCM(key, iv, plaintext, additional []byte) (ciphertext, tag []byte) {
	aead, err := cipher.NewGCM(block(key))
	if err != nil {
		panic(err)
	}
	sealed := aead.Seal(nil, iv, plaintext, additional)
	return sealed[:len(plaintext)], sealed[len(plaintext):]
}

// sealCBC implements RFC 7518 section 5.2.3.
func sealCBC(key, iv, plaintext, additional []byte) (ciphertext, tag []byte) {
	n := aes.BlockSize - len(plaintext)%aes.BlockSize
	ciphertext = append([]byte{}, plaintext...)
	for range n {
		ciphertext = append(ciphertext, byte(n))
	}
	cipher.NewCBCEncrypter(block(key[16:]), iv).CryptBlocks(ciphertext, ciphertext)
	mac := hmac.New(sha256.New, key[:16])
	for _, part := range [][]byte{additional, iv, ciphertext, binary.BigEndian.AppendUint64(nil, uint64(len(additional))*8)} {
		mac.Write(part)
	}
	return ciphertext, mac.Sum(nil)[:16]
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the lengths are chosen in this file
	}
	return b
}

func mustJSON(value map[string]string) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return text
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
