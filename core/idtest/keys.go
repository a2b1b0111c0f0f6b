package idtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
)

var base64url = base64.RawURLEncoding.Strict()

// firstKey is the key that every provider of the process begins with: generating one takes noticeable time in tests.
var firstKey = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

// firstECKey is like firstKey, for ES256.
var firstECKey = sync.OnceValue(newECKey)

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
	ec      *ecdsa.PrivateKey // of ES256
}

// signingMethod signs and verifies with one algorithm.
type signingMethod struct {
	sign   func(key signingKey, digest [32]byte) ([]byte, error)
	verify func(key signingKey, digest [32]byte, signature []byte) bool
}

var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

// signingMethods are those of Dialect.SigningAlgorithm.
var signingMethods = map[string]*signingMethod{
	"RS256": {
		func(key signingKey, digest [32]byte) ([]byte, error) {
			return rsa.SignPKCS1v15(rand.Reader, key.private, crypto.SHA256, digest[:])
		},
		func(key signingKey, digest [32]byte, signature []byte) bool {
			return rsa.VerifyPKCS1v15(&key.private.PublicKey, crypto.SHA256, digest[:], signature) == nil
		},
	},
	"PS256": {
		func(key signingKey, digest [32]byte) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, key.private, crypto.SHA256, digest[:], pss)
		},
		func(key signingKey, digest [32]byte, signature []byte) bool {
			return rsa.VerifyPSS(&key.private.PublicKey, crypto.SHA256, digest[:], signature, pss) == nil
		},
	},
	"ES256": {
		func(key signingKey, digest [32]byte) ([]byte, error) {
			r, s, err := ecdsa.Sign(rand.Reader, key.ec, digest[:])
			if err != nil {
				return nil, err
			}
			return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
		},
		func(key signingKey, digest [32]byte, signature []byte) bool {
			if len(signature) != 64 {
				return false
			}
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(&key.ec.PublicKey, digest[:], r, s)
		},
	},
}

// keyring holds all keys that the provider has had, oldest first. The last one signs.
type keyring struct {
	algorithm string // is not changed
	mu        sync.RWMutex
	keys      []signingKey
	withdrawn int         // how many of them are no longer published
	next      *signingKey // published, and not yet in use; nil: none
	document  []byte      // published in place of the set, unless nil
}

func (k *keyring) add(private *rsa.PrivateKey) {
	key := k.keyOf(private)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys = append(k.keys, key)
}

// keyOf makes the signing key, which has an EC key beside it where that signs.
func (k *keyring) keyOf(private *rsa.PrivateKey) signingKey {
	key := signingKey{id: rand.Text(), private: private}
	if k.algorithm == "ES256" {
		if key.ec = firstECKey(); private != firstKey() {
			key.ec = newECKey()
		}
	}
	return key
}

// rotate has the key sign that was announced, or else a new one.
func (k *keyring) rotate() {
	k.mu.Lock()
	next := k.next
	k.next = nil
	if next != nil {
		k.keys = append(k.keys, *next)
	}
	k.mu.Unlock()
	if next == nil {
		k.add(newKey())
	}
}

func (k *keyring) announce(private *rsa.PrivateKey) {
	key := k.keyOf(private)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = &key
}

func (k *keyring) current() signingKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.keys[len(k.keys)-1]
}

func (k *keyring) key(id string) (signingKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	i := slices.IndexFunc(k.keys, func(key signingKey) bool { return key.id == id })
	if i < 0 {
		return signingKey{}, false
	}
	return k.keys[i], true
}

// set returns the published JWK set, RFC 7517 section 5.
func (k *keyring) set() []byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.document != nil {
		return k.document
	}
	keys := []map[string]string{}
	published := slices.Clone(k.keys[k.withdrawn:])
	if k.next != nil {
		published = append(published, *k.next)
	}
	for _, key := range published {
		element := map[string]string{"use": "sig", "alg": k.algorithm, "kid": key.id}
		maps.Copy(element, key.public())
		keys = append(keys, element)
	}
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return document
}

// public returns the members of the public key, RFC 7518 section 6.
func (k signingKey) public() map[string]string {
	if k.ec != nil {
		point, err := k.ec.PublicKey.Bytes()
		if err != nil {
			panic(err) // newECKey makes none off the curve
		}
		return map[string]string{"kty": "EC", "crv": "P-256", "x": base64url.EncodeToString(point[1:33]), "y": base64url.EncodeToString(point[33:])}
	}
	public := k.private.PublicKey
	return map[string]string{
		"kty": "RSA", "n": base64url.EncodeToString(public.N.Bytes()), "e": base64url.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
	}
}

// verify returns the claims of a token signed with any of the keys, even one that is no longer published. It does not
// check the claims.
func (k *keyring) verify(token string) (map[string]any, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a JWT")
	}
	var header struct{ Alg, Kid string }
	var claims map[string]any
	signature, err := base64url.DecodeString(parts[2])
	if err := errors.Join(err, decodePart(parts[0], &header), decodePart(parts[1], &claims)); err != nil {
		return nil, err
	}
	key, ok := k.key(header.Kid)
	if !ok || header.Alg != k.algorithm {
		return nil, errors.New("not signed by this provider")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !signingMethods[k.algorithm].verify(key, digest, signature) {
		return nil, errors.New("the signature does not verify")
	}
	return claims, nil
}

func decodePart(part string, into any) error {
	text, err := base64url.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// RotateKey generates a new key, which signs from now on and is published next to the older ones. If there is one of
// [Provider.AnnounceKey], that one signs.
func (p *Provider) RotateKey() { p.keys.rotate() }

// AnnounceKey generates a key that is published from now on, and signs from the next [Provider.RotateKey] on: what providers do
// who publish a key before they use it. It takes the place of one that was announced before.
func (p *Provider) AnnounceKey() { p.keys.announce(newKey()) }

// WithdrawKey removes all keys but the signing key from the published set.
func (p *Provider) WithdrawKey() {
	p.keys.mu.Lock()
	defer p.keys.mu.Unlock()
	p.keys.withdrawn = len(p.keys.keys) - 1
}

// KeyID returns the kid of the signing key. It is random: two providers never share one.
func (p *Provider) KeyID() string { return p.keys.current().id }

// PrivateKey returns the signing key, RSA with 2048 bits, with which [Provider.SignRaw] signs; with Dialect.SigningAlgorithm ES256
// it signs nothing else. All providers of a process begin with the same key, each under
// its own kid; after [Provider.RotateKey] the key is this provider's alone.
func (p *Provider) PrivateKey() *rsa.PrivateKey { return p.keys.current().private }

// SetJWKS publishes document, unchanged, in place of the key set; nil restores the set.
func (p *Provider) SetJWKS(document []byte) {
	p.keys.mu.Lock()
	defer p.keys.mu.Unlock()
	p.keys.document = bytes.Clone(document)
}

func (p *Provider) keySet(w http.ResponseWriter, r *http.Request) {
	serveDocument(w, r, p.keys.set())
}
