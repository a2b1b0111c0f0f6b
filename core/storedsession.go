package idserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/sessioncodec"
	"github.com/signward/idserver-go/core/internal/vault"
)

// storedSessions are the sessions of an application with a store. With Config.ServerSessions they live there, and the cookie says
// which one it is. Both forms are read with either setting, because replicas with both stand side by side while it is changed:
//
//   - A session that was found in a cookie moves into the store, once. What the cookie held is out of date from then on: it is
//     refused a minute after the browser was first seen with the new cookie. Until then it stands for what the store has, as answers
//     get lost, and a page sends several requests at once.
//   - Without ServerSessions, a session that was found in the store is written into a cookie when it is renewed. What the store has
//     of it stays there, unused, until it is over.
//
// A session keeps its id wherever it lives, so that a sign-out by that ends it in every form.
type storedSessions struct {
	w      *web
	sealed sealedSessions
}

// kindSession is the vault's kind of sessions. Their IDs are those that they have wherever they live.
const kindSession = "session"

// movedGrace is how long the form that a session had before it moved stands for it, since the browser has the new one.
const movedGrace = resultKept

// storedSession is what the store has of a session, as it was found. The zero value is nothing.
type storedSession struct {
	sessioncodec.Stored
	value *vault.Value // to swap; nil: the store has nothing
}

func (k storedSessions) load(ctx context.Context, lines []string, now time.Time) (foundSession, error) {
	w := k.w
	opened, err := k.sealed.open(lines)
	if err != nil {
		return foundSession{}, err
	}
	if opened.reference == nil && !w.cfg.ServerSessions {
		return k.sealed.found(opened, now)
	}
	ref := opened.reference
	if ref == nil {
		if w.over(opened.session, now) { // the store has nothing newer, or this browser would have another cookie
			return foundSession{}, errNoSession
		}
		ref = referenceTo(opened.session, 0)
	}
	stored, s, err := w.lookUp(ctx, ref, opened.session)
	switch {
	case err != nil:
		return foundSession{}, err
	case s == nil: // an id that the store does not know is none, whoever sealed it
		return foundSession{}, errNoSession
	}
	var found foundSession
	if opened.reference != nil {
		found = k.referred(opened, stored, s, now)
	} else if found, err = k.unmoved(opened, stored, s, now); err != nil {
		return foundSession{}, err
	}
	if w.over(found.session, now) {
		return foundSession{}, errNoSession
	}
	return found, nil
}

// referred is the session that a reference leads to.
func (k storedSessions) referred(opened *openedSession, stored storedSession, s *session, now time.Time) foundSession {
	w, ref := k.w, opened.reference
	settles := w.cfg.ServerSessions && stored.Moves > 0 && stored.Settled == 0 && ref.Moves == stored.Moves
	return foundSession{
		session: s, stored: stored, reference: ref, settles: settles, old: opened.old,
		renew: opened.old || settles || now.Sub(s.seen) > w.cfg.Session.Idle/10,
	}
}

// unmoved is the session of a cookie that holds it, where sessions live in the store. It moves when it is saved.
func (k storedSessions) unmoved(opened *openedSession, stored storedSession, s *session, now time.Time) (foundSession, error) {
	found := foundSession{session: s, stored: stored, old: opened.old, renew: true}
	switch {
	case stored.value == nil || opened.kept.Moves >= stored.Moves: // it has not moved, or has come back since
		found.session, found.moves = opened.session, true
	case stored.Settled != 0 && now.Sub(time.UnixMilli(stored.Settled)) > movedGrace: // a copy, or an answer that must not delete
		return foundSession{}, errForeignSession // the cookie that the browser has by now
	}
	return found, nil
}

