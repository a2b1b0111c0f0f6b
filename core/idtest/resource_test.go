package idtest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

// Access tokens are for the API that the client asked for, also after a refresh.
func TestResource(t *testing.T) {
	t.Parallel()
	const api = "https://api.example.com/mcp"
	p := idtest.NewProvider(t)
	audience := func(response map[string]any) any {
		t.Helper()
		_, claims := decode(t, response["access_token"].(string))
		return claims["aud"]
	}
	code := signIn(t, p, "alice", "resource", api).Get("code")
	given := post(t, p, "/connect/token", codeForm(code, "resource", api)).json(t)
	same(t, "aud", audience(given), api)
	_, idToken := decode(t, given["id_token"].(string))
	same(t, "aud of the ID token", idToken["aud"], idtest.ExampleClient)
	refreshed := post(t, p, "/connect/token", refreshForm(given["refresh_token"].(string))).json(t)
	same(t, "aud after a refresh", audience(refreshed), api)

	refused := post(t, p, "/connect/token", refreshForm(refreshed["refresh_token"].(string), "resource", "https://other.example/"))
	same(t, "error of a refresh for another", refused.json(t)["error"], "invalid_target")
	again := post(t, p, "/connect/token", refreshForm(refreshed["refresh_token"].(string), "resource", api))
	equal(t, "status after that", again.status, http.StatusOK)

	code = signIn(t, p, "alice").Get("code")
	refused = post(t, p, "/connect/token", codeForm(code, "resource", api))
	same(t, "error of one that was not asked for", refused.json(t)["error"], "invalid_target")
	code = signIn(t, p, "alice", "resource", api).Get("code")
	same(t, "aud without the parameter of the token request", audience(post(t, p, "/connect/token", codeForm(code)).json(t)), api)

	for _, bad := range []string{"api", "/mcp", api + "#part", "%zz:"} {
		same(t, "error of "+bad, signIn(t, p, "alice", "resource", bad).Get("error"), "invalid_target")
		equal(t, "status of /dev/token", post(t, p, "/dev/token", url.Values{"user": {"alice"}, "resource": {bad}}).status, http.StatusBadRequest)
	}
	_, claims := decode(t, post(t, p, "/dev/token", url.Values{"user": {"alice"}, "resource": {api}, "scope": {"orders:read  email"}}).json(t)["access_token"].(string))
	same(t, "aud of /dev/token", claims["aud"], api)
	same(t, "scope of /dev/token", claims["scope"], "orders:read email")
}
