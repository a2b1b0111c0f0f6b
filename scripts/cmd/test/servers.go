package main

import (
	"context"
	"os"
	"strings"
)

// servers are what tests start by themselves, on sockets in folders of their own or on free ports of loopback. IDSERVER_TEST_SERVERS
// has the words of those that are here: their tests fail where one cannot be started, and are skipped where its word is missing.
var servers = []struct{ word, programs, pkg, service string }{
	{"postgres", "initdb|/usr/lib/postgresql/*/bin/initdb", "postgresql", "postgresql"},
	{"redis", "redis-server", "redis-server", "redis-server"},
}

// testServers installs servers, where it can, and returns the variable for the tests, and the words of those that are not here.
func testServers(ctx context.Context, r *report) (env, missing []string) {
	var words []string
	for _, s := range servers {
		if why := installServer(ctx, r, s.programs, s.pkg, s.service); why != "" {
			r.leaveOut("tests with " + s.pkg + " (" + why + ")")
			missing = append(missing, s.word)
			continue
		}
		words = append(words, s.word)
	}
	return []string{"IDSERVER_TEST_SERVERS=" + strings.Join(words, " ")}, missing
}

// installServer installs a server, where it can, and stops the service that its package starts: the tests start their own.
func installServer(ctx context.Context, r *report, programs, pkg, service string) (missing string) {
	if found(programs) {
		return ""
	}
	if missing = install(ctx, r, programs, pkg); missing == "" && found("service") {
		as := []string{"service", service, "stop"}
		if os.Getuid() != 0 {
			as = append([]string{"sudo", "-n"}, as...)
		}
		_ = run(ctx, "", nil, as[0], as[1:]...) // there is none in a container
	}
	return missing
}
