package sgid_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

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

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	c := byHand(t, p)
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
		t.Run(name, func(t *testing.T) {
			a, err := c.AuthorizeURL(row.options)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(a.URL)
			if err != nil || !strings.HasPrefix(a.URL, p.URL()+"/oauth/authorize?") {
				t.Fatalf("%s, %v", a.URL, err)
			}
			row.want.Set("response_type", "code")
			row.want.Set("client_id", idtest.ExampleClient)
			row.want.Set("code_challenge", challenge)
			row.want.Set("code_challenge_method", "S256")
			row.want.Set("state", a.State)
			row.want.Set("nonce", a.Nonce)
			for parameter, want := range row.want {
				if got := u.Query()[parameter]; !slices.Equal(got, want) {
					t.Errorf("%s is %q, want %q", parameter, got, want)
				}
			}
			if row.options.State == "" && (len(a.State) != 43 || len(a.Nonce) != 43 || a.State == a.Nonce) {
				t.Errorf("state %q and nonce %q", a.State, a.Nonce)
			}
		})
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
		"no access token":             {response(func(r map[string]any) { delete(r, "access_token") }), []error{idserver.ErrTokenEndpoint}},
		"access token empty":          {response(func(r map[string]any) { r["access_token"] = "" }), []error{idserver.ErrTokenEndpoint}},
		"no ID token":                 {response(func(r map[string]any) { delete(r, "id_token") }), []error{idserver.ErrInvalidToken, idserver.ReasonMalformed}},
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
		t.Run(name, func(t *testing.T) {
			params := authorized(t, p, c, "meiling")
			p.SetTokenResponse(func(r map[string]any) { r["id_token"] = p.SignRaw(header, map[string]string{"sub": "x"}) })
			if _, err := c.Callback(t.Context(), params); !errors.Is(err, idserver.ReasonAlgorithm) {
				t.Error(err)
			}
		})
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
		t.Run(name, func(t *testing.T) {
			params := authorized(t, p, c, "meiling")
			p.SetTokenResponse(edit)
			if _, err := c.Callback(t.Context(), params); err != nil {
				t.Error(err)
			}
		})
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

func TestRoutes(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, p *sgidtest.Provider) {
		a := newApp(t, p)
		b := a.browser()
		if response, _ := b.do("GET", "/me", navigation...); response.StatusCode != http.StatusSeeOther || !strings.HasPrefix(response.Header.Get("Location"), "/auth/login?return_to=") {
			t.Errorf("signed out: %d %s", response.StatusCode, response.Header.Get("Location"))
		}
		b.signIn("zoe", "")
		if p.Requests(idtest.UserInfo) != 0 || p.Requests(idtest.Discovery) != 0 {
			t.Error("signing in asks userinfo or the metadata")
		}
		if _, size := b.cookies(); size > 1500 {
			t.Errorf("the session has %d bytes: are there data in it?", size)
		}
		response, body := b.do("GET", "/me", navigation...)
		if response.StatusCode != 200 || !strings.Contains(body, `"subject":"u=8f1c0b6e-0000-4000-8000-0000000000a3"`) || !strings.Contains(body, "ZOË D'SOUZA 陳亞明") {
			t.Errorf("/me: %d %s", response.StatusCode, body)
		}
		response, body = b.do("GET", "/auth/userinfo", script...)
		var shown struct {
			ID, Sub string
			Roles   []string
			Data    map[string]string
		}
		if err := json.Unmarshal([]byte(body), &shown); err != nil || response.StatusCode != 200 || shown.ID == "" || shown.Sub != shown.ID || shown.Roles == nil ||
			shown.Data["myinfo.name"] != "ZOË D'SOUZA 陳亞明" || shown.Data["myinfo.sex"] != "NA" || shown.Data["myinfo.registered_address"] != "" {
			t.Errorf("userinfo: %d %s", response.StatusCode, body)
		}
		if response, _ := b.do("POST", "/auth/logout", script...); response.StatusCode != 200 {
			t.Errorf("logout: %d", response.StatusCode)
		}
		if names, _ := b.cookies(); slices.ContainsFunc(names, func(name string) bool { return !strings.HasSuffix(name, "-browser") }) {
			t.Errorf("signed out, with %v", names)
		}
		if response, _ := b.do("GET", "/auth/userinfo", script...); response.StatusCode != 401 {
			t.Errorf("signed out: %d", response.StatusCode)
		}
	})
}

