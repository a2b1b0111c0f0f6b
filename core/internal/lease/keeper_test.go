package lease

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// manyStore is a store that finds several values at once, and so an emptied one is noticed with the first of them.
type manyStore struct{ *store }

func (s manyStore) FindManyCtx(_ context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(func() {
		for _, key := range keys {
			values = append(values, s.values[key])
		}
	})
	return values, err
}

// becomes has the store lose what it has, but for what is given.
func (s *store) becomes(values map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = maps.Clone(values)
	if s.values == nil {
		s.values = map[string][]byte{}
	}
}

func (s *store) snapshot() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// away has the store fail from now on, or not.
func (s *store) away(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = nil
	if away {
		s.fault = func(int) how { return before }
	}
}

func (s *store) operations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// notice has a replica look after the store, as it does when it gets messages, or loses them.
func (l *Leases) notice(t *testing.T) {
	t.Helper()
	l.options.Vault.Doubt()
	if _, err := l.options.Vault.Epoch(t.Context()); err != nil {
		t.Error(err)
	}
}

// later does something after a while, and before the test is over.
func later(t *testing.T, after time.Duration, f func()) {
	var done sync.WaitGroup
	t.Cleanup(done.Wait)
	done.Go(func() {
		time.Sleep(after)
		f()
	})
}

// before is a grant of a browser whose session was begun or refreshed in the epoch that the store is in.
func (l *Leases) before(t *testing.T, version int64) Grant {
	t.Helper()
	epoch, err := l.options.Vault.Epoch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g := grant(version)
	g.Confirmed = epoch.Begun
	return g
}

func never(t *testing.T) func(context.Context, bool) Attempt {
	return func(context.Context, bool) Attempt { t.Error("it attempts"); return Attempt{} }
}

// A store is emptied between the publication of a version and the moment when another replica would read it, for a browser that has the version before.
// The other replica waits until it is published again, and the provider, which takes a second use for theft, is asked once.
func TestEmptiedBeforeItIsRead(t *testing.T) {
	for name, row := range map[string]struct {
		many    bool
		version int64         // that is published
		after   time.Duration // the other replica asks
		notices time.Duration // the one that published notices
	}{
		"at once":                     {true, 1, 0, 0},
		"in a moment":                 {true, 1, 0, 1500 * time.Millisecond},
		"after many":                  {true, 5, 0, time.Second},
		"one key at a time":           {false, 1, 0, time.Second},
		"another asks a minute later": {true, 1, time.Minute, 50 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newStore(), &provider{takes: 120 * time.Millisecond}
				here, there := replicaOf(t, s, row.many, 0), replicaOf(t, s, row.many, 5*time.Second)
				there.notice(t)
				for version := range row.version {
					refresh(t.Context(), here, version, p, 1)
				}
				g := there.before(t, row.version-1)
				time.Sleep(6 * time.Second)
				s.becomes(nil)
				later(t, row.notices, func() { here.notice(t) })
				time.Sleep(row.after)
				begun := time.Now()
				r, err := there.Do(t.Context(), g, never(t))
				if err != nil || r.Version != row.version || string(r.Payload) != string(payload(row.version)) || p.sent != int(row.version) {
					t.Errorf("%+v, %v, %d requests", r, err, p.sent)
				}
				if waited := time.Since(begun); waited > 2*time.Second {
					t.Errorf("it waits for %v", waited)
				}
			})
		})
	}
}

// Nobody is left who could write again what was lost: the others wait for a short time, and only those that may have lost something.
func TestEmptiedAndNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{}
		here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		there.notice(t)
		refresh(t.Context(), here, 0, p, 1)
		old := there.before(t, 1)
		here.Close()
		time.Sleep(time.Second)
		s.becomes(nil)
		begun := time.Now()
		if r, err := there.Do(t.Context(), old, p.attempt(1)); err != nil || !r.Own {
			t.Errorf("%+v, %v", r, err)
		}
		if waited := time.Since(begun); waited < settleTime || waited > settleTime+settlingPoll {
			t.Errorf("it waits for %v", waited)
		}
		s.becomes(nil)
		there.notice(t)
		fresh := grant(2) // signed in or refreshed since
		fresh.Confirmed = fresh.Confirmed.Add(time.Second)
		begun = time.Now()
		if r, err := there.Do(t.Context(), fresh, p.attempt(2)); err != nil || !r.Own || time.Since(begun) > 0 {
			t.Errorf("%+v, %v, after %v", r, err, time.Since(begun))
		}
	})
}

