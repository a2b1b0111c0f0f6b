package idserver_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestGuards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		browsers := map[string]*browser{}
		for _, login := range []string{"alice", "bob", "carol"} {
			browsers[login] = w.signedIn(t, login)
		}
		owner := func(u *idserver.User) bool { return u.Email == "bob@example.test" }
		for name, row := range map[string]struct {
			guard idserver.Guard
			code  idserver.RefusalCode // for who is not admitted
			admit string               // who is
		}{
			"user":                {w.RequireUser(), "", "alice bob carol"},
			"a role":              {w.RequireRole("ADMIN"), idserver.CodeInsufficientRole, "alice"},
			"any role":            {w.RequireRole("admin", "editor"), idserver.CodeInsufficientRole, "alice bob"},
			"a custom role":       {w.RequireRole("billing"), idserver.CodeInsufficientRole, "alice"},
			"not a custom role":   {w.RequireBuiltInRole("billing"), idserver.CodeInsufficientRole, ""},
			"built-in roles":      {w.RequireBuiltInRole("x", "Editor"), idserver.CodeInsufficientRole, "bob"},
			"all built-in roles":  {w.RequireAllBuiltInRoles("admin", "User"), idserver.CodeInsufficientRole, "alice"},
			"all, one is custom":  {w.RequireAllBuiltInRoles("admin", "billing"), idserver.CodeInsufficientRole, ""},
			"all roles":           {w.RequireAllRoles("admin", "billing"), idserver.CodeInsufficientRole, "alice"},
			"all roles, not some": {w.RequireAllRoles("user", "editor"), idserver.CodeInsufficientRole, ""},
			"a predicate":         {w.Require(owner), idserver.CodeNotAdmitted, "bob"},
		} {
			for login, b := range browsers {
				for how, edits := range map[string][]edit{"session": nil, "bearer": {bearer(w.provider.MintAccessToken(login))}} {
					ctx, a := b.pass(row.guard, "GET", "/x", edits...)
					admitted := strings.Contains(row.admit, login)
					if admitted == a.Ends() {
						t.Errorf("%s, %s by %s: ends with %d", name, login, how, a.Status)
					}
					if field(a, "Vary") != "Authorization, Cookie" {
						t.Errorf("%s: Vary is %q", name, field(a, "Vary"))
					}
					if u := idserver.UserFrom(ctx); admitted && (u == nil || u.Email != login+"@example.test") || !admitted && u != nil {
						t.Errorf("%s, %s by %s: the context has %v", name, login, how, u)
					}
					if !admitted && (a.Status != 403 || code(t, a) != row.code || field(a, "WWW-Authenticate") != "") {
						t.Errorf("%s, %s by %s: %d %s", name, login, how, a.Status, a.Body)
					}
				}
			}
		}
		_, a := browsers["carol"].pass(w.RequireRole("admin"), "GET", "/admin", navigates)
		if a.Status != 403 || code(t, a) != idserver.CodeInsufficientRole || !strings.HasPrefix(field(a, "Content-Type"), "text/html") {
			t.Errorf("a navigation without the role: %d %s", a.Status, a.Body)
		}
	})
}

func TestEmptyRolePanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, make := range map[string]func() idserver.Guard{
			"empty":     func() idserver.Guard { return w.RequireRole("") },
			"blank":     func() idserver.Guard { return w.RequireAllRoles("admin", " ") },
			"built-in":  func() idserver.Guard { return w.RequireBuiltInRole("admin", "") },
			"all built": func() idserver.Guard { return w.RequireAllBuiltInRoles("admin", "") },
			"predicate": func() idserver.Guard { return w.Require(nil) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: a guard that asks for nothing was made", name)
					}
				}()
				make()
			}()
		}
	})
}

