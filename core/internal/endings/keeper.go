package endings

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

const (
	keepEvery = 500 * time.Millisecond // between attempts at what the store did not take

	watchEvery      = 10 * time.Second // the sessions of open streams are looked up
	watchEveryHeard = 30 * time.Second // the same, while messages arrive: nothing relies on them

	lastTry   = time.Second // what Close waits for
	mostAsked = 100         // markers that are looked up at once
)

// keeper is what Markers do in the background: a goroutine that runs while there is something to do. It writes what the
// store did not take, subscribes to its messages, and, when the store may have lost something, sees to it that what this
// process wrote is still there. While there are streams, it looks up their sessions from time to time.
type keeper struct {
	m *Markers

	heardOf atomic.Bool // the subscription lives; or there is none to be had

	mu        sync.Mutex
	unwritten map[Key]struct{}
	doubtful  bool
	newEpoch  bool      // others are to be told
	watched   time.Time // when the sessions of streams were looked up
	busy      bool      // the goroutine runs
	closed    bool
	stop      func() // ends the subscription
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

func (k *keeper) init(m *Markers) {
	k.m, k.unwritten = m, map[Key]struct{}{}
	k.ctx, k.cancel = context.WithCancel(context.Background())
}

// repeat writes the marker at mark later.
func (k *keeper) repeat(mark Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unwritten[mark] = struct{}{}
	k.wake()
}

// doubt says that the store may have lost something, or messages: what it has said before is of no use.
func (k *keeper) doubt() {
	k.m.looked.drop()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doubtful, k.watched = true, time.Time{}
	k.wake()
}

// epochChanged says that the store is in another epoch, as this process has noticed.
func (k *keeper) epochChanged() {
	k.mu.Lock()
	k.newEpoch = true
	k.mu.Unlock()
	k.doubt()
}

// Watch sees to it that streams end when their session does, at other replicas too. It is called when one is opened.
func (k *keeper) Watch() {
	if k.m.o.Vault == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.busy {
		k.watched = k.m.o.Now() // its session was looked up a moment ago
	}
	k.wake()
}

// subscribe reports whether messages arrive. If not, it sees to it that they will.
func (k *keeper) subscribe() bool {
	if k.heardOf.Load() {
		return true
	}
	if k.m.o.Vault.HasNotifier() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.wake()
	}
	return false
}

// wake begins the work. The caller holds the lock.
func (k *keeper) wake() {
	if !k.busy && !k.closed {
		k.busy = true
		k.running.Go(k.work)
	}
}

func (k *keeper) work() {
	for !k.tend(k.ctx) {
		select {
		case <-time.After(keepEvery):
		case <-k.ctx.Done():
			return
		}
	}
}

