package sgid_test

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

func TestOpenIDOnly(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		c := byHand(t, p, func(cfg *sgid.Config) { cfg.Scopes = []string{"openid"} })
		s := signedIn(t, p, c, "meiling")
		info, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub)
		if err != nil || info.Data == nil || len(info.Data) != 0 {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

func TestUserInfoRefuses(t *testing.T) {
	t.Parallel()
	const field = "myinfo.name"
	envelope := func(edit func(answer map[string]any, data map[string]string)) func(*sgidtest.Provider) {
		return func(p *sgidtest.Provider) {
			p.SetUserInfo(func(answer map[string]any) { edit(answer, answer["data"].(map[string]string)) })
		}
	}
	key := func(edit func(string) string) func(*sgidtest.Provider) {
		return envelope(func(answer map[string]any, _ map[string]string) { answer["key"] = edit(answer["key"].(string)) })
	}
	value := func(edit func(string) string) func(*sgidtest.Provider) {
		return envelope(func(_ map[string]any, data map[string]string) { data[field] = edit(data[field]) })
	}
	fail := func(f idtest.Fault) func(*sgidtest.Provider) {
		return func(p *sgidtest.Provider) { p.Fail(idtest.UserInfo, f) }
	}
	member := func(name string, v any) func(*sgidtest.Provider) {
		return envelope(func(answer map[string]any, _ map[string]string) {
			if answer[name] = v; v == nil {
				delete(answer, name)
			}
		})
	}
	type row struct {
		spoil func(*sgidtest.Provider)
		want  []error
		field string // of a DecryptError
	}
	blockKey, data := []error{sgid.ErrDecrypt, sgid.ErrDecryptBlockKey}, []error{sgid.ErrDecrypt, sgid.ErrDecryptData}
	rows := map[string]row{
		"another subject":       {member("sub", "u=someone"), []error{sgid.ErrSubMismatch}, ""},
		"no subject":            {member("sub", nil), []error{sgid.ErrSubMismatch}, ""},
		"no key":                {member("key", nil), []error{sgid.ErrEnvelope}, ""},
		"no data":               {member("data", nil), []error{sgid.ErrEnvelope}, ""},
		"key a number":          {member("key", 1), []error{sgid.ErrEnvelope}, ""},
		"data an array":         {member("data", []string{"x"}), []error{sgid.ErrEnvelope}, ""},
		"data of numbers":       {member("data", map[string]int{field: 1}), []error{sgid.ErrEnvelope}, ""},
		"key empty":             {member("key", ""), blockKey, ""},
		"key plain":             {member("key", `{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAA"}`), blockKey, ""},
		"key is data":           {envelope(func(a map[string]any, d map[string]string) { a["key"] = d[field] }), blockKey, ""},
		"value empty":           {value(func(string) string { return "" }), data, field},
		"value plain":           {value(func(string) string { return "LIM MEI LING" }), data, field},
		"value is the key":      {envelope(func(a map[string]any, d map[string]string) { d[field] = a["key"].(string) }), data, field},
		"value of another time": {value(func(string) string { return strangersValue }), data, field},
		"value too long":        {value(func(s string) string { return s + strings.Repeat("A", 300<<10) }), data, field},
		"401":                   {fail(idtest.Fault{Status: 401, Header: http.Header{"Www-Authenticate": {`error="invalid_token"`}}}), []error{idserver.ErrUserInfo}, ""},
		"403, JSON":             {fail(idtest.Fault{Status: 403, Body: `{"message":"no"}`}), []error{idserver.ErrUserInfo}, ""},
		"500, HTML":             {fail(idtest.Fault{Status: 500, HTML: true}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"429":                   {fail(idtest.Fault{Status: 429}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"200, HTML":             {fail(idtest.Fault{HTML: true}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"200, an array":         {fail(idtest.Fault{Body: "[]"}), []error{idserver.ErrUserInfo}, ""},
		"a member twice":        {fail(idtest.Fault{Body: `{"sub":"a","sub":"a"}`}), []error{idserver.ErrUserInfo}, ""},
		"away":                  {fail(idtest.Fault{Drop: true}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"endless":               {fail(idtest.Fault{Endless: true}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"a bomb":                {fail(idtest.Fault{GzipBomb: true}), []error{idserver.ErrUserInfo, idserver.ErrUnavailable}, ""},
		"elsewhere":             {fail(idtest.Fault{Redirect: "http://127.0.0.1:1/"}), []error{idserver.ErrUserInfo}, ""},
	}
	for i, part := range []string{"header", "encrypted key", "iv", "ciphertext", "tag"} {
		rows["key, "+part+" altered"] = row{key(func(s string) string { return altered(s, i) }), blockKey, ""}
		rows["value, "+part+" altered"] = row{value(func(s string) string { return altered(s, i) }), data, field}
		rows["key, "+part+" gone"] = row{key(func(s string) string { return without(s, i) }), blockKey, ""}
		rows["value, "+part+" gone"] = row{value(func(s string) string { return without(s, i) }), data, field}
	}
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		c := byHand(t, p)
		s := signedIn(t, p, c, "meiling", "openid", "myinfo.email", field, "myinfo.sex")
		for name, row := range rows {
			if strings.HasPrefix(name, "value, encrypted key gone") && p.Requests(idtest.Token) > 0 && direct(t, p, s) {
				continue // dir has none
			}
			row.spoil(p)
			info, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub)
			if info != nil {
				t.Errorf("%s: %v", name, info)
			}
			for _, want := range append(row.want, idserver.ErrUserInfo) {
				if !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", name, err, want)
				}
			}
			var decrypt *sgid.DecryptError
			if errors.As(err, &decrypt) != errors.Is(err, sgid.ErrDecrypt) || decrypt != nil && decrypt.Field != row.field {
				t.Errorf("%s: %v, want the field %q", name, err, row.field)
			}
			if decrypt != nil && err.Error() != (&sgid.DecryptError{Field: row.field}).Error() {
				t.Errorf("%s: the error tells more: %v", name, err)
			}
			if err != nil && (strings.Contains(err.Error(), s.AccessToken) || strings.Contains(err.Error(), "MEI LING")) {
				t.Errorf("%s: a secret is in %v", name, err)
			}
			p.SetUserInfo(nil)
			p.Heal(idtest.UserInfo)
		}
		if _, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub); err != nil {
			t.Errorf("healed: %v", err)
		}
		if _, err := c.UserInfo(t.Context(), s.AccessToken, "u=someone"); !errors.Is(err, sgid.ErrSubMismatch) {
			t.Errorf("asked for another subject: %v", err)
		}
		if _, err := c.UserInfo(t.Context(), "", s.Sub); !errors.Is(err, sgid.ErrMissingAccessToken) {
			t.Errorf("no access token: %v", err)
		}
		if _, err := c.UserInfoFrom(t.Context()); err == nil {
			t.Error("UserInfoFrom without a guard")
		}
		_, err := c.UserInfo(t.Context(), "made-up", s.Sub)
		var refused *idserver.UserInfoError
		if !errors.As(err, &refused) || refused.Status != 401 || !strings.HasPrefix(refused.Description, "error=invalid_token") {
			t.Errorf("a token of nobody: %v", err)
		}

		stranger := byHand(t, p, func(cfg *sgid.Config) { cfg.PrivateKey = testKey(t) })
		if _, err := stranger.UserInfo(t.Context(), s.AccessToken, s.Sub); !errors.Is(err, sgid.ErrDecryptBlockKey) {
			t.Errorf("with another private key: %v", err)
		}
	})
}

// strangersValue was encrypted under another block key.
const strangersValue = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"

func without(compact string, i int) string {
	parts := strings.Split(compact, ".")
	parts[i] = ""
	return strings.Join(parts, ".")
}

// envelopeOf is what userinfo answers, as it is.
func envelopeOf(t *testing.T, p *sgidtest.Provider, s *sgid.SignIn) (e struct {
	Sub  string            `json:"sub"`
	Key  string            `json:"key"`
	Data map[string]string `json:"data"`
}) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", p.URL()+"/oauth/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.AccessToken)
	response, err := p.HTTPClient().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, json.Unmarshal(body, &e)); err != nil {
		t.Fatal(err)
	}
	return e
}

func direct(t *testing.T, p *sgidtest.Provider, s *sgid.SignIn) bool {
	for _, value := range envelopeOf(t, p, s).Data {
		return strings.Contains(value, "..")
	}
	return false
}

// A value of one person does not open in another's answer: each has a block key of its own.
func TestUserInfoSwappedBetweenPeople(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		c := byHand(t, p)
		one, two := signedIn(t, p, c, "meiling"), signedIn(t, p, c, "zoe")
		foreign := envelopeOf(t, p, two)
		p.SetUserInfo(func(answer map[string]any) { answer["data"] = foreign.Data })
		if _, err := c.UserInfo(t.Context(), one.AccessToken, one.Sub); !errors.Is(err, sgid.ErrDecryptData) {
			t.Errorf("the data of another: %v", err)
		}
		p.SetUserInfo(func(answer map[string]any) { answer["key"] = foreign.Key })
		if _, err := c.UserInfo(t.Context(), one.AccessToken, one.Sub); !errors.Is(err, sgid.ErrDecryptData) {
			t.Errorf("the key of another: %v", err)
		}
		p.SetUserInfo(func(answer map[string]any) {
			answer["key"], answer["data"], answer["sub"] = foreign.Key, foreign.Data, foreign.Sub
		})
		if _, err := c.UserInfo(t.Context(), one.AccessToken, one.Sub); !errors.Is(err, sgid.ErrSubMismatch) {
			t.Errorf("the answer of another: %v", err)
		}
	})
}

func testKey(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Errors of the context are the caller's.
func TestCancelled(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	s := signedIn(t, p, c, "zoe")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.UserInfo(ctx, s.AccessToken, s.Sub); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestUserInfoResponseFaults(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.AccessTTL = time.Minute; o.Now = func() time.Time { return now } })
	a := newApp(t, p, func(c *sgid.Config) { c.Now = func() time.Time { return now } })
	b := a.browser()
	b.signIn("meiling", "")
	for name, row := range map[string]struct {
		spoil  func()
		status int
		code   string
	}{
		"down":           {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 500, HTML: true}) }, 503, "provider_unavailable"},
		"limited":        {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 429}) }, 503, "provider_unavailable"},
		"refused":        {func() { p.Fail(idtest.UserInfo, idtest.Fault{Status: 403}) }, 502, "provider_error"},
		"another person": {func() { p.SetUserInfo(func(m map[string]any) { m["sub"] = "u=x" }) }, 502, "provider_error"},
		"altered":        {func() { p.SetUserInfo(func(m map[string]any) { m["key"] = "a.b.c.d.e" }) }, 502, "provider_error"},
		"without key":    {func() { p.SetUserInfo(func(m map[string]any) { delete(m, "key") }) }, 502, "provider_error"},
	} {
		t.Run(name, func(t *testing.T) {
			row.spoil()
			response, body := b.do("GET", "/auth/userinfo", script...)
			if response.StatusCode != row.status || !strings.Contains(body, fmt.Sprintf("%q", row.code)) {
				t.Errorf("%d %s", response.StatusCode, body)
			}
			p.Heal(idtest.UserInfo)
			p.SetUserInfo(nil)
		})
	}
	p.Advance(2 * time.Minute)
	if response, body := b.do("GET", "/auth/userinfo", script...); response.StatusCode != 401 || !strings.Contains(body, "invalid_token") || !strings.Contains(body, "/auth/login") {
		t.Errorf("the access token is over: %d %s", response.StatusCode, body)
	}
}

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
