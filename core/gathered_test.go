package idserver_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// userInfoFaults are answers of userinfo that say nothing about anybody. Some would be the same the next time.
var userInfoFaults = map[string]struct {
	fault   idtest.Fault
	forGood bool
}{
	"400":                    {idtest.Fault{Status: 400, OAuthError: "invalid_request"}, true},
	"401":                    {idtest.Fault{Status: 401}, true},
	"403":                    {idtest.Fault{Status: 403}, true},
	"404":                    {idtest.Fault{Status: 404}, true},
	"405":                    {idtest.Fault{Status: 405}, true},
	"406":                    {idtest.Fault{Status: 406}, true},
	"410":                    {idtest.Fault{Status: 410}, true},
	"415":                    {idtest.Fault{Status: 415}, true},
	"501":                    {idtest.Fault{Status: 501}, true},
	"204":                    {idtest.Fault{Status: 204}, true},
	"an empty body":          {idtest.Fault{Status: 200}, true},
	"spaces":                 {idtest.Fault{Body: " \n"}, true},
	"null":                   {idtest.Fault{Body: "null"}, true},
	"an array":               {idtest.Fault{Body: "[]"}, true},
	"no sub":                 {idtest.Fault{Body: `{"roles":["owner"]}`}, true},
	"SUB":                    {idtest.Fault{Body: `{"SUB":"` + aliceSubject + `","roles":["owner"]}`}, true},
	"a redirect":             {idtest.Fault{Redirect: "http://127.0.0.1:1/login"}, true},
	"a JWT without alg":      {idtest.Fault{Body: `eyJhbGciOiJub25lIn0.e30.`, ContentType: "application/jwt"}, true},
	"a JWT of anybody":       {idtest.Fault{Body: "eyJhbGciOiJIUzI1NiJ9.e30.AA", ContentType: "application/jwt"}, true},
	"a JWT that is no JWT":   {idtest.Fault{Body: "opaque", ContentType: "application/jwt"}, true},
	"an encrypted JWT":       {idtest.Fault{Body: "e30.a.b.c.d", ContentType: "application/jwt"}, true},
	"408":                    {idtest.Fault{Status: 408}, false},
	"425":                    {idtest.Fault{Status: 425}, false},
	"429":                    {idtest.Fault{Status: 429}, false},
	"500":                    {idtest.Fault{Status: 500}, false},
	"502, a proxy's page":    {idtest.Fault{Status: 502, Body: "<html>", ContentType: "text/html"}, false},
	"HTML":                   {idtest.Fault{HTML: true}, false},
	"JSON that is cut":       {idtest.Fault{Body: `{"sub":`}, false},
	"a connection that ends": {idtest.Fault{Drop: true}, false},
	"no answer":              {idtest.Fault{Hang: true}, false},
}

// Userinfo decides over nobody's sign-in: what it does not tell is missing. Only where roles are missing and it is away is
// the sign-in put off, because what it would have said of them is not known.
func TestUserInfoDecidesNothing(t *testing.T) {
	for name, row := range userInfoFaults {
		t.Run(name, inBubble(func(t *testing.T) {
			for what, rolesMissing := range map[string]bool{"roles": true, "an e-mail address": false} {
				w := newWorld(t)
				if rolesMissing {
					w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
				} else {
					w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "email") })
					w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "email") })
				}
				w.provider.Fail(idtest.UserInfo, row.fault)
				b := w.browser(t)
				a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
				if n := w.provider.Requests(idtest.UserInfo); n != 1 && !row.fault.Drop { // net/http tries once more
					t.Errorf("%s: userinfo was asked %d times", what, n)
				}
				if rolesMissing && !row.forGood {
					if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable {
						t.Errorf("%s: %d %s", what, a.Status, a.Body)
					}
					continue
				}
				u, _ := b.visit()
				if a.Status != 303 || u == nil || u.HasRole("admin") == rolesMissing || u.HasRole("owner") || u.Name != "Alice Tan" {
					t.Errorf("%s: %d, the user is %+v", what, a.Status, u)
				}
				if log := w.log.String(); !strings.Contains(log, "without some claims") || !strings.Contains(log, "level=WARN") {
					t.Errorf("%s: the log is %s", what, log)
				}
			}
		}))
	}
}

