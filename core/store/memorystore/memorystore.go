// Package memorystore keeps what sessions share in the memory of one process: for tests, for development, and for an application
// that runs as one process.
//
//	client, err := idserver.New(idserver.Config{
//		Store: memorystore.New(),
//		// ...
//	})
//
// What it holds is gone when the process ends: with Config.ServerSessions, everybody is signed out then.
package memorystore

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

var _ interface {
	idserver.Store
	idserver.Swapper
	idserver.Notifier
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
} = (*Store)(nil)

// DefaultMaxBytes is the default of Store.MaxBytes: 256 MiB, which is room for about 50,000 sessions of 4 kB.
const DefaultMaxBytes = 256 << 20

// overhead is what a value takes besides its bytes and those of its key, in about.
const overhead = 200

// ErrFull is the error of CommitCtx and SwapCtx when there is no room for the value. Nothing is evicted: what ends sessions must
// not be forgotten because others begin.
var ErrFull = errors.New("memorystore: full")

// Store holds values in memory. It is an [idserver.Store], [idserver.Swapper] and [idserver.Notifier], and has FindManyCtx,, and
// its zero value is one that is empty. Replicas that are clients in one process may share one. It starts no goroutine but while messages are being
// handed over, and needs no closing. The fields are set before it is used, and not afterwards.
type Store struct {
	// Now is the clock. It is called concurrently. Default: time.Now.
	Now func() time.Time
	// MaxBytes bounds what is held: keys, values, and 200 bytes for each. Default: DefaultMaxBytes.
	MaxBytes int

	mu    sync.Mutex
	byKey map[string]*entry
	soon  soonest
	bytes int

	topics topics
}

// New returns an empty store.
func New() *Store { return new(Store) }

// String describes the store, and shows no value.
func (s *Store) String() string { return fmt.Sprintf("memorystore.Store{%d values}", s.Len()) }

// GoString returns what String does.
func (s *Store) GoString() string { return s.String() }

// Len returns how many values are held, including some whose expiry has passed.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.soon)
}

// FindCtx returns a copy of the value of key. The error is ctx's.
func (s *Store) FindCtx(ctx context.Context, key string) (value []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	value = slices.Clone(s.find(key, now))
	return value, value != nil, nil
}

// FindManyCtx returns copies of the values of keys, all of one moment. The error is ctx's.
func (s *Store) FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	now := s.now()
	values = make([][]byte, len(keys))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, key := range keys {
		values[i] = slices.Clone(s.find(key, now))
	}
	return values, nil
}

// CommitCtx makes a copy of value the value of key. The error is ctx's, or [ErrFull].
func (s *Store) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, value, expiry, now)
}

// DeleteCtx removes the value of key. The error is ctx's.
func (s *Store) DeleteCtx(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byKey[key]; e != nil {
		s.remove(e)
	}
	return nil
}

// SwapCtx makes a copy of value the value of key if its value is old; with old nil, if it has none. The error is ctx's, or [ErrFull].
func (s *Store) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if current := s.find(key, now); (current == nil) != (old == nil) || !bytes.Equal(current, old) {
		return false, nil
	}
	err = s.put(key, value, expiry, now)
	return err == nil, err
}

func (s *Store) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// find returns the value itself; nil if there is none.
func (s *Store) find(key string, now time.Time) []byte {
	if e := s.byKey[key]; e != nil && now.Before(e.expiry) {
		return e.value
	}
	return nil
}

func (s *Store) put(key string, value []byte, expiry, now time.Time) error {
	s.expire(now)
	e := s.byKey[key]
	size := len(key) + len(value) + overhead
	if e != nil {
		size -= e.size()
	}
	most := s.MaxBytes
	if most == 0 {
		most = DefaultMaxBytes
	}
	switch {
	case !now.Before(expiry):
		if e != nil {
			s.remove(e)
		}
		return nil
	case size > 0 && s.bytes+size > most:
		return ErrFull
	case e == nil:
		if s.byKey == nil {
			s.byKey = map[string]*entry{}
		}
		e = &entry{key: key, expiry: expiry}
		s.byKey[key] = e
		heap.Push(&s.soon, e)
	}
	e.value, e.expiry = append(make([]byte, 0, len(value)), value...), expiry
	heap.Fix(&s.soon, e.place)
	s.bytes += size
	return nil
}

// expireAtOnce limits how many values whose expiry has passed one write removes, so that none holds the lock for long. It is
// more than one, so that they become fewer.
const expireAtOnce = 4

func (s *Store) expire(now time.Time) {
	for range expireAtOnce {
		if len(s.soon) == 0 || now.Before(s.soon[0].expiry) {
			return
		}
		s.remove(s.soon[0])
	}
}

func (s *Store) remove(e *entry) {
	heap.Remove(&s.soon, e.place)
	delete(s.byKey, e.key)
	s.bytes -= e.size()
}

// entry is a value with its key. place is its index in the heap.
type entry struct {
	key    string
	value  []byte // never nil
	expiry time.Time
	place  int
}

func (e *entry) size() int { return len(e.key) + len(e.value) + overhead }

// soonest is a heap with the entry that expires first at its top.
type soonest []*entry

func (h soonest) Len() int           { return len(h) }
func (h soonest) Less(i, j int) bool { return h[i].expiry.Before(h[j].expiry) }

func (h soonest) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *soonest) Push(x any) {
	e := x.(*entry)
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *soonest) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
