package house

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every folder with a go.mod or a package.json has its line in dependabot.yml.
func TestDependabot(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(root, ".github", "dependabot.yml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"*/go.mod", "*/*/go.mod", "*/*/*/go.mod", "scripts/*/package.json"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			dir, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			if line := "\n      - /" + filepath.ToSlash(dir) + "\n"; !strings.Contains(string(config), line) {
				t.Errorf("dependabot.yml has no %q", strings.TrimSpace(line))
			}
		}
	}
}
