// Package fetched keeps a remote document in memory, such as a provider's metadata or its key set.
//
// The document is fetched when it is first used. From then on nobody waits as long as there is a document to serve: it is
// fetched again in the background before it expires, and while the provider is unavailable, the last good one serves for
// a day. Only one fetch runs at a time, and everyone who needs it waits for it.
package fetched

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Document is the result of a fetch.
type Document[T any] struct {
	Value      T
	Fresh      time.Duration // how long the provider allows it to be kept; 0: it did not say
	RetryAfter time.Duration // with an error: how long the provider wants to be left alone; 0: it did not say
}

// Limits on what a provider may ask for, and on how often this package asks.
const (
	defaultFresh = 10 * time.Minute
	minFresh     = time.Minute
	maxFresh     = time.Hour
	maxStale     = 24 * time.Hour   // how long a good document serves without the provider
	refetchEvery = 10 * time.Second // at most one fetch of a Budget in this time, after its burst
	firstRetry   = time.Second      // after a failure; doubled with each further one
	lastRetry    = time.Minute
	maxAway      = time.Hour // how long the provider may ask to be left alone
)

var errClosed = errors.New("the client is closed")

// Value is a document and the function that fetches it. Create it with New. It is safe for concurrent use.
type Value[T any] struct {
	fetch  func(ctx context.Context, held T) (Document[T], error)
	now    func() time.Time
	jitter func() float64 // in [0, 1)

	background context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup

	held atomic.Pointer[held[T]] // nil until the first success; stored under the lock

	mu        sync.Mutex // guards all of the following
	flight    *flight[T]
	failures  int       // since the last success
	failed    error     // the last failure; nil after a success
	retryAt   time.Time // no fetch that nobody demands before this time, after a failure
	awayUntil time.Time // no fetch at all before this time: the provider asked for that
	demanded  Budget    // of Refetch
	refreshAt *time.Timer
}

type held[T any] struct {
	value      T
	number     int       // from 1, one more with each fetch
	confirmed  time.Time // when the provider last confirmed it
	refreshDue time.Time // before it expires
}

type flight[T any] struct {
	done  chan struct{}
	value T // valid if err is nil, after done
	err   error
}

// New returns a Value. Nothing is fetched before its first use. fetch is given the document that is held, or the zero
// value: it may return the same one when nothing has changed.
//
// There are no conditional requests on purpose. Whoever can answer once in the provider's place could send a document of
// their own with the ETag of the genuine one, and the provider itself would confirm theirs with 304 from then on.
func New[T any](now func() time.Time, jitter func() float64, fetch func(ctx context.Context, held T) (Document[T], error)) *Value[T] {
	v := &Value[T]{fetch: fetch, now: now, jitter: jitter, demanded: Budget{Burst: 1}}
	v.background, v.stop = context.WithCancel(context.Background())
	return v
}

// Fresh returns the document if there is one that need not be refreshed at now.
func (v *Value[T]) Fresh(now time.Time) (value T, ok bool) {
	if h := v.held.Load(); h != nil && now.Before(h.refreshDue) {
		return h.value, true // as is nearly always the case, and without a lock
	}
	return value, false
}

// Held returns the document if there is one that may still be served at now, and its number. Nothing is fetched.
func (v *Value[T]) Held(now time.Time) (value T, number int) {
	if h := v.held.Load(); h != nil && now.Sub(h.confirmed) < maxStale {
		return h.value, h.number
	}
	return value, 0
}

// Get returns the document. It waits for the network only if there is none that may still be served; ctx limits how long
// this caller waits, and does not affect anyone else.
func (v *Value[T]) Get(ctx context.Context) (T, error) { return v.GetAt(ctx, v.now()) }

// GetAt is Get for a caller that already knows the time: to read the clock takes longer than the rest.
func (v *Value[T]) GetAt(ctx context.Context, now time.Time) (T, error) {
	if value, ok := v.Fresh(now); ok {
		return value, nil
	}
	v.mu.Lock()
	if h := v.held.Load(); h != nil && now.Sub(h.confirmed) < maxStale {
		if !now.Before(h.refreshDue) && pause(now, v.retryAt) == 0 {
			v.start()
		}
		v.mu.Unlock()
		return h.value, nil
	}
	if wait := pause(now, v.retryAt); wait > 0 && v.flight == nil && v.background.Err() == nil {
		err := &Later{wait, v.failed}
		v.mu.Unlock()
		var none T
		return none, err
	}
	f := v.start()
	v.mu.Unlock()
	return f.wait(ctx)
}