// lookUp returns what the store has of a session, and the session: that one, or its cookie's if the store has none; nil if neither has.
// In the same round trip it finds out whether the session was signed out, which is asked afterwards. The error is errForeignSession if
// what the store has is not for this process, or that of a store that is away.
func (w *web) lookUp(ctx context.Context, ref *sessioncodec.Reference, cookies *session) (stored storedSession, s *session, err error) {
	ends := endedBy(ref.ID, ref.Issuer, ref.Subject, ref.ProviderSession)
	keys := []vault.Key{keyOfSession(ref.ID)}
	marks, err := w.markers.Begin(&ends)
	if err == nil { // otherwise the store has failed a moment ago: whoever asks about sign-outs is told so
		keys = append(keys, marks.Keys...)
	}
	values, err := w.vault.FindMany(ctx, keys)
	if err == nil {
		stored, s, err = w.opensStored(ref.ID, values[0])
	}
	if s == nil && err == nil {
		s = cookies
	}
	if marks == nil {
		return stored, s, err
	}
	if s != nil {
		ends.Began, ends.Issued, ends.Outlived = s.ends.Began, s.ends.Issued, s.ends.Outlived
	}
	if values == nil {
		_, _ = marks.Found(ctx, nil, err) // what it says is asked afterwards
		return stored, s, err
	}
	ended, unheard := marks.Found(ctx, values[1:], nil)
	if stored.value != nil && err == nil && !ended && unheard == nil {
		w.remember(stored, s, marks.Began())
	}
	return stored, s, err
}

func keyOfSession(id [32]byte) vault.Key { return vault.Key{Kind: kindSession, ID: string(id[:])} }

// opensStored opens what the store has of a session. Without a value there is no session, and no error.
func (w *web) opensStored(id [32]byte, value *vault.Value) (stored storedSession, s *session, err error) {
	switch {
	case value == nil:
		return storedSession{}, nil, nil
	case value.Unreadable: // it is not accepted, and not deleted
		return storedSession{}, nil, errForeignSession
	}
	if stored.Stored, err = sessioncodec.UnpackStored(value.Plain); err != nil {
		return storedSession{}, nil, errForeignSession
	}
	if s, err = w.unpackStored(stored, id); err != nil {
		return storedSession{}, nil, errForeignSession
	}
	stored.value = value
	return stored, s, nil
}

// referenceTo is what a cookie has of a session that lives in the store.
func referenceTo(s *session, moves int64) *sessioncodec.Reference {
	return &sessioncodec.Reference{
		ID: s.kept.ID, Issuer: s.user.Issuer, Subject: s.user.Subject, ProviderSession: s.kept.ProviderSession, Moves: moves,
	}
}

// save writes the session into the store with ServerSessions, and otherwise into the cookie. A store that is away when a session is
// renewed changes nothing: what could not be written is found by the next request as it was, or in the leases.
func (k storedSessions) save(ctx context.Context, lines []string, found foundSession, s *session) ([]Field, error) {
	w := k.w
	if !w.cfg.ServerSessions {
		own := *s
		own.kept.Moves = max(s.kept.Moves, found.stored.Moves)
		fields, err := k.sealed.save(ctx, lines, found, &own)
		if !errors.Is(err, errTooLarge) || found.stored.value == nil {
			return fields, err
		} // it has no room in cookies, and stays where it is
	}
	moves, err := w.store(ctx, found, s)
	switch {
	case found.session != nil && (errors.Is(err, vault.ErrAway) || err == errForeignSession): // another version has written it meanwhile
		w.cfg.Logger.WarnContext(ctx, "idserver: the session was not renewed in the store; it goes on", "error", err)
		return nil, nil
	case err != nil:
		return nil, err
	case found.reference != nil && !found.old && found.reference.Moves == moves: // the browser has it
		return nil, nil
	}
	return k.refer(lines, found.reference, s, moves)
}

// refer writes the cookie of a session that lives in the store. It lasts as long as the session may, because the store knows
// when it is idle.
func (k storedSessions) refer(lines []string, known *sessioncodec.Reference, s *session, moves int64) ([]Field, error) {
	w := k.w
	ref := *referenceTo(s, moves)
	if known != nil { // with what a later version wrote besides
		own := *known
		own.ProviderSession, own.Moves = ref.ProviderSession, ref.Moves
		ref = own
	}
	packed, err := sessioncodec.PackReference(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: its issuer and subject are too long: %w", errTooLarge, err)
	}
	return k.sealed.write(lines, packed, w.cfg.Session.Max-w.now().Sub(s.signedIn))
}

// mostSaves is how often a session is tried to be written while others write it.
const mostSaves = 8

