package main

import (
	"fmt"
	"strings"
)

// boundTokens writes the chapter about tokens that are bound to a key, and returns its goals.
func (all results) boundTokens(b *strings.Builder) []goal {
	b.WriteString(`
## Tokens that are bound to a key

A request over net/http with a token that was seen before and a new DPoP proof, signed with ES256 by a key that was seen before. The floor is the signature check of
the proof alone, which nobody can save. idserver remembers the token and reads a known key once; idserver-cacheless has no memory, and verifies the token's signature (ES256) too, as
auth0's middleware does. That takes a proof a second time, and compares it with the Host field of the request; idserver refuses both.

| | ns/op | times the floor | B/op | allocs/op |
|---|---|---|---|---|
`)
	at := func(impl string) string { return "Bound/impl=" + impl }
	for _, impl := range []string{"floor", "idserver", "idserver-cacheless", "auth0"} {
		name := at(impl)
		fmt.Fprintf(b, "| %s | %.0f | %.2f | %.0f | %.0f |\n", impl, all.of(name, ns), all.times(name, at("floor"), ns), all.of(name, size), all.of(name, allocs))
	}
	return []goal{
		{what: "bound token, seen before, allocations beside those of its proof's signature", got: all.added(at("idserver"), at("floor"), allocs), want: 12},
		{what: "bound token, seen before, time, of auth0's", got: all.times(at("idserver"), at("auth0"), ns), want: 1},
	}
}
