package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

const (
	repeatEvery     = 250 * time.Millisecond
	mostUnpublished = 10_000
	lastTry         = time.Second // what Close waits for
)

// publication is the record that is to follow an attempt.
type publication struct {
	grant Grant
	next  record
}

// unpublished are results that the store did not take when they came. They are written when it is back, unless it knows a
// newer version: until then, those who hold the version before would refresh it once more.
type unpublished struct {
	write func(context.Context, publication) (superseded bool, err error)
	now   func() time.Time

	mu      sync.Mutex
	byID    map[string]publication
	busy    bool // a goroutine writes
	closed  bool
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func (u *unpublished) init(write func(context.Context, publication) (bool, error), now func() time.Time) {
	u.write, u.now, u.byID = write, now, map[string]publication{}
	u.ctx, u.cancel = context.WithCancel(context.Background())
}

// keep writes p later. If there are too many, it is not kept: the caller has the result, and so has its browser.
func (u *unpublished) keep(p publication) {
	u.mu.Lock()
	defer u.mu.Unlock()
	before, ok := u.byID[p.grant.ID]
	if u.closed || ok && before.next.version >= p.next.version || !ok && len(u.byID) >= mostUnpublished {
		return
	}
	u.byID[p.grant.ID] = p
	if !u.busy {
		u.busy = true
		u.running.Go(u.repeat)
	}
}

// repeat writes until nothing is left to be written.
func (u *unpublished) repeat() {
	for wait(u.ctx, repeatEvery) == nil {
		if u.writeAll(u.ctx) {
			return
		}
	}
}

// writeAll tries to write everything that is left. It reports whether nothing is.
func (u *unpublished) writeAll(ctx context.Context) (done bool) {
	for _, p := range u.all() {
		_, err := u.write(ctx, p)
		if errors.Is(err, vault.ErrAway) && !errors.Is(err, errFormat) && u.now().Before(p.grant.Expiry) {
			return false // the store is still away
		}
		u.written(p)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.busy = len(u.byID) > 0
	return !u.busy
}

func (u *unpublished) all() (all []publication) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.byID {
		all = append(all, p)
	}
	return all
}

// written forgets p, unless a newer one has taken its place.
func (u *unpublished) written(p publication) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID[p.grant.ID].next.version == p.next.version {
		delete(u.byID, p.grant.ID)
	}
}

// Close tries once more to publish what is not yet published, and waits for that.
func (u *unpublished) Close() {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	u.cancel()
	u.running.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	u.writeAll(ctx)
}
