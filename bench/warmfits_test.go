//go:build !race

package bench

import (
	"strings"
	"testing"
)

// 10,000 tokens of 1,000 bytes fit into the default memory: each is verified once. A token that was forgotten costs 15 allocations and
// a signature check when it comes again, and most of what comes in turn is forgotten when there is too much of it.
func TestTokensFit(t *testing.T) {
	const many, beside = 10_000, 100 // what others in this process allocate meanwhile
	all := tokens(t, "EdDSA", many)
	verify := oursVerifier(t, 0)
	pass := func() {
		for _, token := range all {
			if _, err := verify(token); err != nil {
				t.Fatal(err)
			}
		}
	}
	pass()
	for i := range all {
		all[i] = strings.Clone(all[i])
	}
	if n := testing.AllocsPerRun(1, pass); n > beside {
		t.Errorf("%v allocations for %d tokens that came before", n, many)
	}
}
