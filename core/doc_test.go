package idserver_test

import (
	"go/ast"
	"testing"
)

// The package's page stays readable: a name that is added wants one that goes, or a better place.
func TestTopLevelNames(t *testing.T) {
	t.Parallel()
	const most = 109 // with the codes and reasons, which are two lists of constants
	all := declared(t, func(string, ast.ObjKind) bool { return true })
	if len(all) > most {
		t.Errorf("the package has %d top-level names, want at most %d: %q", len(all), most, all)
	}
}
