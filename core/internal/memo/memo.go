// Package memo remembers what long strings sent by strangers turned out to mean: verified tokens, opened cookies.
//
// A Memo is limited in bytes. Only what was verified may be put in, so that a flood of forgeries cannot push out good
// strings. A string is found by a hash of its end, where a signature or an authentication tag is that nobody can choose;
// nevertheless, each Memo has a hash seed of its own, and the whole string is compared.
package memo

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
)

const shards = 32

// Memo maps strings to values. A nil Memo remembers nothing. It is safe for concurrent use.
type Memo[V any] struct {
	seed   maphash.Seed
	bound  int64
	used   atomic.Int64
	shards [shards]shard[V]
}

// shard is a part with its own lock, which Get takes for reading. byHash has one entry for each hash: a second key with
// the same hash replaces the first. The entries are also a list in the order in which they came. hand is where SIEVE
// (Zhang et al., NSDI 2024) looks for the next one to forget: one that was not asked for since the hand last passed it.
type shard[V any] struct {
	mu     sync.RWMutex
	byHash map[uint64]*Entry[V]
	newest *Entry[V]
	oldest *Entry[V]
	hand   *Entry[V]
	_      [64]byte // keeps the next shard's lock out of this one's cache line
}

// Entry is a string and what it means, in one piece of memory. What Get reads comes first: if there are many entries, it
// must be fetched from main memory at each hit.
type Entry[V any] struct {
	Key   []byte // its own memory, not part of something larger
	asked atomic.Bool
	size  uint32 // beside asked, where there is room: the allocator rounds entries up
	Value V

	hash         uint64
	older, newer *Entry[V] // the newest has no newer, the oldest no older
}

// New returns a memo of at most this many bytes, by the sizes given to Put, or nil if bytes is not positive.
func New[V any](bytes int) *Memo[V] {
	if bytes <= 0 {
		return nil
	}
	m := &Memo[V]{seed: maphash.MakeSeed(), bound: int64(bytes)}
	for i := range m.shards {
		m.shards[i].byHash = map[uint64]*Entry[V]{}
	}
	return m
}

// end returns the part of a string that is hashed: 64 of the 86 characters of an ES256 or EdDSA signature, and more than
// the tag of a sealed cookie.
func end[K string | []byte](key K) K { return key[max(0, len(key)-64):] }

func (m *Memo[V]) find(key string) (*shard[V], uint64) {
	h := maphash.String(m.seed, end(key))
	return m.shardOf(h), h
}

func (m *Memo[V]) shardOf(hash uint64) *shard[V] { return &m.shards[hash%shards] }

// Get returns the value of key, or nil if it is not remembered.
func (m *Memo[V]) Get(key string) *V {
	if m == nil {
		return nil
	}
	s, h := m.find(key)
	s.mu.RLock()
	e := s.byHash[h]
	s.mu.RUnlock()
	if e == nil || string(e.Key) != key {
		return nil
	}
	if !e.asked.Load() { // reading first keeps the cores' caches from taking the line from each other at every hit
		e.asked.Store(true)
	}
	return &e.Value
}

// Put remembers e, in place of what was remembered for its key before. size is the size of key and value, in bytes.
// Neither may be modified afterwards.
func (m *Memo[V]) Put(e *Entry[V], size int) {
	if m == nil || int64(size) > min(m.bound/shards, math.MaxUint32) {
		return
	}
	e.hash, e.size = maphash.Bytes(m.seed, end(e.Key)), uint32(size)
	s := m.shardOf(e.hash)
	s.mu.Lock()
	if before := s.byHash[e.hash]; before != nil {
		m.used.Add(-s.remove(before))
	}
	s.insert(e)
	s.mu.Unlock()
	if m.used.Add(int64(size)) <= m.bound {
		return
	}
	for i := range uint64(shards) { // this shard first, then the others if it has no more than its share
		s := &m.shards[(e.hash+i)%shards]
		s.mu.Lock()
		for m.used.Load() > m.bound && (i > 0 || s.newest != s.oldest) && s.newest != nil {
			m.used.Add(-s.remove(s.victim()))
		}
		s.mu.Unlock()
		if m.used.Load() <= m.bound {
			return
		}
	}
}

// Delete forgets key.
func (m *Memo[V]) Delete(key string) {
	if m == nil {
		return
	}
	s, h := m.find(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byHash[h]; e != nil && string(e.Key) == key {
		m.used.Add(-s.remove(e))
	}
}

// Clear forgets everything.
func (m *Memo[V]) Clear() {
	if m == nil {
		return
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for s.newest != nil {
			m.used.Add(-s.remove(s.newest))
		}
		s.byHash = map[uint64]*Entry[V]{} // a map that was emptied keeps its memory
		s.mu.Unlock()
	}
}

// insert adds e as the newest. The caller holds the lock.
func (s *shard[V]) insert(e *Entry[V]) {
	s.byHash[e.hash] = e
	if e.older = s.newest; e.older != nil {
		e.older.newer = e
	} else {
		s.oldest = e
	}
	s.newest = e
}

// remove removes e and returns its size. The caller holds the lock.
func (s *shard[V]) remove(e *Entry[V]) int64 {
	delete(s.byHash, e.hash)
	if s.hand == e {
		s.hand = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		s.newest = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		s.oldest = e.newer
	}
	e.older, e.newer = nil, nil // whoever still holds e, such as a long request, must not keep its neighbours alive
	return int64(e.size)
}

// victim returns the entry to forget. The caller holds the lock, and the shard is not empty.
func (s *shard[V]) victim() *Entry[V] {
	e := s.hand
	for {
		if e == nil {
			e = s.oldest
		}
		if !e.asked.Swap(false) {
			s.hand = e.newer
			return e
		}
		e = e.newer
	}
}
