package idserver_test

import (
	"net/url"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// return_to must not lead to a route of the sign-in in disguise: a loop, or a sign-out that nobody asked for.
func TestReturnToDisguises(t *testing.T) {
	for target, want := range map[string]string{
		"/auth/logout/":                 "/",
		"/auth/login/":                  "/",
		"/auth/callback//":              "/",
		"/auth/%6cogin":                 "/",
		"/auth/%6Cogout?x=1":            "/",
		"/%61uth/login":                 "/",
		"/auth%2flogin":                 "/",
		"/auth/login#x":                 "/",
		"/auth/login?x#y":               "/",
		"/auth//login":                  "/",
		"/auth///logout":                "/",
		"/AUTH/login":                   "/",
		"/Auth/LogOut":                  "/",
		"/auth/./login":                 "/",
		"/auth/x/../login":              "/",
		"/auth/%2e/login":               "/",
		"/x/./y":                        "/",
		"/./x":                          "/",
		"/x/.":                          "/",
		"/x/..":                         "/",
		"/x/../y":                       "/",
		"/x/%2e%2e/y":                   "/",
		base + "/auth/login":            "/",
		base + "/AUTH//logout/":         "/",
		"http://u@127.0.0.1:8080/x":     "/",
		"http://u:p@127.0.0.1:8080/x":   "/",
		"http://@127.0.0.1:8080/x":      "/",
		"https://u@other.example/x":     "/",
		"https://other.example@evil/x":  "/",
		"https://other.example/../evil": "/",

		"/auth/loginx":                     "/auth/loginx",
		"/auth/userinfo":                   "/auth/userinfo",
		"/authx/login":                     "/authx/login",
		"/auth":                            "/auth",
		"/x.y/..z/.w":                      "/x.y/..z/.w",
		"/login":                           "/login",
		"https://other.example/auth/login": "https://other.example/auth/login",
		"https://other.example/x@y":        "https://other.example/x@y",
	} {
		t.Run(target, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://other.example"} })
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to="+url.QueryEscape(target)), "alice")
			if a := b.route("GET", callback, navigates); field(a, "Location") != want {
				t.Errorf("return_to %q ends at %q, want %q", target, field(a, "Location"), want)
			}
		}))
	}
}

func TestReturnTo(t *testing.T) {
	for target, want := range map[string]string{
		"/profile":                        "/profile",
		"/a/b?c=d&e=%2F":                  "/a/b?c=d&e=%2F",
		"/search?next=https://x.example/": "/search?next=https://x.example/",
		base + "/profile":                 "/profile",
		base:                              "/",
		"https://other.example/page?x=1":  "https://other.example/page?x=1",
		"https://other.example":           "https://other.example",

		"":                                 "/",
		"profile":                          "/",
		"//evil.example":                   "/",
		"///evil.example":                  "/",
		"/\\evil.example":                  "/",
		"\\\\evil.example":                 "/",
		"/%5cevil.example":                 "/",
		"/a%0d%0aSet-Cookie:x":             "/",
		"/%09/evil.example":                "/",
		"/a%00":                            "/",
		"/a b":                             "/",
		"/a?b=\\c":                         "/",
		"/a%7f":                            "/",
		"/%2fevil.example":                 "/",
		"/%2Fevil.example":                 "/",
		"/\tevil":                          "/",
		"/\n/evil.example":                 "/",
		"\t//evil.example":                 "/",
		" //evil.example":                  "/",
		"/..//evil.example":                "/",
		"/./\\evil.example":                "/",
		"/a/../..//evil.example":           "/",
		"/%2e%2e//evil.example":            "/",
		"https://evil.example":             "/",
		"http:evil.example":                "/",
		"http:///evil.example":             "/",
		"https:/evil.example":              "/",
		"javascript:alert(1)":              "/",
		"data:text/html,x":                 "/",
		base + ".evil.example/":            "/",
		base + "@evil.example/":            "/",
		"http://127.0.0.1:8080\\@evil/":    "/",
		"http://user@127.0.0.1:8080/":      "/",
		"https://127.0.0.1:8080/":          "/",
		"http://127.0.0.1:8081/":           "/",
		"https://other.example.evil/":      "/",
		"https://other.example//evil":      "/",
		"http://other.example/":            "/",
		"//127.0.0.1:8080/x":               "/",
		base + "//evil.example":            "/",
		"/x\x00y":                          "/",
		"/\u2028":                          "/",
		"/auth/login":                      "/",
		"/auth/login?return_to=/x":         "/",
		"/auth/logout":                     "/",
		"/auth/callback?code=x":            "/",
		"/auth/../auth/logout":             "/",
		"/x%":                              "/",
		"/" + strings.Repeat("a", 2048):    "/",
		"/profile#//evil":                  "/profile#//evil",
		"http://[::1]:8080/":               "/",
		"http://127.0.0.1:8080:80/":        "/",
		"HTTP://127.0.0.1:8080/x":          "/x",
		"/%c0%af%c0%afevil.example/..%2f/": "/",
	} {
		t.Run(target, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://other.example"} })
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to="+url.QueryEscape(target)), "alice")
			if a := b.route("GET", callback, navigates); field(a, "Location") != want {
				t.Errorf("return_to %q ends at %q, want %q", target, field(a, "Location"), want)
			}
		}))
	}
}
