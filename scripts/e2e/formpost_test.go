//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// A response that is posted arrives from another site, with the cookies of the sign-in in progress and no others: a cookie jar
// of Go's would send them all, so that only a browser shows it.
func TestFormPostInChromium(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "formpost")
	buildProgram(t, binary, "./scripts/e2e/testdata/formpost")
	p := start(t, nil, binary)
	app, provider := p.line("open"), p.line("provider")
	ctx := window(t, chromedp.Flag("ignore-certificate-errors", true)) // both have a certificate that nobody signed

	open(t, ctx, app)
	if at := sees(t, ctx, "Alice Tan"); !strings.HasPrefix(at, provider+"/connect/authorize") {
		t.Fatalf("signing in at %s", at)
	}
	click(t, ctx, `button[value="alice"]`)
	if at := sees(t, ctx, "Hello, alice@example.test, shown as Zoë Lim"); at != app+"/" {
		t.Errorf("signed in at %s", at)
	}
	if n := strings.Count(p.log.String(), "idserver: signed in"); n != 1 {
		t.Errorf("signed in %d times: the first response was lost", n)
	}

	// Back to the provider's page and once more, with the session there: neither a loop nor an error.
	act(t, ctx, "back", chromedp.Evaluate[chromedp.Void](`void setTimeout(() => history.back(), 50)`))
	sees(t, ctx, "Carol Ng")
	act(t, ctx, "carol's button", chromedp.Evaluate[chromedp.Void](`void setTimeout(() => document.querySelector('button[value="carol"]').click(), 50)`))
	sees(t, ctx, "Hello, ")
}
