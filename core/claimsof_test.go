package idserver_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

type planClaims struct {
	Plan    string `json:"plan"`
	Subject string `json:"sub"`
}

// validated counts for one test at a time.
var (
	validated atomic.Int32
	counting  sync.Mutex
)

var errNoPlan = errors.New("there is no plan")

func (c *planClaims) Validate() error {
	if validated.Add(1); c.Plan == "" {
		return errNoPlan
	}
	return nil
}

type looseClaims map[string]any

type wrongClaims struct {
	Plan int `json:"plan"`
}

// Claims are decoded and validated once per token, whatever asks for them, and once more for another type.
func TestClaimsOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counting.Lock()
		defer counting.Unlock()
		w := newWorld(t)
		api := w.introspecting(t)
		withPlan := func(c map[string]any) { c["plan"] = "gold"; c["aud"] = []string{"idserver-api", ordersAPI} }
		for name, row := range map[string]struct {
			token string
			guard idserver.Guard
		}{
			"a JWT": {w.provider.MintAccessToken("alice", withPlan), w.RequireUser()}, "an opaque token": {w.provider.MintOpaqueToken("alice", withPlan), api.RequireUser()},
		} {
			validated.Store(0)
			var first *planClaims
			for range 3 {
				ctx, _ := w.browser(t).pass(row.guard, "GET", "/", bearer(row.token))
				c, err := idserver.ClaimsOf[planClaims](ctx)
				if err != nil || c.Plan != "gold" || c.Subject != aliceSubject || first != nil && c != first {
					t.Fatalf("%s: %v %v", name, c, err)
				}
				first = c
				if m, err := idserver.ClaimsOf[looseClaims](ctx); err != nil || (*m)["plan"] != "gold" {
					t.Errorf("%s: another type: %v", name, err)
				}
				if c, err := idserver.ClaimsOf[wrongClaims](ctx); err == nil || c != nil || !errors.Is(err, idserver.Err) {
					t.Errorf("%s: a type that does not fit: %v", name, err)
				}
			}
			if n := validated.Load(); n != 1 {
				t.Errorf("%s: validated %d times", name, n)
			}
		}
	})
}

// A session's are those of its user: decoded once, and again when it was refreshed.
func TestClaimsOfSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counting.Lock()
		defer counting.Unlock()
		w := newWorld(t)
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["plan"] = "gold" })
		b := w.signedIn(t, "alice")
		validated.Store(0)
		for range 3 {
			ctx, _ := b.pass(w.RequireUser(), "GET", "/", fetches)
			if c, err := idserver.ClaimsOf[planClaims](ctx); err != nil || c.Plan != "gold" {
				t.Errorf("%v %v", c, err)
			}
		}
		if n := validated.Load(); n != 1 {
			t.Errorf("validated %d times", n)
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["plan"] = "silver" })
		w.clock.advance(nearlyOver)
		ctx, _ := b.pass(w.RequireUser(), "GET", "/", fetches)
		if c, err := idserver.ClaimsOf[planClaims](ctx); err != nil || c.Plan != "silver" {
			t.Errorf("after a refresh: %v %v", c, err)
		}
	})
}

func TestClaimsOfNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counting.Lock()
		defer counting.Unlock()
		w := newWorld(t)
		open, _ := w.browser(t).pass(w.LoadUser(), "GET", "/")
		for name, ctx := range map[string]context.Context{"no guard": t.Context(), "LoadUser": open, "WithUser(nil)": idserver.WithUser(t.Context(), nil)} {
			if c, err := idserver.ClaimsOf[planClaims](ctx); err == nil || c != nil || !errors.Is(err, idserver.Err) {
				t.Errorf("%s: %v %v", name, c, err)
			}
		}
		ctx, _ := w.browser(t).pass(w.RequireUser(), "GET", "/", bearer(w.provider.MintAccessToken("alice")))
		validated.Store(0)
		for range 2 {
			if c, err := idserver.ClaimsOf[planClaims](ctx); !errors.Is(err, errNoPlan) || !errors.Is(err, idserver.Err) || c != nil {
				t.Errorf("not valid: %v %v", c, err)
			}
		}
		if validated.Load() != 1 {
			t.Error("that they are not valid is not remembered")
		}
		own := new(idserver.User)
		if err := own.Set("plan", "own"); err != nil {
			t.Fatal(err)
		}
		if c, err := idserver.ClaimsOf[planClaims](idserver.WithUser(ctx, own)); err != nil || c.Plan != "own" {
			t.Errorf("WithUser: %v %v", c, err)
		}
	})
}

func TestClaimsOfConcurrently(t *testing.T) {
	bubble(t, func(t *testing.T) {
		counting.Lock()
		defer counting.Unlock()
		w := newWorld(t)
		ctx, _ := w.browser(t).pass(w.RequireUser(), "GET", "/", bearer(w.provider.MintAccessToken("alice", func(c map[string]any) { c["plan"] = "gold" })))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if c, err := idserver.ClaimsOf[planClaims](ctx); err != nil || c.Plan != "gold" {
					t.Errorf("%v %v", c, err)
				}
				if m, err := idserver.ClaimsOf[looseClaims](ctx); err != nil || (*m)["plan"] != "gold" {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
}
