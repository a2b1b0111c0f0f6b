package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
)

func TestValues(t *testing.T) {
	for name, newStore := range stores() {
		t.Run(name, func(t *testing.T) {
			s, plain := newStore()
			here, there := replica(t, s, nil, secretA), replica(t, s, nil, secretA)
			if got := found(t, here, "session", "1"); got != "-" {
				t.Errorf("in an empty store: %q", got)
			}
			commit(t, here, "session", "1", "alice")
			commit(t, here, "session", "2", "")
			commit(t, here, "ended", "1", "bob")
			for _, row := range []struct{ kind, id, want string }{
				{"session", "1", "alice"}, {"session", "2", ""}, {"ended", "1", "bob"}, {"session", "3", "-"}, {"sessio", "n1", "-"},
			} {
				if got := found(t, there, row.kind, row.id); got != row.want {
					t.Errorf("%s %s: %q, want %q", row.kind, row.id, got, row.want)
				}
			}
			many, err := there.FindMany(bg, []Key{{"session", "1"}, {"session", "9"}, {"ended", "1"}})
			if err != nil || string(many[0].Plain) != "alice" || many[1] != nil || string(many[2].Plain) != "bob" {
				t.Errorf("found %v, %v", many, err)
			}
			if err := there.Delete(bg, "session", "1"); err != nil {
				t.Fatal(err)
			}
			if err := there.Delete(bg, "session", "1"); err != nil {
				t.Errorf("deleted again: %v", err)
			}
			if got := found(t, here, "session", "1"); got != "-" {
				t.Errorf("after it was deleted: %q", got)
			}
			for key, value := range plain.values {
				if strings.Contains(key, "session") || bytes.Contains(value, []byte("bob")) {
					t.Errorf("in the clear: %q, %q", key, value)
				}
			}
		})
	}
}

func TestSwap(t *testing.T) {
	for name, newStore := range stores() {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore()
			v := replica(t, s, nil, secretA)
			swap := func(old *Value, plain string, want bool) {
				t.Helper()
				if swapped, err := v.Swap(bg, "lease", "1", old, []byte(plain), later); err != nil || swapped != want {
					t.Errorf("swapped %v, %v, want %v", swapped, err, want)
				}
			}
			swap(nil, "", true)
			swap(nil, "b", false)
			empty, err := v.Find(bg, "lease", "1")
			if err != nil || empty == nil {
				t.Fatalf("%v, %v", empty, err)
			}
			swap(empty, "c", true)
			swap(empty, "d", false)
			if got := found(t, v, "lease", "1"); got != "c" {
				t.Errorf("found %q", got)
			}
			c, _ := v.Find(bg, "lease", "1")
			if err := v.Delete(bg, "lease", "1"); err != nil {
				t.Fatal(err)
			}
			swap(c, "e", false)
			swap(nil, "c", true)
			swap(c, "f", false) // of the same text, and yet another value
		})
	}
}

// Of many who swap the same, one succeeds: in a store that cannot swap too, if it is one process.
func TestSwapOnce(t *testing.T) {
	for name, newStore := range stores() {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore()
			v := replica(t, s, nil, secretA)
			results := make(chan bool)
			for i := range 20 {
				go func() {
					swapped, err := v.Swap(bg, "lease", "1", nil, fmt.Append(nil, i), later)
					results <- swapped && err == nil
				}()
			}
			won := 0
			for range 20 {
				if <-results {
					won++
				}
			}
			if won != 1 {
				t.Errorf("%d have won", won)
			}
		})
	}
}

// A store that cannot swap need not know what an expiry is that has passed: those that are published for scs keep such a value.
func TestSwapPastExpiry(t *testing.T) {
	for name, expiry := range map[string]time.Time{"passed": begin.Add(-time.Second), "now": begin, "never set": {}} {
		s := newStore() // it knows of no expiry at all
		v := replica(t, s, &clock{now: begin}, secretA)
		commit(t, v, "session", "1", "old")
		old, err := v.Find(bg, "session", "1")
		if err != nil {
			t.Fatal(err)
		}
		if swapped, err := v.Swap(bg, "session", "1", old, []byte("new"), expiry); err != nil || !swapped {
			t.Errorf("%s: %t, %v", name, swapped, err)
		}
		if got := found(t, v, "session", "1"); got != "-" {
			t.Errorf("%s: %q is found", name, got)
		}
	}
}

