package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestLogin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		q := query(t, b.begin("/auth/login?return_to=/x&login_hint=bob&prompt=login&scope=all&redirect_uri=https://evil.example&state=mine"))
		for name, want := range map[string]string{
			"response_type": "code", "client_id": "example", "redirect_uri": base + "/auth/callback", "scope": "openid profile email roles offline_access",
			"code_challenge_method": "S256", "login_hint": "bob", "prompt": "login",
		} {
			if got := q.Get(name); got != want || len(q[name]) != 1 {
				t.Errorf("%s is %q, want %q", name, q[name], want)
			}
		}
		for _, name := range []string{"state", "nonce", "code_challenge"} {
			if len(q.Get(name)) != 43 {
				t.Errorf("%s is %q, want 43 characters", name, q.Get(name))
			}
		}
		for name, value := range b.cookies {
			for _, secret := range []string{q.Get("state"), q.Get("nonce")} {
				if strings.Contains(name+value, secret) {
					t.Error("the cookie shows what it seals")
				}
			}
		}
	})
}

func TestLoginAsJSON(t *testing.T) {
	for name, from := range map[string]edit{
		"same origin": fetches,
		"a trusted origin": func(r *idserver.Request) {
			fetches(r)
			send(r, "Sec-Fetch-Site", "same-site", "Origin", "http://spa.localhost:3000")
		},
		"not a browser": func(r *idserver.Request) { send(r, "Accept", "application/json") },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"http://spa.localhost:3000"} })
			b := w.browser(t)
			a := b.route("GET", "/auth/login?return_to=/x", from)
			var body struct{ URL string }
			if err := json.Unmarshal(a.Body, &body); a.Status != 200 || err != nil || !strings.HasPrefix(body.URL, w.provider.URL()) || len(b.logins()) != 1 {
				t.Errorf("%d %s, %d cookies", a.Status, a.Body, len(b.cookies))
			}
		}))
	}
}

func TestLoginRefused(t *testing.T) {
	for name, row := range map[string]struct {
		method string
		from   edit
		code   idserver.RefusalCode
		status int
	}{
		"HEAD":                  {"HEAD", navigates, idserver.CodeMethodNotAllowed, 405},
		"an image":              {"GET", func(r *idserver.Request) { send(r, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image") }, idserver.CodeNotANavigation, 403},
		"a frame":               {"GET", func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "iframe") }, idserver.CodeNotANavigation, 403},
		"a prefetch":            {"GET", func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "prefetch;prerender") }, idserver.CodeNotANavigation, 403},
		"a script of elsewhere": {"GET", func(r *idserver.Request) { fetches(r); send(r, "Sec-Fetch-Site", "cross-site") }, idserver.CodeNotANavigation, 403},
		"a script without JSON": {"GET", func(r *idserver.Request) { fetches(r); send(r, "Accept", "*/*") }, idserver.CodeNotANavigation, 403},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			a := b.route(row.method, "/auth/login", row.from)
			if got := code(t, a); got != row.code || a.Status != row.status || len(b.cookies) != 0 {
				t.Errorf("%d %s and %d cookies, want %d %s and none", a.Status, got, len(b.cookies), row.status, row.code)
			}
		}))
	}
}

// A developer opens localhost and BaseURL says 127.0.0.1: the cookie must be of the latter.
func TestLoginAtOtherLoopbackName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		at := func(host string) edit {
			return func(r *idserver.Request) { navigates(r); r.Host = host }
		}
		a := w.browser(t).route("GET", "/auth/login?return_to=/x", at("localhost:8080"))
		if field(a, "Location") != base+"/auth/login?return_to=/x" {
			t.Errorf("sent to %q", field(a, "Location"))
		}
		for _, host := range []string{"127.0.0.1:8080", "app.internal", "localhost:9999", ""} { // a proxy may send any
			if a := w.browser(t).route("GET", "/auth/login", at(host)); !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
				t.Errorf("with Host %q sent to %q", host, field(a, "Location"))
			}
		}
	})
}

