package samples

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The guide's tables of settings have every field of Config, and no other.
func TestSettingsAreListed(t *testing.T) {
	want := fields(t, "Config", "")
	slices.Sort(want)
	_, section, _ := strings.Cut(string(read(t, "docs/guide.md")), "\n## Settings\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var got []string
	for _, row := range regexp.MustCompile("(?m)^\\| `.*$").FindAllString(section, -1) {
		cells := strings.Split(row, " | ")
		if field := cells[0]; strings.Contains(field, "_") { // the table of variables has the field in its second column
			cells = cells[1:]
		}
		for _, name := range regexp.MustCompile("`([A-Za-z.]+)`").FindAllStringSubmatch(cells[0], -1) {
			got = append(got, name[1])
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("docs/guide.md lists\n%v\nand Config has\n%v", got, want)
	}
}

// fields returns the names of a struct's exported fields in package idserver; those of its groups (SessionConfig, ...) as Session.Idle.
func fields(t *testing.T, name, prefix string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "core/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != name {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				group, _ := field.Type.(*ast.Ident)
				for _, ident := range field.Names {
					if !ident.IsExported() {
						continue
					}
					if group != nil && strings.HasSuffix(group.Name, "Config") {
						all = append(all, fields(t, group.Name, prefix+ident.Name+".")...)
						continue
					}
					all = append(all, prefix+ident.Name)
				}
			}
			return false
		})
	}
	return all
}
