package idserver_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The code is spent, and then userinfo cannot be had. A reload must not send the code a second time (RFC 6749 section 4.1.2: the
// provider takes that for theft), the tokens that nobody gets are given back, and the sign-in begins anew.
func TestCodeSpentAndUserUnknown(t *testing.T) {
	for name, fault := range map[string]idtest.Fault{
		"down": {Status: 500}, "limits the rate": {Status: 429}, "breaks off": {Drop: true}, "HTML": {HTML: true}, "a redirect": {Redirect: "http://127.0.0.1:1/"},
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

func refuses(c *idserver.Config) {
	c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("no") }
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
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, want := range map[string]idserver.RefusalCode{
			"login_required":             idserver.CodeNotSignedIn,
			"interaction_required":       idserver.CodeNotSignedIn,
			"account_selection_required": idserver.CodeNotSignedIn,
			"consent_required":           idserver.CodeNotSignedIn,
			"LOGIN_REQUIRED":             idserver.CodeProviderError,
			"server_error":               idserver.CodeProviderUnavailable,
			"access_denied":              idserver.CodeAccessDenied,
		} {
			b := w.browser(t)
			address := b.begin("/auth/login?prompt=none&return_to=/x")
			q := query(t, address)
			if q.Get("prompt") != "none" {
				t.Errorf("the provider is asked %s", address)
			}
			a := b.route("GET", "/auth/callback?"+url.Values{"error": {name}, "state": {q.Get("state")}, "iss": {w.provider.URL()}}.Encode(), navigates)
			if got := code(t, a); got != want || got == idserver.CodeNotSignedIn && (a.Status != 401 || field(a, "WWW-Authenticate") != "Bearer") {
				t.Errorf("%s: %d %s, want %s", name, a.Status, got, want)
			}
			if len(b.logins()) != 0 {
				t.Errorf("%s: the login cookie is kept", name)
			}
		}
	})
}

// Who signs in and out again and again, as a tester does, goes in no circle.
func TestInAndOutWithinHalfAMinute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		for i := range 6 {
			a := b.route("GET", "/auth/login", navigates)
			if a.Status != 303 {
				t.Fatalf("sign-in %d: %d %s", i+1, a.Status, code(t, a))
			}
			b.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates)
			if !b.admits(w.Client) {
				t.Fatalf("sign-in %d: not signed in", i+1)
			}
			w.clock.advance(3 * time.Second)
			b.route("POST", "/auth/logout", navigates)
			w.clock.advance(2 * time.Second)
		}
	})
}

// What login passes on to the provider is bounded, each by itself.
func TestLoginParametersAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{"login_hint", "prompt", "ui_locales", "acr_values"} {
			for length, passed := range map[int]bool{1: true, 512: true, 513: false, 5000: false} {
				value := strings.Repeat("x", length)
				q := query(t, w.browser(t).begin("/auth/login?"+name+"="+value))
				if (q.Get(name) == value) != passed || !passed && q.Has(name) {
					t.Errorf("%s of %d bytes: passed on %v", name, length, q.Has(name))
				}
			}
		}
	})
}

// return_to must not lead to a route of the sign-in in disguise: a loop, or a sign-out that nobody asked for.
func TestReturnToDisguises(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://other.example"} })
		for target, want := range map[string]string{
			"/auth/logout/":                 "/",
			"/auth/login/":                  "/",
			"/auth/callback//":              "/",
			"/auth/%6cogin":                 "/",
			"/auth/%6Cogout?x=1":            "/",
			"/%61uth/login":                 "/",
			"/auth%2flogin":                 "/",
			"/auth/login#x":                 "/",
			"/auth/login?x#y":               "/",
			"/auth//login":                  "/",
			"/auth///logout":                "/",
			"/AUTH/login":                   "/",
			"/Auth/LogOut":                  "/",
			"/auth/./login":                 "/",
			"/auth/x/../login":              "/",
			"/auth/%2e/login":               "/",
			"/x/./y":                        "/",
			"/./x":                          "/",
			"/x/.":                          "/",
			"/x/..":                         "/",
			"/x/../y":                       "/",
			"/x/%2e%2e/y":                   "/",
			base + "/auth/login":            "/",
			base + "/AUTH//logout/":         "/",
			"http://u@127.0.0.1:8080/x":     "/",
			"http://u:p@127.0.0.1:8080/x":   "/",
			"http://@127.0.0.1:8080/x":      "/",
			"https://u@other.example/x":     "/",
			"https://other.example@evil/x":  "/",
			"https://other.example/../evil": "/",

			"/auth/loginx":                     "/auth/loginx",
			"/auth/userinfo":                   "/auth/userinfo",
			"/authx/login":                     "/authx/login",
			"/auth":                            "/auth",
			"/x.y/..z/.w":                      "/x.y/..z/.w",
			"/login":                           "/login",
			"https://other.example/auth/login": "https://other.example/auth/login",
			"https://other.example/x@y":        "https://other.example/x@y",
		} {
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to="+url.QueryEscape(target)), "alice")
			if a := b.route("GET", callback, navigates); field(a, "Location") != want {
				t.Errorf("return_to %q ends at %q, want %q", target, field(a, "Location"), want)
			}
		}
	})
}
