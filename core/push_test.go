package idserver_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func requirePAR(w *world) {
	w.provider.SetMetadata(func(m map[string]any) { m["require_pushed_authorization_requests"] = true })
	w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, AnyLoopbackRedirect: true, RequirePAR: true})
}

// Where the provider requires it, a sign-in is pushed, and the browser sees nothing of it but what stands for it.
func TestPush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AuthorizeParameters = url.Values{"resource": {"urn:a"}, "max_age": {"600"}}
		})
		requirePAR(w)
		b := w.browser(t)
		address := b.begin("/auth/login?login_hint=alice")
		at, seen, _ := strings.Cut(address, "?")
		if at != w.provider.URL()+"/connect/authorize" || len(query(t, address)) != 2 || query(t, address).Get("client_id") != idtest.ExampleClient {
			t.Errorf("the browser is sent to %s", address)
		}
		for _, hidden := range []string{"state", "nonce", "scope", "redirect_uri", "alice", "resource"} {
			if strings.Contains(seen, hidden) {
				t.Errorf("the browser sees %s: %s", hidden, seen)
			}
		}
		form := w.provider.LastPushedRequest()
		for name, want := range map[string]string{
			"client_id": idtest.ExampleClient, "redirect_uri": base + "/auth/callback", "response_type": "code", "code_challenge_method": "S256",
			"login_hint": "alice", "resource": "urn:a", "max_age": "600", "scope": "openid profile email roles offline_access", "code_verifier": "",
		} {
			if got := form.Get(name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		a := b.route("GET", w.authorize(t, address, "alice"), navigates)
		if a.Status != http.StatusSeeOther {
			t.Fatalf("callback: %d %s", a.Status, a.Body)
		}
		if user, _ := b.visit(); user == nil || user.Subject != aliceSubject {
			t.Errorf("signed in is %v", user)
		}
		// A front end is told the same.
		if a := w.browser(t).route("GET", "/auth/login", fetches); !strings.Contains(string(a.Body), "request_uri=urn") {
			t.Errorf("a front end is told %s", a.Body)
		}
		signInByHand(t, w, w.Client, "alice")
	})
}

// Otherwise nothing is pushed, unless the configuration says so.
func TestPushOnlyWhereWanted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.signedIn(t, "alice")
		if n := w.provider.Requests(idtest.PushedAuthorization); n != 0 {
			t.Errorf("%d requests were pushed", n)
		}
		client := w.client(t, func(c *idserver.Config) { c.Provider.PushedAuthorization = true })
		signInByHand(t, w, client, "alice")
		if n := w.provider.Requests(idtest.PushedAuthorization); n != 1 {
			t.Errorf("%d requests were pushed", n)
		}
		elsewhere := w.client(t, func(c *idserver.Config) {
			c.Provider.PushedAuthorization, c.Provider.Endpoints.PushedAuthorization = true, w.provider.URL()+"/elsewhere"
		})
		if _, err := elsewhere.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); !errors.Is(err, idserver.ErrTokenEndpoint) || !strings.Contains(err.Error(), "404") {
			t.Errorf("another endpoint: %v", err)
		}
		w.provider.SetMetadata(func(m map[string]any) { delete(m, "pushed_authorization_request_endpoint") })
		client = w.client(t, func(c *idserver.Config) { c.Provider.PushedAuthorization = true })
		if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); !errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), "pushed_authorization_request_endpoint") {
			t.Errorf("without the endpoint: %v", err)
		}
	})
}

