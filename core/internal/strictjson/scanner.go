package strictjson

import (
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner scans JSON as defined by RFC 8259, as strictly as Unmarshal, with which a fuzz test compares it. It is for what
// is parsed at every request.
type scanner struct {
	data string
	at   int
}

// span is the position of a value.
type span struct {
	from, to int
	escaped  bool // a string with a backslash in it
}

func (s *scanner) fault() error { return fmt.Errorf("not JSON (at byte %d)", s.at) }

// peek returns the next byte, or 0 at the end: no value begins with 0.
func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// space skips ws, RFC 8259 section 2.
func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// value skips a value nested in depth arrays and objects, section 3.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.string()
		return err
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth + 1)
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.number()
}

// object skips an object, section 4. Names must be unique, however they are escaped.
func (s *scanner) object(depth int, each func(name, value span)) error {
	if depth > maxDepth {
		return errDepth
	}
	s.at++
	if s.space(); s.take('}') {
		return nil
	}
	var seen names
	for {
		name, err := s.string()
		if err != nil {
			return err
		}
		if !seen.add(s.data, name) {
			return errors.New("not JSON: a member name stands twice")
		}
		if s.space(); !s.take(':') {
			return s.fault()
		}
		s.space()
		from := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		if each != nil {
			each(name, span{from: from, to: s.at})
		}
		if s.space(); s.take('}') {
			return nil
		}
		if !s.take(',') {
			return s.fault()
		}
		s.space()
	}
}

// array skips an array, section 5.
func (s *scanner) array(depth int) error {
	if depth > maxDepth {
		return errDepth
	}
	s.at++
	if s.space(); s.take(']') {
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		if s.space(); s.take(']') {
			return nil
		}
		if !s.take(',') {
			return s.fault()
		}
		s.space()
	}
}

// number skips a number, section 6.
func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return s.fault()
	}
	if s.take('.') && !s.digits() {
		return s.fault()
	}
	if s.take('e') || s.take('E') {
		if !s.take('-') {
			s.take('+')
		}
		if !s.digits() {
			return s.fault()
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > from
}

func (s *scanner) literal(want string) error {
	if len(s.data)-s.at < len(want) || s.data[s.at:s.at+len(want)] != want {
		return s.fault()
	}
	s.at += len(want)
	return nil
}

// string skips a string, section 7, which must be UTF-8. One that contains escapes is read by jsontext.
func (s *scanner) string() (span, error) {
	from := s.at
	if !s.take('"') {
		return span{}, s.fault()
	}
	escaped, ascii := false, true
	for s.plain(); s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			whole := s.data[from:s.at]
			if !ascii && !utf8.ValidString(whole) {
				return span{}, s.fault()
			}
			if escaped {
				if _, err := jsontext.AppendUnquote(nil, whole); err != nil {
					return span{}, s.fault()
				}
			}
			return span{from, s.at, escaped}, nil
		case c == '\\':
			escaped = true
			s.at++
		case c < 0x20:
			return span{}, s.fault()
		case c >= 0x80:
			ascii = false
		}
	}
	return span{}, s.fault()
}

// plain skips characters that stand for themselves, eight bytes at a time: ASCII except control characters, quotation
// marks and backslashes.
func (s *scanner) plain() {
	const each = 0x0101010101010101
	for ; s.at+8 <= len(s.data); s.at += 8 {
		d := s.data[s.at : s.at+8]
		w := uint64(d[0]) | uint64(d[1])<<8 | uint64(d[2])<<16 | uint64(d[3])<<24 | uint64(d[4])<<32 | uint64(d[5])<<40 | uint64(d[6])<<48 | uint64(d[7])<<56
		quote, backslash := w^each*'"', w^each*'\\'
		// The highest bit of a byte is set if the byte is 0x80 or more, below 0x20, or one of the two marks. Because of
		// borrowing it may also be set in bytes above such a byte; the lowest one is exact.
		if other := (w | (w - each*0x20) | (quote - each) | (backslash - each)) & (each * 0x80); other != 0 {
			s.at += bits.TrailingZeros64(other) / 8
			return
		}
	}
}

// names are those of one object. The first few are compared one by one, if their length and last byte could be equal; the
// many names of a hostile object are not.
type names struct {
	few  [32]struct{ from, to int32 }
	n    int
	seen uint64 // a bit for each length and last byte seen
	many map[string]bool
}

// add adds name and reports whether it is new.
func (n *names) add(data string, name span) bool {
	if n.many == nil && n.n < len(n.few) && !name.escaped {
		bit := bits.RotateLeft64(1, name.to-name.from+5*int(data[name.to-2]))
		if n.seen&bit != 0 {
			for _, other := range n.few[:n.n] {
				if data[other.from:other.to] == data[name.from:name.to] {
					return false
				}
			}
		}
		n.seen |= bit
		n.few[n.n].from, n.few[n.n].to = int32(name.from), int32(name.to)
		n.n++
		return true
	}
	if n.many == nil {
		n.many = map[string]bool{}
		for _, other := range n.few[:n.n] {
			n.many[data[other.from+1:other.to-1]] = true
		}
	}
	plain := data[name.from+1 : name.to-1]
	if name.escaped {
		unquoted, _ := jsontext.AppendUnquote(nil, data[name.from:name.to])
		plain = string(unquoted)
	}
	if n.many[plain] {
		return false
	}
	n.many[plain] = true
	return true
}
