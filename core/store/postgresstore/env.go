package postgresstore

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// mostURL limits a URL of the environment, in bytes.
const mostURL = 8 << 10

// FromEnv returns a store in the database of the environment variable DATABASE_URL. It does not connect: a database that is away
// shows when the store is used. Close closes its pool.
//
// DATABASE_URL is what libpq takes, a URL or keywords and values, with pgxpool's settings besides:
//
//	postgres://user:password@db.example:5432/app?sslmode=verify-full
//	postgres://user:password@db1.example,db2.example/app?sslmode=verify-full&pool_max_conns=20
//	postgres:///app?host=/var/run/postgresql
//	host=db.example user=app dbname=app sslmode=verify-full
//
// Without sslmode the connection is encrypted if the server offers it, and the server's certificate is not checked: over a network that
// others use, set verify-full. What is left out comes from the variables of libpq (PGHOST, PGUSER, PGPASSWORD and so on) and its
// password file. With target_session_attrs left out, only a server that takes writes will do, so that of several hosts the primary is
// found. pool_max_conns is the greater of 4 and the number of processors by default.
//
// DATABASE_DIRECT_URL, if set, is where the database is without a connection pooler between: see [Store.Direct].
func FromEnv() (*Store, error) {
	config, err := poolFrom("DATABASE_URL", os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	var direct *pgx.ConnConfig
	if url := os.Getenv("DATABASE_DIRECT_URL"); url != "" {
		pool, err := poolFrom("DATABASE_DIRECT_URL", url)
		if err != nil {
			return nil, err
		}
		direct = pool.ConnConfig
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("postgresstore: %w", err)
	}
	s := New(pool)
	s.owns, s.Direct = true, direct
	return s, nil
}

// poolFrom reads a URL or keywords and values. pgx's own error quotes what it read, with the password if it is where pgx does not look
// for one: so the error names the variable, and what is expected.
func poolFrom(variable, value string) (*pgxpool.Config, error) {
	switch {
	case value == "":
		return nil, fmt.Errorf("postgresstore: the environment variable %s is not set: want such as postgres://user:password@db.example:5432/app?sslmode=verify-full", variable)
	case len(value) > mostURL:
		return nil, fmt.Errorf("postgresstore: the environment variable %s has %d bytes, at most %d are read", variable, len(value), mostURL)
	case strings.Contains(value, "://") && !strings.HasPrefix(value, "postgres://") && !strings.HasPrefix(value, "postgresql://") && !isKeywords(value):
		return nil, fmt.Errorf("postgresstore: the environment variable %s is a URL of something else: want one that begins with postgres:// or postgresql://", variable)
	}
	config, err := pgxpool.ParseConfig(value)
	if err != nil {
		return nil, fmt.Errorf("postgresstore: the environment variable %s cannot be read%s: want a URL such as postgres://user:password@db.example:5432/app?sslmode=verify-full, "+
			"in which the user and the password are percent-encoded, or keywords and values such as host=db.example user=app", variable, about(err))
	}
	if config.ConnConfig.ValidateConnect == nil {
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	return config, nil
}

// isKeywords reports whether a text begins with a keyword, so that a :// in it is part of a value.
func isKeywords(value string) bool {
	word, _, found := strings.Cut(value, "=")
	return found && !strings.ContainsAny(word, ":/@?")
}

// settings are what pgx's errors may be about, the longer names first. Nothing else of an error is shown.
var settings = []string{
	"sslrootcert", "sslnegotiation", "sslcertmode", "sslcert", "sslkey", "sslpassword", "sslmode", "target_session_attrs", "connect_timeout",
	"pool_max_conns", "pool_min_conns", "pool_min_idle_conns", "pool_max_conn_lifetime_jitter", "pool_max_conn_lifetime",
	"pool_max_conn_idle_time", "pool_health_check_period", "pool_ping_timeout", "default_query_exec_mode", "statement_cache_capacity",
	"description_cache_capacity", "channel_binding", "require_auth", "service file", "service", "port", "TLS",
}

// about says which setting a parser's error is about, if it tells.
func about(err error) string {
	text := err.Error()
	text = text[strings.LastIndex(text, "`: ")+1:] // behind what was parsed
	for _, name := range settings {
		if strings.Contains(text, name) {
			return " (" + name + ")"
		}
	}
	return ""
}
