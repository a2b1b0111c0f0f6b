package sessioncodec

import (
	"bytes"
	"fmt"
	"log/slog"
)

// Reference is what a cookie holds of a session that lives in a shared store: which one it is, and what else must be known to look
// up in one round trip whether it goes on. To change one, change a copy of what UnpackReference returned: it holds what a
// later version wrote besides.
type Reference struct {
	ID              [32]byte // of the session; never zero
	Issuer, Subject string   // of the user; never empty
	ProviderSession string   // as in Record
	Moves           int64    // as in Stored, when the cookie was written

	unknown []member
	others  []part
}

// reference is the first byte of a reference: a version of this package that knows none takes it for another version's value, and
// deletes no such cookie.
const reference = 2

// MaxReferenceSize limits the size of a reference, in bytes.
const MaxReferenceSize = 4 << 10

var referenceFields = []field[Reference]{
	text("iss", func(r *Reference) *string { return &r.Issuer }),
	text("sub", func(r *Reference) *string { return &r.Subject }),
	text("sid", func(r *Reference) *string { return &r.ProviderSession }),
	number("moves", func(r *Reference) *int64 { return &r.Moves }),
}

// String names the user and nothing else: who has the id has the session.
func (r Reference) String() string {
	return fmt.Sprintf("sessioncodec.Reference{Issuer: %q, Subject: %q}", r.Issuer, r.Subject)
}

// GoString returns [Reference.String].
func (r Reference) GoString() string { return r.String() }

// LogValue returns [Reference.String], for package slog.
func (r Reference) LogValue() slog.Value { return slog.StringValue(r.String()) }

// IsReference reports whether a value is a reference and no session.
func IsReference(packed []byte) bool { return len(packed) > 0 && packed[0] == reference }

// PackReference encodes a reference.
func PackReference(r Reference) ([]byte, error) {
	object, err := writeObject(&r, referenceFields, r.unknown)
	if err != nil {
		return nil, err
	}
	packed := part{partID, r.ID[:]}.appendTo(part{partRecord, object}.appendTo([]byte{reference}))
	for _, p := range r.others {
		packed = p.appendTo(packed)
	}
	if _, err := UnpackReference(packed); err != nil {
		return nil, fmt.Errorf("the reference could not be read back: %w", err)
	}
	return packed, nil
}

// UnpackReference is the inverse of PackReference. The error is ErrMalformed or ErrVersion.
func UnpackReference(packed []byte) (r Reference, err error) {
	switch {
	case len(packed) == 0, len(packed) > MaxReferenceSize:
		return Reference{}, fmt.Errorf("%w: a reference of %d bytes", ErrMalformed, len(packed))
	case packed[0] != reference:
		return Reference{}, ErrVersion
	}
	parts, err := splitParts(packed[1:])
	if err != nil {
		return Reference{}, err
	}
	for _, p := range parts {
		switch p.kind {
		case partRecord:
			if r.unknown, err = readObject(&r, referenceFields, p.data); err != nil {
				return Reference{}, err
			}
		case partID:
			if r.ID, err = readID(p.data); err != nil {
				return Reference{}, err
			}
		default:
			r.others = append(r.others, part{p.kind, bytes.Clone(p.data)})
		}
	}
	switch {
	case r.ID == [32]byte{}:
		return Reference{}, fmt.Errorf("%w: no session id", ErrMalformed)
	case r.Issuer == "" || r.Subject == "":
		return Reference{}, fmt.Errorf("%w: no iss or no sub", ErrMalformed)
	}
	return r, nil
}
