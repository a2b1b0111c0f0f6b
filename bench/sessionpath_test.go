package bench

import (
	"context"
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	ginsessions "github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gofiber/fiber/v2"
	fibersession "github.com/gofiber/fiber/v2/middleware/session"
	"github.com/gorilla/sessions"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/memorystore"
	"github.com/signward/idserver-go/core/store/postgresstore"
	"github.com/signward/idserver-go/core/store/postgresstore/postgrestest"
	"github.com/signward/idserver-go/core/store/redisstore"
	"github.com/signward/idserver-go/core/store/redisstore/redistest"
)

// operations counts the calls of a store, each of which is one round trip.
type operations struct{ atomic.Int64 }

// sessionPath is a way to keep sessions, as a request with one takes it: a route of a framework that looks at the user's roles and
// answers "ok". ask asks it with the cookie of somebody who is signed in, and of nobody with "".
type sessionPath struct {
	in, name string
	make     func(tb testing.TB, n *operations) (ask func(cookie string) func() int, cookie string)
}

// What a session of a peer holds, whose store keeps anything and signs nobody in. Ours holds the user with all claims, and the tokens.
var alice = map[string]any{"sub": "6f0c2a3e-0000-4000-8000-000000000001", "email": "alice@example.test", "name": "Alice Tan", "roles": []string{"admin", "user"}}

func init() { gob.Register([]string{}) } // what scs, gorilla and fiber write sessions in

// Keys of gorilla's securecookie, which seals with both: an HMAC, and AES-256.
var hashKey, blockKey = []byte(strings.Repeat("h", 64)), []byte(strings.Repeat("b", 32))

var sessionPaths = []sessionPath{
	{"chi", "floor", bareRoute("chi")},
	{"chi", "idserver, sealed cookie, seen before", own("chi", nil)},
	{"chi", "idserver, sealed cookie, not seen before", own("chi", nil, unremembered)},
	{"chi", "idserver, ServerSessions in memory, seen before", own("chi", inMemory)},
	{"chi", "idserver, ServerSessions in memory, not seen before", own("chi", inMemory, unremembered)},
	{"chi", "idserver, ServerSessions in Redis, seen before", own("chi", inRedis)},
	{"chi", "idserver, ServerSessions in Redis, not seen before", own("chi", inRedis, unremembered)},
	{"chi", "idserver, ServerSessions in PostgreSQL, seen before", own("chi", inPostgres)},
	{"chi", "idserver, ServerSessions in PostgreSQL, not seen before", own("chi", inPostgres, unremembered)},
	{"chi", "scs, memstore", ofSCS(func(testing.TB) scs.Store { return memstore.NewWithCleanupInterval(0) }, 0)},
	{"chi", "scs, goredisstore", ofSCS(scsRedis, 0)},
	{"chi", "scs, goredisstore, with IdleTimeout", ofSCS(scsRedis, time.Hour)},
	{"chi", "gorilla/sessions, cookie store", ofGorilla},
	{"gin", "floor", bareRoute("gin")},
	{"gin", "idserver, sealed cookie, seen before", own("gin", nil)},
	{"gin", "gin-contrib/sessions, cookie store", ofGinContrib},
	{"fiber", "floor", bareRoute("fiber")},
	{"fiber", "idserver, sealed cookie, seen before", own("fiber", nil)},
	{"fiber", "fiber's session middleware, memory", ofFiber},
}

// application is that of a framework, with routes by no guard and by ours.
func application(tb testing.TB, framework string, client *idserver.Client) asker {
	tb.Helper()
	i := slices.IndexFunc(frameworks, func(f frameworkRow) bool { return f.name == framework })
	return frameworks[i].make(tb, client)
}

func bareRoute(framework string) func(testing.TB, *operations) (func(string) func() int, string) {
	return func(tb testing.TB, _ *operations) (func(string) func() int, string) {
		ask := application(tb, framework, ours(tb, 0))
		return func(cookie string) func() int { return ask(pathBare, "Cookie", cookie) }, "a=b"
	}
}

// unremembered has each request open the cookie, and ask the store, anew.
func unremembered(c *idserver.Config) { c.TokenCacheBytes = -1 }

