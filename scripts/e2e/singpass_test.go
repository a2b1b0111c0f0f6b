//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

// singpassApp is an application of Singpass Login on net/http, at an address of localhost: Singpass takes no IP address.
type singpassApp struct {
	*singpass.Client
	url  string
	last atomic.Pointer[singpass.Identity] // who signed in
}

func startSingpassApp(t *testing.T, listener net.Listener, cfg singpass.Config) *singpassApp {
	t.Helper()
	app := &singpassApp{url: cfg.BaseURL}
	cfg.AdmitUser = func(ctx context.Context, _ *idserver.User) error {
		app.last.Store(singpass.IdentityFrom(ctx))
		return nil
	}
	sp, err := singpass.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	routes, err := sp.Client().Routes("/")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range routes {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			a := route.Serve(r.Context(), idserver.RequestFrom(r))
			a.WriteTo(w)
		})
	}
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		ctx, a := sp.Client().RequireUser()(r.Context(), idserver.RequestFrom(r))
		if a.WriteTo(w); !a.Ends() {
			_, _ = io.WriteString(w, idserver.UserFrom(ctx).Subject)
		}
	})
	server := &http.Server{Handler: mux}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-ended; sp.Close() })
	app.Client = sp
	return app
}

// signsIn signs somebody in, whom chosen chooses on the provider's page, and returns who it is.
func (app *singpassApp) signsIn(t *testing.T, chosen func(v *visitor, page answer, at string) answer) *singpass.Identity {
	t.Helper()
	v := newVisitor(t, app.url)
	page, at := v.follow(v.get("/auth/login?return_to=/me"))
	if !strings.Contains(at, "request_uri=") || page.StatusCode != 200 {
		t.Fatalf("no page to sign in on, at %s: %d\n%s", at, page.StatusCode, page.body)
	}
	shown, at := v.follow(chosen(v, page, at))
	me := app.last.Load()
	if at != app.url+"/me" || shown.StatusCode != 200 || me == nil || me.Subject == "" || shown.body != me.Subject {
		t.Fatalf("signed in at %s, as %v: %d\n%s", at, me, shown.StatusCode, shown.body)
	}
	return me
}

func loginConfig(t *testing.T, app, issuer, client string) singpass.Config {
	t.Helper()
	keys, err := idserver.ParseClientKeys(clientKeys(t, "-enc"))
	if err != nil {
		t.Fatal(err)
	}
	return singpass.Config{
		Product: singpass.Login, Environment: singpass.Staging, ClientID: client, Keys: keys, Scopes: []string{"user.identity"}, Issuer: issuer,
		Message: "Sign in to the test", // MockPass 4.6 wants one where there is a context
		BaseURL: app, SessionSecret: rand.Text() + rand.Text(), SingleReplica: true,
	}
}

func listenAsLocalhost(t *testing.T) (listener net.Listener, app string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener, "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// mockPassCopy is MOCKPASS_DIR, a copy of MockPass that has FAPI: npm serves none. scripts/test says so where it is not set.
func mockPassCopy(t *testing.T) string {
	t.Helper()
	leftOut(t, "node")
	dir := os.Getenv("MOCKPASS_DIR")
	if dir == "" {
		t.Skip("MOCKPASS_DIR names no copy of MockPass 4.6 or newer, and npm has 4.3.4, without FAPI")
	}
	var pack struct{ Version string }
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err = errors.Join(err, json.Unmarshal(text, &pack)); err != nil {
		t.Fatalf("MOCKPASS_DIR: %v", err)
	}
	major, rest, _ := strings.Cut(pack.Version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	if a, _ := strconv.Atoi(major); a < 4 {
		t.Fatalf("MOCKPASS_DIR has version %s, want at least 4.6", pack.Version)
	} else if b, _ := strconv.Atoi(minor); a == 4 && b < 6 {
		t.Fatalf("MOCKPASS_DIR has version %s, want at least 4.6", pack.Version)
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A person signs in with Singpass Login at MockPass, which its makers wrote.
func TestMockPassFAPI(t *testing.T) {
	copied := mockPassCopy(t)
	listener, app := listenAsLocalhost(t)
	mockpass := start(t, []string{"COPY=" + copied, "FAPI_CLIENT_JWKS_ENDPOINT=" + app + "/auth/jwks"}, "node", filepath.Join(os.Getenv("MOCKPASS"), "mockpass.mjs"))
	base := mockpass.line("mockpass")
	issuer := ""
	for _, path := range []string{"/singpass/v3/fapi", "/v3/fapi", "/fapi"} {
		if a := newVisitor(t, base).get(path + "/.well-known/openid-configuration"); a.StatusCode == 200 {
			issuer = base + path
			break
		}
	}
	if issuer == "" {
		t.Fatal("MockPass has no metadata of FAPI")
	}
	me := startSingpassApp(t, listener, loginConfig(t, app, issuer, "an-application-of-32-characters-")).signsIn(t, func(v *visitor, page answer, at string) answer {
		for _, link := range regexp.MustCompile(`<option value="(S9812379B)[^"]*" data-asserturl="([^"]+)"`).FindAllStringSubmatch(page.body, 1) {
			return v.get(html.UnescapeString(link[2]))
		}
		t.Fatalf("nobody to choose at %s:\n%s", at, page.body)
		return answer{}
	})
	if me.IdentityNumber != "S9812379B" {
		t.Errorf("signed in is somebody else: %v", me)
	}
}

// The same at the double, as MockPass does it: what is tried there is tried here too, on every run.
func TestSingpassLikeMockPass(t *testing.T) {
	listener, app := listenAsLocalhost(t)
	provider := singpasstest.NewProvider(t, func(o *singpasstest.Options) { o.LikeMockPass = true })
	sp := startSingpassApp(t, listener, loginConfig(t, app, provider.Issuer(), singpasstest.LoginClient))
	provider.Register(sp.Client, singpass.Login)
	person := singpasstest.People()[0]
	me := sp.signsIn(t, func(v *visitor, _ answer, at string) answer {
		back, err := provider.Authorize(t.Context(), at, person.Login)
		if err != nil {
			t.Fatal(err)
		}
		return v.get(back.String())
	})
	if me.IdentityNumber == "" || me.Level != 1 {
		t.Errorf("signed in is %v, level %d", me, me.Level)
	}
}
