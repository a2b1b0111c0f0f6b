package idserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// backchannel posts a body to the route of logout tokens, as a provider does.
func backchannel(t *testing.T, client *idserver.Client, contentType string, body io.Reader) idserver.Answer {
	t.Helper()
	for _, route := range routesOf(t, client) {
		if route.Path == "/backchannel-logout" {
			return route.Serve(t.Context(), idserver.Request{
				Method: http.MethodPost, Path: "/auth/backchannel-logout", Host: "app.internal", Header: http.Header{"Content-Type": {contentType}}, Body: body,
			})
		}
	}
	t.Fatal("there is no such route")
	return idserver.Answer{}
}

const form = "application/x-www-form-urlencoded"

// logout posts a logout token.
func logout(t *testing.T, client *idserver.Client, token string) idserver.Answer {
	t.Helper()
	return backchannel(t, client, form, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
}

// The form of the request: section 2.5.
func TestBackchannelLogoutRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		good := "logout_token=" + w.provider.MintLogoutToken("alice", idtest.ExampleClient)
		for name, row := range map[string]struct {
			contentType string
			body        io.Reader
			status      int
		}{
			"as it is":                      {form, strings.NewReader(good), 200},
			"with a charset":                {form + "; charset=UTF-8", strings.NewReader(good), 200},
			"other parameters":              {form, strings.NewReader("a=1&" + good + "&a=2&state=x"), 200},
			"two tokens":                    {form, strings.NewReader(good + "&" + good), 400},
			"a token and an empty one":      {form, strings.NewReader(good + "&logout_token="), 400},
			"an empty token":                {form, strings.NewReader("logout_token="), 400},
			"no token":                      {form, strings.NewReader("token=x"), 400},
			"an empty body":                 {form, http.NoBody, 400},
			"no body":                       {form, nil, 400},
			"JSON":                          {"application/json", strings.NewReader(`{"logout_token":"x"}`), 400},
			"a form as JSON":                {"application/json", strings.NewReader(good), 400},
			"multipart":                     {"multipart/form-data; boundary=x", strings.NewReader(good), 400},
			"no content type":               {"", strings.NewReader(good), 400},
			"a content type that is broken": {form + ";;", strings.NewReader(good), 400},
			"100 kB":                        {form, strings.NewReader(good + "&x=" + strings.Repeat("x", 100<<10)), 400},
			"a token of 100 kB":             {form, strings.NewReader("logout_token=" + strings.Repeat("x", 100<<10)), 400},
			"a body that breaks off":        {form, io.MultiReader(strings.NewReader(good), iotest.ErrReader(errors.New("reset"))), 400},
			"not a form":                    {form, strings.NewReader("%zz=1&" + good), 400},
			"a semicolon":                   {form, strings.NewReader("a=1;" + good), 400},
		} {
			a := backchannel(t, w.Client, row.contentType, row.body)
			if a.Status != row.status || field(a, "Cache-Control") != "no-store" || cookiesSet(a) != 0 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if row.status == 400 && code(t, a) != "invalid_logout_token" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			for _, route := range routesOf(t, w.Client) {
				if route.Path != "/backchannel-logout" {
					continue
				}
				a := route.Serve(t.Context(), idserver.Request{Method: method, Path: "/auth/backchannel-logout", Header: http.Header{}})
				if a.Status != 405 || field(a, "Allow") != "POST" {
					t.Errorf("%s: %d", method, a.Status)
				}
			}
		}
	})
}

