package idserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// sharedStore is a store in memory that replicas share. While it is away, nothing happens and everything fails.
type sharedStore struct {
	mu     sync.Mutex
	values map[string][]byte
	away   bool
	done   int // operations
}

func newSharedStore() *sharedStore { return &sharedStore{values: map[string][]byte{}} }

func (s *sharedStore) do(operation func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done++; s.away {
		return errors.New("connection refused")
	}
	operation()
	return nil
}

func (s *sharedStore) FindCtx(_ context.Context, key string) (value []byte, found bool, err error) {
	err = s.do(func() { value, found = s.values[key] })
	return value, found, err
}

func (s *sharedStore) CommitCtx(_ context.Context, key string, value []byte, _ time.Time) error {
	return s.do(func() { s.values[key] = value })
}

func (s *sharedStore) DeleteCtx(_ context.Context, key string) error {
	return s.do(func() { delete(s.values, key) })
}

func (s *sharedStore) SwapCtx(_ context.Context, key string, old, value []byte, _ time.Time) (swapped bool, err error) {
	err = s.do(func() {
		if found, ok := s.values[key]; ok == (old != nil) && bytes.Equal(found, old) {
			s.values[key], swapped = value, true
		}
	})
	return swapped, err
}

func (s *sharedStore) setAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *sharedStore) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.values)
}

// replicas are three processes of one application, with a store.
type replicas struct {
	*world
	store   *sharedStore
	clients []*idserver.Client
}

func newReplicas(t *testing.T, life time.Duration, dialect idtest.Dialect, edit ...func(*idserver.Config)) *replicas {
	t.Helper()
	s := newSharedStore()
	edit = append(edit, func(c *idserver.Config) { c.Store = s })
	w := newStrictWorld(t, life, dialect, edit...)
	return &replicas{w, s, []*idserver.Client{w.Client, w.client(t, edit...), w.client(t, edit...)}}
}

// at is a browser's copy at one of the replicas.
func (r *replicas) at(i int, b *browser) *browser {
	return &browser{b.t, r.clients[i], copyOf(b.cookies)}
}

// Three replicas behind a round robin, access tokens of two seconds, a tenth of the answers lost: each refresh token is sent
// once, and once more for each loss. With a grace period nobody is signed out; a strict provider signs out at most once per loss.
func TestReplicasRefreshOnce(t *testing.T) {
	for name, row := range map[string]struct {
		dialect idtest.Dialect
		lose    int // each of so many answers
	}{
		"strict, nothing lost":    {idtest.Dialect{}, 0},
		"grace, nothing lost":     {idtest.Dialect{RefreshGrace: 30 * time.Second}, 0},
		"strict, losses":          {idtest.Dialect{}, 10},
		"grace of 5 s, losses":    {idtest.Dialect{RefreshGrace: 5 * time.Second}, 10},
		"grace of 30 s, losses":   {idtest.Dialect{RefreshGrace: 30 * time.Second}, 10},
		"last replay wins":        {idtest.Dialect{RefreshGrace: 30 * time.Second, LastReplayWins: true}, 10},
		"not rotated":             {idtest.Dialect{NoRotation: true}, 10},
		"no reuse detection":      {idtest.Dialect{NoReuseDetection: true}, 0},
		"grace of 5 s, many lost": {idtest.Dialect{RefreshGrace: 5 * time.Second}, 3},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 2*time.Second, row.dialect)
			if row.lose > 0 {
				w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Every: row.lose, When: losable(row.dialect)})
			}
			strict := row.dialect.RefreshGrace == 0 && !row.dialect.NoRotation
			lost := crowd(t, w.world, 20, 50, w.clients...)
			time.Sleep(resent)
			n := w.provider.RefreshCounts()
			t.Logf("%d sign-outs, %+v, %d operations of the store", lost, n, w.store.done)
			switch {
			case n.Answered < 100 || row.lose > 0 && n.Lost < 10:
				t.Errorf("too few refreshes: %+v", n)
			case lost > n.Lost, !strict && lost > 0:
				t.Errorf("%d sign-outs of %d losses", lost, n.Lost)
			case !strict && n.Reused > 0, n.Reused > n.Lost:
				t.Errorf("%d refresh tokens came once more than there were losses", n.Reused)
			case row.dialect.RefreshGrace > 0 && n.Replayed != n.Lost:
				t.Errorf("%d grants of %d refresh tokens, and %d answers were lost", n.Answered, n.Answered-n.Replayed, n.Lost)
			}
		}))
	}
}

