// Package jose reads and verifies compact JSON Web Signatures, decrypts compact JSON Web Encryptions, and reads JSON Web Key sets.
//
// It is the only importer of jwx, which parses the keys; the compact forms are read here,
// strictly and by hand. The package is pure: no network, no clock. What the claims mean is
// its caller's business.
package jose

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// MaxToken bounds a compact token, in bytes, before anything of it is decoded.
const MaxToken = 16 << 10

// What a token is refused for. Which of them it was is for logs and tests; to the sender of
// a bad token they are one and the same.
var (
	ErrMalformed  = errors.New("not a compact JWS")
	ErrAlgorithm  = errors.New("the algorithm is not one that the key may be used with")
	ErrUnknownKey = errors.New("no key with the token's kid")
	ErrAmbiguous  = errors.New("more than one key fits the token")
	ErrSignature  = errors.New("the signature does not verify")
)

// Header is the protected header of a JWS, RFC 7515 section 4. Of jku, jwk, x5u and x5c
// nothing is read: a token does not say by which key it is verified.
type Header struct {
	Algorithm string  `json:"alg"`
	KeyID     *string `json:"kid"` // nil: the token names no key
	Type      string  `json:"typ"`

	Critical strictjson.Raw `json:"crit"`
	Base64   strictjson.Raw `json:"b64"`
	Zip      strictjson.Raw `json:"zip"`
}

// Message is a compact JWS that was taken apart. Nothing about it is verified yet.
type Message struct {
	Header    Header
	Payload   []byte
	signature []byte
	signed    string
}

// Parse takes a compact JWS apart, RFC 7515 section 5.2 steps 1 to 7. It refuses
// what is longer than MaxToken, base64url with padding, line breaks or unused bits set, member names
// that stand twice, and every crit: there is no extension that this package understands.
func Parse(token string) (*Message, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, MaxToken)
	}
	header, rest, ok := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || strings.Contains(signature, ".") {
		return nil, fmt.Errorf("%w: three parts are wanted", ErrMalformed)
	}
	headerJSON, err := decode(header)
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	var h *Header // nil after null, which is no JSON object
	if err := strictjson.Unmarshal(headerJSON, &h); err != nil {
		return nil, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	if h == nil {
		return nil, fmt.Errorf("%w: header: not an object", ErrMalformed)
	}
	m := &Message{Header: *h, signed: token[:len(header)+1+len(payload)]}
	if m.Header.Critical != nil || m.Header.Base64 != nil || m.Header.Zip != nil {
		return nil, fmt.Errorf("%w: header: crit, b64 and zip are not understood", ErrMalformed)
	}
	if m.Payload, err = decode(payload); err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrMalformed, err)
	}
	if m.signature, err = decode(signature); err != nil {
		return nil, fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	return m, nil
}

var base64url = base64.RawURLEncoding.Strict()

// decode reads base64url as RFC 7515 section 2 writes it. Go's decoder passes over line breaks,
// which would give one signature many spellings.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("base64url with a line break")
	}
	b, err := base64url.DecodeString(s)
	if err != nil {
		return nil, errors.New("not base64url")
	}
	return b, nil
}
