package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A step that takes a minute prints a line at least every 15 s, which says what runs and for how long.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		r := newReport(&out)
		ctx, cancel := context.WithCancel(t.Context())
		go r.watch(ctx)
		r.run(ctx, []step{{"slow", func(_ context.Context, r *report) error {
			time.Sleep(25500 * time.Millisecond)
			r.does("compiling")
			time.Sleep(39700 * time.Millisecond)
			return nil
		}}, {"fast", func(context.Context, *report) error { return nil }}})
		cancel()
		synctest.Wait()
		const want = `[1/2] slow … 
      10 s: slow
      20 s: slow
      30 s: compiling
      40 s: compiling
      50 s: compiling
      60 s: compiling
[1/2] slow … 65 s
[2/2] fast … 0 s
`
		if got := out.String(); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	})
}

// The last line has the counts, and nothing else; what failed is repeated before it.
func TestClose(t *testing.T) {
	for _, row := range []struct {
		name        string
		steps       []step
		all, isWell bool
		want        string
	}{
		{"well", []step{passing}, false, true, "\nafter 0 s:\n2 passed, 0 failed\n"},
		{"left out", []step{passing, leavingOut}, false, true, "\nleft out: the browser (none)\nafter 0 s:\n2 passed, 0 failed\n"},
		{"left out, with -all", []step{leavingOut}, true, false,
			"\nleft out: the browser (none)\nFAILED: -all, and something was left out\n    the browser (none)\nafter 0 s:\n0 passed, 1 failed\n"},
		{"two faults", []step{failing, passing, failing}, false, false,
			"\nFAILED: bad\n    it is bad\nFAILED: bad\n    it is bad\nfailed:\n  bad\n  bad\nafter 0 s:\n2 passed, 2 failed\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				r := newReport(&out)
				r.run(t.Context(), row.steps)
				out.Reset()
				if got := r.close(row.all); got != row.isWell || out.String() != row.want {
					t.Errorf("%v\n%s\nwant\n%s", got, out.String(), row.want)
				}
			})
		})
	}
}

var (
	passing = step{"good", func(_ context.Context, r *report) error {
		r.pass()
		r.pass()
		return nil
	}}
	failing    = step{"bad", func(context.Context, *report) error { return errors.New("it is bad") }}
	leavingOut = step{"partly", func(_ context.Context, r *report) error {
		r.leaveOut("the browser (none)")
		return nil
	}}
)

// After a signal no further step is run, and all is not well.
func TestInterrupted(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.run(ctx, []step{{"never", func(context.Context, *report) error {
		t.Error("it was run")
		return nil
	}}})
	if r.close(false) {
		t.Error("all is well")
	}
}

func TestLastLines(t *testing.T) {
	if got, want := lastLines("a\nb\nc\n", 3), "a\nb\nc"; got != want {
		t.Errorf("%q", got)
	}
	if got, want := lastLines("first\n"+strings.Repeat("a\n", 8)+"b\n", 4), "first\n(5 lines more)\na\na\na\nb"; got != want {
		t.Errorf("%q", got)
	}
}
