package jose

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	const header = `{"alg":"RS256","kid":"1","typ":"at+jwt"}`
	kid := func(s string) *string { return &s }
	for name, row := range map[string]struct {
		in      string
		want    Header
		payload string
	}{
		"all that is read":          {token(header, "{}", "s"), Header{Algorithm: "RS256", KeyID: kid("1"), Type: "at+jwt"}, "{}"},
		"alg alone":                 {token(`{"alg":"ES256"}`, "{}", "s"), Header{Algorithm: "ES256"}, "{}"},
		"kid empty is a kid":        {token(`{"alg":"RS256","kid":""}`, "{}", "s"), Header{Algorithm: "RS256", KeyID: kid("")}, "{}"},
		"kid null is none":          {token(`{"alg":"RS256","kid":null}`, "{}", "s"), Header{Algorithm: "RS256"}, "{}"},
		"other members are ignored": {token(`{"alg":"RS256","jku":"https://evil.example","jwk":{"kty":"oct"},"x":[1]}`, "{}", "s"), Header{Algorithm: "RS256"}, "{}"},
		"members in other case":     {token(`{"alg":"RS256","ALG":"none","Kid":"2","CRIT":["x"]}`, "{}", "s"), Header{Algorithm: "RS256"}, "{}"},
		"an escaped name":           {token(`{"\u0061lg":"RS256"}`, "{}", "s"), Header{Algorithm: "RS256"}, "{}"},
		"white space in the header": {token("{\n \"alg\": \"RS256\"\n}", "{}", "s"), Header{Algorithm: "RS256"}, "{}"},
		"the payload may be bytes":  {token(`{"alg":"RS256"}`, "\x00\xff", "s"), Header{Algorithm: "RS256"}, "\x00\xff"},
		"the payload may be empty":  {token(`{"alg":"RS256"}`, "", "s"), Header{Algorithm: "RS256"}, ""},
		"no signature":              {token(`{"alg":"none"}`, "{}", ""), Header{Algorithm: "none"}, "{}"}, // no key fits it: TestSelect
		"no alg":                    {token(`{"kid":"1"}`, "{}", "s"), Header{KeyID: kid("1")}, "{}"},     // nor this
		"as long as may be":         {sized(MaxToken), Header{Algorithm: "RS256"}, sizedPayload(MaxToken)},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(row.in)
			if err != nil {
				t.Fatal(err)
			}
			got := m.Header
			if got.Algorithm != row.want.Algorithm || got.Type != row.want.Type || (got.KeyID == nil) != (row.want.KeyID == nil) || got.KeyID != nil && *got.KeyID != *row.want.KeyID {
				t.Errorf("the header is %+v, want %+v", got, row.want)
			}
			if string(m.Payload) != row.payload {
				t.Errorf("the payload is %q, want %q", m.Payload, row.payload)
			}
		})
	}
}

// sized is a token of n bytes.
func sized(n int) string {
	const header = "eyJhbGciOiJSUzI1NiJ9" // {"alg":"RS256"}
	return header + "." + strings.Repeat("A", n-len(header)-len("..AA")) + ".AA"
}

func sizedPayload(n int) string { return strings.Repeat("\x00", (n-24)/4*3) }

