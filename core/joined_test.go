package idserver_test

import (
	"net/http"
	"slices"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// A role that the sign-in's ID token names was taken away since. A refresh that brings no ID token must not revive it, whatever
// the new access token is and whether the newer answer names other roles or none.
func TestRolesAreNotRevived(t *testing.T) {
	opaque := func(r map[string]any) { r["access_token"] = "opaque"; delete(r, "id_token") }
	noRoles := func(c map[string]any) { delete(c, "roles"); delete(c, "custom_roles") }
	for name, row := range map[string]struct {
		change        func(*idtest.Provider)
		roles, custom []string
		lookups       int
	}{
		"opaque, userinfo has others": {func(p *idtest.Provider) {
			p.SetTokenResponse(opaque)
			p.Fail(idtest.UserInfo, idtest.Fault{Body: `{"sub":"` + aliceSubject + `","roles":["user"]}`})
		}, []string{"user"}, nil, 1},
		"opaque, userinfo has none": {func(p *idtest.Provider) {
			p.SetTokenResponse(opaque)
			p.Fail(idtest.UserInfo, idtest.Fault{Body: `{"sub":"` + aliceSubject + `"}`})
		}, nil, nil, 1},
		"opaque, userinfo has custom ones": {func(p *idtest.Provider) {
			p.SetTokenResponse(opaque)
			p.Fail(idtest.UserInfo, idtest.Fault{Body: `{"sub":"` + aliceSubject + `","roles":[],"custom_roles":["sales"]}`})
		}, nil, []string{"sales"}, 1},
		"a JWT, userinfo has others": {func(p *idtest.Provider) {
			dropIDToken(p)
			p.SetAccessTokenClaims(noRoles)
			p.SetUserInfo(func(c map[string]any) { c["roles"] = []string{"user"}; delete(c, "custom_roles") })
		}, []string{"user"}, nil, 1},
		"a JWT, userinfo has none": {func(p *idtest.Provider) {
			dropIDToken(p)
			p.SetAccessTokenClaims(noRoles)
			p.SetUserInfo(noRoles)
		}, nil, nil, 1},
		"a JWT, userinfo refuses it": {func(p *idtest.Provider) {
			dropIDToken(p)
			p.SetAccessTokenClaims(noRoles)
			p.Fail(idtest.UserInfo, idtest.Fault{Status: 403})
		}, nil, nil, 1},
		"a JWT with roles and without custom ones": {func(p *idtest.Provider) {
			dropIDToken(p)
			p.SetAccessTokenClaims(func(c map[string]any) { c["roles"] = []string{"user"}; delete(c, "custom_roles") })
		}, []string{"user"}, nil, 0},
		"opaque, and nobody can be asked": {func(p *idtest.Provider) { // what was known is the newest that is known
			p.SetTokenResponse(opaque)
			p.Fail(idtest.UserInfo, idtest.Fault{Status: 403})
		}, []string{"admin"}, []string{"billing"}, 1},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetIDTokenClaims(func(c map[string]any) {
				c["roles"], c["custom_roles"] = []string{"admin"}, []string{"billing"}
			})
			_, old := signInByHand(t, w, w.Client, "alice")
			if !old.User.HasBuiltInRole("admin") || !old.User.HasCustomRole("billing") {
				t.Fatalf("the user is %+v", old.User)
			}
			w.provider.ResetRequests()
			row.change(w.provider)
			renewed, err := w.RefreshToken(t.Context(), old)
			if err != nil {
				t.Fatal(err)
			}
			if u := renewed.User; !slices.Equal(u.Roles, row.roles) || !slices.Equal(u.CustomRoles, row.custom) || u.Email != "alice@example.test" {
				t.Errorf("the user is %+v, want the roles %q and %q", u, row.roles, row.custom)
			}
			if n := w.provider.Requests(idtest.UserInfo); n != row.lookups {
				t.Errorf("userinfo was asked %d times, want %d", n, row.lookups)
			}
		}))
	}
}