// A lease is held while the store is emptied: it is written again, and nobody else sends what its holder has sent.
func TestEmptiedWhileALeaseIsHeld(t *testing.T) {
	for name, row := range map[string]struct {
		takes   time.Duration // the provider, for its answer
		emptied time.Duration // after the lease was taken
	}{
		"published in time":             {time.Second, 500 * time.Millisecond},
		"published when others may ask": {5 * time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newStore(), &provider{takes: row.takes}
				here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, -5*time.Second)
				g := there.before(t, 0)
				time.Sleep(time.Second)
				later(t, 0, func() { here.Do(t.Context(), g, p.attempt(0)) })
				time.Sleep(row.emptied)
				s.becomes(nil)
				later(t, 400*time.Millisecond, func() { here.notice(t) })
				if r, err := there.Do(t.Context(), g, never(t)); err != nil || r.Version != 1 || p.sent != 1 {
					t.Errorf("%+v, %v, %d requests", r, err, p.sent)
				}
			})
		})
	}
}

// What else there is to know of a grant is written again as well: that it is over, that an answer was lost, and a pause.
func TestEmptiedKeepsVerdicts(t *testing.T) {
	for name, row := range map[string]struct {
		came Attempt
		want Result
	}{
		"over":                 {Attempt{Over: true}, Result{Over: true}},
		"over, after a loss":   {Attempt{Over: true, Lost: true}, Result{Over: true, Lost: true}},
		"nobody is to ask now": {Attempt{Pause: time.Minute}, Result{Pause: time.Minute - time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
				g := there.before(t, 0)
				here.Do(t.Context(), g, func(context.Context, bool) Attempt { return row.came })
				time.Sleep(time.Second)
				s.becomes(nil)
				here.notice(t)
				synctest.Wait()
				if r, err := there.Do(t.Context(), g, never(t)); err != nil || r.Over != row.want.Over || r.Lost != row.want.Lost || r.Pause != row.want.Pause {
					t.Errorf("%+v, %v, want %+v", r, err, row.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // and whoever asks again is told of the loss
		s := newStore()
		here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		here.Do(t.Context(), grant(0), func(context.Context, bool) Attempt { return Attempt{Lost: true} })
		g := there.before(t, 0)
		time.Sleep(time.Second)
		s.becomes(nil)
		here.notice(t)
		told := false
		there.Do(t.Context(), g, func(_ context.Context, lost bool) Attempt { told = lost; return Attempt{} })
		if !told {
			t.Error("that an answer was lost is forgotten")
		}
	})
}

// Somebody who only read a version writes it again too: who published it may be gone.
func TestReadersRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{}
		here, reader, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		g := there.before(t, 0)
		refresh(t.Context(), here, 0, p, 1)
		refresh(t.Context(), reader, 0, p, 1)
		here.Close()
		time.Sleep(time.Second)
		s.becomes(nil)
		reader.notice(t)
		if r, err := there.Do(t.Context(), g, never(t)); err != nil || r.Version != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// A server takes the store's place that lacks the last writes: of a version, of a lease, or of what came of that. The provider is asked once,
// and a new epoch begins, because others may have lost what nobody knows any more.
func TestLastWritesAreLost(t *testing.T) {
	for name, row := range map[string]struct {
		version int64         // of what was published before
		takes   time.Duration // the provider, for its answer to the last
		lost    time.Duration // what was written is, from when on after the last attempt has begun
	}{
		"the only version":                    {0, 100 * time.Millisecond, -1},
		"a version":                           {2, 100 * time.Millisecond, -1},
		"what came of a lease":                {2, 100 * time.Millisecond, 50 * time.Millisecond},
		"a lease that is held":                {2, 5 * time.Second, -1},
		"what came of a lease, with the loss": {0, 5 * time.Second, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p := newStore(), &provider{}
				here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
				here.notice(t)
				there.notice(t)
				for version := range row.version {
					refresh(t.Context(), here, version, p, 1)
				}
				time.Sleep(time.Second)
				epoch, _ := here.options.Vault.Epoch(t.Context())
				kept := s.snapshot()
				p.takes = row.takes
				later(t, 0, func() { here.Do(t.Context(), grant(row.version), p.attempt(row.version)) })
				time.Sleep(max(row.lost, 0))
				if row.lost >= 0 {
					kept = s.snapshot()
				}
				time.Sleep(time.Second)
				s.away(true)
				for range 12 { // both notice
					here.Latest(t.Context(), grant(0))
					there.Latest(t.Context(), grant(0))
					time.Sleep(100 * time.Millisecond)
				}
				s.becomes(kept)
				s.away(false)
				later(t, 500*time.Millisecond, func() { here.Latest(t.Context(), grant(0)) })
				r, err := there.Do(t.Context(), grant(row.version), never(t))
				if err != nil || r.Version != row.version+1 || p.sent != int(row.version)+1 {
					t.Errorf("%+v, %v, %d requests", r, err, p.sent)
				}
				if row.takes < time.Second || row.lost < 0 {
					if now, err := there.options.Vault.Epoch(t.Context()); err != nil || now == epoch {
						t.Errorf("it is the same epoch, %v", err)
					}
				}
			})
		})
	}
}

