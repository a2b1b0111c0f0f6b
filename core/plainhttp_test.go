package idserver_test

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/nametest"
)

func TestPlainHTTPIsListed(t *testing.T) {
	t.Parallel()
	type cfg = *idserver.Config
	listed := func(servers ...string) func(cfg) { return func(c cfg) { c.InsecurePlainHTTP = servers } }
	for name, row := range map[string]struct {
		edit func(cfg)
		want []string // in the error; none: it is accepted
	}{
		"needlessly":               {listed("app:80", "10.0.0.1:1", "[fd00::1]:8080", "a_b.c-d:65535"), nil},
		"a name":                   {listed("app"), []string{"InsecurePlainHTTP (IDSERVER_INSECURE_PLAIN_HTTP)", `"app"`, "a host and a port"}},
		"empty":                    {listed(""), []string{"a host and a port"}},
		"only a port":              {listed(":80"), []string{"a host and a port"}},
		"no port":                  {listed("app:"), []string{"a host and a port"}},
		"a port's name":            {listed("app:http"), []string{"a host and a port"}},
		"port 0":                   {listed("app:0"), []string{"a host and a port"}},
		"port 080":                 {listed("app:080"), []string{"a host and a port"}},
		"a port too large":         {listed("app:65536"), []string{"a host and a port"}},
		"a URL":                    {listed("http://app:80"), []string{"a host and a port"}},
		"a path":                   {listed("app:80/"), []string{"a host and a port"}},
		"a user":                   {listed("me@app:80"), []string{"a host and a port"}},
		"a wildcard":               {listed("*:80"), []string{"a host and a port"}},
		"a network":                {listed("10.0.0.0/8:80"), []string{"a host and a port"}},
		"a space":                  {listed(" app:80"), []string{"a host and a port"}},
		"IPv6 without brackets":    {listed("fd00::1:80"), []string{"a host and a port"}},
		"a public address":         {listed("8.8.8.8:80"), []string{"private"}},
		"a public address, IPv6":   {listed("[2001:db8::1]:80"), []string{"private"}},
		"authority":                {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://idp:9000/x", []string{"idp:9000"} }, nil},
		"authority, port 80":       {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://idp", []string{"idp:80"} }, nil},
		"authority, explicit 80":   {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://idp:80", []string{"idp:80"} }, nil},
		"authority, capitals":      {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://IDP:80", []string{"idp:80"} }, nil},
		"authority, IPv6":          {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://[fd00::1]:80", []string{"[fd00::1]:80"} }, nil},
		"authority, not listed":    {func(c cfg) { c.Authority = "http://idp" }, []string{"Authority", "https", "IDSERVER_INSECURE_PLAIN_HTTP"}},
		"authority, another port":  {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://idp", []string{"idp:443"} }, []string{"Authority", "https"}},
		"authority, a longer name": {func(c cfg) { c.Authority, c.InsecurePlainHTTP = "http://my.idp", []string{"idp:80"} }, []string{"Authority", "https"}},
		"authority, own client": {func(c cfg) {
			c.Authority, c.InsecurePlainHTTP, c.HTTP.Client = "http://idp", []string{"idp:80"}, &http.Client{}
		}, []string{"InsecurePlainHTTP", "HTTP.Client", "Authority"}},
		"token, own client": {func(c cfg) {
			c.Provider.Endpoints.Token, c.InsecurePlainHTTP, c.HTTP.Client = "http://idp/t", []string{"idp:80"}, &http.Client{}
		}, []string{"HTTP.Client", "Endpoints.Token"}},
		"authority, TLS unverified": {func(c cfg) {
			c.Authority, c.InsecurePlainHTTP, c.HTTP.InsecureSkipTLSVerify = "http://idp", []string{"idp:80"}, true
		}, []string{"InsecureSkipTLSVerify", "loopback"}},
		"endpoint":             {func(c cfg) { c.Provider.Endpoints.Token, c.InsecurePlainHTTP = "http://idp/t", []string{"idp:80"} }, nil},
		"endpoint, not listed": {func(c cfg) { c.Provider.Endpoints.Token, c.InsecurePlainHTTP = "http://idp/t", []string{"app:80"} }, []string{"Endpoints.Token", "https"}},
		"base URL":             {func(c cfg) { c.BaseURL, c.InsecurePlainHTTP = "http://app:8080", []string{"app:8080"} }, nil},
		"base URL, own client": {func(c cfg) {
			c.BaseURL, c.InsecurePlainHTTP, c.HTTP.Client = "http://app", []string{"app:80"}, &http.Client{}
		}, nil},
		"base URL, not listed": {func(c cfg) { c.BaseURL, c.InsecurePlainHTTP = "http://app:8081", []string{"app:8080"} }, []string{"BaseURL", "https"}},
		"base URL, posted": {func(c cfg) {
			c.BaseURL, c.InsecurePlainHTTP, c.ResponseMode = "http://app", []string{"app:80"}, "form_post"
		}, []string{"ResponseMode", "https"}},
		"another origin": {func(c cfg) { c.TrustedOrigins, c.InsecurePlainHTTP = []string{"http://spa"}, []string{"spa:80"} }, []string{"TrustedOrigins", "https"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, log := goodConfig(), &logBuffer{}
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if err == nil {
				client.Close()
			}
			if (err == nil) != (row.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
			}
			if err == nil && (strings.Count(log.String(), "level=WARN") != 1 || !strings.Contains(log.String(), cfg.InsecurePlainHTTP[0])) {
				t.Errorf("the log says %s", log)
			}
		})
	}
}

// plainProvider is a provider at http://idp.test:port, which signs browsers in at loopback, as one in a compose network does
// whose port is published to a developer's machine.
func plainProvider(t *testing.T, w *world) (authority *url.URL) {
	t.Helper()
	issuer, err := url.Parse(w.provider.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: issuer.Scheme, Host: issuer.Host}) },
		Transport: w.provider.HTTPClient().Transport,
	})
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	authority = &url.URL{Scheme: "http", Host: "idp.test:" + port, Path: issuer.Path}
	w.provider.SetMetadata(func(m map[string]any) {
		for _, name := range []string{"token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"} {
			m[name] = strings.Replace(m[name].(string), issuer.Host, authority.Host, 1)
		}
	})
	w.cfg.Authority, w.cfg.Provider.Issuer, w.cfg.HTTP.Client = authority.String(), w.provider.Issuer(), nil
	w.cfg.InsecurePlainHTTP = []string{authority.Host}
	return authority
}

func namesLeadTo(t *testing.T, address [4]byte) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = nametest.ResolvesTo(address)
}

func TestSignInOverPlainHTTP(t *testing.T) {
	w := newWorld(t)
	plainProvider(t, w)
	namesLeadTo(t, [4]byte{127, 0, 0, 1})
	w.Client = w.client(t)
	if b := w.signedIn(t, "alice"); !b.admits(w.Client) {
		t.Error("alice is not signed in")
	}
}

func TestPlainHTTPReachesNoPublicAddress(t *testing.T) {
	w := newWorld(t)
	plainProvider(t, w)
	namesLeadTo(t, [4]byte{192, 0, 2, 1})
	err := w.client(t).Refetch(t.Context())
	if !errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), "192.0.2.1") || !strings.Contains(err.Error(), "neither in a private network") {
		t.Errorf("got %v", err)
	}
}

