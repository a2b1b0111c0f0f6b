package expiring

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var start = time.Unix(1800000000, 0)

func hash(i int) [32]byte { return sha256.Sum256(fmt.Append(nil, i)) }

// newSet returns an empty set and its clock.
func newSet(most int) (*Set, *time.Time) {
	now := start
	return New(func() time.Time { return now }, most), &now
}

func TestSet(t *testing.T) {
	s, now := newSet(10)
	if s.Has(hash(1)) || s.Added() != 0 {
		t.Error("empty, it has something")
	}
	s.Add(hash(1), start.Add(time.Minute))
	s.Add(hash(2), start.Add(time.Hour))
	if !s.Has(hash(1)) || !s.Has(hash(2)) || s.Has(hash(3)) || s.Added() != 2 {
		t.Errorf("it has 1 %v, 2 %v, 3 %v, added %d", s.Has(hash(1)), s.Has(hash(2)), s.Has(hash(3)), s.Added())
	}
	*now = start.Add(time.Minute - 1)
	if !s.Has(hash(1)) {
		t.Error("it is forgotten before its time")
	}
	*now = start.Add(time.Minute)
	if s.Has(hash(1)) || !s.Has(hash(2)) {
		t.Error("its time has passed, and it is there; or the other is not")
	}
	s.Add(hash(3), start.Add(time.Hour))
	if s.Len() != 2 {
		t.Errorf("%d are held, want 2", s.Len())
	}
	s.Add(hash(4), *now)
	if s.Has(hash(4)) || s.Len() != 2 || s.Added() != 3 {
		t.Errorf("one whose time has passed was added: %d held, %d added", s.Len(), s.Added())
	}
	*now = start // a clock that was set back does not lose what is to come
	if !s.Has(hash(2)) {
		t.Error("after the clock was set back, it is lost")
	}
}

// An attacker who can have a hash added once more must not shorten its time.
func TestTimeIsOnlyExtended(t *testing.T) {
	s, now := newSet(10)
	s.Add(hash(1), start.Add(time.Hour))
	s.Add(hash(1), start.Add(time.Minute))
	*now = start.Add(59 * time.Minute)
	if !s.Has(hash(1)) {
		t.Fatal("its time was shortened")
	}
	s.Add(hash(1), start.Add(2*time.Hour))
	*now = start.Add(119 * time.Minute)
	if !s.Has(hash(1)) || s.Added() != 1 || s.Len() != 1 {
		t.Errorf("extended, it is there: %v; %d added, %d held", s.Has(hash(1)), s.Added(), s.Len())
	}
}

// One that has expired and comes again is new, also while it is still held: who compares the count must ask again.
func TestExpiredComesAgain(t *testing.T) {
	s, now := newSet(100)
	for i := range 2 * forgetAtOnce {
		s.Add(hash(i), start.Add(time.Minute))
	}
	*now = start.Add(time.Hour)
	for i := range 2 * forgetAtOnce {
		before := s.Added()
		s.Add(hash(i), now.Add(time.Minute))
		if !s.Has(hash(i)) || s.Added() != before+1 {
			t.Errorf("number %d is there again: %v; %d added, want %d", i, s.Has(hash(i)), s.Added(), before+1)
		}
	}
}

// However the times lie, no more than the bound are held, those that expire first go first, and what was added last is there.
func TestBound(t *testing.T) {
	const most, all = 100, 250
	for name, row := range map[string]struct {
		until func(i int) time.Time
		left  func(i int) bool // nil: not looked at
	}{
		"earlier each time": {func(i int) time.Time { return start.Add(time.Hour - time.Duration(i)) },
			func(i int) bool { return i < most-1 || i == all-1 }},
		"later each time": {func(i int) time.Time { return start.Add(time.Hour + time.Duration(i)) },
			func(i int) bool { return i >= all-most }},
		"all at once": {func(int) time.Time { return start.Add(time.Hour) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newSet(most)
			for i := range all {
				s.Add(hash(i), row.until(i))
				if !s.Has(hash(i)) {
					t.Fatalf("number %d is forgotten at once", i)
				}
				if s.Len() > most || len(s.byHash) != s.Len() {
					t.Fatalf("%d are held, %d by hash", s.Len(), len(s.byHash))
				}
			}
			for i := range all {
				if row.left != nil && s.Has(hash(i)) != row.left(i) {
					t.Errorf("number %d is there: %v", i, s.Has(hash(i)))
				}
			}
		})
	}
}

