package cookies

import (
	"errors"
	"net/http"
)

// Jar writes cookies that JavaScript cannot read and that other sites do not send along, except when a link to this one
// is followed (HttpOnly, SameSite=Lax). What it returns are values of the Set-Cookie header.
type Jar struct {
	Secure    bool // https: browsers send the cookies over nothing else
	CrossSite bool // other sites send them along all the same (SameSite=None), which needs Secure
}

// ErrTooLong means that a value does not fit into cookies.
var ErrTooLong = errors.New("cookies: the value is too long")

// Set sets a cookie. maxAge is in seconds; 0 keeps the cookie until the browser is closed, and a negative one deletes it.
//
// Of a value with bytes that a cookie cannot hold, which One does not return, nothing is set, and the cookie is deleted:
// http.Cookie would drop those bytes, and write them to the global log.
func (j Jar) Set(name, value, path string, maxAge int) string {
	if !validValue(value) {
		value, maxAge = "", -1
	}
	sameSite := http.SameSiteLaxMode
	if j.CrossSite {
		sameSite = http.SameSiteNoneMode
	}
	c := http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		Secure: j.Secure, HttpOnly: true, SameSite: sameSite,
	}
	return c.String()
}

// Delete deletes a cookie. The path must be the one that it was set with.
func (j Jar) Delete(name, path string) string { return j.Set(name, "", path, -1) }

// SetChunked sets a value in as many cookies as it needs, and deletes those that a longer one left in the browser. lines
// are the request's cookies. The error is ErrTooLong if the value has more than MaxTotal bytes.
func (j Jar) SetChunked(lines []string, name, value, path string, maxAge int) ([]string, error) {
	if len(value) > MaxTotal {
		return nil, ErrTooLong
	}
	chunks := Split(name, value)
	var set []string
	for _, c := range chunks {
		set = append(set, j.Set(c.Name, c.Value, path, maxAge))
	}
	return append(set, j.deleteFrom(lines, name, path, len(chunks))...), nil
}

// DeleteChunked deletes those cookies of a value that are among the request's.
func (j Jar) DeleteChunked(lines []string, name, path string) []string {
	return j.deleteFrom(lines, name, path, 0)
}

// deleteFrom deletes the chunks of a value from that one on, if the request has them. It does so even if there are two of a
// name: that is one more reason for both to go.
func (j Jar) deleteFrom(lines []string, name, path string, first int) (deleted []string) {
	for i := first; i < MaxChunks; i++ {
		if chunk := chunkName(name, i); Has(lines, chunk) {
			deleted = append(deleted, j.Delete(chunk, path))
		}
	}
	return deleted
}
