package vault

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What is told of the store: a new epoch, and that it is back after it could not be reached. It was away if it was for a second, or if
// messages were lost.
func TestWatch(t *testing.T) {
	s := newFull()
	c := &clock{now: begin}
	v, other := replica(t, s, c, secretA), replica(t, s, c, secretA)
	var told []bool
	v.Watch(func(newEpoch bool) { told = append(told, newEpoch) })
	expect := func(what string, want []bool, back time.Time) {
		t.Helper()
		found(t, v, "x", "1")
		if len(told) != len(want) || len(want) > 0 && told[0] != want[0] {
			t.Errorf("%s: told %v, want %v", what, told, want)
		}
		if _, was := v.Noticed(); !was.Equal(back) {
			t.Errorf("%s: back %v, want %v", what, was, back)
		}
		told = nil
	}
	fails := func() {
		t.Helper()
		s.fault = func(context.Context, string, string, func()) error { return errBad }
		if _, err := v.Find(bg, "x", "1"); !errors.Is(err, ErrAway) {
			t.Fatal(err)
		}
		s.fault = nil
	}
	never := time.Time{}
	expect("its first epoch", nil, never)
	first := c.Now()
	c.pass(time.Minute)
	expect("nothing happens", nil, never)
	fails()
	c.pass(outage - 1)
	expect("it fails for a moment", []bool{false}, never)
	expect("it does not any more", nil, never)
	fails()
	c.pass(outage / 2)
	fails()
	c.pass(outage / 2)
	expect("it fails for a second", []bool{false}, c.Now())
	back := c.Now()
	c.pass(time.Minute)
	if epoch, _ := v.Noticed(); !epoch.Equal(first) {
		t.Errorf("the epoch was noticed at %v, want %v", epoch, first)
	}
	if _, err := other.NewEpoch(bg, epoch(t, other)); err != nil {
		t.Fatal(err)
	}
	expect("a new epoch", []bool{true}, back)
	if epoch, _ := v.Noticed(); !epoch.Equal(c.Now()) {
		t.Errorf("the epoch was noticed at %v, want %v", epoch, c.Now())
	}
	c.pass(time.Minute)
	clear(s.values)
	expect("it was emptied", []bool{true}, back)
	if _, err := v.Subscribe(bg, "ended", func(string) {}, func() {}); err != nil {
		t.Fatal(err)
	}
	for _, all := range s.topics {
		all[0].lost()
	}
	expect("messages were lost", []bool{false}, c.Now())
}
