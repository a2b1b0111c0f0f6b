package idserver_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestSignOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.AfterSignOut = "/bye" })
		b := w.signedIn(t, "alice")
		a := b.route("POST", "/auth/logout", navigates)
		address := field(a, "Location")
		if a.Status != 303 || !strings.HasPrefix(address, w.provider.URL()+"/connect/endsession?") {
			t.Fatalf("%d %q", a.Status, address)
		}
		q := query(t, address)
		if q.Get("post_logout_redirect_uri") != base+"/bye" || q.Get("client_id") != "example" || strings.Count(q.Get("id_token_hint"), ".") != 2 {
			t.Errorf("sent %v", q)
		}
		if _, ok := b.cookies["idserver-8080"]; ok || b.admits(w.Client) {
			t.Error("still signed in")
		}
		if n := w.provider.Requests(idtest.Revocation); n != 1 {
			t.Errorf("%d revocations, want the refresh token's", n)
		}
	})
}

func TestSignOutByGET(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, row := range map[string]struct {
			edit edit
			out  bool
		}{
			"a link on our page": {navigates, true},
			"a link elsewhere":   {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") }, false},
			"a neighbour's link": {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "same-site") }, false},
			"typed in":           {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "none") }, false},
			"an image of ours": {func(r *idserver.Request) {
				navigates(r)
				send(r, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image")
			}, false},
			"a frame of ours":       {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "iframe") }, false},
			"a script of ours":      {fetches, false},
			"a prefetch":            {func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "prefetch") }, false},
			"a prerender":           {func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "prefetch;prerender") }, false},
			"an old browser":        {func(r *idserver.Request) { send(r, "Accept", "text/html") }, false},
			"an unknown purpose":    {func(r *idserver.Request) { navigates(r); send(r, "Sec-Purpose", "x") }, false},
			"a site in big letters": {func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "SAME-ORIGIN") }, false},
		} {
			b := w.signedIn(t, "alice")
			a := b.route("GET", "/auth/logout", row.edit)
			if b.admits(w.Client) == row.out {
				t.Errorf("%s: signed out %v, want %v", name, !row.out, row.out)
			}
			if !row.out && (a.Status != 200 || !strings.Contains(string(a.Body), `<form method="post" action="/auth/logout">`)) {
				t.Errorf("%s: %d %s, want the button", name, a.Status, a.Body)
			}
		}
		if a := w.signedIn(t, "alice").route("HEAD", "/auth/logout", navigates); a.Status != 405 {
			t.Errorf("HEAD: %d", a.Status)
		}
	})
}

func TestSignOutCrossSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		a := b.route("POST", "/auth/logout", func(r *idserver.Request) {
			navigates(r)
			send(r, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		})
		if a.Status != 403 || code(t, a) != idserver.CodeCrossSite || !b.admits(w.Client) {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestSignOutAsJSON(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		a := b.route("POST", "/auth/logout", fetches)
		var body struct{ URL string }
		if err := json.Unmarshal(a.Body, &body); a.Status != 200 || err != nil || !strings.HasPrefix(body.URL, w.provider.URL()) || b.admits(w.Client) {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestSignOutOfNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.browser(t).route("POST", "/auth/logout", navigates)
		if a.Status != 303 || field(a, "Location") != "/" {
			t.Errorf("%d %q", a.Status, field(a, "Location"))
		}
	})
}

// Signing out here happens whatever the provider does.
func TestSignOutWithoutProvider(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"revocation fails": func(w *world) { w.provider.Fail(idtest.Revocation, idtest.Fault{Status: 500}) },
		"revocation hangs": func(w *world) { w.provider.Fail(idtest.Revocation, idtest.Fault{Hang: true}) },
		"all is gone":      func(w *world) { w.provider.Close() },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			lose(w)
			if a := b.route("POST", "/auth/logout", navigates); a.Status != 303 || b.admits(w.Client) {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}))
	}
	t.Run("it has no end_session_endpoint", inBubble(func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetMetadata(func(m map[string]any) { delete(m, "end_session_endpoint") })
		b := w.signedIn(t, "alice")
		if a := b.route("POST", "/auth/logout", navigates); field(a, "Location") != "/" {
			t.Errorf("%d %q", a.Status, field(a, "Location"))
		}
	}))
}

// A tab that still has the cookie from before a refresh signs out: what is revoked is the refresh token
// that is good now.
func TestSignOutRevokesTheLatest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		old := &browser{t, b.client, copyOf(b.cookies)}
		if u, _ := b.visit(); u == nil {
			t.Fatal("signed out")
		}
		old.route("POST", "/auth/logout", navigates)
		w.clock.advance(14*time.Minute + 30*time.Second)
		if u, _ := b.visit(); u != nil {
			t.Error("the refresh token of the session that was signed out is still good")
		}
	})
}
