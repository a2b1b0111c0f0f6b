package idtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

func TestAuthorizationRequestRefusedWithoutRedirect(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.AddClient(idtest.Client{ID: "strict", RedirectURIs: []string{"https://app.example/cb"}})
	for name, target := range map[string]string{
		"no client":               authorizationURL(p, "client_id", ""),
		"unknown client":          authorizationURL(p, "client_id", "<script>"),
		"no redirect_uri":         authorizationURL(p, "redirect_uri", ""),
		"redirect_uri elsewhere":  authorizationURL(p, "redirect_uri", "http://evil.example/"),
		"name that looks local":   authorizationURL(p, "redirect_uri", "http://127.0.0.1.evil.example/"),
		"user that looks local":   authorizationURL(p, "redirect_uri", "http://127.0.0.1@evil.example/"),
		"loopback with a user":    authorizationURL(p, "redirect_uri", "http://me@127.0.0.1/"),
		"loopback for strict":     authorizationURL(p, "client_id", "strict"),
		"longer than registered":  authorizationURL(p, "client_id", "strict", "redirect_uri", "https://app.example/cb/"),
		"other case":              authorizationURL(p, "client_id", "strict", "redirect_uri", "https://app.example/CB"),
		"two redirect_uris":       authorizationURL(p) + "&redirect_uri=http://127.0.0.1/",
		"two clients":             authorizationURL(p) + "&client_id=strict",
		"malformed query":         authorizationURL(p) + "&%zz",
		"fragment":                authorizationURL(p, "redirect_uri", callback+"#x"),
		"script as redirect_uri":  authorizationURL(p, "redirect_uri", "javascript:alert(1)"),
		"relative redirect_uri":   authorizationURL(p, "redirect_uri", "/callback"),
		"localhost subdomain":     authorizationURL(p, "redirect_uri", "http://app.localhost/"),
		"https loopback for http": authorizationURL(p, "redirect_uri", "https://127.0.0.1/"),
	} {
		a := get(t, p, strings.TrimPrefix(target, p.URL()))
		equal(t, name+": status", a.status, http.StatusBadRequest)
		equal(t, name+": Location", a.header.Get("Location"), "")
		equal(t, name+": Content-Type", a.header.Get("Content-Type"), "text/html; charset=utf-8")
		if strings.Contains(a.body, "<script>") {
			t.Errorf("%s: the page is not escaped", name)
		}
	}
}

