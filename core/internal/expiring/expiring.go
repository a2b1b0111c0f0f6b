// Package expiring is a bounded set of hashes that expire: revoked access tokens, sessions that were signed out.
package expiring

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"
)

// Set holds hashes, each until its time. It is safe for concurrent use.
type Set struct {
	now   func() time.Time
	most  int
	added atomic.Int64

	mu     sync.Mutex
	byHash map[[32]byte]*member
	soon   soonest
}

// member is a hash in the set. place is its index in the heap.
type member struct {
	hash  [32]byte
	until time.Time
	place int
}

// New returns an empty set of at most so many hashes, at least one. A set holds hashes and not what was hashed, so that no
// token stays in memory as a key.
func New(now func() time.Time, most int) *Set {
	return &Set{now: now, most: max(1, most), byHash: map[[32]byte]*member{}}
}

// Add puts a hash into the set until that time. The time of one that is there can only be extended: who may add a hash
// must not be able to have it forgotten. If there are too many, those that expire first are forgotten first, but never
// the one that is added. One whose time has passed is not added.
func (s *Set) Add(hash [32]byte, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if !now.Before(until) {
		return
	}
	s.forget(now)
	if m := s.byHash[hash]; m != nil {
		if !now.Before(m.until) { // it was no longer in the set, only not yet forgotten
			s.added.Add(1)
		}
		if m.until.Before(until) {
			m.until = until
			heap.Fix(&s.soon, m.place)
		}
		return
	}
	if len(s.soon) >= s.most {
		s.forgetFirst()
	}
	m := &member{hash: hash, until: until}
	s.byHash[hash] = m
	heap.Push(&s.soon, m)
	s.added.Add(1)
}

// Has reports whether a hash is in the set and its time has not passed.
func (s *Set) Has(hash [32]byte) bool {
	if s.added.Load() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.byHash[hash]
	return m != nil && s.now().Before(m.until)
}

// Added returns how many hashes were ever added, without a lock. A caller that asked Has and keeps the number from before
// that need not ask again until it has changed. Extending the time of a hash that is in the set does not count.
func (s *Set) Added() int64 { return s.added.Load() }

// Len returns how many hashes are held, including some whose time has passed.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.soon)
}

// forgetAtOnce limits how many hashes whose time has passed one Add forgets, so that none holds the lock for long. It is
// more than one, so that they become fewer.
const forgetAtOnce = 4

func (s *Set) forget(now time.Time) {
	for range forgetAtOnce {
		if len(s.soon) == 0 || now.Before(s.soon[0].until) {
			return
		}
		s.forgetFirst()
	}
}

func (s *Set) forgetFirst() {
	first := heap.Pop(&s.soon).(*member)
	delete(s.byHash, first.hash)
}

// soonest is a heap with the member that expires first at its top.
type soonest []*member

func (h soonest) Len() int           { return len(h) }
func (h soonest) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h soonest) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *soonest) Push(x any) {
	m := x.(*member)
	m.place = len(*h)
	*h = append(*h, m)
}

func (h *soonest) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return m
}