// Whatever comes in place of a request_uri, the browser is not sent to the provider: not with the parameters either.
func TestPushRefused(t *testing.T) {
	fault := func(f idtest.Fault) func(*world) {
		return func(w *world) { w.provider.Fail(idtest.PushedAuthorization, f) }
	}
	body := func(status int, text string) func(*world) { return fault(idtest.Fault{Status: status, Body: text}) }
	for name, row := range map[string]struct {
		make func(*world)
		code idserver.RefusalCode
		log  string
	}{
		"down":                   {fault(idtest.Fault{Drop: true}), idserver.CodeProviderUnavailable, ""},
		"503":                    {fault(idtest.Fault{Status: 503, Header: http.Header{"Retry-After": {"7"}}}), idserver.CodeProviderUnavailable, ""},
		"429":                    {fault(idtest.Fault{Status: 429}), idserver.CodeProviderUnavailable, ""},
		"hanging":                {fault(idtest.Fault{Hang: true}), idserver.CodeProviderUnavailable, ""},
		"server_error":           {fault(idtest.Fault{OAuthError: "server_error"}), idserver.CodeProviderUnavailable, ""},
		"upstream":               {fault(idtest.Fault{OAuthError: "upstream_dependency_error"}), idserver.CodeProviderUnavailable, ""},
		"invalid_request":        {fault(idtest.Fault{OAuthError: "invalid_request"}), idserver.CodeProviderError, "redirect_uri"},
		"invalid_scope":          {fault(idtest.Fault{OAuthError: "invalid_scope"}), idserver.CodeProviderError, "Config.Scopes"},
		"invalid_client":         {fault(idtest.Fault{OAuthError: "invalid_client", Status: 401}), idserver.CodeProviderError, "client secret"},
		"invalid_grant":          {fault(idtest.Fault{OAuthError: "invalid_grant"}), idserver.CodeProviderError, ""},
		"400 alone":              {body(400, "{}"), idserver.CodeProviderError, ""},
		"a redirect":             {fault(idtest.Fault{Redirect: "https://evil.example"}), idserver.CodeProviderError, "redirect"},
		"HTML":                   {fault(idtest.Fault{HTML: true}), idserver.CodeProviderError, ""},
		"endless":                {fault(idtest.Fault{Endless: true}), idserver.CodeProviderError, "longer"},
		"a bomb":                 {fault(idtest.Fault{GzipBomb: true}), idserver.CodeProviderError, "longer"},
		"empty":                  {body(201, ""), idserver.CodeProviderError, ""},
		"no request_uri":         {body(201, `{"expires_in":60}`), idserver.CodeProviderError, "no request_uri"},
		"an empty one":           {body(201, `{"request_uri":""}`), idserver.CodeProviderError, "no request_uri"},
		"two":                    {body(201, `{"request_uri":"urn:a","request_uri":"urn:b"}`), idserver.CodeProviderError, "twice"},
		"a number":               {body(201, `{"request_uri":1}`), idserver.CodeProviderError, ""},
		"no URI":                 {body(201, `{"request_uri":"a b"}`), idserver.CodeProviderError, "no URI"},
		"line breaks":            {body(201, `{"request_uri":"urn:a\r\nSet-Cookie: b"}`), idserver.CodeProviderError, "no URI"},
		"a space":                {body(201, `{"request_uri":"urn:a b"}`), idserver.CodeProviderError, "no URI"},
		"a bracket":              {body(201, `{"request_uri":"urn:<a>"}`), idserver.CodeProviderError, "no URI"},
		"a path":                 {body(201, `{"request_uri":"/a"}`), idserver.CodeProviderError, "no URI"},
		"a long one":             {body(201, `{"request_uri":"urn:`+strings.Repeat("a", 1024)+`"}`), idserver.CodeProviderError, "longer than"},
		"200 with an error":      {body(200, `{"error":"invalid_scope"}`), idserver.CodeProviderError, "Config.Scopes"},
		"an error in other form": {body(400, `{"errors":[{"message":"x"}]}`), idserver.CodeProviderError, ""},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			requirePAR(w)
			row.make(w)
			b := w.browser(t)
			a := b.route("GET", "/auth/login?login_hint=alice", navigates)
			want := map[idserver.RefusalCode]int{idserver.CodeProviderUnavailable: 503, idserver.CodeProviderError: 502}[row.code]
			if a.Status != want || code(t, a) != row.code || field(a, "Location") != "" || len(b.logins()) != 0 {
				t.Errorf("got %d %s, to %q", a.Status, code(t, a), field(a, "Location"))
			}
			if name == "503" && field(a, "Retry-After") != "7" {
				t.Errorf("Retry-After is %q", field(a, "Retry-After"))
			}
			if !strings.Contains(w.log.String(), row.log) {
				t.Errorf("the log does not say %q: %s", row.log, w.log)
			}
		}))
	}
}

// What the provider tells about a request that it refuses has nothing of the request in it.
func TestPushLeaksNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		requirePAR(w)
		w.provider.Fail(idtest.PushedAuthorization, idtest.Fault{OAuthError: "invalid_request", OAuthDescription: "the client_secret is " + idtest.ExampleSecret})
		w.browser(t).route("GET", "/auth/login", navigates)
		if leaks(w.log.String(), idtest.ExampleSecret) != "" || !strings.Contains(w.log.String(), "redacted") {
			t.Errorf("the log is %s", w.log)
		}
	})
}

// A sign-in that is begun again is pushed again.
func TestPushAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		requirePAR(w)
		b := w.browser(t)
		address := b.begin("/auth/login")
		w.clock.advance(2 * time.Minute)
		if _, err := w.provider.Authorize(t.Context(), address, "alice"); err == nil {
			t.Fatal("the provider knows the request for longer than it said")
		}
		if again := b.begin("/auth/login"); again == address {
			t.Error("the request is the same")
		}
	})
}
