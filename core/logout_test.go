package idserver_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
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
		if got := field(a, "Clear-Site-Data"); got != `"cache"` {
			t.Errorf("Clear-Site-Data is %q: the back button would show pages of the session", got)
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

// gate is a network to the provider that holds token answers which have come, while it is shut.
type gate struct {
	http.RoundTripper
	mu      sync.Mutex
	shut    chan struct{} // nil: open
	arrived chan struct{} // one for each answer that is held
}

func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := g.RoundTripper.RoundTrip(r)
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut != nil && r.URL.Path == "/connect/token" {
		g.arrived <- struct{}{}
		select {
		case <-shut:
		case <-r.Context().Done():
		}
	}
	return response, err
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.arrived = make(chan struct{}), make(chan struct{}, 16)
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.shut)
	g.shut = nil
}

// behindGate makes w's client anew, with a gate to the provider.
func (w *world) behindGate(t *testing.T, edit ...func(*idserver.Config)) *gate {
	g := &gate{RoundTripper: w.provider.HTTPClient().Transport}
	w.Client = w.client(t, append(edit, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: g} })...)
	return g
}

// A session that was signed out is not revived by a cookie that somebody kept of it: another tab's, a copy, or the one from
// before a refresh.
func TestSignedOutSessionIsNotRevived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		kept := &browser{t, w.Client, copyOf(b.cookies)}
		other := w.signedIn(t, "alice")
		b.route("POST", "/auth/logout", navigates)
		if kept.admits(w.Client) {
			t.Error("the cookie from before the sign-out is admitted")
		}
		if !other.admits(w.Client) {
			t.Error("another session of the same person was ended")
		}
		for range 3 { // until its access token would have been refreshed, and later
			w.clock.advance(7 * time.Minute)
			if (&browser{t, w.Client, copyOf(kept.cookies)}).admits(w.Client) {
				t.Fatal("the cookie from before the sign-out is admitted later")
			}
		}
	})
}

// A session without a refresh token is ended by its own id: a copy of its cookie is refused too, and no other session is.
func TestSignOutWithoutRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		b, other := w.signedIn(t, "alice"), w.signedIn(t, "alice")
		w.clock.advance(10 * time.Minute)
		early := &browser{t, w.Client, copyOf(b.cookies)}
		if !b.admits(w.Client) { // which writes its cookie anew
			t.Fatal("not signed in")
		}
		late := &browser{t, w.Client, copyOf(b.cookies)}
		if early.cookies["idserver-8080"] == late.cookies["idserver-8080"] {
			t.Fatal("the cookie was not written anew")
		}
		if a := b.route("POST", "/auth/logout", navigates); a.Status != 303 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if n := w.provider.Requests(idtest.Revocation); n != 0 {
			t.Errorf("%d revocations of nothing", n)
		}
		for range 6 {
			if early.admits(w.Client) || late.admits(w.Client) {
				t.Fatal("a copied cookie is admitted after the sign-out")
			}
			w.clock.advance(9 * time.Minute)
			if !other.admits(w.Client) {
				t.Fatal("another session of the same person was ended")
			}
		}
	})
}

// The old cookie signs out after a refresh in another tab, whose cookie is of the next refresh token.
// Two requests with one response of the provider's, from tabs that were restored or by a reload, are two answers with a
// cookie each, and one session.
func TestSignOutEndsEveryAnswer(t *testing.T) {
	for name, late := range map[string]bool{"sent before": false, "sent afterwards": true} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
			first := w.browser(t)
			callback := w.authorize(t, first.begin("/auth/login"), "alice")
			second := &browser{t, w.Client, copyOf(first.cookies)}
			first.route("GET", callback, navigates)
			if !late {
				second.route("GET", callback, navigates)
			}
			if first.route("POST", "/auth/logout", navigates); late {
				a := second.route("GET", callback, navigates)
				if to := field(a, "Location"); a.Status != http.StatusSeeOther || !strings.HasPrefix(to, w.provider.URL()) {
					t.Errorf("the late answer is %d %s, want a new sign-in", a.Status, to)
				}
			}
			if second.admits(w.Client) {
				t.Error("the session that was signed out goes on with the cookie of the other answer")
			}
		}))
	}
}