// http in the metadata is for a provider at a listed server, and at listed servers.
func TestPlainHTTPInMetadata(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		member, url string
		edit        func(*idserver.Config)
		ok          bool
	}{
		"not listed":            {"token_endpoint", "http://other.test/t", func(*idserver.Config) {}, false},
		"another port":          {"jwks_uri", "http://app.test:81/k", func(c *idserver.Config) { c.InsecurePlainHTTP = []string{"app.test:80"} }, false},
		"a provider not listed": {"token_endpoint", "http://app.test/t", func(c *idserver.Config) { c.InsecurePlainHTTP = []string{"app.test:80"} }, false},
		"over TLS":              {"token_endpoint", "https://other.test/t", func(*idserver.Config) {}, true},
		"configured, not its word": {"token_endpoint", "http://other.test/t", func(c *idserver.Config) {
			c.Provider.Endpoints.Token, c.InsecurePlainHTTP, c.HTTP.Client = "http://app.test/t", []string{"app.test:80"}, nil
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.provider.SetMetadata(func(m map[string]any) { m[row.member] = row.url })
			cfg := w.cfg
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); (err == nil) != row.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Browsers send no Fetch Metadata over plain http: Origin decides alone, and who sends none may be anybody.
func TestPlainHTTPOrigin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const app = "http://app.test:8080"
	w.provider.AddClient(idtestClient(app + "/auth/callback"))
	w.cfg.BaseURL, w.cfg.InsecurePlainHTTP, w.cfg.TrustedOrigins = app, []string{"app.test:8080"}, []string{"https://spa.example"}
	w.Client = w.client(t)
	for name, row := range map[string]struct {
		method string
		header []string
		ok     bool
	}{
		"GET":                         {"GET", nil, true},
		"a handshake without origin":  {"GET", []string{"Upgrade", "websocket"}, false},
		"a handshake of ours":         {"GET", []string{"Upgrade", "websocket", "Origin", app}, true},
		"without origin":              {"POST", nil, false},
		"without origin, said to be":  {"POST", []string{"Sec-Fetch-Site", "same-origin"}, false},
		"typed by a person, as said":  {"DELETE", []string{"Sec-Fetch-Site", "none"}, false},
		"null":                        {"POST", []string{"Origin", "null"}, false},
		"of ours":                     {"POST", []string{"Origin", app}, true},
		"of a trusted one":            {"PUT", []string{"Origin", "https://spa.example"}, true},
		"another port":                {"POST", []string{"Origin", "http://app.test"}, false},
		"another scheme":              {"POST", []string{"Origin", "https://app.test:8080"}, false},
		"of another, said to be ours": {"POST", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "same-origin"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := w.browser(t)
			callback := strings.TrimPrefix(w.authorize(t, b.begin("/auth/login"), "alice"), app)
			b.route("GET", callback, navigates)
			for name := range b.cookies {
				if strings.HasPrefix(name, "__") || !strings.HasPrefix(name, "idserver-8080") {
					t.Errorf("the cookie %s", name)
				}
			}
			from := func(r *idserver.Request) { send(r, row.header...) }
			_, a := b.pass(w.RequireUser(), row.method, "/", from)
			if a.Ends() == row.ok || a.Ends() && code(t, a) != idserver.CodeCrossSite {
				t.Errorf("a guard answers %d", a.Status)
			}
			if row.method == "GET" {
				return
			}
			if a := b.route("POST", "/auth/logout", from); (a.Status == http.StatusSeeOther) != row.ok || !row.ok && code(t, a) != idserver.CodeCrossSite {
				t.Errorf("a sign-out is answered with %d", a.Status)
			}
			if b.admits(w.Client) == row.ok {
				t.Errorf("signed in: %v", !row.ok)
			}
		})
	}
	if _, a := w.browser(t).pass(w.RequireUser(), "POST", "/", bearer(w.provider.MintAccessToken("alice"))); a.Ends() {
		t.Errorf("a program with a token: %d", a.Status)
	}
}