// Userinfo is asked only for what is wanted and missing.
func TestUserInfoIsAskedForWhatIsWanted(t *testing.T) {
	offersNoRoles := func(w *world) {
		w.provider.SetMetadata(func(m map[string]any) { m["scopes_supported"] = []string{"openid", "profile", "email"} })
	}
	lacks := func(names ...string) func(*world) {
		drop := func(c map[string]any) {
			for _, name := range names {
				delete(c, name)
			}
		}
		return func(w *world) {
			w.provider.SetAccessTokenClaims(drop)
			w.provider.SetIDTokenClaims(drop)
		}
	}
	nothing := func(*idserver.Config) {}
	for name, row := range map[string]struct {
		config func(*idserver.Config)
		change []func(*world)
		asked  int
	}{
		"nothing is missing":                      {nothing, nil, 0},
		"roles, which the provider offers":        {nothing, []func(*world){lacks("roles")}, 1},
		"roles, which it does not offer":          {nothing, []func(*world){lacks("roles"), offersNoRoles}, 0},
		"roles, by RolesClaim":                    {func(c *idserver.Config) { c.RolesClaim = []string{"groups"} }, []func(*world){offersNoRoles}, 1},
		"roles, by a scope":                       {func(c *idserver.Config) { c.Scopes = []string{"email", "profile", "roles"} }, []func(*world){lacks("roles"), offersNoRoles}, 1},
		"an e-mail address":                       {nothing, []func(*world){lacks("email")}, 1},
		"an e-mail address that nobody asked for": {func(c *idserver.Config) { c.Scopes = []string{"openid", "profile"} }, []func(*world){lacks("email", "roles")}, 0},
		"a name":                        {nothing, []func(*world){lacks("name", "given_name")}, 1},
		"a name that is there in parts": {nothing, []func(*world){lacks("name")}, 0},
		"a name that nobody asked for":  {func(c *idserver.Config) { c.Scopes = []string{"email"} }, []func(*world){lacks("name", "given_name", "roles")}, 0},
		"a tenant":                      {nothing, []func(*world){lacks("tenant_id", "custom_roles")}, 0},
		"NoUserInfo":                    {func(c *idserver.Config) { c.Provider.NoUserInfo = true }, []func(*world){lacks("email", "name", "roles")}, 0},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, row.config)
			for _, change := range row.change {
				change(w)
			}
			b := w.signedIn(t, "alice")
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u == nil {
				t.Error("the session is over")
			}
			if n := w.provider.Requests(idtest.UserInfo); n != 2*row.asked {
				t.Errorf("userinfo was asked %d times in a sign-in and a refresh, want %d", n, 2*row.asked)
			}
		}))
	}
}

