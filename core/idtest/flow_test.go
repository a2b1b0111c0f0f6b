package idtest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// verifiesWith reports whether a key of the published set has signed the token.
func verifiesWith(t *testing.T, set, token string) bool {
	t.Helper()
	var keys struct {
		Keys []struct{ Kty, Use, Alg, Kid, N, E string }
	}
	if err := json.Unmarshal([]byte(set), &keys); err != nil {
		t.Fatal(err)
	}
	header, _ := decode(t, token)
	signed := token[:strings.LastIndex(token, ".")]
	signature, err := base64.RawURLEncoding.DecodeString(token[len(signed)+1:])
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte(signed))
	for _, key := range keys.Keys {
		if key.Kid != header["kid"] {
			continue
		}
		if key.Kty != "RSA" || key.Use != "sig" || key.Alg != "RS256" {
			t.Errorf("published key is %+v", key)
		}
		n, err1 := base64.RawURLEncoding.DecodeString(key.N)
		e, err2 := base64.RawURLEncoding.DecodeString(key.E)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		public := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature) == nil
	}
	return false
}

func TestCodeFlow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return now } })

	response := signIn(t, p, "alice")
	equal(t, "state", response.Get("state"), "the-state")
	equal(t, "iss", response.Get("iss"), p.URL())

	a := post(t, p, "/connect/token", codeForm(response.Get("code")))
	equal(t, "status", a.status, http.StatusOK)
	equal(t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
	granted := a.json(t)
	equal(t, "token_type", granted["token_type"], any("Bearer"))
	equal(t, "expires_in", granted["expires_in"], any(900.0))
	equal(t, "scope", granted["scope"], any("openid profile email roles"))

	access, id := granted["access_token"].(string), granted["id_token"].(string)
	set := get(t, p, "/.well-known/jwks.json").body
	for name, token := range map[string]string{"access token": access, "ID token": id} {
		if !verifiesWith(t, set, token) {
			t.Errorf("the %s is not signed with a published key", name)
		}
	}

	header, claims := decode(t, access)
	same(t, "header", header, map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": p.KeyID()})
	if claims["jti"] == "" || claims["jti"] == nil {
		t.Error("no jti")
	}
	delete(claims, "jti")
	same(t, "access token", claims, map[string]any{
		"iss": p.URL(), "sub": "6f0c2a3e-0000-4000-8000-00000000a11c", "aud": "idserver-api",
		"client_id": "example", "scope": "openid profile email roles",
		"iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
		"email": "alice@example.test", "name": "Alice Tan",
		"tenant_id": "7b1d5c52-0000-4000-8000-00000000acee",
		"roles":     []string{"admin", "user"}, "custom_roles": []string{"billing"},
	})

	sum := sha256.Sum256([]byte(access))
	_, claims = decode(t, id)
	if claims["sid"] == "" || claims["sid"] == nil {
		t.Error("no sid")
	}
	delete(claims, "sid")
	same(t, "ID token", claims, map[string]any{
		"iss": p.URL(), "sub": "6f0c2a3e-0000-4000-8000-00000000a11c", "aud": "example",
		"iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(), "auth_time": now.Unix(),
		"nonce": "the-nonce", "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
		"email": "alice@example.test", "email_verified": true,
		"name": "Alice Tan", "given_name": "Alice", "family_name": "Tan",
	})

	about := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+access)
	equal(t, "userinfo status", about.status, http.StatusOK)
	same(t, "userinfo", about.json(t), map[string]any{
		"sub": "6f0c2a3e-0000-4000-8000-00000000a11c", "email": "alice@example.test", "email_verified": true,
		"name": "Alice Tan", "given_name": "Alice", "family_name": "Tan",
		"tenant_id": "7b1d5c52-0000-4000-8000-00000000acee",
		"roles":     []string{"admin", "user"}, "custom_roles": []string{"billing"},
	})
}

