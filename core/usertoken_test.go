package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// keptContext is the context of a request that a guard let through, as it is after the request.
func keptContext(t *testing.T, b *browser, edits ...edit) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	passed, a := b.client.RequireUser()(ctx, b.request("GET", "/", edits))
	if a.Ends() {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return context.WithoutCancel(passed)
}

// A background job goes on with the user's token long after its request: it is refreshed when it is due, and the browser
// finds what came of it, at any replica.
func TestTokenSourceAfterTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		source := w.TokenSource(keptContext(t, b))
		other := w.clients[1].TokenSource(keptContext(t, w.at(1, b)))
		last := ""
		for round := range 12 { // 2 h, and the browser's own limit is an hour without use
			first, err := source.Token()
			if err != nil || !first.Valid() || first.AccessToken == last || !first.Expiry.After(time.Now()) {
				t.Fatalf("round %d: %v, the same again: %t", round, err, first != nil && first.AccessToken == last)
			}
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					if again, err := source.Token(); err != nil || again.AccessToken != first.AccessToken {
						t.Errorf("round %d: another token, %v", round, err)
					}
				})
			}
			all.Wait()
			if there, err := other.Token(); err != nil || there.AccessToken != first.AccessToken {
				t.Errorf("round %d: another replica has another token, %v", round, err)
			}
			if round == 3 {
				if u, token := w.at(2, b).visit(); u == nil || token != first.AccessToken {
					t.Errorf("the browser comes back: %v", u)
				}
			}
			last = first.AccessToken
			time.Sleep(14*time.Minute + time.Second)
		}
		if n := w.provider.RefreshCounts(); n != (idtest.RefreshCounts{Answered: 11}) {
			t.Errorf("%+v", n)
		}
	})
}

// How a source ends.
func TestTokenSourceErrors(t *testing.T) {
	for name, row := range map[string]struct {
		then func(*replicas, *browser)
		want error
	}{
		"it goes on":  {func(w *replicas, b *browser) { time.Sleep(time.Hour) }, nil},
		"signed out":  {func(w *replicas, b *browser) { b.route("POST", "/auth/logout", navigates) }, idserver.ErrSignedOut},
		"Session.Max": {func(w *replicas, b *browser) { time.Sleep(12*time.Hour + time.Second) }, idserver.ErrSignedOut},
		"the grant is withdrawn": {func(w *replicas, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
			time.Sleep(15 * time.Minute)
		}, idserver.ErrSignedOut},
		"away, the token is good": {func(w *replicas, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 429})
			time.Sleep(nearlyOver)
		}, nil},
		"away": {func(w *replicas, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 429})
			time.Sleep(15 * time.Minute)
		}, idserver.ErrUnavailable},
		"away for long": {func(w *replicas, b *browser) {
			w.provider.Fail(idtest.Token, idtest.Fault{Status: 429})
			time.Sleep(3 * time.Hour)
		}, idserver.ErrUnavailable},
		"the store is away": {func(w *replicas, b *browser) { w.store.setAway(true); time.Sleep(15 * time.Minute) }, idserver.ErrUnavailable},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
			b := w.signedIn(t, "alice")
			source := w.TokenSource(keptContext(t, b))
			row.then(w, b)
			token, err := source.Token()
			if !errors.Is(err, row.want) || (err == nil) != (row.want == nil) || err != nil && !errors.Is(err, idserver.Err) {
				t.Errorf("%v", err)
			}
			if err == nil && !token.Valid() {
				t.Error("the token has expired")
			}
		}))
	}
}

// Without a store, nobody but the browser's own requests may rotate its refresh token.
func TestTokenSourceWithoutStore(t *testing.T) {
	for name, row := range map[string]struct {
		noRotation bool
		refreshes  int
	}{"rotated": {false, 0}, "not rotated": {true, 1}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{NoRotation: row.noRotation}, func(c *idserver.Config) { c.Session.NoRotation = row.noRotation })
			b := w.signedIn(t, "alice")
			source := w.TokenSource(keptContext(t, b))
			first, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(15*time.Minute + time.Second)
			second, err := source.Token()
			if (err == nil) != row.noRotation || err != nil && !strings.Contains(err.Error(), "Config.Store") || w.provider.RefreshCounts().Answered != row.refreshes {
				t.Errorf("%v, %+v", err, w.provider.RefreshCounts())
			}
			if !row.noRotation {
				b.visit() // the browser refreshes, and the source finds it
				second, err = source.Token()
			}
			if err != nil || second.AccessToken == first.AccessToken || !second.Valid() {
				t.Errorf("in the end: %v", err)
			}
		}))
	}
}

