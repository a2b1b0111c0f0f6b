package strictjson

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object that was read whole, as strictly as Unmarshal reads: names are exact and stand once. It is for
// what is read at every request: one pass, and all that it gives out is cut from one copy of the text.
type Object struct {
	text    string
	members []member
}

type member struct{ name, value string }

var errNotObject = errors.New("not a JSON object")

type reader struct {
	source  bytes.Buffer
	decoder *jsontext.Decoder
}

// Decoders have buffers, which are used again.
var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.decoder = jsontext.NewDecoder(&r.source)
	return r
}}

// ParseObject reads data, which must be exactly one JSON object. It copies data. Errors do not hold values of the document.
func ParseObject(data []byte) (Object, error) {
	if tooDeep(data) {
		return Object{}, errDepth
	}
	r := readers.Get().(*reader)
	defer readers.Put(r)
	r.source.Reset()
	r.source.Write(data)
	r.decoder.Reset(&r.source)
	return readObject(r.decoder, string(data))
}

func readObject(d *jsontext.Decoder, text string) (Object, error) {
	if d.PeekKind() != jsontext.KindBeginObject {
		_, err := d.ReadValue()
		return Object{}, errors.Join(errNotObject, describe(err))
	}
	if _, err := d.ReadToken(); err != nil {
		return Object{}, describe(err)
	}
	o := Object{text: text, members: make([]member, 0, 24)}
	for d.PeekKind() == jsontext.KindString {
		name, err := next(d, text)
		if err != nil {
			return Object{}, err
		}
		value, err := next(d, text)
		if err != nil {
			return Object{}, err
		}
		plain, _ := String(name)
		o.members = append(o.members, member{plain, value})
	}
	if _, err := d.ReadToken(); err != nil { // the end, or what stands in the place of a name
		return Object{}, describe(err)
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return Object{}, errors.New("not JSON: something follows the object")
	}
	return o, nil
}

// next is the next value, cut from text.
func next(d *jsontext.Decoder, text string) (string, error) {
	value, err := d.ReadValue()
	if err != nil {
		return "", describe(err)
	}
	end := int(d.InputOffset())
	return text[end-len(value) : end], nil
}

// Text is the whole object.
func (o Object) Text() string { return o.text }

// Get returns a member's value in its own text; "" where there is none.
func (o Object) Get(name string) string {
	for i := range o.members {
		if o.members[i].name == name {
			return o.members[i].value
		}
	}
	return ""
}

// All goes through the members in their order, each value in its own text.
func (o Object) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, m := range o.members {
			if !yield(m.name, m.value) {
				return
			}
		}
	}
}

// String returns what a JSON string says; ok is false for any other value. value must be valid JSON.
func String(value string) (s string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if strings.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	plain, err := jsontext.AppendUnquote(nil, value)
	return string(plain), err == nil
}

// Strings returns the elements of a JSON array that are strings; mixed says that there are others, and ok is false for any
// other value. value must be valid JSON.
func Strings(value string) (all []string, mixed, ok bool) {
	if len(value) < 2 || value[0] != '[' {
		return nil, false, false
	}
	if strings.ContainsAny(value[1:], `\[{`) { // the general case
		var elements []Raw
		if Unmarshal([]byte(value), &elements) != nil {
			return nil, false, false
		}
		for _, e := range elements {
			s, ok := String(string(e))
			if ok {
				all = append(all, s)
			}
			mixed = mixed || !ok
		}
		return all, mixed, true
	}
	all = make([]string, 0, strings.Count(value, `"`)/2)
	rest := value[1 : len(value)-1]
	for { // no escapes and no nesting: every other quotation mark ends a string
		begin := strings.IndexByte(rest, '"')
		if begin < 0 {
			return all, mixed || strings.Trim(rest, ", \t\r\n") != "", true
		}
		mixed = mixed || strings.Trim(rest[:begin], ", \t\r\n") != ""
		rest = rest[begin+1:]
		end := strings.IndexByte(rest, '"')
		all, rest = append(all, rest[:end]), rest[end+1:]
	}
}
