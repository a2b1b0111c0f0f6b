package idserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

const (
	refreshWait  = 3 * time.Second  // how long a request waits for a refresh while its access token is still valid
	refreshPause = 10 * time.Second // between attempts to refresh a session after a temporary failure
)

// refreshAt returns when to refresh an access token: a minute before it expires, or a fifth of its lifetime if that is
// less.
func refreshAt(issued, expiry time.Time) time.Time {
	return expiry.Add(-min(time.Minute, expiry.Sub(issued)/5))
}

// refresh returns a session with a new access token, and the user made anew, if the old token is about to expire; nil if
// the session goes on as it is. An error means that the session is over: the provider refused (the person was disabled,
// the grant was revoked), or the application did. A temporary failure changes nothing: the user stays signed in. A
// refusal that may be due to the configuration ends the session once its access token has expired. errLeft is no verdict:
// the caller left before there was one, and is neither admitted nor signed out.
// errNotRenewed (see [web.mayRenew]) and errStale are none either.
//
// r is the request whose answer brings the result to the browser, or nil if there is none.
func (w *web) refresh(ctx context.Context, r *Request, s *session) (next *session, err error) {
	now := w.now()
	for newest := s; ; newest = next {
		var fresh bool
		next, fresh, err = w.refreshFrom(ctx, r, newest, now)
		switch {
		case err != nil:
			return nil, err
		case next == nil && newest == s:
			return nil, nil
		case next == nil: // what others have made of it is due again, and cannot be refreshed now
			return newest, nil
		case fresh:
			return next, nil
		}
	}
}

// refreshFrom is refresh for one version of a session. fresh says that its tokens were made for this request; those that
// were remembered, or that another replica has made, may be due for a refresh themselves.
func (w *web) refreshFrom(ctx context.Context, r *Request, s *session, now time.Time) (next *session, fresh bool, err error) {
	if err := w.ended(ctx, s); err != nil {
		return nil, false, err
	}
	unconfirmed := w.unconfirmed(s)
	switch due := s.tokens.RefreshToken != "" && !s.tokens.refreshAt.IsZero() && !now.Before(s.tokens.refreshAt); {
	case unconfirmed && s.tokens.RefreshToken == "":
		return nil, false, errUnconfirmed
	case !unconfirmed && !due:
		return nil, false, nil
	}
	known, ok := w.refreshes.Peek(s.refreshKey)
	switch {
	case ok, r != nil && w.mayRenew(r), r == nil && w.mayRefreshAway():
	case now.Before(s.tokens.Expiry) && !unconfirmed:
		return nil, false, nil
	default:
		return nil, false, errNotRenewed
	}
	tokens, err := known.Value, known.Err
	if !ok {
		tokens, err = w.refreshOnce(ctx, s, now)
	}
	if w.markers.Known(&s.ends) { // signed out while the request was in flight, or a remembered result of a session that was
		return nil, false, errSignedOut
	}
	if err == nil {
		return s.refreshed(tokens.User, *tokens, now), !ok && tokens.version == 0, nil
	}
	next, err = w.withoutRefresh(ctx, s, tokens, err, now)
	return next, true, err
}

// withoutRefresh says what becomes of a session whose refresh failed, which may be over. There are tokens if the provider
// issued them and the fault came after that.
func (w *web) withoutRefresh(ctx context.Context, s *session, tokens *Tokens, err error, now time.Time) (*session, error) {
	var refused *TokenEndpointError
	expired := !now.Before(s.tokens.Expiry)
	switch {
	case endsSession(err):
		return nil, err
	case errors.As(err, &refused) && refused.speaksOfGrant() && expired:
		return nil, err // such as of the client, which may be due to the configuration: it counts once the access token is over
	case ctx.Err() != nil: // to close the connection must not be a way around the provider's refusal, which is still on its way
		return nil, errors.Join(errLeft, err)
	case tokens == nil && !now.Before(s.tokens.Expiry.Add(w.cfg.staleMax())):
		return nil, errors.Join(errStale, err)
	case tokens == nil && w.unconfirmed(s):
		return nil, errors.Join(errUnheard, err)
	}
	w.cfg.Logger.WarnContext(ctx, "idserver: the access token was not refreshed; the session goes on", "error", err)
	if tokens == nil {
		return nil, nil
	}
	return s.halfRefreshed(*tokens, now), nil
}

// halfRefreshed is the session after a refresh whose refresh token was rotated, and who the user is could not be found out:
// the old one must not be sent again. The roles are no newer for that.
func (s *session) halfRefreshed(tokens Tokens, now time.Time) *session {
	tokens.rolesFrom, tokens.rolesExpiry = s.tokens.rolesFrom, s.tokens.rolesUntil()
	return s.refreshed(s.user, tokens, now)
}

// codeOfStale is the code for a session that waits.
func codeOfStale(err error) RefusalCode {
	if errors.Is(err, vault.ErrAway) {
		return CodeStoreUnavailable
	}
	return CodeProviderUnavailable
}

