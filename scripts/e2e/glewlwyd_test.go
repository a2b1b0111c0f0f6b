//go:build e2e

package e2e

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startGlewlwyd starts Glewlwyd, from Debian's package, with its plugin for OpenID Connect and an SQLite file, which a restart
// keeps. Its pages are scripts around an interface that speaks JSON: the visitor calls that.
func startGlewlwyd(t *testing.T, app, secret, dir string) *providerUnderTest {
	root := installed(t, "debian")
	addr := freeAddr(t)
	base := "http://" + addr
	host, port, _ := net.SplitHostPort(addr)
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	database := filepath.Join(dir, "glewlwyd.db")
	initialise := exec.Command("sh", "-c", `zcat "$1" | "$2" "$3"`, "sh", filepath.Join(root, "usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"), onPath(root, "sqlite3"), database)
	initialise.Env = debianEnv(t, "PATH="+os.Getenv("PATH"))
	if out, err := initialise.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	modules := filepath.Join(root, "usr/lib/glewlwyd")
	configuration := file("glewlwyd.conf", fmt.Sprintf(`
port=%s
bind_address=%q
external_url=%q
login_url="login.html"
api_prefix="api"
static_files_path="%s/usr/share/glewlwyd/webapp/"
log_mode="console"
log_level="WARNING"
cookie_domain=%q
cookie_secure=0
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="%[6]s/user"
client_module_path="%[6]s/client"
user_auth_scheme_module_path="%[6]s/scheme"
plugin_module_path="%[6]s/plugin"
hash_algorithm="SHA512"
database={ type="sqlite3"; path=%[7]q; };
`, port, host, base, root, host, modules, database))

	var server *process
	run := func() {
		server = start(t, debianEnv(t), onPath(root, "glewlwyd"), "-c", configuration)
		server.untamed = true
		waitFor(t, server, base+"/config")
	}
	run()

	admin := newVisitor(t, app).client
	api := func(method, path string, body any) { t.Helper(); call(t, method, base+"/api"+path, admin, body) }
	api("POST", "/auth/", map[string]any{"username": "admin", "password": "password"})
	// property lets users have a property with several values.
	property := func(kind, name string) {
		var module map[string]any
		if err := json.Unmarshal(call(t, "GET", base+"/api/mod/"+kind+"/database", admin, nil), &module); err != nil {
			t.Fatal(err)
		}
		format := module["parameters"].(map[string]any)["data-format"].(map[string]any)
		format[name] = map[string]any{"multiple": true, "read": true, "write": true}
		api("PUT", "/mod/"+kind+"/database", module)
		api("PUT", "/mod/"+kind+"/database/reset/", nil)
	}
	property("user", "roles")
	property("client", "post_logout_redirect_uris")
	for _, scope := range []string{"profile", "email"} {
		api("POST", "/scope/", map[string]any{"name": scope, "display_name": scope, "description": scope, "password_required": true, "password_max_age": 0})
	}
	api("POST", "/user/", map[string]any{
		"username": "alice", "password": "alice-password", "name": "Alice Tan", "email": "alice@example.test", "enabled": true,
		"scope": []string{"openid", "profile", "email"}, "roles": []string{"admin", "user"},
	})
	api("POST", "/client/", map[string]any{
		"client_id": clientID, "name": "App", "enabled": true, "confidential": true, "password": secret, "client_secret": secret,
		"redirect_uri": []string{app + "/auth/callback"}, "post_logout_redirect_uris": []string{app + "/"}, "scope": []string{},
		"authorization_type": []string{"code", "refresh_token"}, "token_endpoint_auth_method": []string{"client_secret_basic"},
	})
	var keys []map[string]any
	plugin := func() map[string]any {
		keys = append([]map[string]any{newJWK(t)}, keys...)
		set, err := json.Marshal(map[string]any{"keys": keys})
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"module": "oidc", "name": "oidc", "display_name": "OpenID Connect", "order_rank": 0, "enabled": true, "parameters": map[string]any{
			"iss": base + "/api/oidc", "jwks-private": string(set), "jwks-show": true, "subject-type": "public",
			"access-token-duration": int(accessTTL.Seconds()), "refresh-token-duration": 3600, "code-duration": 60, "refresh-token-rolling": false, "refresh-token-one-use": "always",
			"auth-type-code-enabled": true, "auth-type-refresh-enabled": true, "auth-type-code-revoke-replayed": true, "allow-non-oidc": false,
			"allowed-scope": []string{"openid", "profile", "email"}, "pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false,
			"additional-parameters": []any{map[string]any{"user-parameter": "roles", "token-parameter": "roles"}},
			"claims":                []any{map[string]any{"name": "roles", "user-property": "roles", "type": "string", "mandatory": true, "scope": []string{"openid"}}},
			"name-claim":            "mandatory", "email-claim": "mandatory", "name-claim-scope": []string{"profile"}, "email-claim-scope": []string{"email"},
			"resource-allowed": true, "resource-scope": map[string]any{"openid": []string{"https://api.example.test"}}, "resource-client-property": "", "resource-scope-and-client-property": false,
			"introspection-revocation-allowed": true, "introspection-revocation-allow-target-client": true,
			"session-management-allowed": true, "session-cookie-name": "GLEWLWYD2_OIDC_SID", "session-cookie-expiration": 86400,
		}}
	}
	api("POST", "/mod/plugin/", plugin())

	return &providerUnderTest{
		asks: true, version: "2.7.5", issuer: base + "/api/oidc", roles: []string{"admin", "user"},
		env: []string{"IDSERVER_AUDIENCE=https://api.example.test", "IDSERVER_AUTHORIZE_PARAMETERS=resource=https://api.example.test", "ROLES_SEPARATOR=,"},
		signIn: func(v *visitor, page answer, at string) (answer, string) {
			asked, err := url.Parse(at)
			if err != nil || asked.Query().Get("callback_url") == "" {
				return page, at
			}
			call(v.t, "POST", base+"/api/auth/", v.client, map[string]any{"username": "alice", "password": "alice-password"})
			call(v.t, "PUT", base+"/api/auth/grant/"+clientID, v.client, map[string]any{"scope": "openid profile email"})
			return v.follow(v.get(asked.Query().Get("callback_url") + "&g_continue"))
		},
		signOut: func(v *visitor, page answer, at string) (answer, string) {
			asked, err := url.Parse(at)
			if err != nil || asked.Query().Get("sid") == "" {
				return page, at
			}
			call(v.t, "DELETE", base+"/api/oidc/session/"+asked.Query().Get("sid"), v.client, nil)
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, base+"/api/auth/", nil)
			if response, err := v.client.Do(request); err == nil {
				response.Body.Close()
			}
			if back := asked.Query().Get("callback_url"); back != "" {
				return v.follow(v.get(back))
			}
			return page, at
		},
		rotate: func() {
			api("PUT", "/mod/plugin/oidc", plugin())
			api("PUT", "/mod/plugin/oidc/reset/", nil)
		},
		restart: func() { server.end(); run() },
	}
}

// onPath is a program among the unpacked packages, or the system's.
func onPath(root, name string) string {
	if unpacked := filepath.Join(root, "usr/bin", name); exec.Command("test", "-x", unpacked).Run() == nil {
		return unpacked
	}
	return name
}

func newJWK(t *testing.T) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var private *ecdh.PrivateKey
	if private, err = key.ECDH(); err != nil {
		t.Fatal(err)
	}
	point, encode := private.PublicKey().Bytes(), base64.RawURLEncoding.EncodeToString
	return map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": strings.ToLower(rand.Text()),
		"x": encode(point[1:33]), "y": encode(point[33:]), "d": encode(private.Bytes()),
	}
}
