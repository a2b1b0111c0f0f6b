package replays

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var now = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func use(i int) Use { return UseOf("key", strconv.Itoa(i)) }

func TestUseOf(t *testing.T) {
	t.Parallel()
	seen := map[Use]bool{}
	for _, of := range [][2]string{{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a", "c"}, {"b", "b"}} {
		u := UseOf(of[0], of[1])
		if seen[u] || u != UseOf(of[0], of[1]) {
			t.Errorf("%q: %x", of, u)
		}
		seen[u] = true
	}
}

// A proof is good once, for as long as it would be accepted, and then nothing of it is kept.
func TestFirst(t *testing.T) {
	t.Parallel()
	m := New(100)
	oldest := now.Add(-time.Minute)
	if err := m.First(use(1), now, oldest); err != nil {
		t.Fatal(err)
	}
	for after := time.Duration(0); after <= time.Minute; after += time.Second {
		if err := m.First(use(1), now, oldest.Add(after)); !errors.Is(err, ErrUsed) {
			t.Fatalf("after %v: %v", after, err)
		}
	}
	for name, of := range map[string]struct {
		use  Use
		made time.Time
	}{"another jti": {use(2), now}, "the same with another iat, which another proof has": {use(1), now.Add(7 * time.Second)}} {
		if err := m.First(of.use, of.made, oldest); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := m.First(use(3), now.Add(3*time.Minute), now.Add(2*time.Minute)); err != nil || m.Len() != 1 {
		t.Errorf("%d are remembered, %v", m.Len(), err)
	}
}

// Where it is full, the oldest proofs are refused: a proof is never forgotten and accepted once more.
func TestFull(t *testing.T) {
	t.Parallel()
	const most = 50
	m := New(most)
	oldest := now.Add(-time.Minute)
	for i := range 300 {
		made := now.Add(time.Duration(i-299) * 200 * time.Millisecond)
		if err := m.First(use(i), made, oldest); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if n := m.Len(); n > most {
			t.Fatalf("%d are remembered", n)
		}
	}
	used, old := 0, 0
	for i := range 300 {
		made := now.Add(time.Duration(i-299) * 200 * time.Millisecond)
		switch err := m.First(use(i), made, oldest); {
		case errors.Is(err, ErrUsed):
			used++
		case errors.Is(err, ErrTooOld):
			old++
		default:
			t.Errorf("%d: accepted once more: %v", i, err)
		}
	}
	if used == 0 || old == 0 || used+old != 300 {
		t.Errorf("%d used, %d too old", used, old)
	}
	if err := m.First(use(1000), now, oldest); err != nil {
		t.Errorf("a new one: %v", err)
	}
	if err := m.First(use(1001), now.Add(-50*time.Second), oldest); !errors.Is(err, ErrTooOld) {
		t.Errorf("an old one: %v", err)
	}
}

// All of the same moment: then that moment is full.
func TestFullAtOnce(t *testing.T) {
	t.Parallel()
	m := New(10)
	refused := 0
	for i := range 30 {
		if m.First(use(i), now, now.Add(-time.Minute)) != nil {
			refused++
		}
	}
	if refused != 20 || m.Len() > 10 {
		t.Errorf("%d refused, %d remembered", refused, m.Len())
	}
	for i := range 30 {
		if m.First(use(i), now, now.Add(-time.Minute)) == nil {
			t.Errorf("%d was accepted once more", i)
		}
	}
	if err := m.First(use(31), now.Add(span), now.Add(-time.Minute)); err != nil {
		t.Errorf("a moment later: %v", err)
	}
}

// A clock that is set back and goes on again neither loses what is remembered nor keeps it for ever.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	m := New(100)
	if err := m.First(use(1), now, now.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	back := now.Add(-time.Hour)
	if err := m.First(use(2), back, back.Add(-time.Minute)); err != nil {
		t.Errorf("set back: %v", err)
	}
	if err := m.First(use(2), back, back.Add(-time.Minute)); !errors.Is(err, ErrUsed) {
		t.Errorf("set back, again: %v", err)
	}
	if err := m.First(use(1), now, now.Add(-time.Minute)); !errors.Is(err, ErrUsed) || m.Len() != 1 {
		t.Errorf("set right: %v, %d", err, m.Len())
	}
}

func TestFirstAtOnce(t *testing.T) {
	t.Parallel()
	m := New(1000)
	var first atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for i := range 50 {
				if m.First(use(i), now, now.Add(-time.Minute)) == nil {
					first.Add(1)
				}
			}
		})
	}
	all.Wait()
	if first.Load() != 50 || m.Len() != 50 {
		t.Errorf("%d accepted, %d remembered", first.Load(), m.Len())
	}
}
