package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// options are the flags.
type options struct {
	unit, quick, noBrowser, noNode, all bool
	only                                string
}

// steps lists what is run, and what is left out because of the flags.
func steps(want options) (chosen []step, leftOut []string) {
	switch {
	case want.unit:
		chosen = []step{{"build", build}, {"vet", vet}, {"tests of the modules", moduleTests}}
		leftOut = []string{"all but the tests of the modules (-unit)"}
	case want.quick:
		chosen = ownSteps()
		leftOut = []string{"each module by itself (-quick)", "end to end (-quick)"}
	default:
		chosen = append(ownSteps(),
			step{"each module by itself", script("consume")},
			step{"end to end", func(ctx context.Context, r *report) error { return endToEnd(ctx, r, want) }},
		)
	}
	if want.only != "" {
		chosen = slices.DeleteFunc(chosen, func(s step) bool { return !strings.Contains(s.name, want.only) })
		leftOut = append(leftOut, "the other steps (-only)")
	}
	return chosen, leftOut
}

// noSuchStep says which steps there are if -only names none: a run of nothing must not look like one in which all passed.
func noSuchStep(want options) error {
	if chosen, _ := steps(want); len(chosen) != 0 {
		return nil
	}
	var names []string
	only := want.only
	want.only = ""
	all, _ := steps(want)
	for _, s := range all {
		names = append(names, s.name)
	}
	return fmt.Errorf("no step has %q in its name: they are %s", only, strings.Join(names, "; "))
}

// ownSteps need nothing but Go, except shellcheck and the servers that tests start.
func ownSteps() []step {
	return []step{
		{"gofmt", formatted},
		{"build", build},
		{"vet", vet},
		{"staticcheck", staticCheck},
		{"shellcheck", shellCheck},
		{"go.mod and go.sum are tidy", script("tidy", "-check")},
		{"tests, with the race detector", raceTests},
		{"allocations", allocations},
		{"samples of the guides, and rules of the house", outside},
	}
}

func script(name string, args ...string) func(context.Context, *report) error {
	return func(ctx context.Context, _ *report) error {
		return run(ctx, "", nil, filepath.Join("scripts", name), args...)
	}
}

func formatted(ctx context.Context, _ *report) error {
	out, err := output(ctx, "", nil, "gofmt", "-l", ".")
	if err != nil || out != "" {
		return errors.Join(fmt.Errorf("not formatted:\n%s", out), err)
	}
	return nil
}

func build(ctx context.Context, r *report) error {
	r.does("downloading modules and compiling")
	return run(ctx, "", nil, "go", "build", "work")
}

func vet(ctx context.Context, _ *report) error {
	return run(ctx, "", nil, "go", "vet", "-tags", "e2e", "work")
}

// staticCheck builds the version that scripts/go.mod pins, and checks every module.
func staticCheck(ctx context.Context, r *report) error {
	dir, err := os.MkdirTemp("", "staticcheck")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "staticcheck")
	r.does("compiling staticcheck")
	if err := run(ctx, "scripts", []string{"GOWORK=off"}, "go", "build", "-o", program, "honnef.co/go/tools/cmd/staticcheck"); err != nil {
		return err
	}
	r.does("staticcheck")
	return run(ctx, "", nil, program, "-tags", "e2e", "work")
}

// shellCheck checks what is a shell script in scripts/.
func shellCheck(ctx context.Context, r *report) error {
	if missing := install(ctx, r, "shellcheck", "shellcheck"); missing != "" {
		r.leaveOut("shellcheck (" + missing + ")")
		return nil
	}
	files := []string{".ci/run"}
	entries, err := os.ReadDir("scripts")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join("scripts", entry.Name())
		content, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(content), "#!/usr/bin/env bash\n") {
			files = append(files, name)
		}
	}
	return run(ctx, "", nil, "shellcheck", files...)
}

// packages are those of the workspace that matches chooses.
func packages(ctx context.Context, matches func(pkg string) bool) ([]string, error) {
	command := prepare(ctx, "", nil, "go", "list", "work")
	out, err := command.Output() // without what go says about downloads
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return slices.DeleteFunc(strings.Fields(string(out)), func(pkg string) bool {
		return !matches(strings.TrimPrefix(pkg, modulePrefix))
	}), nil
}

// outsiders are the packages whose tests look at files outside their module, so that their results must not be taken from the
// cache.
var outsiders = []string{"scripts/samples", "scripts/house"}

func raceTests(ctx context.Context, r *report) error {
	list, err := packages(ctx, func(pkg string) bool { return !slices.Contains(outsiders, pkg) })
	if err != nil {
		return err
	}
	servers, _ := testServers(ctx, r)
	return goTest(ctx, r, servers, append([]string{"-race"}, list...)...)
}

// moduleTests are those that run on any system.
func moduleTests(ctx context.Context, r *report) error {
	list, err := packages(ctx, func(pkg string) bool {
		return !strings.HasPrefix(pkg, "scripts/") && !strings.HasPrefix(pkg, "bench")
	})
	if err != nil {
		return err
	}
	return goTest(ctx, r, nil, list...)
}

// allocations are counted without the race detector, which changes them.
func allocations(ctx context.Context, r *report) error {
	return goTest(ctx, r, nil, "-run", "Allocations", "./core", "./gin", "./echo", "./echov5", "./fiber", "./fiberv3", "./chi", "./grpc")
}

func outside(ctx context.Context, r *report) error {
	return goTest(ctx, r, nil, "-count=1", "./"+outsiders[0], "./"+outsiders[1])
}
