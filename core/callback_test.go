package idserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestSignIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		a := b.route("GET", callback, navigates)
		if a.Status != 303 || field(a, "Location") != "/profile" || field(a, "Cache-Control") != "no-store" {
			t.Fatalf("callback: %d %q %s", a.Status, field(a, "Location"), a.Body)
		}
		if size := len(b.cookies["idserver-8080"]); size > 3000 {
			t.Errorf("alice's session has %d bytes, want at most 3000", size)
		}
		ctx, a := b.pass(w.RequireUser(), "GET", "/profile", navigates)
		u := idserver.UserFrom(ctx)
		if a.Ends() || u == nil {
			t.Fatalf("not admitted: %d", a.Status)
		}
		if u.Email != "alice@example.test" || u.Name != "Alice Tan" || !u.EmailVerified || u.TenantID != "7b1d5c52-0000-4000-8000-00000000acee" ||
			!u.HasAllRoles("admin", "user", "billing") || u.HasBuiltInRole("billing") || u.Issuer != w.provider.URL() {
			t.Errorf("the user is %+v", u)
		}
		if token := idserver.AccessTokenFrom(ctx); token == "" {
			t.Error("no access token in the context")
		} else if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
			t.Error(err)
		}
		if n := w.provider.Requests(idtest.UserInfo); n != 0 {
			t.Errorf("userinfo was asked %d times, though the access token has the roles", n)
		}
	})
}

