package house

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testFiles are the test files of the core that are not named for a source file.
var testFiles = []string{"helpers_test.go", "fuzz_test.go", "export_test.go", "allocations_test.go"}

// isTestFileOf reports whether a test file has its place in a package of these files: x_test.go, or x_internal_test.go for what is
// not exported, beside x.go.
func isTestFileOf(files []string, name string) bool {
	if slices.Contains(testFiles, name) || strings.HasPrefix(name, "example_") {
		return true
	}
	source := strings.TrimSuffix(name, "_test.go")
	return slices.Contains(files, source+".go") || slices.Contains(files, strings.TrimSuffix(source, "_internal")+".go")
}

// A test of the core is found by the name of the file that it tests.
func TestTestFiles(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(root, "core"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		files = append(files, e.Name())
	}
	looked := 0
	for _, name := range files {
		if !strings.HasSuffix(name, "_test.go") {
			continue
		}
		looked++
		if !isTestFileOf(files, name) {
			t.Errorf("core/%s: there is no file of this name to test", name)
		}
	}
	if looked < 20 {
		t.Errorf("only %d files were looked at", looked)
	}
}

func TestIsTestFileOf(t *testing.T) {
	files := []string{"login.go", "login_test.go"}
	for name, want := range map[string]bool{
		"login_test.go": true, "login_internal_test.go": true, "helpers_test.go": true, "fuzz_test.go": true, "export_test.go": true,
		"allocations_test.go": true, "example_api_test.go": true,
		"logins_test.go": false, "internal_test.go": false, "login_more_test.go": false, "examples_test.go": false, "_test.go": false,
	} {
		t.Run(name, func(t *testing.T) {
			if got := isTestFileOf(files, name); got != want {
				t.Errorf("%v", got)
			}
		})
	}
}
