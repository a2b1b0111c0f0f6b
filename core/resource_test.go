package idserver_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

const ordersAPI = "https://api.example.test/orders"

// resource makes an API of the world's client.
func (w *world) resource(t *testing.T, cfg idserver.ResourceConfig) *idserver.Resource {
	t.Helper()
	r, err := w.NewResource(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResourceTokens(t *testing.T) {
	plain := idserver.ResourceConfig{Identifier: ordersAPI}
	slash := idserver.ResourceConfig{Identifier: ordersAPI + "/", IgnoreFinalSlash: true}
	typed := idserver.ResourceConfig{Identifier: ordersAPI, OnlyTyped: true}
	aud := func(value any) func(*idToken) { return claim("aud", value) }
	for name, row := range map[string]struct {
		cfg  idserver.ResourceConfig
		edit func(*idToken)
		want idserver.Reason // "": it is good
	}{
		"its audience":                       {plain, aud(ordersAPI), ""},
		"its audience among others":          {plain, aud([]string{"x", ordersAPI}), ""},
		"the client's audience":              {plain, aud("idserver-api"), idserver.ReasonAudience},
		"no audience":                        {plain, aud(nil), idserver.ReasonAudience},
		"an empty audience":                  {plain, aud(""), idserver.ReasonAudience},
		"a slash more":                       {plain, aud(ordersAPI + "/"), idserver.ReasonAudience},
		"another case":                       {plain, aud(strings.ToUpper(ordersAPI)), idserver.ReasonAudience},
		"a longer path":                      {plain, aud(ordersAPI + "/x"), idserver.ReasonAudience},
		"the slash ignored: as it is":        {slash, aud(ordersAPI + "/"), ""},
		"the slash ignored: one less":        {slash, aud([]string{"x", ordersAPI}), ""},
		"the slash ignored: one more":        {idserver.ResourceConfig{Identifier: ordersAPI, IgnoreFinalSlash: true}, aud(ordersAPI + "/"), ""},
		"the slash ignored: two":             {slash, aud(ordersAPI + "//"), idserver.ReasonAudience},
		"the slash ignored: a query":         {slash, aud(ordersAPI + "/?"), idserver.ReasonAudience},
		"the slash ignored: the client's":    {slash, aud("idserver-api"), idserver.ReasonAudience},
		"typed":                              {typed, aud(ordersAPI), ""},
		"typed, with application/":           {typed, all(aud(ordersAPI), header("typ", "application/at+jwt")), ""},
		"JWT":                                {plain, all(aud(ordersAPI), header("typ", "JWT")), ""},
		"JWT where at+jwt is wanted":         {typed, all(aud(ordersAPI), header("typ", "JWT")), idserver.ReasonType},
		"no typ where at+jwt is wanted":      {typed, all(aud(ordersAPI), header("typ", nil)), idserver.ReasonType},
		"an ID token of the same audience":   {plain, all(aud(ordersAPI), header("typ", "JWT"), claim("nonce", "n"), claim("client_id", nil), claim("scope", nil)), idserver.ReasonType},
		"bound to a key":                     {plain, all(aud(ordersAPI), claim("cnf", map[string]string{"jkt": "x"})), idserver.ReasonType},
		"expired, within the client's":       {plain, all(aud(ordersAPI), dated("exp", -9)), ""},
		"expired, and no leeway":             {idserver.ResourceConfig{Identifier: ordersAPI, Leeway: -1}, all(aud(ordersAPI), dated("iat", -99), dated("exp", -1)), idserver.ReasonExpired},
		"expired, within its own leeway":     {idserver.ResourceConfig{Identifier: ordersAPI, Leeway: time.Minute}, all(aud(ordersAPI), dated("iat", -99), dated("exp", -59)), ""},
		"expired, beyond its own leeway":     {idserver.ResourceConfig{Identifier: ordersAPI, Leeway: time.Minute}, all(aud(ordersAPI), dated("iat", -99), dated("exp", -60)), idserver.ReasonExpired},
		"of another issuer":                  {plain, all(aud(ordersAPI), claim("iss", "https://other.example")), idserver.ReasonIssuer},
		"of its own issuer":                  {idserver.ResourceConfig{Identifier: ordersAPI, Issuer: "https://other.example"}, all(aud(ordersAPI), claim("iss", "https://other.example")), ""},
		"of the client's, where it has one":  {idserver.ResourceConfig{Identifier: ordersAPI, Issuer: "https://other.example"}, aud(ordersAPI), idserver.ReasonIssuer},
		"no URL":                             {idserver.ResourceConfig{Identifier: "orders"}, aud("orders"), ""},
		"its own, and a slash, and no URL":   {idserver.ResourceConfig{Identifier: "orders"}, aud("orders/"), idserver.ReasonAudience},
		"unsigned":                           {plain, all(aud(ordersAPI), header("alg", "none")), idserver.ReasonAlgorithm},
		"the client itself, and typ at+jwt":  {idserver.ResourceConfig{Identifier: "example"}, aud("example"), ""},
		"the client itself, and nothing say": {idserver.ResourceConfig{Identifier: "example"}, all(aud("example"), header("typ", "JWT"), claim("client_id", nil), claim("scope", nil)), idserver.ReasonType},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			made := newAccessToken(w)
			if strings.HasPrefix(name, "expired, within the client's") {
				made.claims["iat"] = made.in(-99)
			}
			row.edit(made)
			token, r := made.token(), w.resource(t, row.cfg)
			for range 2 { // the second time from memory, if it is good
				_, err := r.ValidateAccessToken(t.Context(), token)
				ctx, a := w.browser(t).pass(r.RequireUser(), "GET", "/orders", bearer(token))
				if row.want == "" {
					if err != nil || a.Ends() || idserver.UserFrom(ctx) == nil || idserver.AccessTokenFrom(ctx) != token {
						t.Fatalf("got %v, %d %s", err, a.Status, a.Body)
					}
					continue
				}
				refused(t, err, row.want)
				if a.Status != 401 || code(t, a) != idserver.CodeInvalidToken {
					t.Errorf("got %d %s", a.Status, a.Body)
				}
			}
		}))
	}
}

