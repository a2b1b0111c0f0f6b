package sessioncodec

import (
	"bytes"
	"fmt"
)

// Stored is what a shared store holds of a session. Times are milliseconds since 1970. To change one, change a copy of what
// UnpackStored returned: it holds what a later version wrote besides.
type Stored struct {
	Session []byte // as Pack made it; never empty
	Moves   int64  // how often the session has moved into the store: what a cookie held of it before is out of date
	Settled int64  // when the browser first came with what the last move gave it; 0: not yet

	unknown []member
	others  []part
}

// MaxStoredSize limits the size of a session in the store, in bytes.
const MaxStoredSize = MaxSize + 8<<10

var storedFields = []field[Stored]{
	number("moves", func(s *Stored) *int64 { return &s.Moves }),
	number("settled", func(s *Stored) *int64 { return &s.Settled }),
}

// PackStored encodes what the store is to hold. The same value gives the same bytes.
func PackStored(s Stored) ([]byte, error) {
	object, err := writeObject(&s, storedFields, s.unknown)
	if err != nil {
		return nil, err
	}
	packed := part{partRecord, object}.appendTo(append(make([]byte, 0, len(object)+len(s.Session)+64), version))
	packed = part{partSession, s.Session}.appendTo(packed)
	for _, p := range s.others {
		packed = p.appendTo(packed)
	}
	if _, err := UnpackStored(packed); err != nil {
		return nil, fmt.Errorf("the session could not be read back: %w", err)
	}
	return packed, nil
}

// UnpackStored is the inverse of PackStored. The error is ErrMalformed or ErrVersion. Session shares its memory with packed.
func UnpackStored(packed []byte) (s Stored, err error) {
	in, err := versioned(packed)
	if err != nil {
		return Stored{}, err
	}
	if len(packed) > MaxStoredSize {
		return Stored{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxStoredSize)
	}
	parts, err := splitParts(in)
	if err != nil {
		return Stored{}, err
	}
	for _, p := range parts {
		switch p.kind {
		case partRecord:
			if s.unknown, err = readObject(&s, storedFields, p.data); err != nil {
				return Stored{}, err
			}
		case partSession:
			s.Session = p.data
		default:
			s.others = append(s.others, part{p.kind, bytes.Clone(p.data)})
		}
	}
	if len(s.Session) == 0 {
		return Stored{}, fmt.Errorf("%w: no session", ErrMalformed)
	}
	return s, nil
}
