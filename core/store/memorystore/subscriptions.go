package memorystore

import (
	"context"
	"slices"
	"sync"
)

// mostWaiting is how many messages wait for one subscriber. If there are more, they are dropped and it is told that it has missed
// some.
const mostWaiting = 1000

// NotifyCtx sends message to those that subscribe to topic. A subscriber that is slow holds nobody up. The error is ctx's.
func (s *Store) NotifyCtx(ctx context.Context, topic, message string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.topics.send(topic, message)
	return nil
}

// Subscribe has f called with the messages of topic, and lost if so many wait for f that they were dropped. The error is ctx's.
func (s *Store) Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	subscriber := &subscription{f: f, lost: lost}
	subscriber.idle.L = &subscriber.mu
	s.topics.add(topic, subscriber)
	return func() {
		s.topics.remove(topic, subscriber)
		subscriber.stop()
	}, nil
}

// topics are the subscriptions by topic.
type topics struct {
	mu      sync.Mutex
	byTopic map[string][]*subscription
}

func (t *topics) add(topic string, s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byTopic == nil {
		t.byTopic = map[string][]*subscription{}
	}
	t.byTopic[topic] = append(t.byTopic[topic], s)
}

func (t *topics) remove(topic string, s *subscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := slices.DeleteFunc(t.byTopic[topic], func(other *subscription) bool { return other == s })
	if len(rest) == 0 {
		delete(t.byTopic, topic)
		return
	}
	t.byTopic[topic] = rest
}

func (t *topics) send(topic, message string) {
	t.mu.Lock()
	defer t.mu.Unlock() // so that all receive messages in one order
	for _, s := range t.byTopic[topic] {
		s.send(message)
	}
}

// subscription hands messages to f one after the other, in a goroutine that exists while there are any.
type subscription struct {
	f    func(message string)
	lost func()

	mu      sync.Mutex
	waiting []string
	missed  bool // lost is due
	stopped bool
	running bool      // the goroutine exists
	idle    sync.Cond // it is gone
}

func (s *subscription) send(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped:
		return
	case len(s.waiting) == mostWaiting:
		s.waiting, s.missed = nil, true
	}
	s.waiting = append(s.waiting, message)
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *subscription) run() {
	for {
		call := s.next()
		if call == nil {
			return
		}
		call()
	}
}

// next returns what is to be called next; nil if the goroutine is to end.
func (s *subscription) next() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped, len(s.waiting) == 0:
		s.running = false
		s.idle.Broadcast()
		return nil
	case s.missed:
		s.missed = false
		return s.lost
	}
	message := s.waiting[0]
	s.waiting = s.waiting[1:]
	return func() { s.f(message) }
}

// stop returns once nothing is running.
func (s *subscription) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.waiting = true, nil
	for s.running {
		s.idle.Wait()
	}
}
