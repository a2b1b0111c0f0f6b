// Package strictjson reads JSON that strangers wrote.
//
// encoding/json matches member names without regard to case and lets the last of two
// equal names win, so that {"sub":"alice","SUB":"mallory"} signs mallory in. This package
// is the one place that decides how foreign JSON is read: member names match exactly,
// duplicate names, invalid UTF-8 and trailing data are errors. It stands on the
// implementation that became encoding/json/v2.
package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Raw is a JSON value in its own text.
type Raw = jsontext.Value

// maxDepth bounds nesting. No document of the protocol nests deeper than a few levels.
const maxDepth = 32

var errDepth = fmt.Errorf("nested deeper than %d levels", maxDepth)

// Unmarshal reads data, which must be exactly one JSON value, into v.
// Errors do not hold values of the document.
func Unmarshal(data []byte, v any) error {
	if tooDeep(data) {
		return errDepth
	}
	return describe(json.Unmarshal(data, v))
}

// Marshal writes v as JSON.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// tooDeep counts brackets outside strings. It need not be right for text that is not
// JSON: the parser refuses that.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= maxDepth {
		return false // as nearly always
	}
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// describe keeps where and what kind of fault it was, and leaves out the document's own
// bytes: they may be a token or a secret.
func describe(err error) error {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jsontext.ErrDuplicateName):
		return errors.New("not JSON: a member name stands twice")
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON (at byte %d)", syntax.ByteOffset)
	case errors.As(err, &semantic):
		return fmt.Errorf("JSON %v where a Go %v is wanted (at byte %d)", semantic.JSONKind, semantic.GoType, semantic.ByteOffset)
	default:
		return errors.New("not the JSON that is wanted")
	}
}

// Elements returns the elements of the array that the object data holds under name, each
// in its own text and none of them read: one broken element does not spoil the others. The
// name standing twice is an error.
func Elements(data []byte, name string) ([]Raw, error) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := expect(d, jsontext.KindBeginObject); err != nil {
		return nil, err
	}
	var elements []Raw
	found := false
	for d.PeekKind() == jsontext.KindString {
		member, err := d.ReadToken()
		switch {
		case err != nil:
			return nil, describe(err)
		case member.String() != name:
			if err := d.SkipValue(); err != nil {
				return nil, describe(err)
			}
		case found:
			return nil, fmt.Errorf("member %q stands twice", name)
		default:
			found = true
			if elements, err = readArray(d); err != nil {
				return nil, err
			}
		}
	}
	if err := expect(d, jsontext.KindEndObject); err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); err != io.EOF {
		return nil, errors.New("not JSON: something follows the object")
	}
	if !found {
		return nil, fmt.Errorf("no member %q", name)
	}
	return elements, nil
}

func readArray(d *jsontext.Decoder) ([]Raw, error) {
	if err := expect(d, jsontext.KindBeginArray); err != nil {
		return nil, err
	}
	elements := []Raw{}
	for d.PeekKind() != jsontext.KindEndArray {
		value, err := d.ReadValue()
		if err != nil {
			return nil, describe(err)
		}
		elements = append(elements, value.Clone())
	}
	return elements, expect(d, jsontext.KindEndArray)
}

func expect(d *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := d.ReadToken()
	if err != nil {
		return describe(err)
	}
	if token.Kind() != kind {
		return fmt.Errorf("JSON %v where %v is wanted", token.Kind(), kind)
	}
	return nil
}
