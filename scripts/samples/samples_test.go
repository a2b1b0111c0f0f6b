// Package samples compiles what the README, the guide and the modules' pages show, and follows their links.
package samples

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signward/idserver-go/scripts/internal/modproxy"
)

const root = "../.."

// frameworks are the folders of the adapters; examples has one of the same name for each.
var frameworks = []string{"gin", "echo", "echov5", "fiber", "fiberv3", "chi"}

// adapters are those and what carries guards alone.
var adapters = append(slices.Clone(frameworks), "grpc", "mcp")

// stores are the modules of stores.
var stores = []string{"core/store/postgresstore", "core/store/redisstore"}

// beside are packages that a program may use together with ours, and that no module of ours requires but bench.
var beside = []string{"github.com/danielgtaylor/huma/", "github.com/coder/websocket", "github.com/gorilla/websocket", "github.com/gofiber/contrib/", "github.com/alexedwards/scs/"}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// pages returns every page of the repository, with the module that its samples are compiled in unless they import an adapter.
func pages(t *testing.T) map[string]string {
	t.Helper()
	modules, err := modproxy.Modules(root)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"README.md": "core", "docs/guide.md": "core", "docs/nethttp.md": "chi", "docs/providers.md": "core", "docs/singpass.md": "core", "core/sgid/README.md": "core", "core/singpass/README.md": "core"}
	for _, m := range modules {
		if page := m.Dir + "/README.md"; m.Dir != "scripts" {
			all[page] = m.Dir
		}
	}
	return all
}

func read(t *testing.T, page string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// programs returns the Go blocks of a page.
func programs(page []byte) (all [][]byte) {
	for _, block := range goBlock.FindAllSubmatch(page, -1) {
		all = append(all, block[1])
	}
	return all
}

func imports(program []byte, framework string) bool {
	return bytes.Contains(program, []byte(`"github.com/signward/idserver-go/`+framework+`"`))
}

// firstOf returns the first program of a page that is for a framework.
func firstOf(page []byte, framework string) string {
	for _, program := range programs(page) {
		if imports(program, framework) {
			return string(program)
		}
	}
	return ""
}

// Every Go block of every page is a whole program, and compiles. One for a framework is compiled in that framework's example, which
// has all that it may import.
func TestSamplesCompile(t *testing.T) {
	for page, module := range pages(t) {
		for i, program := range programs(read(t, page)) {
			at := module
			for _, framework := range adapters {
				if imports(program, framework) || bytes.Contains(program, []byte("/gin-gonic/gin")) && framework == "gin" {
					at = "examples/" + framework
				}
			}
			for _, store := range stores {
				if imports(program, store) {
					at = store
				}
			}
			if slices.ContainsFunc(beside, func(path string) bool { return bytes.Contains(program, []byte(`"`+path)) }) {
				at = "bench"
			}
			t.Run(fmt.Sprintf("%s %d", page, i+1), func(t *testing.T) { compile(t, at, program) })
		}
	}
}

// compile checks a program in a folder of the module in dir, or runs it when it is a test.
func compile(t *testing.T, dir string, program []byte) {
	t.Helper()
	folder, err := os.MkdirTemp(filepath.Join(root, dir), "sample")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	name, command := "main.go", exec.Command("go", "vet", ".")
	if bytes.Contains(program, []byte("*testing.T")) {
		name, command = "main_test.go", exec.Command("go", "test", ".")
	} else if !bytes.Contains(program, []byte("\nfunc main() {")) { // vet does not link
		t.Error("there is no main")
	}
	if err := os.WriteFile(filepath.Join(folder, name), program, 0o644); err != nil {
		t.Fatal(err)
	}
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The guide shows for sgID the programs that scripts/e2e signs a person in with.
func TestGuideShowsSGID(t *testing.T) {
	guide := string(read(t, "docs/guide.md"))
	for _, framework := range []string{"gin", "echo", "fiber", "chi"} {
		program := string(read(t, "scripts/e2e/testdata/sgid/"+framework+"/main.go"))
		if !strings.Contains(guide, "\n```go\n"+program+"```\n") {
			t.Errorf("docs/guide.md does not show the program of scripts/e2e for %s", framework)
		}
	}
}

// The guide shows the programs of bench/programs, which are tested there.
func TestGuideShowsPrograms(t *testing.T) {
	guide := string(read(t, "docs/guide.md"))
	programs, err := filepath.Glob(filepath.Join(root, "bench/programs/*/main.go"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("%d programs, %v", len(programs), err)
	}
	for _, path := range programs {
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := strings.Cut(string(program), "\npackage main\n") // without the command's comment
		if !strings.Contains(guide, "\n```go\npackage main\n"+code+"```\n") {
			t.Errorf("docs/guide.md does not show %s", path)
		}
	}
}

// The README and the adapters' pages begin with the guide's programs.
func TestFirstPrograms(t *testing.T) {
	guide := read(t, "docs/guide.md")
	first := map[string]string{"README.md": "gin"}
	for _, framework := range adapters {
		first[framework+"/README.md"] = framework
	}
	for page, framework := range first {
		if want, got := firstOf(guide, framework), firstOf(read(t, page), framework); want == "" || got != want {
			t.Errorf("the first program of %s is not the guide's for %s", page, framework)
		}
	}
}

// An adapter's page stays a page: what holds for every framework belongs in the guide.
func TestAdapterPagesAreShort(t *testing.T) {
	for _, framework := range adapters {
		if n := bytes.Count(read(t, framework+"/README.md"), []byte("\n")); n > 90 {
			t.Errorf("%s/README.md has %d lines, want at most 90", framework, n)
		}
	}
}

// A gin program must not log what signs a person in: gin's own logger writes the callback's code, and its recovery the cookies.
func TestGinProgramsLogNoSecret(t *testing.T) {
	all := map[string][][]byte{"examples/gin/main.go": {read(t, "examples/gin/main.go")}}
	for page := range pages(t) {
		all[page] = programs(read(t, page))
	}
	for name, programs := range all {
		for i, program := range programs {
			if loud := regexp.MustCompile(`gin\.(Default|Logger|Recovery)\(`).Find(program); loud != nil {
				t.Errorf("%s, program %d calls %s...)", name, i+1, loud)
			}
		}
	}
}
