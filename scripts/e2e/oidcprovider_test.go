//go:build e2e

package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// oidcProvider is the folder into which scripts/test installed npm oidc-provider and its program.
func oidcProvider(t *testing.T) string {
	t.Helper()
	leftOut(t, "node")
	dir := os.Getenv("OIDC_PROVIDER")
	if dir == "" {
		t.Fatal("OIDC_PROVIDER is not set: scripts/test installs the provider and sets it")
	}
	return filepath.Join(dir, "provider.mjs")
}

// The examples sign in at a provider that nobody here wrote.
func TestOIDCProvider(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		alg, secret string
		env         []string
	}{
		"confidential client, RS256":         {"RS256", rand.Text() + rand.Text(), nil},
		"public client, ES256":               {"ES256", "", nil},
		"all claims in the ID token as well": {"RS256", rand.Text() + rand.Text(), []string{"PLAIN_ID_TOKEN=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait until a token ends
			eachExample(t, func(t *testing.T, binary string) {
				addr := freeAddr(t)
				app := "http://" + addr
				op := start(t, append(row.env, "APP="+app, "ALG="+row.alg, "CLIENT_SECRET="+row.secret, "ACCESS_TTL=2"), "node", oidcProvider(t))
				issuer := op.line("provider")
				p := start(t, []string{"ADDR=" + addr, "IDSERVER_AUTHORITY=" + issuer, "IDSERVER_CLIENT_ID=app", "IDSERVER_CLIENT_SECRET=" + row.secret, "SESSION_SECRET=" + rand.Text() + rand.Text()}, binary)
				if got := p.line("open"); got != app {
					t.Fatalf("the app is at %s", got)
				}
				v := newVisitor(t, app)
				page, at := v.follow(v.get("/auth/login?return_to=/profile"))
				v.atProvider(page, at, "alice", app+"/profile")
				op.line("grant")
				if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 200 || strings.TrimSpace(a.body) != v.me("alice") {
					t.Errorf("/api/me: %d %s", a.StatusCode, a.body)
				}
				for path, want := range map[string]int{"/admin": 200, "/api/editors": 200, "/api/billing": 200} {
					if a := v.get(path); a.StatusCode != want {
						t.Errorf("%s: %d, want %d", path, a.StatusCode, want)
					}
				}

				bob := newVisitor(t, app)
				bearer := script.with("Authorization", "Bearer "+bob.accessToken(issuer, "bob"))
				if a := bob.do("GET", "/api/me", bearer, nil); a.StatusCode != 200 || strings.TrimSpace(a.body) != bob.me("bob") {
					t.Errorf("/api/me by bearer: %d %s", a.StatusCode, a.body)
				}
				if a := bob.do("GET", "/api/admin", bearer, nil); a.StatusCode != 403 {
					t.Errorf("/api/admin by bearer: %d %s", a.StatusCode, a.body)
				}
				if kind := op.line("grant"); kind != "authorization_code" {
					t.Errorf("the second grant is %s", kind)
				}

				for first := v.cookies(); v.cookies() == first; {
					if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 200 {
						t.Fatalf("before the refresh: %d %s", a.StatusCode, a.body)
					}
				}
				if kind := op.line("grant"); kind != "refresh_token" {
					t.Errorf("the third grant is %s", kind)
				}
				if a := v.do("GET", "/api/me", script, nil); strings.TrimSpace(a.body) != v.me("alice") {
					t.Errorf("after the refresh: %d %s", a.StatusCode, a.body)
				}

				a := v.do("POST", "/auth/logout", navigation, nil)
				if !strings.HasPrefix(a.location(), issuer+"/session/end?") {
					t.Fatalf("signing out goes to %q", a.location())
				}
				page, at = v.follow(a)
				home, end := v.follow(v.submit(page, at, url.Values{"logout": {"yes"}}))
				if end != app+"/" || !strings.Contains(home.body, `href="/auth/login"`) {
					t.Errorf("signed out at %s:\n%s", end, home.body)
				}
				if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 401 {
					t.Errorf("after signing out: %d", a.StatusCode)
				}
			})
		})
	}
}

