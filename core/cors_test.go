package idserver_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

const frontEnd = "https://www.app.example"

// shared reports whether browsers give an answer to a page of origin.
func shared(a idserver.Answer, origin string) bool {
	return field(a, "Access-Control-Allow-Origin") == origin && field(a, "Access-Control-Allow-Credentials") == "true"
}

func varies(a idserver.Answer) bool {
	return slices.Contains(a.Add, idserver.Field{Name: "Vary", Value: "Origin"})
}

func anyCORS(a idserver.Answer) bool {
	return slices.ContainsFunc(slices.Concat(a.Set, a.Add), func(f idserver.Field) bool {
		return strings.HasPrefix(f.Name, "Access-Control-")
	})
}

func TestCORS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{frontEnd, "https://two.app.example"} })
		b := w.signedIn(t, "alice")
		crossOrigin := func(r *idserver.Request) { fetches(r); send(r, "Sec-Fetch-Site", "same-site") }
		ask := map[string]func(...edit) idserver.Answer{
			"login": func(e ...edit) idserver.Answer { return w.browser(t).route("GET", "/auth/login", e...) },
			"a lost answer": func(e ...edit) idserver.Answer {
				return w.browser(t).route("GET", "/auth/callback?state=x&code=y", e...)
			},
			"userinfo":   func(e ...edit) idserver.Answer { return b.route("GET", "/auth/userinfo", e...) },
			"signed out": func(e ...edit) idserver.Answer { return w.browser(t).route("GET", "/auth/userinfo", e...) },
			"logout":     func(e ...edit) idserver.Answer { return w.browser(t).route("POST", "/auth/logout", e...) },
			"let in": func(e ...edit) idserver.Answer {
				_, a := b.pass(w.RequireUser(), "GET", "/api/me", e...)
				return a
			},
			"kept out": func(e ...edit) idserver.Answer {
				_, a := b.pass(w.RequireRole("nobody"), "POST", "/api/me", e...)
				return a
			},
			"anyone": func(e ...edit) idserver.Answer {
				_, a := w.browser(t).pass(w.LoadUser(), "GET", "/api/me", e...)
				return a
			},
		}
		for name, ask := range ask {
			for _, trusted := range []string{frontEnd, "https://two.app.example"} {
				if a := ask(crossOrigin, origin(trusted)); !shared(a, trusted) || !varies(a) {
					t.Errorf("%s: a page of %s cannot read it: %v %v", name, trusted, a.Set, a.Add)
				}
			}
			for _, other := range []string{"https://evil.example", "null", "https://www.app.example.evil.example", "http://www.app.example", "https://WWW.app.example", "*"} {
				if a := ask(crossOrigin, origin(other)); anyCORS(a) || !varies(a) {
					t.Errorf("%s: a page of %s can read it: %v %v", name, other, a.Set, a.Add)
				}
			}
			if a := ask(fetches); anyCORS(a) || varies(a) == (field(a, "Cache-Control") == "no-store") { // what no cache keeps need not vary
				t.Errorf("%s: without an origin: %v %v", name, a.Set, a.Add)
			}
		}
	})
}

