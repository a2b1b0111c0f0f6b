package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// has fails the test unless key has the value.
func has(t tester, s idserver.Store, key string, want []byte) {
	t.Helper()
	value, found, err := s.FindCtx(t.Context(), key)
	switch {
	case err != nil:
		t.Errorf("FindCtx: %v", err)
	case !found:
		t.Errorf("FindCtx: not found, want %s", short(want))
	case !bytes.Equal(value, want):
		t.Errorf("FindCtx: %s, want %s", short(value), short(want))
	}
}

// lacks fails the test unless key has no value.
func lacks(t tester, s idserver.Store, key string) {
	t.Helper()
	value, found, err := s.FindCtx(t.Context(), key)
	switch {
	case err != nil:
		t.Errorf("FindCtx of a key without value: the error %v, want found == false and no error", err)
	case found:
		t.Errorf("FindCtx: %s, want it not to be found", short(value))
	case len(value) != 0:
		t.Errorf("FindCtx: not found, and the value %s all the same", short(value))
	}
}

func commit(t tester, s idserver.Store, key string, value []byte, expiry time.Time) {
	t.Helper()
	if err := s.CommitCtx(t.Context(), key, value, expiry); err != nil {
		t.Fatalf("CommitCtx of %s: %v", short(value), err)
	}
}

func remove(t tester, s idserver.Store, key string) {
	t.Helper()
	if err := s.DeleteCtx(t.Context(), key); err != nil {
		t.Fatalf("DeleteCtx: %v", err)
	}
}

// short is a value as a failed test shows it.
func short(value []byte) string {
	if len(value) <= 40 {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%q... (%d bytes)", value[:32], len(value))
}

// finds: what was committed last is found, until it is deleted.
func finds(t tester, s idserver.Store) {
	key := newKey()
	lacks(t, s, key)
	remove(t, s, key)
	for range 3 {
		value := unique()
		commit(t, s, key, value, later())
		has(t, s, key, value)
	}
	remove(t, s, key)
	lacks(t, s, key)
	remove(t, s, key)
	value := unique()
	commit(t, s, key, value, later())
	has(t, s, key, value)
	remove(t, s, key)
}

// values: any bytes, from one to 1 MiB.
func values(t tester, s idserver.Store) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := make([]byte, 1<<20)
	_, _ = rand.Read(large)
	key := newKey()
	for _, row := range []struct {
		name  string
		value []byte
	}{
		{"one byte", []byte("x")}, {"one NUL", []byte{0}}, {"NULs at both ends", []byte("\x00x\x00")},
		{"every byte", every}, {"no UTF-8", []byte("\xff\xfe\xc3")},
		{"quotes and a backslash", []byte(`'"\'; -- %s {}`)}, {"white space at the ends", []byte(" \r\nx\n")},
		{"a number", []byte("0012")}, {"hexadecimal of PostgreSQL", []byte(`\x00ff`)}, {"Redis's protocol", []byte("\r\n$-1\r\n")},
		{"64 kB", large[:64<<10]}, {"1 MiB", large}, {"1 MiB of zeros", make([]byte, 1<<20)}, {"few bytes after many", []byte("few")},
	} {
		given := bytes.Clone(row.value)
		if err := s.CommitCtx(t.Context(), key, given, later()); err != nil {
			t.Errorf("%s: CommitCtx: %v", row.name, err)
			continue
		}
		value, found, err := s.FindCtx(t.Context(), key)
		if err != nil || !found || !bytes.Equal(value, row.value) {
			t.Errorf("%s: %s was committed, and FindCtx returns %s, %v, %v", row.name, short(row.value), short(value), found, err)
		}
		if !bytes.Equal(given, row.value) {
			t.Errorf("%s: the value was changed by the store", row.name)
		}
	}
	remove(t, s, key)
}

