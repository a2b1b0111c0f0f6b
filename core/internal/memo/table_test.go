package memo

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// A table does what a map does, also where hashes want the same slots, round its end and while it grows.
func TestTable(t *testing.T) {
	for name, hash := range map[string]func(r *rand.Rand) uint64{
		"spread":        (*rand.Rand).Uint64,
		"all one place": func(r *rand.Rand) uint64 { return r.Uint64N(40) << 40 },
		"at the end":    func(r *rand.Rand) uint64 { return ^uint64(0) - r.Uint64N(6)*shards - r.Uint64N(8)<<60 },
		"few places":    func(r *rand.Rand) uint64 { return r.Uint64N(1 << 11) },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			table, want := newTable[int](smallest), map[uint64]*Entry[int]{}
			most := 0
			for range 20_000 {
				h := hash(r)
				switch e := want[h]; {
				case e == nil && len(want) < 500:
					e = &Entry[int]{hash: h}
					want[h] = e
					if table.full() {
						table = table.grown()
					}
					table.put(e)
				case e != nil && r.IntN(2) == 0:
					delete(want, h)
					table.remove(e)
				}
				h = hash(r)
				if got := table.of(h); got != want[h] {
					t.Fatalf("%x is %p, want %p", h, got, want[h])
				}
				most = max(most, len(want))
			}
			if table.used != len(want) || most < 20 {
				t.Errorf("%d are used, want %d; at most there were %d", table.used, len(want), most)
			}
			for h, e := range want {
				if table.of(h) != e {
					t.Fatalf("%x is lost", h)
				}
				table.remove(e)
			}
			for i := range table.slots {
				if s := &table.slots[i]; s.entry.Load() != nil || s.head.Load() != nil {
					t.Fatal("empty, it holds an entry")
				}
			}
		})
	}
}

// Keys that are longer or shorter than what the table itself compares, and that differ from one that is there in one byte
// or in length, and have the same hash.
func TestKeysOfOneHash(t *testing.T) {
	for _, length := range []int{0, 1, len(head{}) - 1, len(head{}), len(head{}) + 1, 3 * len(head{})} {
		key := strings.Repeat("k", length)
		e := &Entry[int]{Key: []byte(key)}
		table := newTable[int](smallest)
		table.put(e)
		if table.get(0, key) != e {
			t.Errorf("a key of %d bytes is not found", length)
		}
		for i := range length {
			if table.get(0, key[:i]+"x"+key[i+1:]) != nil {
				t.Errorf("a key of %d bytes is found by one that differs in byte %d", length, i)
			}
			if table.get(0, key[:i]) != nil {
				t.Errorf("a key of %d bytes is found by its first %d", length, i)
			}
		}
		if table.get(0, key+"k") != nil {
			t.Errorf("a key of %d bytes is found by a longer one", length)
		}
	}
}

// A reader who meets a writer in the middle of a slot (the hash and the head of one entry, another entry) gets nothing that is not
// of its key.
func TestTornSlot(t *testing.T) {
	one, other := strings.Repeat("1", 600), strings.Repeat("2", 600)
	first, second := &Entry[int]{Key: []byte(one)}, &Entry[int]{Key: []byte(other)}
	for name, row := range map[string]struct {
		head *head
		key  string
	}{
		"the head of another": {headOf(first.Key), one}, "its own head": {headOf(second.Key), one}, "no head": {nil, one},
		"the head of another, its key's end": {headOf(first.Key), one[:512] + other[512:]},
	} {
		table := newTable[int](smallest)
		table.slots[0].entry.Store(second)
		table.slots[0].head.Store(row.head)
		if table.get(0, row.key) != nil {
			t.Errorf("%s: found by a key that is not its own", name)
		}
	}
}
