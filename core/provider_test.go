package idserver_test

import (
	"net/http"
	"net/http/cookiejar"
	"sync"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

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
