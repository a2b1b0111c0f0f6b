package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		w.clock.advance(13 * time.Minute) // of 15
		if _, token := b.visit(); token != first {
			t.Error("refreshed long before the end")
		}
		w.clock.advance(61 * time.Second)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { c["roles"] = []string{"auditor"} })
		u, second := b.visit()
		if second == first || u == nil || !u.HasBuiltInRole("auditor") || u.HasBuiltInRole("admin") {
			t.Fatalf("not refreshed within a minute of the end, or the roles were not taken again: %+v", u)
		}
		if u, third := b.visit(); third != second || !u.HasBuiltInRole("auditor") {
			t.Error("the refreshed session was not kept")
		}
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d token requests, want a sign-in and a refresh", n)
		}
	})
}

// Fifty requests of one page, all with the old cookie, and a late one: one grant, or the provider takes the second for theft.
func TestRefreshIsOneGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		var all sync.WaitGroup
		var mu sync.Mutex
		var seen []string
		for range 50 {
			all.Go(func() {
				own := &browser{t, b.client, copyOf(b.cookies)}
				u, token := own.visit()
				mu.Lock()
				defer mu.Unlock()
				if u == nil {
					t.Error("signed out by a refresh")
				}
				seen = append(seen, token)
			})
		}
		all.Wait()
		slices.Sort(seen)
		if seen = slices.Compact(seen); len(seen) != 1 {
			t.Errorf("%d access tokens for one session", len(seen))
		}
		w.clock.advance(50 * time.Second)
		if u, token := (&browser{t, b.client, copyOf(b.cookies)}).visit(); u == nil || token != seen[0] {
			t.Error("who holds the old cookie is not served the result")
		}
		if n := w.provider.Requests(idtest.Token); n != 2 {
			t.Errorf("%d token requests, want a sign-in and one refresh", n)
		}
	})
}

func TestRefreshFaults(t *testing.T) {
	for name, row := range map[string]struct {
		fault    idtest.Fault
		goesOn   bool
		requests int // in a row
	}{
		"the grant is withdrawn": {idtest.Fault{Status: 400, OAuthError: "invalid_grant"}, false, 1},
		"down":                   {idtest.Fault{Status: 500}, true, 7},
		"down for a while":       {idtest.Fault{Status: 503, Header: http.Header{"Retry-After": {"5"}}}, true, 1},
		"limits the rate":        {idtest.Fault{Status: 429, Body: `{"title":"Too Many Requests"}`, ContentType: "application/problem+json"}, true, 1},
		"HTML":                   {idtest.Fault{HTML: true}, true, 7},
		"not our client":         {idtest.Fault{Status: 401, OAuthError: "invalid_client"}, true, 1},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			_, first := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			w.provider.Fail(idtest.Token, row.fault)
			w.provider.ResetRequests()
			for range 3 {
				if u, _ := b.visit(); (u != nil) != row.goesOn {
					t.Fatalf("the user is %v", u)
				}
			}
			if n := w.provider.Requests(idtest.Token); n != row.requests {
				t.Errorf("%d token requests in a row, want %d", n, row.requests)
			}
			w.provider.Heal(idtest.Token)
			w.clock.advance(61 * time.Second)
			if u, token := b.visit(); row.goesOn && (u == nil || token == first) {
				t.Errorf("not refreshed after the fault: %v", u)
			}
		}))
	}
}

// The token is refreshed, and then userinfo cannot be had: the new refresh token is kept, and so is
// who was signed in.
func TestRefreshHalfDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		opaque := func(r map[string]any) { r["access_token"] = "opaque-" + r["access_token"].(string)[:40] }
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.SetTokenResponse(opaque)
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 503})
		if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
			t.Fatalf("the user is %+v", u)
		}
		w.provider.Heal(idtest.UserInfo)
		w.provider.SetTokenResponse(nil)
		w.clock.advance(15 * time.Minute)
		if u, _ := b.visit(); u == nil {
			t.Error("the rotated refresh token was lost")
		}
	})
}

func TestRefreshOfAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["sub"] = "mallory" })
		if u, _ := b.visit(); u != nil {
			t.Errorf("the session became %s's", u.Subject)
		}
	})
}

func TestAdmitUserAtRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var refuse atomic.Bool
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				if refuse.Load() {
					return errors.New("left the company")
				}
				u.Roles = append(u.Roles, "founder")
				return nil
			}
		})
		b := w.signedIn(t, "alice")
		for range 3 {
			w.clock.advance(14*time.Minute + 30*time.Second)
			if u, _ := b.visit(); u == nil || len(u.Roles) != 3 || !u.HasRole("founder") {
				t.Fatalf("the user is %+v", u)
			}
		}
		refuse.Store(true)
		w.clock.advance(14*time.Minute + 30*time.Second)
		if u, _ := b.visit(); u != nil {
			t.Error("admitted against the application's will")
		}
	})
}

// A refresh whose result ends the session has brought a refresh token all the same, which nobody keeps.
func TestRefusedRefreshRevokes(t *testing.T) {
	for name, row := range map[string]struct {
		refuses bool // the application
		subject string
	}{
		"by the application":              {true, aliceSubject},
		"with a token of somebody else's": {false, "mallory"},
		"by the application, for another": {true, "mallory"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			var refuses atomic.Bool
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(context.Context, *idserver.User) error {
					if refuses.Load() {
						return errors.New("left the company")
					}
					return nil
				}
			})
			b := w.signedIn(t, "alice")
			var given string
			w.provider.SetTokenResponse(func(r map[string]any) { given = r["refresh_token"].(string) })
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["sub"] = row.subject })
			refuses.Store(row.refuses)
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u != nil {
				t.Fatal("the session goes on")
			}
			if given == "" || !w.provider.Revoked(given) {
				t.Error("the new refresh token lives on")
			}
		}))
	}
}

// What the application wraps beside ErrUnavailable, such as what another provider said to it, is about something else.
func TestAdmitUserCannotTellBecauseOfAToken(t *testing.T) {
	for name, cause := range map[string]error{
		"another token":    &idserver.InvalidTokenError{Reason: idserver.ReasonSubject, Err: errors.New("x")},
		"a token endpoint": &idserver.TokenEndpointError{Status: 400, Code: "invalid_grant"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			var away atomic.Bool
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(context.Context, *idserver.User) error {
					if away.Load() {
						return fmt.Errorf("%w: %w", idserver.ErrUnavailable, cause)
					}
					return nil
				}
			})
			b := w.signedIn(t, "alice")
			away.Store(true)
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u == nil {
				t.Error("the session is over, and the application could not tell")
			}
		}))
	}
}

func TestWithoutRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		b := w.signedIn(t, "alice")
		w.clock.advance(40 * time.Minute)
		if u, _ := b.visit(); u == nil {
			t.Error("the session did not keep its own limits")
		}
		if n := w.provider.Requests(idtest.Token); n != 1 {
			t.Errorf("%d token requests", n)
		}
	})
}

// The provider hangs while the access token is good: nobody waits for long, and Close ends the wait.
func TestRefreshHangsAndClose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.Fail(idtest.Token, idtest.Fault{Hang: true})
		if u, _ := b.visit(); u == nil {
			t.Error("signed out by a provider that hangs")
		}
		w.Close()
		if u, _ := b.visit(); u == nil {
			t.Error("signed out by Close")
		}
	})
}

