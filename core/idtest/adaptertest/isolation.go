package adaptertest

import (
	"context"
	"log/slog"
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
// /suite/user, /suite/open and /suite/admin. Run it with -race.
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
	var running sync.WaitGroup
	for n := range isolationConnections {
		v := s.visitor(addr)
		running.Go(func() {
			for i := range isolationRequests / isolationConnections {
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
	for _, path := range log.paths() {
		if !strings.HasPrefix(path, "/suite/") && !strings.HasPrefix(path, "/auth/") {
			t.Errorf("a line of the log holds the path %q, which nobody asked for", path)
		}
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
