package idserver

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/memo"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// sealedSessions are sessions that live in the browser's cookies, sealed.
type sealedSessions struct{ w *web }

// openedSession is what a cookie holds: a session, or a reference to one that lives in a store.
type openedSession struct {
	*session
	reference *sessioncodec.Reference
	id        string // of what is remembered of the session that it refers to
	old       bool   // it was sealed with an old secret

	rememberedSession // of a session that lives in the store
}

// openedOverhead is what an opened session takes besides its text, in bytes.
const openedOverhead = 3 << 9

func (k sealedSessions) load(_ context.Context, lines []string, now time.Time) (foundSession, error) {
	opened, err := k.open(lines)
	switch {
	case err != nil:
		return foundSession{}, err
	case opened.reference != nil: // a replica with a store can tell what it refers to
		return foundSession{}, errForeignSession
	}
	return k.found(opened, now)
}

// remembered says nothing: load asks nobody either.
func (sealedSessions) remembered([]string, time.Time) (foundSession, bool) {
	return foundSession{}, false
}

// scratches hold plaintexts while they are unpacked: nothing that is unpacked stays in them.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// open returns what is in a request's cookies.
func (k sealedSessions) open(lines []string) (*openedSession, error) {
	w := k.w
	value, ok := cookies.Chunked(lines, w.names.Session)
	if !ok {
		return nil, errNoSession
	}
	if opened := w.opened.Get(value); opened != nil && opened.packed == nil { // else an id was sent in place of a cookie
		return opened, nil
	}
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	*scratch = slices.Grow((*scratch)[:0], len(value))
	packed, old, err := w.ring.OpenIn(*scratch, w.names.Session, value)
	if err != nil {
		return nil, noSession(err)
	}
	e, size := &memo.Entry[openedSession]{Key: []byte(value), Value: openedSession{old: old}}, 0
	if sessioncodec.IsReference(packed) {
		var ref sessioncodec.Reference
		ref, err = sessioncodec.UnpackReference(packed)
		e.Value.reference, e.Value.id = &ref, rememberedAt(ref.ID)
	} else {
		e.Value.session, size, err = unpackSession(packed, w.cfg.ClientID)
	}
	if err != nil {
		return nil, noSession(err)
	}
	w.opened.Put(e, len(value)+2*size+openedOverhead)
	return &e.Value, nil
}

func (k sealedSessions) found(opened *openedSession, now time.Time) (foundSession, error) {
	w := k.w
	if w.over(opened.session, now) {
		return foundSession{}, errNoSession
	}
	return foundSession{session: opened.session, renew: opened.old || now.Sub(opened.seen) > w.cfg.Session.Idle/10}, nil
}

func (k sealedSessions) named(lines []string, now time.Time) *session {
	opened, err := k.open(lines)
	switch {
	case err != nil:
		return nil
	case opened.session != nil:
		return opened.session
	}
	ref := opened.reference
	kept := sessioncodec.Record{ID: ref.ID, ProviderSession: ref.ProviderSession}
	return newSession(kept, &User{Issuer: ref.Issuer, Subject: ref.Subject}, Tokens{}, now, now)
}

// save writes the session's cookies, and deletes those left over from a longer one before it.
func (k sealedSessions) save(_ context.Context, lines []string, _ foundSession, s *session) ([]Field, error) {
	w := k.w
	packed, err := packSession(s)
	if err != nil {
		return nil, fmt.Errorf("%w: the provider's claims are too many or nest too deep: %w", errTooLarge, err)
	}
	return k.write(lines, packed, min(w.cfg.Session.Idle, w.cfg.Session.Max-w.now().Sub(s.signedIn)))
}

// write writes cookies that hold what is packed.
func (k sealedSessions) write(lines []string, packed []byte, life time.Duration) ([]Field, error) {
	w := k.w
	value, err := w.ring.Seal(w.cfg.Rand, w.names.Session, packed)
	if err != nil {
		return nil, err
	}
	written, err := w.jar.SetChunked(lines, w.names.Session, value, "/", int(life.Seconds()))
	if err != nil {
		return nil, fmt.Errorf("%w: it has %d bytes, and cookies hold %d: set ServerSessions, ask for fewer scopes, or have the provider put less into its tokens", errTooLarge, len(value), cookies.MaxTotal)
	}
	return setCookies(written), nil
}

func (k sealedSessions) drop(lines []string) []Field {
	return setCookies(k.w.jar.DeleteChunked(lines, k.w.names.Session, "/"))
}

// end has nothing to do: nobody but the browser has the session.
func (sealedSessions) end(context.Context, *session) {}
