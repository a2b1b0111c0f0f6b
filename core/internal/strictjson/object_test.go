package strictjson

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseObject(t *testing.T) {
	in := `{"a":1, "b" : "x\ny","":null,"c\u0031":[{"d":"\\"}] ,"A":{"a":1,"b":2}}`
	o, err := ParseObject([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a": "1", "b": `"x\ny"`, "": "null", "c1": `[{"d":"\\"}]`, "A": `{"a":1,"b":2}`}
	if got := maps.Collect(o.All()); !maps.Equal(got, want) || o.Text() != in {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, value := range want {
		if o.Get(name) != value {
			t.Errorf("%q is %s", name, o.Get(name))
		}
	}
	if o.Get("x") != "" {
		t.Error("there is an x")
	}
}

func TestParseObjectRefuses(t *testing.T) {
	for _, in := range []string{
		``, ` `, `null`, `1`, `"a"`, `[]`, `true`, `{`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1,}`, `{,}`, `{a:1}`, `{1:1}`, `{"a":1]`, `{"a" 1}`,
		`{"a":1}x`, `{"a":1}{}`, `{"a":1} null`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`, `{"a":"` + "\x01" + `"}`,
		`{"a":"` + "\xff" + `"}`, `{"` + "\xff" + `":1}`, `{"a":"\ud800"}`, `{"a":01}`, `{"a":NaN}`, "\ufeff{}",
		`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
	} {
		if o, err := ParseObject([]byte(in)); err == nil || o.Text() != "" {
			t.Errorf("%q is read as %v", in, o)
		}
		if err := EachMember([]byte(in), func(string, string) {}); err == nil {
			t.Errorf("%q has members", in)
		}
	}
}

// Eight bytes are passed over at a time: each byte, at each place among them and behind another that must be looked at, is read as Unmarshal reads it.
func TestStringByteByByte(t *testing.T) {
	for c := range 256 {
		for place := range 18 {
			for _, around := range []string{"a", `\"`, "é", "\x7f", "~"} {
				in := `{"a":"` + strings.Repeat("x", place) + string([]byte{byte(c)}) + around + `yyyyyyyyyyyyyyy"}`
				var want map[string]Raw
				wantErr := Unmarshal([]byte(in), &want)
				got, err := ParseObject([]byte(in))
				if (err == nil) != (wantErr == nil) || err == nil && got.Get("a") != string(want["a"]) {
					t.Fatalf("%q: %q, %v, and Unmarshal says %q, %v", in, got.Get("a"), err, want["a"], wantErr)
				}
			}
		}
	}
}

// Names that differ in little, and names that stand twice, whatever their lengths and last bytes.
func TestNamesOneByOne(t *testing.T) {
	for _, names := range [][]string{{"", "a"}, {"a", "b"}, {"ab", "bb"}, {"abc", "abd"}, {"sub", "sib"}, {strings.Repeat("n", 70), strings.Repeat("n", 69) + "m"}, {"aé", "bé"}} {
		for _, twice := range append(names, "") {
			in := `{"first":0`
			for _, name := range names {
				in += fmt.Sprintf(`,%q:1`, name)
			}
			if twice != "" || names[0] == "" {
				in += fmt.Sprintf(`,%q:2`, twice)
			}
			var want map[string]Raw
			if _, err := ParseObject([]byte(in + "}")); (err == nil) != (Unmarshal([]byte(in+"}"), &want) == nil) {
				t.Errorf("%s: %v", in, err)
			}
		}
	}
}

func TestStrings(t *testing.T) {
	for in, want := range map[string][]string{
		`[]`: {}, `["a"]`: {"a"}, `["a" , "b,c","" ]`: {"a", "b,c", ""}, `[1,"a",null,true]`: {"a"}, `["\u0061","\""]`: {"a", `"`}, `[["a"],{"b":"c"},"d"]`: {"d"},
	} {
		mixed := in[1] == '1' || in[1] == '['
		if got, others, ok := Strings(in); !ok || others != mixed || !slices.Equal(got, want) {
			t.Errorf("%s is %q, %v, %v", in, got, others, ok)
		}
	}
	for _, in := range []string{`"a"`, `null`, `{"a":"b"}`, `1`, ``} {
		if got, _, ok := Strings(in); ok {
			t.Errorf("%s is %q", in, got)
		}
	}
}

// ParseObject and Unmarshal must accept the same documents, and see the same in them.
func FuzzParseObject(f *testing.F) {
	many := func(last string) string { // more names than are compared one by one
		in := "{"
		for i := range 40 {
			in += fmt.Sprintf(`"m%d":1,`, i)
		}
		return in + last + ":2}"
	}
	for _, in := range []string{
		many(`"new"`), many(`"m7"`), many(`"\u006d39"`), `{"\u0061":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"a":-0.0e+10,"b":1.5E3}`, `{"a":-}`, `{"a":1.}`, `{"a":1e}`, `{"a":+1}`,
		`{"a":"\ude00\ud83d"}`, `{"a":"\ud83d\ude00"}`, `{"a":"\x"}`, `{"a":"\u00e"}`, `{"a":tru}`, `{"a":"\"}`, "{\"a\":\"\x7f\x1f\"}", ` { "a" : [ 1 , 2 ] } `, `{"a":[1,]}`, `{"ä":"ö"}`,
		strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32), strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33),
		`{}`, `{"a":1,"b":"x","c":["y","\u00e9",{"z":null}]}`, `{"a":1,"\u0061":2}`, `null`, `{"a":"\ud800"}`, `{"":[[[]]]} `, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var want map[string]Raw
		wantErr := Unmarshal(in, &want)
		o, err := ParseObject(in)
		if (err == nil) != (wantErr == nil && want != nil) {
			t.Fatalf("%q: %v, and Unmarshal says %v", in, err, wantErr)
		}
		var members []member
		if each := EachMember(in, func(name, value string) { members = append(members, member{name, value}) }); (each == nil) != (err == nil) {
			t.Fatalf("%q: %v, and EachMember says %v", in, err, each)
		}
		if err != nil {
			return
		}
		if !slices.Equal(members, o.members) {
			t.Errorf("%q has %q, and to EachMember %q", in, o.members, members)
		}
		n := 0
		for name, value := range o.All() {
			n++
			if string(want[name]) != value {
				t.Errorf("%q: %q is %q, and to Unmarshal %q", in, name, value, want[name])
			}
			var s string
			isString := value[0] == '"' && Unmarshal([]byte(value), &s) == nil
			if got, ok := String(value); ok != isString || got != s {
				t.Errorf("%q says %q, and to Unmarshal %q", value, got, s)
			}
			var elements []any
			isArray := value[0] == '[' && Unmarshal([]byte(value), &elements) == nil
			var texts []string
			for _, e := range elements {
				if s, ok := e.(string); ok {
					texts = append(texts, s)
				}
			}
			if all, mixed, ok := Strings(value); ok != isArray || !slices.Equal(all, texts) || mixed != (len(texts) < len(elements)) {
				t.Errorf("%q: %q", value, all)
			}
		}
		if n != len(want) {
			t.Errorf("%q has %d members, and to Unmarshal %d", in, n, len(want))
		}
	})
}
