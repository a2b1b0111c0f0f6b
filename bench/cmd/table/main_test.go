package main

import (
	"math"
	"strings"
	"testing"
)

const output = `cpu: A Processor
BenchmarkCold/alg=RS256/impl=floor-2      1000   100.0 ns/op    16 B/op   1 allocs/op
BenchmarkCold/alg=RS256/impl=idserver-2   1000   110.0 ns/op   200 B/op  23 allocs/op
BenchmarkCold/alg=RS256/impl=floor-2      1000   300.0 ns/op    16 B/op   1 allocs/op
BenchmarkCold/alg=RS256/impl=idserver-2   1000   330.0 ns/op   200 B/op  23 allocs/op
BenchmarkCold/alg=RS256/impl=floor-2      1000   100.0 ns/op    16 B/op   1 allocs/op
BenchmarkCold/alg=RS256/impl=idserver-2   1000   400.0 ns/op   200 B/op  23 allocs/op
BenchmarkSessionPath/in=chi/impl=floor-2   1000   400.0 ns/op   0 store-ops/req   200 B/op  2 allocs/op
BenchmarkSessionPath/in=chi/impl=scs-goredisstore-2   1000   2.5e+03 ns/op   1200 cpu-ns/op   1.002 store-ops/req   300 B/op  9 allocs/op
`

// A round in which the whole machine was slow changes no ratio, and one that slowed one side only is not the median.
func TestRounds(t *testing.T) {
	all := parse([]byte(output))
	const floor, own = "Cold/alg=RS256/impl=floor", "Cold/alg=RS256/impl=idserver"
	for what, is := range map[string][2]float64{
		"ns":          {all.of(own, ns), 330},
		"floor's ns":  {all.of(floor, ns), 100},
		"allocations": {all.of(own, allocs), 23},
		"times":       {all.times(own, floor, ns), 1.1},
		"added":       {all.added(own, floor, ns), 30},
	} {
		if math.Abs(is[0]-is[1]) > 1e-9 {
			t.Errorf("%s: %v, want %v", what, is[0], is[1])
		}
	}
	if !math.IsNaN(all.of("Cold/alg=RS256/impl=jwx", ns)) {
		t.Error("a benchmark that did not run has a median")
	}
	page := all.page(cpu([]byte(output)), 3, "1s")
	for _, want := range []string{
		"A Processor", "| RS256 | idserver | 330 | 1.10 | 200 | 23 |", "| RS256 | jwx | not measured | | | |",
		"| cold, RS256, times the signature check | 1.1 | 1.15 | met |", "| cold, ES256, allocations | - | 25 | not measured |",
		"| chi | floor: no session | 400 | 1.0 | 0 | 0 | 0 | 0 |", "| chi | scs, goredisstore: reads gob | 1200 | 3.0 | 800 | 100 | 7 | 1 |",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		goal
		want string
	}{
		{goal{got: 1.15, want: 1.15}, "met"},
		{goal{got: 1.265, want: 1.15}, "**short by 10.0 %**"},
		{goal{got: 3}, "**short by 3**"},
		{goal{got: -3}, "met"},
		{goal{got: 120, want: 100, unit: " ns"}, "**short by 20 ns**"},
		{goal{got: 50, want: 60, part: true}, "**short by 20.0 %**"},
		{goal{got: 61, want: 60, part: true}, "met"},
		{goal{got: math.NaN(), want: 1}, "not measured"},
	} {
		if got := c.verdict(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.goal, got, c.want)
		}
	}
}
