//go:build e2e

package e2e

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// startReplicas starts two replicas of an example that share their settings and REDIS_URL alone, with a provider, and returns
// their addresses. Browsers are sent to the first.
func startReplicas(t *testing.T, binary, redisURL string) (apps [2]string) {
	t.Helper()
	dev := filepath.Join(t.TempDir(), "idserver-dev")
	buildProgram(t, dev, "./core/cmd/idserver-dev")
	secret := rand.Text() + rand.Text()
	provider := start(t, nil, dev, "-addr", "127.0.0.1:0", "-client-secret", secret).line("provider")
	addrs := [2]string{freeAddr(t), freeAddr(t)}
	for i, addr := range addrs {
		apps[i] = "http://" + addr
		start(t, []string{
			"ADDR=" + addr, "BASE_URL=" + apps[0], "SESSION_SECRET=" + secret, "REDIS_URL=" + redisURL,
			"IDSERVER_AUTHORITY=" + provider, "IDSERVER_CLIENT_ID=example", "IDSERVER_CLIENT_SECRET=" + secret,
		}, binary).line("open")
	}
	return apps
}

// at is the same browser at another replica: cookies are for the host, whatever the port.
func (v *visitor) at(app string) *visitor {
	own := *v
	own.app = app
	return &own
}

// becomes asks for a page of the user's until the answer has a status.
func (v *visitor) becomes(status int, what string) {
	v.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if a := v.do("GET", "/api/me", script, nil); a.StatusCode == status {
			return
		} else if time.Now().After(deadline) {
			v.t.Fatalf("%s: %d %s", what, a.StatusCode, a.body)
		}
	}
}

// shown is a row of the page of devices.
type shown struct {
	browser, id string // of the own one there is no ID
	current     bool
}

var (
	row    = regexp.MustCompile(`(?s)<li>\s*<div><b>(.*?)</b>(.*?)</li>`)
	button = regexp.MustCompile(`name="session" value="([^"]*)"`)
)

// devices reads the page of devices.
func (v *visitor) devices() (all []shown) {
	v.t.Helper()
	a := v.get("/devices")
	if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, `value="everywhere"`) {
		v.t.Fatalf("/devices: %d %s", a.StatusCode, a.body)
	}
	for _, found := range row.FindAllStringSubmatch(a.body, -1) {
		one := shown{browser: found[1], current: strings.Contains(found[2], "This one")}
		if id := button.FindStringSubmatch(found[2]); id != nil {
			one.id = id[1]
		}
		all = append(all, one)
	}
	return all
}

func (v *visitor) signOutDevice(session string) answer {
	v.t.Helper()
	return v.do("POST", "/devices", navigation, url.Values{"session": {session}})
}

