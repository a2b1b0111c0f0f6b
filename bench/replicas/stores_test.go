package replicas

import (
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/store/memorystore"
	"github.com/signward/idserver-go/core/store/redisstore"
	"github.com/signward/idserver-go/core/store/redisstore/redistest"
)

// stores make what gives each replica its store: the same one, or connections of its own to one server.
var stores = map[string]func(t *testing.T) func() idserver.Store{
	"memory": func(*testing.T) func() idserver.Store {
		shared := memorystore.New()
		return func() idserver.Store { return shared }
	},
	"redis": func(t *testing.T) func() idserver.Store {
		server := redistest.Start(t)
		return func() idserver.Store {
			store, err := redisstore.Open(server.URL())
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
	},
}
