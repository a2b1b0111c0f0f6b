package idserver_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The most that a sign-in may have to keep. Where it is too much for a cookie the page that was wanted is dropped, and the person
// is signed in: a login cookie that nobody takes loses the sign-in.
func TestLargestSignIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var appData string
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, _ *idserver.User) error { appData = idserver.AppDataFrom(ctx); return nil }
		})
		long, data := "/"+strings.Repeat("p", 2047), strings.Repeat("d", 512)
		for name, row := range map[string]struct{ page, data, want string }{
			"a long page":                {long, "", long},
			"much app_data":              {"/x", data, "/x"},
			"a page and app_data":        {long[:1500], data, long[:1500]},
			"too long a page for both":   {long, data, "/"},
			"a page that JSON makes two": {"/?" + strings.Repeat(`"`, 2000), "", "/"},
		} {
			b := w.browser(t)
			address := b.begin("/auth/login?" + url.Values{"return_to": {row.page}, "app_data": {row.data}}.Encode())
			a := b.route("GET", w.authorize(t, address, "alice"), navigates)
			if field(a, "Location") != row.want || !b.admits(w.Client) || appData != row.data {
				t.Errorf("%s: %d %q and %d bytes of app_data", name, a.Status, field(a, "Location"), len(appData))
			}
		}
	})
}

// The header of a request may have a megabyte: 37,000 cookies of the name of a login cookie. An answer that deletes each of them
// is three megabytes, and opening each costs a key.
func TestFloodOfLoginCookies(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		var line strings.Builder
		for i := range 37_000 {
			fmt.Fprintf(&line, "idserver-8080-login-%x=1; ", i)
		}
		flood := func(r *idserver.Request) {
			r.Header.(http.Header)["Cookie"] = append([]string{line.String()}, r.Header.(http.Header)["Cookie"]...)
		}
		b := w.browser(t)
		address := b.begin("/auth/login?return_to=/x")
		for name, a := range map[string]idserver.Answer{
			"login":           w.browser(t).route("GET", "/auth/login", navigates, flood),
			"login as JSON":   w.browser(t).route("GET", "/auth/login", fetches, flood),
			"a lost callback": w.browser(t).route("GET", "/auth/callback?code=x&state=y", navigates, flood),
			"logout":          w.browser(t).route("POST", "/auth/logout", navigates, flood),
			"a guard":         second(w.browser(t).pass(w.RequireUser(), "GET", "/", navigates, flood)),
		} {
			if n := cookiesSet(a); n > 40 {
				t.Errorf("%s: %d Set-Cookie fields", name, n)
			}
		}
		a := b.route("GET", w.authorize(t, address, "alice"), navigates, flood) // who is flooded signs in all the same
		if n := cookiesSet(a); field(a, "Location") != "/x" || n > 40 {
			t.Errorf("the callback: %d %q and %d Set-Cookie fields", a.Status, field(a, "Location"), n)
		}
	})
}

// What is done for three thousand login cookies is not more than what is done for the few that are looked at. It is counted in
// allocations: opening a cookie takes some, and passing one over takes none.
func TestFloodIsNotOpened(t *testing.T) {
	w := newWorld(t)
	b := w.browser(t)
	b.begin("/auth/login")
	sealed := b.cookies[b.logins()[0]]
	lines := func(n int) []string {
		var line strings.Builder
		for i := range n {
			fmt.Fprintf(&line, "idserver-8080-login-%x=%s; ", i, sealed)
		}
		return []string{line.String()}
	}
	for _, row := range []struct{ method, path, rawQuery string }{{"GET", "/login", ""}, {"GET", "/callback", "code=x&state=y"}, {"POST", "/logout", ""}} {
		work := func(n int) float64 {
			cookies := lines(n)
			for _, route := range routesOf(t, w.Client) {
				if route.Method == row.method && route.Path == row.path {
					return testing.AllocsPerRun(3, func() {
						route.Serve(t.Context(), idserver.Request{Method: row.method, Path: "/auth" + row.path, RawQuery: row.rawQuery, Header: http.Header{"Accept": {"text/html"}, "Cookie": cookies}})
					})
				}
			}
			t.Fatalf("no route %s", row.path)
			return 0
		}
		few, many := work(32), work(3000)
		if many > few*1.5+100 {
			t.Errorf("%s %s: %v allocations for 32 login cookies, %v for 3000", row.method, row.path, few, many)
		}
	}
}

