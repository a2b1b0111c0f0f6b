package postgresstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// DefaultTable is the default of Store.Table.
const DefaultTable = "public.idserver_store"

// most bytes of an identifier: NAMEDATALEN - 1. PostgreSQL cuts longer ones off, so that two names would be one table.
const mostIdentifier = 63

func (s *Store) table() string {
	if s.Table == "" {
		return DefaultTable
	}
	return s.Table
}

// statements are what is sent to the database. The clock is the database's: now() is when the statement began.
type statements struct {
	find, findMany, commit, insert, swap, delete, deleteExpired string

	schema  string // makes the table
	missing string // tells whether it is to be made
	health  string // tells how it is kept
	channel string // of messages: an identifier as it is written in SQL
	notify  string
}

const untilExpiry = "now() + $3::bigint * interval '1 microsecond'"

// statementsFor returns the statements for a table, which is given as Store.Table is.
func statementsFor(name string) (*statements, error) {
	if name == "" {
		name = DefaultTable
	}
	schema, table, qualified := strings.Cut(name, ".")
	if !qualified {
		schema, table = "public", name
	}
	index := table + "_expiry"
	for _, part := range []string{schema, index} {
		if part == "" || table == "" || len(part) > mostIdentifier || strings.ContainsAny(part, ".\"\\\x00") {
			return nil, fmt.Errorf("postgresstore: the table %q: want a name, or a schema and a name with a point between, of at most 56 bytes each, without quotes and backslashes", name)
		}
	}
	t := pgx.Identifier{schema, table}.Sanitize()
	channel := channelOf(schema, table)
	return &statements{
		find:     "SELECT value FROM " + t + " WHERE key = $1 AND expiry > now()",
		findMany: "SELECT key, value FROM " + t + " WHERE key = ANY($1::text[]) AND expiry > now()",
		commit: "INSERT INTO " + t + " (key, value, expiry) VALUES ($1, $2, " + untilExpiry + ") " +
			"ON CONFLICT (key) DO UPDATE SET value = excluded.value, expiry = excluded.expiry",
		insert: "INSERT INTO " + t + " AS t (key, value, expiry) VALUES ($1, $2, " + untilExpiry + ") " +
			"ON CONFLICT (key) DO UPDATE SET value = excluded.value, expiry = excluded.expiry WHERE t.expiry <= now()",
		swap:   "UPDATE " + t + " SET value = $2, expiry = " + untilExpiry + " WHERE key = $1 AND value = $4 AND expiry > now()",
		delete: "DELETE FROM " + t + " WHERE key = $1",
		// What another replica is deleting is left to it, and what is being written is not waited for.
		deleteExpired: "WITH expired AS MATERIALIZED (SELECT key FROM " + t + " WHERE expiry <= now() ORDER BY expiry LIMIT $1 FOR UPDATE SKIP LOCKED) " +
			"DELETE FROM " + t + " t USING expired WHERE t.key = expired.key",

		// Values are sealed, so that to compress them is work for nothing: hence STORAGE EXTERNAL.
		schema: "CREATE TABLE IF NOT EXISTS " + t + " (\n" +
			"\tkey text COLLATE \"C\" PRIMARY KEY,\n" +
			"\tvalue bytea NOT NULL,\n" +
			"\texpiry timestamptz NOT NULL\n" +
			");\n" +
			"ALTER TABLE " + t + " ALTER COLUMN value SET STORAGE EXTERNAL;\n" +
			"CREATE INDEX IF NOT EXISTS " + pgx.Identifier{index}.Sanitize() + " ON " + t + " (expiry);\n",
		missing: "SELECT to_regclass(" + literal(t) + ") IS NULL OR to_regclass(" + literal(pgx.Identifier{schema, index}.Sanitize()) + ") IS NULL",
		health: "SELECT c.relpersistence::text, current_setting('synchronous_commit'), pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, " +
			"(SELECT count(*) FROM (SELECT key, value, expiry FROM " + t + " LIMIT 1) AS one) FROM pg_class c WHERE c.oid = to_regclass(" + literal(t) + ")",
		channel: channel,
		notify:  "SELECT pg_notify(" + literal(channel) + ", $1)",
	}, nil
}

// literal quotes a text for SQL; statementsFor lets no backslash through, which some servers read as more than itself.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// Schema returns the statements that make the table, for a migration of your own. The schema that the table lies in must be there. They
// do nothing where the table is.
func (s *Store) Schema() (string, error) {
	q, err := s.statements()
	if err != nil {
		return "", err
	}
	return q.schema, nil
}

// migrating is the key of the lock that replicas take in turn, since CREATE TABLE IF NOT EXISTS fails if two do it at once. It is
// any number that nobody else is likely to use.
const migrating = 0x6964736572766572 // "idserver"

// Migrate makes the table with its index if there is none; the schema that it lies in must be there. Any number of replicas may call it at
// once, at each start. Where the table is, it writes nothing, so that the role need not be allowed to. It changes no table that is there.
func (s *Store) Migrate(ctx context.Context) error {
	q, err := s.statements()
	if err != nil {
		return err
	}
	missing := func(from interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	}) (is bool, err error) {
		err = from.QueryRow(ctx, q.missing).Scan(&is)
		return is, err
	}
	if is, err := missing(s.pool); err != nil {
		return s.explained(err)
	} else if !is {
		return nil
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrating)); err != nil {
			return err
		}
		if is, err := missing(tx); err != nil || !is {
			return err
		}
		_, err := tx.Exec(ctx, q.schema, pgx.QueryExecModeSimpleProtocol) // several statements
		return err
	})
	if err != nil {
		return fmt.Errorf("postgresstore: making the table %s: %w", s.table(), err)
	}
	return nil
}

// HealthCtx returns an error if the store cannot do its work now, or not keep what it is given: the database cannot be reached, the
// table is missing or may not be read, the server takes no writes because it is a replica, or what was committed is lost in a crash, as
// the table is UNLOGGED or synchronous_commit is off.
func (s *Store) HealthCtx(ctx context.Context) error {
	var persistence, synchronous string
	var readOnly bool
	var rows int
	err := s.do(ctx, reads, func(q *statements) error {
		return s.pool.QueryRow(ctx, q.health).Scan(&persistence, &synchronous, &readOnly, &rows)
	})
	switch {
	case err != nil:
		return err
	case readOnly:
		return errors.New("postgresstore: the server takes no writes: it is a replica, or its transactions are read-only; target_session_attrs=read-write in the URL finds the primary")
	case persistence != "p":
		return fmt.Errorf("postgresstore: the table %s is UNLOGGED: a crash empties it, and people who signed out are forgotten", s.table())
	case synchronous == "off":
		return errors.New("postgresstore: synchronous_commit is off: a crash loses the last commits, and people who just signed out are forgotten")
	}
	return nil
}
