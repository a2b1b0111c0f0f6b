package endings

import (
	"encoding/binary"
	"testing"
)

func TestLooked(t *testing.T) {
	var l looked
	one := SessionMark([32]byte{1})
	if l.at(one) != 0 {
		t.Error("empty, it knows a session")
	}
	l.add(one, l.begin(), 5)
	if l.at(one) != 5 {
		t.Error("it does not know")
	}
	under := l.begin()
	l.drop()
	if l.at(one) != 0 {
		t.Error("it has not forgotten")
	}
	l.add(one, under, 6)
	if l.at(one) != 0 {
		t.Error("an answer from before the news is remembered")
	}
}

// News of a session are news of that session alone, however many have changed since.
func TestLookedForgets(t *testing.T) {
	var l looked
	one, two := SessionMark([32]byte{1}), SessionMark([32]byte{2})
	look := l.begin()
	l.add(one, look, 5)
	l.add(two, look, 5)
	l.forget(one)
	if l.at(one) != 0 || l.at(two) != 5 || l.holds(one, look) || !l.holds(two, look) {
		t.Error("it has forgotten another")
	}
	if l.add(one, look, 6); l.at(one) != 0 {
		t.Error("an answer from before the news is remembered")
	}
	if l.add(one, l.begin(), 7); l.at(one) != 7 || !l.holds(one, l.begin()) {
		t.Error("a later answer is not remembered")
	}
	under := l.begin()
	l.drop()
	if l.holds(one, under) || l.holds(two, under) || !l.holds(two, l.begin()) {
		t.Error("what was lost holds")
	}
}

func TestLookedForgetsMany(t *testing.T) {
	var l looked
	one := SessionMark([32]byte{1})
	look := l.begin()
	l.forget(one)
	after := l.begin()
	for i := range mostLooked * 2 {
		var id [32]byte
		binary.BigEndian.PutUint32(id[:], uint32(i))
		l.forget(id)
		if i%1000 == 0 && l.holds(one, look) {
			t.Fatalf("after %d others it is not known any more that the session has changed", i)
		}
	}
	if n := len(l.changed) + len(l.changedBefore); n > mostLooked {
		t.Errorf("%d sessions are remembered, want at most %d", n, mostLooked)
	}
	if l.holds(one, after) || !l.holds(one, l.begin()) {
		t.Error("what is not known any more holds, or nothing does")
	}
}

func TestLookedIsBounded(t *testing.T) {
	var l looked
	for i := range mostLooked * 3 / 2 {
		var id [32]byte
		binary.BigEndian.PutUint32(id[:], uint32(i))
		l.add(id, l.begin(), 1)
	}
	if n := len(l.now) + len(l.before); n > mostLooked || n < mostLooked/2 {
		t.Errorf("%d sessions are remembered, want at most %d", n, mostLooked)
	}
}