// Roles came with a sign-in, and from then on no refresh tells them. They last StaleMax beyond the access token that they
// came with, however often it is refreshed, and in another process too; and where the source refuses for good, they go.
func TestRolesWithoutTheirSource(t *testing.T) {
	opaque := func(r map[string]any) {
		r["access_token"] = "opaque-" + r["access_token"].(string)[:40]
		delete(r, "id_token")
	}
	withoutRoles := func(c map[string]any) { delete(c, "roles"); delete(c, "custom_roles") }
	begin := map[string]func(*idtest.Provider){
		"id_token": func(p *idtest.Provider) {
			p.SetAccessTokenClaims(withoutRoles)
			p.SetIDTokenClaims(func(c map[string]any) { c["roles"], c["custom_roles"] = []string{"admin"}, []string{"billing"} })
		},
		"access_token": func(*idtest.Provider) {},
		"userinfo":     func(p *idtest.Provider) { p.SetAccessTokenClaims(withoutRoles) },
	}
	for from, change := range begin {
		for name, fault := range userInfoFaults {
			if fault.fault.Hang { // the refresh goes on in the first process, while the next one has the old cookie
				continue
			}
			t.Run(from+", "+name, inBubble(func(t *testing.T) {
				w := newWorld(t, func(c *idserver.Config) { c.Session.Idle, c.Session.Max = 12*time.Hour, 12*time.Hour })
				change(w.provider)
				b := w.signedIn(t, "alice")
				if u, _ := b.visit(); u == nil || !u.HasRole("admin") || !u.HasRole("billing") {
					t.Fatalf("the user is %+v", u)
				}
				w.provider.SetTokenResponse(opaque)
				w.provider.Fail(idtest.UserInfo, fault.fault)
				lasts := time.Hour + 15*time.Minute // StaleMax and the life of the first access token
				if from == "userinfo" && fault.forGood {
					lasts = nearlyOver
				}
				for passed := nearlyOver; passed < 3*time.Hour; passed += nearlyOver {
					w.clock.advance(nearlyOver)
					u, _ := b.visit()
					if u == nil {
						t.Fatalf("the session is over after %v", passed)
					}
					if want := passed < lasts; u.HasRole("admin") != want || u.HasRole("billing") != want {
						t.Fatalf("after %v the user is %+v", passed, u)
					}
					if u.Email != "alice@example.test" || u.Name != "Alice Tan" {
						t.Fatalf("after %v the user is %+v", passed, u)
					}
					var claims map[string]any
					if err := u.Claims(&claims); err != nil || claims["roles"] != nil && passed >= lasts {
						t.Fatalf("after %v the claims are %v, %v", passed, claims, err)
					}
					b.client = w.client(t, func(c *idserver.Config) { c.Session.Idle, c.Session.Max = 12*time.Hour, 12*time.Hour })
				}
				if log := w.log.String(); !strings.Contains(log, "they are taken away") {
					t.Error("that the roles are gone is not said")
				}
				w.provider.SetTokenResponse(nil)
				w.provider.Heal(idtest.UserInfo)
				w.clock.advance(nearlyOver)
				if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
					t.Errorf("the source is back, and the user is %+v", u)
				}
			}))
		}
	}
}

// Between two refreshes, too, roles go when their time is over; and a negative StaleMax leaves them none.
func TestStaleRolesGoOnTime(t *testing.T) {
	for name, row := range map[string]struct {
		staleMax, lasts time.Duration
	}{
		"a minute": {time.Minute, 16 * time.Minute},
		"none":     {-1, 15 * time.Minute},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.Session.StaleMax = row.staleMax })
			b := w.signedIn(t, "alice")
			w.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = "opaque" })
			w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash") })
			w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 500})
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
				t.Fatalf("the user is %+v", u)
			}
			w.clock.advance(row.lasts - nearlyOver - time.Second)
			if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
				t.Errorf("before their time, the user is %+v", u)
			}
			old := copyOf(b.cookies)
			w.clock.advance(time.Second)
			for range 2 {
				if u, _ := b.visit(); u == nil || u.HasRole("admin") || u.HasRole("billing") || u.Email == "" {
					t.Errorf("at their time, the user is %+v", u)
				}
			}
			if u, _ := (&browser{t, w.Client, old}).visit(); u == nil || u.HasRole("admin") {
				t.Errorf("with an old cookie, the user is %+v", u)
			}
		}))
	}
}

