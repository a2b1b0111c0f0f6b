package claims

import (
	"slices"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	for value, row := range map[string]struct {
		separator string
		want      []string
		odd       string // a part of it
	}{
		`"admin"`:            {"", []string{"admin"}, ""},
		`""`:                 {"", nil, ""},
		`"admin,user"`:       {"", []string{"admin,user"}, "comma"},
		`"admin, user,,"`:    {",", []string{"admin", "user"}, ""},
		`"admin user"`:       {" ", []string{"admin", "user"}, ""},
		`"\u0061,b"`:         {",", []string{"a", "b"}, ""},
		`["a","b,c",""]`:     {",", []string{"a", "b,c"}, ""},
		`[]`:                 {"", nil, ""},
		`["a",1,"b"]`:        {"", []string{"a", "b"}, "array"},
		`["a",null]`:         {"", []string{"a"}, ""},
		`[["a"]]`:            {"", nil, "array"},
		`[{"name":"a"},"b"]`: {"", []string{"a", "b"}, ""},
		`[{"name":"a","isEnabled":true},{"name":"b","isEnabled":false},{"name":"c","enabled":0}]`: {"", []string{"a"}, ""},
		`[{"id":"a"}]`: {"", nil, "name"},
		`[{"name":1}]`: {"", nil, "name"},
		`{"admin":{"1":"example.org"},"user":true,"x":{}}`: {"", []string{"admin", "user", "x"}, ""},
		`{"admin":false}`:   {"", nil, ""},
		`{"admin":null}`:    {"", nil, ""},
		`{"admin":"false"}`: {"", nil, "member"},
		`{"admin":"true","owner":1,"root":["x"],"ok":true}`: {"", []string{"ok"}, "member"},
		`{}`:        {"", nil, ""},
		`{"":true}`: {"", nil, ""},
		`null`:      {"", nil, ""},
		`true`:      {"", nil, "neither"},
		`4711`:      {"", nil, "neither"},
	} {
		t.Run(value, func(t *testing.T) {
			roles := Roles{Places: ParsePlaces("r"), Separator: row.separator}
			got, odd := roles.In(object(t, `{"r":`+value+`}`))
			if !slices.Equal(got, row.want) || !strings.Contains(odd, row.odd) || (odd == "") != (row.odd == "") {
				t.Errorf("got %q, %q, want %q", got, odd, row.want)
			}
		})
	}
}

func TestRolesAmongClaims(t *testing.T) {
	roles := Roles{Places: ParsePlaces("realm/roles", "groups")}
	claims := object(t, `{"sub":"s","realm":{"roles":["a","b"]},"groups":["b","c"],"custom_roles":["d"]}`)
	if got, odd := roles.In(claims); !slices.Equal(got, []string{"a", "b"}) || odd != "" {
		t.Errorf("got %q, %q", got, odd)
	}
	only, err := roles.Only(claims)
	if want := `{"realm":{"roles":["a","b"]},"groups":["b","c"],"custom_roles":["d"]}`; err != nil || only.Text() != want {
		t.Errorf("got %s, %v", only.Text(), err)
	}
	without, err := roles.Without(claims)
	if err != nil || without.Text() != `{"sub":"s"}` || roles.Known(without) || !roles.Known(claims) {
		t.Errorf("got %s, %v", without.Text(), err)
	}
	if some, err := Some(claims, "sub", "x"); err != nil || some.Text() != `{"sub":"s"}` {
		t.Errorf("got %s, %v", some.Text(), err)
	}
}

func FuzzRoles(f *testing.F) {
	for _, value := range []string{`"a,b"`, `["a",{"name":"b"},1]`, `{"a":{},"b":false}`, `[[[]]]`, `true`} {
		f.Add(value, ",")
	}
	f.Fuzz(func(t *testing.T, value, separator string) {
		claims, err := ParseObject([]byte(`{"r":` + value + `}`))
		if err != nil {
			return
		}
		roles, _ := Roles{Places: ParsePlaces("r"), Separator: separator}.In(claims)
		if slices.Contains(roles, "") {
			t.Errorf("%s has an empty role", value)
		}
	})
}
