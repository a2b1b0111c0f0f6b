package jose

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// FuzzAgainstJWX holds the reading of a compact JWS by hand against jwx: what is accepted here is accepted there, with the same
// payload, and what is accepted there alone is refused here for a reason of the list in stricter. Header and payload are signed as
// they come, so that the signature is not what refuses them; edit then spoils the token at a place.
func FuzzAgainstJWX(f *testing.F) {
	for _, header := range []string{
		`{"alg":"EdDSA","kid":"e"}`, `{"alg":"EdDSA"}`, `{"alg":"EdDSA","kid":"x"}`, `{"alg":"EdDSA","kid":null}`, `{"alg":"EdDSA","kid":1}`, `{"alg":"Ed25519"}`, `{"alg":"none"}`,
		`{"alg":"RS256"}`, `{"alg":"HS256"}`, `{"alg":""}`, `{}`, `null`, `[]`, ``, ` {"alg":"EdDSA"} `, `{"alg":"EdDSA","alg":"EdDSA"}`, `{"ALG":"EdDSA"}`, `{"alg":"EdDSA","typ":1}`,
		`{"alg":"EdDSA","crit":["x"],"x":1}`, `{"alg":"EdDSA","b64":false,"crit":["b64"]}`, `{"alg":"EdDSA","zip":"DEF"}`, `{"alg":"EdDSA","jku":1}`, `{"alg":"EdDSA","x5c":"x"}`, `{"alg":"EdDSA","x":1e999}`, `{"alg":"EdDSA","jwk":{"kty":"oct","k":"AA"}}`,
		`{"alg":"EdDSA","x":"\ud800"}`, "{\"alg\":\"EdDSA\",\"x\":\"\xff\"}", `{"alg":"EdDSA"}x`, `{"\u0061lg":"EdDSA"}`, `{"alg":"EdDSA","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
	} {
		f.Add(header, "payload", 0, "")
	}
	for _, edit := range []string{"A", "=", "\n", " ", ".", "/", "é", "\x00"} {
		for _, at := range []int{0, 1, -1, -2} {
			f.Add(`{"alg":"EdDSA"}`, "x", at, edit)
		}
	}
	public := edwards().Public().(ed25519.PublicKey)
	keys := parsed(f, nil, jwkOf(public).with("kid", "e"))
	f.Fuzz(func(t *testing.T, header, payload string, at int, edit string) {
		signed := b64([]byte(header)) + "." + b64([]byte(payload))
		token := signed + "." + b64(ed25519.Sign(edwards(), []byte(signed)))
		at = ((at % (len(token) + 1)) + len(token) + 1) % (len(token) + 1)
		token = token[:at] + edit + token[at:]

		ours, err := verifyCompact(keys, token)
		theirs, theirErr := jws.Verify([]byte(token), jws.WithKey(jwa.EdDSA, public), jws.WithCompact())
		switch {
		case err == nil && theirErr == nil && string(ours) != string(theirs):
			t.Errorf("%q says %q, and to jwx %q", token, ours, theirs)
		case err == nil && theirErr != nil && !knownHereAlone(token):
			t.Errorf("%q is accepted, and jwx says %v", token, theirErr)
		case err != nil && theirErr == nil && stricter(token) == "":
			t.Errorf("%q is refused, and there is no reason for it that jwx does not see: %v", token, err)
		}
	})
}

func verifyCompact(keys []Key, token string) ([]byte, error) {
	m, err := Parse(token)
	if err != nil {
		return nil, err
	}
	key, err := Select(keys, m.Header)
	if err != nil {
		return nil, err
	}
	return m.Payload, m.Verify(key)
}

// knownHereAlone tells what is good and jwx v2 refuses: EdDSA under its name of RFC 9864; white space around the header, which it
// loses before it looks at the signature; and members of the header that it reads (jku, x5c, numbers of any size) and nobody
// here does.
func knownHereAlone(token string) bool {
	m, err := Parse(token)
	if err != nil {
		return false
	}
	encoded, _, _ := strings.Cut(token, ".")
	header, _ := base64.RawURLEncoding.DecodeString(encoded)
	var members map[string]strictjson.Raw
	_ = strictjson.Unmarshal(header, &members)
	for _, read := range []string{"alg", "kid", "typ"} {
		delete(members, read)
	}
	return m.Header.Algorithm == "Ed25519" || strings.Trim(string(header), " \t\r\n") != string(header) || len(members) > 0
}

// stricter is why a token that jwx accepts is refused here, found without the code under test; "" when there is no reason.
func stricter(token string) string {
	parts := strings.Split(token, ".")
	if len(token) > MaxToken || len(parts) != 3 {
		return "too long, or not of three parts"
	}
	for _, part := range parts {
		decoded, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil || b64(decoded) != part {
			return "base64url in another spelling: padding, line breaks or bits that are not used"
		}
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	var members map[string]strictjson.Raw
	if strictjson.Unmarshal(header, &members) != nil || members == nil {
		return "JSON with a name twice, with text that is not UTF-8, or too deep"
	}
	for _, name := range []string{"crit", "b64", "zip"} {
		if _, ok := members[name]; ok {
			return "an extension, and none is understood"
		}
	}
	for _, name := range []string{"alg", "kid", "typ"} {
		if value, ok := members[name]; ok && value.Kind() != '"' {
			return name + " is no string"
		}
	}
	var alg, kid string
	_ = strictjson.Unmarshal(members["alg"], &alg)
	_ = strictjson.Unmarshal(members["kid"], &kid)
	switch {
	case alg != "EdDSA":
		return "alg is not the key's: it is missing, or in another case, or another"
	case members["kid"] != nil && kid != "e":
		return "it names another key"
	}
	return ""
}
