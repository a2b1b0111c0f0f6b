// Package strictjson parses JSON written by strangers.
//
// encoding/json matches member names without regard to case and lets the last of two equal names win, so that
// {"sub":"alice","SUB":"mallory"} signs mallory in. This package is the one place that decides how foreign JSON is
// parsed: member names match exactly; duplicate names, invalid UTF-8 and trailing data are errors. It is based on the
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

// Raw is a JSON value in its original text.
type Raw = jsontext.Value

// maxDepth limits nesting. No document of the protocol is nested deeper than a few levels.
const maxDepth = 32

var errDepth = fmt.Errorf("nested deeper than %d levels", maxDepth)

// Unmarshal parses data, which must be exactly one JSON value, into v. Errors contain no values of the document.
func Unmarshal(data []byte, v any) error {
	if tooDeep(data) {
		return errDepth
	}
	return describe(json.Unmarshal(data, v))
}

// Marshal encodes v as JSON.
func Marshal(v any) ([]byte, error) { return json.Marshal(v, json.Deterministic(true)) }

// tooDeep counts brackets outside strings. It need not be right for text that is not JSON, which the parser refuses.
func tooDeep(data []byte) bool {
	if bytes.Count(data, []byte{'['})+bytes.Count(data, []byte{'{'}) <= maxDepth {
		return false // as is nearly always the case
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

// describe keeps the position and kind of an error, and leaves out the document's own bytes, which may be a token or a
// secret.
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
		if semantic.GoType == nil {
			return fmt.Errorf("not the JSON that is wanted (at byte %d)", semantic.ByteOffset)
		}
		return fmt.Errorf("JSON %v where a Go %v is wanted (at byte %d)", semantic.JSONKind, semantic.GoType.Kind(), semantic.ByteOffset)
	default:
		return errors.New("not the JSON that is wanted")
	}
}

// maxElements is how many elements Elements reads: more would make much work of a small document.
const maxElements = 1000

// Elements returns the elements of the array that the object data has under name, each in its original text and not
// parsed, so that one broken element does not spoil the others. It is an error if the name occurs twice, and if there are
// more than 1000 elements.
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
		switch {
		case err != nil:
			return nil, describe(err)
		case len(elements) == maxElements:
			return nil, fmt.Errorf("an array of more than %d elements", maxElements)
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