// What comes without good credentials, in a browser that has alice's session.
func TestCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice := w.provider.MintAccessToken("alice")
		authorization := func(lines ...string) edit {
			return func(r *idserver.Request) { r.Header.(http.Header)["Authorization"] = lines }
		}
		for name, row := range map[string]struct {
			edits     []edit
			status    int
			code      idserver.RefusalCode
			challenge string
		}{
			"a broken token":              {[]edit{authorization("Bearer abc")}, 401, idserver.CodeInvalidToken, `Bearer error="invalid_token"`},
			"a broken token, navigating":  {[]edit{navigates, authorization("Bearer abc")}, 401, idserver.CodeInvalidToken, `Bearer error="invalid_token"`},
			"the ID token of a stranger":  {[]edit{authorization("Bearer " + w.provider.MintIDToken("alice", "other"))}, 401, idserver.CodeInvalidToken, `Bearer error="invalid_token"`},
			"an ID token":                 {[]edit{authorization("Bearer " + w.provider.MintIDToken("alice", "example", func(c map[string]any) { c["aud"] = "idserver-api"; c["nonce"] = "n" }))}, 401, idserver.CodeInvalidToken, `Bearer error="invalid_token"`},
			"no token":                    {[]edit{authorization("Bearer")}, 400, idserver.CodeInvalidRequest, `Bearer error="invalid_request"`},
			"an empty token":              {[]edit{authorization("Bearer ")}, 400, idserver.CodeInvalidRequest, `Bearer error="invalid_request"`},
			"two tokens in one":           {[]edit{authorization("Bearer " + alice + " " + alice)}, 400, idserver.CodeInvalidRequest, `Bearer error="invalid_request"`},
			"a comma":                     {[]edit{authorization("Bearer " + alice + ", Basic x")}, 400, idserver.CodeInvalidRequest, `Bearer error="invalid_request"`},
			"two headers":                 {[]edit{authorization("Bearer "+alice, "Bearer "+alice)}, 400, idserver.CodeInvalidRequest, `Bearer error="invalid_request"`},
			"an empty header":             {[]edit{authorization("")}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"another scheme":              {[]edit{authorization("Basic YTpi")}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"another scheme, navigating":  {[]edit{navigates, authorization("Basic YTpi")}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"Bearer glued to the token":   {[]edit{authorization("Bearer" + alice)}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"a tab for a space":           {[]edit{authorization("Bearer\t" + alice)}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"the scheme in small letters": {[]edit{authorization("bearer " + alice)}, 0, "", ""},
			"two spaces":                  {[]edit{authorization("Bearer  " + alice)}, 0, "", ""},
			"the session":                 {nil, 0, "", ""},
			"the session's cookie twice": {[]edit{func(r *idserver.Request) {
				r.Header.(http.Header)["Cookie"] = append(r.Header.(http.Header)["Cookie"], r.Header.(http.Header)["Cookie"][0])
			}}, 401, idserver.CodeNotSignedIn, "Bearer"},
			"the session among other lines": {[]edit{func(r *idserver.Request) {
				r.Header.(http.Header)["Cookie"] = append([]string{"a=b; broken; =; \"x"}, r.Header.(http.Header)["Cookie"]...)
			}}, 0, "", ""},
		} {
			b := w.signedIn(t, "alice")
			_, a := b.pass(w.RequireUser(), "GET", "/api/me", row.edits...)
			if a.Status != row.status || field(a, "WWW-Authenticate") != row.challenge {
				t.Errorf("%s: %d %q %s, want %d %q", name, a.Status, field(a, "WWW-Authenticate"), a.Body, row.status, row.challenge)
				continue
			}
			if row.status != 0 && code(t, a) != row.code {
				t.Errorf("%s: %s, want %s", name, a.Body, row.code)
			}
		}
	})
}

func TestSignedOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.browser(t)
		for name, row := range map[string]struct {
			method   string
			edits    []edit
			status   int
			location string
		}{
			"a navigation":               {"GET", []edit{navigates}, 303, "/auth/login?return_to=%2Fprofile%3Fa%3Db"},
			"an old browser":             {"GET", []edit{func(r *idserver.Request) { send(r, "Accept", "text/html") }}, 303, "/auth/login?return_to=%2Fprofile%3Fa%3Db"},
			"a script that takes HTML":   {"GET", []edit{func(r *idserver.Request) { fetches(r); send(r, "Accept", "text/html") }}, 401, ""},
			"a program":                  {"GET", nil, 401, ""},
			"HEAD":                       {"HEAD", []edit{navigates}, 401, ""},
			"a page of a hostile path":   {"GET", []edit{navigates, func(r *idserver.Request) { r.Path = "//evil.example" }}, 303, "/auth/login"},
			"a page of an endless query": {"GET", []edit{navigates, func(r *idserver.Request) { r.RawQuery = strings.Repeat("a", 3000) }}, 303, "/auth/login"},
		} {
			_, a := b.pass(w.RequireUser(), row.method, "/profile?a=b", row.edits...)
			if a.Status != row.status || field(a, "Location") != row.location {
				t.Errorf("%s: %d %q, want %d %q", name, a.Status, field(a, "Location"), row.status, row.location)
			}
			if a.Status == 401 && (code(t, a) != idserver.CodeNotSignedIn || field(a, "WWW-Authenticate") != "Bearer" || !strings.HasPrefix(field(a, "Content-Type"), "application/problem+json")) {
				t.Errorf("%s: %q %s", name, field(a, "WWW-Authenticate"), a.Body)
			}
		}
		for name, row := range map[string]struct {
			edits []edit
			back  string
		}{
			"a form":                     {[]edit{navigates}, `"/auth/login"`},
			"a form of a page here":      {[]edit{navigates, func(r *idserver.Request) { send(r, "Referer", base+"/form?a=b") }}, `"/auth/login?return_to=%2Fform%3Fa%3Db"`},
			"a form of a page elsewhere": {[]edit{navigates, func(r *idserver.Request) { send(r, "Referer", "https://evil.example/form") }}, `"/auth/login"`},
			"an old browser's form": {[]edit{func(r *idserver.Request) {
				send(r, "Accept", "text/html", "Content-Type", "Multipart/Form-Data; boundary=x")
			}}, `"/auth/login"`},
			"a form with a prefetch's mark": {[]edit{navigates, func(r *idserver.Request) { send(r, "Purpose", "prefetch") }}, `"/auth/login"`},
		} {
			if _, a := b.pass(w.RequireUser(), "POST", "/profile", row.edits...); a.Status != 401 || !strings.HasPrefix(field(a, "Content-Type"), "text/html") || !strings.Contains(string(a.Body), "<a href="+row.back+">Sign in</a>") || !strings.Contains(string(a.Body), "What you sent was not saved.") {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if _, a := b.pass(w.RequireUser(), "POST", "/profile", func(r *idserver.Request) { send(r, "Accept", "text/html", "Content-Type", "application/json") }); code(t, a) != idserver.CodeNotSignedIn {
			t.Errorf("what no form sends: %s", a.Body)
		}
		api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
		if _, a := b.pass(api.RequireUser(), "GET", "/", navigates); a.Status != 401 {
			t.Errorf("an API sends a navigation to %q", field(a, "Location"))
		}
	})
}

// The rules of net/http's CrossOriginProtection, against BaseURL.
func TestCrossSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://admin.example"} })
		from := func(site, origin string) edit {
			return func(r *idserver.Request) { send(r, "Sec-Fetch-Site", site, "Origin", origin) }
		}
		for name, row := range map[string]struct {
			method  string
			edit    edit
			refused bool
		}{
			"same origin":               {"POST", from("same-origin", base), false},
			"typed in":                  {"POST", from("none", ""), false},
			"not a browser":             {"POST", from("", ""), false},
			"old browser, same origin":  {"POST", from("", base), false},
			"a trusted origin":          {"PUT", from("cross-site", "https://admin.example"), false},
			"reading":                   {"GET", from("cross-site", "https://evil.example"), false},
			"asking for options":        {"OPTIONS", from("cross-site", "https://evil.example"), false},
			"another site":              {"POST", from("cross-site", "https://evil.example"), true},
			"a neighbour":               {"DELETE", from("same-site", "http://127.0.0.1:9090"), true},
			"old browser, another":      {"PATCH", from("", "https://evil.example"), true},
			"old browser, null":         {"POST", from("", "null"), true},
			"old browser, https of us":  {"POST", from("", "https://127.0.0.1:8080"), true},
			"same-origin is made up":    {"POST", from("Same-Origin", base), true},
			"an unknown method":         {"BREW", from("cross-site", "https://evil.example"), true},
			"a trusted origin's suffix": {"POST", from("cross-site", "https://admin.example.evil"), true},
		} {
			b := w.signedIn(t, "alice")
			ctx, a := b.pass(w.RequireUser(), row.method, "/api/echo", row.edit)
			if a.Ends() != row.refused || row.refused && (a.Status != 403 || code(t, a) != idserver.CodeCrossSite) {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if (idserver.UserFrom(ctx) == nil) != row.refused {
				t.Errorf("%s: the user is %v", name, idserver.UserFrom(ctx))
			}
			ctx, a = b.pass(w.LoadUser(), row.method, "/", row.edit)
			if a.Ends() || (idserver.UserFrom(ctx) == nil) != row.refused {
				t.Errorf("%s: LoadUser ends with %d, user %v", name, a.Status, idserver.UserFrom(ctx))
			}
			if _, a = b.pass(w.RequireUser(), row.method, "/api/echo", row.edit, bearer(w.provider.MintAccessToken("alice"))); a.Ends() {
				t.Errorf("%s with a bearer token: %d", name, a.Status)
			}
		}
	})
}

