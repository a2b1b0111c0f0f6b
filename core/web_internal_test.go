package idserver

import (
	"net/http"
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

func FuzzCookies(f *testing.F) {
	for _, seed := range []string{"a=b; s=2.x; s.1=y", "s=1", "s=2.; s.1=", "s=9.x", "s=a; s=b", ";;;=;", "s=\"x\"", "s=2.x; s.1=y; s.1=z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := Request{Header: http.Header{"Cookie": {line}}}
		value, ok := r.unchunk("s")
		if !ok {
			return
		}
		var again []string
		for name, chunk := range chunks("s", value) {
			again = append(again, name+"="+chunk)
		}
		if strings.ContainsAny(value, "; \t=") || strings.Contains(value, ".") { // not base64url: nothing of ours
			return
		}
		if back, ok := (&Request{Header: http.Header{"Cookie": again}}).unchunk("s"); !ok || back != value {
			t.Fatalf("%q came back as %q", value, back)
		}
	})
}

// A cookie is found by looking for its name. Taking the line apart must find the same.
func FuzzEachCookie(f *testing.F) {
	for _, line := range []string{"", "s", "s=", "s=1", "a=b; s=1;s=2", "s=1; a=b", ";;s=1;;", "as=1; s=2", "a=s=1; s=2", " \t s \t=1", "s=1 \t; s1=\"s=3\"", "s.1=x; s=y", "ss=1", "s;s=1", "=s=1", "a=b;\ts=1 \t"} {
		f.Add(line, "s")
	}
	f.Fuzz(func(t *testing.T, line, prefix string) {
		if prefix == "" || strings.ContainsAny(prefix, "=; \t") {
			return
		}
		var want, got [][2]string
		for pair := range strings.SplitSeq(line, ";") {
			if name, value, ok := strings.Cut(strings.Trim(pair, " \t"), "="); ok && strings.HasPrefix(name, prefix) {
				want = append(want, [2]string{name, value})
			}
		}
		for name, value := range (&Request{Header: http.Header{"Cookie": {line}}}).eachCookie(prefix) {
			got = append(got, [2]string{name, value})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q in %q: %q, want %q", prefix, line, got, want)
		}
	})
}