// Which sessions a logout token ends: by sid one, by sub all that began before, and nobody else's.
func TestBackchannelLogoutEnds(t *testing.T) {
	for name, row := range map[string]struct {
		edit          func(c map[string]any, sids []string)
		first, second bool // alice's
	}{
		"by sub":               {func(map[string]any, []string) {}, true, true},
		"by sid":               {func(c map[string]any, sids []string) { delete(c, "sub"); c["sid"] = sids[0] }, true, false},
		"by both":              {func(c map[string]any, sids []string) { c["sid"] = sids[1] }, false, true},
		"by the sid of nobody": {func(c map[string]any, _ []string) { c["sid"] = "nobody's" }, false, false},
		"by the sid as sub":    {func(c map[string]any, sids []string) { c["sub"] = sids[0] }, false, false},
		"by sid, of another issuer": {func(c map[string]any, sids []string) {
			delete(c, "sub")
			c["sid"], c["iss"] = sids[0], "https://other.example"
		}, false, false},
		"by sub, and sid is null":    {func(c map[string]any, _ []string) { c["sid"] = nil }, true, true},
		"by sub, and sid is empty":   {func(c map[string]any, _ []string) { c["sid"] = "" }, true, true},
		"issued before they began":   {func(c map[string]any, _ []string) { c["iat"] = c["iat"].(int64) - 60 }, false, false},
		"issued when they began":     {func(c map[string]any, _ []string) { c["iat"] = c["iat"].(int64) - 59 }, true, true},
		"issued within the leeway":   {func(c map[string]any, _ []string) { c["iat"] = c["iat"].(int64) + 9 }, true, true},
		"of another person":          {func(c map[string]any, _ []string) { c["sub"] = "somebody" }, false, false},
		"of another person, by both": {func(c map[string]any, sids []string) { c["sub"], c["sid"] = "somebody", sids[0] }, true, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newRunningWorld(t)
			pass(300 * time.Millisecond) // no whole second
			first, second, other := w.signedIn(t, "alice"), w.signedIn(t, "alice"), w.signedIn(t, "bob")
			ctx := stream(t, w, first.request("GET", "/", nil))
			pass(59*time.Second + 500*time.Millisecond)
			logout(t, w.Client, w.provider.MintLogoutToken("alice", idtest.ExampleClient, func(c map[string]any) {
				row.edit(c, w.provider.SessionIDs("alice", idtest.ExampleClient))
			}))
			pass(0)
			if first.admits(w.Client) == row.first || second.admits(w.Client) == row.second || !other.admits(w.Client) {
				t.Errorf("ended %v and %v, want %v and %v; another person's goes on: %v", !first.admits(w.Client), !second.admits(w.Client), row.first, row.second, other.admits(w.Client))
			}
			if row.first {
				causedBy(t, ctx, idserver.ErrSignedOut)
			} else {
				causedBy(t, ctx)
			}
		}))
	}
}

// A session of which the provider told no sid may be the one that a logout token with sid and sub means.
func TestBackchannelLogoutOfSessionWithoutSID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		named := w.signedIn(t, "alice")
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "sid") })
		unnamed, other := w.signedIn(t, "alice"), w.signedIn(t, "bob")
		pass(time.Second)
		logout(t, w.Client, w.provider.MintLogoutToken("alice", idtest.ExampleClient, func(c map[string]any) { c["sid"] = "s" }))
		if unnamed.admits(w.Client) || !named.admits(w.Client) || !other.admits(w.Client) {
			t.Errorf("admitted: the one without sid %v, with another sid %v, another person's %v", unnamed.admits(w.Client), named.admits(w.Client), other.admits(w.Client))
		}
	})
}

// A logout token that comes again ends nothing that began since, and nobody is told again.
func TestBackchannelLogoutReplayed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told []idserver.SessionEvent
		w := newRunningWorld(t, func(c *idserver.Config) {
			c.Events.SignedOut = func(_ context.Context, e idserver.SessionEvent) { told = append(told, e) }
		})
		w.signedIn(t, "alice")
		pass(time.Second)
		token := w.provider.MintLogoutToken("alice", idtest.ExampleClient)
		for round := range 3 {
			if a := logout(t, w.Client, token); a.Status != 200 {
				t.Errorf("round %d: %d %s", round, a.Status, a.Body)
			}
			pass(time.Second)
			again := w.signedIn(t, "alice")
			if a := logout(t, w.Client, token); a.Status != 200 || !again.admits(w.Client) {
				t.Errorf("round %d: %d; the session that began since is admitted: %v", round, a.Status, again.admits(w.Client))
			}
		}
		if len(told) != 1 || told[0].Subject != aliceSubject || told[0].Issuer != w.provider.URL() {
			t.Errorf("told %v", told)
		}
	})
}

// The response of a sign-in that the provider had ended meanwhile begins a session that is over.
func TestBackchannelLogoutDuringSignIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newRunningWorld(t)
		g := w.behindGate(t)
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		g.close()
		done := make(chan struct{})
		go func() { b.route("GET", callback, navigates); close(done) }()
		<-g.arrived // its ID token is issued
		pass(2 * time.Second)
		logout(t, w.Client, w.provider.MintLogoutToken("alice", idtest.ExampleClient))
		pass(time.Second)
		g.open()
		<-done
		if b.admits(w.Client) {
			t.Error("the session of a sign-in that was ended is admitted")
		}
		if !w.signedIn(t, "alice").admits(w.Client) {
			t.Error("the next one is not")
		}
	})
}