// Whoever signs out while the token is being refreshed gets it no more.
func TestTokenSourceSignedOutMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{NoRotation: true}, func(c *idserver.Config) { c.Session.NoRotation = true })
		b := w.signedIn(t, "alice")
		source := w.TokenSource(keptContext(t, b))
		time.Sleep(15*time.Minute + time.Second)
		w.provider.Fail(idtest.Token, idtest.Fault{Slow: 2 * time.Second, When: ofRefreshes})
		w.provider.Fail(idtest.Revocation, idtest.Fault{Status: 500}) // or the provider would refuse by itself
		got := make(chan error)
		go func() {
			_, err := source.Token()
			got <- err
		}()
		time.Sleep(time.Second)
		if a := b.route("POST", "/auth/logout", navigates); a.Status != http.StatusSeeOther {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if err := <-got; !errors.Is(err, idserver.ErrSignedOut) {
			t.Errorf("%v, want ErrSignedOut", err)
		}
		if n := w.provider.RefreshCounts().Answered; n != 1 {
			t.Errorf("%d refreshes were answered, want the one", n)
		}
	})
}

// A bearer token is the caller's: it is passed on as long as it is good.
func TestTokenSourceOfABearerToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		bearerToken := w.provider.MintAccessToken("alice")
		b := w.browser(t)
		ctx := keptContext(t, b, bearer(bearerToken))
		source := w.TokenSource(ctx)
		token, err := source.Token()
		if err != nil || token.AccessToken != bearerToken || !token.Expiry.Equal(w.clock.Now().Add(15*time.Minute)) {
			t.Fatalf("%v, %v", token, err)
		}
		if _, err := w.client(t).TokenSource(ctx).Token(); err == nil || !errors.Is(err, idserver.Err) {
			t.Errorf("of another client: %v", err)
		}
		for name, ctx := range map[string]context.Context{
			"no guard": t.Context(), "WithUser": idserver.WithUser(t.Context(), &idserver.User{Subject: "x"}),
			"nobody": contextOf(w.LoadUser()(t.Context(), b.request("GET", "/", nil))),
		} {
			if _, err := w.TokenSource(ctx).Token(); err == nil || !errors.Is(err, idserver.Err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.clock.advance(15 * time.Minute)
		if _, err := source.Token(); !errors.Is(err, idserver.ReasonExpired) {
			t.Errorf("expired: %v", err)
		}
		w.clock.advance(-time.Minute)
		if err := w.RevokeToken(t.Context(), bearerToken); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Token(); !errors.Is(err, idserver.ReasonRevoked) {
			t.Errorf("revoked: %v", err)
		}
	})
}

func contextOf(ctx context.Context, _ idserver.Answer) context.Context { return ctx }

// apis is a network of APIs, which record the Authorization that they get, by URL.
type apis struct {
	got      map[string]string
	redirect map[string]string
	err      error
}

func (a *apis) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if a.err != nil {
		return nil, a.err
	}
	a.got[r.URL.String()] = r.Header.Get("Authorization")
	answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}
	if to := a.redirect[r.URL.String()]; to != "" {
		answer.StatusCode, answer.Header = 307, http.Header{"Location": {to}}
	}
	return answer, nil
}

