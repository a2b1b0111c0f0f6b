// Command tidy runs go mod tidy in every module of the workspace, as if its siblings were released. With -check it
// changes nothing and fails where something would change. With -newest it takes the newest minor version of every dependency first.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

func main() {
	check := flag.Bool("check", false, "change nothing; fail where something would change")
	newest := flag.Bool("newest", false, "take the newest minor version of every dependency first")
	flag.Parse()
	if err := run(".", *check, *newest); err != nil {
		fmt.Fprintln(os.Stderr, "tidy:", err)
		os.Exit(1)
	}
}

func run(root string, check, newest bool) error {
	modules, err := modproxy.Modules(root)
	if err != nil {
		return err
	}
	temporary, err := os.MkdirTemp("", "tidy")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	proxy, cache := filepath.Join(temporary, "proxy"), filepath.Join(temporary, "cache")
	env, err := modproxy.Env(proxy, cache)
	if err != nil {
		return err
	}
	var changed []error
	for _, m := range modules {
		for _, version := range m.Siblings(modules) {
			for _, sibling := range modules {
				if sibling.Path() != version.Path {
					continue
				}
				if err := modproxy.Pack(proxy, filepath.Join(root, sibling.Dir), version); err != nil {
					return err
				}
			}
		}
		would, err := tidy(filepath.Join(root, m.Dir), env, modules, check, newest)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Dir, err)
		}
		if would && check {
			changed = append(changed, fmt.Errorf("%s: go.mod or go.sum is not tidy: run scripts/tidy", m.Dir))
		}
	}
	return errors.Join(changed...)
}

// tidy tidies one module, and reports whether that changed anything. With check the files are put back.
func tidy(dir string, env []string, siblings []modproxy.Module, check, newest bool) (changed bool, err error) {
	names := []string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")}
	var before [][]byte
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		before = append(before, content)
	}
	var fault error
	if newest {
		fault = goCommand(dir, env, "get", "-u", "-t", "./...")
	}
	if fault == nil {
		fault = goCommand(dir, env, "mod", "tidy")
	}
	if fault == nil {
		fault = withoutSiblings(names[1], siblings)
	}
	for i, name := range names {
		after, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		if bytes.Equal(after, before[i]) {
			continue
		}
		changed = true
		if check || fault != nil {
			if err := put(name, before[i]); err != nil {
				return changed, err
			}
		}
	}
	return changed, fault
}

func goCommand(dir string, env []string, args ...string) error {
	command := exec.Command("go", args...)
	command.Dir, command.Env = dir, env
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

func put(name string, content []byte) error {
	if content == nil {
		return os.Remove(name)
	}
	return os.WriteFile(name, content, 0o644)
}

// withoutSiblings takes the siblings' hashes out of a go.sum: they are of content that is not
// released, and would be wrong after the next edit.
func withoutSiblings(name string, siblings []modproxy.Module) error {
	content, err := os.ReadFile(name)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(content)) {
		if !isOf(line, siblings) {
			kept.WriteString(line)
		}
	}
	return os.WriteFile(name, []byte(kept.String()), 0o644)
}

func isOf(line string, siblings []modproxy.Module) bool {
	for _, m := range siblings {
		if strings.HasPrefix(line, m.Path()+" ") {
			return true
		}
	}
	return false
}
