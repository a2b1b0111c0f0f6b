package idserver_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// messengerStore is a store in memory with messages, and with several keys in one round trip. While it is away, everything
// fails; while it is mute, messages are lost and nobody is told.
type messengerStore struct {
	*memorystore.Store
	mu         sync.Mutex
	away, mute bool
	trips      int
	keys       map[string]bool // that were written
}

func (s *messengerStore) fails() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trips++; s.away {
		return context.DeadlineExceeded
	}
	return nil
}

func (s *messengerStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	if err := s.fails(); err != nil {
		return nil, false, err
	}
	return s.Store.FindCtx(ctx, key)
}

func (s *messengerStore) FindManyCtx(ctx context.Context, keys []string) ([][]byte, error) {
	if err := s.fails(); err != nil {
		return nil, err
	}
	return s.Store.FindManyCtx(ctx, keys)
}

func (s *messengerStore) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	if err := s.fails(); err != nil {
		return err
	}
	return s.Store.CommitCtx(ctx, key, value, expiry)
}

func (s *messengerStore) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if err := s.fails(); err != nil {
		return false, err
	}
	s.noteKey(key)
	return s.Store.SwapCtx(ctx, key, old, value, expiry)
}

func (s *messengerStore) NotifyCtx(ctx context.Context, topic, message string) error {
	s.mu.Lock()
	mute := s.mute
	s.mu.Unlock()
	if mute {
		return nil
	}
	return s.Store.NotifyCtx(ctx, topic, message)
}

func (s *messengerStore) noteKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	s.keys[key] = true
}

// empty takes what was swapped in away. No connection breaks.
func (s *messengerStore) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.keys {
		_ = s.Store.DeleteCtx(context.Background(), key)
	}
}

func (s *messengerStore) set(away, mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.mute = away, mute
}

func (s *messengerStore) tripsOf(do func()) int {
	s.mu.Lock()
	before := s.trips
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trips - before
}

// newMessengers are three replicas that tell each other.
func newMessengers(t *testing.T, edit ...func(*idserver.Config)) (*replicas, *messengerStore) {
	t.Helper()
	s := &messengerStore{Store: memorystore.New()}
	edit = append(edit, func(c *idserver.Config) { c.Store = s })
	w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, edit...)
	return &replicas{w, nil, []*idserver.Client{w.Client, w.client(t, edit...), w.client(t, edit...)}}, s
}

// warmUp has all replicas subscribe and remember what the store says of a session.
func (r *replicas) warmUp(b *browser) {
	for range 2 {
		r.admittedAt(b)
		time.Sleep(time.Second)
	}
	r.expectAt(b, "012", "signed in")
}

// admittedAt are the replicas that admit a copy of a browser's cookies.
func (r *replicas) admittedAt(b *browser) (at string) {
	for i := range r.clients {
		if r.at(i, b).admits(r.clients[i]) {
			at += string(rune('0' + i))
		}
	}
	return at
}

// expectAt fails the test unless the replicas that admit a session are these.
func (r *replicas) expectAt(b *browser, want, when string) {
	b.t.Helper()
	if got := r.admittedAt(b); got != want {
		b.t.Errorf("%s: admitted at %q, want %q", when, got, want)
	}
}

// A sign-out at one replica reaches all of them: at once with messages, within a second without, and within half a minute
// when messages are lost. No other session is touched.
func TestSignOutReachesReplicas(t *testing.T) {
	for name, row := range map[string]struct {
		messages, mute, refresh bool
		within                  time.Duration
	}{
		"without messages":                          {false, false, true, time.Second},
		"without messages, without a refresh token": {false, false, false, time.Second},
		"with messages":                             {true, false, true, 0},
		"with messages, without a refresh token":    {true, false, false, 0},
		"with messages that are lost":               {true, true, true, 30 * time.Second},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, messenger := newMessengers(t)
			if !row.messages {
				w = newReplicas(t, 15*time.Minute, idtest.Dialect{})
			}
			if !row.refresh {
				withoutRefreshToken(w.provider)
			}
			b, other := w.signedIn(t, "alice"), w.signedIn(t, "alice")
			w.warmUp(b)
			messenger.set(false, row.mute)
			if a := w.at(0, b).route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			time.Sleep(row.within)
			synctest.Wait()
			for range 30 { // for as long as the session would have lived
				w.expectAt(b, "", "signed out")
				w.expectAt(other, "012", "another session of the same person")
				time.Sleep(time.Minute)
			}
		}))
	}
}

