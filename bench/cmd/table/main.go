// Command table runs the benchmarks of this module and writes what they say as one page: floors, peers and us side by side.
//
// All benchmarks run once in each round, and what is compared is compared within a round: a machine that others use is slow for a
// while, and then again it is not. The page has the medians of the rounds.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	count := flag.Int("count", 5, "how many rounds there are; the median counts")
	benchtime := flag.String("benchtime", "300ms", "how long each benchmark runs in a round")
	out := flag.String("o", "", "write the page into this file as well")
	from := flag.String("from", "", "read what go test printed from this file instead: count is then what is in it")
	flag.Parse()
	if err := run(*count, *benchtime, *out, *from); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(count int, benchtime, out, from string) error {
	var text []byte
	var err error
	if from != "" {
		text, err = os.ReadFile(from)
	} else {
		text, err = rounds(count, benchtime)
	}
	if err != nil {
		return err
	}
	all := parse(text)
	if count = len(all["Cold/alg=RS256/impl=floor"]); count == 0 {
		return errors.New("no benchmark ran")
	}
	page := all.page(cpu(text), count, benchtime)
	fmt.Print(page)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(page), 0o644)
}

// rounds runs all benchmarks so many times, each time in a process of its own, and returns what they print.
func rounds(count int, benchtime string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "./bench")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go test -c: %w", err)
	}
	var text bytes.Buffer
	for range count {
		command := exec.Command(binary, "-test.run", "^$", "-test.bench", ".", "-test.benchtime", benchtime, "-test.timeout", "30m")
		command.Dir = "bench"
		command.Stdout, command.Stderr = io.MultiWriter(&text, os.Stderr), os.Stderr
		if err := command.Run(); err != nil {
			return nil, fmt.Errorf("the benchmarks: %w", err)
		}
	}
	return text.Bytes(), nil
}

// result is what a benchmark took in one round.
type result struct{ ns, clock, bytes, allocs, operations float64 }

func ns(r result) float64         { return r.ns }
func clock(r result) float64      { return r.clock }
func size(r result) float64       { return r.bytes }
func allocs(r result) float64     { return r.allocs }
func operations(r result) float64 { return r.operations }

// results are by a benchmark's name, and in the order of the rounds.
type results map[string][]result

