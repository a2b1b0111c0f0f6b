package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// network is between a store in memory and the stores that ask it.
type network struct {
	server *memorystore.Store

	mu      sync.Mutex
	stalled chan struct{} // closed when it speaks again; nil: it does not stall
	cuts    int
	changed chan struct{} // closed at the next cut, stall or resumption
}

func newNetwork() *network { return &network{server: memorystore.New()} }

func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// state tells how often the network was cut, whether it stalls, and when that changes.
func (n *network) state() (cuts int, stalled, changed chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.cuts, n.stalled, n.changed
}

func (n *network) cut(tester) { n.change(func() { n.cuts++ }) }

func (n *network) stall(tester) (resume func()) {
	stalled := make(chan struct{})
	n.change(func() { n.stalled = stalled })
	return sync.OnceFunc(func() {
		n.change(func() { n.stalled = nil })
		close(stalled)
	})
}

// replicas are stores that reach the server over the network, each broken by breaks.
func (n *network) replicas(breaks func(r *remote)) replicas {
	return replicas{
		open: func(tester) idserver.Store {
			r := &remote{network: n, server: n.server}
			breaks(r)
			return r
		},
		shared: true, cut: n.cut, stall: n.stall,
	}
}

// remote is a store of one replica.
type remote struct {
	network *network
	server  *memorystore.Store

	ignoresDeadlines, failsAsAbsent, neverTells, tellsOnce, staysCut bool
	cache                                                            map[string][]byte // what is found is remembered, if it is not nil
	mu                                                               sync.Mutex
}

var errCut = errors.New("connection reset")

// passes waits as long as the network stalls.
func (r *remote) passes(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	time.Sleep(time.Microsecond)
	cuts, stalled, _ := r.network.state()
	if r.staysCut && cuts > 0 {
		return errCut
	}
	if stalled == nil {
		return nil
	}
	ended := ctx.Done()
	if r.ignoresDeadlines {
		ended = nil
	}
	select {
	case <-stalled:
		return nil
	case <-ended:
		return ctx.Err()
	}
}

func (r *remote) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	if err := r.passes(ctx); err != nil {
		if r.failsAsAbsent && errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		return nil, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if value := r.cache[key]; value != nil {
		return value, true, nil
	}
	value, found, err := r.server.FindCtx(ctx, key)
	if r.cache != nil && found {
		r.cache[key] = value
	}
	return value, found, err
}

func (r *remote) FindManyCtx(ctx context.Context, keys []string) ([][]byte, error) {
	if err := r.passes(ctx); err != nil {
		return nil, err
	}
	return r.server.FindManyCtx(ctx, keys)
}

func (r *remote) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	if err := r.passes(ctx); err != nil {
		return err
	}
	r.forget(key)
	return r.server.CommitCtx(ctx, key, value, expiry)
}

func (r *remote) DeleteCtx(ctx context.Context, key string) error {
	if err := r.passes(ctx); err != nil {
		return err
	}
	r.forget(key)
	return r.server.DeleteCtx(ctx, key)
}

func (r *remote) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if err := r.passes(ctx); err != nil {
		return false, err
	}
	r.forget(key)
	return r.server.SwapCtx(ctx, key, old, value, expiry)
}

func (r *remote) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cache, key)
}

func (r *remote) NotifyCtx(ctx context.Context, topic, message string) error {
	if err := r.passes(ctx); err != nil {
		return err
	}
	return r.server.NotifyCtx(ctx, topic, message)
}

func (r *remote) Subscribe(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
	if err := r.passes(ctx); err != nil {
		return nil, err
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	var told sync.Once
	tell := lost
	if r.tellsOnce {
		tell = func() { told.Do(lost) }
	}
	if r.neverTells {
		tell = func() {}
	}
	cuts, _, changed := r.network.state()
	disconnect, err := r.server.Subscribe(ctx, topic, f, tell)
	if err != nil {
		return nil, err
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-changed:
			case <-stopped:
				disconnect()
				return
			}
			now, stalled, next := r.network.state()
			changed = next
			if now == cuts && stalled == nil {
				continue
			}
			cuts = now
			disconnect()
			tell()
			for stalled != nil {
				select {
				case <-stalled:
					stalled = nil
				case <-time.After(time.Second):
					tell()
				case <-stopped:
					return
				}
			}
			if r.staysCut {
				<-stopped
				return
			}
			disconnect, _ = r.server.Subscribe(context.Background(), topic, f, tell)
			tell()
		}
	}()
	return sync.OnceFunc(func() {
		close(stopped)
		<-ended
	}), nil
}

// Each row is one way not to survive a fault, or to disagree, and the test that must notice.
func TestRunReplicasNotices(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		breaks func(n *network, r *remote)
		test   string
	}{
		"deadlines are ignored":              {func(_ *network, r *remote) { r.ignoresDeadlines = true }, "Stall"},
		"what cannot be known is not found":  {func(_ *network, r *remote) { r.failsAsAbsent = true }, "Stall"},
		"a cut is not told":                  {func(_ *network, r *remote) { r.neverTells = true }, "Cut"},
		"a stall is not told":                {func(_ *network, r *remote) { r.neverTells = true }, "Stall"},
		"a stall is told once":               {func(_ *network, r *remote) { r.tellsOnce = true }, "Stall"},
		"connections are not made anew":      {func(_ *network, r *remote) { r.staysCut = true }, "Cut"},
		"replicas have a cache":              {func(_ *network, r *remote) { r.cache = map[string][]byte{} }, "ReplicasSee"},
		"replicas see nothing of each other": {func(_ *network, r *remote) { r.server = memorystore.New() }, "ReplicasSee"},
		"each replica agrees with itself":    {func(_ *network, r *remote) { r.server = memorystore.New() }, "ReplicasSwapContended"},
		"each replica counts by itself":      {func(_ *network, r *remote) { r.server = memorystore.New() }, "ReplicasSwapCount"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork()
			faults, _ := watch(t, n.replicas(func(r *remote) { row.breaks(n, r) }))
			if len(faults[row.test]) == 0 {
				t.Errorf("%s does not notice; %v do", row.test, slices.Sorted(maps.Keys(faults)))
			}
		})
	}
}
