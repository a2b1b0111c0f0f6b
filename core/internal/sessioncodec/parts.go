package sessioncodec

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// part is a piece of a session: a kind, a length and that many bytes.
type part struct {
	kind uint64
	data []byte
}

// The kinds of parts. A kind is never used for something else later.
const (
	partRecord       = 1 // the JSON object
	partID           = 2
	partAccessToken  = 3
	partIDToken      = 4
	partRefreshToken = 5
	partProofKey     = 6
	partSession      = 7 // a whole session, as it is in a store
)

// maxParts limits how many parts a session has, known and unknown.
const maxParts = 32

func (p part) appendTo(out []byte) []byte {
	out = binary.AppendUvarint(out, p.kind)
	out = binary.AppendUvarint(out, uint64(len(p.data)))
	return append(out, p.data...)
}

// splitParts is the inverse of appendTo, for all parts. A kind may stand once.
func splitParts(in []byte) ([]part, error) {
	parts := make([]part, 0, 8)
	for len(in) > 0 {
		kind, n := binary.Uvarint(in)
		if n <= 0 {
			return nil, fmt.Errorf("%w: a part's kind", ErrMalformed)
		}
		data, rest, err := cut(in[n:])
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			if p.kind == kind {
				return nil, fmt.Errorf("%w: a part stands twice", ErrMalformed)
			}
		}
		if len(parts) == maxParts {
			return nil, fmt.Errorf("%w: more than %d parts", ErrMalformed, maxParts)
		}
		parts, in = append(parts, part{kind, data}), rest
	}
	return parts, nil
}

// cut takes bytes off that are preceded by their number.
func cut(in []byte) (data, rest []byte, err error) {
	length, n := binary.Uvarint(in)
	if n <= 0 || length > uint64(len(in)-n) {
		return nil, nil, fmt.Errorf("%w: a length", ErrMalformed)
	}
	return in[n : n+int(length)], in[n+int(length):], nil
}

// readID reads the part of a session's id.
func readID(data []byte) (id [32]byte, err error) {
	if len(data) != len(id) {
		return id, fmt.Errorf("%w: a session id of %d bytes", ErrMalformed, len(data))
	}
	return [32]byte(data), nil
}

// A compact JWS has three segments, a compact JWE five.
const (
	wholeToken  = 1
	maxSegments = 5
)

// packToken prepares a token for the compressor: the number of its segments, and each of them decoded from base64url, for
// in that alphabet the compressor would not see that they repeat the claims. Any other token stands as it is, behind a 1.
func packToken(token string) []byte {
	segments := strings.Split(token, ".")
	if len(segments) == wholeToken || len(segments) > maxSegments {
		return append([]byte{wholeToken}, token...)
	}
	out := []byte{byte(len(segments))}
	for _, segment := range segments {
		decoded, err := decode(segment)
		if err != nil {
			return append([]byte{wholeToken}, token...)
		}
		out = append(binary.AppendUvarint(out, uint64(len(decoded))), decoded...)
	}
	return out
}

func unpackToken(in []byte) (string, error) {
	if len(in) == 0 {
		return "", fmt.Errorf("%w: an empty token", ErrMalformed)
	}
	count, in := int(in[0]), in[1:]
	if count == wholeToken {
		return string(in), nil
	}
	if count == 0 || count > maxSegments {
		return "", fmt.Errorf("%w: a token of %d segments", ErrMalformed, count)
	}
	var token strings.Builder
	token.Grow(base64url.EncodedLen(len(in)) + count) // the lengths take no less than the points and what is rounded up
	for i := range count {
		segment, rest, err := cut(in)
		if err != nil {
			return "", err
		}
		if i > 0 {
			token.WriteByte('.')
		}
		encodeTo(&token, segment)
		in = rest
	}
	if len(in) > 0 {
		return "", fmt.Errorf("%w: a token with something behind it", ErrMalformed)
	}
	return token.String(), nil
}

// encodeTo appends data in base64url, by pieces, so that it is not in memory twice.
func encodeTo(out *strings.Builder, data []byte) {
	var encoded [1 << 10]byte
	for len(data) > 0 {
		piece := data[:min(len(data), len(encoded)/4*3)]
		out.Write(base64url.AppendEncode(encoded[:0], piece))
		data = data[len(piece):]
	}
}
