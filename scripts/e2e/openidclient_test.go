//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

// openIDClient starts npm openid-client, which scripts/test installed, and returns what became of its sign-in.
func openIDClient(t *testing.T, p *idtest.Provider, keys, alg, signed string) (done, refused string) {
	t.Helper()
	leftOut(t, "node")
	dir := os.Getenv("OPENID_CLIENT")
	if dir == "" {
		t.Fatal("OPENID_CLIENT is not set: scripts/test installs the client and sets it")
	}
	const redirectURI = "https://app.example.test/callback"
	client := idtest.Client{ID: "app", JWKS: publicOf(t, keys), RedirectURIs: []string{redirectURI}}
	if strings.Contains(keys, `"enc"`) {
		client.IDTokenEncryption, client.UserInfoEncryption = "A256CBC-HS512", "A256GCM"
	}
	p.AddClient(client)
	c := start(t, []string{"ISSUER=" + p.Issuer(), "CLIENT_ID=app", "REDIRECT_URI=" + redirectURI, "KEYS=" + keys, "ALG=" + alg, "SIGNED=" + signed}, "node", filepath.Join(dir, "client.mjs"))
	c.untamed = true // it ends by itself, and SIGTERM may come meanwhile
	said := c.anyLine("done", "refused")
	done, ok := strings.CutPrefix(said, "done ")
	if !ok {
		done, refused = "", strings.TrimPrefix(said, "refused ")
	}
	return done, refused
}

// publicOf returns the public half of a private JWK set.
func publicOf(t *testing.T, keys string) []byte {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	err := json.Unmarshal([]byte(keys), &set)
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi"} {
			delete(key, private)
		}
	}
	public, wrong := json.Marshal(set)
	if err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	return public
}

func newFAPIProvider(t *testing.T, alg, signed string) *idtest.Provider {
	profile := idtest.FAPI2
	if signed != "" {
		profile = idtest.FAPI2MessageSigning
	}
	return idtest.NewProvider(t, profile, func(o *idtest.Options) { o.Dialect.SigningAlgorithm, o.Dialect.DPoPNonces = alg, true })
}

// idtest as a provider of FAPI 2.0 is not judged by this repository's client alone.
func TestOpenIDClient(t *testing.T) {
	for name, row := range map[string]struct {
		alg       string
		keys      []string
		encrypted bool
		signed    string
	}{
		"PS256":                        {"PS256", []string{"-alg", "PS256"}, false, ""},
		"PS256, message signing":       {"PS256", []string{"-alg", "PS256"}, false, "1"},
		"ES256, encrypted as Singpass": {"ES256", []string{"-enc"}, true, ""},
		"EdDSA client":                 {"ES256", []string{"-alg", "EdDSA"}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			done, refused := openIDClient(t, newFAPIProvider(t, row.alg, row.signed), clientKeys(t, row.keys...), row.alg, row.signed)
			var got struct {
				Subject      string `json:"sub"`
				Email, Again string
				Type         string
				Query        []string
				Encrypted    bool
			}
			if err := json.Unmarshal([]byte(done), &got); err != nil {
				t.Fatalf("%v: refused at %s", err, refused)
			}
			alice := idtest.People()[0]
			if got.Subject != alice.Subject || got.Email != alice.Email || got.Again != alice.Email || !strings.EqualFold(got.Type, "DPoP") ||
				!slices.Equal(slices.Sorted(slices.Values(got.Query)), []string{"client_id", "request_uri"}) || got.Encrypted != row.encrypted {
				t.Errorf("%+v", got)
			}
		})
	}
}

// What the modules of the OpenID Foundation have a provider do wrong, openid-client, which is certified, sees too.
func TestOpenIDClientRefuses(t *testing.T) {
	keys := clientKeys(t, "-alg", "PS256")
	claim := func(edit func(c map[string]any)) func(*idtest.Provider) {
		return func(p *idtest.Provider) { p.SetIDTokenClaims(edit) }
	}
	response := func(edit func(url.Values)) func(*idtest.Provider) {
		return func(p *idtest.Provider) { p.SetAuthorizationResponse(edit) }
	}
	for name, fault := range map[string]struct {
		at     string
		edit   func(*idtest.Provider)
		signed string
	}{
		"another issuer in the metadata": {"discovery", func(p *idtest.Provider) {
			p.SetMetadata(func(m map[string]any) { m["issuer"] = p.Issuer() + "/INVALID" })
		}, ""},
		"a signed response for another": {"callback", func(p *idtest.Provider) {
			p.SetSignedResponse(func(c map[string]any) { c["aud"] = "other" })
		}, "1"},
		"a signed response of another": {"callback", func(p *idtest.Provider) {
			p.SetSignedResponse(func(c map[string]any) { c["iss"] = "https://other.example" })
		}, "1"},
		"a signed response that is old": {"callback", func(p *idtest.Provider) {
			p.SetSignedResponse(func(c map[string]any) { c["exp"] = c["exp"].(int64) - 3600 })
		}, "1"},
		"a signed response without exp": {"callback", func(p *idtest.Provider) {
			p.SetSignedResponse(func(c map[string]any) { delete(c, "exp") })
		}, "1"},
		"another iss":                 {"callback", claim(func(c map[string]any) { c["iss"] = "https://other.example" }), ""},
		"another aud":                 {"callback", claim(func(c map[string]any) { c["aud"] = "other" }), ""},
		"no aud":                      {"callback", claim(func(c map[string]any) { delete(c, "aud") }), ""},
		"an old exp":                  {"callback", claim(func(c map[string]any) { c["exp"] = c["iat"].(int64) - 360 }), ""},
		"another nonce":               {"callback", claim(func(c map[string]any) { c["nonce"] = "other" }), ""},
		"no nonce":                    {"callback", claim(func(c map[string]any) { delete(c, "nonce") }), ""},
		"another iss in the response": {"callback", response(func(r url.Values) { r.Set("iss", "https://other.example") }), ""},
		"no iss in the response":      {"callback", response(func(r url.Values) { r.Del("iss") }), ""},
		"another state":               {"callback", response(func(r url.Values) { r.Set("state", "other") }), ""},
		"no signature": {"callback", func(p *idtest.Provider) {
			p.SetTokenResponse(func(r map[string]any) {
				payload := strings.Split(r["id_token"].(string), ".")[1]
				r["id_token"] = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payload + "."
			})
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFAPIProvider(t, "PS256", fault.signed)
			fault.edit(p)
			if done, refused := openIDClient(t, p, keys, "PS256", fault.signed); !strings.HasPrefix(refused, fault.at+":") {
				t.Errorf("done %q, refused at %q, want at %s", done, refused, fault.at)
			}
		})
	}
}
