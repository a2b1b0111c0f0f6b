package idserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/vault"
)

// Health reports whether this process can sign people in and look up their sessions: the provider's metadata is known, the Store
// answers, what is kept there can be read with the SessionSecret, and the store itself, if it has a method HealthCtx, finds
// nothing wrong with its settings, such as a policy that evicts sessions. It is for readiness probes: an error that wraps
// [ErrUnavailable] passes by itself, any other needs somebody to mend something. It is no liveness probe, because to restart the process
// helps with none of it.
//
// A call takes a round trip or two to the store, each of at most 300 ms, and fetches the metadata if it was never fetched. It waits
// no longer than ctx lasts. It does not check the key set, nor that other replicas have the same settings.
func (c *Client) Health(ctx context.Context) error {
	_, err := c.provider.metadata.Get(ctx)
	return baseerror.Of(errors.Join(err, c.site.storeHealth(ctx)))
}

// storeHealth implements [site].
func (w *web) storeHealth(ctx context.Context) error {
	if w.vault == nil {
		return nil
	}
	err := w.vault.Health(ctx)
	switch {
	case errors.Is(err, vault.ErrAway):
		return fmt.Errorf("Config.Store: %w: %w", ErrUnavailable, err)
	case err != nil:
		return fmt.Errorf("Config.Store: %w", err)
	}
	return nil
}

// watchStore logs what the store cannot do and, as soon as it answers and without waiting for that, what is wrong with it.
func (w *web) watchStore() {
	if lacks := w.lacks(); len(lacks) > 0 {
		w.cfg.Logger.Info("idserver: Config.Store works, and lacks what would make it better", "store", fmt.Sprintf("%T", w.cfg.Store), "lacks", strings.Join(lacks, "; "))
	}
	w.watching.Go(func() {
		if err := w.storeHealth(w.background); err != nil && w.background.Err() == nil {
			w.cfg.Logger.LogAttrs(w.background, slog.LevelWarn, "idserver: Config.Store is not as it should be; starting all the same", slog.Any("error", err))
		}
	})
}

// lacks says what the store is not.
func (w *web) lacks() (all []string) {
	if !w.vault.HasNotifier() {
		all = append(all, "Notifier: streams learn of a sign-out at another replica only when they look again")
	}
	if !w.vault.FindsMany() {
		all = append(all, "FindManyCtx: a request takes several round trips")
	}
	return all
}
