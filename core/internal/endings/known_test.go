package endings

import (
	"testing"
	"time"
)

var start = time.UnixMilli(1800000000000)

func TestKnown(t *testing.T) {
	now := start
	k := newKnown(func() time.Time { return now }, 10)
	s := &Session{ID: SessionMark([32]byte{1}), Person: PersonMark("i", "s"), Began: start.UnixMilli()}
	if k.ends(s) {
		t.Error("empty, it ends a session")
	}
	later := Marker{Before: start.UnixMilli() + 5}
	if all, news := k.add(s.Person, later, start.Add(time.Hour), false); all != later || !news || !k.ends(s) {
		t.Errorf("%v, news %v", all, news)
	}
	if all, news := k.add(s.Person, Marker{Before: 1}, start.Add(2*time.Hour), false); all != later || news || !k.ends(s) {
		t.Errorf("it has shrunk to %v, or is news: %v", all, news)
	}
	now = start.Add(time.Hour)
	if k.ends(s) {
		t.Error("it is remembered for longer than it is needed, because it was written again")
	}
	if _, ok := k.get(s.Person); ok {
		t.Error("it is still there")
	}
}

// Of too many markers, those go that are needed for the shortest time; the latest never does.
func TestKnownIsBounded(t *testing.T) {
	k := newKnown(func() time.Time { return start }, 3)
	for i := range 5 {
		k.add(SessionMark([32]byte{byte(i)}), Marker{}, start.Add(time.Duration(5-i)*time.Minute), false)
	}
	for i, want := range []bool{true, true, false, false, true} {
		if _, ok := k.get(SessionMark([32]byte{byte(i)})); ok != want {
			t.Errorf("marker %d is known: %v", i, ok)
		}
	}
	if len(k.byMark) != 3 || len(k.soon) != 3 {
		t.Errorf("%d markers, want 3", len(k.byMark))
	}
}

// What has expired goes with what is added.
func TestKnownForgetsOld(t *testing.T) {
	now := start
	k := newKnown(func() time.Time { return now }, 100)
	for i := range 50 {
		k.add(SessionMark([32]byte{byte(i)}), Marker{}, start.Add(time.Minute), false)
	}
	now = start.Add(time.Minute)
	for i := range 20 {
		k.add(SessionMark([32]byte{100, byte(i)}), Marker{}, now.Add(time.Minute), false)
	}
	if len(k.byMark) != 20 {
		t.Errorf("%d markers, want 20", len(k.byMark))
	}
}
