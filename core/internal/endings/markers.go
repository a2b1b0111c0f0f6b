package endings

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// Markers say which sessions have ended: this process's memory does and, with a store, what all replicas wrote there. A marker
// is a time (see [Marker]), kept for as long as a session may live that it ends.
//
// The store is asked once for each session and second, or each half minute while its messages arrive: messages bring the
// markers of other replicas at once. What was found is never forgotten, and what was not found is: after messages that may
// have been lost, after an error, and when the store's epoch changes.
type Markers struct {
	o        Options
	known    *known
	looked   looked
	answered atomic.Int64 // when the store answered last, in milliseconds; when this process began, at first
	away     atomic.Int64 // until when it is not asked, because it has just failed
	epoch    atomic.Pointer[vault.Epoch]
	keeper
}

// Options are what Markers are made of. Vault may be nil: there are no replicas.
type Options struct {
	Vault *vault.Vault
	Now   func() time.Time
	Kept  time.Duration // how long a session may live that began until a marker's time
	// Streams are those of sessions: they end when a marker is known that ends them, with Cause.
	Streams *Streams
	Cause   error
	// Unheard, if set, is the cause with which they end when the store cannot tell whether they should.
	Unheard error
}

const (
	kind     = "ended" // the vault's kind of markers
	topic    = "ended"
	mostHere = 100_000 // markers that one process knows

	answerKept      = time.Second      // of a store without messages
	answerKeptHeard = 30 * time.Second // of one with: nothing relies on them
	awayPause       = time.Second      // a store that is away is not asked for each request
	writeTries      = 8                // how often others may change a marker meanwhile
)

// NewMarkers returns markers. It does not use the store yet. Close ends what they do in the background.
func NewMarkers(o Options) *Markers {
	m := &Markers{o: o, known: newKnown(o.Now, mostHere)}
	m.answered.Store(o.Now().UnixMilli())
	m.keeper.init(m)
	return m
}

// End notes that something has ended. From here on it has, in this process; the error, which wraps [vault.ErrAway], says that
// other replicas do not know it yet. They are told as soon as that is possible.
func (m *Markers) End(ctx context.Context, mark Key, marker Marker) error {
	marker = m.know(mark, marker, m.until(marker), m.o.Vault != nil)
	if m.o.Vault == nil {
		return nil
	}
	err := m.write(ctx, mark, marker)
	if err != nil {
		m.repeat(mark)
	}
	return err
}

// EndHere notes that something has ended, of which only this process can know.
func (m *Markers) EndHere(mark Key, marker Marker, until time.Time) {
	m.know(mark, marker, until, false)
}

// until returns until when a marker is needed. Everybody computes the same: what is missing in the store before was lost.
func (m *Markers) until(marker Marker) time.Time { return time.UnixMilli(marker.Before).Add(m.o.Kept) }

// Known reports whether a session has ended, as far as this process knows.
func (m *Markers) Known(s *Session) bool { return m.known.ends(s) }

// Has reports whether there is a marker that this process knows.
func (m *Markers) Has(mark Key) bool {
	_, ok := m.known.get(mark)
	return ok
}

// Covers reports whether a marker is no news to this process.
func (m *Markers) Covers(mark Key, marker Marker) bool {
	known, ok := m.known.get(mark)
	return ok && known.with(marker) == known
}

// Ended reports whether a session has ended. The store is asked, unless it was a moment ago. The error wraps [vault.ErrAway] and
// means that only this process's word is known; or it is that of ctx.
func (m *Markers) Ended(ctx context.Context, s *Session) (bool, error) {
	switch {
	case m.known.ends(s):
		return true, nil
	case m.o.Vault == nil || m.isFresh(s):
		return false, nil
	}
	return m.Look(ctx, s)
}

// isFresh reports whether a session was looked up a moment ago.
func (m *Markers) isFresh(s *Session) bool {
	m.noticeEpoch()
	kept := answerKept
	if m.subscribe() {
		kept = answerKeptHeard
	}
	return m.sinceLook(s) < kept
}