func TestTheScopeDecidesTheStandardClaims(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	exchange := func(scope string) map[string]any {
		code := signIn(t, p, "bob", "scope", scope, "nonce", "").Get("code")
		return post(t, p, "/connect/token", codeForm(code)).json(t)
	}
	_, claims := decode(t, exchange("openid")["id_token"].(string))
	for _, name := range []string{"email", "email_verified", "name", "given_name", "family_name", "nonce"} {
		if value, ok := claims[name]; ok {
			t.Errorf("%s is %v for the scope openid", name, value)
		}
	}
	if _, ok := exchange("profile")["id_token"]; ok {
		t.Error("an ID token without the scope openid")
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	secret := `a "secret": + / % é`
	p.AddClient(idtest.Client{ID: "my app", Secret: secret, RedirectURIs: []string{"https://app.example/cb"}})
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
	}
	for name, test := range map[string]struct {
		changes       []string
		authorization string
		status        int
		code          string
	}{
		"post":                  {[]string{"client_id", "my app", "client_secret", secret}, "", 200, ""},
		"basic":                 {[]string{"client_id", "", "client_secret", ""}, basic("my app", secret), 200, ""},
		"basic and client_id":   {[]string{"client_id", "my app", "client_secret", ""}, basic("my app", secret), 200, ""},
		"both at once":          {[]string{"client_id", "my app", "client_secret", secret}, basic("my app", secret), 400, "invalid_request"},
		"basic, other id":       {[]string{"client_id", "example", "client_secret", ""}, basic("my app", secret), 400, "invalid_request"},
		"basic, wrong secret":   {[]string{"client_id", "", "client_secret", ""}, basic("my app", "wrong"), 401, "invalid_client"},
		"post, wrong secret":    {[]string{"client_id", "my app", "client_secret", "wrong"}, "", 401, "invalid_client"},
		"no secret":             {[]string{"client_id", "my app", "client_secret", ""}, "", 401, "invalid_client"},
		"unknown client":        {[]string{"client_id", "other", "client_secret", secret}, "", 401, "invalid_client"},
		"no client":             {[]string{"client_id", "", "client_secret", ""}, "", 401, "invalid_client"},
		"public, with a secret": {[]string{"client_id", idtest.ExamplePublicClient, "client_secret", "any"}, "", 401, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			code := signIn(t, p, "bob", "client_id", "my app", "redirect_uri", "https://app.example/cb").Get("code")
			form := codeForm(code, append(test.changes, "redirect_uri", "https://app.example/cb")...)
			var header []string
			if test.authorization != "" {
				header = []string{"Authorization", test.authorization}
			}
			a := post(t, p, "/connect/token", form, header...)
			equal(t, "status", a.status, test.status)
			if test.code != "" {
				equal(t, "error", a.json(t)["error"], any(test.code))
			}
			equal(t, "challenged", strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Basic "), test.status == 401)
		})
	}
}

func TestPublicClient(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	code := signIn(t, p, "carol", "client_id", idtest.ExamplePublicClient).Get("code")
	a := post(t, p, "/connect/token", codeForm(code, "client_id", idtest.ExamplePublicClient, "client_secret", ""))
	equal(t, "status", a.status, http.StatusOK)
}