// What counts as now is anything within the leeway, and a session lives as long from there.
func TestSignOutWhenTheClockWasAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Provider.Leeway, c.Session.Idle = 4*time.Minute, 30*time.Minute })
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		b := w.signedIn(t, "alice")
		kept := &browser{t, w.Client, copyOf(b.cookies)}
		w.clock.advance(-3 * time.Minute)
		b.route("POST", "/auth/logout", navigates)
		w.clock.advance(31 * time.Minute)
		if kept.admits(w.Client) {
			t.Error("a copy of the cookie outlives what is remembered of the sign-out")
		}
	})
}

func TestSignOutEndsTheRefreshedSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		old := &browser{t, w.Client, copyOf(b.cookies)}
		w.clock.advance(14*time.Minute + 30*time.Second)
		if u, _ := b.visit(); u == nil {
			t.Fatal("not refreshed")
		}
		late := &browser{t, w.Client, copyOf(old.cookies)}
		old.route("POST", "/auth/logout", navigates)
		if b.admits(w.Client) {
			t.Error("the refreshed session goes on after the sign-out")
		}
		if late.admits(w.Client) {
			t.Error("the session from before the refresh is served from memory after the sign-out")
		}
	})
}

// The refreshed session signs out, and a tab still has the cookie from before: the result of that refresh is in memory, and is
// not served.
func TestSignOutAfterRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		old := &browser{t, w.Client, copyOf(b.cookies)}
		w.clock.advance(14*time.Minute + 30*time.Second)
		b.visit()
		b.route("POST", "/auth/logout", navigates)
		if old.admits(w.Client) {
			t.Error("the cookie from before the refresh is served the session that was signed out")
		}
	})
}

// A refresh is under way when the session is signed out: its answer must not bring the session back.
func TestSignOutDuringRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		g := w.behindGate(t)
		b := w.signedIn(t, "alice")
		out := &browser{t, w.Client, copyOf(b.cookies)}
		w.clock.advance(14*time.Minute + 30*time.Second)
		g.close()
		var visit sync.WaitGroup
		visit.Go(func() {
			if u, _ := b.visit(); u != nil {
				t.Error("the answer of the refresh is admitted after the sign-out")
			}
		})
		<-g.arrived
		out.route("POST", "/auth/logout", navigates)
		g.open()
		visit.Wait()
		if b.admits(w.Client) {
			t.Error("the session lives after the sign-out")
		}
	})
}

// A tab that still has the cookie from before a refresh signs out. What is sent to the provider is what is good now: the refresh
// token, which a provider that knows no families would keep, and the ID token, which one may have to recognise.
func TestSignOutSendsTheLatest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
		w.Client = w.client(t, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: seen} })
		var issued []map[string]any
		w.provider.SetTokenResponse(func(r map[string]any) { issued = append(issued, r) })
		b := w.signedIn(t, "alice")
		old := &browser{t, w.Client, copyOf(b.cookies)}
		w.clock.advance(14*time.Minute + 30*time.Second)
		if u, _ := b.visit(); u == nil || len(issued) != 2 {
			t.Fatalf("%d answers, want a sign-in and a refresh", len(issued))
		}
		a := old.route("POST", "/auth/logout", navigates)
		if got := query(t, field(a, "Location")).Get("id_token_hint"); got != issued[1]["id_token"] {
			t.Errorf("id_token_hint is %q: not the latest ID token", got)
		}
		var revoked []url.Values
		for _, request := range seen.requests {
			if request.form.Has("token") {
				revoked = append(revoked, request.form)
			}
		}
		if len(revoked) != 1 || revoked[0].Get("token") != issued[1]["refresh_token"] {
			t.Errorf("revoked were %v, want the latest refresh token once", revoked)
		}
	})
}

