// Package postgresstore keeps what the replicas of an application share in PostgreSQL, in one table, through pgx.
//
//	store, err := postgresstore.FromEnv() // DATABASE_URL
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer store.Close()
//	if err := store.Migrate(ctx); err != nil { // makes the table where there is none
//		log.Fatal(err)
//	}
//	config := idserver.ConfigFromEnv()
//	config.Store = store
//
// An application that has a pool already gives it to [New]. PostgreSQL 12 or later is needed.
//
// # What has expired
//
// A value is found until its expiry by the clock of the database, so that replicas whose clocks differ agree. The rows of values that
// have expired are deleted beside the writes, once a minute, by whichever replica writes; there is nothing to schedule.
// [Store.DeleteExpired] does the same when it is called.
//
// # Durability
//
// What is committed must stay: a sign-out that is forgotten lets somebody in. So the table must not be UNLOGGED, and the
// role or database must not set synchronous_commit to off; [Store.HealthCtx] reports both. After a failover to a server that lacks the
// last commits, those are lost: with synchronous replication there are none.
//
// # Connection poolers
//
// Everything but [Store.Subscribe] works through PgBouncer and its like, in transaction mode too: each call is one statement. pgx
// prepares statements, for which PgBouncer must be 1.21 or later; otherwise add default_query_exec_mode=exec to the URL, or set
// DefaultQueryExecMode in the pool's configuration. LISTEN belongs to one connection of the server, which a pooler does not hold for
// its client. So Subscribe refuses a connection that is not the server's own, and wants one past the pooler: [Store.Direct], or
// DATABASE_DIRECT_URL. Without, replicas look for news in intervals.
package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	idserver "github.com/signward/idserver-go/core"
)

var _ interface {
	idserver.Store
	idserver.Swapper
	idserver.Notifier
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
} = (*Store)(nil)

// Store keeps values in a table. It is an [idserver.Store], [idserver.Swapper] and [idserver.Notifier], and has FindManyCtx,; their
// documentation is the contract, and its methods are called concurrently. The fields are set before it is used, and not afterwards.
type Store struct {
	// Table is the name of the table, with its schema: "auth.sessions". Without a point, it lies in the schema public. Letters are
	// not folded: "Auth" is another schema than "auth". Default: public.idserver_store.
	Table string
	// Direct is how to connect to the server itself, for LISTEN, where the pool goes through a connection pooler. Default: as the pool
	// does.
	Direct *pgx.ConnConfig
	// Now is the clock that expiries are meant by: a value is kept for as long as there is from Now to its expiry. It is called
	// concurrently. Default: time.Now.
	Now func() time.Time

	pool *pgxpool.Pool
	owns bool // the pool is closed with the store

	statements func() (*statements, error) // once, since Table is set after New

	life     context.Context // of what goes on in the background
	end      context.CancelFunc
	beside   sync.WaitGroup // deletions of what has expired
	swept    atomic.Int64   // when the last of them began, in nanoseconds since 1970
	listener listener
}

// New returns a store in the database of pool. It does not connect, and the pool stays the caller's: it is closed after the store.
// Each call takes a connection of the pool for one statement. A subscription takes one connection more, which is not the pool's but made
// by its configuration, BeforeConnect and AfterConnect included.
func New(pool *pgxpool.Pool) *Store {
	s := &Store{pool: pool}
	s.statements = sync.OnceValues(func() (*statements, error) { return statementsFor(s.Table) })
	s.life, s.end = context.WithCancel(context.Background())
	s.listener = listener{connect: s.listen, life: s.life}
	return s
}

// Close ends subscriptions, after which their functions are not called any more, and waits for what goes on in the background. It closes
// the pool if [FromEnv] has made it. No other method may be called afterwards; a subscription's stop may. The error is nil.
func (s *Store) Close() error {
	s.end()
	s.listener.close()
	s.beside.Wait()
	if s.owns {
		s.pool.Close()
	}
	return nil
}

// String describes the store, without anything of the connection.
func (s *Store) String() string { return "postgresstore.Store{" + s.table() + "}" }

// GoString returns what String does.
func (s *Store) GoString() string { return s.String() }

