package vault

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/seal"
)

// The root is the one value that the others rest on: the secret of all keys and values in the store, and the epoch that the
// store is in. It is random, lives in the store, and has a copy for each of the application's secrets, sealed with that one
// at a key that is derived from it. So it outlives every change of the secrets, as long as replicas with the next secret and
// with the last one have one in common, and there is nothing else to configure.
//
// A process that has known the root writes it again where it is gone, with its secret and a new epoch: what stood in the
// store before may be lost then, such as who signed out, and what was written since can still be read.

const (
	lookEvery   = 30 * time.Second    // how long the root is used before it is looked up again, without any sign of a change
	lookAtLeast = time.Hour           // the same, while what is found shows that it has not changed
	lookTries   = 8                   // how often others may change it meanwhile
	rootKept    = 90 * 24 * time.Hour // without a process that looks
	rootAnew    = 7 * 24 * time.Hour  // how old a copy is when it is written again
)

// root is the root as it is stored. Times are in milliseconds since 1970.
type root struct {
	secret  [32]byte
	epoch   [16]byte
	begun   int64  // when the epoch began
	written int64  // when this copy was written
	later   string // what a later version wrote behind
}

const (
	rootVersion = 1
	rootSize    = 1 + 32 + 16 + 8 + 8
)

func (r *root) encode() []byte {
	out := append(make([]byte, 0, rootSize+len(r.later)), rootVersion)
	out = append(append(out, r.secret[:]...), r.epoch[:]...)
	out = binary.BigEndian.AppendUint64(out, uint64(r.begun))
	out = binary.BigEndian.AppendUint64(out, uint64(r.written))
	return append(out, r.later...)
}

func decodeRoot(in []byte) (root, bool) {
	if len(in) < rootSize || in[0] != rootVersion {
		return root{}, false
	}
	return root{
		secret: [32]byte(in[1:33]), epoch: [16]byte(in[33:49]),
		begun: int64(binary.BigEndian.Uint64(in[49:57])), written: int64(binary.BigEndian.Uint64(in[57:65])),
		later: string(in[65:]),
	}, true
}

// sameEpoch reports whether two roots differ in nothing but when they were written.
func (r *root) sameEpoch(o *root) bool {
	return r.secret == o.secret && r.epoch == o.epoch && r.begun == o.begun && r.later == o.later
}

// after reports whether r goes before o where both are found: its epoch began later. Everybody decides in the same way.
func (r *root) after(o *root) bool {
	if r.begun != o.begun {
		return r.begun > o.begun
	}
	return bytes.Compare(r.epoch[:], o.epoch[:]) > 0
}

// opened is the root as it is used.
type opened struct {
	root
	mac    []byte     // of keys
	ring   *seal.Ring // of values
	stored []byte     // the first copy, as it is in the store
	looked time.Time
	since  time.Time // when this process noticed the epoch

	confirmed atomic.Int64 // when it was last found to be as it was, by the way, in milliseconds
}

// isFresh reports whether the root need not be looked up.
func (o *opened) isFresh(now time.Time) bool {
	since := now.Sub(o.looked).Abs()
	return since < lookEvery || since < lookAtLeast && now.Sub(time.UnixMilli(o.confirmed.Load())).Abs() < lookEvery
}

func openRoot(r root, stored []byte, looked time.Time) (*opened, error) {
	mac, err := hkdf.Key(sha256.New, r.secret[:], nil, "idserver-go store v1 keys", sha256.Size)
	if err != nil {
		return nil, err
	}
	ring, err := seal.New("store", base64.RawURLEncoding.EncodeToString(r.secret[:])) // the root is the application's
	if err != nil {
		return nil, err
	}
	return &opened{root: r, mac: mac, ring: ring, stored: stored, looked: looked}, nil
}

// name returns where a key's value is in the store.
func (o *opened) name(k Key) string {
	mac := hmac.New(sha256.New, o.mac)
	mac.Write(binary.AppendUvarint(nil, uint64(len(k.Kind))))
	io.WriteString(mac, k.Kind)
	io.WriteString(mac, k.ID)
	return inStore(mac.Sum(nil))
}

