// Package flight makes one request for many askers, and remembers its result for a while.
//
// It is for requests that cannot be undone once they were sent, such as a refresh: a provider that rotates refresh tokens
// takes the second use of one for theft, and ends the session.
package flight

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

var (
	// ErrLeft means that the asker's own context ended before there was a result. It says nothing about the request, which
	// goes on. The error also wraps the context's cause.
	ErrLeft = errors.New("flight: the asker left before there was a result")
	// ErrBusy means that too many requests are in flight, and each has somebody who waits for it.
	ErrBusy = errors.New("flight: too many requests are in flight")
	// ErrClosed means that the group was closed.
	ErrClosed = errors.New("flight: the group is closed")
	// ErrPanicked means that the request panicked. The error's text has the panic's type and stack, and not its value, which may
	// hold a token.
	ErrPanicked = errors.New("flight: the request panicked")
	// ErrAbandoned is the cause of a request's cancelled context when it made room: all who asked for it had left.
	ErrAbandoned = errors.New("flight: nobody waits for the request any more, and its place was needed")
)

// Options are the bounds of a Group. All must be set.
type Options[V any] struct {
	Now         func() time.Time
	Limit       time.Duration                          // for one request
	MostRunning int                                    // requests in flight
	Kept        func(value V, err error) time.Duration // how long a result is remembered; not at all if it is not positive
	Size        func(value V, err error) int           // of a result, in bytes
	MostBytes   int                                    // of all results that are remembered, by Size and overhead
}

// overhead is what a remembered result takes besides its Size, in bytes: its call, its place in the map and in the heap.
const overhead = 300

// Group makes requests, one at a time for each key. Keys are hashes, so that no token stays in memory as a key. It is safe
// for concurrent use.
type Group[V any] struct {
	options Options[V]
	flying  sync.WaitGroup

	mu       sync.RWMutex
	closed   bool
	byKey    map[[32]byte]*call[V]
	inFlight map[*call[V]]struct{} // those of byKey that have no result yet, but for the cancelled ones
	soon     soonest[V]            // those of byKey that have a result
	bytes    int                   // of those
}

// Result is what a request returned.
type Result[V any] struct {
	Value V
	Err   error
}

// call is a request in flight or, for a while, its result.
type call[V any] struct {
	key  [32]byte
	done chan struct{} // closed when there is a result

	begun  time.Time
	askers int                     // who wait for it
	cancel context.CancelCauseFunc // nil when there is a result

	result Result[V] // from here on valid after done
	until  time.Time // when it is forgotten
	size   int
	place  int // in the heap
}

// New returns an empty group.
func New[V any](options Options[V]) *Group[V] {
	return &Group[V]{options: options, byKey: map[[32]byte]*call[V]{}, inFlight: map[*call[V]]struct{}{}}
}

// Do returns the result that is remembered for key, waits for the request that is in flight for it, or makes the request.
//
// The request runs in a goroutine of its own, with the values of ctx but not its end: it goes on if all who asked for it
// leave. Its context ends after Options.Limit, on Close, and when its place is needed and all have left; it must return
// soon after.
//
// An asker whose ctx has ended gets the result if there is one already: what decides over a session must not depend on
// which of two events is looked at first. Without one the error is ErrLeft, and no request is begun. ErrBusy and
// ErrClosed say that none was begun either; any other error is the request's.
func (g *Group[V]) Do(ctx context.Context, key [32]byte, request func(context.Context) (V, error)) (V, error) {
	var none V
	c, err := g.join(ctx, key, request)
	if err != nil {
		return none, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		if g.leave(c) {
			return none, left(ctx)
		}
	}
	return c.result.Value, c.result.Err
}

// Peek returns the result that is remembered for key. It makes no request and does not wait for one.
func (g *Group[V]) Peek(key [32]byte) (r Result[V], ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	c := g.byKey[key]
	if c == nil || !c.landed() || !g.options.Now().Before(c.until) {
		return r, false
	}
	return c.result, true
}

// Close cancels the requests in flight and waits for them. Results that are remembered can still be had.
func (g *Group[V]) Close() {
	g.mu.Lock()
	g.closed = true
	for c := range g.inFlight {
		c.cancel(ErrClosed)
	}
	g.mu.Unlock()
	g.flying.Wait()
}

func left(ctx context.Context) error { return fmt.Errorf("%w: %w", ErrLeft, context.Cause(ctx)) }

// landed reports whether there is a result. The caller holds the lock.
func (c *call[V]) landed() bool { return c.cancel == nil }

