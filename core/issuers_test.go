package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// ofTwoIssuers returns an API that takes the tokens of another issuer, which is served by a client of its own, too.
func (w *world) ofTwoIssuers(t *testing.T) (other *idtest.Provider, client *idserver.Client, api *idserver.Resource) {
	t.Helper()
	other, client = w.another(t, otherURL)
	api, err := idserver.Issuers(w.Client, client)
	if err != nil {
		t.Fatal(err)
	}
	return other, client, api
}

// another is another provider of the world, and an API's client of it.
func (w *world) another(t *testing.T, at string, edit ...func(*idserver.Config)) (*idtest.Provider, *idserver.Client) {
	t.Helper()
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory, o.BaseURL = w.clock.Now, true, at })
	cfg := p.Config("")
	cfg.Now, cfg.Logger = w.clock.Now, textLog(w.log)
	for _, e := range edit {
		e(&cfg)
	}
	c, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return p, c
}

const otherURL = "http://localhost:8001/other"

func TestIssuers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, client := w.another(t, otherURL, func(c *idserver.Config) {
			c.Audience, c.RolesClaim, c.Provider.Leeway = "orders", []string{"groups"}, time.Minute
		})
		api, err := idserver.Issuers(w.Client, client)
		if err != nil {
			t.Fatal(err)
		}
		orders := func(c map[string]any) { c["aud"] = "orders" }
		mallory := idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory = w.clock.Now, true }) // who says that it is the first
		for name, row := range map[string]struct {
			token  string
			issuer string
			reason idserver.Reason
			roles  []string
		}{
			"of the first":                         {w.provider.MintAccessToken("alice"), w.provider.URL(), "", []string{"admin", "user"}},
			"of the second":                        {other.MintAccessToken("alice", orders, func(c map[string]any) { c["groups"] = []string{"g"} }), otherURL, "", []string{"g"}},
			"of the first, for the second":         {w.provider.MintAccessToken("alice", orders), "", idserver.ReasonAudience, nil},
			"of the second, for the first":         {other.MintAccessToken("alice"), "", idserver.ReasonAudience, nil},
			"of the second, which says the first":  {other.MintAccessToken("alice", func(c map[string]any) { c["iss"] = w.provider.URL() }), "", idserver.ReasonUnknownKey, nil},
			"of the first, which says the second":  {w.provider.MintAccessToken("alice", orders, func(c map[string]any) { c["iss"] = otherURL }), "", idserver.ReasonUnknownKey, nil},
			"of a third with the first's name":     {mallory.MintAccessToken("alice"), "", idserver.ReasonUnknownKey, nil},
			"of nobody that is known":              {mallory.MintAccessToken("alice", func(c map[string]any) { c["iss"] = "http://evil.localhost" }), "", idserver.ReasonIssuer, nil},
			"of a subdomain":                       {mallory.MintAccessToken("alice", func(c map[string]any) { c["iss"] = "http://localhost.evil.example" }), "", idserver.ReasonIssuer, nil},
			"of the first with a slash":            {w.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = w.provider.URL() + "/" }), "", idserver.ReasonIssuer, nil},
			"without iss":                          {w.provider.MintAccessToken("alice", func(c map[string]any) { delete(c, "iss") }), "", idserver.ReasonIssuer, nil},
			"iss is a list":                        {w.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = []string{w.provider.URL()} }), "", idserver.ReasonMalformed, nil},
			"iss is giant":                         {w.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = "https://" + strings.Repeat("a", 40_000) }), "", idserver.ReasonIssuer, nil},
			"no JWT":                               {"abc", "", idserver.ReasonMalformed, nil},
			"of the second, within its own leeway": {other.MintAccessToken("alice", orders, func(c map[string]any) { c["exp"] = w.clock.Now().Unix() - 59; c["iat"] = w.clock.Now().Unix() - 99 }), otherURL, "", nil},
			"of the first, beyond its leeway":      {w.provider.MintAccessToken("alice", func(c map[string]any) { c["exp"] = w.clock.Now().Unix() - 59; c["iat"] = w.clock.Now().Unix() - 99 }), "", idserver.ReasonExpired, nil},
		} {
			for range 2 { // the second time from memory, if it is good
				u, err := api.ValidateAccessToken(t.Context(), row.token)
				ctx, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(row.token))
				if row.reason != "" {
					refused(t, err, row.reason)
					if a.Status != 401 || code(t, a) != idserver.CodeInvalidToken {
						t.Errorf("%s: %d %s", name, a.Status, a.Body)
					}
					continue
				}
				if err != nil || u.Issuer != row.issuer || a.Ends() || fmt.Sprint(u.Roles) != fmt.Sprint(row.roles) {
					t.Fatalf("%s: %v %v, %d %s", name, u, err, a.Status, a.Body)
				}
				if got := idserver.UserFrom(ctx); got.Issuer != row.issuer {
					t.Errorf("%s: the guard finds %v", name, got)
				}
				if _, a := api.RequireUser()(ctx, w.browser(t).request("GET", "/", []edit{bearer(row.token)})); a.Ends() || !a.SameContext {
					t.Errorf("%s: a guard behind: %d %t", name, a.Status, a.SameContext)
				}
			}
		}
	})
}

