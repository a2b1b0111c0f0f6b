//go:build e2e

package e2e

import (
	"crypto/rand"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// versionBefore is the commit of the version that is replaced by this one in a rolling deployment: that of the release before or, while
// there is none, one of before the format of sessions grew.
const versionBefore = "2494ecdd00fde27e91aabcc126782d26cd488aaf"

// buildBefore compiles an example of the version before, from this clone's history. Without that the test is skipped, and says so: what
// the codecs must read is tested beside them, with what was written then.
func buildBefore(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	archive := filepath.Join(dir, "before.tar")
	command := exec.Command("git", "archive", "-o", archive, versionBefore)
	command.Dir = "../.."
	if out, err := command.CombinedOutput(); err != nil {
		t.Skipf("the version before is not in this clone (%v: %s)", err, strings.TrimSpace(string(out)))
	}
	program := filepath.Join(dir, "before") // beside what the archive holds
	for _, args := range [][]string{{"tar", "-xf", archive}, {"go", "build", "-o", program, "./examples/" + name}} {
		command := exec.Command(args[0], args[1:]...)
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return program
}

// roundRobin passes requests on to one upstream after the other.
func roundRobin(t *testing.T, addr string, upstreams ...string) (next *atomic.Int64) {
	t.Helper()
	next = new(atomic.Int64)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", upstreams[int(next.Add(1))%len(upstreams)]
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{Addr: addr, Handler: proxy}
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Close() })
	return next
}

// A rolling deployment, forward and back: the version before and this one stand side by side, and each request meets the other one.
// Each seals with a secret that the other one only accepts, so that every answer writes the session anew. Nobody is signed out, a
// sign-in that is begun at one is completed at the other, and a sign-out holds.
func TestTwoVersions(t *testing.T) {
	for _, name := range []string{"gin", "fiber"} {
		t.Run(name, func(t *testing.T) {
			before := buildBefore(t, name)
			at, old, latest := freeAddr(t), freeAddr(t), freeAddr(t)
			app := "http://" + at
			turn := roundRobin(t, at, old, latest)
			provider := start(t, []string{"ADDR=127.0.0.1:0", "BASE_URL=" + app}, buildShop(t))
			one, two := rand.Text()+rand.Text(), rand.Text()+rand.Text()
			lines := map[string]string{}
			for _, word := range []string{"provider", "client", "secret"} {
				lines[word] = provider.line(word)
			}
			run := func(addr, program, secret, accepted string) {
				start(t, []string{
					"ADDR=" + addr, "BASE_URL=" + app, "SESSION_SECRET=" + secret, "SESSION_SECRET_OLD=" + accepted,
					"IDSERVER_AUTHORITY=" + lines["provider"], "IDSERVER_CLIENT_ID=" + lines["client"], "IDSERVER_CLIENT_SECRET=" + lines["secret"],
				}, program).line("open")
			}
			run(old, before, one, two)
			run(latest, build(t, name), two, one)

			for range 2 { // the sign-in begins at each of them once
				turn.Add(1)
				v := newVisitor(t, app)
				v.signIn("alice")
				for i := range 20 {
					cookies := v.cookies()
					a := v.do("GET", "/api/me", script, nil)
					if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "alice@example.test") || !strings.Contains(a.body, "admin") {
						t.Fatalf("request %d: %d %s", i, a.StatusCode, a.body)
					}
					if i > 1 && v.cookies() == cookies {
						t.Errorf("request %d: the session is not written anew", i)
					}
				}
				if a := v.do("POST", "/auth/logout", navigation, url.Values{}); a.StatusCode != http.StatusSeeOther {
					t.Errorf("signing out: %d %s", a.StatusCode, a.body)
				}
				for range 2 {
					if a := v.do("GET", "/api/me", script, nil); a.StatusCode != http.StatusUnauthorized {
						t.Errorf("after signing out: %d", a.StatusCode)
					}
				}
			}
		})
	}
}