// A page may open a WebSocket to any origin, and its browser sends the cookies along (RFC 6455 section 10.2).
func TestCrossSiteHandshake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://admin.example"} })
		b := w.signedIn(t, "alice")
		for kind, row := range map[string]struct {
			method string
			header []string
		}{
			"an upgrade":           {"GET", []string{"Upgrade", "websocket"}},
			"a key alone":          {"GET", []string{"Sec-Websocket-Key", "x"}},
			"a version alone":      {"GET", []string{"Sec-Websocket-Version", "13"}},
			"the mode":             {"GET", []string{"Sec-Fetch-Mode", "websocket"}},
			"HTTP/2, RFC 8441":     {"CONNECT", nil},
			"another upgrade":      {"GET", []string{"Upgrade", "h2c"}},
			"a neighbour's mark":   {"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "same-site"}},
			"a mark that is a lie": {"GET", []string{"Upgrade", "websocket", "Sec-Fetch-Site", "same-origin"}},
		} {
			for origin, refused := range map[string]bool{
				base: false, "https://admin.example": false, "https://evil.example": true, "null": true, "http://127.0.0.1:9090": true,
				"https://127.0.0.1:8080": true, base + ".evil.example": true,
			} {
				sent := func(r *idserver.Request) { send(r, append(row.header, "Origin", origin)...) }
				if _, a := b.pass(w.RequireUser(), row.method, "/ws", sent); a.Ends() != refused || refused && code(t, a) != idserver.CodeCrossSite {
					t.Errorf("%s from %s: %d %s", kind, origin, a.Status, a.Body)
				}
				if ctx, _ := b.pass(w.LoadUser(), row.method, "/ws", sent); (idserver.UserFrom(ctx) == nil) != refused {
					t.Errorf("%s from %s: LoadUser finds %v", kind, origin, idserver.UserFrom(ctx))
				}
			}
		}
	})
}