// Tabs that were restored together sign in at once, and none spoils another's.
func TestTabs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		var callbacks []string
		for i := range 5 {
			callbacks = append(callbacks, w.authorize(t, b.begin(fmt.Sprintf("/auth/login?return_to=/tab/%d", i)), "alice"))
		}
		for i, callback := range callbacks {
			if a := b.route("GET", callback, navigates); field(a, "Location") != fmt.Sprintf("/tab/%d", i) {
				t.Errorf("tab %d ends at %q: %s", i, field(a, "Location"), a.Body)
			}
		}
	})
}

func TestOldestOfSixTabsIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		first := b.begin("/auth/login?return_to=/first")
		for range 5 {
			w.clock.advance(time.Second)
			b.begin("/auth/login")
		}
		if n := len(b.logins()); n != 5 {
			t.Fatalf("%d login cookies are open, want 5", n)
		}
		a := b.route("GET", w.authorize(t, first, "alice"), navigates)
		if a.Status != 303 || !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
			t.Errorf("the dropped one is answered %d %q, want a new sign-in", a.Status, field(a, "Location"))
		}
	})
}

// A browser that drops the session cookie must not be sent round for ever.
func TestCircles(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		for range 3 {
			b.route("GET", w.authorize(t, b.begin("/auth/login?return_to=/profile"), "alice"), navigates)
			delete(b.cookies, "idserver-8080")
		}
		a := b.route("GET", "/auth/login?return_to=/profile", navigates)
		if code(t, a) != idserver.CodeSignInLost {
			t.Errorf("the fourth sign-in within seconds: %d %s", a.Status, a.Body)
		}
		w.clock.advance(time.Minute)
		b.begin("/auth/login")
	})
}

// Who keeps the cookies, and whose sessions are lost for another reason, signs in as often as it takes. One whose sessions end
// as soon as they begin is in a circle all the same.
func TestSessionsLostAreNoCircle(t *testing.T) {
	for name, row := range map[string]struct {
		lasts   time.Duration
		circles bool
	}{
		"after a few seconds": {4 * time.Second, false},
		"at once":             {0, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetTokenResponse(func(r map[string]any) { r["expires_in"] = row.lasts.Seconds() + 0.001 })
			b := w.browser(t)
			for i := range 8 {
				a := b.route("GET", "/auth/login?return_to=/profile", navigates)
				if circles := a.Status != 303; circles {
					if code(t, a) != idserver.CodeSignInLost || !row.circles || i != 3 {
						t.Errorf("sign-in %d: %d %s", i+1, a.Status, a.Body)
					}
					return
				}
				b.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates)
				w.clock.advance(row.lasts + time.Millisecond)
				w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant", Once: true})
				if w.clock.advance(0); b.admits(w.Client) {
					t.Fatal("the session is not lost")
				}
			}
			if row.circles {
				t.Error("it goes round for ever")
			}
		}))
	}
}

func TestLoginWithoutProvider(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		w.provider.Fail(idtest.Discovery, idtest.Fault{Status: 500})
		a := b.route("GET", "/auth/login", navigates)
		if a.Status != 503 || field(a, "Retry-After") == "" || code(t, a) != idserver.CodeProviderUnavailable {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		w.provider.Heal(idtest.Discovery)
		w.clock.advance(2 * time.Second)
		b.begin("/auth/login")
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

// The browser's cookie stays the same over a browser's sign-ins, or its tabs would spoil each other's, and is made anew where it
// was planted with a value that is not of the right form.
func TestBrowserCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		b.begin("/auth/login")
		first := b.cookies["idserver-8080-browser"]
		if b.begin("/auth/login"); len(first) != 43 || b.cookies["idserver-8080-browser"] != first {
			t.Errorf("the browser's cookie went from %q to %q", first, b.cookies["idserver-8080-browser"])
		}
		for _, value := range []string{"", "x", first + "A"} {
			b.cookies["idserver-8080-browser"] = value
			if b.begin("/auth/login"); b.cookies["idserver-8080-browser"] == value || b.cookies["idserver-8080-browser"] == first {
				t.Errorf("the browser's cookie %q became %q", value, b.cookies["idserver-8080-browser"])
			}
		}
		if other := w.browser(t); other.begin("/auth/login") == "" || other.cookies["idserver-8080-browser"] == first {
			t.Error("two browsers have one cookie")
		}
		for name, value := range b.cookies {
			if strings.Contains(name, "-login-") && strings.Contains(value, first) {
				t.Error("the login cookie shows the browser's")
			}
		}
	})
}

