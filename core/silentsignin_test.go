package idserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// lose has a strict provider lose the answer to the browser's refresh, which is due, and refuse the next. It returns what a
// navigation is then answered.
func lose(t *testing.T, w *world, b *browser) idserver.Answer {
	t.Helper()
	w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Once: true, When: ofRefreshes})
	_, a := b.pass(b.client.RequireUser(), "GET", "/reports?week=7", navigates)
	if a.Status != http.StatusSeeOther || !strings.HasPrefix(field(a, "Location"), "/auth/login?return_to=") {
		t.Fatalf("after a lost answer: %d %s", a.Status, field(a, "Location"))
	}
	return a
}

func withACR(value string) func(map[string]any) {
	return func(claims map[string]any) { claims["acr"] = value }
}

// A strict provider ends a session whose answer was lost. The person, who is still signed in there, comes back to their page
// without noticing: the sign-in asks without showing a page. The session lasts no longer than it would have.
func TestSilentSignIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.Session.Max, c.Session.Idle = 40*time.Minute, 40*time.Minute })
		w.provider.SetIDTokenClaims(withACR("2"))
		b := w.signedIn(t, "alice")
		w.provider.SetSignedIn("alice")
		_, before := b.visit()
		time.Sleep(16 * time.Minute)
		a := lose(t, w, b)
		if !b.has("-lost") {
			t.Fatal("nothing is kept")
		}
		to := b.begin(field(a, "Location"))
		sent := query(t, to)
		if sent.Get("prompt") != "none" || sent.Get("id_token_hint") == "" || sent.Get("acr_values") != "2" || b.has("-lost") {
			t.Fatalf("it asks for %v", sent)
		}
		a = b.route("GET", w.authorize(t, to, "nobody is asked"), navigates)
		if a.Status != http.StatusSeeOther || field(a, "Location") != "/reports?week=7" {
			t.Fatalf("callback: %d %s", a.Status, field(a, "Location"))
		}
		u, token := b.visit()
		if u == nil || !strings.HasPrefix(u.Email, "alice") || token == before {
			t.Errorf("the user is %v", u)
		}
		time.Sleep(23 * time.Minute)
		if u, _ := b.visit(); u == nil {
			t.Error("it ends too early")
		}
		time.Sleep(2 * time.Minute)
		if u, _ := b.visit(); u != nil {
			t.Error("Session.Max began anew")
		}
	})
}

// What a silent sign-in must be answered with. Otherwise the person is asked, as at any other sign-in.
func TestSilentSignInThatIsNone(t *testing.T) {
	for name, row := range map[string]struct {
		change func(w *world, b *browser) // between the loss and the sign-in
		while  func(w *world, b *browser) // while the browser is at the provider
		goesOn bool
	}{
		"the same":                  {nil, nil, true},
		"nobody is signed in there": {func(w *world, _ *browser) { w.provider.SetSignedIn("") }, nil, false},
		"somebody else is":          {func(w *world, _ *browser) { w.provider.SetSignedIn("bob") }, nil, false},
		"it answers for somebody else": {nil, func(w *world, _ *browser) {
			w.provider.SetPerson(idtest.Person{Login: "alice", Subject: "another", Email: "alice@example.test"})
		}, false},
		"a weaker authentication":       {func(w *world, _ *browser) { w.provider.SetIDTokenClaims(withACR("1")) }, nil, false},
		"a stronger one":                {func(w *world, _ *browser) { w.provider.SetIDTokenClaims(withACR("3")) }, nil, true},
		"one of which nothing is known": {func(w *world, _ *browser) { w.provider.SetIDTokenClaims(withACR("urn:x")) }, nil, false},
		"none":                          {func(w *world, _ *browser) { w.provider.SetIDTokenClaims(nil) }, nil, false},
		"Session.Max is over":           {nil, func(*world, *browser) { time.Sleep(40 * time.Second) }, false},
		"the provider knows no prompt": {func(w *world, _ *browser) {
			w.provider.SetAuthorizationResponse(func(v url.Values) {
				if v.Has("code") {
					v.Del("code")
					v.Set("error", "invalid_request")
				}
			})
		}, nil, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.Session.Max = 16*time.Minute + 30*time.Second })
			w.provider.SetIDTokenClaims(withACR("2"))
			b := w.signedIn(t, "alice")
			w.provider.SetSignedIn("alice")
			time.Sleep(16 * time.Minute)
			a := lose(t, w, b)
			if row.change != nil {
				row.change(w, b)
			}
			to := b.begin(field(a, "Location"))
			if query(t, to).Get("prompt") != "none" {
				t.Fatalf("it is not silent: %s", to)
			}
			back := w.authorize(t, to, "nobody is asked")
			if row.while != nil {
				row.while(w, b)
			}
			a = b.route("GET", back, navigates)
			if row.goesOn {
				if field(a, "Location") != "/reports?week=7" {
					t.Errorf("%d %s", a.Status, field(a, "Location"))
				}
				return
			}
			if a.Status != http.StatusSeeOther || !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
				t.Fatalf("the person is not asked: %d %s %s", a.Status, field(a, "Location"), a.Body)
			}
			if sent := query(t, field(a, "Location")); sent.Has("prompt") || sent.Has("id_token_hint") {
				t.Errorf("the person is asked with %v", sent)
			}
			if u, _ := b.visit(); u != nil {
				t.Errorf("signed in as %v", u)
			}
			w.provider.SetIDTokenClaims(nil)
			w.provider.SetAuthorizationResponse(nil)
			a = b.route("GET", w.authorize(t, field(a, "Location"), "bob"), navigates)
			if u, _ := b.visit(); field(a, "Location") != "/reports?week=7" || u == nil || !strings.HasPrefix(u.Email, "bob") {
				t.Errorf("asked: %d %s, %v", a.Status, field(a, "Location"), u)
			}
		}))
	}
}