// By hand: whoever keeps tokens in a store of their own keeps the exported fields, and does not revive roles either.
func TestRolesByHandWithoutTheirSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["roles"] = []string{"admin"} })
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles"); delete(c, "custom_roles") })
		_, tokens := signInByHand(t, w, w.Client, "alice")
		w.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = "opaque"; delete(r, "id_token") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 403})
		for passed := 10 * time.Minute; passed < 5*time.Hour; passed += 10 * time.Minute {
			w.clock.advance(10 * time.Minute)
			stored := &idserver.Tokens{AccessToken: tokens.AccessToken, RefreshToken: tokens.RefreshToken, IDToken: tokens.IDToken, Expiry: tokens.Expiry, User: tokens.User}
			var err error
			if tokens, err = w.RefreshToken(t.Context(), stored); err != nil {
				t.Fatal(err)
			}
			if want := passed < time.Hour; tokens.User.HasRole("admin") != want {
				t.Fatalf("after %v the user is %+v", passed, tokens.User)
			}
		}
	})
}

// email_verified as the text "true" (Apple, Cognito) counts where the provider says it to this client.
func TestEmailVerifiedAsText(t *testing.T) {
	for value, counts := range map[any]bool{"true": true, "True": false, "false": false, "1": false, " true": false, "": false, 1: false, true: true, false: false} {
		t.Run("", inBubble(func(t *testing.T) {
			says := func(c map[string]any) { c["email_verified"] = value }
			silent := func(c map[string]any) { delete(c, "email"); delete(c, "email_verified") }
			for source, row := range map[string]struct {
				change func(*idtest.Provider)
				want   bool
			}{
				"ID token": {func(p *idtest.Provider) { p.SetIDTokenClaims(says) }, counts},
				"userinfo": {func(p *idtest.Provider) {
					p.SetIDTokenClaims(silent)
					p.SetAccessTokenClaims(silent)
					p.SetUserInfo(says)
				}, counts},
				"access token": {func(p *idtest.Provider) {
					p.SetIDTokenClaims(silent)
					p.SetAccessTokenClaims(func(c map[string]any) { c["email_verified"] = value })
				}, value == true},
			} {
				w := newWorld(t)
				row.change(w.provider)
				b := w.signedIn(t, "alice")
				if u, _ := b.visit(); u == nil || u.EmailVerified != row.want || u.Email != "alice@example.test" {
					t.Errorf("%v in the %s: the user is %+v", value, source, u)
				}
				// A refresh at which the source is silent must not make it count more.
				w.provider.SetIDTokenClaims(silent)
				w.provider.SetAccessTokenClaims(silent)
				w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 500})
				w.clock.advance(nearlyOver)
				if u, _ := b.visit(); u == nil || u.EmailVerified != row.want {
					t.Errorf("%v in the %s, refreshed: the user is %+v", value, source, u)
				}
			}
			w := newWorld(t)
			token := w.provider.MintAccessToken("alice", says)
			for range 2 {
				if u, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil || u.EmailVerified != (value == true) {
					t.Errorf("%v in a bearer token: %+v, %v", value, u, err)
				}
			}
		}))
	}
}

// A name that was cut within a character does not stop its owner, from whatever source it comes.
func TestHalfACharacterInAName(t *testing.T) {
	const body = `{"sub":"` + aliceSubject + `","name":"Al\ud83d","roles":["admin"]}`
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles"); delete(c, "name") })
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "name") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Body: body})
		b := w.signedIn(t, "alice")
		if u, _ := b.visit(); u == nil || u.Name != "Al\ufffd" || !slices.Equal(u.Roles, []string{"admin"}) {
			t.Errorf("the user is %+v", u)
		}
		now := w.clock.Now().Unix()
		token := newAccessToken(w)
		token.raw = w.provider.SignRaw(token.header, strings.Replace(string(jsonOf(map[string]any{
			"iss": w.provider.URL(), "sub": "s", "aud": "idserver-api", "exp": now + 60, "scope": "x", "name": "?",
		})), "?", `Al\udc00`, 1))
		for range 2 {
			u, err := w.ValidateAccessToken(t.Context(), token.raw, idserver.AccessTokenCheck{})
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := u.Claims(&claims); err != nil || claims["name"] != "Al\ufffd" || u.Name != "Al\ufffd" {
				t.Errorf("the claims are %v, %v", claims, err)
			}
		}
	})
}