// With messages, a session costs one round trip each half minute and replica, and not one each request.
func TestRoundTripsForMarkers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newMessengers(t)
		b := w.signedIn(t, "alice")
		w.warmUp(b)
		trips := messenger.tripsOf(func() {
			for range 280 { // the last answer is of a second ago
				time.Sleep(100 * time.Millisecond)
				w.admittedAt(b)
			}
		})
		if trips != 0 {
			t.Errorf("%d round trips in 28 s", trips)
		}
	})
}

// A refresh is under way at one replica while the session is signed out at another: what it brings is revoked, and comes back
// nowhere.
func TestSignOutDuringRefreshAtAnotherReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newMessengers(t)
		b := w.signedIn(t, "alice")
		g := w.behindGate(t, func(c *idserver.Config) { c.Store = messenger })
		w.clients[0] = w.Client
		w.admittedAt(b)
		time.Sleep(nearlyOver)
		g.close()
		refreshing, answer := w.at(0, b), make(chan idserver.Answer)
		go func() {
			_, a := refreshing.pass(refreshing.client.RequireUser(), "GET", "/")
			answer <- a
		}()
		<-g.arrived // the provider has answered
		messenger.set(false, true)
		w.provider.ResetRequests()
		w.at(1, b).route("POST", "/auth/logout", navigates)
		g.open()
		if a := <-answer; a.Status != 401 && a.Status != 303 || cookiesSet(a) != 1 {
			t.Errorf("the request that refreshed: %d, %d cookies", a.Status, cookiesSet(a))
		}
		w.expectAt(refreshing, "", "what came of the refresh")
		if n := w.provider.Requests(idtest.Revocation); n != 2 {
			t.Errorf("%d revocations, want that of the session's refresh token and of the one that came meanwhile", n)
		}
		time.Sleep(time.Minute)
		w.expectAt(b, "", "later")
	})
}

// What holds while the store is away, and where nothing but 503 does.
func TestSignedOutWhileTheStoreIsAway(t *testing.T) {
	const stale, answersKept = 30 * time.Minute, 30 * time.Second
	for name, row := range map[string]struct {
		strict, refresh bool
		after           time.Duration
		status          int // 0: admitted
	}{
		"at once":                                   {false, true, 0, 0},
		"until refresh is due, and beyond":          {false, true, 15*time.Minute + stale - answersKept - 3*time.Second, 0},
		"beyond StaleMax":                           {false, true, 15*time.Minute + stale + time.Second, 503},
		"without a refresh token":                   {false, false, stale - answersKept - 3*time.Second, 0},
		"without a refresh token, beyond StaleMax":  {false, false, stale + 2*time.Second, 503},
		"StrictSignOut":                             {true, true, 0, 503},
		"StrictSignOut, without a refresh token":    {true, false, 0, 503},
		"StrictSignOut, while an answer is kept":    {true, true, -time.Second, 0},
		"StrictSignOut, when the answer is too old": {true, true, 30 * time.Second, 503},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, messenger := newMessengers(t, func(c *idserver.Config) {
				c.StrictSignOut, c.Session.StaleMax, c.Session.Idle = row.strict, stale, 3*time.Hour
			})
			if !row.refresh {
				withoutRefreshToken(w.provider)
			}
			b := w.signedIn(t, "alice")
			w.warmUp(b)
			if row.after >= 0 {
				time.Sleep(answersKept) // from now on, none is kept
			}
			messenger.set(true, false)
			time.Sleep(row.after)
			_, a := w.at(1, b).pass(w.clients[1].RequireUser(), "GET", "/", fetches)
			switch {
			case row.status == 0 && a.Ends(), row.status != 0 && a.Status != row.status:
				t.Fatalf("%d %s", a.Status, a.Body)
			case row.status != 0 && (code(t, a) != idserver.CodeStoreUnavailable || field(a, "Retry-After") == "" || cookiesSet(a) != 0):
				t.Errorf("%v %s", a.Add, a.Body)
			}
			messenger.set(false, false)
			time.Sleep(2 * time.Second)
			w.expectAt(b, "012", "when the store is back")
		}))
	}
}

