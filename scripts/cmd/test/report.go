package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// quiet is for how long nothing may be printed: after it one line says what runs.
const quiet = 10 * time.Second

// tail is how many lines of a fault's output are shown.
const tail = 120

// A step is one line of the report. An error that it returns is a fault of its own, beside those that it reported.
type step struct {
	name string
	run  func(ctx context.Context, r *report) error
}

// A fault is what is repeated at the end.
type fault struct{ name, output string }

// report is what a person sees. Its methods may be called at the same time.
type report struct {
	mu      sync.Mutex
	out     io.Writer
	begun   time.Time
	printed time.Time
	open    bool // the last line has no end yet
	step    string
	stepAt  time.Time
	doing   func() string // more than the step's name, or nil

	passed, failed int
	faults         []fault
	skipped        []string // tests, and why
	leftOut        []string
}

func newReport(out io.Writer) *report {
	now := time.Now()
	return &report{out: out, begun: now, printed: now}
}

// run runs the steps in order. All are run, so that one fault does not hide the next; only a signal ends it early.
func (r *report) run(ctx context.Context, steps []step) {
	for i, s := range steps {
		if ctx.Err() != nil {
			r.fault("interrupted before: "+s.name, "")
			return
		}
		name := fmt.Sprintf("[%d/%d] %s", i+1, len(steps), s.name)
		begun := r.begin(name, s.name)
		if err := s.run(ctx, r); err != nil {
			r.fault(s.name, err.Error())
		}
		r.end(name, begun)
	}
}

func (r *report) begin(name, step string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endLine()
	r.step, r.stepAt, r.doing, r.open, r.printed = step, time.Now(), nil, true, time.Now()
	fmt.Fprintf(r.out, "%s … ", name)
	return r.stepAt
}

func (r *report) end(name string, begun time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := time.Since(begun).Round(time.Second)
	if r.open {
		fmt.Fprintf(r.out, "%d s\n", int(took.Seconds()))
		r.open = false
	} else {
		fmt.Fprintf(r.out, "%s … %d s\n", name, int(took.Seconds()))
	}
	r.step, r.printed = "", time.Now()
}

// line prints one line.
func (r *report) line(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.endLine()
	fmt.Fprintln(r.out, text)
	r.printed = time.Now()
}

func (r *report) endLine() {
	if r.open {
		fmt.Fprintln(r.out)
		r.open = false
	}
}

// does says what the step does now, for the lines of watch.
func (r *report) does(what string) { r.doesAsTold(func() string { return what }) }

// doesAsTold is does with words that change.
func (r *report) doesAsTold(what func() string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doing = what
}

// fault counts one failure, prints it, and keeps it for the end.
func (r *report) fault(name, output string) {
	f := fault{name, lastLines(output, tail)}
	r.mu.Lock()
	r.failed++
	r.faults = append(r.faults, f)
	r.mu.Unlock()
	r.line(f.String())
}

func (r *report) leaveOut(what string) {
	r.mu.Lock()
	r.leftOut = append(r.leftOut, what)
	r.mu.Unlock()
	r.line("left out: " + what)
}

// watch prints a line whenever nothing was printed for a while, until ctx ends.
func (r *report) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.remind()
		}
	}
}

func (r *report) remind() {
	r.mu.Lock()
	step, doing, since := r.step, r.doing, time.Since(r.stepAt)
	due := step != "" && time.Since(r.printed) >= quiet
	r.mu.Unlock()
	if !due {
		return
	}
	if doing != nil {
		step = doing()
	}
	r.line(fmt.Sprintf("      %d s: %s", int(since.Seconds()), step))
}

// close prints what was left out and what failed, and as its last line the counts. It reports whether all is well: with
// nothingLeftOut that is so only where nothing was left out.
func (r *report) close(nothingLeftOut bool) bool {
	if nothingLeftOut && len(r.leftOut) > 0 {
		r.failed++
		r.faults = append(r.faults, fault{"-all, and something was left out", strings.Join(r.leftOut, "\n")})
	}
	fmt.Fprintln(r.out)
	for _, what := range r.leftOut {
		fmt.Fprintln(r.out, "left out:", what)
	}
	for _, test := range r.skipped {
		fmt.Fprintln(r.out, "skipped itself:", test)
	}
	for _, f := range r.faults {
		fmt.Fprintln(r.out, f)
	}
	if len(r.faults) > 1 {
		fmt.Fprintln(r.out, "failed:")
		for _, f := range r.faults {
			fmt.Fprintln(r.out, "  "+f.name)
		}
	}
	fmt.Fprintf(r.out, "after %d s:\n%d passed, %d failed\n", int(time.Since(r.begun).Seconds()), r.passed, r.failed)
	return r.failed == 0
}

func (f fault) String() string {
	var text strings.Builder
	text.WriteString("FAILED: " + f.name)
	for line := range strings.Lines(f.output) {
		text.WriteString("\n    " + strings.TrimRight(line, "\r\n"))
	}
	return text.String()
}

// lastLines returns the last n lines, and before them the first of more: a test says there what it wanted, and what its programs
// printed comes after.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	first := n / 4
	if len(lines) <= n+first {
		return strings.Join(lines, "\n")
	}
	left := fmt.Sprintf("(%d lines more)", len(lines)-n-first)
	return strings.Join(slices.Concat(lines[:first], []string{left}, lines[len(lines)-n:]), "\n")
}
