package fetched

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The tests run in bubbles of testing/synctest: time passes in them when everybody waits, and at once.

// source is the provider: it answers with 1, 2, 3 and so on, or fails.
type source struct {
	mu       sync.Mutex
	asked    []time.Time
	given    []int // what each fetch was told to be held
	running  int
	together int // the most that ever ran at a time
	document Document[int]
	err      error
	held     chan struct{} // fetches wait until it is closed; nil: they do not
	deaf     chan struct{} // the same, and they do not hear that they are to end
}

func (s *source) fetch(ctx context.Context, before int) (Document[int], error) {
	s.mu.Lock()
	s.asked, s.given = append(s.asked, time.Now()), append(s.given, before)
	s.running++
	s.together = max(s.together, s.running)
	held, deaf := s.held, s.deaf
	s.mu.Unlock()
	var left error
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			left = ctx.Err()
		}
	}
	if deaf != nil {
		<-deaf
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	d := s.document
	d.Value = len(s.asked)
	return d, errors.Join(left, s.err)
}

func (s *source) set(change func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

var errAway = errors.New("the provider is away")

func fails(s *source) { s.err = errAway }
func heals(s *source) { s.err = nil }
func hangs(s *source) { s.held = make(chan struct{}) }

func (s *source) release() { s.set(func(s *source) { close(s.held); s.held = nil }) }

func least() float64 { return 0 }
func most() float64  { return math.Nextafter(1, 0) }

// start makes a value by the bubble's clock.
func start(t *testing.T, s *source, jitter func() float64) *Value[int] {
	v := New(time.Now, jitter, s.fetch)
	t.Cleanup(v.Close)
	return v
}

// pass lets the bubble's time pass, and what is due then come to its end.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func get(t *testing.T, v *Value[int], want int) {
	t.Helper()
	if got, err := v.Get(t.Context()); got != want || err != nil {
		t.Fatalf("Get: %d, %v, want %d", got, err, want)
	}
}

func asked(t *testing.T, s *source, want int) {
	t.Helper()
	synctest.Wait()
	if got := s.count(); got != want {
		t.Fatalf("%d fetches, want %d", got, want)
	}
}

func away(t *testing.T, got int, err error) {
	t.Helper()
	if !errors.Is(err, errAway) || got != 0 {
		t.Fatalf("got %d, %v, want that the provider is away", got, err)
	}
}

func TestFirstUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		pass(48 * time.Hour)
		asked(t, s, 0)
		get(t, v, 1)
		get(t, v, 1)
		asked(t, s, 1)
	})
}

func TestOneFetchServesAll(t *testing.T) {
	for name, ask := range map[string]func(*Value[int], context.Context) (int, error){"Get": (*Value[int]).Get, "Refetch": (*Value[int]).Refetch} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{}
				s.set(hangs)
				v := start(t, s, least)
				answers := make(chan error, 1000)
				for range 1000 {
					go func() {
						got, err := ask(v, t.Context())
						if got != 1 {
							err = fmt.Errorf("got %d, %w", got, err)
						}
						answers <- err
					}()
				}
				asked(t, s, 1)
				if len(answers) != 0 {
					t.Fatalf("%d did not wait", len(answers))
				}
				s.release()
				for range 1000 {
					if err := <-answers; err != nil {
						t.Fatal(err)
					}
				}
				asked(t, s, 1)
			})
		})
	}
}

// A failure is everybody's too, and is told again without a fetch until the next try is due.
func TestFirstUseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: errAway}
		v := start(t, s, most)
		for try := 1; try <= 5; try++ { // the tries do not get rarer: somebody waits
			for range 3 {
				got, err := v.Get(t.Context())
				away(t, got, err)
				asked(t, s, try)
			}
			pass(time.Second)
		}
		pass(time.Hour) // nobody asked, nothing is fetched
		asked(t, s, 5)
		s.set(heals)
		get(t, v, 6)
	})
}