// What ends a session in any other way than a lost answer leads to no silent sign-in, and nor does one that is not a person's
// navigation, comes late or asks for something itself. It is tried once.
func TestNoSilentSignIn(t *testing.T) {
	due := func() { time.Sleep(16 * time.Minute) }
	for name, row := range map[string]struct {
		ends func(t *testing.T, w *world, b *browser)
		link string
		edit func(*idserver.Config)
	}{
		"refused, nothing was lost": {func(t *testing.T, w *world, b *browser) {
			due()
			w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant", When: ofRefreshes})
			b.pass(b.client.RequireUser(), "GET", "/", navigates)
			w.provider.Heal(idtest.Token)
		}, "", nil},
		"lost, and the person is refused": {func(t *testing.T, w *world, b *browser) {
			due()
			w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, When: ofRefreshes})
			b.visit()
			time.Sleep(time.Minute)
			w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "access_denied", When: ofRefreshes})
			b.pass(b.client.RequireUser(), "GET", "/", navigates)
			w.provider.Heal(idtest.Token)
		}, "", nil},
		"signed out": {func(t *testing.T, w *world, b *browser) { b.route("POST", "/auth/logout", navigates) }, "", nil},
		"lost, then signed out": {func(t *testing.T, w *world, b *browser) {
			due()
			lose(t, w, b)
			b.route("POST", "/auth/logout", navigates)
		}, "", nil},
		"lost, and a copy was signed out": {func(t *testing.T, w *world, b *browser) {
			twin := &browser{t, b.client, copyOf(b.cookies)}
			due()
			lose(t, w, b)
			twin.route("POST", "/auth/logout", navigates)
		}, "", nil},
		"lost, two minutes ago": {func(t *testing.T, w *world, b *browser) { due(); lose(t, w, b); time.Sleep(2 * time.Minute) }, "", nil},
		"lost, and tried": {func(t *testing.T, w *world, b *browser) {
			due()
			b.begin(field(lose(t, w, b), "Location"))
		}, "", nil},
		"the link asks for an account": {func(t *testing.T, w *world, b *browser) { due(); lose(t, w, b) }, "&prompt=select_account", nil},
		"the application asks": {func(t *testing.T, w *world, b *browser) { due(); lose(t, w, b) }, "", func(c *idserver.Config) {
			c.AuthorizeParameters = url.Values{"prompt": {"login"}}
		}},
		"a mark of somebody's own": {func(t *testing.T, w *world, b *browser) {
			due()
			lose(t, w, b)
			for name := range b.cookies {
				if strings.HasSuffix(name, "-lost") {
					b.cookies[name] = "x" + b.cookies[name][1:]
				}
			}
		}, "", nil},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) {
				if row.edit != nil {
					row.edit(c)
				}
			})
			b := w.signedIn(t, "alice")
			w.provider.SetSignedIn("alice")
			row.ends(t, w, b)
			to := b.begin("/auth/login?return_to=%2F" + row.link)
			if sent := query(t, to); sent.Get("prompt") == "none" || sent.Has("id_token_hint") {
				t.Errorf("it is silent: %v", sent)
			}
			if b.has("-lost") {
				t.Error("the mark stays")
			}
			w.provider.Heal(idtest.Token)
			b.route("GET", w.authorize(t, to, "bob"), navigates)
			if u, _ := b.visit(); u == nil || !strings.HasPrefix(u.Email, "bob") {
				t.Errorf("whoever is asked may be another: signed in is %v", u)
			}
		}))
	}
}

