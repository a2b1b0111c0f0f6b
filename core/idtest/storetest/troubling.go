package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// replicasSee: what one replica has done, the others see at once.
func replicasSee(t tester, stores []idserver.Store) {
	key := newKey()
	for i := range 30 {
		value := unique()
		writer := stores[i%len(stores)]
		commit(t, writer, key, value, later())
		for _, s := range stores {
			has(t, s, key, value)
		}
		if swapper, ok := stores[(i+1)%len(stores)].(idserver.Swapper); ok {
			next := unique()
			if swapped, err := swapper.SwapCtx(t.Context(), key, value, next, later()); err != nil || !swapped {
				t.Errorf("SwapCtx of what another replica committed: %v, %v", swapped, err)
			}
			for _, s := range stores {
				has(t, s, key, next)
			}
		}
		remove(t, stores[(i+2)%len(stores)], key)
		for _, s := range stores {
			lacks(t, s, key)
		}
	}
	if _, ok := stores[0].(idserver.Notifier); ok {
		heardBy(t, stores[1], stores)
	}
}

// survivesCut: when connections break, calls may fail; soon they do not, and no answer is ever wrong. Subscribers are told, and hear
// messages again.
func survivesCut(t tester, s idserver.Store, cut func(t tester)) {
	key := newKey()
	value := unique()
	commit(t, s, key, value, later())
	_, notifies := s.(idserver.Notifier)
	topic := newKey()
	var l *listener
	if notifies {
		l = listen(t, s, topic)
		notify(t, s, topic, "before")
		waitFor(t, "a subscriber does not hear a message", func() bool { return len(l.heard()) > 0 || l.lost() > 0 })
	}
	var done atomic.Bool
	checked := make(chan struct{})
	go func() { // calls that are on their way when the connections break
		defer close(checked)
		for !done.Load() {
			found(t, s, key, value)
			time.Sleep(time.Millisecond)
		}
	}()
	defer func() { <-checked }()
	defer done.Store(true)
	for round := range 3 {
		lost := 0
		if notifies {
			lost = l.lost()
		}
		time.Sleep(pause)
		cut(t)
		waitFor(t, "calls fail, long after connections have broken", func() bool { return found(t, s, key, value) })
		if notifies {
			waitFor(t, "lost is not called after the connections have broken", func() bool { return l.lost() > lost })
			hearsAgain(t, s, l, topic, fmt.Sprintf("cut %d", round))
		}
	}
}

// hearsAgain waits until a message arrives, of those that are sent from now on.
func hearsAgain(t tester, s idserver.Store, l *listener, topic, mark string) {
	t.Helper()
	sent := 0
	waitFor(t, "a subscriber hears no message any more", func() bool {
		sent++
		_ = s.(idserver.Notifier).NotifyCtx(t.Context(), topic, fmt.Sprintf("%s, message %d", mark, sent))
		for _, message := range l.heard() {
			if strings.HasPrefix(message, mark) {
				return true
			}
		}
		return false
	})
}

// found reports whether FindCtx answers, and fails the test if its answer is wrong.
func found(t tester, s idserver.Store, key string, want []byte) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	value, found, err := s.FindCtx(ctx, key)
	if err == nil && (!found || !bytes.Equal(value, want)) {
		t.Errorf("FindCtx, through a fault: %s, %v and no error; want %s", short(value), found, short(want))
	}
	return err == nil
}

// survivesStall: when the store falls silent, each call ends with its context, and with an error. Subscribers are told.
func survivesStall(t tester, s idserver.Store, stall func(t tester) (resume func())) {
	key, absent := newKey(), newKey()
	value := unique()
	commit(t, s, key, value, later())
	lacks(t, s, absent)
	_, notifies := s.(idserver.Notifier)
	topic := newKey()
	var l *listener
	lost := 0
	if notifies {
		l = listen(t, s, topic)
		lost = l.lost()
	}
	resume := stall(t)
	defer resume()
	for range 2 { // with connections that were there before, and with those that are made now
		for method, call := range calls(s, key, absent) {
			bounded(t, method, call)
		}
	}
	if notifies {
		waitFor(t, "lost is not called in a connection that has fallen silent", func() bool { return l.lost() > lost })
		lost = l.lost()
		waitFor(t, "lost is not called again while messages cannot arrive", func() bool { return l.lost() > lost })
	}
	resume()
	waitFor(t, "calls fail, long after the store speaks again", func() bool { return found(t, s, key, value) })
	if notifies {
		hearsAgain(t, s, l, topic, "resumed")
	}
}

// calls are the methods that the store has. Those that write do so to keys of their own: what they are asked for may happen yet.
func calls(s idserver.Store, key, absent string) map[string]func(ctx context.Context) error {
	all := map[string]func(ctx context.Context) error{
		"FindCtx":                  func(ctx context.Context) error { _, _, err := s.FindCtx(ctx, key); return err },
		"FindCtx of an absent key": func(ctx context.Context) error { _, _, err := s.FindCtx(ctx, absent); return err },
		"CommitCtx":                func(ctx context.Context) error { return s.CommitCtx(ctx, newKey(), unique(), time.Now().Add(life)) },
		"DeleteCtx":                func(ctx context.Context) error { return s.DeleteCtx(ctx, newKey()) },
	}
	if swapper, ok := s.(idserver.Swapper); ok {
		all["SwapCtx"] = func(ctx context.Context) error {
			_, err := swapper.SwapCtx(ctx, newKey(), nil, unique(), time.Now().Add(life))
			return err
		}
	}
	if finder, ok := s.(manyFinder); ok {
		all["FindManyCtx"] = func(ctx context.Context) error {
			_, err := finder.FindManyCtx(ctx, []string{key, absent})
			return err
		}
	}
	if notifier, ok := s.(idserver.Notifier); ok {
		all["NotifyCtx"] = func(ctx context.Context) error { return notifier.NotifyCtx(ctx, newKey(), "message") }
		all["Subscribe"] = func(ctx context.Context) error {
			stop, err := notifier.Subscribe(ctx, newKey(), func(string) {}, func() {})
			if err == nil {
				stop()
			}
			return err
		}
	}
	return all
}

// bounded fails the test unless a call that gets no answer ends with an error, soon after its context. Soon is counted in turns of
// another goroutine, which a machine that stands still holds up as well.
func bounded(t tester, method string, call func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- call(ctx) }()
	<-ctx.Done()
	for range 100 { // 2 s
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s, while nothing answers: no error", method)
			}
			return
		case <-time.After(pause):
		}
	}
	t.Errorf("%s, while nothing answers, does not end with its context", method)
}
