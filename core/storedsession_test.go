package idserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/memorystore"
)

func inStore(c *idserver.Config)   { c.ServerSessions = true }
func inCookies(c *idserver.Config) { c.ServerSessions = false }

// seen is what a visit shows: whose session it is, or the status.
func (b *browser) seen() string {
	b.t.Helper()
	ctx, a := b.pass(b.client.RequireUser(), "GET", "/", fetches)
	if a.Ends() {
		return fmt.Sprint(a.Status)
	}
	return strings.Split(idserver.UserFrom(ctx).Email, "@")[0]
}

// size is how long the session's cookies are.
func (b *browser) size() (n int) {
	for name, value := range b.cookies {
		if name == "idserver-8080" || strings.HasPrefix(name, "idserver-8080.") {
			n += len(value)
		}
	}
	return n
}

// The cookie of a session in the store is small, whatever the provider says about the user; every replica serves it, and after
// the sign-out none does, whoever has a copy.
func TestServerSessions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		many := func(c map[string]any) { c["groups"] = groups(300) }
		w.provider.SetIDTokenClaims(many)
		w.provider.SetAccessTokenClaims(many)
		b := w.signedIn(t, "alice")
		if n := b.size(); n == 0 || n > 450 {
			t.Errorf("the cookie has %d bytes", n)
		}
		for range 30 { // five hours, over many refreshes
			for i := range w.clients {
				at := w.at(i, b)
				ctx, _ := at.pass(at.client.RequireUser(), "GET", "/", fetches)
				var said struct {
					Groups []string `json:"groups"`
				}
				if u := idserver.UserFrom(ctx); u == nil || u.Claims(&said) != nil || len(said.Groups) != 300 {
					t.Fatalf("replica %d: %v with %d groups", i, u, len(said.Groups))
				}
				if !maps.Equal(at.cookies, b.cookies) {
					t.Errorf("replica %d has written a cookie, which says nothing new", i)
				}
			}
			time.Sleep(10 * time.Minute)
		}
		copies := []*browser{w.at(0, b), w.at(1, b), w.at(2, b)}
		if a := w.at(1, b).route("POST", "/auth/logout", navigates); a.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		for i, c := range copies {
			if got := c.seen(); got != "401" || c.size() != 0 {
				t.Errorf("replica %d answers a copy of the cookie as %s, and leaves %d bytes", i, got, c.size())
			}
		}
		if n := w.provider.RefreshCounts(); n.Reused != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// The limits of a session in the store are those of one in a cookie.
func TestServerSessionLimits(t *testing.T) {
	for name, row := range map[string]struct {
		every, last time.Duration
		want        string
	}{
		"used":           {50 * time.Minute, 11*time.Hour + 40*time.Minute, "alice"},
		"idle":           {61 * time.Minute, 61 * time.Minute, "401"},
		"longer than 12": {50 * time.Minute, 12*time.Hour + 30*time.Minute, "401"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
			b := w.signedIn(t, "alice")
			got := ""
			for i, begun := 0, time.Now(); time.Since(begun) < row.last; i++ {
				time.Sleep(row.every)
				b = w.at(i%3, b)
				got = b.seen()
			}
			if got != row.want {
				t.Errorf("the last request is answered as %s", got)
			}
		}))
	}
}

// An id that the store does not know is nobody's, though its seal is ours; its cookie goes. So it is after the store was emptied.
func TestUnknownSessionIsNotAdopted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		stays := w.at(0, b)
		w.store.empty()
		if got := stays.seen(); got != "401" || stays.size() != 0 {
			t.Errorf("answered as %s, with %d bytes of a cookie", got, stays.size())
		}
		again := w.at(1, b)
		again.route("GET", w.authorize(t, again.begin("/auth/login"), "bob"), navigates)
		if got := again.seen(); got != "bob" {
			t.Errorf("answered as %s", got)
		}
		if again.cookies["idserver-8080"] == b.cookies["idserver-8080"] {
			t.Error("the new session has the cookie of the old one")
		}
		if got := w.at(0, b).seen(); got != "401" {
			t.Errorf("the old cookie is answered as %s", got)
		}
	})
}

