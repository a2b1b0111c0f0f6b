package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// refresh is what an application does with a grant: it asks until it knows, or gives up after so many times because the store
// is away. It returns the version that it has in the end.
func refresh(ctx context.Context, l *Leases, version int64, p *provider, tries int) (int64, Result, error) {
	var r Result
	var err error
	for range tries {
		r, err = l.Do(ctx, grant(version), p.attempt(version))
		switch {
		case err == nil && r.Own && !r.Over:
			return version + 1, r, nil
		case err == nil && r.Payload != nil:
			return r.Version, r, nil
		case err == nil && r.Over:
			return version, r, nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return version, r, err
}

// Many requests at three replicas refresh a grant ten times: each version once.
func TestOncePerVersion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{takes: 120 * time.Millisecond}
		replicas := []*Leases{replica(t, s, 0), replica(t, s, 5*time.Second), replica(t, s, -5*time.Second)}
		for version := range int64(10) {
			var all sync.WaitGroup
			for i := range 9 {
				all.Go(func() {
					got, r, err := refresh(t.Context(), replicas[i%3], version, p, 1)
					if err != nil || got != version+1 || !r.Own && string(r.Payload) != string(payload(got)) {
						t.Errorf("request %d has version %d: %+v, %v", i, got, r, err)
					}
				})
			}
			all.Wait()
		}
		if p.sent != 10 {
			t.Errorf("%d requests, want 10", p.sent)
		}
		got, r, err := refresh(t.Context(), replicas[0], 3, p, 1)
		if err != nil || got != 10 || p.sent != 10 {
			t.Errorf("an old cookie gets version %d: %+v, %v", got, r, err)
		}
	})
}

// Each operation of the store fails in turn, alone or together with all that follow for two seconds, before or after its
// effect. Nobody sends a version twice, and in the end all have the result.
func TestStoreFailsAtEachStep(t *testing.T) {
	t.Parallel()
	type totals struct{ rows, sent, away int }
	var mu sync.Mutex
	table := map[string]*totals{}
	t.Run("steps", func(t *testing.T) {
		for _, mode := range []how{before, after} {
			for _, outage := range []time.Duration{0, 2 * time.Second} {
				for step := 1; step <= 30; step++ {
					name := fmt.Sprintf("%v its effect, for %v", mode, outage)
					t.Run(fmt.Sprintf("%s, operation %d", name, step), func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							s, p := newStore(), &provider{takes: 120 * time.Millisecond}
							var broken time.Time
							s.fault = func(operation int) how {
								if operation == step {
									broken = time.Now()
								}
								if operation == step || !broken.IsZero() && time.Since(broken) < outage {
									return mode
								}
								return fine
							}
							away := 0
							var all sync.WaitGroup
							var counting sync.Mutex
							for i := range 3 {
								l := replica(t, s, time.Duration(i-1)*5*time.Second)
								all.Go(func() {
									_, _, err := refresh(t.Context(), l, 0, p, 1)
									if errors.Is(err, vault.ErrAway) {
										counting.Lock()
										away++
										counting.Unlock()
									}
									if got, r, err := refresh(t.Context(), l, 0, p, 200); got != 1 || err != nil {
										t.Errorf("replica %d has version %d in the end: %+v, %v", i, got, r, err)
									}
								})
							}
							all.Wait()
							if p.sent != 1 || p.reused != 0 {
								t.Errorf("%d requests, %d of them too many", p.sent, p.reused)
							}
							mu.Lock()
							defer mu.Unlock()
							if table[name] == nil {
								table[name] = &totals{}
							}
							table[name].rows++
							table[name].sent += p.sent
							table[name].away += away
						})
					})
				}
			}
		}
	})
	for name, n := range table {
		t.Logf("%-30s %d runs, %d grants, %d of %d first answers: the store is away", name, n.rows, n.sent, n.away, 3*n.rows)
	}
}

