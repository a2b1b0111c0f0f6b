package house

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// machinePath is a path that exists on somebody's machine only.
var machinePath = regexp.MustCompile(`(^|[^\w./-])(/(root|home|work|workspace|Users|mnt|private/tmp)/|[A-Za-z]:\\+Users\\)`)

// registries are hosts that modules and packages are fetched from: which ones, is for the user's own settings to say. They are
// written in halves, so that this file does not name them.
var registries = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`proxy\.golang` + `\.org`, `sum\.golang` + `\.org`, `goproxy` + `\.(io|cn)`, `registry\.npmjs` + `\.org`, `registry\.yarnpkg` + `\.com`,
	`npm\.pkg\.github` + `\.com`, `pypi` + `\.org`, `docker` + `\.io`, `ghcr` + `\.io`, `quay` + `\.io`, `deb\.debian` + `\.org`,
	`(archive|security)\.ubuntu` + `\.com`, `[\w.-]*artifactory` + `\.[\w.-]+`,
}, "|") + `)\b`)

// named returns what a line names and should not, or "".
func named(line []byte) string {
	if found := machinePath.Find(line); found != nil {
		return string(found)
	}
	return string(registries.Find(line))
}

// No file names a path of a machine or the host of a registry. Files that git does not know are not looked at.
func TestNames(t *testing.T) {
	command := exec.Command("git", "ls-files", "-z")
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		if _, missing := os.Stat(filepath.Join(root, ".git")); missing == nil {
			t.Fatalf("git ls-files in a clone: %v", err)
		}
		t.Skipf("not a clone: %v", err)
	}
	files := slices.DeleteFunc(strings.Split(string(out), "\x00"), func(name string) bool { return name == "" })
	if len(files) < 100 {
		t.Errorf("only %d files were looked at", len(files))
	}
	for _, name := range files {
		content, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) || bytes.IndexByte(content, 0) >= 0 { // removed and not committed yet; or a picture
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		number := 0
		for line := range bytes.Lines(content) {
			number++
			if found := named(line); found != "" && name != "scripts/house/names_test.go" {
				t.Errorf("%s:%d names %s", name, number, strings.TrimSpace(found))
			}
		}
	}
}

func TestNamed(t *testing.T) {
	for _, row := range []struct {
		line string
		is   bool
	}{
		{`dir := "/root/project"`, true},
		{`/home/alice/x`, true},
		{`see (/Users/alice/x)`, true},
		{`C:\Users\alice`, true},
		{`https://proxy.golang` + `.org/x`, true},
		{`"resolved": "https://registry.npmjs` + `.org/x"`, true},
		{`#!/usr/bin/env bash`, false},
		{`https://example.test/home/alice`, false},
		{`the /home page`, false},
		{`https://pkg.go.dev/x`, false},
	} {
		t.Run(row.line, func(t *testing.T) {
			if found := named([]byte(row.line)); (found != "") != row.is {
				t.Errorf("%q", found)
			}
		})
	}
}
