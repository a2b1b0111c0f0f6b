package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
)

var (
	secretA = strings.Repeat("a", seal.MinSecret)
	secretB = strings.Repeat("b", seal.MinSecret)
	secretC = strings.Repeat("c", seal.MinSecret)

	bg     = context.Background()
	later  = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	begin  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	errBad = errors.New("connection reset by peer")
)

// plainStore is a store that can do nothing but what it must. fault, if set, is asked before each operation and may run it
// itself: it returns the error to answer with.
type plainStore struct {
	mu     sync.Mutex
	values map[string][]byte
	finds  int // operations that find
	fault  func(ctx context.Context, operation, key string, run func()) error
}

func newStore() *plainStore { return &plainStore{values: map[string][]byte{}} }

func (s *plainStore) do(ctx context.Context, operation, key string, run func()) error {
	locked := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		run()
	}
	if s.fault != nil {
		return s.fault(ctx, operation, key, locked)
	}
	locked()
	return nil
}

func (s *plainStore) FindCtx(ctx context.Context, key string) (value []byte, found bool, err error) {
	err = s.do(ctx, "find", key, func() {
		s.finds++
		value, found = s.values[key]
		value = bytes.Clone(value)
	})
	return value, found, err
}

func (s *plainStore) CommitCtx(ctx context.Context, key string, value []byte, _ time.Time) error {
	return s.do(ctx, "commit", key, func() { s.values[key] = bytes.Clone(value) })
}

func (s *plainStore) DeleteCtx(ctx context.Context, key string) error {
	return s.do(ctx, "delete", key, func() { delete(s.values, key) })
}

// swapStore can swap.
type swapStore struct{ *plainStore }

func (s swapStore) SwapCtx(ctx context.Context, key string, old, value []byte, _ time.Time) (swapped bool, err error) {
	err = s.do(ctx, "swap", key, func() {
		before, found := s.values[key]
		if swapped = found == (old != nil) && bytes.Equal(before, old); swapped {
			s.values[key] = bytes.Clone(value)
		}
	})
	return swapped, err
}

// fullStore can do all.
type fullStore struct {
	swapStore
	topics map[string][]subscriber
}

type subscriber struct {
	f    func(string)
	lost func()
}

func (s *fullStore) FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(ctx, "find", "", func() {
		s.finds++
		for _, key := range keys {
			values = append(values, bytes.Clone(s.values[key]))
		}
	})
	return values, err
}

func (s *fullStore) NotifyCtx(ctx context.Context, topic, message string) error {
	return s.do(ctx, "notify", topic, func() {
		for _, sub := range s.topics[topic] {
			sub.f(message)
		}
	})
}

func (s *fullStore) Subscribe(ctx context.Context, topic string, f func(string), lost func()) (stop func(), err error) {
	err = s.do(ctx, "subscribe", topic, func() { s.topics[topic] = append(s.topics[topic], subscriber{f, lost}) })
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.topics, topic)
	}, err
}

// stores are a store of each kind.
func stores() map[string]func() (Store, *plainStore) {
	return map[string]func() (Store, *plainStore){
		"plain": func() (Store, *plainStore) { s := newStore(); return s, s },
		"swap":  func() (Store, *plainStore) { s := newStore(); return swapStore{s}, s },
		"full":  func() (Store, *plainStore) { s := newFull(); return s, s.plainStore },
	}
}

func newFull() *fullStore { return &fullStore{swapStore{newStore()}, map[string][]subscriber{}} }

// clock is a clock that is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func ring(t testing.TB, first string, others ...string) *seal.Ring {
	t.Helper()
	r, err := seal.New("app", first, others...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// replica is a process that uses a store.
func replica(t testing.TB, s Store, c *clock, first string, others ...string) *Vault {
	t.Helper()
	if c == nil {
		c = &clock{now: begin}
	}
	v := New(Options{Store: s, Ring: ring(t, first, others...), Rand: rand.Reader, Now: c.Now})
	t.Cleanup(v.Close)
	return v
}

func commit(t testing.TB, v *Vault, kind, id, plain string) {
	t.Helper()
	if err := v.Commit(bg, kind, id, []byte(plain), later); err != nil {
		t.Fatal(err)
	}
}

// found returns what a vault finds, "-" if that is nothing.
func found(t testing.TB, v *Vault, kind, id string) string {
	t.Helper()
	value, err := v.Find(bg, kind, id)
	switch {
	case err != nil:
		return err.Error()
	case value == nil:
		return "-"
	}
	return string(value.Plain)
}

func epoch(t testing.TB, v *Vault) Epoch {
	t.Helper()
	e, err := v.Epoch(bg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