// Issuers have no URL that proofs could be for: a bound token is refused, and the log says what takes it.
func TestIssuersTakeNoBoundTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, _, api := w.ofTwoIssuers(t)
		f := newForger(t, w)
		token := other.MintAccessToken("alice", f.bind)
		_, bare := w.browser(t).pass(api.RequireUser(), "GET", "/orders", bearer(token))
		if bare.Status != 401 || code(t, bare) != idserver.CodeInvalidToken || !strings.Contains(w.log.String(), "ResourceConfig.DPoP") {
			t.Errorf("as a bearer token: %d %s\n%s", bare.Status, bare.Body, w.log)
		}
		_, proven := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, f.proof(token, nil, nil)))
		if proven.Status != 401 || code(t, proven) != idserver.CodeNotSignedIn || !strings.Contains(w.log.String(), "is of the scheme DPoP") {
			t.Errorf("with a proof: %d %s\n%s", proven.Status, proven.Body, w.log)
		}
	})
}

// What a client revoked is refused behind another guard, its streams end, and TokenSource knows the token of its own issuer only.
func TestIssuersOfStreamsAndSources(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, client, api := w.ofTwoIssuers(t)
		token := other.MintAccessToken("alice")
		b := w.browser(t)
		ctx, a := b.pass(api.RequireUser(), "GET", "/", bearer(token))
		if a.Ends() {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if got, err := client.TokenSource(ctx).Token(); err != nil || got.AccessToken != token {
			t.Errorf("the source of its client: %v", err)
		}
		if _, err := w.TokenSource(ctx).Token(); err == nil {
			t.Error("the first client takes the second's token for its own")
		}
		stream, stop := idserver.UntilSignedOut(ctx)
		defer stop()
		if err := client.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(context.Cause(stream), idserver.ReasonRevoked) {
			t.Errorf("the stream: %v", context.Cause(stream))
		}
		if _, a := api.RequireUser()(ctx, b.request("GET", "/", []edit{bearer(token)})); a.Status != 401 {
			t.Errorf("behind the guard before: %d", a.Status)
		}
	})
}

// One issuer's outage says nothing of the other's tokens, and neither is asked for what it did not issue.
func TestIssuersApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, _, api := w.ofTwoIssuers(t)
		other.Fail(idtest.Discovery, idtest.Fault{Status: 500})
		if _, err := api.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice")); err != nil {
			t.Errorf("of the one that is there: %v", err)
		}
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(other.MintAccessToken("alice"))); a.Status != 503 {
			t.Errorf("of the one that is away: %d", a.Status)
		}
		other.Heal(idtest.Discovery)
		w.clock.advance(time.Minute)
		var asked atomic.Int32
		other.SetMetadata(func(map[string]any) { asked.Add(1) })
		for range 3 {
			forged := w.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = "https://evil.example" })
			if _, err := api.ValidateAccessToken(t.Context(), forged); !errors.Is(err, idserver.ReasonIssuer) {
				t.Errorf("forged: %v", err)
			}
		}
		if n := asked.Load(); n != 0 {
			t.Errorf("a forged token had the metadata fetched %d times", n)
		}
	})
}

