// Package vault is a store that several replicas share, as the rest of the core sees it: nothing that stands in the store
// tells whose it is, and nothing that somebody else wrote there is taken for ours.
//
//   - A key in the store is an HMAC of a kind and an id, under a secret that the store keeps only sealed (the root, see
//     root.go): a plain hash of an e-mail address or of an identity number could be found by trying them all.
//   - A value is encrypted and authenticated together with its key: that of another key, an altered one and one of another
//     application do not open. An older value of the same key does: what must not come back has to say when it was made.
//   - Whatever the store does, a call has ended after a few times Options.Timeout, and an error means that nothing is known.
//
// The interfaces of a store are declared here again: this package knows nothing of the core, and a store nothing of it.
package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/seal"
)

// Store keeps bytes by key. An error means that nothing is known.
type Store interface {
	FindCtx(ctx context.Context, key string) (value []byte, found bool, err error)
	CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error
	DeleteCtx(ctx context.Context, key string) error
}

// swapper is a store that writes a value only in place of another one, or of none (nil).
type swapper interface {
	SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error)
}

// manyFinder is a store that finds several keys in one round trip.
type manyFinder interface {
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
}

var (
	// ErrAway means that the store did not answer, or not in a way that can be used. It says nothing about what is in the
	// store, and nothing about whether a value was written.
	ErrAway = errors.New("the store is not available")
	// ErrUnreadable means that there is a value which cannot be opened here: another version of the program wrote it, or
	// somebody else, or it was cut. It is not accepted, and not deleted.
	ErrUnreadable = errors.New("a value in the store cannot be opened")
	// ErrTooLarge means that a value is larger than any that is kept.
	ErrTooLarge = errors.New("the value is too large for the store")
)

const (
	defaultTimeout = 300 * time.Millisecond
	// MaxValue limits a value in the store, in bytes, as it is stored.
	MaxValue = 1 << 20
)

// Options are what a Vault is made of. Timeout may be left out: 300 ms for each operation of the store.
type Options struct {
	Store   Store
	Ring    *seal.Ring // of the application's secrets. They seal the root, and nothing else
	Rand    io.Reader
	Now     func() time.Time
	Timeout time.Duration
}

// Vault seals what it keeps in a store. It is safe for concurrent use.
type Vault struct {
	store    Store
	many     manyFinder // nil: the store finds one key at a time
	swapper  swapper    // nil: this process is the only one
	notifier notifier   // nil: there are no messages
	rand     io.Reader
	now      func() time.Time
	timeout  time.Duration

	rings []*seal.Ring // one for each secret
	known atomic.Pointer[opened]
	stale atomic.Bool // whether the store may have lost the root
	looks *flight.Group[*opened]
	outages

	seed  maphash.Seed
	swaps [64]sync.Mutex // by key: for a store that cannot swap
}

// New returns a vault in a store. It does not use the store yet.
func New(o Options) *Vault {
	v := &Vault{store: o.Store, rand: o.Rand, now: o.Now, timeout: o.Timeout, rings: o.Ring.Each(), seed: maphash.MakeSeed()}
	v.many, _ = o.Store.(manyFinder)
	v.swapper, _ = o.Store.(swapper)
	v.notifier, _ = o.Store.(notifier)
	if v.timeout == 0 {
		v.timeout = defaultTimeout
	}
	v.looks = flight.New(flight.Options[*opened]{
		Now: o.Now, Limit: lookTries * 2 * v.timeout, MostRunning: 1,
		Kept: func(*opened, error) time.Duration { return 0 }, Size: func(*opened, error) int { return 0 },
	})
	return v
}

// Close waits for what the vault does in the background. Afterwards, what needs a look at the root fails.
func (v *Vault) Close() { v.looks.Close() }

// Key names a value: by what it is, and whose. Each kind has a meaning of its own, and ids of their own.
type Key struct{ Kind, ID string }

// Value is a value as it was found. Its Plain may be changed; Swap compares with what is in the store.
type Value struct {
	Plain      []byte
	Unreadable bool // see ErrUnreadable; Plain is then nil

	stored []byte
}