// endsSession reports whether a refresh failed for good, whenever that is.
func endsSession(err error) bool {
	var refused *TokenEndpointError
	if errors.As(err, &refused) && refused.terminal() {
		return true
	}
	return slices.ContainsFunc([]error{ErrInvalidToken, ReasonSubject, errNotAdmitted, errSignedOut, errRefusedElsewhere}, func(verdict error) bool {
		return errors.Is(err, verdict)
	})
}

// refreshOutcome is what Config.Events is told.
func refreshOutcome(err error) string {
	switch {
	case err == nil:
		return "refreshed"
	case endsSession(err):
		return "refused"
	}
	return "failed"
}

// refreshOnce waits for the refresh that is done once for everyone who holds the session.
func (w *web) refreshOnce(ctx context.Context, s *session, now time.Time) (*Tokens, error) {
	if now.Before(s.tokens.Expiry) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, refreshWait)
		defer cancel()
	}
	return flown(w.refreshes.Do(ctx, s.refreshKey, func(ctx context.Context) (*Tokens, error) {
		if w.leases == nil {
			return w.refreshHere(ctx, s, false)
		}
		return w.refreshShared(ctx, s)
	}))
}

// refreshHere has the tokens refreshed by this process, which is the only one that does so. lost says that an answer to another
// one may have been lost.
func (w *web) refreshHere(ctx context.Context, s *session, lost bool) (*Tokens, error) {
	confirmed := w.markers.Epoch() // before the provider is asked
	tokens, err := w.refreshTokens(ctx, s, lost)
	if tokens != nil {
		tokens.confirmed = confirmed
		if err == nil && w.endedMeanwhile(ctx, s) {
			err = errSignedOut
		}
	}
	tell(ctx, w.cfg.Logger, "Refreshed", w.cfg.Events.Refreshed, SessionEvent{s.user.Issuer, s.user.Subject, refreshOutcome(err)})
	if tokens != nil && endsSession(err) { // nobody keeps the new refresh token, and nobody would ever revoke it
		w.revoke(ctx, tokens.RefreshToken)
		tokens = nil
	}
	return tokens, err
}

// errNotRenewed marks a request that may not refresh its session, though the access token has expired. What the provider
// would say is not known: to call every request a WebSocket's must not be a way around it.
var errNotRenewed = errors.New("the session must be refreshed by a request of another kind")

var errSignedOut = errors.New("the session was signed out")

// errStale marks a session whose access token expired longer ago than a session goes on without word of the provider.
// Nobody is signed out for it, and nobody is let in on claims of yesterday.
var errStale = errors.New("the access token expired longer than Session.StaleMax ago, and could not be refreshed")

// errLeft marks a request that ended before it was known whether its session goes on.
var errLeft = errors.New("the request ended while its session was being refreshed")

// errNotAdmitted marks a refusal by AdmitUser at a refresh.
var errNotAdmitted = errors.New("the application no longer admits the user")

// refreshTokens is the work that is done once for everyone who holds the session.
func (w *web) refreshTokens(ctx context.Context, s *session, lost bool) (*Tokens, error) {
	tokens, err := w.sendRefresh(ctx, s, lost)
	if err != nil {
		return tokens, err
	}
	user, err := w.admitAgain(ctx, tokens)
	switch {
	case err == nil:
		*tokens = w.withoutIDToken(*tokens)
		tokens.User = user
		return tokens, nil
	case ctx.Err() != nil || errors.Is(err, ErrUnavailable): // Close was called, or the application cannot decide now
		tokens.User = nil
		return tokens, fmt.Errorf("%w: %v", ErrUnavailable, err) // and nothing else, whatever the application has wrapped
	}
	return tokens, errors.Join(errNotAdmitted, err)
}

// admitAgain is admitUser for a goroutine of the client's own, where no server recovers from the application's panics.
func (w *web) admitAgain(ctx context.Context, tokens *Tokens) (user *User, err error) {
	defer func() {
		if p := recover(); p != nil {
			user, err = nil, fmt.Errorf("%w: AdmitUser panicked (%T)\n%s", ErrUnavailable, p, debug.Stack())
		}
	}()
	return w.admitUser(ctx, tokens)
}

// refreshKeyOf identifies a refresh, by issuer and tokens: the refresh token alone stays the same where the provider does not
// rotate it, and a session with short-lived access tokens would be served the result of its last refresh as that of the next.
func refreshKeyOf(issuer string, tokens Tokens) [32]byte {
	in := make([]byte, 0, 4<<10) // on the stack, if that is enough
	for i, s := range [...]string{"refresh", issuer, tokens.RefreshToken, tokens.AccessToken} {
		if i > 0 {
			in = append(in, 0)
		}
		in = append(in, s...)
	}
	return sha256.Sum256(in)
}
