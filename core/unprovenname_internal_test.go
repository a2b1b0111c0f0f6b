package idserver

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNameFromUser(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ user, want string }{
		"Apple's":            {`{"name":{"firstName":"Alice","lastName":"Tan"},"email":"alice@example.test"}`, "Alice Tan"},
		"beyond ASCII":       {`{"name":{"firstName":"爱丽丝","lastName":"O\u2019Neill-Šmíd"}}`, "爱丽丝 O’Neill-Šmíd"},
		"first alone":        {`{"name":{"firstName":" Alice "}}`, "Alice"},
		"last alone":         {`{"name":{"lastName":"Tan"}}`, "Tan"},
		"nothing":            {``, ""},
		"an email alone":     {`{"email":"alice@example.test"}`, ""},
		"an email as a name": {`{"name":{"firstName":"alice@example.test","lastName":""}}`, ""},
		"a wide at sign":     {`{"name":{"firstName":"alice\uff20example.test"}}`, ""},
		"markup":             {`{"name":{"firstName":"<b>Alice</b>"}}`, ""},
		"a line break":       {`{"name":{"firstName":"Alice\nTan"}}`, "Alice Tan"},
		"a control":          {`{"name":{"firstName":"Ali\u0000ce"}}`, ""},
		"right to left":      {`{"name":{"firstName":"\u202eecilA"}}`, ""},
		"half a surrogate":   {`{"name":{"firstName":"\ud83d"}}`, ""},
		"numbers":            {`{"name":{"firstName":1,"lastName":true}}`, ""},
		"a string":           {`{"name":"Alice"}`, ""},
		"an array":           {`[]`, ""},
		"not JSON":           {`Alice`, ""},
		"twice":              {`{"name":{"firstName":"A"},"name":{"firstName":"B"}}`, ""},
		"not UTF-8":          {"{\"name\":{\"firstName\":\"\xff\"}}", ""},
		"a long name":        {`{"name":{"firstName":"` + strings.Repeat("a", 129) + `"}}`, ""},
		"a long parameter":   {`{"name":{"firstName":"Alice"},"x":"` + strings.Repeat("a", 2048) + `"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := nameFromUser(row.user); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func FuzzNameFromUser(f *testing.F) {
	f.Add(`{"name":{"firstName":"Alice","lastName":"Tan"},"email":"alice@example.test"}`)
	f.Add(`{"name":{"firstName":"\u202e@"}}`)
	f.Fuzz(func(t *testing.T, user string) {
		name := nameFromUser(user)
		if len(name) > maxUnprovenName || !utf8.ValidString(name) || strings.ContainsFunc(name, isNotOfName) {
			t.Errorf("%q", name)
		}
	})
}