// own is idserver's guard in a framework, with sessions in a store or, without, in the cookie.
func own(framework string, store func(testing.TB) fullStore, edit ...func(*idserver.Config)) func(testing.TB, *operations) (func(string) func() int, string) {
	return func(tb testing.TB, n *operations) (func(string) func() int, string) {
		p := idtest.NewProvider(tb)
		cfg := p.Config("http://127.0.0.1:8080")
		if store != nil {
			cfg.Store, cfg.ServerSessions = &countedStore{store(tb), n}, true
		}
		for _, e := range edit {
			e(&cfg)
		}
		client, err := idserver.New(cfg)
		fatal(tb, err)
		tb.Cleanup(client.Close)
		ask := application(tb, framework, client)
		asks := func(cookie string) func() int { return ask(pathOurs, "Cookie", cookie) }
		cookie := signedIn(tb, client, p)
		if store != nil && cfg.TokenCacheBytes >= 0 {
			untilRemembered(asks(cookie), n)
		}
		return asks, cookie
	}
}

// untilRemembered asks until that costs no operation of the store: the subscription to its messages is made in the background.
func untilRemembered(ask func() int, n *operations) {
	for range 3000 {
		before := n.Load()
		if ask(); n.Load() == before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// fullStore is what a store may be able to do.
type fullStore interface {
	idserver.Store
	idserver.Swapper
	idserver.Notifier
	FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error)
}

func inMemory(testing.TB) fullStore { return memorystore.New() }

func inRedis(tb testing.TB) fullStore {
	store, err := redisstore.Open(redistest.Start(tb).URL())
	fatal(tb, err)
	tb.Cleanup(func() { fatal(tb, store.Close()) })
	return store
}

func inPostgres(tb testing.TB) fullStore {
	pool, err := pgxpool.New(context.Background(), postgrestest.Start(tb).URL())
	fatal(tb, err)
	tb.Cleanup(pool.Close)
	store := postgresstore.New(pool)
	tb.Cleanup(func() { fatal(tb, store.Close()) })
	fatal(tb, store.Migrate(context.Background()))
	return store
}

// countedStore counts what is asked of a store. Its subscription is one that the store makes, and costs no request anything.
type countedStore struct {
	fullStore
	n *operations
}

func (s *countedStore) FindCtx(ctx context.Context, key string) ([]byte, bool, error) {
	s.n.Add(1)
	return s.fullStore.FindCtx(ctx, key)
}

func (s *countedStore) FindManyCtx(ctx context.Context, keys []string) ([][]byte, error) {
	s.n.Add(1)
	return s.fullStore.FindManyCtx(ctx, keys)
}

func (s *countedStore) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	s.n.Add(1)
	return s.fullStore.CommitCtx(ctx, key, value, expiry)
}

func (s *countedStore) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	s.n.Add(1)
	return s.fullStore.SwapCtx(ctx, key, old, value, expiry)
}

func (s *countedStore) DeleteCtx(ctx context.Context, key string) error {
	s.n.Add(1)
	return s.fullStore.DeleteCtx(ctx, key)
}

func (s *countedStore) NotifyCtx(ctx context.Context, topic, message string) error {
	s.n.Add(1)
	return s.fullStore.NotifyCtx(ctx, topic, message)
}

// overChi is an application with a route behind a peer's middleware, which holds if found says so, and one at /in that signs alice in.
func overChi(tb testing.TB, middleware func(http.Handler) http.Handler, signIn func(http.ResponseWriter, *http.Request), found func(*http.Request) bool) (func(string) func() int, string) {
	r := chi.NewRouter()
	r.Use(middleware)
	r.Get("/in", signIn)
	r.Get("/peer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if !found(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte("ok"))
	})
	return over(tb, r)
}

func over(tb testing.TB, h http.Handler) (func(string) func() int, string) {
	ask := overHTTP(h)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest("GET", "/in", nil))
	return func(cookie string) func() int { return ask("/peer", "Cookie", cookie) }, cookieLine(tb, answer.Result())
}

func cookieLine(tb testing.TB, r *http.Response) string {
	tb.Helper()
	if len(r.Cookies()) != 1 {
		tb.Fatalf("the peer answers %s with %d cookies", r.Status, len(r.Cookies()))
	}
	c := r.Cookies()[0]
	return c.Name + "=" + c.Value
}

func hasRole(roles any) bool {
	all, _ := roles.([]string)
	return slices.Contains(all, "user")
}

// scsStore counts what scs asks of a store.
type scsStore struct {
	scs.Store
	n *operations
}