// A store that is away signs nobody out, and lets nobody in: 503 with Retry-After, and the cookie stays.
func TestServerSessionsWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		w.at(1, b).seen()
		sealed := w.client(t, func(c *idserver.Config) { c.Store = w.store }, inCookies)
		old := &browser{t, sealed, map[string]string{}}
		old.route("GET", w.authorize(t, old.begin("/auth/login"), "bob"), navigates)
		w.store.setAway(true)
		for name, at := range map[string]*browser{"knows it": w.at(1, b), "has not seen it": w.at(2, b), "a sealed cookie": w.at(0, old)} {
			before := at.size()
			_, a := at.pass(at.client.RequireUser(), "GET", "/", fetches)
			if a.Status != 503 || code(t, a) != idserver.CodeStoreUnavailable || field(a, "Retry-After") == "" || cookiesSet(a) != 0 || before == 0 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		w.store.setAway(false)
		time.Sleep(time.Second)
		for i := range w.clients {
			if got := w.at(i, b).seen(); got != "alice" {
				t.Errorf("the store is back, and replica %d answers as %s", i, got)
			}
		}
		if got := w.at(0, old).seen(); got != "bob" {
			t.Errorf("the store is back, and the sealed cookie is answered as %s", got)
		}
	})
}

// Who signs out while the store is away, which has the session, is signed out in this browser and at this replica at once, and at the
// others when the store is back, also if this replica is stopped at that moment. The provider is asked to end its own session,
// and the person is told that the rest takes longer.
func TestSignOutWhileTheStoreIsAway(t *testing.T) {
	for name, test := range map[string]struct{ sealed, script, stopped, noEndpoint bool }{
		"a page": {}, "a script": {script: true}, "a sealed cookie that is to move": {sealed: true},
		"this replica is stopped": {stopped: true}, "a provider without an end_session_endpoint": {noEndpoint: true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			var told []idserver.SessionEvent
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore, func(c *idserver.Config) {
				c.Events.SignedOut = func(_ context.Context, e idserver.SessionEvent) { told = append(told, e) }
			})
			target := w.provider.URL() + "/connect/endsession?client_id=example&"
			if test.noEndpoint {
				w.provider.SetMetadata(func(m map[string]any) { delete(m, "end_session_endpoint") })
				target = "/"
			}
			b, others := w.signedIn(t, "alice"), w.signedIn(t, "alice")
			if test.sealed {
				sealed := w.client(t, func(c *idserver.Config) { c.Store = w.store }, inCookies)
				b = &browser{t, sealed, map[string]string{}}
				b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			}
			stolen := copyOf(b.cookies)
			as := func(i int) *browser { return &browser{t, w.clients[i], copyOf(stolen)} }
			if !test.sealed {
				as(1).seen()
			}
			w.store.setAway(true)
			how := navigates
			if test.script {
				how = fetches
			}
			b = w.at(0, b)
			a := b.route("POST", "/auth/logout", how)
			if a.Status != 200 || field(a, "Clear-Site-Data") != `"cache"` || field(a, "Cache-Control") != "no-store" {
				t.Errorf("%d %v", a.Status, a.Set)
			}
			if test.script {
				var said struct {
					URL        string
					Incomplete bool
				}
				if err := json.Unmarshal(a.Body, &said); err != nil || !strings.HasPrefix(said.URL, target) || !said.Incomplete {
					t.Errorf("%s, want %s", a.Body, target)
				}
			} else if !strings.HasPrefix(field(a, "Refresh"), "10; url="+target) || !strings.Contains(string(a.Body), "signed out in this browser") ||
				!strings.Contains(string(a.Body), `<a href="`+html.EscapeString(target)) {
				t.Errorf("%v %s, want %s", a.Set, a.Body, target)
			}
			if b.size() != 0 {
				t.Error("the browser still has the cookie")
			}
			if len(told) != 1 || told[0].Subject != aliceSubject || told[0].Issuer != w.provider.URL() {
				t.Errorf("told %v", told)
			}
			if !strings.Contains(w.log.String(), "signed out while the store is away") {
				t.Error("the log does not tell")
			}
			for i := range w.clients { // the store is away: nobody is let in
				if _, a := as(i).pass(w.clients[i].RequireUser(), "GET", "/", fetches); a.Status == 200 || a.Status == 0 {
					t.Errorf("replica %d lets a copy in: %d", i, a.Status)
				}
			}
			time.Sleep(10 * time.Minute)
			w.store.setAway(false)
			if test.stopped {
				w.clients[0].Close()
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			for i := range w.clients {
				if i == 0 && test.stopped {
					continue
				}
				if got := as(i).seen(); got != "401" {
					t.Errorf("the store is back, and replica %d answers a copy as %s", i, got)
				}
				if got := w.at(i, others).seen(); got != "alice" {
					t.Errorf("the store is back, and replica %d answers another session of the person as %s", i, got)
				}
			}
		}))
	}
}

