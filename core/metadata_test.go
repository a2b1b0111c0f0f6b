package idserver_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestMetadataAccepted(t *testing.T) {
	type doc = map[string]any
	for name, row := range map[string]struct {
		doc    doc
		config func(*idserver.Config)
		asked  string // where the metadata was read
	}{
		"as it is":                   {nil, nil, "https://id.example/.well-known/openid-configuration"},
		"an authority with a slash":  {nil, func(c *idserver.Config) { c.Authority += "/" }, "https://id.example/.well-known/openid-configuration"},
		"both with a slash":          {doc{"issuer": "https://id.example/"}, func(c *idserver.Config) { c.Authority += "/" }, "https://id.example/.well-known/openid-configuration"},
		"an issuer with a path":      {doc{"issuer": "https://id.example/realms/x"}, func(c *idserver.Config) { c.Authority += "/realms/x" }, "https://id.example/realms/x/.well-known/openid-configuration"},
		"an issuer by configuration": {doc{"issuer": "https://issuer.example"}, func(c *idserver.Config) { c.Provider.Issuer = "https://issuer.example" }, "https://id.example/.well-known/openid-configuration"},
		"endpoints on other hosts":   {doc{"token_endpoint": "https://token.example/t", "jwks_uri": "https://keys.example/j"}, nil, "https://id.example/.well-known/openid-configuration"},
		"no optional endpoint":       {doc{"userinfo_endpoint": nil, "revocation_endpoint": nil, "end_session_endpoint": nil}, nil, "https://id.example/.well-known/openid-configuration"},
		"members unknown":            {doc{"x": []int{1}, "ISSUER": "https://evil.example", "Token_Endpoint": "http://evil.example"}, nil, "https://id.example/.well-known/openid-configuration"},
		"a missing endpoint is configured": {doc{"authorization_endpoint": nil}, func(c *idserver.Config) {
			c.Provider.Endpoints.Authorization = "https://id.example/a"
		}, "https://id.example/.well-known/openid-configuration"},
		"a bad endpoint is configured": {doc{"token_endpoint": "http://id.example/t"}, func(c *idserver.Config) {
			c.Provider.Endpoints.Token = "https://id.example/t"
		}, "https://id.example/.well-known/openid-configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			network := &provided{status: 200, kind: "application/json", body: document(row.doc)}
			r, err := elsewhere(t, network, row.config).AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(r.URL, "https://id.example/a?") || network.location.Load() != row.asked {
				t.Errorf("metadata of %v led to %s", network.location.Load(), r.URL)
			}
		})
	}
}

