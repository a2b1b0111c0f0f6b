package budget

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/vault"
)

// store is a store in memory, which can be away.
type store struct {
	mu     sync.Mutex
	values map[string]string
	away   atomic.Bool
}

var errAway = errors.New("connection refused")

func (s *store) FindCtx(_ context.Context, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away.Load() {
		return nil, false, errAway
	}
	value, ok := s.values[key]
	return []byte(value), ok, nil
}

func (s *store) CommitCtx(_ context.Context, key string, value []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away.Load() {
		return errAway
	}
	s.values[key] = string(value)
	return nil
}

func (s *store) DeleteCtx(context.Context, string) error { return errors.New("nobody deletes") }

func (s *store) SwapCtx(_ context.Context, key string, old, value []byte, _ time.Time) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.values[key]
	switch {
	case s.away.Load():
		return false, errAway
	case ok != (old != nil) || found != string(old):
		return false, nil
	}
	s.values[key] = string(value)
	return true, nil
}

// replica is one of the processes that share a store (nil: that share nothing).
func replica(t *testing.T, s *store, perMinute int) *Budget {
	t.Helper()
	o := Options{Now: time.Now, ID: "https://provider.example", PerMinute: perMinute}
	if s != nil {
		ring, err := seal.New("test", strings.Repeat("s", seal.MinSecret))
		if err != nil {
			t.Fatal(err)
		}
		o.Vault = vault.New(vault.Options{Store: s, Ring: ring, Rand: rand.Reader, Now: time.Now})
		t.Cleanup(o.Vault.Close)
	}
	return New(o)
}

// taken is how many of n requests may be sent now.
func taken(t *testing.T, n int, use Use, all ...*Budget) (sent int) {
	t.Helper()
	for i := range n {
		if all[i%len(all)].Take(t.Context(), use) == 0 {
			sent++
		}
	}
	return sent
}

// Three replicas have one budget between them. Sign-ins get half of it, and refreshes what sign-ins leave.
func TestTake(t *testing.T) {
	for name, row := range map[string]struct {
		limit             int
		signIns, refreshs int // that are wanted, in this order
		sent, refreshed   int
	}{
		"sign-ins alone":          {10, 100, 0, 5, 0},
		"refreshes alone":         {10, 0, 100, 0, 10},
		"sign-ins, and refreshes": {10, 100, 100, 5, 5},
		"a few sign-ins":          {10, 2, 100, 2, 8},
		"an odd limit":            {5, 100, 100, 3, 2},
		"one a minute":            {1, 100, 100, 1, 0},
		"no limit":                {0, 100, 100, 100, 100},
		"a high one":              {Most, 2 * Most, 2 * Most, Most / 2, Most / 2},
	} {
		for shares, s := range map[string]*store{"": {values: map[string]string{}}, ", one process": nil} {
			t.Run(name+shares, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := []*Budget{replica(t, s, row.limit)}
					if s != nil {
						all = append(all, replica(t, s, row.limit), replica(t, s, row.limit))
					}
					for round := range 3 {
						if got := taken(t, row.signIns, SignIn, all...); got != row.sent {
							t.Errorf("round %d: %d sign-ins, want %d", round, got, row.sent)
						}
						if got := taken(t, row.refreshs, Refresh, all...); got != row.refreshed {
							t.Errorf("round %d: %d refreshes, want %d", round, got, row.refreshed)
						}
						time.Sleep(window)
					}
				})
			})
		}
	}
}

// A refresh before the sign-ins takes nothing of theirs but what they all have together.
func TestRefreshesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := replica(t, nil, 10)
		if got := taken(t, 100, Refresh, b); got != 10 {
			t.Errorf("%d refreshes", got)
		}
		if wait := b.Take(t.Context(), SignIn); wait != window {
			t.Errorf("a sign-in waits for %v", wait)
		}
	})
}

// The wait ends when the oldest request that counts has left the window, which slides.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := replica(t, &store{values: map[string]string{}}, 4)
		for _, use := range []Use{SignIn, Refresh, SignIn, Refresh} {
			if wait := b.Take(t.Context(), use); wait != 0 {
				t.Fatalf("it waits for %v", wait)
			}
			time.Sleep(10 * time.Second)
		}
		for use, want := range map[Use]time.Duration{SignIn: window - 40*time.Second, Refresh: window - 40*time.Second} {
			if wait := b.Take(t.Context(), use); wait != want {
				t.Errorf("use %d waits for %v, want %v", use, wait, want)
			}
		}
		time.Sleep(window - 40*time.Second) // the first sign-in is out of it
		for _, row := range []struct {
			use  Use
			want time.Duration
		}{{SignIn, 0}, {SignIn, 20 * time.Second}, {Refresh, 10 * time.Second}} {
			if wait := b.Take(t.Context(), row.use); wait != row.want {
				t.Errorf("use %d waits for %v, want %v", row.use, wait, row.want)
			}
		}
	})
}

