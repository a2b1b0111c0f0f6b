package house

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/fapi.md anew")

// docs/fapi.md shows what the behaviour suite finds in every framework: the rows of foundation.golden, below a heading.
func TestFoundationTable(t *testing.T) {
	const golden = "core/idtest/adaptertest/foundation.golden"
	rows, err := os.ReadFile(filepath.Join(root, golden))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(rows), "\n"); n != 32 {
		t.Errorf("%s has %d rows, want one for each of the 32 modules", golden, n)
	}
	path := filepath.Join(root, "docs/fapi.md")
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), "<!-- "+golden+" -->\n")
	table, after, ends := strings.Cut(rest, "<!-- end -->\n")
	lines := strings.SplitAfterN(table, "\n", 3)
	if !begins || !ends || len(lines) < 3 {
		t.Fatalf("docs/fapi.md has no table of %s", golden)
	}
	if lines[2] == string(rows) {
		return
	}
	if *update {
		whole := before + "<!-- " + golden + " -->\n" + lines[0] + lines[1] + string(rows) + "<!-- end -->\n" + after
		if err := os.WriteFile(path, []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("docs/fapi.md does not show %s: cd scripts && go test ./house -run TestFoundationTable -update", golden)
}
