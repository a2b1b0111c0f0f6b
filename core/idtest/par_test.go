package idtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

var pushable = map[string]string{
	"response_type": "code", "client_id": idtest.ExampleClient, "client_secret": idtest.ExampleSecret, "redirect_uri": callback,
	"scope": "openid profile email roles", "state": "the-state", "nonce": "the-nonce", "code_challenge": challenge(verifier),
	"code_challenge_method": "S256",
}

// pushed returns the URL of a request that was pushed.
func pushed(t *testing.T, p *idtest.Provider, a answer) string {
	t.Helper()
	members := a.json(t)
	uri, _ := members["request_uri"].(string)
	if a.status != http.StatusCreated || uri == "" || members["expires_in"] != 60.0 {
		t.Fatalf("pushed: %d %s", a.status, a.body)
	}
	return p.URL() + "/connect/authorize?" + url.Values{"client_id": {idtest.ExampleClient}, "request_uri": {uri}}.Encode()
}

func TestPushedAuthorization(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Dialect.RequirePAR = true })
	metadata := get(t, p, "/.well-known/openid-configuration").json(t)
	same(t, "the endpoint", metadata["pushed_authorization_request_endpoint"], p.URL()+"/connect/par")
	same(t, "that it is required", metadata["require_pushed_authorization_requests"], true)

	at := pushed(t, p, post(t, p, "/connect/par", with(pushable, "claims", `{"id_token":{}}`)))
	same(t, "what was pushed", p.LastPushedRequest().Get("claims"), `{"id_token":{}}`)
	same(t, "the secret", p.LastPushedRequest().Get("client_secret"), "[redacted]")
	for _, more := range []string{"&state=other", "&redirect_uri=" + url.QueryEscape(callback), "&client_id=" + idtest.ExampleClient, "&prompt=login"} {
		if _, err := p.Authorize(t.Context(), at+more, "alice"); err == nil || !strings.Contains(err.Error(), "Only client_id and request_uri") {
			t.Errorf("%s: %v", more, err)
		}
	}
	target, err := p.Authorize(t.Context(), at, "alice")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the state", target.Query().Get("state"), "the-state")
	a := post(t, p, "/connect/token", codeForm(target.Query().Get("code")))
	equal(t, "the status of the token endpoint", a.status, http.StatusOK)
	_, claims := decode(t, a.json(t)["id_token"].(string))
	same(t, "the nonce", claims["nonce"], "the-nonce")
	if _, err := p.Authorize(t.Context(), at, "alice"); err == nil || !strings.Contains(err.Error(), "used before") {
		t.Errorf("a second time: %v", err)
	}
	if got := signIn(t, p, "alice").Get("error"); got != "invalid_request" {
		t.Errorf("a request that was not pushed: %q", got)
	}
	equal(t, "the requests", p.Requests(idtest.PushedAuthorization), 1)
}

func TestPushedAuthorizationRefuses(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return now } })
	p.AddClient(idtest.Client{ID: "pushes", Secret: "secret", RequirePAR: true, DPoPBound: true, AnyLoopbackRedirect: true})
	for name, row := range map[string]struct {
		form url.Values
		want string
	}{
		"the wrong secret":     {with(pushable, "client_secret", "x"), "invalid_client"},
		"no redirect_uri":      {with(pushable, "redirect_uri", ""), "invalid_request"},
		"another redirect_uri": {with(pushable, "redirect_uri", "https://evil.example"), "invalid_request"},
		"a request_uri":        {with(pushable, "request_uri", "urn:x"), "invalid_request"},
		"no code_challenge":    {with(pushable, "code_challenge", ""), "invalid_request"},
		"no scope":             {with(pushable, "scope", ""), "invalid_scope"},
		"another type":         {with(pushable, "response_type", "token"), "unsupported_response_type"},
		"no proof":             {with(pushable, "client_id", "pushes", "client_secret", "secret"), "invalid_request"},
	} {
		if a := post(t, p, "/connect/par", row.form); a.status/100 != 4 || a.json(t)["error"] != row.want {
			t.Errorf("%s: %d %s, want %s", name, a.status, a.body, row.want)
		}
	}
	equal(t, "the status of a GET", get(t, p, "/connect/par").status, http.StatusMethodNotAllowed)

	at := pushed(t, p, post(t, p, "/connect/par", with(pushable)))
	if _, err := p.Authorize(t.Context(), strings.Replace(at, "client_id=example", "client_id=example-cli", 1), "alice"); err == nil || !strings.Contains(err.Error(), "another client") {
		t.Errorf("another client: %v", err)
	}
	p.Advance(time.Minute)
	if _, err := p.Authorize(t.Context(), at, "alice"); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a minute later: %v", err)
	}
	if got := signIn(t, p, "alice", "client_id", "pushes").Get("error"); got != "invalid_request" {
		t.Errorf("a client that must push: %q", got)
	}
	if got := signIn(t, p, "alice", "request_uri", "https://x.example").Get("error"); got != "request_uri_not_supported" {
		t.Errorf("another request_uri: %q", got)
	}
	p.Fail(idtest.PushedAuthorization, idtest.Fault{Status: http.StatusServiceUnavailable})
	equal(t, "the status of a fault", post(t, p, "/connect/par", with(pushable)).status, http.StatusServiceUnavailable)
}
