package jose

import (
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Agreement is a private key that agrees on keys: an *ecdh.PrivateKey, or one in a KMS.
type Agreement interface {
	ECDH(remote *ecdh.PublicKey) ([]byte, error)
}

// ecdhWraps are the algorithms that wrap a content key with the agreed one, RFC 7518 section 4.6, with its size in bytes.
var ecdhWraps = map[string]int{"ECDH-ES+A128KW": 16, "ECDH-ES+A192KW": 24, "ECDH-ES+A256KW": 32}

// ecdhDirect is the algorithm whose agreed key is the content key.
const ecdhDirect = "ECDH-ES"

// coordinateSize is the size of a coordinate of each curve's points, in bytes, by the name of RFC 7518 section 6.2.1.1.
var coordinateSize = map[string]int{"P-256": 32, "P-384": 48, "P-521": 66}

var curves = map[string]ecdh.Curve{"P-256": ecdh.P256(), "P-384": ecdh.P384(), "P-521": ecdh.P521()}

// openECDH decrypts what was encrypted for a key on curve, RFC 7518 section 4.6.
func (e *encrypted) openECDH(key Agreement, curve ecdh.Curve) ([]byte, error) {
	size, wrapped := ecdhWraps[e.header.Algorithm]
	id := e.header.Algorithm
	switch {
	case wrapped && len(e.key) > 0:
	case e.header.Algorithm == ecdhDirect && len(e.key) == 0:
		size, id = e.content.key, e.header.Encryption
	default:
		return nil, ErrDecrypt
	}
	ephemeral, err := parseEphemeral(e.header.Ephemeral, curve)
	if err != nil {
		return nil, ErrDecrypt
	}
	partyU, err := decode(e.header.PartyU)
	partyV, err2 := decode(e.header.PartyV)
	if err != nil || err2 != nil {
		return nil, ErrDecrypt
	}
	agreed, err := key.ECDH(ephemeral)
	if err != nil {
		return nil, &KeyError{err}
	}
	contentKey := concatKDF(agreed, id, partyU, partyV, size)
	if wrapped {
		if contentKey, err = unwrap(contentKey, e.key); err != nil {
			return nil, ErrDecrypt
		}
	}
	return e.open(contentKey)
}

// parseEphemeral parses the sender's key. It must be a point on the curve of ours: agreeing on a key with another would tell
// the sender parts of ours (the invalid curve attack). Coordinates have their full size, RFC 7518 section 6.2.1.2.
func parseEphemeral(text strictjson.Raw, curve ecdh.Curve) (*ecdh.PublicKey, error) {
	var key *struct {
		Type  string `json:"kty"`
		Curve string `json:"crv"`
		X     string `json:"x"`
		Y     string `json:"y"`
	}
	if text == nil || strictjson.Unmarshal([]byte(text), &key) != nil || key == nil || key.Type != "EC" || curves[key.Curve] != curve || curve == nil {
		return nil, ErrDecrypt
	}
	x, err := decode(key.X)
	y, err2 := decode(key.Y)
	size := coordinateSize[key.Curve]
	if err != nil || err2 != nil || len(x) != size || len(y) != size {
		return nil, ErrDecrypt
	}
	return curve.NewPublicKey(slices.Concat([]byte{4}, x, y)) // which refuses a point that is not on the curve
}

// concatKDF derives a key of size bytes, NIST SP 800-56A section 5.8.1 as RFC 7518 section 4.6.2 uses it.
func concatKDF(agreed []byte, id string, partyU, partyV []byte, size int) []byte {
	var info []byte
	for _, part := range [][]byte{[]byte(id), partyU, partyV} {
		info = append(binary.BigEndian.AppendUint32(info, uint32(len(part))), part...)
	}
	info = binary.BigEndian.AppendUint32(info, uint32(size)*8)
	var key []byte
	for round := uint32(1); len(key) < size; round++ {
		sum := sha256.Sum256(slices.Concat(binary.BigEndian.AppendUint32(nil, round), agreed, info))
		key = append(key, sum[:]...)
	}
	return key[:size]
}
