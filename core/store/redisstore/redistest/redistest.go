// Package redistest starts a redis-server of this machine for a test, troubles it, and ends it. It is for tests only.
//
//	server := redistest.Start(t)
//	store, err := redisstore.Open(server.URL())
package redistest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Programs are the names that the server is looked for by: Redis's, then Valkey's.
var Programs = []string{"redis-server", "valkey-server"}

// Server is a redis-server with a socket and a free port of 127.0.0.1, which keeps nothing on disk unless the options say so. Its methods
// fail the test where they cannot do what they say. They may be called concurrently.
type Server struct {
	t       testing.TB
	program string
	options []string
	dir     string

	mu      sync.Mutex
	port    string
	process *exec.Cmd // nil: it does not run
	ended   chan struct{}
	log     bytes.Buffer
}

// Start starts a server, with options as on its command line ("--maxmemory", "4mb"). It ends with the test. Where there is none on this
// machine, the test is skipped, or fails if IDSERVER_TEST_SERVERS names redis.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	return start(t, Programs, options...)
}

func start(t testing.TB, programs []string, options ...string) *Server {
	t.Helper()
	program := ""
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		missing := fmt.Sprintf("none of %s is installed: apt-get install redis", strings.Join(programs, ", "))
		if slices.Contains(strings.Fields(os.Getenv("IDSERVER_TEST_SERVERS")), "redis") {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir, err := os.MkdirTemp("", "redis") // a test's own has a name that is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: program, options: options, dir: dir}
	t.Cleanup(func() {
		s.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.Restart()
	return s
}

// Socket is the path of its socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "s") }

// Dir is where it keeps what it keeps.
func (s *Server) Dir() string { return s.dir }

// URL is the URL of its socket, for redisstore.Open.
func (s *Server) URL() string { return "unix://" + s.Socket() }

// Addr is its address, of the form 127.0.0.1:port. It stays the same when the server is started again.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return net.JoinHostPort("127.0.0.1", s.port)
}

// Restart starts the server, which must not run. It has what it kept on disk: by default nothing.
func (s *Server) Restart() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		s.t.Fatal("redistest: it runs already")
	}
	var err error
	for range 10 { // somebody else may take the port that was free
		fresh := s.port == ""
		if fresh {
			s.port = freePort(s.t)
		}
		if err = s.run(); err == nil {
			return
		}
		if !fresh {
			break
		}
		s.port = ""
	}
	s.t.Fatalf("redistest: %v\n%s", err, s.log.String())
}

func freePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// run starts the program and waits until it answers.
func (s *Server) run() error {
	s.log.Reset()
	args := []string{"--bind", "127.0.0.1", "--port", s.port, "--unixsocket", s.Socket(), "--dir", s.dir, "--save", "", "--daemonize", "no"}
	process := exec.Command(s.program, append(args, s.options...)...)
	process.Stdout, process.Stderr = &s.log, &s.log
	_ = os.Remove(s.Socket())
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = process.Wait()
	}()
	for range 3000 { // 30 s of turns
		select {
		case <-ended:
			return fmt.Errorf("%s ended at once", s.program)
		case <-time.After(10 * time.Millisecond):
		}
		if answers(s.Socket()) {
			s.process, s.ended = process, ended
			return nil
		}
	}
	_ = process.Process.Kill()
	<-ended
	return fmt.Errorf("%s does not answer", s.program)
}

// answers reports whether a server takes commands: while it loads what it kept, and where it wants a password, it has an answer too.
func answers(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && (strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH"))
}

// Kill kills the server (SIGKILL), as a crash does. It does nothing where it does not run.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Pause stops the server as if its machine stood still (SIGSTOP): connections stay, and nothing is answered. It goes on when resume is
// called, or the test ends.
func (s *Server) Pause() (resume func()) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		s.t.Fatal("redistest: it does not run")
	}
	process := s.process.Process
	if err := pause(process); err != nil {
		s.t.Fatal(err)
	}
	resume = sync.OnceFunc(func() { _ = goOn(process) })
	s.t.Cleanup(resume)
	return resume
}