// has reports whether the browser has a cookie whose name ends so.
func (b *browser) has(suffix string) bool {
	for name := range b.cookies {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// A script is told that nobody is signed in, and the page that it then opens signs in silently. A script that asks for the URL itself
// does not.
func TestSilentSignInAfterAScript(t *testing.T) {
	for name, row := range map[string]struct {
		by     []edit
		silent bool
	}{"a page": {[]edit{navigates}, true}, "a script": {[]edit{fetches}, false}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{})
			b := w.signedIn(t, "alice")
			time.Sleep(16 * time.Minute)
			w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Once: true, When: ofRefreshes})
			if _, a := b.pass(b.client.RequireUser(), "GET", "/api", fetches); a.Status != 401 {
				t.Fatalf("%d", a.Status)
			}
			a := b.route("GET", "/auth/login", row.by...)
			target := field(a, "Location")
			if target == "" {
				target = strings.Trim(string(a.Body), "{}\n")
			}
			if silent := strings.Contains(target, "prompt=none"); silent != row.silent {
				t.Errorf("%d %s", a.Status, target)
			}
		}))
	}
}

// The answer was lost at another replica.
func TestSilentSignInAtAnotherReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		w.provider.SetSignedIn("alice")
		other, third := w.at(1, b), w.at(2, b)
		time.Sleep(16 * time.Minute)
		lose(t, w.world, w.at(0, b))
		_, a := other.pass(other.client.RequireUser(), "GET", "/", navigates)
		to := other.begin(field(a, "Location"))
		if query(t, to).Get("prompt") != "none" {
			t.Fatalf("it asks for %s", to)
		}
		other.client = third.client
		other.route("GET", w.authorize(t, to, ""), navigates)
		if u, _ := other.visit(); u == nil {
			t.Error("nobody is signed in")
		}
	})
}

// A copy of the session is signed out at another replica, before the browser is back from the provider, or before it goes there. And
// while the store is away, that cannot be known.
func TestNoSilentSignInAfterASignOutElsewhere(t *testing.T) {
	for name, row := range map[string]struct {
		before, while func(w *replicas, twin *browser)
	}{
		"before": {func(_ *replicas, twin *browser) { twin.route("POST", "/auth/logout", navigates) }, nil},
		"while":  {nil, func(_ *replicas, twin *browser) { twin.route("POST", "/auth/logout", navigates) }},
		"away":   {func(w *replicas, _ *browser) { w.store.setAway(true) }, nil},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
			b := w.signedIn(t, "alice")
			w.provider.SetSignedIn("alice")
			twin := w.at(1, b)
			time.Sleep(16 * time.Minute)
			at := field(lose(t, w.world, b), "Location")
			b.client = w.clients[2]
			if row.before != nil {
				row.before(w, twin)
				if to := b.begin(at); query(t, to).Get("prompt") == "none" {
					t.Errorf("it is silent: %s", to)
				}
				return
			}
			back := w.authorize(t, b.begin(at), "")
			row.while(w, twin)
			a := b.route("GET", back, navigates)
			if to := field(a, "Location"); !strings.HasPrefix(to, w.provider.URL()) || query(t, to).Get("prompt") == "none" {
				t.Errorf("%d %s", a.Status, to)
			}
			if u, _ := b.visit(); u != nil {
				t.Errorf("signed in as %v", u)
			}
		}))
	}
}