// Who signs out waits seconds at most, although a process that has just started must learn where to before, and nobody answers:
// the cookies are deleted by the answer.
func TestSignOutIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		cfg := w.cfg
		cfg.HTTP.Client, cfg.HTTP.Timeout = &http.Client{Transport: silence{}}, time.Hour
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		begun := time.Now()
		a := (&browser{t, client, b.cookies}).route("POST", "/auth/logout", navigates)
		if waited := time.Since(begun); waited > 10*time.Second || a.Status != 303 || field(a, "Location") != "/" {
			t.Errorf("%d %q after %v", a.Status, field(a, "Location"), waited)
		}
		if _, ok := b.cookies["idserver-8080"]; ok {
			t.Error("the session's cookie is kept")
		}
	})
}

// A session that cannot be read is signed out here, and the provider is not asked.
func TestSignOutOfNobodyAsksNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.provider.ResetRequests()
		b.cookies["idserver-8080"] = "junk"
		a := b.route("POST", "/auth/logout", navigates)
		if a.Status != 303 || field(a, "Location") != "/" || b.cookies["idserver-8080"] != "" || w.provider.Requests(idtest.Revocation) != 0 {
			t.Errorf("%d %q", a.Status, field(a, "Location"))
		}
	})
}

// A session that was signed out with its newest cookie is over for every older one, however many refreshes lie between, and
// also where the last of them could not find out who the user is.
func TestSignedOutAlongTheChain(t *testing.T) {
	for name, row := range map[string]struct {
		life      time.Duration // of an access token
		refreshes int
		away      bool // userinfo
	}{
		"one refresh":                     {15 * time.Minute, 1, false},
		"one refresh, userinfo is away":   {15 * time.Minute, 1, true},
		"two refreshes within a minute":   {30 * time.Second, 2, false},
		"five refreshes within a minute":  {10 * time.Second, 5, false},
		"two refreshes, userinfo is away": {30 * time.Second, 2, true},
		"three refreshes of a long life":  {15 * time.Minute, 3, false},
		"none":                            {15 * time.Minute, 0, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetTokenResponse(func(r map[string]any) { r["expires_in"] = int(row.life.Seconds()) })
			b := w.signedIn(t, "alice")
			copies := []map[string]string{maps.Clone(b.cookies)}
			if row.away {
				w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
				w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 503})
			}
			for range row.refreshes {
				w.clock.advance(row.life*4/5 + time.Second + row.life/10)
				if u, _ := b.visit(); u == nil {
					t.Fatal("not signed in")
				}
				copies = append(copies, maps.Clone(b.cookies))
			}
			if a := b.route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			revocations := w.provider.Requests(idtest.Revocation)
			for second := range 90 {
				for i, cookies := range copies {
					if u, _ := (&browser{t, w.Client, maps.Clone(cookies)}).visit(); u != nil {
						t.Fatalf("cookie %d is admitted %d s after the sign-out", i, second)
					}
				}
				w.clock.advance(time.Second)
			}
			for range 3 { // and the provider is not asked again by who signs out with an old one
				for _, cookies := range copies {
					(&browser{t, w.Client, maps.Clone(cookies)}).route("POST", "/auth/logout", navigates)
				}
			}
			if again := w.provider.Requests(idtest.Revocation) - revocations; again != 0 {
				t.Errorf("%d revocations after the sign-out", again)
			}
		}))
	}
}

