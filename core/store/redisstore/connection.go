package redisstore

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// connection is one connection for messages, used once: go-redis's PubSub makes another by itself where this one breaks, without a
// word, and messages would be missed. Two goroutines use it, because what they call blocks: one reads, one writes.
type connection struct {
	ctx    context.Context // ends when the connection is given up
	cancel context.CancelFunc
	events chan any      // what the server says
	ended  chan struct{} // closed when it is broken
	err    error         // why; to be read once ended is closed

	mu      sync.Mutex
	waiting []func(ps *redis.PubSub) error
	more    chan struct{} // something is waiting; capacity 1
	once    sync.Once
}

// newConnection begins to connect. Its goroutines are counted in all.
func newConnection(client redis.UniversalClient, all *sync.WaitGroup) *connection {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connection{ctx: ctx, cancel: cancel, events: make(chan any, 100), ended: make(chan struct{}), more: make(chan struct{}, 1)}
	all.Go(func() { c.write(client.Subscribe(ctx), all) }) // without topics: it does not connect yet
	return c
}

// do has f called with the connection, after what was to be done before. An error of it is the connection's end.
func (c *connection) do(f func(ps *redis.PubSub) error) {
	c.mu.Lock()
	c.waiting = append(c.waiting, f)
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// write does what is to be done, and closes the connection in the end, which ends the goroutine that reads.
func (c *connection) write(ps *redis.PubSub, all *sync.WaitGroup) {
	defer ps.Close()
	reads := false
	for {
		for _, f := range c.next() {
			if err := f(ps); err != nil {
				c.end(err)
				return
			}
			if !reads { // there is a connection now
				reads = true
				all.Go(func() { c.read(ps) })
			}
		}
		select {
		case <-c.more:
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *connection) next() []func(ps *redis.PubSub) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.waiting
	c.waiting = nil
	return all
}

// read hands on what the server says, until the connection breaks or is closed. It has no time limit of its own: one that ran out in the
// middle of a message would lose the rest of it.
func (c *connection) read(ps *redis.PubSub) {
	for {
		event, err := ps.Receive(c.ctx)
		if err != nil {
			c.end(err)
			return
		}
		select {
		case c.events <- event:
		case <-c.ctx.Done():
			return
		}
	}
}

// end says that the connection is broken.
func (c *connection) end(err error) {
	c.once.Do(func() {
		c.err = err
		c.cancel()
		close(c.ended)
	})
}

// close gives the connection up. It waits for nothing.
func (c *connection) close() { c.cancel() }
