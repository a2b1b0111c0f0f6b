package memorystore_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest/storetest"
	"github.com/signward/idserver-go/core/store/memorystore"
)

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) idserver.Store { return memorystore.New() })
}

// The clients of one process may share a store.
func TestContractShared(t *testing.T) {
	t.Parallel()
	store := memorystore.New()
	storetest.RunReplicas(t, storetest.Replicas{New: func(*testing.T) idserver.Store { return store }, Shared: true})
}

// clock is a clock that is set.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time       { return time.Unix(c.now.Load(), 0) }
func (c *clock) pass(d time.Duration) { c.now.Add(int64(d / time.Second)) }
func newStore() (*memorystore.Store, *clock) {
	c := new(clock)
	c.now.Store(1_800_000_000)
	s := memorystore.New()
	s.Now = c.Now
	return s, c
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s, c := newStore()
	ctx := t.Context()
	if err := s.CommitCtx(ctx, "key", []byte("value"), c.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.pass(59 * time.Second)
	if value, found, err := s.FindCtx(ctx, "key"); string(value) != "value" || !found || err != nil {
		t.Errorf("a second before its expiry: %q, %v, %v", value, found, err)
	}
	c.pass(time.Second)
	if value, found, err := s.FindCtx(ctx, "key"); value != nil || found || err != nil {
		t.Errorf("at its expiry: %q, %v, %v", value, found, err)
	}
	if swapped, err := s.SwapCtx(ctx, "key", []byte("value"), []byte("next"), c.Now().Add(time.Minute)); swapped || err != nil {
		t.Errorf("a value that has expired was swapped: %v, %v", swapped, err)
	}
}

// What has expired is removed by what is written afterwards, so that memory does not grow with all that was ever written.
func TestExpiredIsRemoved(t *testing.T) {
	t.Parallel()
	s, c := newStore()
	for i := range 10_000 {
		if err := s.CommitCtx(t.Context(), fmt.Sprint(i), []byte("value"), c.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		c.pass(time.Second)
		if n := s.Len(); n > 65 {
			t.Fatalf("after %d values that live for a minute each, %d are held", i, n)
		}
	}
	for i := range 10_000 { // what is committed again and again, with other expiries, is one value
		if err := s.CommitCtx(t.Context(), fmt.Sprint("again ", i%7), []byte("value"), c.Now().Add(time.Duration(i%1000)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	c.pass(time.Minute)
	for range 30 {
		if err := s.CommitCtx(t.Context(), "again 1", []byte("value"), c.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Len(); n > 7 {
		t.Errorf("%d values are held, want at most 7", n)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	s, c := newStore()
	s.MaxBytes = 2000
	ctx, later := t.Context(), c.Now().Add(time.Minute)
	value := bytes.Repeat([]byte("v"), 1000)
	if err := s.CommitCtx(ctx, "1", value, later); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitCtx(ctx, "2", value, later); !errors.Is(err, memorystore.ErrFull) {
		t.Errorf("more than fits: %v", err)
	}
	if swapped, err := s.SwapCtx(ctx, "2", nil, value, later); swapped || !errors.Is(err, memorystore.ErrFull) {
		t.Errorf("more than fits: %v, %v", swapped, err)
	}
	if _, found, err := s.FindCtx(ctx, "2"); found || err != nil {
		t.Errorf("what did not fit: %v, %v", found, err)
	}
	if err := s.CommitCtx(ctx, "1", append(value, value...), later); !errors.Is(err, memorystore.ErrFull) {
		t.Errorf("a value that grows beyond what fits: %v", err)
	}
	if found, ok, err := s.FindCtx(ctx, "1"); !bytes.Equal(found, value) || !ok || err != nil {
		t.Errorf("what was there is %q, %v, %v", found, ok, err)
	}
	for range 10 { // to replace a value takes no room, and to delete one gives it back
		if err := s.CommitCtx(ctx, "1", value, later); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.DeleteCtx(ctx, "1"), s.DeleteCtx(ctx, "1")); err != nil {
			t.Fatal(err)
		}
		if swapped, err := s.SwapCtx(ctx, "1", nil, value, later); !swapped || err != nil {
			t.Fatal(swapped, err)
		}
	}
	if err := s.CommitCtx(ctx, "1", value, c.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitCtx(ctx, "2", value, later); err != nil {
		t.Errorf("after the other value has gone: %v", err)
	}
	c.pass(time.Hour)
	if err := s.CommitCtx(ctx, "3", value, c.Now().Add(time.Minute)); err != nil {
		t.Errorf("after the other value has expired: %v", err)
	}
}

// What a caller does with a value afterwards changes nothing in the store.
func TestValuesAreCopies(t *testing.T) {
	t.Parallel()
	s, c := newStore()
	ctx, later := t.Context(), c.Now().Add(time.Minute)
	value := []byte("value")
	if err := s.CommitCtx(ctx, "key", value, later); err != nil {
		t.Fatal(err)
	}
	clear(value)
	found, _, _ := s.FindCtx(ctx, "key")
	clear(found)
	many, _ := s.FindManyCtx(ctx, []string{"key"})
	clear(many[0])
	if found, _, err := s.FindCtx(ctx, "key"); string(found) != "value" || err != nil {
		t.Errorf("%q, %v", found, err)
	}
}

// A subscriber for whom too many messages wait is told that it has lost some, hears those that come later, and costs no more memory.
func TestSubscriberIsLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		release := make(chan struct{})
		var heard []string
		losses := 0
		stop, err := s.Subscribe(t.Context(), "topic", func(message string) {
			<-release
			heard = append(heard, message)
		}, func() { losses++ })
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			if err := s.NotifyCtx(t.Context(), "topic", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				synctest.Wait() // it is being handed over
			}
		}
		close(release)
		synctest.Wait()
		if losses != 1 || len(heard) < 2 || len(heard) > 1001 || heard[0] != "0" || heard[len(heard)-1] != "4999" {
			t.Errorf("it was told %d times, and heard %d messages, the last of them %q", losses, len(heard), heard[max(0, len(heard)-1):])
		}
		stop()
	})
}

// Between messages, a subscription has no goroutine: a bubble of testing/synctest may end with one.
func TestSubscriptionIsIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memorystore.New()
		heard := 0
		if _, err := s.Subscribe(t.Context(), "topic", func(string) { heard++ }, func() {}); err != nil {
			t.Fatal(err)
		}
		if err := s.NotifyCtx(t.Context(), "topic", "message"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if heard != 1 {
			t.Errorf("%d messages were heard", heard)
		}
	})
}

func TestString(t *testing.T) {
	t.Parallel()
	s, c := newStore()
	if err := s.CommitCtx(t.Context(), "«key»", []byte("«value»"), c.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != "memorystore.Store{1 values}" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
