// Command table runs the benchmarks of this module and writes what they say as one page: floors, peers and us side by side.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	count := flag.Int("count", 5, "how often each benchmark runs; the median counts")
	benchtime := flag.String("benchtime", "300ms", "how long each run lasts")
	out := flag.String("o", "", "write the page into this file as well")
	from := flag.String("from", "", "read the output of an earlier run from this file instead")
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
		command := exec.Command("go", "test", "-run", "^$", "-bench", ".", "-timeout", "60m", "-count", strconv.Itoa(count), "-benchtime", benchtime, "./bench")
		var b bytes.Buffer
		command.Stdout, command.Stderr = io.MultiWriter(&b, os.Stderr), os.Stderr
		err = command.Run()
		text = b.Bytes()
	}
	if err != nil {
		return err
	}
	all := parse(text)
	if len(all) == 0 {
		return errors.New("no benchmark ran")
	}
	page := all.page(cpu(text), count, benchtime)
	fmt.Print(page)
	if out == "" {
		return nil
	}
	return os.WriteFile(out, []byte(page), 0o644)
}

// result is the median of a benchmark's runs.
type result struct{ ns, bytes, allocs float64 }

type results map[string]result

var line = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op\s+([\d.]+) B/op\s+([\d.]+) allocs/op`)

func parse(text []byte) results {
	runs := map[string][]result{}
	for _, m := range line.FindAllSubmatch(text, -1) {
		number := func(i int) float64 { f, _ := strconv.ParseFloat(string(m[i]), 64); return f }
		runs[string(m[1])] = append(runs[string(m[1])], result{number(2), number(3), number(4)})
	}
	all := results{}
	for name, of := range runs {
		median := func(field func(result) float64) float64 {
			var values []float64
			for _, r := range of {
				values = append(values, field(r))
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		all[name] = result{
			median(func(r result) float64 { return r.ns }), median(func(r result) float64 { return r.bytes }), median(func(r result) float64 { return r.allocs }),
		}
	}
	return all
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
	want float64 // at most
	unit string
}

func (g goal) row() string {
	verdict := "met"
	if g.got > g.want {
		verdict = fmt.Sprintf("short by %.0f %%", 100*(g.got/g.want-1))
		if g.want == 0 {
			verdict = "short"
		}
	}
	return fmt.Sprintf("| %s | %.4g%s | %.4g%s | %s |\n", g.what, g.got, g.unit, g.want, g.unit, verdict)
}

var frameworks = []struct {
	name  string
	most  float64 // allocations that a guard may add
	peers []string
}{{"gin", 4, []string{"gin-jwt"}}, {"echo", 4, []string{"echo-jwt"}}, {"fiber", 2, []string{"contrib-jwt"}}, {"chi", 4, []string{"jwtauth", "auth0"}}}

func (all results) page(model string, count int, benchtime string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Benchmarks

Written by scripts/bench on %s: %s, %d of its cores, %s, %s/%s; medians of %d runs of %s. The machine was not alone: read the ratios, which are against a floor
of the same run. What each row does is in [bench/](../bench/README.md).

`, time.Now().UTC().Format(time.DateOnly), model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, count, benchtime)

	var goals []goal
	b.WriteString("## A token not seen before\n\n1,000 bytes, 2,000 distinct ones; the floor is the bare signature check, its hash included. idserver remembers each as well.\n\n")
	b.WriteString("| algorithm | | ns/op | ratio | B/op | allocs/op |\n|---|---|---|---|---|---|\n")
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		floor := all["Cold/alg="+alg+"/impl=floor"]
		for _, impl := range []string{"floor", "idserver", "golang-jwt+keyfunc", "go-oidc", "jwx", "auth0"} {
			r, ok := all["Cold/alg="+alg+"/impl="+impl]
			if !ok {
				fmt.Fprintf(&b, "| %s | %s | cannot do it | | | |\n", alg, impl)
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.0f | %.0f |\n", alg, impl, r.ns, r.ns/floor.ns, r.bytes, r.allocs)
		}
		own := all["Cold/alg="+alg+"/impl=idserver"]
		goals = append(goals, goal{"cold, " + alg + ", times the bare check", own.ns / floor.ns, 1.15, ""}, goal{"cold, " + alg + ", allocations", own.allocs, 25, ""})
	}

	floor := all["Cold/alg=RS256/impl=floor"]
	b.WriteString("\n## A token seen before\n\nDistinct tokens, asked for far apart; the floor is the bare RS256 check.\n\n| tokens | ns/op | of the floor | B/op | allocs/op |\n|---|---|---|---|---|\n")
	for _, row := range []struct {
		name string
		part float64
	}{{"10000", 60}, {"100000", 25}} {
		for _, way := range []string{"", "/parallel"} {
			r := all["Warm/tokens="+row.name+way]
			fmt.Fprintf(&b, "| %s%s | %.0f | 1/%.0f | %.0f | %.0f |\n", row.name, strings.ReplaceAll(way, "/", ", "), r.ns, floor.ns/r.ns, r.bytes, r.allocs)
		}
		r := all["Warm/tokens="+row.name]
		goals = append(goals, goal{"warm, " + row.name + " tokens, of the RS256 check", r.ns / floor.ns, 1 / row.part, ""}, goal{"warm, " + row.name + " tokens, allocations", r.allocs, 0, ""})
	}

	b.WriteString("\n## In the frameworks\n\nA request with a known token, or a known session, to a route that answers \"ok\"; what is added to the same route without a guard.\n\n")
	b.WriteString("| framework | | ns added | B added | allocs added |\n|---|---|---|---|---|\n")
	for _, f := range frameworks {
		bare := all["Framework/in="+f.name+"/impl=bare"]
		row := func(name string, r, bare result) {
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f | %.0f |\n", f.name, name, r.ns-bare.ns, r.bytes-bare.bytes, r.allocs-bare.allocs)
		}
		own, role := all["Framework/in="+f.name+"/impl=ours"], all["Framework/in="+f.name+"/impl=role"]
		row("idserver, RequireUser", own, bare)
		row("idserver, RequireRole", role, bare)
		goals = append(goals, goal{f.name + ", by token, allocations added", own.allocs - bare.allocs, f.most, ""},
			goal{f.name + ", a role, time added", role.ns - own.ns, 100, " ns"}, goal{f.name + ", a role, allocations added", role.allocs - own.allocs, 0, ""})
		for _, peer := range f.peers {
			r := all["Framework/in="+f.name+"/impl="+peer]
			row(peer, r, bare)
			goals = append(goals, goal{f.name + ", time added, of " + peer + "'s", (own.ns - bare.ns) / (r.ns - bare.ns), 1, ""},
				goal{f.name + ", allocations added, of " + peer + "'s", (own.allocs - bare.allocs) / (r.allocs - bare.allocs), 1, ""})
		}
		bare, own = all["Session/in="+f.name+"/impl=bare"], all["Session/in="+f.name+"/impl=ours"]
		row("idserver, by session", own, bare)
		goals = append(goals, goal{f.name + ", by session, allocations added", own.allocs - bare.allocs, f.most, ""})
	}

	b.WriteString("\n## Goals\n\n| | measured | at most | |\n|---|---|---|---|\n")
	for _, g := range goals {
		b.WriteString(g.row())
	}
	return b.String()
}
