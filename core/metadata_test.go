package idserver_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// provided is a network of one document: it answers every request with it.
type provided struct {
	status   int
	kind     string // Content-Type
	body     []byte
	asked    atomic.Int32
	location atomic.Value // of the last request
}

func (p *provided) RoundTrip(r *http.Request) (*http.Response, error) {
	p.asked.Add(1)
	p.location.Store(r.URL.String())
	return &http.Response{
		StatusCode: p.status, Header: http.Header{"Content-Type": {p.kind}}, Body: io.NopCloser(bytes.NewReader(p.body)), Request: r,
	}, nil
}

// elsewhere makes a client of https://id.example, whose metadata is the document.
func elsewhere(t testing.TB, network *provided, edit func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := goodConfig()
	cfg.HTTP.Client = &http.Client{Transport: network}
	if edit != nil {
		edit(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// document is the metadata of https://id.example, changed by edit. A nil value takes a member out.
func document(edit map[string]any) []byte {
	const at = "https://id.example"
	m := map[string]any{
		"issuer": at, "authorization_endpoint": at + "/a", "token_endpoint": at + "/t", "jwks_uri": at + "/j",
		"userinfo_endpoint": at + "/u", "revocation_endpoint": at + "/r", "end_session_endpoint": at + "/e",
	}
	maps.Copy(m, edit)
	maps.DeleteFunc(m, func(_ string, value any) bool { return value == nil })
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return text
}

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

// A closed client says so instead of waiting.
func TestClosedClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.Close()
		w.Close()
		if _, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPrivacyCenterURL(t *testing.T) {
	for _, row := range []struct{ authority, web, want string }{
		{"https://id.example", "", "https://id.example/Auth/MyPrivacy"},
		{"https://id.example/", "", "https://id.example/Auth/MyPrivacy"},
		{"https://id.example", "https://www.example/x/", "https://www.example/x/Auth/MyPrivacy"},
	} {
		client, err := idserver.New(idserver.Config{Authority: row.authority, Provider: idserver.ProviderConfig{WebBaseURL: row.web}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		if got := client.PrivacyCenterURL(); got != row.want {
			t.Errorf("got %s, want %s", got, row.want)
		}
	}
}

// FuzzTokenAnswer gives the token endpoint's answer to a refresh. Whatever it is, nobody else comes of it, the
// times stay in bounds, and the error is of its kind and repeats nothing that was sent.
func FuzzTokenAnswer(f *testing.F) {
	const refreshToken, subject = "a-refresh-token-that-is-sent-0123456789", "alice"
	f.Add(200, "application/json", []byte(`{"access_token":"a","token_type":"Bearer","expires_in":"900","refresh_token":"r"}`))
	f.Add(200, "application/json", []byte(`{"access_token":"a","token_type":"Bearer","id_token":"e30.e30.","expires_in":1e99}`))
	f.Add(400, "application/json", []byte(`{"error":"invalid_grant","error_description":"`+refreshToken+`"}`))
	f.Add(429, "application/problem+json", []byte(`{"title":"a\nb","detail":"\u0000"}`))
	f.Add(200, "text/html", []byte(`<p>`))
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		if status < 100 || status > 999 {
			status = 200
		}
		network := &provided{status: status, kind: kind, body: body}
		now := time.Unix(1800000000, 0)
		client := elsewhere(t, network, func(c *idserver.Config) {
			c.Now = func() time.Time { return now }
			c.Provider.Endpoints = idserver.Endpoints{Authorization: "https://id.example/a", Token: "https://id.example/t", JWKS: "https://id.example/j"}
		})
		tokens, err := client.RefreshToken(t.Context(), &idserver.Tokens{RefreshToken: refreshToken, User: &idserver.User{Subject: subject}})
		if err != nil {
			known := errors.Is(err, idserver.ErrTokenEndpoint) || errors.Is(err, idserver.ErrInvalidToken) || errors.Is(err, idserver.ErrUnavailable)
			if !known || tokens != nil && tokens.User != nil {
				t.Errorf("got %v, %v", tokens, err)
			}
			if strings.Contains(err.Error(), refreshToken) || strings.Contains(err.Error(), clientSecretText) {
				t.Errorf("the error %q repeats what was sent", err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("the error %q has control characters", err)
			}
			return
		}
		if status != 200 || tokens.AccessToken == "" || tokens.RefreshToken == "" || tokens.User.Subject != subject || tokens.User.Issuer != "https://id.example" || tokens.IDToken != "" {
			t.Errorf("status %d gave %+v of %+v", status, tokens, tokens.User)
		}
		if !tokens.Expiry.IsZero() && (tokens.Expiry.Before(now) || tokens.Expiry.After(now.AddDate(1, 0, 2))) {
			t.Errorf("the access token ends at %v", tokens.Expiry)
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

// A key set that is not there is the operator's to mend as well.
func TestMisconfiguredKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 404})
		for _, guard := range []idserver.Guard{w.RequireUser(), w.RequireRole("admin")} {
			_, a := w.browser(t).pass(guard, "GET", "/", func(r *idserver.Request) {
				send(r, "Authorization", "Bearer "+w.provider.MintAccessToken("alice"))
			})
			if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeProviderMisconfigured || !strings.Contains(w.log.String(), "Endpoints.JWKS") {
				t.Errorf("%d %s\n%s", a.Status, a.Body, w.log)
			}
		}
	})
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
	bubble(t, func(t *testing.T) {
		for _, row := range []struct {
			methods []string
			auth    string
			want    int
		}{
			{[]string{"private_key_jwt", "tls_client_auth"}, "", 1}, {[]string{"private_key_jwt"}, "client_secret_post", 0},
			{[]string{"private_key_jwt", "client_secret_post"}, "", 0}, {nil, "", 0},
		} {
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
				t.Errorf("%v with %q: %s", row.methods, row.auth, log)
			}
		}
	})
}
