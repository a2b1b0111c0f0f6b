package idserver

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

// maxReturnTo limits return_to, in bytes: it is kept in a cookie.
const maxReturnTo = 2048

// returnTo returns target if it may be redirected to after sign-in: a path of this application, or a URL of its own or a
// trusted origin. Otherwise it returns "".
func (w *web) returnTo(target string) string {
	if len(target) > maxReturnTo {
		return ""
	}
	if u, err := url.Parse(target); err == nil && u.Host != "" && u.User == nil {
		origin := originOf(u)
		if u.Scheme == "" || !isLocalPath("/"+strings.TrimPrefix(target[strings.Index(target, u.Host)+len(u.Host):], "/")) ||
			origin != w.origin && !slices.Contains(w.trusted, origin) {
			return ""
		}
		if origin != w.origin {
			return target
		}
		target = target[strings.Index(target, u.Host)+len(u.Host):]
		if target == "" {
			target = "/"
		}
	}
	if !isLocalPath(target) {
		return ""
	}
	u, err := url.Parse(target)
	if err != nil {
		return ""
	}
	p := path.Clean(u.Path) // as routers clean it
	for _, own := range []string{w.path("/login"), w.callback, w.path("/logout")} {
		if strings.EqualFold(p, own) { // a loop, or a sign-out that nobody asked for
			return ""
		}
	}
	return target
}

// isLocalPath reports whether every browser takes target for a path on the same origin. Browsers treat a backslash as a
// slash, drop tabs and line breaks, and take "//host" for another origin. What a server might decode or clean into one of
// these is refused too.
func isLocalPath(target string) bool {
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return false
	}
	for _, p := range []string{target, u.Path} { // as it is, and decoded once
		if !strings.HasPrefix(p, "/") || strings.HasPrefix(p, "//") {
			return false
		}
	}
	return !hasDots(u.Path) && !strings.ContainsFunc(u.Path, isOddWhenDecoded)
}

// hasDots reports whether an element of a path is . or .., which a server would take out.
func hasDots(p string) bool {
	for element := range strings.SplitSeq(p, "/") {
		if element == "." || element == ".." {
			return true
		}
	}
	return false
}

func isOddWhenDecoded(c rune) bool { return c < ' ' || c == 0x7f || c == '\\' }