func TestExchangeRefused(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for name, test := range map[string]struct {
		changes []string
		code    string
	}{
		"wrong verifier":         {[]string{"code_verifier", strings.Repeat("x", 43)}, "invalid_grant"},
		"the challenge again":    {[]string{"code_verifier", challenge(verifier)}, "invalid_grant"},
		"short verifier":         {[]string{"code_verifier", "short"}, "invalid_grant"},
		"no verifier":            {[]string{"code_verifier", ""}, "invalid_request"},
		"wrong redirect_uri":     {[]string{"redirect_uri", callback + "/"}, "invalid_grant"},
		"no redirect_uri":        {[]string{"redirect_uri", ""}, "invalid_request"},
		"unknown code":           {[]string{"code", "unknown"}, "invalid_grant"},
		"no code":                {[]string{"code", ""}, "invalid_request"},
		"another client":         {[]string{"client_id", idtest.ExamplePublicClient, "client_secret", ""}, "invalid_grant"},
		"no grant_type":          {[]string{"grant_type", ""}, "invalid_request"},
		"another grant_type":     {[]string{"grant_type", "password"}, "unsupported_grant_type"},
		"unknown refresh token":  {[]string{"grant_type", "refresh_token", "refresh_token", "unknown"}, "invalid_grant"},
		"without refresh_token":  {[]string{"grant_type", "refresh_token"}, "invalid_request"},
		"access token, not code": {[]string{"code", p.MintAccessToken("alice")}, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			code := signIn(t, p, "alice").Get("code")
			a := post(t, p, "/connect/token", codeForm(code, test.changes...))
			equal(t, "status", a.status, http.StatusBadRequest)
			equal(t, "error", a.json(t)["error"], any(test.code))
			equal(t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
		})
	}

	form := codeForm(signIn(t, p, "alice").Get("code"))
	form.Add("code", "another")
	equal(t, "status of a repeated parameter", post(t, p, "/connect/token", form).status, http.StatusBadRequest)

	a := post(t, p, "/connect/token?"+codeForm(signIn(t, p, "alice").Get("code")).Encode(), nil)
	equal(t, "status of a form in the URL", a.status, http.StatusUnauthorized)

	large := codeForm("code", "padding", strings.Repeat("x", 65<<10))
	equal(t, "status of a large form", post(t, p, "/connect/token", large).status, http.StatusBadRequest)
}

func TestCodeIsGoodForOneAttempt(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	code := signIn(t, p, "alice").Get("code")
	post(t, p, "/connect/token", codeForm(code, "code_verifier", strings.Repeat("x", 43)))
	a := post(t, p, "/connect/token", codeForm(code))
	equal(t, "error", a.json(t)["error"], any("invalid_grant"))
}

func TestCodeReuseRevokesItsTokens(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	code := signIn(t, p, "alice").Get("code")
	granted := post(t, p, "/connect/token", codeForm(code)).json(t)
	access, refresh := granted["access_token"].(string), granted["refresh_token"].(string)
	if p.Revoked(access) || p.Revoked(refresh) {
		t.Fatal("revoked before the code is used again")
	}
	a := post(t, p, "/connect/token", codeForm(code))
	equal(t, "error", a.json(t)["error"], any("invalid_grant"))
	equal(t, "access token revoked", p.Revoked(access), true)
	equal(t, "refresh token revoked", p.Revoked(refresh), true)
	equal(t, "userinfo status", get(t, p, "/connect/userinfo", "Authorization", "Bearer "+access).status, http.StatusUnauthorized)
	a = post(t, p, "/connect/token", refreshForm(refresh))
	equal(t, "error of the refresh", a.json(t)["error"], any("invalid_grant"))
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	first := tokens(t, p, "carol")
	p.Advance(time.Minute)
	p.SetPerson(idtest.Person{Login: "carol", Subject: "carol-sub", Roles: []string{"owner"}})

	second := post(t, p, "/connect/token", refreshForm(first["refresh_token"].(string))).json(t)
	if second["refresh_token"] == first["refresh_token"] || second["access_token"] == first["access_token"] {
		t.Error("the refresh gave the same tokens again")
	}
	_, access := decode(t, second["access_token"].(string))
	same(t, "roles", access["roles"], []string{"owner"})
	_, before := decode(t, first["id_token"].(string))
	_, after := decode(t, second["id_token"].(string))
	equal(t, "auth_time", after["auth_time"], before["auth_time"])
	equal(t, "sid", after["sid"], before["sid"])
	if after["nonce"] != nil {
		t.Error("a refreshed ID token has a nonce")
	}
	equal(t, "first one revoked by its use", p.Revoked(first["refresh_token"].(string)), false)

	wider := post(t, p, "/connect/token", refreshForm(second["refresh_token"].(string), "scope", "openid more"))
	equal(t, "error of a wider scope", wider.json(t)["error"], any("invalid_scope"))
	third := post(t, p, "/connect/token", refreshForm(second["refresh_token"].(string), "scope", "openid")).json(t)
	equal(t, "narrower scope", third["scope"], any("openid"))
}

