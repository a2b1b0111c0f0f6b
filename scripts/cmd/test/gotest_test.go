package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestResults(t *testing.T) {
	for _, row := range []struct {
		name, events       string
		passed, failed     int
		skipped            []string
		faults             []fault
		printed, unprinted string
	}{
		{
			name: "passing tests are silent, and a test with subtests counts as these",
			events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"T"}
{"Action":"output","Package":"p","Test":"T","Output":"=== RUN   T\n"}
{"Action":"output","Package":"p","Test":"T","Output":"INFO signed in\n"}
{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"run","Package":"p","Test":"T/b"}
{"Action":"output","Package":"p","Test":"T/b","Output":"    x_test.go:2: no browser\n"}
{"Action":"output","Package":"p","Test":"T/b","Output":"    --- SKIP: T/b (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"T/b"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t1.5s\n"}
{"Action":"pass","Package":"p"}`,
			passed: 1, skipped: []string{"p T/b: x_test.go:2: no browser"}, printed: "ok  \tp\t1.5s", unprinted: "INFO",
		},
		{
			name: "a failing subtest is named, its parent only where it says something itself",
			events: `{"Action":"run","Package":"p","Test":"T"}
{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"output","Package":"p","Test":"T/a","Output":"    x_test.go:1: bad\n"}
{"Action":"output","Package":"p","Test":"T/a","Output":"    --- FAIL: T/a (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"T/a"}
{"Action":"output","Package":"p","Test":"T","Output":"--- FAIL: T (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}`,
			failed: 1, faults: []fault{{"p T/a", "    x_test.go:1: bad"}}, printed: "FAIL\tp\t0.1s",
		},
		{
			name: "a package that does not compile",
			events: `{"ImportPath":"p [p.test]","Action":"build-output","Output":"x.go:1: no\n"}
{"ImportPath":"p [p.test]","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p [p.test]"}`,
			failed: 1, faults: []fault{{"p", "x.go:1: no"}},
		},
		{
			name: "a package that ends without a test's failure",
			events: `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"panic: in init\n"}
{"Action":"fail","Package":"p"}`,
			failed: 1, faults: []fault{{"p", "panic: in init"}},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			if plain, err := newResults(r).read(strings.NewReader(row.events)); plain != "" || err != nil {
				t.Fatalf("%q %v", plain, err)
			}
			if r.passed != row.passed || r.failed != row.failed || !slices.Equal(r.skipped, row.skipped) {
				t.Errorf("%d passed, %d failed, skipped: %q", r.passed, r.failed, r.skipped)
			}
			if len(r.faults) != len(row.faults) {
				t.Fatalf("faults: %q", r.faults)
			}
			for i, f := range r.faults {
				if f != row.faults[i] {
					t.Errorf("%q, want %q", f, row.faults[i])
				}
			}
			if !strings.Contains(out.String(), row.printed) || row.unprinted != "" && strings.Contains(out.String(), row.unprinted) {
				t.Errorf("printed:\n%s", out.String())
			}
		})
	}
}

// What is no event is kept: it is why go test could not even begin.
func TestResultsPlain(t *testing.T) {
	plain, err := newResults(newReport(new(bytes.Buffer))).read(strings.NewReader("go: no go.mod\n{}\n"))
	if plain != "go: no go.mod\n{}\n" || err != nil {
		t.Errorf("%q %v", plain, err)
	}
}

func TestDoing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newResults(newReport(new(bytes.Buffer)))
		if got := s.doing(); got != "packages done: 0; compiling" {
			t.Errorf("%q", got)
		}
		for _, e := range []event{
			{Action: "start", Package: "q"}, {Action: "pass", Package: "q"}, {Action: "start", Package: modulePrefix + "core"},
			{Action: "run", Package: modulePrefix + "core", Test: "T"}, {Action: "run", Package: modulePrefix + "core", Test: "T/a"},
		} {
			s.take(e)
		}
		time.Sleep(12 * time.Second)
		if got := s.doing(); got != "packages done: 1; core T/a 12 s" {
			t.Errorf("%q", got)
		}
	})
}
