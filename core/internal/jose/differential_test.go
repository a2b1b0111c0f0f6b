package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// signedToken is a token, and what is odd about it is told by means that are not this package's.
type signedToken struct {
	text, algorithm, kid string // of the key, with which jwx is told to verify
	header               []byte // decoded, whatever the alphabet
	members              map[string]json.RawMessage
}

type reason struct {
	why   string
	holds func(signedToken) bool
}

func listed(reasons []reason, s signedToken) bool {
	return slices.ContainsFunc(reasons, func(r reason) bool { return r.holds(s) })
}

// stricter are the reasons for which a token is refused here that jwx takes. Nothing else may be refused.
var stricter = []reason{
	{"longer than a token may be", func(s signedToken) bool { return len(s.text) > MaxToken }},
	{"a line break, which Go's decoder passes over", func(s signedToken) bool { return strings.ContainsAny(s.text, "\r\n") }},
	{"padding, or another alphabet than base64url's (RFC 7515 section 2)", func(s signedToken) bool { return strings.ContainsAny(s.text, "=+/") }},
	{"unused bits of base64 that are set: one signature would have many spellings", func(s signedToken) bool {
		return slices.ContainsFunc(strings.Split(s.text, "."), func(part string) bool {
			decoded, err := base64.RawURLEncoding.DecodeString(part)
			return err == nil && !strings.ContainsAny(part, "\r\n") && base64.RawURLEncoding.EncodeToString(decoded) != part
		})
	}},
	{"a member name twice: who reads the first sees another header than who reads the last", func(s signedToken) bool { return hasTwice(s.header) }},
	{"crit, which jwx does not look at (RFC 7515 section 4.1.11)", has("crit")},
	{"b64, which changes what is signed (RFC 7797)", has("b64")},
	{"zip, which no JWS has", has("zip")},
	{"the token's alg is not the key's: jwx is told the algorithm, and does not compare", func(s signedToken) bool { return s.member("alg") != s.algorithm }},
	{"a kid, also an empty one, that is not the key's: jwx is told the key", func(s signedToken) bool {
		return s.members["kid"] != nil && string(s.members["kid"]) != "null" && s.member("kid") != s.kid
	}},
	{"a header that is not Unicode: jwx reads replacement characters", func(s signedToken) bool {
		return !utf8.Valid(s.header) || loneSurrogate(s.header)
	}},
	{"nested deeper than 32 levels", func(s signedToken) bool {
		return bytes.Count(s.header, []byte("["))+bytes.Count(s.header, []byte("{")) > 32
	}},
}