// A store that fails now and then delays nothing, and costs a look at the records that were written last.
func TestFailsNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := replicaOf(t, s, true, 0)
		l.notice(t)
		for i := range 5 * mostAsked {
			g := grant(0)
			g.ID = fmt.Sprint(i)
			l.Do(t.Context(), g, func(context.Context, bool) Attempt { return Attempt{Payload: payload(1)} })
		}
		epoch, _ := l.options.Vault.Epoch(t.Context())
		for range 10 {
			s.away(true)
			if _, err := l.Do(t.Context(), grant(0), never(t)); !errors.Is(err, vault.ErrAway) {
				t.Fatal(err)
			}
			s.away(false)
			time.Sleep(100 * time.Millisecond)
			before, begun := s.operations(), time.Now()
			if r, err := l.Do(t.Context(), grant(0), func(context.Context, bool) Attempt { return Attempt{} }); err != nil || !r.Own {
				t.Errorf("%+v, %v", r, err)
			}
			if waited := time.Since(begun); waited > 0 {
				t.Errorf("it waits for %v", waited)
			}
			time.Sleep(time.Second)
			if n := s.operations() - before; n > 12 {
				t.Errorf("%d operations", n)
			}
		}
		if now, err := l.options.Vault.Epoch(t.Context()); err != nil || now != epoch {
			t.Errorf("nothing was lost, and a new epoch has begun: %v, %v", now, err)
		}
	})
}

// What is written again takes no newer record's place, and lowers no version.
func TestRestoreReplacesNothingNewer(t *testing.T) {
	holder := [16]byte{1}
	published := record{version: 3, payload: payload(3), fence: 100}
	for name, row := range map[string]struct {
		known, found record
		replaced     bool
	}{
		"an older version":                        {published, record{version: 2, fence: 200}, true},
		"an older version, with a lease":          {published, record{version: 2, fence: 200, holder: holder, until: 1 << 60}, true},
		"the same":                                {published, published, false},
		"a newer version":                         {published, record{version: 4, fence: 50}, false},
		"a newer version, with a lease":           {published, record{version: 4, fence: 50, holder: holder}, false},
		"a later lease of the same version":       {published, record{version: 3, fence: 101, holder: holder}, false},
		"what came of a later one":                {published, record{version: 3, fence: 101}, false},
		"over, of a later one":                    {published, record{version: 3, fence: 101, over: true}, false},
		"the lease that it came of":               {record{version: 3, fence: 100, over: true}, record{version: 3, fence: 100, holder: holder}, true},
		"what came of the lease":                  {record{version: 3, fence: 100, holder: holder}, record{version: 3, fence: 100, over: true}, false},
		"an earlier lease":                        {record{version: 3, fence: 101, holder: holder}, record{version: 3, fence: 100, holder: [16]byte{2}}, true},
		"over, in place of an earlier lease":      {record{version: 3, fence: 101, over: true}, record{version: 3, fence: 100, holder: [16]byte{2}}, true},
		"over does not go for what is unfinished": {record{version: 3, fence: 100, over: true}, record{version: 3, fence: 101, holder: holder}, false},
	} {
		for _, unwritten := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, unwritten %t", name, unwritten), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStore()
					l := replicaOf(t, s, true, 0)
					g := grant(0)
					row.found.later = []byte("of a later version of the program")
					if err := l.options.Vault.Commit(t.Context(), kind, g.ID, row.found.encode(), g.Expiry); err != nil {
						t.Fatal(err)
					}
					l.memory.add(&remembered{id: g.ID, expiry: g.Expiry, record: row.known, unwritten: unwritten})
					l.wake(all)
					synctest.Wait()
					want := row.found
					if row.replaced {
						want = row.known
						want.later = row.found.later
					}
					value, err := l.options.Vault.Find(t.Context(), kind, g.ID)
					if err != nil || string(value.Plain) != string(want.encode()) {
						t.Errorf("%v, %v, want %+v", value, err, want)
					}
					if unwritten := l.memory.all(func(e *remembered) bool { return e.unwritten }); len(unwritten) > 0 {
						t.Errorf("%d are still to be written", len(unwritten))
					}
				})
			})
		}
	}
}

