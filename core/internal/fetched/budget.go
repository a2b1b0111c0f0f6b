package fetched

import (
	"errors"
	"time"
)

// ErrHeldBack means that nothing was fetched because a budget is spent. Nothing is known that was not known before.
var ErrHeldBack = errors.New("held back, because it was fetched a moment ago")

// Budget limits the fetches that one kind of caller may start: Burst at once, and from then on one in ten seconds. It
// belongs to one Value, whose lock guards it.
type Budget struct {
	Burst int
	paid  time.Time // when all that was taken is paid back
}

// take takes one fetch, or returns how long to wait for the next.
func (b *Budget) take(now time.Time) (wait time.Duration) {
	if b.paid.Sub(now) > time.Duration(b.Burst)*refetchEvery || b.paid.Before(now) { // the first after the clock was set back
		b.paid = now
	}
	if wait = b.paid.Sub(now) - time.Duration(b.Burst-1)*refetchEvery; wait > 0 {
		return wait
	}
	b.paid = b.paid.Add(refetchEvery)
	return 0
}

// Later is an error that passes: After is when to try again.
type Later struct {
	After time.Duration
	Err   error
}

func (l *Later) Error() string { return l.Err.Error() }
func (l *Later) Unwrap() error { return l.Err }
