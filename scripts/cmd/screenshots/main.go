// Command screenshots makes the pictures of README.md from the running examples. With a folder as its argument it instead
// puts a picture of every page there, wide and narrow, light and dark, for somebody to look at; with REDIS_URL, of the page of
// devices too.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	temporary, err := os.MkdirTemp("", "screenshots")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	var stop []func() error
	defer func() {
		for _, f := range stop {
			err = errors.Join(err, f())
		}
	}()
	start := func(name string, env ...string) (app string, err error) {
		app, end, err := example(temporary, name, env...)
		if err == nil {
			stop = append(stop, end)
		}
		return app, err
	}
	gin, err := start("gin")
	if err != nil {
		return err
	}

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.UserDataDir(filepath.Join(temporary, "profile")),
		chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx); err != nil { // the browser starts: one that never did cannot be ended
		return err
	}
	b := browser{ctx}
	defer func() { err = errors.Join(err, chromedp.Cancel(ctx)) }()

	if len(args) == 0 {
		return pictures(b, gin, filepath.Join("docs", "images"))
	}
	away, err := start("gin", "IDSERVER_AUTHORITY=http://127.0.0.1:9", "IDSERVER_CLIENT_ID=example", "SESSION_SECRET="+rand.Text()+rand.Text())
	if err != nil {
		return err
	}
	sgID, err := start("sgid")
	if err != nil {
		return err
	}
	return everyPage(b, args[0], gin, away, sgID)
}

// example builds and starts an example, and returns its address and what stops it.
func example(folder, name string, env ...string) (app string, stop func() error, err error) {
	binary := filepath.Join(folder, name)
	if out, err := exec.Command("go", "build", "-o", binary, "./examples/"+name).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("%w\n%s", err, out)
	}
	program := exec.Command(binary)
	program.Env = append(append(os.Environ(), "ADDR=127.0.0.1:0", "APPLICATION_NAME=Example"), env...)
	out, err := program.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := program.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error { return errors.Join(program.Process.Signal(syscall.SIGTERM), program.Wait()) }
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return "", nil, errors.Join(fmt.Errorf("%s does not start", name), stop())
	}
	return strings.TrimPrefix(lines.Text(), "open "), stop, nil
}

// pictures makes those of README.md.
func pictures(b browser, app, folder string) error {
	return b.each(folder, []shot{
		{"sign-in", app + "/auth/login?return_to=/profile", ""},
		{"profile", "", `button[value="alice"]`},
		{"", app + "/auth/login", ""},
		{"", "", `button[value="carol"]`},
		{"refused", app + "/admin", ""},
	}, "", 900, 680)
}

// everyPage makes a picture of each page, in each size and colour.
func everyPage(b browser, folder, app, away, sgID string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	devices := shot{"", app + "/", ""}
	if os.Getenv("REDIS_URL") != "" { // otherwise there is no such page
		devices = shot{"devices", app + "/devices", ""}
	}
	for _, size := range []int64{1280, 390} {
		for _, colour := range []string{"light", "dark"} {
			if err := b.emulate(colour); err != nil {
				return err
			}
			suffix := fmt.Sprintf("-%d-%s", size, colour)
			if err := b.each(folder, []shot{
				{"home-out", app + "/", ""},
				{"sign-out-nobody", app + "/auth/logout", ""},
				{"provider", app + "/auth/login", ""},
				{"home-in", "", `button[value="alice"]`},
				{"profile", app + "/profile", ""},
				{"admin", app + "/admin", ""},
				devices,
				{"sign-out", app + "/auth/logout", ""},
				{"", app + "/auth/login", ""},
				{"", "", `button[value="carol"]`},
				{"forbidden", app + "/admin", ""},
				{"bad-callback", app + "/auth/callback?code=x&state=a&state=b", ""},
				{"bad-link", app + "/auth/login?app_data=%ff", ""},
				{"", app + "/", ""},
				{"", "", `form[action="/auth/logout"] button`},
				{"bad-callback-out", app + "/auth/callback?code=x&state=a&state=b", ""},
				{"unavailable", away + "/auth/login?return_to=/profile", ""},
				{"sgid-home-out", sgID + "/", ""},
				{"sgid-spa-out", sgID + "/spa", ""},
				{"sgid-provider", sgID + "/auth/login?return_to=/profile&app_data=Durian", ""},
				{"sgid-profile", "", `button[value="arun"]`},
				{"sgid-home-in", sgID + "/", ""},
				{"sgid-spa-in", sgID + "/spa", ""},
				{"", sgID + "/", ""},
				{"", "", `form[action="/auth/logout"] button`},
			}, suffix, size, 800); err != nil {
				return err
			}
		}
	}
	return nil
}

// shot is a page to go to, by its address or by a click, and the name of its picture if it is to have one.
type shot struct{ name, address, click string }

type browser struct{ ctx context.Context }

func (b browser) emulate(colour string) error {
	_, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (cdp.Empty, error) {
		return cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colour}},
		})
	})
	return err
}

func (b browser) each(folder string, shots []shot, suffix string, width, height int64) error {
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, height)); err != nil {
		return err
	}
	for _, s := range shots {
		if err := b.take(folder, s, suffix); err != nil {
			return fmt.Errorf("%s%s at %q: %w", s.name, suffix, s.address, err)
		}
	}
	return nil
}

func (b browser) take(folder string, s shot, suffix string) error {
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	step := chromedp.Navigate(s.address)
	if s.click != "" {
		step = chromedp.Click(s.click, chromedp.NodeVisible)
		if _, err := chromedp.RunResponse(ctx, step); err != nil {
			return err
		}
	} else if err := chromedp.Do(ctx, step); err != nil {
		return err
	}
	if s.name == "" {
		return nil
	}
	if err := chromedp.Do(ctx, chromedp.Sleep(200*time.Millisecond)); err != nil { // a page that fetches shows nothing at first
		return err
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, s.name+suffix+".png"), png, 0o644)
}
