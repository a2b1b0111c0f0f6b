package sessioncodec

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// field is one member of a record's JSON object.
type field[R any] struct {
	name  string
	write func(out []byte, r *R) ([]byte, error) // appends the value's JSON text; nothing leaves the member out
	read  func(r *R, value string) bool          // false: the value is not what is wanted
}

// member is one that this version does not know: a later one wrote it, and it is kept.
type member struct{ name, value string }

// maxMembers limits how many unknown members are kept.
const maxMembers = 64

// writeObject encodes the fields that are set, and then the unknown members.
func writeObject[R any](r *R, fields []field[R], unknown []member) ([]byte, error) {
	out := make([]byte, 0, 1<<10)
	var err error
	for _, f := range fields {
		before := len(out)
		if out, err = appendName(out, f.name); err != nil {
			return nil, err
		}
		named := len(out)
		if out, err = f.write(out, r); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if len(out) == named {
			out = out[:before]
		}
	}
	for _, m := range unknown {
		if out, err = appendName(out, m.name); err != nil {
			return nil, err
		}
		out = append(out, m.value...)
	}
	if len(out) == 0 {
		return []byte("{}"), nil
	}
	out[0] = '{'
	return append(out, '}'), nil
}

// appendName appends what stands before a value. The first comma becomes the bracket that opens the object.
func appendName(out []byte, name string) ([]byte, error) {
	out, err := strictjson.AppendString(append(out, ','), name)
	return append(out, ':'), err
}

// readObject decodes what writeObject wrote, and returns the members that are not among the fields.
func readObject[R any](r *R, fields []field[R], text []byte) (unknown []member, err error) {
	var fault error // the first
	err = strictjson.EachMember(text, func(name, value string) {
		f := fieldNamed(fields, name)
		switch {
		case fault != nil:
		case f == nil && len(unknown) == maxMembers:
			fault = fmt.Errorf("%w: more than %d unknown members", ErrMalformed, maxMembers)
		case f == nil:
			unknown = append(unknown, member{name, value})
		case !f.read(r, value):
			fault = fmt.Errorf("%w: %s is of a wrong type, or out of range", ErrMalformed, name)
		}
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case fault != nil:
		return nil, fault
	}
	return unknown, nil
}

func fieldNamed[R any](fields []field[R], name string) *field[R] {
	for i := range fields {
		if fields[i].name == name {
			return &fields[i]
		}
	}
	return nil
}

func text[R any](name string, at func(*R) *string) field[R] {
	return field[R]{
		name: name,
		write: func(out []byte, r *R) ([]byte, error) {
			if *at(r) == "" {
				return out, nil
			}
			return strictjson.AppendString(out, *at(r))
		},
		read: func(r *R, value string) (ok bool) {
			*at(r), ok = strictjson.String(value)
			return ok
		},
	}
}

func flag[R any](name string, at func(*R) *bool) field[R] {
	return field[R]{
		name: name,
		write: func(out []byte, r *R) ([]byte, error) {
			if !*at(r) {
				return out, nil
			}
			return append(out, "true"...), nil
		},
		read: func(r *R, value string) bool {
			*at(r) = value == "true"
			return value == "true" || value == "false"
		},
	}
}

// maxTexts limits how many strings a list holds. Somebody's 300 groups are many; this is far beyond.
const maxTexts = 10_000

func texts[R any](name string, at func(*R) *[]string) field[R] {
	return field[R]{
		name: name,
		write: func(out []byte, r *R) (_ []byte, err error) {
			for i, s := range *at(r) {
				if i == 0 {
					out = append(out, '[')
				} else {
					out = append(out, ',')
				}
				if out, err = strictjson.AppendString(out, s); err != nil {
					return nil, err
				}
			}
			if len(*at(r)) > 0 {
				out = append(out, ']')
			}
			return out, nil
		},
		read: func(r *R, value string) bool {
			list, mixed, ok := strictjson.Strings(value)
			if len(list) > 0 {
				*at(r) = list
			}
			return ok && !mixed && len(list) <= maxTexts
		},
	}
}

// number is a count, or a time in milliseconds since 1970.
func number[R any](name string, at func(*R) *int64) field[R] {
	return field[R]{
		name: name,
		write: func(out []byte, r *R) ([]byte, error) {
			if *at(r) == 0 {
				return out, nil
			}
			return strconv.AppendInt(out, *at(r), 10), nil
		},
		read: func(r *R, value string) bool {
			n, err := strconv.ParseInt(value, 10, 64)
			*at(r) = n
			return err == nil && 0 <= n && n <= maxNumber
		},
	}
}

// maxNumber is the last millisecond of the year 9999: arithmetic with later times could overflow.
const maxNumber = 253402300799999

// object is a JSON object in its original text.
func object[R any](name string, at func(*R) *string) field[R] {
	return field[R]{
		name:  name,
		write: func(out []byte, r *R) ([]byte, error) { return append(out, *at(r)...), nil },
		read: func(r *R, value string) bool {
			*at(r) = value
			return strings.HasPrefix(value, "{")
		},
	}
}

// octets are bytes, in base64url.
func octets[R any](name string, at func(*R) *[]byte) field[R] {
	return field[R]{
		name: name,
		write: func(out []byte, r *R) ([]byte, error) {
			if len(*at(r)) == 0 {
				return out, nil
			}
			return append(base64url.AppendEncode(append(out, '"'), *at(r)), '"'), nil
		},
		read: func(r *R, value string) bool {
			encoded, ok := strictjson.String(value)
			if !ok {
				return false
			}
			decoded, err := decode(encoded)
			if len(decoded) > 0 {
				*at(r) = decoded
			}
			return err == nil
		},
	}
}

var base64url = base64.RawURLEncoding.Strict()

// decode decodes base64url so strictly that encoding gives the same text again: package base64 skips line ends.
func decode(encoded string) ([]byte, error) {
	if strings.ContainsAny(encoded, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64url.DecodeString(encoded)
}
