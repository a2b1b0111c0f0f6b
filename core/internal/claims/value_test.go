package claims

import (
	"slices"
	"testing"
)

func TestText(t *testing.T) {
	for value, want := range map[string]string{`"a"`: "a", `"\u0061"`: "a", `""`: "", `1`: "", `null`: "", `["a"]`: "", ``: ""} {
		t.Run(value, func(t *testing.T) {
			if got := Text(value); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	for value, want := range map[string][]string{
		`["a","b"]`: {"a", "b"}, `"a"`: {"a"}, `"a,b c"`: {"a,b c"}, `["a",1,null,["b"],""]`: {"a"}, `["\u0061"]`: {"a"},
		`[]`: nil, `""`: nil, `[""]`: nil, `1`: nil, `{"a":true}`: nil, `null`: nil, ``: nil,
	} {
		t.Run(value, func(t *testing.T) {
			if got := Texts(value); !slices.Equal(got, want) || (got == nil) != (want == nil) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAt(t *testing.T) {
	o := object(t, `{"roles":["a"],"x":{"y":{"z":"b"},"roles":1},"x.y":"c"}`)
	for name, row := range map[string]struct {
		path []string
		want string
	}{
		"a claim":          {[]string{"roles"}, `["a"]`},
		"within":           {[]string{"x", "y", "z"}, `"b"`},
		"a name with dots": {[]string{"x.y"}, `"c"`},
		"none":             {[]string{"role"}, ""},
		"none within":      {[]string{"x", "z"}, ""},
		"within a list":    {[]string{"roles", "a"}, ""},
		"within nothing":   {[]string{"a", "b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := At(o, row.path); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	for name, row := range map[string]struct {
		places []string
		text   string
		want   string
	}{
		"a claim":                {[]string{"roles"}, `{"roles":["a"]}`, `["a"]`},
		"within":                 {[]string{"realm/roles"}, `{"realm":{"roles":["a"]},"roles":["b"]}`, `["a"]`},
		"far within":             {[]string{"a/b/c"}, `{"a":{"b":{"c":1}}}`, `1`},
		"none":                   {[]string{"roles"}, `{"realm":{"roles":["a"]}}`, ""},
		"the first that is":      {[]string{"x", "realm/roles", "roles"}, `{"realm":{"roles":["a"]},"roles":["b"]}`, `["a"]`},
		"null is there":          {[]string{"x", "roles"}, `{"x":null,"roles":["b"]}`, `null`},
		"a URL as the name":      {[]string{"https://app.example/roles"}, `{"https://app.example/roles":["a"]}`, `["a"]`},
		"a name before a path":   {[]string{"realm/roles"}, `{"realm":{"roles":["b"]},"realm/roles":["a"]}`, `["a"]`},
		"a URL is no path":       {[]string{"https://app.example/roles"}, `{"https:":{"":{"app.example":{"roles":["a"]}}}}`, ""},
		"a slash at the end":     {[]string{"realm/"}, `{"realm":{"":["a"]},"realm/":["b"]}`, `["b"]`},
		"no places":              {nil, `{"roles":["a"]}`, ""},
		"a level that is a text": {[]string{"roles/x"}, `{"roles":"x"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ParsePlaces(row.places...).In(object(t, row.text)); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestTouch(t *testing.T) {
	places := ParsePlaces("roles", "realm/roles", "https://app.example/roles")
	for name, want := range map[string]bool{
		"roles": true, "realm": true, "realm/roles": true, "https://app.example/roles": true, "https:": false, "": false, "role": false,
	} {
		t.Run(name, func(t *testing.T) {
			if got := places.Touch(name); got != want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestWith(t *testing.T) {
	for name, row := range map[string]struct{ text, name, value, want string }{
		"new":      {`{"a":1}`, "b", `"x"`, `{"a":1,"b":"x"}`},
		"first":    {`{}`, "b", `2`, `{"b":2}`},
		"replaced": {`{"a":1, "b":[1, 2],"c":3}`, "b", `null`, `{"a":1,"b":null,"c":3}`},
		"escaped":  {`{"\u0061":1}`, "a", `2`, `{"a":2}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := With(object(t, row.text), row.name, row.value); err != nil || got.Text() != row.want {
				t.Errorf("got %s, %v, want %s", got.Text(), err, row.want)
			}
		})
	}
	for _, value := range []string{``, `{`, `1,"sub":"m"`, `"` + "\xff" + `"`} {
		t.Run("refuses "+value, func(t *testing.T) {
			if got, err := With(object(t, `{"sub":"s"}`), "a", value); err == nil {
				t.Errorf("got %s", got.Text())
			}
		})
	}
}
