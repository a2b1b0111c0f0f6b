package main

import (
	"slices"
	"strings"
	"testing"
)

// What a flag takes away is said to be left out.
func TestSteps(t *testing.T) {
	all := []string{
		"gofmt", "build", "vet", "staticcheck", "shellcheck", "go.mod and go.sum are tidy", "tests, with the race detector",
		"allocations", "samples of the guides, and rules of the house", "each module by itself", "end to end",
	}
	for _, row := range []struct {
		name    string
		want    options
		steps   []string
		leftOut string
	}{
		{"all", options{}, all, ""},
		{"quick", options{quick: true}, all[:9], "each module by itself (-quick), end to end (-quick)"},
		{"unit", options{unit: true}, []string{"build", "vet", "tests of the modules"}, "all but the tests of the modules (-unit)"},
		{"one", options{only: "end to end"}, all[10:], "the other steps (-only)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			chosen, leftOut := steps(row.want)
			var names []string
			for _, s := range chosen {
				names = append(names, s.name)
			}
			if !slices.Equal(names, row.steps) || strings.Join(leftOut, ", ") != row.leftOut {
				t.Errorf("%q, left out %q", names, leftOut)
			}
		})
	}
}

func TestNoSuchStep(t *testing.T) {
	for _, row := range []struct {
		name string
		want options
		says string // "": there is such a step
	}{
		{"not asked for", options{}, ""},
		{"there is one", options{only: "vet"}, ""},
		{"misspelt", options{only: "end-to-end"}, "end to end"},
		{"of another run", options{unit: true, only: "end to end"}, "tests of the modules"},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := noSuchStep(row.want)
			if (err != nil) != (row.says != "") || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%v, want %q", err, row.says)
			}
		})
	}
}
