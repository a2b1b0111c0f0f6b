package replicas

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const (
	replicaCount = 3
	accessTTL    = 2 * time.Second
	refreshEvery = accessTTL * 4 / 5 // a fifth of its life before an access token ends
)

// site is one application as several replicas, and its provider.
type site struct {
	provider *idtest.Provider
	base     string   // BaseURL
	hosts    []string // of the replicas
	turn     atomic.Int64
	network  *http.Transport // of the browsers
	visitors chan struct{}   // pages that are being asked for
}

// enter waits until a page may be asked for. Without, a hundred browsers at a slow machine would wait longer for an answer than
// anybody is meant to, and their refreshes longer than a lease lasts.
func (s *site) enter() (leave func()) {
	s.visitors <- struct{}{}
	return func() { <-s.visitors }
}

// mode is what the provider does.
type mode struct {
	dialect idtest.Dialect
	loses   int // each of so many answers to refreshes; 0: none
}

// strict reports whether a lost answer costs a session: the provider answers no refresh token twice.
func (m mode) strict() bool { return m.dialect.RefreshGrace == 0 && !m.dialect.NoRotation }

var modes = map[string]mode{
	"strict":                   {},
	"strict, losses":           {loses: 10},
	"grace 5 s, losses":        {idtest.Dialect{RefreshGrace: 5 * time.Second}, 10},
	"grace 60 s":               {dialect: idtest.Dialect{RefreshGrace: time.Minute}},
	"grace 60 s, losses":       {idtest.Dialect{RefreshGrace: time.Minute}, 10},
	"last replay wins, losses": {idtest.Dialect{RefreshGrace: time.Minute, LastReplayWins: true}, 10},
	"not rotated, losses":      {idtest.Dialect{NoRotation: true}, 10},
}

// person is the i-th of those who sign in. Each browser is another one's, so that nobody can be answered as somebody else
// unnoticed.
func person(i int) idtest.Person {
	login := fmt.Sprintf("person%d", i)
	return idtest.Person{Login: login, Subject: "subject-of-" + login, Email: login + "@example.test"}
}

// newSite starts a provider and replicas, which end with the test.
func newSite(t *testing.T, framework string, m mode, people int, newStore func() idserver.Store) *site {
	t.Helper()
	options := idtest.Options{AccessTTL: accessTTL, Dialect: m.dialect}
	for i := range people {
		options.People = append(options.People, person(i))
	}
	provider, err := idtest.Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	if m.loses > 0 {
		provider.Fail(idtest.Token, idtest.Fault{Lost: true, Every: m.loses, When: isRefresh})
	}
	s := &site{
		provider: provider, visitors: make(chan struct{}, pages),
		network: &http.Transport{MaxIdleConnsPerHost: atOnce * people},
	}
	var listeners []net.Listener
	for range replicaCount {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		s.hosts = append(s.hosts, l.Addr().String())
	}
	s.base = "http://" + s.hosts[0]
	cfg := provider.Config(s.base)
	cfg.HTTP.Timeout = 20 * time.Second // what takes longer is sent again, and nobody has lost an answer
	cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, l := range listeners {
		cfg.Store = newStore()
		s.start(t, framework, cfg, l)
	}
	t.Cleanup(s.network.CloseIdleConnections) // fiber waits for them
	return s
}

// start starts one replica.
func (s *site) start(t *testing.T, framework string, cfg idserver.Config, l net.Listener) {
	t.Helper()
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	app := frameworks[framework](client)
	ended := make(chan error, 1)
	go func() { ended <- app.serve(l) }()
	t.Cleanup(func() {
		if err := app.stop(); err != nil {
			t.Error(err)
		}
		_ = l.Close() // an application that was stopped before it served has not
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", framework, err)
		}
		client.Close()
	})
}

// RoundTrip sends a request to the replica whose turn it is.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	next := r.Clone(r.Context())
	next.Host = r.URL.Host
	next.URL.Host = s.hosts[int(s.turn.Add(1))%len(s.hosts)]
	return s.network.RoundTrip(next)
}

// signIn signs a person in, at whichever replicas the browser meets.
func (s *site) signIn(ctx context.Context, b *browser) error {
	login, err := b.get(ctx, "/auth/login", navigates)
	if err == nil && login.status != http.StatusSeeOther {
		err = fmt.Errorf("the sign-in answers %d %s", login.status, login.body)
	}
	if err != nil {
		return err
	}
	at := login.location
	for range 2 { // silently, where the session was lost, and then aloud
		callback, err := s.provider.Authorize(ctx, at, b.person.Login)
		if err != nil {
			return err
		}
		back, err := b.get(ctx, callback.RequestURI(), navigates)
		switch {
		case err != nil:
			return err
		case back.status == http.StatusSeeOther && back.location == "/":
			return nil
		case back.status != http.StatusSeeOther:
			return fmt.Errorf("the callback answers %d %s", back.status, back.body)
		}
		at = back.location
	}
	return fmt.Errorf("nobody is signed in; the browser is sent to %s", at)
}
