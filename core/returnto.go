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
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return false
	}
	p := u.Path // decoded once
	return !strings.HasPrefix(p, "//") && !strings.ContainsAny(p, "\\") && !strings.Contains(p, "/../") && !strings.Contains(p, "/./") &&
		!strings.HasSuffix(p, "/..") && !strings.HasSuffix(p, "/.") && !strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f })
}