// To close the connection is no way around a refusal: a request whose own context has ended is not admitted on an access
// token that is due, and its session is not renewed.
func TestRequestThatEndedIsNotAdmitted(t *testing.T) {
	type guarded struct {
		*world
		*browser
	}
	ended := func(g guarded) (context.Context, idserver.Answer) {
		ctx, cancel := context.WithCancel(g.t.Context())
		cancel()
		return g.Client.RequireRole("admin")(ctx, g.request("POST", "/admin", []edit{fetches}))
	}
	for name, row := range map[string]struct {
		before func(g guarded)
		want   int
	}{
		"the provider has not answered yet": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{Hang: true})
		}, 503},
		"the provider has refused, and it is remembered": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
			(&browser{g.t, g.Client, copyOf(g.cookies)}).visit()
		}, 401},
		"the provider is away": {func(g guarded) {
			g.provider.Fail(idtest.Token, idtest.Fault{Status: 500})
			(&browser{g.t, g.Client, copyOf(g.cookies)}).visit()
		}, 503},
		"it was signed out": {func(g guarded) {
			(&browser{g.t, g.Client, copyOf(g.cookies)}).route("POST", "/auth/logout", navigates)
		}, 401},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			g := guarded{w, w.signedIn(t, "alice")}
			w.clock.advance(nearlyOver)
			row.before(g)
			for range 100 { // a select picks at random
				ctx, a := ended(g)
				if a.Status != row.want || idserver.UserFrom(ctx) != nil {
					t.Fatalf("status %d, want %d: %s", a.Status, row.want, a.Body)
				}
				for _, f := range a.Add {
					if f.Name == "Set-Cookie" && (row.want == 503 || !strings.Contains(f.Value, "Max-Age=0") && !strings.Contains(f.Value, "-kept=1;")) {
						t.Fatalf("the session is renewed or dropped: %s", f.Name)
					}
				}
			}
		}))
	}
}

// scripted is a network in a synctest bubble: it gives each token request to answer, and keeps what refresh tokens were sent.
// Without an answer a request hangs until its context ends.
type scripted struct {
	answer func(refreshToken string) string
	mu     sync.Mutex
	sent   []string
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.sent = append(s.sent, form.Get("refresh_token"))
	s.mu.Unlock()
	if s.answer == nil {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(s.answer(form.Get("refresh_token")))), Request: r,
	}, nil
}

// bubbled makes a client of the same application whose provider is the network alone.
func (w *world) bubbled(t *testing.T, network http.RoundTripper, edit func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := w.cfg
	cfg.HTTP.Client, cfg.HTTP.Timeout = &http.Client{Transport: network}, time.Hour
	cfg.Provider.Endpoints = idserver.Endpoints{Authorization: w.provider.URL() + "/a", Token: w.provider.URL() + "/t", JWKS: w.provider.URL() + "/j"}
	if edit != nil {
		edit(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A program that ends does not wait for a provider that hangs in the middle of a refresh, and who was signed in stays so.
func TestCloseEndsARefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(16 * time.Minute) // the access token is over: the refresh is waited for
		network := &scripted{}
		client := w.bubbled(t, network, nil)
		var u *idserver.User
		served := make(chan struct{})
		go func() {
			defer close(served)
			u, _ = (&browser{t, client, copyOf(b.cookies)}).visit()
		}()
		synctest.Wait()
		if len(network.sent) != 1 {
			t.Errorf("%d token requests are under way, want 1", len(network.sent))
		}
		begun := time.Now()
		client.Close()
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("Close waited for %v", waited)
		}
		if <-served; u == nil {
			t.Error("signed out by Close")
		}
	})
}

