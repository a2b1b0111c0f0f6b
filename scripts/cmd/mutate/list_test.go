package main

import (
	"os"
	"testing"
)

// The list can be read, and every mutation can be made: a change of the code that it is about must change it as well.
func TestList(t *testing.T) {
	mutations, err := parse(list)
	if err != nil {
		t.Fatal(err)
	}
	if len(mutations) < 60 {
		t.Errorf("%d mutations, want at least 60", len(mutations))
	}
	t.Chdir("../../..")
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			broken, err := m.broken()
			if err != nil {
				t.Fatal(err)
			}
			if content, err := os.ReadFile(m.file); err != nil || broken == string(content) {
				t.Errorf("it changes nothing: %v", err)
			}
		})
	}
}

func TestParse(t *testing.T) {
	for name, row := range map[string]struct {
		list string
		want int // -1: an error
	}{
		"nothing":            {"", 0},
		"comments":           {"# a\n\n# b\n", 0},
		"one":                {"name: a\nfile: core/a.go\nfrom: x\nto: y", 1},
		"two":                {"name: a\nfile: core/a.go\nfrom: x\nto: y\n\nname: b\nfile: core/a.go\nfrom: x\nto:\n", 2},
		"a name twice":       {"name: a\nfile: core/a.go\nfrom: x\n\nname: a\nfile: core/a.go\nfrom: x\n", -1},
		"no file":            {"name: a\nfrom: x\n", -1},
		"nothing to replace": {"name: a\nfile: core/a.go\n", -1},
		"another line":       {"name: a\nnonsense\n", -1},
		"another kind":       {"name: a\nwhy: x\n", -1},
	} {
		t.Run(name, func(t *testing.T) {
			mutations, err := parse(row.list)
			if (err != nil) != (row.want < 0) || err == nil && len(mutations) != row.want {
				t.Errorf("%d mutations, %v, want %d", len(mutations), err, row.want)
			}
		})
	}
}
