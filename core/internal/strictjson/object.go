package strictjson

import (
	"errors"
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Object is a JSON object that was parsed completely, as strictly as Unmarshal does: names match exactly and are unique.
// It is for what is parsed at every request: one pass, and every string that it returns is part of one copy of the text.
type Object struct {
	text    string
	members []member
}

type member struct{ name, value string }

var errNotObject = errors.New("not a JSON object")

// ParseObject parses data, which must be exactly one JSON object. It copies data. Errors contain no values of the
// document.
func ParseObject(data []byte) (Object, error) {
	o := Object{text: string(data)}
	o.members = make([]member, 0, min(strings.Count(o.text, ":"), 32))
	if err := eachMember(o.text, func(name, value string) { o.members = append(o.members, member{name, value}) }); err != nil {
		return Object{}, err
	}
	return o, nil
}

// EachMember parses data as ParseObject does, and calls each with every member, in order: before it is known whether the rest
// of data is an object too. Every string that each is given is part of one copy of data.
func EachMember(data []byte, each func(name, value string)) error {
	return eachMember(string(data), each)
}

func eachMember(text string, each func(name, value string)) error {
	s := scanner{data: text}
	if s.space(); s.peek() != '{' {
		return errNotObject
	}
	if err := s.object(1, func(name, value span) {
		plain, _ := String(s.data[name.from:name.to])
		each(plain, s.data[value.from:value.to])
	}); err != nil {
		return err
	}
	if s.space(); s.at != len(s.data) {
		return errors.New("not JSON: something follows the object")
	}
	return nil
}

// Text returns the text of the whole object.
func (o Object) Text() string { return o.text }

// Get returns the original text of a member's value, or "" if there is none.
func (o Object) Get(name string) string {
	for i := range o.members {
		if o.members[i].name == name {
			return o.members[i].value
		}
	}
	return ""
}

// All iterates over the members in order, with the original text of each value.
func (o Object) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, m := range o.members {
			if !yield(m.name, m.value) {
				return
			}
		}
	}
}

// String decodes a JSON string; ok is false for any other value. value must be valid JSON.
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

// Strings returns the elements of a JSON array that are strings. mixed reports whether there are others; ok is false for
// any value but an array. value must be valid JSON.
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
	for { // no escapes and no nesting: every second quotation mark ends a string
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