// sinceLook returns how long ago a session was looked up. A clock that was set back says that it was long ago.
func (m *Markers) sinceLook(s *Session) time.Duration {
	since := time.Duration(m.o.Now().UnixMilli()-m.looked.at(s.ID)) * time.Millisecond
	if since < 0 {
		return answerKeptHeard
	}
	return since
}

// Look is Ended without what is remembered of earlier answers.
func (m *Markers) Look(ctx context.Context, s *Session) (ended bool, err error) {
	l, err := m.Begin(s)
	if err != nil {
		return m.known.ends(s), err
	}
	values, err := m.o.Vault.FindMany(ctx, l.Keys)
	return l.Found(ctx, values, err)
}

// A Lookup asks the store about a session, together with what else a caller wants to know of the store.
type Lookup struct {
	Keys []vault.Key // to be found

	m    *Markers
	s    *Session
	look Look
}

// Look is when the store was asked. The zero value is never.
type Look struct {
	number int64 // among looks and news
	at     int64 // in milliseconds
}

// Began is when the lookup began.
func (l *Lookup) Began() Look { return l.look }

// StillHolds reports whether what the store said of a session then is what it would say now: whether it has ended, and what it has
// of it. Messages would have told, and arrive: nobody has ended it or called Changed, none may have been lost, and it is less than
// half a minute ago, since nothing relies on them.
func (m *Markers) StillHolds(session Key, then Look) bool {
	if m.o.Vault == nil {
		return false
	}
	m.noticeEpoch()
	if !m.subscribe() {
		return false
	}
	since := m.o.Now().UnixMilli() - then.at
	return 0 <= since && since < answerKeptHeard.Milliseconds() && m.looked.holds(session, then.number)
}

// Changed says that what the store has of a session is another than before, or gone: replicas that remember it look again.
func (m *Markers) Changed(ctx context.Context, session Key) {
	m.looked.forget(session)
	_ = m.o.Vault.Notify(context.WithoutCancel(ctx), topic, changeMessage(session)) // nothing relies on it
}

// Begin begins to look a session up. The error wraps [vault.ErrAway]: the store has failed a moment ago, and is left alone.
func (m *Markers) Begin(s *Session) (*Lookup, error) {
	now := m.o.Now().UnixMilli()
	if m.Resting() {
		return nil, fmt.Errorf("%w: it failed a moment ago", vault.ErrAway)
	}
	l := &Lookup{m: m, s: s, look: Look{number: m.looked.begin(), at: now}}
	for _, mark := range s.marks() {
		l.Keys = append(l.Keys, keyOf(mark))
	}
	if !m.o.Vault.FindsMany() { // it would not be noticed that everything is gone
		m.o.Vault.Doubt()
	}
	return l, nil
}

// Found takes over the values of Keys, or why there are none, and reports whether the session has ended. The error wraps
// [vault.ErrAway] and means that only this process's word is known.
func (l *Lookup) Found(ctx context.Context, values []*vault.Value, err error) (ended bool, _ error) {
	m := l.m
	m.heard(ctx, err)
	for i, mark := range l.s.marks() {
		if err == nil {
			err = m.learn(ctx, mark, values[i])
		}
	}
	switch {
	case m.known.ends(l.s):
		return true, nil
	case err != nil:
		return false, err
	}
	m.looked.add(l.s.ID, l.look.number, l.look.at)
	return false, nil
}

func keyOf(mark Key) vault.Key { return vault.Key{Kind: kind, ID: string(mark[:])} }

// heard notes that the store has answered, or not. Who leaves says nothing about the store.
func (m *Markers) heard(ctx context.Context, err error) {
	now := m.o.Now().UnixMilli()
	switch {
	case err == nil:
		m.answered.Store(now)
		if m.away.Swap(0) != 0 { // what it has said before may no longer be so: another server may stand in its place
			m.doubt()
		}
		m.noticeEpoch()
	case ctx.Err() == nil:
		m.away.Store(now + awayPause.Milliseconds())
	}
}

