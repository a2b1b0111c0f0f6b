package idserver_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"

func fromFirefox(r *idserver.Request) { send(r, "User-Agent", firefox) }

// newListing are three replicas that keep lists.
func newListing(t *testing.T, edit ...func(*idserver.Config)) (*replicas, *messengerStore) {
	t.Helper()
	return newMessengers(t, append(edit, func(c *idserver.Config) { c.Session.List = true })...)
}

// signedInFrom is signedIn with header fields of the browser's.
func (w *world) signedInFrom(t *testing.T, login string, edits ...edit) *browser {
	t.Helper()
	b := w.browser(t)
	a := b.route("GET", w.authorize(t, b.begin("/auth/login"), login), append([]edit{navigates}, edits...)...)
	if a.Status != 303 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return b
}

func (r *replicas) sessions(t *testing.T, i int, ctx context.Context) []idserver.SessionInfo {
	t.Helper()
	all, err := r.clients[i].Sessions(ctx, r.provider.URL(), aliceSubject)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The list of a person's sessions, at every replica: when they began and were seen, the browser's family, what the application says
// of the place; and nothing else of the browser.
func TestSessionsListed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newListing(t, func(c *idserver.Config) {
			c.Session.Place = func(_ context.Context, r idserver.Request) string { return "from " + r.Header.Values("X-City")[0] }
		})
		city := func(name string) edit { return func(r *idserver.Request) { send(r, "X-City", name) } }
		begun := time.Now()
		here := w.signedInFrom(t, "alice", fromFirefox, city("Singapore"))
		time.Sleep(time.Minute)
		there := w.signedInFrom(t, "alice", city("Berlin"))
		w.signedInFrom(t, "bob", city("Nowhere"))
		time.Sleep(10 * time.Minute)
		at := w.at(1, here)
		ctx, _ := at.pass(at.client.RequireUser(), "GET", "/", city("Johor"), func(r *idserver.Request) { send(r, "User-Agent", "curl/8") })
		for i := range w.clients {
			all := w.sessions(t, i, ctx)
			if len(all) != 2 {
				t.Fatalf("replica %d: %d sessions", i, len(all))
			}
			first, second := all[0], all[1]
			if first.Browser != "Firefox on Linux" || first.Place != "from Johor" || !first.Begun.Equal(begun) || !first.Seen.Equal(begun.Add(11*time.Minute)) || first.Current != (i == 1) {
				t.Errorf("replica %d: %+v", i, first)
			}
			if second.Browser != "" || second.Place != "from Berlin" || !second.Begun.Equal(begun.Add(time.Minute)) || second.Current || second.ID == first.ID || len(second.ID) != 43 {
				t.Errorf("replica %d: %+v", i, second)
			}
		}
		there.route("POST", "/auth/logout", navigates)
		if all := w.sessions(t, 2, t.Context()); len(all) != 1 || all[0].Browser != "Firefox on Linux" {
			t.Errorf("after a sign-out: %+v", all)
		}
		time.Sleep(12 * time.Hour)
		if all := w.sessions(t, 2, t.Context()); len(all) != 0 {
			t.Errorf("after Session.Max: %+v", all)
		}
		messenger.set(true, false)
		if _, err := w.clients[0].Sessions(t.Context(), w.provider.URL(), aliceSubject); !errors.Is(err, idserver.ErrUnavailable) || !errors.Is(err, idserver.Err) {
			t.Errorf("while the store is away: %v", err)
		}
	})
}

// A session that ended by what does not know the list is not in it: the provider's word.
func TestSessionsListedAfterBackchannelLogout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := newListing(t)
		w.signedIn(t, "alice")
		w.signedIn(t, "alice")
		time.Sleep(time.Second)
		sid := w.provider.SessionIDs("alice", idtest.ExampleClient)[0]
		logout(t, w.clients[1], w.provider.MintLogoutToken("alice", idtest.ExampleClient, func(c map[string]any) { c["sid"] = sid }))
		if all := w.sessions(t, 2, t.Context()); len(all) != 1 {
			t.Errorf("%+v", all)
		}
	})
}

