package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// repository is one with a core that is tagged v0.1.0 and a gin that requires it.
func repository(t *testing.T) (root string, git func(args ...string) string, write func(name, content string)) {
	t.Helper()
	root = t.TempDir()
	git = func(args ...string) string {
		t.Helper()
		command := exec.Command("git", append([]string{"-C", root, "-c", "user.name=test", "-c", "user.email=test@example.test"}, args...)...)
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write = func(name, content string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.work", "go 1.26\nuse (\n./core\n./gin\n./scripts\n)\n")
	write("core/go.mod", "module github.com/signward/idserver-go/core\ngo 1.26\n")
	write("gin/go.mod", "module github.com/signward/idserver-go/gin\ngo 1.26\nrequire github.com/signward/idserver-go/core v0.1.0\n")
	write("scripts/go.mod", "module github.com/signward/idserver-go/scripts\ngo 1.26\n")
	write("core/CHANGELOG.md", "# Changelog of core\n\n## v0.2.0 (unreleased)\n\n- Something.\n")
	write("gin/CHANGELOG.md", "# Changelog of gin\n\n## v0.2.0 (2026-11-25)\n\n- Something.\n\n## v0.1.0 (unreleased)\n\n- Something.\n")
	git("init", "--quiet")
	git("config", "user.name", "test")
	git("config", "user.email", "test@example.test")
	git("add", ".")
	git("commit", "--quiet", "--message", "all")
	git("tag", "core/v0.1.0")
	return root, git, write
}

func isTidy(string) error { return nil }

func TestRelease(t *testing.T) {
	root, git, _ := repository(t)
	tag, err := release(root, "gin", "v0.2.0", isTidy)
	if err != nil || tag != "gin/v0.2.0" || strings.TrimSpace(git("tag", "--list", "gin/*")) != tag {
		t.Errorf("%q %v", tag, err)
	}
	if _, err := release(root, "gin", "v0.2.0", isTidy); err == nil || !strings.Contains(err.Error(), "tagged already") {
		t.Errorf("a second time: %v", err)
	}
}

func TestReleaseRefused(t *testing.T) {
	for name, row := range map[string]struct {
		dir, version, want string
		spoil              func(git func(...string) string, write func(string, string))
		tidy               func(string) error
	}{
		"not clean":         {"gin", "v0.2.0", "not clean", func(_ func(...string) string, write func(string, string)) { write("new", "") }, nil},
		"no entry":          {"gin", "v0.3.0", "CHANGELOG.md", nil, nil},
		"an undated entry":  {"gin", "v0.1.0", "CHANGELOG.md", nil, nil},
		"core not tagged":   {"gin", "v0.2.0", "core@v0.1.0, which is not tagged", func(git func(...string) string, _ func(string, string)) { git("tag", "--delete", "core/v0.1.0") }, nil},
		"an older version":  {"gin", "v0.2.0", "gin/v0.5.0 is tagged", func(git func(...string) string, _ func(string, string)) { git("tag", "gin/v0.5.0") }, nil},
		"not tidy":          {"gin", "v0.2.0", "untidy", nil, func(string) error { return errors.New("untidy") }},
		"no such module":    {"gim", "v0.2.0", "not a module", nil, nil},
		"not released":      {"scripts", "v0.2.0", "not a module", nil, nil},
		"half a version":    {"gin", "v0.2", "whole version", nil, nil},
		"another major one": {"gin", "v2.0.0", "whole version", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root, git, write := repository(t)
			if row.spoil != nil {
				row.spoil(git, write)
			}
			if row.tidy == nil {
				row.tidy = isTidy
			}
			before := git("tag", "--list", "gin/v0.2.0")
			if _, err := release(root, row.dir, row.version, row.tidy); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%v, want %q", err, row.want)
			}
			if git("tag", "--list", "gin/v0.2.0") != before {
				t.Error("it is tagged all the same")
			}
		})
	}
}

// All modules are released in the order in which they require each other, with their entries dated; or none is.
func TestReleaseAll(t *testing.T) {
	root, git, write := repository(t)
	write("gin/go.mod", "module github.com/signward/idserver-go/gin\ngo 1.26\nrequire github.com/signward/idserver-go/core v0.2.0\n")
	git("commit", "--quiet", "--all", "--message", "require the next")
	write("gin/new", "")
	if _, err := releaseAll(root, "all", "v0.2.0", "2026-11-30", isTidy); err == nil || !strings.Contains(err.Error(), "not clean") {
		t.Errorf("not clean: %v", err)
	}
	if err := os.Remove(filepath.Join(root, "gin", "new")); err != nil {
		t.Fatal(err)
	}
	tags, err := releaseAll(root, "all", "v0.2.0", "2026-11-30", isTidy)
	if err != nil || strings.Join(tags, " ") != "core/v0.2.0 gin/v0.2.0" {
		t.Errorf("%q %v", tags, err)
	}
	if got := git("show", "core/v0.2.0:core/CHANGELOG.md"); !strings.Contains(got, "## v0.2.0 (2026-11-30)\n") {
		t.Errorf("the tag's changelog: %s", got)
	}
	if _, err := releaseAll(root, "all", "v0.3.0", "2026-11-30", isTidy); err == nil || strings.Contains(git("tag", "--list"), "v0.3.0") {
		t.Errorf("without entries: %v", err)
	}
}

func TestReleaseAllOrNone(t *testing.T) {
	root, git, _ := repository(t)
	git("tag", "gin/v0.2.0") // after core's tag, gin's is refused
	before := git("tag", "--list")
	if _, err := releaseAll(root, "all", "v0.2.0", "2026-11-30", isTidy); err == nil || git("tag", "--list") != before {
		t.Errorf("%v, tags: %s", err, git("tag", "--list"))
	}
}

// A rehearsal tags a clone and uses it, and changes nothing here.
func TestRehearsal(t *testing.T) {
	root, git, write := repository(t)
	before := git("tag", "--list") + git("rev-parse", "HEAD")
	used := ""
	tags, err := rehearsal(root, func(clone string) ([]string, error) {
		return releaseAll(clone, "all", "v0.2.0", "2026-11-30", isTidy)
	}, func(clone string) error {
		out, err := exec.Command("git", "-C", clone, "tag", "--list").CombinedOutput()
		used = string(out)
		return err
	})
	if err != nil || len(tags) != 2 || !strings.Contains(used, "core/v0.2.0\ngin/v0.2.0\n") {
		t.Errorf("%q %v; used: %s", tags, err, used)
	}
	if after := git("tag", "--list") + git("rev-parse", "HEAD"); after != before {
		t.Errorf("%s, was %s", after, before)
	}
	write("new", "")
	if _, err := rehearsal(root, nil, nil); err == nil || !strings.Contains(err.Error(), "not clean") {
		t.Errorf("not clean: %v", err)
	}
}
