package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/vault"
)

// store is a store in memory. fault is asked before each of its operations what is to go wrong.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	done   int // operations
	fault  func(operation int) how
}

// how an operation goes wrong.
type how int

const (
	fine   how = iota
	before     // nothing happens
	after      // it happens, and the answer is lost
)

func (h how) String() string { return [...]string{"fine", "before", "after"}[h] }

var errBroken = errors.New("the connection broke")

func newStore() *store { return &store{values: map[string][]byte{}} }

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
		return errBroken
	}
	return nil
}

func (s *store) FindCtx(_ context.Context, key string) (value []byte, found bool, err error) {
	err = s.do(func() { value, found = s.values[key] })
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
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

// damage changes the last byte of what is stored for the grant.
func (s *store) damage(t *testing.T, l *Leases) {
	t.Helper()
	before := map[string]string{}
	for key, value := range s.values {
		before[key] = string(value)
	}
	if err := l.options.Vault.Commit(t.Context(), kind, "g", []byte("x"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for key, value := range s.values {
		if before[key] != string(value) {
			s.values[key] = append(value[:len(value)-1:len(value)-1], value[len(value)-1]^1)
			return
		}
	}
	t.Fatal("nothing is stored")
}

// replica is one of the processes that share a store. ahead is how far its clock is ahead.
func replica(t *testing.T, s *store, ahead time.Duration) *Leases {
	t.Helper()
	return replicaOf(t, s, false, ahead)
}

// replicaOf is replica with a store that finds several values at once, or one after the other.
func replicaOf(t *testing.T, s *store, many bool, ahead time.Duration) *Leases {
	t.Helper()
	ring, err := seal.New("test", strings.Repeat("s", seal.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Now().Add(ahead) }
	o := vault.Options{Store: s, Ring: ring, Rand: rand.Reader, Now: now}
	if many {
		o.Store = manyStore{s}
	}
	v := vault.New(o)
	l := New(Options{Vault: v, Now: now, Rand: rand.Reader, Work: Work, Kept: time.Hour})
	t.Cleanup(func() { l.Close(); v.Close() })
	return l
}

// grant is what a browser has of a grant in that version.
func grant(version int64) Grant {
	return Grant{ID: "g", Version: version, Payload: payload(version), Expiry: time.Now().Add(time.Hour), Confirmed: time.Now()}
}

func payload(version int64) []byte { return fmt.Appendf(nil, "payload %d", version) }

// provider is the other side: it answers each version once, and again within its grace period.
type provider struct {
	takes time.Duration
	grace time.Duration

	mu       sync.Mutex
	first    map[int64]time.Time
	sent     int // requests
	replayed int // answered again
	reused   int // refused, because the version was used before
}

func (p *provider) send(version int64) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == nil {
		p.first = map[int64]time.Time{}
	}
	p.sent++
	used, again := p.first[version]
	switch {
	case !again:
		p.first[version] = time.Now()
	case time.Since(used) < p.grace:
		p.replayed++
	default:
		p.reused++
		return false
	}
	return true
}

// attempt is what a holder does, of whom nothing goes wrong.
func (p *provider) attempt(version int64) func(context.Context, bool) Attempt {
	return func(ctx context.Context, lost bool) Attempt {
		if !p.send(version) {
			return Attempt{Over: true, Lost: lost}
		}
		if wait(ctx, p.takes) != nil {
			return Attempt{Lost: true}
		}
		return Attempt{Payload: payload(version + 1)}
	}
}
