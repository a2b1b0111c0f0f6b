package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// suiteStore is a store that a scenario takes away and brings back.
type suiteStore struct {
	*memorystore.Store
	away atomic.Bool
}

var errAway = errors.New("the store was taken away")

func (s *suiteStore) err() error {
	if s.away.Load() {
		return errAway
	}
	return nil
}

// FindCtx is FindManyCtx of one key.
func (s *suiteStore) FindCtx(ctx context.Context, key string) (value []byte, found bool, err error) {
	if err := s.err(); err != nil {
		return nil, false, err
	}
	return s.Store.FindCtx(ctx, key)
}

// FindManyCtx is what the core finds with.
func (s *suiteStore) FindManyCtx(ctx context.Context, keys []string) (values [][]byte, err error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.Store.FindManyCtx(ctx, keys)
}

// CommitCtx writes without regard to what was there.
func (s *suiteStore) CommitCtx(ctx context.Context, key string, value []byte, expiry time.Time) error {
	if err := s.err(); err != nil {
		return err
	}
	return s.Store.CommitCtx(ctx, key, value, expiry)
}

// SwapCtx is how the core writes sessions.
func (s *suiteStore) SwapCtx(ctx context.Context, key string, old, value []byte, expiry time.Time) (bool, error) {
	if err := s.err(); err != nil {
		return false, err
	}
	return s.Store.SwapCtx(ctx, key, old, value, expiry)
}

// serverSessions tests two replicas of an application whose sessions live in a store, and one that keeps them in cookies beside it.
func serverSessions(s *suite) {
	store := &suiteStore{Store: &memorystore.Store{Now: s.clock.Now}}
	stored := func(c *idserver.Config) { c.Store, c.ServerSessions = store, true }
	one, two := s.serve(stored), s.serve(stored)
	sealed := s.serve(func(c *idserver.Config) { c.Store = store })
	s.provider.SetIDTokenClaims(func(c map[string]any) { c["groups"] = suiteGroups(300) })

	v := s.visitor(one)
	v.step("a callback whose session lives in the store", "the cookie holds an id, and has room for 300 groups", "GET", v.comeBack(v.begin("?return_to=/suite/user"), "alice"), aPage)
	at := func(addr string, cookies *visitor) *visitor {
		other := s.visitor(addr)
		other.jar = cookies.jar
		return other
	}
	at(two, v).step("a session of the store at the other replica", "the store has it", "GET", "/suite/user", aPage)
	s.clock.advance(7 * time.Minute)
	at(two, v).step("a session of the store after 7 min", "written again there, and the cookie stays", "GET", "/suite/user", aPage)
	s.clock.advance(7*time.Minute + 30*time.Second)
	at(one, v).step("a session of the store when its access token ends", "refreshed, and the cookie stays", "GET", "/suite/admin", aPage)

	carol, elsewhere := s.visitor(one).signIn("carol"), s.visitor(two).signIn("carol")
	carols := carol.cookies("/")
	store.away.Store(true)
	at(two, v).step("a session while the store is away", "503 and Retry-After, and the cookie stays", "GET", "/suite/user", aPage)
	at(two, v).step("a session while the store is away, to a script", "the same as problem+json", "GET", "/suite/user", aScript)
	carol.step("logout while the store is away", "signed out in this browser, and told that the rest follows; the page goes on to the provider", "POST", "/auth/logout", aPage)
	elsewhere.step("logout while the store is away, by a script", "the same, as JSON", "POST", "/auth/logout", aScript)
	at(one, v).step("a stranger while the store is away", "nothing is needed of it", "GET", "/suite/user", with(aScript, "Cookie", "other=1"))
	late := s.visitor(one)
	back := late.comeBack(late.begin(""), "bob")
	late.step("a callback while the store is away", "503, and the attempt is kept", "GET", back, aPage)
	store.away.Store(false)
	late.step("a callback when the store is back", "the page was reloaded, and the code is not sent again", "GET", back, aPage)
	at(two, v).step("a session when the store is back", "nobody is signed out", "GET", "/suite/user", aScript)
	at(one, carol).step("a copy of a cookie that was signed out while the store was away", "it has ended", "GET", "/suite/user", with(aScript, "Cookie", carols))

	copied := v.cookies("/")
	at(two, v).step("logout of a session of the store", "the cookie goes", "POST", "/auth/logout", aPage)
	at(one, v).step("a copy of a cookie whose session was in the store", "signed out at the other replica", "GET", "/suite/user", with(aScript, "Cookie", copied))

	s.provider.SetIDTokenClaims(func(map[string]any) {})
	v = s.visitor(sealed).signIn("alice")
	before := v.cookies("/")
	at(one, v).step("a sealed cookie moves into the store", "once, and the answer brings its id", "GET", "/suite/user", aPage)
	at(two, v).step("the id of a session that has moved", "it is the same session", "GET", "/suite/user", aPage)
	s.clock.advance(2 * time.Minute)
	at(two, v).step("the sealed cookie of a session that has moved", "refused, and not deleted: the browser has another", "GET", "/suite/user", with(aScript, "Cookie", before))
	at(sealed, v).step("the id where sessions live in cookies", "it is served all the same", "GET", "/suite/user", aScript)
	s.clock.advance(7 * time.Minute)
	at(sealed, v).step("the id after 7 min where sessions live in cookies", "it moves back", "GET", "/suite/user", aScript)
	at(two, v).step("a session that has moved back, where they live in the store", "it moves once more", "GET", "/suite/user", aScript)

	empty := s.serve(func(c *idserver.Config) { c.Store, c.ServerSessions = &memorystore.Store{Now: s.clock.Now}, true })
	at(empty, v).step("an id that the store does not know", "it is never adopted, and goes", "GET", "/suite/user", aScript)
	nowhere := s.visitor(s.serve())
	nowhere.step("an id where there is no store", "not accepted, and not deleted", "GET", "/suite/user", with(aScript, "Cookie", late.cookies("/")))
}

func suiteGroups(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("6f0c2a3e-1234-4abc-8def-%012d", i))
	}
	return all
}
