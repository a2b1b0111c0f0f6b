// Command screenshots makes the pictures of README.md from the running example.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/chromedp"
)

func main() {
	if err := run(filepath.Join("docs", "images")); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(folder string) (err error) {
	temporary, err := os.MkdirTemp("", "screenshots")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	binary := filepath.Join(temporary, "gin")
	if out, err := exec.Command("go", "build", "-o", binary, "./examples/gin").CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	example := exec.Command(binary)
	example.Env = append(os.Environ(), "ADDR=127.0.0.1:0")
	out, err := example.StdoutPipe()
	if err != nil {
		return err
	}
	if err := example.Start(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, example.Process.Signal(syscall.SIGTERM), example.Wait())
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return errors.New("the example does not start")
	}
	app := strings.TrimPrefix(lines.Text(), "open ")

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.UserDataDir(filepath.Join(temporary, "profile")),
		chromedp.WindowSize(900, 680), chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(900, 680), chromedp.Navigate(app+"/auth/login?return_to=/profile"), chromedp.WaitVisible(`button[value="alice"]`)); err != nil {
		return err
	}
	if err := shoot(ctx, filepath.Join(folder, "sign-in.png")); err != nil {
		return err
	}
	if err := chromedp.Do(ctx, chromedp.Click(`button[value="alice"]`), chromedp.WaitVisible(`table`)); err != nil {
		return err
	}
	return errors.Join(shoot(ctx, filepath.Join(folder, "profile.png")), chromedp.Cancel(ctx))
}

func shoot(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	return os.WriteFile(name, png, 0o644)
}