// submit sends the form of a page, with its fields and, in their place, more.
func (v *visitor) submit(page answer, at string, more url.Values) answer {
	v.t.Helper()
	target, err := url.Parse(at)
	if err != nil {
		v.t.Fatal(err)
	}
	if action := regexp.MustCompile(`<form[^>]* action="([^"]+)"`).FindStringSubmatch(page.body); action != nil {
		if target, err = target.Parse(action[1]); err != nil {
			v.t.Fatal(err)
		}
	}
	for _, input := range regexp.MustCompile(`<input[^>]* name="([^"]+)"[^>]* value="([^"]*)"`).FindAllStringSubmatch(page.body, -1) {
		if !more.Has(input[1]) {
			more.Set(input[1], html.UnescapeString(input[2]))
		}
	}
	return v.do("POST", target.String(), header{"Accept": "text/html"}, more)
}

// atProvider chooses a name on the provider's page and comes back to want.
func (v *visitor) atProvider(page answer, at, user, want string) {
	v.t.Helper()
	if !strings.Contains(page.body, `value="`+user+`"`) {
		v.t.Fatalf("no page to sign in on, at %s: %d\n%s", at, page.StatusCode, page.body)
	}
	if end, at := v.follow(v.submit(page, at, url.Values{"user": {user}})); at != want || end.StatusCode != 200 {
		v.t.Fatalf("signed in at %s, want %s: %d\n%s", at, want, end.StatusCode, end.body)
	}
}

// accessToken gets one for user as a program without the SDK does: the client "cli", with PKCE.
func (v *visitor) accessToken(issuer, user string) string {
	v.t.Helper()
	const redirectURI = "http://127.0.0.1:1/auth/callback"
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	page, at := v.follow(v.get(issuer + "/auth?" + url.Values{
		"client_id": {"cli"}, "response_type": {"code"}, "scope": {"openid profile email roles"}, "redirect_uri": {redirectURI}, "state": {"x"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode()))
	a := v.submit(page, at, url.Values{"user": {user}})
	for range 5 {
		if strings.HasPrefix(a.location(), redirectURI) {
			break
		}
		next, err := a.Request.URL.Parse(a.location())
		if err != nil {
			v.t.Fatal(err)
		}
		a = v.get(next.String())
	}
	back, err := url.Parse(a.location())
	if err != nil || back.Query().Get("code") == "" {
		v.t.Fatalf("the provider answers %q %s", a.location(), a.body)
	}
	a = v.do("POST", issuer+"/token", nil, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {redirectURI}, "client_id": {"cli"}, "code_verifier": {verifier},
	})
	var body struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Token == "" {
		v.t.Fatalf("token endpoint: %d %s", a.StatusCode, a.body)
	}
	return body.Token
}

// startOIDCProvider is for TestProviders. It has everything in memory.
func startOIDCProvider(t *testing.T, app, secret, _ string) *providerUnderTest {
	_, port, _ := net.SplitHostPort(freeAddr(t))
	var server *process
	run := func() (issuer string) {
		server = start(t, []string{"APP=" + app, "CLIENT_SECRET=" + secret, "PORT=" + port, "ACCESS_TTL=" + strconv.Itoa(int(accessTTL.Seconds()))},
			"node", installed(t, "oidc-provider/provider.mjs"))
		return server.line("provider")
	}
	return &providerUnderTest{
		asks:    true,
		version: "9.13.3", issuer: run(), subject: "6f0c2a3e-0000-4000-8000-00000000a11c", roles: []string{"admin", "user"},
		signIn: func(v *visitor, page answer, at string) (answer, string) {
			return v.follow(v.submit(page, at, url.Values{"user": {"alice"}}))
		},
		signOut: func(v *visitor, page answer, at string) (answer, string) {
			return v.follow(v.submit(page, at, url.Values{"logout": {"yes"}}))
		},
		restart: func() { server.end(); run() },
		rotate: func() {
			_ = server.command.Process.Signal(syscall.SIGUSR2)
			server.line("key")
		},
	}
}
