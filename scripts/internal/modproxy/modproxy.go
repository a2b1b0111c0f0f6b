// Package modproxy makes a module proxy of a working tree: what go get would fetch once the modules of the
// tree are released.
package modproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// Module is one of the tree's.
type Module struct {
	Dir  string // below the root, with slashes
	File *modfile.File
}

// Path is its module path.
func (m Module) Path() string { return m.File.Module.Mod.Path }

// Modules reads the go.mod files of a workspace, in an order in which each comes after those that
// it requires.
func Modules(root string) ([]Module, error) {
	work, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return nil, err
	}
	parsed, err := modfile.ParseWork("go.work", work, nil)
	if err != nil {
		return nil, err
	}
	var all []Module
	for _, use := range parsed.Use {
		name := filepath.Join(root, use.Path, "go.mod")
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := modfile.Parse(name, content, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, Module{filepath.ToSlash(filepath.Clean(use.Path)), file})
	}
	return ordered(all)
}

// ordered puts the required before the requiring.
func ordered(modules []Module) (sorted []Module, err error) {
	isIn := func(path string) bool {
		return slices.ContainsFunc(sorted, func(m Module) bool { return m.Path() == path })
	}
	for len(modules) > 0 {
		before := len(modules)
		for i := 0; i < len(modules); {
			m := modules[i]
			waits := slices.ContainsFunc(m.File.Require, func(r *modfile.Require) bool {
				return slices.ContainsFunc(modules, func(other Module) bool { return other.Path() == r.Mod.Path }) && !isIn(r.Mod.Path)
			})
			if waits {
				i++
				continue
			}
			sorted, modules = append(sorted, m), slices.Delete(modules, i, i+1)
		}
		if len(modules) == before {
			return nil, errors.New("the modules require each other in a circle")
		}
	}
	return sorted, nil
}

// Siblings are the modules of the tree that m requires, with the versions that it names.
func (m Module) Siblings(all []Module) (required []module.Version) {
	for _, r := range m.File.Require {
		if slices.ContainsFunc(all, func(other Module) bool { return other.Path() == r.Mod.Path }) {
			required = append(required, r.Mod)
		}
	}
	return required
}

// Pack writes the module in dir into proxy as path@version, in the layout of
// https://go.dev/ref/mod#goproxy-protocol.
func Pack(proxy, dir string, version module.Version) error {
	escaped, err := module.EscapePath(version.Path)
	if err != nil {
		return err
	}
	folder := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := zip.CreateFromDir(&packed, version, dir); err != nil {
		return fmt.Errorf("%s: %w", version, err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version.Version, time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	for ending, content := range map[string][]byte{".zip": packed.Bytes(), ".mod": mod, ".info": info} {
		if err := os.WriteFile(filepath.Join(folder, version.Version+ending), content, 0o644); err != nil {
			return err
		}
	}
	list, err := os.OpenFile(filepath.Join(folder, "list"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(list, version.Version)
	return errors.Join(err, list.Close())
}

// PackAll packs every module that another one of the tree requires, at the versions that are required.
func PackAll(proxy, root string, modules []Module) error {
	packed := map[module.Version]bool{}
	for _, m := range modules {
		for _, version := range m.Siblings(modules) {
			i := slices.IndexFunc(modules, func(sibling Module) bool { return sibling.Path() == version.Path })
			if packed[version] {
				continue
			}
			packed[version] = true
			if err := Pack(proxy, filepath.Join(root, modules[i].Dir), version); err != nil {
				return err
			}
		}
	}
	return nil
}

// Env returns the environment in which go fetches the tree's modules from proxy and all others as
// usual. cache is a module cache of its own: the same version has other content after the next edit.
// What the usual cache holds is not downloaded again.
func Env(proxy, cache string) ([]string, error) {
	out, err := exec.Command("go", "env", "-json", "GOPROXY", "GOMODCACHE", "GONOSUMDB").Output()
	if err != nil {
		return nil, err
	}
	var usual struct{ GOPROXY, GOMODCACHE, GONOSUMDB string }
	if err := json.Unmarshal(out, &usual); err != nil {
		return nil, err
	}
	file := func(dir string) string { return "file://" + filepath.ToSlash(dir) }
	nosumdb := strings.Trim("github.com/signward/idserver-go/*,github.com/signward/idserver-go/*/*,"+usual.GONOSUMDB, ",")
	return append(os.Environ(),
		// -trimpath has what is compiled taken from the cache by the next that has modules in another folder.
		"GOWORK=off", "GOFLAGS=-mod=mod -modcacherw -trimpath", "GONOSUMDB="+nosumdb, "GOMODCACHE="+cache,
		"GOPROXY="+strings.Join([]string{file(proxy), file(filepath.Join(usual.GOMODCACHE, "cache", "download")), usual.GOPROXY}, ","),
	), nil
}
