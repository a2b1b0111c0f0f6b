package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// listener is a subscription that keeps what it is told.
type listener struct {
	stop func()

	mu       sync.Mutex
	messages []string // without those that came twice
	known    map[string]bool
	losses   int
}

// listen subscribes to a topic until the test ends.
func listen(t tester, s idserver.Store, topic string) *listener {
	t.Helper()
	l := &listener{known: map[string]bool{}}
	stop, err := s.(idserver.Notifier).Subscribe(t.Context(), topic, func(message string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.known[message] {
			l.known[message] = true
			l.messages = append(l.messages, message)
		}
	}, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.losses++
	})
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	l.stop = stop
	t.Cleanup(stop)
	return l
}

// heard are the messages so far.
func (l *listener) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.messages[:len(l.messages):len(l.messages)]
}

func (l *listener) lost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.losses
}

func notify(t tester, s idserver.Store, topic, message string) {
	t.Helper()
	if err := s.(idserver.Notifier).NotifyCtx(t.Context(), topic, message); err != nil {
		t.Fatalf("NotifyCtx: %v", err)
	}
}

// notices: messages reach all that subscribe to their topic, as they are and in order.
func notices(t tester, s idserver.Store) { heardBy(t, s, []idserver.Store{s}) }

func heardBy(t tester, from idserver.Store, stores []idserver.Store) {
	t.Helper()
	topic := newKey()
	notify(t, from, topic, "to nobody")
	var all []*listener
	for range 2 {
		for _, s := range stores {
			all = append(all, listen(t, s, topic))
		}
	}
	others := listen(t, stores[0], topic+"2")
	first := topic[:len(topic)-1]
	prefix, pattern := listen(t, stores[0], first), listen(t, stores[0], first+"*")
	printable := ""
	for c := byte(' '); c <= '~'; c++ {
		printable += string(rune(c))
	}
	sent := []string{"one", "two", printable, " ends with spaces ", strings.Repeat("m", 1000), "x"}
	for i := range 100 {
		sent = append(sent, fmt.Sprint(i))
	}
	for _, message := range sent {
		notify(t, from, topic, message)
	}
	for i, l := range all {
		waitFor(t, fmt.Sprintf("subscriber %d of %d has not heard every message, and was not told that it lost some", i+1, len(all)),
			func() bool { return len(l.heard()) >= len(sent) || l.lost() > 0 })
		if heard := l.heard(); l.lost() == 0 && !slices.Equal(heard, sent) {
			t.Errorf("subscriber %d heard other messages than were sent, or in another order: %.300q", i+1, heard)
		}
	}
	notify(t, from, topic+"2", "for others")
	waitFor(t, "a subscriber has not heard the message of the second topic", func() bool { return len(others.heard()) > 0 || others.lost() > 0 })
	if heard := slices.Concat(others.heard(), prefix.heard(), pattern.heard()); len(heard) > 1 || len(heard) == 1 && heard[0] != "for others" {
		t.Errorf("subscribers of other topics heard %.300q", heard)
	}
}

// subscribeContext: the context bounds Subscribe, and not the subscription.
func subscribeContext(t tester, s idserver.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	topic := newKey()
	heard := make(chan string, 100)
	stop, err := s.(idserver.Notifier).Subscribe(ctx, topic, func(message string) { heard <- message }, func() {})
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	defer stop()
	cancel()
	time.Sleep(pause)
	for i := 0; ; i++ {
		notify(t, s, topic, "after the context of Subscribe has ended")
		select {
		case <-heard:
			return
		case <-time.After(pause):
		}
		if i == turns {
			t.Fatalf("the subscription ended with the context of Subscribe: of %d messages none was heard", turns)
		}
	}
}

// subscriberBlocks: one that does not return holds up neither those that notify nor other subscribers.
func subscriberBlocks(t tester, s idserver.Store) {
	topic := newKey()
	release := make(chan struct{})
	unblock := sync.OnceFunc(func() { close(release) })
	var blocked atomic.Bool
	stop, err := s.(idserver.Notifier).Subscribe(t.Context(), topic, func(string) {
		blocked.Store(true)
		<-release
	}, func() { blocked.Store(true) })
	if err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	defer stop()
	defer unblock()
	other, elsewhere := listen(t, s, topic), listen(t, s, topic+"2")

	var done atomic.Bool
	goOn := make(chan struct{})
	go func() {
		defer done.Store(true)
		for i := range 300 {
			if err := s.(idserver.Notifier).NotifyCtx(t.Context(), topic, fmt.Sprint(i)); err != nil {
				t.Errorf("NotifyCtx: %v", err)
				return
			}
			if i == 0 {
				<-goOn // until one is blocked: the others may be quicker
			}
		}
		if err := s.(idserver.Notifier).NotifyCtx(t.Context(), topic+"2", "elsewhere"); err != nil {
			t.Errorf("NotifyCtx: %v", err)
		}
	}()
	defer waitFor(t, "NotifyCtx does not return", done.Load)
	defer unblock() // so that it does, if a subscriber held it up
	func() {
		defer close(goOn)
		waitFor(t, "a subscriber hears nothing, as there are others", blocked.Load)
	}()
	waitFor(t, "NotifyCtx waits for a subscriber that does not return", done.Load)
	waitFor(t, "one subscriber that does not return keeps messages from another", func() bool { return len(other.heard()) == 300 || other.lost() > 0 })
	waitFor(t, "one subscriber that does not return keeps messages of other topics from others", func() bool { return len(elsewhere.heard()) > 0 || elsewhere.lost() > 0 })
}

// stops: after stop, nothing is called.
func stops(t tester, s idserver.Store) {
	topic := newKey()
	witness := listen(t, s, topic)
	for round := range 20 {
		var stopped, late, running, ranOn atomic.Bool
		stop, err := s.(idserver.Notifier).Subscribe(t.Context(), topic, func(string) {
			running.Store(true)
			if stopped.Load() {
				late.Store(true)
			}
			time.Sleep(time.Millisecond)
			if stopped.Load() {
				ranOn.Store(true)
			}
		}, func() {
			if stopped.Load() {
				late.Store(true)
			}
		})
		if err != nil {
			t.Fatalf("Subscribe: %v", err)
		}
		for i := range 20 {
			notify(t, s, topic, fmt.Sprintf("%d.%d", round, i))
		}
		if round%2 == 0 {
			waitFor(t, "a subscriber hears nothing", running.Load)
		}
		stop()
		stopped.Store(true)
		stop()
		notify(t, s, topic, fmt.Sprintf("%d.last", round))
		if round%5 == 4 { // what is on its way has arrived at others, and had time to arrive here
			waitFor(t, "a subscriber has not heard a message after another one has stopped", func() bool {
				return slices.Contains(witness.heard(), fmt.Sprintf("%d.last", round)) || witness.lost() > 0
			})
			time.Sleep(pause)
		}
		if late.Load() || ranOn.Load() {
			t.Fatalf("after stop had returned, a function was called (%v) or still running (%v)", late.Load(), ranOn.Load())
		}
	}
}