// Each row is one thing wrong with a provider's metadata; nobody is sent anywhere by it.
func TestMetadataRefused(t *testing.T) {
	type doc = map[string]any
	const config = ".well-known/openid-configuration"
	for name, row := range map[string]struct {
		doc    doc
		config func(*idserver.Config)
		want   []string
	}{
		"no issuer":                  {doc{"issuer": nil}, nil, []string{"no issuer"}},
		"another issuer":             {doc{"issuer": "https://evil.example"}, nil, []string{`"https://evil.example"`, `"https://id.example"`, "Config.Provider.Issuer"}},
		"an issuer more":             {doc{"issuer": "https://id.exampleINVALID"}, nil, []string{`"https://id.exampleINVALID"`, `"https://id.example"`}},
		"an issuer with slash":       {doc{"issuer": "https://id.example/"}, nil, []string{`"https://id.example/"`, `"https://id.example"`}},
		"an issuer, upper":           {doc{"issuer": "https://ID.example"}, nil, []string{`"https://ID.example"`}},
		"not Config.Provider.Issuer": {nil, func(c *idserver.Config) { c.Provider.Issuer = "https://issuer.example" }, []string{`"https://id.example"`, `"https://issuer.example"`, "Config.Provider.Issuer"}},
		"issuer a number":            {doc{"issuer": 1}, nil, []string{"is wanted"}},
		"no keys":                    {doc{"jwks_uri": nil}, nil, []string{"jwks_uri", "Config.Provider.Endpoints.JWKS"}},
		"no authorization":           {doc{"authorization_endpoint": nil}, nil, []string{"authorization_endpoint", "Config.Provider.Endpoints"}},
		"no token endpoint":          {doc{"token_endpoint": nil}, nil, []string{"token_endpoint", "Config.Provider.Endpoints"}},
		"authorization, http":        {doc{"authorization_endpoint": "http://id.example/a"}, nil, []string{"authorization_endpoint", "https"}},
		"token, http":                {doc{"token_endpoint": "http://id.example/t"}, nil, []string{"token_endpoint", "https"}},
		"keys, http":                 {doc{"jwks_uri": "http://id.example/j"}, nil, []string{"jwks_uri", "https"}},
		"authorization, data":        {doc{"authorization_endpoint": "data:text/html,x"}, nil, []string{"authorization_endpoint", "https"}},
		"keys, file":                 {doc{"jwks_uri": "file:///etc/passwd"}, nil, []string{"jwks_uri", "https"}},
		"token, relative":            {doc{"token_endpoint": "/t"}, nil, []string{"token_endpoint", "https"}},
		"token, fragment":            {doc{"token_endpoint": "https://id.example/t#x"}, nil, []string{"token_endpoint", "fragment"}},
		"token, user":                {doc{"token_endpoint": "https://u@id.example/t"}, nil, []string{"token_endpoint", "no user"}},
		"token, not a URL":           {doc{"token_endpoint": "https://id.example/%zz"}, nil, []string{"token_endpoint", "not a URL"}},
		"token on localhost":         {doc{"token_endpoint": "https://localhost/t"}, nil, []string{"token_endpoint", "loopback"}},
		"token on 127.0.0.1":         {doc{"token_endpoint": "http://127.0.0.1:6379/t"}, nil, []string{"token_endpoint", "loopback"}},
		"keys on [::1]":              {doc{"jwks_uri": "https://[::1]/j"}, nil, []string{"jwks_uri", "loopback"}},
		"keys on ::ffff:127.1":       {doc{"jwks_uri": "https://[::ffff:127.0.0.1]/j"}, nil, []string{"jwks_uri", "loopback"}},
		"keys a list":                {doc{"jwks_uri": []string{"https://id.example/j"}}, nil, []string{"jwks_uri", "string is wanted"}},
		"authorization a number":     {doc{"authorization_endpoint": 1}, nil, []string{"authorization_endpoint", "string is wanted"}},
	} {
		t.Run(name, func(t *testing.T) {
			network := &provided{status: 200, kind: "application/json", body: document(row.doc)}
			r, err := elsewhere(t, network, row.config).AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			var e *idserver.DiscoveryError
			if !errors.As(err, &e) || !errors.Is(err, idserver.ErrDiscovery) || r != nil || e.URL != "https://id.example/"+config {
				t.Fatalf("got %v, %v, want a DiscoveryError", r, err)
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
			if network.asked.Load() != 1 {
				t.Errorf("%d requests", network.asked.Load())
			}
		})
	}
}

// An API asks for nothing but keys.
func TestMetadataOfAnAPI(t *testing.T) {
	network := &provided{status: 200, kind: "application/json", body: document(map[string]any{"authorization_endpoint": nil, "token_endpoint": nil})}
	api := elsewhere(t, network, func(c *idserver.Config) { c.BaseURL, c.SessionSecret, c.Session.OldSecrets = "", "", nil })
	if end, err := api.EndSessionURL(t.Context(), idserver.EndSession{}); err != nil || end != "https://id.example/e?client_id=example" {
		t.Errorf("got %s, %v", end, err)
	}
	if _, err := api.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{RedirectURI: base}); !errors.Is(err, idserver.ErrDiscovery) {
		t.Errorf("got %v, want ErrDiscovery", err)
	}
	if _, err := api.ExchangeCode(t.Context(), "c", &idserver.AuthorizationRequest{}); !errors.Is(err, idserver.ErrDiscovery) {
		t.Errorf("got %v, want ErrDiscovery", err)
	}
}

