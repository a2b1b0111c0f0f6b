package idserver

import (
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/endpoint"
)

// Request holds what routes and guards need of a request. An adapter fills it in; for net/http, [RequestFrom] does. It is
// used during the call only, and by one goroutine: of what it holds, strings may be kept, and nothing else. Where a
// framework reuses the memory of its requests, a Header or Body that is kept all the same is empty when the request is
// over, and may belong to another request later.
type Request struct {
	Method string
	// Path and RawQuery are what the browser asked for, escaped. Middleware may have rewritten the framework's own path,
	// and the way back after sign-in would lead nowhere.
	Path, RawQuery string
	Host           string
	Header         Header
	// Body is nil or [http.NoBody] if there is none, or empty if that is not known. Only who needs it reads it, up to a limit of
	// its own; what a guard has read may be missing in the handler. A body above the framework's limit is an error here, or has
	// been refused before.
	Body io.Reader
	// Remote is the other end of the connection to this program, which may be a proxy's; nil: it is not known.
	Remote net.Addr
	TLS    *tls.ConnectionState // nil: the connection to this program is not encrypted; a proxy may have ended it
}

// Header gives access to the header fields of a request; an [http.Header] does. The client asks for fields by name, so
// that what it learns to read later reaches it through adapters that are already published.
type Header interface {
	// Values returns all lines of a field in order, so that a second one is noticed, without the white space around them
	// (RFC 9112 section 5). name is in canonical form (Sec-Fetch-Site), and finds the lines whatever the case in which they
	// were sent. Trailers are not part of the header (RFC 9110 section 6.5.1). Of what describes the message itself (Host,
	// Content-Length, Transfer-Encoding, Trailer), frameworks give all or nothing. The client may keep the strings but not
	// the slice: an adapter whose framework reuses the strings' memory must copy them.
	Values(name string) []string
}

// RequestFrom makes a Request from a net/http request. It copies nothing.
func RequestFrom(r *http.Request) Request {
	path, query := target(r)
	return Request{Method: r.Method, Path: path, RawQuery: query, Host: r.Host, Header: r.Header, Body: r.Body, Remote: (*remote)(r), TLS: r.TLS}
}

// remote is the other end of a request's connection, without a copy.
type remote http.Request

// Network implements [net.Addr]. Servers do not tell.
func (r *remote) Network() string { return "tcp" }

// String implements [net.Addr].
func (r *remote) String() string { return r.RemoteAddr }

// target returns the path and the query of the request line. r.URL is what http.StripPrefix and others leave of them; it
// is used for a request that no server read.
func target(r *http.Request) (path, query string) {
	uri := r.RequestURI
	if !strings.HasPrefix(uri, "/") || strings.ContainsFunc(uri, isOddInPath) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			u = r.URL
		}
		return cmp.Or(u.EscapedPath(), "/"), u.RawQuery
	}
	path, query, _ = strings.Cut(uri, "?")
	return path, query
}

// isOddInPath reports whether a browser would have escaped c.
func isOddInPath(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"#<>\\^`{|}", c)
}

// String returns the method and the path, both cut, without the query and the header, which hold codes, cookies and tokens.
func (r Request) String() string {
	return "idserver.Request{" + endpoint.Printable(r.Method, maxMethodText) + " " + endpoint.Printable(r.Path, maxPathText) + "}"
}

// values returns all lines of a header field. name is in canonical form, so that for net/http, which would look at that
// again, its map is asked.
func (r *Request) values(name string) []string {
	switch h := r.Header.(type) {
	case http.Header:
		return h[name]
	case nil:
		return nil
	}
	return r.Header.Values(name)
}

// value returns the first line of a header field.
func (r *Request) value(name string) string {
	if lines := r.values(name); len(lines) > 0 {
		return lines[0]
	}
	return ""
}

// The header fields that tell how a browser came to send a request: Fetch Metadata Request Headers, section 2.
const (
	secFetchSite = "Sec-Fetch-Site"
	secFetchMode = "Sec-Fetch-Mode"
	secFetchDest = "Sec-Fetch-Dest"
)

// isNavigation reports whether a browser is loading a page, by a link or with a form: judged by Fetch Metadata or, in a
// browser without it, by the Accept header and the type of what is posted.
func (r *Request) isNavigation() bool {
	mode := r.value(secFetchMode)
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return false
	case mode != "":
		return mode == "navigate" && !r.isHandshake()
	case r.isHandshake():
		return false
	case !strings.Contains(r.value("Accept"), "text/html"), r.isHTMX():
		return false
	}
	return r.Method == http.MethodGet || r.hasForm()
}

// isVisit reports whether a person opens a page that a redirect can lead back to.
func (r *Request) isVisit() bool {
	return r.Method == http.MethodGet && r.isNavigation() && !r.isPrefetch()
}

// hasForm reports whether the body is of a type that a form without a script sends.
func (r *Request) hasForm() bool {
	kind, _, _ := strings.Cut(r.value("Content-Type"), ";")
	return slices.Contains([]string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}, strings.ToLower(strings.TrimSpace(kind)))
}

// isHTMX reports whether htmx sent the request.
func (r *Request) isHTMX() bool { return r.value("Hx-Request") == "true" }

// isHandshake reports whether the request begins something else than an answer, such as a WebSocket: by an upgrade (RFC
// 6455 section 4.1), or by CONNECT in HTTP/2 and 3 (RFC 8441).
func (r *Request) isHandshake() bool {
	return r.Method == http.MethodConnect || len(r.values("Upgrade")) > 0 || len(r.values("Sec-Websocket-Key")) > 0 ||
		len(r.values("Sec-Websocket-Version")) > 0 || r.value(secFetchMode) == "websocket"
}

// hasBody reports whether the request has a body, as far as that is known without reading it.
func (r *Request) hasBody() bool { return r.Body != nil && r.Body != http.NoBody }

func (r *Request) acceptsJSON() bool { return strings.Contains(r.value("Accept"), "application/json") }

// isPrefetch reports whether a browser is fetching the page only because its user might go there.
func (r *Request) isPrefetch() bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Moz"} { // the others are older browsers'
		if strings.Contains(r.value(name), "prefetch") {
			return true
		}
	}
	return false
}

// cookies returns the lines of the Cookie header.
func (r *Request) cookies() []string { return r.values("Cookie") }

// authorization is the header field that a bearer token comes in, unless a [Resource] says otherwise.
const authorization = "Authorization"

// hasAuthorization reports whether a request has an Authorization header, which then decides alone.
func (r *Request) hasAuthorization() bool { return len(r.values(authorization)) > 0 }
