package idserver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		w.clock.advance(13 * time.Minute) // of 15
		if _, token := b.visit(); token != first {
			t.Error("refreshed long before the end")
		}
		w.clock.advance(61 * time.Second)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { c["roles"] = []string{"auditor"} })
		u, second := b.visit()
		if second == first || u == nil || !u.HasBuiltInRole("auditor") || u.HasBuiltInRole("admin") {
			t.Fatalf("not refreshed within a minute of the end, or the roles were not taken again: %+v", u)
		}
		if u, third := b.visit(); third != second || !u.HasBuiltInRole("auditor") {
			t.Error("the refreshed session was not kept")
		}
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d token requests, want a sign-in and a refresh", n)
		}
	})
}

// Fifty requests of one page, all with the old cookie, and a late one: one grant, or the provider takes the second for theft.
func TestRefreshIsOneGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		var all sync.WaitGroup
		var mu sync.Mutex
		var seen []string
		for range 50 {
			all.Go(func() {
				own := &browser{t, b.client, copyOf(b.cookies)}
				u, token := own.visit()
				mu.Lock()
				defer mu.Unlock()
				if u == nil {
					t.Error("signed out by a refresh")
				}
				seen = append(seen, token)
			})
		}
		all.Wait()
		slices.Sort(seen)
		if seen = slices.Compact(seen); len(seen) != 1 {
			t.Errorf("%d access tokens for one session", len(seen))
		}
		w.clock.advance(50 * time.Second)
		if u, token := (&browser{t, b.client, copyOf(b.cookies)}).visit(); u == nil || token != seen[0] {
			t.Error("who holds the old cookie is not served the result")
		}
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d token requests, want a sign-in and one refresh", n)
		}
	})
}

func TestRefreshFaults(t *testing.T) {
	for name, row := range map[string]struct {
		fault   idtest.Fault
		goesOn  bool
		retried bool // when the fault is gone and a while has passed
	}{
		"the grant is withdrawn": {idtest.Fault{Status: 400, OAuthError: "invalid_grant"}, false, false},
		"down":                   {idtest.Fault{Status: 500}, true, true},
		"limits the rate":        {idtest.Fault{Status: 429, Body: `{"title":"Too Many Requests"}`, ContentType: "application/problem+json"}, true, true},
		"HTML":                   {idtest.Fault{HTML: true}, true, true},
		"not our client":         {idtest.Fault{Status: 401, OAuthError: "invalid_client"}, true, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			_, first := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			w.provider.Fail(idtest.Token, row.fault)
			w.provider.ResetRequests()
			for range 3 {
				if u, _ := b.visit(); (u != nil) != row.goesOn {
					t.Fatalf("the user is %v", u)
				}
			}
			if n := w.provider.Requests(idtest.Token); n != 1 {
				t.Errorf("%d token requests in a row, want 1", n)
			}
			w.provider.Heal(idtest.Token)
			w.clock.advance(61 * time.Second)
			if u, token := b.visit(); row.goesOn && (u == nil || token == first) {
				t.Errorf("not refreshed after the fault: %v", u)
			}
		}))
	}
}

// The token is refreshed, and then userinfo cannot be had: the new refresh token is kept, and so is
// who was signed in.
func TestRefreshHalfDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		opaque := func(r map[string]any) { r["access_token"] = "opaque-" + r["access_token"].(string)[:40] }
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.SetTokenResponse(opaque)
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 503})
		if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
			t.Fatalf("the user is %+v", u)
		}
		w.provider.Heal(idtest.UserInfo)
		w.provider.SetTokenResponse(nil)
		w.clock.advance(15 * time.Minute)
		if u, _ := b.visit(); u == nil {
			t.Error("the rotated refresh token was lost")
		}
	})
}

func TestRefreshOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["sub"] = "mallory" })
		if u, _ := b.visit(); u != nil {
			t.Errorf("the session became %s's", u.Subject)
		}
	})
}

func TestAdmitUserAtRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var refuse atomic.Bool
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				if refuse.Load() {
					return errors.New("left the company")
				}
				u.Roles = append(u.Roles, "founder")
				return nil
			}
		})
		b := w.signedIn(t, "alice")
		for range 3 {
			w.clock.advance(14*time.Minute + 30*time.Second)
			if u, _ := b.visit(); u == nil || len(u.Roles) != 3 || !u.HasRole("founder") {
				t.Fatalf("the user is %+v", u)
			}
		}
		refuse.Store(true)
		w.clock.advance(14*time.Minute + 30*time.Second)
		if u, _ := b.visit(); u != nil {
			t.Error("admitted against the application's will")
		}
	})
}

func TestWithoutRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		b := w.signedIn(t, "alice")
		w.clock.advance(40 * time.Minute)
		if u, _ := b.visit(); u == nil {
			t.Error("the session did not keep its own limits")
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

// The provider hangs while the access token is good: nobody waits for long, and Close ends the wait.
func TestRefreshHangsAndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.Fail(idtest.Token, idtest.Fault{Hang: true})
		if u, _ := b.visit(); u == nil {
			t.Error("signed out by a provider that hangs")
		}
		w.Close()
		if u, _ := b.visit(); u == nil {
			t.Error("signed out by Close")
		}
	})
}

// To close the connection is no way around a refusal: a request whose own context has ended is not admitted on an access
// token that is due, and its session is not renewed.
func TestRequestThatEndedIsNotAdmitted(t *testing.T) {
	type guarded struct {
		*world
		*browser
	}
	ended := func(g guarded) (context.Context, idserver.Answer) {
		ctx, cancel := context.WithCancel(g.t.Context())
		cancel()
		return g.Client.RequireRole("admin")(ctx, g.request("POST", "/admin", []edit{fetches}))
	}
	for name, row := range map[string]struct {
		before func(g guarded)
		want   int
	}{
		"the provider has not answered yet": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{Hang: true})
		}, 503},
		"the provider has refused, and it is remembered": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
			(&browser{g.t, g.Client, copyOf(g.cookies)}).visit()
		}, 401},
		"the provider is away": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{Status: 500})
			(&browser{g.t, g.Client, copyOf(g.cookies)}).visit()
		}, 503},
		"it was signed out": {func(g guarded) {
			(&browser{g.t, g.Client, copyOf(g.cookies)}).route("POST", "/auth/logout", navigates)
		}, 401},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			g := guarded{w, w.signedIn(t, "alice")}
			w.clock.advance(nearlyOver)
			row.before(g)
			for range 100 { // a select picks at random
				ctx, a := ended(g)
				if a.Status != row.want || idserver.UserFrom(ctx) != nil {
					t.Fatalf("status %d, want %d: %s", a.Status, row.want, a.Body)
				}
				for _, f := range a.Add {
					if f.Name == "Set-Cookie" && (row.want == 503 || !strings.Contains(f.Value, "Max-Age=0")) {
						t.Fatalf("the session is renewed or dropped: %s", f.Name)
					}
				}
			}
		}))
	}
}
