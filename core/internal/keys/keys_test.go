package keys

import (
	"context"
	"errors"
	"sync"
	"testing"
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

func setOf(t *testing.T, i *issuer) Set {
	now := time.Now()
	v := fetched.New(func() time.Time { return now }, func() float64 { return 0.5 }, i.fetch)
	t.Cleanup(v.Close)
	return Set{v}
}

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
		"away when it matters":          {sets{{one}, nil}, "RS256", "2", "", ErrUnavailable, 2},
	} {
		t.Run(name, func(t *testing.T) {
			i := &issuer{sets: row.sets}
			set := setOf(t, i)
			h := jose.Header{Algorithm: row.alg}
			if row.kid != none {
				h.KeyID = &row.kid
			}
			for range 3 {
				got, err := set.Find(t.Context(), h, time.Now())
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
	set := setOf(t, i)
	known, unknown := "1", "2"
	for range 3 {
		if _, err := set.Find(t.Context(), jose.Header{Algorithm: "RS256", KeyID: &known}, time.Now()); err != nil {
			t.Errorf("a known key: %v", err)
		}
		if _, err := set.Find(t.Context(), jose.Header{Algorithm: "RS256", KeyID: &unknown}, time.Now()); !errors.Is(err, ErrUnavailable) || errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("an unknown key: got %v, want ErrUnavailable alone", err)
		}
	}
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
			_, err := Set{v}.Find(ctx, jose.Header{Algorithm: "RS256"}, time.Now())
			if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) || errors.Is(err, jose.ErrUnknownKey) {
				t.Errorf("got %v, want context.Canceled alone", err)
			}
		})
	}
}
