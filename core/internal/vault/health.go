package vault

import (
	"context"
	"fmt"
	"runtime/debug"
)

// healthChecker is a store that knows more about its health than whether it answers.
type healthChecker interface {
	HealthCtx(ctx context.Context) error
}

// Health looks up the root anew, and asks the store how it is, where it can tell. The error is ErrAway if the store or its
// root cannot be used now; any other is what the store says.
func (v *Vault) Health(ctx context.Context) error {
	v.Doubt()
	if _, err := v.root(ctx); err != nil {
		return err
	}
	store, ok := v.store.(healthChecker)
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	return health(ctx, store)
}

func health(ctx context.Context, store healthChecker) (err error) {
	defer func() {
		if p := recover(); p != nil { // New asks in a goroutine, where no server recovers
			err = fmt.Errorf("HealthCtx panicked (%T)\n%s", p, debug.Stack())
		}
	}()
	return store.HealthCtx(ctx)
}
