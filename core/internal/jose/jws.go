// Package jose signs, parses and verifies compact JSON Web Signatures, decrypts compact JSON Web Encryptions, and parses
// JSON Web Keys, public and private.
//
// It is the only package that imports jwx, which parses the keys; the compact forms are parsed here, strictly. The
// package is pure: no network, no clock. What the claims mean is up to its caller.
package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// MaxToken limits the size of a compact token, in bytes, before any of it is decoded: one with 300 groups has 20 kB.
const MaxToken = 64 << 10

// Why a token is refused. The reason is for logs and tests; the sender of a bad token is not told.
var (
	ErrMalformed  = errors.New("not a compact JWS")
	ErrAlgorithm  = errors.New("the algorithm is not one that the key may be used with")
	ErrUnknownKey = errors.New("no key with the token's kid")
	ErrAmbiguous  = errors.New("more than one key fits the token")
	ErrSignature  = errors.New("the signature does not verify")
)

// Header is the protected header of a JWS, RFC 7515 section 4. jku, jwk, x5u and x5c are ignored: a token does not choose
// the key that it is verified with.
type Header struct {
	Algorithm string  `json:"alg"`
	KeyID     *string `json:"kid"` // nil: the token names no key
	Type      string  `json:"typ"`

	Critical strictjson.Raw `json:"crit"`
	Base64   strictjson.Raw `json:"b64"`
	Zip      strictjson.Raw `json:"zip"`
}

// Message is a compact JWS split into its parts. None of it has been verified.
type Message struct {
	Header    Header
	Payload   []byte
	signed    []byte
	signature []byte

	header string // the first part, as received
	memory []byte // of all of the above
}

// Parse splits a compact JWS into its parts, RFC 7515 section 5.2 steps 1 to 7. It refuses a token longer than MaxToken;
// base64url with padding, line breaks or unused bits set; duplicate member names; and every crit, because this package
// understands no extensions.
func Parse(token string) (*Message, error) {
	m := new(Message)
	if err := m.Parse(token, nil); err != nil {
		return nil, err
	}
	return m, nil
}

// notThreeParts tells the operator what a token may be that is no compact JWS.
func notThreeParts(token string) string {
	switch strings.Count(token, ".") {
	case 0:
		return "three parts are wanted, and it has none: it may be opaque; have the provider issue access tokens that are JWTs for this API (its audience)"
	case 4:
		return "three parts are wanted: it is encrypted (five parts); have the provider sign it and not encrypt it, or give the application a key that decrypts"
	}
	return "three parts are wanted"
}

// Parse is like the function Parse, but uses the memory of m, whose Payload is overwritten. A header that is among known
// is not parsed again.
func (m *Message) Parse(token string, known *Headers) error {
	return m.ParseUpTo(MaxToken, token, known)
}

// ParseUpTo is like Message.Parse with another limit on the token's size, in bytes.
func (m *Message) ParseUpTo(most int, token string, known *Headers) error {
	return m.parse(most, token, known)
}

// headers remember what headers mean, by their text.
type headers interface {
	read(encoded string) (Header, bool)
}

func (m *Message) parse(most int, token string, known headers) error {
	if len(token) > most {
		return fmt.Errorf("%w: longer than %d bytes", ErrMalformed, most)
	}
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.IndexByte(signature, '.') >= 0 {
		return fmt.Errorf("%w: %s", ErrMalformed, notThreeParts(token))
	}
	if strings.IndexByte(token, '\n') >= 0 || strings.IndexByte(token, '\r') >= 0 {
		// Go's decoder skips line breaks, which would give one signature many spellings.
		return fmt.Errorf("%w: base64url with a line break", ErrMalformed)
	}
	m.memory = append(m.memory[:0], token...)
	m.signed = m.memory[:len(header)+1+len(payload)]
	var err error
	if m.Header, ok = known.read(header); !ok {
		if m.Header, err = parseHeader(m.memory[:len(header)]); err != nil {
			return fmt.Errorf("%w: header: %w", ErrMalformed, err)
		}
	}
	m.header = header
	if m.Payload, err = m.decode(len(header)+1, len(payload)); err != nil {
		return fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	if m.signature, err = m.decode(len(token)-len(signature), len(signature)); err != nil {
		return fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	return nil
}

// decode decodes n bytes of m's memory from at on, appends the result to the memory and returns it.
func (m *Message) decode(at, n int) ([]byte, error) {
	begin := len(m.memory)
	memory, err := base64url.AppendDecode(m.memory, m.memory[at:at+n])
	if err != nil {
		return nil, errors.New("not base64url")
	}
	m.memory = memory
	return memory[begin:], nil
}

func parseHeader(encoded []byte) (Header, error) {
	decoded, err := base64url.AppendDecode(nil, encoded)
	if err != nil {
		return Header{}, errors.New("not base64url")
	}
	var h *Header // nil after null, which is not a JSON object
	if err := strictjson.Unmarshal(decoded, &h); err != nil {
		return Header{}, err
	}
	switch {
	case h == nil:
		return Header{}, errors.New("not an object")
	case h.Critical != nil || h.Base64 != nil || h.Zip != nil:
		return Header{}, errors.New("crit, b64 and zip are not understood")
	}
	return *h, nil
}

var base64url = base64.RawURLEncoding.Strict()

// decode decodes base64url as defined by RFC 7515 section 2.
func decode(s string) ([]byte, error) {
	if strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 {
		return nil, errors.New("base64url with a line break")
	}
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	return b, nil
}
