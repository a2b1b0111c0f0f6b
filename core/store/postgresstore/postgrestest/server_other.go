//go:build !unix

package postgrestest

import "testing"

// Server is a PostgreSQL server. There is none on this system.
type Server struct{}

// Start skips the test: servers are started on Unix alone.
func Start(t testing.TB, _ ...string) *Server {
	t.Helper()
	missing(t, "servers are started on Unix alone")
	return nil
}

// URL is empty.
func (*Server) URL() string { return "" }

// Kill does nothing.
func (*Server) Kill() {}

// Restart does nothing.
func (*Server) Restart() {}

// Pause does nothing.
func (*Server) Pause() (resume func()) { return func() {} }

// Cut does nothing.
func (*Server) Cut() {}

// Exec does nothing.
func (*Server) Exec(string, ...any) {}
