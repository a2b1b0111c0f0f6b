package idserver_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Settings that look right, and lead elsewhere or nowhere: each is told by name when the program starts.
func TestConfigLooksRight(t *testing.T) {
	type cfg = *idserver.Config
	local := func(c cfg) {
		c.Authority, c.BaseURL, c.HTTP.InsecureSkipTLSVerify = "https://localhost:5001", "http://localhost:8080", true
	}
	for name, row := range map[string]struct {
		edit func(cfg)
		want []string
	}{
		"an authority with a query":       {func(c cfg) { c.Authority += "/?tenant=x" }, []string{"Authority", "query"}},
		"an authority with a bare ?":      {func(c cfg) { c.Authority += "/?" }, []string{"Authority", "query"}},
		"an authority with a bare #":      {func(c cfg) { c.Authority += "/#" }, []string{"Authority", "fragment"}},
		"an authority that goes up":       {func(c cfg) { c.Authority += "/a/../b" }, []string{"Authority", ".."}},
		"an authority with two slashes":   {func(c cfg) { c.Authority += "//a" }, []string{"Authority", "//"}},
		"an issuer with a query":          {func(c cfg) { c.Provider.Issuer = "https://issuer.example/?x" }, []string{"Issuer", "query"}},
		"an issuer with a bare #":         {func(c cfg) { c.Provider.Issuer = "https://issuer.example/#" }, []string{"Issuer", "fragment"}},
		"a WebBaseURL with a query":       {func(c cfg) { c.Provider.WebBaseURL = "https://www.example/?x=y" }, []string{"WebBaseURL", "query"}},
		"a WebBaseURL with a bare ?":      {func(c cfg) { c.Provider.WebBaseURL = "https://www.example/?" }, []string{"WebBaseURL", "query"}},
		"a base URL with a query":         {func(c cfg) { c.BaseURL += "/?x" }, []string{"BaseURL", "query"}},
		"a base URL with a bare #":        {func(c cfg) { c.BaseURL += "#" }, []string{"BaseURL", "fragment"}},
		"an endpoint with a bare #":       {func(c cfg) { c.Provider.Endpoints.Token = "https://id.example/t#" }, []string{"Endpoints.Token", "fragment"}},
		"an origin of javascript":         {func(c cfg) { c.TrustedOrigins = []string{"javascript://spa.example"} }, []string{"TrustedOrigins", "javascript://spa.example"}},
		"an origin over http":             {func(c cfg) { c.TrustedOrigins = []string{"http://spa.example"} }, []string{"TrustedOrigins", "http://spa.example"}},
		"an origin of a file":             {func(c cfg) { c.TrustedOrigins = []string{"file://"} }, []string{"TrustedOrigins"}},
		"an origin of an extension":       {func(c cfg) { c.TrustedOrigins = []string{"chrome-extension://abc"} }, []string{"TrustedOrigins"}},
		"an origin with a user":           {func(c cfg) { c.TrustedOrigins = []string{"https://me@spa.example"} }, []string{"TrustedOrigins"}},
		"an origin with a query":          {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example?"} }, []string{"TrustedOrigins"}},
		"an origin with a bare #":         {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example#"} }, []string{"TrustedOrigins"}},
		"an origin in capital letters":    {func(c cfg) { c.TrustedOrigins = []string{"https://SPA.example"} }, []string{"TrustedOrigins"}},
		"an origin with its default port": {func(c cfg) { c.TrustedOrigins = []string{"https://spa.example:443"} }, []string{"TrustedOrigins"}},
		"an empty origin":                 {func(c cfg) { c.TrustedOrigins = []string{""} }, []string{"TrustedOrigins"}},

		"unverified TLS, authorization elsewhere": {func(c cfg) { local(c); c.Provider.Endpoints.Authorization = "https://id.example/a" }, []string{"InsecureSkipTLSVerify", "Endpoints.Authorization"}},
		"unverified TLS, token elsewhere":         {func(c cfg) { local(c); c.Provider.Endpoints.Token = "https://id.example/t" }, []string{"InsecureSkipTLSVerify", "Endpoints.Token"}},
		"unverified TLS, keys elsewhere":          {func(c cfg) { local(c); c.Provider.Endpoints.JWKS = "https://id.example/j" }, []string{"InsecureSkipTLSVerify", "Endpoints.JWKS"}},
		"unverified TLS, userinfo elsewhere":      {func(c cfg) { local(c); c.Provider.Endpoints.UserInfo = "https://localhost.example/u" }, []string{"InsecureSkipTLSVerify", "Endpoints.UserInfo"}},
		"unverified TLS, revocation elsewhere":    {func(c cfg) { local(c); c.Provider.Endpoints.Revocation = "https://10.0.0.1/r" }, []string{"InsecureSkipTLSVerify", "Endpoints.Revocation"}},
		"unverified TLS, end session elsewhere":   {func(c cfg) { local(c); c.Provider.Endpoints.EndSession = "https://id.example/e" }, []string{"InsecureSkipTLSVerify", "Endpoints.EndSession"}},
	} {
		cfg := goodConfig()
		row.edit(&cfg)
		client, err := idserver.New(cfg)
		if err == nil {
			client.Close()
			t.Errorf("%s: accepted", name)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error %q does not name %q", name, err, want)
			}
		}
	}
	for name, edit := range map[string]func(cfg){
		"http on loopback is an origin":   func(c cfg) { c.TrustedOrigins = []string{"http://localhost:3000", "http://[::1]:3000"} },
		"unverified TLS, all on loopback": func(c cfg) { local(c); c.Provider.Endpoints.Token = "https://127.0.0.1:5002/t" },
		"an endpoint with a query":        func(c cfg) { c.Provider.Endpoints.EndSession = "https://id.example/e?x=1" },
	} {
		cfg := goodConfig()
		edit(&cfg)
		client, err := idserver.New(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		client.Close()
	}
}

// TLS is not verified for a provider on this machine. Its metadata must not send the client's secret, or the keys that all is
// verified with, to another machine that way: whoever is in between would be that machine.
func TestUnverifiedTLSStaysOnLoopback(t *testing.T) {
	for _, endpoint := range []string{"", "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint", "end_session_endpoint"} {
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
		switch {
		case endpoint == "" && err != nil:
			t.Errorf("all on loopback: %v", err)
		case endpoint != "" && (!errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), endpoint) || !strings.Contains(err.Error(), "InsecureSkipTLSVerify")):
			t.Errorf("%s elsewhere: %v", endpoint, err)
		}
	}
}

