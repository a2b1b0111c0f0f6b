// Package lease has one of many replicas refresh a grant, once per version, and all others read the result.
//
// A provider that rotates refresh tokens takes the second use of one for theft, and ends the session. So whoever wants to
// refresh takes a lease first, which one of all replicas gets; it publishes what came of it, as the next version, and the
// others wait for that. What is written is the whole record of the grant, in place of the one that was read (a swap): that
// is the fence for the store. No fence protects the provider, so a lease lasts longer than anything that its holder sends.
//
// It knows no HTTP and no tokens: the holder's function sends, and what is published are bytes.
package lease

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// kind is the vault's kind of the records.
const kind = "grant"

const (
	// Work is how long a holder's function may take, by default.
	Work = 10 * time.Second
	// Margin is how much longer a lease lasts: for the clocks of replicas, which may be that far apart, and to publish.
	Margin = 5 * time.Second

	firstPoll, longestPoll = 50 * time.Millisecond, time.Second
)

// Options are what Leases are made of. All must be set.
type Options struct {
	Vault *vault.Vault
	Now   func() time.Time
	Rand  io.Reader
	Work  time.Duration
}

// Leases take leases. They are safe for concurrent use.
type Leases struct {
	options Options
	unpublished
}

// New returns leases in a vault. Close ends what they do in the background.
func New(o Options) *Leases {
	l := &Leases{options: o}
	l.unpublished.init(l.write, o.Now)
	return l
}

// Grant is what is to be refreshed, as the caller has it.
type Grant struct {
	ID      string
	Version int64
	Payload []byte    // of Version
	Expiry  time.Time // when the record may be forgotten
}

// Attempt is what came of a holder's attempt. The first of Payload, Over and Pause that is set decides.
type Attempt struct {
	Payload []byte        // the result
	Over    bool          // the other side has refused: there will be no other version
	Pause   time.Duration // how long nobody is to try again
	Lost    bool          // it may have succeeded, and nobody got the answer
}

// Result is what is known of a grant.
type Result struct {
	Own     bool          // the caller was the holder, and knows by itself
	Version int64         // of Payload; later than the caller's
	Payload []byte        // nil if there is no later version
	Over    bool          // there will be no other version
	Lost    bool          // before it was over, an answer was lost
	Pause   time.Duration // without any of these: how long nobody tries
}

// Do refreshes a grant, or waits until another replica has. attempt is called by the one holder, and must return soon after
// its context has ended; lost says that an attempt of an earlier holder may have succeeded. An error wraps [vault.ErrAway]
// and means that nothing is known and nothing was attempted, or it is that of ctx.
func (l *Leases) Do(ctx context.Context, g Grant, attempt func(ctx context.Context, lost bool) Attempt) (Result, error) {
	var fence, since int64 // whose lease is waited for, and from when on
	for poll := firstPoll; ; poll = min(2*poll, longestPoll) {
		found, r, err := l.find(ctx, g)
		if err != nil {
			return Result{}, err
		}
		now := l.options.Now().UnixMilli()
		if r.fence != fence {
			fence, since = r.fence, now
		}
		switch {
		case r.version > g.Version:
			return Result{Version: r.version, Payload: r.payload, Over: r.over, Lost: r.lost}, nil
		case r.over:
			return Result{Over: true, Lost: r.lost}, nil
		case r.pause > now:
			return Result{Pause: time.Duration(r.pause-now) * time.Millisecond}, nil
		case r.until <= now, now-since >= l.lasts().Milliseconds(): // by this clock, or by the holder's, which may be ahead
			result, err := l.hold(ctx, g, found, r, attempt)
			if err != nil || result.Own {
				return result, err
			}
			continue // somebody else was faster
		}
		if err := wait(ctx, poll); err != nil {
			return Result{}, err
		}
	}
}

// lasts is how long a lease lasts.
func (l *Leases) lasts() time.Duration { return l.options.Work + Margin }