// With its endpoints configured a client does not ask for metadata; the configured ones win over others.
func TestConfiguredEndpoints(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Fail(idtest.Discovery, idtest.Fault{})
		at := w.provider.URL() + "/connect/"
		endpoints := idserver.Endpoints{
			Authorization: at + "authorize", Token: at + "token", JWKS: w.provider.URL() + "/.well-known/jwks.json",
			UserInfo: at + "userinfo", Revocation: at + "revoke", EndSession: at + "endsession?x=1",
		}
		client := w.client(t, func(c *idserver.Config) { c.Provider.Endpoints = endpoints })
		_, tokens := signInByHand(t, w, client, "alice")
		if err := client.RevokeToken(t.Context(), tokens.RefreshToken); err != nil {
			t.Error(err)
		}
		if end, err := client.EndSessionURL(t.Context(), idserver.EndSession{}); err != nil || end != at+"endsession?x=1&client_id="+idtest.ExampleClient {
			t.Errorf("got %s, %v", end, err)
		}
		api := w.client(t, func(c *idserver.Config) {
			c.BaseURL, c.SessionSecret, c.Provider.Endpoints = "", "", idserver.Endpoints{JWKS: endpoints.JWKS}
		})
		if _, err := api.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("an API with configured keys: %v", err)
		}
		if n := w.provider.Requests(idtest.Discovery); n != 0 {
			t.Errorf("the metadata was asked for %d times", n)
		}

		w.provider.Heal(idtest.Discovery)
		w.provider.SetMetadata(func(m map[string]any) { m["token_endpoint"] = w.provider.URL() + "/nowhere" })
		client = w.client(t, func(c *idserver.Config) { c.Provider.Endpoints.Token = endpoints.Token })
		signInByHand(t, w, client, "bob")
	})
}

// Without metadata the issuer is Config.Provider.Issuer, or the Authority to the letter.
func TestConfiguredIssuer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		issuedBy := func(issuer string) string {
			return w.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = issuer })
		}
		for name, row := range map[string]struct {
			authority, issuer, token string
			accepted                 bool
		}{
			"the authority":            {w.provider.URL(), "", token, true},
			"the authority, a slash":   {w.provider.URL() + "/", "", issuedBy(w.provider.URL() + "/"), true},
			"without that slash":       {w.provider.URL() + "/", "", token, false},
			"an issuer of its own":     {w.provider.URL(), "https://issuer.example", issuedBy("https://issuer.example"), true},
			"not the authority's then": {w.provider.URL(), "https://issuer.example", token, false},
			"another":                  {w.provider.URL(), "", issuedBy("https://evil.example"), false},
		} {
			client := w.client(t, func(c *idserver.Config) {
				c.BaseURL, c.SessionSecret, c.Provider.Endpoints.JWKS = "", "", w.provider.URL()+"/.well-known/jwks.json"
				c.Authority, c.Provider.Issuer = row.authority, row.issuer
			})
			_, err := client.ValidateAccessToken(t.Context(), row.token, idserver.AccessTokenCheck{})
			if row.accepted != (err == nil) || err != nil && !errors.Is(err, idserver.ReasonIssuer) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A provider that fails is asked again, a moment later by the client's clock, and not before.
func TestMetadataRecovers(t *testing.T) {
	for name, fault := range map[string]idtest.Fault{
		"500":             {},
		"404":             {Status: 404},
		"HTML":            {HTML: true},
		"endless":         {Endless: true},
		"a bomb":          {GzipBomb: true},
		"a redirect":      {Redirect: "http://127.0.0.1:1/"},
		"drop":            {Drop: true},
		"hang":            {Hang: true},
		"nothing":         {Status: 200},
		"null":            {Body: "null"},
		"an array":        {Body: "[]"},
		"a member twice":  {Body: `{"issuer":"https://id.example","issuer":"https://evil.example"}`},
		"too deep":        {Body: `{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`},
		"two byte orders": {Body: "\ufeff\ufeff{}"},
		"304 unasked":     {Status: 304},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.Fail(idtest.Discovery, fault)
			for range 3 {
				_, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
				var e *idserver.DiscoveryError
				if !errors.As(err, &e) || !errors.Is(err, idserver.ErrDiscovery) || e.URL != w.provider.URL()+"/.well-known/openid-configuration" {
					t.Fatalf("got %v, want a DiscoveryError", err)
				}
				mended := name == "404" || name == "HTML" || name == "a redirect" // waiting does not help
				if errors.Is(err, idserver.ErrUnavailable) == mended {
					t.Errorf("is ErrUnavailable: %t: %v", !mended, err)
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("the error %q has lines", err)
				}
			}
			if n := w.provider.Requests(idtest.Discovery); n != 1 {
				t.Errorf("the metadata was asked for %d times at once", n)
			}
			if !strings.Contains(w.log.String(), "metadata not read") {
				t.Errorf("the operator is not told: %s", w.log)
			}
			w.provider.Heal(idtest.Discovery)
			w.clock.advance(2 * time.Second)
			if _, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err != nil {
				t.Errorf("after it was mended: %v", err)
			}
		}))
	}
}