// Find returns the value of a key, or nil if there is none. Besides ErrAway, the error may be ErrUnreadable, which comes with
// a Value that can be swapped.
func (v *Vault) Find(ctx context.Context, kind, id string) (*Value, error) {
	values, err := v.FindMany(ctx, []Key{{kind, id}})
	switch {
	case err != nil:
		return nil, err
	case values[0] != nil && values[0].Unreadable:
		return values[0], ErrUnreadable
	}
	return values[0], nil
}

// FindsMany reports whether FindMany takes one round trip, and notices an emptied store.
func (v *Vault) FindsMany() bool { return v.many != nil }

// FindMany returns the values of several keys, nil for those that have none. It takes one round trip if the store can do
// that; the root comes with them, so that an emptied store is noticed at once. The error is ErrAway: of values that cannot
// be opened, Unreadable tells.
func (v *Vault) FindMany(ctx context.Context, keys []Key) ([]*Value, error) {
	for range lookTries {
		o, err := v.rootThatIsFound(ctx)
		if err != nil {
			return nil, err
		}
		names := make([]string, len(keys), len(keys)+1)
		for i, k := range keys {
			names[i] = o.name(k)
		}
		stored, same, err := v.findWithRoot(ctx, o, names)
		if err != nil {
			return nil, err
		}
		if !same {
			v.stale.Store(true)
			now, err := v.root(ctx)
			if err != nil {
				return nil, err
			}
			if now.secret != o.secret { // and under the other one, the keys have other names
				continue
			}
		}
		values := make([]*Value, len(keys))
		for i := range keys {
			values[i] = o.open(names[i], stored[i])
		}
		return values, nil
	}
	return nil, fmt.Errorf("%w: its root does not stay the same", ErrAway)
}

// findWithRoot finds keys, and where that takes no further round trip, whether the root is the one that is known.
func (v *Vault) findWithRoot(ctx context.Context, o *opened, names []string) (stored [][]byte, same bool, err error) {
	if v.many == nil {
		stored, err = v.find(ctx, names)
		return stored, true, err
	}
	stored, err = v.find(ctx, append(names, v.copyOf(v.rings[0])))
	if err != nil {
		return nil, false, err
	}
	last := len(stored) - 1
	same = bytes.Equal(stored[last], o.stored)
	if same && v.findsRoot() {
		o.confirmed.Store(v.now().UnixMilli())
	}
	return stored[:last], same, nil
}

// Commit writes a value, in place of any other. The error is ErrAway or ErrTooLarge.
func (v *Vault) Commit(ctx context.Context, kind, id string, plain []byte, expiry time.Time) error {
	o, err := v.root(ctx)
	if err != nil {
		return err
	}
	name := o.name(Key{kind, id})
	value, err := v.seal(o.ring, name, plain)
	if err != nil {
		return err
	}
	return v.do(ctx, func(ctx context.Context) error { return v.store.CommitCtx(ctx, name, value, expiry) })
}

// Swap writes a value if the key's is still old, which Find returned; nil stands for none. Of two who swap the same, one
// succeeds. The error is ErrAway if it is not known whether it happened: then it may yet happen, and old is still there.
// Swap has looked by then: a store that did it and lost only the answer is no error.
func (v *Vault) Swap(ctx context.Context, kind, id string, old *Value, plain []byte, expiry time.Time) (swapped bool, err error) {
	o, err := v.root(ctx)
	if err != nil {
		return false, err
	}
	name := o.name(Key{kind, id})
	value, err := v.seal(o.ring, name, plain)
	if err != nil {
		return false, err
	}
	return v.swap(ctx, name, old.bytes(), value, expiry)
}

// Delete deletes a value. That there is none is no error.
func (v *Vault) Delete(ctx context.Context, kind, id string) error {
	o, err := v.root(ctx)
	if err != nil {
		return err
	}
	return v.do(ctx, func(ctx context.Context) error { return v.store.DeleteCtx(ctx, o.name(Key{kind, id})) })
}

// bytes returns what stands in the store, or nil for none.
func (v *Value) bytes() []byte {
	if v == nil {
		return nil
	}
	return v.stored
}

