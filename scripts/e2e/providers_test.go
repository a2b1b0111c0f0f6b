//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// providerUnderTest is a provider that runs, as scripts/providers installed it, with one client, which is registered for one
// application, and one person.
type providerUnderTest struct {
	version string
	issuer  string
	env     []string // further settings of the application
	subject string
	roles   []string
	signIn  func(v *visitor, page answer, at string) (answer, string) // from the provider's page to the application's
	signOut func(v *visitor, page answer, at string) (answer, string)
	rotate  func() // it signs with a new key from now on
	restart func()
	bearer  string // why a refreshed access token is refused after the key has changed; empty if it is not
	asks    bool   // who comes is asked to sign in
}

const (
	clientID  = "app"
	accessTTL = 6 * time.Second // so that a refresh is seen, and yet a token outlives a clock that is 5 s ahead
)

// providers start a provider for the application at app, with the secret of its client. dir is the test's own.
var providers = []struct {
	name  string
	start func(t *testing.T, app, secret, dir string) *providerUnderTest
}{
	{"oidc-provider", startOIDCProvider},
	{"Hydra", startHydra},
	{"LemonLDAP::NG", startLemonLDAP},
	{"Glewlwyd", startGlewlwyd},
	{"zitadel/oidc", startZitadel},
}

// providerSteps are the columns of the table.
var providerSteps = []string{"sign-in", "refresh", "bearer token", "new key", "sign-out", "clock 5 s ahead", "clock 5 s behind", "restarted"}

// An application signs in at providers that nobody here wrote, where they are as their packages have them. It takes minutes, and
// what it needs is installed by scripts/providers.
func TestProviders(t *testing.T) {
	if os.Getenv("PROVIDERS") == "" {
		t.Skip("PROVIDERS is not set: scripts/providers sets it")
	}
	binary := filepath.Join(t.TempDir(), "provider")
	buildProgram(t, binary, "./scripts/e2e/testdata/provider")
	table := []string{"| provider | " + strings.Join(providerSteps, " | ") + " |", strings.Repeat("|---", len(providerSteps)+1) + "|"}
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) {
			if only := os.Getenv("PROVIDERS_ONLY"); only != "" && !slices.Contains(strings.Split(only, ","), p.name) {
				t.Skip("PROVIDERS_ONLY")
			}
			d := &day{binary: binary, addr: freeAddr(t), secret: rand.Text() + "-_" + rand.Text(), results: map[string]string{}}
			defer func() {
				row := "| " + p.name
				if d.op != nil {
					row += " " + d.op.version
				}
				for _, step := range providerSteps {
					row += " | " + d.results[step]
				}
				table = append(table, row+" |")
			}()
			d.op = p.start(t, d.app(), d.secret, t.TempDir())
			d.run(t)
		})
	}
	fmt.Println(strings.Join(table, "\n"))
}

// day is what an application and its visitors do at one provider.
type day struct {
	op                   *providerUnderTest
	binary, addr, secret string
	results              map[string]string // by step
}

func (d *day) app() string { return "http://" + d.addr }

// step runs a part of the day and notes how it went: what it returns, or that it was as it should be.
func (d *day) step(t *testing.T, name string, run func(t *testing.T) string) bool {
	d.results[name] = "**fails**"
	return t.Run(name, func(t *testing.T) {
		if note := run(t); !t.Failed() {
			if note == "" {
				note = "ok"
			}
			d.results[name] = note
		}
	})
}

func (d *day) run(t *testing.T) {
	t.Run("day", func(t *testing.T) {
		d.start(t, "0s")
		alice := newVisitor(t, d.app())
		if !d.step(t, "sign-in", func(t *testing.T) string { d.signIn(t, alice); return "" }) {
			return
		}
		d.step(t, "refresh", func(t *testing.T) string { d.refresh(t, alice); return "" })
		d.step(t, "bearer token", func(t *testing.T) string { return d.bearer(t, alice) })
		d.step(t, "new key", func(t *testing.T) string { return d.newKey(t, alice) })
		d.step(t, "sign-out", func(t *testing.T) string { return d.signOut(t) })
	})
	for name, clock := range map[string]string{"clock 5 s ahead": "5s", "clock 5 s behind": "-5s"} {
		d.step(t, name, func(t *testing.T) string {
			d.start(t, clock)
			v := newVisitor(t, d.app())
			d.signIn(t, v)
			d.refresh(t, v)
			d.bearer(t, v)
			return ""
		})
	}
	d.step(t, "restarted", func(t *testing.T) string {
		d.start(t, "0s")
		d.signIn(t, newVisitor(t, d.app()))
		d.op.restart()
		d.signIn(t, newVisitor(t, d.app()))
		return ""
	})
}

// start starts the application, with its clock ahead by clock.
func (d *day) start(t *testing.T, clock string) {
	t.Helper()
	start(t, append([]string{
		"ADDR=" + d.addr, "BASE_URL=" + d.app(), "CLOCK=" + clock, "SESSION_SECRET=" + rand.Text() + rand.Text(),
		"IDSERVER_AUTHORITY=" + d.op.issuer, "IDSERVER_CLIENT_ID=" + clientID, "IDSERVER_CLIENT_SECRET=" + d.secret,
	}, d.op.env...), d.binary).line("open")
}

// on makes a visitor's faults those of a part of the test.
func (v *visitor) on(t *testing.T) *visitor {
	part := *v
	part.t = t
	return &part
}