// A program starts while its provider is down, and what was read goes on serving when it goes down.
func TestProviderDownAtStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Fail(idtest.Discovery, idtest.Fault{Drop: true})
		client := w.client(t)
		if n := w.provider.Requests(idtest.Discovery); n != 0 {
			t.Errorf("New asked for the metadata %d times", n)
		}
		if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		w.provider.Heal(idtest.Discovery)
		w.clock.advance(2 * time.Second)
		if err := client.Refetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.provider.Close()
		w.clock.advance(23 * time.Hour)
		if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err != nil {
			t.Errorf("with metadata of yesterday: %v", err)
		}
		if err := client.Refetch(t.Context()); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("Refetch says %v of a provider that is down", err)
		}
	})
}

// An odd member that nobody needs counts as absent, with one warning however often the metadata is read; people sign in, and
// tokens are verified.
func TestOddMetadata(t *testing.T) {
	for name, row := range map[string]struct {
		member string
		value  any
	}{
		"scopes, a string":             {"scopes_supported", "openid profile"},
		"scopes of numbers":            {"scopes_supported", []any{"openid", 1}},
		"methods, a string":            {"token_endpoint_auth_methods_supported", "client_secret_post"},
		"methods, an object":           {"token_endpoint_auth_methods_supported", map[string]any{}},
		"iss parameter, a string":      {"authorization_response_iss_parameter_supported", "true"},
		"userinfo, a number":           {"userinfo_endpoint", 1},
		"userinfo, http":               {"userinfo_endpoint", "http://id.example/u"},
		"userinfo, relative":           {"userinfo_endpoint", "/u"},
		"userinfo on a Unix machine":   {"userinfo_endpoint", "file:///etc/passwd"},
		"revocation, http":             {"revocation_endpoint", "http://id.example/r"},
		"revocation, relative":         {"revocation_endpoint", "revoke"},
		"revocation, an array":         {"revocation_endpoint", []string{"https://id.example/r"}},
		"end of the session, script":   {"end_session_endpoint", "javascript:alert(1)"},
		"end of the session, http":     {"end_session_endpoint", "http://id.example/e"},
		"end of the session, an array": {"end_session_endpoint", []string{}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetMetadata(func(m map[string]any) { m[row.member] = row.value })
			w.signedIn(t, "alice")
			warm(t, w)
			if _, a := w.browser(t).pass(w.RequireUser(), "GET", "/", func(r *idserver.Request) {
				send(r, "Authorization", "Bearer "+w.provider.MintAccessToken("alice"))
			}); a.Ends() {
				t.Errorf("a bearer token: %d %s", a.Status, a.Body)
			}
			for range 3 {
				w.clock.advance(time.Minute)
				if err := w.Refetch(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if log := w.log.String(); strings.Count(log, "count as absent") != 1 || !strings.Contains(log, row.member) {
				t.Errorf("want one warning that names %s: %s", row.member, log)
			}
			if end, err := w.EndSessionURL(t.Context(), idserver.EndSession{}); row.member == "end_session_endpoint" && !errors.Is(err, idserver.ErrDiscovery) {
				t.Errorf("a browser would be sent to %s, %v", end, err)
			}
		}))
	}
}

