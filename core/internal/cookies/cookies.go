// Package cookies reads the Cookie header and writes Set-Cookie, for values that may need several cookies.
package cookies

import (
	"iter"
	"strings"
)

// Each iterates over the cookies whose names begin with prefix, in order. lines are the values of the Cookie header; HTTP/2
// may have split it. A malformed cookie is skipped: http.ParseCookie would drop the whole line, and sign the user out
// because of somebody else's cookie. Each looks for the prefix, because taking apart a line of a megabyte, which servers
// accept, costs an attacker nothing.
//
// A name is not trimmed of more than spaces and tabs: browsers and proxies take Unicode's white space before a name for a
// part of it, so that such a cookie has no __Host- prefix for them, and a neighbouring host may set it. Values are not
// checked, and quotes around one are part of it. A prefix that is empty, or has what no name has, a semicolon or an
// equals sign, finds nothing.
func Each(lines []string, prefix string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		if prefix == "" || strings.ContainsAny(prefix, ";=") { // no name has them, and at a semicolon the search would not move on
			return
		}
		for _, line := range lines {
			for at := 0; ; {
				next := strings.Index(line[at:], prefix)
				if next < 0 {
					break
				}
				at += next
				if !beginsCookie(line, at) {
					at += len(prefix) // within another cookie
					continue
				}
				pair, _, _ := strings.Cut(line[at:], ";")
				at += len(pair)
				name, value, ok := strings.Cut(strings.TrimRight(pair, " \t"), "=")
				if ok && !yield(name, value) {
					return
				}
			}
		}
	}
}

// beginsCookie reports whether only spaces and tabs are between line[at] and the semicolon, or the line's beginning,
// before it.
func beginsCookie(line string, at int) bool {
	before := strings.TrimRight(line[:at], " \t")
	return before == "" || before[len(before)-1] == ';'
}

// One returns the value of a cookie. ok is false if there is none, and also if there are two: one of them was planted,
// from a neighbouring host or over http, and there is no telling which. It is false as well if the value has bytes that
// none may have that is written here: what is read may be written again.
func One(lines []string, name string) (value string, ok bool) {
	value, ok = single(lines, name)
	if !ok || !validValue(value) {
		return "", false
	}
	return value, true
}

// single is One without looking at the bytes, which takes longer than all else that a known session needs.
func single(lines []string, name string) (value string, ok bool) {
	for n, v := range Each(lines, name) {
		if n != name {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = v, true
	}
	return value, ok
}

// validValue reports whether a value has only bytes that may be in a cookie: those of RFC 6265 section 4.1.1 (cookie-octet).
func validValue(value string) bool {
	for i := range len(value) {
		if b := value[i]; b <= ' ' || b >= 0x7f || b == '"' || b == ',' || b == ';' || b == '\\' {
			return false
		}
	}
	return true
}

// Has reports whether there is a cookie of that name, even more than one.
func Has(lines []string, name string) bool {
	for n := range Each(lines, name) {
		if n == name {
			return true
		}
	}
	return false
}
