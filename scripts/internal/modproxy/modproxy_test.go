package modproxy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
)

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var example = map[string]string{
	"go.work":     "go 1.26\nuse (\n./app\n./lib\n)\n",
	"lib/go.mod":  "module example.test/lib\ngo 1.26\n",
	"lib/lib.go":  "package lib\nconst Word = \"packed\"\n",
	"app/go.mod":  "module example.test/app\ngo 1.26\nrequire example.test/lib v0.3.0\n",
	"app/main.go": "package main\nimport \"example.test/lib\"\nfunc main() { println(lib.Word) }\n",
}

func TestModules(t *testing.T) {
	modules, err := Modules(tree(t, example))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, m := range modules {
		order = append(order, m.Dir)
	}
	if !slices.Equal(order, []string{"lib", "app"}) {
		t.Errorf("the order is %v, want the required first", order)
	}
	if got := modules[1].Siblings(modules); len(got) != 1 || got[0].String() != "example.test/lib@v0.3.0" {
		t.Errorf("siblings of app: %v", got)
	}
	circle := map[string]string{
		"go.work": example["go.work"], "app/go.mod": example["app/go.mod"],
		"lib/go.mod": "module example.test/lib\ngo 1.26\nrequire example.test/app v0.1.0\n",
	}
	if _, err := Modules(tree(t, circle)); err == nil {
		t.Error("a circle is no fault")
	}
}

// A program outside the tree fetches a module that is nowhere published.
func TestFetch(t *testing.T) {
	root, proxy := tree(t, example), t.TempDir()
	if err := Pack(proxy, filepath.Join(root, "lib"), module.Version{Path: "example.test/lib", Version: "v0.3.0"}); err != nil {
		t.Fatal(err)
	}
	env, err := Env(proxy, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "run", ".")
	command.Dir = filepath.Join(root, "app")
	command.Env = append(env, "GONOSUMDB=*")
	out, err := command.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "packed") {
		t.Errorf("%v\n%s", err, out)
	}
}
