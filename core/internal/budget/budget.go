// Package budget holds token requests to what a provider allows, over all replicas: so many a minute, half of them for refreshes
// alone, and none at all for as long as the provider said with Retry-After. Anybody can begin sign-ins and send codes that they made
// up; each costs a token request, and must not cost those who are signed in their refresh.
//
// What was sent stands in one record of the vault, which replicas swap. Where the store is away, each replica goes by what it
// knows itself: the provider's own limit decides in the end.
package budget

import (
	"context"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// kind is the vault's kind of the record.
const kind = "budget"

const (
	// window is a minute, and what requests may take longer or less long to arrive.
	window = time.Minute + time.Second
	// LongestHold is how long a provider is left alone at most, whatever it says.
	LongestHold = 15 * time.Minute
	// Most is the largest limit.
	Most = 1000

	tries = 8 // of a swap that others come before
)

// Use is what a token request is for.
type Use int

// The uses.
const (
	SignIn  Use = iota // anybody can cause it
	Refresh            // of a session
)

// Options are what a Budget is made of.
type Options struct {
	Vault     *vault.Vault // nil: this process alone
	Now       func() time.Time
	ID        string // whose limit it is: the provider's
	PerMinute int    // at most Most; 0: there is no limit, and only what the provider says holds
}

// Budget counts token requests. It is safe for concurrent use.
type Budget struct {
	options Options

	mu   sync.Mutex
	here record // what this process knows by itself
}

// New returns a budget of which nothing was used.
func New(o Options) *Budget { return &Budget{options: o} }

// Take asks for one token request. It returns 0 if it may be sent now, which then counts, or how long to wait before asking again.
func (b *Budget) Take(ctx context.Context, use Use) (wait time.Duration) {
	wait, known := b.takeShared(ctx, use)
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.options.Now().UnixMilli()
	if !known {
		wait = b.here.wait(now, use, b.options.PerMinute)
	}
	if wait == 0 {
		b.here.count(now, use, b.options.PerMinute)
	}
	return wait
}

// takeShared is Take by the record of all replicas. It is not known if the store is away, or if others always come before.
func (b *Budget) takeShared(ctx context.Context, use Use) (wait time.Duration, known bool) {
	known = b.change(ctx, func(r *record, now int64) bool {
		wait = r.wait(now, use, b.options.PerMinute)
		return wait == 0 && r.count(now, use, b.options.PerMinute)
	})
	return wait, known
}

// Hold has nobody ask for so long, as the provider said. A hold that lasts longer stays.
func (b *Budget) Hold(ctx context.Context, d time.Duration) {
	hold := func(r *record, now int64) bool { return r.holdUntil(now + min(d, LongestHold).Milliseconds()) }
	b.mu.Lock()
	hold(&b.here, b.options.Now().UnixMilli())
	b.mu.Unlock()
	b.change(ctx, hold)
}

// change swaps the record for what edit makes of it, if edit says that it is to be written. It reports whether that is settled: the
// store may be away, and what another version of this program wrote is left as it is.
func (b *Budget) change(ctx context.Context, edit func(r *record, now int64) (write bool)) (settled bool) {
	v := b.options.Vault
	if v == nil {
		return false
	}
	for range tries {
		found, err := v.Find(ctx, kind, b.options.ID)
		if err != nil {
			return false
		}
		var r record
		if found != nil {
			if r, err = decode(found.Plain); err != nil {
				return false
			}
		}
		now := b.options.Now()
		if !edit(&r, now.UnixMilli()) {
			return true
		}
		swapped, err := v.Swap(ctx, kind, b.options.ID, found, r.encode(), now.Add(window+LongestHold))
		if err != nil || swapped {
			return err == nil
		}
	}
	return false
}
