package idfiber

import (
	"bytes"
	"crypto/tls"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	idserver "github.com/signward/idserver-go/core"
)

// reader gives the core access to a request. fasthttp reuses the memory of a request for the next one, and what the core
// keeps (a session, a token, a log line) would change along with it: what is asked for is copied, and nothing else. All
// guards of one request share a reader; between them, middleware may change the request. A reader is reused too, which
// saves an allocation: kept beyond its request it is empty, until it serves another one.
type reader struct {
	c       *fiber.Ctx      // nil: the request is over
	all     strings.Builder // every copy: one piece of memory
	method  string
	uri     string
	host    string
	fields  []field
	lines   []string // the memory of their lines
	guards  int      // that have read the request
	chunked bool     // fasthttp may have added trailers to the header
	body    *bytes.Reader
	ended   bool // the body, if it is a stream
	tls     *tls.ConnectionState
}

// field is a header field that was asked for.
type field struct {
	name  string
	lines []string
	guard int // the last that has asked
}

type readerKey struct{}

var readers = sync.Pool{New: func() any { return new(reader) }}

// String and GoString keep the credentials from middleware that prints a request's locals.
func (r *reader) String() string   { return "idfiber.reader" }
func (r *reader) GoString() string { return r.String() }

// release makes the memory available to another request, without anything that was in it.
func (r *reader) release() {
	r.c.Locals(readerKey{}, nil)
	clear(r.fields)
	clear(r.lines)
	*r = reader{fields: r.fields[:0], lines: r.lines[:0]}
	readers.Put(r)
}

// request is the request as the next guard sees it.
func (r *reader) request() idserver.Request {
	header := &r.c.Request().Header
	if r.guards++; r.guards == 1 {
		r.chunked = isChunked(header)
		r.tls = r.c.Context().TLSConnectionState()
	}
	r.method, r.uri, r.host = r.copied(r.method, header.Method()), r.copied(r.uri, header.RequestURI()), r.copied(r.host, header.Host())
	path, query, _ := strings.Cut(r.uri, "?")
	if !strings.HasPrefix(path, "/") { // the absolute form of RFC 9112 section 3.2.2
		uri := r.c.Request().URI()
		path, query = r.copied("", uri.PathOriginal()), r.copied("", uri.QueryString())
	}
	request := idserver.Request{Method: r.method, Path: path, RawQuery: query, Host: r.host, Header: r, Remote: r.c.Context().RemoteAddr(), TLS: r.tls}
	if r.c.Request().IsBodyStream() || len(r.c.Request().Body()) > 0 {
		request.Body = r
	}
	return request
}

// Values returns copies of all lines of a header field. What an earlier guard asked for is compared rather than copied
// again.
func (r *reader) Values(name string) []string {
	if r.c == nil {
		return nil
	}
	i := slices.IndexFunc(r.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		i = len(r.fields)
		r.fields = append(r.fields, field{name: name})
	}
	f := &r.fields[i]
	if f.guard != r.guards {
		f.guard = r.guards
		lines := r.peek(name)
		if !slices.EqualFunc(f.lines, lines, func(kept string, now []byte) bool { return kept == string(trimmed(now)) }) {
			f.lines = r.copies(lines)
		}
	}
	return f.lines
}

// peek returns the lines of a field in fasthttp's memory, whatever the case of their names.
func (r *reader) peek(name string) [][]byte {
	header := &r.c.Request().Header
	lines := header.PeekAll(name)
	if r.c.App().Server().DisableHeaderNamesNormalizing {
		lines = slices.Clone(lines)
		spellings := []string{name}
		for _, key := range slices.Clone(header.PeekKeys()) {
			if s := string(key); strings.EqualFold(s, name) && !slices.Contains(spellings, s) {
				spellings, lines = append(spellings, s), append(lines, header.PeekAll(s)...)
			}
		}
	}
	if r.chunked {
		lines = slices.DeleteFunc(lines, func(line []byte) bool { return !isReceived(header, name, line) })
	}
	return lines
}

// isChunked reports whether the body came in chunks, behind which there may be trailers.
func isChunked(header *fasthttp.RequestHeader) bool {
	length := header.ContentLength() // 0: or the chunks were empty
	return length == -1 || length == 0 && isReceived(header, fiber.HeaderTransferEncoding, nil)
}

// isReceived reports whether the header section of the message has a line of a field; nil is any. fasthttp adds trailers
// to the header, where RFC 9110 section 6.5.1 does not allow them; what middleware adds cannot be told from them.
func isReceived(header *fasthttp.RequestHeader, name string, line []byte) (is bool) {
	//lint:ignore SA1019 fasthttp 1.51, which fiber v2 brings, has no iterators; the workspace has a newer one
	header.VisitAllInOrder(func(key, value []byte) {
		is = is || strings.EqualFold(string(key), name) && (line == nil || bytes.Equal(value, line))
	})
	return is
}

func (r *reader) copies(lines [][]byte) []string {
	from := len(r.lines)
	for _, line := range lines {
		r.lines = append(r.lines, r.copied("", trimmed(line)))
	}
	return r.lines[from:len(r.lines):len(r.lines)]
}

// trimmed is a line without the white space around it, RFC 9112 section 5; fasthttp leaves tabs.
func trimmed(line []byte) []byte { return bytes.Trim(line, " \t") }

// copied returns before, if now is the same, or a copy of now.
func (r *reader) copied(before string, now []byte) string {
	if before == string(now) {
		return before
	}
	if r.all.Cap() == 0 {
		header := &r.c.Request().Header
		r.all.Grow(len(header.RawHeaders()) + len(header.RequestURI()) + len(header.Method()))
	}
	from := r.all.Len()
	r.all.Write(now)
	return r.all.String()[from:]
}

// Read reads the request's body. If the app has StreamRequestBody, the handler gets the rest.
func (r *reader) Read(p []byte) (n int, err error) {
	if r.c == nil || r.ended { // behind its end, a stream would read the next request
		return 0, io.EOF
	}
	if stream := r.c.Request().BodyStream(); stream != nil {
		n, err = stream.Read(p)
		r.ended = err != nil
		return n, err
	}
	if r.body == nil {
		r.body = bytes.NewReader(r.c.Request().Body())
	}
	return r.body.Read(p)
}

// maxDrained is how much of a body is read for nothing, in bytes; it is net/http's limit too.
const maxDrained = 256 << 10

// drain reads what is left of a streamed body, which fasthttp would take for the next request: an attacker would write
// one into the body of a request that is refused.
func (r *reader) drain() {
	if r.c.Request().IsBodyStream() {
		if _, err := io.CopyN(io.Discard, r, maxDrained); err != io.EOF {
			r.c.Context().SetConnectionClose()
		}
	}
}
