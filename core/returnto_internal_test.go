package idserver

import (
	"net/url"
	"strings"
	"testing"
)

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
