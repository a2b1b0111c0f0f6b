//go:build e2e

package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// startHydra starts Ory Hydra with everything in memory, and the pages that it leaves to others: for signing in, for consent and
// for signing out. They ask nobody.
func startHydra(t *testing.T, app, secret, _ string) *providerUnderTest {
	public, admin := freeAddr(t), freeAddr(t)
	api := "http://" + admin + "/admin"
	pages := httptest.NewServer(hydraPages(t, api))
	t.Cleanup(pages.Close)
	issuer := "http://" + public
	_, publicPort, _ := net.SplitHostPort(public)
	_, adminPort, _ := net.SplitHostPort(admin)
	env := []string{
		"DSN=memory", "SERVE_PUBLIC_HOST=127.0.0.1", "SERVE_PUBLIC_PORT=" + publicPort, "SERVE_ADMIN_HOST=127.0.0.1", "SERVE_ADMIN_PORT=" + adminPort,
		"URLS_SELF_ISSUER=" + issuer, "URLS_LOGIN=" + pages.URL + "/login", "URLS_CONSENT=" + pages.URL + "/consent", "URLS_LOGOUT=" + pages.URL + "/logout",
		"SECRETS_SYSTEM=" + rand.Text() + rand.Text(), "TTL_ACCESS_TOKEN=" + accessTTL.String(), "STRATEGIES_ACCESS_TOKEN=jwt", "LOG_LEAK_SENSITIVE_VALUES=false",
		"OAUTH2_ALLOWED_TOP_LEVEL_CLAIMS=roles,name,email", "SQA_OPT_OUT=true",
	}
	var server *process
	run := func() {
		server = start(t, env, installed(t, "bin/hydra"), "serve", "all", "--dev")
		server.untamed = true
		waitFor(t, server, issuer+"/health/ready")
		call(t, "POST", api+"/clients", nil, map[string]any{
			"client_id": clientID, "client_secret": secret, "token_endpoint_auth_method": "client_secret_basic",
			"redirect_uris": []string{app + "/auth/callback"}, "post_logout_redirect_uris": []string{app + "/"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"scope": "openid profile email offline_access", "audience": []string{"idserver-api"},
		})
	}
	run()
	return &providerUnderTest{
		bearer:  "ok; refreshed access tokens name the old key (ory/hydra#3573) and are refused",
		version: "2.3.0", issuer: issuer, subject: "alice", roles: []string{"admin", "user"},
		signIn:  func(v *visitor, page answer, at string) (answer, string) { return page, at },
		restart: func() { server.end(); run() },
		rotate: func() {
			for _, set := range []string{"hydra.openid.id-token", "hydra.jwt.access-token"} {
				call(t, "POST", api+"/keys/"+set, nil, map[string]any{"alg": "RS256", "use": "sig", "kid": rand.Text()})
			}
		},
	}
}

func hydraPages(t *testing.T, api string) http.Handler {
	mux := http.NewServeMux()
	for kind, acceptance := range map[string]map[string]any{
		"login": {"subject": "alice"},
		"consent": {
			"grant_scope": []string{"openid", "profile", "email", "offline_access"}, "grant_access_token_audience": []string{"idserver-api"},
			"session": map[string]any{
				"id_token":     map[string]any{"roles": []string{"admin", "user"}, "name": "Alice Tan", "email": "alice@example.test"},
				"access_token": map[string]any{"roles": []string{"admin", "user"}, "name": "Alice Tan", "email": "alice@example.test"},
			},
		},
		"logout": {},
	} {
		mux.HandleFunc("GET /"+kind, func(w http.ResponseWriter, r *http.Request) {
			name := kind + "_challenge"
			var next struct {
				To string `json:"redirect_to"`
			}
			if err := json.Unmarshal(call(t, "PUT", api+"/oauth2/auth/requests/"+kind+"/accept?"+url.Values{name: {r.FormValue(name)}}.Encode(), nil, acceptance), &next); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			http.Redirect(w, r, next.To, http.StatusSeeOther)
		})
	}
	return mux
}

// call sends JSON to a provider's interface for administrators, and must be answered with a 2xx.
func call(t *testing.T, method, target string, client *http.Client, body any) []byte {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || response.StatusCode/100 != 2 {
		t.Errorf("%s %s: %d %s %v", method, target, response.StatusCode, content, err)
	}
	return content
}

// waitFor waits until a program answers.
func waitFor(t *testing.T, p *process, target string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(target)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatalf("%s does not answer", target)
}