// Who signs out while the store is away is signed out here at once, and elsewhere when it is back; also if this replica is
// stopped at that moment.
func TestSignOutReachesReplicasWhenTheStoreIsBack(t *testing.T) {
	for name, stopped := range map[string]bool{"it goes on": false, "it is stopped": true} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, messenger := newMessengers(t)
			b := w.signedIn(t, "alice")
			w.warmUp(b)
			messenger.set(true, false)
			if a := w.at(0, b).route("POST", "/auth/logout", navigates); a.Status != 303 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			w.expectAt(b, "12", "the store is away")
			if !strings.Contains(w.log.String(), "a sign-out has not reached the store") {
				t.Error("the log does not tell")
			}
			time.Sleep(10 * time.Minute)
			messenger.set(false, false)
			if stopped {
				w.clients[0].Close()
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			w.expectAt(b, "", "the store is back")
		}))
	}
}

// The store is emptied, and everybody who knew who had signed out is gone: sessions are refreshed before they are admitted,
// once for all replicas, and what was signed out is not, because the provider does not refresh it.
func TestEmptiedStore(t *testing.T) {
	for name, many := range map[string]bool{"found together": true, "found one by one": false} {
		t.Run(name, inBubble(func(t *testing.T) {
			store := newSharedStore()
			var s idserver.Store = store
			if many {
				s = manyStore{store}
			}
			edit := func(c *idserver.Config) { c.Store = s }
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, edit)
			r := &replicas{w, store, []*idserver.Client{w.Client, w.client(t, edit), w.client(t, edit)}}
			out, in := w.signedIn(t, "alice"), w.signedIn(t, "bob")
			r.at(0, out).route("POST", "/auth/logout", navigates)
			time.Sleep(time.Second)
			store.empty()
			for i := range r.clients {
				if i < 2 {
					r.clients[i] = w.client(t, edit)
				}
			}
			r.expectAt(out, "", "signed out, and forgotten")
			w.provider.ResetRequests()
			for range 10 {
				r.expectAt(in, "012", "signed in")
				time.Sleep(2 * time.Second)
			}
			if n := w.provider.RefreshCounts(); n.Answered != 1 || n.Reused != 0 {
				t.Errorf("%+v", n)
			}
			store.empty() // once more, with replicas that go on
			for range 10 {
				r.expectAt(in, "012", "signed in, and the store is emptied again")
				r.expectAt(out, "", "signed out")
				time.Sleep(2 * time.Second)
			}
			if n := w.provider.RefreshCounts(); n.Answered != 2 || n.Reused != 0 {
				t.Errorf("%+v", n)
			}
		}))
	}
}

// manyStore finds several keys in one round trip.
type manyStore struct{ *sharedStore }

func (s manyStore) FindManyCtx(_ context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(func() {
		for _, key := range keys {
			values = append(values, s.values[key])
		}
	})
	return values, err
}

// The store is emptied while a browser has the cookie from before the last refresh, whose answer it did not get, and asks another replica
// than the one that refreshed. That one has not been asked for anything since; it is told, and writes again what it has got. The
// provider ends the session of a refresh token that is used twice.
func TestEmptiedStoreAndAnOldCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newMessengers(t)
		b := w.signedIn(t, "alice")
		w.warmUp(b)
		for round := range 4 {
			time.Sleep(nearlyOver)
			at := w.at(round%3, b)
			at.visit()
			messenger.empty()
			next := w.at((round+1)%3, b)
			begun := time.Now()
			if u, _ := next.visit(); u == nil {
				t.Fatalf("round %d: signed out", round)
			}
			if waited := time.Since(begun); waited > 2500*time.Millisecond {
				t.Errorf("round %d: it waits for %v", round, waited)
			}
			if n := w.provider.RefreshCounts(); n.Reused != 0 {
				t.Fatalf("round %d: %+v", round, n)
			}
			b.cookies = next.cookies
		}
	})
}

// The same where a server takes over that lacks the last writes, and nobody has signed out: that grants are lost says that sign-outs may
// be, so that sessions are refreshed before they are admitted.
func TestFailoverAndAnOldCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b, other := w.signedIn(t, "alice"), w.signedIn(t, "bob")
		w.expectAt(b, "012", "signed in")
		time.Sleep(nearlyOver)
		before := w.store.snapshot()
		w.at(0, b).visit()
		w.at(0, other).visit()
		w.store.setAway(true)
		for range 3 {
			w.admittedAt(b)
			time.Sleep(time.Second)
		}
		w.store.restore(before)
		w.store.setAway(false)
		w.at(0, w.signedIn(t, "carol")).visit() // it is back
		if u, _ := w.at(1, b).visit(); u == nil {
			t.Error("signed out")
		}
		if n := w.provider.RefreshCounts(); n.Reused != 0 {
			t.Errorf("%+v", n)
		}
		time.Sleep(time.Minute)
		w.provider.ResetRequests()
		if u, _ := w.at(1, other).visit(); u == nil || w.provider.Requests(idtest.Token) != 1 {
			t.Errorf("another session: %v, %d requests", u, w.provider.Requests(idtest.Token))
		}
		if n := w.provider.RefreshCounts(); n.Reused != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// The store was emptied, and a session has no refresh token: nobody can be asked, and only a new sign-in helps. The cookie stays,
