//go:build unix

package postgrestest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server that a test has started. Its methods end the test if they fail, and are called by one goroutine at a
// time.
type Server struct {
	t        testing.TB
	programs string // the folder of initdb and postgres
	dir      string
	settings []string
	as       *syscall.Credential // nil: as we are

	keeper  *exec.Cmd // waits beside the server, and ends it when we end
	release io.Closer // what the keeper reads from
	output  *os.File
	pid     int
	control *pgx.Conn // of the superuser
}

const (
	owner    = "app" // of the database, which has its name
	starting = time.Minute
)

// Start makes a server with an empty database, which belongs to a user that is no superuser, and starts it. Settings are those of
// postgresql.conf, such as "max_connections=10".
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := &Server{t: t, settings: settings}
	if s.programs = programs(); s.programs == "" {
		missing(t, "no PostgreSQL is installed: the programs initdb and postgres are neither in the PATH nor below /usr/lib/postgresql")
	}
	dir, err := os.MkdirTemp("", "postgrestest") // not t.TempDir, which others may not enter
	if err != nil {
		t.Fatal(err)
	}
	s.dir = dir
	t.Cleanup(func() {
		s.stop(syscall.SIGQUIT)
		_ = os.RemoveAll(dir)
	})
	if os.Getuid() == 0 {
		s.as = unprivileged(t)
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := exec.Command(filepath.Join(s.programs, "initdb"), "--pgdata="+s.data(), "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
	s.belongs(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("postgrestest: initdb: %v\n%s", err, out)
	}
	s.start()
	s.exec("CREATE ROLE " + owner + " LOGIN")
	s.exec("CREATE DATABASE " + owner + " OWNER " + owner)
	return s
}

// programs returns the folder of the newest PostgreSQL that is installed; "" if there is none.
func programs() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && isProgram(filepath.Join(filepath.Dir(path), "postgres")) {
			return filepath.Dir(path)
		}
	}
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	for _, folder := range folders {
		if isProgram(filepath.Join(folder, "initdb")) && isProgram(filepath.Join(folder, "postgres")) {
			return folder
		}
	}
	return ""
}