func (o *opened) open(name string, stored []byte) *Value { return open(o.ring, name, stored) }

// copyOf returns where the copy for a secret is.
func (v *Vault) copyOf(ring *seal.Ring) string {
	at := ring.Derive("store root")
	return inStore(at[:])
}

// Epoch is a stretch of time in which the store has lost nothing, as far as anybody noticed. What began before Begun may have
// been ended in a way that the store no longer tells.
type Epoch struct {
	ID    [16]byte
	Begun time.Time
}

// Epoch returns the epoch that the store is in. Its first has a beginning too: there was nothing before. The error is
// ErrAway.
func (v *Vault) Epoch(ctx context.Context) (Epoch, error) {
	o, err := v.root(ctx)
	if err != nil {
		return Epoch{}, err
	}
	return o.Epoch(), nil
}

// KnownEpoch returns the epoch that the store was in when the root was looked up last. It never asks the store; ok is false until
// something else did.
func (v *Vault) KnownEpoch() (e Epoch, ok bool) {
	o := v.known.Load()
	if o == nil {
		return Epoch{}, false
	}
	return o.Epoch(), true
}

func (o *opened) Epoch() Epoch { return Epoch{o.epoch, time.UnixMilli(o.begun).UTC()} }

// NewEpoch begins a new epoch, because the store has lost something that was written in the given one. It does nothing if
// another has begun since: of all replicas that notice, one begins it. The error is ErrAway.
func (v *Vault) NewEpoch(ctx context.Context, lost Epoch) (Epoch, error) {
	o, err := v.look(ctx, func(found *root) (root, error) {
		next, err := v.next(found)
		if err == nil && next.epoch == lost.ID {
			err = v.renewEpoch(&next)
		}
		return next, err
	})
	if err != nil {
		return Epoch{}, err
	}
	return o.Epoch(), nil
}

// Doubt says that the store may have lost something: the root is looked up again before it is used. Errors of the store and
// lost messages do so by themselves.
func (v *Vault) Doubt() { v.stale.Store(true) }

// root returns the root, which it looks up if it is not known, in doubt, or old. All who wait share one look.
func (v *Vault) root(ctx context.Context) (*opened, error) {
	o := v.known.Load()
	if o != nil && !v.stale.Load() && o.isFresh(v.now()) {
		return o, nil
	}
	o, err := v.looks.Do(ctx, [32]byte{}, func(ctx context.Context) (*opened, error) { return v.look(ctx, v.next) })
	if err != nil && !errors.Is(err, ErrAway) { // the caller left, or the vault is closed
		err = fmt.Errorf("%w: %w", ErrAway, err)
	}
	return o, err
}

// findsRoot reports whether all there is of the root is found with values: with several secrets, another copy may say something
// else.
func (v *Vault) findsRoot() bool { return v.many != nil && len(v.rings) == 1 }

// rootThatIsFound is root for who finds out in the same round trip whether it has changed.
func (v *Vault) rootThatIsFound(ctx context.Context) (*opened, error) {
	if o := v.known.Load(); o != nil && v.findsRoot() && !v.stale.Load() && v.now().Sub(o.looked).Abs() < lookAtLeast {
		return o, nil
	}
	return v.root(ctx)
}

// next decides what the root is, by what was found: nil if there is none.
func (v *Vault) next(found *root) (next root, err error) {
	known := v.known.Load()
	switch {
	case found == nil && known == nil:
		if _, err := io.ReadFull(v.rand, next.secret[:]); err != nil {
			return next, err
		}
		return next, v.renewEpoch(&next)
	case found == nil: // the store was emptied
		next = known.root
		return next, v.renewEpoch(&next)
	case known != nil && known.after(found): // the store went back to what it was before
		next = *found
		next.begun = known.begun
		return next, v.renewEpoch(&next)
	}
	return *found, nil
}

