package idserver_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
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

// basicEcho is a token endpoint that answers a refusal by repeating what it was sent, as debugging proxies do.
type basicEcho struct{ http.RoundTripper }

func (e basicEcho) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		return e.RoundTripper.RoundTrip(r)
	}
	form, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	body := fmt.Sprintf(`{"error":"x","error_description":"sent: %s and %s"}`, credentials, form)
	return &http.Response{StatusCode: 400, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r}, nil
}

// What the provider echoes of the client's authentication and of the code is in no error and in no log: as it is, as it stands in
// a form, and in the header of client_secret_basic.
func TestEchoedCredentials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const secret = "a secret/with+signs&of=forms-12345"
		const basic = "ZXhhbXBsZTphK3NlY3JldCUyRndpdGglMkJzaWducyUyNm9mJTNEZm9ybXMtMTIzNDU=" // example:a+secret%2Fwith%2Bsigns%26of%3Dforms-12345
		for _, method := range []string{"client_secret_post", "client_secret_basic"} {
			w := newWorld(t, func(c *idserver.Config) {
				c.Provider.ClientAuth, c.ClientSecret = method, secret
				c.HTTP.Client = &http.Client{Transport: basicEcho{c.HTTP.Client.Transport}}
			})
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.ExchangeCode(t.Context(), "a code/with+signs-6789", r)
			var e *idserver.TokenEndpointError
			if !errors.As(err, &e) || e.Description != "[redacted: it repeats what was sent]" {
				t.Fatalf("%s: %v", method, err)
			}
			err2 := w.RevokeToken(t.Context(), "a token/with+signs-6789")
			text := err.Error() + err2.Error() + e.Description + w.log.String()
			if leaked := leaks(text, secret, "a+secret", basic, basic[:20], "a code", "a+code", "6789", "12345", r.CodeVerifier); leaked != "" {
				t.Errorf("%s: %q is in %s", method, leaked, text)
			}
		}
	})
}
