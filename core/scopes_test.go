package idserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// scoped returns a token of alice's with these claims.
func (w *world) scoped(claims map[string]any) string {
	return w.provider.MintAccessToken("alice", func(c map[string]any) {
		delete(c, "scope")
		for name, value := range claims {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	})
}

func TestRequireScope(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		read, write := w.RequireScope("orders:read"), w.RequireScope("orders:read", "orders:write")
		either := w.RequireAnyScope("orders:read", "orders:admin")
		for name, row := range map[string]struct {
			claims map[string]any
			admits []bool // read, write, either
		}{
			"none":                  {nil, []bool{false, false, false}},
			"one":                   {map[string]any{"scope": "openid orders:read"}, []bool{true, false, true}},
			"both":                  {map[string]any{"scope": "orders:write orders:read"}, []bool{true, true, true}},
			"the other of either":   {map[string]any{"scp": []string{"orders:admin"}}, []bool{false, false, true}},
			"scp as text":           {map[string]any{"scp": "orders:read orders:write"}, []bool{true, true, true}},
			"another case":          {map[string]any{"scope": "Orders:Read ORDERS:ADMIN"}, []bool{false, false, false}},
			"a longer one":          {map[string]any{"scope": "orders:reader xorders:admin"}, []bool{false, false, false}},
			"commas":                {map[string]any{"scope": "orders:read,orders:write"}, []bool{false, false, false}},
			"quotation marks":       {map[string]any{"scope": `"orders:read" orders:read"`}, []bool{false, false, false}},
			"scope in an object":    {map[string]any{"scope": map[string]any{"orders:read": true}}, []bool{false, false, false}},
			"a giant scope string":  {map[string]any{"scope": strings.Repeat("s ", 20_000) + "orders:read"}, []bool{false, false, false}},
			"scope null, scp there": {map[string]any{"scope": nil, "scp": []any{"orders:read", 7}}, []bool{true, false, true}},
		} {
			b := w.browser(t)
			for i, guard := range []idserver.Guard{read, write, either} {
				_, a := b.pass(guard, "GET", "/orders", bearer(w.scoped(row.claims)))
				if a.Ends() == row.admits[i] {
					t.Errorf("%s: guard %d answers %d %s", name, i, a.Status, a.Body)
				}
				want := []string{`Bearer error="insufficient_scope", scope="orders:read"`, `Bearer error="insufficient_scope", scope="orders:read orders:write"`, `Bearer error="insufficient_scope", scope="orders:read"`}[i]
				if a.Ends() && (a.Status != 403 || code(t, a) != idserver.CodeInsufficientScope || field(a, "WWW-Authenticate") != want) {
					t.Errorf("%s: guard %d answers %d %q %s", name, i, a.Status, field(a, "WWW-Authenticate"), a.Body)
				}
			}
		}
		_, a := w.browser(t).pass(write, "GET", "/orders", bearer(w.scoped(nil)))
		if !strings.Contains(string(a.Body), `"scope":"orders:read orders:write"`) || !slices.Equal(a.Refusal.Scopes, []string{"orders:read", "orders:write"}) || a.Refusal.User == nil {
			t.Errorf("the refusal does not tell the scopes: %s, %v", a.Body, a.Refusal.Scopes)
		}
		if _, a := w.browser(t).pass(read, "GET", "/orders"); a.Status != 401 || field(a, "WWW-Authenticate") != "Bearer" {
			t.Errorf("nobody: %d %q", a.Status, field(a, "WWW-Authenticate"))
		}
	})
}

func TestScopeIncludes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.ScopeIncludes = func(held, wanted string) bool { return strings.HasPrefix(wanted, held+":") }
		})
		for scope, want := range map[string]bool{"orders": true, "order": false, "orders:read": true, "orders:read:all": false, "": false, "x orders": true} {
			_, a := w.browser(t).pass(w.RequireScope("orders:read"), "GET", "/orders", bearer(w.scoped(map[string]any{"scope": scope})))
			if a.Ends() == want {
				t.Errorf("%q: %d", scope, a.Status)
			}
		}
	})
}

func TestNoScopePanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for _, scope := range []string{"", " ", "a b", `a"`, `a\`, "ä", "a\n", strings.Repeat("x", 2000)} {
			for name, make := range map[string]func() idserver.Guard{
				"all": func() idserver.Guard { return w.RequireScope("good", scope) }, "any": func() idserver.Guard { return w.RequireAnyScope(scope, "good") },
			} {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s: a guard for %q was made", name, scope)
						}
					}()
					make()
				}()
			}
		}
	})
}

// What a user of a bearer token and of a session knows of it.
func TestUserOfToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		expiry := w.clock.Now().Add(15 * time.Minute)
		for name, row := range map[string]struct {
			claims map[string]any
			client string
		}{
			"client_id":            {nil, "example"},
			"azp goes first":       {map[string]any{"azp": "a", "cid": "c"}, "a"},
			"cid":                  {map[string]any{"client_id": nil, "cid": "c", "appid": "d"}, "c"},
			"appid":                {map[string]any{"client_id": nil, "appid": "d"}, "d"},
			"none":                 {map[string]any{"client_id": nil}, ""},
			"one of another type":  {map[string]any{"client_id": 7, "appid": "d"}, "d"},
			"no azp but an object": {map[string]any{"azp": map[string]any{}}, "example"},
		} {
			token := w.scoped(row.claims)
			for range 2 { // the second time from memory
				u, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
				if err != nil || u.ClientID != row.client || !u.Expiry.Equal(expiry) || u.Scopes != nil {
					t.Errorf("%s: %v, %v", name, u, err)
				}
			}
		}
		u, _ := w.signedIn(t, "alice").visit()
		if u.ClientID != idtest.ExampleClient || !u.Expiry.Equal(expiry) || !u.HasScope("openid") || !u.HasScope("email") || u.HasScope("EMAIL") {
			t.Errorf("of a session: %q %v %q", u.ClientID, u.Expiry, u.Scopes)
		}
	})
}

// The scopes of a session are what the token endpoint tells, or the access token, or what was asked for.
func TestScopesOfSession(t *testing.T) {
	for name, row := range map[string]struct {
		told  any // by the token endpoint
		claim any // of the access token
		asked []string
		want  []string
	}{
		"told":                           {"openid a", "b", nil, []string{"openid", "a"}},
		"told none":                      {"", "b", nil, []string{}},
		"told as an array":               {[]string{"a", "b"}, "c", nil, []string{"a", "b"}},
		"told, and unreadable":           {7, "c", nil, []string{}},
		"the access token's":             {nil, "b c", nil, []string{"b", "c"}},
		"neither: what is always asked":  {nil, nil, nil, []string{"openid", "profile", "email", "roles", "offline_access"}},
		"neither: what was asked for it": {nil, nil, []string{"openid", "special"}, []string{"openid", "special"}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) {
				c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
					return idserver.AuthorizeOptions{Scopes: row.asked}, nil
				}
			})
			set := func(m map[string]any, value any) {
				if m["scope"] = value; value == nil {
					delete(m, "scope")
				}
			}
			w.provider.SetTokenResponse(func(r map[string]any) { set(r, row.told) })
			w.provider.SetAccessTokenClaims(func(c map[string]any) { set(c, row.claim) })
			b := w.signedIn(t, "alice")
			if u, _ := b.visit(); u == nil || !slices.Equal(u.Scopes, row.want) {
				t.Errorf("got %v", u.Scopes)
			}
			w.provider.SetTokenResponse(func(r map[string]any) { set(r, nil) })
			w.provider.SetAccessTokenClaims(func(c map[string]any) { set(c, nil) })
			w.clock.advance(14*time.Minute + 30*time.Second)
			if u, _ := b.visit(); u == nil || !slices.Equal(u.Scopes, row.want) || !u.Expiry.Equal(w.clock.Now().Add(15*time.Minute)) {
				t.Errorf("after a refresh that tells none: %v, until %v", u.Scopes, u.Expiry)
			}
			w.provider.SetTokenResponse(func(r map[string]any) { set(r, "openid less") })
			w.clock.advance(14*time.Minute + 30*time.Second)
			if u, _ := b.visit(); u == nil || !slices.Equal(u.Scopes, []string{"openid", "less"}) {
				t.Errorf("after a refresh that tells others: %v", u.Scopes)
			}
			if _, a := b.pass(w.RequireScope("more"), "GET", "/page", navigates); a.Status != 403 || !strings.HasPrefix(field(a, "Content-Type"), "text/html") {
				t.Errorf("a page without the scope: %d", a.Status)
			}
		}))
	}
}

// AdmitUser may take scopes away, and does not change the tokens' own user by that.
func TestScopesInAdmitUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				u.Scopes = slices.DeleteFunc(u.Scopes, func(s string) bool { return s == "email" })
				return nil
			}
		})
		if u, _ := w.signedIn(t, "alice").visit(); u.HasScope("email") || !u.HasScope("profile") {
			t.Errorf("got %v", u.Scopes)
		}
	})
}
