package memo

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestMemo(t *testing.T) {
	m := New[int](1 << 20)
	for i := range 100 {
		m.Put(fmt.Sprint(i), i, 100)
	}
	for i := range 100 {
		if v, ok := m.Get(fmt.Sprint(i)); !ok || v != i {
			t.Fatalf("%d is %d, %v", i, v, ok)
		}
	}
	m.Put("1", 2, 100)
	if v, _ := m.Get("1"); v != 2 || m.used.Load() != 100*100 {
		t.Errorf("replaced, it is %d; %d bytes are used", v, m.used.Load())
	}
	m.Delete("1")
	if _, ok := m.Get("1"); ok {
		t.Error("deleted, it is there")
	}
	m.Delete("1")
	if m.used.Load() != 99*100 {
		t.Errorf("%d bytes are used", m.used.Load())
	}
	m.Clear()
	if _, ok := m.Get("2"); ok || m.used.Load() != 0 {
		t.Error("cleared, it is there")
	}
}

func TestNil(t *testing.T) {
	m := New[int](0)
	m.Put("a", 1, 1)
	m.Delete("a")
	m.Clear()
	if _, ok := m.Get("a"); ok || m != nil {
		t.Error("nothing remembers something")
	}
}

// What is asked for stays, though ten times what fits goes by.
func TestBound(t *testing.T) {
	const bound, size = 1 << 20, 1 << 10
	m := New[int](bound)
	for i := range 64 {
		m.Put(fmt.Sprint("good ", i), i, size)
	}
	for i := range 10 * bound / size {
		for g := range 64 {
			m.Get(fmt.Sprint("good ", g))
		}
		m.Put(fmt.Sprint("flood ", i), i, size)
		if m.used.Load() > bound {
			t.Fatalf("after %d: %d bytes", i, m.used.Load())
		}
	}
	kept := 0
	for g := range 64 {
		if _, ok := m.Get(fmt.Sprint("good ", g)); ok {
			kept++
		}
	}
	if kept < 60 {
		t.Errorf("%d of 64 are left", kept)
	}
	if n := m.used.Load(); n < bound*9/10 {
		t.Errorf("only %d bytes are used", n)
	}
	m.Put("too large", 1, bound/shards+1)
	if _, ok := m.Get("too large"); ok {
		t.Error("what is larger than a shard's due is kept")
	}
}

// Strings of one hash must not be taken for each other: the whole is compared.
func TestSameHash(t *testing.T) {
	m := New[int](1 << 20)
	m.Put("a", 1, 1)
	s, h := m.find("a")
	s.byHash[h].key = "b"
	if _, ok := m.Get("a"); ok {
		t.Error("another string of the same hash is taken for it")
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
					m.Put(key, key, 512)
				case 1:
					m.Delete(key)
				default:
					if v, ok := m.Get(key); ok && v != key {
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
	m.Put(key, new(int), 1000)
	if n := testing.AllocsPerRun(100, func() { m.Get(key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
