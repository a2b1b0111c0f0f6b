//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the matrix of README.md anew")

// capability is a row of the matrix: what an example answers when it is asked.
type capability struct {
	row string
	ask func(v *visitor, provider string) string
}

const yes = "yes"

func yesIf(ok bool, a answer) string {
	if ok {
		return yes
	}
	return fmt.Sprintf("no (%d)", a.StatusCode)
}

// status is for what a router answers by itself.
func status(method, target string) func(*visitor, string) string {
	return func(v *visitor, _ string) string { return fmt.Sprint(v.do(method, target, navigation, nil).StatusCode) }
}

var capabilities = []capability{
	{"sign-in, and back to the requested page", func(v *visitor, _ string) string {
		a := v.get("/profile")
		page, _ := v.follow(a)
		_, at := v.follow(v.get(v.callback(page.Request.URL.String(), "alice")))
		return yesIf(at == v.app+"/profile", page)
	}},
	{"guards: session, role, any of several roles, all of them", func(v *visitor, _ string) string {
		v.signIn("bob")
		a := v.do("GET", "/api/me", script, nil)
		ok := a.StatusCode == 200 && v.get("/admin").StatusCode == 403 && v.get("/api/editors").StatusCode == 200 && v.get("/api/billing").StatusCode == 403
		return yesIf(ok, a)
	}},
	{"guards: bearer token", func(v *visitor, provider string) string {
		a := v.do("GET", "/api/admin", script.with("Authorization", "Bearer "+token(v, provider, "alice")), nil)
		return yesIf(a.StatusCode == 200, a)
	}},
	{"without a session, an API call gets 401 problem+json and a navigation is redirected to sign-in", func(v *visitor, _ string) string {
		a, b := v.do("GET", "/api/me", script, nil), v.get("/api/me")
		return yesIf(a.StatusCode == 401 && code(v.t, a) == "not_signed_in" && b.StatusCode == 303, a)
	}},
	{"a POST from another site is refused", func(v *visitor, _ string) string {
		v.signIn("alice")
		a := v.do("POST", "/api/echo", script.with("Sec-Fetch-Site", "cross-site"), nil)
		return yesIf(a.StatusCode == 403 && v.do("POST", "/api/echo", script, nil).StatusCode == 200, a)
	}},
	{"a single-page front end gets the sign-in URL as JSON", func(v *visitor, provider string) string {
		a := v.do("GET", "/auth/login", script, nil)
		return yesIf(a.StatusCode == 200 && strings.Contains(a.body, `{"url":"`+provider), a)
	}},
	{"sign-out, here and at the provider", func(v *visitor, provider string) string {
		v.signIn("alice")
		a := v.do("POST", "/auth/logout", navigation, url.Values{})
		return yesIf(strings.HasPrefix(a.location(), provider+"/connect/endsession?") && v.do("GET", "/api/me", script, nil).StatusCode == 401, a)
	}},
	{"an event stream ends at sign-out", func(v *visitor, _ string) string {
		v.signIn("alice")
		l := v.live(eventSource)
		l.next()
		a := v.do("POST", "/auth/logout", navigation, url.Values{})
		return yesIf(strings.Join(l.end(), "\n") == signedOutEvent, a)
	}},
	{"the example accepts 12 kB of cookies", func(v *visitor, _ string) string {
		a := v.do("GET", "/", navigation.with("Cookie", "a="+strings.Repeat("x", 12<<10)), nil)
		return yesIf(a.StatusCode == 200, a)
	}},
	{"router's own answer: HEAD /auth/login", status("HEAD", "/auth/login")},
	{"router's own answer: POST /auth/login", status("POST", "/auth/login")},
	{"router's own answer: GET /auth/logout/", status("GET", "/auth/logout/")},
	{"router's own answer: GET /AUTH/logout", status("GET", "/AUTH/logout")},
}

// The matrix of README.md is what the examples answer, and not what somebody thinks that they do.
func TestMatrix(t *testing.T) {
	rows := make([]string, len(capabilities))
	for i, c := range capabilities {
		rows[i] = "| " + c.row + " |"
	}
	head, line := "| |", "|---|"
	for _, name := range examples {
		p := start(t, []string{"ADDR=127.0.0.1:0"}, build(t, name))
		app, provider := p.line("open"), p.line("provider")
		for i, c := range capabilities {
			rows[i] += " " + c.ask(newVisitor(t, app), provider) + " |"
		}
		head, line = head+" "+name+" |", line+"---|"
	}
	matrix := strings.Join(append([]string{head, line}, rows...), "\n") + "\n"

	const name = "../../README.md"
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)(<!-- written by TestMatrix -->\n)(.*?)(<!-- end -->)`)
	found := block.FindSubmatch(content)
	if found == nil {
		t.Fatal("README.md has no place for the matrix")
	}
	if string(found[2]) == matrix {
		return
	}
	if !*update {
		t.Fatalf("README.md has another matrix: write it with go test -tags e2e -run TestMatrix ./scripts/e2e -update\n%s", matrix)
	}
	if err := os.WriteFile(name, block.ReplaceAll(content, []byte("${1}"+matrix+"${3}")), 0o644); err != nil {
		t.Fatal(err)
	}
}
