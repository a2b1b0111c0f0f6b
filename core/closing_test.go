package idserver_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// scripted is a network in a synctest bubble: it gives each token request to answer, and keeps what refresh tokens were sent.
// Without an answer a request hangs until its context ends.
type scripted struct {
	answer func(refreshToken string) string
	mu     sync.Mutex
	sent   []string
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.sent = append(s.sent, form.Get("refresh_token"))
	s.mu.Unlock()
	if s.answer == nil {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(s.answer(form.Get("refresh_token")))), Request: r,
	}, nil
}

// bubbled makes a client of the same application whose provider is the network alone.
func (w *world) bubbled(t *testing.T, network http.RoundTripper, edit func(*idserver.Config)) *idserver.Client {
	t.Helper()
	cfg := w.cfg
	cfg.HTTP.Client, cfg.HTTP.Timeout = &http.Client{Transport: network}, time.Hour
	cfg.Provider.Endpoints = idserver.Endpoints{Authorization: w.provider.URL() + "/a", Token: w.provider.URL() + "/t", JWKS: w.provider.URL() + "/j"}
	if edit != nil {
		edit(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// A program that ends does not wait for a provider that hangs in the middle of a refresh, and who was signed in stays so.
func TestCloseEndsARefresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		w.clock.advance(16 * time.Minute) // the access token is over: the refresh is waited for
		network := &scripted{}
		client := w.bubbled(t, network, nil)
		var u *idserver.User
		served := make(chan struct{})
		go func() {
			defer close(served)
			u, _ = (&browser{t, client, copyOf(b.cookies)}).visit()
		}()
		synctest.Wait()
		if len(network.sent) != 1 {
			t.Errorf("%d token requests are under way, want 1", len(network.sent))
		}
		begun := time.Now()
		client.Close()
		if waited := time.Since(begun); waited > time.Second {
			t.Errorf("Close waited for %v", waited)
		}
		if <-served; u == nil {
			t.Error("signed out by Close")
		}
	})
}

// The program ends while AdmitUser asks the application's database at a refresh. The provider has rotated the refresh token by then: the
// new one is in the cookie, or the next process sends one that is used up, and the provider ends the session for theft.
func TestCloseDuringAdmitUser(t *testing.T) {
	for name, said := range map[string]func(context.Context) error{
		"it says why":       func(ctx context.Context) error { return ctx.Err() },
		"it says something": func(context.Context) error { return errors.New("query failed") },
		"it is unavailable": func(context.Context) error { return idserver.ErrUnavailable },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(16 * time.Minute)
			network := &scripted{answer: func(string) string {
				return `{"access_token":"second","token_type":"Bearer","expires_in":900,"refresh_token":"the-rotated-one"}`
			}}
			asked := 0
			client := w.bubbled(t, network, func(c *idserver.Config) {
				c.AdmitUser = func(ctx context.Context, _ *idserver.User) error {
					asked++
					<-ctx.Done()
					return said(ctx)
				}
			})
			own := &browser{t, client, copyOf(b.cookies)}
			var u *idserver.User
			served := make(chan struct{})
			go func() {
				defer close(served)
				u, _ = own.visit()
			}()
			synctest.Wait()
			begun := time.Now()
			client.Close()
			if waited := time.Since(begun); waited > time.Second || asked != 1 {
				t.Errorf("Close waited for %v, AdmitUser was asked %d times", waited, asked)
			}
			if <-served; u == nil || u.Email != "alice@example.test" {
				t.Fatalf("the user is %v", u)
			}
			w.clock.advance(16 * time.Minute)
			next := w.bubbled(t, network, nil)
			defer next.Close()
			if u, _ := (&browser{t, next, own.cookies}).visit(); u == nil {
				t.Error("the next process does not know the session")
			}
			if len(network.sent) != 2 || network.sent[1] != "the-rotated-one" {
				t.Errorf("the next process sends the refresh token %q", network.sent[1:])
			}
		}))
	}
}
