package idserver_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// authenticated returns a token of alice's that says how she was authenticated, and how long ago.
func (w *world) authenticated(acr any, ago time.Duration, aud string) string {
	return w.provider.MintAccessToken("alice", func(c map[string]any) {
		c["acr"], c["auth_time"], c["aud"] = acr, w.clock.Now().Add(-ago).Unix(), aud
		if acr == nil {
			delete(c, "acr")
		}
		if ago == never {
			delete(c, "auth_time")
		}
	})
}

const never time.Duration = -1

func wants(maxAge time.Duration, acr ...string) idserver.Authentication {
	return idserver.Authentication{ACR: acr, MaxAge: maxAge}
}

// RFC 9470 sections 3 and 6.2, of bearer tokens: at the client, at an API of its own audience, and introspected.
func TestRequireAuthentication(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api, asking := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI}), w.introspecting(t, func(c *idserver.ResourceConfig) { c.IntrospectionKept = -1 })
		for name, row := range map[string]struct {
			wanted idserver.Authentication
			acr    any
			ago    time.Duration
			ok     bool
		}{
			"the acr":               {wants(0, "silver", "gold"), "gold", never, true},
			"another acr":           {wants(0, "silver", "gold"), "bronze", never, false},
			"a part of an acr":      {wants(0, "silver"), "silve", never, false},
			"two acr in one":        {wants(0, "silver", "gold"), "silver gold", never, false},
			"the acr in an array":   {wants(0, "silver"), []string{"silver"}, never, false},
			"another case":          {wants(0, "silver"), "Silver", never, false},
			"no acr":                {wants(0, "silver"), nil, 0, false},
			"lately":                {wants(time.Minute), nil, time.Minute, true},
			"within the leeway":     {wants(time.Minute), nil, 70 * time.Second, true},
			"too long ago":          {wants(time.Minute), nil, 71 * time.Second, false},
			"nobody knows when":     {wants(time.Minute), "gold", never, false},
			"in the future":         {wants(time.Minute), nil, -time.Hour, false},
			"both":                  {wants(time.Hour, "gold"), "gold", time.Minute, true},
			"both, and too old":     {wants(time.Minute, "gold"), "gold", time.Hour, false},
			"both, and another acr": {wants(time.Hour, "gold"), "silver", time.Minute, false},
		} {
			challenge := `Bearer error="insufficient_user_authentication"`
			if len(row.wanted.ACR) > 0 {
				challenge += `, acr_values="` + strings.Join(row.wanted.ACR, " ") + `"`
			}
			if row.wanted.MaxAge > 0 {
				challenge += fmt.Sprintf(`, max_age="%d"`, row.wanted.MaxAge/time.Second)
			}
			claims := func(c map[string]any) {
				c["aud"], c["acr"], c["auth_time"] = ordersAPI, row.acr, w.clock.Now().Add(-row.ago).Unix()
				if row.ago == never {
					delete(c, "auth_time")
				}
			}
			for by, of := range map[string]struct {
				guard idserver.Guard
				token string
			}{
				"a client":      {w.RequireAuthentication(row.wanted), w.authenticated(row.acr, row.ago, "idserver-api")},
				"an API":        {api.RequireAuthentication(row.wanted), w.authenticated(row.acr, row.ago, ordersAPI)},
				"introspection": {asking.RequireAuthentication(row.wanted), w.provider.MintOpaqueToken("alice", claims)},
			} {
				for _, edit := range []edit{func(*idserver.Request) {}, navigates} {
					_, a := w.browser(t).pass(of.guard, "GET", "/pay", bearer(of.token), edit)
					switch {
					case a.Ends() == row.ok:
						t.Errorf("%s at %s: %d %s", name, by, a.Status, a.Body)
					case a.Ends() && (a.Status != 401 || a.Refusal.Code != idserver.CodeInsufficientAuthentication || field(a, "WWW-Authenticate") != challenge):
						t.Errorf("%s at %s: %d %q %s", name, by, a.Status, field(a, "WWW-Authenticate"), a.Body)
					}
				}
			}
		}
		_, a := w.browser(t).pass(w.RequireAuthentication(wants(time.Minute, "silver", "gold")), "GET", "/pay", bearer(w.authenticated("x", 0, "idserver-api")))
		if body := string(a.Body); !strings.Contains(body, `"acr_values":"silver gold","max_age":60`) || a.Refusal.User == nil || a.Refusal.Authentication.MaxAge != time.Minute {
			t.Errorf("the refusal does not tell what is wanted: %s", body)
		}
		if _, a := w.browser(t).pass(w.RequireAuthentication(wants(time.Minute)), "GET", "/pay"); a.Status != 401 || field(a, "WWW-Authenticate") != "Bearer" {
			t.Errorf("nobody: %d %q", a.Status, field(a, "WWW-Authenticate"))
		}
	})
}

func TestRequireAuthenticationPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, wanted := range map[string]idserver.Authentication{
			"nothing": {}, "an empty acr": wants(0, "gold", ""), "a space": wants(0, "a b"), "a quotation mark": wants(0, `a"`), "not ASCII": wants(0, "or"+"é"),
			"long ones": wants(0, strings.Repeat("a", 300), strings.Repeat("b", 300)), "half a second": wants(time.Second / 2), "a negative age": wants(-time.Second),
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: it is taken", name)
					}
				}()
				w.RequireAuthentication(wanted)
			}()
		}
	})
}

// What a guard wants does not change with the slice that it was made of, and nobody who is told changes it.
func TestAuthenticationIsCopied(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		acr := []string{"gold"}
		guard := w.RequireAuthentication(idserver.Authentication{ACR: acr})
		acr[0] = "bronze"
		token := bearer(w.authenticated("bronze", 0, "idserver-api"))
		for range 2 {
			_, a := w.browser(t).pass(guard, "GET", "/pay", token)
			if !a.Ends() {
				t.Fatal("it wants something else now")
			}
			a.Refusal.Authentication.ACR[0] = "bronze"
		}
	})
}

// toStepUp asks a guard with a browser that is signed in, and returns where it is sent to.
func (b *browser) toStepUp(guard idserver.Guard, method, target string, edits ...edit) string {
	b.t.Helper()
	_, a := b.pass(guard, method, target, append([]edit{navigates}, edits...)...)
	if a.Status != http.StatusSeeOther || a.Refusal != nil || !strings.HasPrefix(field(a, "Location"), "/auth/login?return_to=") {
		b.t.Fatalf("%s: %d %s %s", target, a.Status, field(a, "Location"), a.Body)
	}
	return field(a, "Location")
}

// A browser signs in again as it is wanted, and comes back to the page. What the session knows of the authentication outlives refreshes.
func TestStepUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		gold := w.RequireAuthentication(wants(time.Hour, "gold", "platinum"))
		b := w.signedIn(t, "alice")
		before, _ := b.visit()
		if before.ACR != "" || !before.AuthTime.Equal(w.clock.Now().Truncate(time.Second)) {
			t.Fatalf("acr %q, auth_time %v", before.ACR, before.AuthTime)
		}
		to := b.begin(b.toStepUp(gold, "GET", "/pay?amount=7"))
		if sent := query(t, to); sent.Get("acr_values") != "gold platinum" || sent.Get("max_age") != "3600" || sent.Has("claims") || sent.Has("prompt") {
			t.Fatalf("it asks for %v", sent)
		}
		if u, _ := b.visit(); u == nil {
			t.Fatal("who does not come back is signed out")
		}
		a := b.route("GET", w.authorize(t, to, "alice"), navigates)
		if a.Status != http.StatusSeeOther || field(a, "Location") != "/pay?amount=7" {
			t.Fatalf("callback: %d %s %s", a.Status, field(a, "Location"), a.Body)
		}
		ctx, a := b.pass(gold, "GET", "/pay?amount=7", navigates)
		if u := idserver.UserFrom(ctx); a.Ends() || u.ACR != "gold" || u.AuthTime.IsZero() {
			t.Fatalf("%d %v", a.Status, u)
		}
		w.clock.advance(14*time.Minute + 30*time.Second) // a refresh, whose ID token has the same
		ctx, a = b.pass(gold, "GET", "/pay", navigates)
		if u := idserver.UserFrom(ctx); a.Ends() || u.ACR != "gold" || cookiesSet(a) == 0 {
			t.Fatalf("after a refresh: %d %v", a.Status, u)
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "acr"); delete(c, "auth_time") })
		w.clock.advance(14*time.Minute + 30*time.Second)
		ctx, a = b.pass(gold, "GET", "/pay", navigates)
		if u := idserver.UserFrom(ctx); a.Ends() || u.ACR != "gold" || u.AuthTime.IsZero() || cookiesSet(a) == 0 {
			t.Fatalf("after a refresh that does not tell: %d %v", a.Status, u)
		}
		w.provider.SetIDTokenClaims(withACR("bronze"))
		w.clock.advance(14*time.Minute + 30*time.Second)
		b.toStepUp(gold, "GET", "/pay")
		w.provider.SetIDTokenClaims(nil)
		w.clock.advance(17 * time.Minute) // more than an hour after the sign-in
		b.toStepUp(w.RequireAuthentication(wants(time.Hour)), "GET", "/pay")
	})
}

