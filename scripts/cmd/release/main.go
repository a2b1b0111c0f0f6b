// Command release tags a version of one module, after it has looked whether all that a release needs is there.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: scripts/release MODULE VERSION, such as: scripts/release gin v0.2.0")
		os.Exit(2)
	}
	tag, err := release(".", os.Args[1], os.Args[2], tidy)
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
	fmt.Printf("tagged %s; publish it with: git push origin %s\n", tag, tag)
}

// tidy fails where go mod tidy would change something.
func tidy(root string) error {
	command := exec.Command(filepath.Join(root, "scripts", "tidy"), "-check")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("scripts/tidy -check: %w\n%s", err, out)
	}
	return nil
}

// release checks everything before it tags: all faults at once.
func release(root, dir, version string, tidy func(root string) error) (tag string, err error) {
	modules, err := modproxy.Modules(root)
	if err != nil {
		return "", err
	}
	var released *modproxy.Module
	for i, m := range modules {
		if m.Dir == dir {
			released = &modules[i]
		}
	}
	if released == nil || strings.HasPrefix(dir, "examples/") || dir == "scripts" || dir == "bench" {
		return "", fmt.Errorf("%q is not a module that is released", dir)
	}
	if semver.Canonical(version) != version || semver.Major(version) != "v0" && semver.Major(version) != "v1" {
		return "", fmt.Errorf("%q: want a whole version such as v0.2.0; from v2 on the module path must change", version)
	}
	tag = dir + "/" + version
	git := func(args ...string) (string, error) {
		command := exec.Command("git", append([]string{"-C", root}, args...)...)
		out, err := command.CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out)
		}
		return strings.TrimSpace(string(out)), nil
	}
	var faults []error
	if status, err := git("status", "--porcelain"); err != nil {
		return "", err
	} else if status != "" {
		faults = append(faults, fmt.Errorf("the tree is not clean:\n%s", status))
	}
	tags, err := git("tag", "--list")
	if err != nil {
		return "", err
	}
	tagged := map[string]bool{}
	for name := range strings.FieldsSeq(tags) {
		tagged[name] = true
		if of, last, ok := cutTag(name); ok && of == dir && semver.Compare(last, version) >= 0 {
			faults = append(faults, fmt.Errorf("%s is tagged already", name))
		}
	}
	for _, sibling := range released.Siblings(modules) {
		if i := strings.Index(sibling.Path, "idserver-go/"); !tagged[sibling.Path[i+len("idserver-go/"):]+"/"+sibling.Version] {
			faults = append(faults, fmt.Errorf("%s requires %s, which is not tagged: release that first", dir, sibling))
		}
	}
	if err := changelog(filepath.Join(root, dir, "CHANGELOG.md"), version); err != nil {
		faults = append(faults, err)
	}
	if err := tidy(root); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return "", err
	}
	_, err = git("tag", "--annotate", "--message", tag, tag)
	return tag, err
}

// cutTag takes a tag such as store/redis/v0.1.0 apart.
func cutTag(tag string) (dir, version string, ok bool) {
	i := strings.LastIndex(tag, "/")
	if i < 0 || !semver.IsValid(tag[i+1:]) {
		return "", "", false
	}
	return tag[:i], tag[i+1:], true
}

// changelog wants an entry for the version, dated and with something in it.
func changelog(name, version string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	entry := regexp.MustCompile(`(?m)^## ` + regexp.QuoteMeta(version) + ` \(\d{4}-\d{2}-\d{2}\)\n\n- `)
	if !entry.Match(content) {
		return fmt.Errorf("%s: want an entry that begins with %q, a date and a list", name, "## "+version+" (2026-01-31)")
	}
	return nil
}
