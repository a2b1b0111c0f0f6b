package jose

import (
	"errors"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// EmbeddedKey returns the public key in the message's own header (jwk, RFC 7515 section 4.1.3), for the algorithm that the header
// names. Only what proves the possession of a key, such as a DPoP proof, may be verified with it: anybody can write a token
// that verifies with the key in its header.
func (m *Message) EmbeddedKey() (*Key, error) {
	decoded, err := decode(m.header)
	if err != nil {
		return nil, err
	}
	var header struct {
		Key strictjson.Raw `json:"jwk"`
	}
	if err := strictjson.Unmarshal(decoded, &header); err != nil {
		return nil, err
	}
	if header.Key == nil {
		return nil, errors.New("no jwk in the header")
	}
	key, err := parseKey(header.Key, []string{m.Header.Algorithm})
	if err != nil {
		return nil, err
	}
	return &key, nil
}