// Nothing but the ID token says how a session's user was authenticated: an access token, and userinfo, may be of another sign-in.
func TestStepUpIsByTheIDToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { c["acr"], c["auth_time"] = "gold", w.clock.Now().Unix() })
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "auth_time") })
		b := w.signedIn(t, "alice")
		u, _ := b.visit()
		if u.ACR != "" || !u.AuthTime.IsZero() {
			t.Errorf("acr %q, auth_time %v", u.ACR, u.AuthTime)
		}
		b.toStepUp(w.RequireAuthentication(wants(0, "gold")), "GET", "/")
		b.toStepUp(w.RequireAuthentication(wants(time.Minute)), "GET", "/")
	})
}

// Who calls ExchangeCode sees the same: the user of the tokens, before there is a session.
func TestExchangeAuthenticationIsByTheIDToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { c["acr"], c["auth_time"] = "gold", w.clock.Now().Unix() })
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "auth_time") })
		r, code := authorizedCode(t, w, w.Client, "alice")
		tokens, err := w.ExchangeCode(t.Context(), code, r)
		if err != nil || tokens.User.ACR != "" || !tokens.User.AuthTime.IsZero() {
			t.Errorf("%v, %+v", err, tokens)
		}
	})
}

// Where the application asks for an age of its own, and a guard for another, the shorter one counts.
func TestStepUpAndTheApplicationsAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
				return idserver.AuthorizeOptions{MaxAge: 10 * time.Minute}, nil
			}
		})
		b := w.signedIn(t, "alice")
		w.clock.advance(2 * time.Minute)
		for age, want := range map[time.Duration]string{time.Minute: "60", 0: "600"} {
			guard := w.RequireAuthentication(wants(age, "gold"))
			if sent := query(t, b.begin(b.toStepUp(guard, "GET", "/pay"))); sent.Get("max_age") != want {
				t.Errorf("%v: max_age %s, want %s", age, sent.Get("max_age"), want)
			}
		}
		if sent := query(t, b.begin(b.toStepUp(w.RequireAuthentication(wants(time.Hour, "gold")), "GET", "/pay"))); sent.Get("max_age") != "600" {
			t.Errorf("an hour: max_age %s", sent.Get("max_age"))
		}
	})
}

// Where the metadata says that there is the claims parameter, the acr is asked for as essential, and nothing else asks for it.
func TestStepUpByClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.AuthorizeParameters = url.Values{"acr_values": {"bronze"}} })
		w.provider.SetMetadata(func(m map[string]any) { m["claims_parameter_supported"] = true })
		b := w.signedIn(t, "alice")
		sent := query(t, b.begin(b.toStepUp(w.RequireAuthentication(wants(0, "gold", "a&b")), "GET", "/pay")+"&acr_values=low"))
		if sent.Get("claims") != `{"id_token":{"acr":{"essential":true,"values":["gold","a&b"]}}}` && sent.Get("claims") != `{"id_token":{"acr":{"essential":true,"values":["gold","a\u0026b"]}}}` || sent.Has("acr_values") {
			t.Errorf("it asks for %v", sent)
		}
		if sent := query(t, b.begin("/auth/login?acr_values=low")); sent.Get("acr_values") != "bronze" || sent.Has("claims") {
			t.Errorf("a plain sign-in asks for %v", sent)
		}
	})
}