// What waiting does not mend is the operator's to mend: one code for a sign-in and for a bearer token, and the log says what to
// change. Anything else that is wrong passes.
func TestMisconfiguredProvider(t *testing.T) {
	for name, row := range map[string]struct {
		fault idtest.Fault
		where []idtest.Endpoint
		path  string // after the authority
		code  idserver.RefusalCode
		log   []string
	}{
		"404":          {fault: idtest.Fault{Status: 404}, code: idserver.CodeProviderMisconfigured, log: []string{"status 404", "IDSERVER_AUTHORITY"}},
		"410":          {fault: idtest.Fault{Status: 410}, code: idserver.CodeProviderMisconfigured, log: []string{"status 410", "IDSERVER_AUTHORITY"}},
		"401":          {fault: idtest.Fault{Status: 401}, code: idserver.CodeProviderMisconfigured, log: []string{"status 401", "IDSERVER_AUTHORITY"}},
		"HTML":         {fault: idtest.Fault{HTML: true}, code: idserver.CodeProviderMisconfigured, log: []string{"HTML", "IDSERVER_AUTHORITY"}},
		"HTML as JSON": {fault: idtest.Fault{Status: 200, Body: "\ufeff <!doctype html>"}, code: idserver.CodeProviderMisconfigured, log: []string{"HTML", "IDSERVER_AUTHORITY"}},
		"a redirect": {
			fault: idtest.Fault{Redirect: "https://login.example/?next=secret"}, code: idserver.CodeProviderMisconfigured,
			log: []string{"https://login.example/", "IDSERVER_AUTHORITY"},
		},
		"a redirect to metadata": {
			fault: idtest.Fault{Redirect: "https://id.example/realms/x/.well-known/openid-configuration"}, code: idserver.CodeProviderMisconfigured,
			log: []string{`set Config.Authority (IDSERVER_AUTHORITY) to \"https://id.example/realms/x\"`},
		},
		"the metadata's own URL": {
			path: "/.well-known/openid-configuration", code: idserver.CodeProviderMisconfigured,
			log: []string{`the URL before /.well-known: set it to \"http://localhost\"`, "IDSERVER_AUTHORITY"},
		},
		"500":             {fault: idtest.Fault{}, code: idserver.CodeProviderUnavailable},
		"502 with HTML":   {fault: idtest.Fault{Status: 502, HTML: true}, code: idserver.CodeProviderUnavailable},
		"408":             {fault: idtest.Fault{Status: 408}, code: idserver.CodeProviderUnavailable},
		"429":             {fault: idtest.Fault{Status: 429}, code: idserver.CodeProviderUnavailable},
		"nothing":         {fault: idtest.Fault{Status: 200}, code: idserver.CodeProviderUnavailable},
		"half a document": {fault: idtest.Fault{Body: `{"issuer":`}, code: idserver.CodeProviderUnavailable},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			if row.path == "" {
				w.provider.Fail(idtest.Discovery, row.fault)
			}
			w.Client = w.client(t, func(c *idserver.Config) { c.Authority += row.path })
			_, bearer := w.browser(t).pass(w.RequireUser(), "GET", "/", func(r *idserver.Request) {
				send(r, "Authorization", "Bearer "+w.provider.MintAccessToken("alice"))
			})
			login := w.browser(t).route("GET", "/auth/login", navigates)
			if code(t, bearer) != row.code || code(t, login) != row.code || bearer.Status != login.Status {
				t.Errorf("the bearer token: %d %s; the sign-in: %d %s", bearer.Status, code(t, bearer), login.Status, code(t, login))
			}
			for _, want := range row.log {
				if !strings.Contains(w.log.String(), want) {
					t.Errorf("the log does not say %s: %s", want, w.log)
				}
			}
			if strings.Contains(w.log.String(), "next=secret") {
				t.Errorf("the log has the redirect's query: %s", w.log)
			}
		}))
	}
}

// A provider that asks to be left alone is asked no more, and visitors are told how long.
func TestRetryAfterOfMetadataAndKeys(t *testing.T) {
	for _, endpoint := range []idtest.Endpoint{idtest.Discovery, idtest.KeySet} {
		t.Run(string(endpoint), inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.Fail(endpoint, idtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"120"}}})
			bearer := func() idserver.Answer {
				return second(w.browser(t).pass(w.RequireUser(), "GET", "/", func(r *idserver.Request) {
					send(r, "Authorization", "Bearer "+w.provider.MintAccessToken("alice"))
				}))
			}
			for range 60 {
				if a := bearer(); a.Status != http.StatusServiceUnavailable {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				if endpoint == idtest.Discovery {
					if a := w.browser(t).route("GET", "/auth/login", navigates); a.Status != http.StatusServiceUnavailable || field(a, "Retry-After") == "1" {
						t.Fatalf("%d, Retry-After %q", a.Status, field(a, "Retry-After"))
					}
				}
				w.clock.advance(time.Second)
			}
			if n := w.provider.Requests(endpoint); n != 1 {
				t.Errorf("%d requests in a minute", n)
			}
			if wait := field(bearer(), "Retry-After"); wait != "60" && wait != "61" {
				t.Errorf("after a minute of two, Retry-After is %q", wait)
			}
			w.provider.Heal(endpoint)
			w.clock.advance(62 * time.Second)
			if a := bearer(); a.Ends() {
				t.Errorf("afterwards: %d %s", a.Status, a.Body)
			}
		}))
	}
}

