package main

import (
	"fmt"
	"math"
	"strings"
)

// sessionPath is a way to keep sessions. Its benchmark has its name, with other letters.
type sessionPath struct {
	in, name, what string
	most           float64 // allocations that it may add; 0: no goal
	operations     float64 // of the store, for each request, if it has one of ours
}

var sessionPaths = []sessionPath{
	{"chi", "idserver, sealed cookie, seen before", "", 4, 0},
	{"chi", "idserver, sealed cookie, not seen before", "opens the cookie", 42, 0},
	{"chi", "idserver, ServerSessions in memory, seen before", "", 0, 0},
	{"chi", "idserver, ServerSessions in memory, not seen before", "opens the cookie and the record", 0, 1},
	{"chi", "idserver, ServerSessions in Redis, seen before", "", 0, 0},
	{"chi", "idserver, ServerSessions in Redis, not seen before", "opens the cookie and the record", 0, 1},
	{"chi", "idserver, ServerSessions in PostgreSQL, seen before", "", 0, 0},
	{"chi", "idserver, ServerSessions in PostgreSQL, not seen before", "opens the cookie and the record", 0, 1},
	{"chi", "scs, memstore", "reads gob", 0, 0},
	{"chi", "scs, goredisstore", "reads gob", 0, 0},
	{"chi", "scs, goredisstore, with IdleTimeout", "writes each time as well", 0, 0},
	{"chi", "gorilla/sessions, cookie store", "opens the cookie, reads gob", 0, 0},
	{"gin", "idserver, sealed cookie, seen before", "", 4, 0},
	{"gin", "gin-contrib/sessions, cookie store", "opens the cookie, reads gob", 0, 0},
	{"fiber", "idserver, sealed cookie, seen before", "", 2, 0},
	{"fiber", "fiber's session middleware, memory", "reads gob", 0, 0},
}

// benchmark is the name of the benchmark.
func (p sessionPath) benchmark() string {
	return "SessionPath/in=" + p.in + "/impl=" + strings.NewReplacer(",", "", " ", "-", "/", "-", "'", "").Replace(p.name)
}

// sessionPaths writes the chapter about sessions, and returns its goals.
func (all results) sessionPaths(b *strings.Builder) (goals []goal) {
	b.WriteString(`
## The path of a session

A request with the session of somebody who is signed in, to a route whose handler looks at the user's roles and answers "ok", and what that adds to the same
route without a session, which is the floor. Redis and PostgreSQL answer on this machine, over a socket; the time is the application's own processor time, and not
what the server takes or the wait for it: add a round trip of your network for each operation of the store. Operations are counted where the store is called.

What the rows do differs. A session of idserver is a sign-in: it holds the user with all claims and three tokens, and each request checks its two limits, whether it was
signed out here or at another replica, and whether its access token must be refreshed. With "seen before" this process remembers what it has opened, and the
store's messages tell it what other replicas do; with "not seen before" it has no memory (TokenCacheBytes is -1), as for a browser that comes to this replica for the first
time. The peers keep any data, sign nobody in, and know of no refresh and
no other replica: here they hold a subject, an e-mail address, a name and two roles. Their cookie stores seal with AES and an HMAC, and a sign-out there cannot reach a copy
of the cookie. scs keeps sessions from becoming idle only with IdleTimeout, and then writes with each request; idserver writes once in a tenth of Session.Idle.

| in | | ns/op | times the floor | ns added | B added | allocs added | store operations a request |
|---|---|---|---|---|---|---|---|
`)
	floors := map[string]bool{}
	for _, p := range sessionPaths {
		floor, name := "SessionPath/in="+p.in+"/impl=floor", p.benchmark()
		row := func(title, name string) {
			if len(all[name]) == 0 {
				fmt.Fprintf(b, "| %s | %s | not measured | | | | | |\n", p.in, title)
				return
			}
			fmt.Fprintf(b, "| %s | %s | %.0f | %.1f | %.0f | %.0f | %.0f | %.3g |\n", p.in, title, all.of(name, ns), all.times(name, floor, ns),
				all.added(name, floor, ns), all.added(name, floor, size), all.added(name, floor, allocs), all.of(name, operations))
		}
		if !floors[p.in] {
			floors[p.in] = true
			row("floor: no session", floor)
		}
		title := p.name
		if p.what != "" {
			title += ": " + p.what
		}
		row(title, name)
		if p.most > 0 {
			goals = append(goals, goal{what: p.in + ", " + strings.TrimPrefix(p.name, "idserver, ") + ", allocations added", got: all.added(name, floor, allocs), want: p.most})
		}
		if strings.HasPrefix(p.name, "idserver, ServerSessions in") {
			goals = append(goals, goal{what: p.in + ", " + strings.TrimPrefix(p.name, "idserver, ") + ", operations of the store a request", got: math.Round(100*all.of(name, operations)) / 100, want: p.operations})
		}
	}
	return goals
}