// join returns the call for key, with one more asker unless it has landed. It begins one if there is none.
func (g *Group[V]) join(ctx context.Context, key [32]byte, request func(context.Context) (V, error)) (*call[V], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.options.Now()
	g.forgetOld(now)
	c := g.byKey[key]
	if c != nil && c.landed() && !now.Before(c.until) {
		g.forget(c)
		c = nil
	}
	if c != nil {
		c.askers++
		return c, nil
	}
	switch {
	case g.closed:
		return nil, ErrClosed
	case ctx.Err() != nil:
		return nil, left(ctx)
	case len(g.inFlight) >= g.options.MostRunning && !g.makeRoom():
		return nil, ErrBusy
	}
	own, stop := context.WithTimeout(context.WithoutCancel(ctx), g.options.Limit)
	own, cancel := context.WithCancelCause(own)
	c = &call[V]{key: key, done: make(chan struct{}), begun: now, askers: 1, cancel: cancel}
	g.byKey[key] = c
	g.inFlight[c] = struct{}{}
	g.flying.Go(func() {
		defer stop()
		g.fly(own, c, request)
	})
	return c, nil
}

// leave reports whether c has no result yet; one of its askers is gone then.
func (g *Group[V]) leave(c *call[V]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.landed() {
		return false
	}
	c.askers--
	return true
}

// makeRoom cancels the oldest of the requests whose askers have all left: a stranger who asks and leaves again and again must
// not take the places of people who wait. It reports whether there was one. The caller holds the lock.
func (g *Group[V]) makeRoom() bool {
	var oldest *call[V]
	for c := range g.inFlight {
		if c.askers == 0 && (oldest == nil || c.begun.Before(oldest.begun)) {
			oldest = c
		}
	}
	if oldest == nil {
		return false
	}
	oldest.cancel(ErrAbandoned)
	delete(g.inFlight, oldest)
	return true
}

// fly makes the request. Nothing that it does ends the process or leaves an asker waiting: no server recovers from panics
// in this goroutine.
func (g *Group[V]) fly(ctx context.Context, c *call[V], request func(context.Context) (V, error)) {
	r := Result[V]{Err: fmt.Errorf("%w: it ended its goroutine", ErrPanicked)}
	defer func() {
		if p := recover(); p != nil {
			r = Result[V]{Err: fmt.Errorf("%w (%T)\n%s", ErrPanicked, p, debug.Stack())}
		}
		g.land(c, r)
	}()
	value, err := request(ctx)
	r = Result[V]{value, err}
}

// land gives the result to all who wait, and remembers it.
func (g *Group[V]) land(c *call[V], r Result[V]) {
	kept, size := g.options.Kept(r.Value, r.Err), g.options.Size(r.Value, r.Err)+overhead
	g.mu.Lock()
	defer g.mu.Unlock()
	c.cancel(nil)
	c.result, c.size, c.cancel = r, size, nil
	delete(g.inFlight, c)
	g.remember(c, kept)
	close(c.done)
}

// remember keeps the result of c for so long. If all results are too large together, those that would be forgotten first
// are forgotten first. The caller holds the lock.
func (g *Group[V]) remember(c *call[V], kept time.Duration) {
	if kept <= 0 || c.size > g.options.MostBytes {
		delete(g.byKey, c.key)
		return
	}
	for g.bytes+c.size > g.options.MostBytes {
		g.forget(g.soon[0])
	}
	c.until = g.options.Now().Add(kept)
	g.bytes += c.size
	heap.Push(&g.soon, c)
}

// forgetAtOnce limits how many results whose time has passed one Do forgets, so that none holds the lock for long. It is
// more than one, so that they become fewer.
const forgetAtOnce = 4

func (g *Group[V]) forgetOld(now time.Time) {
	for range forgetAtOnce {
		if len(g.soon) == 0 || now.Before(g.soon[0].until) {
			return
		}
		g.forget(g.soon[0])
	}
}

// forget forgets a result that is remembered. The caller holds the lock.
func (g *Group[V]) forget(c *call[V]) {
	heap.Remove(&g.soon, c.place)
	delete(g.byKey, c.key)
	g.bytes -= c.size
}

// soonest is a heap with the result that is forgotten first at its top.
type soonest[V any] []*call[V]

func (h soonest[V]) Len() int           { return len(h) }
func (h soonest[V]) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h soonest[V]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *soonest[V]) Push(x any) {
	c := x.(*call[V])
	c.place = len(*h)
	*h = append(*h, c)
}

func (h *soonest[V]) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return c
}
