package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// event is one line of go test -json: go doc test2json.
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
}

// results follows one go test -json. A test that has subtests counts as these. What a passing test logs is dropped.
type results struct {
	r *report

	mu      sync.Mutex
	output  map[string]*strings.Builder // by package, or package and test, or the import path of a build
	parents map[string]bool
	broken  map[string]bool // packages and tests, of which a test failed
	running map[string]time.Time
	done    int
}

func newResults(r *report) *results {
	return &results{
		r: r, output: map[string]*strings.Builder{}, parents: map[string]bool{}, broken: map[string]bool{},
		running: map[string]time.Time{},
	}
}

// read reads events until the end. Lines that are none are kept: go test prints some faults as plain text.
func (s *results) read(events io.Reader) (plain string, err error) {
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 1<<24)
	var other strings.Builder
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			other.Write(lines.Bytes())
			other.WriteByte('\n')
			continue
		}
		s.take(e)
	}
	return other.String(), lines.Err()
}

func (s *results) take(e event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimSuffix(e.Package+" "+e.Test, " ")
	switch e.Action {
	case "start", "run":
		s.running[name] = time.Now()
		if parent, _, is := cutLast(e.Test, "/"); is {
			s.parents[e.Package+" "+parent] = true
		}
	case "build-output":
		s.keep(e.ImportPath, e.Output)
	case "output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok  \t") || strings.HasPrefix(e.Output, "FAIL\t")) {
			s.r.line("      " + strings.TrimRight(e.Output, "\n"))
			return
		}
		if !framing(e.Output) {
			s.keep(name, e.Output)
		}
	case "pass", "fail", "skip":
		delete(s.running, name)
		s.ended(e, name)
		delete(s.output, name)
	}
}

func (s *results) ended(e event, name string) {
	switch {
	case e.Test == "":
		s.done++
		if e.Action == "fail" && !s.broken[e.Package] {
			s.r.fault(e.Package, s.kept(e.FailedBuild)+s.kept(name))
		}
	case e.Action == "fail":
		output := s.kept(name)
		if !s.broken[name] || output != "" {
			s.r.fault(name, output)
		}
		s.broken[e.Package] = true
		if parent, _, is := cutLast(e.Test, "/"); is {
			s.broken[e.Package+" "+parent] = true
		}
	case s.parents[name]:
	case e.Action == "skip":
		s.r.skip(name + ": " + strings.TrimSpace(s.kept(name)))
	default:
		s.r.pass()
	}
}

func (s *results) keep(name, output string) {
	if s.output[name] == nil {
		s.output[name] = new(strings.Builder)
	}
	s.output[name].WriteString(output)
}

func (s *results) kept(name string) string {
	if s.output[name] == nil {
		return ""
	}
	return s.output[name].String()
}

// doing says how many packages are done, and which tests run for the longest time.
func (s *results) doing() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.running {
		if !s.parents[name] && (strings.Contains(name, " ") || !s.hasRunning(name)) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return s.running[a].Compare(s.running[b]) })
	text := fmt.Sprintf("packages done: %d", s.done)
	if len(names) == 0 {
		return text + "; compiling"
	}
	for _, name := range names[:min(3, len(names))] {
		text += fmt.Sprintf("; %s %d s", strings.TrimPrefix(name, modulePrefix), int(time.Since(s.running[name]).Seconds()))
	}
	return text
}

func (s *results) hasRunning(pkg string) bool {
	for name := range s.running {
		if strings.HasPrefix(name, pkg+" ") {
			return true
		}
	}
	return false
}

// framing tells the lines that go test prints about a test from the test's own.
func framing(line string) bool {
	line = strings.TrimLeft(line, " ")
	for _, prefix := range []string{"=== RUN ", "=== PAUSE ", "=== CONT ", "=== NAME ", "--- PASS", "--- FAIL", "--- SKIP"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return line == "PASS\n" || line == "FAIL\n"
}

func (r *report) pass() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passed++
}

// skip keeps the name of a test that skipped itself, and its reason.
func (r *report) skip(test string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skipped = append(r.skipped, test)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
