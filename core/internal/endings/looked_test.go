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
