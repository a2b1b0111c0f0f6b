package idserver_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/store/memorystore"
)

// tellingStore counts what it is asked, and its messages can be lost: silently, or with a word to those who subscribe.
type tellingStore struct {
	countingStore
	silent bool
	losers []func()
}

func (s *tellingStore) NotifyCtx(ctx context.Context, topic, message string) error {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent {
		return nil
	}
	return s.Store.NotifyCtx(ctx, topic, message)
}

func (s *tellingStore) Subscribe(ctx context.Context, topic string, f func(string), lost func()) (func(), error) {
	s.mu.Lock()
	s.losers = append(s.losers, lost)
	s.mu.Unlock()
	return s.Store.Subscribe(ctx, topic, f, lost)
}

// lose loses messages from now on. Those who subscribe are told, or not.
func (s *tellingStore) lose(told bool) {
	s.mu.Lock()
	s.silent = true
	losers := s.losers
	s.mu.Unlock()
	for _, lost := range losers {
		if told {
			lost()
		}
	}
}

func (s *tellingStore) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finds + s.writes
}

// two are two replicas with sessions in a store, and a browser that both have served a moment ago.
type two struct {
	*world
	store   *tellingStore
	clients []*idserver.Client
	b       *browser
}

func newTwo(t *testing.T, life time.Duration, edit ...func(*idserver.Config)) *two {
	t.Helper()
	s := &tellingStore{countingStore: countingStore{Store: memorystore.New()}}
	edit = append(edit, inStore, func(c *idserver.Config) { c.Store = s })
	w := newStrictWorld(t, life, idtest.Dialect{}, edit...)
	r := &two{w, s, []*idserver.Client{w.Client, w.client(t, edit...)}, w.signedIn(t, "alice")}
	for range 2 { // the first subscribes to messages, in the background
		for i := range r.clients {
			r.serves(i, "alice")
		}
		synctest.Wait()
	}
	return r
}

func (r *two) at(i int) *browser { return &browser{r.b.t, r.clients[i], copyOf(r.b.cookies)} }

// serves fails the test unless a replica answers a request so.
func (r *two) serves(i int, want string) {
	r.b.t.Helper()
	if got := r.at(i).seen(); got != want {
		r.b.t.Errorf("replica %d answers as %s, want %s", i, got, want)
	}
}

// While messages arrive, a session that a replica has found in the store a moment ago costs no round trip; and one in half a minute,
// because nothing relies on messages.
func TestRememberedSessionAsksNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newTwo(t, time.Hour)
		before := r.store.asked()
		for range 100 {
			r.serves(0, "alice")
			r.serves(1, "alice")
			time.Sleep(200 * time.Millisecond)
		}
		if n := r.store.asked() - before; n != 0 {
			t.Errorf("in 20 s, the store was asked %d times", n)
		}
		for range 200 { // until a minute is over
			r.serves(0, "alice")
			time.Sleep(200 * time.Millisecond)
		}
		if n := r.store.asked() - before; n < 1 || n > 2 {
			t.Errorf("in a minute, the store was asked %d times, want once in half a minute", n)
		}
	})
}

// A replica that remembers a session hears what the other one makes of it.
func TestRememberedSessionHears(t *testing.T) {
	for name, row := range map[string]struct {
		event func(t *testing.T, r *two)
		want  string
	}{
		"the sign-out": {func(t *testing.T, r *two) {
			if a := r.at(0).route("POST", "/auth/logout", navigates); a.Status != http.StatusSeeOther {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}, "401"},
		"the sign-out everywhere": {func(t *testing.T, r *two) {
			if err := r.clients[0].EndSessions(t.Context(), r.provider.Issuer(), r.subject()); err != nil {
				t.Fatal(err)
			}
		}, "401"},
		"the end at a refresh": {func(t *testing.T, r *two) {
			r.provider.Fail(idtest.Token, idtest.Fault{Status: 400, Body: `{"error":"invalid_grant"}`})
			r.expire(t)
			r.serves(0, "401")
		}, "401"},
		"nothing": {func(*testing.T, *two) {}, "alice"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			r := newTwo(t, time.Hour)
			row.event(t, r)
			synctest.Wait() // the message is on its way
			r.serves(1, row.want)
		}))
	}
}

func (r *two) subject() string {
	ctx, _ := r.at(0).pass(r.clients[0].RequireUser(), "GET", "/", fetches)
	return idserver.UserFrom(ctx).Subject
}

// expire lets time pass until access tokens are due for a refresh; both replicas have looked a moment before.
func (r *two) expire(t *testing.T) {
	t.Helper()
	time.Sleep(59*time.Minute - 5*time.Second)
	for range 2 {
		r.serves(0, "alice")
		r.serves(1, "alice")
		synctest.Wait()
	}
	time.Sleep(10 * time.Second)
}

