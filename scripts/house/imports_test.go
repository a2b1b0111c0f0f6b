// Package house holds the repository to its rules: which package may import which, and what no file may name.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../.."
	prefix = "github.com/signward/idserver-go/"
)

// adapters are the modules that carry the core into a framework, and frameworks what they carry it into.
var (
	adapters   = []string{"gin", "echo", "fiber", "chi", "echov5", "fiberv3", "grpc", "mcp"}
	frameworks = []string{
		"github.com/gin-gonic/", "github.com/labstack/", "github.com/gofiber/", "github.com/valyala/", "github.com/go-chi/",
		"google.golang.org/grpc", "github.com/modelcontextprotocol/",
	}
	forTests = []string{"core/idtest", "core/sgid/sgidtest", "core/singpass/singpasstest", "core/store/postgresstore/postgrestest", "core/store/redisstore/redistest"} // and what lies below them

	stores  = []string{"core/store/postgresstore", "core/store/redisstore"} // modules of their own
	clients = []string{"github.com/jackc/", "github.com/redis/"}            // what they talk to a server with
)

// rules say, with words for a person, whether a package may import another. Those of the repository come without its prefix.
var rules = []struct {
	name    string
	forbids func(pkg, imports string, test bool) bool
}{
	{"what is in core/internal is the core's own", func(pkg, imports string, _ bool) bool {
		return below(imports, "core/internal") && !below(pkg, "core")
	}},
	{"a store's module uses what the core exports, so that each can be upgraded by itself", func(pkg, imports string, _ bool) bool {
		return below(imports, "core/internal") && isOf(stores, pkg)
	}},
	{"the core knows no client of a store", func(pkg, imports string, _ bool) bool {
		return below(pkg, "core") && !isOf(stores, pkg) && slices.ContainsFunc(clients, func(c string) bool { return strings.HasPrefix(imports, c) })
	}},
	{"idtest and sgidtest are for tests, examples, programs and each other", func(pkg, imports string, test bool) bool {
		return isForTests(imports) && !test && !isForTests(pkg) && !below(pkg, "examples") && !below(pkg, "scripts") &&
			!below(pkg, "core/cmd")
	}},
	{"jwx is known to core/internal/jose, and to tests and benchmarks", func(pkg, imports string, test bool) bool {
		return strings.HasPrefix(imports, "github.com/lestrrat-go/jwx/") && !test && pkg != "core/internal/jose"
	}},
	{"the core knows no framework", func(pkg, imports string, _ bool) bool {
		return below(pkg, "core") && slices.ContainsFunc(frameworks, func(f string) bool { return strings.HasPrefix(imports, f) })
	}},
	{"the core knows no adapter", func(pkg, imports string, _ bool) bool { return below(pkg, "core") && adapter(imports) != "" }},
	{"an adapter knows no other one", func(pkg, imports string, _ bool) bool {
		return adapter(pkg) != "" && adapter(imports) != "" && adapter(pkg) != adapter(imports)
	}},
}

// broken returns the first rule that an import breaks, or "".
func broken(pkg, imports string, test bool) string {
	for _, rule := range rules {
		if rule.forbids(pkg, imports, test) {
			return rule.name
		}
	}
	return ""
}

func below(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func isForTests(pkg string) bool { return isOf(forTests, pkg) }

// isOf reports whether a package is one of the folders, or lies below one.
func isOf(folders []string, pkg string) bool {
	return slices.ContainsFunc(folders, func(dir string) bool { return below(pkg, dir) })
}

func adapter(pkg string) string {
	dir, _, _ := strings.Cut(pkg, "/")
	if slices.Contains(adapters, dir) {
		return dir
	}
	return ""
}

func TestImports(t *testing.T) {
	command := exec.Command("go", "list", "-tags", "e2e", "-json=ImportPath,Imports,TestImports,XTestImports", "work")
	command.Dir = root
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for packages := json.NewDecoder(out); ; found++ {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkg := strings.TrimPrefix(p.ImportPath, prefix)
		for _, imports := range p.Imports {
			if rule := broken(pkg, strings.TrimPrefix(imports, prefix), false); rule != "" {
				t.Errorf("%s imports %s: %s", pkg, imports, rule)
			}
		}
		for _, imports := range slices.Concat(p.TestImports, p.XTestImports) {
			if rule := broken(pkg, strings.TrimPrefix(imports, prefix), true); rule != "" {
				t.Errorf("%s's tests import %s: %s", pkg, imports, rule)
			}
		}
	}
	if err := command.Wait(); err != nil {
		t.Fatal(err)
	}
	if found < 20 {
		t.Errorf("only %d packages were looked at", found)
	}
}

// The core comes without templates, whoever imports them: their reflection keeps the linker from dropping what is not
// called, and costs every program 9 MB.
func TestCoreHasNoTemplates(t *testing.T) {
	for _, pkg := range []string{"core", "core/sgid"} {
		command := exec.Command("go", "list", "-deps", prefix+pkg)
		command.Dir = root
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		for dependency := range strings.Lines(string(out)) {
			if dependency = strings.TrimSpace(dependency); dependency == "html/template" || dependency == "text/template" {
				t.Errorf("%s depends on %s", pkg, dependency)
			}
		}
	}
}

func TestBroken(t *testing.T) {
	for _, row := range []struct {
		pkg, imports string
		test, may    bool
	}{
		{"gin", "core", false, true},
		{"gin", "core/internal/seal", false, false},
		{"gin", "core/internal/seal", true, false},
		{"examples/gin", "core/internal/seal", false, false},
		{"core/sgid", "core/internal/jose", false, true},
		{"core", "core/idtest", false, false},
		{"core", "core/idtest", true, true},
		{"gin", "core/idtest/adaptertest", false, false},
		{"gin", "core/idtest/adaptertest", true, true},
		{"core/sgid", "core/sgid/sgidtest", false, false},
		{"core/sgid/sgidtest", "core/idtest", false, true},
		{"core/singpass", "core/singpass/singpasstest", false, false},
		{"core/singpass/singpasstest", "core/idtest", false, true},
		{"core/cmd/idserver-dev", "core/idtest", false, true},
		{"examples/sgid", "core/idtest", false, true},
		{"core", "github.com/lestrrat-go/jwx/v2/jwk", false, false},
		{"core/internal/keys", "github.com/lestrrat-go/jwx/v2/jwk", false, false},
		{"core/internal/jose", "github.com/lestrrat-go/jwx/v2/jwk", false, true},
		{"bench", "github.com/lestrrat-go/jwx/v2/jwt", true, true},
		{"core/idtest", "github.com/gofiber/fiber/v2", true, false},
		{"core/store/postgresstore", "github.com/jackc/pgx/v5", false, true},
		{"core/store/memorystore", "github.com/jackc/pgx/v5", true, false},
		{"core", "github.com/redis/go-redis/v9", false, false},
		{"core/store/postgresstore", "core/internal/seal", true, false},
		{"core/store/postgresstore", "core/store/postgresstore/postgrestest", true, true},
		{"core/store/postgresstore", "core/store/postgresstore/postgrestest", false, false},
		{"core", "gin", true, false},
		{"gin", "chi", false, false},
		{"gin", "chi", true, false},
		{"examples/sgid", "chi", false, true},
	} {
		t.Run(row.pkg+" "+row.imports, func(t *testing.T) {
			if rule := broken(row.pkg, row.imports, row.test); (rule == "") != row.may {
				t.Errorf("%q", rule)
			}
		})
	}
}
