// Package redisstore keeps what replicas share in Redis or Valkey: Redis from 6.2 on, one server, one with replicas watched by
// Sentinel, or a cluster.
//
//	store, err := redisstore.FromEnv() // REDIS_URL
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer store.Close()
//	client, err := idserver.New(idserver.Config{
//		Store: store,
//		// ...
//	})
//
// The server must evict nothing: maxmemory-policy noeviction, which [Store.HealthCtx] looks at. With appendonly yes it forgets at most
// the last second when it crashes. Replication is asynchronous: a failover may forget the last writes. The core notices that, and has
// sessions prove themselves to the provider again; min-replicas-to-write 1 keeps a master that is cut off from accepting more of
// them.
//
// A user of Redis's access control lists needs these:
//
//	ACL SETUSER idserver on >password resetkeys resetchannels ~idserver:* &idserver:* -@all
//		+get +mget +set +del +eval +evalsha +publish +subscribe +unsubscribe +ping +info +select
//
// and +cluster|slots +cluster|shards +readonly +command in a cluster.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	idserver "github.com/signward/idserver-go/core"
)

var _ interface {
	idserver.Store
	idserver.Swapper
	idserver.Notifier
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
} = (*Store)(nil)

// DefaultPrefix is the default of Store.Prefix.
const DefaultPrefix = "idserver:"

// Store is an [idserver.Store], [idserver.Swapper] and [idserver.Notifier], and has FindManyCtx, in Redis. It is made by [New], [Open] or
// [FromEnv]. The field is set before it is used, and not afterwards.
type Store struct {
	// Prefix is before every key and every channel: letters that an access control list of the server may want, or somebody who
	// looks what a key is. Applications with secrets of their own need not have prefixes of their own. Default: DefaultPrefix.
	Prefix string

	client  redis.UniversalClient
	owned   bool     // Close closes the client
	secrets []string // passwords of Open's URL, which no error may have in it
	hub     hub
}

// New returns a store in the server that client talks to: a *redis.Client, of redis.NewClient or redis.NewFailoverClient, or a
// *redis.ClusterClient. It connects to nothing. The client is the caller's to close, after the store.
//
// It is an error if the client ignores contexts, which it does unless ContextTimeoutEnabled is set and timeouts are not switched off;
// if it reads from replicas or from a cache of its own, which do not have what was written last; or if it is a *redis.Ring, which looks
// elsewhere when a shard is away. Clients of other types are not looked at. The client's MaxRetries holds for what reads:
// what writes is sent once.
func New(client redis.UniversalClient) (*Store, error) {
	if err := checkClient(client); err != nil {
		return nil, fmt.Errorf("redisstore: %w", err)
	}
	return newStore(client), nil
}

func newStore(client redis.UniversalClient) *Store {
	s := &Store{client: client}
	s.hub.client = client
	return s
}

func checkClient(client redis.UniversalClient) error {
	switch c := client.(type) {
	case nil:
		return errors.New("the client is nil")
	case *redis.Ring:
		return errors.New("a *redis.Ring looks for a key at another shard when its own is away, and finds none: use one server, Sentinel or a cluster")
	case *redis.Client:
		if c == nil {
			return errors.New("the client is a nil *redis.Client")
		}
		o := c.Options()
		if o.ClientSideCacheConfig != nil || o.ClientSideCache != nil {
			return errors.New("the client has a cache (ClientSideCache), which does not have what other replicas wrote last")
		}
		return checkDeadlines(o.ContextTimeoutEnabled, o.ReadTimeout, o.WriteTimeout)
	case *redis.ClusterClient:
		if c == nil {
			return errors.New("the client is a nil *redis.ClusterClient")
		}
		o := c.Options()
		if o.ReadOnly || o.RouteByLatency || o.RouteRandomly {
			return errors.New("the client reads from replicas (ReadOnly, RouteByLatency or RouteRandomly), which do not have what was written last")
		}
		return checkDeadlines(o.ContextTimeoutEnabled, o.ReadTimeout, o.WriteTimeout)
	}
	return nil
}

func checkDeadlines(enabled bool, read, write time.Duration) error {
	switch {
	case !enabled:
		return errors.New("the client ignores the deadlines of contexts: set ContextTimeoutEnabled in its options")
	case read < 0 || write < 0: // go-redis's -2
		return errors.New("the client has its timeouts switched off, and deadlines of contexts with them: set ReadTimeout and WriteTimeout to durations, or to -1")
	}
	return nil
}

// Close ends the subscriptions and, if the store came from [Open] or [FromEnv], closes its connections. Calls return errors then.
// The store is closed after the clients that use it.
func (s *Store) Close() error {
	s.hub.close()
	if !s.owned {
		return nil
	}
	return s.fault("close", s.client.Close())
}