// A sign-in that could not be written is completed by reloading the page: the code is not sent again.
func TestSignInWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		w.store.setAway(true)
		if a := b.route("GET", callback, navigates); a.Status != 503 || code(t, a) != idserver.CodeStoreUnavailable || b.size() != 0 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		w.store.setAway(false)
		if a := b.route("GET", callback, navigates); a.Status != 303 || b.seen() != "alice" {
			t.Errorf("reloaded: %d %s", a.Status, a.Body)
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

// failingStore fails the operations that it is told to.
type failingStore struct {
	*sharedStore
	mu   sync.Mutex
	fail string
}

func (s *failingStore) failing(operation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail == operation {
		return errors.New("connection reset by peer")
	}
	return nil
}

func (s *failingStore) set(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = operation
}

func (s *failingStore) DeleteCtx(ctx context.Context, key string) error {
	if err := s.failing("delete"); err != nil {
		return err
	}
	return s.sharedStore.DeleteCtx(ctx, key)
}

func (s *failingStore) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if err := s.failing("swap"); err != nil {
		return false, err
	}
	return s.sharedStore.SwapCtx(ctx, key, old, value, expiry)
}

// What the store has of a session that was signed out is gone; if it cannot be deleted, nobody is served it all the same.
func TestSignOutLeavesNothing(t *testing.T) {
	for name, fails := range map[string]string{"deleted": "", "not deleted": "delete"} {
		t.Run(name, inBubble(func(t *testing.T) {
			s := &failingStore{sharedStore: newSharedStore()}
			store := func(c *idserver.Config) { c.Store = s }
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, inStore, store)
			synctest.Wait() // the root is written
			before := s.keys()
			b := w.signedIn(t, "alice")
			key := newKey(t, before, s.keys())
			stolen := copyOf(b.cookies)
			clients := []*idserver.Client{w.Client, w.client(t, inStore, store)}
			s.set(fails)
			if a := b.route("POST", "/auth/logout", navigates); a.Status != 303 || b.size() != 0 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if stands := s.values[key] != nil; stands != (fails != "") {
				t.Errorf("the session is still in the store: %t", stands)
			}
			s.set("")
			for i, client := range clients {
				if got := (&browser{t, client, copyOf(stolen)}).seen(); got != "401" {
					t.Errorf("replica %d answers as %s", i, got)
				}
			}
		}))
	}
}

// A renewal that the store does not take changes nothing: the request is served, and the next one renews.
func TestRenewalThatTheStoreDoesNotTake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &failingStore{sharedStore: newSharedStore()}
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{NoRotation: true}, inStore, func(c *idserver.Config) { c.Store = s })
		b := w.signedIn(t, "alice")
		time.Sleep(10 * time.Minute)
		s.set("swap")
		if got := b.seen(); got != "alice" {
			t.Errorf("answered as %s", got)
		}
		s.set("")
		if got := b.seen(); got != "alice" { // this one renews
			t.Errorf("answered as %s", got)
		}
		time.Sleep(55 * time.Minute)
		if got := b.seen(); got != "alice" {
			t.Errorf("it was not renewed: answered as %s", got)
		}
	})
}

