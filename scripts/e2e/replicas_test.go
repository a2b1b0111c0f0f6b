//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Two replicas of examples/gin that share nothing but their settings and REDIS_URL: who signs in at one is served by the other, in turn
// behind nginx, and a sign-out reaches both.
func TestReplicas(t *testing.T) {
	leftOut(t, "nginx")
	if !slices.Contains(strings.Fields(os.Getenv("IDSERVER_TEST_SERVERS")), "redis") {
		t.Skip("without redis")
	}
	path := filepath.Join(t.TempDir(), "replicas")
	buildProgram(t, path, "./scripts/cmd/replicas")
	compile := exec.Command("go", "build", "./examples/gin", "./core/cmd/idserver-dev") // what it does first: nobody has patience for that
	compile.Dir = "../.."
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := startIn(t, "../..", nil, path)
	var replicas []string
	for range 2 {
		address, _, _ := strings.Cut(p.line("replica"), " ")
		replicas = append(replicas, address)
	}
	app := p.line("open")
	for _, replica := range replicas { // each is ready, and says so where the load balancer asks
		if a := newVisitor(t, replica).do("GET", "/ready", header{}, nil); a.StatusCode != http.StatusOK {
			t.Errorf("%s/ready: %d %s", replica, a.StatusCode, a.body)
		}
	}
	v := newVisitor(t, app)
	v.signIn("alice") // its requests go to one replica and to the other, in turn
	for range 6 {
		if a := v.do("GET", "/api/me", script, nil); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "alice@") {
			t.Fatalf("behind nginx: %d %s", a.StatusCode, a.body)
		}
	}
	stolen := v.cookies()
	at := func(replica string) answer {
		return newVisitor(t, replica).do("GET", "/api/me", script.with("Cookie", stolen), nil)
	}
	for _, replica := range replicas {
		if a := at(replica); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "alice@") {
			t.Errorf("at %s: %d %s", replica, a.StatusCode, a.body)
		}
	}
	out := newVisitor(t, replicas[0])
	if a := out.do("POST", "/auth/logout", navigation.with("Cookie", stolen), nil); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout: %d %s", a.StatusCode, a.body)
	}
	for _, replica := range replicas { // messages bring it there
		for deadline := time.Now().Add(patience); at(replica).StatusCode != http.StatusUnauthorized; {
			if time.Now().After(deadline) {
				t.Fatalf("the sign-out has not reached %s", replica)
			}
		}
	}
}
