package idserver

import (
	"context"
	"errors"
	"time"

	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/vault"
)

// A token request is made once, however many requests of a browser need it: a provider that rotates refresh tokens takes
// the second use of one for theft, and ends the session. Results are remembered for a while.
const (
	resultKept     = time.Minute      // browsers still send the old cookie for a moment, from other tabs
	resultKeptMost = 15 * time.Minute // a response that was lost or late brings the old cookie back even later
	storePause     = time.Second      // a store that is away is not asked for each request
	requestLimit   = 30 * time.Second // for the token request and what follows it
)

// Bounds on what is remembered. Exchanges of codes, which a stranger can cause, have their own, so that they cannot push
// out the results of refreshes.
const (
	mostRefreshes      = 1024 // in flight
	mostExchanges      = 256
	mostRefreshResults = 32 << 20 // bytes
	mostExchangeBytes  = 8 << 20
)

func newFlights(now func() time.Time, most, mostBytes int, kept func(*Tokens, error) time.Duration) *flight.Group[*Tokens] {
	return flight.New(flight.Options[*Tokens]{
		Now: now, Limit: requestLimit, MostRunning: most, MostBytes: mostBytes, Kept: kept, Size: sizeOfTokens,
	})
}

// keptExchange is how long the result of a code's exchange is kept. After a passing fault a reload tries again.
func keptExchange(tokens *Tokens, err error) time.Duration {
	if tokens == nil && errors.Is(err, ErrUnavailable) && !errors.Is(err, errCodeSpent) {
		return min(retryAfter(err), resultKeptMost)
	}
	return resultKept
}

// keptRefresh is how long the result of a refresh is kept: as long as the new access token is good, within bounds, and not
// beyond that if the same refresh token brings the next one. After a passing fault the provider is left alone for a while,
// or for as long as it asked.
func (w *web) keptRefresh(tokens *Tokens, err error) time.Duration {
	switch {
	case errors.Is(err, vault.ErrAway):
		return storePause
	case tokens == nil && errors.Is(err, ErrUnavailable):
		return min(max(refreshPause, retryAfter(err)), resultKeptMost)
	case tokens != nil && err == nil && !tokens.rotated && !tokens.refreshAt.IsZero():
		return min(max(tokens.refreshAt.Sub(w.now()), 0), resultKeptMost)
	case tokens != nil && err == nil:
		return min(max(resultKept, tokens.refreshAt.Sub(w.now())), resultKeptMost)
	}
	return resultKept
}

// sizeOfTokens is what a result takes, in bytes.
func sizeOfTokens(tokens *Tokens, _ error) int {
	const structs = 1 << 10
	if tokens == nil {
		return structs
	}
	size := structs + len(tokens.AccessToken) + len(tokens.RefreshToken) + len(tokens.IDToken)
	if u := tokens.User; u != nil {
		size += 2 * len(u.text) // the claims, and the fields made from them
	}
	return size
}

// flown translates an error of a flight: none of its own says anything about the code or the session.
func flown(tokens *Tokens, err error) (*Tokens, error) {
	for _, own := range []error{flight.ErrLeft, flight.ErrBusy, flight.ErrClosed, flight.ErrPanicked} {
		if errors.Is(err, own) {
			return nil, errors.Join(ErrUnavailable, err)
		}
	}
	return tokens, err
}

// maxHops limits how many refreshes latest follows: results are kept for a while only, and access tokens live longer.
const maxHops = 16

// latest follows the remembered refreshes of a session, from the one in its cookie, which may be an old one, and those of other
// replicas. It returns the last tokens.
func (w *web) latest(ctx context.Context, s *session) Tokens {
	if w.leases != nil {
		if tokens, err := w.latestPublished(ctx, s); err == nil && tokens != nil {
			return *tokens
		}
	}
	latest, key := s.tokens, s.refreshKey
	for range maxHops {
		r, ok := w.refreshes.Peek(key)
		if !ok || r.Value == nil || r.Value.RefreshToken == "" {
			break
		}
		latest = *r.Value
		key = refreshKeyOf(s.user.Issuer, latest)
	}
	return latest
}