func (s scsStore) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	s.n.Add(1)
	if c, ok := s.Store.(scs.CtxStore); ok {
		return c.FindCtx(ctx, token)
	}
	return s.Find(token)
}

func (s scsStore) CommitCtx(ctx context.Context, token string, b []byte, expiry time.Time) error {
	s.n.Add(1)
	if c, ok := s.Store.(scs.CtxStore); ok {
		return c.CommitCtx(ctx, token, b, expiry)
	}
	return s.Commit(token, b, expiry)
}

func (s scsStore) DeleteCtx(ctx context.Context, token string) error {
	s.n.Add(1)
	if c, ok := s.Store.(scs.CtxStore); ok {
		return c.DeleteCtx(ctx, token)
	}
	return s.Delete(token)
}

func scsRedis(tb testing.TB) scs.Store {
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: redistest.Start(tb).Socket()})
	tb.Cleanup(func() { _ = client.Close() })
	return goredisstore.New(client)
}

func ofSCS(store func(testing.TB) scs.Store, idle time.Duration) func(testing.TB, *operations) (func(string) func() int, string) {
	return func(tb testing.TB, n *operations) (func(string) func() int, string) {
		m := scs.New()
		m.Store, m.IdleTimeout = scsStore{store(tb), n}, idle
		return overChi(tb, m.LoadAndSave, func(_ http.ResponseWriter, r *http.Request) {
			for key, value := range alice {
				m.Put(r.Context(), key, value)
			}
		}, func(r *http.Request) bool { return hasRole(m.Get(r.Context(), "roles")) })
	}
}

func ofGorilla(tb testing.TB, _ *operations) (func(string) func() int, string) {
	store := sessions.NewCookieStore(hashKey, blockKey)
	return overChi(tb, func(next http.Handler) http.Handler { return next }, func(w http.ResponseWriter, r *http.Request) {
		s, err := store.Get(r, "session")
		fatal(tb, err)
		for key, value := range alice {
			s.Values[key] = value
		}
		fatal(tb, s.Save(r, w))
	}, func(r *http.Request) bool {
		s, err := store.Get(r, "session")
		return err == nil && hasRole(s.Values["roles"])
	})
}

func ofGinContrib(tb testing.TB, _ *operations) (func(string) func() int, string) {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(ginsessions.Sessions("session", cookie.NewStore(hashKey, blockKey)))
	r.GET("/in", func(c *gin.Context) {
		s := ginsessions.Default(c)
		for key, value := range alice {
			s.Set(key, value)
		}
		fatal(tb, s.Save())
	})
	r.GET("/peer", func(c *gin.Context) {
		if !hasRole(ginsessions.Default(c).Get("roles")) {
			c.Status(http.StatusUnauthorized)
			return
		}
		c.String(http.StatusOK, "ok")
	})
	return over(tb, r)
}

// fiberStorage counts what fiber's middleware asks of a storage.
type fiberStorage struct {
	fiber.Storage
	n *operations
}

func (s fiberStorage) Get(key string) ([]byte, error) {
	s.n.Add(1)
	return s.Storage.Get(key)
}

func (s fiberStorage) Set(key string, value []byte, life time.Duration) error {
	s.n.Add(1)
	return s.Storage.Set(key, value, life)
}

func ofFiber(tb testing.TB, n *operations) (func(string) func() int, string) {
	store := fibersession.New()
	store.Storage = fiberStorage{store.Storage, n}
	app := fiber.New(fiber.Config{ReadBufferSize: 16 << 10})
	app.Get("/in", func(c *fiber.Ctx) error {
		s, err := store.Get(c)
		if err != nil {
			return err
		}
		for key, value := range alice {
			s.Set(key, value)
		}
		return s.Save()
	})
	app.Get("/peer", func(c *fiber.Ctx) error {
		s, err := store.Get(c)
		if err != nil {
			return err
		}
		if !hasRole(s.Get("roles")) {
			return c.SendStatus(http.StatusUnauthorized)
		}
		return c.SendString("ok")
	})
	answer, err := app.Test(httptest.NewRequest("GET", "/in", nil), -1)
	fatal(tb, err)
	defer answer.Body.Close()
	ask := overFasthttp(app.Handler())
	return func(cookie string) func() int { return ask("/peer", "Cookie", cookie) }, cookieLine(tb, answer)
}

