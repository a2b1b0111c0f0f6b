package memo

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func put[V any](m *Memo[V], key string, value V, size int) {
	m.Put(&Entry[V]{Key: []byte(key), Value: value}, size)
}

func get[V any](m *Memo[V], key string) (value V, ok bool) {
	if v := m.Get(key); v != nil {
		return *v, true
	}
	return value, false
}

func TestMemo(t *testing.T) {
	m := New[int](1 << 20)
	for i := range 100 {
		put(m, fmt.Sprint(i), i, 100)
	}
	for i := range 100 {
		if v, ok := get(m, fmt.Sprint(i)); !ok || v != i {
			t.Fatalf("%d is %d, %v", i, v, ok)
		}
	}
	put(m, "1", 2, 100)
	if v, _ := get(m, "1"); v != 2 || m.used.Load() != 100*100 {
		t.Errorf("replaced, it is %d; %d bytes are used", v, m.used.Load())
	}
	m.Delete("1")
	if _, ok := get(m, "1"); ok {
		t.Error("deleted, it is there")
	}
	m.Delete("1")
	if m.used.Load() != 99*100 {
		t.Errorf("%d bytes are used", m.used.Load())
	}
	m.Clear()
	if _, ok := get(m, "2"); ok || m.used.Load() != 0 {
		t.Error("cleared, it is there")
	}
}

func TestNil(t *testing.T) {
	m := New[int](0)
	put(m, "a", 1, 1)
	m.Delete("a")
	m.Clear()
	if _, ok := get(m, "a"); ok || m != nil {
		t.Error("nothing remembers something")
	}
}

// What is asked for stays, though ten times what fits goes by.
func TestBound(t *testing.T) {
	const bound, size = 1 << 20, 1 << 10
	m := New[int](bound)
	for i := range 64 {
		put(m, fmt.Sprint("good ", i), i, size)
	}
	for i := range 10 * bound / size {
		for g := range 64 {
			m.Get(fmt.Sprint("good ", g))
		}
		put(m, fmt.Sprint("flood ", i), i, size)
		if m.used.Load() > bound {
			t.Fatalf("after %d: %d bytes", i, m.used.Load())
		}
	}
	kept := 0
	for g := range 64 {
		if _, ok := get(m, fmt.Sprint("good ", g)); ok {
			kept++
		}
	}
	if kept < 60 {
		t.Errorf("%d of 64 are left", kept)
	}
	if n := m.used.Load(); n < bound*9/10 {
		t.Errorf("only %d bytes are used", n)
	}
	put(m, "too large", 1, bound/shards+1)
	if _, ok := get(m, "too large"); ok {
		t.Error("what is larger than a shard's due is kept")
	}
}

// Who still holds what was forgotten, such as a request that lasts, holds nothing else by it.
func TestForgottenHoldsNothing(t *testing.T) {
	m := New[int](1 << 20)
	var all []*Entry[int]
	for i := range 4 * shards {
		e := &Entry[int]{Key: fmt.Append(nil, i), Value: i}
		all = append(all, e)
		m.Put(e, 1)
	}
	m.Clear()
	for _, e := range all {
		if e.older != nil || e.newer != nil {
			t.Fatalf("%q is forgotten, and holds its neighbours", e.Key)
		}
	}
}

// Strings of one hash must not be taken for each other: the whole is compared. What is hashed is the end, so that strings of
// one end, such as two tokens with one signature, have one hash.
func TestSameHash(t *testing.T) {
	for name, length := range map[string]int{"short": 65, "long": 4000} {
		t.Run(name, func(t *testing.T) {
			key := strings.Repeat("k", length)
			m := New[int](1 << 20)
			put(m, key, 1, 1)
			for i := range length - 64 {
				other := key[:i] + "x" + key[i+1:]
				if _, ok := get(m, other); ok {
					t.Fatalf("it is found by one that differs in byte %d", i)
				}
				m.Delete(other)
			}
			for _, other := range []string{key + "k", "x" + key, key[1:], ""} {
				if _, ok := get(m, other); ok {
					t.Errorf("it is found by one of %d bytes", len(other))
				}
				m.Delete(other)
			}
			if v, ok := get(m, key); !ok || v != 1 {
				t.Fatal("another string of the same hash was deleted for it")
			}
			put(m, "x"+key, 2, 1)
			if v, ok := get(m, "x"+key); !ok || v != 2 {
				t.Error("the second string of a hash is not there")
			}
			if _, ok := get(m, key); ok || m.used.Load() != 1 {
				t.Errorf("the first of two strings of a hash is there, or counted: %d bytes", m.used.Load())
			}
		})
	}
}

func TestConcurrently(t *testing.T) {
	m := New[string](64 << 10)
	var running sync.WaitGroup
	for g := range 8 {
		running.Go(func() {
			for i := range 5000 {
				key := strings.Repeat("x", i%7) + fmt.Sprint(i%300)
				switch (g + i) % 5 {
				case 0:
					put(m, key, key, 512)
				case 1:
					m.Delete(key)
				default:
					if v, ok := get(m, key); ok && v != key {
						t.Errorf("%q is %q", key, v)
					}
				}
				if g == 0 && i%1000 == 0 {
					m.Clear()
				}
			}
		})
	}
	running.Wait()
	m.Clear()
	if m.used.Load() != 0 {
		t.Errorf("empty, it uses %d bytes", m.used.Load())
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	m := New[*int](1 << 20)
	key := strings.Repeat("k", 1000)
	put(m, key, new(int), 1000)
	if n := testing.AllocsPerRun(100, func() { m.Get(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
