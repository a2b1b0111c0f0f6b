// Package keys finds the key that a token was signed with among those that its issuer
// publishes, and keeps up with the issuer changing them.
package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/jose"
)

// ErrUnavailable says that the keys could not be had, so that nothing can be said of the token.
var ErrUnavailable = errors.New("the provider's keys are not available")

// Set is an issuer's key set.
type Set struct{ *fetched.Value[[]jose.Key] }

// Find returns the key that the header means. A kid that is not in the set has the set
// fetched again, once for all who wait and at most once in ten seconds: that is how a
// rotated key is learnt, and how little a stranger with made-up kids can cost. The errors
// are ErrUnavailable and those of jose.Select.
func (s Set) Find(ctx context.Context, h jose.Header) (*jose.Key, error) {
	held, err := s.Get(ctx)
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

// FindAnew is Find in the set as it is published now, fetched within the same limits.
func (s Set) FindAnew(ctx context.Context, h jose.Header) (*jose.Key, error) {
	held, err := s.Refetch(ctx)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return jose.Select(held, h)
}

// unavailable tells a caller who gave up from a provider that is away.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
