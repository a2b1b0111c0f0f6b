package idserver

import (
	"bytes"
	"time"

	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/memo"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// rememberedSession is what the store had of a session when this process has looked.
type rememberedSession struct {
	packed []byte // the session's record; nil: this is a cookie
	size   int    // of the session, after decompression
	stored sessioncodec.Stored
	look   endings.Look // the zero value: it may be another by now
}

// rememberedAt is where the session of an id is remembered. No cookie's value begins so.
func rememberedAt(id [32]byte) string { return "\x00" + string(id[:]) }

// remembered returns the session that a request's cookie refers to without asking the store, if this process has looked a moment
// ago, and messages would have told that the session has ended or is another by now. It is served, and not written: whoever
// writes it looks first. It says nothing about a session that is over, which may have been used at another replica.
func (k storedSessions) remembered(lines []string, now time.Time) (found foundSession, ok bool) {
	w := k.w
	if !w.cfg.ServerSessions { // it goes back into cookies
		return foundSession{}, false
	}
	opened, err := k.sealed.open(lines)
	if err != nil || opened.reference == nil {
		return foundSession{}, false
	}
	known := w.opened.Get(opened.id)
	if known == nil || !w.markers.StillHolds(known.ends.ID, known.rememberedSession.look) || w.over(known.session, now) {
		return foundSession{}, false
	}
	found = k.referred(opened, storedSession{Stored: known.stored}, known.session, now)
	found.remembered = true
	return found, true
}

// remember notes what the store has of a session, and when it was asked.
func (w *web) remember(stored storedSession, s *session, look endings.Look) {
	known := w.opened.Get(rememberedAt(s.kept.ID))
	if known == nil || known.session != s || !w.vault.HasNotifier() { // it had no room, or nobody would tell
		return
	}
	r := known.rememberedSession
	r.stored, r.look = stored.Stored, look
	r.stored.Session = nil // it is there
	w.putRemembered(s, r)
}

func (w *web) putRemembered(s *session, r rememberedSession) {
	e := &memo.Entry[openedSession]{Key: []byte(rememberedAt(s.kept.ID)), Value: openedSession{session: s, rememberedSession: r}}
	w.opened.Put(e, len(e.Key)+len(r.packed)+2*r.size+openedOverhead)
}

// unpackStored returns the session that the store has under an id.
func (w *web) unpackStored(stored storedSession, id [32]byte) (*session, error) {
	if known := w.opened.Get(rememberedAt(id)); known != nil && bytes.Equal(known.packed, stored.Session) {
		return known.session, nil
	}
	s, size, err := unpackSession(stored.Session, w.cfg.ClientID)
	if err != nil {
		return nil, err
	}
	if s.kept.ID != id { // the vault binds a value to its key, so that only a fault of ours can lead here
		return nil, sessioncodec.ErrMalformed
	}
	w.putRemembered(s, rememberedSession{packed: bytes.Clone(stored.Session), size: size})
	return s, nil
}
