package idserver

import (
	"context"
	"reflect"
	"time"

	"github.com/signward/idserver-go/core/internal/fault"
)

// Store keeps bytes by key for all replicas of an application: Redis ([core/store/redisstore]), PostgreSQL
// ([core/store/postgresstore]), the memory of a single process ([core/store/memorystore]), or one of your own. It has the
// methods of scs's CtxStore, so that stores published for scs that have them, such as goredisstore, fit as they are, for an
// application that runs as one process. What else a store can do is found out in [New]: [Swapper], [Notifier],
// and two methods, below. A store is proved by storetest.Run, in core/idtest/storetest.
//
// Keys are 1 to 127 printable ASCII bytes without space, and two keys are the same if all their bytes are. Values are 1 byte to
// 1 MiB, any bytes. The store learns nothing from them: keys are keyed hashes, and values are sealed. Of a DPoP proof that was used
// (ResourceConfig.DPoP) it learns a hash, which nobody can make who does not have the proof.
//
// A value is found until its expiry and not afterwards, give or take a second, even if the store keeps it longer. A store that
// loses values earlier, because it evicts them or forgets its last second in a crash, signs people out or, worse, forgets that they
// signed out: it must not be a cache.
//
// An error means that nothing is known. It never stands for "not found", which is found == false and nil: because of an error,
// nobody is signed out and nobody is let in. After an error of CommitCtx, DeleteCtx or [Swapper].SwapCtx, what was asked for has
// happened, or not, or happens yet. The store itself repeats no write after an error, unless it knows that the write did not happen.
// The caller repeats CommitCtx and DeleteCtx as it likes.
//
// A store that finds several values in one round trip has a method FindManyCtx(ctx context.Context, keys []string) (values [][]byte,
// err error). It returns the value of each key, in the order of keys: nil where FindCtx would have found none. The values need not
// be of one moment. An error means that nothing is known about any of them.
//
// A store may say what is wrong with its settings, such as a policy that evicts values, in a method HealthCtx(ctx context.Context)
// error: [New] logs a warning then, and [Client.Health] returns it. It need not say whether the store answers, which is seen
// without it.
//
// Each method returns soon after ctx has ended, with an error: the caller waits 300 ms, mostly. If ctx has ended before the call, the
// method does nothing and returns an error. No error has a secret in it, such as a password of the store's URL. All methods are called
// concurrently. Neither side changes a value's bytes after it has handed them over.
//
// [core/store/redisstore]: https://pkg.go.dev/github.com/signward/idserver-go/core/store/redisstore
// [core/store/postgresstore]: https://pkg.go.dev/github.com/signward/idserver-go/core/store/postgresstore
// [core/store/memorystore]: https://pkg.go.dev/github.com/signward/idserver-go/core/store/memorystore
type Store interface {
	// FindCtx returns the value of key, and whether there is one. What a CommitCtx, DeleteCtx or SwapCtx that has returned
	// without an error did, a FindCtx that begins afterwards sees, on whichever replica it is called.
	FindCtx(ctx context.Context, key string) (value []byte, found bool, err error)
	// CommitCtx makes value the value of key until expiry, whatever it was before. With an expiry that has passed, the key has
	// no value afterwards; a store that is no [Swapper] is given none, as stores published for scs keep such a value.
	CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error
	// DeleteCtx makes sure that key has no value. It is no error if there was none.
	DeleteCtx(ctx context.Context, key string) error
}

// Swapper is a [Store] in which replicas agree: who refreshes a session, and which result counts. [New] refuses a store without
// it, unless Config.SingleReplica says that there are no replicas.
type Swapper interface {
	// SwapCtx makes value the value of key until expiry, if its value is old now; with old nil, if it has none. It compares
	// and writes in one step that no other write to the key comes between: of any number of calls with the same old, at most one
	// returns true. A value whose expiry has passed is none. If swapped is false without an error, nothing was changed.
	//
	// Values are unique: a random mark of the caller's is in each, and none equals the old one. So the caller finds out by
	// FindCtx what happened after an error, and SwapCtx must not be sent twice by the store: the second would say that the
	// first has lost.
	SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error)
}

// Notifier is a [Store] that tells replicas of news. It shortens waits: streams end sooner after a sign-out, and answers of the
// store are kept while nothing says otherwise. Nothing relies on it.
type Notifier interface {
	// NotifyCtx sends a message to whoever subscribes to topic now, on all replicas, this one included. It arrives once as a
	// rule; it may arrive late, twice, or not at all. Topics are written as keys are; messages are at most 1,000 bytes, printable
	// ASCII. NotifyCtx does not wait for those that subscribe, and is not held up by one that is slow or gone.
	NotifyCtx(ctx context.Context, topic, message string) error
	// Subscribe has f called with each message of topic that is sent after Subscribe has returned, one at a time and in order.
	// ctx bounds the wait for Subscribe to return, and not the subscription, which lasts until stop. After an error there is none.
	//
	// A subscription whose connection breaks is made again by the store, for as long as it takes. lost is called as soon as
	// that is noticed, which for a connection that has merely fallen silent is within a few seconds; then at least once a second
	// while messages cannot arrive; and once more when they can again. Whoever drops, in lost, what it knows by messages is thus
	// never wrong for long. lost is never called while f is. Both return soon, and neither calls stop.
	//
	// Once stop has returned, neither f nor lost is called, and neither is running. It may be called more than once.
	Subscribe(ctx context.Context, topic string, f func(message string), lost func()) (stop func(), err error)
}

// checkStore checks what the store can do, and never calls it.
func (c *Config) checkStore(faults *fault.List) {
	if c.Store == nil {
		if c.ServerSessions {
			faults.Add("ServerSessions", "", "is set and Store is not: set where sessions are to live, such as redisstore, postgresstore or, for one process, memorystore")
		}
		if c.Session.List {
			faults.Add("Session.List", "", "is set and Store is not: the list of sessions lives there; memorystore will do for a single process")
		}
		return
	}
	if v := reflect.ValueOf(c.Store); v.Kind() == reflect.Pointer && v.IsNil() {
		faults.Add("Store", "", "is a nil %T: its constructor failed, or was not called; leave Store out for none", c.Store)
		return
	}
	if _, ok := c.Store.(Swapper); !ok && !c.SingleReplica {
		faults.Add("Store", "", "is a %T, in which replicas cannot agree who refreshes a session, as it has no method SwapCtx: use one that has, such as redisstore, postgresstore or memorystore, or set SingleReplica if the application runs as one process", c.Store)
	}
}
