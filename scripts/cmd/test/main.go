// Command test runs everything that is tested here, step by step, and says at the end what failed and what was left out.
// scripts/test builds and starts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	var want options
	flag.BoolVar(&want.unit, "unit", false, "only build, vet and the tests of the modules: needs nothing but Go, on any system")
	flag.BoolVar(&want.quick, "quick", false, "without the end-to-end tests and without using each module by itself")
	flag.BoolVar(&want.noBrowser, "no-browser", false, "without the tests in Chromium")
	flag.BoolVar(&want.noNode, "no-node", false, "without the tests that need Node.js: oidc-provider, MockPass and openid-client")
	flag.BoolVar(&want.all, "all", false, "fail where something would be left out")
	flag.StringVar(&want.only, "only", "", "run only the steps whose name has this in it, such as 'end to end'")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: scripts/test [-unit | -quick] [-no-browser] [-no-node] [-all] [-only STEP]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := noSuchStep(want); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/test: -only:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	r := newReport(os.Stdout)
	go r.watch(ctx)
	chosen, leftOut := steps(want)
	for _, what := range leftOut {
		r.leaveOut(what)
	}
	r.run(ctx, chosen)
	stop()
	if !r.close(want.all) {
		os.Exit(1)
	}
}
