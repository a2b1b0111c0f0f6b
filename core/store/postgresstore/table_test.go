package postgresstore_test

import (
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signward/idserver-go/core/store/postgresstore"
	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

// Replicas that begin together make one table.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), func(c *pgxpool.Config) { c.MaxConns = 20 })
	for range 5 {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				s := postgresstore.New(pool)
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
				if err := s.HealthCtx(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := pool.Exec(t.Context(), "DROP TABLE idserver_store"); err != nil {
			t.Fatal(err)
		}
	}
}

// A table that somebody else has made is used by a role that may make none, and Migrate has nothing to do.
func TestMigrateWithoutRights(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	owner := newPool(t, server.URL(), nil)
	server.Exec("CREATE ROLE reader LOGIN")
	role := postgresstore.New(newPool(t, server.URL(), func(c *pgxpool.Config) { c.ConnConfig.User = "reader" }))
	defer role.Close()
	expectError(t, role.Migrate(t.Context()), "public.idserver_store", "42501")
	_, _, err := role.FindCtx(t.Context(), "key")
	expectError(t, err, "public.idserver_store", "Migrate")
	expectError(t, role.HealthCtx(t.Context()), "Migrate")

	schema, err := role.Schema()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be run again
		if _, err := owner.Exec(t.Context(), schema+"GRANT SELECT, INSERT, UPDATE, DELETE ON public.idserver_store TO reader"); err != nil {
			t.Fatal(err)
		}
	}
	if err := role.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := role.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
		t.Error(err)
	}
	if err := role.HealthCtx(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	parameters := func(name, value string) *postgresstore.Store {
		s := postgresstore.New(newPool(t, server.URL(), func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams[name] = value }))
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	pool := newPool(t, server.URL(), nil)
	s := newStore(t, pool, nil)
	if err := s.HealthCtx(t.Context()); err != nil {
		t.Error(err)
	}
	expectError(t, parameters("default_transaction_read_only", "on").HealthCtx(t.Context()), "takes no writes")
	expectError(t, parameters("synchronous_commit", "off").HealthCtx(t.Context()), "synchronous_commit")
	if err := parameters("synchronous_commit", "local").HealthCtx(t.Context()); err != nil {
		t.Error(err)
	}
	for _, row := range []struct{ change, part string }{
		{"ALTER TABLE idserver_store SET UNLOGGED", "UNLOGGED"},
		{"ALTER TABLE idserver_store SET LOGGED; ALTER TABLE idserver_store DROP COLUMN value", "42703"},
		{"DROP TABLE idserver_store", "Migrate"},
	} {
		if _, err := pool.Exec(t.Context(), row.change); err != nil {
			t.Fatal(err)
		}
		expectError(t, s.HealthCtx(t.Context()), row.part)
	}
}