func TestAuthorizationRequestRefusedWithRedirect(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	for name, test := range map[string]struct {
		changes []string
		code    string
	}{
		"no challenge":        {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain":               {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"plain by default":    {[]string{"code_challenge_method", ""}, "invalid_request"},
		"no hash":             {[]string{"code_challenge", "short"}, "invalid_request"},
		"no response_type":    {[]string{"response_type", ""}, "invalid_request"},
		"implicit":            {[]string{"response_type", "id_token token"}, "unsupported_response_type"},
		"fragment":            {[]string{"response_mode", "fragment"}, "invalid_request"},
		"no scope":            {[]string{"scope", ""}, "invalid_scope"},
		"prompt none":         {[]string{"prompt", "none"}, "login_required"},
		"prompt none login":   {[]string{"prompt", "none login"}, "invalid_request"},
		"request object":      {[]string{"request", "x.y.z"}, "request_not_supported"},
		"request object's ur": {[]string{"request_uri", "urn:x"}, "request_uri_not_supported"},
	} {
		response := signIn(t, p, "alice", test.changes...)
		equal(t, name+": error", response.Get("error"), test.code)
		equal(t, name+": code", response.Get("code"), "")
		equal(t, name+": state", response.Get("state"), "the-state")
		equal(t, name+": iss", response.Get("iss"), p.URL())
	}
	target, err := p.Authorize(t.Context(), authorizationURL(p)+"&scope=openid", "alice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "error of a repeated parameter", target.Query().Get("error"), "invalid_request")
}

// prompt=none is answered for whose sign-in is kept, and for nobody else.
func TestAuthorizeSilently(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.SetSignedIn("alice")
	for name, row := range map[string]struct{ hint, code string }{
		"no hint": {"", ""}, "alice's": {p.MintIDToken("alice", idtest.ExampleClient), ""},
		"bob's": {p.MintIDToken("bob", idtest.ExampleClient), "login_required"}, "made up": {"a.b.c", "login_required"},
	} {
		changes := []string{"prompt", "none"}
		if row.hint != "" {
			changes = append(changes, "id_token_hint", row.hint)
		}
		response := signIn(t, p, "bob", changes...)
		equal(t, name+": error", response.Get("error"), row.code)
		equal(t, name+": a code", response.Has("code"), row.code == "")
	}
	p.SetSignedIn("")
	equal(t, "error when nobody is", signIn(t, p, "alice", "prompt", "none").Get("error"), "login_required")
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)

	response := signIn(t, p, "")
	equal(t, "error of who cancels", response.Get("error"), "access_denied")
	equal(t, "state of who cancels", response.Get("state"), "the-state")

	target, err := p.Authorize(t.Context(), authorizationURL(p, "redirect_uri", "http://[::1]:1/cb?keep=this", "state", ""), "bob")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "kept query", target.Query().Get("keep"), "this")
	equal(t, "state", target.Query().Has("state"), false)
	equal(t, "Host", target.Host, "[::1]:1")

	for name, attempt := range map[string][2]string{
		"unknown person": {authorizationURL(p), "mallory"},
		"unknown client": {authorizationURL(p, "client_id", "other"), "alice"},
	} {
		if target, err := p.Authorize(t.Context(), attempt[0], attempt[1]); err == nil {
			t.Errorf("%s: sent to %v", name, target)
		} else if want := attempt[1]; name == "unknown person" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignInPage(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.People = append(idtest.People(), idtest.Person{Login: `"><script>`, Name: "<b>"})
	})
	a := get(t, p, strings.TrimPrefix(authorizationURL(p, "login_hint", "BOB@example.test"), p.URL()))
	equal(t, "status", a.status, http.StatusOK)
	equal(t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
	for _, want := range []string{
		"<title>Sign in · development provider</title>",
		`<form method="post">`,
		`name="user" value="alice"`,
		`class="person hinted" name="user" value="bob" autofocus`,
		"alice@example.test", "Carol Ng", "billing", "editor",
		`name="cancel" value="1"`,
		"http://127.0.0.1:8080",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<b>") || strings.Count(a.body, "autofocus") != 1 {
		t.Error("the page is not escaped, or not one person has the focus")
	}
	if regexp.MustCompile(`(?i)https?://[^<]*\.(css|js|png|svg|woff)|src=|@import|url\(`).MatchString(a.body) {
		t.Error("the page loads something")
	}

	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(a.body)
	if style == nil {
		t.Fatal("no style")
	}
	sum := sha256.Sum256([]byte(style[1]))
	equal(t, "Content-Security-Policy", a.header.Get("Content-Security-Policy"),
		"default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; frame-ancestors 'none'; base-uri 'none'")
}

func TestThePageKeepsNoSignIn(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	path := strings.TrimPrefix(authorizationURL(p), p.URL())
	a := post(t, p, path, url.Values{"user": {"alice"}})
	equal(t, "status", a.status, http.StatusSeeOther)
	equal(t, "Set-Cookie", a.header.Get("Set-Cookie"), "")
	equal(t, "status of the next visit", get(t, p, path).status, http.StatusOK)
	equal(t, "status without a choice", post(t, p, path, nil).status, http.StatusBadRequest)
}

func TestOtherPagesCannotPost(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	issuer, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	authorize := strings.TrimPrefix(authorizationURL(p), p.URL())
	for name, test := range map[string]struct {
		header []string
		ok     bool
	}{
		"no browser":          {nil, true},
		"its own page":        {[]string{"Sec-Fetch-Site", "same-origin", "Origin", p.URL()}, true},
		"address bar":         {[]string{"Sec-Fetch-Site", "none"}, true},
		"another site":        {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		"another port":        {[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:1"}, false},
		"old browser, own":    {[]string{"Origin", p.URL()}, true},
		"old browser, other":  {[]string{"Origin", "https://evil.example"}, false},
		"opaque origin":       {[]string{"Origin", "null"}, false},
		"the other loopback":  {[]string{"Origin", "http://127.0.0.1:" + issuer.Port()}, false},
		"lying about its own": {[]string{"Sec-Fetch-Site", "cross-site", "Origin", p.URL()}, false},
	} {
		a := post(t, p, "/dev/token", url.Values{"user": {"alice"}}, test.header...)
		equal(t, name+": token given", a.status == http.StatusOK, test.ok)
		if !test.ok {
			equal(t, name+": status", a.status, http.StatusForbidden)
			equal(t, name+": token there", strings.Contains(a.body, "access_token"), false)
		}
		a = post(t, p, authorize, url.Values{"user": {"alice"}}, test.header...)
		equal(t, name+": signed in", a.status == http.StatusSeeOther, test.ok)
	}
}

func TestAuthorizeForm(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	p.SetAuthorizationResponse(func(response url.Values) { response.Set("user", `{"name":"<&">"}`) })
	for login, want := range map[string]string{"alice": "code", "": "error"} {
		action, form, err := p.AuthorizeForm(t.Context(), authorizationURL(p, "response_mode", "form_post"), login)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "action", action.String(), callback)
		if form.Get(want) == "" || form.Get("iss") != p.URL() || form.Get("user") != `{"name":"<&">"}` {
			t.Errorf("%q posts %v", login, form)
		}
		if _, err := p.Authorize(t.Context(), authorizationURL(p, "response_mode", "form_post"), login); err == nil {
			t.Errorf("%q: a form is taken for a redirect", login)
		}
	}
	if _, _, err := p.AuthorizeForm(t.Context(), authorizationURL(p), "alice"); err == nil {
		t.Error("a redirect is taken for a form")
	}
	_, form, err := p.AuthorizeForm(t.Context(), authorizationURL(p, "response_mode", "form_post", "scope", ""), "alice")
	if err != nil || form.Get("error") != "invalid_scope" {
		t.Errorf("a request that is refused: %v, %v", form, err)
	}
}
