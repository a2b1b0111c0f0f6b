package sgid_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

const redirectURI = "http://127.0.0.1:1/callback"

// both runs a test with a provider of each set of algorithms.
func both(t *testing.T, test func(t *testing.T, p *sgidtest.Provider)) {
	for name, algorithms := range map[string]sgidtest.Algorithms{"fixtures": sgidtest.Fixtures, "mockpass": sgidtest.MockPass} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.Algorithms = algorithms }))
		})
	}
}

// byHand is a client without routes.
func byHand(t testing.TB, p *sgidtest.Provider, edit ...func(*sgid.Config)) *sgid.Client {
	t.Helper()
	cfg := p.Config("")
	cfg.RedirectURI = redirectURI
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, e := range edit {
		e(&cfg)
	}
	c, err := sgid.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// allScopes are those that someone at the provider has a value of, and one that nobody has.
func allScopes() []string {
	scopes := map[string]bool{"myinfo.unheard_of": true}
	for _, person := range sgidtest.People() {
		for scope := range person.Data {
			scopes[scope] = true
		}
	}
	return slices.Sorted(maps.Keys(scopes))
}

// authorized goes to the provider with the person and returns what Callback takes.
func authorized(t testing.TB, p *sgidtest.Provider, c *sgid.Client, login string, scopes ...string) sgid.CallbackParams {
	t.Helper()
	pair, err := sgid.GeneratePKCEPair(64)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: pair.CodeChallenge, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	back, err := p.Authorize(t.Context(), a.URL, login)
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Query().Get("state"); got != a.State {
		t.Fatalf("state %q comes back", got)
	}
	return sgid.CallbackParams{Code: back.Query().Get("code"), CodeVerifier: pair.CodeVerifier, Nonce: a.Nonce}
}

func signedIn(t testing.TB, p *sgidtest.Provider, c *sgid.Client, login string, scopes ...string) *sgid.SignIn {
	t.Helper()
	s, err := c.Callback(t.Context(), authorized(t, p, c, login, scopes...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestByHand(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		c := byHand(t, p)
		for _, person := range sgidtest.People() {
			s := signedIn(t, p, c, person.Login, allScopes()...)
			if s.Sub != person.Subject || s.AccessToken == "" || strings.Count(s.IDToken, ".") != 2 {
				t.Errorf("%s: %+v", person.Login, s)
			}
			info, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub)
			if err != nil {
				t.Fatal(err)
			}
			want := sgid.Data{}
			for _, scope := range allScopes() {
				if want[scope] = "NA"; person.Data[scope] != "" || hasKey(person.Data, scope) {
					want[scope] = person.Data[scope]
				}
			}
			if info.Sub != person.Subject || !maps.Equal(info.Data, want) {
				t.Errorf("%s: %v, want %v", person.Login, info.Data, want)
			}
		}
		if p.Requests(idtest.Discovery) != 0 {
			t.Error("the metadata was asked for")
		}
	})
}

func hasKey(m map[string]string, key string) bool { _, ok := m[key]; return ok }

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

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	const challenge = "zaqUHoBV3rnhBF2g0Gkz1qkpEZXHqi2OrPK1DqRi-Lk"
	for name, row := range map[string]struct {
		options sgid.AuthorizeOptions
		want    url.Values
	}{
		"the least": {sgid.AuthorizeOptions{CodeChallenge: challenge}, url.Values{"scope": {"openid myinfo.name"}, "redirect_uri": {redirectURI}}},
		"the most": {
			sgid.AuthorizeOptions{CodeChallenge: challenge, State: "s & t", Nonce: "n+1", Scopes: []string{"myinfo.email", "openid"}, RedirectURI: "https://b.example/cb?x=1"},
			url.Values{"scope": {"myinfo.email openid"}, "state": {"s & t"}, "nonce": {"n+1"}, "redirect_uri": {"https://b.example/cb?x=1"}},
		},
		"without openid": {sgid.AuthorizeOptions{CodeChallenge: challenge, Scopes: []string{"myinfo.email"}}, url.Values{"scope": {"openid myinfo.email"}}},
	} {
		a, err := c.AuthorizeURL(row.options)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(a.URL)
		if err != nil || !strings.HasPrefix(a.URL, p.URL()+"/oauth/authorize?") {
			t.Fatalf("%s: %s, %v", name, a.URL, err)
		}
		row.want.Set("response_type", "code")
		row.want.Set("client_id", idtest.ExampleClient)
		row.want.Set("code_challenge", challenge)
		row.want.Set("code_challenge_method", "S256")
		row.want.Set("state", a.State)
		row.want.Set("nonce", a.Nonce)
		for parameter, want := range row.want {
			if got := u.Query()[parameter]; !slices.Equal(got, want) {
				t.Errorf("%s: %s is %q, want %q", name, parameter, got, want)
			}
		}
		if row.options.State == "" && (len(a.State) != 43 || len(a.Nonce) != 43 || a.State == a.Nonce) {
			t.Errorf("%s: state %q and nonce %q", name, a.State, a.Nonce)
		}
	}
	first, err := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: challenge})
	second, err2 := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: challenge})
	if err != nil || err2 != nil || first.Nonce == second.Nonce || first.State == second.State {
		t.Error("two sign-ins share a nonce or a state")
	}
	for _, challenge := range []string{"", "plain-verifier", challenge[:42], challenge + "A"} {
		if _, err := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: challenge}); !errors.Is(err, sgid.ErrCodeChallenge) {
			t.Errorf("challenge %q: %v", challenge, err)
		}
	}
	nowhere := byHand(t, p, func(cfg *sgid.Config) { cfg.RedirectURI = "" })
	if _, err := nowhere.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: challenge}); !errors.Is(err, sgid.ErrMissingRedirectURI) {
		t.Errorf("no redirect URI: %v", err)
	}
}

