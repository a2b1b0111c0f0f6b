//go:build unix

package main

import (
	"io"
	"os"
	"testing"
)

// What a command leaves running is ended with it: the pipe that it holds is closed.
func TestNothingIsLeftRunning(t *testing.T) {
	held, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command := prepare(t.Context(), "", nil, "sh", "-c", "sleep 600 >/dev/null 2>&1 &")
	command.ExtraFiles = []*os.File{writer}
	if err := wait(command); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if _, err := io.ReadAll(held); err != nil {
		t.Fatal(err)
	}
}