// tend does what is to be done. It reports whether nothing is left.
func (k *keeper) tend(ctx context.Context) (done bool) {
	k.listen(ctx)
	k.writeAgain(ctx)
	k.mu.Lock()
	doubtful, newEpoch := k.doubtful, k.newEpoch
	k.doubtful, k.newEpoch = false, false
	k.mu.Unlock()
	if newEpoch {
		k.tellEpoch(ctx)
	}
	if doubtful && k.verify(ctx) != nil {
		k.mu.Lock()
		k.doubtful = true
		k.mu.Unlock()
	}
	streams := k.watch(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = streams || k.doubtful || len(k.unwritten) > 0 || !k.heardOf.Load() && k.m.o.Vault.HasNotifier()
	return !k.busy
}

// listen subscribes to the markers of other replicas.
func (k *keeper) listen(ctx context.Context) {
	if k.heardOf.Load() || !k.m.o.Vault.HasNotifier() {
		return
	}
	stop, err := k.m.o.Vault.Subscribe(ctx, topic, k.hear, k.doubt)
	if err != nil {
		return
	}
	k.mu.Lock()
	closed := k.closed
	if !closed {
		k.stop = stop
	}
	k.mu.Unlock()
	if closed {
		stop()
		return
	}
	k.m.looked.drop() // what was looked up before, and may have changed before messages arrived
	k.heardOf.Store(true)
}

// hear takes over what another replica tells.
func (k *keeper) hear(message string) {
	if session, ok := parseChange(message); ok {
		k.m.looked.forget(session)
		return
	}
	if id, ok := strings.CutPrefix(message, epochWord); ok && id == k.epochID() {
		return
	}
	mark, marker, ok := parseMessage(message)
	if !ok {
		k.m.o.Vault.Doubt()
		k.doubt()
		return
	}
	k.m.know(mark, marker, k.m.until(marker), false)
}

// epochWord begins a message that tells the epoch of the store. To versions that do not know it, it is one that says that something is
// wrong: they look.
const epochWord = "epoch "

// tellEpoch tells the other replicas which epoch the store is in. They may not have asked it for anything since it was emptied, and they
// alone know what was lost.
func (k *keeper) tellEpoch(ctx context.Context) {
	_ = k.m.o.Vault.Notify(ctx, topic, epochWord+k.epochID()) // nothing relies on it
}

func (k *keeper) epochID() string {
	epoch, _ := k.m.o.Vault.KnownEpoch()
	return hex.EncodeToString(epoch.ID[:])
}

// writeAgain writes what the store did not take.
func (k *keeper) writeAgain(ctx context.Context) {
	k.mu.Lock()
	all := slices.Collect(maps.Keys(k.unwritten))
	k.mu.Unlock()
	for _, mark := range all {
		marker, ok := k.m.known.get(mark)
		if ok && k.m.write(ctx, mark, marker) != nil {
			return // it is still away
		}
		k.mu.Lock()
		if now, _ := k.m.known.get(mark); now == marker {
			delete(k.unwritten, mark)
		}
		k.mu.Unlock()
	}
}

// watch looks up the sessions of open streams, when that is due, and ends those that have ended. It reports whether there are
// streams.
func (k *keeper) watch(ctx context.Context) bool {
	if k.m.o.Streams.open.Load() == 0 {
		return false
	}
	every := watchEvery
	if k.heardOf.Load() {
		every = watchEveryHeard
	}
	now := k.m.o.Now()
	k.mu.Lock()
	due := now.Sub(k.watched).Abs() >= every
	if due {
		k.watched = now
	}
	k.mu.Unlock()
	if !due {
		return true
	}
	if k.LookAll(ctx, k.m.o.Streams.Sessions()) != nil && k.m.o.Unheard != nil && ctx.Err() == nil {
		k.m.o.Streams.EndSessions(k.m.o.Unheard)
	}
	return true
}

// LookAll looks sessions up, so that Known is right about them. The error wraps [vault.ErrAway].
func (k *keeper) LookAll(ctx context.Context, sessions []Session) error {
	for some := range slices.Chunk(sessions, mostAsked) {
		var marks []Key
		for i := range some {
			marks = append(marks, some[i].marks()...)
		}
		if err := k.lookUp(ctx, marks); err != nil {
			return err
		}
	}
	return nil
}

// lookUp takes over what the store has at marks.
func (k *keeper) lookUp(ctx context.Context, marks []Key) error {
	slices.SortFunc(marks, func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	marks = slices.Compact(marks) // somebody has several streams
	keys := make([]vault.Key, len(marks))
	for i, mark := range marks {
		keys[i] = keyOf(mark)
	}
	values, err := k.m.o.Vault.FindMany(ctx, keys)
	if k.m.heard(ctx, err); err != nil {
		return err
	}
	for i, value := range values {
		if err := k.m.learn(ctx, marks[i], value); err != nil {
			return err
		}
	}
	return nil
}

// verify looks which epoch the store is in, and whether it still has what this process wrote. What it has lost is written again, and a
// new epoch begins, because others may have written what nobody can write again. The error is the store's.
func (k *keeper) verify(ctx context.Context) error {
	if _, err := k.m.o.Vault.Epoch(ctx); err != nil {
		return err
	}
	k.m.noticeEpoch()
	var lost []knownMarker
	for some := range slices.Chunk(k.m.known.own(), mostAsked) {
		keys := make([]vault.Key, len(some))
		for i, e := range some {
			keys[i] = keyOf(e.mark)
		}
		values, err := k.m.o.Vault.FindMany(ctx, keys)
		if k.m.heard(ctx, err); err != nil {
			return err
		}
		for i, value := range values {
			if value != nil {
				if found, _, ok := decodeMarker(value.Plain); ok && found.with(some[i].Marker) == found {
					continue
				}
			}
			lost = append(lost, some[i])
		}
	}
	return k.restore(ctx, lost)
}

// restore writes markers again, after the new epoch has begun: whoever sees it looks again. What this process has not yet
// written is not lost.
func (k *keeper) restore(ctx context.Context, lost []knownMarker) error {
	for _, e := range lost {
		if e.epoch == [16]byte{} {
			continue
		}
		if err := k.m.beginEpoch(ctx, e.epoch); err != nil {
			return err
		}
	}
	for _, e := range lost {
		if err := k.m.write(ctx, e.mark, e.Marker); err != nil {
			return err
		}
	}
	return nil
}

// Close tries once more to write what the store did not take, and waits for that.
func (k *keeper) Close() {
	k.mu.Lock()
	k.closed = true
	stop := k.stop
	k.stop = nil
	k.mu.Unlock()
	k.cancel()
	k.running.Wait()
	if stop != nil {
		stop()
	}
	k.heardOf.Store(false)
	if k.m.o.Vault == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastTry)
	defer cancel()
	k.writeAgain(ctx)
}