// The program ends while AdmitUser asks the application's database at a refresh. The provider has rotated the refresh token by then: the
// new one is in the cookie, or the next process sends one that is used up, and the provider ends the session for theft.
func TestCloseDuringAdmitUser(t *testing.T) {
	for name, said := range map[string]func(context.Context) error{
		"it says why":       func(ctx context.Context) error { return ctx.Err() },
		"it says something": func(context.Context) error { return errors.New("query failed") },
		"it is unavailable": func(context.Context) error { return idserver.ErrUnavailable },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(16 * time.Minute)
			network := &scripted{answer: func(string) string {
				return `{"access_token":"second","token_type":"Bearer","expires_in":900,"refresh_token":"the-rotated-one"}`
			}}
			asked := 0
			client := w.bubbled(t, network, func(c *idserver.Config) {
				c.AdmitUser = func(ctx context.Context, _ *idserver.User) error {
					asked++
					<-ctx.Done()
					return said(ctx)
				}
			})
			own := &browser{t, client, copyOf(b.cookies)}
			var u *idserver.User
			served := make(chan struct{})
			go func() {
				defer close(served)
				u, _ = own.visit()
			}()
			synctest.Wait()
			begun := time.Now()
			client.Close()
			if waited := time.Since(begun); waited > time.Second || asked != 1 {
				t.Errorf("Close waited for %v, AdmitUser was asked %d times", waited, asked)
			}
			if <-served; u == nil || u.Email != "alice@example.test" {
				t.Fatalf("the user is %v", u)
			}
			w.clock.advance(16 * time.Minute)
			next := w.bubbled(t, network, nil)
			defer next.Close()
			if u, _ := (&browser{t, next, own.cookies}).visit(); u == nil {
				t.Error("the next process does not know the session")
			}
			if len(network.sent) != 2 || network.sent[1] != "the-rotated-one" {
				t.Errorf("the next process sends the refresh token %q", network.sent[1:])
			}
		}))
	}
}

// The application panics in AdmitUser at a refresh, in a goroutine that no server recovers in: the process survives, the session
// goes on, and the operator is told.
func TestAdmitUserPanicsAtRefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var broken atomic.Bool
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(context.Context, *idserver.User) error {
				if broken.Load() {
					panic("a fault of the application's")
				}
				return nil
			}
		})
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		broken.Store(true)
		w.clock.advance(nearlyOver)
		u, second := b.visit()
		if u == nil || !u.HasRole("admin") || second == first {
			t.Fatalf("the user is %+v, with the same access token: %v", u, second == first)
		}
		if log := w.log.String(); !strings.Contains(log, "AdmitUser panicked") || !strings.Contains(log, "refresh_test.go") || !strings.Contains(log, "level=WARN") {
			t.Errorf("the log is %s", log)
		}
		broken.Store(false)
		w.clock.advance(nearlyOver) // with the refresh token that was rotated then
		if u, third := b.visit(); u == nil || third == second {
			t.Error("the rotated refresh token was lost")
		}
	})
}

// The application's own database is away: nobody is refused for it. A sign-in is answered 503, and a session goes on.
func TestAdmitUserCannotTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var away atomic.Bool
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(context.Context, *idserver.User) error {
				if away.Load() {
					return fmt.Errorf("database: %w", idserver.ErrUnavailable)
				}
				return nil
			}
		})
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		away.Store(true)
		w.clock.advance(nearlyOver)
		u, second := b.visit()
		if u == nil || !u.HasRole("admin") || second == first {
			t.Fatalf("the session: the user is %+v", u)
		}

		late := w.browser(t)
		callback := w.authorize(t, late.begin("/auth/login?return_to=/x"), "bob")
		a := late.route("GET", callback, navigates)
		if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" || late.cookies["idserver-8080"] != "" {
			t.Errorf("the sign-in: %d %s", a.Status, a.Body)
		}
		if n := w.provider.Requests(idtest.Revocation); n != 1 {
			t.Errorf("%d revocations of what the sign-in brought", n)
		}
		if len(late.logins()) != 0 {
			t.Error("the login cookie of the code that was spent is kept")
		}
		away.Store(false)
		a = late.route("GET", callback, navigates) // a reload begins anew
		if !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
			t.Errorf("reloaded: %d %q", a.Status, field(a, "Location"))
		}
		w.clock.advance(nearlyOver)
		if u, third := b.visit(); u == nil || third == second {
			t.Error("the rotated refresh token was lost")
		}
	})
}

