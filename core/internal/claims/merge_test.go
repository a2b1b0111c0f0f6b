package claims

import (
	"cmp"
	"strings"
	"testing"
)

func TestMerge(t *testing.T) {
	for name, row := range map[string]struct {
		roles   string // the places, separated by commas; empty: roles
		sources []string
		stale   int // the number of the source whose roles are left out
		want    string
		from    string
	}{
		"none":                       {"", nil, 0, `{}`, ""},
		"one":                        {"", []string{`{"sub":"s","roles":["a"]}`}, 0, `{"sub":"s","roles":["a"]}`, "1"},
		"the first that knows":       {"", []string{`{"a":1}`, `{"a":2,"b":2}`, `{"a":3,"b":3,"c":3}`}, 0, `{"a":1,"b":2,"c":3}`, ""},
		"null is known":              {"", []string{`{"name":null}`, `{"name":"A"}`}, 0, `{"name":null}`, ""},
		"roles of the second":        {"", []string{`{"sub":"s"}`, `{"roles":["b"]}`}, 0, `{"sub":"s","roles":["b"]}`, "2"},
		"empty roles are known":      {"", []string{`{"roles":[]}`, `{"roles":["b"]}`}, 0, `{"roles":[]}`, "1"},
		"custom roles of another":    {"", []string{`{"roles":["a"]}`, `{"roles":["b"],"custom_roles":["c"]}`}, 0, `{"roles":["a"],"custom_roles":["c"]}`, "1"},
		"custom roles alone":         {"", []string{`{"sub":"s"}`, `{"custom_roles":["c"]}`}, 0, `{"sub":"s","custom_roles":["c"]}`, "2"},
		"stale roles":                {"", []string{`{"sub":"s"}`, `{"a":1,"roles":["old"],"custom_roles":["old"]}`}, 2, `{"sub":"s","a":1}`, ""},
		"stale roles, and new ones":  {"", []string{`{"sub":"s"}`, `{"roles":["old"],"custom_roles":["old"]}`, `{"roles":["b"]}`}, 2, `{"sub":"s","roles":["b"]}`, "3"},
		"stale roles within":         {"realm/roles", []string{`{"sub":"s"}`, `{"realm":{"roles":["old"]}}`}, 2, `{"sub":"s"}`, ""},
		"roles within":               {"realm/roles", []string{`{"realm":{"x":1}}`, `{"realm":{"roles":["b"]}}`}, 0, `{"realm":{"roles":["b"]}}`, "2"},
		"no roles within":            {"realm/roles", []string{`{"realm":{"x":1}}`, `{"realm":{"y":1}}`}, 0, `{"realm":{"x":1}}`, ""},
		"places of two sources":      {"roles,realm/roles", []string{`{"realm":{"roles":["a"]}}`, `{"roles":["b"]}`}, 0, `{"realm":{"roles":["a"]}}`, "1"},
		"places of one source":       {"roles,realm/roles", []string{`{"realm":{"roles":["a"]},"roles":["b"]}`}, 0, `{"realm":{"roles":["a"]},"roles":["b"]}`, "1"},
		"a place without roles":      {"roles,realm/roles", []string{`{"realm":{"x":1}}`, `{"roles":["b"]}`}, 0, `{"realm":{"x":1},"roles":["b"]}`, "2"},
		"stale roles of two places":  {"roles,realm/roles", []string{`{"sub":"s"}`, `{"realm":{"roles":["old"]},"roles":["old"]}`}, 2, `{"sub":"s"}`, ""},
		"verified elsewhere":         {"", []string{`{"email":"a"}`, `{"email":"b","email_verified":true}`}, 0, `{"email":"a"}`, ""},
		"verified by the second":     {"", []string{`{"email":"a"}`, `{"email":"a","email_verified":true}`}, 0, `{"email":"a","email_verified":true}`, ""},
		"verified, of no address":    {"", []string{`{"email_verified":true}`, `{"email":"b"}`}, 0, `{"email":"b"}`, ""},
		"verified, then an address":  {"", []string{`{"email_verified":true}`, `{"email":"b","email_verified":false}`}, 0, `{"email":"b","email_verified":false}`, ""},
		"verified by the third":      {"", []string{`{"email":"a"}`, `{"email_verified":true}`, `{"email":"a","email_verified":false}`}, 0, `{"email":"a","email_verified":false}`, ""},
		"verified, no address":       {"", []string{`{"sub":"s"}`, `{"email_verified":true}`}, 0, `{"sub":"s","email_verified":true}`, ""},
		"about the token":            {"", []string{`{"aud":"a","azp":"a","exp":1,"nbf":1,"iat":1,"jti":"j","nonce":"n","at_hash":"h","c_hash":"c","client_id":"i","scope":"s","scp":"s","typ":"t","acr":"1"}`}, 0, `{"acr":"1"}`, ""},
		"values as they are written": {"", []string{`{ "a" : 1.50, "\u00e9":"\u00e9" }`}, 0, `{"a":1.50,"é":"\u00e9"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			roles := ParsePlaces(strings.Split(cmp.Or(row.roles, "roles"), ",")...)
			var sources []Source
			for i, text := range row.sources {
				sources = append(sources, Source{Name: string(rune('1' + i)), Claims: object(t, text), WithoutRoles: i+1 == row.stale})
			}
			got, err := Merge(Roles{Places: roles}, sources...)
			if err != nil || got.Claims.Text() != row.want || got.RolesFrom != row.from {
				t.Errorf("got %s from %q, %v, want %s from %q", got.Claims.Text(), got.RolesFrom, err, row.want, row.from)
			}
		})
	}
}

func TestVerifiedFrom(t *testing.T) {
	for name, row := range map[string]struct{ one, two, want string }{
		"none":       {`{}`, `{}`, ""},
		"the first":  {`{"email":"a","email_verified":"true"}`, `{"email":"a","email_verified":true}`, "1"},
		"the second": {`{"email":"a"}`, `{"email":"a","email_verified":"true"}`, "2"},
		"another":    {`{"email":"a"}`, `{"email":"b","email_verified":"true"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Merge(Roles{Places: ParsePlaces("roles")}, Source{Name: "1", Claims: object(t, row.one)}, Source{Name: "2", Claims: object(t, row.two)})
			if err != nil || got.VerifiedFrom != row.want {
				t.Errorf("got %q, %v", got.VerifiedFrom, err)
			}
		})
	}
}