// The provider comes back to the page that was asked for, by the rules of a sign-in's return_to.
func TestSignOutReturnsTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.AfterSignOut, c.TrustedOrigins = "/bye", []string{"https://admin.example"} })
		for name, row := range map[string]struct{ target, want string }{
			"nothing":          {"", base + "/bye"},
			"a page here":      {"/seen?a=b", base + "/seen?a=b"},
			"a page of ours":   {base + "/seen", base + "/seen"},
			"a trusted origin": {"https://admin.example/bye", "https://admin.example/bye"},
			"another origin":   {"https://evil.example/", base + "/bye"},
			"another host":     {"//evil.example", base + "/bye"},
			"a script":         {"javascript:alert(1)", base + "/bye"},
			"a sign-in":        {"/auth/login", base + "/bye"},
		} {
			inQuery := "/auth/logout?return_to=" + url.QueryEscape(row.target)
			inForm := func(r *idserver.Request) {
				navigates(r)
				send(r, "Content-Type", "application/x-www-form-urlencoded")
				r.Body = strings.NewReader(url.Values{"return_to": {row.target}}.Encode())
			}
			for by, a := range map[string]idserver.Answer{
				"a link":  w.signedIn(t, "alice").route("GET", inQuery, navigates),
				"a post":  w.signedIn(t, "alice").route("POST", inQuery, navigates),
				"a form":  w.signedIn(t, "alice").route("POST", "/auth/logout", inForm),
				"a fetch": w.signedIn(t, "alice").route("POST", inQuery, fetches),
			} {
				address := field(a, "Location")
				if by == "a fetch" {
					var body struct{ URL string }
					if err := json.Unmarshal(a.Body, &body); err != nil {
						t.Fatal(err)
					}
					address = body.URL
				}
				if got := query(t, address).Get("post_logout_redirect_uri"); got != row.want {
					t.Errorf("%s by %s: %q, want %q", name, by, got, row.want)
				}
			}
			here := strings.TrimPrefix(row.want, base)
			if a := w.browser(t).route("POST", inQuery, navigates); field(a, "Location") != here {
				t.Errorf("%s: nobody goes to %q, want %q", name, field(a, "Location"), here)
			}
		}
		asked := w.signedIn(t, "alice").route("GET", "/auth/logout?return_to=%2Fseen", func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") })
		if !strings.Contains(string(asked.Body), `action="/auth/logout?return_to=%2Fseen"`) {
			t.Errorf("the button forgets the page: %s", asked.Body)
		}
		asked = w.signedIn(t, "alice").route("GET", "/auth/logout?return_to=https://evil.example", func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") })
		if strings.Contains(string(asked.Body), "evil") {
			t.Errorf("the button leads elsewhere: %s", asked.Body)
		}
	})
}

// A form is read up to a limit.
func TestSignOutWithEndlessForm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		form := strings.NewReader(strings.Repeat("x", 1<<20) + "&return_to=/seen")
		a := w.signedIn(t, "alice").route("POST", "/auth/logout", navigates, func(r *idserver.Request) {
			send(r, "Content-Type", "application/x-www-form-urlencoded")
			r.Body = form
		})
		if got := query(t, field(a, "Location")).Get("post_logout_redirect_uri"); got != base+"/" || form.Len() < 1<<19 {
			t.Errorf("%q, and %d bytes are not read", got, form.Len())
		}
	})
}

// Where no page is registered at the provider, one that is sent ends on its error page.
func TestSignOutWithoutPostLogoutURI(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.AfterSignOut = "none" })
		for _, target := range []string{"/auth/logout", "/auth/logout?return_to=/seen"} {
			a := w.signedIn(t, "alice").route("POST", target, navigates)
			if q := query(t, field(a, "Location")); q.Has("post_logout_redirect_uri") || q.Get("client_id") == "" {
				t.Errorf("%s: %q", target, field(a, "Location"))
			}
		}
		if a := w.browser(t).route("POST", "/auth/logout", navigates); field(a, "Location") != "/" {
			t.Errorf("nobody goes to %q", field(a, "Location"))
		}
	})
}

// Servers and firewalls refuse long URLs. What a provider needs to know, client_id says too.
func TestSignOutWithLongIDToken(t *testing.T) {
	for n, hint := range map[int]bool{0: true, 200: true, 3000: false} {
		t.Run(fmt.Sprint(n, " bytes more"), inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["x"] = strings.Repeat("x", n) })
			address := field(w.signedIn(t, "alice").route("POST", "/auth/logout", navigates), "Location")
			q := query(t, address)
			if q.Has("id_token_hint") != hint || len(address) > 2048 || q.Get("post_logout_redirect_uri") != base+"/" || q.Get("client_id") != "example" {
				t.Errorf("%d bytes, with %v", len(address), slices.Sorted(maps.Keys(q)))
			}
		}))
	}
}
