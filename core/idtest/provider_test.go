package idtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	a := get(t, p, "/.well-known/openid-configuration")
	equal(t, "status", a.status, http.StatusOK)
	equal(t, "Content-Type", a.header.Get("Content-Type"), "application/json")
	metadata := a.json(t)
	for name, want := range map[string]any{
		"issuer":                                p.URL(),
		"authorization_endpoint":                p.URL() + "/connect/authorize",
		"token_endpoint":                        p.URL() + "/connect/token",
		"userinfo_endpoint":                     p.URL() + "/connect/userinfo",
		"revocation_endpoint":                   p.URL() + "/connect/revoke",
		"end_session_endpoint":                  p.URL() + "/connect/endsession",
		"jwks_uri":                              p.URL() + "/.well-known/jwks.json",
		"code_challenge_methods_supported":      []string{"S256"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "roles", "offline_access"},
		"authorization_response_iss_parameter_supported": true,
	} {
		same(t, name, metadata[name], want)
	}
}

func TestDocumentsAreCached(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json"} {
		a := get(t, p, path)
		equal(t, "Cache-Control", a.header.Get("Cache-Control"), "public, max-age=600")
		again := get(t, p, path, "If-None-Match", a.header.Get("ETag"))
		equal(t, path+": status", again.status, http.StatusNotModified)
		equal(t, path+": body", again.body, "")
	}
	etag := get(t, p, "/.well-known/jwks.json").header.Get("ETag")
	p.RotateKey()
	a := get(t, p, "/.well-known/jwks.json", "If-None-Match", etag)
	equal(t, "status after a rotation", a.status, http.StatusOK)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	set := func() string { return get(t, p, "/.well-known/jwks.json").body }
	oldToken, oldKey, oldID := p.MintAccessToken("alice"), p.PrivateKey(), p.KeyID()

	p.RotateKey()
	newToken := p.MintAccessToken("alice")
	if p.KeyID() == oldID || p.PrivateKey().Equal(oldKey) {
		t.Error("the key is the old one")
	}
	equal(t, "old token verifies", verifiesWith(t, set(), oldToken), true)
	equal(t, "new token verifies", verifiesWith(t, set(), newToken), true)

	p.WithdrawKey()
	equal(t, "old token verifies after the withdrawal", verifiesWith(t, set(), oldToken), false)
	equal(t, "new token verifies after the withdrawal", verifiesWith(t, set(), newToken), true)

	p.SetJWKS([]byte(`{"keys":"none"}`))
	equal(t, "document", set(), `{"keys":"none"}`)
	p.SetJWKS(nil)
	equal(t, "new token verifies in the end", verifiesWith(t, set(), newToken), true)
}

func TestMint(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Audience = "my-api" })
	set := get(t, p, "/.well-known/jwks.json").body

	_, claims := decode(t, p.MintAccessToken("carol", func(c map[string]any) { c["extra"] = 1; delete(c, "email") }))
	equal(t, "aud", claims["aud"], any("my-api"))
	equal(t, "client_id", claims["client_id"], any("example"))
	equal(t, "extra", claims["extra"], any(1.0))
	equal(t, "email", claims["email"], nil)
	same(t, "custom_roles", claims["custom_roles"], []string{})

	header, claims := decode(t, p.MintIDToken("carol", "any", func(c map[string]any) { c["nonce"] = "n" }))
	equal(t, "typ", header["typ"], any("JWT"))
	equal(t, "aud of the ID token", claims["aud"], any("any"))
	equal(t, "nonce", claims["nonce"], any("n"))
	equal(t, "roles", claims["roles"], nil)

	signed := p.Sign(map[string]any{"a": 1})
	equal(t, "Sign verifies", verifiesWith(t, set, signed), true)

	raw := p.SignRaw([]byte(`{"alg":"none","kid":"`+p.KeyID()+`"}`), []byte(`{"sub":"a","sub":"b"}`))
	equal(t, "SignRaw verifies", verifiesWith(t, set, raw), true)
	header, _ = decode(t, raw)
	equal(t, "alg", header["alg"], any("none"))
	_, claims = decode(t, p.SignRaw(map[string]any{"alg": "RS256"}, "{}"))
	equal(t, "number of claims", len(claims), 0)

	defer func() {
		if fault, ok := recover().(string); !ok || !strings.Contains(fault, `"mallory"`) {
			t.Errorf("panic is %v", fault)
		}
	}()
	p.MintAccessToken("mallory")
}

