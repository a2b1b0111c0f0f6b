package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// install looks for a command, or one of several with | between, and where there is none installs the Debian package that has
// it. Where that cannot be done it says why.
func install(ctx context.Context, r *report, command, pkg string) (missing string) {
	if found(command) {
		return ""
	}
	absent := "no " + strings.ReplaceAll(command, "|", " or ")
	if !found("apt-get") {
		return absent + ", and no apt-get to install it with"
	}
	var as []string
	if os.Getuid() != 0 {
		as = []string{"sudo", "-n"}
		if !found("sudo") || run(ctx, "", nil, "sudo", "-n", "true") != nil {
			return absent + ", and this user may not install it"
		}
	}
	as = append(as, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Acquire::Retries=3")
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", pkg}} {
		r.does("installing " + pkg + " (apt-get " + args[0] + ")")
		whole := append(append([]string(nil), as...), args...)
		if err := run(ctx, "", nil, whole[0], whole[1:]...); err != nil {
			r.line(err.Error())
			return absent + ", and apt-get cannot install it"
		}
	}
	if !found(command) {
		return absent + ", though the package " + pkg + " is installed"
	}
	return ""
}

func found(command string) bool {
	for name := range strings.SplitSeq(command, "|") {
		names := []string{name}
		if strings.Contains(name, "*") { // a folder that has the version in its name
			names, _ = filepath.Glob(name)
		}
		for _, name := range names {
			if _, err := exec.LookPath(name); err == nil {
				return true
			}
		}
	}
	return false
}