// A cookie from before a refresh comes late, from another tab or after a lost answer. It is served the result as long as that is
// good, a quarter of an hour at most, and then it is what the provider takes for theft.
func TestOldCookieIsServedForAWhile(t *testing.T) {
	for name, row := range map[string]struct {
		life, kept time.Duration
	}{
		"five minutes": {5 * time.Minute, 4 * time.Minute},
		"an hour":      {time.Hour, 15 * time.Minute},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.Session.Idle = 3 * time.Hour })
			w.provider.SetTokenResponse(func(r map[string]any) { r["expires_in"] = int(row.life.Seconds()) })
			b := w.signedIn(t, "alice")
			old := copyOf(b.cookies)
			w.clock.advance(row.life - time.Second)
			_, refreshed := b.visit()
			w.clock.advance(row.kept - time.Second)
			if u, token := (&browser{t, w.Client, copyOf(old)}).visit(); u == nil || token != refreshed {
				t.Errorf("the old cookie is not served the result")
			}
			if n := w.provider.Requests(idtest.Token); n != 2 {
				t.Errorf("%d token requests, want a sign-in and a refresh", n)
			}
			w.clock.advance(time.Second)
			if u, _ := (&browser{t, w.Client, copyOf(old)}).visit(); u != nil {
				t.Errorf("the old cookie is served for longer")
			}
			if n := w.provider.Requests(idtest.Token); n != 3 {
				t.Errorf("%d token requests, want that the provider is asked", n)
			}
		}))
	}
}

// What the provider answers a refresh with, and whether the session goes on: while its access token is good, and when it is over.
func TestRefreshRefusals(t *testing.T) {
	const ends, untilExpiry, goesOn = 0, 1, 2
	empty := idtest.Fault{Status: 400, ContentType: "application/json"}
	for name, row := range map[string]struct {
		fault idtest.Fault
		how   int
	}{
		"invalid_grant":               {idtest.Fault{OAuthError: "invalid_grant"}, ends},
		"unauthorized_client":         {idtest.Fault{OAuthError: "unauthorized_client"}, ends},
		"access_denied":               {idtest.Fault{Status: 403, OAuthError: "access_denied"}, ends},
		"400 with an empty body":      {empty, ends},
		"400 with an empty object":    {idtest.Fault{Status: 400, Body: "{}"}, ends},
		"400 with another error":      {idtest.Fault{OAuthError: "invalid_request"}, untilExpiry},
		"400 with words":              {idtest.Fault{Status: 400, Body: `{"title":"Bad Request"}`}, goesOn},
		"401 invalid_client":          {idtest.Fault{Status: 401, OAuthError: "invalid_client"}, untilExpiry},
		"403":                         {idtest.Fault{Status: 403}, goesOn},
		"404: no such tenant":         {idtest.Fault{Status: 404}, goesOn},
		"423: the tenant is locked":   {idtest.Fault{Status: 423}, goesOn},
		"a firewall's page, 400":      {idtest.Fault{HTML: true, Status: 400}, goesOn},
		"a firewall's page, 403":      {idtest.Fault{HTML: true, Status: 403}, goesOn},
		"a balancer's page, 404":      {idtest.Fault{HTML: true, Status: 404}, goesOn},
		"a page, 200":                 {idtest.Fault{HTML: true}, goesOn},
		"plain words, 400":            {idtest.Fault{Status: 400, ContentType: "text/plain", Body: "Bad Request"}, goesOn},
		"an error that is no string":  {idtest.Fault{Status: 400, Body: `{"error":{"code":"invalid_grant"}}`}, goesOn},
		"invalid_grant, 200":          {idtest.Fault{Body: `{"error":"invalid_grant"}`}, ends},
		"invalid_grant beside tokens": {idtest.Fault{Body: `{"access_token":"a","refresh_token":"b","token_type":"Bearer","error":"invalid_grant"}`}, ends},
		"invalid_grant, 500":          {idtest.Fault{Status: 500, OAuthError: "invalid_grant"}, ends},
		"invalid_grant, 403":          {idtest.Fault{Status: 403, OAuthError: "invalid_grant"}, ends},
		"invalid_client, 200":         {idtest.Fault{Body: `{"error":"invalid_client"}`}, untilExpiry},
		"temporary by name, 400":      {idtest.Fault{OAuthError: "temporarily_unavailable"}, goesOn},
		"an error by its name, 400":   {idtest.Fault{OAuthError: "server_error"}, goesOn},
		"too fast, 400":               {idtest.Fault{OAuthError: "slow_down"}, goesOn},
		"the token is not Bearer":     {idtest.Fault{Body: `{"access_token":"a","token_type":"DPoP"}`}, goesOn},
		"408":                         {idtest.Fault{Status: 408}, goesOn},
		"425":                         {idtest.Fault{Status: 425}, goesOn},
		"429":                         {idtest.Fault{Status: 429}, goesOn},
		"500":                         {idtest.Fault{Status: 500}, goesOn},
		"503":                         {idtest.Fault{Status: 503}, goesOn},
		"a connection that breaks":    {idtest.Fault{Drop: true}, goesOn},
		"no access token":             {idtest.Fault{Body: `{}`}, goesOn},
		"a redirect to a login page":  {idtest.Fault{Redirect: "http://127.0.0.1:1/login"}, goesOn},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(nearlyOver)
			w.provider.Fail(idtest.Token, row.fault)
			if u, _ := b.visit(); (u != nil) != (row.how != ends) {
				t.Fatalf("before the access token is over: the user is %v", u)
			}
			w.clock.advance(61 * time.Second)
			u, _ := b.visit()
			if (u != nil) != (row.how == goesOn) {
				t.Fatalf("after it: the user is %v", u)
			}
			if _, ok := b.cookies["idserver-8080"]; ok != (u != nil) {
				t.Errorf("the session's cookie is there: %v", ok)
			}
		}))
	}
}

