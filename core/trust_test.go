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
				t.Errorf("%s elsewhere: %v", endpoint, err)
			}
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
