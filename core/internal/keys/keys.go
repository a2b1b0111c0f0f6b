// Package keys finds the key that a token was signed with among those that its issuer publishes, and keeps up with
// changes to them.
//
// Whoever sends a token can make a set be fetched again, so there are budgets, and what a stranger spends must not be
// missing to others: an unknown kid, the signature of a known kid that does not verify, and the tokens that the provider
// itself has just issued have one each. A fetch that a budget held back means that nothing is known now, never that a
// token is bad.
package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// ErrUnavailable means that the keys are not available now, so that nothing can be said about the token.
var ErrUnavailable = errors.New("the provider's keys are not available")

// Origin is who a token came from. It decides which budget pays for a fetch.
type Origin int

const (
	Anybody  Origin = iota // a request: a stranger may have made it up
	Endpoint               // the provider's own answer
)

// The bursts of the budgets; each of them grows by one fetch in ten seconds. All that strangers can cost is thus a burst of
// three, and two in ten seconds.
const (
	unknownBurst  = 3
	knownBurst    = 2
	endpointBurst = 3
)

// Set is an issuer's key set. Create it with New.
type Set struct {
	*fetched.Value[[]jose.Key]

	unknown, known, endpoint fetched.Budget
	absent                   absent
}

// New returns the set that the value fetches.
func New(value *fetched.Value[[]jose.Key]) *Set {
	return &Set{
		Value:   value,
		unknown: fetched.Budget{Burst: unknownBurst}, known: fetched.Budget{Burst: knownBurst},
		endpoint: fetched.Budget{Burst: endpointBurst},
	}
}

// Find returns the key that the header refers to. If the kid is not in the set, the set is fetched again, once for all who
// wait and within the budget: that is how a rotated key is found. A kid that anybody asked for and that was not there is
// unknown for ten seconds without asking again. The errors are ErrUnavailable and those of jose.Select, or ctx's.
func (s *Set) Find(ctx context.Context, h jose.Header, from Origin, now time.Time) (*jose.Key, error) {
	held, err := s.GetAt(ctx, now)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	key, unknown := jose.Select(held, h)
	for try := 0; try < 2 && errors.Is(unknown, jose.ErrUnknownKey); try++ {
		budget := &s.endpoint
		if from == Anybody {
			if budget = &s.unknown; s.absent.has(h, now) {
				return nil, unknown
			}
		}
		var joined bool
		if key, joined, unknown = s.refetch(ctx, h, nil, budget, now); !joined {
			break
		}
	}
	if from == Anybody && errors.Is(unknown, jose.ErrUnknownKey) {
		s.absent.add(h, now)
	}
	return key, unknown
}

// FindAnew returns the key that the header refers to in the set as it is published now: for a token whose signature does
// not verify with the known one. The errors are those of Find; known is returned if it is still the one.
func (s *Set) FindAnew(ctx context.Context, h jose.Header, known *jose.Key, from Origin, now time.Time) (*jose.Key, error) {
	budget := &s.endpoint
	if from == Anybody {
		budget = &s.known
	}
	key, joined, err := s.refetch(ctx, h, known, budget, now)
	if joined && err == nil && key.Same(known) {
		key, _, err = s.refetch(ctx, h, known, budget, now)
	}
	return key, err
}

// refetch selects the header's key in the set that is fetched within the budget, or without a fetch if the set that is
// held by now has another than known: somebody else's fetch has brought it. If joined is true, the set may have been on
// its way before the call, and what is not in it may be there by now; the next one that is joined was not.
func (s *Set) refetch(ctx context.Context, h jose.Header, known *jose.Key, b *fetched.Budget, now time.Time) (key *jose.Key, joined bool, err error) {
	held, number := s.Held(now)
	if key, err := jose.Select(held, h); err == nil && (known == nil || !key.Same(known)) {
		return key, false, nil
	}
	set, joined, err := s.RefetchWithin(ctx, b, number)
	if err != nil {
		return nil, false, unavailable(ctx, err)
	}
	key, err = jose.Select(set, h)
	return key, joined, err
}

// unavailable distinguishes a caller who gave up from a provider that is unavailable.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