// A sealed cookie moves into the store once. It stands for what the store has until the browser was seen with the new cookie, and a
// minute longer; then it is refused, and not deleted, because the browser has another one under that name.
func TestSessionMovesIntoTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inCookies)
		for i := range w.clients {
			w.clients[i] = w.client(t, inStore, func(c *idserver.Config) { c.Store = w.store })
		}
		b := w.signedIn(t, "alice")
		sealed := b.cookies
		if b.size() < 1000 {
			t.Fatalf("a sealed cookie of %d bytes", b.size())
		}
		var first *browser
		for i := range w.clients { // a page's requests; the answers to two of them are lost
			at := &browser{t, w.clients[i], copyOf(sealed)}
			if got := at.seen(); got != "alice" || at.size() > 450 {
				t.Errorf("replica %d answers as %s, with a cookie of %d bytes", i, got, at.size())
			}
			first = at
		}
		time.Sleep(20 * time.Minute) // nobody has seen the new cookie: all answers were lost
		if got := (&browser{t, w.clients[1], copyOf(sealed)}).seen(); got != "alice" {
			t.Errorf("answered as %s, though the browser may have nothing else", got)
		}
		if got := w.at(0, first).seen(); got != "alice" {
			t.Errorf("the new cookie is answered as %s", got)
		}
		time.Sleep(50 * time.Second)
		for i := range w.clients {
			if got := (&browser{t, w.clients[i], copyOf(sealed)}).seen(); got != "alice" {
				t.Errorf("a request that was on its way is answered as %s", got)
			}
		}
		time.Sleep(11 * time.Second)
		for i := range w.clients {
			at := &browser{t, w.clients[i], copyOf(sealed)}
			if got := at.seen(); got != "401" || at.size() < 1000 {
				t.Errorf("replica %d answers the sealed form as %s, with %d bytes left", i, got, at.size())
			}
			if got := w.at(i, first).seen(); got != "alice" {
				t.Errorf("replica %d answers the new cookie as %s", i, got)
			}
		}
		if n := w.provider.RefreshCounts(); n.Reused != 0 || n.Answered != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// The sealed form of a session that was signed out does not bring it back, whether it has moved into the store or not.
func TestSealedFormAfterSignOut(t *testing.T) {
	for name, moves := range map[string]bool{"moved": true, "not moved": false} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inCookies)
			cookie := w.signedIn(t, "alice")
			stolen := copyOf(cookie.cookies)
			stored := []*idserver.Client{}
			for range 2 {
				stored = append(stored, w.client(t, inStore, func(c *idserver.Config) { c.Store = w.store }))
			}
			at := &browser{t, stored[0], copyOf(cookie.cookies)}
			if moves && at.seen() != "alice" {
				t.Fatal("it does not move")
			}
			if a := at.route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			for i, client := range stored {
				if got := (&browser{t, client, copyOf(stolen)}).seen(); got != "401" {
					t.Errorf("replica %d answers the sealed form as %s", i, got)
				}
			}
		}))
	}
}

// Without ServerSessions, sessions leave the store for cookies when they are renewed, if they have room there.
func TestSessionMovesBackIntoCookies(t *testing.T) {
	for name, row := range map[string]struct {
		groups int
		back   bool
	}{"small": {3, true}, "large": {300, false}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["groups"] = unlike(row.groups) })
			b := w.signedIn(t, "alice")
			for i := range w.clients {
				w.clients[i] = w.client(t, inCookies, func(c *idserver.Config) { c.Store = w.store })
			}
			if got := w.at(0, b).seen(); got != "alice" {
				t.Errorf("answered as %s", got)
			}
			for range 20 {
				time.Sleep(7 * time.Minute)
				for i := range w.clients {
					at := w.at(i, b)
					if got := at.seen(); got != "alice" {
						t.Fatalf("answered as %s", got)
					}
					b.cookies = at.cookies
				}
			}
			if back := b.size() > 1000; back != row.back {
				t.Errorf("a cookie of %d bytes", b.size())
			}
			if row.back { // nothing of the store is needed any more
				w.store.empty()
				if got := w.at(0, b).seen(); got != "alice" {
					t.Errorf("without the store's record: answered as %s", got)
				}
			}
			if n := w.provider.RefreshCounts(); n.Reused != 0 {
				t.Errorf("%+v", n)
			}
		}))
	}
}

