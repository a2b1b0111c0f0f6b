package intern

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"unsafe"
)

func TestList(t *testing.T) {
	var table Table
	for _, texts := range [][]string{nil, {}, {"a"}, {"a", "bc", "d"}, {"abc", "d"}} {
		list, size := table.List(slices.Clone(texts))
		if !slices.Equal(list, texts) || size != 0 {
			t.Errorf("%q became %q of %d bytes", texts, list, size)
		}
		again, _ := table.List(slices.Clone(texts))
		if len(list) > 0 && &list[0] != &again[0] {
			t.Errorf("%q has two copies", texts)
		}
	}
	text := string([]byte("a b"))
	shared, size := table.Text(text)
	if shared != text || unsafe.StringData(shared) == unsafe.StringData(text) || size != 0 {
		t.Errorf("got %q of %d bytes, which is the caller's memory", shared, size)
	}
	if shared, size := table.Text(""); shared != "" || size != 0 {
		t.Errorf("got %q of %d bytes", shared, size)
	}
}

// Beyond the limit, each has a copy of its own, and counts it.
func TestFull(t *testing.T) {
	var table Table
	for i := range most {
		table.Text(strconv.Itoa(i))
	}
	list, size := table.List([]string{"one", "more"})
	if !slices.Equal(list, []string{"one", "more"}) || size != len("one more")+2*stringSize || len(table.lists) != most {
		t.Errorf("got %q of %d bytes; the table has %d", list, size, len(table.lists))
	}
	if _, size := table.Text("7"); size != 0 {
		t.Error("what was there before is forgotten")
	}
}

func TestConcurrently(t *testing.T) {
	var table Table
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 2 * most {
				text := strconv.Itoa(n % (i + 900))
				if shared, _ := table.Text(text); shared != text {
					t.Errorf("%q became %q", text, shared)
				}
			}
		})
	}
	all.Wait()
}