func TestIssuersFaults(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, other := w.another(t, otherURL)
		_, slash := w.another(t, otherURL, func(c *idserver.Config) { c.Authority += "/" })
		_, same := w.another(t, "http://localhost:8002", func(c *idserver.Config) { c.Provider.AccessTokenIssuer = otherURL })
		for name, clients := range map[string][]*idserver.Client{
			"none": nil, "nil": {w.Client, nil}, "nil first": {nil}, "one twice": {w.Client, other, w.Client}, "one with a slash": {other, slash},
			"one with a slash, first": {slash, other}, "one by AccessTokenIssuer": {other, same},
		} {
			if r, err := idserver.Issuers(clients...); err == nil || r != nil || !errors.Is(err, idserver.Err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, cfg := range map[string]idserver.ResourceConfig{
			"nil": {Issuers: []*idserver.Client{nil}}, "the client's own": {Issuers: []*idserver.Client{w.Client}}, "twice": {Issuers: []*idserver.Client{other, slash}},
			"the one of Issuer": {Issuer: otherURL, Issuers: []*idserver.Client{other}},
		} {
			cfg.Identifier = ordersAPI
			if _, err := w.NewResource(cfg); err == nil || !strings.Contains(err.Error(), "Issuers") {
				t.Errorf("a resource's, %s: %v", name, err)
			}
		}
	})
}

// Entra's several tenants are one client, whose tokens are known by the template before its metadata is.
func TestIssuersOfTenants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := newEntra(t, listed(tenantOne))
		other, client := e.another(t, otherURL)
		api, err := idserver.Issuers(client, e.Client)
		if err != nil {
			t.Fatal(err)
		}
		for iss, want := range map[string]idserver.Reason{
			issuerOfTenant(tenantOne): "", issuerOfTenant(tenantTwo): idserver.ReasonIssuer, template: idserver.ReasonIssuer,
			"http://localhost/x/" + tenantOne + "/v2.0": idserver.ReasonIssuer, "http://other/" + tenantOne + "/v2.0": idserver.ReasonIssuer,
		} {
			_, err := api.ValidateAccessToken(t.Context(), e.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = iss }))
			if want == "" && err != nil || want != "" && !errors.Is(err, want) {
				t.Errorf("%s: %v", iss, err)
			}
		}
		if _, err := api.ValidateAccessToken(t.Context(), other.MintAccessToken("alice")); err != nil {
			t.Error(err)
		}
	})
}