// Refetch fetches the document again. It joins a fetch in flight, whose result everyone gets. At most one fetch starts in
// ten seconds, whether it succeeds or not; in between, Refetch returns the document that is held, or the error of the
// fetch that failed.
func (v *Value[T]) Refetch(ctx context.Context) (T, error) {
	value, _, err := v.RefetchWithin(ctx, &v.demanded, math.MaxInt)
	if !errors.Is(err, ErrHeldBack) {
		return value, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if h := v.held.Load(); v.failed == nil && h != nil {
		return h.value, nil
	}
	return value, &Later{pause(v.now(), v.retryAt), v.failed}
}

// RefetchWithin fetches the document again for a caller who missed something in the one of that number, such as a key that
// is not in the set, if the budget allows it. If there is a later one, or a fetch is in flight, that is the result instead,
// at no cost, and joined is true: it may have been on its way before the call. The error is a Later if nothing was fetched,
// because the budget is spent (ErrHeldBack) or because the provider wants to be left alone.
func (v *Value[T]) RefetchWithin(ctx context.Context, b *Budget, number int) (value T, joined bool, err error) {
	v.mu.Lock()
	if h := v.held.Load(); h != nil && h.number > number {
		v.mu.Unlock()
		return h.value, true, nil
	}
	joined = v.flight != nil
	if !joined && v.background.Err() == nil {
		if err := v.mayStart(b); err != nil {
			v.mu.Unlock()
			return value, false, err
		}
	}
	f := v.start()
	v.mu.Unlock()
	value, err = f.wait(ctx)
	return value, joined, err
}

// pause is how long to wait at now for a fetch that was put off until then. A time that nothing is put off to was noted
// while the clock was ahead: with it, certificates are not valid, and once it is right nothing must wait for that year.
func pause(now, until time.Time) time.Duration {
	if wait := until.Sub(now); wait <= lastRetry+maxAway {
		return max(wait, 0)
	}
	return 0
}

// mayStart takes a fetch from the budget. The caller holds the lock.
func (v *Value[T]) mayStart(b *Budget) error {
	now := v.now()
	if wait := pause(now, v.awayUntil); wait > 0 {
		return &Later{wait, v.failed}
	}
	if wait := b.take(now); wait > 0 {
		return &Later{wait, ErrHeldBack}
	}
	return nil
}

// Close stops a fetch in flight and waits for it to end. Nothing is fetched afterwards.
func (v *Value[T]) Close() {
	v.mu.Lock()
	v.stop()
	if v.refreshAt != nil {
		v.refreshAt.Stop()
	}
	v.mu.Unlock()
	v.running.Wait()
}

func (f *flight[T]) wait(ctx context.Context) (T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// start joins the fetch in flight or begins one. The caller holds the lock.
func (v *Value[T]) start() *flight[T] {
	if v.flight != nil {
		return v.flight
	}
	f := &flight[T]{done: make(chan struct{})}
	if v.background.Err() != nil {
		f.err = errClosed
		close(f.done)
		return f
	}
	v.flight = f
	var before T
	if h := v.held.Load(); h != nil {
		before = h.value
	}
	v.running.Go(func() {
		document, err := v.fetch(v.background, before)
		v.mu.Lock()
		defer v.mu.Unlock()
		if err == nil {
			f.value = v.keep(document)
		} else {
			f.err = v.putOff(err, document.RetryAfter)
		}
		v.flight = nil
		close(f.done)
	})
	return f
}

// keep stores a good document. The caller holds the lock.
func (v *Value[T]) keep(d Document[T]) T {
	fresh := d.Fresh
	if fresh == 0 {
		fresh = defaultFresh
	}
	fresh = min(max(fresh, minFresh), maxFresh)
	now := v.now()
	next := &held[T]{value: d.Value, number: 1, confirmed: now}
	if before := v.held.Load(); before != nil {
		next.number = before.number + 1
	}
	// Between 75 and 90 per cent of its lifetime, so that a fleet does not ask in step.
	ahead := time.Duration(float64(fresh) * (0.75 + 0.15*v.jitter()))
	next.refreshDue = now.Add(ahead)
	v.held.Store(next)
	v.failures, v.failed, v.retryAt, v.awayUntil = 0, nil, time.Time{}, time.Time{}
	v.refreshIn(ahead)
	return next.value
}

// putOff records a failure: what is held stays, and the next attempt comes later, and not before the provider wants it.
// The caller holds the lock.
func (v *Value[T]) putOff(err error, away time.Duration) *Later {
	v.failed = err
	delay := min(firstRetry<<min(v.failures, 10), lastRetry)
	if v.held.Load() == nil {
		delay = firstRetry // somebody is waiting for it
	}
	v.failures++
	delay = time.Duration(float64(delay) * (0.5 + 0.5*v.jitter()))
	now := v.now()
	v.awayUntil = time.Time{}
	if away = min(away, maxAway); away > 0 {
		v.awayUntil = now.Add(away)
		delay += away // and a fleet does not come back in step
	}
	v.retryAt = now.Add(delay)
	if v.held.Load() != nil {
		v.refreshIn(delay)
	}
	return &Later{delay, err}
}

// refreshIn fetches again after d even if nobody asks by then: what the provider withdrew disappears in time even where
// requests are rare. The caller holds the lock.
func (v *Value[T]) refreshIn(d time.Duration) {
	if v.refreshAt != nil {
		v.refreshAt.Stop()
	}
	if v.background.Err() != nil {
		return // Close ended the fetch
	}
	v.refreshAt = time.AfterFunc(d, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.start()
	})
}
