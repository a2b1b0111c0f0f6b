package memo

import "sync/atomic"

// smallest is how many slots an empty table has.
const smallest = 8

// table finds entries by their hashes, one for each hash (a second key of the same hash takes the place of the first): open addressing
// with linear probing, so that a hit costs one cache line mostly. One writer at a time changes it; readers take no lock. A reader
// who meets a change may miss an entry that is there, or get one whose hash is another by now; get compares the key, and what is
// missed is proven or opened once more.
type table[V any] struct {
	slots []slot[V] // a power of two
	used  int       // the writer's
}

// slot is free when it has no entry. hash and head stand in the entry too, which is another cache line, and mostly one that must come from
// far away: entries with another hash need not come at all, and of the right one, entry and key come side by side.
type slot[V any] struct {
	hash  atomic.Uint64
	entry atomic.Pointer[Entry[V]]
	head  atomic.Pointer[head] // of the entry's key; nil when it is shorter
}

// head is how a key begins, in the memory of the key itself.
type head [512]byte

func headOf(key []byte) *head {
	if len(key) < len(head{}) {
		return nil
	}
	return (*head)(key)
}

func newTable[V any](slots int) *table[V] { return &table[V]{slots: make([]slot[V], slots)} }

// home is the slot where a hash belongs, or else behind it. The lowest bits have chosen the shard.
func (t *table[V]) home(hash uint64) int { return int(hash/shards) & (len(t.slots) - 1) }

func (t *table[V]) next(i int) int { return (i + 1) & (len(t.slots) - 1) }

// of returns the entry of a hash, nil when there is none.
func (t *table[V]) of(hash uint64) *Entry[V] {
	e, _ := t.find(hash)
	return e
}

// get returns the entry of a key, nil when there is none.
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

// full reports whether another entry would make for long ways.
func (t *table[V]) full() bool { return t.used >= len(t.slots)/4*3 }

// grown is a table of the same entries with twice the slots.
func (t *table[V]) grown() *table[V] {
	larger := newTable[V](2 * len(t.slots))
	for i := range t.slots {
		if e := t.slots[i].entry.Load(); e != nil {
			larger.put(e)
		}
	}
	return larger
}

// put adds an entry whose hash is not there. The table is not full.
func (t *table[V]) put(e *Entry[V]) {
	i := t.home(e.hash)
	for t.slots[i].entry.Load() != nil {
		i = t.next(i)
	}
	t.slots[i].set(e.hash, e)
	t.used++
}

// remove takes an entry out, and moves up those behind it that had to pass its slot: a search ends at a free one.
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
		way, gap := i-t.home(behind.hash), i-free // how far it is from home, and from the free slot, round the end
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