func (d *day) signIn(t *testing.T, v *visitor) {
	t.Helper()
	v = v.on(t)
	page, at := v.follow(v.get("/auth/login?return_to=/me"))
	if at != d.app()+"/me" {
		page, at = d.op.signIn(v, page, at)
	}
	if at != d.app()+"/me" || page.StatusCode != 200 {
		t.Fatalf("signed in at %s: %d\n%s", at, page.StatusCode, page.body)
	}
	d.isPerson(t, page.body)
}

// isPerson checks whom the application takes the visitor for.
func (d *day) isPerson(t *testing.T, body string) {
	t.Helper()
	var me struct {
		Subject string   `json:"id"`
		Roles   []string `json:"roles"`
	}
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatal(err)
	}
	slices.Sort(me.Roles)
	if me.Subject == "" || d.op.subject != "" && me.Subject != d.op.subject || !slices.Equal(me.Roles, d.op.roles) {
		t.Errorf("the application sees %s, want subject %q and roles %q", body, d.op.subject, d.op.roles)
	}
}

// refresh waits until the access token is another one.
func (d *day) refresh(t *testing.T, v *visitor) {
	t.Helper()
	v = v.on(t)
	first := v.do("GET", "/token", script, nil)
	for deadline := time.Now().Add(2 * accessTTL); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		a := v.do("GET", "/token", script, nil)
		if a.StatusCode != 200 {
			t.Fatalf("before the refresh: %d %s", a.StatusCode, a.body)
		}
		if a.body != first.body {
			d.isPerson(t, v.do("GET", "/me", script, nil).body)
			return
		}
	}
	t.Fatalf("no refresh within %v", 2*accessTTL)
}

// bearer calls the application with the visitor's access token and without cookies.
func (d *day) bearer(t *testing.T, v *visitor) string {
	t.Helper()
	token := v.on(t).do("GET", "/token", script, nil).body
	a := newVisitor(t, d.app()).do("GET", "/me", script.with("Authorization", "Bearer "+token), nil)
	if strings.Count(token, ".") != 2 {
		if a.StatusCode != 401 {
			t.Errorf("an opaque token: %d %s", a.StatusCode, a.body)
		}
		return "opaque, 401"
	}
	if a.StatusCode != 200 {
		t.Errorf("bearer: %d %s\n%s", a.StatusCode, a.body, payload(token))
		return ""
	}
	d.isPerson(t, a.body)
	return ""
}

// payload shows the claims of a token, which is of this test alone.
func payload(token string) string {
	b, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	return string(b)
}

// newKey changes the key right after a stranger's token asked for one that there is not: those who are signed in stay so,
// others can sign in, and new tokens are good.
func (d *day) newKey(t *testing.T, alice *visitor) string {
	t.Helper()
	alice = alice.on(t)
	stranger := newVisitor(t, d.app())
	for _, audience := range []string{d.op.audience(), "elsewhere"} {
		if a := stranger.do("GET", "/me", script.with("Authorization", "Bearer "+d.forged(audience)), nil); a.StatusCode != 401 {
			t.Errorf("the stranger's token: %d %s", a.StatusCode, a.body)
		}
	}
	d.op.rotate()
	bob := newVisitor(t, d.app())
	d.signIn(t, bob)
	d.refresh(t, alice)
	d.bearer(t, bob)
	if d.op.bearer == "" {
		d.bearer(t, alice)
	}
	return d.op.bearer
}

// audience is that of the provider's access tokens.
func (p *providerUnderTest) audience() string {
	for _, setting := range p.env {
		if audience, ok := strings.CutPrefix(setting, "IDSERVER_AUDIENCE="); ok {
			return audience
		}
	}
	return "idserver-api"
}

// forged is a token as the provider's, with a key that nobody has.
func (d *day) forged(audience string) string {
	now := time.Now().Unix()
	header, _ := json.Marshal(map[string]any{"alg": "RS256", "typ": "at+jwt", "kid": rand.Text()})
	claims, _ := json.Marshal(map[string]any{"iss": d.op.issuer, "aud": audience, "sub": "stranger", "client_id": "x", "iat": now, "exp": now + 300, "jti": rand.Text()})
	signature := make([]byte, 256)
	_, _ = rand.Read(signature)
	encode := base64.RawURLEncoding.EncodeToString
	return encode(header) + "." + encode(claims) + "." + encode(signature)
}

// signOut signs a visitor out, at the provider too. A copy of the cookies from before is worth nothing.
func (d *day) signOut(t *testing.T) string {
	t.Helper()
	v := newVisitor(t, d.app())
	d.signIn(t, v)
	stolen := script.with("Cookie", v.cookies())
	page, at := v.follow(v.do("POST", "/auth/logout", navigation, nil))
	if !strings.HasPrefix(at, d.app()) && d.op.signOut != nil {
		page, at = d.op.signOut(v, page, at)
	}
	if a := v.do("GET", "/me", script, nil); a.StatusCode != 401 {
		t.Errorf("after signing out: %d %s", a.StatusCode, a.body)
	}
	if a := newVisitor(t, d.app()).do("GET", "/me", stolen, nil); a.StatusCode != 401 {
		t.Errorf("a copied cookie after signing out: %d %s", a.StatusCode, a.body)
	}
	if next, where := v.follow(v.get("/auth/login?return_to=/me")); d.op.asks && strings.HasPrefix(where, d.app()) {
		t.Errorf("the provider still knows the person: %s %d", where, next.StatusCode)
	}
	if at != d.app()+"/" {
		u, _ := url.Parse(at)
		return fmt.Sprintf("ok; ends at the provider's %s (%d)", u.Path, page.StatusCode)
	}
	return ""
}

// installed is what scripts/providers put there.
func installed(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(os.Getenv("PROVIDERS"), filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("not installed: %v", err)
	}
	return path
}
