package postgresstore_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest/storetest"
	"github.com/signward/idserver-go/core/store/postgresstore"
	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

// newPool returns a pool of a server's database, closed when the test ends.
func newPool(t *testing.T, url string, change func(c *pgxpool.Config)) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(config)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// newStore returns a store with its table, closed when the test ends.
func newStore(t *testing.T, pool *pgxpool.Pool, change func(s *postgresstore.Store)) *postgresstore.Store {
	t.Helper()
	s := postgresstore.New(pool)
	if change != nil {
		change(s)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// replicas are those of one server.
func replicas(server *postgrestest.Server, change func(c *pgxpool.Config)) storetest.Replicas {
	return storetest.Replicas{
		New:    func(t *testing.T) idserver.Store { return newStore(t, newPool(t, server.URL(), change), nil) },
		Shared: true,
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	r := replicas(server, nil)
	r.Cut = func(*testing.T) { server.Cut() }
	r.Stall = func(*testing.T) func() { return server.Pause() }
	storetest.RunReplicas(t, r)
}

// A pooler that knows no prepared statements wants one of these; the statements mean the same in each.
func TestContractWithoutPreparedStatements(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	for name, mode := range map[string]pgx.QueryExecMode{
		"exec": pgx.QueryExecModeExec, "simple protocol": pgx.QueryExecModeSimpleProtocol, "cache describe": pgx.QueryExecModeCacheDescribe,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.RunReplicas(t, replicas(server, func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }))
		})
	}
}

// A database whose transactions are serializable refuses statements that meet others: they are tried again.
func TestContractSerializable(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t, "default_transaction_isolation=serializable")
	storetest.RunReplicas(t, replicas(server, nil))
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", parts)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error %q lacks %q", err, part)
		}
	}
}

func later() time.Time { return time.Now().Add(time.Hour) }

// Stores with other tables share a database and see nothing of each other.
func TestTables(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), nil)
	if _, err := pool.Exec(t.Context(), `CREATE SCHEMA "Auth it's"`); err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 10)
	var stores []*postgresstore.Store
	for _, name := range []string{"", "other", "OTHER", "Auth it's.select", "Auth it's." + strings.Repeat("x", 56)} {
		s := newStore(t, pool, func(s *postgresstore.Store) { s.Table = name })
		if err := s.CommitCtx(t.Context(), "key", []byte("of "+name), later()); err != nil {
			t.Fatal(err)
		}
		stop, err := s.Subscribe(t.Context(), "topic", func(message string) { heard <- name + " heard " + message }, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		stores = append(stores, s)
	}
	for _, s := range stores {
		if value, found, err := s.FindCtx(t.Context(), "key"); string(value) != "of "+s.Table || !found || err != nil {
			t.Errorf("%s: %q, %v, %v", s, value, found, err)
		}
		if err := s.NotifyCtx(t.Context(), "topic", s.Table); err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != s.Table+" heard "+s.Table {
			t.Errorf("%s", got)
		}
	}
	select {
	case got := <-heard:
		t.Errorf("%s as well", got)
	default:
	}
}

func TestTableNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".", ".a", "a.", "a.b.c", `a"b`, `"a"`, `a\b`, "a\x00b", strings.Repeat("x", 57), strings.Repeat("x", 64) + ".a"} {
		s := postgresstore.New(newPool(t, "postgres:///app?host=/nonexistent", nil))
		s.Table = name
		_, _, err := s.FindCtx(t.Context(), "key")
		expectError(t, err, "the table")
		_, err = s.Schema()
		expectError(t, err, "the table")
		expectError(t, s.Migrate(t.Context()), "the table")
		_, err = s.Subscribe(t.Context(), "topic", func(string) {}, func() {})
		expectError(t, err, "the table")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A pool whose connections the server has closed all is no fault for who reads, and none for who writes once they are gone.
func TestConnectionsCut(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	s := newStore(t, newPool(t, server.URL(), func(c *pgxpool.Config) { c.MaxConns, c.MinConns = 6, 6 }), nil)
	if err := s.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var all sync.WaitGroup
		for range 6 { // so that each connection was used just now
			all.Go(func() { _, _, _ = s.FindCtx(t.Context(), "key") })
		}
		all.Wait()
		server.Cut()
		for range 6 {
			if value, found, err := s.FindCtx(t.Context(), "key"); string(value) != "value" || !found || err != nil {
				t.Fatalf("%q, %v, %v", value, found, err)
			}
			if values, err := s.FindManyCtx(t.Context(), []string{"none", "key"}); err != nil || values[0] != nil || string(values[1]) != "value" {
				t.Fatalf("%q, %v", values, err)
			}
		}
	}
}

