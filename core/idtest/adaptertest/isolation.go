package adaptertest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	idserver "github.com/signward/idserver-go/core"
)

const (
	isolationConnections = 64
	isolationRequests    = 10_000
)

// RunIsolation sends ten thousand requests of two users over 64 connections at once, half with a session and half with a
// bearer token, and checks that each is answered with its own user, claims and token. A framework that reuses the memory
// of a request for the next one mixes them up if the adapter does not copy. Of an [Application]'s routes it uses
// /suite/user, /suite/open and /suite/admin. In between it sends a thousand others to /suite/inspect, and checks that what
// the guard kept of them has not changed at the end. Run it with -race.
func RunIsolation(t T, application Application) {
	t.Helper()
	s := newSuite(t, application)
	log := &keptLog{}
	addr := s.serve(func(c *idserver.Config) { c.Logger = slog.New(log) })

	type identity struct {
		header map[string][]string
		want   string
	}
	var identities []identity
	for _, login := range []string{"alice", "bob"} {
		session := with(aScript, "Cookie", s.visitor(addr).signIn(login).cookies("/"))
		bearer := with(aProgram, "Authorization", "Bearer "+s.provider.MintAccessToken(login))
		for _, header := range []map[string][]string{session, bearer} {
			first := s.visitor(addr).do("GET", "/suite/user", header)
			if first.StatusCode != 200 || !strings.Contains(first.body, login+"@example.test") {
				t.Fatalf("%s: %d %s", login, first.StatusCode, first.body)
			}
			identities = append(identities, identity{header, first.body})
		}
	}
	guards := newKeeper(t, addr)
	var running sync.WaitGroup
	for n := range isolationConnections {
		v := s.visitor(addr)
		running.Go(func() {
			for i := range isolationRequests / isolationConnections {
				if i%10 == 0 {
					guards.ask(v, fmt.Sprintf("%d-%d", n, i))
				}
				who := identities[(n+i)%len(identities)]
				path := []string{"/suite/user", "/suite/open", "/suite/admin"}[(n+i/7)%3]
				switch e, err := v.try("GET", path, who.header); {
				case err != nil:
					t.Errorf("connection %d, request %d: %v", n, i, err)
					return
				case e.StatusCode == 403 && path == "/suite/admin" && strings.Contains(who.want, "bob@"):
				case e.StatusCode != 200 || e.body != who.want:
					t.Errorf("connection %d, request %d to %s: %d %s, want %s", n, i, path, e.StatusCode, e.body, who.want)
					return
				}
			}
		})
	}
	running.Wait()
	guards.compare()
	for _, path := range log.paths() {
		if !strings.HasPrefix(path, "/suite/") && !strings.HasPrefix(path, "/auth/") {
			t.Errorf("a line of the log holds the path %q, which nobody asked for", path)
		}
	}
}

// keeper keeps what the guards of a run see, without copying a string of it. No two requests are alike.
type keeper struct {
	t    T
	run  string
	mu   sync.Mutex
	kept []inspected
	sent map[string]string // what a guard must have seen, by query
}

func newKeeper(t T, addr string) *keeper {
	_, port, _ := strings.Cut(addr, ":")
	k := &keeper{t: t, run: "run-" + port + ".example.test", sent: map[string]string{}}
	keepers.Store(k.run, k)
	t.Cleanup(func() { keepers.Delete(k.run) })
	return k
}

func (k *keeper) add(seen inspected) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, seen)
}

// ask sends a request to a guard that keeps it.
func (k *keeper) ask(v *visitor, name string) {
	want := inspected{
		method: "POST", path: "/suite/inspect", query: "n=" + name, host: name + "." + k.run,
		lines: []string{name + " one", name + " two"}, body: "body of " + name, peer: peer(nil),
	}
	k.mu.Lock()
	k.sent[want.query] = want.String()
	k.mu.Unlock()
	request, err := http.NewRequest(want.method, "http://"+suiteHost+want.path+"?"+want.query, strings.NewReader(want.body))
	if err != nil {
		k.t.Errorf("%v", err)
		return
	}
	request.Host, request.Header[learntLater] = want.host, want.lines // over the connection of the others
	response, err := v.transport.RoundTrip(request)
	if err != nil {
		k.t.Errorf("request %s: %v", name, err)
		return
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != want.String() {
		k.t.Errorf("request %s: a guard sees %s (%v), want %s", name, body, err, want)
	}
}

// compare looks at what was kept, when the requests are over.
func (k *keeper) compare() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, seen := range k.kept {
		if want := k.sent[seen.query]; seen.String() != want {
			k.t.Errorf("kept of a request: %s, want %s", seen, want)
			return
		}
		delete(k.sent, seen.query)
	}
	if len(k.sent) > 0 {
		k.t.Errorf("%d requests have not reached the guard, or not all of what was kept is right", len(k.sent))
	}
}

// keptLog keeps the strings of its lines without copying them, as a logger that writes later does.
type keptLog struct {
	mu   sync.Mutex
	kept []string
}

func (l *keptLog) paths() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

func (l *keptLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *keptLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *keptLog) WithGroup(string) slog.Handler            { return l }

func (l *keptLog) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "path" {
			l.mu.Lock()
			l.kept = append(l.kept, a.Value.String())
			l.mu.Unlock()
		}
		return true
	})
	return nil
}