// A holder dies between its steps: before it has sent, or after the other side has acted. The next one takes over when the lease has ended, knows
// that an answer may be lost, and no sooner.
func TestHolderDies(t *testing.T) {
	for name, row := range map[string]struct {
		sent  bool
		grace time.Duration
		over  bool
	}{
		"before it has sent":             {false, 0, false},
		"after it has sent, with grace":  {true, time.Minute, false},
		"after it has sent, short grace": {true, 5 * time.Second, true},
		"after it has sent, strict":      {true, 0, true},
	} {
		for clock, ahead := range map[string]time.Duration{"": 0, ", clock ahead by 5 s": 5 * time.Second, ", behind by 5 s": -5 * time.Second, ", ahead by an hour": time.Hour} {
			t.Run(name+clock, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s, p := newStore(), &provider{takes: 120 * time.Millisecond, grace: row.grace}
					dies, next := replica(t, s, ahead), replica(t, s, 0)
					func() {
						defer func() { recover() }()
						dies.Do(t.Context(), grant(0), func(context.Context, bool) Attempt {
							if row.sent {
								p.send(0)
							}
							panic("killed")
						})
					}()
					begun, asked := time.Now(), false
					r, err := next.Do(t.Context(), grant(0), func(ctx context.Context, lost bool) Attempt {
						if asked = true; !lost {
							t.Error("it is not told that an answer may be lost")
						}
						return p.attempt(0)(ctx, lost)
					})
					if waited := time.Since(begun); err != nil || !r.Own || !asked || waited < Work || waited > 22*time.Second {
						t.Errorf("after %v: %+v, %v", waited, r, err)
					}
					r, err = replica(t, s, 0).Do(t.Context(), grant(0), p.attempt(0))
					if err != nil || r.Over != row.over || r.Lost != row.over || !row.over && r.Version != 1 {
						t.Errorf("another replica reads %+v, %v", r, err)
					}
				})
			})
		}
	}
}

// What an attempt that brought nothing says to the others.
func TestNothingCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here, there := replica(t, s, 0), replica(t, s, 0)
		never := func(context.Context, bool) Attempt { t.Error("it attempts"); return Attempt{} }
		here.Do(t.Context(), grant(0), func(context.Context, bool) Attempt { return Attempt{Pause: time.Minute, Lost: true} })
		if r, err := there.Do(t.Context(), grant(0), never); err != nil || r.Pause != time.Minute || r.Own || r.Payload != nil {
			t.Errorf("%+v, %v", r, err)
		}
		time.Sleep(time.Minute)
		there.Do(t.Context(), grant(0), func(_ context.Context, lost bool) Attempt {
			if !lost {
				t.Error("what was lost is forgotten")
			}
			return Attempt{Over: true, Lost: lost}
		})
		if r, err := here.Do(t.Context(), grant(0), never); err != nil || !r.Over || !r.Lost {
			t.Errorf("%+v, %v", r, err)
		}
		// of a later version, whatever is said of the earlier one does not hold
		if r, err := here.Do(t.Context(), grant(1), func(_ context.Context, lost bool) Attempt { return Attempt{Payload: payload(2), Lost: lost} }); err != nil || !r.Own {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// The store is emptied, between two versions and while a lease is held: nobody is refused, and what a browser has counts.
func TestEmptiedStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{takes: 120 * time.Millisecond}
		l, other := replica(t, s, 0), replica(t, s, 0)
		empty := func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(s.values)
		}
		refresh(t.Context(), l, 0, p, 1)
		refresh(t.Context(), other, 0, p, 1)
		empty()
		if got, _, err := refresh(t.Context(), l, 1, p, 1); got != 2 || err != nil {
			t.Errorf("version %d, %v", got, err)
		}
		go func() { time.Sleep(60 * time.Millisecond); empty() }()
		if got, _, err := refresh(t.Context(), l, 2, p, 1); got != 3 || err != nil {
			t.Errorf("emptied in the middle: version %d, %v", got, err)
		}
		if got, r, err := refresh(t.Context(), other, 2, p, 1); got != 3 || err != nil || p.sent != 3 {
			t.Errorf("another replica: version %d, %+v, %v; %d requests", got, r, err, p.sent)
		}
	})
}