// A provider that does not comply: a page says so, once for each try, and the session that there was goes on.
func TestStepUpRefused(t *testing.T) {
	set := func(edit func(map[string]any)) func(*world) {
		return func(w *world) { w.provider.SetIDTokenClaims(edit) }
	}
	by := func(a idtest.Authentication) func(*world) {
		return func(w *world) { w.provider.SetAuthentication(a) }
	}
	for name, provider := range map[string]func(*world){
		"a lower acr":          by(idtest.Authentication{ACR: "silver"}),
		"long ago":             by(idtest.Authentication{Age: time.Hour}),
		"no acr":               set(func(c map[string]any) { delete(c, "acr") }),
		"acr is an array":      set(func(c map[string]any) { c["acr"] = []string{"gold"} }),
		"acr is null":          set(func(c map[string]any) { c["acr"] = nil }),
		"no auth_time":         set(func(c map[string]any) { delete(c, "auth_time") }),
		"a text for auth_time": set(func(c map[string]any) { c["auth_time"] = "now" }),
		"in the future":        set(func(c map[string]any) { c["auth_time"] = 3_000_000_000 }),
		"it cannot": func(w *world) {
			w.provider.SetMetadata(func(m map[string]any) { m["claims_parameter_supported"] = true })
			w.provider.SetAuthentication(idtest.Authentication{ACR: "silver"})
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			guard := w.RequireAuthentication(wants(5*time.Minute, "gold"))
			provider(w)
			w.provider.SetAccessTokenClaims(nil)
			b := w.browser(t)
			w.cfg.Logger.Info("sign in")
			// The first sign-in wants nothing.
			if a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates); a.Status != http.StatusSeeOther {
				t.Fatalf("a plain sign-in: %d %s", a.Status, a.Body)
			}
			to := b.toStepUp(guard, "GET", "/pay")
			a := b.route("GET", w.authorize(t, b.begin(to), "alice"), navigates)
			page := string(a.Body)
			if a.Status != 401 || a.Refusal.Code != idserver.CodeInsufficientAuthentication || !strings.Contains(page, "Code: insufficient_user_authentication") {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			again := a.Refusal.SignInURL
			if !strings.HasPrefix(again, "/auth/login?return_to=%2Fpay&step_up=") || !strings.HasSuffix(again, "&prompt=login") || !strings.Contains(page, "&amp;prompt=login") {
				t.Errorf("the page leads to %s", again)
			}
			if u, _ := b.visit(); u == nil {
				t.Error("the session that there was is over")
			}
			w.provider.SetAuthentication(idtest.Authentication{})
			w.provider.SetIDTokenClaims(nil)
			asked := b.begin(again)
			if sent := query(t, asked); sent.Get("prompt") != "login" || sent.Get("max_age") != "300" {
				t.Errorf("it asks for %v", sent)
			}
			if a := b.route("GET", w.authorize(t, asked, "alice"), navigates); a.Status != http.StatusSeeOther || field(a, "Location") != "/pay" {
				t.Fatalf("when it complies: %d %s", a.Status, a.Body)
			}
			if _, a := b.pass(guard, "GET", "/pay", navigates); a.Ends() {
				t.Errorf("%d", a.Status)
			}
		}))
	}
}

// Where offline_access is refused, the sign-in that begins again without it asks for the same.
func TestStepUpWithoutOfflineAccess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		at := b.begin(b.toStepUp(w.RequireAuthentication(wants(time.Minute, "gold")), "GET", "/pay"))
		a := b.route("GET", "/auth/callback?"+url.Values{
			"error": {"invalid_scope"}, "state": {query(t, at).Get("state")}, "iss": {w.provider.URL()},
		}.Encode(), navigates)
		if sent := query(t, field(a, "Location")); a.Status != http.StatusSeeOther || sent.Get("acr_values") != "gold" || sent.Get("max_age") != "60" {
			t.Fatalf("%d %v", a.Status, sent)
		}
		w.provider.SetAuthentication(idtest.Authentication{ACR: "silver"})
		if a := b.route("GET", w.authorize(t, field(a, "Location"), "alice"), navigates); a.Status != 401 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

// Two guards of one page that can never both be met do not send a browser round and round.
func TestStepUpGoesInNoCircle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		both := idserver.AllOf(w.RequireAuthentication(wants(0, "gold")), w.RequireAuthentication(wants(0, "silver")))
		b := w.signedIn(t, "alice")
		for range 2 {
			if a := b.route("GET", w.authorize(t, b.begin(b.toStepUp(both, "GET", "/pay")), "alice"), navigates); a.Status != http.StatusSeeOther {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		a := b.route("GET", b.toStepUp(both, "GET", "/pay"), navigates)
		if a.Status != 401 || a.Refusal.Code != idserver.CodeInsufficientAuthentication || !strings.Contains(w.log.String(), "two guards") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := b.route("GET", "/auth/login", navigates); a.Status != http.StatusSeeOther {
			t.Errorf("a plain sign-in: %d", a.Status)
		}
		w.clock.advance(31 * time.Second)
		b.begin(b.toStepUp(both, "GET", "/pay"))
	})
}

