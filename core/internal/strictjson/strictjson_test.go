package strictjson

import (
	"strings"
	"testing"
)

type claims struct {
	Subject string `json:"sub"`
}

func TestUnmarshal(t *testing.T) {
	for name, row := range map[string]struct{ in, want, err string }{
		"plain":                 {in: `{"sub":"alice"}`, want: "alice"},
		"other case is ignored": {in: `{"sub":"alice","SUB":"mallory"}`, want: "alice"},
		"long s is ignored":     {in: `{"sub":"alice","ſub":"mallory"}`, want: "alice"},
		"duplicate":             {in: `{"sub":"alice","sub":"mallory"}`, err: "twice"},
		"escaped duplicate":     {in: `{"sub":"alice","\u0073ub":"mallory"}`, err: "twice"},
		"duplicate inside":      {in: `{"sub":"alice","a":{"b":1,"b":2}}`, err: "twice"},
		"trailing":              {in: `{"sub":"alice"}{}`, err: "not JSON"},
		"trailing comma":        {in: `{"sub":"alice",}`, err: "not JSON"},
		"byte order mark":       {in: "\ufeff{}", err: "not JSON"},
		"invalid UTF-8":         {in: "{\"sub\":\"\xff\"}", err: "not JSON"},
		"lone surrogate":        {in: `{"sub":"\ud800"}`, err: "not JSON"},
		"number for string":     {in: `{"sub":4711}`, err: "is wanted"},
		"array":                 {in: `["alice"]`, err: "is wanted"},
		"empty":                 {in: ``, err: "not"},
		"deep":                  {in: `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, err: "deeper"},
		"brackets in a string":  {in: `{"sub":"` + strings.Repeat("[", 100) + `"}`, want: strings.Repeat("[", 100)},
	} {
		t.Run(name, func(t *testing.T) {
			var got claims
			err := Unmarshal([]byte(row.in), &got)
			if row.err == "" && (err != nil || got.Subject != row.want) {
				t.Errorf("got %q, %v, want %q", got.Subject, err, row.want)
			}
			if row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)) {
				t.Errorf("got error %v, want one with %q", err, row.err)
			}
			if err != nil && strings.Contains(err.Error(), "4711") {
				t.Errorf("error %q holds a value of the document", err)
			}
		})
	}
}

func TestElements(t *testing.T) {
	for name, row := range map[string]struct {
		in   string
		want int
		err  string
	}{
		"two":                        {in: `{"keys":[{"a":1},{"b":2}]}`, want: 2},
		"none":                       {in: `{"keys":[]}`},
		"a broken element is passed": {in: `{"keys":[{"a":1,"a":2},null,7]}`, want: 3},
		"other members":              {in: `{"x":{"keys":1},"keys":[1],"y":[]}`, want: 1},
		"twice":                      {in: `{"keys":[1],"keys":[2]}`, err: "twice"},
		"absent":                     {in: `{}`, err: "no member"},
		"other case":                 {in: `{"KEYS":[]}`, err: "no member"},
		"not an array":               {in: `{"keys":{}}`, err: "is wanted"},
		"not an object":              {in: `[]`, err: "is wanted"},
		"trailing":                   {in: `{"keys":[]} x`, err: "follows"},
		"cut":                        {in: `{"keys":[1,`, err: "not JSON"},
		"HTML":                       {in: `<html>`, err: "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Elements([]byte(row.in), "keys")
			if row.err == "" && (err != nil || len(got) != row.want) {
				t.Errorf("got %d elements, %v, want %d", len(got), err, row.want)
			}
			if row.err != "" && (err == nil || !strings.Contains(err.Error(), row.err)) {
				t.Errorf("got error %v, want one with %q", err, row.err)
			}
		})
	}
}

func FuzzUnmarshal(f *testing.F) {
	f.Add([]byte(`{"sub":"alice","keys":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m map[string]any
		if Unmarshal(data, &m) == nil && m != nil {
			if out, err := Marshal(m); err != nil {
				t.Errorf("what was read cannot be written: %v (%q)", err, out)
			}
		}
		_, _ = Elements(data, "keys")
	})
}
