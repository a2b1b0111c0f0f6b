package endings

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/vault"
)

var bg = context.Background()

// golden returns what an earlier version wrote, or a later one may write.
func golden(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// store is a store in memory. fault is asked before each of its operations, by its number, whether nothing happens or the
// answer is lost.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	root   map[string]bool // keys
	done   int
	fault  func(operation int) how
}

type how int

const (
	fine   how = iota
	before     // nothing happens
	after      // it happens, and the answer is lost
)

func newStore() *store { return &store{values: map[string][]byte{}, root: map[string]bool{}} }

func (s *store) do(operation func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	h := fine
	if s.fault != nil {
		h = s.fault(s.done)
	}
	if h != before {
		operation()
	}
	if h != fine {
		return errors.New("the connection broke")
	}
	return nil
}

func (s *store) FindCtx(_ context.Context, key string) (value []byte, found bool, err error) {
	err = s.do(func() { value, found = s.values[key] })
	return value, found && err == nil, err
}

func (s *store) FindManyCtx(_ context.Context, keys []string) (values [][]byte, err error) {
	err = s.do(func() {
		for _, key := range keys {
			values = append(values, s.values[key])
		}
	})
	return values, err
}

func (s *store) CommitCtx(_ context.Context, key string, value []byte, _ time.Time) error {
	return s.do(func() { s.values[key] = value })
}

func (s *store) DeleteCtx(_ context.Context, key string) error {
	return s.do(func() { delete(s.values, key) })
}

func (s *store) SwapCtx(_ context.Context, key string, old, value []byte, _ time.Time) (swapped bool, err error) {
	err = s.do(func() {
		if found, ok := s.values[key]; ok == (old != nil) && bytes.Equal(found, old) {
			s.values[key], swapped = value, true
		}
	})
	return swapped, err
}

func (s *store) setFault(fault func(int) how) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// edit changes all values but those of the root.
func (s *store) edit(change func([]byte) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range s.values {
		if !s.root[key] {
			s.values[key] = change(bytes.Clone(value))
		}
	}
}

// onlyRoot says that the store holds nothing but its root now.
func (s *store) onlyRoot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.values {
		s.root[key] = true
	}
}

// replica returns the markers of one process.
func replica(t testing.TB, s *store) *Markers {
	t.Helper()
	ring, err := seal.New("test", strings.Repeat("a", seal.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	v := vault.New(vault.Options{Store: s, Ring: ring, Rand: rand.Reader, Now: time.Now})
	m := NewMarkers(Options{Vault: v, Now: time.Now, Kept: 12 * time.Hour, Streams: NewStreams(time.Now)})
	t.Cleanup(func() {
		m.Close()
		v.Close()
	})
	return m
}

// sessionOf is a session that began at a time, in milliseconds after the beginning of a bubble.
func sessionOf(id byte, began int64) *Session {
	return &Session{
		ID: SessionMark([32]byte{id}), Person: PersonMark("https://op.example", "alice"), Provider: ProviderMark("https://op.example", "sid"),
		Began: at(began),
	}
}

// at is a time in milliseconds after the beginning of a bubble.
func at(ms int64) int64 { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + ms }
