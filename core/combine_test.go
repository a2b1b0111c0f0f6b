package idserver_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// refusesWith is a guard of an application that refuses with a status and a header field of its own.
func refusesWith(status int) idserver.Guard {
	return func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
		return ctx, idserver.Answer{Status: status, Set: []idserver.Field{{Name: "X-Own", Value: "1"}}}
	}
}

func TestAllOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		user, admin, scope := w.RequireUser(), w.RequireRole("admin"), w.RequireScope("orders:read")
		own := func(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
			return context.WithValue(ctx, ownKey{}, "own"), idserver.Answer{Set: []idserver.Field{{Name: "X-Own", Value: "1"}, {Name: "Cache-Control", Value: "max-age=1"}}}
		}
		token := w.scoped(map[string]any{"scope": "orders:read"})
		for name, row := range map[string]struct {
			guard  idserver.Guard
			token  string
			status int
			code   idserver.RefusalCode
		}{
			"one":                    {idserver.AllOf(user), token, 0, ""},
			"all":                    {idserver.AllOf(user, admin, scope), token, 0, ""},
			"the last refuses":       {idserver.AllOf(user, admin, w.RequireScope("x")), token, 403, idserver.CodeInsufficientScope},
			"the first that refuses": {idserver.AllOf(w.RequireRole("x"), w.RequireScope("x")), token, 403, idserver.CodeInsufficientRole},
			"nobody":                 {idserver.AllOf(w.LoadUser(), user), "", 401, idserver.CodeNotSignedIn},
			"an open one":            {idserver.AllOf(w.LoadUser(), own), "", 0, ""},
			"in one another":         {idserver.AllOf(idserver.AllOf(user, admin), idserver.AllOf(scope)), token, 0, ""},
			"an own guard":           {idserver.AllOf(own, user), token, 0, ""},
		} {
			var edits []edit
			if row.token != "" {
				edits = append(edits, bearer(row.token))
			}
			ctx, a := w.browser(t).pass(row.guard, "GET", "/x", edits...)
			if a.Status != row.status || a.Ends() && code(t, a) != row.code {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if u := idserver.UserFrom(ctx); (u != nil) != (row.token != "" && row.status == 0) {
				t.Errorf("%s: the context has %v", name, u)
			}
			if n := strings.Count(fieldsOf(a, "Vary"), "Authorization, Cookie"); n != 1 {
				t.Errorf("%s: Vary is %q", name, fieldsOf(a, "Vary"))
			}
		}
		ctx, a := w.browser(t).pass(idserver.AllOf(own, user), "GET", "/x", bearer(token))
		if ctx.Value(ownKey{}) != "own" || field(a, "X-Own") != "1" || field(a, "Cache-Control") != "max-age=1" {
			t.Errorf("what the own guard found and set is lost: %v", a)
		}
		_, a = w.browser(t).pass(idserver.AllOf(own, w.RequireRole("x")), "GET", "/x", bearer(token))
		if field(a, "X-Own") != "1" || field(a, "Cache-Control") != "no-store" {
			t.Errorf("a refusal behind an own guard: %v %q", a, field(a, "Cache-Control"))
		}
	})
}

type ownKey struct{}

// fieldsOf returns all lines of a field.
func fieldsOf(a idserver.Answer, name string) string {
	var lines []string
	for _, fields := range [][]idserver.Field{a.Set, a.Absent, a.Add} {
		for _, f := range fields {
			if f.Name == name {
				lines = append(lines, f.Value)
			}
		}
	}
	return strings.Join(lines, "\n")
}