func TestEdits(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	mark := func(values map[string]any) { values["edited"] = true }
	set := func(edit func(map[string]any)) {
		p.SetMetadata(edit)
		p.SetTokenResponse(edit)
		p.SetIDTokenClaims(edit)
		p.SetAccessTokenClaims(edit)
		p.SetUserInfo(edit)
	}
	check := func(want any) {
		t.Helper()
		granted := tokens(t, p, "alice")
		_, id := decode(t, granted["id_token"].(string))
		_, access := decode(t, granted["access_token"].(string))
		_, minted := decode(t, p.MintAccessToken("alice"))
		about := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+granted["access_token"].(string)).json(t)
		for name, values := range map[string]map[string]any{
			"metadata":       get(t, p, "/.well-known/openid-configuration").json(t),
			"token response": granted, "ID token": id, "access token": access, "minted": minted, "userinfo": about,
		} {
			equal(t, name, values["edited"], want)
		}
	}
	set(mark)
	check(true)
	set(nil)
	check(nil)

	p.SetAuthorizationResponse(func(values url.Values) { values.Set("iss", "https://evil.example") })
	equal(t, "iss", signIn(t, p, "alice").Get("iss"), "https://evil.example")
	p.SetAuthorizationResponse(nil)
	equal(t, "iss in the end", signIn(t, p, "alice").Get("iss"), p.URL())
}

func TestClock(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p.SetNow(at)
	issued := func() time.Time {
		_, claims := decode(t, p.MintAccessToken("alice"))
		return time.Unix(int64(claims["iat"].(float64)), 0)
	}
	if since := issued().Sub(at); since < 0 || since > time.Minute {
		t.Errorf("issued %v after the time set", since)
	}
	p.Advance(-time.Hour)
	if since := issued().Sub(at); since < -time.Hour || since > -59*time.Minute {
		t.Errorf("issued %v after the time set, an hour back", since)
	}
}

func TestLastTokenRequest(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	if form := p.LastTokenRequest(); form != nil {
		t.Errorf("%v before the first", form)
	}
	granted := tokens(t, p, "alice")
	same(t, "form", p.LastTokenRequest(), url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"example"}, "redirect_uri": {callback},
		"code": {"[redacted]"}, "code_verifier": {"[redacted]"}, "client_secret": {"[redacted]"},
	})
	post(t, p, "/connect/token", refreshForm(granted["refresh_token"].(string)))
	equal(t, "refresh_token", p.LastTokenRequest().Get("refresh_token"), "[redacted]")
}