func isProgram(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

// unprivileged returns the user that PostgreSQL runs as where we are root.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
			gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
			if err1 == nil && err2 == nil {
				return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			}
		}
	}
	missing(t, "PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// belongs has a command run as the server's user, in a process group of its own, so that an interrupt of the terminal reaches us alone.
func (s *Server) belongs(command *exec.Cmd) {
	command.Dir = s.dir
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: s.as}
	command.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

// keep ends the server once nobody writes to its input any more: we have stopped it, or ended ourselves without doing so.
const keep = `"$@" </dev/null & server=$!; cat >/dev/null; kill -QUIT $server 2>/dev/null; kill -CONT $server 2>/dev/null; wait $server`

func (s *Server) start() {
	s.t.Helper()
	_ = os.Remove(filepath.Join(s.data(), "postmaster.pid")) // of one that was killed
	args := []string{"-c", keep, "keep", filepath.Join(s.programs, "postgres"), "-D", s.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.dir, "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "log_min_messages=fatal"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.keeper = exec.Command("/bin/sh", args...)
	s.belongs(s.keeper)
	var err error
	if s.output, err = os.CreateTemp("", "postgrestest-output"); err != nil {
		s.t.Fatal(err)
	}
	s.keeper.Stdout, s.keeper.Stderr = s.output, s.output
	in, err := s.keeper.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.release = in
	if err := s.keeper.Start(); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), starting)
	defer cancel()
	for {
		if s.control, err = pgx.Connect(ctx, s.url("postgres", "postgres")); err == nil {
			break
		}
		if ctx.Err() != nil {
			s.t.Fatalf("postgrestest: PostgreSQL does not start: %v\n%s", err, s.log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	content, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err == nil {
		first, _, _ := strings.Cut(string(content), "\n")
		s.pid, err = strconv.Atoi(first)
	}
	if err != nil {
		s.t.Fatalf("postgrestest: the server's process: %v", err)
	}
}

// log is what the server has written.
func (s *Server) log() string {
	content, _ := os.ReadFile(s.output.Name())
	return string(bytes.TrimSpace(content))
}

// URL returns the URL of the database, as its owner.
func (s *Server) URL() string { return s.url(owner, owner) }

func (s *Server) url(name, database string) string {
	return "postgres://" + name + "@/" + database + "?" + url.Values{"host": {s.dir}, "sslmode": {"disable"}}.Encode()
}

// Kill ends the server at once, as a crash does. Restart starts it again.
func (s *Server) Kill() {
	s.t.Helper()
	s.stop(syscall.SIGQUIT)
}

// Restart ends the server, if it is there, and starts it again. It loses nothing that was committed.
func (s *Server) Restart() {
	s.t.Helper()
	s.stop(syscall.SIGINT)
	s.start()
}

func (s *Server) stop(signal syscall.Signal) {
	if s.keeper == nil || s.keeper.Process == nil {
		return
	}
	if s.control != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_ = s.control.Close(ctx)
		cancel()
	}
	if s.pid != 0 {
		_ = syscall.Kill(s.pid, signal)
		for range 3000 { // until it has removed its file, or is gone
			if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err != nil || syscall.Kill(s.pid, 0) != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	_ = s.release.Close()
	_ = s.keeper.Wait()
	s.output.Close()
	_ = os.Remove(s.output.Name())
	s.keeper, s.control, s.pid = nil, nil, 0
}

// Pause stops all processes of the server where they are, with SIGSTOP, until resume is called, which may be called again. Its
// connections stay, new ones are accepted by the system, and nothing answers.
func (s *Server) Pause() (resume func()) {
	s.t.Helper()
	processes := []int{s.pid}
	s.signal(processes, syscall.SIGSTOP) // first the one that starts the others
	for found := true; found; {          // it stops a moment after it was told to, and may have started another
		found = false
		for _, pid := range s.children() {
			if !slices.Contains(processes, pid) {
				found, processes = true, append(processes, pid)
				s.signal([]int{pid}, syscall.SIGSTOP)
			}
		}
	}
	resume = sync.OnceFunc(func() { s.signal(processes, syscall.SIGCONT) })
	s.t.Cleanup(resume)
	return resume
}

// children are the server's processes but the first, as the system knows them: pg_stat_activity does not have one that has just been
// started and serves a connection in a moment.
func (s *Server) children() (pids []int) {
	s.t.Helper()
	for _, line := range s.processes() {
		var parent, pid int
		if _, err := fmt.Sscan(line, &parent, &pid); err == nil && parent == s.pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// processes are the system's, each as its parent's number and its own. Linux need not have ps.
func (s *Server) processes() (all []string) {
	s.t.Helper()
	states, _ := filepath.Glob("/proc/[0-9]*/stat")
	if len(states) == 0 {
		out, err := exec.Command("ps", "-A", "-o", "ppid=,pid=").Output()
		if err != nil {
			s.t.Fatalf("postgrestest: ps: %v", err)
		}
		return strings.Split(string(out), "\n")
	}
	for _, name := range states {
		state, _ := os.ReadFile(name)                  // it may have ended
		_, rest, _ := strings.Cut(string(state), ") ") // behind the program's name
		if fields := strings.Fields(rest); len(fields) > 1 {
			all = append(all, fields[1]+" "+filepath.Base(filepath.Dir(name)))
		}
	}
	return all
}

func (s *Server) signal(processes []int, signal syscall.Signal) {
	for _, pid := range processes {
		_ = syscall.Kill(pid, signal) // it may have ended
	}
}

// Cut ends all connections but that of this package. New ones can be made.
func (s *Server) Cut() {
	s.t.Helper()
	s.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
}

func (s *Server) exec(sql string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), starting)
	defer cancel()
	if _, err := s.control.Exec(ctx, sql); err != nil {
		s.t.Fatalf("postgrestest: %s: %v", sql, err)
	}
}

// Exec runs a statement as a superuser, in the database postgres.
func (s *Server) Exec(format string, args ...any) {
	s.t.Helper()
	s.exec(fmt.Sprintf(format, args...))
}
