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

func perMinute(n int) func(*idserver.Config) {
	return func(c *idserver.Config) { c.Provider.TokenRequestsPerMinute = n }
}

// junk begins a sign-in in a browser, and comes back with a code that was made up.
func junk(w *world, b *browser) idserver.Answer {
	b.t.Helper()
	target := w.authorize(b.t, b.begin("/auth/login"), "alice")
	at := strings.Index(target, "code=")
	end := strings.IndexByte(target[at:]+"&", '&')
	return b.route("GET", target[:at]+"code=made-up"+target[at+end:], navigates)
}

// Strangers begin sign-ins at all replicas and send codes that they made up. They use up half of the budget, and everybody who is
// signed in gets their refresh. A sign-in waits: its cookie is kept, and to reload the page completes it.
func TestStrangersLeaveTheRefreshes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, perMinute(10))
		var people []*browser
		for range 5 {
			people = append(people, w.signedIn(t, "alice"))
		}
		time.Sleep(nearlyOver)
		w.provider.ResetRequests()
		for i := range 60 {
			a := junk(w.world, &browser{t, w.clients[i%3], map[string]string{}})
			if i < 5 && a.Status != 502 || i >= 5 && (a.Status != 503 || field(a, "Retry-After") == "") {
				t.Fatalf("stranger %d: %d %s", i, a.Status, a.Body)
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 5 {
			t.Errorf("%d token requests for strangers", n)
		}
		time.Sleep(20 * time.Second)
		waits := w.browser(t)
		back := w.authorize(t, waits.begin("/auth/login"), "bob")
		a := waits.route("GET", back, navigates)
		if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" || len(waits.logins()) != 1 {
			t.Errorf("a sign-in: %d, Retry-After %q, %v", a.Status, field(a, "Retry-After"), waits.logins())
		}
		for i, b := range people {
			_, before := w.at(i%3, b).visit()
			time.Sleep(time.Second)
			if u, token := w.at(i%3, b).visit(); u == nil || token != before {
				t.Errorf("person %d: %v", i, u)
			}
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 5}) {
			t.Errorf("refreshes: %+v", n)
		}
		time.Sleep(40 * time.Second)
		if a := waits.route("GET", back, navigates); a.Status != http.StatusSeeOther {
			t.Errorf("the page is reloaded: %d %s", a.Status, a.Body)
		}
	})
}

// A session for whose refresh there is no room goes on, and is refreshed when there is.
func TestRefreshBeyondTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, perMinute(4))
		var people []*browser
		for range 6 {
			people = append(people, w.signedIn(t, "alice"))
			time.Sleep(31 * time.Second)
		}
		time.Sleep(15 * time.Minute) // all are due
		w.provider.ResetRequests()
		for round, most := range []int{4, 6} {
			for i, b := range people {
				b.client = w.clients[(i+round)%3]
				if u, _ := b.visit(); u == nil {
					t.Fatalf("round %d: person %d is signed out", round, i)
				}
			}
			if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: most}) {
				t.Errorf("round %d: %+v", round, n)
			}
			time.Sleep(61 * time.Second)
		}
	})
}

// A browser that brings one bad code after the other is stopped, and nobody else is.
func TestCallbacksOfOneBrowser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{})
		b := w.browser(t)
		for i := range 30 {
			if i == 20 {
				time.Sleep(time.Minute)
			}
			a := junk(w, b)
			if allowed := i%20 < 10; allowed && a.Status != 502 || !allowed && (a.Status != 503 || field(a, "Retry-After") != "60") {
				t.Errorf("code %d: %d, Retry-After %q", i, a.Status, field(a, "Retry-After"))
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 20 {
			t.Errorf("%d token requests", n)
		}
		w.signedIn(t, "bob")
	})
}

// The provider said when to come back: until then no replica sends a token request, for anybody.
func TestRetryAfterHoldsAllReplicas(t *testing.T) {
	for status, holds := range map[int]bool{429: true, 503: true, 500: false} {
		t.Run(fmt.Sprint(status), inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
			alice, bob := w.signedIn(t, "alice"), w.signedIn(t, "bob")
			back := w.authorize(t, alice.begin("/auth/login"), "carol")
			time.Sleep(nearlyOver)
			w.provider.ResetRequests()
			w.provider.Fail(idtest.Token, idtest.Fault{Status: status, Header: http.Header{"Retry-After": {"40"}}, Once: true})
			w.at(0, alice).visit()
			if u, _ := w.at(1, bob).visit(); u == nil {
				t.Error("signed out")
			}
			a := w.at(2, alice).route("GET", back, navigates)
			sent := w.provider.Requests(idtest.Token)
			if holds && (sent != 1 || a.Status != 503 || field(a, "Retry-After") != "40") || !holds && sent != 3 {
				t.Errorf("%d requests; the sign-in: %d, Retry-After %q", sent, a.Status, field(a, "Retry-After"))
			}
			time.Sleep(41 * time.Second)
			for i, b := range []*browser{bob, alice} {
				if u, _ := w.at(i, b).visit(); u == nil {
					t.Errorf("person %d is signed out", i)
				}
			}
			if n := w.provider.RefreshCounts(); n.Answered != 2 {
				t.Errorf("in the end %+v", n)
			}
		}))
	}
}

// The store is away: a process goes by what it has sent itself, and by what it was told.
func TestBudgetWithoutTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, perMinute(4))
		w.signedIn(t, "alice") // they know the store
		time.Sleep(61 * time.Second)
		w.store.setAway(true)
		for i := range 3 {
			for n := range 5 {
				a := junk(w.world, &browser{t, w.clients[i], map[string]string{}})
				if allowed := n < 2; allowed && a.Status != 502 || !allowed && a.Status != 503 {
					t.Errorf("replica %d, code %d: %d %s", i, n, a.Status, a.Body)
				}
			}
		}
	})
}

func TestTokenRequestsFromEnv(t *testing.T) {
	for text, want := range map[string]int{"": 0, " 60 ": 60, "-1": -1, "0": 0, "many": 0, "1e3": 0} {
		t.Run(text, func(t *testing.T) {
			t.Setenv("IDSERVER_TOKEN_REQUESTS_PER_MINUTE", text)
			cfg := idserver.ConfigFromEnv()
			if got := cfg.Provider.TokenRequestsPerMinute; got != want {
				t.Errorf("%d, want %d", got, want)
			}
			cfg.Authority = "https://id.example"
			_, err := idserver.New(cfg)
			if bad := want == 0 && text != ""; bad != (err != nil) || bad && !strings.Contains(err.Error(), "Provider.TokenRequestsPerMinute (IDSERVER_TOKEN_REQUESTS_PER_MINUTE)") {
				t.Errorf("New: %v", err)
			}
		})
	}
}
