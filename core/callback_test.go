package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
			q.Set("error", "unauthorized_client")
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

// offline_access is asked for because the provider lists it, not because this client may have it: where it is refused, people
// sign in without it.
func TestOfflineAccessRefused(t *testing.T) {
	refuse := func(t *testing.T, w *world, b *browser, at string) idserver.Answer {
		t.Helper()
		return b.route("GET", "/auth/callback?"+url.Values{
			"error": {"invalid_scope"}, "error_description": {"not for this client"}, "state": {query(t, at).Get("state")}, "iss": {w.provider.URL()},
		}.Encode(), navigates)
	}
	t.Run("added by itself", inBubble(func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		a := refuse(t, w, b, b.begin("/auth/login?return_to=/profile"))
		again := field(a, "Location")
		if scope := query(t, again).Get("scope"); a.Status != 303 || scope != "openid profile email roles" {
			t.Fatalf("the provider refused the scope: %d %s, with the scope %q", a.Status, a.Body, scope)
		}
		if n := len(b.logins()); n != 1 {
			t.Errorf("%d pending sign-ins, want 1", n)
		}
		if !strings.Contains(w.log.String(), "IDSERVER_SCOPES") || !strings.Contains(w.log.String(), "not for this client") {
			t.Errorf("the log is %s", w.log)
		}
		if a := b.route("GET", w.authorize(t, again, "alice"), navigates); field(a, "Location") != "/profile" {
			t.Errorf("signed in without it: %d %s", a.Status, a.Body)
		}
		other := w.browser(t) // a stranger's error says nothing about the sign-ins of others
		if scope := query(t, other.begin("/auth/login")).Get("scope"); !strings.Contains(scope, "offline_access") {
			t.Errorf("the next sign-in has the scope %q", scope)
		}
	}))
	t.Run("and refused again", inBubble(func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		a := refuse(t, w, b, field(refuse(t, w, b, b.begin("/auth/login")), "Location"))
		if got := code(t, a); a.Status != 502 || got != idserver.CodeProviderError {
			t.Errorf("%d %s, want 502 %s", a.Status, got, idserver.CodeProviderError)
		}
	}))
	t.Run("the application's own", inBubble(func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Scopes = []string{"openid", "offline_access"} })
		b := w.browser(t)
		a := refuse(t, w, b, b.begin("/auth/login"))
		if got := code(t, a); a.Status != 502 || got != idserver.CodeProviderError {
			t.Errorf("%d %s, want 502 %s", a.Status, got, idserver.CodeProviderError)
		}
	}))
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

// To close the connection while the application decides is no refusal. The tokens are revoked, and a reload signs in anew.
func TestAdmitUserOfARequestThatEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		leaves := func() {}
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, _ *idserver.User) error { leaves(); return ctx.Err() }
		})
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		ctx, leave := context.WithCancel(t.Context())
		leaves = leave
		a := routeNamed(t, w.Client, "/callback").Serve(ctx, b.request("GET", callback, []edit{navigates})) // no cookie of it arrives
		if code(t, a) != idserver.CodeProviderUnavailable {
			t.Errorf("%d %s", a.Status, code(t, a))
		}
		leaves = func() {}
		again := field(b.route("GET", callback, navigates), "Location")
		if !strings.HasPrefix(again, w.provider.URL()) {
			t.Fatalf("the reload leads to %q, want a new sign-in", again)
		}
		if a := b.route("GET", w.authorize(t, again, "alice"), navigates); a.Status != 303 || field(a, "Location") != "/profile" {
			t.Fatalf("the new sign-in: %d %s", a.Status, field(a, "Location"))
		}
		w.clock.advance(16 * time.Minute)
		if !b.admits(w.Client) {
			t.Error("the session ends at its first refresh")
		}
	})
}

// The tokens of a sign-in that was refused are revoked. They must not come back with a copy of the login cookie.
func TestRefusedSignInIsNotResumed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		answer := errors.New("no")
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(context.Context, *idserver.User) error { return answer }
		})
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		twin := &browser{t, w.Client, copyOf(b.cookies)}
		b.route("GET", callback, navigates)
		answer = nil
		if a := twin.route("GET", callback, navigates); a.Status != 303 || !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
			t.Errorf("%d %s, want a new sign-in", a.Status, field(a, "Location"))
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