// What the provider says holds everybody, with a limit and without, and no longer than a quarter of an hour.
func TestHold(t *testing.T) {
	for name, limit := range map[string]int{"no limit": 0, "ten a minute": 10} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &store{values: map[string]string{}}
				here, there := replica(t, s, limit), replica(t, s, limit)
				here.Hold(t.Context(), time.Minute)
				there.Hold(t.Context(), time.Second) // which takes nothing back
				for _, b := range []*Budget{here, there} {
					for _, use := range []Use{SignIn, Refresh} {
						if wait := b.Take(t.Context(), use); wait != time.Minute {
							t.Errorf("it waits for %v", wait)
						}
					}
				}
				time.Sleep(time.Minute)
				if wait := there.Take(t.Context(), Refresh); wait != 0 {
					t.Errorf("in the end it waits for %v", wait)
				}
				here.Hold(t.Context(), 365*24*time.Hour)
				if wait := there.Take(t.Context(), Refresh); wait != LongestHold {
					t.Errorf("a year is %v", wait)
				}
				time.Sleep(LongestHold)
				if wait := there.Take(t.Context(), Refresh); wait != 0 {
					t.Errorf("after a quarter of an hour it waits for %v", wait)
				}
			})
		})
	}
}

// The store is away: each replica goes by what it knows, which is what it has sent and been told itself.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{values: map[string]string{}}
		here, there := replica(t, s, 10), replica(t, s, 10)
		taken(t, 4, Refresh, here)
		s.away.Store(true)
		if got := taken(t, 100, Refresh, here); got != 6 {
			t.Errorf("where four were sent: %d more", got)
		}
		if got := taken(t, 100, Refresh, there); got != 10 {
			t.Errorf("where none was sent: %d", got)
		}
		here.Hold(t.Context(), 2*time.Minute)
		time.Sleep(window)
		if wait := here.Take(t.Context(), Refresh); wait != 2*time.Minute-window {
			t.Errorf("where the provider said so: %v", wait)
		}
		if wait := there.Take(t.Context(), Refresh); wait != 0 {
			t.Errorf("where it did not: %v", wait)
		}
	})
}

// Many at once never get more than there is.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{values: map[string]string{}}
		var sent atomic.Int64
		var all sync.WaitGroup
		for range 3 {
			b := replica(t, s, 20)
			for range 10 {
				all.Go(func() {
					if b.Take(t.Context(), Refresh) == 0 {
						sent.Add(1)
					}
				})
			}
		}
		all.Wait()
		if n := sent.Load(); n < 20 || n > 3*20 {
			t.Errorf("%d", n)
		}
	})
}

// What stands in the record's place and cannot be read is left as it is, and each replica goes by what it knows.
func TestForeignRecords(t *testing.T) {
	for name, plain := range map[string][]byte{"a later version's": {format + 1, 0, 0}, "cut": {format}, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &store{values: map[string]string{}}
				b := replica(t, s, 10)
				v := b.options.Vault
				if err := v.Commit(t.Context(), kind, b.options.ID, plain, time.Now().Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				if got := taken(t, 100, Refresh, b); got != 10 {
					t.Errorf("%d", got)
				}
				b.Hold(t.Context(), time.Hour)
				if found, err := v.Find(t.Context(), kind, b.options.ID); err != nil || string(found.Plain) != string(plain) {
					t.Errorf("it was changed: %v", err)
				}
			})
		})
	}
}

// A clock that is an hour ahead holds the others no longer than its own requests would.
func TestClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{values: map[string]string{}}
		ahead, b := replica(t, s, 2), replica(t, s, 2)
		ahead.options.Now = func() time.Time { return time.Now().Add(time.Hour) }
		taken(t, 2, Refresh, ahead)
		if wait := b.Take(t.Context(), Refresh); wait != window {
			t.Errorf("it waits for %v", wait)
		}
		ahead.Hold(t.Context(), time.Minute)
		if wait := b.Take(t.Context(), Refresh); wait != LongestHold {
			t.Errorf("it waits for %v", wait)
		}
	})
}
