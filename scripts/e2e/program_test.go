//go:build e2e

// Package e2e drives the example programs as their users do: over HTTP, with a browser, and with a provider that
// nobody here wrote. What they must answer is the same for all of them.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// examples are the folders of examples/ that answer alike.
var examples = []string{"gin", "echo", "echov5", "fiber", "fiberv3", "chi"}

// eachExample runs a test with each of them.
func eachExample(t *testing.T, test func(t *testing.T, binary string)) {
	for _, name := range examples {
		t.Run(name, func(t *testing.T) { test(t, build(t, name)) })
	}
}

var binaries = struct {
	sync.Mutex
	dir    string
	byName map[string]string
}{byName: map[string]string{}}

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		panic(err)
	}
	binaries.dir = dir
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// build compiles an example, once.
func build(t *testing.T, name string) string {
	t.Helper()
	return buildOnce(t, name, "./examples/"+name)
}

// buildOnce compiles a program, once.
func buildOnce(t *testing.T, name, pkg string) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	if path := binaries.byName[name]; path != "" {
		return path
	}
	path := filepath.Join(binaries.dir, name)
	buildProgram(t, path, pkg)
	binaries.byName[name] = path
	return path
}

func buildProgram(t *testing.T, path, pkg string) {
	t.Helper()
	command := exec.Command("go", "build", "-race", "-o", path, pkg)
	command.Dir = "../.."
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// leftOut skips a test that needs what scripts/test could not have, or was told to leave out.
func leftOut(t *testing.T, what string) {
	t.Helper()
	if slices.Contains(strings.Fields(os.Getenv("E2E_LEFT_OUT")), what) {
		t.Skip("without " + what)
	}
}

// patience is the wait for what takes moments. It only ends what hangs: a slow machine must not fail a test.
const patience = 3 * time.Minute

// process is a program that prints its addresses, one to a line: a word and a URL.
type process struct {
	t       *testing.T
	command *exec.Cmd
	lines   chan string
	log     lockedBuffer // all of its output
	seen    []string
	untamed bool   // it knows nothing of SIGTERM, which then ends it
	end     func() // stops it before the test ends
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program with nothing of this environment that settles it, and env. It is
// stopped with SIGTERM when the test ends, and must then end well.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	return startIn(t, "", env, name, args...)
}

// startIn is start in another folder.
func startIn(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, command: exec.Command(name, args...), lines: make(chan string, 1024)}
	p.command.Dir = dir
	for _, variable := range os.Environ() {
		switch key, _, _ := strings.Cut(variable, "="); {
		case strings.HasPrefix(key, "IDSERVER_"), strings.HasPrefix(key, "SGID_"), strings.HasPrefix(key, "SESSION_SECRET"), key == "ADDR", key == "BASE_URL", key == "REDIS_URL", key == "IDTEST_ACCESS_TTL":
		default:
			p.command.Env = append(p.command.Env, variable)
		}
	}
	p.command.Env = append(p.command.Env, env...)
	out, in := io.Pipe()
	p.command.Stdout, p.command.Stderr = io.MultiWriter(in, &p.log), &p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			select {
			case p.lines <- scanner.Text():
			default: // nobody asks for so many
			}
		}
	}()
	p.end = sync.OnceFunc(func() { p.stop(in) })
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("output of %s:\n%s", filepath.Base(name), p.log.String())
		}
	})
	return p
}

func (p *process) stop(out io.Closer) {
	_ = p.command.Process.Signal(syscall.SIGTERM)
	ended := make(chan error, 1)
	go func() { ended <- p.command.Wait() }()
	select {
	case err := <-ended:
		if status, ok := p.command.ProcessState.Sys().(syscall.WaitStatus); p.untamed && ok && status.Signal() == syscall.SIGTERM {
			break
		}
		if err != nil {
			p.t.Errorf("%s ended with %v", filepath.Base(p.command.Path), err)
		}
	case <-time.After(patience):
		_ = p.command.Process.Kill()
		p.t.Errorf("%s does not end on SIGTERM", filepath.Base(p.command.Path))
	}
	_ = out.Close()
}

// line waits for the next line that begins with word, and returns the rest.
func (p *process) line(word string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for i, line := range p.seen {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			p.seen = append(p.seen[:i:i], p.seen[i+1:]...)
			return rest
		}
	}
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended before it printed %q:\n%s", word, p.log.String())
			}
			if rest, ok := strings.CutPrefix(line, word+" "); ok {
				return rest
			}
			p.seen = append(p.seen, line)
		case <-deadline:
			p.t.Fatalf("no line %q within %v:\n%s", word, patience, p.log.String())
		}
	}
}

// anyLine waits for the next line that begins with one of the words, and returns it.
func (p *process) anyLine(words ...string) string {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			first, _, _ := strings.Cut(line, " ")
			if !ok {
				p.t.Fatalf("the program ended before it printed one of %q:\n%s", words, p.log.String())
			}
			if slices.Contains(words, first) {
				return line
			}
		case <-deadline:
			p.t.Fatalf("none of %q within %v:\n%s", words, patience, p.log.String())
		}
	}
}

// fails runs a program that must not start, and returns what it says on stderr.
func fails(t *testing.T, env []string, name string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	err := command.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("with %v it ends with %v, want exit status 1", env, err)
	}
	return stderr.String()
}

// freeAddr is an address on loopback that nobody listens on. Its port is none of those that systems give to connections, and to whoever
// listens on any: somebody would have it before the program that is to listen there.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if _, taken := given.LoadOrStore(addr, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

var given sync.Map // addresses
