package house

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	uses   = regexp.MustCompile(`(?m)^\s*(?:- )?uses: *(.*)$`)
	pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	runs   = regexp.MustCompile(`(?m)^\s*(?:- )?run: *(\S.*)$`)
	script = regexp.MustCompile(`^scripts/\w+( [\w. -]+)?$`)
)

// A workflow's actions are pinned by commit, since a tag can be moved, with the version beside it; and what it runs is a script that
// everybody can run.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%q %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range uses.FindAllSubmatch(content, -1) {
			if !pinned.Match(found[1]) {
				t.Errorf("%s uses %s", filepath.Base(file), found[1])
			}
		}
		for _, found := range runs.FindAllSubmatch(content, -1) {
			if !script.Match(found[1]) {
				t.Errorf("%s runs %s", filepath.Base(file), found[1])
			}
		}
	}
}
