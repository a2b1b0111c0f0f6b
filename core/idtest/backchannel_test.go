package idtest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

// clientOf is a client that writes down the logout tokens that it is sent, and answers as it is told.
type clientOf struct {
	mu     sync.Mutex
	status int
	tokens []string
}

func (c *clientOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Method == http.MethodPost && r.URL.Path == "/auth/backchannel-logout" {
		c.tokens = append(c.tokens, r.PostFormValue("logout_token"))
	}
	w.WriteHeader(c.status)
}

// A person's sessions end at the provider: each of their clients is told of each of them, until it has said that it knows.
func TestEndSessions(t *testing.T) {
	p := idtest.NewProvider(t)
	application := &clientOf{status: http.StatusServiceUnavailable}
	server := httptest.NewServer(application)
	defer server.Close()
	p.AddClient(idtest.Client{
		ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, AnyLoopbackRedirect: true, BackchannelLogoutURI: server.URL + "/auth/backchannel-logout",
	})
	first, _, _ := tokens(t, p, "alice"), tokens(t, p, "alice"), tokens(t, p, "bob")
	sids := p.SessionIDs("alice", idtest.ExampleClient)
	if len(sids) != 2 || sids[0] == sids[1] || len(p.SessionIDs("alice", idtest.ExamplePublicClient)) != 0 {
		t.Fatalf("the sessions are %q", sids)
	}
	if err := p.EndSessions(t.Context(), "alice"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the client did not answer with 200, and the error is %v", err)
	}
	application.status = http.StatusOK
	for range 2 {
		if err := p.EndSessions(t.Context(), "alice"); err != nil {
			t.Error(err)
		}
	}
	if len(application.tokens) != 4 {
		t.Fatalf("%d tokens, want two for each session", len(application.tokens))
	}
	for i, token := range application.tokens[2:] {
		header, claims := decode(t, token)
		equal(t, "typ", header["typ"], any("logout+jwt"))
		equal(t, "sid", claims["sid"], any(sids[i]))
		equal(t, "iss", claims["iss"], any(p.URL()))
		equal(t, "aud", claims["aud"], any(idtest.ExampleClient))
		if claims["jti"] == "" || claims["nonce"] != nil || claims["exp"] == nil || claims["events"] == nil {
			t.Errorf("the token says %v", claims)
		}
	}
	if a := post(t, p, "/connect/token", refreshForm(first["refresh_token"].(string))); a.status != http.StatusBadRequest {
		t.Errorf("the refresh token of a session that has ended: %d", a.status)
	}
}
