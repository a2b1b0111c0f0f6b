package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
)

// Replicas that start at once on an empty store have one root in the end.
func TestStartAtOnce(t *testing.T) {
	for range 50 {
		s := newFull()
		c := &clock{now: begin}
		var replicas []*Vault
		for i := range 4 {
			secrets := [][]string{{secretA, secretB}, {secretB, secretA}}[i%2]
			replicas = append(replicas, replica(t, s, c, secrets[0], secrets[1:]...))
		}
		done := make(chan error)
		for i, v := range replicas {
			go func() { done <- v.Commit(bg, "a", fmt.Sprint(i), []byte("x"), later) }()
		}
		for range replicas {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for i := range replicas {
			for _, v := range replicas {
				if got := found(t, v, "a", fmt.Sprint(i)); got != "x" {
					t.Fatalf("what replica %d wrote: %q", i, got)
				}
				if epoch(t, v) != epoch(t, replicas[0]) {
					t.Fatal("they are in different epochs")
				}
			}
		}
	}
}

// Secrets change in three steps, replica by replica, and what is in the store stays readable, in every mixture of two steps.
func TestSecretsChange(t *testing.T) {
	steps := [][]string{{secretA}, {secretA, secretB}, {secretB, secretA}, {secretB}, {secretB, secretC}, {secretC, secretB}, {secretC}}
	s, c := newFull(), &clock{now: begin}
	first := replica(t, s, c, secretA)
	commit(t, first, "a", "0", "0")
	was := epoch(t, first)
	for i := range len(steps) - 1 {
		c.pass(time.Hour)
		before, after := replica(t, s, c, steps[i][0], steps[i][1:]...), replica(t, s, c, steps[i+1][0], steps[i+1][1:]...)
		commit(t, before, "a", fmt.Sprint(i, "before"), "x")
		commit(t, after, "a", fmt.Sprint(i, "after"), "y")
		for _, v := range []*Vault{before, after} {
			if got := found(t, v, "a", fmt.Sprint(i, "before")) + found(t, v, "a", fmt.Sprint(i, "after")) + found(t, v, "a", "0"); got != "xy0" {
				t.Errorf("step %d: %q", i, got)
			}
			if epoch(t, v) != was {
				t.Errorf("step %d: another epoch", i)
			}
		}
	}
	if got := found(t, replica(t, s, c, secretA), "a", "0"); got != "0" { // its copy is still there: that the secret leaked is another matter
		t.Errorf("the first secret again: %q", got)
	}
}

// Where two roots came to be, because replicas had no secret in common that both looked under first, one of them wins.
func TestTwoRoots(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	a := replica(t, s, c, secretA)
	commit(t, a, "x", "1", "a's")
	c.pass(time.Second)
	b := replica(t, s, c, secretB)
	commit(t, b, "x", "1", "b's")
	c.pass(time.Second)
	both := replica(t, s, c, secretA, secretB)
	if got := found(t, both, "x", "1"); got != "b's" {
		t.Errorf("both: %q", got)
	}
	if got := found(t, a, "x", "1"); got != "b's" { // noticed with the first thing that it looked for
		t.Errorf("a: %q", got)
	}
	if epoch(t, a) != epoch(t, b) || epoch(t, both) != epoch(t, b) {
		t.Error("they are in different epochs")
	}
}

// An emptied store is a new epoch, and its keys are the same: what others wrote since is still readable.
func TestEmptied(t *testing.T) {
	for name, newStore := range stores() {
		t.Run(name, func(t *testing.T) {
			s, plain := newStore()
			c := &clock{now: begin}
			a, b := replica(t, s, c, secretA), replica(t, s, c, secretA)
			was := epoch(t, a)
			if epoch(t, b) != was {
				t.Fatal("they are in different epochs")
			}
			c.pass(time.Second)
			clear(plain.values)
			commit(t, a, "x", "1", "after") // which is not noticed
			if name != "full" {
				a.Doubt() // it is noticed after half a minute, an error, or a lost message
				b.Doubt()
			}
			if got := found(t, a, "x", "1"); got != "after" {
				t.Errorf("a: %q", got)
			}
			if got := found(t, b, "x", "1"); got != "after" {
				t.Errorf("b: %q", got)
			}
			if now := epoch(t, a); now == was || now.Begun != c.Now() || epoch(t, b) != now {
				t.Errorf("the epochs are %v and %v, and it was %v", now, epoch(t, b), was)
			}
		})
	}
}

// A store that went back to what it was an epoch ago has lost what was written since.
func TestOldSnapshot(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	v := replica(t, s, c, secretA)
	first := epoch(t, v)
	snapshot := maps.Clone(s.values)
	c.pass(time.Second)
	second, err := v.NewEpoch(bg, first)
	if err != nil || second == first {
		t.Fatalf("%v, %v", second, err)
	}
	c.pass(time.Second)
	clear(s.values)
	maps.Copy(s.values, snapshot)
	found(t, v, "x", "1")
	third := epoch(t, v)
	if third == first || third == second || third.Begun != c.Now() {
		t.Errorf("it is %v after %v and %v", third, first, second)
	}
	if other := replica(t, s, c, secretA); epoch(t, other) != third {
		t.Error("it is not in the store")
	}
}

// Of all who notice that something is lost, one begins the epoch.
func TestNewEpoch(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	var replicas []*Vault
	for range 5 {
		replicas = append(replicas, replica(t, s, c, secretA, secretB))
	}
	was := epoch(t, replicas[0])
	done := make(chan Epoch)
	for _, v := range replicas {
		go func() {
			e, err := v.NewEpoch(bg, was)
			if err != nil {
				t.Error(err)
			}
			done <- e
		}()
	}
	seen := map[Epoch]bool{}
	for range replicas {
		seen[<-done] = true
	}
	if len(seen) != 1 || seen[was] {
		t.Errorf("they are in %d epochs", len(seen))
	}
	now := epoch(t, replicas[0])
	if !now.Begun.After(was.Begun) {
		t.Errorf("it began at %v, and the one before at %v", now.Begun, was.Begun)
	}
	if again, err := replicas[1].NewEpoch(bg, was); err != nil || again != now {
		t.Errorf("%v, %v, want %v", again, err, now)
	}
}

// What cannot be opened is left alone: a later version may have written it.
func TestUnreadableRoot(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	commit(t, replica(t, s, c, secretA), "x", "1", "alice")
	v := replica(t, s, c, secretA)
	at := v.copyOf(v.rings[0])
	good := s.values[at]
	value, err := v.rings[0].SealBytes(v.rand, purpose(at), append([]byte{rootVersion + 1}, make([]byte, 100)...))
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{"of a later version": value, "cut": good[:10], "empty": {}, "large": make([]byte, MaxValue+1)} {
		s.values[at] = bad
		if _, err := v.Find(bg, "x", "1"); !errors.Is(err, ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(s.values[at], bad) {
			t.Errorf("%s: it was changed", name)
		}
	}
	s.values[at] = good
	if got := found(t, v, "x", "1"); got != "alice" {
		t.Errorf("found %q", got)
	}
	s.values[at] = value
	both := replica(t, s, c, secretA, secretB)
	if _, err := both.Find(bg, "x", "1"); !errors.Is(err, ErrAway) {
		t.Errorf("with a second secret: %v", err)
	}
}

// A copy that a later version wrote keeps what it has besides, and one that is old is written again.
func TestRootLater(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	v := replica(t, s, c, secretA)
	was := epoch(t, v)
	r := v.known.Load().root
	r.later = "more"
	at := v.copyOf(v.rings[0])
	value, err := v.rings[0].SealBytes(v.rand, purpose(at), r.encode())
	if err != nil {
		t.Fatal(err)
	}
	s.values[at] = value
	c.pass(rootAnew + time.Hour)
	if epoch(t, v) != was {
		t.Error("another epoch")
	}
	if bytes.Equal(s.values[at], value) {
		t.Error("it was not written again")
	}
	if _, err := v.NewEpoch(bg, was); err != nil {
		t.Fatal(err)
	}
	plain, _, err := v.rings[0].OpenBytes(purpose(at), s.values[at])
	if got, ok := decodeRoot(plain); err != nil || !ok || got.later != "more" || got.secret != r.secret {
		t.Errorf("what was written is %v", err)
	}
}

// While the root is known, it is looked up every half minute, and after every error.
func TestLooks(t *testing.T) {
	s, c := newFull(), &clock{now: begin}
	v := replica(t, s, c, secretA)
	looks := func() int {
		s.finds = 0
		epoch(t, v)
		return s.finds
	}
	looks()
	for name, row := range map[string]struct {
		before func()
		want   int
	}{
		"at once":               {func() {}, 0},
		"within half a minute":  {func() { c.pass(lookEvery - time.Second) }, 0},
		"after half a minute":   {func() { c.pass(lookEvery) }, 1},
		"with a clock set back": {func() { c.pass(-time.Hour) }, 1},
		"after an error": {func() {
			s.fault = func(context.Context, string, string, func()) error { return errBad }
			found(t, v, "a", "1")
			s.fault = nil
		}, 1},
	} {
		v.Doubt()
		epoch(t, v)
		row.before()
		if got := looks(); got != row.want {
			t.Errorf("%s: %d, want %d", name, got, row.want)
		}
	}
}

// No error tells a secret.
func TestErrorsAreDiscreet(t *testing.T) {
	s := newFull()
	v := replica(t, s, nil, secretA)
	s.fault = func(_ context.Context, operation, _ string, run func()) error {
		if operation == "swap" {
			return errBad
		}
		run()
		return nil
	}
	err := v.Commit(bg, "session", "alice@example.com", []byte("bob"), later)
	if err == nil || strings.Contains(err.Error(), "alice") || strings.Contains(err.Error(), "bob") || strings.Contains(err.Error(), secretA) {
		t.Errorf("%v", err)
	}
}

func FuzzDecodeRoot(f *testing.F) {
	f.Add((&root{begun: 1, written: 2, later: "x"}).encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		if r, ok := decodeRoot(in); ok && !bytes.Equal(r.encode(), in) {
			t.Errorf("%x became %x", in, r.encode())
		}
	})
}
