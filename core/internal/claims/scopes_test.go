package claims

import (
	"slices"
	"strings"
	"testing"
)

func TestScopes(t *testing.T) {
	many := strings.Repeat("s ", maxScopes)
	for name, row := range map[string]struct {
		scope, scp string
		want       []string
		odd        bool
	}{
		"none":                        {"", "", nil, false},
		"null":                        {"null", "null", nil, false},
		"scope":                       {`"openid orders:read"`, "", []string{"openid", "orders:read"}, false},
		"scope as an array":           {`["a","b"]`, "", []string{"a", "b"}, false},
		"scp as text":                 {"", `"a b"`, []string{"a", "b"}, false},
		"scp as an array":             {"", `["a","b"]`, []string{"a", "b"}, false},
		"scope goes first":            {`"a"`, `["b"]`, []string{"a"}, false},
		"an empty scope":              {`""`, `["b"]`, []string{"b"}, false},
		"a scope that cannot be read": {`7`, `["b"]`, []string{"b"}, true},
		"spaces":                      {`"  a   b "`, "", []string{"a", "b"}, false},
		"escapes":                     {`"a\u0062 c"`, "", []string{"ab", "c"}, false},
		"a comma is part of a scope":  {`"a,b"`, "", []string{"a,b"}, false},
		"quotation marks":             {`"a\" error=\"x b"`, "", []string{"b"}, true},
		"a backslash":                 {`"a\\ b"`, "", []string{"b"}, true},
		"no ASCII":                    {`"a\u00e9 b"`, "", []string{"b"}, true},
		"a tab is no space":           {`"a\tb c"`, "", []string{"c"}, true},
		"a line end":                  {`"a\nb c"`, "", []string{"c"}, true},
		"two scopes in an element":    {"", `["a b","c"]`, []string{"c"}, true},
		"numbers among them":          {"", `["a",1,null]`, []string{"a"}, true},
		"an empty element":            {"", `["","a"]`, []string{"a"}, true},
		"an object":                   {`{"a":1}`, "", nil, true},
		"true":                        {`true`, "", nil, true},
		"as many as may be":           {`"` + strings.TrimSpace(many) + `"`, "", strings.Fields(many), false},
		"too many":                    {`"` + many + `s"`, "", nil, true},
		"too many in an array":        {"", `[` + strings.Repeat(`"s",`, maxScopes) + `"s"]`, nil, true},
		"a scope as long as may be":   {`"` + strings.Repeat("x", maxScope) + `"`, "", []string{strings.Repeat("x", maxScope)}, false},
		"a scope that is too long":    {`"` + strings.Repeat("x", maxScope+1) + ` a"`, "", []string{"a"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, odd := Scopes(row.scope, row.scp)
			if !slices.Equal(got, row.want) || (odd != "") != row.odd {
				t.Errorf("got %d %.60q, %q", len(got), got, odd)
			}
		})
	}
}

func FuzzScopes(f *testing.F) {
	for _, value := range []string{`"a b"`, `["a","b c"]`, `"a\" b"`, `"é"`, `[1,[],{}]`, `true`} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		known, err := ParseObject([]byte(`{"scope":` + value + `}`))
		if err != nil {
			return
		}
		scopes, _ := Scopes(known.Get("scope"), known.Get("scp"))
		for _, s := range scopes {
			if strings.ContainsAny(s, " \"\\\r\n\t") || s == "" || len(s) > maxScope {
				t.Errorf("%q is no scope", s)
			}
		}
		if len(scopes) > maxScopes {
			t.Errorf("%d scopes", len(scopes))
		}
	})
}
