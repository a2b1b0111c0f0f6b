//go:build !race

// The race detector makes pools forget, and counts what it allocates itself.

package idserver_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"runtime"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// The work that requests with a known token and with a known cookie are: one allocation, the context that holds the user. A role costs
// nothing more, in the place of the guard or behind it.
func TestAllocations(t *testing.T) {
	w := newWorld(t)
	token := w.warm(t)
	b := w.signedIn(t, "alice")
	byToken := b.request("GET", "/api", []edit{func(r *idserver.Request) {
		r.Header.(http.Header)["Authorization"], r.Header.(http.Header)["Cookie"] = []string{"Bearer " + token}, nil
	}})
	bySession := b.request("GET", "/api", []edit{fetches})
	page := b.request("GET", "/page", []edit{navigates})
	ctx := t.Context()
	api := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, IgnoreFinalSlash: true, OnlyTyped: true})
	ofAPI := byToken
	ofAPI.Header = http.Header{"Authorization": {"Bearer " + w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI + "/" })}}
	for by, r := range map[string]idserver.Request{"a token": byToken, "a session": bySession} {
		behind, _ := w.RequireUser()(ctx, r)
		if n := testing.AllocsPerRun(100, func() {
			if c, err := idserver.ClaimsOf[looseClaims](behind); err != nil || len(*c) == 0 {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("ClaimsOf by %s: %v allocations, want 0", by, n)
		}
	}
	for name, guard := range map[string]idserver.Guard{"RequireUser": api.RequireUser(), "RequireScope": api.RequireScope("openid"), "LoadUser": api.LoadUser()} {
		if n := testing.AllocsPerRun(100, func() {
			if _, a := guard(ctx, ofAPI); a.Ends() {
				t.Fatalf("%s of a resource: %d %s", name, a.Status, a.Body)
			}
		}); n > 1 {
			t.Errorf("%s of a resource: %v allocations, want 1", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := w.ValidateAccessToken(ctx, token, idserver.AccessTokenCheck{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("ValidateAccessToken: %v allocations, want 0", n)
	}
	for name, guard := range map[string]idserver.Guard{
		"LoadUser": w.LoadUser(), "RequireUser": w.RequireUser(), "RequireRole": w.RequireRole("x", "admin"), "RequireAllRoles": w.RequireAllRoles("admin", "billing"),
		"RequireBuiltInRole": w.RequireBuiltInRole("x", "admin"), "RequireScope": w.RequireScope("openid", "email"),
		"RequireAnyScope": w.RequireAnyScope("x", "email"), "AllOf": idserver.AllOf(w.RequireUser(), w.RequireRole("admin")), "Require": w.Require(func(u *idserver.User) bool { return u.TenantID != "" }),
	} {
		for by, r := range map[string]idserver.Request{"a token": byToken, "a session": bySession, "a session's page": page} {
			if n := testing.AllocsPerRun(100, func() {
				if _, a := guard(ctx, r); a.Ends() {
					t.Fatalf("%s by %s: %d %s", name, by, a.Status, a.Body)
				}
			}); n > 1 {
				t.Errorf("%s by %s: %v allocations, want 1", name, by, n)
			}
			behind, _ := w.RequireUser()(ctx, r)
			if n := testing.AllocsPerRun(100, func() {
				if _, a := guard(behind, r); a.Ends() {
					t.Fatalf("%s by %s: %d %s", name, by, a.Status, a.Body)
				}
			}); n != 0 {
				t.Errorf("%s behind another guard by %s: %v allocations, want 0", name, by, n)
			}
		}
	}
}

// A remembered token that is bound to a key that is known costs one verification of a signature, and little more.
func TestAllocationsOfBoundToken(t *testing.T) {
	w := newWorld(t)
	f := newForger(t, w)
	digest := sha256.Sum256([]byte("x"))
	signature, err := f.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	verification := testing.AllocsPerRun(100, func() {
		if !ecdsa.VerifyASN1(&f.key.PublicKey, digest[:], signature) {
			t.Fatal("it does not verify")
		}
	})
	token := w.boundTo(f.bind)
	for name, row := range map[string]struct {
		api   *idserver.Resource
		claim map[string]any
	}{"": {w.boundAPI(t), nil}, " with a nonce": {w.boundAPI(t, func(c *idserver.ResourceConfig) { c.DPoPNonces = true }), map[string]any{}}} {
		if row.claim != nil {
			_, a := w.browser(t).pass(row.api.RequireUser(), "GET", "/orders", proving(token, f.proof(token, nil, nil)))
			row.claim["nonce"] = field(a, "DPoP-Nonce")
		}
		requests := make([]idserver.Request, 202)
		for i := range requests {
			requests[i] = w.browser(t).request("GET", "/orders", []edit{proving(token, f.proof(token, nil, row.claim))})
		}
		guard, ctx, i := row.api.RequireUser(), t.Context(), 0
		n := testing.AllocsPerRun(200, func() {
			if _, a := guard(ctx, requests[i]); a.Ends() {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			i++
		})
		if t.Logf("a bound token%s: %v allocations, %v of them for its signature", name, n, verification); n > verification+12 {
			t.Errorf("a bound token%s: %v allocations, want at most 12 beside those of its signature", name, n)
		}
	}
}

// A session that is not remembered is opened with few allocations, most of them what is kept of it.
func TestAllocationsOfUnknownSession(t *testing.T) {
	w := newWorld(t, func(c *idserver.Config) { c.TokenCacheBytes = -1 })
	r := w.signedIn(t, "alice").request("GET", "/api", []edit{fetches})
	guard, ctx := w.RequireUser(), t.Context()
	ask := func() {
		if _, a := guard(ctx, r); a.Ends() {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if n := testing.AllocsPerRun(100, ask); n > 26 {
		t.Errorf("%v allocations, want at most 26", n)
	}
	const times = 1000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		ask()
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / times; n > 10<<10 {
		t.Errorf("%d bytes, want at most 10 kB", n)
	}
}