// seal encrypts a value for a key. No two results are the same, as Swap needs it.
func (v *Vault) seal(ring *seal.Ring, name string, plain []byte) ([]byte, error) {
	if len(plain) > MaxValue-seal.Overhead {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrTooLarge, len(plain))
	}
	return ring.SealBytes(v.rand, purpose(name), plain)
}

// open is the inverse of seal.
func open(ring *seal.Ring, name string, stored []byte) *Value {
	if stored == nil {
		return nil
	}
	if len(stored) > MaxValue {
		return &Value{Unreadable: true, stored: stored}
	}
	plain, _, err := ring.OpenBytes(purpose(name), stored)
	return &Value{Plain: plain, Unreadable: err != nil, stored: stored}
}

func purpose(name string) string { return "store\x00" + name }

// do uses the store for one operation.
func (v *Vault) do(ctx context.Context, operation func(context.Context) error) (err error) {
	own, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil { // some callers are goroutines, where no server recovers
			err = fmt.Errorf("it panicked (%T)\n%s", p, debug.Stack())
		}
		if err == nil {
			return
		}
		if ctx.Err() == nil { // otherwise the caller left, which says nothing about the store
			v.failed(v.now())
			v.stale.Store(true)
		}
		err = fmt.Errorf("%w: %w", ErrAway, err)
	}()
	return operation(own)
}

// find finds keys as they are in the store. What is found is not nil.
func (v *Vault) find(ctx context.Context, names []string) (stored [][]byte, err error) {
	err = v.do(ctx, func(ctx context.Context) error {
		if v.many != nil {
			if stored, err = v.many.FindManyCtx(ctx, names); err == nil && len(stored) != len(names) {
				err = fmt.Errorf("FindManyCtx: %d values for %d keys", len(stored), len(names))
			}
			return err
		}
		stored = make([][]byte, len(names))
		for i, name := range names {
			value, found, err := v.store.FindCtx(ctx, name)
			switch {
			case err != nil:
				return err
			case found && value == nil:
				stored[i] = []byte{}
			case found:
				stored[i] = value
			}
		}
		return nil
	})
	return stored, err
}

// swap is Swap for a key and values as they are in the store.
func (v *Vault) swap(ctx context.Context, name string, old, value []byte, expiry time.Time) (swapped bool, err error) {
	if v.swapper == nil {
		return v.swapHere(ctx, name, old, value, expiry)
	}
	err = v.do(ctx, func(ctx context.Context) error {
		swapped, err = v.swapper.SwapCtx(ctx, name, old, value, expiry)
		return err
	})
	if err == nil {
		return swapped, nil
	}
	found, lookErr := v.find(context.WithoutCancel(ctx), []string{name})
	switch {
	case lookErr != nil:
		return false, err
	case bytes.Equal(found[0], value) && found[0] != nil:
		return true, nil
	case bytes.Equal(found[0], old) && (found[0] == nil) == (old == nil):
		return false, err
	}
	return false, nil // somebody else's is there, in place of old or of ours
}

// swapHere swaps in a store that cannot, for a process that is the only one. What has expired is deleted: stores that are published
// for scs may keep it for ever (in Redis, a life that is not positive is none).
func (v *Vault) swapHere(ctx context.Context, name string, old, value []byte, expiry time.Time) (bool, error) {
	mu := &v.swaps[maphash.String(v.seed, name)%uint64(len(v.swaps))]
	mu.Lock()
	defer mu.Unlock()
	found, err := v.find(ctx, []string{name})
	if err != nil {
		return false, err
	}
	if !bytes.Equal(found[0], old) || (found[0] == nil) != (old == nil) {
		return false, nil
	}
	err = v.do(ctx, func(ctx context.Context) error {
		if !v.now().Before(expiry) {
			return v.store.DeleteCtx(ctx, name)
		}
		return v.store.CommitCtx(ctx, name, value, expiry)
	})
	return err == nil, err
}

// inStore is how keys and topics are written.
func inStore(hash []byte) string { return base64.RawURLEncoding.EncodeToString(hash) }
