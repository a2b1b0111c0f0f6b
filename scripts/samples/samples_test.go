// Package samples compiles what the README and the guides show.
package samples

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

const root = "../.."

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Every Go block of every README.md is a whole program, and compiles. A guide for a framework is compiled in that
// framework's example, which has all that the guide may import.
func TestSamplesCompile(t *testing.T) {
	modules, err := modproxy.Modules(root)
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{"README.md": "examples/gin", "core/sgid/README.md": "examples/sgid"} // a page, and the module that its samples are compiled in
	for _, m := range modules {
		at := m.Dir
		if _, err := os.Stat(filepath.Join(root, "examples", m.Dir)); err == nil {
			at = "examples/" + m.Dir
		}
		pages[m.Dir+"/README.md"] = at
	}
	for page, at := range pages {
		content, err := os.ReadFile(filepath.Join(root, page))
		if os.IsNotExist(err) && page == "scripts/README.md" {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range goBlock.FindAllSubmatch(content, -1) {
			t.Run(fmt.Sprintf("%s %d", page, i+1), func(t *testing.T) { compile(t, at, block[1]) })
		}
	}
}

// compile builds a program in a folder of the module in dir, or runs it when it is a test.
func compile(t *testing.T, dir string, program []byte) {
	t.Helper()
	folder, err := os.MkdirTemp(filepath.Join(root, dir), "sample")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	name, command := "main.go", exec.Command("go", "build", "-o", os.DevNull, ".")
	if strings.Contains(string(program), "*testing.T") {
		name, command = "main_test.go", exec.Command("go", "test", ".")
	}
	if err := os.WriteFile(filepath.Join(folder, name), program, 0o644); err != nil {
		t.Fatal(err)
	}
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The guides show for sgID the programs that scripts/e2e signs a person in with.
func TestGuidesShowSGID(t *testing.T) {
	for _, framework := range []string{"gin", "echo", "fiber", "chi"} {
		guide, err := os.ReadFile(filepath.Join(root, framework, "README.md"))
		if err != nil {
			t.Fatal(err)
		}
		program, err := os.ReadFile(filepath.Join(root, "scripts/e2e/testdata/sgid", framework, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(guide), "\n```go\n"+string(program)+"```\n") {
			t.Errorf("%s/README.md does not show the program of scripts/e2e", framework)
		}
	}
}

// The README shows the guide's program, and core/README.md's table of codes, which core compares with its own.
func TestREADMESaysTheSame(t *testing.T) {
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	readme := read("README.md")
	if program := goBlock.FindString(read("gin/README.md")); program == "" || !strings.Contains(readme, program) {
		t.Error("README.md does not show the first program of gin/README.md")
	}
	if table := regexp.MustCompile(`(?ms)^\| code \| status .*?\n\n`).FindString(read("core/README.md")); table == "" || !strings.Contains(readme, strings.TrimSpace(table)) {
		t.Error("README.md does not have core/README.md's table of codes")
	}
}