// A login cookie is copied, and its callback comes with a hundred codes that somebody guesses: the provider is asked once for each
// sign-in that was begun, not once for each guess.
func TestOneLoginCookieManyCodes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		good := w.authorize(t, b.begin("/auth/login"), "alice")
		state := query(t, good).Get("state")
		iss := query(t, good).Get("iss")
		before := copyOf(b.cookies)
		for i := range 100 {
			guess := &browser{t, w.Client, copyOf(before)}
			a := guess.route("GET", fmt.Sprintf("/auth/callback?code=guess-%d&state=%s&iss=%s", i, state, iss), navigates)
			if got := code(t, a); got != idserver.CodeExchangeRefused {
				t.Fatalf("guess %d: %d %s", i, a.Status, got)
			}
		}
		if a := (&browser{t, w.Client, copyOf(before)}).route("GET", good, navigates); a.Status != http.StatusBadGateway {
			t.Errorf("the right code after the guesses: %d", a.Status)
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests for one sign-in", n)
		}
	})
}

// Login cookies that cannot be opened (of another secret, cut by a proxy, planted) are deleted, or they would take the place of
// good ones in every request until they expire.
func TestUnreadableLoginCookiesAreDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		b.begin("/auth/login")
		good := b.logins()[0]
		b.cookies["idserver-8080-login-x"] = "junk"
		b.cookies["idserver-8080-login-y"] = b.cookies[good] // of another name
		b.cookies["idserver-8080-login-z"] = ""
		b.cookies["idserver-9090-login-x"] = "of an application at another port"
		b.begin("/auth/login")
		for _, name := range []string{"idserver-8080-login-x", "idserver-8080-login-y", "idserver-8080-login-z"} {
			if value, ok := b.cookies[name]; ok {
				t.Errorf("%s is still %q", name, value)
			}
		}
		if b.cookies[good] == "" || b.cookies["idserver-9090-login-x"] == "" || len(b.logins()) != 3 {
			t.Errorf("left are %v", b.logins())
		}
	})
}

// A login cookie that is older than a sign-in may take is deleted with the next one.
func TestOldLoginCookiesAreDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		b.begin("/auth/login")
		old := b.logins()[0]
		w.clock.advance(21 * time.Minute)
		if b.begin("/auth/login"); b.cookies[old] != "" {
			t.Error("an old login cookie is kept")
		}
	})
}

