// Package lease has one of many replicas refresh a grant, once per version, and all others read the result.
//
// A provider that rotates refresh tokens takes the second use of one for theft, and ends the session. So whoever wants to
// refresh takes a lease first, which one of all replicas gets; it publishes what came of it, as the next version, and the
// others wait for that. What is written is the whole record of the grant, in place of the one that was read (a swap): that
// is the fence for the store. No fence protects the provider, so a lease lasts longer than anything that its holder sends.
//
// A store may lose what it took: it is emptied, or a server that lacks the last writes takes its place. Whoever has the version before the
// one that is lost would then refresh it once more. So each replica remembers the records that it wrote and read (see memory), writes again
// those that are lost, and until others have had the time for that, takes no lease where it may matter.
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

	firstPoll, settlingPoll, longestPoll = 50 * time.Millisecond, 200 * time.Millisecond, time.Second

	// settleTime is how long others have to write again what the store has lost, from when that was noticed here. They notice it by
	// then: by what they ask the store, by its messages, or because these were cut off.
	settleTime = 2 * time.Second
)

// Options are what Leases are made of. All must be set.
type Options struct {
	Vault *vault.Vault
	Now   func() time.Time
	Rand  io.Reader
	Work  time.Duration
	Kept  time.Duration // how long after it was made the version before a record may be asked for: records are remembered for that long
}

// Leases take leases. They are safe for concurrent use.
type Leases struct {
	options Options
	memory  memory
	keeper
}

// New returns leases in a vault. Close ends what they do in the background.
func New(o Options) *Leases {
	l := &Leases{options: o}
	l.memory.init(o.Now, o.Kept)
	l.keeper.init(l)
	return l
}

// Grant is what is to be refreshed, as the caller has it.
type Grant struct {
	ID      string
	Version int64
	Payload []byte    // of Version
	Expiry  time.Time // when the record may be forgotten

	// Confirmed is when Version was known to be no older than what the store has. In an epoch that began later, the store may have
	// lost a newer one.
	Confirmed time.Time
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
			if unsettled, err := l.unsettled(ctx, g, found); err != nil {
				return Result{}, err
			} else if unsettled {
				poll = min(poll, settlingPoll)
				break
			}
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

// unsettled reports whether others may be about to write again what the store has lost of a grant. The error wraps [vault.ErrAway].
func (l *Leases) unsettled(ctx context.Context, g Grant, found *vault.Value) (bool, error) {
	v := l.options.Vault
	if found == nil && !v.FindsMany() { // it would not be noticed that everything is gone
		v.Doubt()
	}
	epoch, err := v.Epoch(ctx)
	if err != nil {
		return false, err
	}
	noticed, back := v.Noticed()
	now := l.options.Now()
	return g.Confirmed.Before(epoch.Begun) && now.Sub(noticed).Abs() < settleTime || now.Sub(back).Abs() < settleTime, nil
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

// find returns the record of a grant, as the store has it or as this process remembers it, whichever is newer: one that says nothing if
// there is none, or one that is older than what the caller has.
func (l *Leases) find(ctx context.Context, g Grant) (found *vault.Value, r record, err error) {
	found, r, err = l.stored(ctx, g)
	if err != nil {
		return nil, record{}, err
	}
	if e := l.memory.get(g.ID); e != nil && e.record.newerThan(&r) {
		r = e.record
	} else if found != nil && !found.Unreadable {
		l.remember(g.ID, g.Expiry, r)
	}
	return found, r, nil
}

// stored is find without what is remembered. What cannot be opened at all is replaced, like one that is lost; what another version of this
// program wrote is not.
func (l *Leases) stored(ctx context.Context, g Grant) (found *vault.Value, r record, err error) {
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

// remember notes a record that the store has.
func (l *Leases) remember(id string, expiry time.Time, r record) {
	epoch, _ := l.options.Vault.KnownEpoch()
	l.memory.add(&remembered{id: id, expiry: expiry, record: r, epoch: epoch.ID})
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
	now := l.options.Now()
	taken.fence = max(taken.fence+1, now.UnixMilli()) // higher than those of before, also where these are lost
	taken.until = now.Add(l.lasts()).UnixMilli()
	swapped, err := l.swap(ctx, g, found, &taken)
	if err != nil || !swapped {
		return Result{}, err
	}
	l.remember(g.ID, g.Expiry, taken)
	return l.publish(ctx, g, l.outcome(&taken, l.attempt(ctx, lost, attempt))), nil
}

// attempt bounds an attempt by the time for which the lease is good.
func (l *Leases) attempt(ctx context.Context, lost bool, attempt func(context.Context, bool) Attempt) Attempt {
	ctx, cancel := context.WithTimeout(ctx, l.options.Work)
	defer cancel()
	return attempt(ctx, lost)
}

// outcome is the record after an attempt, without a holder.
func (l *Leases) outcome(taken *record, a Attempt) record {
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
	return next
}

// publish writes what came of an attempt, also if all who asked have left meanwhile. The store may be away: then it is published later.
func (l *Leases) publish(ctx context.Context, g Grant, next record) Result {
	e := &remembered{id: g.ID, expiry: g.Expiry, record: next, unwritten: true}
	l.memory.add(e)
	switch superseded, err := l.write(context.WithoutCancel(ctx), e); {
	case errors.Is(err, vault.ErrAway):
		l.wake(nothing)
	case err != nil:
		l.memory.drop(e)
	case superseded:
		return Result{}
	}
	return Result{Own: true}
}

// write writes a record, unless the store has it, or a newer one: of a lower version, whoever holds it has an answer now.
func (l *Leases) write(ctx context.Context, e *remembered) (superseded bool, err error) {
	for range 8 {
		found, r, err := l.stored(ctx, Grant{ID: e.id, Version: -1})
		if err != nil {
			return false, err
		}
		next := e.record
		if found != nil && !found.Unreadable {
			if !next.newerThan(&r) {
				l.memory.drop(e)
				l.remember(e.id, e.expiry, r)
				return r.newerThan(&next), nil
			}
			next.later = r.later
		}
		switch swapped, err := l.options.Vault.Swap(ctx, kind, e.id, found, next.encode(), e.expiry); {
		case err != nil:
			return false, err
		case swapped:
			l.remember(e.id, e.expiry, next)
			return false, nil
		}
	}
	return true, nil
}

func (l *Leases) swap(ctx context.Context, g Grant, found *vault.Value, next *record) (bool, error) {
	return l.options.Vault.Swap(ctx, kind, g.ID, found, next.encode(), g.Expiry)
}