// A document is fetched again between 75 and 90 per cent of its time, asked for or not.
func TestFreshness(t *testing.T) {
	for name, row := range map[string]struct{ fresh, earliest, latest time.Duration }{
		"not said":      {0, 450 * time.Second, 540 * time.Second},
		"a nanosecond":  {1, 45 * time.Second, 54 * time.Second},
		"below zero":    {-time.Hour, 45 * time.Second, 54 * time.Second},
		"59 seconds":    {59 * time.Second, 45 * time.Second, 54 * time.Second},
		"half an hour":  {30 * time.Minute, 1350 * time.Second, 1620 * time.Second},
		"an hour":       {time.Hour, 45 * time.Minute, 54 * time.Minute},
		"two days":      {48 * time.Hour, 45 * time.Minute, 54 * time.Minute},
		"until forever": {math.MaxInt64, 45 * time.Minute, 54 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			for _, end := range []struct {
				jitter func() float64
				at     time.Duration
			}{{least, row.earliest}, {most, row.latest}} {
				synctest.Test(t, func(t *testing.T) {
					s := &source{document: Document[int]{Fresh: row.fresh}}
					v := start(t, s, end.jitter)
					get(t, v, 1)
					for n := range 5 {
						pass(end.at - time.Millisecond)
						get(t, v, n+1)
						asked(t, s, n+1)
						pass(time.Millisecond)
						asked(t, s, n+2)
						get(t, v, n+2)
					}
				})
			}
		})
	}
}

// hand is a clock that only the test moves: no timer of the bubble goes off.
type hand struct {
	mu sync.Mutex
	t  time.Time
}

func (h *hand) now() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.t }

func (h *hand) move(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.t = h.t.Add(d) }

// A use finds that a refresh is due, has it done in the background, and does not wait for it.
func TestRefreshByUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, clock := &source{}, &hand{t: time.Now()}
		v := New(clock.now, least, s.fetch)
		t.Cleanup(v.Close)
		get(t, v, 1)
		clock.move(450*time.Second - 1)
		get(t, v, 1)
		asked(t, s, 1)
		s.set(hangs)
		clock.move(1)
		for range 1000 {
			get(t, v, 1)
		}
		asked(t, s, 2)
		s.release()
		synctest.Wait()
		get(t, v, 2)
		asked(t, s, 2)
	})
}

// A hanging refresh keeps nobody, at any time of the day; later nothing is left to serve.
func TestRefreshHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		get(t, v, 1)
		s.set(hangs)
		pass(maxStale - 1)
		get(t, v, 1)
		asked(t, s, 2)
		pass(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if got, err := v.Get(ctx); !errors.Is(err, context.DeadlineExceeded) || got != 0 {
			t.Errorf("after a day: %d, %v, want to wait", got, err)
		}
		s.release()
		get(t, v, 2)
		asked(t, s, 2)
	})
}

// While the provider is away the last good document serves for a day, counted from when it was confirmed.
func TestStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		get(t, v, 1)
		pass(450 * time.Second)
		get(t, v, 2) // confirmed now
		s.set(fails)
		for _, d := range []time.Duration{time.Hour, 11 * time.Hour, 12*time.Hour - 1} {
			pass(d)
			get(t, v, 2)
		}
		pass(1)
		got, err := v.Get(t.Context())
		away(t, got, err)
		pass(time.Hour)
		got, err = v.Get(t.Context())
		away(t, got, err)
		s.set(heals)
		pass(lastRetry)
		if got, err := v.Get(t.Context()); got <= 2 || err != nil {
			t.Errorf("after it was mended: %d, %v", got, err)
		}
	})
}

// After failures the tries get rarer, up to a minute apart; uses do not add to them. A success ends that.
func TestBackOff(t *testing.T) {
	for name, row := range map[string]struct {
		jitter func() float64
		unit   time.Duration // a second, less its jitter
	}{"least": {least, 500 * time.Millisecond}, "most": {most, time.Second}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{}
				v := start(t, s, row.jitter)
				get(t, v, 1)
				s.set(fails)
				for range 2 { // the second time it begins anew
					first := s.count()
					for s.count() < first+9 {
						pass(50 * time.Millisecond)
						if got, err := v.Get(t.Context()); got == 0 || err != nil {
							t.Fatalf("Get: %d, %v", got, err)
						}
					}
					s.set(heals)
					for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
						gap := s.asked[first+i+1].Sub(s.asked[first+i])
						if d := gap - want*row.unit; d < -time.Millisecond || d > time.Millisecond {
							t.Errorf("try %d came after %v, want %v", i+1, gap, want*row.unit)
						}
					}
					healed := s.count()
					pass(lastRetry)
					asked(t, s, healed+1)
					get(t, v, healed+1)
					s.set(fails)
				}
			})
		})
	}
}

// At most one demanded fetch starts in ten seconds, however it ends.
func TestRefetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, clock := &source{}, &hand{t: time.Now()}
		v := New(clock.now, most, s.fetch)
		t.Cleanup(v.Close)
		refetch := func(want, fetches int) {
			t.Helper()
			for range 3 {
				if got, err := v.Refetch(t.Context()); got != want || err != nil {
					t.Fatalf("Refetch: %d, %v, want %d", got, err, want)
				}
			}
			asked(t, s, fetches)
		}
		refuse := func(fetches int) {
			t.Helper()
			for range 3 {
				got, err := v.Refetch(t.Context())
				away(t, got, err)
			}
			asked(t, s, fetches)
		}
		get(t, v, 1)
		refetch(2, 2) // a Get just before does not keep it off
		clock.move(10*time.Second - 1)
		refetch(2, 2)
		clock.move(1)
		refetch(3, 3)
		s.set(fails)
		clock.move(10 * time.Second)
		refuse(4)
		get(t, v, 3) // the failure replaced nothing
		clock.move(10*time.Second - 1)
		refuse(4)
		clock.move(1)
		refuse(5)
		s.set(heals)
		refuse(5) // it is told what the one fetch found
		clock.move(10 * time.Second)
		refetch(6, 6)
		get(t, v, 6)
	})
}

// A provider that asks to be left alone is, whatever anybody needs, and who comes meanwhile is told how long.
func TestRetryAfter(t *testing.T) {
	for name, row := range map[string]struct{ asked, kept time.Duration }{
		"two minutes": {2 * time.Minute, 2 * time.Minute}, "a day": {24 * time.Hour, maxAway},
	} {
		for state, warm := range map[string]bool{"at the first fetch": false, "later": true} {
			t.Run(name+" "+state, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := &source{document: Document[int]{RetryAfter: row.asked, Fresh: time.Hour}}
					v := start(t, s, least)
					fetches := 1
					if warm {
						get(t, v, 1)
						fetches++
					}
					s.set(fails)
					later := func(want time.Duration, err error) {
						t.Helper()
						var l *Later
						if !errors.Is(err, errAway) || !errors.As(err, &l) || l.After < want || l.After > want+time.Second {
							t.Errorf("got %v, want %v with its cause", err, want)
						}
					}
					_, err := v.Refetch(t.Context())
					later(row.kept, err)
					for range 60 {
						pass(time.Second)
						if _, err := v.Get(t.Context()); err == nil != warm {
							t.Fatalf("Get: %v", err)
						}
						for range 5 {
							_, _, _ = v.RefetchWithin(t.Context(), &Budget{Burst: 1}, math.MaxInt)
						}
					}
					asked(t, s, fetches)
					_, _, err = v.RefetchWithin(t.Context(), &Budget{Burst: 1}, math.MaxInt)
					later(row.kept-time.Minute, err)
					if !warm {
						_, err = v.Get(t.Context())
						later(row.kept-time.Minute, err)
					}
					s.set(heals)
					pass(row.kept - time.Minute)
					if _, _, err := v.RefetchWithin(t.Context(), &Budget{Burst: 1}, math.MaxInt); err != nil {
						t.Errorf("afterwards: %v", err)
					}
					asked(t, s, fetches+1)
				})
			})
		}
	}
}

// Each budget is spent by itself.
func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		get(t, v, 1)
		one, three := &Budget{Burst: 1}, &Budget{Burst: 3}
		take := func(b *Budget, n int) {
			t.Helper()
			before := s.count()
			for range 10 {
				_, joined, err := v.RefetchWithin(t.Context(), b, math.MaxInt)
				var l *Later
				if joined || err != nil && (!errors.Is(err, ErrHeldBack) || !errors.As(err, &l) || l.After <= 0 || l.After > refetchEvery) {
					t.Fatalf("joined %t, %v", joined, err)
				}
			}
			if got := s.count() - before; got != n {
				t.Fatalf("%d fetches, want %d", got, n)
			}
		}
		take(three, 3)
		take(one, 1)
		if _, err := v.Refetch(t.Context()); err != nil {
			t.Errorf("whose budget is another: %v", err)
		}
		pass(refetchEvery - 1)
		take(three, 0)
		pass(1)
		take(three, 1)
		take(one, 1)
		pass(2 * refetchEvery)
		take(three, 2)
		take(one, 1)
		pass(time.Minute)
		take(three, 3)
	})
}

// Who missed something in a document that is not the last any more gets the last, at no cost.
func TestRefetchOfAnOldDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		get(t, v, 1)
		_, number := v.Held(time.Now())
		spent := &Budget{Burst: 1}
		for range 3 {
			if got, joined, err := v.RefetchWithin(t.Context(), spent, number); got != 2 || err != nil {
				t.Errorf("got %d, %t, %v", got, joined, err)
			}
		}
		asked(t, s, 2)
	})
}

// Whatever waits for a fetch that is under way joins it.
func TestRefetchJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.set(hangs)
		v := start(t, s, least)
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				ask := v.Get
				if i%2 == 0 {
					ask = v.Refetch
				}
				if got, err := ask(t.Context()); got != 1 || err != nil {
					t.Errorf("got %d, %v", got, err)
				}
			})
		}
		asked(t, s, 1)
		s.release()
		all.Wait()
		asked(t, s, 1)
	})
}

// The first use may be a Refetch, and one that fails is not repeated by the next.
func TestRefetchFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{err: errAway}
		v := start(t, s, least)
		for range 3 {
			got, err := v.Refetch(t.Context())
			away(t, got, err)
		}
		asked(t, s, 1)
		s.set(heals)
		pass(10 * time.Second)
		if got, err := v.Refetch(t.Context()); got != 2 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		get(t, v, 2)
		asked(t, s, 2)
	})
}

// A caller who leaves takes nothing from the others: the fetch goes on, and the document is kept.
func TestCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		s.set(hangs)
		v := start(t, s, least)
		bored := errors.New("bored")
		ctx, cancel := context.WithCancelCause(t.Context())
		left, stayed := make(chan error, 2), make(chan error, 1)
		go func() { _, err := v.Get(ctx); left <- err }() // it is the one that begins the fetch
		asked(t, s, 1)
		go func() { _, err := v.Refetch(ctx); left <- err }()
		go func() { _, err := v.Get(t.Context()); stayed <- err }()
		synctest.Wait()
		cancel(bored)
		for range 2 {
			if err := <-left; !errors.Is(err, bored) {
				t.Errorf("who left is told %v", err)
			}
		}
		synctest.Wait()
		if len(stayed) != 0 {
			t.Fatalf("who stayed was sent away: %v", <-stayed)
		}
		s.release()
		if err := <-stayed; err != nil {
			t.Errorf("who stayed is told %v", err)
		}
		get(t, v, 1)
		asked(t, s, 1)
	})
}

// A context that is over matters only to who has to wait.
func TestGetWithoutWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		v := start(t, s, least)
		get(t, v, 1)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := v.Get(over); got != 1 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
	})
}

// A fetch is told what is held, and what it returns takes its place, be it the same.
func TestFetchKnowsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{document: Document[int]{Fresh: time.Hour}}
		v := start(t, s, least)
		get(t, v, 1)
		pass(45 * time.Minute)
		asked(t, s, 2)
		s.set(fails)
		pass(45 * time.Minute)
		s.set(func(s *source) { s.err = nil })
		pass(lastRetry)
		for i, held := range s.given {
			if want := min(i, 2); held != want {
				t.Errorf("fetch %d is given %d, want %d", i+1, held, want)
			}
		}
	})
}