// Userinfo is signed, as a client may be registered for (OpenID Connect Core section 5.3.2).
func TestSignedUserInfo(t *testing.T) {
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	type claims = map[string]any
	for name, row := range map[string]struct {
		typ    any
		change func(w *world, c claims)
		signer *idtest.Provider
		ok     bool
	}{
		"as it should be":   {"JWT", nil, nil, true},
		"no typ":            {nil, nil, nil, true},
		"aud among others":  {"JWT", func(_ *world, c claims) { c["aud"] = []string{"x", idtest.ExampleClient} }, nil, true},
		"no iss and no aud": {"JWT", func(_ *world, c claims) { delete(c, "iss"); delete(c, "aud") }, nil, true},
		"times":             {"JWT", func(w *world, c claims) { c["iat"], c["exp"] = w.clock.Now().Unix(), w.clock.Now().Unix()+60 }, nil, true},
		"another iss":       {"JWT", func(_ *world, c claims) { c["iss"] = "https://evil.example" }, nil, false},
		"another aud":       {"JWT", func(_ *world, c claims) { c["aud"] = "another" }, nil, false},
		"an empty aud":      {"JWT", func(_ *world, c claims) { c["aud"] = []string{} }, nil, false},
		"another's key":     {"JWT", nil, stranger, false},
		"expired":           {"JWT", func(w *world, c claims) { c["exp"] = w.clock.Now().Unix() - 11 }, nil, false},
		"not valid yet":     {"JWT", func(w *world, c claims) { c["nbf"] = w.clock.Now().Unix() + 11 }, nil, false},
		"an access token":   {"at+jwt", nil, nil, false},
		"an ID token":       {"JWT", func(_ *world, c claims) { c["nonce"] = "n" }, nil, false},
		"a logout token":    {"JWT", func(_ *world, c claims) { c["events"] = claims{} }, nil, false},
		"no sub":            {"JWT", func(_ *world, c claims) { delete(c, "sub") }, nil, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
			c := claims{"iss": w.provider.URL(), "aud": idtest.ExampleClient, "sub": aliceSubject, "roles": []string{"signed"}}
			if row.change != nil {
				row.change(w, c)
			}
			header := claims{"alg": "RS256", "kid": w.provider.KeyID()}
			if row.typ != nil {
				header["typ"] = row.typ
			}
			signer := w.provider
			if row.signer != nil {
				signer = row.signer
			}
			w.provider.Fail(idtest.UserInfo, idtest.Fault{Body: signer.SignRaw(header, c), ContentType: "application/jwt; charset=utf-8"})
			b := w.signedIn(t, "alice")
			u, _ := b.visit()
			if u == nil || u.HasRole("signed") != row.ok || u.Email != "alice@example.test" {
				t.Errorf("the user is %+v", u)
			}
		}))
	}
	t.Run("of another person", inBubble(func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Body: w.provider.Sign(claims{"sub": "mallory", "roles": []string{"admin"}}), ContentType: "application/jwt", Header: http.Header{}})
		b := w.browser(t)
		if a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates); code(t, a) != idserver.CodeProviderError {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}))
}

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

const aliceTenant = "7b1d5c52-0000-4000-8000-00000000acee"

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

// A refresh told that there are no roles any more. The next one, which tells nothing, does not revive those of the old ID token.
func TestRolesThatWereTakenAwayStayAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["roles"] = []string{"admin"} })
		b := w.signedIn(t, "alice")
		dropIDToken(w.provider)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles"); delete(c, "custom_roles") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 403})
		for range 2 {
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u == nil || u.HasRole("admin") {
				t.Errorf("the user is %+v", u)
			}
			w.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = "opaque"; delete(r, "id_token") })
		}
	})
}