// A token endpoint that lists no method with a secret is named in the log, once.
func TestNoMethodWithASecret(t *testing.T) {
	for name, row := range map[string]struct {
		methods []string
		auth    string
		want    int
	}{
		"none of ours":               {[]string{"private_key_jwt", "tls_client_auth"}, "", 1},
		"none of ours, and set":      {[]string{"private_key_jwt"}, "client_secret_post", 0},
		"one of ours":                {[]string{"private_key_jwt", "client_secret_post"}, "", 0},
		"the metadata does not tell": {nil, "", 0},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.Provider.ClientAuth = row.auth })
			w.provider.SetMetadata(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = row.methods })
			for range 3 {
				if err := w.Refetch(t.Context()); err != nil {
					t.Fatal(err)
				}
				w.clock.advance(time.Minute)
			}
			log := w.log.String()
			if strings.Count(log, "IDSERVER_CLIENT_AUTH") != row.want || row.want > 0 && !strings.Contains(log, "private_key_jwt tls_client_auth") {
				t.Error(log)
			}
		}))
	}
}

// A provider elsewhere names an endpoint on the machine of the application (SSRF): whatever the spelling of that name, what
// listens there must not be sent a token request.
func TestMetadataLeadsToOwnMachine(t *testing.T) {
	for _, host := range []string{
		"localhost", "LOCALHOST", "LocalHost", "localhost.", "LOCALHOST.", "x.localhost", "x.LocalHost.", "127.0.0.1", "127.255.0.9", "[::1]",
		"[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "0.0.0.0.", "[::]", "[::ffff:0.0.0.0]",
	} {
		for _, name := range []string{"token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"} {
			network := &provided{status: 200, kind: "application/json", body: document(map[string]any{name: "https://" + host + ":8443/x"})}
			client := elsewhere(t, network, nil)
			_, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			switch name { // what nobody needs to sign in counts as absent
			case "userinfo_endpoint":
				_, err = client.UserInfo(t.Context(), "a", "b")
			case "revocation_endpoint":
				err = client.RevokeToken(t.Context(), "a")
			default:
				if err == nil || !strings.Contains(err.Error(), "loopback") {
					t.Errorf("%s on %s: %v", name, host, err)
				}
			}
			if asked := network.location.Load().(string); !errors.Is(err, idserver.ErrDiscovery) || !strings.HasPrefix(asked, "https://id.example/") {
				t.Errorf("%s on %s: %v, and %s was asked", name, host, err, asked)
			}
		}
	}
	for _, host := range []string{"localhost.example", "notlocalhost", "127.0.0.1.example", "10.0.0.1", "[2001:db8::1]"} { // elsewhere, or a network that may be the provider's own
		client := elsewhere(t, &provided{status: 200, kind: "application/json", body: document(map[string]any{"token_endpoint": "https://" + host + "/t"})}, nil)
		if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TLS is not verified for a provider on this machine. Its metadata must not send the client's secret, or the keys that all is
// verified with, to another machine that way: whoever is in between would be that machine.
func TestUnverifiedTLSStaysOnLoopback(t *testing.T) {
	for _, endpoint := range []string{"", "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint", "end_session_endpoint"} {
		t.Run(cmp.Or(endpoint, "all on loopback"), func(t *testing.T) {
			provider := httptest.NewUnstartedServer(nil)
			provider.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				m := map[string]string{
					"issuer": provider.URL, "authorization_endpoint": provider.URL + "/a", "token_endpoint": provider.URL + "/t", "jwks_uri": provider.URL + "/j",
				}
				if endpoint != "" {
					m[endpoint] = "https://id.example/x"
				}
				_ = json.NewEncoder(w).Encode(m)
			})
			provider.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
			provider.StartTLS()
			t.Cleanup(provider.Close)
			cfg := goodConfig()
			cfg.Authority, cfg.HTTP.InsecureSkipTLSVerify = provider.URL, true
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			_, err = client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			optional := false // it counts as absent
			switch endpoint {
			case "userinfo_endpoint":
				_, err = client.UserInfo(t.Context(), "a", "b")
				optional = true
			case "revocation_endpoint":
				err = client.RevokeToken(t.Context(), "a")
				optional = true
			case "end_session_endpoint":
				_, err = client.EndSessionURL(t.Context(), idserver.EndSession{})
				optional = true
			}
			switch {
			case optional:
				if !errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), "no "+endpoint) {
					t.Errorf("elsewhere: %v", err)
				}
			case endpoint == "" && err != nil:
				t.Error(err)
			case endpoint != "" && (!errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), endpoint) || !strings.Contains(err.Error(), "InsecureSkipTLSVerify")):
				t.Errorf("elsewhere: %v", err)
			}
		})
	}
}