// store writes a session into the store, as the successor of what was found. The highest version of the tokens wins, and of the
// same version the one that was seen last. The error is errSignedOut if the session has ended meanwhile, which no answer that is
// still on its way may undo. moves is what the cookie must say.
func (w *web) store(ctx context.Context, found foundSession, s *session) (moves int64, err error) {
	stored, began := found.stored, found.session == nil
	if found.remembered { // it is not written without a look
		if stored, err = w.storedNow(ctx, s.kept.ID); err == nil && stored.value == nil {
			err = errSignedOut
		}
		if err != nil {
			return 0, err
		}
	}
	for range mostSaves {
		next, kept, err := w.successor(found, stored, s)
		if err != nil {
			return 0, err
		}
		packed, err := sessioncodec.PackStored(next)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errTooLarge, err)
		}
		if stored.value != nil && bytes.Equal(packed, stored.value.Plain) {
			return next.Moves, nil
		}
		swapped, err := w.vault.Swap(ctx, kindSession, string(s.kept.ID[:]), stored.value, packed, w.storedUntil(kept))
		if !began && (err != nil || swapped) { // of a new one, nobody remembers anything
			w.markers.Changed(ctx, s.ends.ID)
		}
		if err != nil || swapped {
			return next.Moves, err
		}
		known := stored.value != nil
		if stored, err = w.storedNow(ctx, s.kept.ID); err != nil {
			return 0, err
		}
		if stored.value == nil && known && !began { // it was signed out, or its time is over
			return 0, errSignedOut
		}
	}
	return 0, fmt.Errorf("%w: others write the session all the time", vault.ErrAway)
}

// storedNow is what the store has of a session at this moment.
func (w *web) storedNow(ctx context.Context, id [32]byte) (storedSession, error) {
	values, err := w.vault.FindMany(ctx, []vault.Key{keyOfSession(id)})
	if err != nil {
		return storedSession{}, err
	}
	stored, _, err := w.opensStored(id, values[0])
	return stored, err
}

// successor is what the store is to have of a session, where it has stored now, and that session.
func (w *web) successor(found foundSession, stored storedSession, s *session) (sessioncodec.Stored, *session, error) {
	next := stored.Stored
	switch {
	case stored.value == nil && !found.moves: // it begins
		next.Moves = s.kept.Moves
	case found.moves && found.kept.Moves >= stored.Moves:
		next.Moves, next.Settled = found.kept.Moves+1, 0
	case found.settles && stored.Settled == 0:
		next.Settled = w.now().UnixMilli()
	}
	if stored.value != nil {
		known, err := w.unpackStored(stored, s.kept.ID)
		if err != nil {
			return next, nil, err
		}
		s = w.later(known, s)
	}
	own := *s
	own.kept.Moves = next.Moves
	packed, err := packSession(&own)
	if err != nil {
		return next, nil, fmt.Errorf("%w: the provider's claims are too many or nest too deep: %w", errTooLarge, err)
	}
	next.Session = packed
	return next, s, nil
}

// later returns what is to be kept of two versions of a session, of which the store has known: the later tokens, the fewer roles
// of the same, and when the session was seen last, to a tenth of the idle time.
func (w *web) later(known, s *session) *session {
	next := s
	loses := s.tokens.rolesFrom == fromNowhere && known.tokens.rolesFrom != fromNowhere
	if known.kept.Version > s.kept.Version || known.kept.Version == s.kept.Version && !loses {
		next = known
	}
	switch seen := s.seen.Sub(known.seen); {
	case next == known && seen > w.cfg.Session.Idle/10:
		return known.renewed(s.seen)
	case next == s && seen < 0:
		return s.renewed(known.seen)
	}
	return next
}

// storedUntil is when the store may forget a session: when it is over, by the clock of any replica.
func (w *web) storedUntil(s *session) time.Time {
	idle, over := s.seen.Add(w.cfg.Session.Idle), s.signedIn.Add(w.cfg.Session.Max)
	if over.Before(idle) {
		idle = over
	}
	return idle.Add(w.cfg.Provider.Leeway)
}

// end deletes what the store has of a session. If that fails, it is there until its time is over, and no use to anybody.
func (k storedSessions) end(ctx context.Context, s *session) {
	w := k.w
	if !w.cfg.ServerSessions && s.kept.Moves == 0 { // it never was in the store
		return
	}
	if err := w.vault.Delete(ctx, kindSession, string(s.kept.ID[:])); err != nil {
		w.cfg.Logger.WarnContext(ctx, "idserver: what the store has of a session that is over was not deleted", "error", err)
	}
	w.markers.Changed(ctx, s.ends.ID)
}

func (k storedSessions) named(lines []string, now time.Time) *session {
	return k.sealed.named(lines, now)
}

func (k storedSessions) drop(lines []string) []Field { return k.sealed.drop(lines) }