func TestRequests(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.Fail(idtest.KeySet, idtest.Fault{Once: true})
	for range 3 {
		get(t, p, "/.well-known/jwks.json")
	}
	tokens(t, p, "alice")
	equal(t, "key set", p.Requests(idtest.KeySet), 3)
	equal(t, "authorization", p.Requests(idtest.Authorization), 2)
	equal(t, "token", p.Requests(idtest.Token), 1)
	equal(t, "userinfo", p.Requests(idtest.UserInfo), 0)
	p.ResetRequests()
	equal(t, "key set after the reset", p.Requests(idtest.KeySet), 0)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for name, test := range map[string]struct {
		fault       idtest.Fault
		status      int
		contentType string
		body        string
		header      string
	}{
		"zero":         {idtest.Fault{}, 500, "application/problem+json", `"status":500`, ""},
		"locked":       {idtest.Fault{Status: 423}, 423, "application/problem+json", `"title":"Locked"`, ""},
		"too many":     {idtest.Fault{Status: 429}, 429, "application/problem+json", `"status":429`, "Retry-After: 30"},
		"own header":   {idtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, 429, "application/problem+json", "", "Retry-After: 7"},
		"body":         {idtest.Fault{Body: "{"}, 200, "application/json", "{", ""},
		"body, status": {idtest.Fault{Status: 502, Body: "bad", ContentType: "text/plain"}, 502, "text/plain", "bad", ""},
		"empty":        {idtest.Fault{Status: 204}, 204, "application/json", "", ""},
		"web page":     {idtest.Fault{HTML: true}, 200, "text/html; charset=utf-8", "<!doctype html>", ""},
		"web page 503": {idtest.Fault{HTML: true, Status: 503}, 503, "text/html; charset=utf-8", "<!doctype html>", ""},
		"redirect":     {idtest.Fault{Redirect: "http://127.0.0.1/x"}, 307, "text/html; charset=utf-8", "", "Location: http://127.0.0.1/x"},
		"moved":        {idtest.Fault{Redirect: "/x", Status: 302}, 302, "text/html; charset=utf-8", "", "Location: /x"},
		"OAuth error":  {idtest.Fault{OAuthError: "invalid_grant", OAuthDescription: "why"}, 400, "application/json", `{"error":"invalid_grant","error_description":"why"}`, ""},
		"OAuth 401":    {idtest.Fault{OAuthError: "invalid_client", Status: 401}, 401, "application/json", `{"error":"invalid_client"}`, ""},
		"late":         {idtest.Fault{Slow: time.Nanosecond}, 200, "application/json", `"keys"`, ""},
		"late, 500":    {idtest.Fault{Slow: time.Nanosecond, Status: 500}, 500, "application/problem+json", "", ""},
	} {
		p.Fail(idtest.KeySet, test.fault)
		a := get(t, p, "/.well-known/jwks.json")
		equal(t, name+": status", a.status, test.status)
		equal(t, name+": Content-Type", a.header.Get("Content-Type"), test.contentType)
		if !strings.Contains(a.body, test.body) {
			t.Errorf("%s: body is %q, want %q in it", name, a.body, test.body)
		}
		if field, value, ok := strings.Cut(test.header, ": "); ok {
			equal(t, name+": "+field, a.header.Get(field), value)
		}
	}
	p.Heal(idtest.KeySet)
	equal(t, "status when healed", get(t, p, "/.well-known/jwks.json").status, http.StatusOK)

	p.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant", Once: true})
	code := signIn(t, p, "alice").Get("code")
	equal(t, "status once", post(t, p, "/connect/token", codeForm(code)).status, http.StatusBadRequest)
	equal(t, "status after once", post(t, p, "/connect/token", codeForm(code)).status, http.StatusOK)

	p.Fail(idtest.Token, idtest.Fault{Slow: time.Nanosecond, Once: true})
	code = signIn(t, p, "alice").Get("code")
	equal(t, "status of a late answer to a form", post(t, p, "/connect/token", codeForm(code)).status, http.StatusOK)
}

// A fault may meet a part of the requests only.
func TestFaultsOfAShare(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	statuses := func(grants ...string) (all []int) {
		for _, grant := range grants {
			all = append(all, post(t, p, "/connect/token", with(map[string]string{"grant_type": grant})).status)
		}
		return all
	}
	p.Fail(idtest.Token, idtest.Fault{Status: 503, Every: 3})
	same(t, "each third", statuses("x", "x", "x", "x", "x", "x"), []int{401, 401, 503, 401, 401, 503})
	p.Fail(idtest.Token, idtest.Fault{Status: 503, Every: 2, When: func(f url.Values) bool { return f.Get("grant_type") == "y" }})
	same(t, "each second of some", statuses("y", "x", "y", "x", "y"), []int{401, 401, 503, 401, 401})
	p.Fail(idtest.Token, idtest.Fault{Status: 503, Once: true, When: func(f url.Values) bool { return f.Get("grant_type") == "y" }})
	same(t, "the first of some", statuses("x", "y", "y"), []int{401, 503, 401})
	p.Fail(idtest.KeySet, idtest.Fault{Every: 2})
	same(t, "each second GET", []int{get(t, p, "/.well-known/jwks.json").status, get(t, p, "/.well-known/jwks.json").status}, []int{200, 500})
}