// After a passing fault the provider is left alone for ten seconds, or for as long as it asked.
func TestRetryAfterAtRefresh(t *testing.T) {
	asks := func(seconds string) idtest.Fault {
		return idtest.Fault{Status: 503, Header: http.Header{"Retry-After": {seconds}}}
	}
	for name, row := range map[string]struct {
		fault idtest.Fault
		pause time.Duration
		first int // requests in a row
	}{
		"it does not say":  {idtest.Fault{Status: 503}, 10 * time.Second, 7},
		"two seconds":      {asks("2"), 10 * time.Second, 1},
		"a minute":         {asks("60"), time.Minute, 1},
		"429, half of one": {idtest.Fault{Status: 429}, 30 * time.Second, 1},
		"a day":            {asks("86400"), 15 * time.Minute, 1},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(nearlyOver)
			w.provider.Fail(idtest.Token, row.fault)
			w.provider.ResetRequests()
			asked := func() int { b.visit(); time.Sleep(resent); return w.provider.Requests(idtest.Token) }
			if n := asked(); n != row.first {
				t.Fatalf("%d requests, want %d", n, row.first)
			}
			w.clock.advance(row.pause - time.Second)
			if n := asked(); n != row.first {
				t.Errorf("%d requests before %v were over", n, row.pause)
			}
			w.clock.advance(time.Second)
			if n := asked(); n != 2*row.first {
				t.Errorf("%d requests after %v", n, row.pause)
			}
		}))
	}
}

// userinfo asks for a pause in the middle of a refresh: the session goes on with the new tokens.
func TestRefreshWhileUserInfoLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 429})
		w.clock.advance(nearlyOver)
		if u, token := b.visit(); u == nil || token == first || !u.HasRole("admin") {
			t.Errorf("the user is %+v", u)
		}
	})
}

// The answer to a refresh is wrong in what a fault does not explain: the session ends at once.
func TestRefreshOfAnotherEnds(t *testing.T) {
	for name, change := range map[string]func(*idtest.Provider){
		"an ID token of another person": func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["sub"] = "mallory" }) },
		"an ID token of another client": func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["aud"] = "another" }) },
		"an ID token of another issuer": func(p *idtest.Provider) {
			p.SetIDTokenClaims(func(c map[string]any) { c["iss"] = "https://evil.example" })
		},
		"an ID token that is old":   func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["iat"] = 1700000000 }) },
		"the hash of another token": func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["at_hash"] = "x" }) },
		"userinfo of another person": func(p *idtest.Provider) {
			p.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
			p.SetUserInfo(func(c map[string]any) { c["sub"] = "mallory" })
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(nearlyOver)
			change(w.provider)
			if u, _ := b.visit(); u != nil || b.cookies["idserver-8080"] != "" {
				t.Errorf("the session goes on as %+v", u)
			}
		}))
	}
}