// String describes the store, without its password.
func (s *Store) String() string { return fmt.Sprintf("redisstore.Store{%s}", kind(s.client)) }

// GoString returns what String does.
func (s *Store) GoString() string { return s.String() }

func kind(client redis.UniversalClient) string {
	switch c := client.(type) {
	case *redis.Client:
		return c.Options().Addr
	case *redis.ClusterClient:
		return "cluster " + strings.Join(c.Options().Addrs, ",")
	}
	return fmt.Sprintf("%T", client)
}

// FindCtx returns the value of key (GET).
func (s *Store) FindCtx(ctx context.Context, key string) (value []byte, found bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, s.fault("find", err)
	}
	value, err = s.client.Get(ctx, s.named(key)).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, false, nil
	case err != nil:
		return nil, false, s.fault("find", err)
	}
	return value, true, nil
}

// FindManyCtx returns the values of keys, in one round trip (MGET), or in a cluster in one to each node that has any of them.
func (s *Store) FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, s.fault("find", err)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	if _, single := s.client.(*redis.Client); !single {
		return s.findEach(ctx, keys)
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = s.named(key)
	}
	answers, err := s.client.MGet(ctx, names...).Result()
	if err == nil && len(answers) != len(keys) {
		err = fmt.Errorf("%d values in answer to %d keys", len(answers), len(keys))
	}
	if err != nil {
		return nil, s.fault("find", err)
	}
	values = make([][]byte, len(keys))
	for i, answer := range answers {
		if text, ok := answer.(string); ok {
			values[i] = []byte(text)
		}
	}
	return values, nil
}

// findEach finds keys that may be at different nodes.
func (s *Store) findEach(ctx context.Context, keys []string) (values [][]byte, err error) {
	commands := make([]*redis.StringCmd, len(keys))
	_, err = s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			commands[i] = p.Get(ctx, s.named(key))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.fault("find", err)
	}
	values = make([][]byte, len(keys))
	for i, command := range commands {
		value, err := command.Bytes()
		switch {
		case errors.Is(err, redis.Nil):
		case err != nil:
			return nil, s.fault("find", err)
		default:
			values[i] = value
		}
	}
	return values, nil
}

// CommitCtx makes value the value of key until expiry (SET PX). Redis counts from when it gets to know of it, so that its clock need not
// be right.
func (s *Store) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	life := lifeUntil(expiry)
	if life <= 0 {
		return s.DeleteCtx(ctx, key)
	}
	_, err := s.write(ctx, "set", s.named(key), value, "px", life)
	return s.fault("commit", err)
}

// DeleteCtx removes the value of key (DEL).
func (s *Store) DeleteCtx(ctx context.Context, key string) error {
	_, err := s.write(ctx, "del", s.named(key))
	return s.fault("delete", err)
}

func (s *Store) named(key string) string {
	if s.Prefix == "" {
		return DefaultPrefix + key
	}
	return s.Prefix + key
}

// lifeUntil returns the milliseconds until expiry, rounded up; 0 or less if it has passed.
func lifeUntil(expiry time.Time) int64 { return int64(math.Ceil(time.Until(expiry).Seconds() * 1000)) }

// write sends a command that changes something, once. The answer nil is redis.Nil.
func (s *Store) write(ctx context.Context, args ...any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	command := once{redis.NewCmd(ctx, args...)}
	_ = s.client.Process(ctx, command) // the error is the command's
	return command.Result()
}

// once is a command that go-redis does not send again when it has no answer: whether it happened is not known then, and by the time it
// were sent again another replica's may have.
type once struct{ *redis.Cmd }

// NoRetry is asked by go-redis.
func (once) NoRetry() bool { return true }

// fault returns an error as this package's, without what must not be in one: go-redis's errors have what the server says, and servers
// repeat the arguments of commands that they do not know.
func (s *Store) fault(what string, err error) error {
	if err == nil {
		return nil
	}
	return &storeError{what: what, text: s.withoutSecrets(err.Error()), cause: err}
}

func (s *Store) withoutSecrets(text string) string {
	text, _, _ = strings.Cut(text, ", with args beginning with")
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "...")
	}
	return text
}

// storeError is an error with the text of another one, of which it tells only what it is: a context's error, a timeout.
type storeError struct {
	what, text string
	cause      error
}

func (e *storeError) Error() string { return "redisstore: " + e.what + ": " + e.text }

// Is reports whether the cause is target.
func (e *storeError) Is(target error) bool { return errors.Is(e.cause, target) }