// The store is away when a result is to be published. It is published when the store is back, also if somebody holds the
// lease by then; not if a newer version is there. Close does not wait for it.
func TestPublishedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{takes: time.Second}
		var away bool
		s.fault = func(int) how {
			if away {
				return before
			}
			return fine
		}
		set := func(b bool) { s.mu.Lock(); defer s.mu.Unlock(); away = b }
		here, there := replica(t, s, 0), replica(t, s, 0)
		refresh(t.Context(), there, 0, p, 1) // it knows the store
		go func() { time.Sleep(500 * time.Millisecond); set(true) }()
		if got, r, err := refresh(t.Context(), here, 1, p, 1); got != 2 || err != nil || !r.Own {
			t.Errorf("version %d, %+v, %v", got, r, err)
		}
		if _, err := there.Do(t.Context(), grant(1), p.attempt(1)); !errors.Is(err, vault.ErrAway) {
			t.Errorf("while the store is away: %v", err)
		}
		time.Sleep(time.Minute)
		set(false)
		time.Sleep(time.Second)
		if got, r, err := refresh(t.Context(), there, 1, p, 1); got != 2 || err != nil || p.sent != 2 {
			t.Errorf("when it is back: version %d, %+v, %v; %d requests", got, r, err, p.sent)
		}

		go func() { time.Sleep(500 * time.Millisecond); set(true) }()
		refresh(t.Context(), here, 2, p, 1)
		set(false)
		if got, _, err := refresh(t.Context(), there, 3, p, 1); got != 4 || err != nil { // with the cookie
			t.Errorf("version %d, %v", got, err)
		}
		time.Sleep(time.Minute)
		if got, _, _ := refresh(t.Context(), there, 2, p, 1); got != 4 {
			t.Errorf("version %d has taken the place of 4", got)
		}

		go func() { time.Sleep(500 * time.Millisecond); set(true) }()
		refresh(t.Context(), here, 4, p, 1)
		begun := time.Now()
		if here.Close(); time.Since(begun) > lastTry {
			t.Errorf("Close waited for %v", time.Since(begun))
		}
	})
}

// What is in the record's place: what cannot be opened is replaced, and what a later version of this program wrote is not.
func TestForeignRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{}
		l := replica(t, s, 0)
		refresh(t.Context(), l, 0, p, 1)
		if err := l.options.Vault.Commit(t.Context(), kind, "g", []byte{format + 1, 0, 0}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Do(t.Context(), grant(1), p.attempt(1)); !errors.Is(err, vault.ErrAway) || p.sent != 1 {
			t.Errorf("of a later version: %v, %d requests", err, p.sent)
		}
		if err := l.options.Vault.Commit(t.Context(), kind, "g", nil, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Do(t.Context(), grant(1), p.attempt(1)); !errors.Is(err, vault.ErrAway) || p.sent != 1 {
			t.Errorf("empty: %v, %d requests", err, p.sent)
		}
		s.damage(t, l)
		if r, err := l.Do(t.Context(), grant(1), p.attempt(1)); err != nil || !r.Own || p.sent != 2 {
			t.Errorf("damaged: %+v, %v, %d requests", r, err, p.sent)
		}
	})
}

// Who asks leaves: the attempt goes on for who comes next, and its result is published.
func TestAskerLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{takes: time.Second}
		here, there := replica(t, s, 0), replica(t, s, 0)
		go refresh(t.Context(), here, 0, p, 1)
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := there.Do(ctx, grant(0), p.attempt(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a loser that leaves: %v", err)
		}
		if got, _, err := refresh(t.Context(), there, 0, p, 1); got != 1 || err != nil || p.sent != 1 {
			t.Errorf("version %d, %v, %d requests", got, err, p.sent)
		}
	})
}

// An attempt has as long as the lease is good for, whoever waits for it.
func TestAttemptIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		r, err := replica(t, newStore(), 0).Do(t.Context(), grant(0), func(ctx context.Context, _ bool) Attempt {
			<-ctx.Done()
			return Attempt{Lost: true}
		})
		if waited := time.Since(begun); err != nil || !r.Own || waited != Work {
			t.Errorf("%+v, %v, after %v", r, err, waited)
		}
	})
}

// While the store is away, nothing is known of a grant: that the caller's version is the newest may not be said.
func TestLatestOfAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := replica(t, s, 0)
		if got, err := l.Latest(t.Context(), grant(0)); got != nil || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		s.away(true)
		if got, err := l.Latest(t.Context(), grant(0)); got != nil || !errors.Is(err, vault.ErrAway) {
			t.Errorf("%q, %v, want %v", got, err, vault.ErrAway)
		}
	})
}
