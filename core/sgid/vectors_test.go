package sgid_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

var update = flag.Bool("update", false, "make the vectors in testdata anew")

// vector is an answer of userinfo, encrypted for testdata/key.pem, and what must come of it.
type vector struct {
	Key  string            `json:"key"`
	Data map[string]string `json:"data"`
	Want map[string]string `json:"want"`
}

// The vectors are of the contract's two sets of algorithms. They were made once, by sgidtest, so that a change of both sides at
// once does not go unseen.
func TestVectors(t *testing.T) {
	for name, algorithms := range map[string]sgidtest.Algorithms{"fixtures": sgidtest.Fixtures, "mockpass": sgidtest.MockPass} {
		t.Run(name, func(t *testing.T) {
			p := sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.Algorithms = algorithms })
			client := sgidtest.Clients()[0]
			client.EncryptionKey = &privateKey(t).PublicKey
			p.AddClient(client)
			c := byHand(t, p, func(cfg *sgid.Config) { cfg.PrivateKey = testKey(t) })
			file := filepath.Join("testdata", name+".json")
			if *update {
				writeVectors(t, p, c, file)
			}
			var vectors map[string]vector
			text, err := os.ReadFile(file)
			if err := errors.Join(err, json.Unmarshal(text, &vectors)); err != nil {
				t.Fatal(err)
			}
			s := signedIn(t, p, c, "meiling", allScopes()...)
			for person, v := range vectors {
				p.SetUserInfo(func(answer map[string]any) { answer["key"], answer["data"] = v.Key, v.Data })
				info, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub)
				if err != nil || !maps.Equal(info.Data, v.Want) {
					t.Errorf("%s: %+v, %v", person, info, err)
				}
			}
			if len(vectors) != 3 {
				t.Errorf("%d vectors", len(vectors))
			}
		})
	}
}

func privateKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	block, _ := pem.Decode([]byte(testKey(t)))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

func writeVectors(t *testing.T, p *sgidtest.Provider, c *sgid.Client, file string) {
	t.Helper()
	vectors := map[string]vector{}
	for _, person := range sgidtest.People() {
		var scopes []string
		for scope := range person.Data {
			scopes = append(scopes, scope)
		}
		e := envelopeOf(t, p, signedIn(t, p, c, person.Login, scopes...))
		vectors[person.Login] = vector{e.Key, e.Data, person.Data}
	}
	text, err := json.MarshalIndent(vectors, "", "\t")
	if err := errors.Join(err, os.WriteFile(file, append(text, '\n'), 0o644)); err != nil {
		t.Fatal(err)
	}
}
