package bench

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/redis/go-redis/v9"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/idtest/storetest"
	"github.com/signward/idserver-go/core/store/redisstore/redistest"
)

// publishedForSCS is a store that is published for scs, made as the guide says.
func publishedForSCS(tb testing.TB, server *redistest.Server) idserver.Store {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: server.Socket(), ContextTimeoutEnabled: true})
	tb.Cleanup(func() { _ = client.Close() })
	return goredisstore.New(client)
}

// A store published for scs keeps the contract of a plain store.
func TestStoreOfSCS(t *testing.T) {
	server := redistest.Start(t)
	storetest.RunReplicas(t, storetest.Replicas{
		New:    func(t *testing.T) idserver.Store { return publishedForSCS(t, server) },
		Shared: true,
		Stall:  func(*testing.T) (resume func()) { return server.Pause() },
	})
}

// In such a store, replicas cannot agree.
func TestStoreOfSCSIsForOneReplica(t *testing.T) {
	cfg := idtest.NewProvider(t).Config("http://127.0.0.1:8080")
	cfg.Store = publishedForSCS(t, redistest.Start(t))
	if client, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "SwapCtx") || !strings.Contains(err.Error(), "SingleReplica") {
		if err == nil {
			client.Close()
		}
		t.Errorf("without SingleReplica: %v", err)
	}
	cfg.SingleReplica = true
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
}

// A person signs in, is served, refreshed and signed out, with sessions in such a store and in cookies; and a process that takes the
// place of this one goes on with it.
func TestSessionsInStoreOfSCS(t *testing.T) {
	for name, inStore := range map[string]bool{"ServerSessions": true, "sealed cookies": false} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			var ahead atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
			p := idtest.NewProvider(t, func(o *idtest.Options) { o.AccessTTL, o.Now = 10*time.Minute, now })
			cfg := p.Config("http://127.0.0.1:8080")
			cfg.Now, cfg.SingleReplica, cfg.ServerSessions = now, true, inStore
			start := func() *idserver.Client {
				cfg.Store = publishedForSCS(t, server)
				client, err := idserver.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				return client
			}
			client := start()
			b := &scsBrowser{t, client, signedIn(t, client, p)}
			for range 3 {
				b.isSeen("alice@example.test")
			}
			first := b.cookie

			client.Close()
			b.client = start() // another process
			defer b.client.Close()
			b.isSeen("alice@example.test")

			ahead.Store(int64(9*time.Minute + 30*time.Second)) // within a minute of the access token's end
			b.isSeen("alice@example.test")
			if n := p.RefreshCounts(); n.Answered != 1 || n.Reused != 0 {
				t.Errorf("%+v", n)
			}
			ahead.Store(int64(11 * time.Minute)) // the first access token is over
			b.isSeen("alice@example.test")
			if n := p.RefreshCounts(); n.Answered != 1 {
				t.Errorf("%+v", n)
			}

			stolen := []string{first, b.cookie}
			b.signOut()
			for _, cookie := range stolen {
				(&scsBrowser{t, b.client, cookie}).isSeen("")
				again := start() // one that has nothing in memory
				(&scsBrowser{t, again, cookie}).isSeen("")
				again.Close()
			}
		})
	}
}

// scsBrowser is a browser with the session's cookies.
type scsBrowser struct {
	t      *testing.T
	client *idserver.Client
	cookie string
}

func (b *scsBrowser) request(method, path string) idserver.Request {
	return idserver.Request{Method: method, Path: path, Host: "127.0.0.1:8080", Header: http.Header{"Accept": {"application/json"}, "Cookie": {b.cookie}}}
}

// isSeen fails the test unless a request is answered as the user with that address; "" for nobody.
func (b *scsBrowser) isSeen(email string) {
	b.t.Helper()
	ctx, answer := b.client.RequireUser()(b.t.Context(), b.request("GET", "/"))
	got := ""
	if u := idserver.UserFrom(ctx); u != nil && !answer.Ends() {
		got = u.Email
	}
	if got != email || email == "" && answer.Status != http.StatusUnauthorized {
		b.t.Errorf("the request is answered as %q with %d %s, want %q", got, answer.Status, answer.Body, email)
	}
	if written := cookies(answer); len(written) > 0 && email != "" {
		b.cookie = strings.Join(written, "; ")
	}
}

func (b *scsBrowser) signOut() {
	b.t.Helper()
	routes, err := b.client.Routes("/auth")
	fatal(b.t, err)
	i := slices.IndexFunc(routes, func(r idserver.Route) bool { return r.Path == "/logout" && r.Method == "POST" })
	if answer := routes[i].Serve(context.WithoutCancel(b.t.Context()), b.request("POST", "/auth/logout")); answer.Status != http.StatusSeeOther && answer.Status != http.StatusOK && answer.Status != http.StatusNoContent {
		b.t.Fatalf("the sign-out is answered %d %s", answer.Status, answer.Body)
	}
}
