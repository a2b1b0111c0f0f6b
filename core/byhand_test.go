package idserver_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Who asks for a fresh sign-in (max_age) is not served an old one: auth_time must be there and not too long ago, OpenID Connect
// Core section 3.1.3.7 step 13.
func TestMaxAgeOfSignIn(t *testing.T) {
	ago := func(d time.Duration) func(*world) any {
		return func(w *world) any { return w.clock.Now().Add(-d).Unix() }
	}
	for name, row := range map[string]struct {
		maxAge   time.Duration
		authTime func(*world) any // nil: absent
		reason   idserver.Reason  // "": accepted
	}{
		"now":                 {time.Minute, ago(0), ""},
		"within":              {time.Minute, ago(time.Minute), ""},
		"within the leeway":   {time.Minute, ago(70 * time.Second), ""},
		"too old":             {time.Minute, ago(71 * time.Second), idserver.ReasonAuthTime},
		"of yesterday":        {time.Minute, ago(24 * time.Hour), idserver.ReasonAuthTime},
		"absent":              {time.Minute, nil, idserver.ReasonAuthTime},
		"null":                {time.Minute, func(*world) any { return nil }, idserver.ReasonAuthTime},
		"zero":                {time.Minute, func(*world) any { return 0 }, idserver.ReasonAuthTime},
		"a string":            {time.Minute, func(w *world) any { return w.clock.Now().Format(time.RFC3339) }, idserver.ReasonAuthTime},
		"not asked, absent":   {0, nil, ""},
		"not asked, too old":  {0, ago(24 * time.Hour), ""},
		"not asked, a string": {0, func(*world) any { return "x" }, ""},
		"not asked, zero":     {0, func(*world) any { return 0 }, ""},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetIDTokenClaims(func(c map[string]any) {
				if delete(c, "auth_time"); row.authTime != nil {
					c["auth_time"] = row.authTime(w)
				}
			})
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{MaxAge: row.maxAge})
			if err != nil {
				t.Fatal(err)
			}
			if sent := query(t, r.URL)["max_age"]; row.maxAge == 0 && len(sent) != 0 || row.maxAge != 0 && (len(sent) != 1 || sent[0] != "60") {
				t.Errorf("max_age is sent as %q", sent)
			}
			tokens, err := w.ExchangeCode(t.Context(), query(t, w.authorize(t, r.URL, "alice")).Get("code"), r)
			if row.reason == "" {
				if err != nil || tokens.User == nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if refused(t, err, row.reason); tokens != nil {
				t.Error("tokens came with the refusal")
			}
		}))
	}
	w := newWorld(t)
	if _, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{Extra: url.Values{"max_age": {"0"}}}); err == nil {
		t.Error("max_age passed by the field that ExchangeCode reads")
	}
}

// Each row is one thing wrong with a callback that is read by hand.
func TestReadCallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		good := url.Values{"code": {"the-code"}, "state": {r.State}, "iss": {w.provider.URL()}}
		if got, err := w.ReadCallback(t.Context(), good.Encode()+"&session_state=x", r); err != nil || got != "the-code" {
			t.Errorf("a good callback: %q, %v", got, err)
		}
		for name, row := range map[string]struct {
			change func(url.Values)
			text   string
		}{
			"no state":            {func(q url.Values) { q.Del("state") }, "state"},
			"an empty state":      {func(q url.Values) { q.Set("state", "") }, "state"},
			"another state":       {func(q url.Values) { q.Set("state", strings.Repeat("s", 43)) }, "its state is not"},
			"a part of the state": {func(q url.Values) { q.Set("state", r.State[:42]) }, "its state is not"},
			"a longer state":      {func(q url.Values) { q.Set("state", r.State+".r") }, "its state is not"},
			"an endless state":    {func(q url.Values) { q.Set("state", strings.Repeat("s", 257)) }, "state has 257"},
			"two states":          {func(q url.Values) { q.Add("state", r.State) }, "state stands more than once"},
			"two codes":           {func(q url.Values) { q.Add("code", "x") }, "code stands more than once"},
			"no code":             {func(q url.Values) { q.Del("code") }, "either code or error"},
			"an empty code":       {func(q url.Values) { q.Set("code", "") }, "either code or error"},
			"code and error":      {func(q url.Values) { q.Set("error", "x") }, "either code or error"},
			"an endless code":     {func(q url.Values) { q.Set("code", strings.Repeat("c", 8193)) }, "code has 8193"},
			"an endless query":    {func(q url.Values) { q.Set("x", strings.Repeat("c", 20000)) }, "longer than"},
			"the iss of another":  {func(q url.Values) { q.Set("iss", "https://evil.example") }, "evil.example"},
			"an empty iss":        {func(q url.Values) { q.Set("iss", "") }, "iss"},
			"no iss":              {func(q url.Values) { q.Del("iss") }, "iss"},
			"two iss":             {func(q url.Values) { q.Add("iss", q.Get("iss")) }, "iss stands more than once"},
			"two errors": {func(q url.Values) {
				q.Del("code")
				q["error"] = []string{"a", "b"}
			}, "error stands more than once"},
		} {
			q := url.Values{}
			for name, values := range good {
				q[name] = append([]string{}, values...)
			}
			row.change(q)
			got, err := w.ReadCallback(t.Context(), q.Encode(), r)
			var cancelled *idserver.AuthorizationError
			if err == nil || got != "" || !strings.Contains(err.Error(), row.text) || errors.As(err, &cancelled) {
				t.Errorf("%s: %q, %v, want an error with %q", name, got, err, row.text)
			}
			if err != nil && leaks(err.Error(), r.State, "the-code") != "" {
				t.Errorf("%s: the error is %q", name, err)
			}
		}
		if got, err := w.ReadCallback(t.Context(), "code=%zz&state="+r.State, r); err == nil || got != "" {
			t.Errorf("a query that cannot be read: %q", got)
		}
		for name, none := range map[string]*idserver.AuthorizationRequest{"no request": nil, "an empty request": {}} {
			if got, err := w.ReadCallback(t.Context(), good.Encode(), none); err == nil || got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}

		var e *idserver.AuthorizationError
		cancelled := url.Values{"error": {"access_denied"}, "error_description": {"by\r\nthe user"}, "state": {r.State}, "iss": {w.provider.URL()}}
		if got, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); got != "" || !errors.As(err, &e) || e.Code != "access_denied" || e.Description != "bythe user" {
			t.Errorf("cancelled: %q, %v", got, err)
		}
		cancelled.Set("state", "x") // the error of another sign-in is not this one's
		if _, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); errors.As(err, &e) && err != nil && strings.Contains(err.Error(), "access_denied") {
			t.Errorf("cancelled elsewhere: %v", err)
		}
		cancelled.Set("state", r.State)
		cancelled.Set("iss", "https://evil.example") // and so is that of another provider
		if _, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); err == nil || strings.Contains(err.Error(), "access_denied") {
			t.Errorf("cancelled at another provider: %v", err)
		}

		w.provider.Fail(idtest.Discovery, idtest.Fault{})
		if _, err := w.client(t).ReadCallback(t.Context(), good.Encode(), r); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("without metadata: %v", err)
		}
	})
}