// What the application says goes before what a link says, and what it says of this request before both.
func TestAuthorizeOptions(t *testing.T) {
	for name, row := range map[string]struct {
		parameters url.Values
		options    func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error)
		want       url.Values
	}{
		"nothing": {nil, nil, url.Values{"login_hint": {"bob"}, "acr_values": {"low"}, "prompt": {"login"}}},
		"parameters": {
			url.Values{"audience": {"https://api.example"}, "acr_values": {"high"}, "resource": {"a", "b"}, "max_age": {"60"}}, nil,
			url.Values{"login_hint": {"bob"}, "acr_values": {"high"}, "prompt": {"login"}, "audience": {"https://api.example"}, "resource": {"a", "b"}, "max_age": {"60"}},
		},
		"a function": {
			url.Values{"acr_values": {"high"}, "max_age": {"60"}, "audience": {"x"}},
			func(_ context.Context, r idserver.Request) (idserver.AuthorizeOptions, error) {
				return idserver.AuthorizeOptions{MaxAge: time.Hour, Scopes: []string{"openid", "orders"}, Extra: url.Values{"acr_values": {"higher"}, "organization": {r.Host + r.Path}}}, nil
			},
			url.Values{
				"login_hint": {"bob"}, "acr_values": {"higher"}, "prompt": {"login"}, "audience": {"x"}, "max_age": {"3600"},
				"organization": {"127.0.0.1:8080/auth/login"}, "scope": {"openid orders"},
			},
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.AuthorizeParameters, c.AuthorizeOptions = row.parameters, row.options })
			for range 2 { // one sign-in leaves nothing for the next
				q := query(t, w.browser(t).begin("/auth/login?login_hint=bob&acr_values=low&prompt=login"))
				for _, name := range []string{"login_hint", "acr_values", "prompt", "audience", "resource", "max_age", "organization"} {
					if !slices.Equal(q[name], row.want[name]) {
						t.Errorf("%s is %q, want %q", name, q[name], row.want[name])
					}
				}
				if scope := row.want.Get("scope"); scope != "" && q.Get("scope") != scope {
					t.Errorf("scope is %q, want %q", q.Get("scope"), scope)
				}
			}
		}))
	}
}

func TestAuthorizeOptionsRefused(t *testing.T) {
	for name, row := range map[string]struct {
		options idserver.AuthorizeOptions
		err     error
		code    idserver.RefusalCode
		log     string
	}{
		"an error":            {idserver.AuthorizeOptions{}, errors.New("no such organization"), idserver.CodeInternal, "AuthorizeOptions: no such organization"},
		"not known now":       {idserver.AuthorizeOptions{}, fmt.Errorf("%w: the database", idserver.ErrUnavailable), idserver.CodeProviderUnavailable, "the database"},
		"a state":             {idserver.AuthorizeOptions{Extra: url.Values{"state": {"mine"}}}, nil, idserver.CodeInternal, "must not hold"},
		"a max_age in Extra":  {idserver.AuthorizeOptions{Extra: url.Values{"max_age": {"1"}}}, nil, idserver.CodeInternal, "must not hold"},
		"half a second":       {idserver.AuthorizeOptions{MaxAge: time.Second / 2}, nil, idserver.CodeInternal, "whole seconds"},
		"a negative max_age":  {idserver.AuthorizeOptions{MaxAge: -time.Second}, nil, idserver.CodeInternal, "whole seconds"},
		"another RedirectURI": {idserver.AuthorizeOptions{RedirectURI: "https://evil.example"}, nil, idserver.CodeInternal, "RedirectURI must be empty"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) {
				c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
					return row.options, row.err
				}
			})
			b := w.browser(t)
			a := b.route("GET", "/auth/login", navigates)
			if got := code(t, a); got != row.code || len(b.logins()) != 0 || !strings.Contains(w.log.String(), row.log) {
				t.Errorf("%d %s, %d login cookies: %s", a.Status, got, len(b.logins()), w.log)
			}
		}))
	}
}
