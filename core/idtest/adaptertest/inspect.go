package adaptertest

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	idserver "github.com/signward/idserver-go/core"
)

// learntLater is a header field that no adapter knows of: what the core learns to read later reaches it through adapters
// that are already published.
const learntLater = "X-Learnt-Later"

// inspectLimit is how much of a body [Inspect] reads, in bytes.
const inspectLimit = 16

// Inspect is a guard of the application's own. It answers with what the adapter hands over: method, path, query, host, a
// header field that no adapter knows of, the first 16 bytes of the body, and whose certificate the connection has.
func Inspect(ctx context.Context, r idserver.Request) (context.Context, idserver.Answer) {
	seen := inspected{
		method: r.Method, path: r.Path, query: r.RawQuery, host: r.Host,
		lines: slices.Clone(r.Header.Values(learntLater)), body: "none", peer: peer(r.TLS),
	}
	if r.Body != nil {
		body, err := io.ReadAll(io.LimitReader(r.Body, inspectLimit))
		if seen.body = cmp.Or(string(body), "none"); err != nil {
			seen.body += " and an error" // its text is the framework's own
		}
	}
	_, run, _ := strings.Cut(r.Host, ".")
	if k, ok := keepers.Load(run); ok {
		k.(*keeper).add(seen)
	}
	return ctx, idserver.Answer{
		Status: http.StatusOK,
		Set:    []idserver.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}},
		Body:   []byte(seen.String()),
	}
}

// inspected is what an adapter hands over. Its strings are those of the adapter.
type inspected struct {
	method, path, query, host string
	lines                     []string
	body, peer                string
}

// peer says who is at the other end of an encrypted connection.
func peer(state *tls.ConnectionState) string {
	switch {
	case state == nil:
		return "false"
	case len(state.PeerCertificates) == 0:
		return "true"
	default:
		return "true, with " + state.PeerCertificates[0].Subject.CommonName
	}
}

func (i inspected) String() string {
	return fmt.Sprintf("%s path %s query %q host %s, %s %q, body %q, TLS %s\n", i.method, i.path, i.query, i.host, learntLater, i.lines, i.body, i.peer)
}

// keepers are the running isolation suites by the domain that they ask: Inspect is a plain guard, which knows of none.
var keepers sync.Map

// handedOver tests that an adapter hands over all of a request, as it was sent.
func handedOver(s *suite) {
	addr := s.serve()
	v := s.visitor(addr)
	later := map[string][]string{learntLater: {"one", "two"}, strings.ToLower(learntLater): {"three"}}
	v.step("what a guard sees", "path and query as they came, and all lines of a field, whatever their case", "GET", "/suite/inspect?a=%2F%zz&b", later)
	v.step("what a guard sees of HEAD", "no body on the way back", "HEAD", "/suite/inspect", nil)
	v.step("what a guard sees of a POST without body", "nothing, and it does not wait", "POST", "/suite/inspect", nil)
	v.post("what a guard sees of a body", "as much as it asks for", "/suite/inspect", later, strings.NewReader(strings.Repeat("0123456789", 1000)))
	v.post("what a guard sees of a short body", "all of it", "/suite/inspect", nil, strings.NewReader("short"))
	v.post("what a guard sees of a body in chunks", "RFC 9112 section 7.1", "/suite/inspect", later, io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks")))
	v.post("what a guard sees of a body of no chunks", "nothing", "/suite/inspect", nil, io.MultiReader())

	v.post("a stranger posts a long body", "it is not read by who refuses", "/suite/user", aScript, strings.NewReader(strings.Repeat("GET /suite/own HTTP/1.1\r\n\r\n", 3000)))
	v.step("what a guard sees after a long body", "it is not taken for the next request", "GET", "/suite/inspect", nil)

	const elsewhere = "/suite/rewritten?a=b"
	v.step("a stranger at a page whose path middleware rewrites", "return_to is what the browser asked for", "GET", elsewhere, aPage)
	v.signIn("alice")
	v.step("what a guard sees of a path that middleware rewrites", "what the browser asked for", "GET", elsewhere, aPage)
	v.post("what a guard behind another sees of a body", "who does not need it does not read it", elsewhere, aScript, strings.NewReader("read once"))
}

// onTheWire tests requests that only a peer sends that writes them itself.
func onTheWire(s *suite) {
	addr := s.serve()
	v := s.visitor(addr).signIn("alice")
	bearer, session := "Authorization: Bearer "+s.provider.MintAccessToken("bob"), "Cookie: "+v.cookies("/")
	v.wire("a token between tabs", "RFC 9112 section 5", "GET /suite/user", strings.Replace(bearer, " ", "\t ", 1)+" \t")
	v.wire("a token, the name in capitals", "RFC 9110 section 5.1", "GET /suite/user", strings.Replace(bearer, "Authorization", "AUTHORIZATION", 1))
	v.wire("alice posts, cross-site, the names in lower case", "the same as in any other", "POST /suite/user", "sec-fetch-site: cross-site", session, "content-length: 0")
	v.wire("alice posts from elsewhere, the names in lower case", "the same as in any other", "POST /suite/user", "origin: https://evil.example", strings.Replace(session, "C", "c", 1), "content-length: 0")
	v.wire("alice posts in chunks", "her session is in the header", "POST /suite/user", "Sec-Fetch-Site: same-origin", session, "Transfer-Encoding: chunked", "", "2", "ab", "0")
	v.trailing("alice's session in a trailer", "RFC 9110 section 6.5.1: not part of the header", "POST /suite/user", "Sec-Fetch-Site: same-origin", "Transfer-Encoding: chunked", "", "2", "ab", "0", session)
	v.trailing("alice's session in a trailer of an empty body", "the same", "POST /suite/user", "Sec-Fetch-Site: same-origin", "Transfer-Encoding: chunked", "", "0", session)
	v.trailing("alice's session in an announced trailer", "the same", "POST /suite/user", "Sec-Fetch-Site: same-origin", "Transfer-Encoding: chunked", "Trailer: Cookie", "", "2", "ab", "0", session)
	v.wire("a field in header and trailer", "the trailer's is not seen", "POST /suite/inspect", learntLater+": header", "Transfer-Encoding: chunked", "", "2", "ab", "0", learntLater+": trailer")
}
