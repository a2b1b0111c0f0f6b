package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// nodePrograms are the folders of scripts/ with providers and a client that run in Node.js, and the variables in which scripts/e2e expects
// them.
var nodePrograms = []struct{ folder, variable string }{
	{"oidc-provider", "OIDC_PROVIDER"},
	{"mockpass", "MOCKPASS"},
	{"openid-client", "OPENID_CLIENT"},
}

// endToEnd drives the examples from outside. Chromium, nginx and Node.js are installed where that is possible; the tests that need one
// that is missing skip themselves, as E2E_LEFT_OUT tells them to.
func endToEnd(ctx context.Context, r *report, want options) error {
	var env, leftOut []string
	if missing := needed(want.noBrowser, "-no-browser", func() string {
		return install(ctx, r, "chromium|chromium-browser|google-chrome", "chromium")
	}); missing != "" {
		r.leaveOut("end to end: the tests in Chromium (" + missing + ")")
		leftOut = append(leftOut, "chromium")
	}
	if missing := installServer(ctx, r, "nginx|/usr/sbin/nginx", "nginx", "nginx"); missing != "" { // /usr/sbin is not in everybody's PATH
		r.leaveOut("end to end: the examples behind nginx (" + missing + ")")
		leftOut = append(leftOut, "nginx")
	}
	if missing := needed(want.noNode, "-no-node", func() string {
		if missing := install(ctx, r, "node", "nodejs"); missing != "" {
			return missing
		}
		return install(ctx, r, "npm", "npm")
	}); missing != "" {
		r.leaveOut("end to end: oidc-provider, MockPass and openid-client (" + missing + ")")
		leftOut = append(leftOut, "node")
	} else {
		for _, p := range nodePrograms {
			dir, err := installNode(ctx, r, p.folder)
			if err != nil {
				return err
			}
			env = append(env, p.variable+"="+dir)
		}
	}
	servers, missing := testServers(ctx, r)
	leftOut = append(leftOut, missing...)
	env = append(append(env, servers...), "E2E_LEFT_OUT="+strings.Join(leftOut, " "))
	// Those that run in parallel wait, mostly: for a token to end, or for a server that is away. There may be more of them than processors.
	return goTest(ctx, r, env, "-race", "-count=1", "-parallel", "6", "-timeout", "20m", "-tags", "e2e", "./scripts/e2e/...")
}

// needed says why something is left out: by a flag, or because it could not be had.
func needed(refused bool, flag string, have func() (missing string)) (missing string) {
	if refused {
		return flag
	}
	return have()
}

// installNode installs what a folder's package-lock.json pins, in the user's cache.
func installNode(ctx context.Context, r *report, folder string) (dir string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir = filepath.Join(cache, "idserver-go", folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join("scripts", folder, "*"))
	if err != nil {
		return "", err
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, filepath.Base(name)), content, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	r.does("npm ci of " + folder)
	if err := run(ctx, dir, nil, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return "", fmt.Errorf("%w\n(-no-node leaves it out)", err)
	}
	return dir, nil
}
