package idserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/lease"
	"github.com/signward/idserver-go/core/internal/vault"
)

// newLeases makes the leases by which one of all replicas refreshes a session. They last longer than anything that is sent
// under them.
func newLeases(cfg Config, v *vault.Vault) *lease.Leases {
	work := min(max(cfg.HTTP.Timeout, lease.Work), requestLimit-lease.Margin)
	return lease.New(lease.Options{Vault: v, Now: cfg.Now, Rand: cfg.Rand, Work: work, Kept: cfg.Session.Idle})
}

// errRefusedElsewhere marks a session whose refresh was refused, as another replica has found out.
var errRefusedElsewhere = errors.New("the session is over: its refresh was refused, at another replica")

// errPausedElsewhere marks a refresh that is not tried now, because one at another replica has failed a moment ago.
var errPausedElsewhere = errors.New("another replica has tried a moment ago")

// refreshShared has the session refreshed by this replica or another one, whichever gets the lease. If the store is away
// nobody does: one that cannot know whether it is the only one must not send the refresh token, because two that do end the
// session for good.
func (w *web) refreshShared(ctx context.Context, s *session) (*Tokens, error) {
	packed, err := packSession(s)
	if err != nil {
		return nil, err
	}
	var tokens *Tokens // what this replica gets, and why not
	var refused error
	result, err := w.leases.Do(ctx, w.grantOf(s, packed), func(ctx context.Context, lost bool) lease.Attempt {
		tokens, refused = w.refreshHere(ctx, s, lost)
		return w.attemptOf(s, tokens, refused)
	})
	switch {
	case result.Own, err != nil && tokens != nil: // they could not be published, and the browser gets them
		return tokens, refused
	case errors.Is(err, vault.ErrAway):
		return nil, err
	case err != nil: // Close was called, or another replica takes too long
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case result.Over && result.Lost:
		return nil, errors.Join(errRefusedElsewhere, errMayBeLost)
	case result.Over:
		return nil, errRefusedElsewhere
	case result.Payload == nil:
		return nil, &TokenEndpointError{RetryAfter: max(result.Pause, time.Second), Err: errPausedElsewhere}
	}
	return publishedTokens(s, result.Payload)
}

// grantOf is a session as the leases see it.
func (w *web) grantOf(s *session, packed []byte) lease.Grant {
	return lease.Grant{
		ID: string(s.kept.ID[:]), Version: s.kept.Version, Payload: packed,
		Expiry:    s.signedIn.Add(w.cfg.Session.Max + w.cfg.Provider.Leeway),
		Confirmed: s.confirmed(),
	}
}

// attemptOf is what the others are to know of a refresh.
func (w *web) attemptOf(s *session, tokens *Tokens, err error) lease.Attempt {
	now := w.now()
	var next *session
	switch {
	case err == nil:
		next = s.refreshed(tokens.User, *tokens, now)
	case endsSession(err):
		return lease.Attempt{Over: true, Lost: errors.Is(err, errMayBeLost)}
	case tokens != nil:
		next = s.halfRefreshed(*tokens, now)
	default:
		return lease.Attempt{Pause: w.keptRefresh(nil, err), Lost: w.lost.Has(s.refreshKey)}
	}
	packed, err := packSession(next)
	if err != nil { // it is refused as too large where it is to be kept
		return lease.Attempt{Pause: resultKept}
	}
	return lease.Attempt{Payload: packed}
}

// publishedTokens are the tokens that another replica has got for a session.
func publishedTokens(s *session, packed []byte) (*Tokens, error) {
	next, _, err := unpackSession(packed, s.user.ClientID)
	if err != nil || next.kept.ID != s.kept.ID || next.user.Subject != s.user.Subject || next.user.Issuer != s.user.Issuer {
		return nil, fmt.Errorf("%w: what another replica has published cannot be used", vault.ErrAway)
	}
	tokens := next.tokens
	tokens.version, tokens.confirmed, tokens.later = next.kept.Version, next.kept.Confirmed, next.kept.Later()
	return &tokens, nil
}

// latestPublished returns the tokens that the replicas have got for a session, if they are later than its own.
func (w *web) latestPublished(ctx context.Context, s *session) (*Tokens, error) {
	packed, err := w.leases.Latest(ctx, w.grantOf(s, nil))
	if err != nil || packed == nil {
		return nil, err
	}
	return publishedTokens(s, packed)
}
