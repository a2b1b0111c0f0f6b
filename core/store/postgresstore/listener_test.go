package postgresstore_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signward/idserver-go/core/store/postgresstore"
	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
)

func nothing()          {}
func ignoring(_ string) {}

// backends counts the server's connections of the application.
func backends(t *testing.T, pool *pgxpool.Pool, where string) int {
	t.Helper()
	n := 0
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND "+where).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// await looks until the server says so: it takes a moment to notice that a connection has been closed.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for range 2000 {
		if so() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("in 10 s: %s", what)
}

// All subscriptions share one connection, which is there while there are any, and none is left after Close.
func TestOneConnection(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), func(c *pgxpool.Config) { c.MaxConns = 2 })
	s := newStore(t, pool, nil)
	listening := func() int {
		return backends(t, pool, "(query LIKE 'LISTEN%' OR query LIKE '%pg_backend_pid()' OR query = '-- ping')")
	}
	for range 3 {
		var stops []func()
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				stop, err := s.Subscribe(t.Context(), fmt.Sprint("topic ", i%7), ignoring, nothing)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				stops = append(stops, stop)
			})
		}
		all.Wait()
		if n := listening(); n != 1 {
			t.Errorf("%d connections listen", n)
		}
		for _, stop := range stops {
			stop()
			stop()
		}
		await(t, "the connection is there without a subscription", func() bool { return listening() == 0 })
	}
	stop, err := s.Subscribe(t.Context(), "topic", ignoring, nothing)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	stop()
	await(t, "a connection is left after Close", func() bool { return listening() == 0 })
	if _, err := s.Subscribe(t.Context(), "topic", ignoring, nothing); err == nil {
		t.Error("a closed store subscribes")
	}
}

// After Close, nothing is called, and what waits for a subscription ends.
func TestCloseEndsSubscriptions(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	pool := newPool(t, server.URL(), nil)
	s, other := newStore(t, pool, nil), newStore(t, pool, nil)
	var closed, late atomic.Bool
	heard := make(chan struct{}, 1000)
	if _, err := s.Subscribe(t.Context(), "topic", func(string) {
		late.Store(late.Load() || closed.Load())
		heard <- struct{}{}
	}, func() { late.Store(late.Load() || closed.Load()) }); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := other.NotifyCtx(t.Context(), "topic", "message"); err != nil {
			t.Fatal(err)
		}
	}
	<-heard
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed.Store(true)
	if err := other.NotifyCtx(t.Context(), "topic", "message"); err != nil {
		t.Fatal(err)
	}
	if late.Load() {
		t.Error("a function was called after Close")
	}
	resume := server.Pause()
	waits := make(chan error, 1)
	go func() {
		_, err := other.Subscribe(context.Background(), "topic", ignoring, nothing)
		waits <- err
	}()
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if err := <-waits; err == nil {
		t.Error("a store that is closed has subscribed")
	}
	resume()
}

// A subscriber is told when messages stop, and again when they arrive: what was sent between is lost.
func TestLostAgain(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	s := newStore(t, newPool(t, server.URL(), nil), nil)
	var losses, heard atomic.Int32
	stop, err := s.Subscribe(t.Context(), "topic", func(message string) {
		if message == "after" {
			heard.Add(1)
		}
	}, func() { losses.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	server.Cut()
	await(t, "lost is not called after a cut", func() bool { return losses.Load() > 0 })
	await(t, "nothing is heard after a cut", func() bool {
		_ = s.NotifyCtx(t.Context(), "topic", "after")
		return heard.Load() > 0
	})
	if n := losses.Load(); n < 2 {
		t.Errorf("lost was called %d times before messages were heard again, want 2 or more", n)
	}
}

// A password that lives for minutes is fetched for the connection that listens too.
func TestListenerUsesHooks(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	var before, after atomic.Int32
	pool := newPool(t, server.URL(), func(c *pgxpool.Config) {
		user := c.ConnConfig.User
		c.ConnConfig.User = "absent"
		c.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
			before.Add(1)
			c.User = user
			return nil
		}
		c.AfterConnect = func(context.Context, *pgx.Conn) error {
			after.Add(1)
			return nil
		}
	})
	s := postgresstore.New(pool)
	defer s.Close()
	stop, err := s.Subscribe(t.Context(), "topic", ignoring, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if before.Load() != 1 || after.Load() != 1 {
		t.Errorf("BeforeConnect was called %d times, AfterConnect %d times", before.Load(), after.Load())
	}
}

// pooler stands between, as PgBouncer does: it tells its clients another process than the server's.
func pooler(t *testing.T, server string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go passOn(client, server)
		}
	}()
	return dir
}

func passOn(client net.Conn, server string) {
	defer client.Close()
	backend, err := net.Dial("unix", server)
	if err != nil {
		return
	}
	defer backend.Close()
	go func() {
		_, _ = io.Copy(backend, client)
		backend.Close()
	}()
	for { // message by message: a type, a length that counts itself, and what belongs to it
		head := make([]byte, 5)
		if _, err := io.ReadFull(backend, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(backend, body); err != nil {
			return
		}
		if head[0] == 'K' { // BackendKeyData
			binary.BigEndian.PutUint32(body, binary.BigEndian.Uint32(body)^0x5a5a)
		}
		if _, err := client.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// Through a pooler, messages would be lost without a trace: so nobody subscribes there, and all else works.
func TestPooler(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	direct, err := pgx.ParseConfig(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	dir := pooler(t, filepath.Join(direct.Host, ".s.PGSQL.5432"))
	pool := newPool(t, server.URL(), func(c *pgxpool.Config) { c.ConnConfig.Host, c.ConnConfig.Fallbacks = dir, nil })
	s := newStore(t, pool, nil)
	for range 2 {
		if _, err := s.Subscribe(t.Context(), "topic", ignoring, nothing); !errors.Is(err, postgresstore.ErrPooler) {
			t.Errorf("%v", err)
		}
	}
	if err := s.CommitCtx(t.Context(), "key", []byte("value"), later()); err != nil {
		t.Error(err)
	}
	past := newStore(t, pool, func(s *postgresstore.Store) { s.Direct = direct })
	heard := make(chan string, 1)
	stop, err := past.Subscribe(t.Context(), "topic", func(message string) { heard <- message }, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if err := s.NotifyCtx(t.Context(), "topic", "message"); err != nil {
		t.Fatal(err)
	}
	if message := <-heard; message != "message" {
		t.Errorf("%q", message)
	}
}