func TestEndlessFaults(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for name, fault := range map[string]idtest.Fault{"endless": {Endless: true}, "gzip bomb": {GzipBomb: true}} {
		p.Fail(idtest.UserInfo, fault)
		response, err := p.HTTPClient().Get(p.URL() + "/connect/userinfo")
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.CopyN(io.Discard, response.Body, 8<<20)
		if err != nil || read != 8<<20 {
			t.Errorf("%s: %d bytes read, %v", name, read, err)
		}
		response.Body.Close()
	}

	p.Fail(idtest.UserInfo, idtest.Fault{Drop: true})
	if a, err := try(t.Context(), p, http.MethodGet, "/connect/userinfo", ""); err == nil {
		t.Errorf("dropped: %d", a.status)
	}
}

func TestHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := idtest.NewProvider(t, inMemory)
		p.Fail(idtest.Token, idtest.Fault{Hang: true})

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := try(ctx, p, http.MethodPost, "/connect/token", "a=b"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging: %v", err)
		}

		ended := make(chan error)
		go func() {
			_, err := try(context.WithoutCancel(t.Context()), p, http.MethodPost, "/connect/token", "a=b")
			ended <- err
		}()
		synctest.Wait()
		p.Close()
		if err := <-ended; err == nil {
			t.Error("answered after the provider was closed")
		}
		p.Close()
	})
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]idtest.Options{
		"everywhere":           {Addr: ":0"},
		"unspecified":          {Addr: "0.0.0.0:0"},
		"unspecified IPv6":     {Addr: "[::]:0"},
		"another address":      {Addr: "192.0.2.1:0"},
		"a name":               {Addr: "app.localhost:0"},
		"no port":              {Addr: "127.0.0.1"},
		"public BaseURL":       {BaseURL: "https://idp.example"},
		"subdomain BaseURL":    {BaseURL: "http://idp.localhost"},
		"BaseURL with a user":  {BaseURL: "http://a@localhost"},
		"BaseURL with a query": {BaseURL: "http://localhost?x"},
		"BaseURL odd path":     {BaseURL: "http://localhost/a//b"},
		"BaseURL scheme":       {BaseURL: "ftp://localhost"},
		"short AccessTTL":      {AccessTTL: time.Millisecond},
		"negative RefreshTTL":  {RefreshTTL: -time.Second},
		"client without ID":    {Clients: []idtest.Client{{}}},
		"client twice":         {Clients: []idtest.Client{{ID: "a"}, {ID: "a"}}},
		"person without login": {People: []idtest.Person{{}}},
		"person twice":         {People: []idtest.Person{{Login: "a"}, {Login: "a"}}},
	} {
		p, err := idtest.Start(options)
		if err == nil {
			p.Close()
			t.Errorf("%s: started", name)
		} else if !strings.HasPrefix(err.Error(), "idtest: Options.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p, err := idtest.Start(idtest.Options{Addr: taken.Addr().String()})
	if err == nil {
		p.Close()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "Options.Addr") {
		t.Error(err)
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for host, status := range map[string]int{
		"localhost": 200, "LOCALHOST:1": 200, "127.0.0.1": 200, "127.9.9.9:80": 200, "[::1]": 200, "[::1]:80": 200,
		"evil.example": 421, "localhost.evil.example": 421, "app.localhost": 421, "127.0.0.1.nip.io": 421, "192.0.2.1": 421, "localhost.": 421,
	} {
		equal(t, host, get(t, p, "/", "Host", host).status, status)
	}
	a := post(t, p, "/dev/token", url.Values{"user": {"alice"}}, "Host", "evil.example")
	equal(t, "token for a rebound name", strings.Contains(a.body, "access_token"), false)
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, suffix := range map[string]string{
		"http://127.0.0.1":          "",
		"http://127.0.0.1/":         "",
		"http://localhost/tenant/a": "/tenant/a",
		"http://localhost/tenant/":  "/tenant",
	} {
		p := idtest.NewProvider(t, func(o *idtest.Options) { o.BaseURL = base })
		if !strings.HasSuffix(p.URL(), suffix) || strings.HasSuffix(p.URL(), "/") {
			t.Errorf("%s: URL is %s", base, p.URL())
		}
		equal(t, "issuer", get(t, p, "/.well-known/openid-configuration").json(t)["issuer"], any(p.URL()))
		equal(t, "status of the page", get(t, p, "/").status, http.StatusOK)
		tokens(t, p, "alice")
	}
}

func TestOtherPaths(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for _, path := range []string{"/unknown", "/connect/introspection", "/connect/token/", "/.well-known/jwks"} {
		a := get(t, p, path)
		equal(t, path+": status", a.status, http.StatusNotFound)
		equal(t, path+": Content-Type", a.header.Get("Content-Type"), "application/problem+json")
	}
	a := get(t, p, "/connect/token")
	equal(t, "status of a GET", a.status, http.StatusMethodNotAllowed)
	equal(t, "Allow", a.header.Get("Allow"), "POST")
	equal(t, "status of HEAD", do(t, p, http.MethodHead, "/.well-known/jwks.json", "").status, http.StatusOK)
}

func TestHome(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	a := get(t, p, "/")
	for _, want := range []string{p.URL(), "curl -s -d user=alice " + p.URL() + "/dev/token", "openid-configuration"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

func TestDevToken(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	given := post(t, p, "/dev/token", url.Values{"user": {"alice"}}).json(t)
	header, claims := decode(t, given["access_token"].(string))
	signedIn, signedInClaims := decode(t, tokens(t, p, "alice")["access_token"].(string))
	same(t, "header", header, signedIn)
	for _, volatile := range []string{"jti", "iat", "exp"} {
		delete(claims, volatile)
		delete(signedInClaims, volatile)
	}
	same(t, "claims", claims, signedInClaims)

	a := post(t, p, "/dev/token", url.Values{"user": {"mallory"}})
	equal(t, "status of an unknown user", a.status, http.StatusBadRequest)
	if !strings.Contains(a.body, "alice, bob, carol") {
		t.Errorf("body is %s", a.body)
	}
}

// A browser may take "localhost" for either address.
func TestBothLoopbacks(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	issuer, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{"127.0.0.1"}
	if probe, err := net.Listen("tcp", "[::1]:0"); err == nil {
		probe.Close()
		hosts = append(hosts, "::1")
	}
	for _, host := range hosts {
		response, err := http.Get("http://" + net.JoinHostPort(host, issuer.Port()) + "/")
		if err != nil {
			t.Error(err)
			continue
		}
		response.Body.Close()
		equal(t, host, response.StatusCode, http.StatusOK)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	code := signIn(t, p, "alice").Get("code")
	statuses := make(chan int, 8)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			a, err := try(t.Context(), p, http.MethodPost, "/connect/token", codeForm(code).Encode(), "Content-Type", "application/x-www-form-urlencoded")
			if err != nil {
				t.Error(err)
			}
			statuses <- a.status
		})
	}
	all.Go(p.RotateKey)
	all.Go(p.WithdrawKey)
	all.Go(func() { p.Advance(time.Second) })
	all.Go(func() { p.SetMetadata(func(map[string]any) {}) })
	all.Go(func() { p.Fail(idtest.UserInfo, idtest.Fault{}); p.Heal(idtest.UserInfo) })
	all.Wait()
	close(statuses)
	exchanged := 0
	for status := range statuses {
		if status == http.StatusOK {
			exchanged++
		}
	}
	equal(t, "codes exchanged", exchanged, 1)
}