// One that was extended is no longer among the first to go.
func TestExtendedStays(t *testing.T) {
	s, _ := newSet(3)
	for i := range 3 {
		s.Add(hash(i), start.Add(time.Duration(i+1)*time.Minute))
	}
	s.Add(hash(0), start.Add(time.Hour))
	s.Add(hash(3), start.Add(time.Hour))
	if !s.Has(hash(0)) || s.Has(hash(1)) {
		t.Errorf("the extended one is there: %v, the next to expire: %v", s.Has(hash(0)), s.Has(hash(1)))
	}
}

// What has expired goes little by little, and in the end all of it.
func TestForgettingIsIncremental(t *testing.T) {
	const n = 1000
	s, now := newSet(10 * n)
	for i := range n {
		s.Add(hash(i), start.Add(time.Minute))
	}
	*now = start.Add(time.Hour)
	for i := range n {
		before := s.Len()
		s.Add(hash(n+i), now.Add(time.Hour))
		if gone := before + 1 - s.Len(); gone > forgetAtOnce {
			t.Fatalf("one call forgot %d", gone)
		}
	}
	if s.Len() != n {
		t.Errorf("%d are held, want the %d whose time has not passed", s.Len(), n)
	}
}

// A set does what a plain map with times does, as long as it is not full.
func TestLikeAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s, now := newSet(1000)
	want := map[[32]byte]time.Time{}
	for range 20_000 {
		h, until := hash(r.IntN(500)), now.Add(time.Duration(r.IntN(100))*time.Second)
		s.Add(h, until)
		if want[h].Before(until) {
			want[h] = until
		}
		*now = now.Add(time.Duration(r.IntN(3)) * time.Second)
		if h := hash(r.IntN(500)); s.Has(h) != now.Before(want[h]) {
			t.Fatalf("at %v, one until %v is there: %v", *now, want[h], s.Has(h))
		}
	}
}

// After many writers at once, the heap and the map hold the same.
func TestConcurrently(t *testing.T) {
	s := New(func() time.Time { return start }, 64)
	var running sync.WaitGroup
	for g := range 4 {
		running.Go(func() {
			for i := range 2000 {
				h := hash(g*1000 + i%200)
				s.Add(h, start.Add(time.Duration(i+1)*time.Second))
				s.Has(h)
				s.Added()
			}
		})
	}
	running.Wait()
	if s.Len() != 64 || len(s.byHash) != 64 {
		t.Errorf("%d are held, %d by hash, want 64", s.Len(), len(s.byHash))
	}
	for i, m := range s.soon {
		if m.place != i || s.byHash[m.hash] != m {
			t.Fatalf("the heap's place %d is wrong", i)
		}
	}
}

func BenchmarkAddWhenFull(b *testing.B) {
	const most = 10_000
	s := New(func() time.Time { return start }, most)
	hashes := make([][32]byte, 4*most)
	for i := range hashes {
		hashes[i] = hash(i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		s.Add(hashes[i%len(hashes)], start.Add(time.Duration(i)*time.Millisecond))
	}
}

func BenchmarkHas(b *testing.B) {
	s := New(func() time.Time { return start }, 10_000)
	for i := range 10_000 {
		s.Add(hash(i), start.Add(time.Hour))
	}
	h := hash(5000)
	b.ReportAllocs()
	for b.Loop() {
		s.Has(h)
	}
}
