package idserver

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/vault"
)

// newMarkers makes the markers of what was signed out. They are kept for as long as a session may live that had begun by
// then, its sign-in was on its way, and whose clock was ahead.
func newMarkers(cfg Config, v *vault.Vault, streams *endings.Streams) *endings.Markers {
	o := endings.Options{
		Vault: v, Now: cfg.Now, Kept: cfg.Session.Max + maxIDTokenAge + 2*cfg.Provider.Leeway, Streams: streams, Cause: errEndedHere,
	}
	if cfg.StrictSignOut {
		o.Unheard = errStoreAway
	}
	return endings.NewMarkers(o)
}

// errUnheard marks a session of which it is not known whether it was signed out elsewhere, and which must not go on without
// that.
var errUnheard = errors.New("whether the session was signed out cannot be found out now")

// errUnconfirmed marks a session that may have been signed out in a time that the store has forgotten, and of which nobody can
// ask the provider.
var errUnconfirmed = errors.New("the store has lost who signed out (it was emptied, or is new), and the session has no refresh token with which to ask the provider: a new sign-in is needed")

// ended returns errSignedOut for a session that was signed out, here or at another replica, and errUnheard for one of which
// that is not known and must be. While the store is away, a session goes on until its refresh is due, which then waits for
// the store; without a refresh token, until the store has been away for StaleMax; and not at all with StrictSignOut.
func (w *web) ended(ctx context.Context, s *session) error {
	ended, err := w.markers.Ended(ctx, &s.ends)
	switch refreshed := s.tokens.RefreshToken != "" && !s.tokens.refreshAt.IsZero(); {
	case ended:
		return errSignedOut
	case err == nil:
		return nil
	case w.cfg.StrictSignOut, !refreshed && w.markers.Away() > w.cfg.staleMax():
		return errors.Join(errUnheard, err)
	}
	return nil
}

// endedMeanwhile reports whether a session was signed out, at another replica too, while it was being refreshed.
func (w *web) endedMeanwhile(ctx context.Context, s *session) bool {
	if w.vault == nil {
		return w.markers.Known(&s.ends)
	}
	ended, _ := w.markers.Look(ctx, &s.ends) // if the store is away, the next request finds out
	return ended
}

// unconfirmed reports whether a session may have been signed out in a time that the store has forgotten: it was begun and last
// refreshed before the store's epoch. To refresh it asks the provider.
func (w *web) unconfirmed(s *session) bool { return s.confirmed().UnixMilli() < w.markers.Epoch() }

// confirmed returns when the store's epoch began in which a session was begun or last refreshed; without one, when it was begun.
func (s *session) confirmed() time.Time {
	return time.UnixMilli(cmp.Or(s.kept.Confirmed, s.ends.Began))
}

// outliving returns a session that begins now, which no sign-out from before is meant for, whatever the clocks of other
// replicas say.
func (w *web) outliving(ctx context.Context, s *session) *session {
	kept := s.kept
	kept.Outlived, kept.Confirmed = w.markers.Outlived(ctx, &s.ends), w.markers.Epoch()
	return newSession(kept, s.user, s.tokens, s.signedIn, s.seen)
}

// end ends a session: a response in flight, another tab or a copy of its cookie must not bring it back, at this replica from
// now on, and at the others as soon as they can know.
func (w *web) end(ctx context.Context, s *session) {
	err := w.markers.End(context.WithoutCancel(ctx), s.ends.ID, endings.Marker{Before: w.now().UnixMilli()})
	if err == nil {
		err = w.unlist(ctx, s)
	}
	if err != nil {
		w.cfg.Logger.WarnContext(ctx, "idserver: a sign-out has not reached the store, and other replicas do not know it yet: it is tried again until they do", "error", err)
	}
}
