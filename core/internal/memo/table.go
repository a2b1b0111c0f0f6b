package memo

import "sync/atomic"

// smallest is the number of slots of an empty table.
const smallest = 8

// table finds entries by hash, one entry for each hash: a second key with the same hash replaces the first. It uses open
// addressing with linear probing, so that a hit mostly costs one cache line. One writer at a time modifies it; readers
// take no lock. A reader that meets a modification may miss an entry, or get one whose hash has just changed. get
// therefore compares the key, and a token or cookie that was missed is verified or opened once more.
type table[V any] struct {
	slots []slot[V] // a power of two
	used  int       // for the writer only
}

// slot is free if it has no entry. hash and head are copies of what the entry has too. The entry is in another cache
// line, mostly one that must be fetched from main memory: this way, entries with another hash need not be fetched at all,
// and the right entry and its key are fetched at the same time.
type slot[V any] struct {
	hash  atomic.Uint64
	entry atomic.Pointer[Entry[V]]
	head  atomic.Pointer[head] // of the entry's key; nil if that is shorter
}

// head is the beginning of a key, in the key's own memory.
type head [512]byte

func headOf(key []byte) *head {
	if len(key) < len(head{}) {
		return nil
	}
	return (*head)(key)
}

func newTable[V any](slots int) *table[V] { return &table[V]{slots: make([]slot[V], slots)} }

// home returns the slot in which a hash belongs; if that is taken, the entry is further on. The lowest bits have already
// selected the shard.
func (t *table[V]) home(hash uint64) int { return int(hash/shards) & (len(t.slots) - 1) }

func (t *table[V]) next(i int) int { return (i + 1) & (len(t.slots) - 1) }

// of returns the entry of a hash, or nil if there is none.
func (t *table[V]) of(hash uint64) *Entry[V] {
	e, _ := t.find(hash)
	return e
}

// get returns the entry of a key, or nil if there is none.
func (t *table[V]) get(hash uint64, key string) *Entry[V] {
	e, h := t.find(hash)
	switch {
	case e == nil:
		return nil
	case h == nil:
		if string(e.Key) != key {
			return nil
		}
	case len(key) < len(h) || string(h[:]) != key[:len(h)] || headOf(e.Key) != h || string(e.Key[len(h):]) != key[len(h):]:
		return nil
	}
	return e
}

func (t *table[V]) find(hash uint64) (*Entry[V], *head) {
	for i := t.home(hash); ; i = t.next(i) {
		s := &t.slots[i]
		if e := s.entry.Load(); e == nil || s.hash.Load() == hash {
			return e, s.head.Load()
		}
	}
}

// full reports whether one more entry would make searches long.
func (t *table[V]) full() bool { return t.used >= len(t.slots)/4*3 }

// grown returns a table of the same entries with twice as many slots.
func (t *table[V]) grown() *table[V] {
	larger := newTable[V](2 * len(t.slots))
	for i := range t.slots {
		if e := t.slots[i].entry.Load(); e != nil {
			larger.put(e)
		}
	}
	return larger
}

// put adds an entry whose hash is not in the table. The table is not full.
func (t *table[V]) put(e *Entry[V]) {
	i := t.home(e.hash)
	for t.slots[i].entry.Load() != nil {
		i = t.next(i)
	}
	t.slots[i].set(e.hash, e)
	t.used++
}

// remove removes an entry, and moves up those behind it that had to pass its slot: a search ends at a free slot.
func (t *table[V]) remove(e *Entry[V]) {
	free := t.home(e.hash)
	for t.slots[free].entry.Load() != e {
		free = t.next(free)
	}
	for i := t.next(free); ; i = t.next(i) {
		behind := t.slots[i].entry.Load()
		if behind == nil {
			break
		}
		way, gap := i-t.home(behind.hash), i-free // the distance from its home and from the free slot, wrapping around
		if mask := len(t.slots) - 1; way&mask >= gap&mask {
			t.slots[free].set(behind.hash, behind)
			free = i
		}
	}
	t.slots[free].set(0, nil)
	t.used--
}

func (s *slot[V]) set(hash uint64, e *Entry[V]) {
	s.hash.Store(hash)
	if e == nil {
		s.head.Store(nil)
	} else {
		s.head.Store(headOf(e.Key))
	}
	s.entry.Store(e)
}