// The page of devices, at two replicas that share REDIS_URL alone: a person sees where they are signed in, and ends one session from another
// browser, or all. Nobody ends a session of somebody else, nor has a browser do so.
func TestDevices(t *testing.T) {
	leftOut(t, "redis")
	eachExample(t, func(t *testing.T, binary string) {
		redis := startRedis(t)
		apps := startReplicas(t, binary, "redis://"+redis.addr)
		laptop, phone, bob := newVisitor(t, apps[0]), newVisitor(t, apps[0]), newVisitor(t, apps[0])
		laptop.always = header{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"}
		laptop.signIn("alice")
		phone.signIn("alice")
		bob.signIn("bob")
		stream := phone.live(eventSource)
		elsewhere := laptop.at(apps[1])

		seen := elsewhere.devices()
		lost := slices.IndexFunc(seen, func(s shown) bool { return !s.current })
		if len(seen) != 2 || lost < 0 || seen[lost].browser != "Unknown browser" || len(seen[lost].id) != 43 ||
			!slices.Contains(seen, shown{"Firefox on Linux", "", true}) {
			t.Fatalf("alice sees %+v", seen)
		}
		if a := bob.signOutDevice(seen[lost].id); a.StatusCode != http.StatusSeeOther || a.location() != "/devices" {
			t.Errorf("bob ends alice's session: %d %s", a.StatusCode, a.body)
		}
		foreign := navigation.with("Sec-Fetch-Site", "cross-site").with("Origin", "https://evil.example")
		for _, session := range []string{seen[lost].id, "everywhere"} {
			if a := laptop.do("POST", "/devices", foreign, url.Values{"session": {session}}); a.StatusCode != http.StatusForbidden || code(t, a) != "cross_site" {
				t.Errorf("another site ends %s: %d %s", session, a.StatusCode, a.body)
			}
			if a := laptop.get("/devices?session=" + session); a.StatusCode != http.StatusOK {
				t.Errorf("a link to %s: %d %s", session, a.StatusCode, a.body)
			}
		}
		for _, app := range apps {
			phone.at(app).becomes(http.StatusOK, "the session that only alice may end")
		}

		if a := elsewhere.signOutDevice(seen[lost].id); a.StatusCode != http.StatusSeeOther || a.location() != "/devices" {
			t.Fatalf("alice ends her session: %d %s", a.StatusCode, a.body)
		}
		if rest := strings.Join(stream.end(), "\n"); rest != signedOutEvent {
			t.Errorf("the stream ends with %q", rest)
		}
		for _, app := range apps {
			phone.at(app).becomes(http.StatusUnauthorized, "the session that alice has ended, at "+app)
			laptop.at(app).becomes(http.StatusOK, "the session from which she did")
		}
		if seen := laptop.devices(); len(seen) != 1 || !seen[0].current {
			t.Errorf("then alice sees %+v", seen)
		}

		phone.signIn("alice")
		if a := elsewhere.signOutDevice("everywhere"); a.StatusCode != http.StatusSeeOther || a.location() != "/" {
			t.Fatalf("alice signs out everywhere: %d %s", a.StatusCode, a.body)
		}
		for _, app := range apps {
			phone.at(app).becomes(http.StatusUnauthorized, "alice has signed out everywhere, and the phone goes on at "+app)
			laptop.at(app).becomes(http.StatusUnauthorized, "alice has signed out everywhere, and the laptop goes on at "+app)
			bob.at(app).becomes(http.StatusOK, "bob has not signed out")
		}
		if a := laptop.get("/devices"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.location(), "/auth/login?") {
			t.Errorf("signed out: %d %s", a.StatusCode, a.body)
		}

		redis.kill()
		for what, a := range map[string]answer{"cannot be told": bob.get("/devices"), "may not be": bob.signOutDevice(strings.Repeat("A", 43))} {
			if a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, what) {
				t.Errorf("without Redis: %d %s", a.StatusCode, a.body)
			}
		}
		if a := bob.signOutDevice("everywhere"); a.StatusCode != http.StatusServiceUnavailable || !strings.Contains(a.body, "You are signed out here") {
			t.Errorf("everywhere, without Redis: %d %s", a.StatusCode, a.body)
		}
		bob.becomes(http.StatusUnauthorized, "bob has signed out here")
	})
}

// Replicas that share their settings and REDIS_URL, and nothing else: who signs in at one is served by the other, and signed out at one,
// refused by both, with a copy of the cookie too.
func TestReplicasWithRedisAlone(t *testing.T) {
	leftOut(t, "redis")
	eachExample(t, func(t *testing.T, binary string) {
		apps := startReplicas(t, binary, "redis://"+startRedis(t).addr)
		v := newVisitor(t, apps[0])
		v.signIn("alice")
		for _, app := range apps {
			if a := newVisitor(t, app).do("GET", "/ready", header{}, nil); a.StatusCode != http.StatusOK {
				t.Errorf("%s/ready: %d %s", app, a.StatusCode, a.body)
			}
			if a := v.at(app).do("GET", "/api/me", script, nil); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "alice@") {
				t.Errorf("at %s: %d %s", app, a.StatusCode, a.body)
			}
		}
		stolen := v.cookies()
		if a := v.at(apps[1]).do("POST", "/auth/logout", navigation, nil); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("sign-out: %d %s", a.StatusCode, a.body)
		}
		for _, app := range apps {
			thief := newVisitor(t, app)
			thief.always = header{"Cookie": stolen}
			thief.becomes(http.StatusUnauthorized, "a copy of the cookie, at "+app)
			v.at(app).becomes(http.StatusUnauthorized, "the browser that signed out")
		}
	})
}

// Without REDIS_URL there is no list, and so no page.
func TestNoDevices(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		v := newVisitor(t, start(t, []string{"ADDR=127.0.0.1:0"}, binary).line("open"))
		v.signIn("alice")
		if a := v.get("/devices"); a.StatusCode != http.StatusNotFound {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if a := v.get("/"); a.StatusCode != http.StatusOK || strings.Contains(a.body, "/devices") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if a := v.do("GET", "/ready", header{}, nil); a.StatusCode != http.StatusOK {
			t.Errorf("/ready: %d %s", a.StatusCode, a.body)
		}
	})
}