// A token that one API took, and that is remembered, is still none for another API or for the client.
func TestResourcesShareOnlyKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		orders, bills := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI}), w.resource(t, idserver.ResourceConfig{Identifier: "bills"})
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI })
		both := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = []string{ordersAPI, "bills", "idserver-api"} })
		for range 2 {
			for guard, wants := range map[*idserver.Guard][]bool{
				new(orders.RequireUser()): {true, true}, new(bills.RequireUser()): {false, true}, new(w.RequireUser()): {false, true},
			} {
				for i, sent := range []string{token, both} {
					if _, a := w.browser(t).pass(*guard, "GET", "/", bearer(sent)); a.Ends() == wants[i] {
						t.Errorf("token %d: %d %s", i, a.Status, a.Body)
					}
				}
			}
		}
		if err := w.RevokeToken(t.Context(), both); err != nil {
			t.Fatal(err)
		}
		if _, err := bills.ValidateAccessToken(t.Context(), both); !errors.Is(err, idserver.ReasonRevoked) {
			t.Errorf("revoked by the client: %v", err)
		}
	})
}

// A guard of the client in front, such as a group's, decides nothing for the API behind it, and the other way round.
func TestResourceBehindClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, Scopes: []string{"orders:read", "orders:write"}})
		b := w.signedIn(t, "alice")
		ctx, a := b.pass(w.RequireUser(), "GET", "/", fetches)
		if a.Ends() {
			t.Fatalf("%d", a.Status)
		}
		if _, a = r.RequireUser()(ctx, b.request("GET", "/", []edit{fetches})); a.Status != 401 || code(t, a) != idserver.CodeNotSignedIn {
			t.Errorf("a session behind the client's guard: %d %s", a.Status, a.Body)
		}
		if ctx, a = r.LoadUser()(ctx, b.request("GET", "/", []edit{fetches})); a.Ends() || a.SameContext && idserver.UserFrom(ctx) == nil {
			t.Errorf("LoadUser: %d", a.Status)
		}
		if _, a = b.pass(r.RequireUser(), "GET", "/", navigates); a.Status != 401 || field(a, "WWW-Authenticate") != `Bearer scope="orders:read orders:write"` || field(a, "Vary") != "Authorization" {
			t.Errorf("a page: %d %q %q", a.Status, field(a, "WWW-Authenticate"), field(a, "Vary"))
		}
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI })
		ctx, a = b.pass(r.RequireUser(), "POST", "/", bearer(token), origin("https://evil.example"))
		if a.Ends() {
			t.Fatalf("a token with a session: %d %s", a.Status, a.Body)
		}
		if _, a = w.RequireUser()(ctx, b.request("GET", "/", []edit{bearer(token)})); a.Status != 401 {
			t.Errorf("the client behind the API: %d", a.Status)
		}
		if got, err := w.TokenSource(ctx).Token(); err != nil || got.AccessToken != token {
			t.Errorf("the client's TokenSource behind the API: %v", err)
		}
		_, a = b.pass(r.RequireUser(), "GET", "/", bearer("abc"))
		if want := `Bearer error="invalid_token", scope="orders:read orders:write"`; field(a, "WWW-Authenticate") != want {
			t.Errorf("a bad token: %q", field(a, "WWW-Authenticate"))
		}
		_, a = b.pass(r.RequireScope("orders:admin"), "GET", "/", bearer(token))
		if want := `Bearer error="insufficient_scope", scope="orders:admin"`; a.Status != 403 || field(a, "WWW-Authenticate") != want {
			t.Errorf("without the scope: %d %q", a.Status, field(a, "WWW-Authenticate"))
		}
		either := idserver.AnyOf(w.RequireUser(), r.RequireUser())
		for name, edits := range map[string][]edit{"the session": {fetches}, "the API's token": {bearer(token)}, "the client's token": {bearer(w.provider.MintAccessToken("bob"))}} {
			if _, a := b.pass(either, "GET", "/", edits...); a.Ends() {
				t.Errorf("either, by %s: %d %s", name, a.Status, a.Body)
			}
		}
		gateway := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, Header: "X-Token"})
		_, a = b.pass(idserver.AnyOf(gateway.RequireUser(), w.RequireUser()), "GET", "/", fetches)
		for _, vary := range []string{"X-Token", "Authorization, Cookie"} {
			if !slices.Contains(a.Add, idserver.Field{Name: "Vary", Value: vary}) {
				t.Errorf("the answer depends on %s, and says %v", vary, a.Add)
			}
		}
	})
}

