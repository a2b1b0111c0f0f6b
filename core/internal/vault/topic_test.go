package vault

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTopics(t *testing.T) {
	s := newFull()
	here, there := replica(t, s, nil, secretA, secretB), replica(t, s, nil, secretB)
	var heard []string
	lost := 0
	stop, err := there.Subscribe(bg, "ended", func(m string) { heard = append(heard, m) }, func() { lost++ })
	if err != nil {
		t.Fatal(err)
	}
	notify := func(topic, message string) {
		t.Helper()
		if err := here.Notify(bg, topic, message); err != nil {
			t.Error(err)
		}
	}
	notify("ended", "one")
	notify("grant", "two")
	notify("ended", "")
	if want := []string{"one", ""}; !slices.Equal(heard, want) || lost != 0 {
		t.Errorf("heard %q and lost %d", heard, lost)
	}
	for topic, subscribers := range s.topics {
		if strings.Contains(topic, "ended") {
			t.Errorf("in the clear: %q", topic)
		}
		for _, sub := range subscribers {
			sub.f("not sealed")
			other, _ := there.rings[0].Seal(there.rand, messagePurpose("grant"), []byte("of another topic"))
			sub.f(other)
			sub.lost()
		}
	}
	if len(heard) != 2 || lost != 3 {
		t.Errorf("heard %q and lost %d", heard, lost)
	}
	if !there.stale.Load() {
		t.Error("a lost message did not put the root in doubt")
	}
	stop()
	notify("ended", "three")
	if len(heard) != 2 {
		t.Errorf("heard %q after it stopped", heard)
	}
	if sealed, _ := here.rings[0].Seal(here.rand, "p", make([]byte, maxMessage)); len(sealed) > 1000 {
		t.Errorf("the longest message has %d bytes when it is sealed", len(sealed))
	}
	if err := here.Notify(bg, "ended", strings.Repeat("x", maxMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a long message: %v", err)
	}
}

// A store without messages needs no care by those who would send them.
func TestWithoutNotifier(t *testing.T) {
	v := replica(t, swapStore{newStore()}, nil, secretA)
	stop, err := v.Subscribe(bg, "ended", func(string) {}, func() {})
	if err != nil || v.HasNotifier() {
		t.Fatalf("%v", err)
	}
	stop()
	if err := v.Notify(bg, "ended", "one"); err != nil {
		t.Error(err)
	}
}
