package idserver

import (
	"bufio"
	"net"
	"net/http"
	"slices"
	"strings"
)

// nobodyElse keeps an answer with cookies from everybody but the browser that it is for: a cache that stores a renewed
// session gives it to the next visitor.
var nobodyElse = Field{"Cache-Control", "private, no-store"}

// overCacheControl are fields with which shared caches let themselves be told something else than Cache-Control says: RFC
// 9213, and what came before it.
var overCacheControl = []string{
	"CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Vercel-CDN-Cache-Control", "Netlify-CDN-Cache-Control",
	"Surrogate-Control", "X-Accel-Expires",
	"Edge-Control",
}

// Last returns the header fields to set when the application's handler has set its own, just before they are sent; one
// without a value is to be deleted. values returns the lines of one of the handler's fields. An answer that sets cookies
// stays private that way, even if a handler behind [Client.LoadUser] calls its page public. Of any other answer, Last
// returns nothing.
func (a Answer) Last(values func(name string) []string) (fields []Field) {
	if !a.HasLast() {
		return nil
	}
	if !isPrivate(values("Cache-Control")) {
		fields = append(fields, nobodyElse)
	}
	for _, name := range overCacheControl {
		if len(values(name)) > 0 {
			fields = append(fields, Field{Name: name})
		}
	}
	return fields
}

// HasLast reports whether [Answer.Last] may return something: an adapter need not look at the handler's header otherwise.
func (a Answer) HasLast() bool {
	return !a.Ends() && slices.ContainsFunc(a.Add, func(f Field) bool { return f.Name == "Set-Cookie" })
}

// isPrivate reports whether a Cache-Control field keeps an answer out of shared caches (RFC 9111 section 5.2.2). The form
// of private that names header fields does not count.
func isPrivate(lines []string) bool {
	private := false
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(lines, ",")), ",") {
		switch name, _, _ := strings.Cut(strings.TrimSpace(directive), "="); {
		case name == "public", name == "s-maxage":
			return false
		case strings.TrimSpace(directive) == "private", name == "no-store":
			private = true
		}
	}
	return private
}

// WriteLast writes the fields of [Answer.Last] to the handler's header.
func (a Answer) WriteLast(h http.Header) {
	for _, f := range a.Last(h.Values) {
		if h.Set(f.Name, f.Value); f.Value == "" {
			h.Del(f.Name)
		}
	}
}

// Behind returns what to give to the handler behind a guard in place of w, and what to call when that has returned, or
// panicked: the fields of [Answer.Last] are written before the handler's header is sent. Mostly there are none, and it is w
// itself.
func (a Answer) Behind(w http.ResponseWriter) (behind http.ResponseWriter, end func()) {
	if !a.HasLast() {
		return w, func() {}
	}
	p := &privateWriter{ResponseWriter: w, answer: a}
	return p, p.last
}

// privateWriter is a ResponseWriter that writes an answer's last fields before the header is sent.
type privateWriter struct {
	http.ResponseWriter
	answer Answer
	sent   bool
}

func (p *privateWriter) last() {
	if !p.sent {
		p.answer.WriteLast(p.Header())
	}
}

// WriteHeader may be called several times: an early hint is sent with the header as it is then (RFC 8297).
func (p *privateWriter) WriteHeader(status int) {
	p.last()
	p.sent = p.sent || status >= 200
	p.ResponseWriter.WriteHeader(status)
}

func (p *privateWriter) Write(b []byte) (int, error) {
	p.last()
	p.sent = true
	return p.ResponseWriter.Write(b)
}

// FlushError is what [http.ResponseController] looks for, and Flush what older handlers do.
func (p *privateWriter) FlushError() error {
	p.last()
	p.sent = true
	return http.NewResponseController(p.ResponseWriter).Flush()
}

func (p *privateWriter) Flush() { _ = p.FlushError() }

// Hijack is for handlers that ask for an [http.Hijacker] rather than the controller. It fails where the server's own writer
// cannot be taken over.
func (p *privateWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(p.ResponseWriter).Hijack()
}

// Unwrap lets [http.ResponseController] find what else the server's own writer can do.
func (p *privateWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }
