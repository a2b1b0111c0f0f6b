package keys

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// issuer publishes a set, the first of sets, and after each fetch the next; the last one stays. nil is a failure.
type issuer struct {
	mu      sync.Mutex
	sets    [][]jose.Key
	fetches int
}

var errAway = errors.New("the provider is away")

func (i *issuer) fetch(context.Context, []jose.Key) (fetched.Document[[]jose.Key], error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	set := i.sets[min(i.fetches, len(i.sets)-1)]
	if i.fetches++; set == nil {
		return fetched.Document[[]jose.Key]{}, errAway
	}
	return fetched.Document[[]jose.Key]{Value: set}, nil
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// clock is moved by the test.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func setOf(t *testing.T, i *issuer) (*Set, *clock) {
	c := &clock{t: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	v := fetched.New(c.now, func() float64 { return 0.5 }, i.fetch)
	t.Cleanup(v.Close)
	return New(v), c
}

func named(algorithm, kid string) jose.Header { return jose.Header{Algorithm: algorithm, KeyID: &kid} }

func TestFind(t *testing.T) {
	type sets = [][]jose.Key
	key := func(id, mark string, algorithms ...string) jose.Key {
		return jose.Key{ID: id, Public: mark, Algorithms: algorithms}
	}
	one, two, ec := key("1", "one", "RS256"), key("2", "two", "RS256"), key("1", "ec", "ES256")
	const none = "\x00" // no kid
	for name, row := range map[string]struct {
		sets     sets
		alg, kid string
		want     string // the mark
		err      error
		fetches  int // by three calls
	}{
		"known":                         {sets{{one, two}}, "RS256", "2", "two", nil, 1},
		"known, on two types":           {sets{{one, ec}}, "ES256", "1", "ec", nil, 1},
		"rotated":                       {sets{{one}, {one, two}}, "RS256", "2", "two", nil, 2},
		"rotated, after an empty set":   {sets{{}, {two}}, "RS256", "2", "two", nil, 2},
		"unknown":                       {sets{{one}}, "RS256", "2", "", jose.ErrUnknownKey, 2},
		"unknown, and told too late":    {sets{{one}, {one}, {two}}, "RS256", "2", "", jose.ErrUnknownKey, 2},
		"rotated, to another algorithm": {sets{{one}, {one, key("2", "two", "ES256")}}, "RS256", "2", "", jose.ErrAlgorithm, 2},
		"rotated, to two of a kind":     {sets{{one}, {two, two}}, "RS256", "2", "", jose.ErrAmbiguous, 2},
		"ambiguous":                     {sets{{one, one}, {one}}, "RS256", "1", "", jose.ErrAmbiguous, 1},
		"another algorithm":             {sets{{one}, {one, ec}}, "ES256", "1", "", jose.ErrAlgorithm, 1},
		"none":                          {sets{{one}}, "none", "1", "", jose.ErrAlgorithm, 1},
		"none, unknown kid":             {sets{{one}}, "none", "9", "", jose.ErrAlgorithm, 1},
		"no kid, one fits":              {sets{{one, ec}}, "RS256", none, "one", nil, 1},
		"no kid, two fit":               {sets{{one, two}}, "RS256", none, "", jose.ErrAmbiguous, 1},
		"away":                          {sets{nil}, "RS256", "1", "", ErrUnavailable, 1},
		"away when it matters":          {sets{{one}, nil}, "RS256", "2", "", ErrUnavailable, 4}, // a burst of three
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{sets: row.sets}
			set, clock := setOf(t, i)
			h := jose.Header{Algorithm: row.alg}
			if row.kid != none {
				h.KeyID = &row.kid
			}
			for range 3 {
				got, err := set.Find(t.Context(), h, Anybody, clock.now())
				if !errors.Is(err, row.err) || (err == nil) != (row.err == nil) {
					t.Fatalf("got %v, %v, want %v", got, err, row.err)
				}
				if (got != nil) != (err == nil) || got != nil && got.Public != row.want {
					t.Errorf("got key %v, want %q", got, row.want)
				}
				if (row.err == ErrUnavailable) != errors.Is(err, errAway) {
					t.Errorf("the error is %v: it does not tell the cause", err)
				}
			}
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.fetches != row.fetches {
				t.Errorf("%d fetches, want %d", i.fetches, row.fetches)
			}
		})
	}
}

// A provider that is away says nothing of the keys that are at hand.
func TestFindWhileAway(t *testing.T) {
	i := &issuer{sets: [][]jose.Key{{{ID: "1", Public: "one", Algorithms: []string{"RS256"}}}, nil}}
	set, clock := setOf(t, i)
	for range 5 {
		if _, err := set.Find(t.Context(), named("RS256", "1"), Anybody, clock.now()); err != nil {
			t.Errorf("a known key: %v", err)
		}
		if _, err := set.Find(t.Context(), named("RS256", "2"), Anybody, clock.now()); !errors.Is(err, ErrUnavailable) || errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("an unknown key: got %v, want ErrUnavailable alone", err)
		}
	}
}

// numbered is a set of the kids 1 to n.
func numbered(n int) (keys []jose.Key) {
	for i := range n {
		keys = append(keys, jose.Key{ID: fmt.Sprint(i + 1), Public: fmt.Sprint(i + 1), Algorithms: []string{"RS256"}})
	}
	return keys
}

// Who sends made-up kids spends a budget: then nothing is known of any unknown kid, and it is never said to be unknown. A kid
// that was asked for is unknown, for ten seconds and without asking again.
func TestUnknownKids(t *testing.T) {
	i := &issuer{sets: [][]jose.Key{numbered(1)}}
	set, clock := setOf(t, i)
	find := func(kid string, from Origin, want error, fetches int) {
		t.Helper()
		_, err := set.Find(t.Context(), named("RS256", kid), from, clock.now())
		if !errors.Is(err, want) || errors.Is(err, ErrUnavailable) != (want == ErrUnavailable) {
			t.Fatalf("%s: got %v, want %v", kid, err, want)
		}
		var later *fetched.Later
		if errors.Is(err, fetched.ErrHeldBack) && (!errors.As(err, &later) || later.After <= 0 || later.After > 10*time.Second) {
			t.Errorf("%s: it does not say when to come back: %v", kid, err)
		}
		if got := i.count(); got != fetches {
			t.Fatalf("%s: %d fetches, want %d", kid, got, fetches)
		}
	}
	find("1", Anybody, nil, 1)
	find("a", Anybody, jose.ErrUnknownKey, 2)
	find("a", Anybody, jose.ErrUnknownKey, 2)
	find("b", Anybody, jose.ErrUnknownKey, 3)
	find("c", Anybody, jose.ErrUnknownKey, 4)
	find("d", Anybody, ErrUnavailable, 4)
	find("a", Anybody, jose.ErrUnknownKey, 4)
	find("d", Endpoint, jose.ErrUnknownKey, 5) // whose budget is another
	find("d", Endpoint, jose.ErrUnknownKey, 6) // and who is told what is so now
	find("a", Endpoint, jose.ErrUnknownKey, 7)
	find("a", Endpoint, ErrUnavailable, 7)
	clock.move(10*time.Second - 1)
	find("d", Anybody, ErrUnavailable, 7)
	find("a", Anybody, jose.ErrUnknownKey, 7)
	clock.move(1)
	find("d", Anybody, jose.ErrUnknownKey, 8)
	find("a", Anybody, ErrUnavailable, 8)
	clock.move(-time.Hour) // the clock is set right
	find("e", Anybody, jose.ErrUnknownKey, 9)
	find("e", Endpoint, jose.ErrUnknownKey, 10)
}

// A key that comes while the budget is spent is found as soon as anybody's fetch has brought it.
func TestFoundByAnothersFetch(t *testing.T) {
	i := &issuer{sets: [][]jose.Key{numbered(1), numbered(1), numbered(1), numbered(1), numbered(2)}}
	set, clock := setOf(t, i)
	for _, kid := range []string{"1", "a", "b", "c", "2"} {
		_, _ = set.Find(t.Context(), named("RS256", kid), Anybody, clock.now())
	}
	if key, err := set.Find(t.Context(), named("RS256", "2"), Endpoint, clock.now()); err != nil || key.ID != "2" {
		t.Fatalf("for a token from the endpoint: %v, %v", key, err)
	}
	if key, err := set.Find(t.Context(), named("RS256", "2"), Anybody, clock.now()); err != nil || key.ID != "2" || i.count() != 5 {
		t.Errorf("for anybody then: %v, %v, with %d fetches", key, err, i.count())
	}
}

// The number of fetches under a flood of everything that strangers can send: a burst of three, and two in ten seconds.
func TestFetchesUnderAFlood(t *testing.T) {
	i := &issuer{sets: [][]jose.Key{{edKey(1)}}}
	set, clock := setOf(t, i)
	known, err := set.Find(t.Context(), named("EdDSA", "1"), Anybody, clock.now())
	if err != nil {
		t.Fatal(err)
	}
	for second := range 60 {
		for n := range 100 {
			_, _ = set.Find(t.Context(), named("RS256", fmt.Sprint("made-up-", second, n)), Anybody, clock.now())
			_, _ = set.FindAnew(t.Context(), named("EdDSA", "1"), known, Anybody, clock.now())
		}
		if got, most := i.count()-1, 3+2*(1+second/10); got > most {
			t.Fatalf("%d fetches in %d s, want at most %d", got, second+1, most)
		}
		clock.move(time.Second)
	}
	if n := i.count() - 1; n < 12 {
		t.Errorf("%d fetches in a minute: good tokens of new keys wait for the others", n)
	}
	if n := len(set.absent.since); n > maxAbsent {
		t.Errorf("%d kids are remembered", n)
	}
}

// A kid that is a kilobyte is not kept, and of very many no more than the limit.
func TestAbsentIsBounded(t *testing.T) {
	var a absent
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for n := range 3 * maxAbsent {
		h := named("RS256", fmt.Sprint(n))
		if a.add(h, now); !a.has(h, now) || len(a.since) > maxAbsent {
			t.Fatalf("kid %d is remembered: %t, of %d", n, a.has(h, now), len(a.since))
		}
	}
	h := named("RS256", "later")
	if a.add(h, now.Add(absentFor)); len(a.since) != 1 || a.has(h, now) || a.has(h, now.Add(2*absentFor)) || !a.has(h, now.Add(2*absentFor-1)) {
		t.Errorf("%d are left of those that are over", len(a.since))
	}
}

// A key that came anew under the kid of the known one is found, within a budget of its own.
func TestFindAnew(t *testing.T) {
	first, second := edKey(1), edKey(2)
	i := &issuer{sets: [][]jose.Key{{first}}}
	set, clock := setOf(t, i)
	known, err := set.Find(t.Context(), named("EdDSA", "1"), Anybody, clock.now())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 4 { // strangers spend what they can
		_, _ = set.Find(t.Context(), named("EdDSA", fmt.Sprint("made-up-", n)), Anybody, clock.now())
	}
	i.mu.Lock()
	i.sets, i.fetches = [][]jose.Key{{first}, {second}, {first}}, 0
	i.mu.Unlock()
	anew := func(from Origin, want *jose.Key, err error) {
		t.Helper()
		got, found := set.FindAnew(t.Context(), named("EdDSA", "1"), known, from, clock.now())
		if !errors.Is(found, err) || err == nil && !got.Same(want) {
			t.Fatalf("got %v, %v, want %v, %v", got, found, want, err)
		}
	}
	anew(Anybody, &first, nil)
	anew(Anybody, &second, nil)
	anew(Anybody, &second, nil) // without asking: it is at hand, and is not the known one
	known = &second
	anew(Anybody, nil, ErrUnavailable)
	anew(Endpoint, &first, nil)
}

func edKey(n byte) jose.Key {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return jose.Key{ID: "1", Public: private.Public(), Algorithms: []string{"EdDSA"}}
}

// Whoever joins a fetch that was in flight when the token came does not take what it brings for the last word.
func TestFindBehindAFetchInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		fetches := 0 // one runs at a time
		v := fetched.New(time.Now, func() float64 { return 0.5 }, func(context.Context, []jose.Key) (fetched.Document[[]jose.Key], error) {
			fetches++
			set := numbered(1)
			if fetches == 2 {
				<-release
			} else if fetches > 2 {
				set = numbered(2)
			}
			return fetched.Document[[]jose.Key]{Value: set}, nil
		})
		defer v.Close()
		set := New(v)
		done := make(chan error, 2)
		ask := func(kid string) {
			_, err := set.Find(t.Context(), named("RS256", kid), Anybody, time.Now())
			done <- err
		}
		go ask("made-up")
		synctest.Wait()
		go ask("2") // of the key that was published after the answer had left
		synctest.Wait()
		close(release)
		if a, b := <-done, <-done; a == nil == (b == nil) || fetches != 3 {
			t.Errorf("got %v and %v with %d fetches, want that one of both is known", a, b, fetches)
		}
	})
}

// A caller who leaves is told so, at the first fetch and at the second; the provider is not to blame.
func TestFindCallerLeaves(t *testing.T) {
	for name, patient := range map[string]int{"at the first fetch": 0, "at the second": 1} {
		t.Run(name, func(t *testing.T) {
			reached := make(chan struct{})
			fetches := 0 // one runs at a time
			v := fetched.New(time.Now, func() float64 { return 0.5 }, func(ctx context.Context, _ []jose.Key) (fetched.Document[[]jose.Key], error) {
				if fetches++; fetches > patient {
					close(reached)
					<-ctx.Done()
				}
				return fetched.Document[[]jose.Key]{Value: []jose.Key{}}, ctx.Err()
			})
			t.Cleanup(v.Close)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { <-reached; cancel() }()
			_, err := New(v).Find(ctx, jose.Header{Algorithm: "RS256"}, Anybody, time.Now())
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) || errors.Is(err, jose.ErrUnknownKey) {
				t.Errorf("got %v, want context.Canceled alone", err)
			}
		})
	}
}