// keys: they are the same if all their bytes are, up to 127.
func keys(t tester, s idserver.Store) {
	mark := rand.Text()
	long := mark + strings.Repeat("k", 126-len(mark))
	all := []string{
		long + "a", long + "b", long + "A", long, // 127 bytes that differ in the last one, and in its case; and 126
		"a" + mark, "A" + mark, "b" + mark, "a" + strings.ToLower(mark),
		mark, mark + "1", mark + "0", mark + "00", "0" + mark,
		mark + ":1", mark + ".1", mark + "-1", mark + "_1", mark + "%1", mark + "*1", mark + "?1", mark + "/1", mark + "/../1",
		mark + "'1", mark + `"1`, mark + `\1`, mark + "{1}", mark + "{}1", "{" + mark + "}1", mark + "$1", mark + "%251", mark + "+1", mark + "~",
		mark + "!\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~",
	}
	for _, key := range all {
		commit(t, s, key, []byte("of "+key), later())
	}
	for _, key := range all {
		has(t, s, key, []byte("of "+key))
	}
	for i, key := range all {
		remove(t, s, key)
		lacks(t, s, key)
		if i+1 < len(all) {
			has(t, s, all[i+1], []byte("of "+all[i+1]))
		}
	}
	one := newKey()
	commit(t, s, one, []byte("1"), later())
	for i := range one { // no byte of a key is without meaning
		other := []byte(one)
		other[i] ^= 1
		lacks(t, s, string(other))
	}
	remove(t, s, one)
}

// life is how long values live whose end is awaited, and tolerance how much later than at its expiry a value may be found.
const (
	life      = 1500 * time.Millisecond
	tolerance = 2 * time.Second
)

// goesBy waits until key has no value. It must have one until a second before its expiry, and none after the tolerance; the store may
// have learnt of the value as much as slack later than its expiry was made.
func goesBy(t tester, s idserver.Store, key string, expiry time.Time, slack time.Duration) {
	t.Helper()
	for {
		asked := time.Now()
		_, found, err := s.FindCtx(t.Context(), key)
		answered := time.Now()
		switch {
		case err != nil:
			t.Fatalf("FindCtx: %v", err)
		case !found && answered.Before(expiry.Add(-time.Second)):
			t.Fatalf("FindCtx: not found %v before its expiry", expiry.Sub(answered))
		case !found:
			return
		case asked.After(expiry.Add(tolerance + slack)):
			t.Fatalf("FindCtx: found %v after its expiry", asked.Sub(expiry))
		}
		time.Sleep(pause)
	}
}

// expires: a value is found until its expiry and not afterwards.
func expires(t tester, s idserver.Store) {
	far, short := newKey(), newKey()
	value := unique()
	commit(t, s, far, value, time.Now().AddDate(20, 0, 0))
	if _, ok := s.(idserver.Swapper); ok { // others are given no expiry that has passed
		hasPassed(t, s)
	}
	began := time.Now()
	expiry := began.Add(life)
	commit(t, s, short, unique(), expiry)
	goesBy(t, s, short, expiry, time.Since(began))
	lacks(t, s, short)
	has(t, s, far, value)
	remove(t, s, short)
	remove(t, s, far)
}

// hasPassed: with an expiry that has passed, there is no value.
func hasPassed(t tester, s idserver.Store) {
	t.Helper()
	past := newKey()
	for _, expiry := range []time.Time{time.Now().Add(-time.Hour), time.Now(), time.Now().Add(-time.Millisecond), time.Unix(0, 0), {}} {
		commit(t, s, past, unique(), later())
		commit(t, s, past, unique(), expiry)
		lacks(t, s, past)
	}
}

// expiryMoves: the expiry of the last CommitCtx counts, whether it is later or earlier than the one before.
func expiryMoves(t tester, s idserver.Store) {
	longer, shorter := newKey(), newKey()
	value, began := unique(), time.Now()
	expiry := began.Add(life)
	commit(t, s, longer, unique(), expiry)
	commit(t, s, longer, value, later())
	commit(t, s, shorter, value, later())
	commit(t, s, shorter, value, expiry)
	goesBy(t, s, shorter, expiry, time.Since(began))
	has(t, s, longer, value)
	remove(t, s, longer)
}