// Resting reports whether the store has failed a moment ago, and is left alone.
func (m *Markers) Resting() bool { return m.o.Now().UnixMilli() < m.away.Load() }

// Away returns how long ago the store answered last.
func (m *Markers) Away() time.Duration {
	return time.Duration(m.o.Now().UnixMilli()-m.answered.Load()) * time.Millisecond
}

// learn takes over what was found at a mark. There was a marker where a value cannot be read, such as one that was cut:
// what has ended does not come back for that. One of now is put in its place, which leaves those alone who sign in again.
func (m *Markers) learn(ctx context.Context, mark Key, value *vault.Value) error {
	if value == nil {
		return nil
	}
	if found, _, ok := decodeMarker(value.Plain); ok {
		m.know(mark, found, m.until(found), false)
		return nil
	}
	return m.End(ctx, mark, Marker{Before: m.o.Now().UnixMilli()})
}

// know takes a marker over, and ends the streams that it ends.
func (m *Markers) know(mark Key, marker Marker, until time.Time, own bool) Marker {
	all, news := m.known.add(mark, marker, until, own)
	if news {
		m.o.Streams.EndMarked(mark, all, m.o.Cause)
	}
	return all
}

// write writes a marker into the store, unless a later one is there, and tells the other replicas. The error wraps
// [vault.ErrAway].
func (m *Markers) write(ctx context.Context, mark Key, marker Marker) error {
	for range writeTries {
		found, err := m.o.Vault.Find(ctx, kind, string(mark[:]))
		if err != nil && !errors.Is(err, vault.ErrUnreadable) {
			return err
		}
		var old Marker
		var later []byte
		readable := false
		if found != nil {
			old, later, readable = decodeMarker(found.Plain)
		}
		next := old.with(marker)
		swapped := readable && next == old
		if !swapped {
			if swapped, err = m.o.Vault.Swap(ctx, kind, string(mark[:]), found, next.encode(later), m.until(next)); err != nil {
				return err
			}
		}
		if !swapped { // another replica was faster
			continue
		}
		if e, err := m.o.Vault.Epoch(ctx); err == nil {
			m.known.written(mark, e.ID)
		}
		_ = m.o.Vault.Notify(ctx, topic, next.message(mark)) // nothing relies on it
		return nil
	}
	return fmt.Errorf("%w: a marker does not stay the same", vault.ErrAway)
}

// Epoch returns when the store's epoch began, in milliseconds: what ended before may be forgotten. It is 0 without a store,
// and until that has answered.
func (m *Markers) Epoch() int64 {
	if m.o.Vault == nil {
		return 0
	}
	m.noticeEpoch()
	if e := m.epoch.Load(); e != nil {
		return e.Begun.UnixMilli()
	}
	return 0
}

// noticeEpoch notices when the store's epoch has changed: whatever it has said before is of no use.
func (m *Markers) noticeEpoch() {
	now, ok := m.o.Vault.KnownEpoch()
	if !ok {
		return
	}
	before := m.epoch.Load()
	if before != nil && before.ID == now.ID {
		return
	}
	changed := now // which allocates, and not before it must
	if m.epoch.CompareAndSwap(before, &changed) && before != nil {
		m.epochChanged()
	}
}

// Outlived returns the time up to which markers are known that a session which begins now has outlived. They are looked up; if
// the store is away, it is what this process knows.
func (m *Markers) Outlived(ctx context.Context, s *Session) int64 {
	if m.o.Vault != nil {
		_, _ = m.Look(ctx, s)
	}
	return m.known.before(s)
}

// beginEpoch begins a new epoch of the store, which has lost something that was written in the given one.
func (m *Markers) beginEpoch(ctx context.Context, lost [16]byte) error {
	_, err := m.o.Vault.NewEpoch(ctx, vault.Epoch{ID: lost})
	m.noticeEpoch()
	return err
}