// Each row is one thing wrong with a callback of a browser that has begun to sign in.
func TestCallbackRefused(t *testing.T) {
	type row struct {
		code   idserver.RefusalCode
		status int
		change func(w *world, b *browser, q url.Values) // before the browser is sent back
		config func(*idserver.Config)
	}
	fault := func(e idtest.Endpoint, f idtest.Fault) func(*world, *browser, url.Values) {
		return func(w *world, _ *browser, _ url.Values) { w.provider.Fail(e, f) }
	}
	for name, row := range map[string]row{
		"no state":               {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Del("state") }, nil},
		"an endless state":       {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Set("state", strings.Repeat("s", 257)) }, nil},
		"two states":             {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Add("state", "x") }, nil},
		"no code":                {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Del("code") }, nil},
		"two codes":              {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Add("code", "x") }, nil},
		"code and error":         {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Set("error", "x") }, nil},
		"an endless code":        {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Set("code", strings.Repeat("c", 8193)) }, nil},
		"an endless query":       {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Set("x", strings.Repeat("c", 20000)) }, nil},
		"two iss":                {idserver.CodeInvalidCallback, 400, func(_ *world, _ *browser, q url.Values) { q.Add("iss", q.Get("iss")) }, nil},
		"the iss of another":     {idserver.CodeIssuerMismatch, 400, func(_ *world, _ *browser, q url.Values) { q.Set("iss", "https://evil.example") }, nil},
		"an empty iss":           {idserver.CodeIssuerMismatch, 400, func(_ *world, _ *browser, q url.Values) { q.Set("iss", "") }, nil},
		"no iss though promised": {idserver.CodeIssuerMismatch, 400, func(_ *world, _ *browser, q url.Values) { q.Del("iss") }, nil},
		"cancelled": {idserver.CodeAccessDenied, 403, func(_ *world, _ *browser, q url.Values) {
			q.Del("code")
			q.Set("error", "access_denied")
		}, nil},
		"the provider's error": {idserver.CodeProviderError, 502, func(_ *world, _ *browser, q url.Values) {
			q.Del("code")
			q.Set("error", "invalid_scope")
			q.Set("error_description", "<script>")
		}, nil},
		"the provider is busy": {idserver.CodeProviderUnavailable, 503, func(_ *world, _ *browser, q url.Values) {
			q.Del("code")
			q.Set("error", "temporarily_unavailable")
		}, nil},
		"a code of another":              {idserver.CodeExchangeRefused, 502, func(_ *world, _ *browser, q url.Values) { q.Set("code", "of-another") }, nil},
		"token endpoint 500":             {idserver.CodeProviderUnavailable, 503, fault(idtest.Token, idtest.Fault{Status: 500}), nil},
		"token endpoint HTML":            {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{HTML: true}), nil},
		"a firewall before it":           {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{HTML: true, Status: 403}), nil},
		"an answer of type mac":          {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{Body: `{"access_token":"a","token_type":"mac"}`}), nil},
		"token endpoint 201, no token":   {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{Status: 201, Body: `{}`}), nil},
		"invalid_grant with 200":         {idserver.CodeExchangeRefused, 502, fault(idtest.Token, idtest.Fault{Body: `{"error":"invalid_grant"}`}), nil},
		"token endpoint 429":             {idserver.CodeProviderUnavailable, 503, fault(idtest.Token, idtest.Fault{Status: 429}), nil},
		"token endpoint sends elsewhere": {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{Redirect: "https://evil.example/"}), nil},
		"token endpoint never ends":      {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{Endless: true}), nil},
		"token endpoint hangs":           {idserver.CodeProviderUnavailable, 503, fault(idtest.Token, idtest.Fault{Hang: true}), nil},
		"token endpoint is a bomb":       {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{GzipBomb: true}), nil},
		"the client is not known":        {idserver.CodeProviderError, 502, fault(idtest.Token, idtest.Fault{Status: 401, OAuthError: "invalid_client"}), nil},
		"no keys":                        {idserver.CodeProviderUnavailable, 503, fault(idtest.KeySet, idtest.Fault{Status: 500}), nil},
		"an ID token for another": {idserver.CodeIDTokenRefused, 502, func(w *world, _ *browser, _ url.Values) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["aud"] = "another" })
		}, nil},
		"an ID token of another sign-in": {idserver.CodeIDTokenRefused, 502, func(w *world, _ *browser, _ url.Values) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["nonce"] = "another" })
		}, nil},
		"no ID token": {idserver.CodeIDTokenRefused, 502, func(w *world, _ *browser, _ url.Values) {
			w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "id_token") })
		}, nil},
		"the application refuses": {idserver.CodeSignInRefused, 403, nil, func(c *idserver.Config) {
			c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("not of this company") }
		}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			edits := []func(*idserver.Config){}
			if row.config != nil {
				edits = append(edits, row.config)
			}
			w := newWorld(t, edits...)
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
			u, _ := url.Parse(callback)
			q := u.Query()
			if row.change != nil {
				row.change(w, b, q)
			}
			a := b.route("GET", base+"/auth/callback?"+q.Encode(), navigates)
			if got := code(t, a); a.Status != row.status || got != row.code {
				t.Errorf("%d %s, want %d %s", a.Status, got, row.status, row.code)
			}
			if !strings.HasPrefix(field(a, "Content-Security-Policy"), "default-src 'none'") || strings.Contains(string(a.Body), "<script") {
				t.Error("the page lets something in")
			}
			if (a.Status == 503) != (field(a, "Retry-After") != "") {
				t.Errorf("Retry-After is %q at status %d", field(a, "Retry-After"), a.Status)
			}
			if _, ok := b.cookies["idserver-8080"]; ok {
				t.Error("a session was begun")
			}
			if a.Status == 502 && len(b.logins()) != 0 {
				t.Error("the code is spent, and its login is kept: a reload would send it again")
			}
			for _, secret := range []string{q.Get("code"), q.Get("state"), idtest.ExampleSecret} {
				if len(secret) > 9 && (strings.Contains(w.log.String(), secret) || strings.Contains(string(a.Body), secret)) {
					t.Error("the log or the page tells a secret")
				}
			}
		}))
	}
}

