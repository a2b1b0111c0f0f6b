//go:build e2e

package e2e

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// chromium finds the browser's program.
func chromium(t *testing.T) string {
	t.Helper()
	leftOut(t, "chromium")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no chromium in PATH: scripts/test installs it")
	return ""
}

// window opens a browser with a profile of its own.
func window(t *testing.T, more ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(900, 620),
		chromedp.Flag("headless", "new"), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options, more...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser to end
		cancel()
	})
	if _, err := chromedp.Run(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// act does one thing in a window.
func act(t *testing.T, ctx context.Context, what string, step chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, step); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func open(t *testing.T, ctx context.Context, address string) {
	t.Helper()
	act(t, ctx, "opening "+address, chromedp.Navigate(address))
}

func click(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	act(t, ctx, "clicking "+selector, chromedp.Click(selector, chromedp.NodeVisible))
}

// sees waits until the page says words, and returns its address. A page that is being left cannot be asked, and is
// asked again.
func sees(t *testing.T, ctx context.Context, words string) (at string) {
	t.Helper()
	deadline, again := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer again.Stop()
	for {
		page, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](`[location.href, document.body ? document.body.innerText : ""]`))
		if err == nil && len(page) == 2 && strings.Contains(page[1], words) {
			return page[0]
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("the page does not say %q: %v %v", words, page, err)
		}
	}
}

// A person signs in, looks around, signs out, and another one signs in, in a real browser.
func TestInChromium(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		p := start(t, []string{"ADDR=127.0.0.1:0"}, binary)
		app, provider := p.line("open"), p.line("provider")
		ctx := window(t)

		open(t, ctx, app)
		sees(t, ctx, "You are signed out")
		click(t, ctx, `a[href="/auth/login"]`)
		if at := sees(t, ctx, "Alice Tan"); !strings.HasPrefix(at, provider+"/connect/authorize") {
			t.Fatalf("signing in at %s", at)
		}
		click(t, ctx, `button[value="alice"]`)
		if at := sees(t, ctx, "Hello, Alice Tan"); at != app+"/" {
			t.Errorf("signed in at %s", at)
		}
		click(t, ctx, `a[href="/profile"]`)
		sees(t, ctx, "alice@example.test")
		click(t, ctx, `a[href="/admin"]`)
		sees(t, ctx, "you have the role admin")
		if cookie, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.cookie`)); err != nil || cookie != "" {
			t.Errorf("a script reads the cookies %q, %v", cookie, err)
		}

		open(t, ctx, app)
		click(t, ctx, `form[action="/auth/logout"] button`)
		if at := sees(t, ctx, "You are signed out"); at != app+"/" {
			t.Errorf("signed out at %s", at)
		}

		// The pages that she saw are not in the browser any more.
		act(t, ctx, "back to a page of alice's", chromedp.Evaluate[chromedp.Void](`void setTimeout(() => history.go(-3), 50)`))
		if at := sees(t, ctx, "Alice Tan"); !strings.HasPrefix(at, provider+"/connect/authorize") {
			t.Errorf("signed out, going back shows %s", at)
		}

		open(t, ctx, app+"/admin")
		sees(t, ctx, "Bob Lim")
		click(t, ctx, `button[value="bob"]`)
		if at := sees(t, ctx, "insufficient_role"); at != app+"/admin" {
			t.Errorf("bob is refused at %s", at)
		}

		// Back to the provider's page and once more: neither a loop nor an error.
		act(t, ctx, "back", chromedp.Evaluate[chromedp.Void](`void setTimeout(() => history.back(), 50)`))
		sees(t, ctx, "Carol Ng")
		act(t, ctx, "carol's button", chromedp.Evaluate[chromedp.Void](`void setTimeout(() => document.querySelector('button[value="carol"]').click(), 50)`))
		if at := sees(t, ctx, "insufficient_role"); at != app+"/admin" {
			t.Errorf("after going back: %s", at)
		}
		open(t, ctx, app)
		sees(t, ctx, "Hello, ")
	})
}