// Sign out everywhere: every replica, streams, and not whoever signs in again, at once, wherever the clocks are.
func TestEndSessions(t *testing.T) {
	for name, apart := range map[string]time.Duration{"clocks agree": 0, "the clock of the sign-outs is ahead": 5 * time.Second, "it is behind": -5 * time.Second} {
		t.Run(name, inBubble(func(t *testing.T) {
			var told []idserver.SessionEvent
			w, messenger := newListing(t, func(c *idserver.Config) {
				c.Events.SignedOut = func(_ context.Context, e idserver.SessionEvent) { told = append(told, e) }
			})
			w.clients[2] = w.client(t, func(c *idserver.Config) {
				c.Store, c.Session.List, c.Now = messenger, true, func() time.Time { return time.Now().Add(apart) }
			})
			first, second, other := w.signedIn(t, "alice"), w.signedIn(t, "alice"), w.signedIn(t, "bob")
			w.warmUp(first)
			recent := w.signedIn(t, "alice") // it began a moment ago, by a clock that may be ahead
			ctx := stream(t, w.world, second.request("GET", "/", nil))
			if err := w.clients[2].EndSessions(t.Context(), w.provider.URL(), aliceSubject); err != nil {
				t.Fatal(err)
			}
			pass(0)
			for i, b := range []*browser{first, second, recent} {
				w.expectAt(b, "", "session "+string(rune('1'+i)))
			}
			causedBy(t, ctx, idserver.ErrSignedOut)
			w.expectAt(other, "012", "another person's")
			again := w.signedIn(t, "alice")
			for range 20 {
				w.expectAt(again, "012", "a new sign-in")
				time.Sleep(time.Second)
			}
			w.expectAt(first, "", "the old one")
			if len(w.sessions(t, 0, t.Context())) != 1 {
				t.Error("the list has another number of sessions than one")
			}
			if len(told) != 0 || !strings.Contains(w.log.String(), "signed out everywhere") { // the third client was made without the event
				t.Errorf("told %v", told)
			}
		}))
	}
}

// A thief has a copy of the cookie; the person ends that session from another device. Nobody ends a session of another person's.
func TestEndOneSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newListing(t)
		stolen, mine, bobs := w.signedIn(t, "alice"), w.signedIn(t, "alice"), w.signedIn(t, "bob")
		w.warmUp(stolen)
		id := ""
		ctx, _ := mine.pass(w.clients[0].RequireUser(), "GET", "/")
		for _, s := range w.sessions(t, 0, ctx) {
			if !s.Current {
				id = s.ID
			}
		}
		for name, wrong := range map[string]string{"empty": "", "not base64url": "+/", "too short": "AAAA", "nobody's": strings.Repeat("A", 43)} {
			if err := w.clients[1].EndOneSession(t.Context(), w.provider.URL(), aliceSubject, wrong); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.clients[1].EndOneSession(t.Context(), w.provider.URL(), "bob", id); err != nil {
			t.Error(err)
		}
		w.expectAt(stolen, "012", "ended by another person, or with a wrong ID")
		messenger.set(true, false)
		if err := w.clients[1].EndOneSession(t.Context(), w.provider.URL(), aliceSubject, id); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("while the store is away: %v", err)
		}
		messenger.set(false, false)
		time.Sleep(2 * time.Second)
		if err := w.clients[1].EndOneSession(t.Context(), w.provider.URL(), aliceSubject, id); err != nil {
			t.Fatal(err)
		}
		pass(0)
		w.expectAt(stolen, "", "ended")
		w.expectAt(mine, "012", "the other one")
		w.expectAt(bobs, "012", "another person's")
		if all := w.sessions(t, 2, ctx); len(all) != 1 || all[0].ID == id {
			t.Errorf("%+v", all)
		}
	})
}

// Without a store, to end sessions holds in this process, and there is no list. An API has no sessions.
func TestEndSessionsWithoutStore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		b := w.signedIn(t, "alice")
		if err := w.EndSessions(t.Context(), w.provider.URL(), aliceSubject); err != nil || b.admits(w.Client) {
			t.Errorf("%v; the session is admitted: %v", err, b.admits(w.Client))
		}
		if again := w.signedIn(t, "alice"); !again.admits(w.Client) {
			t.Error("a new sign-in is not admitted")
		}
		_, err := w.Sessions(t.Context(), "", "")
		for _, err := range []error{err, w.EndOneSession(t.Context(), "", "", "")} {
			if err == nil || !strings.Contains(err.Error(), "Config.Session.List") || errors.Is(err, idserver.ErrUnavailable) {
				t.Errorf("without a list: %v", err)
			}
		}
		api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
		if err := api.EndSessions(t.Context(), "", ""); err == nil || !strings.Contains(err.Error(), "BASE_URL") {
			t.Errorf("of an API: %v", err)
		}
	})
}

// While the store is away, sign out everywhere holds here, and reaches the others later.
func TestEndSessionsWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newListing(t)
		b := w.signedIn(t, "alice")
		w.warmUp(b)
		messenger.set(true, false)
		if err := w.clients[0].EndSessions(t.Context(), w.provider.URL(), aliceSubject); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		w.expectAt(b, "12", "the store is away")
		messenger.set(false, false)
		pass(2 * time.Second)
		w.expectAt(b, "", "the store is back")
	})
}

func TestListNeedsStore(t *testing.T) {
	cfg := goodConfig()
	cfg.Session.List = true
	if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "Session.List") {
		t.Errorf("%v", err)
	}
}
