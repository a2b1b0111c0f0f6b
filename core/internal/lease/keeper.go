package lease

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

const (
	repeatEvery = 250 * time.Millisecond
	lastTry     = time.Second // what Close waits for

	mostAsked   = 100 // records that are looked up at once
	mostWriting = 8   // and that are written at once
)

// keeper is what Leases do in the background: a goroutine that runs while there is something to do. It writes the records that the store
// did not take, and when the store may have lost something, those that it has lost.
type keeper struct {
	l *Leases

	mu      sync.Mutex
	doubt   doubt
	busy    bool // the goroutine runs
	closed  bool
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// doubt is what the store may have lost.
type doubt int

const (
	nothing doubt = iota
	latest        // what was written last
	all
)

func (k *keeper) init(l *Leases) {
	k.l = l
	k.ctx, k.cancel = context.WithCancel(context.Background())
	l.options.Vault.Watch(func(newEpoch bool) {
		if newEpoch {
			k.wake(all)
		} else {
			k.wake(latest)
		}
	})
}

// wake begins the work.
func (k *keeper) wake(d doubt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doubt = max(k.doubt, d)
	if !k.busy && !k.closed {
		k.busy = true
		k.running.Go(k.work)
	}
}

func (k *keeper) work() {
	for !k.tend(k.ctx) {
		if wait(k.ctx, repeatEvery) != nil {
			return
		}
	}
}

// tend does what is to be done. It reports whether nothing is left.
func (k *keeper) tend(ctx context.Context) (done bool) {
	k.mu.Lock()
	doubt := k.doubt
	k.doubt = nothing
	k.mu.Unlock()
	failed := k.verify(ctx, doubt) != nil
	written := k.writeAll(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	if failed {
		k.doubt = max(k.doubt, doubt)
	}
	k.busy = !written || k.doubt != nothing
	return !k.busy
}

// verify looks whether the store still has what this process wrote and read, the latest first, and writes again what it has lost. A server
// that lacks its last writes lacks nothing from before them. The error is the store's.
func (k *keeper) verify(ctx context.Context, doubt doubt) error {
	if doubt == nothing {
		return nil
	}
	for some := range slices.Chunk(k.l.memory.all(func(e *remembered) bool { return !e.unwritten }), mostAsked) {
		lost, err := k.lost(ctx, some)
		if err == nil && len(lost) > 0 {
			err = k.restore(ctx, lost)
		}
		switch {
		case err != nil:
			return err
		case doubt == latest && len(lost) == 0:
			return nil
		}
	}
	return nil
}

// lost returns the records that the store does not have, or only earlier ones.
func (k *keeper) lost(ctx context.Context, some []*remembered) (lost []*remembered, err error) {
	keys := make([]vault.Key, len(some))
	for i, e := range some {
		keys[i] = vault.Key{Kind: kind, ID: e.id}
	}
	values, err := k.l.options.Vault.FindMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	epoch, _ := k.l.options.Vault.KnownEpoch()
	for i, value := range values {
		if value != nil && !value.Unreadable {
			if r, err := decode(value.Plain); err != nil || !some[i].record.newerThan(&r) {
				some[i].epoch = epoch.ID
				continue
			}
		}
		lost = append(lost, some[i])
	}
	return lost, nil
}

// restore writes records again. If they were lost in the epoch that the store is in, another one begins before: others may have written
// what nobody can write again, such as who signed out.
func (k *keeper) restore(ctx context.Context, lost []*remembered) error {
	v := k.l.options.Vault
	epoch, _ := v.KnownEpoch()
	if slices.ContainsFunc(lost, func(e *remembered) bool { return e.epoch == epoch.ID }) {
		if _, err := v.NewEpoch(ctx, epoch); err != nil {
			return err
		}
	}
	return k.write(ctx, lost)
}

// writeAll writes what the store did not take. It reports whether nothing is left.
func (k *keeper) writeAll(ctx context.Context) (done bool) {
	return k.write(ctx, k.l.memory.all(func(e *remembered) bool { return e.unwritten })) == nil
}

// write writes records, several at once, until one fails.
func (k *keeper) write(ctx context.Context, records []*remembered) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var writers sync.WaitGroup
	for range min(mostWriting, len(records)) {
		writers.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(records) {
					return
				}
				if err := k.writeOne(ctx, records[i]); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	writers.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// writeOne writes a record, unless the store has a newer one. What cannot be written at all is forgotten.
func (k *keeper) writeOne(ctx context.Context, e *remembered) error {
	superseded, err := k.l.write(ctx, e)
	switch {
	case errors.Is(err, vault.ErrAway) && !errors.Is(err, errFormat):
		return err
	case err != nil, superseded:
		k.l.memory.drop(e)
	}
	return nil
}

// Close tries once more to write what the store did not take, and waits for that.
func (k *keeper) Close() {
	k.mu.Lock()
	k.closed = true
	k.mu.Unlock()
	k.cancel()
	k.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	k.writeAll(ctx)
}
