package idserver

import (
	"context"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/memo"
)

// sealedSessions are sessions that live in the browser's cookies, sealed.
type sealedSessions struct{ w *web }

// openedSession is a session, and whether it was sealed with an old secret.
type openedSession struct {
	*session
	old bool
}

// openedOverhead is what an opened session takes besides its text, in bytes.
const openedOverhead = 3 << 9

func (k sealedSessions) load(_ context.Context, lines []string, now time.Time) (foundSession, error) {
	w := k.w
	value, ok := cookies.Chunked(lines, w.names.Session)
	if !ok {
		return foundSession{}, errNoSession
	}
	opened := w.opened.Get(value)
	if opened == nil {
		packed, old, err := w.ring.Open(w.names.Session, value)
		if err != nil {
			return foundSession{}, noSession(err)
		}
		s, size, err := unpackSession(packed, w.cfg.ClientID)
		if err != nil {
			return foundSession{}, noSession(err)
		}
		e := &memo.Entry[openedSession]{Key: []byte(value), Value: openedSession{s, old}}
		w.opened.Put(e, len(value)+2*size+openedOverhead)
		opened = &e.Value
	}
	if w.over(opened.session, now) {
		return foundSession{}, errNoSession
	}
	return foundSession{session: opened.session, renew: opened.old || now.Sub(opened.seen) > w.cfg.Session.Idle/10}, nil
}

// save writes the session's cookies, and deletes those left over from a longer one before it.
func (k sealedSessions) save(_ context.Context, lines []string, _ foundSession, s *session) ([]Field, error) {
	w := k.w
	packed, err := packSession(s)
	if err != nil {
		return nil, fmt.Errorf("%w: the provider's claims are too many or nest too deep: %w", errTooLarge, err)
	}
	value, err := w.ring.Seal(w.cfg.Rand, w.names.Session, packed)
	if err != nil {
		return nil, err
	}
	life := min(w.cfg.Session.Idle, w.cfg.Session.Max-w.now().Sub(s.signedIn))
	written, err := w.jar.SetChunked(lines, w.names.Session, value, "/", int(life.Seconds()))
	if err != nil {
		return nil, fmt.Errorf("%w: it has %d bytes, and cookies hold %d: ask for fewer scopes, or have the provider put less into its tokens", errTooLarge, len(value), cookies.MaxTotal)
	}
	return setCookies(written), nil
}

func (k sealedSessions) drop(lines []string) []Field {
	return setCookies(k.w.jar.DeleteChunked(lines, k.w.names.Session, "/"))
}