// The application is asked about an issuer that is not listed: once, and only where the token would be good otherwise.
func TestFindIssuer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, client := w.another(t, otherURL)
		_, elsewhere := w.another(t, "http://localhost:8002")
		asked, answer := map[string]int{}, map[string]*idserver.Client{otherURL: client, "http://localhost:8003": elsewhere}
		var fault error
		api := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, FindIssuer: func(_ context.Context, iss string) (*idserver.Client, error) {
			asked[iss]++
			return answer[iss], fault
		}})
		mint := func(iss string, edit ...func(map[string]any)) string {
			return other.MintAccessToken("alice", append([]func(map[string]any){func(c map[string]any) { c["aud"], c["iss"] = ordersAPI, iss }}, edit...)...)
		}
		check := func(name, token string, want error, asks int) {
			t.Helper()
			clear(asked)
			for range 3 {
				_, err := api.ValidateAccessToken(t.Context(), token)
				if want == nil && err != nil || !errors.Is(err, want) {
					t.Errorf("%s: %v", name, err)
				}
			}
			total := 0
			for _, n := range asked {
				total += n
			}
			if total != asks {
				t.Errorf("%s: asked %v", name, asked)
			}
		}
		fault = errors.New("the database is away")
		check("it cannot be told", mint(otherURL), idserver.ErrUnavailable, 1)
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/", bearer(mint(otherURL))); a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable {
			t.Errorf("it cannot be told: %d %s", a.Status, a.Body)
		}
		fault = nil
		w.clock.advance(time.Second)
		check("found", mint(otherURL), nil, 1)
		check("found before", mint(otherURL), nil, 0)
		check("the client's own", w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = ordersAPI }), nil, 0)
		check("unknown", mint("https://evil.example"), idserver.ReasonIssuer, 1)
		check("unknown again", mint("https://evil.example"), idserver.ReasonIssuer, 0)
		w.clock.advance(unknownKept)
		check("unknown, ten minutes later", mint("https://evil.example"), idserver.ReasonIssuer, 1)
		check("a client of another issuer", mint("http://localhost:8003"), idserver.ReasonIssuer, 1)
		if !strings.Contains(w.log.String(), "FindIssuer returned a client of another issuer") {
			t.Error("the operator is not told")
		}
		check("another audience", mint("https://a.example", func(c map[string]any) { c["aud"] = "idserver-api" }), idserver.ReasonAudience, 0)
		check("expired", mint("https://b.example", func(c map[string]any) { c["iat"], c["exp"] = 1_000_000, 1_000_001 }), idserver.ReasonExpired, 0)
		check("http", mint("http://c.example"), idserver.ReasonIssuer, 0)
		check("no URL", mint("evil"), idserver.ReasonIssuer, 0)
		check("with a query", mint("https://d.example?x"), idserver.ReasonIssuer, 0)
		check("giant", mint("https://"+strings.Repeat("a", 600)), idserver.ReasonIssuer, 0)
		client.Close()
		answer[otherURL] = nil
		check("closed, and known no more", mint(otherURL), idserver.ReasonIssuer, 1)
	})
}

const unknownKept = 10 * time.Minute

// Strangers cannot make the application work more than a little: 16 questions at once, and one for each issuer.
func TestFindIssuerIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		var running, most, asked atomic.Int32
		release := make(chan struct{})
		api := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, FindIssuer: func(context.Context, string) (*idserver.Client, error) {
			most.Store(max(most.Load(), running.Add(1)))
			asked.Add(1)
			<-release
			running.Add(-1)
			return nil, nil
		}})
		send := func(i int) error {
			_, err := api.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice", func(c map[string]any) {
				c["aud"], c["iss"] = ordersAPI, fmt.Sprintf("https://evil%d.example", i)
			}))
			return err
		}
		errs := make(chan error, 100)
		for i := range 100 {
			go func() { errs <- send(i % 50) }()
			synctest.Wait()
		}
		close(release)
		refusedBy := map[bool]int{}
		for range 100 {
			err := <-errs
			if !errors.Is(err, idserver.ReasonIssuer) && !errors.Is(err, idserver.ErrUnavailable) {
				t.Error(err)
			}
			refusedBy[errors.Is(err, idserver.ErrUnavailable)]++
		}
		if most.Load() != 16 || asked.Load() != 16 || refusedBy[false] != 32 || refusedBy[true] != 68 {
			t.Errorf("%d at once, %d in all, %v", most.Load(), asked.Load(), refusedBy)
		}
		if err := send(49); !errors.Is(err, idserver.ReasonIssuer) || asked.Load() != 17 {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// What the application's function panics with, or takes too long for, is an outage.
func TestFindIssuerFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, find := range map[string]func(context.Context, string) (*idserver.Client, error){
			"panics": func(context.Context, string) (*idserver.Client, error) { panic("a secret") },
			"takes too long": func(ctx context.Context, _ string) (*idserver.Client, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			},
		} {
			api := w.resource(t, idserver.ResourceConfig{Identifier: ordersAPI, FindIssuer: find})
			token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"], c["iss"] = ordersAPI, "https://a.example" })
			if _, err := api.ValidateAccessToken(t.Context(), token); !errors.Is(err, idserver.ErrUnavailable) || strings.Contains(err.Error(), "a secret") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
