package idserver_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// What a person finds on the built-in pages, and what is not there.
func TestPages(t *testing.T) {
	orders := func(c *idserver.Config) { c.ApplicationName = "Orders & more" }
	w := newWorld(t, orders)
	carol := w.signedIn(t, "carol")
	refusing := newWorld(t, orders, func(c *idserver.Config) {
		c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New("not on the list") }
	})
	stranger := refusing.browser(t)
	for name, row := range map[string]struct {
		a    idserver.Answer
		has  []string
		lack []string
	}{
		"without the role": {second(carol.pass(w.RequireRole("admin"), "GET", "/admin", navigates)),
			[]string{"<title>You cannot open this page · Orders &amp; more</title>", ">Orders &amp; more</p>", "Signed in as <strong>Carol Ng (carol@example.test)</strong>",
				">Sign in as someone else</a>", `<a href="/">Start page</a>`, "Code: insufficient_role"}, []string{"Try again"}},
		"not admitted to the start page": {second(carol.pass(w.Require(func(*idserver.User) bool { return false }), "GET", "/", navigates)),
			[]string{"Signed in as <strong>Carol Ng"}, []string{"Start page</a>"}},
		"behind another guard": {behind(carol, w.RequireUser(), w.RequireRole("admin"), "/admin"),
			[]string{"Signed in as <strong>Carol Ng"}, nil},
		"not let in at sign-in": {stranger.route("GET", refusing.authorize(t, stranger.begin("/auth/login"), "alice"), navigates),
			[]string{"Your account: <strong>Alice Tan (alice@example.test)</strong>", ">Sign in as someone else</a>"}, []string{"Signed in as"}},
		"a damaged link": {w.browser(t).route("GET", "/auth/login?app_data=%ff", navigates),
			[]string{">Sign in</a>", "Code: invalid_login"}, []string{"app_data", "UTF-8", "Signed in as"}},
		"a bad token": {second(w.browser(t).pass(w.RequireUser(), "GET", "/profile", navigates, bearer("x"))),
			[]string{"/auth/login?return_to=%2Fprofile", "Code: invalid_token"}, []string{"token is"}},
		"whether to sign out": {carol.route("GET", "/auth/logout", fromElsewhere),
			[]string{"<title>Sign out? · Orders &amp; more</title>", "Signed in as <strong>Carol Ng", `<form method="post" action="/auth/logout"><button>Sign out</button></form>`,
				`<a href="/">Stay signed in</a>`}, []string{"Code:"}},
		"nobody to sign out": {w.browser(t).route("GET", "/auth/logout", fromElsewhere),
			[]string{"You are signed out", `<a href="/auth/login">Sign in</a>`, `<a href="/">Start page</a>`}, []string{"<form", "<button"}},
	} {
		t.Run(name, func(t *testing.T) {
			body := string(row.a.Body)
			for _, text := range row.has {
				if !strings.Contains(body, text) {
					t.Errorf("the page lacks %s:\n%s", text, body)
				}
			}
			for _, text := range row.lack {
				if strings.Contains(body, text) {
					t.Errorf("the page has %s:\n%s", text, body)
				}
			}
		})
	}
}

// The policy lets the browser apply the page's own style, and nothing else.
func TestPageStyleIsAllowed(t *testing.T) {
	a := newWorld(t).browser(t).route("GET", "/auth/callback", navigates)
	_, rest, _ := strings.Cut(string(a.Body), "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'"
	if got := field(a, "Content-Security-Policy"); style == "" || got != want {
		t.Errorf("the policy is %s, want %s", got, want)
	}
	if strings.Contains(style, "url(") || strings.Contains(string(a.Body), "<script") || strings.Contains(string(a.Body), "style=") {
		t.Errorf("the page needs more than its style: %s", a.Body)
	}
}

// A provider that is away is asked again by the same page; another sign-in would not help.
func TestPageTriesAgain(t *testing.T) {
	w := newWorld(t)
	w.provider.Fail(idtest.Discovery, idtest.Fault{Status: http.StatusBadGateway})
	b := &browser{t, w.client(t), map[string]string{}}
	a := b.route("GET", "/auth/login?return_to=/profile", navigates)
	if body := string(a.Body); code(t, a) != idserver.CodeProviderUnavailable || !strings.Contains(body, `<a href="">Try again</a>`) || strings.Contains(body, "Sign in</a>") {
		t.Errorf("%d %s", a.Status, body)
	}
}

// A problem document is read by programs, and does not speak of pages.
func TestProblemsAreForPrograms(t *testing.T) {
	w := newWorld(t)
	carol := w.signedIn(t, "carol")
	for _, a := range []idserver.Answer{
		second(carol.pass(w.RequireRole("admin"), "GET", "/api/admin", fetches)),
		second(carol.pass(w.Require(func(*idserver.User) bool { return false }), "GET", "/api/admin", fetches)),
		second(w.browser(t).pass(w.RequireUser(), "GET", "/api/me", bearer("x"))),
	} {
		for _, word := range []string{"page", "below", "Please", "Carol"} {
			if strings.Contains(string(a.Body), word) {
				t.Errorf("the word %s in %s", word, a.Body)
			}
		}
	}
}

// Without a name of its own the application is called by its host; an API has neither name nor links.
func TestPageOfNoName(t *testing.T) {
	w := newWorld(t)
	a := second(w.signedIn(t, "carol").pass(w.RequireRole("admin"), "GET", "/admin", navigates))
	if !strings.Contains(string(a.Body), " · 127.0.0.1:8080</title>") {
		t.Errorf("%s", a.Body)
	}
	api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
	b := &browser{t, api, map[string]string{}}
	a = second(b.pass(api.RequireUser(), "GET", "/", navigates))
	if body := string(a.Body); strings.Contains(body, " · ") || strings.Contains(body, "<a") || !strings.Contains(body, "Code: not_signed_in") {
		t.Errorf("%s", body)
	}
}

func fromElsewhere(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") }

// behind asks a guard within another.
func behind(b *browser, outer, inner idserver.Guard, target string) idserver.Answer {
	ctx, _ := b.pass(outer, "GET", target, navigates)
	_, a := inner(ctx, b.request("GET", target, []edit{navigates}))
	return a
}
