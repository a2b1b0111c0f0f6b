package claims

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

func object(t testing.TB, text string) strictjson.Object {
	t.Helper()
	o, err := strictjson.ParseObject([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestParse(t *testing.T) {
	text := `{"iss":"i","sub":"s","aud":["a","b"],"azp":"a","nonce":"n","at_hash":"h","c_hash":"h","exp":4,"nbf":3,"iat":2.5,"auth_time":1,"roles":["x"]}`
	got, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, n, h := "a", "n", "h"
	want := &Claims{
		Object: object(t, text), Issuer: "i", Subject: "s", Audience: []string{"a", "b"}, AuthorizedParty: &a, Nonce: &n, AccessTokenHash: &h, CodeHash: &h,
		Expiry: time.Unix(4, 0), NotBefore: time.Unix(3, 0), IssuedAt: time.UnixMilli(2500), AuthTime: time.Unix(1, 0),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !got.Has("roles") || got.Has("role") {
		t.Error("Has is wrong")
	}
}

func TestParseAbsent(t *testing.T) {
	for _, text := range []string{
		`{}`, `{"iss":null,"sub":null,"aud":null,"azp":null,"nonce":null,"at_hash":null,"exp":null,"nbf":null,"iat":null,"auth_time":null}`,
	} {
		t.Run(text, func(t *testing.T) {
			got, err := Parse([]byte(text))
			if want := (&Claims{Object: object(t, text)}); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	if got, err := Parse([]byte(`{"nonce":""}`)); err != nil || got.Nonce == nil || *got.Nonce != "" {
		t.Errorf("an empty nonce is %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `"a"`, `null`, `{`, `{}{}`, `{"a":1,"a":1}`, `{"sub":"a","s\u0075b":"b"}`, "{\"a\":\"\xff\"}",
		`{"iss":1}`, `{"sub":["s"]}`, `{"sub":true}`, `{"sub":"a\ud800"}`, `{"iss":"\udc00\ud83d"}`, `{"aud":["a","\ud83d"]}`, `{"nonce":"\udfff"}`,
		`{"aud":1}`, `{"aud":{}}`, `{"aud":["a",1]}`, `{"aud":["a",null]}`, `{"aud":[["a"]]}`,
		`{"exp":"1"}`, `{"exp":0}`, `{"exp":-1}`, `{"exp":253402300800}`, `{"exp":1e300}`, `{"exp":9223372036854775807}`, `{"exp":true}`,
		`{"nbf":"now"}`, `{"nbf":"1"}`, `{"nbf":1e12}`, `{"nbf":{}}`,
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := Parse([]byte(text)); err == nil || got != nil || !strings.HasPrefix(err.Error(), "claims: ") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// What decides nothing is left out, and whoever needs it can tell.
func TestParseOdd(t *testing.T) {
	for _, row := range []struct {
		text string
		odd  []string
	}{
		{`{"azp":["a"],"nonce":1,"at_hash":{},"c_hash":true,"iat":"now","auth_time":"1"}`, []string{"azp", "nonce", "at_hash", "c_hash", "iat", "auth_time"}},
		{`{"iat":1e12}`, []string{"iat"}},
		{`{"nbf":0,"iat":0,"auth_time":0}`, nil},
		{`{"nbf":-62135596800,"iat":-1,"auth_time":0.5}`, nil},
		{`{"name":1,"email":[],"roles":{},"email_verified":"x"}`, nil},
	} {
		t.Run(row.text, func(t *testing.T) {
			got, err := Parse([]byte(row.text))
			if err != nil {
				t.Fatal(err)
			}
			if want := (&Claims{Object: object(t, row.text), odd: row.odd}); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			for _, name := range row.odd {
				if !got.Odd(name) {
					t.Errorf("%s is not odd", name)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"iss":"i","aud":"a","exp":1.5,"nonce":null,"roles":{"a":["b"]}}`))
	f.Add([]byte(`{"aud":["a","\u00e9"],"iat":1e9}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := Parse(payload)
		if err != nil {
			return
		}
		for _, name := range c.Oddities() {
			if slices.Contains(needed, name) || !c.Has(name) {
				t.Errorf("%s is odd", name)
			}
		}
		for _, at := range []time.Time{c.Expiry, c.NotBefore, c.IssuedAt, c.AuthTime} {
			if !at.IsZero() && (at.Unix() < 1 || at.Unix() > maxNumericDate) {
				t.Errorf("a time is %v", at)
			}
		}
		if again, err := Parse([]byte(c.Object.Text())); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("not the same again: %v", err)
		}
		m, err := Merge(Roles{Places: ParsePlaces("roles/a")}, Source{Name: "one", Claims: c.Object}, Source{Name: "two", Claims: c.Object})
		if err != nil || m.RolesFrom == "two" {
			t.Fatalf("not merged with itself: %v, %v", m.RolesFrom, err)
		}
		for name, value := range m.Claims.All() {
			if c.Get(name) != value {
				t.Errorf("%s is %s, want %s", name, value, c.Get(name))
			}
		}
	})
}
