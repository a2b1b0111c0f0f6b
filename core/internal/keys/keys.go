// Package keys finds the key that a token was signed with among those that its issuer publishes, and keeps up with
// changes to them.
package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// ErrUnavailable means that the keys are not available, so that nothing can be said about the token.
var ErrUnavailable = errors.New("the provider's keys are not available")

// Set is an issuer's key set.
type Set struct{ *fetched.Value[[]jose.Key] }

// Find returns the key that the header refers to. If the kid is not in the set, the set is fetched again, once for all
// who wait and at most once in ten seconds: that is how a rotated key is found, and it limits what a stranger with
// made-up kids can cost. The errors are ErrUnavailable and those of jose.Select, or ctx's.
func (s Set) Find(ctx context.Context, h jose.Header, now time.Time) (*jose.Key, error) {
	held, err := s.GetAt(ctx, now)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	key, err := jose.Select(held, h)
	if !errors.Is(err, jose.ErrUnknownKey) {
		return key, err
	}
	if held, err = s.Refetch(ctx); err != nil {
		return nil, unavailable(ctx, err)
	}
	return jose.Select(held, h)
}

// FindAnew is like Find, but in the set as it is published now, fetched within the same limits.
func (s Set) FindAnew(ctx context.Context, h jose.Header) (*jose.Key, error) {
	held, err := s.Refetch(ctx)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return jose.Select(held, h)
}

// unavailable distinguishes a caller who gave up from a provider that is unavailable.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