// A request waits three seconds for a refresh as long as its access token is good, and the refresh goes on behind it.
func TestRefreshIsWaitedForShortly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		_, first := b.visit()
		w.clock.advance(14*time.Minute + 30*time.Second)
		cfg := w.cfg
		cfg.HTTP.Client, cfg.HTTP.Timeout = &http.Client{Transport: silence{}}, time.Hour
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		begun := time.Now()
		u, token := (&browser{t, client, copyOf(b.cookies)}).visit()
		if waited := time.Since(begun); waited > 5*time.Second || u == nil || token != first {
			t.Errorf("the user is %v after %v", u, waited)
		}
		w.clock.advance(time.Minute) // past the end of the access token: now it is worth waiting for, half a minute
		begun = time.Now()
		u, _ = (&browser{t, client, copyOf(b.cookies)}).visit()
		if waited := time.Since(begun); waited < 20*time.Second || waited > 31*time.Second || u == nil {
			t.Errorf("with the access token over: the user is %v after %v", u, waited)
		}
	})
}

// While the provider is away a session goes on, for StaleMax beyond its access token's expiry; then it waits, and is there
// again when the provider is. The expiry is the one in the cookie: another process goes by the same.
func TestStaleMax(t *testing.T) {
	for name, row := range map[string]struct{ staleMax, lasts time.Duration }{
		"by default": {0, time.Hour},
		"a minute":   {time.Minute, time.Minute},
		"none":       {-1, 0},
	} {
		for fault, f := range map[string]idtest.Fault{"500": {Status: 500}, "HTML": {Status: 403, HTML: true}, "a broken connection": {Drop: true}} {
			t.Run(name+", "+fault, inBubble(func(t *testing.T) {
				config := func(c *idserver.Config) { c.Session.Idle, c.Session.StaleMax = 12*time.Hour, row.staleMax }
				w := newWorld(t, config)
				b := w.signedIn(t, "alice")
				w.provider.Fail(idtest.Token, f)
				w.clock.advance(15*time.Minute + row.lasts - time.Second)
				if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
					t.Fatalf("before the end of StaleMax the user is %+v", u)
				}
				w.clock.advance(time.Second)
				for _, client := range []*idserver.Client{w.Client, w.client(t, config)} {
					b.client = client
					_, a := b.pass(client.RequireUser(), "GET", "/", fetches)
					if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" || field(a, "Set-Cookie") != "" {
						t.Errorf("at its end: %d %s, cookie %q", a.Status, a.Body, field(a, "Set-Cookie"))
					}
					ctx, a := b.pass(client.LoadUser(), "GET", "/", fetches)
					if a.Ends() || idserver.UserFrom(ctx) != nil {
						t.Errorf("LoadUser: %d, the user is %+v", a.Status, idserver.UserFrom(ctx))
					}
				}
				w.provider.Heal(idtest.Token)
				w.clock.advance(time.Minute)
				if u, _ := b.visit(); u == nil || !u.HasRole("admin") {
					t.Errorf("the provider is back, and the user is %+v", u)
				}
			}))
		}
	}
}