func TestResourceHeader(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, Header: "x-access-token"})
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI })
		for name, row := range map[string]struct {
			lines  []string
			status int
			code   idserver.RefusalCode
		}{
			"the token alone":       {[]string{token}, 0, ""},
			"after Bearer":          {[]string{"Bearer " + token}, 0, ""},
			"after bearer, spaces":  {[]string{"bearer   " + token}, 0, ""},
			"after another scheme":  {[]string{"DPoP " + token}, 401, idserver.CodeNotSignedIn},
			"twice":                 {[]string{token, token}, 400, idserver.CodeInvalidRequest},
			"two in a line":         {[]string{token + "," + token}, 400, idserver.CodeInvalidRequest},
			"empty":                 {[]string{""}, 400, idserver.CodeInvalidRequest},
			"Bearer alone":          {[]string{"Bearer"}, 401, idserver.CodeInvalidToken},
			"no token at all":       {[]string{"hello"}, 401, idserver.CodeInvalidToken},
			"in Authorization only": {nil, 401, idserver.CodeNotSignedIn},
		} {
			ctx, a := w.browser(t).pass(r.RequireUser(), "GET", "/", bearer(token), func(r *idserver.Request) {
				r.Header.(http.Header)["X-Access-Token"] = row.lines
			})
			if a.Status != row.status || field(a, "Vary") != "X-Access-Token" || (idserver.UserFrom(ctx) != nil) != (row.status == 0) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if row.status != 0 && code(t, a) != row.code {
				t.Errorf("%s: %s", name, a.Body)
			}
			if row.status == 400 && !strings.Contains(string(a.Body), "X-Access-Token") {
				t.Errorf("%s: the document speaks of another field: %s", name, a.Body)
			}
		}
		if got := r.SecuritySchemes()["token"]; got["name"] != "X-Access-Token" || got["in"] != "header" || got["type"] != "apiKey" {
			t.Errorf("schemes: %v", got)
		}
	})
}

// In front of guards of the same API, one decides for the next, and for no request with another token.
func TestResourceGuardBehindItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, Header: "X-Token"})
		send := func(login string) idserver.Request {
			token := w.provider.MintAccessToken(login, func(c map[string]any) { c["aud"] = ordersAPI })
			return idserver.Request{Method: "GET", Path: "/", Header: http.Header{"X-Token": {token}}}
		}
		alice, bob := send("alice"), send("bob")
		ctx, _ := r.RequireUser()(t.Context(), alice)
		if _, a := r.RequireRole("admin")(ctx, alice); a.Ends() || !a.SameContext {
			t.Errorf("alice behind alice: %d", a.Status)
		}
		if _, a := r.RequireRole("admin")(ctx, bob); a.Status != 403 {
			t.Errorf("bob behind alice: %d", a.Status)
		}
	})
}

func TestResourceConfigFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		good := idserver.ResourceConfig{Identifier: ordersAPI}
		for name, row := range map[string]struct {
			edit  func(*idserver.ResourceConfig)
			fault string
		}{
			"no identifier":         {func(c *idserver.ResourceConfig) { c.Identifier = "" }, "Identifier is empty"},
			"with spaces":           {func(c *idserver.ResourceConfig) { c.Identifier = " a" }, "Identifier"},
			"beyond ASCII":          {func(c *idserver.ResourceConfig) { c.Identifier = "https://ä.example" }, "Identifier"},
			"giant":                 {func(c *idserver.ResourceConfig) { c.Identifier = strings.Repeat("x", 3000) }, "at most 2048"},
			"with a fragment":       {func(c *idserver.ResourceConfig) { c.Identifier = ordersAPI + "#x" }, "fragment"},
			"a slash of no URL":     {func(c *idserver.ResourceConfig) { c.Identifier, c.IgnoreFinalSlash = "orders", true }, "IgnoreFinalSlash"},
			"two scopes in one":     {func(c *idserver.ResourceConfig) { c.Scopes = []string{"good", "a b"} }, `Scopes has "a b"`},
			"a scope with a quote":  {func(c *idserver.ResourceConfig) { c.Scopes = []string{`a"`} }, "Scopes"},
			"a long leeway":         {func(c *idserver.ResourceConfig) { c.Leeway = time.Hour }, "Leeway 1h0m0s: want at most 5m0s"},
			"an issuer without URL": {func(c *idserver.ResourceConfig) { c.Issuer = "me" }, "Issuer"},
			"an issuer's space":     {func(c *idserver.ResourceConfig) { c.Issuer = "https://a.example " }, "Issuer"},
			"a template":            {func(c *idserver.ResourceConfig) { c.Issuer = "https://sts.windows.net/{tenantid}/" }, "Issuer"},
			"the cookie":            {func(c *idserver.ResourceConfig) { c.Header = "cookie" }, "Header"},
			"a browser's":           {func(c *idserver.ResourceConfig) { c.Header = "Sec-Fetch-Mode" }, "Header"},
			"no name of a field":    {func(c *idserver.ResourceConfig) { c.Header = "X Token" }, "Header"},
		} {
			cfg := good
			row.edit(&cfg)
			if r, err := w.NewResource(cfg); err == nil || r != nil || !strings.Contains(err.Error(), row.fault) || !errors.Is(err, idserver.Err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := w.NewResource(idserver.ResourceConfig{Leeway: time.Hour, Header: "Cookie"})
		if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
			t.Errorf("three faults: %v", err)
		}
		tenants := w.client(t, func(c *idserver.Config) { c.Provider.Tenants = []string{"9188040d-6c67-4c5b-b112-36a304b66dad"} })
		for issuer, good := range map[string]bool{"https://sts.windows.net/{tenantid}/": true, "https://sts.windows.net/x/": false} {
			if _, err := tenants.NewResource(idserver.ResourceConfig{Identifier: "api://orders", Issuer: issuer}); (err == nil) != good {
				t.Errorf("%s for a client of several tenants: %v", issuer, err)
			}
		}
	})
}

// A resource is what an adapter takes, and has nothing to mount.
func TestResourceInAdapter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI})
		var guards idserver.Guards = r
		if _, err := guards.Routes("/"); err == nil || !errors.Is(err, idserver.Err) {
			t.Errorf("Routes: %v", err)
		}
		if err := guards.CheckProcesses(); err != nil {
			t.Error(err)
		}
		before := w.log.String()
		if guards.CheckHeaderLimit(4096); w.log.String() != before {
			t.Error("a header limit is of no concern without cookies")
		}
		if got := r.String(); got != `idserver.Resource{Identifier: "`+ordersAPI+`"}` {
			t.Error(got)
		}
		schemes := r.SecuritySchemes()
		if _, ok := schemes["session"]; ok || !strings.Contains(schemes["bearer"]["description"], ordersAPI) {
			t.Errorf("schemes: %v", schemes)
		}
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI; c["scope"] = "a b" })
		for name, guard := range map[string]idserver.Guard{
			"LoadUser": r.LoadUser(), "RequireRole": r.RequireRole("x", "admin"), "RequireAllRoles": r.RequireAllRoles("admin", "billing"),
			"RequireBuiltInRole": r.RequireBuiltInRole("admin"), "RequireAllBuiltInRoles": r.RequireAllBuiltInRoles("admin"),
			"RequireScope": r.RequireScope("a", "b"), "RequireAnyScope": r.RequireAnyScope("x", "b"),
			"Require": r.Require(func(u *idserver.User) bool { return slices.Equal(u.Scopes, []string{"a", "b"}) }),
		} {
			if ctx, a := w.browser(t).pass(guard, "GET", "/", bearer(token)); a.Ends() || idserver.UserFrom(ctx) == nil {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}