// A server that is away is an error at once, and one that is back is used; what was committed is there.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	s := newStore(t, newPool(t, server.URL(), nil), nil)
	if err := s.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if value, found, err := s.FindCtx(t.Context(), "key"); err == nil || found || value != nil {
		t.Errorf("%q, %v, %v", value, found, err)
	}
	if values, err := s.FindManyCtx(t.Context(), []string{"key"}); err == nil || values != nil {
		t.Errorf("%q, %v", values, err)
	}
	if swapped, err := s.SwapCtx(t.Context(), "key", []byte("value"), []byte("next"), later()); err == nil || swapped {
		t.Errorf("%v, %v", swapped, err)
	}
	if err := s.CommitCtx(t.Context(), "key", []byte("next"), later()); err == nil {
		t.Error("committed")
	}
	if err := s.HealthCtx(t.Context()); err == nil {
		t.Error("healthy")
	}
	server.Restart()
	if value, found, err := s.FindCtx(t.Context(), "key"); string(value) != "value" || !found || err != nil {
		t.Errorf("%q, %v, %v", value, found, err)
	}
	if err := s.HealthCtx(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that has no connection left is one that is away.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t, "max_connections=10", "superuser_reserved_connections=3")
	s := newStore(t, newPool(t, server.URL(), func(c *pgxpool.Config) { c.MaxConns = 2 }), nil)
	if err := s.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
		t.Fatal(err)
	}
	server.Cut()
	var others []*pgx.Conn
	for {
		conn, err := pgx.Connect(t.Context(), server.URL())
		if err != nil {
			break
		}
		others = append(others, conn)
	}
	if len(others) < 3 {
		t.Fatalf("%d connections", len(others))
	}
	for range 3 {
		_, found, err := s.FindCtx(t.Context(), "key")
		if expectError(t, err, "53300"); found {
			t.Error("found")
		}
		_, err = s.Subscribe(t.Context(), "topic", func(string) {}, func() {})
		expectError(t, err, "53300")
	}
	for _, conn := range others {
		_ = conn.Close(t.Context())
	}
	for { // the server takes a moment to notice
		if value, found, err := s.FindCtx(t.Context(), "key"); err == nil {
			if string(value) != "value" || !found {
				t.Errorf("%q, %v", value, found)
			}
			return
		}
	}
}

// No error shows the password, be it wrong or be the server away.
func TestErrorsHaveNoSecret(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := strings.Replace(server.URL(), "app@", "app:s3cret@", 1)
	s := postgresstore.New(newPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.Database = "absent" }))
	defer s.Close()
	server.Kill()
	for range 2 {
		var all []error
		_, _, err := s.FindCtx(t.Context(), "key")
		all = append(all, err)
		_, err = s.SwapCtx(t.Context(), "key", nil, []byte("s3cret"), later())
		all = append(all, err, s.CommitCtx(t.Context(), "key", []byte("s3cret"), later()), s.DeleteCtx(t.Context(), "key"), s.Migrate(t.Context()), s.HealthCtx(t.Context()))
		_, err = s.Subscribe(t.Context(), "topic", func(string) {}, func() {})
		all = append(all, err)
		for _, err := range all {
			if err == nil || strings.Contains(fmt.Sprintf("%v %+v", err, err), "s3cret") {
				t.Errorf("%v", err)
			}
		}
		server.Restart()
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, s); text != "postgresstore.Store{public.idserver_store}" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// The clock by which expiries are meant need not be the database's.
func TestNow(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	begin := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	s := newStore(t, newPool(t, server.URL(), nil), func(s *postgresstore.Store) { s.Now = func() time.Time { return begin } })
	for expiry, want := range map[time.Time]bool{
		begin.Add(time.Hour): true, begin.Add(200 * 365 * 24 * time.Hour): true, begin: false, begin.Add(-time.Second): false, {}: false,
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): true,
	} {
		if err := s.CommitCtx(t.Context(), "key", []byte("value"), expiry); err != nil {
			t.Errorf("%v: %v", expiry, err)
		}
		if _, found, err := s.FindCtx(t.Context(), "key"); found != want || err != nil {
			t.Errorf("%v: %v, %v", expiry, found, err)
		}
	}
}