// An ID token at a refresh need not have nonce and auth_time; those that it has are the sign-in's (OpenID Connect Core
// section 12.2), also after refreshes without them and in another process.
func TestIDTokenAtRefreshIsOfTheSignIn(t *testing.T) {
	for name, row := range map[string]struct {
		claims func(nonce string, authTime int64) map[string]any
		goesOn bool
	}{
		"neither":                {func(string, int64) map[string]any { return nil }, true},
		"the nonce":              {func(nonce string, _ int64) map[string]any { return map[string]any{"nonce": nonce} }, true},
		"nonce null":             {func(string, int64) map[string]any { return map[string]any{"nonce": nil} }, true},
		"another nonce":          {func(string, int64) map[string]any { return map[string]any{"nonce": "another"} }, false},
		"an empty nonce":         {func(string, int64) map[string]any { return map[string]any{"nonce": ""} }, false},
		"auth_time":              {func(_ string, at int64) map[string]any { return map[string]any{"auth_time": at} }, true},
		"auth_time, rounded":     {func(_ string, at int64) map[string]any { return map[string]any{"auth_time": float64(at) + 0.7} }, true},
		"auth_time 0":            {func(string, int64) map[string]any { return map[string]any{"auth_time": 0} }, true},
		"auth_time a string":     {func(string, int64) map[string]any { return map[string]any{"auth_time": "now"} }, true},
		"a later auth_time":      {func(_ string, at int64) map[string]any { return map[string]any{"auth_time": at + 60} }, false},
		"an earlier auth_time":   {func(_ string, at int64) map[string]any { return map[string]any{"auth_time": at - 60} }, false},
		"c_hash of the old code": {func(string, int64) map[string]any { return map[string]any{"c_hash": "x"} }, true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			nonce, authTime := "", w.clock.Now().Unix()
			w.provider.SetIDTokenClaims(func(c map[string]any) { nonce, _ = c["nonce"].(string) })
			b := w.signedIn(t, "alice")
			w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "nonce"); delete(c, "auth_time") })
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); u == nil || nonce == "" {
				t.Fatal("the session is over")
			}
			b.client = w.client(t)
			w.provider.SetIDTokenClaims(func(c map[string]any) {
				delete(c, "nonce")
				delete(c, "auth_time")
				for name, value := range row.claims(nonce, authTime) {
					c[name] = value
				}
			})
			w.clock.advance(nearlyOver)
			if u, _ := b.visit(); (u != nil) != row.goesOn {
				t.Errorf("the user is %+v", u)
			}
		}))
	}
}

// What is remembered for an old cookie may be due for a refresh itself: nobody is given an access token that has expired.
func TestOldCookieOfShortTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newStrictWorld(t, 10*time.Second, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		old := copyOf(b.cookies)
		time.Sleep(9 * time.Second)
		_, first := b.visit()
		for i := range 4 {
			time.Sleep(9 * time.Second)
			u, token := (&browser{t, w.Client, copyOf(old)}).visit()
			if u == nil || token == first {
				t.Fatalf("after %d refreshes: the user is %v, with the access token of before: %t", i+1, u, token == first)
			}
			first = token
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 5}) {
			t.Errorf("%+v", n)
		}
	})
}

func textOf(t *testing.T, key map[string]string) string {
	t.Helper()
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A refresh brings an ID token whose signature does not verify with the known key, and the key set cannot be had: nothing is
// known of it, and the session goes on. With the keys back it is refreshed, or over if the token is a stranger's after all.
func TestRefreshWhileTheKeysAreAway(t *testing.T) {
	for name, genuine := range map[string]bool{"a new key": true, "a stranger's": false} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			_, first := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			kid := w.provider.KeyID()
			w.provider.RotateKey()
			if genuine {
				document, err := json.Marshal(map[string]any{"keys": []any{jwkOf(w.provider, kid)}})
				if err != nil {
					t.Fatal(err)
				}
				w.provider.SetJWKS(document)
			} else {
				w.provider.SetJWKS([]byte(`{"keys":[` + textOf(t, jwkOf(idtest.NewProvider(t), kid)) + `]}`))
			}
			w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 503})
			w.provider.SetTokenResponse(func(r map[string]any) {
				r["id_token"] = resign(t, w, r["id_token"].(string), kid)
			})
			if u, _ := b.visit(); u == nil {
				t.Fatalf("the session is over while nothing is known: %s", w.log)
			}
			w.provider.Heal(idtest.KeySet)
			w.clock.advance(15 * time.Minute)
			u, second := b.visit()
			if genuine && (u == nil || second == first) || !genuine && u != nil {
				t.Errorf("with the keys back: %+v, another token: %t\n%s", u, second != first, w.log)
			}
		}))
	}
}