// Latest returns the newest payload of a grant, nil if the caller's is not older. The error wraps [vault.ErrAway].
func (l *Leases) Latest(ctx context.Context, g Grant) (payload []byte, err error) {
	_, r, err := l.find(ctx, g)
	if err != nil || r.version <= g.Version {
		return nil, err
	}
	return r.payload, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// find returns the record of a grant: one that says nothing if there is none, or one that is older than what the caller has.
// What cannot be opened at all is replaced, like one that is lost; what another version of this program wrote is not.
func (l *Leases) find(ctx context.Context, g Grant) (found *vault.Value, r record, err error) {
	none := record{version: g.Version, payload: g.Payload}
	found, err = l.options.Vault.Find(ctx, kind, g.ID)
	switch {
	case errors.Is(err, vault.ErrUnreadable) || err == nil && found == nil:
		return found, none, nil
	case err != nil:
		return nil, record{}, err
	}
	if r, err = decode(found.Plain); err != nil {
		return nil, record{}, fmt.Errorf("%w: %w", vault.ErrAway, err)
	}
	if r.version < g.Version { // it could not be published: whoever held that lease has succeeded
		none.fence, none.later = r.fence, r.later
		return found, none, nil
	}
	return found, r, nil
}

// hold takes the lease and has the attempt made. The result is not Own if somebody else took it before, or while it lasted.
func (l *Leases) hold(
	ctx context.Context, g Grant, found *vault.Value, r record, attempt func(context.Context, bool) Attempt,
) (Result, error) {
	lost := r.lost || r.holder != [16]byte{} // one who did not come back
	taken := r
	taken.lost, taken.pause = lost, 0
	if _, err := io.ReadFull(l.options.Rand, taken.holder[:]); err != nil {
		return Result{}, err
	}
	taken.fence++
	taken.until = l.options.Now().Add(l.lasts()).UnixMilli()
	swapped, err := l.swap(ctx, g, found, &taken)
	if err != nil || !swapped {
		return Result{}, err
	}
	a := l.attempt(ctx, lost, attempt)
	return l.publish(ctx, g, l.outcome(&taken, a), a.Payload != nil || a.Over)
}

// attempt bounds an attempt by the time for which the lease is good.
func (l *Leases) attempt(ctx context.Context, lost bool, attempt func(context.Context, bool) Attempt) Attempt {
	ctx, cancel := context.WithTimeout(ctx, l.options.Work)
	defer cancel()
	return attempt(ctx, lost)
}

// outcome is the record after an attempt, without a holder.
func (l *Leases) outcome(taken *record, a Attempt) publication {
	next := *taken
	next.holder, next.until = [16]byte{}, 0
	switch {
	case a.Payload != nil:
		next.version, next.payload, next.lost = taken.version+1, a.Payload, false
	case a.Over:
		next.over, next.lost = true, a.Lost || taken.lost
	default:
		next.lost = a.Lost || taken.lost
		next.pause = l.options.Now().Add(a.Pause).UnixMilli()
	}
	return publication{next: next}
}

// publish writes what came of an attempt, also if all who asked have left meanwhile. The store may be away: what matters is
// then published later.
func (l *Leases) publish(ctx context.Context, g Grant, p publication, matters bool) (Result, error) {
	p.grant = g
	switch superseded, err := l.write(context.WithoutCancel(ctx), p); {
	case matters && errors.Is(err, vault.ErrAway):
		l.keep(p)
	case superseded:
		return Result{}, nil
	}
	return Result{Own: true}, nil
}

// write writes a publication, unless the store knows a newer version, or the same.
func (l *Leases) write(ctx context.Context, p publication) (superseded bool, err error) {
	for range 8 {
		found, r, err := l.find(ctx, Grant{ID: p.grant.ID, Version: -1})
		switch {
		case err != nil:
			return false, err
		case found == nil, found.Unreadable, r.version < p.next.version: // of a lower version, whoever holds it has an answer now
		case r.version > p.next.version, r.fence != p.next.fence, r.holder == [16]byte{}:
			return true, nil
		}
		p.next.later = r.later
		if swapped, err := l.swap(ctx, p.grant, found, &p.next); err != nil || swapped {
			return false, err
		}
	}
	return true, nil
}

func (l *Leases) swap(ctx context.Context, g Grant, found *vault.Value, next *record) (bool, error) {
	return l.options.Vault.Swap(ctx, kind, g.ID, found, next.encode(), g.Expiry)
}
