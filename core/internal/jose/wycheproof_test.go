package jose

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// The vectors of Project Wycheproof for JOSE. They are copied into testdata, whose README names their version: the module that has
// them weighs 25 MB and requires others, and a requirement of the tests alone is in the module graph of every user. From the scripts
// module, which nobody requires, this package could not be imported.
type vectors struct {
	NumberOfTests int
	TestGroups    []struct {
		Private, Public json.RawMessage // a JSON Web Key or a set of them
		Tests           []vector
	}
}

type vector struct {
	ID        int `json:"tcId"`
	Comment   string
	Flags     []string
	Result    string
	JWS, JWE  json.RawMessage // a string, or an object in the JSON serialization
	Plaintext *string         `json:"pt"`
}

// Why a good vector is refused that nothing is wrong with: it is of a kind that is not taken. Those are counted, so that none becomes
// one of them unnoticed.
const (
	symmetric  = "signed with a symmetric key"
	ecdh       = "encrypted with ECDH"
	pkcs1v15   = "encrypted with RSA1_5"
	compressed = "compressed"
)

// compact is what is sent in the place of a token: an object as it stands.
func compact(t *testing.T, raw json.RawMessage) string {
	if raw[0] != '"' {
		return string(raw)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWycheproof(t *testing.T) {
	for file, want := range map[string]struct {
		notTaken map[string]int // good vectors of kinds that are not taken
		wrong    map[int]string // other verdicts than the vectors', each with its reason
	}{
		"crypto":     {},
		"encryption": {},
		"key":        {},
		"signature":  {},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("testdata/wycheproof/json_web_" + file + "_test.json")
			if err != nil {
				t.Fatal(err)
			}
			var all vectors
			if err := json.Unmarshal(text, &all); err != nil {
				t.Fatal(err)
			}
			run, notTaken, wrong := 0, map[string]int{}, map[int]bool{}
			for _, group := range all.TestGroups {
				for _, v := range group.Tests {
					run++
					var kind string
					var err error
					if v.JWS != nil {
						published := group.Public
						if published == nil {
							published = group.Private // a secret one, or a pair that was published whole
						}
						kind, err = verifyVector(compact(t, v.JWS), published)
					} else {
						kind, err = decryptVector(t, compact(t, v.JWE), group.Private, v.Plaintext)
					}
					switch {
					case (err == nil) == (v.Result == "valid"):
					case err != nil && kind != "":
						notTaken[kind]++
					case want.wrong[v.ID] == "":
						t.Errorf("%d, %s %q: it is %s, and we say %v", v.ID, v.Comment, v.Flags, v.Result, err)
					default:
						wrong[v.ID] = true
					}
				}
			}
			if run != all.NumberOfTests || run == 0 {
				t.Errorf("%d vectors were run of %d", run, all.NumberOfTests)
			}
			if !maps.Equal(notTaken, want.notTaken) {
				t.Errorf("not taken are %v, want %v", notTaken, want.notTaken)
			}
			for id, why := range want.wrong {
				if !wrong[id] {
					t.Errorf("%d is no exception any more: %s", id, why)
				}
			}
		})
	}
}

// verifyVector verifies as a resource server does. kind names what is not taken.
func verifyVector(token string, published json.RawMessage) (kind string, err error) {
	var key struct {
		Keys []json.RawMessage
		Type string `json:"kty"`
	}
	if err := json.Unmarshal(published, &key); err != nil {
		return "", err
	}
	set := []byte(published)
	if key.Keys == nil {
		set = setOf(published)
	}
	keys, _, err := ParseSet(set, nil)
	if err != nil {
		return "", err
	}
	m, err := Parse(token)
	if err != nil {
		return "", err
	}
	if m.Header.Algorithm == "HS256" || m.Header.Algorithm == "HS384" || m.Header.Algorithm == "HS512" {
		kind = symmetric
	}
	selected, err := Select(keys, m.Header)
	if err != nil {
		return kind, err
	}
	return kind, m.Verify(selected)
}

// decryptVector decrypts with the one key that there is.
func decryptVector(t *testing.T, token string, private json.RawMessage, plaintext *string) (kind string, err error) {
	var got []byte
	key, err := jwk.ParseKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		t.Fatal(err)
	}
	switch key := raw.(type) {
	case *rsa.PrivateKey:
		got, err = DecryptRSA(token, key)
	case []byte:
		own, parseErr := ParseSymmetricKey(private)
		if parseErr != nil || string(own) != string(key) {
			t.Fatalf("the key is %x, and is read as %x, %v", key, own, parseErr)
		}
		got, err = DecryptSymmetric(token, key)
	default:
		return ecdh, ErrDecrypt
	}
	if err == nil && plaintext != nil && fmt.Sprintf("%x", got) != *plaintext {
		t.Errorf("decrypted is %x, want %s", got, *plaintext)
	}
	return kind, err
}
