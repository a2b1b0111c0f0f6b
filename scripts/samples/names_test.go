package samples

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packages are those whose names the pages may use, as the pages call them.
var packages = map[string]string{
	"idserver": "core", "sgid": "core/sgid", "sgidtest": "core/sgid/sgidtest", "idtest": "core/idtest",
	"singpass": "core/singpass", "singpasstest": "core/singpass/singpasstest",
	"adaptertest": "core/idtest/adaptertest", "idgin": "gin", "idecho": "echo", "idfiber": "fiber", "idchi": "chi",
	"idgrpc": "grpc", "idmcp": "mcp", "postgresstore": "core/store/postgresstore",
	"redisstore": "core/store/redisstore",
}

// What the pages say between their samples names only what is there. The samples themselves are compiled.
func TestNamesExist(t *testing.T) {
	declared := map[string]map[string]bool{}
	for name, dir := range packages {
		declared[name] = exported(t, dir)
	}
	for page := range pages(t) {
		text := fenced.ReplaceAllString(string(read(t, page)), "")
		for _, used := range regexp.MustCompile(`\b([a-z]+)\.([A-Z][A-Za-z0-9]*)`).FindAllStringSubmatch(text, -1) {
			switch pkg, name := used[1], used[2]; {
			case declared[pkg] != nil && !declared[pkg][name]:
				t.Errorf("%s names %s, which is not there", page, used[0])
			case pkg == "client" && !declared["idserver"]["Client."+name] && !declared["sgid"]["Client."+name]:
				t.Errorf("%s names %s, and no Client has that method", page, used[0])
			case pkg == "user" && !declared["idserver"]["User."+name]:
				t.Errorf("%s names %s, and User has no such field or method", page, used[0])
			}
		}
	}
}

// exported returns the exported names of a package, with the methods and fields of its types as User.Claims.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	all := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				all[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					add(all, spec)
				}
			}
		}
	}
	return all
}

// receiver returns the type of a method with a dot, or nothing for a function.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	of := f.Recv.List[0].Type
	if pointer, ok := of.(*ast.StarExpr); ok {
		of = pointer.X
	}
	if name, ok := of.(*ast.Ident); ok {
		return name.Name + "."
	}
	return "."
}

func add(all map[string]bool, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			all[name.Name] = true
		}
	case *ast.TypeSpec:
		all[s.Name.Name] = true
		of, ok := s.Type.(*ast.StructType)
		if !ok {
			return
		}
		for _, field := range of.Fields.List {
			for _, name := range field.Names {
				all[s.Name.Name+"."+name.Name] = true
			}
		}
	}
}
