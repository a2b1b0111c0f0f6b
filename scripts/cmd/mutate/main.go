// Command mutate breaks the code in one place at a time, and runs the tests that should notice: scripts/mutate [NAME ...].
//
// The list is mutations.txt. A mutation that no test notices is a check that nobody would miss: it needs a test, or a
// reason beside it. The working tree is not changed: the compiler is given the broken file in place of the real one.
package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	jobs := flag.Int("j", 2, "how many mutations are tried at once")
	check := flag.Bool("check", false, "only check that every mutation can be made")
	flag.Parse()
	if err := run(*jobs, *check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/mutate:", err)
		os.Exit(1)
	}
}

//go:embed mutations.txt
var list string

func run(jobs int, checkOnly bool, names []string) error {
	mutations, err := parse(list)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		mutations = slices.DeleteFunc(mutations, func(m mutation) bool { return !slices.Contains(names, m.name) })
	}
	var faults []error
	for _, m := range mutations {
		if _, err := m.broken(); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil || checkOnly {
		return err
	}
	survivors := tryAll(mutations, jobs)
	fmt.Printf("\n%d mutations, %d noticed, %d survive\n", len(mutations), len(mutations)-len(survivors), len(survivors))
	unexplained := slices.DeleteFunc(survivors, func(m mutation) bool { return m.reason != "" })
	if len(unexplained) > 0 {
		return fmt.Errorf("%d mutations are noticed by no test", len(unexplained))
	}
	return nil
}

// tryAll tries the mutations and returns those that survive.
func tryAll(mutations []mutation, jobs int) (survivors []mutation) {
	var mu sync.Mutex
	var running sync.WaitGroup
	places := make(chan struct{}, max(jobs, 1))
	for _, m := range mutations {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			begun := time.Now()
			verdict, by := m.try()
			mu.Lock()
			defer mu.Unlock()
			if by == "" {
				survivors = append(survivors, m)
			}
			fmt.Printf("%-10s %-44s %s (%.0f s) %s\n", verdict, m.name, m.file, time.Since(begun).Seconds(), by)
		})
	}
	running.Wait()
	return survivors
}

// mutation is one way to break the code.
type mutation struct {
	name     string
	file     string
	from, to string // each is one piece of a file; from stands there exactly once
	packages []string
	reason   string // why no test notices, if none can
}

// try runs the tests on the broken code. by is what noticed it; "": nothing.
func (m *mutation) try() (verdict, by string) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "error", ""
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(dir)
	if err != nil {
		return "error", ""
	}
	test := exec.Command("go", append([]string{"test", "-failfast", "-count=1", "-timeout=5m", "-overlay=" + overlay}, m.packages...)...)
	out, err := test.CombinedOutput()
	switch {
	case err == nil && m.reason != "":
		return "explained", ""
	case err == nil:
		return "SURVIVES", ""
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		return "no build", "" // it proves nothing
	}
	return "noticed", failedFirst(string(out))
}

var failedTest = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// failedFirst is the test that noticed: one that has nothing to do with the mutation fails by itself.
func failedFirst(out string) string {
	if match := failedTest.FindStringSubmatch(out); match != nil {
		return match[1]
	}
	return "no test alone: a panic, or the time was up"
}

// overlay writes the broken file and the map of it that the compiler reads.
func (m *mutation) overlay(dir string) (string, error) {
	broken, err := m.broken()
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	file, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	content, err := json.Marshal(map[string]map[string]string{"Replace": {real: file}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(os.WriteFile(file, []byte(broken), 0o600), os.WriteFile(overlay, content, 0o600))
}

// broken returns the file with the mutation in it.
func (m *mutation) broken() (string, error) {
	content, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(content), m.from); n != 1 {
		return "", fmt.Errorf("%s: %q stands %d times in %s, want once: the list is out of date", m.name, m.from, n, m.file)
	}
	return strings.Replace(string(content), m.from, m.to, 1), nil
}
