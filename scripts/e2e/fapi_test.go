//go:build e2e

package e2e

import (
	"crypto/rand"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// clientKeys makes private keys with idserver-dev, as its user does.
func clientKeys(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(buildOnce(t, "idserver-dev", "./core/cmd/idserver-dev"), append([]string{"keys"}, args...)...).Output()
	found := regexp.MustCompile(`(?m)^export IDSERVER_CLIENT_KEYS='(.+)'$`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("idserver-dev keys: %v\n%s", err, out)
	}
	return string(found[1])
}

// fapiClient signs in, refreshes and signs out at a provider of FAPI 2.0, in an example at addr. begins is the URL that the browser is
// sent to, without the reference; the provider's page has a button for alice.
func fapiClient(t *testing.T, binary, addr, issuer, profile, keys, begins string) {
	t.Helper()
	app := "http://" + addr
	p := start(t, []string{
		"ADDR=" + addr, "IDSERVER_AUTHORITY=" + issuer, "IDSERVER_CLIENT_ID=app", "IDSERVER_PROFILE=" + profile, "IDSERVER_CLIENT_KEYS=" + keys,
		"SESSION_SECRET=" + rand.Text() + rand.Text(),
	}, binary)
	if got := p.line("open"); got != app {
		t.Fatalf("the app is at %s", got)
	}
	v := newVisitor(t, app)
	begun := v.get("/auth/login?return_to=/profile")
	to, err := url.Parse(begun.location())
	if err != nil || !strings.HasPrefix(begun.location(), begins+"?") || len(to.Query()) != 2 || to.Query().Get("client_id") != "app" || to.Query().Get("request_uri") == "" {
		t.Fatalf("the browser is sent to %q: %d %s", begun.location(), begun.StatusCode, begun.body)
	}
	page, at := v.follow(begun)
	v.atProvider(page, at, "alice", app+"/profile")
	if a := v.get("/admin"); a.StatusCode != 200 {
		t.Errorf("/admin: %d", a.StatusCode)
	}
	for first := v.cookies(); v.cookies() == first; {
		if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 200 || !strings.Contains(a.body, `"alice@example.test"`) {
			t.Fatalf("before the refresh: %d %s", a.StatusCode, a.body)
		}
	}
	if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 200 || !strings.Contains(a.body, `"admin"`) {
		t.Errorf("after the refresh: %d %s", a.StatusCode, a.body)
	}
	if a := v.do("POST", "/auth/logout", script, nil); a.StatusCode != 200 {
		t.Errorf("signing out: %d %s", a.StatusCode, a.body)
	}
	if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 401 {
		t.Errorf("after signing out: %d", a.StatusCode)
	}
}

// The examples follow FAPI 2.0 at npm oidc-provider, which insists on it.
func TestFAPIOIDCProvider(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ profile, alg, nonces, signed string }{
		"PS256":                  {"fapi2", "PS256", "", ""},
		"ES256, and nonces":      {"fapi2", "ES256", "1", ""},
		"PS256, message signing": {"fapi2-message-signing", "PS256", "", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait until a token ends
			program := oidcProvider(t)
			keys := clientKeys(t, "-alg", row.alg)
			eachExample(t, func(t *testing.T, binary string) {
				addr := freeAddr(t)
				op := start(t, []string{"APP=http://" + addr, "ALG=" + row.alg, "FAPI=" + row.alg, "NONCES=" + row.nonces, "SIGNED=" + row.signed, "ACCESS_TTL=2"}, "node", program)
				issuer := op.line("provider")
				fapiClient(t, binary, addr, issuer, row.profile, keys, issuer+"/auth")
				for _, want := range []string{"authorization_code", "refresh_token"} {
					if kind := op.line("grant"); kind != want {
						t.Errorf("a grant is %s, want %s", kind, want)
					}
				}
			})
		})
	}
}

// The examples follow FAPI 2.0 at go-oidc, which encrypts ID tokens and userinfo as Singpass does.
func TestFAPIGoOIDC(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ profile, signed string }{
		"encrypted":                      {"fapi2", ""},
		"encrypted, and message signing": {"fapi2-message-signing", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait until a token ends
			program := buildOnce(t, "go-oidc", "./scripts/go-oidc")
			keys := clientKeys(t, "-enc")
			eachExample(t, func(t *testing.T, binary string) {
				addr := freeAddr(t)
				issuer := start(t, []string{"APP=http://" + addr, "SIGNED=" + row.signed, "ACCESS_TTL=2"}, program).line("provider")
				fapiClient(t, binary, addr, issuer, row.profile, keys, issuer+"/authorize")
			})
		})
	}
}