// looser are the only reasons for which jwx may refuse what is accepted here, though it was signed as it stands. They are all jwx's
// reading of what says nothing of the signature.
var looser = []reason{
	{"white space around the header, which JSON allows: jwx loses it, and verifies another text", func(s signedToken) bool {
		return !bytes.Equal(bytes.TrimSpace(s.header), s.header)
	}},
	{"a number that no float64 holds, in a member that is not read here", func(s signedToken) bool {
		var floats map[string]any
		return s.members != nil && json.Unmarshal(s.header, &floats) != nil
	}},
	{"members of which nothing is read here, for a token does not say by which key it is verified: jwx wants them to be good", func(s signedToken) bool {
		return slices.ContainsFunc([]string{"cty", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u"}, func(name string) bool { return s.members[name] != nil })
	}},
}

func has(name string) func(signedToken) bool {
	return func(s signedToken) bool { return s.members[name] != nil }
}

func (s signedToken) member(name string) (value string) {
	if json.Unmarshal(s.members[name], &value) != nil {
		return "\x00"
	}
	return value
}

// loneSurrogate finds an escape that stands for no character.
func loneSurrogate(text []byte) bool {
	var any any
	if json.Unmarshal(text, &any) != nil {
		return false
	}
	again, err := json.Marshal(any)
	return err == nil && bytes.Count(again, []byte("\ufffd")) > bytes.Count(text, []byte("\ufffd"))
}

// hasTwice reports whether an object anywhere in text has two members of one name.
func hasTwice(text []byte) bool {
	type level struct {
		object bool
		names  map[string]bool
		key    bool // the next one is a name
	}
	var levels []level
	d := json.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if len(levels) > 0 {
			if at := &levels[len(levels)-1]; at.object && token != json.Delim('}') {
				if at.key {
					name := token.(string)
					if at.names[name] {
						return true
					}
					at.names[name] = true
				}
				at.key = !at.key
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			levels = append(levels, level{token == json.Delim('{'), map[string]bool{}, true})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:len(levels)-1]
		}
	}
}

// What is done to a token: before it is signed to its two parts, or after it to all three.
const (
	asItIs = iota
	replaceAfter
	insertAfter
	removeAfter
	cutAfter
	replaceBefore
	insertBefore
	edits
)

func edited(text string, how uint8, at uint16, with byte) string {
	i := int(at) % (len(text) + 1)
	before, after := text[:i], text[i:]
	switch {
	case how == insertAfter || how == insertBefore:
		return before + string([]byte{with}) + after
	case how == cutAfter:
		return before
	case after == "":
		return text
	case how == removeAfter:
		return before + after[1:]
	}
	return before + string([]byte{with}) + after[1:]
}

// FuzzAgainstJWX: a token that is accepted here is one that was signed, and jwx takes it as well; what jwx takes is accepted. What is listed above
// is all that they differ in.
func FuzzAgainstJWX(f *testing.F) {
	const kid = "1"
	all := signers()
	var names []string
	keys := map[string][]Key{}
	for name, s := range all {
		names = append(names, name)
		keys[name] = parsed(f, nil, jwkOf(s.key.Public()).with("alg", name).with("kid", kid))
	}
	slices.Sort(names)
	for i, name := range names {
		n := uint8(i)
		good := `{"alg":"` + name + `","kid":"1"}`
		f.Add(n, good, `{"sub":"alice"}`, uint8(asItIs), uint16(0), byte(0))
		for how := uint8(1); how < edits; how++ {
			for _, at := range []uint16{0, 1, 21, 40, 60, 80, 65535} {
				for _, with := range []byte("A_.=+/ \n\x00\xe9") {
					f.Add(n, good, `{"sub":"alice"}`, how, at, with)
				}
			}
		}
	}
	ed := uint8(slices.Index(names, "EdDSA"))
	f.Add(ed, `{"alg":"EdDSA" }`, "", uint8(replaceAfter), uint16(21), byte('R')) // for Q: unused bits
	f.Add(ed, `{"alg":"EdDSA"  }`, "", uint8(insertAfter), uint16(23), byte('=')) // padding
	for _, header := range []string{
		`{"alg":"EdDSA"}`, ` {"alg":"EdDSA"}`, "{\"alg\":\"EdDSA\"}\n", `{"alg":"Ed25519"}`, `{"alg":"none"}`, `{"alg":"HS256"}`, `{"alg":"RS256"}`, `{}`, ``, `null`, `[]`, `"x"`,
		`{"alg":"EdDSA","kid":""}`, `{"alg":"EdDSA","kid":null}`, `{"alg":"EdDSA","kid":"2"}`, `{"alg":"EdDSA","kid":1}`, `{"alg":null}`, `{"alg":1}`,
		`{"alg":"EdDSA","alg":"EdDSA"}`, `{"alg":"none","alg":"EdDSA"}`, `{"alg":"EdDSA","\u0061lg":"none"}`, `{"alg":"EdDSA","x":{"y":1,"y":2}}`, `{"ALG":"EdDSA"}`,
		`{"alg":"EdDSA","ALG":"none"}`, `{"alg":"EdDSA","crit":["exp"],"exp":1}`, `{"alg":"EdDSA","crit":[]}`, `{"alg":"EdDSA","crit":null}`,
		`{"alg":"EdDSA","b64":false,"crit":["b64"]}`, `{"alg":"EdDSA","b64":true}`, `{"alg":"EdDSA","zip":"DEF"}`, `{"alg":"EdDSA","typ":"at+jwt","cty":"JWT"}`,
		`{"alg":"EdDSA","typ":1}`, `{"alg":"EdDSA","typ":null}`, `{"alg":"EdDSA","jwk":{"kty":"oct","k":"AA"}}`, `{"alg":"EdDSA","jwk":1}`, `{"alg":"EdDSA","jku":"https://evil.example"}`,
		`{"alg":"EdDSA","x5c":["!"]}`, `{"alg":"EdDSA","x5u":[]}`, "{\"alg\":\"EdDSA\",\"x\":\"\xff\"}", `{"alg":"EdDSA","x":"\ud800"}`, `{"alg":"EdDSA","\ud800":1,"\ud801":2}`,
		`{"alg":""}`, `{"alg":"EdDSA","jku":1}`, `{"\u0061lg":"EdDSA"}`, `{"alg":"EdDSA"}x`, ` {"alg":"EdDSA"} `,
		"{\n \"alg\" : \"EdDSA\"\r\n}", `{"alg":"EdDSA"}{}`, `{"alg":"EdDSA","x":1e999}`, `{"alg":"EdDSA","x":01}`, "\ufeff" + `{"alg":"EdDSA"}`,
		`{"alg":"EdDSA","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, `{"alg":"EdDSA","x":"` + strings.Repeat("x", MaxToken) + `"}`,
	} {
		f.Add(ed, header, `{"sub":"alice"}`, uint8(asItIs), uint16(0), byte(0))
		f.Add(ed, header, "", uint8(asItIs), uint16(0), byte(0))
		f.Add(ed, header, "\x00\xff", uint8(insertAfter), uint16(65535), byte('\n'))
	}
	f.Fuzz(func(t *testing.T, n uint8, header, payload string, how uint8, at uint16, with byte) {
		if len(header)+len(payload) > 2*MaxToken {
			return
		}
		name := names[int(n)%len(names)]
		how %= edits
		s := signedToken{algorithm: name, kid: kid}
		signed := b64([]byte(header)) + "." + b64([]byte(payload))
		if how == replaceBefore || how == insertBefore {
			signed = edited(signed, how, at, with)
		}
		authentic := signed + "." + b64(all[name].sign(all[name].key, []byte(signed)))
		s.text = authentic
		if how != asItIs && how < replaceBefore {
			s.text = edited(authentic, how, at, with)
		}
		encoded, _, _ := strings.Cut(s.text, ".")
		s.header, _ = base64.RawURLEncoding.DecodeString(strings.NewReplacer("=", "", "+", "-", "/", "_").Replace(encoded))
		_ = json.Unmarshal(s.header, &s.members)

		m, err := Parse(s.text)
		if err == nil {
			var key *Key
			if key, err = Select(keys[name], m.Header); err == nil {
				err = m.Verify(key)
			}
		}
		algorithm := jwa.SignatureAlgorithm(name)
		if name == "Ed25519" {
			algorithm = jwa.EdDSA // the name of before RFC 9864
		}
		theirs, theirErr := jws.Verify([]byte(s.text), jws.WithKey(algorithm, all[name].key.Public()), jws.WithCompact())
		switch {
		case err == nil && s.text != authentic:
			t.Errorf("%q is accepted, and %q was signed", s.text, authentic)
		case err == nil && theirErr != nil:
			if !listed(looser, s) {
				t.Errorf("%q, header %q, is accepted, and jwx says %v", s.text, s.header, theirErr)
			}
		case err == nil && !bytes.Equal(m.Payload, theirs):
			t.Errorf("%q: the payload is %q, and jwx says %q", s.text, m.Payload, theirs)
		case err != nil && theirErr == nil:
			if !listed(stricter, s) {
				t.Errorf("%q, header %q, is refused, %v, and jwx accepts it", s.text, s.header, err)
			}
		}
	})
}
