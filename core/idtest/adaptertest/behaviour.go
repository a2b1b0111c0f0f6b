// Package adaptertest is the behaviour suite that every adapter of idserver passes: an application that serves the sign-in
// routes and a few guarded pages is sent the same requests in every framework, and must give the same responses. It also
// runs on your own router, with your middleware in front, and finds what that takes away.
//
//	func TestBehaviour(t *testing.T) { adaptertest.Run(t, application) } // application is an Application
//	func TestIsolation(t *testing.T) { adaptertest.RunIsolation(t, application) }
//
// To test your own handlers, package idtest is enough.
package adaptertest

import (
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// T is what [Run] needs of a *testing.T.
type T interface {
	idtest.TB
	Errorf(format string, args ...any)
}

// Application serves an application of the client on listener until that is closed. It has the sign-in routes, mounted
// with an adapter, and the routes below, whose handlers answer with the text of [Seen]; where [Inspect] is the last guard,
// no handler is reached. A suite serves several applications at once.
//
//	GET /suite/open                LoadUser
//	GET, POST /suite/user          RequireUser
//	GET /suite/admin               RequireRole("admin")
//	GET /suite/behind              RequireUser, and RequireRole("admin") behind it
//	GET /suite/editors             RequireRole("admin", "editor")
//	GET /suite/billing             RequireAllRoles("admin", "billing")
//	GET /suite/of/{tenant}         RequireTenant("tenant")
//	GET /suite/builtin             Guard(client.RequireBuiltInRole("billing"))
//	GET /suite/own                 Guard(client.Require(adaptertest.IsAlice))
//	GET, POST /suite/…             Guard, for each of [Guards]
//	on the root router             the routes of [Published], mounted with an adapter
//	GET /suite/clash               RequireUser, after a middleware that sets the header fields of [Clash]
//	GET /suite/public              LoadUser; the handler sets the header fields of [Public] first
//	GET, HEAD, POST /suite/inspect Guard(adaptertest.Inspect)
//	GET, POST /suite/rewritten     RequireUser, and Guard(adaptertest.Inspect) behind it, after a middleware that changes
//	                               the framework's own path to another one, such as /elsewhere
//	GET /suite/stream              RequireUser; the Content-Type is text/event-stream, and the body what [Stream] writes
//	GET /suite/poll                RequireRole("admin"); the body is what [Poll] returns
//	GET /suite/socket              Guard(client.Require(adaptertest.IsAlice)); the handler takes the connection over, and
//	                               hands it to [Socket]
type Application func(client *idserver.Client, listener net.Listener) error

// Clash holds header fields that the application of a behaviour suite sets before a guard sets its own: its Vary and
// Set-Cookie must be kept next to the guard's.
var Clash = map[string]string{"Vary": "X-App", "Set-Cookie": "app=1", "Cache-Control": "max-age=60"}

// Public holds header fields that a handler of a behaviour suite sets: every cache may keep its answer.
var Public = map[string]string{"Cache-Control": "public, max-age=600", "CDN-Cache-Control": "max-age=600"}

// IsAlice is a predicate for [idserver.Client.Require].
func IsAlice(u *idserver.User) bool {
	return u.HasRole("admin") && strings.HasPrefix(u.Email, "alice@")
}

// Seen returns what a handler of the suite answers with. user is what the framework's own getter returned; it must be the
// user in the request's context, whose claims and access token the text shows too.
func Seen(ctx context.Context, user *idserver.User) string {
	if inContext := idserver.UserFrom(ctx); user != inContext {
		return fmt.Sprintf("the framework's user is %p, and the context's is %p", user, inContext)
	}
	if user == nil {
		return "nobody"
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if err := user.Claims(&claims); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s <%s> %s %v %v, claims of %s, token %s", user.Name, user.Email, user.Subject, user.Roles, user.CustomRoles, claims.Subject, hashOfToken(idserver.AccessTokenFrom(ctx)))
}

// Run tests an application over HTTP: sign-in, guards, sessions, sign-out and attacks on them. It compares every response
// (status, header fields, cookies and body, with sealed values masked) with one transcript, the same for all frameworks.
// It is how an adapter shows that it passes on what the core decides, and it finds what your own middleware removes.
// Where the router itself answers, [RouterAnswers] lists what is allowed. It also runs the client modules of the OpenID Foundation's
// FAPI 2.0 plans. Run uses no real time and no network but
// loopback.
func Run(t T, application Application) {
	t.Helper()
	behaves(t, application)
	foundation(t, application)
}

// behaves tests what an adapter can get wrong.
func behaves(t T, application Application) {
	t.Helper()
	want := parseTranscript(golden)
	got := record(t, application)
	for _, step := range got {
		if expected, ok := want[step.name]; !ok {
			t.Errorf("step %q is not in the transcript", step.name)
		} else if step.text != expected {
			t.Errorf("step %q (%s)\n%s", step.name, step.why, difference(expected, step.text))
		}
		delete(want, step.name)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Errorf("step %q was not reached", name)
	}
	halfClosed(newSuite(t, application))
	encrypted(newSuite(t, application))
}

func newSuite(t T, application Application) *suite {
	s := &suite{t: t, application: application, clock: &suiteClock{now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, states: map[string]int{}}
	s.provider = idtest.NewProvider(t, func(o *idtest.Options) { o.Now, o.InMemory = s.clock.Now, true })
	s.registerClient()
	return s
}

//go:embed behaviour.golden
var golden string

// step is one exchange of the transcript.
type step struct{ name, why, text string }

const heading = "== "

// transcript formats the steps as in behaviour.golden.
func transcript(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&b, "%s%s (%s)\n%s\n", heading, s.name, s.why, s.text)
	}
	return b.String()
}

func parseTranscript(text string) map[string]string {
	steps := map[string]string{}
	for _, part := range strings.Split("\n"+text, "\n"+heading)[1:] {
		first, rest, _ := strings.Cut(part, "\n")
		name, _, _ := strings.Cut(first, " (")
		steps[name] = strings.TrimSuffix(rest, "\n")
		if !strings.HasSuffix(steps[name], "\n") {
			steps[name] += "\n"
		}
	}
	return steps
}

// difference shows two exchanges line by line.
func difference(want, got string) string {
	var b strings.Builder
	wanted, gotten := strings.Split(strings.TrimSuffix(want, "\n"), "\n"), strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	for _, line := range wanted {
		mark := "  "
		if !slices.Contains(gotten, line) {
			mark = "- "
		}
		b.WriteString(mark + line + "\n")
	}
	for _, line := range gotten {
		if !slices.Contains(wanted, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return b.String()
}

// record runs all scenarios, each with its own provider and application.
func record(t T, application Application) (steps []step) {
	t.Helper()
	for _, scenario := range scenarios {
		s := newSuite(t, application)
		scenario(s)
		steps = append(steps, s.steps...)
	}
	seen := map[string]bool{}
	for _, step := range steps {
		if seen[step.name] {
			t.Fatalf("two steps are called %q", step.name)
		}
		seen[step.name] = true
	}
	return steps
}

// suite is a running scenario.
type suite struct {
	t           T
	application Application
	provider    *idtest.Provider
	clock       *suiteClock
	steps       []step
	other       *idserver.Client // of another issuer, whose tokens applications from then on take too
	states      map[string]int   // the login cookies, in the order in which they were set
}

// The application is behind a proxy that terminates TLS: its cookies are those of https.
const suiteOrigin, suiteHost = "https://app.example.test", "app.example.test"

const (
	suiteSecret    = "the-session-secret-of-the-suite-has-32-bytes"
	suiteOldSecret = "an-older-session-secret-of-the-suite-it-was"
	suiteFriend    = "https://friend.example.test"
)

func (s *suite) registerClient() {
	s.provider.AddClient(idtest.Client{
		ID: idtest.ExampleClient, Secret: idtest.ExampleSecret,
		RedirectURIs: []string{suiteOrigin + "/auth/callback"}, PostLogoutRedirectURIs: []string{suiteOrigin + "/"},
	})
}

// serve starts an application and returns its address.
func (s *suite) serve(edit ...func(*idserver.Config)) string {
	s.t.Helper()
	return s.serveOn(func(l net.Listener) net.Listener { return l }, edit...)
}

// serveOn is like serve on a listener that is made of a plain one.
func (s *suite) serveOn(listen func(net.Listener) net.Listener, edit ...func(*idserver.Config)) string {
	s.t.Helper()
	cfg := s.provider.Config(suiteOrigin)
	cfg.SessionSecret, cfg.TrustedOrigins = suiteSecret, []string{suiteFriend}
	cfg.Now, cfg.Logger = s.clock.Now, slog.New(slog.DiscardHandler)
	for _, e := range edit {
		e(&cfg)
	}
	client, err := idserver.New(cfg)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	if s.other != nil {
		beside.Store(client, s.other)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.application(client, listen(listener)) }()
	s.t.Cleanup(func() {
		listener.Close()
		<-ended // it ends because the listener was closed, which is not a failure
		client.Close()
		beside.Delete(client)
	})
	return listener.Addr().String()
}