// renewEpoch begins a new epoch, later than the one of r.
func (v *Vault) renewEpoch(r *root) error {
	r.begun = max(v.now().UnixMilli(), r.begun+1)
	_, err := io.ReadFull(v.rand, r.epoch[:])
	return err
}

// look finds the copies of the root, has decide say what it is, and sees to it that each copy says so. It writes the one of
// the smallest key id first: two processes that find nothing do not both succeed.
func (v *Vault) look(ctx context.Context, decide func(found *root) (root, error)) (*opened, error) {
	for range lookTries {
		v.stale.Store(false) // before the look: what is doubted from here on counts
		now := v.now()
		copies, err := v.findCopies(ctx)
		if err != nil {
			return nil, err
		}
		best, err := bestOf(copies)
		if err != nil {
			return nil, err
		}
		next, err := decide(best)
		if err != nil {
			return nil, fmt.Errorf("%w: its root: %w", ErrAway, err)
		}
		switch all, err := v.writeCopies(ctx, copies, next, now); {
		case err != nil:
			return nil, err
		case !all: // somebody else was faster: look again
			continue
		}
		o, err := openRoot(next, copies[0].stored, now)
		if err != nil {
			return nil, fmt.Errorf("%w: its root: %w", ErrAway, err)
		}
		v.learn(o)
		return o, nil
	}
	return nil, fmt.Errorf("%w: its root does not stay the same", ErrAway)
}

// rootCopy is a copy of the root for one secret.
type rootCopy struct {
	ring   *seal.Ring
	name   string
	stored []byte // nil: there is none
	root   *root  // nil: there is none that can be opened
}

// findCopies finds the copies for all secrets, in the order of the secrets' key ids.
func (v *Vault) findCopies(ctx context.Context) ([]rootCopy, error) {
	copies, names := make([]rootCopy, len(v.rings)), make([]string, len(v.rings))
	for i, ring := range v.rings {
		names[i] = v.copyOf(ring)
		copies[i] = rootCopy{ring: ring, name: names[i]}
	}
	stored, err := v.find(ctx, names)
	if err != nil {
		return nil, err
	}
	for i := range copies {
		c := &copies[i]
		c.stored = stored[i]
		if value := open(c.ring, c.name, c.stored); value != nil && !value.Unreadable {
			if r, ok := decodeRoot(value.Plain); ok {
				c.root = &r
			}
		}
	}
	return copies, nil
}

// bestOf returns the copy that counts, or nil if there is none at all. Where there are some and none can be opened, nothing
// is decided: a later version may have written them.
func bestOf(copies []rootCopy) (best *root, err error) {
	unreadable := false
	for _, c := range copies {
		if c.root != nil && (best == nil || c.root.after(best)) {
			best = c.root
		}
		unreadable = unreadable || c.stored != nil && c.root == nil
	}
	if best == nil && unreadable {
		return nil, fmt.Errorf("%w: its root, which was written by another version or damaged: %w", ErrAway, ErrUnreadable)
	}
	return best, nil
}

// writeCopies writes the root where it is missing, another, or old. It reports false if one was changed meanwhile. A copy that
// cannot be opened stays as it is.
func (v *Vault) writeCopies(ctx context.Context, copies []rootCopy, r root, now time.Time) (all bool, err error) {
	r.written = now.UnixMilli()
	for i := range copies {
		c := &copies[i]
		good := c.root != nil && c.root.sameEpoch(&r) && now.Sub(time.UnixMilli(c.root.written)) < rootAnew
		if good || c.stored != nil && c.root == nil {
			continue
		}
		value, err := v.seal(c.ring, c.name, r.encode())
		if err != nil {
			return false, fmt.Errorf("%w: its root: %w", ErrAway, err)
		}
		if swapped, err := v.swap(ctx, c.name, c.stored, value, now.Add(rootKept)); err != nil || !swapped {
			return false, err
		}
		c.stored = value
	}
	return true, nil
}
