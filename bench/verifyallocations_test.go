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

// A token that was not seen before costs 25 allocations at most, with the signature check's own.
func TestColdAllocations(t *testing.T) {
	for _, alg := range algorithms {
		all := tokens(t, alg, coldTokens)
		verify := oursVerifier(t, smallCache)
		i := 0
		if n := testing.AllocsPerRun(500, func() {
			if _, err := verify(all[i%len(all)]); err != nil {
				t.Fatal(err)
			}
			i++
		}); n > 25 {
			t.Errorf("%s: %v allocations, want at most 25", alg, n)
		} else {
			t.Logf("%s: %v allocations", alg, n)
		}
	}
}
