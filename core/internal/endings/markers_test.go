package endings

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// ended fails the test unless a session has ended, or not, at a replica.
func ended(t *testing.T, m *Markers, s *Session, want bool) {
	t.Helper()
	if got, err := m.Ended(bg, s); got != want || err != nil {
		t.Errorf("ended %v, %v, want %v", got, err, want)
	}
}

// Any number of replicas may write a marker, in any order, and it only grows.
func TestMarkersGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		m := []*Markers{replica(t, s), replica(t, s), replica(t, s)}
		var writers sync.WaitGroup
		for i := range 12 {
			writers.Go(func() {
				if err := m[i%3].End(bg, sessionOf(0, 0).Person, Marker{Before: at(int64(100 + i)), Issued: at(int64(200 - i))}); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		fresh := replica(t, s)
		ended(t, fresh, sessionOf(1, 111), true)
		ended(t, fresh, sessionOf(2, 112), false)
		if got, _ := fresh.known.get(sessionOf(0, 0).Person); got != (Marker{at(111), at(200)}) {
			t.Errorf("%v", got)
		}
		if err := m[0].End(bg, sessionOf(0, 0).Person, Marker{Before: at(5)}); err != nil {
			t.Error(err)
		}
		ended(t, replica(t, s), sessionOf(1, 111), true)
	})
}

// A store that answers wrongly at any one operation of a sign-out: it is known here at once, and to the others in the end.
func TestEndWithFaults(t *testing.T) {
	for _, kind := range []how{before, after} {
		for operation := 1; operation < 14; operation++ {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				m, other := replica(t, s), replica(t, s)
				s.setFault(func(n int) how {
					if n == operation {
						return kind
					}
					return fine
				})
				session := sessionOf(1, 0)
				_ = m.End(bg, session.ID, Marker{Before: at(1)})
				if !m.Known(session) {
					t.Errorf("fault %d at %d: it is not known here", kind, operation)
				}
				time.Sleep(3 * time.Second)
				if got, err := other.Ended(bg, session); err == nil && !got {
					t.Errorf("fault %d at %d: the other replica does not know", kind, operation)
				}
			})
		}
	}
}

// A value at a mark that cannot be read has been a marker: the session does not come back, and who signs in again is let in.
func TestUnreadableMarker(t *testing.T) {
	for name, change := range map[string]func(s *store, m *Markers, mark Key){
		"cut":                 func(s *store, _ *Markers, _ Key) { s.edit(func(v []byte) []byte { return v[:len(v)-1] }) },
		"changed":             func(s *store, _ *Markers, _ Key) { s.edit(func(v []byte) []byte { v[len(v)-1]++; return v }) },
		"foreign":             func(s *store, _ *Markers, _ Key) { s.edit(func([]byte) []byte { return []byte("alice") }) },
		"1 MiB and more":      func(s *store, _ *Markers, _ Key) { s.edit(func([]byte) []byte { return make([]byte, 1<<20+1) }) },
		"of another version":  func(_ *store, m *Markers, mark Key) { commit(m, mark, []byte{9, 1, 2}) },
		"sealed, and empty":   func(_ *store, m *Markers, mark Key) { commit(m, mark, nil) },
		"with negative times": func(_ *store, m *Markers, mark Key) { commit(m, mark, Marker{Before: -1}.encode(nil)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStore()
				m := replica(t, s)
				session := sessionOf(1, 0)
				if _, err := m.o.Vault.Epoch(bg); err != nil {
					t.Fatal(err)
				}
				s.onlyRoot()
				if err := m.End(bg, session.Person, Marker{Before: at(1)}); err != nil {
					t.Fatal(err)
				}
				change(s, m, session.Person)
				time.Sleep(time.Second)
				for range 2 {
					ended(t, replica(t, s), session, true)
				}
				time.Sleep(time.Second)
				ended(t, replica(t, s), sessionOf(2, 2000), false)
			})
		})
	}
}

func commit(m *Markers, mark Key, plain []byte) {
	if err := m.o.Vault.Commit(bg, kind, string(mark[:]), plain, time.Now().Add(time.Hour)); err != nil {
		panic(err)
	}
}

// A store that is away is asked once a second, and what was known before goes on.
func TestAwayStoreIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		m := replica(t, s)
		gone, here := sessionOf(1, 0), &Session{ID: SessionMark([32]byte{2}), Began: at(0)}
		if err := m.End(bg, gone.ID, Marker{Before: at(1)}); err != nil {
			t.Fatal(err)
		}
		s.setFault(func(int) how { return before })
		begun := s.done
		for range 20 {
			if got, err := m.Ended(bg, here); got || !errors.Is(err, vault.ErrAway) {
				t.Errorf("%v, %v", got, err)
			}
			ended(t, m, gone, true)
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.done - begun; n > 4 {
			t.Errorf("%d operations in two seconds", n)
		}
		if away := m.Away(); away < 2*time.Second || away > 3*time.Second {
			t.Errorf("it has been away for %v", away)
		}
		s.setFault(nil)
		time.Sleep(time.Second)
		ended(t, m, here, false)
		if away := m.Away(); away != 0 {
			t.Errorf("it has been away for %v", away)
		}
	})
}

// Only this process knows of what nobody else can.
func TestEndHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		m := replica(t, s)
		mark := SessionMark([32]byte{1})
		m.EndHere(mark, Marker{}, time.Now().Add(time.Minute))
		if !m.Has(mark) || s.done != 0 {
			t.Errorf("known %v, %d operations", m.Has(mark), s.done)
		}
		time.Sleep(time.Minute)
		if m.Has(mark) {
			t.Error("it is remembered for ever")
		}
	})
}

// A session that begins after a sign-out of its person outlives it, although the clock with which that was written is ahead.
func TestOutlived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		m := replica(t, s)
		if err := replica(t, s).End(bg, sessionOf(0, 0).Person, Marker{Before: at(5000)}); err != nil {
			t.Fatal(err)
		}
		next := sessionOf(1, 0)
		if next.Outlived = m.Outlived(bg, next); next.Outlived != at(5000) {
			t.Fatalf("outlived %d", next.Outlived)
		}
		ended(t, m, next, false)
		ended(t, m, sessionOf(2, 0), true)
	})
}