// What follows a handshake on its connection is read as data by whoever takes that over: a handshake has no body, whoever
// sends it. Any other request may have one, and CONNECT's is the stream itself (RFC 8441).
func TestHandshakeWithBody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b, token := w.signedIn(t, "alice"), w.provider.MintAccessToken("alice")
		upgrades := func(r *idserver.Request) { send(r, "Upgrade", "websocket", "Sec-Websocket-Key", "x", "Origin", base) }
		body := func(from io.Reader) edit { return func(r *idserver.Request) { r.Body = from } }
		for name, row := range map[string]struct {
			method string
			edits  []edit
			status int
		}{
			"with a body":                  {"GET", []edit{upgrades, body(strings.NewReader("x"))}, 400},
			"with a body that may be none": {"GET", []edit{upgrades, body(strings.NewReader(""))}, 400},
			"with a body, and a token":     {"GET", []edit{upgrades, bearer(token), body(strings.NewReader("x"))}, 400},
			"without":                      {"GET", []edit{upgrades}, 0},
			"without, as net/http says it": {"GET", []edit{upgrades, body(http.NoBody)}, 0},
			"no handshake, with a body":    {"GET", []edit{body(strings.NewReader("x"))}, 0},
			"by CONNECT":                   {"CONNECT", []edit{origin(base), body(strings.NewReader("x"))}, 0},
			"of HTTP/2, posted with":       {"POST", []edit{origin(base), func(r *idserver.Request) { send(r, "Upgrade", "h2c") }, body(strings.NewReader("x"))}, 0},
		} {
			_, a := b.pass(w.RequireUser(), row.method, "/ws", row.edits...)
			if a.Status != row.status || row.status != 0 && code(t, a) != idserver.CodeInvalidHandshake {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if ctx, a := b.pass(w.LoadUser(), "GET", "/ws", upgrades, body(strings.NewReader("x"))); a.Ends() || idserver.UserFrom(ctx) != nil {
			t.Errorf("at an open page: %d, %v", a.Status, idserver.UserFrom(ctx))
		}
	})
}

func TestLoadUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, row := range map[string]struct {
			b     *browser
			edits []edit
			user  bool
		}{
			"nobody":         {w.browser(t), nil, false},
			"a session":      {w.signedIn(t, "alice"), nil, true},
			"a token":        {w.browser(t), []edit{bearer(w.provider.MintAccessToken("bob"))}, true},
			"a broken token": {w.signedIn(t, "alice"), []edit{bearer("x")}, false},
		} {
			ctx, a := row.b.pass(w.LoadUser(), "GET", "/", row.edits...)
			if a.Ends() || (idserver.UserFrom(ctx) != nil) != row.user {
				t.Errorf("%s: %d, user %v", name, a.Status, idserver.UserFrom(ctx))
			}
		}
	})
}