func TestParseRefuses(t *testing.T) {
	good := token(`{"alg":"RS256"}`, "{}", "s") // eyJhbGciOiJSUzI1NiJ9.e30.cw
	parts := strings.Split(good, ".")
	headed := func(header string) string { return token(header, "{}", "s") }
	for name, row := range map[string]struct{ in, want string }{
		"empty":                      {"", "three parts"},
		"one part":                   {parts[0], "three parts"},
		"two parts":                  {parts[0] + "." + parts[1], "three parts"},
		"four parts":                 {good + ".", "three parts"},
		"five parts, encrypted":      {good + ".e30.e30", "three parts"},
		"JSON serialization":         {`{"payload":"e30","protected":"e30","signature":"cw"}`, "three parts"},
		"dots alone":                 {"..", "header"},
		"one byte too long":          {sized(MaxToken + 4), "longer"},
		"much too long":              {strings.Repeat(".", 1<<20), "longer"},
		"padding of the header":      {b64([]byte(`{"alg":"RS256" }`)) + "==." + parts[1] + "." + parts[2], "header: not base64url"},
		"padding of the payload":     {parts[0] + "." + parts[1] + "=." + parts[2], "payload: not base64url"},
		"padding of the signature":   {good + "==", "signature: not base64url"},
		"LF in the header":           {"\n" + good, "line break"},
		"CR in the payload":          {parts[0] + ".e3\r0." + parts[2], "line break"},
		"LF after the signature":     {good + "\n", "line break"},
		"a space before":             {" " + good, "not base64url"},
		"a space after":              {good + " ", "not base64url"},
		"trailing bits, payload":     {parts[0] + ".e31." + parts[2], "payload: not base64url"},
		"trailing bits, signature":   {parts[0] + "." + parts[1] + ".cx", "signature: not base64url"},
		"a lone digit of base64":     {good + "AAA", "signature: not base64url"},
		"the other base64 alphabet":  {parts[0] + "." + parts[1] + ".+/", "signature: not base64url"},
		"a letter beyond ASCII":      {parts[0] + "." + parts[1] + ".ſw", "signature: not base64url"},
		"alg twice":                  {headed(`{"alg":"none","alg":"RS256"}`), "twice"},
		"alg twice, once escaped":    {headed(`{"alg":"RS256","\u0061lg":"none"}`), "twice"},
		"an unknown member twice":    {headed(`{"alg":"RS256","x":1,"x":2}`), "twice"},
		"a member twice, inside":     {headed(`{"alg":"RS256","x":{"y":1,"y":2}}`), "twice"},
		"crit":                       {headed(`{"alg":"RS256","crit":["b64"],"b64":true}`), "crit"},
		"crit of the known":          {headed(`{"alg":"RS256","crit":["alg"]}`), "crit"},
		"crit empty":                 {headed(`{"alg":"RS256","crit":[]}`), "crit"},
		"crit null":                  {headed(`{"alg":"RS256","crit":null}`), "crit"},
		"b64 false":                  {headed(`{"alg":"RS256","b64":false}`), "b64"},
		"b64 true":                   {headed(`{"alg":"RS256","b64":true}`), "b64"},
		"b64 null":                   {headed(`{"alg":"RS256","b64":null}`), "b64"},
		"zip":                        {headed(`{"alg":"RS256","zip":"DEF"}`), "zip"},
		"zip null":                   {headed(`{"alg":"RS256","zip":null}`), "zip"},
		"alg a number":               {headed(`{"alg":256}`), "wanted"},
		"alg an array":               {headed(`{"alg":["RS256"]}`), "wanted"},
		"kid a number":               {headed(`{"alg":"RS256","kid":1}`), "wanted"},
		"kid an object":              {headed(`{"alg":"RS256","kid":{}}`), "wanted"},
		"kid true":                   {headed(`{"alg":"RS256","kid":true}`), "wanted"},
		"typ a number":               {headed(`{"alg":"RS256","typ":1}`), "wanted"},
		"header empty":               {headed(""), "header"},
		"header null":                {headed("null"), "header"},
		"header null, spaced":        {headed(" null\n"), "header"},
		"header an array":            {headed(`["RS256"]`), "wanted"},
		"header a string":            {headed(`"RS256"`), "wanted"},
		"header a number":            {headed(`256`), "wanted"},
		"header true":                {headed(`true`), "wanted"},
		"header cut":                 {headed(`{"alg":"RS256"`), "not JSON"},
		"something after the header": {headed(`{"alg":"RS256"}{}`), "not JSON"},
		"invalid UTF-8":              {headed("{\"alg\":\"RS256\",\"x\":\"\xff\"}"), "not JSON"},
		"a byte order mark":          {headed("\ufeff" + `{"alg":"RS256"}`), "not JSON"},
		"deep nesting":               {headed(`{"alg":"RS256","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`), "deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := Parse(row.in)
			if m != nil || !errors.Is(err, ErrMalformed) || !holds(err, row.want) {
				t.Errorf("got %+v, %v, want ErrMalformed with %q", m, err, row.want)
			}
		})
	}
}

// FuzzParse: a token has one spelling, and nothing verifies but what was signed.
func FuzzParse(f *testing.F) {
	public := edwards().Public().(ed25519.PublicKey)
	keys := parsed(f, nil, jwkOf(public))
	signed := b64([]byte(`{"alg":"EdDSA"}`)) + "." + b64([]byte(`{"sub":"alice"}`))
	authentic := signed + "." + b64(ed25519.Sign(edwards(), []byte(signed)))
	for _, seed := range []string{
		authentic, authentic + "=", authentic + "\n", signed + ".", token(`{"alg":"none"}`, "{}", ""), token("null", "", ""),
		token(`{"alg":"RS256","kid":"1","crit":["b64"],"b64":false}`, "x", "s"), token(`{"alg":"ES256","alg":"none"}`, "{}", "s"), "..",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		m, err := Parse(in)
		if (m == nil) == (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("got %+v, %v", m, err)
		}
		if err != nil {
			if in == authentic {
				t.Fatal(err)
			}
			return
		}
		if len(in) > MaxToken {
			t.Errorf("%d bytes were read", len(in))
		}
		header, _, _ := strings.Cut(in, ".")
		if again := header + "." + b64(m.Payload) + "." + b64(m.signature); again != in {
			t.Errorf("it is %q when it is encoded again", again)
		}
		if string(m.signed)+"."+b64(m.signature) != in {
			t.Errorf("%q was signed, it says", m.signed)
		}
		if m.Header.Critical != nil || m.Header.Base64 != nil || m.Header.Zip != nil {
			t.Errorf("the header is %+v", m.Header)
		}
		key, err := Select(keys, m.Header)
		if err == nil {
			err = m.Verify(key)
		}
		if (err == nil) != (in == authentic) {
			t.Errorf("verifying says %v", err)
		}
	})
}
