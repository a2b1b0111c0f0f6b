//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

// What happens to PostgreSQL, while people use an application of three replicas. See TestRedisFaults.
func TestPostgresFaults(t *testing.T) {
	leftOut(t, "postgres")
	t.Parallel() // it waits, mostly
	server := postgrestest.Start(t)
	url := "DATABASE_URL=" + server.URL()
	f := newFleet(t, url, 5, 0, false)
	f.troubles(t, []trouble{
		{"restarted", func() {
			server.Restart()
			f.through(5)
		}},
		{"killed, and started again", func() {
			server.Kill()
			f.while(20)
			server.Restart()
		}},
		{"out of connections", func() {
			server.Exec("ALTER ROLE app CONNECTION LIMIT 0")
			server.Cut()
			f.while(20)
			server.Exec("ALTER ROLE app CONNECTION LIMIT -1")
		}},
		{"its connections are cut, over and over", func() {
			for range 10 {
				f.while(1)
				server.Cut()
			}
		}},
		{"paused", func() {
			resume := server.Pause()
			f.while(10)
			resume()
		}},
		{"emptied", func() { // with nobody noticing by a connection that breaks
			f.through(5)
			empty(t, server)
			f.through(10)
			empty(t, server)
		}},
	})
	if t.Failed() {
		return
	}
	f.quiet(func() int { return postgresConnections(t, server) })

	f = newFleet(t, url, 5, time.Minute, false)
	f.troubles(t, []trouble{{"replicas are killed", f.killEach}})
}

// empty deletes all that the store has.
func empty(t *testing.T, server *postgrestest.Server) {
	t.Helper()
	onPostgres(t, server, func(c *pgx.Conn) error {
		_, err := c.Exec(t.Context(), "TRUNCATE idserver_store")
		return err
	})
}

// postgresConnections are those that replicas have.
func postgresConnections(t *testing.T, server *postgrestest.Server) (n int) {
	t.Helper()
	onPostgres(t, server, func(c *pgx.Conn) error {
		return c.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND pid <> pg_backend_pid()").Scan(&n)
	})
	return n
}

func onPostgres(t *testing.T, server *postgrestest.Server, do func(c *pgx.Conn) error) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := do(c); err != nil {
		t.Fatal(err)
	}
}