// traced is what a tracing library puts in the place of http.DefaultTransport.
type traced struct{ http.RoundTripper }

// A program in which http.DefaultTransport is of another type starts, and reaches its provider.
func TestOtherDefaultTransport(t *testing.T) {
	provider := idtest.NewProvider(t) // on the network, where the client goes by itself
	before := http.DefaultTransport
	http.DefaultTransport = traced{before}
	t.Cleanup(func() { http.DefaultTransport = before })
	cfg := provider.Config(base)
	cfg.HTTP.Client = nil
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err != nil {
		t.Error(err)
	}
	cfg = goodConfig()
	cfg.Authority, cfg.HTTP.InsecureSkipTLSVerify = "https://localhost:5001", true
	insecure, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	insecure.Close()
}

// sticky is a provider that sets a cookie with every answer.
type sticky struct {
	http.RoundTripper
	mu  sync.Mutex
	got []string
}

func (s *sticky) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.got = append(s.got, r.Header["Cookie"]...)
	s.mu.Unlock()
	response, err := s.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Header.Add("Set-Cookie", "who=the-last-user; Path=/")
	}
	return response, err
}

// The requests of all users go through one HTTP client. Cookies that the provider sets in one user's answers must not come back
// with another's, though the application's client has a jar.
func TestProviderCookiesAreNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		provider := &sticky{RoundTripper: w.provider.HTTPClient().Transport}
		own := &http.Client{Transport: provider, Jar: jar}
		client := w.client(t, func(c *idserver.Config) { c.HTTP.Client = own })
		for _, login := range []string{"alice", "bob"} {
			_, tokens := signInByHand(t, w, client, login)
			if _, err := client.RefreshToken(t.Context(), tokens); err != nil {
				t.Error(err)
			}
		}
		if len(provider.got) > 0 {
			t.Errorf("the provider got the cookies %q", provider.got)
		}
		if own.Jar != jar || own.CheckRedirect != nil {
			t.Error("the application's own client was changed")
		}
	})
}