func TestAnyOf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other := idtest.NewProvider(t, func(o *idtest.Options) {
			o.Now, o.InMemory, o.BaseURL = w.clock.Now, true, "http://localhost:2"
		})
		cfg := other.Config("")
		cfg.Now, cfg.Logger = w.clock.Now, w.cfg.Logger
		second, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Close)
		away := w.client(t, func(c *idserver.Config) { c.Authority = "http://localhost:3" })
		user, scope, role := w.RequireUser(), w.RequireScope("orders:read"), w.RequireRole("x")
		token := w.provider.MintAccessToken("alice")
		foreign := other.MintAccessToken("alice")
		for name, row := range map[string]struct {
			guard  idserver.Guard
			token  string
			status int
			code   idserver.RefusalCode
		}{
			"the first":                          {idserver.AnyOf(user, role), token, 0, ""},
			"the second":                         {idserver.AnyOf(role, user), token, 0, ""},
			"the last":                           {idserver.AnyOf(role, scope, w.RequireRole("admin")), token, 0, ""},
			"none: the first of those that know": {idserver.AnyOf(scope, role), token, 403, idserver.CodeInsufficientScope},
			"nobody":                             {idserver.AnyOf(scope, role), "", 401, idserver.CodeNotSignedIn},
			"another client's":                   {idserver.AnyOf(user, second.RequireUser()), foreign, 0, ""},
			"another client's, who may not":      {idserver.AnyOf(user, second.RequireRole("x")), foreign, 403, idserver.CodeInsufficientRole},
			"neither client's":                   {idserver.AnyOf(user, second.RequireUser()), "abc", 401, idserver.CodeInvalidToken},
			"one is away":                        {idserver.AnyOf(away.RequireUser(), second.RequireUser()), foreign, 0, ""},
			"in one another":                     {idserver.AnyOf(idserver.AnyOf(role, scope), idserver.AllOf(user, w.RequireRole("admin"))), token, 0, ""},
			"in one another, none":               {idserver.AnyOf(idserver.AnyOf(scope, role), idserver.AllOf(user, role)), token, 403, idserver.CodeInsufficientScope},
			"all of them in any":                 {idserver.AnyOf(idserver.AllOf(user, role), idserver.AllOf(user, scope)), token, 403, idserver.CodeInsufficientRole},
			"an open one":                        {idserver.AnyOf(role, w.LoadUser()), "", 0, ""},
		} {
			var edits []edit
			if row.token != "" {
				edits = append(edits, bearer(row.token))
			}
			before := strings.Count(w.log.String(), "request refused")
			ctx, a := w.browser(t).pass(row.guard, "GET", "/x", edits...)
			refusals := strings.Count(w.log.String(), "request refused") - before
			if a.Status != row.status || a.Ends() && code(t, a) != row.code {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
				continue
			}
			if want := map[bool]int{true: 1, false: 0}[a.Ends()]; refusals != want {
				t.Errorf("%s: %d refusals in the log, want %d", name, refusals, want)
			}
			if u := idserver.UserFrom(ctx); (u != nil) != (row.token != "" && row.status == 0) {
				t.Errorf("%s: the context has %v", name, u)
			}
			if n := strings.Count(fieldsOf(a, "Vary"), "Authorization, Cookie"); n != 1 {
				t.Errorf("%s: Vary is %q", name, fieldsOf(a, "Vary"))
			}
			if a.Ends() { // what is behind the trial is none of its business
				continue
			}
			if _, a := role(ctx, w.browser(t).request("GET", "/x", edits)); a.Status == 0 || len(a.Body) == 0 {
				t.Errorf("%s: a guard behind it answers %d %q", name, a.Status, a.Body)
			}
		}
	})
}

// While a provider is away that might know the token, nobody says that it is not valid.
func TestAnyOfUnavailable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		away := w.client(t)
		w.provider.Fail(idtest.Discovery, idtest.Fault{Drop: true})
		api := idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory, o.BaseURL = true, "http://localhost:2" })
		cfg := api.Config("")
		second, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Close)
		for name, guard := range map[string]idserver.Guard{
			"first": idserver.AnyOf(away.RequireUser(), second.RequireUser()), "last": idserver.AnyOf(second.RequireUser(), away.RequireUser()),
		} {
			if _, a := w.browser(t).pass(guard, "GET", "/x", bearer(token)); a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// A navigation without a session goes to sign in, also if another guard is for programs; one with a session is told what it lacks.
func TestAnyOfInBrowsers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		program := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
		guard := idserver.AnyOf(program.RequireUser(), w.RequireRole("admin"))
		if _, a := w.browser(t).pass(guard, "GET", "/x", navigates); a.Status != 303 || !strings.HasPrefix(field(a, "Location"), "/auth/login") {
			t.Errorf("a stranger: %d %s", a.Status, a.Body)
		}
		if _, a := w.signedIn(t, "bob").pass(guard, "GET", "/x", navigates); a.Status != 403 || code(t, a) != idserver.CodeInsufficientRole {
			t.Errorf("bob: %d %s", a.Status, a.Body)
		}
		if _, a := w.signedIn(t, "alice").pass(guard, "GET", "/x", navigates); a.Ends() {
			t.Errorf("alice: %d %s", a.Status, a.Body)
		}
		if _, a := w.signedIn(t, "alice").pass(guard, "POST", "/x", func(r *idserver.Request) { send(r, "Sec-Fetch-Site", "cross-site") }); a.Status != 403 || code(t, a) != idserver.CodeCrossSite {
			t.Errorf("from elsewhere: %d %s", a.Status, a.Body)
		}
	})
}

