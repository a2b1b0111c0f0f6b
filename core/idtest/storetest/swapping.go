package storetest

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// swap fails the test unless SwapCtx answers want.
func swap(t tester, s idserver.Store, why, key string, old, value []byte, expiry time.Time, want bool) {
	t.Helper()
	swapped, err := s.(idserver.Swapper).SwapCtx(t.Context(), key, old, value, expiry)
	if err != nil || swapped != want {
		t.Errorf("SwapCtx, %s: %v, %v; want %v", why, swapped, err, want)
	}
}

// swaps: the value changes if it is the old one to the last byte, and stays as it is otherwise.
func swaps(t tester, s idserver.Store) {
	key, other := newKey(), newKey()
	first, second, foreign := unique(), unique(), unique()
	commit(t, s, other, foreign, later())

	swap(t, s, "an old value where there is none", key, first, second, later(), false)
	lacks(t, s, key)
	swap(t, s, "none where there is none", key, nil, first, later(), true)
	has(t, s, key, first)
	swap(t, s, "none where there is one", key, nil, second, later(), false)
	has(t, s, key, first)
	swap(t, s, "none where the same value is", key, nil, first, later(), false)
	swap(t, s, "another key's value", key, foreign, second, later(), false)
	for _, near := range [][]byte{
		first[:len(first)-1], first[1:], append(bytes.Clone(first), 0), append(bytes.Clone(first), ' '), append([]byte{0}, first...),
		bytes.ToLower(first), {}, first[:1],
	} {
		swap(t, s, fmt.Sprintf("%q where it is %q", near, first), key, near, second, later(), false)
	}
	has(t, s, key, first)
	swap(t, s, "the old value", key, first, second, later(), true)
	has(t, s, key, second)
	swap(t, s, "the value before", key, first, unique(), later(), false)
	has(t, s, key, second)
	has(t, s, other, foreign)
	remove(t, s, key)
	swap(t, s, "a value that was deleted", key, second, unique(), later(), false)
	lacks(t, s, key)
	swap(t, s, "none where one was deleted", key, nil, first, later(), true)
	commit(t, s, key, second, later())
	swap(t, s, "a value that was committed over", key, first, unique(), later(), false)
	swap(t, s, "the committed value", key, second, first, later(), true)
	has(t, s, key, first)

	large := make([]byte, 1<<20)
	_, _ = rand.Read(large)
	nearly := bytes.Clone(large)
	nearly[len(nearly)-1] ^= 1
	swap(t, s, "1 MiB", key, first, large, later(), true)
	has(t, s, key, large)
	swap(t, s, "1 MiB that differs in the last bit", key, nearly, first, later(), false)
	swap(t, s, "1 MiB for 1 MiB", key, large, nearly, later(), true)
	has(t, s, key, nearly)
	swap(t, s, "a byte for 1 MiB", key, nearly, []byte{0}, later(), true)
	swap(t, s, "two bytes for a NUL", key, []byte{0}, []byte{0, 0}, later(), true)
	swap(t, s, "a NUL where there are two", key, []byte{0}, first, later(), false)
	has(t, s, key, []byte{0, 0})
	remove(t, s, key)
	remove(t, s, other)
}

// swapExpires: a swap brings its own expiry, and a value that has expired is none.
func swapExpires(t tester, s idserver.Store) {
	swapped, prolonged, shortened, past := newKey(), newKey(), newKey(), newKey()
	old, value, began := unique(), unique(), time.Now()
	expiry := began.Add(life)
	swap(t, s, "none where there is none", swapped, nil, old, expiry, true)
	swap(t, s, "none where there is none", prolonged, nil, old, expiry, true)
	swap(t, s, "a value that is prolonged", prolonged, old, value, later(), true)
	swap(t, s, "none where there is none", shortened, nil, old, later(), true)
	swap(t, s, "a value that is shortened", shortened, old, value, expiry, true)

	for _, gone := range []time.Time{time.Now().Add(-time.Hour), {}} {
		commit(t, s, past, old, later())
		swap(t, s, "a value whose new one is past its expiry", past, old, value, gone, true)
		lacks(t, s, past)
	}
	goesBy(t, s, swapped, expiry, time.Since(began))
	goesBy(t, s, shortened, expiry, time.Since(began))
	swap(t, s, "a value that has expired", swapped, old, value, later(), false)
	lacks(t, s, swapped)
	swap(t, s, "none where one has expired", swapped, nil, value, later(), true)
	has(t, s, swapped, value)
	has(t, s, prolonged, value)
	remove(t, s, swapped)
	remove(t, s, prolonged)
}

// contended: of calls at once with the same old value, one returns true, and its value is the one that is found.
func contended(t tester, stores []idserver.Store) {
	const callers = 12
	key := newKey()
	var old []byte
	for round := range 12 {
		var all sync.WaitGroup
		var won atomic.Int32
		results := make([][]byte, callers)
		start := make(chan struct{})
		for i := range callers {
			value := unique()
			if round%4 == 3 { // a caller's mark must not be what makes it work: all values are one
				value = []byte("round " + strconv.Itoa(round))
			}
			all.Go(func() {
				<-start
				swapped, err := stores[i%len(stores)].(idserver.Swapper).SwapCtx(t.Context(), key, old, value, later())
				if err != nil {
					t.Errorf("SwapCtx: %v", err)
				}
				if swapped {
					won.Add(1)
					results[i] = value
				}
			})
		}
		close(start)
		all.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of %d callers with the same old value (none: %v) swapped, want one", n, callers, old == nil)
		}
		old = nil
		for _, value := range results {
			if value != nil {
				old = value
			}
		}
		for _, s := range stores {
			has(t, s, key, old)
		}
	}
	remove(t, stores[0], key)
}

// counts: a number that all callers raise is at the end as high as they raised it together.
func counts(t tester, stores []idserver.Store) {
	const callers, each = 4, 10
	key := newKey()
	commit(t, stores[0], key, []byte("0"), later())
	var all sync.WaitGroup
	for i := range callers {
		s := stores[i%len(stores)]
		all.Go(func() {
			done := 0
			for range callers * each { // each try that fails does so because another caller's has not
				if done == each {
					return
				}
				old, found, err := s.FindCtx(t.Context(), key)
				if err != nil || !found {
					t.Errorf("FindCtx: %v, %v", found, err)
					return
				}
				n, err := strconv.Atoi(string(old))
				if err != nil {
					t.Errorf("FindCtx: %s, want a number", short(old))
					return
				}
				swapped, err := s.(idserver.Swapper).SwapCtx(t.Context(), key, old, strconv.AppendInt(nil, int64(n+1), 10), later())
				if err != nil {
					t.Errorf("SwapCtx: %v", err)
					return
				}
				if swapped {
					done++
				}
			}
			if done < each {
				t.Errorf("SwapCtx: %d of %d tries swapped, which is fewer than the other callers leave", done, callers*each)
			}
		})
	}
	all.Wait()
	has(t, stores[0], key, []byte(strconv.Itoa(callers*each)))
	remove(t, stores[0], key)
}
