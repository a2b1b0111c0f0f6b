package idserver_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

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