// What a store answers with, or does not, tells nothing; a swap looks for itself.
func TestSwapWithLostAnswer(t *testing.T) {
	for name, row := range map[string]struct {
		fault   func(run func()) error // of the swap
		then    string                 // what stands in the store in the end
		swapped bool
		away    bool
	}{
		"it happened, and the answer was lost": {func(run func()) error { run(); return errBad }, "new", true, false},
		"it did not happen":                    {func(func()) error { return errBad }, "old", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFull()
			v := replica(t, s, nil, secretA)
			commit(t, v, "lease", "1", "old")
			old, _ := v.Find(bg, "lease", "1")
			s.fault = func(_ context.Context, operation, _ string, run func()) error {
				if operation == "swap" {
					return row.fault(run)
				}
				run()
				return nil
			}
			swapped, err := v.Swap(bg, "lease", "1", old, []byte("new"), later)
			if swapped != row.swapped || errors.Is(err, ErrAway) != row.away {
				t.Errorf("swapped %v, %v", swapped, err)
			}
			s.fault = nil
			if got := found(t, v, "lease", "1"); got != row.then {
				t.Errorf("found %q", got)
			}
		})
	}
	t.Run("somebody else's is there", func(t *testing.T) {
		s := newFull()
		v, other := replica(t, s, nil, secretA), replica(t, s, nil, secretA)
		commit(t, other, "lease", "1", "theirs")
		s.fault = func(_ context.Context, operation, _ string, run func()) error {
			if operation == "swap" {
				return errBad
			}
			run()
			return nil
		}
		if swapped, err := v.Swap(bg, "lease", "1", nil, []byte("ours"), later); swapped || err != nil {
			t.Errorf("swapped %v, %v", swapped, err)
		}
	})
}