// endedContext: every method returns an error, and does nothing.
func endedContext(t tester, s idserver.Store) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	passed, cancelPassed := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancelPassed()
	key, absent := newKey(), newKey()
	value := unique()
	commit(t, s, key, value, later())
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "deadline passed": passed} {
		for method, err := range callAll(ctx, s, key, absent, value) {
			if err == nil {
				t.Errorf("%s, in a context that is %s: no error", method, name)
			}
		}
	}
	has(t, s, key, value)
	lacks(t, s, absent)
	remove(t, s, key)
}

// callAll calls every method that the store has, and returns the errors by the methods' names. key has the value, and absent none.
func callAll(ctx context.Context, s idserver.Store, key, absent string, value []byte) map[string]error {
	errs := map[string]error{}
	_, _, errs["FindCtx"] = s.FindCtx(ctx, key)
	_, _, errs["FindCtx of an absent key"] = s.FindCtx(ctx, absent)
	errs["CommitCtx"] = s.CommitCtx(ctx, absent, unique(), later())
	errs["DeleteCtx"] = s.DeleteCtx(ctx, key)
	if swapper, ok := s.(idserver.Swapper); ok {
		_, errs["SwapCtx"] = swapper.SwapCtx(ctx, key, value, unique(), later())
		_, errs["SwapCtx of an absent key"] = swapper.SwapCtx(ctx, absent, nil, unique(), later())
	}
	if finder, ok := s.(manyFinder); ok {
		_, errs["FindManyCtx"] = finder.FindManyCtx(ctx, []string{key, absent})
	}
	if notifier, ok := s.(idserver.Notifier); ok {
		errs["NotifyCtx"] = notifier.NotifyCtx(ctx, newKey(), "message")
		stop, err := notifier.Subscribe(ctx, newKey(), func(string) {}, func() {})
		if errs["Subscribe"] = err; err == nil {
			stop()
		}
	}
	return errs
}

// concurrency: keys do not disturb each other.
func concurrency(t tester, s idserver.Store) {
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			key := newKey()
			for range 20 {
				value := unique()
				if err := s.CommitCtx(t.Context(), key, value, later()); err != nil {
					t.Errorf("CommitCtx: %v", err)
					return
				}
				has(t, s, key, value)
			}
			if err := s.DeleteCtx(t.Context(), key); err != nil {
				t.Errorf("DeleteCtx: %v", err)
			}
			lacks(t, s, key)
		})
	}
	all.Wait()
}

// findsMany: what FindCtx finds, in the order of the keys.
func findsMany(t tester, s idserver.Store) {
	finder := s.(manyFinder)
	var all []string
	want := map[string][]byte{}
	for i := range 40 {
		key := newKey()
		all = append(all, key)
		if i%3 != 1 {
			want[key] = unique()
			commit(t, s, key, want[key], later())
		}
	}
	expired := newKey()
	commit(t, s, expired, unique(), later())
	commit(t, s, expired, unique(), time.Now().Add(-time.Second))
	large := make([]byte, 1<<20)
	_, _ = rand.Read(large)
	want[all[0]] = large
	commit(t, s, all[0], large, later())
	for name, keys := range map[string][]string{
		"none": nil, "one": all[:1], "an absent one": all[1:2], "three": all[:3], "all": all, "backwards": {all[3], all[2], all[1], all[0]},
		"one that has expired": {all[2], expired, all[3]}, "absent ones": {all[1], all[4], all[7]}, "one twice": {all[2], all[2], all[1]},
	} {
		got, err := finder.FindManyCtx(t.Context(), keys)
		if err != nil || len(got) != len(keys) {
			t.Errorf("%s: FindManyCtx of %d keys returns %d values, %v", name, len(keys), len(got), err)
			continue
		}
		for i, key := range keys {
			if !bytes.Equal(got[i], want[key]) || (got[i] == nil) != (want[key] == nil) {
				t.Errorf("%s: FindManyCtx returns %s for key %d of %d, want %s (nil: %v)", name, short(got[i]), i, len(keys), short(want[key]), want[key] == nil)
			}
		}
	}
	for _, key := range all {
		remove(t, s, key)
	}
}

// manyFinder is a store that finds several values in one round trip.
type manyFinder interface {
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
}