// unlike are n groups that no compression makes small.
func unlike(n int) (all []string) {
	state := uint64(1)
	for range n {
		text := ""
		for range 16 {
			state = state*6364136223846793005 + 1442695040888963407
			text += fmt.Sprintf("%08x", state>>32)
		}
		all = append(all, text)
	}
	return all
}

// A deployment that turns ServerSessions on or off: replicas with both settings stand side by side for as long as it takes, and nobody
// is signed out, not even where the provider takes the second use of a refresh token for theft.
func TestServerSessionsTurnedOnAndOff(t *testing.T) {
	for name, edits := range map[string][]func(*idserver.Config){
		"on":             {inCookies, inStore, inStore},
		"off":            {inStore, inCookies, inCookies},
		"with a secret":  {inStore, func(c *idserver.Config) { c.Session.OldSecrets = []string{secretTwo} }, inStore},
		"and one before": {inCookies, inStore, func(c *idserver.Config) { c.Session.OldSecrets = []string{secretTwo} }},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 20*time.Second, idtest.Dialect{})
			for i, edit := range edits {
				w.clients[i] = w.client(t, func(c *idserver.Config) { c.Store, c.Session.Idle = w.store, 2*time.Minute }, edit)
			}
			w.Client = w.clients[0]
			if lost := crowd(t, w.world, 6, 300, w.clients...); lost != 0 {
				t.Errorf("%d sign-outs", lost)
			}
			if n := w.provider.RefreshCounts(); n.Reused != 0 || n.Answered < 6 {
				t.Errorf("%+v", n)
			}
		}))
	}
}

// Sessions in the store are refreshed once over all replicas, and a lost answer signs nobody out that a grace period saves.
func TestServerSessionsRefreshOnce(t *testing.T) {
	for name, row := range map[string]struct {
		dialect idtest.Dialect
		lose    int
	}{
		"strict":        {idtest.Dialect{}, 0},
		"grace, losses": {idtest.Dialect{RefreshGrace: 30 * time.Second}, 10},
		"not rotated":   {idtest.Dialect{NoRotation: true}, 10},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 2*time.Second, row.dialect, inStore)
			if row.lose > 0 {
				w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Every: row.lose, When: ofRefreshes})
			}
			lost := crowd(t, w.world, 20, 40, w.clients...)
			time.Sleep(resent)
			n := w.provider.RefreshCounts()
			if lost != 0 || n.Reused != 0 || n.Answered < 100 || row.dialect.RefreshGrace > 0 && n.Replayed != n.Lost {
				t.Errorf("%d sign-outs, %+v", lost, n)
			}
		}))
	}
}

// The session does not come back when it is signed out while another replica refreshes it.
func TestSignOutDuringARefreshElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		w.provider.Fail(idtest.Revocation, idtest.Fault{Status: 500}) // or the refresh is refused
		for round := range 5 {
			b := w.signedIn(t, "alice")
			time.Sleep(nearlyOver)
			w.provider.Fail(idtest.Token, idtest.Fault{Slow: 500 * time.Millisecond, Once: true, When: ofRefreshes})
			refreshing := w.at(1, b)
			var done sync.WaitGroup
			answered := ""
			done.Go(func() { answered = refreshing.seen() })
			time.Sleep(100 * time.Millisecond)
			if a := w.at(0, b).route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			done.Wait()
			if answered != "401" {
				t.Errorf("round %d: the request that was on its way is answered as %s", round, answered)
			}
			for i := range w.clients {
				for _, cookies := range []map[string]string{b.cookies, refreshing.cookies} {
					if got := (&browser{t, w.clients[i], copyOf(cookies)}).seen(); got != "401" {
						t.Errorf("round %d: replica %d answers as %s", round, i, got)
					}
				}
			}
		}
	})
}

