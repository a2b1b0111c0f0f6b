package idserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/budget"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/expiring"
	"github.com/signward/idserver-go/core/internal/vault"
)

// signwardTokenRequests is how many token requests a minute Signward answers to one address.
const signwardTokenRequests = 10

// tokenRequestsPerMinute returns the limit; 0: there is none.
func (c *Config) tokenRequestsPerMinute() int {
	switch n := c.Provider.TokenRequestsPerMinute; {
	case n != 0:
		return max(n, 0)
	case isSignwardTenant(c.Authority):
		return signwardTokenRequests
	}
	return 0
}

// isSignwardTenant reports whether an authority is a tenant of Signward.
func isSignwardTenant(authority string) bool {
	u, err := url.Parse(authority)
	return err == nil && strings.HasSuffix("."+u.Hostname(), ".signward.com")
}

func newBudget(cfg Config, v *vault.Vault) *budget.Budget {
	return budget.New(budget.Options{Vault: v, Now: cfg.Now, ID: cfg.Authority, PerMinute: cfg.tokenRequestsPerMinute()})
}

// errHeldBack marks a token request that is not sent, so that the provider is not asked more often than it allows.
var errHeldBack = fmt.Errorf("%w: the provider is not asked more often than it allows (Provider.TokenRequestsPerMinute, or its Retry-After)", endpoint.ErrUnsent)

// withinBudget sends a token request, unless too many were sent, by all replicas. What the provider says about when to come back holds
// all of them.
func (w *web) withinBudget(ctx context.Context, use budget.Use, send func() (*Tokens, error)) (*Tokens, error) {
	if wait := w.budget.Take(ctx, use); wait > 0 {
		return nil, &TokenEndpointError{RetryAfter: wait, Err: errHeldBack}
	}
	tokens, err := send()
	var e *TokenEndpointError
	if errors.As(err, &e) && e.RetryAfter > 0 && (e.Status == http.StatusTooManyRequests || e.Status == http.StatusServiceUnavailable) {
		w.budget.Hold(ctx, e.RetryAfter)
	}
	return tokens, err
}

const (
	// attemptsPerMinute is how many codes are exchanged for one browser within a minute: more than a person brings.
	attemptsPerMinute = 10
	mostAttempts      = 10_000 // remembered, of all browsers
)

// attempts are the codes that browsers have brought within a minute.
type attempts struct {
	seen *expiring.Set
	now  func() time.Time
}

func newAttempts(now func() time.Time) attempts {
	return attempts{expiring.New(now, mostAttempts), now}
}

var errTooManyAttempts = fmt.Errorf("%w: this browser has brought %d codes within a minute", endpoint.ErrUnsent, attemptsPerMinute)

// take counts a code that a browser has brought, unless there were too many. Whoever throws the cookies away is another browser: it
// keeps one that goes wrong again and again from using up what is left for the others.
func (a attempts) take(browser string) error {
	for i := range attemptsPerMinute {
		place := sha256.Sum256(fmt.Appendf(nil, "attempt\x00%s\x00%d", browser, i))
		if !a.seen.Has(place) {
			a.seen.Add(place, a.now().Add(time.Minute))
			return nil
		}
	}
	return &TokenEndpointError{RetryAfter: time.Minute, Err: errTooManyAttempts}
}