// The token goes to one origin, exactly.
func TestTransport(t *testing.T) {
	const origin = "https://api.example:8443"
	for address, row := range map[string]struct {
		with bool
		edit func(*http.Request)
	}{
		"https://api.example:8443/orders":         {true, nil},
		"https://API.example:8443/orders":         {true, nil},
		"https://api.example/orders":              {false, nil},
		"https://api.example:443/orders":          {false, nil},
		"http://api.example:8443/orders":          {false, nil},
		"https://api.example:84430/orders":        {false, nil},
		"https://api.example.evil.example:8443/":  {false, nil},
		"https://evil.example:8443/":              {false, nil},
		"https://api.example.:8443/":              {false, nil},
		"https://a.api.example:8443/":             {false, nil},
		"https://api.example:8443@evil.example/":  {false, nil},
		"https://api.example:8443/another-host":   {false, func(r *http.Request) { r.Host = "evil.example" }},
		"https://api.example:8443/same-host":      {true, func(r *http.Request) { r.Host = "api.example:8443" }},
		"https://api.example:8443/own-credential": {false, func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }},
		"https://api.example:8443/no-header":      {true, func(r *http.Request) { r.Header = nil }},
	} {
		t.Run(address, func(t *testing.T) {
			w := newAPI(t, false)
			token := w.provider.MintAccessToken("alice")
			network := &apis{got: map[string]string{}}
			transport := w.Transport(keptContext(t, w.browser(t), bearer(token)), origin, network)
			r, err := http.NewRequest("GET", address, nil)
			if err != nil {
				t.Fatal(err)
			}
			if row.edit != nil {
				row.edit(r)
			}
			before := r.Header.Clone()
			if _, err := transport.RoundTrip(r); err != nil {
				t.Fatal(err)
			}
			if got := network.got[r.URL.String()]; (got == "Bearer "+token) != row.with || got != "" && !row.with && got != "Basic x" {
				t.Errorf("the token was sent: %t", got == "Bearer "+token)
			}
			if len(r.Header) != len(before) || r.Header.Get("Authorization") != before.Get("Authorization") {
				t.Errorf("the request was modified: %v", r.Header)
			}
		})
	}
}

// A redirect to another origin goes without the token, and one back has it again.
func TestTransportAtRedirects(t *testing.T) {
	w := newAPI(t, false)
	token := w.provider.MintAccessToken("alice")
	network := &apis{got: map[string]string{}, redirect: map[string]string{
		"https://api.example/1": "https://evil.example/2", "https://evil.example/2": "https://api.example/3",
	}}
	client := http.Client{Transport: w.Transport(keptContext(t, w.browser(t), bearer(token)), "https://api.example", network)}
	answer, err := client.PostForm("https://api.example/1", url.Values{"a": {"b"}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	for address, want := range map[string]string{"https://api.example/1": "Bearer " + token, "https://evil.example/2": "", "https://api.example/3": "Bearer " + token} {
		if got, ok := network.got[address]; got != want || !ok {
			t.Errorf("%s gets %q", address, strings.ReplaceAll(got, token, "the token"))
		}
	}
}

// Neither the source nor the transport prints the token.
func TestTokenSourcePrintsNothing(t *testing.T) {
	w := newAPI(t, false)
	token := w.provider.MintAccessToken("alice")
	ctx := keptContext(t, w.browser(t), bearer(token))
	for _, v := range []any{w.TokenSource(ctx), w.Transport(ctx, "https://api.example", nil)} {
		if leaked := leaks(fmt.Sprintf("%v %+v %#v %s", v, v, v, v), token, "alice@example.test"); leaked != "" {
			t.Errorf("%T prints it: %s", v, leaked)
		}
	}
}

// closing is a body that tells whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

// The body is closed whatever happens, and what cannot be an origin gets no request at all.
func TestTransportErrors(t *testing.T) {
	w := newAPI(t, false)
	good := keptContext(t, w.browser(t), bearer(w.provider.MintAccessToken("alice")))
	broken := errors.New("broken")
	for name, row := range map[string]struct {
		ctx    context.Context
		origin string
		err    error // of the network
		want   string
	}{
		"no origin":          {good, "", nil, "Transport: origin"},
		"a URL":              {good, "https://api.example/orders", nil, "want an origin, such as \"https://api.example\""},
		"a slash":            {good, "https://api.example/", nil, "want an origin"},
		"the default port":   {good, "https://api.example:443", nil, "want an origin"},
		"in capitals":        {good, "https://API.example", nil, "want an origin"},
		"http":               {good, "http://api.example", nil, "https"},
		"a wildcard":         {good, "*", nil, "Transport: origin"},
		"nobody":             {t.Context(), "https://api.example", nil, "nobody is signed in"},
		"the network breaks": {good, "https://api.example", broken, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			network := &apis{got: map[string]string{}, err: row.err}
			body := &closing{Reader: strings.NewReader("x")}
			r, err := http.NewRequest("POST", "https://api.example/orders", body)
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Transport(row.ctx, row.origin, network).RoundTrip(r)
			if err == nil || !strings.Contains(err.Error(), row.want) || row.err == nil && !errors.Is(err, idserver.Err) {
				t.Errorf("%v", err)
			}
			if !body.closed || len(network.got) != 0 {
				t.Errorf("closed: %t, sent: %d", body.closed, len(network.got))
			}
		})
	}
}
