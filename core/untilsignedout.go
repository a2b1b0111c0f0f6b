package idserver

import (
	"context"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/endings"
)

// UntilSignedOut returns a context that ends when the admission of the request does, for what outlasts it: a stream of
// server-sent events, a WebSocket, long polling. A guard decides once, and what it let in goes on until somebody ends it. ctx
// is the context behind a guard, or one that was derived from it; the new one ends with it too. [context.Cause] tells why, with
// an error that is [Err]:
//
//   - [ErrSignedOut]: only a new sign-in helps. The session was signed out, here or at another replica, it reached
//     Config.Session.Max, or another request's refresh was refused by the provider or by Config.AdmitUser.
//   - [ErrInvalidToken] with [ReasonExpired] or [ReasonRevoked]: the bearer token expired (with the leeway of the guard), or
//     this client revoked it ([Client.RevokeToken]). A new token may come with a new connection.
//   - [ErrUnavailable]: connect again. No request has refreshed the session for Config.Session.StaleMax beyond the expiry of its
//     access token, so that the provider was not asked for longer than any request would be served; or the client was closed;
//     or Config.StrictSignOut is set and the store is away.
//
// A sign-out at another replica ends it at once where Config.Store carries messages ([Notifier]) that arrive, and otherwise
// within ten seconds; within half a minute where messages are lost without a sign.
//
// An open stream counts as use of the session: its idle limit does not end it. But a stream does not renew the cookie either, so
// a browser that did nothing else cannot connect again after Config.Session.Idle. When the provider withdraws the key of a
// bearer token, open streams live until the token expires; no new one is admitted. Where nobody is signed in, which is possible
// behind [Client.LoadUser], and in a context of [WithUser], there is no admission, and the context ends with ctx alone.
//
// Call the function when the stream is over, such as with defer: some frameworks' contexts (fiber's) do not end with their
// request. Until then, a stream costs about a kilobyte and no goroutine; afterwards, and after every other end of the
// context, nothing.
func UntilSignedOut(ctx context.Context) (context.Context, context.CancelFunc) {
	u := userContextFrom(ctx)
	if u == nil || u.user == nil || u.by == nil {
		return context.WithCancel(ctx)
	}
	a, ended := u.by.stream(u)
	return u.by.provider.streams.Open(ctx, a, ended)
}

// stream returns what a stream is admitted for, and what tells whether that has ended.
func (c *Client) stream(u *userContext) (a endings.Admission, ended func() error) {
	if u.session != nil {
		return c.site.stream(u.session)
	}
	hash := signedHash(u.accessToken)
	return endings.Admission{Key: hash, Until: fromUnixMilli(u.until), Over: errExpired}, func() error {
		if c.provider.revoked.Has(hash) {
			return errRevoked
		}
		return nil
	}
}

// stream implements [site].
func (w *web) stream(s *session) (a endings.Admission, ended func() error) {
	return w.admission(s), func() error {
		w.markers.Watch()
		if w.markers.Known(&s.ends) {
			return errEndedHere
		}
		return nil
	}
}

// admission says how long a session's streams may go on: no longer than a request with the same session would be answered
// while the provider is away.
func (w *web) admission(s *session) endings.Admission {
	a := endings.Admission{Key: s.ends.ID, Session: s.ends, Until: s.signedIn.Add(w.cfg.Session.Max), Over: errReachedMax}
	if s.tokens.RefreshToken == "" || s.tokens.refreshAt.IsZero() {
		return a
	}
	if stale := s.tokens.Expiry.Add(w.cfg.staleMax()); stale.Before(a.Until) {
		a.Until, a.Over = stale, errNotRefreshed
	}
	return a
}

// The causes of a context of [UntilSignedOut].
var (
	errEndedHere    = baseerror.Errorf("idserver: %w: it was signed out", ErrSignedOut)
	errReachedMax   = baseerror.Errorf("idserver: %w: it has reached Session.Max", ErrSignedOut)
	errNotGoneOn    = baseerror.Errorf("idserver: %w: it could not be refreshed", ErrSignedOut)
	errNotRefreshed = baseerror.Errorf("idserver: %w: no request has refreshed the session for longer than Session.StaleMax: connect again", ErrUnavailable)
	errStoreAway    = baseerror.Errorf("idserver: %w: the store of sessions does not answer, and StrictSignOut is set: connect again", ErrUnavailable)
	errClosed       = baseerror.Errorf("idserver: %w: the client was closed", ErrUnavailable)
	errExpired      = invalidToken(ReasonExpired, "it expired while the stream was open")
	errRevoked      = invalidToken(ReasonRevoked, "it was revoked here")
)