// Losing the provider is no fault of who asks: 503, never 401, and sessions go on.
func TestGuardWithoutProvider(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		b := w.signedIn(t, "alice")
		w.provider.Fail(idtest.Discovery, idtest.Fault{Status: 500})
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 500})

		fresh := w.client(t)
		_, a := (&browser{t, fresh, b.cookies}).pass(fresh.RequireUser(), "GET", "/", bearer(token))
		if a.Status != 503 || field(a, "Retry-After") == "" || code(t, a) != idserver.CodeProviderUnavailable || field(a, "WWW-Authenticate") != "" {
			t.Errorf("a token: %d %s", a.Status, a.Body)
		}
		if _, a := b.pass(fresh.RequireUser(), "GET", "/"); a.Ends() {
			t.Errorf("a session: %d", a.Status)
		}
		ctx, a := b.pass(fresh.LoadUser(), "GET", "/", bearer(token))
		if a.Ends() || idserver.UserFrom(ctx) != nil {
			t.Errorf("LoadUser: %d", a.Status)
		}
	})
}

// Somebody with thousands of roles, or long ones, does not write all of them into the log with each request.
func TestRefusalLogsSomeRoles(t *testing.T) {
	for name, row := range map[string]struct {
		roles []string
		want  string
	}{
		"thousands": {slices.Repeat([]string{"a-role"}, 2000), "and 1968 more"},
		"long ones": {[]string{strings.Repeat("r", 20_000)}, "[" + strings.Repeat("r", 64) + "]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetAccessTokenClaims(func(c map[string]any) { c["roles"], c["custom_roles"] = row.roles, row.roles })
			_, a := w.browser(t).pass(w.RequireRole("admin"), "GET", "/", bearer(w.provider.MintAccessToken("bob")))
			if log := w.log.String(); code(t, a) != idserver.CodeInsufficientRole || !strings.Contains(log, row.want) || len(log) > 2048 {
				t.Errorf("%d; the log has %d bytes: %.2000s", a.Status, len(log), log)
			}
		})
	}
}

// The log of a refusal tells the operator what to change, and nobody who was refused.
func TestRefusalLogsWhatIsNeeded(t *testing.T) {
	for name, row := range map[string]struct {
		ask   func(w *world)
		wants []string
	}{
		"a role": {func(w *world) {
			w.signedIn(t, "bob").pass(w.RequireRole("admin", "owner"), "GET", "/", navigates)
		}, []string{"code=insufficient_role", `wanted="[admin owner]"`, "roles=[editor]", "subject="}},
		"another site": {func(w *world) {
			w.signedIn(t, "bob").pass(w.RequireUser(), "POST", "/", fetches, origin("https://evil.example"), func(r *idserver.Request) { send(r, "Sec-Fetch-Site", "cross-site") })
		}, []string{"code=cross_site", "origin=https://evil.example", "sec_fetch_site=cross-site", "own_origin=" + base}},
		"an opaque token": {func(w *world) {
			w.RequireUser()(t.Context(), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer opaque"}}})
		}, []string{"opaque", "JWTs for this API"}},
		"an encrypted token": {func(w *world) {
			w.RequireUser()(t.Context(), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer a.b.c.d.e"}}})
		}, []string{"encrypted (five parts)"}},
		"a clock that is behind": {func(w *world) {
			token := w.provider.MintAccessToken("bob")
			w.clock.advance(-time.Minute)
			w.RequireUser()(t.Context(), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}})
		}, []string{"is in 1m0s", "IDSERVER_LEEWAY"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			row.ask(w)
			for _, want := range row.wants {
				if !strings.Contains(w.log.String(), want) {
					t.Errorf("no %q in the log:\n%s", want, w.log)
				}
			}
			if strings.Contains(w.log.String(), "0b0b") || strings.Contains(w.log.String(), "bob@") {
				t.Errorf("the log names the person:\n%s", w.log)
			}
		})
	}
}

// A megabyte in the place of a token is refused by its size: to look at each of its bytes first would be work for a stranger.
func TestBearerTokenOfAMegabyte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		for name, row := range map[string]struct {
			token string
			want  idserver.RefusalCode
		}{
			"letters":          {strings.Repeat("a", 1<<20), idserver.CodeInvalidToken},
			"what no token is": {strings.Repeat("a ", 1<<19), idserver.CodeInvalidToken},
			"short":            {"a b", idserver.CodeInvalidRequest},
			"with dots":        {strings.Repeat(".", 1<<20), idserver.CodeInvalidToken},
		} {
			_, a := w.browser(t).pass(w.RequireUser(), "GET", "/", func(r *idserver.Request) { send(r, "Authorization", "Bearer "+row.token) })
			if code(t, a) != row.want {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if log := w.log.String(); len(log) > 10_000 {
			t.Errorf("the log has %d bytes", len(log))
		}
	})
}