// What the provider says went wrong reaches the operator, whatever else is wrong with its answer.
func TestProvidersErrorIsLogged(t *testing.T) {
	for name, row := range map[string]struct {
		query    string // %s is the state
		code     idserver.RefusalCode
		log      string
		unproven bool
	}{
		"as it should be":           {"error=invalid_scope&error_description=no+such+scope&state=%s", idserver.CodeProviderError, `no such scope`, false},
		"a bare percent sign":       {"error=invalid_scope&error_description=100% sure&state=%s", idserver.CodeProviderError, `100% sure`, false},
		"a semicolon":               {"error=invalid_scope&error_description=a;b&state=%s", idserver.CodeProviderError, `a;b`, false},
		"a semicolon elsewhere":     {"x=1;2&error=access_denied&state=%s", idserver.CodeAccessDenied, `access_denied`, false},
		"not ASCII":                 {"error=invalid_scope&error_description=%%E6%%9D%%83%%E9%%99%%90&state=%s", idserver.CodeProviderError, `权限`, false},
		"control characters":        {"error=invalid_scope&error_description=a%%0Alevel%%3DINFO%%1B&state=%s", idserver.CodeProviderError, `alevel=INFO`, false},
		"without state":             {"error=invalid_client&error_description=no+such+client", idserver.CodeInvalidCallback, `no such client`, true},
		"with a state of no cookie": {"error=invalid_client&error_description=no+such+client&state=x", idserver.CodeSignInLost, `no such client`, true},
		"twice":                     {"error=invalid_client&error=x&state=%s", idserver.CodeInvalidCallback, `error stands more than once`, true},
		"a JWT":                     {"response=eyJhbGciOiJSUzI1NiJ9.e30.c2ln", idserver.CodeInvalidCallback, `response_mode=query`, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			state := query(t, b.begin("/auth/login")).Get("state")
			a := b.route("GET", "/auth/callback?"+strings.NewReplacer("%s", state+"&iss="+url.QueryEscape(w.provider.URL()), "%%", "%").Replace(row.query), fetches)
			if got := code(t, a); got != row.code {
				t.Errorf("code %s, want %s", got, row.code)
			}
			if !strings.Contains(w.log.String(), row.log) || strings.Contains(w.log.String(), "unproven") != row.unproven {
				t.Errorf("the log is %s", w.log)
			}
		}))
	}
}

// reworded is a provider whose token endpoint answers in another way with the same tokens.
type reworded struct {
	http.RoundTripper
	change func(*http.Response)
}

func (r reworded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err == nil && strings.HasSuffix(request.URL.Path, "/token") {
		r.change(response)
	}
	return response, err
}

func TestTokensInOtherWords(t *testing.T) {
	for name, change := range map[string]func(*http.Response){
		"201":                func(r *http.Response) { r.StatusCode = 201 },
		"said to be HTML":    func(r *http.Response) { r.Header.Set("Content-Type", "text/html; charset=utf-8") },
		"said to be text":    func(r *http.Response) { r.Header.Set("Content-Type", "text/plain") },
		"said to be nothing": func(r *http.Response) { r.Header.Del("Content-Type") },
		"after a byte order mark": func(r *http.Response) {
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("\ufeff"), r.Body))
			r.ContentLength = -1
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.Client = w.client(t, func(c *idserver.Config) {
				own := *c.HTTP.Client
				own.Transport = reworded{own.Transport, change}
				c.HTTP.Client = &own
			})
			w.signedIn(t, "alice")
		}))
	}
}

// The provider fails while the browser is on its way back; reloading the page finishes the sign-in.
func TestCallbackReloadedAfterFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		w.provider.Fail(idtest.Token, idtest.Fault{Status: 502})
		if a := b.route("GET", callback, navigates); a.Status != 503 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		w.provider.Heal(idtest.Token)
		if a := b.route("GET", callback, navigates); field(a, "Location") != "/profile" {
			t.Errorf("reloaded: %d %s", a.Status, a.Body)
		}
	})
}

// A reload while the first request is under way sends the code once.
func TestCallbackTwiceAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		var all sync.WaitGroup
		for range 8 {
			own := &browser{t, b.client, map[string]string{}}
			for name, value := range b.cookies {
				own.cookies[name] = value
			}
			all.Go(func() {
				if a := own.route("GET", callback, navigates); field(a, "Location") != "/profile" {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			})
		}
		all.Wait()
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests for one code", n)
		}
	})
}

