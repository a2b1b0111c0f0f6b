package redisstore_test

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest/storetest"
	"github.com/signward/idserver-go/core/store/redisstore"
	"github.com/signward/idserver-go/core/store/redisstore/redistest"
)

func open(t *testing.T, url string) *redisstore.Store {
	t.Helper()
	store, err := redisstore.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// admin is a client that is not the store's.
func admin(t *testing.T, server *redistest.Server) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestContract(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	control := admin(t, server)
	storetest.RunReplicas(t, storetest.Replicas{
		New:    func(t *testing.T) idserver.Store { return open(t, server.URL()) },
		Shared: true,
		Cut: func(t *testing.T) {
			for _, kind := range []string{"normal", "pubsub"} {
				if err := control.ClientKillByFilter(context.WithoutCancel(t.Context()), "TYPE", kind, "SKIPME", "yes").Err(); err != nil {
					t.Error(err)
				}
			}
		},
		Stall: func(*testing.T) func() { return server.Pause() },
	})
}
