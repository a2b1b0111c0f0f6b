// Package postgrestest starts PostgreSQL servers for tests, and troubles them. It is for tests only.
//
//	server := postgrestest.Start(t)
//	t.Setenv("DATABASE_URL", server.URL())
//
// The programs are those of an installed PostgreSQL, found in the PATH or where Debian has them. Each server has a folder of its
// own, listens on a Unix socket in it and on nothing else, and is gone with the test, or if the test's process ends in another way. As
// root, it runs as the user postgres or nobody, since PostgreSQL refuses to run as root.
//
// Where no PostgreSQL is installed, the test is skipped; or it fails, if the environment variable IDSERVER_TEST_SERVERS has the word
// postgres in it.
package postgrestest

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// missing ends a test that cannot have a server.
func missing(t testing.TB, why string) {
	t.Helper()
	if slices.Contains(strings.Fields(os.Getenv("IDSERVER_TEST_SERVERS")), "postgres") {
		t.Fatalf("postgrestest: %s", why)
	}
	t.Skipf("postgrestest: %s", why)
}