// BenchmarkSessionPath asks a route with the session of one who is signed in, and counts the operations of the store as well.
func BenchmarkSessionPath(b *testing.B) {
	for _, path := range sessionPaths {
		b.Run("in="+path.in+"/impl="+strings.NewReplacer(",", "", " ", "-", "/", "-", "'", "").Replace(path.name), func(b *testing.B) {
			var n operations
			asks, cookie := path.make(b, &n)
			ask := asks(strings.Clone(cookie))
			ask() // from here on, what is remembered is
			begun := n.Load()
			b.ReportAllocs()
			defer processor(b)()
			for b.Loop() {
				if status := ask(); status != http.StatusOK {
					b.Fatalf("%d", status)
				}
			}
			b.ReportMetric(float64(n.Load()-begun)/float64(b.N), "store-ops/req")
		})
	}
}

// What is measured does something: it lets in whoever has the cookie, and nobody else, and asks the store as often as it says.
func TestSessionPath(t *testing.T) {
	const times = 50
	perRequest := map[string]int64{
		"scs, memstore": 1, "scs, goredisstore": 1, "scs, goredisstore, with IdleTimeout": 2, "fiber's session middleware, memory": 1,
		"idserver, ServerSessions in memory, seen before": 0, "idserver, ServerSessions in memory, not seen before": 1,
		"idserver, ServerSessions in Redis, seen before": 0, "idserver, ServerSessions in Redis, not seen before": 1,
		"idserver, ServerSessions in PostgreSQL, seen before": 0, "idserver, ServerSessions in PostgreSQL, not seen before": 1,
	}
	for _, path := range sessionPaths {
		t.Run(path.in+", "+path.name, func(t *testing.T) {
			var n operations
			asks, cookie := path.make(t, &n)
			ask := asks(strings.Clone(cookie))
			ask()
			begun := n.Load()
			for range times {
				if status := ask(); status != http.StatusOK {
					t.Fatalf("who is signed in is answered %d", status)
				}
			}
			const beside = 5 // that New asks in the background, and a look once in half a minute
			got, want := n.Load()-begun, times*perRequest[path.name]
			if got < want || got > want+beside {
				t.Errorf("%d requests: %d operations of the store, want %d", times, got, want)
			}
			if path.name == "floor" {
				return
			}
			name, value, _ := strings.Cut(cookie, "=")
			for what, wrong := range map[string]string{"without a cookie": "a=b", "with another's": name + "=" + strings.Repeat("A", 8) + value[8:]} {
				if status := asks(wrong)(); status != http.StatusUnauthorized {
					t.Errorf("%s: %d", what, status)
				}
			}
		})
	}
}

// countedTrips counts what a client of Redis sends: commands, and pipelines of them.
type countedTrips struct{ atomic.Int64 }

func (*countedTrips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *countedTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.Add(1)
		return next(ctx, cmd)
	}
}

func (c *countedTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.Add(1)
		return next(ctx, cmds)
	}
}

// With a session in Redis, a request is one round trip at most, as go-redis sees them, and none where it was seen before.
func TestRedisRoundTrips(t *testing.T) {
	var trips countedTrips
	counted := func(tb testing.TB) fullStore {
		client := redis.NewClient(&redis.Options{Network: "unix", Addr: redistest.Start(tb).Socket(), ContextTimeoutEnabled: true})
		tb.Cleanup(func() { _ = client.Close() })
		client.AddHook(&trips)
		store, err := redisstore.New(client)
		fatal(tb, err)
		tb.Cleanup(func() { fatal(tb, store.Close()) })
		return store
	}
	const times, beside = 100, 10 // what is asked beside: how the server is, and a look once in half a minute
	for name, row := range map[string]struct {
		edit []func(*idserver.Config)
		most int64
	}{"seen before": {nil, beside}, "not seen before": {[]func(*idserver.Config){unremembered}, times + beside}} {
		asks, cookie := own("chi", counted, row.edit...)(t, new(operations))
		ask := asks(strings.Clone(cookie))
		ask()
		begun := trips.Load()
		for range times {
			if status := ask(); status != http.StatusOK {
				t.Fatalf("%s: %d", name, status)
			}
		}
		if got := trips.Load() - begun; got > row.most {
			t.Errorf("%s: %d round trips of %d requests", name, got, times)
		}
	}
}