func TestRefreshReuseRevokesTheFamily(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	first := tokens(t, p, "alice")
	other := tokens(t, p, "alice")
	second := post(t, p, "/connect/token", refreshForm(first["refresh_token"].(string))).json(t)

	again := post(t, p, "/connect/token", refreshForm(first["refresh_token"].(string)))
	equal(t, "error of the second use", again.json(t)["error"], any("invalid_grant"))
	equal(t, "newest refresh token revoked", p.Revoked(second["refresh_token"].(string)), true)
	equal(t, "newest access token revoked", p.Revoked(second["access_token"].(string)), true)
	equal(t, "other sign-in revoked", p.Revoked(other["refresh_token"].(string)), false)
	last := post(t, p, "/connect/token", refreshForm(second["refresh_token"].(string)))
	equal(t, "status of the newest", last.status, http.StatusBadRequest)
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.AccessTTL, o.RefreshTTL = time.Minute, time.Hour
	})
	code := signIn(t, p, "alice").Get("code")
	granted := tokens(t, p, "alice")
	equal(t, "expires_in", granted["expires_in"], any(60.0))
	bearer := "Bearer " + granted["access_token"].(string)
	equal(t, "userinfo status", get(t, p, "/connect/userinfo", "Authorization", bearer).status, http.StatusOK)

	p.Advance(2 * time.Minute)
	a := get(t, p, "/connect/userinfo", "Authorization", bearer)
	equal(t, "userinfo status after a minute", a.status, http.StatusUnauthorized)
	if challenge := a.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate is %q", challenge)
	}
	equal(t, "status of an old code", post(t, p, "/connect/token", codeForm(code)).status, http.StatusBadRequest)

	p.Advance(time.Hour)
	a = post(t, p, "/connect/token", refreshForm(granted["refresh_token"].(string)))
	equal(t, "status of an old refresh token", a.status, http.StatusBadRequest)
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	granted := tokens(t, p, "alice")
	access, refresh := granted["access_token"].(string), granted["refresh_token"].(string)
	revoke := func(token string, changes ...string) answer {
		return post(t, p, "/connect/revoke", with(map[string]string{
			"token": token, "client_id": idtest.ExampleClient, "client_secret": idtest.ExampleSecret,
		}, changes...))
	}
	equal(t, "status of a wrong secret", revoke(refresh, "client_secret", "wrong").status, http.StatusUnauthorized)
	equal(t, "status of another client", revoke(refresh, "client_id", idtest.ExamplePublicClient, "client_secret", "").status, http.StatusBadRequest)
	equal(t, "status without a token", revoke("").status, http.StatusBadRequest)
	equal(t, "status of an unknown token", revoke("unknown").status, http.StatusOK)
	equal(t, "refresh token revoked by these", p.Revoked(refresh), false)

	equal(t, "status of the access token", revoke(access).status, http.StatusOK)
	equal(t, "access token revoked", p.Revoked(access), true)
	equal(t, "refresh token revoked with it", p.Revoked(refresh), false)

	next := post(t, p, "/connect/token", refreshForm(refresh)).json(t)
	equal(t, "status of the refresh token", revoke(next["refresh_token"].(string)).status, http.StatusOK)
	equal(t, "access token revoked with it", p.Revoked(next["access_token"].(string)), true)
	a := post(t, p, "/connect/token", refreshForm(next["refresh_token"].(string)))
	equal(t, "error of the next refresh", a.json(t)["error"], any("invalid_grant"))
}