// After a POST the browser comes back to the page with the form, if that is this application's. Whoever cannot come back, and what
// is no browser's page, is told what is wanted.
func TestStepUpAfterPOST(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		guard := w.RequireAuthentication(wants(0, "gold"))
		b := w.signedIn(t, "alice")
		form := func(r *idserver.Request) {
			send(r, "Content-Type", "application/x-www-form-urlencoded")
			r.Body = strings.NewReader("amount=7")
		}
		from := func(referer string) edit { return func(r *idserver.Request) { send(r, "Referer", referer) } }
		to := b.toStepUp(guard, "POST", "/pay", form, from(base+"/cart?of=3"))
		if got := query(t, to).Get("return_to"); got != "/cart?of=3" {
			t.Errorf("it comes back to %q", got)
		}
		for name, referer := range map[string]string{"no referer": "", "another origin": "https://evil.example/cart", "the sign-in": base + "/auth/login", "an odd one": base + "//evil.example"} {
			_, a := b.pass(guard, "POST", "/pay", navigates, form, from(referer))
			if a.Status != 401 || a.Refusal == nil || a.Refusal.Code != idserver.CodeInsufficientAuthentication || !strings.Contains(string(a.Body), "What you sent was not saved") {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		_, a := b.pass(guard, "POST", "/pay", fetches, from(base+"/cart"))
		if a.Status != 401 || code(t, a) != idserver.CodeInsufficientAuthentication || field(a, "WWW-Authenticate") != `Bearer error="insufficient_user_authentication", acr_values="gold"` {
			t.Fatalf("a script: %d %s", a.Status, a.Body)
		}
		begun := b.route("GET", a.Refusal.SignInURL+"&return_to=%2Fcart", fetches)
		if begun.Status != 200 || !strings.Contains(string(begun.Body), "acr_values=gold") {
			t.Errorf("a script's sign-in: %d %s", begun.Status, begun.Body)
		}
		_, a = b.pass(guard, "GET", "/part", fetches, func(r *idserver.Request) { send(r, "Hx-Request", "true", "Hx-Current-Url", base+"/cart") })
		if to := field(a, "HX-Redirect"); a.Status != 401 || query(t, to).Get("return_to") != "/cart" || query(t, to).Get("step_up") == "" {
			t.Errorf("htmx: %d %s", a.Status, to)
		}
		if _, a = b.pass(guard, "GET", "/pay", navigates, func(r *idserver.Request) { send(r, "Sec-Purpose", "prefetch") }); a.Status != 401 {
			t.Errorf("a prefetch: %d", a.Status)
		}
		if _, a = b.pass(guard, "POST", "/pay", form, func(r *idserver.Request) {
			send(r, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example", "Referer", base+"/cart")
		}); a.Status != 403 || code(t, a) != idserver.CodeCrossSite {
			t.Errorf("a form of another site: %d", a.Status)
		}
	})
}

// Nobody else's link asks for less than the application, or for more than nothing.
func TestStepUpLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
				return idserver.AuthorizeOptions{ACR: []string{"silver"}, MaxAge: time.Minute}, nil
			}
		})
		b := w.browser(t)
		sealed := query(t, w.signedInBy(t, b).toStepUp(w.RequireAuthentication(wants(time.Hour, "gold")), "GET", "/pay")).Get("step_up")
		if len(sealed) > 200 {
			t.Errorf("the link has %d bytes", len(sealed))
		}
		other := w.client(t, func(c *idserver.Config) { c.SessionSecret = "another-secret-of-another-program-9f3kQ7xZ" })
		for name, row := range map[string]struct{ link, acr, maxAge string }{
			"nothing":            {"", "silver", "60"},
			"the guard's":        {"step_up=" + sealed, "gold", "60"},
			"a part of it":       {"step_up=" + sealed[:len(sealed)-4], "silver", "60"},
			"made up":            {"step_up=gold", "silver", "60"},
			"endless":            {"step_up=" + strings.Repeat("A", 9<<10), "silver", "60"},
			"a session":          {"step_up=" + b.sessionValue(), "silver", "60"},
			"by parameters":      {"acr_values=bronze&max_age=9999&claims=x", "silver", "60"},
			"of another program": {"step_up=" + query(t, field(second((&browser{t, other, map[string]string{}}).passSignedIn(w, other)), "Location")).Get("step_up"), "silver", "60"},
		} {
			sent := query(t, b.begin("/auth/login?"+row.link))
			if sent.Get("acr_values") != row.acr || sent.Get("max_age") != row.maxAge || sent.Has("claims") {
				t.Errorf("%s: it asks for %v", name, sent)
			}
		}
	})
}