// Two sources name two addresses, and the word that one of them is verified must not reach the other: who may write one
// claim could otherwise pass for the owner of any address.
func TestEmailVerifiedIsOfOneAddress(t *testing.T) {
	type claims = map[string]any
	for name, row := range map[string]struct {
		id, more claims // of the ID token, and of the access token or userinfo
		email    string
		verified bool
	}{
		"another address is verified":    {claims{"email": "a@example.test"}, claims{"email": "b@example.test", "email_verified": true}, "a@example.test", false},
		"no address is verified":         {claims{"email": "a@example.test"}, claims{"email_verified": true}, "a@example.test", false},
		"the flag comes without address": {claims{"email_verified": true}, claims{"email": "b@example.test"}, "b@example.test", false},
		"the address comes unverified":   {claims{"email_verified": true}, claims{"email": "b@example.test", "email_verified": false}, "b@example.test", false},
		"the same address in other case": {claims{"email": "a@example.test"}, claims{"email": "A@example.test", "email_verified": true}, "a@example.test", false},
		"the first says it is not":       {claims{"email": "a@example.test", "email_verified": false}, claims{"email": "a@example.test", "email_verified": true}, "a@example.test", false},
		"the same address is verified":   {claims{"email": "a@example.test"}, claims{"email": "a@example.test", "email_verified": true}, "a@example.test", true},
		"both come together":             {claims{}, claims{"email": "b@example.test", "email_verified": true}, "b@example.test", true},
		"both stand in the ID token":     {claims{"email": "a@example.test", "email_verified": true}, claims{"email": "b@example.test", "email_verified": false}, "a@example.test", true},
		"an address that is an array":    {claims{"email": "a@example.test"}, claims{"email": []string{"a@example.test"}, "email_verified": true}, "a@example.test", false},
		"an empty address, and a flag":   {claims{"email": ""}, claims{"email": "b@example.test", "email_verified": true}, "", false},
	} {
		set := func(more claims) func(map[string]any) {
			return func(c map[string]any) {
				delete(c, "email")
				delete(c, "email_verified")
				for name, value := range more {
					c[name] = value
				}
			}
		}
		t.Run(name, inBubble(func(t *testing.T) {
			for source, change := range map[string]func(*idtest.Provider){
				"access token": func(p *idtest.Provider) { p.SetAccessTokenClaims(set(row.more)) },
				"userinfo": func(p *idtest.Provider) {
					p.SetAccessTokenClaims(func(c map[string]any) { c["aud"] = "another-api" })
					p.SetUserInfo(set(row.more))
				},
			} {
				w := newWorld(t)
				w.provider.SetIDTokenClaims(set(row.id))
				change(w.provider)
				_, tokens := signInByHand(t, w, w.Client, "alice")
				if u := tokens.User; u.Email != row.email || u.EmailVerified != row.verified {
					t.Errorf("%s: %q, verified %v, want %q, %v", source, u.Email, u.EmailVerified, row.email, row.verified)
				}
			}
		}))
	}
}

// What the ID token lacks is found although something else lies beside it.
func TestClaimsBesideOthers(t *testing.T) {
	type claims = map[string]any
	for name, row := range map[string]struct {
		rolesClaim    []string
		id, access    claims
		roles, custom []string
		tenant        string
	}{
		"nested roles beside another member": {[]string{"realm_access/roles"}, claims{"realm_access": claims{"verify_caller": true}},
			claims{"realm_access": claims{"roles": []string{"nested"}}}, []string{"nested"}, []string{"billing"}, aliceTenant},
		"nested roles of both: the ID token's": {[]string{"realm_access/roles"}, claims{"realm_access": claims{"roles": []string{"of-id"}}},
			claims{"realm_access": claims{"roles": []string{"of-access"}}}, []string{"of-id"}, []string{"billing"}, aliceTenant},
		"a text where an object is wanted": {[]string{"realm_access/roles"}, claims{"realm_access": "none"},
			claims{"realm_access": claims{"roles": []string{"nested"}}}, []string{"nested"}, []string{"billing"}, aliceTenant},
		"only roles in the ID token": {nil, claims{"roles": []string{"user"}}, claims{"roles": []string{"of-access"}}, []string{"user"}, []string{"billing"}, aliceTenant},
		"an ID token with all of it": {nil, claims{"roles": []string{"user"}, "custom_roles": []string{"own"}, "tenant_id": "t"}, claims{}, []string{"user"}, []string{"own"}, "t"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.RolesClaim = row.rolesClaim })
			set := func(more claims) func(map[string]any) {
				return func(c map[string]any) {
					for name, value := range more {
						c[name] = value
					}
				}
			}
			w.provider.SetIDTokenClaims(func(c map[string]any) {
				delete(c, "custom_roles")
				delete(c, "tenant_id")
				set(row.id)(c)
			})
			w.provider.SetAccessTokenClaims(set(row.access))
			_, tokens := signInByHand(t, w, w.Client, "alice")
			u := tokens.User
			if !slices.Equal(u.Roles, row.roles) || !slices.Equal(u.CustomRoles, row.custom) || u.TenantID != row.tenant {
				t.Errorf("the user is %+v", u)
			}
			if n := w.provider.Requests(idtest.UserInfo); n != 0 {
				t.Errorf("userinfo was asked %d times, and the access token had it all", n)
			}
		}))
	}
}