// What cannot be exchanged costs no request, and no panic.
func TestExchangeCodeNeedsSomething(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, code := authorizedCode(t, w, w.Client, "alice")
		for name, exchange := range map[string]func() (*idserver.Tokens, error){
			"no code":        func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), "", r) },
			"no request":     func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), code, nil) },
			"nothing at all": func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), "", nil) },
		} {
			if tokens, err := exchange(); err == nil || tokens != nil || strings.Contains(err.Error(), code) {
				t.Errorf("%s: %v, %v", name, tokens, err)
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 0 {
			t.Errorf("the token endpoint was asked %d times", n)
		}
		if _, err := w.ExchangeCode(t.Context(), code, r); err != nil {
			t.Errorf("the code was spent: %v", err)
		}
	})
}

// AdmitUser keeps claims of the application's own, and cannot make another person of the user: who somebody is, is iss and sub.
func TestSetRefusesIdentity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var faults []error
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				for _, name := range []string{"iss", "sub", ""} {
					faults = append(faults, u.Set(name, "mallory"))
				}
				faults = append(faults, u.Set("function", func() {}))
				return u.Set("plan", "gold")
			}
		})
		b := w.signedIn(t, "alice")
		for i, err := range faults {
			if err == nil {
				t.Errorf("Set %d was taken", i)
			}
		}
		if len(faults) != 4 {
			t.Errorf("Set was tried %d times", len(faults))
		}
		u, _ := b.visit()
		claims := map[string]any{}
		if err := u.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		if u.Subject != aliceSubject || claims["sub"] != aliceSubject || claims["iss"] != w.provider.URL() || claims["plan"] != "gold" || claims["function"] != nil {
			t.Errorf("the user is %+v with the claims %v", u, claims)
		}
	})
}

// Tokens with 300 groups work where they need not fit into a cookie: by hand, and at an API.
func TestTokensWithManyGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		many := func(c map[string]any) { c["groups"] = groups(300) }
		w.provider.SetIDTokenClaims(many)
		w.provider.SetAccessTokenClaims(many)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		if len(tokens.IDToken) < 16<<10 || len(tokens.AccessToken) < 16<<10 {
			t.Fatalf("they have %d and %d bytes", len(tokens.IDToken), len(tokens.AccessToken))
		}
		for range 2 { // the second time it is remembered
			u, err := w.ValidateAccessToken(t.Context(), tokens.AccessToken, idserver.AccessTokenCheck{})
			var said struct {
				Groups []string `json:"groups"`
			}
			if err != nil || u.Claims(&said) != nil || len(said.Groups) != 300 {
				t.Errorf("%v with %d groups, %v", u, len(said.Groups), err)
			}
		}
		if _, err := w.RefreshToken(t.Context(), tokens); err != nil {
			t.Error(err)
		}
	})
}