// FindCtx returns the value of key.
func (s *Store) FindCtx(ctx context.Context, key string) (value []byte, found bool, err error) {
	err = s.do(ctx, reads, func(q *statements) error {
		err := s.pool.QueryRow(ctx, q.find, key).Scan(&value)
		if errors.Is(err, pgx.ErrNoRows) {
			value, found = nil, false
			return nil
		}
		found = err == nil
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return value, found, nil
}

// FindManyCtx returns the values of keys, all of one moment.
func (s *Store) FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error) {
	byKey := make(map[string][]byte, len(keys))
	err = s.do(ctx, reads, func(q *statements) error {
		clear(byKey)
		rows, err := s.pool.Query(ctx, q.findMany, keys)
		if err != nil {
			return err
		}
		var key string
		var value []byte
		_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
			byKey[key], value = value, nil
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	values = make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = byKey[key]
	}
	return values, nil
}

// CommitCtx makes value the value of key until expiry.
func (s *Store) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	_, err := s.write(ctx, func(q *statements) (pgconn.CommandTag, error) {
		return s.pool.Exec(ctx, q.commit, key, value, s.left(expiry))
	})
	return err
}

// DeleteCtx removes the value of key.
func (s *Store) DeleteCtx(ctx context.Context, key string) error {
	_, err := s.write(ctx, func(q *statements) (pgconn.CommandTag, error) { return s.pool.Exec(ctx, q.delete, key) })
	return err
}

// SwapCtx makes value the value of key if its value is old; with old nil, if it has none. It is one statement, which PostgreSQL
// holds until a transaction that is writing the same row has ended.
func (s *Store) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (swapped bool, err error) {
	rows, err := s.write(ctx, func(q *statements) (pgconn.CommandTag, error) {
		if old == nil {
			return s.pool.Exec(ctx, q.insert, key, value, s.left(expiry))
		}
		return s.pool.Exec(ctx, q.swap, key, value, s.left(expiry), old)
	})
	return rows == 1, err
}

// left returns how long a value is kept that expires at expiry, in microseconds. The database adds it to its own clock.
func (s *Store) left(expiry time.Time) int64 {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	return expiry.Sub(now()).Microseconds()
}

// write runs a statement that writes, and returns how many rows it wrote.
func (s *Store) write(ctx context.Context, exec func(q *statements) (pgconn.CommandTag, error)) (rows int64, err error) {
	err = s.do(ctx, writes, func(q *statements) error {
		tag, err := exec(q)
		rows = tag.RowsAffected()
		return err
	})
	if err != nil {
		return 0, err
	}
	s.deleteExpiredBeside()
	return rows, nil
}

// How a statement that failed may be tried again.
const (
	reads  = true
	writes = false

	// tries is enough for a pool of some connections that the server has closed all, each of which is noticed by one try.
	tries = 8
)

// do runs a statement, and tries it again where it certainly did nothing.
func (s *Store) do(ctx context.Context, reads bool, run func(q *statements) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("postgresstore: %w", err)
	}
	q, err := s.statements()
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := run(q)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("postgresstore: %w: %w", ctx.Err(), err)
		case try == tries || !mayTryAgain(err, reads):
			return s.explained(err)
		}
	}
}

// SQLSTATE: appendix A of PostgreSQL's documentation.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
)

// mayTryAgain reports whether a statement did nothing, or if it reads, whether another connection may do.
func mayTryAgain(err error, reads bool) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false // the next will not connect either
	}
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch failed.Code {
		case serializationFailure, deadlockDetected: // it was rolled back: the role has another isolation than READ COMMITTED
			return true
		case adminShutdown, crashShutdown:
			return reads
		}
		return false
	}
	return reads || pgconn.SafeToRetry(err)
}

// explained returns the error with what to do about it.
func (s *Store) explained(err error) error {
	if failed, ok := errors.AsType[*pgconn.PgError](err); ok && failed.Code == undefinedTable {
		return fmt.Errorf("postgresstore: there is no table %s in this database; Migrate makes it: %w", s.table(), err)
	}
	return fmt.Errorf("postgresstore: %w", err)
}