// The code is spent, and then userinfo cannot be had. A reload must not send the code a second time (RFC 6749 section 4.1.2: the
// provider takes that for theft), the tokens that nobody gets are given back, and the sign-in begins anew.
func TestCodeSpentAndUserUnknown(t *testing.T) {
	for name, fault := range map[string]idtest.Fault{
		"down": {Status: 500}, "limits the rate": {Status: 429}, "breaks off": {Drop: true}, "HTML": {HTML: true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			var refreshToken string
			w.provider.SetTokenResponse(func(r map[string]any) { refreshToken = r["refresh_token"].(string) })
			w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
			w.provider.Fail(idtest.UserInfo, fault)
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to=/x"), "alice")
			before := copyOf(b.cookies)
			a := b.route("GET", callback, navigates)
			if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if !w.provider.Revoked(refreshToken) || leaks(w.log.String()+string(a.Body), refreshToken) != "" {
				t.Error("the refresh token that nobody has is still good, or is told")
			}
			again := &browser{t, w.Client, before} // a reload that was sent before the cookie was deleted
			if a := again.route("GET", callback, navigates); a.Status != 503 {
				t.Errorf("the same request again: %d %q", a.Status, field(a, "Location"))
			}
			w.provider.Heal(idtest.UserInfo)
			a = b.route("GET", callback, navigates)
			if n := w.provider.Requests(idtest.Token); n != 1 || !strings.HasPrefix(field(a, "Location"), w.provider.URL()+"/connect/authorize?") {
				t.Errorf("reloaded: %d %q with %d token requests, want a new sign-in and 1", a.Status, field(a, "Location"), n)
			}
			a = b.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates)
			if a.Status != 303 || !b.admits(w.Client) {
				t.Errorf("the new sign-in: %d %s", a.Status, a.Body)
			}
		}))
	}
}

func refuses(c *idserver.Config) {
	c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("no") }
}

// An attempt that failed for good leaves no login cookie: its code would be sent again by a reload. One that may succeed later
// leaves it.
func TestLoginCookieAfterRefusal(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*testing.T, *world, url.Values)
		kept   bool
	}{
		"the iss of another": {func(_ *testing.T, _ *world, q url.Values) { q.Set("iss", "https://evil.example") }, false},
		"cancelled":          {func(_ *testing.T, _ *world, q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, false},
		"the code is refused": {func(_ *testing.T, w *world, _ url.Values) {
			w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
		}, false},
		"the client is": {func(_ *testing.T, w *world, _ url.Values) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 401, OAuthError: "invalid_client"})
		}, false},
		"the ID token is": {func(_ *testing.T, w *world, _ url.Values) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["aud"] = "x" })
		}, false},
		"the user is": {func(t *testing.T, w *world, _ url.Values) { w.Client = w.client(t, refuses) }, false},
		"the metadata is away": {func(t *testing.T, w *world, _ url.Values) {
			w.provider.Fail(idtest.Discovery, idtest.Fault{})
			w.Client = w.client(t)
		}, true},
		"the token endpoint is": {func(_ *testing.T, w *world, _ url.Values) { w.provider.Fail(idtest.Token, idtest.Fault{}) }, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			u, err := url.Parse(w.authorize(t, b.begin("/auth/login"), "alice"))
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			row.change(t, w, q)
			b.client = w.Client
			if a := b.route("GET", "/auth/callback?"+q.Encode(), navigates); a.Status < 400 {
				t.Fatalf("%d %q", a.Status, field(a, "Location"))
			}
			if kept := len(b.logins()) == 1; kept != row.kept {
				t.Errorf("the login cookie is kept: %v, want %v", kept, row.kept)
			}
		}))
	}
}