// because another replica may know better.
func TestEmptiedStoreWithoutRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		withoutRefreshToken(w.provider)
		b := w.signedIn(t, "alice")
		time.Sleep(time.Second)
		w.store.empty()
		w.clients[1] = w.client(t, func(c *idserver.Config) { c.Store = w.store })
		at := w.at(1, b)
		_, a := at.pass(at.client.RequireUser(), "GET", "/", fetches)
		if a.Status != 401 || code(t, a) != idserver.CodeNotSignedIn || cookiesSet(a) != 0 {
			t.Fatalf("%d %s, %d cookies", a.Status, a.Body, cookiesSet(a))
		}
		_, a = at.pass(at.client.RequireUser(), "GET", "/", navigates)
		if a.Status != 303 || cookiesSet(a) != 0 {
			t.Fatalf("a navigation: %d, %d cookies", a.Status, cookiesSet(a))
		}
		again := w.signedIn(t, "alice")
		time.Sleep(time.Second)
		w.expectAt(again, "012", "a new sign-in")
	})
}

// While the provider is away, nobody is admitted who may have signed out; and nobody is signed out.
func TestEmptiedStoreWhileTheProviderIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		time.Sleep(time.Second)
		w.store.empty()
		w.clients[1] = w.client(t, func(c *idserver.Config) { c.Store = w.store })
		w.provider.Fail(idtest.Token, idtest.Fault{Status: 503})
		at := w.at(1, b)
		_, a := at.pass(at.client.RequireUser(), "GET", "/", fetches)
		if a.Status != 503 || cookiesSet(a) != 0 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if _, a = at.pass(at.client.RequireUser(), "GET", "/", image); a.Status != 401 || code(t, a) != idserver.CodeSessionNotRenewed {
			t.Errorf("an image: %d %s", a.Status, a.Body)
		}
		w.provider.Heal(idtest.Token)
		time.Sleep(time.Minute)
		w.expectAt(b, "012", "the provider is back")
	})
}

func image(r *idserver.Request) {
	send(r, "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image", "Sec-Fetch-Site", "same-origin")
}

// A replica of the store takes over that lacks the last writes, a sign-out among them. The replica of the application that wrote
// it notices, writes it again, and has sessions refreshed, because others may have written what they cannot write again.
func TestFailoverWithoutTheLastWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		out, in := w.signedIn(t, "alice"), w.signedIn(t, "bob")
		w.expectAt(out, "012", "signed in")
		before := w.store.snapshot()
		w.at(0, out).route("POST", "/auth/logout", navigates)
		w.store.setAway(true)
		w.admittedAt(in)
		time.Sleep(2 * time.Second)
		w.admittedAt(in)
		w.store.restore(before)
		w.store.setAway(false)
		time.Sleep(2 * time.Second)
		w.admittedAt(in) // and what they find makes them look
		time.Sleep(2 * time.Second)
		w.expectAt(out, "", "signed out")
		w.expectAt(in, "012", "signed in")
		if n := w.provider.RefreshCounts(); n.Answered != 1 {
			t.Errorf("%+v, want one refresh of the session that goes on", n)
		}
	})
}

// Replicas' clocks differ by five seconds, either way: sign-outs reach, and new sign-ins are none of them.
func TestSignOutWithClocksApart(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"the clock of the sign-out is ahead": 5 * time.Second, "it is behind": -5 * time.Second} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
			w.clients[1] = w.client(t, func(c *idserver.Config) {
				c.Store, c.Now = w.store, func() time.Time { return time.Now().Add(ahead) }
			})
			b := w.signedIn(t, "alice")
			w.expectAt(b, "012", "signed in")
			w.at(1, b).route("POST", "/auth/logout", navigates)
			again := w.signedIn(t, "alice")
			time.Sleep(time.Second)
			for range 10 {
				w.expectAt(b, "", "signed out")
				w.expectAt(again, "012", "signed in again")
				time.Sleep(time.Second)
			}
		}))
	}
}

