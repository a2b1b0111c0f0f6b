package postgresstore_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

// What has expired is deleted, however much it is and whoever does it; the rest stays.
func TestDeleteExpired(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), nil)
	s := newStore(t, pool, nil)
	if err := s.CommitCtx(t.Context(), "kept", []byte("value"), later()); err != nil { // and nothing is to be deleted beside it
		t.Fatal(err)
	}
	s.WaitBeside()
	if _, err := pool.Exec(t.Context(), "INSERT INTO idserver_store SELECT 'expired ' || n, 'value', now() - n * interval '1 second' FROM generate_series(1, 2600) AS n"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	total := int64(0)
	for range 3 {
		all.Go(func() {
			n, err := s.DeleteExpired(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	all.Wait()
	n, err := s.DeleteExpired(t.Context())
	if total+n != 2600 || err != nil {
		t.Errorf("%d and then %d rows were deleted, %v", total, n, err)
	}
	if _, found, err := s.FindCtx(t.Context(), "kept"); !found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// A row that somebody else is writing holds nobody up.
func TestDeleteExpiredWaitsForNobody(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), nil)
	s := newStore(t, pool, nil)
	if _, err := pool.Exec(t.Context(), "INSERT INTO idserver_store SELECT 'expired ' || n, 'value', now() - n * interval '1 second' FROM generate_series(1, 10) AS n"); err != nil {
		t.Fatal(err)
	}
	writing, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := writing.Exec(t.Context(), "UPDATE idserver_store SET expiry = now() + interval '1 hour' WHERE key = 'expired 7'"); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteExpired(t.Context()); n != 9 || err != nil {
		t.Errorf("%d rows were deleted, %v", n, err)
	}
	if err := writing.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.FindCtx(t.Context(), "expired 7"); !found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

// Writes delete what has expired, once a minute; reads and what fails do not.
func TestWritesDeleteExpired(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), nil)
	s := newStore(t, pool, nil)
	rows := func() int {
		t.Helper()
		found, err := pool.Query(t.Context(), "SELECT count(*) FROM idserver_store WHERE key LIKE 'expired%'")
		if err != nil {
			t.Fatal(err)
		}
		n, err := pgx.CollectExactlyOneRow(found, pgx.RowTo[int])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	expired := func(n int) {
		t.Helper()
		for i := range n {
			if _, err := pool.Exec(t.Context(), "INSERT INTO idserver_store VALUES ($1, 'value', now() - interval '1 hour')", fmt.Sprint("expired ", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func() {
		t.Helper()
		if err := s.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
			t.Fatal(err)
		}
		s.WaitBeside()
	}
	expired(3)
	if _, _, err := s.FindCtx(t.Context(), "expired 1"); err != nil {
		t.Fatal(err)
	}
	if n := rows(); n != 3 {
		t.Errorf("%d rows after a read", n)
	}
	if write(); rows() != 0 {
		t.Errorf("%d rows after a write", rows())
	}
	expired(3)
	if write(); rows() != 3 {
		t.Errorf("%d rows after the next write", rows())
	}
	s.DeletedBefore(59 * time.Second)
	if write(); rows() != 3 {
		t.Errorf("%d rows after a write in 59 s", rows())
	}
	s.DeletedBefore(time.Minute)
	if write(); rows() != 0 {
		t.Errorf("%d rows after a write in a minute", rows())
	}
}