// losable are the refreshes whose answers may be lost: of one refresh token the first six, as it is not sent an eighth time, and
// who loses them all has lost by chance what the test counts. One that is not rotated is sent for ever.
func losable(d idtest.Dialect) func(form url.Values) bool {
	sent := map[string]int{}
	return func(form url.Values) bool {
		token := form.Get("refresh_token")
		sent[token]++
		return ofRefreshes(form) && (d.NoRotation || sent[token] < 7)
	}
}

// The store is away: nobody sends a refresh token, sessions go on until StaleMax beyond their access tokens' expiry, and then
// wait, with 503 and the cookie kept. When it is back, they are refreshed.
func TestStoreAwayAtRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.Session.StaleMax, c.Session.Idle = 30*time.Minute, 3*time.Hour })
		b := w.signedIn(t, "alice")
		w.provider.ResetRequests()
		w.store.setAway(true)
		time.Sleep(nearlyOver)
		for range 4 {
			for i := range w.clients {
				if u, _ := w.at(i, b).visit(); u == nil {
					t.Fatal("signed out by a store that is away")
				}
			}
			time.Sleep(7 * time.Minute)
		}
		time.Sleep(4 * time.Minute)
		for i := range w.clients {
			at := w.at(i, b)
			_, a := at.pass(at.client.RequireUser(), "GET", "/", fetches)
			if a.Status != 503 || code(t, a) != idserver.CodeStoreUnavailable || field(a, "Retry-After") == "" || cookiesSet(a) != 0 {
				t.Errorf("beyond StaleMax: %d %s", a.Status, a.Body)
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 0 {
			t.Errorf("%d token requests without a lease", n)
		}
		w.store.setAway(false)
		time.Sleep(2 * time.Second)
		for i := range w.clients {
			if u, _ := w.at(i, b).visit(); u == nil {
				t.Errorf("the store is back, and the session is over at replica %d", i)
			}
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 1}) {
			t.Errorf("%+v", n)
		}
	})
}

// The store goes away after the provider has answered: the browser has the result, and when the store is back the others read it.
func TestPublishedWhenTheStoreIsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		for i := range w.clients { // they know the store
			w.at(i, b).visit()
		}
		time.Sleep(nearlyOver)
		w.provider.SetTokenResponse(func(map[string]any) { w.store.setAway(true) })
		holder := w.at(0, b)
		if u, _ := holder.visit(); u == nil {
			t.Fatal("signed out")
		}
		w.provider.SetTokenResponse(nil)
		time.Sleep(time.Minute)
		w.store.setAway(false)
		time.Sleep(time.Second)
		_, has := holder.visit()
		for i := range w.clients {
			if u, token := w.at(i, b).visit(); u == nil || token != has {
				t.Errorf("replica %d: the user is %v, with the new access token: %t", i, u, token == has)
			}
		}
		if n := w.provider.RefreshCounts(); n.Answered != 1 || n.Reused != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// A replica is killed after it has sent a refresh token, before it knows the answer. Another one sends it again when the lease has
// ended; what the provider says to that counts, and is told as what it may be.
func TestHolderIsKilled(t *testing.T) {
	for name, row := range map[string]struct {
		dialect idtest.Dialect
		over    bool
	}{
		"grace":  {idtest.Dialect{RefreshGrace: time.Minute}, false},
		"strict": {idtest.Dialect{}, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, row.dialect)
			b := w.signedIn(t, "alice")
			w.at(1, b).visit()
			time.Sleep(nearlyOver)
			w.provider.Fail(idtest.Token, idtest.Fault{Lost: true, Hang: true, Once: true, When: ofRefreshes})
			killed := make(chan struct{})
			go func() { w.at(0, b).visit(); close(killed) }()
			time.Sleep(100 * time.Millisecond)
			taken := w.store.snapshot()
			<-killed
			w.clients[0].Close()
			w.store.restore(taken) // it has released nothing
			begun := time.Now()
			u, _ := w.at(1, b).visit()
			if waited := time.Since(begun); u == nil || waited > 3*time.Second {
				t.Fatalf("the access token is good: %v after %v", u, waited)
			}
			time.Sleep(20 * time.Second)
			for i := 1; i < 3; i++ {
				if u, _ := w.at(i, b).visit(); (u == nil) != row.over {
					t.Errorf("replica %d: the user is %v", i, u)
				}
			}
			if n := strings.Count(w.log.String(), "level=WARN msg=\"idserver: the provider refuses a refresh token of which an answer was lost"); n > 1 || row.over != (n == 1) {
				t.Errorf("told %d times", n)
			}
		}))
	}
}

func (s *sharedStore) snapshot() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for key, value := range s.values {
		all[key] = value
	}
	return all
}

