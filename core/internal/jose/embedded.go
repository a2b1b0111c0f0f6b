package jose

import (
	"errors"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Embedded is a header with a public key of its own (jwk, RFC 7515 section 4.1.3), and what it means. Only what proves the
// possession of a key, such as a DPoP proof, may be verified with it: anybody can write a token that verifies with the key in its
// header.
type Embedded struct {
	Key    Key // for the algorithm that the header names
	text   string
	header Header
}

// Len returns the length of the header's text, for who counts what is remembered.
func (e *Embedded) Len() int { return len(e.text) }

func (e *Embedded) read(encoded string) (Header, bool) {
	if e == nil || e.text != encoded {
		return Header{}, false
	}
	return e.header, true
}

// ParseEmbedded is like ParseUpTo for a message with a key in its header. If the header is that of known, which may be nil, neither it
// nor its key is parsed again, and [Message.Embedded] returns known.
func (m *Message) ParseEmbedded(most int, token string, known *Embedded) error {
	return m.parse(most, token, known)
}

// Embedded returns the message's own header with the key in it.
func (m *Message) Embedded(known *Embedded) (*Embedded, error) {
	if known != nil && known.text == m.header {
		return known, nil
	}
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
	return &Embedded{Key: key, text: strings.Clone(m.header), header: m.Header}, nil
}