// A replica whose attempt was overtaken, because the store had forgotten its lease, and others could not know: the later version stays.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here, there := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		g := there.before(t, 0)
		time.Sleep(time.Second)
		done := make(chan Result)
		go func() {
			r, _ := here.Do(t.Context(), g, func(context.Context, bool) Attempt {
				time.Sleep(8 * time.Second)
				return Attempt{Over: true} // the other has used it
			})
			done <- r
		}()
		time.Sleep(100 * time.Millisecond)
		s.becomes(nil) // and here it is not noticed
		for version := range int64(2) {
			if r, err := there.Do(t.Context(), grant(version), func(context.Context, bool) Attempt { return Attempt{Payload: payload(version + 1)} }); err != nil || !r.Own {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if r := <-done; r.Version != 2 || r.Own || r.Over || string(r.Payload) != string(payload(2)) {
			t.Errorf("whoever was overtaken: %+v", r)
		}
		here.notice(t)
		synctest.Wait()
		if r, err := replicaOf(t, s, true, 0).Do(t.Context(), g, never(t)); err != nil || r.Version != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// A lease that was taken after the store was emptied is later than all before, however many there were: what is written again late does
// not take its place.
func TestLeasesOfBeforeAreEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here, there, third := replicaOf(t, s, true, 0), replicaOf(t, s, true, 0), replicaOf(t, s, true, 0)
		g := there.before(t, 0)
		third.notice(t)
		for range 5 {
			here.Do(t.Context(), g, func(context.Context, bool) Attempt { return Attempt{Lost: true} })
		}
		time.Sleep(time.Second)
		s.becomes(nil)
		later(t, 0, func() {
			there.Do(t.Context(), g, func(context.Context, bool) Attempt {
				time.Sleep(5 * time.Second)
				return Attempt{Over: true}
			})
		})
		time.Sleep(3 * time.Second)
		here.notice(t)
		synctest.Wait()
		if r, err := third.Do(t.Context(), g, never(t)); err != nil || !r.Over {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// What this process knows of a grant it need not wait for, nor ask the provider again, when the store has lost it.
func TestLostIsKnownHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newStore(), &provider{}
		here := replicaOf(t, s, true, 0)
		g := here.before(t, 0)
		refresh(t.Context(), here, 0, p, 1)
		time.Sleep(time.Minute)
		s.becomes(nil)
		begun := time.Now()
		r, err := here.Do(t.Context(), g, never(t))
		if waited := time.Since(begun); err != nil || r.Version != 1 || waited > 0 {
			t.Errorf("%+v, %v after %v", r, err, waited)
		}
	})
}

// publish has a replica publish a version of each of some grants, and returns what the store has then.
func publish(t *testing.T, l *Leases, s *store, from, to int) map[string][]byte {
	t.Helper()
	for i := from; i < to; i++ {
		g := grant(0)
		g.ID = fmt.Sprint("g", i)
		r, err := l.Do(t.Context(), g, func(context.Context, bool) Attempt { return Attempt{Payload: payload(1)} })
		if err != nil || !r.Own {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	return s.snapshot()
}

// A store that begins anew may have lost anything, not only what was written last.
func TestOldOnesAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here := replicaOf(t, s, true, 0)
		here.notice(t)
		old := publish(t, here, s, 0, 50)
		kept := publish(t, here, s, 50, 50+mostAsked)
		whole := len(kept)
		maps.DeleteFunc(kept, func(key string, _ []byte) bool { return old[key] != nil }) // the root is among them
		time.Sleep(time.Minute)
		s.becomes(kept)
		here.notice(t)
		time.Sleep(time.Second)
		if found := len(s.snapshot()); found != whole {
			t.Errorf("the store has %d values, want %d", found, whole)
		}
	})
}

// After an outage, a process with many grants looks whether the latest are there, and asks no more of the store if they are.
func TestOutageCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		here := replicaOf(t, s, true, 0)
		publish(t, here, s, 0, 10*mostAsked)
		time.Sleep(time.Minute)
		s.away(true)
		for range 5 {
			here.Latest(t.Context(), grant(0))
			time.Sleep(time.Second)
		}
		s.away(false)
		before := s.operations()
		here.Latest(t.Context(), grant(0))
		time.Sleep(time.Minute)
		if asked := s.operations() - before; asked < 2 || asked > 5 {
			t.Errorf("%d operations, want 2 to 5: the root, the grant, and the latest ones", asked)
		}
	})
}