func (s *sharedStore) restore(all map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = all
}

// The store is emptied: the cookie has the version that counts, and nobody is signed out.
func TestEmptiedStoreSignsNobodyOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 2*time.Second, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		for round := range 6 {
			time.Sleep(2 * time.Second)
			b.client = w.clients[round%3]
			if u, _ := b.visit(); u == nil {
				t.Fatalf("round %d: signed out", round)
			}
			w.store.empty()
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 6}) {
			t.Errorf("%+v", n)
		}
	})
}

// A cookie from before several refreshes, which other replicas did, gets what is good now.
func TestOldCookieAtAnotherReplica(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 2*time.Second, idtest.Dialect{})
		old := w.signedIn(t, "alice")
		b := w.at(0, old)
		for range 5 {
			time.Sleep(2 * time.Second)
			b.visit()
		}
		_, newest := b.visit()
		for i := range w.clients {
			if u, token := w.at(i, old).visit(); u == nil || token != newest {
				t.Errorf("replica %d: %v, with the newest access token: %t", i, u, token == newest)
			}
		}
		time.Sleep(2 * time.Second)
		at := w.at(2, old)
		if u, token := at.visit(); u == nil || token == newest {
			t.Errorf("it is not refreshed from there: %v", u)
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 6}) {
			t.Errorf("%+v", n)
		}
	})
}

// What one replica hears of the provider, the others go by: a refusal, and a pause.
func TestRefusalsAndPausesAreShared(t *testing.T) {
	for name, row := range map[string]struct {
		fault    idtest.Fault
		goesOn   bool
		requests int // of all replicas, within the pause
		pause    time.Duration
	}{
		"invalid_grant":           {idtest.Fault{OAuthError: "invalid_grant"}, false, 1, 0},
		"503, in two minutes":     {idtest.Fault{Status: 503, Header: map[string][]string{"Retry-After": {"120"}}}, true, 1, 2 * time.Minute},
		"502":                     {idtest.Fault{Status: 502}, true, 7, 10 * time.Second},
		"429":                     {idtest.Fault{Status: 429}, true, 1, 30 * time.Second},
		"it does not know us":     {idtest.Fault{Status: 401, OAuthError: "invalid_client"}, true, 1, time.Minute},
		"it is away, by name":     {idtest.Fault{OAuthError: "temporarily_unavailable"}, true, 1, 10 * time.Second},
		"the application says no": {idtest.Fault{Slow: time.Nanosecond}, false, 1, 0},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			no := false
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) {
				c.AdmitUser = func(context.Context, *idserver.User) error {
					if no {
						return errors.New("left the company")
					}
					return nil
				}
			})
			b := w.signedIn(t, "alice")
			time.Sleep(nearlyOver)
			no = row.fault.Slow > 0
			w.provider.ResetRequests()
			w.provider.Fail(idtest.Token, row.fault)
			for range 2 {
				for i := range w.clients {
					if u, _ := w.at(i, b).visit(); (u != nil) != row.goesOn {
						t.Fatalf("replica %d: the user is %v", i, u)
					}
				}
				time.Sleep(resent)
			}
			if n := w.provider.Requests(idtest.Token); n != row.requests {
				t.Errorf("%d requests, want %d", n, row.requests)
			}
			w.provider.Heal(idtest.Token)
			time.Sleep(row.pause)
			for i := range w.clients {
				if u, _ := w.at(i, b).visit(); (u != nil) != row.goesOn {
					t.Errorf("in the end, at replica %d: the user is %v", i, u)
				}
			}
			if n := w.provider.RefreshCounts(); row.goesOn && n.Answered != 1 {
				t.Errorf("after the pause: %+v", n)
			}
		}))
	}
}

// To sign out revokes the refresh token that the replicas have, not the one in an old cookie.
func TestSignOutRevokesWhatAnotherReplicaGot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sent := &recorder{}
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) {
			if sent.RoundTripper == nil {
				sent.RoundTripper = c.HTTP.Client.Transport
			}
			c.HTTP.Client = &http.Client{Transport: sent}
		})
		old := w.signedIn(t, "alice")
		var newest string
		w.provider.SetTokenResponse(func(r map[string]any) { newest = fmt.Sprint(r["refresh_token"]) })
		time.Sleep(nearlyOver)
		w.at(0, old).visit()
		w.at(1, old).route("POST", "/auth/logout", navigates)
		if last := sent.requests[len(sent.requests)-1].form; newest == "" || last.Get("token") != newest {
			t.Error("another refresh token is revoked, or none")
		}
	})
}