func TestUserInfoRefuses(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	other := idtest.NewProvider(t)
	for name, authorization := range map[string]string{
		"nothing":                   "",
		"another scheme":            "Basic YTpi",
		"an ID token":               "Bearer " + p.MintIDToken("alice", idtest.ExampleClient),
		"another provider's":        "Bearer " + other.MintAccessToken("alice"),
		"no JWT":                    "Bearer opaque",
		"a person who is not there": "Bearer " + p.MintAccessToken("alice", func(c map[string]any) { c["sub"] = "mallory" }),
		"no signature":              "Bearer " + strings.TrimRight(p.MintAccessToken("alice"), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"),
	} {
		a := get(t, p, "/connect/userinfo", "Authorization", authorization)
		equal(t, name+": status", a.status, http.StatusUnauthorized)
		if challenge := a.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: WWW-Authenticate is %q", name, challenge)
		}
	}
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.AddClient(idtest.Client{ID: "registered", PostLogoutRedirectURIs: []string{"https://app.example/bye?x=1"}})
	other := idtest.NewProvider(t)
	hint := p.MintIDToken("alice", idtest.ExampleClient)
	const home = "http://127.0.0.1:8080/"
	for name, test := range map[string]struct {
		params   map[string]string
		status   int
		location string
	}{
		"nothing":            {nil, 200, ""},
		"hint alone":         {map[string]string{"id_token_hint": hint}, 200, ""},
		"hint and uri":       {map[string]string{"id_token_hint": hint, "post_logout_redirect_uri": home}, 303, home},
		"state":              {map[string]string{"id_token_hint": hint, "post_logout_redirect_uri": home, "state": "a b"}, 303, home + "?state=a+b"},
		"client_id and uri":  {map[string]string{"client_id": idtest.ExampleClient, "post_logout_redirect_uri": home}, 303, home},
		"both":               {map[string]string{"id_token_hint": hint, "client_id": idtest.ExampleClient, "post_logout_redirect_uri": home}, 303, home},
		"registered":         {map[string]string{"client_id": "registered", "post_logout_redirect_uri": "https://app.example/bye?x=1", "state": "s"}, 303, "https://app.example/bye?x=1&state=s"},
		"not registered":     {map[string]string{"client_id": "registered", "post_logout_redirect_uri": home}, 400, ""},
		"elsewhere":          {map[string]string{"id_token_hint": hint, "post_logout_redirect_uri": "http://evil.example/"}, 400, ""},
		"uri alone":          {map[string]string{"post_logout_redirect_uri": home}, 400, ""},
		"unknown client":     {map[string]string{"client_id": "other", "post_logout_redirect_uri": home}, 400, ""},
		"another client":     {map[string]string{"id_token_hint": hint, "client_id": "registered"}, 400, ""},
		"no token as hint":   {map[string]string{"id_token_hint": "hint"}, 400, ""},
		"hint from anywhere": {map[string]string{"id_token_hint": other.MintIDToken("alice", idtest.ExampleClient)}, 400, ""},
	} {
		for _, a := range []answer{
			get(t, p, "/connect/endsession?"+with(test.params).Encode()),
			post(t, p, "/connect/endsession", with(test.params)),
		} {
			equal(t, name+": status", a.status, test.status)
			equal(t, name+": Location", a.header.Get("Location"), test.location)
		}
	}

	p.RotateKey()
	p.WithdrawKey()
	p.Advance(24 * time.Hour)
	a := get(t, p, "/connect/endsession?"+url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {home}}.Encode())
	equal(t, "status with an expired hint of an old key", a.status, http.StatusSeeOther)
	if page := get(t, p, "/connect/endsession").body; !strings.Contains(page, "You are signed out") {
		t.Errorf("the page is %s", page)
	}
}