const aliceTenant = "7b1d5c52-0000-4000-8000-00000000acee"

// An ID token must not open an API whose audience is the client itself. At such a provider only what tells that it is an access
// token is one.
func TestIDTokenIsNoAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Audience = c.ClientID })
		plain := func(more map[string]any) map[string]any {
			c := map[string]any{
				"iss": w.provider.URL(), "sub": "alice", "aud": idtest.ExampleClient,
				"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Unix() + 600,
			}
			for name, value := range more {
				c[name] = value
			}
			return c
		}
		header := func(typ string) map[string]any {
			h := map[string]any{"alg": "RS256", "kid": w.provider.KeyID()}
			if typ != "" {
				h["typ"] = typ
			}
			return h
		}
		for name, row := range map[string]struct {
			token    string
			accepted bool
		}{
			"an ID token of the sign-in":   {w.provider.MintIDToken("alice", idtest.ExampleClient), false},
			"one without a nonce":          {w.provider.MintIDToken("alice", idtest.ExampleClient, func(c map[string]any) { delete(c, "nonce"); delete(c, "at_hash") }), false},
			"no typ":                       {w.provider.SignRaw(header(""), plain(nil)), false},
			"typ JWT":                      {w.provider.SignRaw(header("JWT"), plain(nil)), false},
			"typ JWT, azp":                 {w.provider.SignRaw(header("JWT"), plain(map[string]any{"azp": idtest.ExampleClient})), false},
			"typ JWT and a scope":          {w.provider.SignRaw(header("JWT"), plain(map[string]any{"scope": "openid"})), true},
			"typ JWT and a scp":            {w.provider.SignRaw(header("JWT"), plain(map[string]any{"scp": []string{"read"}})), true},
			"no typ and a client_id":       {w.provider.SignRaw(header(""), plain(map[string]any{"client_id": "x"})), true},
			"typ at+jwt":                   {w.provider.SignRaw(header("at+jwt"), plain(nil)), true},
			"typ application/AT+JWT":       {w.provider.SignRaw(header("application/AT+JWT"), plain(nil)), true},
			"typ at+jwt and a nonce":       {w.provider.SignRaw(header("at+jwt"), plain(map[string]any{"nonce": "n"})), true},
			"a scope and a nonce, typ JWT": {w.provider.SignRaw(header("JWT"), plain(map[string]any{"nonce": "n", "scope": "openid"})), false},
		} {
			_, err := w.ValidateAccessToken(t.Context(), row.token, idserver.AccessTokenCheck{})
			if row.accepted != (err == nil) {
				t.Errorf("%s: %v", name, err)
			}
			if !row.accepted {
				refused(t, err, idserver.ReasonType)
			}
			_, a := w.browser(t).pass(w.RequireUser(), "GET", "/api", bearer(row.token))
			if row.accepted == a.Ends() || a.Ends() && a.Status != http.StatusUnauthorized {
				t.Errorf("%s: the guard ends with %d", name, a.Status)
			}
		}
	})
}