func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) func(*sgidtest.Provider, *sgid.CallbackParams) {
		return func(p *sgidtest.Provider, _ *sgid.CallbackParams) {
			p.SetIDTokenClaims(func(c map[string]any) {
				if c[name] = value; value == nil {
					delete(c, name)
				}
			})
		}
	}
	response := func(edit func(map[string]any)) func(*sgidtest.Provider, *sgid.CallbackParams) {
		return func(p *sgidtest.Provider, _ *sgid.CallbackParams) { p.SetTokenResponse(edit) }
	}
	params := func(edit func(*sgid.CallbackParams)) func(*sgidtest.Provider, *sgid.CallbackParams) {
		return func(_ *sgidtest.Provider, c *sgid.CallbackParams) { edit(c) }
	}
	fail := func(e idtest.Endpoint, f idtest.Fault) func(*sgidtest.Provider, *sgid.CallbackParams) {
		return func(p *sgidtest.Provider, _ *sgid.CallbackParams) { p.Fail(e, f) }
	}
	for name, row := range map[string]struct {
		spoil func(*sgidtest.Provider, *sgid.CallbackParams)
		want  []error
	}{
		"no code":                     {params(func(c *sgid.CallbackParams) { c.Code = "" }), []error{sgid.ErrMissingCode}},
		"no nonce":                    {params(func(c *sgid.CallbackParams) { c.Nonce = "" }), []error{sgid.ErrMissingNonce}},
		"no verifier":                 {params(func(c *sgid.CallbackParams) { c.CodeVerifier = "" }), []error{sgid.ErrCodeVerifierLength}},
		"another verifier":            {params(func(c *sgid.CallbackParams) { c.CodeVerifier = strings.Repeat("v", 43) }), []error{idserver.ErrTokenEndpoint}},
		"another code":                {params(func(c *sgid.CallbackParams) { c.Code = "x" }), []error{idserver.ErrTokenEndpoint}},
		"another redirect URI":        {params(func(c *sgid.CallbackParams) { c.RedirectURI = "http://127.0.0.1:2/" }), []error{idserver.ErrTokenEndpoint}},
		"another nonce":               {params(func(c *sgid.CallbackParams) { c.Nonce = strings.Repeat("n", 43) }), []error{idserver.ErrInvalidToken, idserver.ReasonNonce}},
		"token endpoint refuses":      {fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"}), []error{idserver.ErrTokenEndpoint}},
		"token endpoint 500, HTML":    {fail(idtest.Token, idtest.Fault{Status: 500, HTML: true}), []error{idserver.ErrTokenEndpoint, idserver.ErrUnavailable}},
		"token endpoint 500, JSON":    {fail(idtest.Token, idtest.Fault{Status: 500, Body: `{"message":"no"}`}), []error{idserver.ErrTokenEndpoint, idserver.ErrUnavailable}},
		"token endpoint away":         {fail(idtest.Token, idtest.Fault{Drop: true}), []error{idserver.ErrTokenEndpoint, idserver.ErrUnavailable}},
		"token endpoint, no JSON":     {fail(idtest.Token, idtest.Fault{Body: "ok"}), []error{idserver.ErrTokenEndpoint}},
		"key set away":                {fail(idtest.KeySet, idtest.Fault{Status: 500}), []error{idserver.ErrUnavailable, idserver.ErrDiscovery}},
		"key set empty":               {fail(idtest.KeySet, idtest.Fault{Body: `{"keys":[]}`}), []error{idserver.ErrUnavailable, idserver.ErrDiscovery}},
		"no access token":             {response(func(r map[string]any) { delete(r, "access_token") }), []error{idserver.ErrTokenEndpoint, idserver.ErrNoAccessToken}},
		"access token empty":          {response(func(r map[string]any) { r["access_token"] = "" }), []error{idserver.ErrNoAccessToken}},
		"no ID token":                 {response(func(r map[string]any) { delete(r, "id_token") }), []error{idserver.ErrNoIDToken}},
		"ID token malformed":          {response(func(r map[string]any) { r["id_token"] = "x.y" }), []error{idserver.ErrInvalidToken, idserver.ReasonMalformed}},
		"ID token, no signature":      {response(func(r map[string]any) { s := r["id_token"].(string); r["id_token"] = s[:strings.LastIndex(s, ".")+1] }), []error{idserver.ReasonSignature}},
		"ID token altered":            {response(func(r map[string]any) { r["id_token"] = altered(r["id_token"].(string), 1) }), []error{idserver.ErrInvalidToken}},
		"issuer without version":      {claim("iss", "http://localhost"), []error{idserver.ReasonIssuer}},
		"no issuer":                   {claim("iss", nil), []error{idserver.ReasonIssuer}},
		"for another client":          {claim("aud", "another"), []error{idserver.ReasonAudience}},
		"no audience":                 {claim("aud", nil), []error{idserver.ReasonAudience}},
		"expired":                     {claim("exp", 1_000_000_000), []error{idserver.ReasonExpired}},
		"no exp":                      {claim("exp", nil), []error{idserver.ReasonExpired}},
		"exp a string":                {claim("exp", "soon"), []error{idserver.ReasonMalformed}},
		"iat in the future":           {claim("iat", 4_000_000_000), []error{idserver.ReasonNotYetValid}},
		"no iat":                      {claim("iat", nil), []error{idserver.ReasonIssuedAt}},
		"no nonce in it":              {claim("nonce", nil), []error{idserver.ReasonNonce}},
		"no sub":                      {claim("sub", nil), []error{idserver.ReasonSubject}},
		"sub empty":                   {claim("sub", ""), []error{idserver.ReasonSubject}},
		"a key that is not published": {func(p *sgidtest.Provider, _ *sgid.CallbackParams) { p.RotateKey(); p.SetJWKS([]byte(`{"keys":[]}`)) }, []error{idserver.ErrUnavailable}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := sgidtest.NewProvider(t)
			c := byHand(t, p)
			params := authorized(t, p, c, "meiling")
			code, verifier := params.Code, params.CodeVerifier
			row.spoil(p, &params)
			s, err := c.Callback(t.Context(), params)
			for _, want := range row.want {
				if !errors.Is(err, want) || s != nil {
					t.Errorf("%v, %v, want %v", s, err, want)
				}
			}
			for _, secret := range []string{code, verifier, idtest.ExampleSecret} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("a secret is in %v", err)
				}
			}
		})
	}
}