// Nor when it is signed out in the instant before it is written: the store is not given it again.
func TestSignOutBeforeASave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := &swapWatcher{sharedStore: newSharedStore()}
		store := func(c *idserver.Config) { c.Store = s }
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, inStore, store)
		other := w.client(t, inStore, store)
		w.provider.Fail(idtest.Revocation, idtest.Fault{Status: 500}) // or the refresh is refused
		synctest.Wait()                                               // the root is written
		before := s.keys()
		b := w.signedIn(t, "alice")
		key := newKey(t, before, s.keys())
		elsewhere := &browser{t, other, copyOf(b.cookies)}
		time.Sleep(nearlyOver)
		s.key, s.about = key, func() {
			if a := elsewhere.route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}
		if got := b.seen(); got != "401" || s.about != nil {
			t.Errorf("the request that was on its way is answered as %s, and signed out %t", got, s.about == nil)
		}
		if s.values[key] != nil {
			t.Error("the store has the session again")
		}
	})
}

// swapWatcher tells of the next swap of a key, when it is about to be made.
type swapWatcher struct {
	*sharedStore
	key   string
	about func()
}

func (s *swapWatcher) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if about := s.about; about != nil && key == s.key {
		s.about = nil
		about()
	}
	return s.sharedStore.SwapCtx(ctx, key, old, value, expiry)
}

// A background job goes on with a session of the store, and notices that it was signed out elsewhere.
func TestTokenSourceOfAServerSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		source := w.TokenSource(keptContext(t, b))
		for range 20 { // more than three hours without the browser
			if token, err := source.Token(); err != nil || !token.Valid() {
				t.Fatalf("%v", err)
			}
			time.Sleep(10 * time.Minute)
		}
		second := w.at(1, w.signedIn(t, "bob"))
		source = w.clients[1].TokenSource(keptContext(t, second))
		w.store.setAway(true)
		if token, err := source.Token(); err != nil || !token.Valid() {
			t.Errorf("a token that has not expired needs no store: %v", err)
		}
		w.store.setAway(false)
		if a := w.at(2, second).route("POST", "/auth/logout", navigates); a.Status != 303 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		time.Sleep(time.Second) // this store carries no messages
		if _, err := source.Token(); !errors.Is(err, idserver.ErrSignedOut) {
			t.Errorf("signed out at another replica: %v", err)
		}
	})
}

// Whatever the store answers in place of the session's value, nobody is somebody else, and what cannot be opened is neither accepted
// nor deleted.
func TestServerSessionsOfASpoiledStore(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(values map[string][]byte, key, other string)
		want  string // for alice
		keeps bool   // the cookie, and what is in the store
	}{
		"another key's value":   {func(v map[string][]byte, key, other string) { v[key] = v[other] }, "401", true},
		"cut":                   {func(v map[string][]byte, key, _ string) { v[key] = v[key][:len(v[key])-1] }, "401", true},
		"cut to nothing":        {func(v map[string][]byte, key, _ string) { v[key] = []byte{} }, "401", true},
		"altered":               {func(v map[string][]byte, key, _ string) { v[key][len(v[key])/2] ^= 1 }, "401", true},
		"of a later version":    {func(v map[string][]byte, key, _ string) { v[key][0]++ }, "401", true},
		"sealed by a stranger":  {func(v map[string][]byte, key, _ string) { v[key][3] ^= 1 }, "401", true},
		"1 MiB":                 {func(v map[string][]byte, key, _ string) { v[key] = bytes.Repeat([]byte{1}, 1<<20) }, "401", true},
		"more than 1 MiB":       {func(v map[string][]byte, key, _ string) { v[key] = bytes.Repeat([]byte{1}, 1<<20+1) }, "401", true},
		"deleted":               {func(v map[string][]byte, key, _ string) { delete(v, key) }, "401", false},
		"nothing happened":      {func(map[string][]byte, string, string) {}, "alice", true},
		"another key is spoilt": {func(v map[string][]byte, _, other string) { v[other] = v[other][:9] }, "alice", true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
			synctest.Wait() // the root is written
			before := w.store.keys()
			alice := w.signedIn(t, "alice")
			between := w.store.keys()
			bob := w.signedIn(t, "bob")
			key, other := newKey(t, before, between), newKey(t, between, w.store.keys())
			w.store.mu.Lock()
			for k, value := range w.store.values {
				w.store.values[k] = bytes.Clone(value)
			}
			row.spoil(w.store.values, key, other)
			stood := bytes.Clone(w.store.values[key])
			w.store.mu.Unlock()
			for i := range w.clients {
				at := w.at(i, alice)
				if got := at.seen(); got != row.want || (at.size() > 0) != row.keeps {
					t.Errorf("replica %d answers as %s, with %d bytes of a cookie", i, got, at.size())
				}
				if got := w.at(i, bob).seen(); got != "bob" && name != "another key is spoilt" {
					t.Errorf("replica %d answers bob as %s", i, got)
				}
			}
			if !bytes.Equal(stood, w.store.values[key]) {
				t.Error("what stands in the store was replaced")
			}
		}))
	}
}

