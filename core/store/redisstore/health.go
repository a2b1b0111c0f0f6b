package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrEvicts is, or is in, the error of HealthCtx when the server evicts values once its memory is full: sessions would be lost, and
// sign-outs forgotten. "CONFIG SET maxmemory-policy noeviction" mends it.
var ErrEvicts = errors.New("the server evicts values when its memory is full (maxmemory-policy): want noeviction")

// HealthCtx asks the server about itself (INFO; in a cluster, each master). The error says that it does not answer, is a replica, which
// accepts no writes, or evicts values: ErrEvicts. What the user of an access control list may not ask is not looked at.
func (s *Store) HealthCtx(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return s.fault("health", err)
	}
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return s.fault("health", cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error { return healthOf(ctx, node) }))
	}
	return s.fault("health", healthOf(ctx, s.client))
}

func healthOf(ctx context.Context, client redis.Cmdable) error {
	info, err := client.Info(ctx).Result()
	switch {
	case redis.HasErrorPrefix(err, "NOPERM"), redis.HasErrorPrefix(err, "unknown command"): // a provider's own server, mostly
		return client.Ping(ctx).Err()
	case err != nil:
		return err
	}
	return healthy(info)
}

// healthy judges what INFO says.
func healthy(info string) error {
	fields := map[string]string{}
	for line := range strings.Lines(info) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	if fields["role"] == "slave" {
		return errors.New("the server is a replica, which accepts no writes")
	}
	policy := fields["maxmemory_policy"]
	if policy == "" || policy == "noeviction" || fields["maxmemory"] == "0" {
		return nil
	}
	return fmt.Errorf("%w, and it is %.40q", ErrEvicts, policy)
}