// Close ends the fetch under way, waits until it is over, and nothing is fetched any more.
func TestClose(t *testing.T) {
	for name, warm := range map[string]bool{"at the first fetch": false, "at a refresh": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{}
				v := start(t, s, least)
				if warm {
					get(t, v, 1)
				}
				before := s.count()
				s.set(func(s *source) { hangs(s); s.deaf = make(chan struct{}) })
				waiter := make(chan error, 1)
				go func() { _, err := v.Refetch(t.Context()); waiter <- err }()
				asked(t, s, before+1)
				closed := make(chan struct{}, 3)
				for range 3 {
					go func() { v.Close(); closed <- struct{}{} }()
				}
				synctest.Wait()
				if len(closed) != 0 {
					t.Error("Close did not wait for the fetch")
				}
				close(s.deaf)
				for range 3 {
					<-closed
				}
				s.mu.Lock()
				if s.running != 0 {
					t.Error("the fetch outlives Close")
				}
				s.mu.Unlock()
				if err := <-waiter; !errors.Is(err, context.Canceled) {
					t.Errorf("the waiter is told %v", err)
				}
				v.mu.Lock()
				if v.refreshAt != nil && v.refreshAt.Stop() {
					t.Error("a timer outlives Close")
				}
				v.mu.Unlock()
				pass(2 * maxStale)
				asked(t, s, before+1)
			})
		})
	}
}

// What is asked of a closed value is answered at once: with what is held as long as that serves, else with the reason.
func TestClosed(t *testing.T) {
	isClosed := func(t *testing.T, got int, err error) {
		t.Helper()
		if got != 0 || err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %d, %v, want that it is closed", got, err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		unused, used := start(t, s, least), start(t, s, least)
		get(t, used, 1)
		unused.Close()
		used.Close()
		for range 3 { // the second is answered like the first
			got, err := unused.Get(t.Context())
			isClosed(t, got, err)
			got, err = unused.Refetch(t.Context())
			isClosed(t, got, err)
			got, err = used.Refetch(t.Context())
			isClosed(t, got, err)
			get(t, used, 1)
		}
		pass(maxStale - 1)
		get(t, used, 1)
		pass(1)
		got, err := used.Get(t.Context())
		isClosed(t, got, err)
		asked(t, s, 1)
	})
}

// Everything at once, for the race detector: one fetch at a time, and no value that was never fetched.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{document: Document[int]{Fresh: time.Minute}}
		v := start(t, s, least)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				ask := v.Get
				if i%2 == 0 {
					ask = v.Refetch
				}
				var seen []int
				for range 100 {
					if got, err := ask(t.Context()); err == nil {
						seen = append(seen, got)
					} else if !errors.Is(err, errAway) {
						t.Error(err)
					}
					s.set(func(s *source) {
						if s.err = nil; len(s.asked)%3 == 2 {
							s.err = errAway
						}
					})
					<-time.After(time.Duration(i+1) * time.Second)
				}
				if len(seen) == 0 || seen[0] < 1 || !slices.IsSorted(seen) {
					t.Errorf("one saw %v", seen)
				}
			})
		}
		all.Wait()
		v.Close()
		if s.together != 1 {
			t.Errorf("%d fetches ran at a time", s.together)
		}
	})
}

// Certificates are not valid while the clock is a year ahead. When it is right again, nothing waits for that year.
func TestFailureWhileTheClockWasAhead(t *testing.T) {
	for name, away := range map[string]time.Duration{"a failure": 0, "the provider wants to be left alone": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const year = 365 * 24 * time.Hour
				s, clock := &source{document: Document[int]{RetryAfter: away}}, &hand{t: time.Now().Add(year)}
				v := New(clock.now, least, s.fetch)
				defer v.Close()
				s.set(fails)
				if _, err := v.Get(t.Context()); !errors.Is(err, errAway) {
					t.Fatal(err)
				}
				clock.move(-year)
				s.set(heals)
				if _, err := v.Get(t.Context()); err != nil {
					t.Errorf("it is put off: %v", err)
				}
			})
		})
	}
	t.Run("Refetch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const year = 365 * 24 * time.Hour
			s, clock := &source{document: Document[int]{RetryAfter: time.Minute}}, &hand{t: time.Now().Add(year)}
			v := New(clock.now, least, s.fetch)
			defer v.Close()
			s.set(fails)
			if _, err := v.Refetch(t.Context()); !errors.Is(err, errAway) {
				t.Fatal(err)
			}
			clock.move(-year)
			s.set(heals)
			if _, err := v.Refetch(t.Context()); err != nil {
				t.Errorf("it is put off: %v", err)
			}
		})
	})
}