// The browser that began gives up; the code that was sent is not lost.
func TestCallbackAbandonedAndReloaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		gone, leave := context.WithCancel(t.Context())
		leave()
		for _, route := range routesOf(t, b.client) {
			if route.Path == "/callback" {
				route.Serve(gone, b.request("GET", callback, nil))
			}
		}
		if a := b.route("GET", callback, navigates); field(a, "Location") != "/profile" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests for one code", n)
		}
	})
}

func TestCallbackReloaded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		b.route("GET", callback, navigates)
		before := b.cookies["idserver-8080"]
		a := b.route("GET", callback, navigates)
		if a.Status != 303 || field(a, "Location") != "/profile" || b.cookies["idserver-8080"] != before {
			t.Errorf("reloaded: %d %q, the session changed: %v", a.Status, field(a, "Location"), b.cookies["idserver-8080"] != before)
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

// A callback that this browser has no cookie for: a bookmark, another browser, blocked cookies, or an attacker's.
func TestCallbackWithoutCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		foreign := w.authorize(t, w.browser(t).begin("/auth/login"), "bob")

		signedIn := w.signedIn(t, "alice")
		if a := signedIn.route("GET", foreign, navigates); a.Status != 303 || field(a, "Location") != "/" {
			t.Errorf("signed in: %d %q, want the way back", a.Status, field(a, "Location"))
		}
		ctx, _ := signedIn.pass(w.RequireUser(), "GET", "/")
		if u := idserver.UserFrom(ctx); u == nil || u.Name != "Alice Tan" {
			t.Error("a stranger's callback changed who is signed in")
		}

		b := w.browser(t)
		a := b.route("GET", foreign, navigates)
		if !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
			t.Fatalf("signed out: %d %q, want one new sign-in", a.Status, field(a, "Location"))
		}
		again := w.authorize(t, field(a, "Location"), "alice")
		clear(b.cookies) // it keeps none
		a = b.route("GET", again, navigates)
		if code(t, a) != idserver.CodeSignInLost || a.Status != 400 {
			t.Errorf("the second time: %d %q, want the page that explains", a.Status, field(a, "Location"))
		}
		if a := w.browser(t).route("GET", foreign, fetches); code(t, a) != idserver.CodeSignInLost {
			t.Errorf("a script is sent to sign in: %d", a.Status)
		}
	})
}

func TestCallbackTooLate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		w.clock.advance(21 * time.Minute)
		a := b.route("GET", callback, navigates)
		if !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
			t.Errorf("%d %q, want a new sign-in", a.Status, field(a, "Location"))
		}
	})
}

func TestCallbackIsNotHEAD(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		if a := b.route("HEAD", callback); a.Status != 405 || field(a, "Allow") != "GET" {
			t.Errorf("%d", a.Status)
		}
		if a := b.route("GET", callback, navigates); a.Status != 303 {
			t.Errorf("HEAD spent the code: %d", a.Status)
		}
	})
}

func TestAdmitUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				u.Roles = append(u.Roles, "founder")
				return u.Set("plan", map[string]any{"seats": 3})
			}
		})
		ctx, a := w.signedIn(t, "alice").pass(w.RequireRole("founder"), "GET", "/")
		if a.Ends() {
			t.Fatalf("the role that AdmitUser gave is gone: %d", a.Status)
		}
		var claims struct {
			Plan struct{ Seats int } `json:"plan"`
		}
		u := idserver.UserFrom(ctx)
		if err := u.Claims(&claims); err != nil {
			t.Error(err)
		}
		if u.Subject == "" || u.Email == "" {
			t.Errorf("the user is %+v", u)
		}
	})
}

func TestRefusedSignInRevokes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("no") }
		})
		b := w.browser(t)
		b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
		if n := w.provider.Requests(idtest.Revocation); n != 1 {
			t.Errorf("%d revocations of what was not kept, want 1", n)
		}
	})
}