func (s *sharedStore) keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.values))
}

// newKey is the one that has come.
func newKey(t *testing.T, before, after []string) string {
	t.Helper()
	after = slices.DeleteFunc(slices.Clone(after), func(key string) bool { return slices.Contains(before, key) })
	if len(after) != 1 {
		t.Fatalf("%d new keys in the store", len(after))
	}
	return after[0]
}

// An older value of a session, which a store brings back that has lost its last writes, does not sign anybody out: the tokens that were
// refreshed since are in the leases.
func TestOlderServerSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		synctest.Wait() // the root is written
		before := w.store.keys()
		b := w.signedIn(t, "alice")
		key := newKey(t, before, w.store.keys())
		old := bytes.Clone(w.store.values[key])
		for range 4 {
			time.Sleep(nearlyOver)
			if got := w.at(1, b).seen(); got != "alice" {
				t.Fatalf("answered as %s", got)
			}
		}
		w.store.mu.Lock()
		w.store.values[key] = old
		w.store.mu.Unlock()
		if got := w.at(2, b).seen(); got != "alice" {
			t.Errorf("answered as %s", got)
		}
		if n := w.provider.RefreshCounts(); n.Reused != 0 || n.Answered != 4 {
			t.Errorf("%+v", n)
		}
	})
}

// countingStore counts round trips.
type countingStore struct {
	*memorystore.Store
	mu            sync.Mutex
	finds, writes int
}

func (s *countingStore) count(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *countingStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	s.count(&s.finds)
	return s.Store.FindCtx(ctx, key)
}

func (s *countingStore) FindManyCtx(ctx context.Context, keys []string) ([][]byte, error) {
	s.count(&s.finds)
	return s.Store.FindManyCtx(ctx, keys)
}

func (s *countingStore) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	s.count(&s.writes)
	return s.Store.SwapCtx(ctx, key, old, value, expiry)
}

func (s *countingStore) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	s.count(&s.writes)
	return s.Store.CommitCtx(ctx, key, value, expiry)
}