// A single-page front end: it fetches the URL, comes back, and reads who is there.
func TestSinglePage(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	a := newApp(t, p, func(c *sgid.Config) { c.Scopes = nil; c.AfterSignIn = "/logged-in" })
	b := a.browser()
	response, body := b.do("GET", "/auth/login", script...)
	var to struct{ URL string }
	if err := json.Unmarshal([]byte(body), &to); err != nil || response.StatusCode != 200 {
		t.Fatalf("%d %s", response.StatusCode, body)
	}
	if u, err := url.Parse(to.URL); err != nil || u.Query().Get("scope") != "openid myinfo.name" {
		t.Errorf("%s", to.URL)
	}
	response, _ = b.do("GET", b.callback(to.URL, "meiling"), navigation...)
	if got := response.Header.Get("Location"); got != "/logged-in" {
		t.Errorf("to %q", got)
	}
	if _, body = b.do("GET", "/auth/userinfo", script...); !strings.Contains(body, `"data":{"myinfo.name":"LIM MEI LING"}`) {
		t.Errorf("%s", body)
	}
}

// What was chosen before signing in, and data that the application asks to keep, are in the session.
func TestAdmitUser(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	var a *app
	a = newApp(t, p, func(c *sgid.Config) {
		c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
			info, err := a.UserInfoFrom(ctx)
			if err != nil {
				return err
			}
			u.Name = info.Data.Name()
			return errors.Join(u.Set("ice_cream", idserver.AppDataFrom(ctx)), u.Set("email", info.Data.Email()))
		}
	})
	b := a.browser()
	b.signIn("meiling", "?app_data="+url.QueryEscape("Vanilla & 香草"))
	_, body := b.do("GET", "/me", navigation...)
	if !strings.Contains(body, `"ice_cream":"Vanilla \u0026 香草"`) || !strings.Contains(body, `"email":"meiling@example.test"`) {
		t.Errorf("%s", body)
	}
	if _, body := b.do("GET", "/auth/userinfo", script...); !strings.Contains(body, `"name":"LIM MEI LING"`) {
		t.Errorf("%s", body)
	}
	p.Fail(idtest.UserInfo, idtest.Fault{Status: 500})
	b = a.browser()
	if response, body := b.do("GET", b.callback(b.begin(""), "meiling"), navigation...); response.StatusCode != 503 || !strings.Contains(body, "provider_unavailable") {
		t.Errorf("without the data: %d %s", response.StatusCode, body)
	}
}

func TestCallbackTwice(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	a := newApp(t, p)
	b := a.browser()
	callback := b.callback(b.begin("?return_to=/me"), "meiling")
	for i := range 3 {
		if response, _ := b.do("GET", callback, navigation...); response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != "/me" {
			t.Errorf("the same browser, time %d: %d", i+1, response.StatusCode)
		}
	}
	if n := p.Requests(idtest.Token); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	// A proxy that looks at what it sends on asks once more, without the browser's cookies.
	response, body := a.browser().do("GET", callback, "Accept", "*/*")
	if response.StatusCode/100 != 4 || !strings.Contains(body, "sign_in_lost") {
		t.Errorf("another program: %d %s", response.StatusCode, body)
	}
}

// sgID's front ends live elsewhere: on another port, for one.
func TestFrontEndElsewhere(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	const frontEnd = "http://localhost:5173"
	a := newApp(t, p, func(c *sgid.Config) { c.TrustedOrigins = []string{frontEnd} })
	b := a.browser()
	from := append([]string{"Origin", frontEnd}, script...)
	from[len(from)-1] = "same-site"
	response, body := b.do("GET", "/auth/login?return_to="+url.QueryEscape(frontEnd+"/logged-in"), from...)
	var to struct{ URL string }
	if err := json.Unmarshal([]byte(body), &to); err != nil || response.Header.Get("Access-Control-Allow-Origin") != frontEnd || response.Header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Fatalf("%d %s %v", response.StatusCode, body, response.Header)
	}
	if response, _ = b.do("GET", b.callback(to.URL, "meiling"), navigation...); response.Header.Get("Location") != frontEnd+"/logged-in" {
		t.Errorf("back to %q", response.Header.Get("Location"))
	}
	if response, body = b.do("GET", "/auth/userinfo", from...); response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != frontEnd || !strings.Contains(body, "LIM MEI LING") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	from[1] = "http://localhost:5174"
	if response, _ = b.do("GET", "/auth/userinfo", from...); response.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a stranger's page reads it")
	}
	if response, _ = b.do("OPTIONS", "/auth/logout", "Origin", frontEnd, "Access-Control-Request-Method", "POST"); response.StatusCode != 204 || response.Header.Get("Access-Control-Allow-Methods") != "POST" {
		t.Errorf("preflight: %d %v", response.StatusCode, response.Header)
	}
}
