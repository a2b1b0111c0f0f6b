package idserver

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/signward/idserver-go/core/internal/budget"
	"github.com/signward/idserver-go/core/internal/endpoint"
)

// resendAfter are the times after a lost answer at which the same refresh token is sent again. A provider that rotates
// refresh tokens answers the same one again for a short time, if at all; the shortest grace period in use is 5 s.
var resendAfter = []time.Duration{
	100 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 4 * time.Second,
}

// mostLost limits how many refreshes are remembered of which an answer was lost. Of more, those whose sessions could go on
// longest stay.
const mostLost = 10_000

// errMayBeLost marks the refusal of a refresh token of which an answer was lost before.
var errMayBeLost = errors.New("an answer to this refresh token was lost before: it is used up because of that, or because somebody else has used it (theft)")

// sendRefresh sends the refresh token of a session, and sends it again where no answer to it arrived. It runs in the one
// goroutine that does so for the session: two that send it look like theft. An OAuth answer, of whatever kind, ends it.
// lost says that an answer to another process may have been lost.
func (w *web) sendRefresh(ctx context.Context, s *session, lost bool) (*Tokens, error) {
	if lost {
		w.rememberLoss(s)
	}
	send := func() (*Tokens, error) { return w.provider.refreshToken(ctx, &s.tokens) }
	tokens, err := w.withinBudget(ctx, budget.Refresh, send)
	var again resends
	for tokens == nil && unanswered(err) {
		if !errors.Is(err, endpoint.ErrUnsent) {
			w.rememberLoss(s)
		}
		if again == nil {
			again = newResends()
		}
		if retryAfter(err) > 0 || !again.wait(ctx) {
			return nil, err
		}
		tokens, err = w.withinBudget(ctx, budget.Refresh, send)
	}
	if tokens == nil && endsSession(err) && usedUp(err) && w.lost.Has(s.refreshKey) {
		w.cfg.Logger.WarnContext(ctx, "idserver: the provider refuses a refresh token of which an answer was lost: it is used up because of that, or because somebody else has used it (theft); the session is over",
			"issuer", s.user.Issuer, "subject", s.user.Subject, "error", err)
		return nil, errors.Join(errMayBeLost, err)
	}
	return tokens, err
}

// rememberLoss remembers, for as long as the session may go on without a refresh, that an answer was lost.
func (w *web) rememberLoss(s *session) {
	w.lost.Add(s.refreshKey, later(w.now(), s.tokens.Expiry).Add(w.cfg.staleMax()+resultKeptMost))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// resends are the moments at which a refresh token is sent again.
type resends []<-chan time.Time

// newResends begins to count now.
func newResends() (all resends) {
	for _, after := range resendAfter {
		all = append(all, time.After(after))
	}
	return all
}

// wait waits for the next of the moments that has not passed. It reports whether there is one, and ctx has not ended before.
func (r *resends) wait(ctx context.Context) bool {
	for len(*r) > 0 {
		next := (*r)[0]
		*r = (*r)[1:]
		select {
		case <-next: // while the last answer was waited for
			continue
		default:
		}
		select {
		case <-next:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return false
}

// unanswered reports whether a token request failed so that nothing is known of the grant: there was no answer, or it is none
// of the provider's own. A status of 4xx was given before anybody acted.
func unanswered(err error) bool {
	var e *TokenEndpointError
	var redirect *endpoint.RedirectError
	switch {
	case !errors.As(err, &e), e.form == endpoint.OAuth, errors.Is(err, errNotBearer), errors.As(err, &redirect):
		return false
	case e.Status/100 == 4 && e.Err == nil:
		return e.Status == http.StatusRequestTimeout
	}
	return true
}
