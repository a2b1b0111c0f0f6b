package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// ofTenant returns a token of alice's with this tenant_id.
func ofTenant(p *idtest.Provider, tenant any, edit ...func(map[string]any)) string {
	return p.MintAccessToken("alice", append([]func(map[string]any){func(c map[string]any) { c["tenant_id"] = tenant }}, edit...)...)
}

func TestRequireTenant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		hidden := w.client(t, func(c *idserver.Config) { c.HideTenants = true })
		for name, row := range map[string]struct {
			path  string
			claim any
			ok    bool
		}{
			"the same": {"acme", "acme", true}, "another": {"acme", "acne", false}, "another case": {"acme", "Acme", false}, "a space": {"acme", "acme ", false},
			"no path": {"", "acme", false}, "no claim": {"acme", nil, false}, "neither": {"", nil, false}, "an empty claim": {"", "", false}, "a number": {"7", 7, false},
			"a list": {"acme", []string{"acme"}, false}, "null": {"null", nil, false},
		} {
			token := bearer(ofTenant(w.provider, row.claim))
			for client, refusal := range map[*idserver.Client]struct {
				status int
				code   idserver.RefusalCode
			}{w.Client: {403, "other_tenant"}, hidden: {404, "not_found"}} {
				_, a := w.browser(t).pass(client.RequireTenant(row.path), "GET", "/t/"+row.path, token)
				switch {
				case a.Ends() == row.ok:
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				case a.Ends() && (a.Status != refusal.status || code(t, a) != refusal.code || a.Refusal.User == nil || field(a, "WWW-Authenticate") != ""):
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				}
			}
		}
		if strings.Contains(w.log.String(), "acme") == false {
			t.Error("the log does not tell the tenants")
		}
		_, a := w.browser(t).pass(hidden.RequireTenant("acme"), "GET", "/t/acme", bearer(ofTenant(w.provider, "acne")))
		_, none := w.browser(t).pass(hidden.RequireTenant("nobody"), "GET", "/t/nobody", bearer(ofTenant(w.provider, "acne")))
		if string(a.Body) != string(none.Body) || strings.Contains(string(a.Body), "tenant") {
			t.Errorf("what is hidden shows: %s", a.Body)
		}
		if _, a := w.browser(t).pass(w.RequireTenant("acme"), "GET", "/t/acme"); a.Status != 401 {
			t.Errorf("nobody: %d", a.Status)
		}
		u, _ := w.signedIn(t, "alice").visit()
		b := w.signedIn(t, "alice")
		if _, a := b.pass(w.RequireTenant(u.TenantID), "GET", "/", navigates); a.Ends() {
			t.Errorf("a session: %d", a.Status)
		}
		if _, a := b.pass(w.RequireTenant("acme"), "GET", "/", navigates); a.Status != 403 || !strings.Contains(a.Refusal.SignInURL, "prompt=login") {
			t.Errorf("a session: %d %s", a.Status, a.Refusal.SignInURL)
		}
	})
}

// What the application makes of a user counts in place of the claim.
func TestTenantOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.TenantOf = func(u *idserver.User) string { return strings.TrimPrefix(u.TenantID, "t-") }
		})
		for claim, ok := range map[string]bool{"t-acme": true, "acme": true, "t-acne": false} {
			if _, a := w.browser(t).pass(w.RequireTenant("acme"), "GET", "/", bearer(ofTenant(w.provider, claim))); a.Ends() == ok {
				t.Errorf("%s: %d", claim, a.Status)
			}
		}
		if _, a := w.browser(t).pass(w.RequireTenant(""), "GET", "/", bearer(ofTenant(w.provider, "t-"))); a.Status != 403 {
			t.Errorf("nothing is equal to nothing: %d", a.Status)
		}
	})
}

// A tenant of another issuer is another one, whatever it is called.
func TestRequireTenantOfSeveralIssuers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other := idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory, o.BaseURL = w.clock.Now, true, "http://localhost:2" })
		cfg := other.Config("")
		cfg.Now, cfg.Logger = w.clock.Now, w.cfg.Logger
		second, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Close)
		both, err := idserver.Issuers(w.Client, second)
		if err != nil {
			t.Fatal(err)
		}
		for name, row := range map[string]struct {
			p  *idtest.Provider
			ok bool
		}{"the first": {w.provider, true}, "the second": {other, false}} {
			if _, a := w.browser(t).pass(both.RequireUser(), "GET", "/", bearer(ofTenant(row.p, "acme"))); a.Ends() {
				t.Fatalf("%s: %d %s", name, a.Status, a.Body)
			}
			if _, a := w.browser(t).pass(both.RequireTenant("acme"), "GET", "/", bearer(ofTenant(row.p, "acme"))); a.Ends() == row.ok {
				t.Errorf("%s: %d", name, a.Status)
			}
		}
	})
}

// Where one issuer serves several tenants, it names the tenant: what a tenant's administrator puts into tenant_id does not count.
func TestRequireTenantOfEntra(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := newEntra(t, listed(tenantOne, tenantTwo))
		for name, row := range map[string]struct {
			path, claim string
			ok          bool
		}{
			"its own":           {tenantOne, "", true},
			"that of its claim": {tenantTwo, tenantTwo, false},
			"a name":            {"acme", "acme", false},
			"another segment":   {"v2.0", "v2.0", false},
			"nothing":           {"", "", false},
			"upper case":        {strings.ToUpper("aaaa" + tenantOne[4:]), "", false},
		} {
			if _, a := e.browser(t).pass(e.RequireTenant(row.path), "GET", "/", bearer(ofTenant(e.provider, row.claim))); a.Ends() == row.ok || a.Ends() && a.Status != 403 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}
