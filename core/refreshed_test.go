package idserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

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
		if log := w.log.String(); !strings.Contains(log, "AdmitUser panicked") || !strings.Contains(log, "refreshed_test.go") || !strings.Contains(log, "level=WARN") {
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
		"a minute":     {time.Minute, time.Minute},
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
	}{
		"it does not say":  {idtest.Fault{Status: 503}, 10 * time.Second},
		"two seconds":      {asks("2"), 10 * time.Second},
		"a minute":         {asks("60"), time.Minute},
		"429, half of one": {idtest.Fault{Status: 429}, 30 * time.Second},
		"a day":            {asks("86400"), 15 * time.Minute},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(nearlyOver)
			w.provider.Fail(idtest.Token, row.fault)
			w.provider.ResetRequests()
			asked := func() int { b.visit(); return w.provider.Requests(idtest.Token) }
			if n := asked(); n != 1 {
				t.Fatalf("%d requests", n)
			}
			w.clock.advance(row.pause - time.Second)
			if n := asked(); n != 1 {
				t.Errorf("%d requests before %v were over", n, row.pause)
			}
			w.clock.advance(time.Second)
			if n := asked(); n != 2 {
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

// basicEcho is a token endpoint that answers a refusal by repeating what it was sent, as debugging proxies do.
type basicEcho struct{ http.RoundTripper }

func (e basicEcho) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		return e.RoundTripper.RoundTrip(r)
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	body := fmt.Sprintf(`{"error":"x","error_description":"sent: %s and %s"}`, credentials, form)
	return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
}

// What the provider echoes of the client's authentication and of the code is in no error and in no log: as it is, as it stands in
// a form, and in the header of client_secret_basic.
func TestEchoedCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const secret = "a secret/with+signs&of=forms-12345"
		const basic = "ZXhhbXBsZTphK3NlY3JldCUyRndpdGglMkJzaWducyUyNm9mJTNEZm9ybXMtMTIzNDU=" // example:a+secret%2Fwith%2Bsigns%26of%3Dforms-12345
		for _, method := range []string{"client_secret_post", "client_secret_basic"} {
			w := newWorld(t, func(c *idserver.Config) {
				c.Provider.ClientAuth, c.ClientSecret = method, secret
				c.HTTP.Client = &http.Client{Transport: basicEcho{c.HTTP.Client.Transport}}
			})
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.ExchangeCode(t.Context(), "a code/with+signs-6789", r)
			var e *idserver.TokenEndpointError
			if !errors.As(err, &e) || e.Description != "[redacted: it repeats what was sent]" {
				t.Fatalf("%s: %v", method, err)
			}
			err2 := w.RevokeToken(t.Context(), "a token/with+signs-6789")
			text := err.Error() + err2.Error() + e.Description + w.log.String()
			if leaked := leaks(text, secret, "a+secret", basic, basic[:20], "a code", "a+code", "6789", "12345", r.CodeVerifier); leaked != "" {
				t.Errorf("%s: %q is in %s", method, leaked, text)
			}
		}
	})
}
