// Command fleet is what the tests of faults run: as "fleet provider" the OpenID provider, as "fleet replica" one replica of an
// application whose replicas meet in Redis (REDIS_URL) or PostgreSQL (DATABASE_URL), with a clock that is CLOCK ahead.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	idchi "github.com/signward/idserver-go/chi"
	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/postgresstore"
	"github.com/signward/idserver-go/core/store/redisstore"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	run := provider
	if os.Args[1] == "replica" {
		run = replica
	}
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

// serve serves until ctx ends.
func serve(ctx context.Context, word string, handler http.Handler) error {
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		return err
	}
	fmt.Println(word, "http://"+listener.Addr().String())
	server := &http.Server{Handler: handler}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() { stopped <- server.Shutdown(context.Background()) })
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return <-stopped
}

func duration(variable string) time.Duration {
	d, err := time.ParseDuration(os.Getenv(variable))
	if err != nil {
		log.Fatalf("%s: %v", variable, err)
	}
	return d
}

// provider has the people p0, p1 and so on, rotates refresh tokens, answers a used one again for GRACE,
// and revokes none unless REVOKES is true.
func provider(ctx context.Context) error {
	options := idtest.Options{AccessTTL: duration("ACCESS_TTL"), Dialect: idtest.Dialect{RefreshGrace: duration("GRACE")}}
	for i := range 100 {
		name := "p" + strconv.Itoa(i)
		options.People = append(options.People, idtest.Person{Login: name, Email: name + "@example.test", Name: name})
	}
	p, err := idtest.Start(options)
	if err != nil {
		return err
	}
	defer p.Close()
	if os.Getenv("REVOKES") != "true" { // who signed out is for the replicas to know
		p.Fail(idtest.Revocation, idtest.Fault{Status: http.StatusInternalServerError})
	}
	fmt.Println("provider", p.URL())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /reused", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, p.RefreshCounts().Reused) })
	mux.HandleFunc("GET /answered", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, p.RefreshCounts().Answered) })
	return serve(ctx, "counts", mux)
}

func replica(ctx context.Context) error {
	ahead := duration("CLOCK")
	now := func() time.Time { return time.Now().Add(ahead) }
	store, err := openStore(ctx, now)
	if err != nil {
		return err
	}
	defer store.Close()
	cfg := idserver.ConfigFromEnv()
	cfg.Store, cfg.Now = store, now
	cfg.StrictSignOut, cfg.ServerSessions = os.Getenv("STRICT") == "true", os.Getenv("SERVER_SESSIONS") == "true"
	client, err := idserver.New(cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	auth, mux := idchi.New(client), http.NewServeMux()
	auth.Mount(mux)
	mux.Handle("GET /me", auth.RequireUser()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, idchi.User(r).Subject)
	})))
	mux.HandleFunc("GET /goroutines", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, runtime.NumGoroutine()) })
	return serve(ctx, "replica", mux)
}

// openStore returns the store that there is a URL of.
func openStore(ctx context.Context, now func() time.Time) (interface {
	idserver.Store
	io.Closer
}, error) {
	if os.Getenv("DATABASE_URL") == "" {
		return redisstore.FromEnv()
	}
	store, err := postgresstore.FromEnv()
	if err != nil {
		return nil, err
	}
	store.Now = now
	go func() { // a replica may be started while the database is away
		for store.Migrate(ctx) != nil && ctx.Err() == nil {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return store, nil
}