// signedInBy signs alice in, in a browser, with whatever acr is asked for.
func (w *world) signedInBy(t *testing.T, b *browser) *browser {
	t.Helper()
	if a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates); a.Status != http.StatusSeeOther {
		t.Fatalf("callback: %d %s", a.Status, a.Body)
	}
	return b
}

// passSignedIn signs in at another client, and asks a guard of its.
func (b *browser) passSignedIn(w *world, client *idserver.Client) (context.Context, idserver.Answer) {
	return w.signedInBy(b.t, b).pass(client.RequireAuthentication(wants(0, "gold")), "GET", "/pay", navigates)
}

// By hand, and in a sign-in that the application itself wants to be of a kind: AuthorizeOptions.ACR.
func TestAuthorizeOptionsACR(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{ACR: []string{"gold", "silver"}})
		if err != nil || !slices.Equal(r.ACR, []string{"gold", "silver"}) || query(t, r.URL).Get("acr_values") != "gold silver" {
			t.Fatalf("%v %v", r, err)
		}
		for acr, ok := range map[string]bool{"silver": true, "bronze": false} {
			w.provider.SetAuthentication(idtest.Authentication{ACR: acr})
			code, err := w.ReadCallback(t.Context(), query(t, w.authorize(t, r.URL, "alice")).Encode(), r)
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := w.ExchangeCode(t.Context(), code, r)
			if ok && (err != nil || tokens.User.ACR != acr) || !ok && (err == nil || !strings.Contains(err.Error(), "(acr)")) {
				t.Errorf("%s: %v", acr, err)
			}
		}
		for name, o := range map[string]idserver.AuthorizeOptions{
			"a space":  {ACR: []string{"a b"}},
			"an empty": {ACR: []string{""}},
			"twice":    {ACR: []string{"a"}, Extra: url.Values{"acr_values": {"b"}}},
		} {
			if r, err := w.AuthorizeURL(t.Context(), o); err == nil {
				t.Errorf("%s: %s", name, r.URL)
			}
		}
		own := w.client(t, func(c *idserver.Config) {
			c.AuthorizeOptions = func(context.Context, idserver.Request) (idserver.AuthorizeOptions, error) {
				return idserver.AuthorizeOptions{ACR: []string{"a b"}}, nil
			}
		})
		if a := (&browser{t, own, map[string]string{}}).route("GET", "/auth/login", navigates); a.Status != 500 || code(t, a) != idserver.CodeInternal {
			t.Errorf("an odd acr of the application's: %d", a.Status)
		}
		claims := w.provider.MintIDToken("alice", w.cfg.ClientID, withACR("gold"), func(c map[string]any) { c["nonce"] = "n" })
		for acr, ok := range map[string]bool{"gold": true, "silver": false} {
			if _, err := w.ValidateIDToken(t.Context(), claims, idserver.IDTokenCheck{Nonce: "n", ACR: []string{acr}}); (err == nil) != ok {
				t.Errorf("%s: %v", acr, err)
			}
		}
	})
}

// To sign in again as it is wanted may help, where another role or account is further away.
func TestStepUpInAnyOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		guard := idserver.AnyOf(w.RequireRole("x"), w.RequireAuthentication(wants(0, "gold")))
		if _, a := w.browser(t).pass(guard, "GET", "/pay", bearer(w.provider.MintAccessToken("alice"))); a.Status != 401 || code(t, a) != idserver.CodeInsufficientAuthentication {
			t.Errorf("a program: %d %s", a.Status, a.Body)
		}
		b := w.signedIn(t, "alice")
		b.toStepUp(guard, "GET", "/pay")
		if _, a := b.pass(guard, "GET", "/pay", fetches); a.Status != 401 || code(t, a) != idserver.CodeInsufficientAuthentication || !strings.Contains(a.Refusal.SignInURL, "step_up=") {
			t.Errorf("a script: %d %s", a.Status, a.Body)
		}
		if _, a := b.pass(idserver.AnyOf(w.RequireAuthentication(wants(0, "gold")), w.RequireRole("admin")), "GET", "/pay", navigates); a.Ends() {
			t.Errorf("the role is enough: %d", a.Status)
		}
	})
}

// sessionValue returns the browser's session cookie.
func (b *browser) sessionValue() string {
	b.t.Helper()
	for name, value := range b.cookies {
		if name == "idserver-8080" {
			return value
		}
	}
	b.t.Fatalf("no session cookie among %q", slices.Collect(maps.Keys(b.cookies)))
	return ""
}
