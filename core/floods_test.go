package idserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// cookiesSet counts the Set-Cookie fields of an answer.
func cookiesSet(a idserver.Answer) (n int) {
	for _, f := range a.Add {
		if f.Name == "Set-Cookie" {
			n++
		}
	}
	return n
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

func second[A, B any](_ A, b B) B { return b }

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