// A logout token reaches all replicas, whichever gets it, with the provider's clock five seconds ahead or behind.
func TestBackchannelLogoutAtReplicas(t *testing.T) {
	for name, apart := range map[string]time.Duration{"the same time": 0, "the provider is ahead": 5 * time.Second, "the provider is behind": -5 * time.Second} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, _ := newMessengers(t)
			w.provider.Advance(apart)
			b, other := w.signedIn(t, "alice"), w.signedIn(t, "bob")
			w.warmUp(b)
			if a := logout(t, w.clients[2], w.provider.MintLogoutToken("alice", idtest.ExampleClient)); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			pass(0)
			w.expectAt(b, "", "signed out by the provider")
			w.expectAt(other, "012", "another person")
			pass(time.Second)
			again := w.signedIn(t, "alice")
			pass(time.Second)
			w.expectAt(again, "012", "signed in again")
			w.expectAt(b, "", "the old cookie")
		}))
	}
}

// A sign-in after the sign-out stands, also where nobody could know of that and the provider's clock is ahead: what the provider says of
// a time to come by our clock says nothing of who signs in until then.
func TestBackchannelLogoutBySomebodyAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newMessengers(t)
		w.provider.Advance(5 * time.Second)
		b := w.signedIn(t, "alice")
		w.warmUp(b)
		messenger.set(true, false)
		if a := logout(t, w.clients[2], w.provider.MintLogoutToken("alice", idtest.ExampleClient)); a.Status != 503 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		pass(time.Second)
		again := w.signedIn(t, "alice")
		messenger.set(false, false)
		pass(time.Minute)
		w.expectAt(b, "", "signed out by the provider")
		w.expectAt(again, "012", "signed in again")
	})
}

// While the store is away, the provider is asked to repeat; the session is over here at once, and everywhere when the store is
// back, whether or not the provider repeats.
func TestBackchannelLogoutWhileTheStoreIsAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, messenger := newMessengers(t)
		b := w.signedIn(t, "alice")
		w.warmUp(b)
		messenger.set(true, false)
		token := w.provider.MintLogoutToken("alice", idtest.ExampleClient)
		a := logout(t, w.clients[0], token)
		if a.Status != 503 || code(t, a) != idserver.CodeStoreUnavailable || field(a, "Retry-After") == "" || field(a, "Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		w.expectAt(b, "12", "the store is away")
		messenger.set(false, false)
		pass(2 * time.Second)
		w.expectAt(b, "", "the store is back")
		if a := logout(t, w.clients[0], token); a.Status != 200 {
			t.Errorf("repeated: %d %s", a.Status, a.Body)
		}
	})
}

// A token that cannot be judged now is neither accepted nor refused.
func TestBackchannelLogoutWhileTheProviderIsAway(t *testing.T) {
	for name, endpoint := range map[string]idtest.Endpoint{"metadata": idtest.Discovery, "keys": idtest.KeySet} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.Fail(endpoint, idtest.Fault{Status: 503})
			a := logout(t, w.Client, w.provider.MintLogoutToken("alice", idtest.ExampleClient))
			if a.Status != 503 || code(t, a) != idserver.CodeProviderUnavailable || field(a, "Retry-After") == "" {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		}))
	}
}

// FuzzBackchannelLogout gives a body. Only 200, 400 and 503 are answers, and no body of a stranger's is accepted.
func FuzzBackchannelLogout(f *testing.F) {
	provider := idtest.NewProvider(f, func(o *idtest.Options) { o.InMemory = true })
	cfg := provider.Config(base)
	cfg.SessionSecret = secretOne
	cfg.Logger = textLog(io.Discard)
	client, err := idserver.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	stranger := provider.SignRaw(map[string]any{"alg": "none"}, map[string]any{"iss": provider.URL(), "sub": "alice"})
	for _, body := range []string{"", "logout_token=", "logout_token=a.b.c", "logout_token=" + stranger, "logout_token=x&logout_token=x", "%", "a;b"} {
		f.Add(form, []byte(body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		if a := backchannel(t, client, contentType, bytes.NewReader(body)); a.Status != 400 && a.Status != 503 {
			t.Errorf("%d: %s", a.Status, a.Body)
		}
	})
}
