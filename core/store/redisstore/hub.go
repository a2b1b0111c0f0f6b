package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	beat      = 500 * time.Millisecond // how often the connection is looked at, and lost called without one
	pingEvery = 2                      // beats
	silence   = 6                      // beats without a sign of life after which a connection counts as broken
)

var (
	errClosed = errors.New("the store is closed")
	errSilent = errors.New("the server did not answer for three seconds")
)

// hub has one connection for all subscriptions of a store, as long as there are any. A goroutine keeps it: it asks for the topics that
// are wanted, sees by pings whether the server is there, and makes another connection when it is not.
type hub struct {
	client redis.UniversalClient

	mu      sync.Mutex
	topics  map[string]*topic
	running bool
	closed  bool
	last    error         // why the last connection broke
	wake    chan struct{} // there are other topics, or none; capacity 1
	all     sync.WaitGroup
}

// topic is what is subscribed to. What is below is under the hub's mutex.
type topic struct {
	subscribers []*subscriber
	live        bool            // the server has confirmed it on the connection that there is
	confirmed   []chan struct{} // to close then
}

// subscribe adds a subscriber, and waits until the server has confirmed its topic.
func (h *hub) subscribe(ctx context.Context, name string, s *subscriber) error {
	confirmed, err := h.add(name, s)
	if err != nil {
		return err
	}
	select {
	case <-confirmed:
		return nil
	case <-ctx.Done():
		h.remove(name, s)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.last != nil {
			return fmt.Errorf("%w; the last connection for messages ended with: %w", ctx.Err(), h.last)
		}
		return ctx.Err()
	}
}

func (h *hub) add(name string, s *subscriber) (confirmed chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errClosed
	}
	if h.topics == nil {
		h.topics, h.wake = map[string]*topic{}, make(chan struct{}, 1)
	}
	t := h.topics[name]
	if t == nil {
		t = &topic{}
		h.topics[name] = t
	}
	t.subscribers = append(t.subscribers, s)
	confirmed = make(chan struct{})
	if t.live {
		close(confirmed)
	} else {
		t.confirmed = append(t.confirmed, confirmed)
	}
	if !h.running {
		h.running, h.last = true, nil
		h.all.Go(h.run)
	}
	h.nudge()
	return confirmed, nil
}

// remove takes a subscriber out. It does not wait for the server.
func (h *hub) remove(name string, s *subscriber) {
	s.stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[name]
	if t == nil {
		return
	}
	for i, other := range t.subscribers {
		if other == s {
			t.subscribers = append(t.subscribers[:i:i], t.subscribers[i+1:]...)
			break
		}
	}
	if len(t.subscribers) == 0 {
		delete(h.topics, name)
		h.nudge()
	}
}

func (h *hub) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// close ends all subscriptions, and waits for the hub's goroutines.
func (h *hub) close() {
	h.mu.Lock()
	h.closed = true
	var all []*subscriber
	for _, t := range h.topics {
		all = append(all, t.subscribers...)
	}
	clear(h.topics)
	if h.wake != nil {
		h.nudge()
	}
	h.mu.Unlock()
	for _, s := range all {
		s.stop()
	}
	h.all.Wait()
}

// run keeps a connection until no topic is wanted.
func (h *hub) run() {
	ticks := time.NewTicker(beat)
	defer ticks.Stop()
	for h.wanted() {
		if h.connected(ticks.C) {
			continue
		}
		h.broken()
		<-ticks.C // a server that refuses is not asked in a loop
	}
}

// wanted reports whether there are topics. If there are none, run ends, and the next subscriber starts another.
func (h *hub) wanted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = len(h.topics) > 0
	return h.running
}

// connected makes a connection, and returns when it is broken, or with true when it is not wanted any more. What blocks is in other
// goroutines, so that lost is called in time.
func (h *hub) connected(ticks <-chan time.Time) (unwanted bool) {
	c := newConnection(h.client, &h.all)
	defer c.close()
	asked := askedFor{}
	quiet, beats := 0, 0
	for {
		subscribe, unsubscribe, none := h.news(asked)
		if none {
			return true
		}
		if len(subscribe)+len(unsubscribe) > 0 {
			c.do(func(ps *redis.PubSub) error { return change(c.ctx, ps, subscribe, unsubscribe) })
		}
		select {
		case <-h.wake:
		case <-c.ended:
			h.failed(c.err)
			return false
		case event := <-c.events:
			quiet = 0
			h.take(event, asked)
		case <-ticks:
			beats++
			if quiet++; quiet > silence {
				h.failed(errSilent)
				return false
			}
			if beats%pingEvery == 0 {
				c.do(func(ps *redis.PubSub) error { return ps.Ping(c.ctx) })
			}
			h.tellLost(func(t *topic) bool { return !t.live })
		}
	}
}

// askedFor is what a connection was asked for, by name.
type askedFor map[string]*asked

type asked struct {
	topic       *topic // nil: it was given up
	unconfirmed int    // how often it was asked for without an answer yet
}

// news compares what is wanted with what was asked for on a connection, and takes it as asked for.
func (h *hub) news(all askedFor) (subscribe, unsubscribe []string, none bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, t := range h.topics {
		a := all[name]
		if a == nil {
			a = new(asked)
			all[name] = a
		}
		if a.topic != t { // also one that was given up and wanted again, which waits for an answer of its own
			a.topic = t
			a.unconfirmed++
			subscribe = append(subscribe, name)
		}
	}
	for name, a := range all {
		switch {
		case h.topics[name] != nil:
		case a.topic != nil:
			a.topic = nil
			unsubscribe = append(unsubscribe, name)
		case a.unconfirmed == 0:
			delete(all, name)
		}
	}
	return subscribe, unsubscribe, len(h.topics) == 0
}

func change(ctx context.Context, ps *redis.PubSub, subscribe, unsubscribe []string) error {
	var err error
	if len(unsubscribe) > 0 { // first: none would mean all
		err = ps.Unsubscribe(ctx, unsubscribe...)
	}
	if len(subscribe) > 0 && err == nil {
		err = ps.Subscribe(ctx, subscribe...)
	}
	return err
}

// take handles what the server says. A topic is live with the answer to the last time that it was asked for: before, it may have been
// given up in between.
func (h *hub) take(event any, all askedFor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch event := event.(type) {
	case *redis.Subscription:
		a := all[event.Channel]
		if a == nil || event.Kind != "subscribe" {
			return
		}
		a.unconfirmed--
		if t := h.topics[event.Channel]; t != nil && t == a.topic && a.unconfirmed == 0 && !t.live {
			t.begin()
		}
	case *redis.Message:
		if t := h.topics[event.Channel]; t != nil {
			for _, s := range t.subscribers {
				s.tell(event.Payload)
			}
		}
	}
}

// begin makes a topic live. Those that were there before are told: messages can arrive again.
func (t *topic) begin() {
	t.live = true
	for _, s := range t.subscribers {
		s.tellLost()
	}
	for _, confirmed := range t.confirmed {
		close(confirmed)
	}
	t.confirmed = nil
}

// failed keeps why the last connection broke, to tell those who wait for one.
func (h *hub) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = err
}

// broken says that no topic is live any more.
func (h *hub) broken() {
	h.tellLost(func(t *topic) bool {
		t.live = false
		return true
	})
}

// tellLost tells the subscribers of the topics that are chosen that messages may be missed.
func (h *hub) tellLost(chosen func(t *topic) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.topics {
		if !chosen(t) {
			continue
		}
		for _, s := range t.subscribers {
			s.tellLost()
		}
	}
}