// Login CSRF: a neighbouring host plants the login cookie of its own sign-in, and sends the victim to its callback. The victim
// would go on as somebody else, and fill that account with what is theirs. The cookie is worth nothing without the browser's.
func TestPlantedLoginCookie(t *testing.T) {
	const browserCookie = "idserver-8080-browser"
	for name, row := range map[string]struct {
		victim  func(*world, *browser)            // what the victim's browser did before
		plant   func(victim, attacker *browser)   // beside the login cookie
		request func(*idserver.Request, *browser) // what the browser sends then
		taken   bool                              // the attacker's sign-in is finished
	}{
		"in a fresh browser":            {nil, nil, nil, false},
		"in a browser with its own":     {func(_ *world, b *browser) { b.begin("/auth/login") }, nil, nil, false},
		"in a browser that signed out":  {func(_ *world, b *browser) { b.begin("/auth/login"); b.route("POST", "/auth/logout", navigates) }, nil, nil, false},
		"with an empty browser cookie":  {nil, func(v, _ *browser) { v.cookies[browserCookie] = "" }, nil, false},
		"with a cookie that is cut":     {nil, func(v, a *browser) { v.cookies[browserCookie] = a.cookies[browserCookie][:42] }, nil, false},
		"with a cookie that is longer":  {nil, func(v, a *browser) { v.cookies[browserCookie] = a.cookies[browserCookie] + "A" }, nil, false},
		"with the login cookie's value": {nil, func(v, a *browser) { v.cookies[browserCookie] = a.cookies[a.logins()[0]] }, nil, false},
		"with both browsers' cookies": {func(_ *world, b *browser) { b.begin("/auth/login") }, nil, func(r *idserver.Request, a *browser) {
			r.Header.(http.Header)["Cookie"] = append(r.Header.(http.Header)["Cookie"], browserCookie+"="+a.cookies[browserCookie])
		}, false},
		"with both, the planted first": {func(_ *world, b *browser) { b.begin("/auth/login") }, nil, func(r *idserver.Request, a *browser) {
			r.Header.(http.Header)["Cookie"] = append([]string{browserCookie + "=" + a.cookies[browserCookie]}, r.Header.(http.Header)["Cookie"]...)
		}, false},
		"with the attacker's": {nil, func(v, a *browser) { v.cookies[browserCookie] = a.cookies[browserCookie] }, nil, true}, // which __Host- forbids
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			attacker, victim := w.browser(t), w.browser(t)
			callback := w.authorize(t, attacker.begin("/auth/login?return_to=/transfer"), "bob")
			if row.victim != nil {
				row.victim(w, victim)
			}
			planted := attacker.logins()[0]
			victim.cookies[planted] = attacker.cookies[planted]
			if row.plant != nil {
				row.plant(victim, attacker)
			}
			a := victim.route("GET", callback, navigates, func(r *idserver.Request) {
				if send(r, "Sec-Fetch-Site", "cross-site"); row.request != nil {
					row.request(r, attacker)
				}
			})
			_, signedIn := victim.cookies["idserver-8080"]
			if n := w.provider.Requests(idtest.Token); signedIn != row.taken || (n == 1) != row.taken {
				t.Errorf("signed in %v with %d token requests: %d %s", signedIn, n, a.Status, a.Body)
			}
			if !row.taken && !strings.HasPrefix(field(a, "Location"), w.provider.URL()+"/connect/authorize?") {
				t.Errorf("sent to %q, want a sign-in of the victim's own", field(a, "Location"))
			}
			if !row.taken { // the victim's own sign-in is finished as theirs
				a := victim.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates)
				if u, _ := victim.visit(); a.Status != 303 || u == nil || u.Name != "Alice Tan" {
					t.Errorf("then the victim is %v: %d %s", u, a.Status, a.Body)
				}
			}
		}))
	}
}

// A spent login cookie that is planted does not send a victim to the attacker's page.
func TestPlantedSpentCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		attacker, victim := w.browser(t), w.browser(t)
		callback := w.authorize(t, attacker.begin("/auth/login?return_to=/attackers-page"), "bob")
		attacker.route("GET", callback, navigates)
		maps.Copy(victim.cookies, attacker.cookies)
		delete(victim.cookies, "idserver-8080")
		delete(victim.cookies, "idserver-8080-browser")
		if a := victim.route("GET", callback, navigates); strings.Contains(field(a, "Location"), "attackers-page") || victim.admits(w.Client) {
			t.Errorf("%d %q", a.Status, field(a, "Location"))
		}
	})
}

// What links of strangers have a browser keep must not make its requests too long for a server (431).
func TestPendingSignInsAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		size := func() (n int) {
			for _, name := range b.logins() {
				n += len(name) + len("=") + len(b.cookies[name]) + len("; ")
			}
			return n
		}
		for i := range 8 {
			b.begin("/auth/login?return_to=" + url.QueryEscape("/"+strings.Repeat("p", 1200)+fmt.Sprint(i)))
			w.clock.advance(time.Second)
			if n := size(); n > 4096 {
				t.Fatalf("after %d sign-ins: %d bytes in %d cookies", i+1, n, len(b.logins()))
			}
		}
		if n := len(b.logins()); n < 1 || n > 4 {
			t.Errorf("%d are kept", n)
		}
		last := b.begin("/auth/login?return_to=/last")
		if a := b.route("GET", w.authorize(t, last, "alice"), navigates); field(a, "Location") != "/last" {
			t.Errorf("the last one ends at %q", field(a, "Location"))
		}
	})
}
