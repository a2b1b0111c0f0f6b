//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

var eventSource = header{"Accept": "text/event-stream", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"}

// signedOutEvent is how a stream ends when its user has signed out.
const signedOutEvent = "event: end\ndata: signed out"

// liveStream is an open answer of /live.
type liveStream struct {
	t     *testing.T
	lines chan string // without the empty ones; closed at the stream's end
}

func (v *visitor) live(h header) *liveStream {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), "GET", v.app+"/live", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	for name, value := range h {
		request.Header.Set(name, value)
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		v.t.Fatalf("/live: %d %v", response.StatusCode, response.Header)
	}
	l := &liveStream{v.t, make(chan string)}
	go func() {
		defer close(l.lines)
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			if line := scanner.Text(); line != "" {
				l.lines <- line
			}
		}
	}()
	return l
}

// next returns the next line, and "" at the end.
func (l *liveStream) next() string {
	l.t.Helper()
	select {
	case line := <-l.lines:
		return line
	case <-time.After(patience):
		l.t.Fatal("the stream hangs")
		return ""
	}
}

// end returns the lines that are left, but for the time.
func (l *liveStream) end() (rest []string) {
	l.t.Helper()
	for began := time.Now(); time.Since(began) < patience; {
		line := l.next()
		if line == "" {
			return rest
		}
		if !strings.HasSuffix(line, " UTC") {
			rest = append(rest, line)
		}
	}
	l.t.Fatal("the stream goes on")
	return nil
}

func TestLive(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		p := start(t, []string{"ADDR=127.0.0.1:0"}, binary)
		app, provider := p.line("open"), p.line("provider")
		v := newVisitor(t, app)
		if a := v.do("GET", "/live", eventSource, nil); a.StatusCode != 401 || code(t, a) != "not_signed_in" {
			t.Errorf("nobody's: %d %s", a.StatusCode, a.body)
		}
		v.signIn("alice")
		other := newVisitor(t, app)
		other.signIn("alice")
		session, device, bearer := v.live(eventSource), other.live(eventSource), newVisitor(t, app).live(eventSource.with("Authorization", "Bearer "+token(v, provider, "bob")))
		for range 2 {
			for _, l := range []*liveStream{session, device, bearer} {
				if line := l.next(); !strings.HasPrefix(line, "data: ") || !strings.HasSuffix(line, " UTC") {
					t.Errorf("an event is %q", line)
				}
			}
		}
		v.do("POST", "/auth/logout", navigation, nil)
		if rest := strings.Join(session.end(), "\n"); rest != signedOutEvent {
			t.Errorf("signed out, the stream ends with %q", rest)
		}
		p.end() // which waits for the program to end
		for name, l := range map[string]*liveStream{"alice's elsewhere": device, "bob's": bearer} {
			if rest := l.end(); rest != nil {
				t.Errorf("the program has ended, and a stream, %s, says %q", name, rest)
			}
		}
	})
}

// A page of a person's own goes when another tab signs out, and does not stand in the way of its own sign-out.
func TestLiveInChromium(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		p := start(t, []string{"ADDR=127.0.0.1:0"}, binary)
		app, provider := p.line("open"), p.line("provider")
		first := window(t)
		second := anotherWindow(t, first)
		profile := func() {
			t.Helper()
			open(t, first, app+"/auth/login?return_to=/profile")
			click(t, first, `button[value="alice"]`)
			if at := sees(t, first, "Still signed in at "); at != app+"/profile" {
				t.Fatalf("signed in at %s", at)
			}
		}

		profile()
		open(t, second, app)
		click(t, second, `form[action="/auth/logout"] button`)
		sees(t, second, "You are signed out")
		if at := sees(t, first, "You are signed out"); at != app+"/" {
			t.Errorf("signed out in another tab, this one is at %s", at)
		}

		profile()
		ended := make(chan bool, 1)
		if err := chromedp.Listen(first, func(event any) {
			if sent, ok := event.(*network.EventRequestWillBeSent); ok && strings.HasPrefix(sent.Request.URL, provider+"/connect/endsession?") {
				select {
				case ended <- true:
				default: // it is known already
				}
			}
		}); err != nil {
			t.Fatal(err)
		}
		click(t, first, `form[action="/auth/logout"] button`)
		if at := sees(t, first, "You are signed out"); at != app+"/" {
			t.Errorf("signed out here, the tab is at %s", at)
		}
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the provider was not told")
		}
	})
}

// anotherWindow opens one more of the same browser.
func anotherWindow(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // without a deadline: it would be the window's
		t.Fatal(err)
	}
	return ctx
}

// The guide's program for streams: all of them bring what another window writes, and end when that signs out.
func TestStreamsInChromium(t *testing.T) {
	dir := t.TempDir()
	board, dev := filepath.Join(dir, "streams"), filepath.Join(dir, "idserver-dev")
	buildProgram(t, board, "./bench/programs/streams")
	buildProgram(t, dev, "./core/cmd/idserver-dev")
	secret := rand.Text() + rand.Text()
	provider := start(t, nil, dev, "-addr", "127.0.0.1:0", "-client-secret", secret).line("provider")
	addr := freeAddr(t)
	app := "http://" + addr
	p := start(t, []string{
		"ADDR=" + addr, "BASE_URL=" + app, "SESSION_SECRET=" + secret,
		"IDSERVER_AUTHORITY=" + provider, "IDSERVER_CLIENT_ID=example", "IDSERVER_CLIENT_SECRET=" + secret,
	}, board)
	p.untamed = true
	p.listening(addr)

	first := window(t)
	open(t, first, app)
	click(t, first, `button[value="alice"]`)
	for _, kind := range []string{"events", "coder", "gorilla", "poll"} {
		sees(t, first, kind+" Welcome")
	}
	second := anotherWindow(t, first)
	open(t, second, app)
	act(t, second, "writing", chromedp.SetValue("#text", "news"))
	click(t, second, "#write")
	for _, kind := range []string{"events", "coder", "gorilla", "poll"} {
		sees(t, first, kind+" news")
	}
	click(t, second, `form[action="/auth/logout"] button`)
	for _, end := range []string{"events end signed out", "coder end 1008 signed out", "gorilla end 1008 signed out", "poll end 401"} {
		sees(t, first, end)
	}
}
