package redisstore

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// NotifyCtx sends message to those that subscribe to topic (PUBLISH). In a cluster, it goes by the node that the topic would be at if it
// were a key, so that messages stay in order.
func (s *Store) NotifyCtx(ctx context.Context, topic, message string) error {
	if err := ctx.Err(); err != nil {
		return s.fault("notify", err)
	}
	channel := s.named(topic)
	var client redis.Cmdable = s.client
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		node, err := cluster.MasterForKey(ctx, channel)
		if err != nil {
			return s.fault("notify", err)
		}
		client = node
	}
	return s.fault("notify", client.Publish(ctx, channel, message).Err())
}

// Subscribe has f called with the messages of topic, and lost when some may have been missed: because the connection broke or fell silent
// for three seconds, every half second while there is none, once there is one again, and if so many wait for f that they were dropped.
// All subscriptions of a store share one connection.
func (s *Store) Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, s.fault("subscribe", err)
	}
	name, subscriber := s.named(topic), newSubscriber(f, lost)
	if err := s.hub.subscribe(ctx, name, subscriber); err != nil {
		return nil, s.fault("subscribe", err)
	}
	subscriber.begin()
	return func() { s.hub.remove(name, subscriber) }, nil
}

// mostWaiting is how many messages wait for one subscriber. If there are more, they are dropped and it is told that it has missed
// some.
const mostWaiting = 1000

// subscriber hands messages to f one after the other, in a goroutine that exists while there are any.
type subscriber struct {
	f    func(message string)
	lost func()

	mu      sync.Mutex
	waiting []string
	missed  bool // lost is due
	begun   bool // Subscribe has returned, or is about to
	stopped bool
	running bool      // the goroutine exists
	idle    sync.Cond // it is gone
}

func newSubscriber(f func(message string), lost func()) *subscriber {
	s := &subscriber{f: f, lost: lost}
	s.idle.L = &s.mu
	return s
}

// begin has what is told from here on handed over. What was lost before is no loss.
func (s *subscriber) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = true
	s.start()
}

// tell hands over a message.
func (s *subscriber) tell(message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == mostWaiting {
		s.waiting, s.missed = nil, true
	}
	s.waiting = append(s.waiting, message)
	s.start()
}

// tellLost has lost called. Of those that are due, one is enough.
func (s *subscriber) tellLost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.missed = s.begun
	s.start()
}

func (s *subscriber) start() {
	if s.begun && !s.stopped && !s.running && (s.missed || len(s.waiting) > 0) {
		s.running = true
		go s.run()
	}
}

func (s *subscriber) run() {
	for {
		call := s.next()
		if call == nil {
			return
		}
		call()
	}
}

// next returns what is to be called next; nil if the goroutine is to end.
func (s *subscriber) next() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.stopped, !s.missed && len(s.waiting) == 0:
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
func (s *subscriber) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped, s.waiting = true, nil
	for s.running {
		s.idle.Wait()
	}
}