func TestCORSPreflight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{frontEnd} })
		preflight := func(r *idserver.Request) {
			send(r, "Sec-Fetch-Mode", "cors", "Sec-Fetch-Site", "same-site", "Sec-Fetch-Dest", "empty")
		}
		for path, methods := range map[string]string{"/auth/login": "GET", "/auth/logout": "POST", "/auth/userinfo": "GET"} {
			a := w.browser(t).route("OPTIONS", path, preflight, origin(frontEnd))
			if a.Status != http.StatusNoContent || !shared(a, frontEnd) || field(a, "Access-Control-Allow-Methods") != methods || field(a, "Access-Control-Allow-Headers") != "Authorization, Content-Type" {
				t.Errorf("%s: %d %v", path, a.Status, a.Set)
			}
			if a := w.browser(t).route("OPTIONS", path, preflight, origin("https://evil.example")); anyCORS(a) {
				t.Errorf("%s: a stranger's preflight is answered: %v", path, a.Set)
			}
		}
		for name, guard := range map[string]idserver.Guard{"RequireUser": w.RequireUser(), "LoadUser": w.LoadUser()} {
			if _, a := w.browser(t).pass(guard, "OPTIONS", "/api/me", preflight, origin(frontEnd)); a.Status != http.StatusNoContent || !shared(a, frontEnd) {
				t.Errorf("%s: %d %v", name, a.Status, a.Set)
			}
		}
		if _, a := w.browser(t).pass(w.RequireUser(), "OPTIONS", "/api/me", preflight, origin("https://evil.example")); a.Status != http.StatusUnauthorized || anyCORS(a) {
			t.Errorf("a stranger's preflight at a guard: %d %v", a.Status, a.Set)
		}
		if _, a := w.signedIn(t, "alice").pass(w.RequireUser(), "OPTIONS", "/api/me", preflight, origin(frontEnd)); a.Ends() {
			t.Errorf("an OPTIONS with a session is no preflight: %d", a.Status)
		}
	})
}

// Without TrustedOrigins nothing is there, and an origin changes nothing.
func TestCORSOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for _, route := range routesOf(t, w.Client) {
			if route.Method == http.MethodOptions {
				t.Errorf("route %s %s", route.Method, route.Path)
			}
		}
		_, a := w.signedIn(t, "alice").pass(w.RequireUser(), "GET", "/api/me", fetches, origin(frontEnd))
		if a.Ends() || anyCORS(a) || varies(a) {
			t.Errorf("%d %v %v", a.Status, a.Set, a.Add)
		}
	})
}

func TestCORSCostsNothingWithoutOrigin(t *testing.T) {
	w := newWorld(t)
	trusting := w.client(t, func(c *idserver.Config) { c.TrustedOrigins = []string{frontEnd} })
	r := idserver.Request{Method: "GET", Path: "/"}
	cost := func(guard idserver.Guard) float64 {
		return testing.AllocsPerRun(50, func() {
			if _, a := guard(context.Background(), r); a.Ends() {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		})
	}
	if without, with := cost(w.LoadUser()), cost(trusting.LoadUser()); with > without {
		t.Errorf("%v allocations without trusted origins and %v with", without, with)
	}
}

// A front end on another origin of the same site: it asks for the URL, comes back to its own page, reads who is there and
// signs out.
func TestFrontEndOnAnotherOrigin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{frontEnd} })
		b := w.browser(t)
		script := []edit{fetches, func(r *idserver.Request) { send(r, "Sec-Fetch-Site", "same-site") }, origin(frontEnd)}
		var to struct{ URL string }
		a := b.route("GET", "/auth/login?return_to="+frontEnd+"/logged-in", script...)
		if err := json.Unmarshal(a.Body, &to); err != nil || a.Status != 200 {
			t.Fatalf("login: %d %s", a.Status, a.Body)
		}
		a = b.route("GET", w.authorize(t, to.URL, "alice"), navigates)
		if field(a, "Location") != frontEnd+"/logged-in" {
			t.Fatalf("callback: %d %s", a.Status, field(a, "Location"))
		}
		if a = b.route("GET", "/auth/userinfo", script...); a.Status != 200 || !strings.Contains(string(a.Body), "alice@example.test") {
			t.Errorf("userinfo: %d %s", a.Status, a.Body)
		}
		if a = b.route("POST", "/auth/logout", script...); a.Status != 200 || !strings.Contains(string(a.Body), `"url"`) {
			t.Errorf("logout: %d %s", a.Status, a.Body)
		}
		if a = b.route("GET", "/auth/userinfo", script...); a.Status != 401 || !shared(a, frontEnd) {
			t.Errorf("signed out: %d %v", a.Status, a.Set)
		}
	})
}