// A request takes one round trip to the store at most, and renewals write once in a tenth of the idle time; and two in a minute will do,
// while messages arrive.
func TestServerSessionRoundTrips(t *testing.T) {
	for name, row := range map[string]struct {
		messages bool
		every    time.Duration
		most     int // finds in 50 minutes
	}{
		"seldom":                     {true, 15 * time.Second, 200},
		"often":                      {true, time.Second, 200 + 2*10},
		"often, and without message": {false, time.Second, 3000},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			s := &countingStore{Store: memorystore.New()}
			store := func(c *idserver.Config) {
				c.Session.Idle = time.Hour
				if c.Store = s; !row.messages {
					c.Store = wordlessStore{s, s, s}
				}
			}
			w := newStrictWorld(t, 10*time.Hour, idtest.Dialect{}, inStore, store)
			clients := []*idserver.Client{w.Client, w.client(t, inStore, store)}
			b := w.signedIn(t, "alice")
			for _, c := range clients {
				(&browser{t, c, b.cookies}).seen()
			}
			synctest.Wait()
			s.finds, s.writes = 0, 0
			requests := int(50 * time.Minute / row.every)
			for i := range requests {
				if got := (&browser{t, clients[i%2], b.cookies}).seen(); got != "alice" {
					t.Fatalf("answered as %s", got)
				}
				time.Sleep(row.every)
			}
			const beside = 12 // looks at the root, and at what a renewal has changed
			if s.finds > row.most+beside || s.writes < 7 || s.writes > 9 {
				t.Errorf("%d requests: %d finds, %d writes", requests, s.finds, s.writes)
			}
		}))
	}
}

// wordlessStore has all that a store can have but messages.
type wordlessStore struct {
	idserver.Store
	idserver.Swapper
	manyFinder
}

type manyFinder interface {
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
}

// Secrets change in three steps, each of which may have reached some replicas and not others; the store's contents outlive it.
func TestSecretChangesWithAStore(t *testing.T) {
	for name, mode := range map[string]func(*idserver.Config){"server-side": inStore, "sealed": inCookies} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 30*time.Second, idtest.Dialect{})
			with := func(first string, others ...string) *idserver.Client {
				return w.client(t, mode, func(c *idserver.Config) {
					c.Store, c.SessionSecret, c.Session.OldSecrets, c.Session.Idle = w.store, first, others, 2*time.Minute
				})
			}
			steps := []*idserver.Client{with(secretOne), with(secretOne, secretTwo), with(secretTwo, secretOne), with(secretTwo)}
			w.Client = steps[0]
			b := w.signedIn(t, "alice")
			for step := range 3 {
				for i := range 300 { // replicas with one step and with the next
					at := &browser{t, steps[step+i%2], b.cookies}
					if got := at.seen(); got != "alice" {
						t.Fatalf("step %d, request %d: answered as %s", step, i, got)
					}
					time.Sleep(time.Second)
				}
			}
			if got := (&browser{t, steps[3], b.cookies}).seen(); got != "alice" {
				t.Errorf("the old secret is gone: answered as %s", got)
			}
			if got := (&browser{t, steps[0], copyOf(b.cookies)}).seen(); got != "401" {
				t.Errorf("a replica that has the old secret only answers as %s", got)
			}
			if n := w.provider.RefreshCounts(); n.Reused != 0 || n.Answered < 20 {
				t.Errorf("%+v", n)
			}
		}))
	}
}

// A reference without the store that it is for is not accepted and not deleted.
func TestServerSessionWithoutTheStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		at := &browser{t, w.client(t), copyOf(b.cookies)}
		if got := at.seen(); got != "401" || at.size() == 0 {
			t.Errorf("answered as %s, with %d bytes of a cookie", got, at.size())
		}
	})
}

// A user's own store without FindMany, and a process that is the only one, whose store cannot swap.
func TestServerSessionsInAPlainStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newSharedStore()
		plain := struct{ idserver.Store }{s}
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, inStore, func(c *idserver.Config) { c.Store, c.SingleReplica = plain, true })
		b := w.signedIn(t, "alice")
		for range 20 {
			time.Sleep(10 * time.Minute)
			if got := b.seen(); got != "alice" {
				t.Fatalf("answered as %s", got)
			}
		}
		stolen := &browser{t, w.Client, copyOf(b.cookies)}
		b.route("POST", "/auth/logout", navigates)
		if got := stolen.seen(); got != "401" {
			t.Errorf("answered as %s", got)
		}
	})
}

func TestServerSessionsNeedAStore(t *testing.T) {
	t.Parallel()
	cfg := goodConfig()
	cfg.ServerSessions = true
	if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "ServerSessions is set and Store is not") {
		t.Errorf("%v", err)
	}
}