// The algorithm is fixed, whatever the key could do.
func TestCallbackOtherAlgorithm(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	for name, header := range map[string]map[string]string{
		"PS256": {"alg": "PS256", "kid": p.KeyID()}, "HS256": {"alg": "HS256", "kid": p.KeyID()}, "none": {"alg": "none"}, "ES256": {"alg": "ES256", "kid": p.KeyID()},
	} {
		params := authorized(t, p, c, "meiling")
		p.SetTokenResponse(func(r map[string]any) { r["id_token"] = p.SignRaw(header, map[string]string{"sub": "x"}) })
		if _, err := c.Callback(t.Context(), params); !errors.Is(err, idserver.ReasonAlgorithm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What MockPass's tokens have more, and real ones less.
func TestCallbackAccepts(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	for name, edit := range map[string]func(r map[string]any){
		"as it is": func(map[string]any) {},
		"more of it": func(r map[string]any) {
			r["token_type"], r["expires_in"], r["scope"], r["refresh_token"] = "Bearer", 86400, "openid", "r"
		},
		"a bearer":        func(r map[string]any) { r["token_type"] = "bearer" },
		"an access token": func(r map[string]any) { r["access_token"] = "a+b/c==" },
	} {
		params := authorized(t, p, c, "meiling")
		p.SetTokenResponse(edit)
		if _, err := c.Callback(t.Context(), params); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.SetTokenResponse(nil)
	p.SetIDTokenClaims(func(c map[string]any) {
		c["amr"], c["rt_hash"], c["auth_time"] = []string{"pwd"}, "x", 1
		c["iat"] = float64(c["iat"].(int64)) + 0.25
		c["aud"] = []string{idtest.ExampleClient}
	})
	if s := signedIn(t, p, c, "zoe"); s.Sub != "u=8f1c0b6e-0000-4000-8000-0000000000a3" {
		t.Errorf("sub is %q", s.Sub)
	}
	params := authorized(t, p, c, "zoe")
	if _, err := c.Callback(t.Context(), params); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Callback(t.Context(), params); !errors.Is(err, idserver.ErrTokenEndpoint) { // a proxy that looks twice
		t.Errorf("the same code again: %v", err)
	}
}

// altered turns over a bit of the i-th part of a compact JWE or JWS.
func altered(compact string, i int) string {
	parts := strings.Split(compact, ".")
	with := byte('A')
	if parts[i] != "" {
		if parts[i][0] == 'A' {
			with = 'B'
		}
		parts[i] = string(with) + parts[i][1:]
	} else {
		parts[i] = "AAAA"
	}
	return strings.Join(parts, ".")
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

func TestGenerators(t *testing.T) {
	t.Parallel()
	const verifier, challenge = "bbGcObXZC1YGBQZZtZGQH9jsyO1vypqCGqnSU_4TI5S", "zaqUHoBV3rnhBF2g0Gkz1qkpEZXHqi2OrPK1DqRi-Lk"
	if got, err := sgid.GenerateCodeChallenge(verifier); got != challenge || err != nil { // of sgID's own tests
		t.Errorf("challenge %q, %v", got, err)
	}
	for _, n := range []int{43, 44, 64, 127, 128} {
		pair, err := sgid.GeneratePKCEPair(n)
		challenge, err2 := sgid.GenerateCodeChallenge(pair.CodeVerifier)
		if err != nil || err2 != nil || len(pair.CodeVerifier) != n || challenge != pair.CodeChallenge {
			t.Errorf("%d: %+v, %v, %v", n, pair, err, err2)
		}
		verifier, err := sgid.GenerateCodeVerifier(n)
		nonce, err2 := sgid.GenerateNonce(n)
		if err != nil || err2 != nil || len(verifier) != n || len(nonce) != n || nonce == verifier {
			t.Errorf("%d: %q, %q, %v, %v", n, verifier, nonce, err, err2)
		}
	}
	for _, n := range []int{-1, 0, 42, 129, 1 << 30} {
		_, err := sgid.GeneratePKCEPair(n)
		_, err2 := sgid.GenerateCodeVerifier(n)
		_, err3 := sgid.GenerateNonce(n)
		if !errors.Is(err, sgid.ErrPKCEPairLength) || !errors.Is(err2, sgid.ErrCodeVerifierLength) || !errors.Is(err3, sgid.ErrNonceLength) {
			t.Errorf("%d: %v, %v, %v", n, err, err2, err3)
		}
	}
	for _, n := range []int{0, 42, 129} {
		if _, err := sgid.GenerateCodeChallenge(strings.Repeat("v", n)); !errors.Is(err, sgid.ErrCodeVerifierLength) {
			t.Errorf("a challenge of %d characters: %v", n, err)
		}
	}
	// No character comes more often than another: 64 of them in 64000 stand 1000 times each, more or less.
	count := map[rune]int{}
	for range 500 {
		verifier, err := sgid.GenerateCodeVerifier(128)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range verifier {
			count[r]++
		}
	}
	for r, n := range count {
		if n < 800 || n > 1200 {
			t.Errorf("%q stands %d times", r, n)
		}
	}
	if len(count) != 64 {
		t.Errorf("%d characters in use", len(count))
	}
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

// Whoever prints or logs what this package gives shows no secret, and nothing of a person.
func TestNothingIsPrinted(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
	params := authorized(t, p, c, "meiling")
	s, err := c.Callback(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.UserInfo(t.Context(), s.AccessToken, s.Sub)
	pair, err2 := sgid.GeneratePKCEPair(43)
	a, err3 := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: pair.CodeChallenge})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	cfg := p.Config("http://127.0.0.1:1")
	var shown strings.Builder
	text, js := slog.New(slog.NewTextHandler(&shown, nil)), slog.New(slog.NewJSONHandler(&shown, nil))
	for _, v := range []any{params, s, *s, info, *info, pair, a, *a, c, cfg} {
		fmt.Fprintf(&shown, "%v %+v %#v %s\n", v, v, v, v)
		text.Info("x", "v", v)
		js.Info("x", "v", v)
	}
	for name, secret := range map[string]string{
		"code": params.Code, "verifier": params.CodeVerifier, "nonce": params.Nonce, "ID token": s.IDToken, "access token": s.AccessToken, "name": info.Data.Name(),
		"a fresh verifier": pair.CodeVerifier, "state": a.State, "a fresh nonce": a.Nonce, "client secret": idtest.ExampleSecret, "session secret": cfg.SessionSecret, "private key": "PRIVATE",
	} {
		if strings.Contains(shown.String(), secret) {
			t.Errorf("%s is shown", name)
		}
	}
}