// A callback that this browser has no cookie for begins a sign-in only where a person sees it. In a frame, an image or a prefetch
// another site could make any visitor sign in, and fill the browser with login cookies.
func TestLostCallbackBeginsForPersons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		lost := "/auth/callback?code=x&state=" + strings.Repeat("s", 43)
		for name, row := range map[string]struct {
			edit   edit
			begins bool
		}{
			"a person's navigation": {navigates, true},
			"from another site":     {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") }, true},
			"an old browser":        {func(r *idserver.Request) { send(r, "Accept", "text/html") }, true},
			"an iframe":             {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "iframe") }, false},
			"a frame":               {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "frame") }, false},
			"an object":             {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "object") }, false},
			"a prefetch":            {func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "prefetch") }, false},
			"a prerender":           {func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "prefetch;prerender") }, false},
			"a prefetch without":    {func(r *idserver.Request) { send(r, "Accept", "text/html", "Sec-Purpose", "prefetch") }, false},
			"an image": {func(r *idserver.Request) {
				send(r, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Accept", "image/*")
			}, false},
			"a script":  {fetches, false},
			"a program": {func(*idserver.Request) {}, false},
		} {
			b := w.browser(t)
			a := b.route("GET", lost, row.edit)
			if begins := strings.HasPrefix(field(a, "Location"), w.provider.URL()); begins != row.begins || begins != (len(b.logins()) == 1) {
				t.Errorf("%s: %d %q with %d login cookies", name, a.Status, field(a, "Location"), len(b.logins()))
			}
			if !row.begins && (a.Status != 400 || code(t, a) != idserver.CodeSignInLost || cookiesSet(a) != 0) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// A person signs out, goes back in the browser's history to the callback or the page of the provider, and is signed in once
// more, to the page that was wanted then; and not for ever in a browser that keeps no session.
func TestSpentCallbackBeginsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		first := w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice")
		b.route("GET", first, navigates)
		delete(b.cookies, "idserver-8080")

		inFrame := b.route("GET", first, navigates, func(r *idserver.Request) { send(r, "Sec-Fetch-Dest", "iframe") })
		if inFrame.Status != 303 || field(inFrame, "Location") != "/profile" || cookiesSet(inFrame) != 0 {
			t.Errorf("in a frame: %d %q", inFrame.Status, field(inFrame, "Location"))
		}
		a := b.route("GET", first, navigates)
		if !strings.HasPrefix(field(a, "Location"), w.provider.URL()+"/connect/authorize?") {
			t.Fatalf("%d %q, want a new sign-in", a.Status, field(a, "Location"))
		}
		again := w.authorize(t, field(a, "Location"), "alice")
		if a := b.route("GET", again, navigates); field(a, "Location") != "/profile" || !b.admits(w.Client) {
			t.Errorf("the second sign-in ends at %q", field(a, "Location"))
		}
		delete(b.cookies, "idserver-8080")
		if a := b.route("GET", again, navigates); field(a, "Location") != "/profile" {
			t.Errorf("a third time: %d %q, want the page", a.Status, field(a, "Location"))
		}
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d token requests, want one for each sign-in", n)
		}
	})
}

// A page asks with prompt=none whether somebody is signed in at the provider. That nobody is, is no fault of anybody's: 401, as
// any request without a session.
func TestPromptNone(t *testing.T) {
	for name, want := range map[string]idserver.RefusalCode{
		"login_required":             idserver.CodeNotSignedIn,
		"interaction_required":       idserver.CodeNotSignedIn,
		"account_selection_required": idserver.CodeNotSignedIn,
		"consent_required":           idserver.CodeNotSignedIn,
		"LOGIN_REQUIRED":             idserver.CodeProviderError,
		"server_error":               idserver.CodeProviderUnavailable,
		"access_denied":              idserver.CodeAccessDenied,
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			address := b.begin("/auth/login?prompt=none&return_to=/x")
			q := query(t, address)
			if q.Get("prompt") != "none" {
				t.Errorf("the provider is asked %s", address)
			}
			a := b.route("GET", "/auth/callback?"+url.Values{"error": {name}, "state": {q.Get("state")}, "iss": {w.provider.URL()}}.Encode(), navigates)
			if got := code(t, a); got != want || got == idserver.CodeNotSignedIn && (a.Status != 401 || field(a, "WWW-Authenticate") != "Bearer") {
				t.Errorf("%d %s, want %s", a.Status, got, want)
			}
			if len(b.logins()) != 0 {
				t.Errorf("the login cookie is kept")
			}
		}))
	}
}

// revocations notes what a revocation request may take, and whether it was sent for a caller who is still there.
type revocations struct {
	http.RoundTripper
	mu    sync.Mutex
	limit []time.Duration
}

func (r *revocations) RoundTrip(request *http.Request) (*http.Response, error) {
	if strings.Contains(request.URL.Path, "revo") {
		limit := time.Duration(1 << 62)
		if deadline, ok := request.Context().Deadline(); ok {
			limit = time.Until(deadline)
		}
		r.mu.Lock()
		r.limit = append(r.limit, limit)
		r.mu.Unlock()
	}
	return r.RoundTripper.RoundTrip(request)
}

// What a sign-in brought and nobody keeps is handed back, although its browser left meanwhile: or a refresh token lives on that
// nobody will ever revoke. Nobody waits long for that.
func TestRevocationOfWhatIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen := &revocations{RoundTripper: w.provider.HTTPClient().Transport}
		given := make(chan string, 9)
		w.provider.SetTokenResponse(func(r map[string]any) { given <- r["refresh_token"].(string) })
		gone, leave := context.WithCancel(t.Context())
		defer leave()
		var refuse bool
		client := w.client(t, func(c *idserver.Config) {
			c.HTTP.Timeout, c.HTTP.Client = time.Hour, &http.Client{Transport: seen}
			c.AdmitUser = func(context.Context, *idserver.User) error {
				if !refuse {
					return nil
				}
				leave() // the browser goes away while the application thinks
				return errors.New("not of this company")
			}
		})
		within := func(what string) {
			t.Helper()
			token := <-given
			seen.mu.Lock()
			defer seen.mu.Unlock()
			if len(seen.limit) != 1 || seen.limit[0] > 5*time.Second || !w.provider.Revoked(token) {
				t.Errorf("%s: revoked %v, in requests that may take %v", what, w.provider.Revoked(token), seen.limit)
			}
			seen.limit = nil
		}
		b := &browser{t, client, map[string]string{}}
		b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
		if b.route("POST", "/auth/logout", navigates); len(b.cookies) == 0 {
			t.Fatal("not signed in")
		}
		within("a sign-out")
		refuse = true
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		for _, route := range routesOf(t, client) {
			if route.Path == "/callback" {
				if a := route.Serve(gone, b.request("GET", callback, []edit{navigates})); code(t, a) != idserver.CodeSignInRefused {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
		}
		within("a refused sign-in")
		if n := w.provider.Requests(idtest.Revocation); n != 2 {
			t.Errorf("%d revocations, want 2", n)
		}
	})
}

// AdmitUser changes the roles of the user that it gets, in place. That user is its own: the same tokens are shared by all requests
// that wait for one code, and each must see what the provider said.
func TestAdmitUserHasItsOwnUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var given []string
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				given = append(given, fmt.Sprintf("%v %v %s", u.Roles, u.CustomRoles, u.Email))
				u.Roles[0], u.CustomRoles[0], u.Email = "owner", "owner", "owner@example.test"
				return u.Set("owner", true)
			}
		})
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		for range 3 {
			again := &browser{t, w.Client, copyOf(b.cookies)}
			if a := again.route("GET", callback, navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		if len(given) != 3 || w.provider.Requests(idtest.Token) != 1 {
			t.Errorf("AdmitUser was called %d times for %d token requests", len(given), w.provider.Requests(idtest.Token))
		}
		for _, u := range given {
			if u != "[admin user] [billing] alice@example.test" {
				t.Errorf("AdmitUser was given %s", u)
			}
		}
	})
}

// A session that no cookie holds, or that could not be read back, is not kept: what the sign-in brought is handed back, as with any other
// refusal, and the sign-in is over. Else a reload after the result is forgotten sends the code again, which providers take for theft.
func TestSessionThatIsNotKept(t *testing.T) {
	for name, claim := range map[string]func() any{
		"too large": func() any {
			noise := make([]rune, 60000)
			for i := range noise {
				noise[i] = rune('!' + rand.IntN(90))
			}
			return string(noise)
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(_ context.Context, u *idserver.User) error { return u.Set("much", claim()) }
			})
			given := make(chan string, 9)
			w.provider.SetTokenResponse(func(r map[string]any) { given <- r["refresh_token"].(string) })
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login"), "alice")
			if a := b.route("GET", callback, navigates); code(t, a) != idserver.CodeSessionTooLarge || b.cookies["idserver-8080"] != "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if token := <-given; !w.provider.Revoked(token) {
				t.Error("the refresh token was not handed back")
			}
			if len(b.logins()) != 0 {
				t.Error("the sign-in is still open")
			}
			w.clock.advance(16 * time.Minute)
			a := b.route("GET", callback, navigates)
			if n := w.provider.Requests(idtest.Token); n != 1 || !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
				t.Errorf("reloaded: %d %q, %d token requests for one code", a.Status, field(a, "Location"), n)
			}
		}))
	}
}

// A max_age that was asked for is checked when the user comes back, wherever it was configured.
func TestCallbackChecksMaxAge(t *testing.T) {
	byFunction := func(c *idserver.Config) {
		c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
			return idserver.AuthorizeOptions{MaxAge: time.Minute}, nil
		}
	}
	byParameters := func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"max_age": {"60"}} }
	for name, row := range map[string]struct {
		configure func(*idserver.Config)
		ago       time.Duration // 0: the token does not say
		ok        bool
	}{
		"a function, lately": {byFunction, 59 * time.Second, true}, "a function, long ago": {byFunction, 90 * time.Second, false},
		"parameters, lately": {byParameters, 59 * time.Second, true}, "parameters, long ago": {byParameters, 90 * time.Second, false},
		"not said": {byParameters, 0, false}, "not asked for": {func(*idserver.Config) {}, 24 * time.Hour, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, row.configure)
			w.provider.SetIDTokenClaims(func(claims map[string]any) {
				if claims["auth_time"] = w.clock.Now().Add(-row.ago).Unix(); row.ago == 0 {
					delete(claims, "auth_time")
				}
			})
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if row.ok && a.Status != http.StatusSeeOther || !row.ok && (code(t, a) != idserver.CodeInsufficientAuthentication || !strings.Contains(w.log.String(), "auth_time")) {
				t.Errorf("%d %s %s", a.Status, a.Body, w.log)
			}
		}))
	}
}
