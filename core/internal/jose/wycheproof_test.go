package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
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

// The one verdict that is not the vectors' fault.
const anotherWrap = "the alg of a symmetric key is not read (sgid has such keys, with an alg that does not fit): its length alone decides"

// Why a good vector is refused that nothing is wrong with: it is of a kind that is not taken. Those are counted, so that none becomes
// one of them unnoticed.
const (
	symmetric  = "signed with a symmetric key"
	pkcs1v15   = "encrypted with RSA1_5"
	compressed = "compressed"
)

// kindOf names what is not taken, by the protected header.
func kindOf(token string) string {
	var h struct{ Alg, Zip string }
	text, _, _ := strings.Cut(token, ".")
	if decoded, err := decode(text); err != nil || json.Unmarshal(decoded, &h) != nil {
		return ""
	}
	switch {
	case strings.HasPrefix(h.Alg, "HS"):
		return symmetric
	case h.Alg == "RSA1_5":
		return pkcs1v15
	case h.Zip != "":
		return compressed
	}
	return ""
}

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

func read(t *testing.T, file string) (all vectors) {
	t.Helper()
	text, err := os.ReadFile("testdata/wycheproof/json_web_" + file + "_test.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWycheproof(t *testing.T) {
	for file, want := range map[string]struct {
		notTaken map[string]int // good vectors of kinds that are not taken
		wrong    map[int]string // other verdicts than the vectors', each with its reason
	}{
		"crypto": {map[string]int{symmetric: 2}, nil},
		"encryption": {map[string]int{pkcs1v15: 8, compressed: 1}, map[int]string{
			106: anotherWrap, 107: anotherWrap, 108: anotherWrap, 109: anotherWrap,
		}},
		"key": {map[string]int{symmetric: 4}, nil},
		"signature": {map[string]int{symmetric: 8}, map[int]string{
			346: "the token is RFC 7520's with PS384, and the vector's key has alg PS256",
			350: "as 346",
			347: "the vector's key has alg ES521, which there is not: the token is RFC 7520's with ES512",
			351: "as 347",
			372: "the header has a ? in it, which is not base64url: RFC 7515 section 2",
			373: "as 372, in the payload",
		}},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			all := read(t, file)
			run, notTaken, wrong := 0, map[string]int{}, map[int]bool{}
			for _, group := range all.TestGroups {
				for _, v := range group.Tests {
					run++
					var token string
					var err error
					if v.JWS != nil {
						published := group.Public
						if published == nil {
							published = group.Private // a secret, or a pair that was published whole
						}
						token = compact(t, v.JWS)
						err = verifyVector(token, published)
					} else {
						token = compact(t, v.JWE)
						err = decryptVector(t, token, group.Private, v.Plaintext)
					}
					valid := v.Result == "valid"
					switch kind := kindOf(token); {
					case (err == nil) == valid:
					case want.wrong[v.ID] != "":
						wrong[v.ID] = true
					case valid && kind != "":
						notTaken[kind]++
					default:
						t.Errorf("%d, %s %q: it is %s, and we say %v", v.ID, v.Comment, v.Flags, v.Result, err)
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

// verifyVector verifies with a published key or a set of them.
func verifyVector(token string, published json.RawMessage) error {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(published, &set); err != nil {
		return err
	}
	if set.Keys == nil {
		published = setOf(published)
	}
	keys, _, err := ParseSet(published, nil)
	if err != nil {
		return err
	}
	m, err := Parse(token)
	if err != nil {
		return err
	}
	key, err := Select(keys, m.Header)
	if err != nil {
		return err
	}
	return m.Verify(key)
}

// decryptVector decrypts with the one key that there is.
func decryptVector(t *testing.T, token string, private json.RawMessage, plaintext *string) error {
	var raw any
	if err := must(jwk.ParseKey(private)).Raw(&raw); err != nil {
		t.Fatal(err)
	}
	var got []byte
	err := ErrDecrypt // with a key of another kind
	switch key := raw.(type) {
	case *rsa.PrivateKey:
		got, err = DecryptRSA(token, key)
	case []byte:
		if own, err := ParseSymmetricKey(private); err != nil || !bytes.Equal(own, key) {
			t.Fatalf("the key is %x, and is read as %x, %v", key, own, err)
		}
		got, err = DecryptSymmetric(token, key)
	case *ecdsa.PrivateKey:
		own, err2 := ParsePrivateKeys(string(private))
		if err2 != nil || !own[0].Private.(*ecdsa.PrivateKey).Equal(key) {
			t.Fatalf("the key is not read: %v", err2)
		}
		got, err = decryptWith(token, must(NewOpener(own[0].Private, own[0].ID, own[0].Algorithm)))
	}
	if err == nil && plaintext != nil && hex.EncodeToString(got) != *plaintext {
		t.Errorf("decrypted is %x, want %s", got, *plaintext)
	}
	return err
}

// The form of a token is judged as strictly without a key of ours: where the vectors have a MAC, which is not taken, the test computes
// it over what Parse says was signed.
func TestWycheproofForm(t *testing.T) {
	faults := map[string]string{
		"signature 367": "it has lost the padding that it tells of, and is 357, which is valid",
		"signature 370": "as 367",
		"signature 372": "it has a ? in it, which is not base64url, and is said to be valid",
		"signature 373": "as 372",
	}
	for file, want := range map[string]int{"crypto": 17, "signature": 40} {
		run := 0
		for _, group := range read(t, file).TestGroups {
			secret, err := ParseSymmetricKey(group.Private)
			if err != nil {
				continue
			}
			for _, v := range group.Tests {
				if v.JWS == nil {
					continue
				}
				run++
				m, err := Parse(compact(t, v.JWS))
				good := err == nil && slices.Contains([]string{"HS256", "HS384", "HS512"}, m.Header.Algorithm)
				if good {
					hash := map[string]crypto.Hash{"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512}[m.Header.Algorithm]
					mac := hmac.New(hash.New, secret)
					mac.Write(m.signed)
					good = hmac.Equal(mac.Sum(nil), m.signature)
				}
				if id := fmt.Sprint(file, " ", v.ID); (good == (v.Result == "valid")) == (faults[id] != "") {
					t.Errorf("%s, %s: it is %s, and we say %v", id, v.Comment, v.Result, err)
				}
			}
		}
		if run != want {
			t.Errorf("%s: %d vectors were run, want %d", file, run, want)
		}
	}
}
