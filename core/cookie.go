package idserver

import (
	"iter"
	"net/http"
	"strconv"
	"strings"
)

// eachCookie iterates over the cookies of a request whose names begin with prefix, in order. A malformed one is skipped:
// http.ParseCookie would drop the whole line, and sign the user out because of somebody else's cookie. It looks for the
// prefix, because taking apart a line of a megabyte, which servers accept, costs an attacker nothing.
func (r *Request) eachCookie(prefix string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for _, line := range r.values("Cookie") {
			for at := 0; ; {
				next := strings.Index(line[at:], prefix)
				if next < 0 {
					break
				}
				at += next
				if before := strings.TrimRight(line[:at], " \t"); before != "" && before[len(before)-1] != ';' {
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

// cookie returns the value of a cookie. ok is false if there is none, and also if there are two: one of them was planted,
// from a neighbouring host or over http, and there is no telling which.
func (r *Request) cookie(name string) (value string, ok bool) {
	for n, v := range r.eachCookie(name) {
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

// hasCookie reports whether there is a cookie of that name, even more than one.
func (r *Request) hasCookie(name string) bool {
	for n := range r.eachCookie(name) {
		if n == name {
			return true
		}
	}
	return false
}

// setCookie returns a cookie that JavaScript cannot read and that other sites do not send along, except when a link to
// this one is followed. maxAge is in seconds; a negative one deletes the cookie.
func (w *web) setCookie(name, value, path string, maxAge int) Field {
	c := http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: w.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	return Field{"Set-Cookie", c.String()}
}

// Browsers keep at least 4096 bytes of a cookie, including name and attributes (RFC 6265 section 6.1).
const (
	maxChunk  = 3800
	maxChunks = 5
)

// chunks splits a long value over cookies called name, name.1, name.2 and so on. The first says how many there are. The
// whole is sealed, so that a mixture of two values does not open.
func chunks(name, value string) map[string]string {
	if len(value) <= maxChunk {
		return map[string]string{name: value}
	}
	all := map[string]string{}
	n := (len(value) + maxChunk - 1) / maxChunk
	for i := range n {
		all[chunkName(name, i)] = value[i*maxChunk : min((i+1)*maxChunk, len(value))]
	}
	all[name] = strconv.Itoa(n) + "." + all[name]
	return all
}

// unchunk is the inverse of chunks.
func (r *Request) unchunk(name string) (value string, ok bool) {
	value, ok = r.cookie(name)
	count, rest, chunked := strings.Cut(value, ".")
	if !ok || !chunked {
		return value, ok && len(value) <= maxChunk
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 2 || n > maxChunks {
		return "", false
	}
	var whole strings.Builder
	whole.WriteString(rest)
	for i := 1; i < n; i++ {
		chunk, ok := r.cookie(chunkName(name, i))
		if !ok {
			return "", false
		}
		whole.WriteString(chunk)
	}
	return whole.String(), whole.Len() <= maxChunk*maxChunks
}

func chunkName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "." + strconv.Itoa(i)
}