var (
	line   = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+((?:\s+[\d.e+-]+ \S+)+)$`)
	metric = regexp.MustCompile(`([\d.e+-]+) (\S+)`)
)

func parse(text []byte) results {
	all := results{}
	for _, m := range line.FindAllSubmatch(text, -1) {
		by := map[string]float64{}
		for _, one := range metric.FindAllSubmatch(m[2], -1) {
			by[string(one[2])], _ = strconv.ParseFloat(string(one[1]), 64)
		}
		name := string(m[1])
		took, ok := by["cpu-ns/op"]
		if !ok {
			took = by["ns/op"]
		}
		all[name] = append(all[name], result{took, by["ns/op"], by["B/op"], by["allocs/op"], by["store-ops/req"]})
	}
	return all
}

// median is the one of what of makes of each round. It is not a number when a benchmark that it takes did not run.
func (all results) median(of func(in func(name string) result) float64) float64 {
	var values []float64
	for i := range all["Cold/alg=RS256/impl=floor"] {
		missing := false
		value := of(func(name string) result {
			if i >= len(all[name]) {
				missing = true
				return result{}
			}
			return all[name][i]
		})
		if !missing {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

func (all results) of(name string, what func(result) float64) float64 {
	return all.median(func(in func(string) result) float64 { return what(in(name)) })
}

// times is how many times the one is the other.
func (all results) times(name, other string, what func(result) float64) float64 {
	return all.median(func(in func(string) result) float64 { return what(in(name)) / what(in(other)) })
}

// added is what the one has more than the other.
func (all results) added(name, other string, what func(result) float64) float64 {
	return all.median(func(in func(string) result) float64 { return what(in(name)) - what(in(other)) })
}

// addedTimes is how many times what is added to bare by the one is what is added by the other.
func (all results) addedTimes(name, other, bare string, what func(result) float64) float64 {
	return all.median(func(in func(string) result) float64 {
		return (what(in(name)) - what(in(bare))) / (what(in(other)) - what(in(bare)))
	})
}

func cpu(text []byte) string {
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		if model, ok := strings.CutPrefix(s.Text(), "cpu: "); ok {
			return model
		}
	}
	return "an unknown processor"
}

// goal is one of the numbers that were set out to be met.
type goal struct {
	what string
	got  float64
	want float64 // at most; with part, one part in so many
	part bool    // got and want are how many times smaller it is than a floor: at least
	unit string
	why  string // what it costs, where that is known; told when it is short
}

func (g goal) verdict() string {
	switch {
	case math.IsNaN(g.got):
		return "not measured"
	case g.part && g.got >= g.want, !g.part && g.got <= g.want:
		return "met"
	case g.part:
		return fmt.Sprintf("**short by %.1f %%**", 100*(g.want/g.got-1))
	case g.want == 0 || g.unit != "":
		return fmt.Sprintf("**short by %s%s**", number(g.got-g.want), g.unit)
	}
	return fmt.Sprintf("**short by %.1f %%**", 100*(g.got/g.want-1))
}

func (g goal) row() string {
	verdict := g.verdict()
	if strings.HasPrefix(verdict, "**") && g.why != "" {
		verdict += ": " + g.why
	}
	if g.part {
		return fmt.Sprintf("| %s | 1/%.0f | 1/%.0f | %s |\n", g.what, g.got, g.want, verdict)
	}
	return fmt.Sprintf("| %s | %s%s | %s%s | %s |\n", g.what, number(g.got), g.unit, number(g.want), g.unit, verdict)
}

// number writes a count as it is, and a fraction with four digits.
func number(f float64) string {
	switch {
	case math.IsNaN(f):
		return "-"
	case f == math.Trunc(f), math.Abs(f) >= 100:
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.4g", f)
}

// warm is what the time of a known token depends on.
const warm = "the tokens and what is cached of them do not fit into the processor's caches, and how much of the last one is ours differs from run to run"

// behind is what a guard behind another one does.
const behind = "it reads request, clock and response header again, so that a long-running handler, a forwarded request or middleware in between is not overlooked"

var frameworks = []struct {
	name  string
	most  float64 // allocations that a guard may add
	peers []string
}{{"gin", 4, []string{"gin-jwt"}}, {"echo", 4, []string{"echo-jwt"}}, {"echov5", 4, nil}, {"fiber", 2, []string{"contrib-jwt"}}, {"fiberv3", 2, nil}, {"chi", 4, []string{"jwtauth", "auth0"}}}

var peers = []string{"golang-jwt+keyfunc", "go-oidc", "jwx", "auth0"}

func (all results) page(model string, count int, benchtime string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by scripts/bench on %s: %s, %d of its cores, %s, %s/%s; medians of %d runs of %s each. Other
programs may have run on the machine: read the ratios, each against a floor measured in the same round. ns/op is processor time of the process, and
not the clock's, except for cores in parallel. [bench/](../bench/README.md) says how it is measured.

`, time.Now().UTC().Format(time.DateOnly), model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, count, benchtime)

	var goals []goal
	b.WriteString(`## A token not seen before

2,000 distinct tokens of 1,000 bytes. The floor is the signature check alone, including the hash. idserver also caches each token, in a cache too small to hold it
until it comes again; idserver-cacheless has no cache. Every library checks issuer, audience and times, and reads the claims.

| algorithm | | ns/op | times the floor | B/op | allocs/op |
|---|---|---|---|---|---|
`)
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		at := func(impl string) string { return "Cold/alg=" + alg + "/impl=" + impl }
		fastest, fewest := math.NaN(), math.NaN()
		for _, impl := range slices.Concat([]string{"floor", "idserver", "idserver-cacheless"}, peers) {
			name := at(impl)
			if len(all[name]) == 0 {
				fmt.Fprintf(&b, "| %s | %s | not measured | | | |\n", alg, impl)
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.0f | %.0f |\n", alg, impl, all.of(name, ns), all.times(name, at("floor"), ns), all.of(name, size), all.of(name, allocs))
			if slices.Contains(peers, impl) {
				fastest = larger(fastest, all.times(at("idserver"), name, ns))
				fewest = larger(fewest, all.times(at("idserver"), name, allocs))
			}
		}
		goals = append(goals,
			goal{what: "cold, " + alg + ", times the signature check", got: all.times(at("idserver"), at("floor"), ns), want: 1.15},
			goal{what: "cold, " + alg + ", allocations", got: all.of(at("idserver"), allocs), want: 25},
			goal{what: "cold, " + alg + ", time, of the fastest peer's", got: fastest, want: 1},
			goal{what: "cold, " + alg + ", allocations, of the peer's with the fewest", got: fewest, want: 1})
	}

	b.WriteString(`
## A token seen before

As many distinct tokens of 1,000 bytes as the row says, far apart in memory. The floor is the RS256 signature check alone, on one core. The tokens are signed with
EdDSA, which is faster to mint: the signature of a cached token is not verified again. 10,000 fit into the default cache, 100,000 into 256 MiB. The other libraries
cache nothing and take as long as above.

| tokens | | ns/op | of the floor | B/op | allocs/op |
|---|---|---|---|---|---|
`)
	floor := "Warm/alg=RS256/impl=floor"
	fmt.Fprintf(&b, "| none | floor | %.0f | 1 | %.0f | %.0f |\n", all.of(floor, ns), all.of(floor, size), all.of(floor, allocs))
	fmt.Fprintf(&b, "| none | floor, %d cores in parallel: %.1f times the throughput | %.0f | | %.0f | %.0f |\n", runtime.NumCPU(),
		all.times(floor, floor+"/parallel", clock), all.of(floor+"/parallel", clock), all.of(floor+"/parallel", size), all.of(floor+"/parallel", allocs))
	for _, row := range []struct {
		name string
		part float64
	}{{"10000", 60}, {"100000", 25}} {
		serial, parallel := "Warm/tokens="+row.name, "Warm/tokens="+row.name+"/parallel"
		for _, name := range []string{serial, parallel} {
			how, took := "one core", ns
			if name == parallel {
				took = clock
				how = fmt.Sprintf("%d cores in parallel: %.1f times the throughput", runtime.NumCPU(), all.times(serial, parallel, clock))
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f | 1/%.0f | %.0f | %.0f |\n", row.name, how, all.of(name, took), all.times(floor, name, took), all.of(name, size), all.of(name, allocs))
		}
		goals = append(goals,
			goal{what: "warm, " + row.name + " tokens, of the RS256 signature check", got: all.times(floor, serial, ns), want: row.part, part: true, why: warm},
			goal{what: "warm, " + row.name + " tokens, allocations", got: all.of(serial, allocs)})
	}

	b.WriteString(`
## In the frameworks

A request with a cached token (RS256), or a cached session, to a route whose handler looks at the user's roles and answers "ok", and what that adds to the same
route without a guard. The other libraries check issuer and audience as well.

| framework | | ns/op | ns added | B added | allocs added |
|---|---|---|---|---|---|
`)
	for _, f := range frameworks {
		at := func(impl string) string { return "Framework/in=" + f.name + "/impl=" + impl }
		row := func(title, name, bare string) {
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f | %.0f | %.0f |\n", f.name, title, all.of(name, ns), all.added(name, bare, ns), all.added(name, bare, size), all.added(name, bare, allocs))
		}
		bare := at("bare")
		row("floor: no guard", bare, bare)
		row("idserver, RequireUser", at("ours"), bare)
		row("idserver, RequireRole", at("role"), bare)
		row("idserver, RequireUser, then middleware that does nothing", at("next"), bare)
		row("idserver, RequireUser, then RequireRole", at("both"), bare)
		goals = append(goals,
			goal{what: f.name + ", by token, allocations added", got: all.added(at("ours"), bare, allocs), want: f.most},
			goal{what: f.name + ", RequireRole instead of RequireUser, time added", got: all.added(at("role"), at("ours"), ns), want: 100, unit: " ns"},
			goal{what: f.name + ", RequireRole instead of RequireUser, allocations added", got: all.added(at("role"), at("ours"), allocs)},
			goal{what: f.name + ", RequireRole after RequireUser, time added compared with middleware that does nothing", got: all.added(at("both"), at("next"), ns), want: 100, unit: " ns", why: behind},
			goal{what: f.name + ", RequireRole after RequireUser, allocations added compared with it", got: all.added(at("both"), at("next"), allocs)})
		for _, peer := range f.peers {
			row(peer, at(peer), bare)
			goals = append(goals,
				goal{what: f.name + ", time added, of " + peer + "'s", got: all.addedTimes(at("ours"), at(peer), bare, ns), want: 1},
				goal{what: f.name + ", allocations added, of " + peer + "'s", got: all.addedTimes(at("ours"), at(peer), bare, allocs), want: 1})
		}
		session := func(impl string) string { return "Session/in=" + f.name + "/impl=" + impl }
		row("idserver, by session", session("ours"), session("bare"))
		goals = append(goals, goal{what: f.name + ", by session, allocations added", got: all.added(session("ours"), session("bare"), allocs), want: f.most},
			goal{what: f.name + ", by session, RequireRole instead of RequireUser, time added", got: all.added(session("role"), session("ours"), ns), want: 100, unit: " ns"},
			goal{what: f.name + ", by session, RequireRole instead of RequireUser, allocations added", got: all.added(session("role"), session("ours"), allocs)},
			goal{what: f.name + ", by session, RequireRole after RequireUser, time added compared with middleware that does nothing", got: all.added(session("both"), session("next"), ns), want: 100, unit: " ns", why: behind},
			goal{what: f.name + ", by session, RequireRole after RequireUser, allocations added compared with it", got: all.added(session("both"), session("next"), allocs)})
	}

	goals = append(goals, all.sessionPaths(&b)...)
	goals = append(goals, all.boundTokens(&b)...)

	short := 0
	for _, g := range goals {
		if g.verdict() != "met" {
			short++
		}
	}
	fmt.Fprintf(&b, "\n## Goals\n\n%d of %d are met.\n\n| | measured | at most | |\n|---|---|---|---|\n", len(goals)-short, len(goals))
	for _, g := range goals {
		b.WriteString(g.row())
	}
	return b.String()
}

// larger is the larger of two numbers, of which the first may not be one yet.
func larger(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return max(a, b)
}