func TestUnreadable(t *testing.T) {
	for name, change := range map[string]func(v *Vault, values map[string][]byte, at, other string){
		"another key's value":  func(_ *Vault, values map[string][]byte, at, other string) { values[at] = values[other] },
		"cut":                  func(_ *Vault, values map[string][]byte, at, _ string) { values[at] = values[at][:len(values[at])-1] },
		"empty":                func(_ *Vault, values map[string][]byte, at, _ string) { values[at] = []byte{} },
		"longer":               func(_ *Vault, values map[string][]byte, at, _ string) { values[at] = append(values[at], 0) },
		"of a later version":   func(_ *Vault, values map[string][]byte, at, _ string) { values[at][0]++ },
		"with another secret":  func(_ *Vault, values map[string][]byte, at, _ string) { values[at][1]++ },
		"not sealed":           func(_ *Vault, values map[string][]byte, at, _ string) { values[at] = []byte("alice") },
		"larger than anything": func(_ *Vault, values map[string][]byte, at, _ string) { values[at] = make([]byte, MaxValue+1) },
		"sealed with the application's secret": func(v *Vault, values map[string][]byte, at, _ string) {
			values[at], _ = v.rings[0].SealBytes(v.rand, purpose(at), []byte("alice"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFull()
			v := replica(t, s, nil, secretA)
			commit(t, v, "session", "1", "alice")
			commit(t, v, "session", "2", "bob")
			o := v.known.Load()
			at, other := o.name(Key{"session", "1"}), o.name(Key{"session", "2"})
			change(v, s.values, at, other)
			before := bytes.Clone(s.values[at])
			value, err := v.Find(bg, "session", "1")
			if !errors.Is(err, ErrUnreadable) || errors.Is(err, ErrAway) || value == nil || value.Plain != nil {
				t.Fatalf("found %v, %v", value, err)
			}
			if !bytes.Equal(s.values[at], before) {
				t.Error("it was changed")
			}
			many, err := v.FindMany(bg, []Key{{"session", "2"}, {"session", "1"}})
			if err != nil || string(many[0].Plain) != "bob" || !many[1].Unreadable || many[1].Plain != nil {
				t.Errorf("found %v, %v", many, err)
			}
			if swapped, err := v.Swap(bg, "session", "1", value, []byte("carol"), later); !swapped || err != nil {
				t.Errorf("swapped %v, %v", swapped, err)
			}
			if got := found(t, v, "session", "1"); got != "carol" {
				t.Errorf("found %q", got)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	v := replica(t, newFull(), nil, secretA)
	most := make([]byte, MaxValue-seal.Overhead)
	if err := v.Commit(bg, "a", "1", most, later); err != nil {
		t.Error(err)
	}
	if value, err := v.Find(bg, "a", "1"); err != nil || !bytes.Equal(value.Plain, most) {
		t.Errorf("%v", err)
	}
	for name, write := range map[string]func([]byte) error{
		"commit": func(plain []byte) error { return v.Commit(bg, "a", "2", plain, later) },
		"swap":   func(plain []byte) error { _, err := v.Swap(bg, "a", "2", nil, plain, later); return err },
	} {
		if err := write(append(most, 0)); !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrAway) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A store that is away is an error in every operation, and never the answer that there is nothing.
func TestAway(t *testing.T) {
	operations := map[string]func(context.Context, *Vault) error{
		"Find":     func(ctx context.Context, v *Vault) error { _, err := v.Find(ctx, "a", "1"); return err },
		"FindMany": func(ctx context.Context, v *Vault) error { _, err := v.FindMany(ctx, []Key{{"a", "1"}}); return err },
		"Commit":   func(ctx context.Context, v *Vault) error { return v.Commit(ctx, "a", "1", nil, later) },
		"Swap": func(ctx context.Context, v *Vault) error {
			_, err := v.Swap(ctx, "a", "1", nil, nil, later)
			return err
		},
		"Delete":   func(ctx context.Context, v *Vault) error { return v.Delete(ctx, "a", "1") },
		"Epoch":    func(ctx context.Context, v *Vault) error { _, err := v.Epoch(ctx); return err },
		"NewEpoch": func(ctx context.Context, v *Vault) error { _, err := v.NewEpoch(ctx, Epoch{}); return err },
		"Notify":   func(ctx context.Context, v *Vault) error { return v.Notify(ctx, "t", "m") },
		"Subscribe": func(ctx context.Context, v *Vault) error {
			_, err := v.Subscribe(ctx, "t", func(string) {}, func() {})
			return err
		},
	}
	faults := map[string]func(context.Context, string, string, func()) error{
		"refused": func(context.Context, string, string, func()) error { return errBad },
		"silent":  func(ctx context.Context, _, _ string, _ func()) error { <-ctx.Done(); return ctx.Err() },
		"panics":  func(context.Context, string, string, func()) error { panic("secret") },
	}
	for operation, use := range operations {
		for name, fault := range faults {
			for _, known := range []bool{false, true} {
				if operation == "Subscribe" && name != "refused" || operation == "Epoch" && known {
					continue
				}
				t.Run(fmt.Sprintf("%s %s %v", operation, name, known), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newFull()
						v := replica(t, s, nil, secretA)
						if known {
							epoch(t, v)
						}
						s.fault = fault
						begun := time.Now()
						err := use(bg, v)
						if !errors.Is(err, ErrAway) || errors.Is(err, ErrUnreadable) || strings.Contains(err.Error(), "secret") {
							t.Errorf("%v", err)
						}
						if took := time.Since(begun); took > 3*defaultTimeout {
							t.Errorf("it took %v", took)
						}
						s.fault = nil
						if err := use(bg, v); err != nil {
							t.Errorf("when it is back: %v", err)
						}
					})
				})
			}
		}
	}
}

// Many who wait for a silent store wait once, not one after the other.
func TestAwayForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFull()
		v := replica(t, s, nil, secretA)
		s.fault = func(ctx context.Context, _, _ string, _ func()) error { <-ctx.Done(); return ctx.Err() }
		begun, done := time.Now(), make(chan error)
		for range 50 {
			go func() { _, err := v.Find(bg, "a", "1"); done <- err }()
		}
		for range 50 {
			if err := <-done; !errors.Is(err, ErrAway) {
				t.Errorf("%v", err)
			}
		}
		if took := time.Since(begun); took > defaultTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// Who leaves says nothing about the store.
func TestCallerLeaves(t *testing.T) {
	s := newFull()
	v := replica(t, s, nil, secretA)
	epoch(t, v)
	s.fault = func(ctx context.Context, _, _ string, run func()) error { run(); return ctx.Err() }
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := v.Find(ctx, "a", "1"); !errors.Is(err, ErrAway) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if v.stale.Load() {
		t.Error("the root is in doubt")
	}
}

func TestWrongNumberOfValues(t *testing.T) {
	v := replica(t, shortStore{newFull()}, nil, secretA)
	if _, err := v.FindMany(bg, []Key{{"a", "1"}, {"a", "2"}}); !errors.Is(err, ErrAway) {
		t.Errorf("%v", err)
	}
}

// shortStore finds nothing at all.
type shortStore struct{ *fullStore }

func (shortStore) FindManyCtx(context.Context, []string) ([][]byte, error) { return nil, nil }

// A known root costs no round trip: each operation is one.
func TestRoundTrips(t *testing.T) {
	s := newFull()
	v := replica(t, s, nil, secretA)
	commit(t, v, "a", "1", "x")
	s.finds = 0
	for range 10 {
		found(t, v, "a", "1")
	}
	if s.finds != 10 {
		t.Errorf("%d round trips for 10", s.finds)
	}
}

func FuzzOpen(f *testing.F) {
	s := newFull()
	v := replica(f, s, nil, secretA)
	commit(f, v, "a", "1", "alice")
	name := v.known.Load().name(Key{"a", "1"})
	good := s.values[name]
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		value := v.known.Load().open(name, stored)
		if value != nil && !value.Unreadable && !bytes.Equal(stored, good) {
			t.Errorf("%x opens", stored)
		}
	})
}
