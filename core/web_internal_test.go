package idserver

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// README.md lists every code with its status.
func TestCodesAreListed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[RefusalCode]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(readme), -1) {
		status, _ := strconv.Atoi(row[2])
		listed[RefusalCode(row[1])] = status
	}
	for code, kind := range refusalKinds {
		if listed[code] != kind.status {
			t.Errorf("README.md lists %s with status %d, want %d", code, listed[code], kind.status)
		}
		if slices.Contains([]string{kind.page.title, kind.page.detail, kind.answer.title, kind.answer.detail}, "") {
			t.Errorf("%s lacks words", code)
		}
	}
	if len(listed) != len(refusalKinds) {
		t.Errorf("README.md lists %d codes, want %d", len(listed), len(refusalKinds))
	}
}

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"code=a&state=b&iss=https%3A%2F%2Fop.example", "error=access_denied&state=b", "code=a&code=b&state=c", "code=a&error=b&state=c",
		"state=%", "state=;", "code=&state=", "=&&==", "code=%00&state=%ff", "CODE=a&state=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rawQuery string) {
		p, err := parseCallback(rawQuery)
		if err != nil {
			return
		}
		query, err := url.ParseQuery(rawQuery)
		if err != nil || p.state == "" || (p.code == "") == (p.err == "") || len(rawQuery) > maxCallback {
			t.Fatalf("taken: %q", rawQuery)
		}
		for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
			if len(query[name]) > 1 {
				t.Fatalf("%s stands twice in %q", name, rawQuery)
			}
		}
	})
}

// What is returned to lies on an origin that is trusted, as browsers read it (WHATWG URL): there a backslash is a
// slash, tabs and line breaks are dropped, and dots are resolved.
func FuzzReturnTo(f *testing.F) {
	for _, seed := range []string{
		"/", "/a?b=c#d", "//evil", "/\\evil", "https://app.example/x", "https://other.example", "https://app.example@evil", "/%2f/evil", "/..//evil", "/a/..//evil",
		"/.\t/evil", "//", "//?x", "//#", "https://app.example//", "https:evil", "https://app.example:443/x", "HTTPS://APP.EXAMPLE/x", "https://app.example\\evil",
	} {
		f.Add(seed)
	}
	w := &web{origin: "https://app.example", trusted: []string{"https://other.example"}, routesPath: "/auth"}
	f.Fuzz(func(t *testing.T, target string) {
		got := w.returnTo(target)
		if got == "" {
			return
		}
		if strings.ContainsAny(got, "\\\t\r\n\x00 ") {
			t.Fatalf("%q gives %q", target, got)
		}
		base, _ := url.Parse("https://app.example/auth/callback")
		u, err := base.Parse(got)
		if err != nil {
			t.Fatalf("%q gives %q: %v", target, got, err)
		}
		if origin := originOf(u); origin != "https://app.example" && origin != "https://other.example" {
			t.Fatalf("%q leads to %q", target, origin)
		}
		if strings.HasPrefix(u.Path, "//") || strings.HasPrefix(got, "//") {
			t.Fatalf("%q gives %q, whose path is another host to a careless reader", target, got)
		}
	})
}