// What a replica has refreshed, whose clock is ahead, the other one has at its next request, though its own would not refresh yet; and
// within half a minute, if the message was lost.
func TestRememberedSessionHearsOfRefresh(t *testing.T) {
	for name, loses := range map[string]bool{"the message arrives": false, "it is lost": true} {
		t.Run(name, inBubble(func(t *testing.T) {
			const ahead = 2 * time.Minute
			leeway := func(c *idserver.Config) { c.Provider.Leeway, c.Session.Idle = 5*time.Minute, 2*time.Hour }
			r := newTwo(t, time.Hour, leeway)
			r.clients[0] = r.client(t, leeway, inStore, func(c *idserver.Config) {
				c.Store, c.Now = r.store, func() time.Time { return time.Now().Add(ahead) }
			})
			tokenAt := func(i int) string {
				at := r.at(i)
				ctx, _ := at.pass(at.client.RequireUser(), "GET", "/", fetches)
				return idserver.AccessTokenFrom(ctx)
			}
			time.Sleep(59*time.Minute - ahead - 5*time.Second) // then the clock that is ahead says that it is time
			old := tokenAt(1)
			for range 2 { // after what the first has changed: it is renewed after so long
				synctest.Wait()
				tokenAt(1)
			}
			time.Sleep(10 * time.Second)
			if loses {
				r.store.lose(false)
			}
			fresh := tokenAt(0)
			synctest.Wait()
			if old == "" || fresh == "" || fresh == old {
				t.Fatal("it was not refreshed")
			}
			if loses {
				if got := tokenAt(1); got != old {
					t.Error("nobody has told it, and it has looked all the same")
				}
				time.Sleep(30 * time.Second)
			}
			if got := tokenAt(1); got != fresh {
				t.Error("the other replica does not have the new access token")
			}
			if n := r.provider.RefreshCounts(); n.Answered != 1 || n.Reused != 0 {
				t.Errorf("%+v", n)
			}
		}))
	}
}

// Messages that are lost let nobody in for long: at once where that is noticed, and within half a minute where it is not.
func TestRememberedSessionWhenMessagesAreLost(t *testing.T) {
	for name, row := range map[string]struct {
		told  bool
		later time.Duration
	}{"noticed": {true, 0}, "not noticed": {false, 30 * time.Second}} {
		t.Run(name, inBubble(func(t *testing.T) {
			r := newTwo(t, time.Hour)
			r.store.lose(row.told)
			synctest.Wait()
			before := r.store.asked()
			if row.told {
				r.serves(1, "alice")
				if r.store.asked() == before {
					t.Error("the store was not asked")
				}
				r.store.lose(true) // as it is once a second
			}
			r.at(0).route("POST", "/auth/logout", navigates)
			time.Sleep(row.later)
			r.serves(1, "401")
		}))
	}
}

// What is remembered of a session is never written: a sign-out of which no message has come is not undone by a renewal.
func TestRememberedSessionIsNotWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newTwo(t, 10*time.Hour, func(c *idserver.Config) { c.Session.Idle = time.Minute }) // renewed after 6 s
		r.store.lose(false)
		r.at(0).route("POST", "/auth/logout", navigates)
		stands := r.store.asked()
		r.serves(1, "alice") // nobody has told it, which is why it looks again within half a minute
		if r.store.asked() != stands {
			t.Error("the store was asked")
		}
		time.Sleep(10 * time.Second)
		r.serves(1, "401") // it was to renew the session, and found it gone
		time.Sleep(30 * time.Second)
		r.serves(0, "401")
		r.serves(1, "401")
	})
}

// A renewal begins with what the store has, and both replicas have it.
func TestRememberedSessionIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newTwo(t, 10*time.Hour, func(c *idserver.Config) { c.Session.Idle = time.Minute })
		for i := range 100 { // an hour, in which no more than 40 s are between two requests
			time.Sleep(time.Duration(10+i%31) * time.Second)
			r.serves(i%2, "alice")
		}
	})
}

// Requests at once, messages and losses.
func TestRememberedSessionAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newTwo(t, time.Hour, func(c *idserver.Config) { c.Session.Idle = time.Minute })
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				at := r.at(i % 2)
				for j := range 100 {
					if got := at.seen(); got != "alice" {
						t.Errorf("answered as %s", got)
						return
					}
					if i == 0 && j%10 == 9 {
						for _, lost := range r.store.losers {
							lost()
						}
					}
					time.Sleep(time.Duration(i+1) * 500 * time.Millisecond)
				}
			})
		}
		all.Wait()
		if a := r.at(0).route("POST", "/auth/logout", navigates); a.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		synctest.Wait()
		r.serves(1, "401")
	})
}