// A session is refreshed once, and its cookies arrive whichever guard admits.
func TestAnyOfRenews(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
		for name, guard := range map[string]idserver.Guard{
			"the same client admits": idserver.AnyOf(w.RequireRole("x"), w.RequireScope("x"), w.RequireUser()),
			"another guard admits":   idserver.AnyOf(w.RequireRole("x"), w.RequireScope("x"), other.LoadUser()),
			"none admits":            idserver.AnyOf(w.RequireRole("x"), w.RequireScope("x"), refusesWith(403)),
		} {
			b := w.signedIn(t, "alice")
			before := w.provider.Requests(idtest.Token)
			w.clock.advance(14*time.Minute + 30*time.Second)
			_, a := guard(t.Context(), b.request("GET", "/x", []edit{navigates}))
			if n := w.provider.Requests(idtest.Token) - before; n != 1 {
				t.Errorf("%s: %d refreshes", name, n)
			}
			if n := strings.Count(fieldsOf(a, "Set-Cookie"), "idserver"); n != 1 {
				t.Errorf("%s: cookies %q", name, fieldsOf(a, "Set-Cookie"))
			}
			if h := (http.Header{}); !a.Ends() {
				a.WriteHeader(h)
				if cache := h.Get("Cache-Control"); !strings.Contains(cache, "private") && !strings.Contains(cache, "no-store") {
					t.Errorf("%s: Cache-Control is %q", name, cache)
				}
			}
			b.keep(a)
			if !b.admits(w.Client) {
				t.Errorf("%s: the session is lost", name)
			}
		}
	})
}

// Own guards take part as they are.
func TestAnyOfOwnGuards(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := bearer(w.provider.MintAccessToken("alice"))
		for name, row := range map[string]struct {
			guard  idserver.Guard
			edits  []edit
			status int
		}{
			"an own refusal first":          {idserver.AnyOf(refusesWith(401), w.RequireUser()), nil, 401},
			"an own refusal, and a user":    {idserver.AnyOf(refusesWith(401), w.RequireUser()), []edit{token}, 0},
			"an own refusal beside a known": {idserver.AnyOf(refusesWith(403), w.RequireRole("x")), []edit{token}, 403},
			"an own fault":                  {idserver.AnyOf(w.RequireRole("x"), refusesWith(500)), []edit{token}, 500},
			"an own answer":                 {idserver.AnyOf(w.RequireRole("x"), refusesWith(204), w.RequireUser()), []edit{token}, 204},
			"an own redirect":               {idserver.AnyOf(w.RequireUser(), refusesWith(302)), nil, 302},
		} {
			_, a := w.browser(t).pass(row.guard, "GET", "/x", row.edits...)
			if a.Status != row.status {
				t.Errorf("%s: %d, want %d", name, a.Status, row.status)
			}
		}
	})
}

// With a request of its own, such as one with a token of the query, a guard in a trial is answered for that.
func TestAnyOfOtherCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.provider.MintAccessToken("alice"), w.provider.MintAccessToken("bob")
		admin := w.RequireRole("admin")
		with := func(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
			own := r
			own.Header = http.Header{"Authorization": {"Bearer " + alice}}
			return admin(ctx, own)
		}
		ctx, a := w.browser(t).pass(idserver.AnyOf(admin, with), "GET", "/x", bearer(bob))
		if u := idserver.UserFrom(ctx); a.Ends() || u == nil || u.Name != "Alice Tan" {
			t.Errorf("%d, %v", a.Status, u)
		}
	})
}

func TestNoGuardPanics(t *testing.T) {
	for name, make := range map[string]func() idserver.Guard{
		"AllOf": func() idserver.Guard { return idserver.AllOf(nil) }, "AnyOf": func() idserver.Guard { return idserver.AnyOf(refusesWith(401), nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a guard was made of none", name)
				}
			}()
			make()
		}()
	}
}