// The attack of the study: twenty browsers, sign-outs while refreshes are under way and answers come late, at three replicas.
func TestSignedOutSessionsStayOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var held []*gate
		messenger := &messengerStore{Store: memorystore.New()}
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{RefreshGrace: time.Minute}, func(c *idserver.Config) { c.Store = messenger })
		r := &replicas{w, nil, nil}
		for range 3 {
			g := &gate{RoundTripper: w.provider.HTTPClient().Transport}
			held = append(held, g)
			r.clients = append(r.clients, w.client(t, func(c *idserver.Config) {
				c.Store, c.HTTP.Client = messenger, &http.Client{Transport: g}
			}))
		}
		var all []*browser
		for range 20 {
			all = append(all, w.signedIn(t, "alice"))
		}
		time.Sleep(nearlyOver)
		for _, g := range held {
			g.close()
		}
		var late []*browser
		var answers sync.WaitGroup
		for i, b := range all {
			at := r.at(i%3, b)
			late = append(late, at)
			answers.Go(func() { at.visit() })
			synctest.Wait()
			r.at((i+1)%3, b).route("POST", "/auth/logout", navigates)
		}
		for _, g := range held {
			g.open()
		}
		answers.Wait()
		for i, b := range all {
			r.expectAt(b, "", "the cookie from before")
			r.expectAt(late[i], "", "the cookie that came late")
		}
	})
}

// A stream ends when its session is signed out at another replica: at once with messages, within ten seconds without, and within
// half a minute where messages are lost. Streams of other sessions go on.
func TestStreamEndsAtAnotherReplica(t *testing.T) {
	for name, row := range map[string]struct {
		messages, mute bool
		within         time.Duration
	}{
		"with messages":               {true, false, 0},
		"without messages":            {false, false, 10*time.Second + 500*time.Millisecond},
		"with messages that are lost": {true, true, 30*time.Second + 500*time.Millisecond},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, messenger := newMessengers(t)
			if !row.messages {
				w = newReplicas(t, 15*time.Minute, idtest.Dialect{})
			}
			b, other := w.signedIn(t, "alice"), w.signedIn(t, "alice")
			w.warmUp(b)
			messenger.set(false, row.mute)
			var ended, goesOn []context.Context
			for i := range w.clients {
				w.Client = w.clients[i]
				ended = append(ended, stream(t, w.world, b.request("GET", "/", nil)))
				goesOn = append(goesOn, stream(t, w.world, other.request("GET", "/", nil)))
			}
			pass(time.Minute)
			for _, ctx := range ended {
				causedBy(t, ctx)
			}
			w.at(0, b).route("POST", "/auth/logout", navigates)
			pass(row.within)
			for _, ctx := range ended {
				causedBy(t, ctx, idserver.ErrSignedOut)
			}
			pass(time.Minute)
			for _, ctx := range goesOn {
				causedBy(t, ctx)
			}
		}))
	}
}

// A stream that opens while its session is being signed out elsewhere, behind a guard that did not know, ends too.
func TestStreamOpensTooLateAtAnotherReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		w.admittedAt(b)
		admitted, a := w.clients[1].RequireUser()(t.Context(), b.request("GET", "/", nil))
		if a.Ends() {
			t.Fatal(a.Status)
		}
		w.at(0, b).route("POST", "/auth/logout", navigates)
		ctx, cancel := idserver.UntilSignedOut(admitted)
		defer cancel()
		pass(11 * time.Second)
		causedBy(t, ctx, idserver.ErrSignedOut)
	})
}

// The store goes away: streams go on, unless StrictSignOut is set; those of bearer tokens in any case.
func TestStreamWhileTheStoreIsAway(t *testing.T) {
	for name, strict := range map[string]bool{"as it is": false, "StrictSignOut": true} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, messenger := newMessengers(t, func(c *idserver.Config) { c.StrictSignOut = strict })
			b := w.signedIn(t, "alice")
			w.warmUp(b)
			ctx := stream(t, w.world, b.request("GET", "/", nil))
			token := stream(t, w.world, w.browser(t).request("GET", "/", []edit{bearer(w.provider.MintAccessToken("alice"))}))
			messenger.set(true, false)
			pass(31 * time.Second)
			if strict {
				causedBy(t, ctx, idserver.ErrUnavailable)
			} else {
				causedBy(t, ctx)
			}
			causedBy(t, token)
			messenger.set(false, false)
			pass(2 * time.Second)
			w.expectAt(b, "012", "the store is back")
		}))
	}
}
