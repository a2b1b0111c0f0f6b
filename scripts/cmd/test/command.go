package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

const modulePrefix = "github.com/signward/idserver-go/"

// run runs a program in dir (the repository's root if empty), and returns its output as an error where it fails. Nothing that
// it started is left behind.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	out, err := output(ctx, dir, env, name, args...)
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// output is run for a program whose output is wanted, that of stderr with it.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	var out bytes.Buffer
	command := prepare(ctx, dir, env, name, args...)
	command.Stdout, command.Stderr = &out, &out
	err := wait(command)
	return out.String(), err
}

// goTest runs go test with what is counted and what is kept of it going to the report.
func goTest(ctx context.Context, r *report, env []string, args ...string) error {
	command := prepare(ctx, "", env, "go", append([]string{"test", "-json", "-vet=off"}, args...)...)
	var stderr bytes.Buffer
	events, writer := io.Pipe()
	command.Stdout, command.Stderr = writer, &stderr
	ended := make(chan error, 1)
	go func() {
		err := wait(command)
		writer.CloseWithError(io.EOF)
		ended <- err
	}()
	results, failedBefore := newResults(r), r.failures()
	r.doesAsTold(results.doing)
	plain, err := results.read(events)
	status := <-ended
	if err != nil || status == nil || r.failures() > failedBefore && ctx.Err() == nil {
		return err // what failed is reported, test by test
	}
	return fmt.Errorf("go test: %w\n%s%s", status, plain, stderr.String())
}

func (r *report) failures() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// trimmed has packages compiled without the names of folders in them: what one step has compiled, another takes from the cache,
// wherever its modules lie (scripts/internal/modproxy).
var trimmed = "GOFLAGS=" + strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath")

func prepare(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, slices.Concat(os.Environ(), []string{trimmed}, env)
	inGroup(command)
	command.WaitDelay = 20 * time.Second
	return command
}

// wait runs the command, and ends what it left running.
func wait(command *exec.Cmd) error {
	if err := command.Start(); err != nil {
		return err
	}
	err := command.Wait()
	endGroup(command)
	if errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("it left programs running, which hold its output: %w", err)
	}
	return err
}
