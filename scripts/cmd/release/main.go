// Command release tags a version of one module or of all, after it has looked whether all that a release needs is there. With -n it
// does so in a clone, which is thrown away, and fetches every adapter from that clone's tags.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

func main() {
	rehearse := flag.Bool("n", false, "rehearse: tag in a clone, and use each adapter from its tags alone")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: scripts/release [-n] MODULE|all VERSION, such as: scripts/release gin v0.2.0")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	do := func(root string) ([]string, error) {
		return releaseAll(root, flag.Arg(0), flag.Arg(1), time.Now().Format(time.DateOnly), tidy)
	}
	var tags []string
	var err error
	if *rehearse {
		tags, err = rehearsal(".", do, consume)
	} else {
		tags, err = do(".")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
	fmt.Printf("tagged %s\n", strings.Join(tags, ", "))
	if *rehearse {
		fmt.Println("in a clone, which is gone; nothing is changed here")
		return
	}
	fmt.Printf("publish it with: git push --atomic origin HEAD %s\n", strings.Join(tags, " "))
}

// rehearsal releases in a clone of what is committed, and uses what it tagged.
func rehearsal(root string, release func(root string) ([]string, error), use func(root string) error) (tags []string, err error) {
	temporary, err := os.MkdirTemp("", "release")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary)
	clone := filepath.Join(temporary, "idserver-go")
	if status, err := git(root, "status", "--porcelain"); err != nil || status != "" {
		return nil, errors.Join(err, fmt.Errorf("the tree is not clean:\n%s", status))
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-hardlinks", ".", clone},
		{"-C", clone, "config", "user.name", "rehearsal"},
		{"-C", clone, "config", "user.email", "rehearsal@example.test"},
	} {
		if _, err := git(root, args...); err != nil {
			return nil, err
		}
	}
	if tags, err = release(clone); err != nil {
		return nil, err
	}
	return tags, use(clone)
}

// consume fetches every adapter from the tags of a clone.
func consume(root string) error {
	command := exec.Command(filepath.Join(root, "scripts", "consume"), "-tags")
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return command.Run()
}

// releaseAll releases one module, or with "all" every one that is released: each after those that it requires. Of all, it dates the
// entries of the changelogs first, in a commit.
func releaseAll(root, dir, version, today string, tidy func(root string) error) (tags []string, err error) {
	dirs := []string{dir}
	if dir == "all" {
		if dirs, err = released(root); err != nil {
			return nil, err
		}
		if err := dateChangelogs(root, dirs, version, today); err != nil {
			return nil, err
		}
	}
	if err := tidy(root); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		tag, err := release(root, dir, version, func(string) error { return nil })
		if err != nil {
			return tags, errors.Join(err, untag(root, tags))
		}
		tags = append(tags, tag)
	}
	return tags, nil
}

// untag takes the tags of this run back: all modules are released, or none.
func untag(root string, tags []string) error {
	if len(tags) == 0 {
		return nil
	}
	_, err := git(root, append([]string{"tag", "--delete"}, tags...)...)
	return err
}

// released lists the modules that have versions, in the order of their requirements.
func released(root string) (dirs []string, err error) {
	modules, err := modproxy.Modules(root)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		if isReleased(m.Dir) {
			dirs = append(dirs, m.Dir)
		}
	}
	return dirs, nil
}

// isReleased is false for what is copied, or only used here.
func isReleased(dir string) bool {
	return !strings.HasPrefix(dir, "examples/") && dir != "scripts" && dir != "bench"
}

// dateChangelogs replaces the word "unreleased" of a version's entries, and commits that where there was one.
func dateChangelogs(root string, dirs []string, version, today string) error {
	if status, err := git(root, "status", "--porcelain"); err != nil || status != "" {
		return errors.Join(err, fmt.Errorf("the tree is not clean:\n%s", status))
	}
	for _, dir := range dirs {
		name := filepath.Join(root, dir, "CHANGELOG.md")
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		dated := strings.Replace(string(content), "\n## "+version+" (unreleased)\n", "\n## "+version+" ("+today+")\n", 1)
		if err := os.WriteFile(name, []byte(dated), 0o644); err != nil {
			return err
		}
	}
	if status, err := git(root, "status", "--porcelain"); err != nil || status == "" {
		return err
	}
	_, err := git(root, "commit", "--quiet", "--all", "--message", "changelogs: date "+version)
	return err
}

// git runs it in root.
func git(root string, args ...string) (string, error) {
	command := exec.Command("git", args...)
	command.Dir = root
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
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
	at := slices.IndexFunc(modules, func(m modproxy.Module) bool { return m.Dir == dir })
	if at < 0 || !isReleased(dir) {
		return "", fmt.Errorf("%q is not a module that is released", dir)
	}
	if semver.Canonical(version) != version || semver.Major(version) != "v0" && semver.Major(version) != "v1" {
		return "", fmt.Errorf("%q: want a whole version such as v0.2.0; from v2 on the module path must change", version)
	}
	tag = dir + "/" + version
	var faults []error
	if status, err := git(root, "status", "--porcelain"); err != nil {
		return "", err
	} else if status != "" {
		faults = append(faults, fmt.Errorf("the tree is not clean:\n%s", status))
	}
	tags, err := git(root, "tag", "--list")
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
	for _, sibling := range modules[at].Siblings(modules) {
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
	_, err = git(root, "tag", "--annotate", "--message", tag, tag)
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
