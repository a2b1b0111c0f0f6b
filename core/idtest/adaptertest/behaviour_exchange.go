package adaptertest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// suiteClock is a clock that the scenarios move.
type suiteClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *suiteClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *suiteClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// visitor is a browser: it keeps cookies as one does.
type visitor struct {
	s         *suite
	scheme    string
	transport *http.Transport
	jar       *cookiejar.Jar
}

// visitor returns a new visitor of the application at addr.
func (s *suite) visitor(addr string) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		DisableCompression: true,
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &visitor{s, "http", transport, jar}
}

// The header fields that browsers and programs send.
var (
	aPage    = map[string][]string{"Accept": {"text/html,application/xhtml+xml"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}}
	aScript  = map[string][]string{"Accept": {"application/json"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}}
	aProgram = map[string][]string{"Accept": {"application/json"}}
)

// with returns header with one field added or replaced or, without values, removed.
func with(header map[string][]string, name string, values ...string) map[string][]string {
	own := map[string][]string{}
	for n, v := range header {
		own[n] = v
	}
	own[name] = values
	if len(values) == 0 {
		delete(own, name)
	}
	return own
}

// exchange is a response whose body has been read.
type exchange struct {
	*http.Response
	body string
}

// do is like try for a request that must be answered.
func (v *visitor) do(method, target string, header map[string][]string) exchange {
	v.s.t.Helper()
	e, err := v.try(method, target, header)
	if err != nil {
		v.s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return e
}

// try sends a request and keeps the cookies of the response. A Cookie field in header replaces the kept ones.
func (v *visitor) try(method, target string, header map[string][]string) (exchange, error) {
	return v.send(method, target, header, nil)
}

// send is like try with a body.
func (v *visitor) send(method, target string, header map[string][]string, body io.Reader) (e exchange, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // ends what hangs; a slow machine is not a fault
	defer cancel()
	request, err := v.request(ctx, method, target, header, body)
	if err != nil {
		return e, err
	}
	response, err := v.transport.RoundTrip(request)
	if err != nil {
		return e, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	v.jar.SetCookies(cookieURL(request.URL.Path), response.Cookies())
	return exchange{response, string(answer)}, err
}

// request makes a request with the visitor's cookies.
func (v *visitor) request(ctx context.Context, method, target string, header map[string][]string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, v.scheme+"://"+suiteHost+target, body)
	if err != nil {
		return nil, err
	}
	if header["Cookie"] == nil {
		for _, c := range v.jar.Cookies(cookieURL(request.URL.Path)) {
			request.AddCookie(c)
		}
	}
	maps.Copy(request.Header, header)
	return request, nil
}

// cookieURL is what the browser shows for a path.
func cookieURL(path string) *url.URL { return &url.URL{Scheme: "https", Host: suiteHost, Path: path} }

// step sends a request and writes request and response to the transcript.
func (v *visitor) step(name, why, method, target string, header map[string][]string) exchange {
	v.s.t.Helper()
	e := v.do(method, target, header)
	v.s.write(name, why, method, target, header, v.s.answerText(e))
	return e
}

// post is like step for a POST with a body.
func (v *visitor) post(name, why, target string, header map[string][]string, body io.Reader) {
	v.s.t.Helper()
	e, err := v.send("POST", target, header, body)
	if err != nil {
		v.s.t.Fatalf("POST %s: %v", target, err)
	}
	v.s.write(name, why, "POST", target, header, v.s.answerText(e))
}

// wire is like step for a request of which every line is given, to the last one of the body; an empty one ends the header.
func (v *visitor) wire(name, why, request string, lines ...string) {
	v.s.t.Helper()
	e, err := v.exchangeLines(request, lines)
	if err != nil {
		v.s.t.Fatalf("%s: %v", request, err)
	}
	v.writeLines(name, why, request, lines, e)
}

// trailing is like wire for a message whose last line is a field that no trailer may be (RFC 9110 section 6.5.1). A server may refuse
// that as a bad request, before the application sees it, as fasthttp 1.73 does: then what it answers without the trailer counts.
func (v *visitor) trailing(name, why, request string, lines ...string) {
	v.s.t.Helper()
	e, err := v.exchangeLines(request, lines)
	if err == nil && e.StatusCode == http.StatusBadRequest && len(e.Header.Values("Set-Cookie")) == 0 {
		isAnnounced := func(line string) bool { return strings.HasPrefix(line, "Trailer:") }
		e, err = v.exchangeLines(request, slices.DeleteFunc(slices.Clone(lines[:len(lines)-1]), isAnnounced))
	}
	if err != nil {
		v.s.t.Fatalf("%s: %v", request, err)
	}
	v.writeLines(name, why, request, lines, e)
}

// writeLines writes a request of which every line was given, and its response, to the transcript.
func (v *visitor) writeLines(name, why, request string, lines []string, e exchange) {
	var b strings.Builder
	for _, line := range append([]string{request}, lines...) {
		b.WriteString(strings.TrimSuffix("> "+strings.ReplaceAll(v.s.masked(line), "\t", `\t`), " ") + "\n")
	}
	v.s.steps = append(v.s.steps, step{name, why, b.String() + v.s.answerText(e)})
}

func (v *visitor) exchangeLines(request string, lines []string) (e exchange, err error) {
	c, err := v.transport.DialContext(context.Background(), "tcp", "")
	if err != nil {
		return e, err
	}
	defer c.Close()
	text := append([]string{request + " HTTP/1.1", "Host: " + suiteHost, "Connection: close", "Accept: application/json"}, lines...)
	if _, err := io.WriteString(c, strings.Join(text, "\r\n")+"\r\n\r\n"); err != nil {
		return e, err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return e, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return exchange{response, string(answer)}, err
}

func (s *suite) write(name, why, method, target string, header map[string][]string, answer string) {
	var b strings.Builder
	fmt.Fprintf(&b, "> %s %s\n", method, s.masked(target))
	for n, values := range inOrder(header) {
		for _, value := range values {
			fmt.Fprintf(&b, "> %s: %s\n", n, s.masked(value))
		}
	}
	s.steps = append(s.steps, step{name, why, b.String() + answer})
}

// compared are the header fields in the transcript. Those that a server or a proxy adds itself (Date, Content-Length) are
// left out.
var compared = []string{"Location", "Content-Type", "Cache-Control", "Vary", "CDN-Cache-Control", "HX-Redirect", "WWW-Authenticate", "DPoP-Nonce", "Retry-After", "Allow", "Clear-Site-Data", "Refresh",
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers", "Access-Control-Expose-Headers", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy"}

func (s *suite) answerText(e exchange) string {
	var b strings.Builder
	fmt.Fprintf(&b, "< %d\n", e.StatusCode)
	for _, name := range compared {
		values := e.Header.Values(name)
		if name == "Vary" {
			values = splitVary(values)
		}
		if name == "Content-Type" && (e.body == "" || e.StatusCode == http.StatusSwitchingProtocols) {
			continue // of nothing
		}
		if name == "Content-Type" {
			values = []string{strings.ToLower(strings.Join(values, ", "))} // frameworks write the application's charset as they like
		}
		for _, value := range values {
			fmt.Fprintf(&b, "< %s: %s\n", name, s.masked(value))
		}
	}
	for _, cookie := range e.Header.Values("Set-Cookie") {
		fmt.Fprintf(&b, "< Set-Cookie: %s\n", s.masked(cookie))
	}
	if body := s.masked(e.body); len(body) > 400 {
		sum := sha256.Sum256([]byte(body))
		fmt.Fprintf(&b, "< %s ... sha256 %s\n", heading1.FindString(body), hex.EncodeToString(sum[:8]))
	} else if body != "" {
		fmt.Fprintf(&b, "< %s\n", strings.ReplaceAll(strings.TrimSuffix(body, "\n"), "\n", "\n< "))
	}
	return b.String()
}

var heading1 = regexp.MustCompile(`<h1>.*?</h1>`)

// splitVary returns one line for each field that the core's answers or the suite's own vary on: how they are spread over
// lines does not matter.
func splitVary(values []string) (fields []string) {
	for field := range strings.SplitSeq(strings.Join(values, ","), ",") {
		if field = strings.TrimSpace(field); slices.Contains([]string{"Authorization", "Cookie", "Origin", "X-App", "X-Access-Token"}, field) && !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}

var (
	loginCookie   = regexp.MustCompile(`__Secure-idserver-login-[A-Za-z0-9_-]{16}`)
	sealedValue   = regexp.MustCompile(`(idserver[a-z0-9<> .-]*=)([0-9]\.)?[A-Za-z0-9_-]{40,}`)
	sealedInQuery = regexp.MustCompile(`(step_up)=[A-Za-z0-9_-]{40,}`)
	secretInQuery = regexp.MustCompile(`\b(state|nonce|code|code_challenge|id_token_hint)=[A-Za-z0-9._~-]{20,}`)
	pushedInQuery = regexp.MustCompile(`\b(request_uri|dpop_jkt)=[A-Za-z0-9._~%-]{20,}`)
	tokenHash     = regexp.MustCompile(`\btoken [0-9a-f]{16}`)
	bearerToken   = regexp.MustCompile(`[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}`)
	certificate   = regexp.MustCompile(`:[A-Za-z0-9+/]{64,}=*:`)
	opaqueToken   = regexp.MustCompile(`[A-Z2-7]{26}-[A-Z2-7]{26}`)
)

// masked replaces what differs between runs: sealed values, secrets and addresses.
func (s *suite) masked(text string) string {
	text = strings.ReplaceAll(text, s.provider.URL(), "PROVIDER")
	text = strings.ReplaceAll(text, url.QueryEscape(s.provider.URL()), "PROVIDER")
	text = loginCookie.ReplaceAllStringFunc(text, func(name string) string {
		if s.states[name] == 0 {
			s.states[name] = len(s.states) + 1
		}
		return fmt.Sprintf("__Secure-idserver-login-<%d>", s.states[name])
	})
	text = sealedValue.ReplaceAllString(text, "$1$2<sealed>")
	text = secretInQuery.ReplaceAllString(text, "$1=*")
	text = sealedInQuery.ReplaceAllString(text, "$1=*")
	text = pushedInQuery.ReplaceAllString(text, "$1=*")
	text = tokenHash.ReplaceAllString(text, "token *")
	text = certificate.ReplaceAllString(text, ":<certificate>:")
	text = opaqueToken.ReplaceAllString(text, "<opaque token>")
	return bearerToken.ReplaceAllString(text, "<token>")
}

// cookies returns the visitor's cookies as a Cookie line.
func (v *visitor) cookies(path string) string {
	var all []string
	for _, c := range v.jar.Cookies(cookieURL(path)) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// begin opens the login route and returns the URL of the authorization request.
func (v *visitor) begin(query string) string {
	v.s.t.Helper()
	e := v.do("GET", "/auth/login"+query, aPage)
	if e.StatusCode != http.StatusSeeOther {
		v.s.t.Fatalf("login%s: %d %s", query, e.StatusCode, e.body)
	}
	return e.Header.Get("Location")
}

// comeBack acts as the person at the provider and returns the URL of the callback.
func (v *visitor) comeBack(authorize, login string) string {
	v.s.t.Helper()
	callback, err := v.s.provider.Authorize(context.Background(), authorize, login)
	if err != nil {
		v.s.t.Fatalf("%v", err)
	}
	return callback.RequestURI()
}

// signIn signs a person in without writing to the transcript.
func (v *visitor) signIn(login string) *visitor {
	v.s.t.Helper()
	e := v.do("GET", v.comeBack(v.begin(""), login), aPage)
	if e.StatusCode != http.StatusSeeOther || !strings.Contains(v.cookies("/"), "__Host-idserver=") {
		v.s.t.Fatalf("callback: %d %s, cookies %q", e.StatusCode, e.body, e.Header.Values("Set-Cookie"))
	}
	return v
}

// RouterAnswers are the requests that a router may answer itself, in its framework's own way, with the statuses that are
// allowed and the reason. Whatever the answer, it must not begin or end a sign-in.
var RouterAnswers = []RouterAnswer{
	{"HEAD", "/auth/login", []int{404, 405}, "fiber registers HEAD with GET and the core refuses it; gin answers 404, echo and chi 405"},
	{"HEAD", "/auth/callback?code=x&state=y", []int{404, 405}, "the same"},
	{"POST", "/auth/login", []int{404, 405}, "gin answers 404 unless its HandleMethodNotAllowed is set, the others 405"},
	{"POST", "/auth/callback", []int{404, 405}, "the same"},
	{"PUT", "/auth/logout", []int{404, 405}, "the same"},
	{"DELETE", "/suite/user", []int{404, 405}, "the same"},
	{"OPTIONS", "/suite/user", []int{204, 404, 405}, "echo answers OPTIONS by itself"},
	{"GET", "/auth/logout/", []int{200, 301, 307, 404}, "fiber serves it unless StrictRouting is set, gin redirects, echo and chi answer 404"},
	{"GET", "/auth/nothing", []int{404}, "there is no such route"},
	{"GET", "/auth//login", []int{301, 307, 404}, "a ServeMux redirects to the clean path, gin unless RedirectFixedPath is off; the others answer 404"},
	{"GET", "/.well-known/oauth-protected-resource/../../suite/user", []int{301, 307, 404}, "some redirect to the clean path, which has a guard of its own"},
	{"GET", "/.well-known/oauth-protected-resource/suite/mcp/../../../suite/user", []int{301, 307, 404}, "the same"},
	{"GET", "/.well-known/oauth-protected-resource/%2e%2e/%2e%2e/suite/user", []int{404}, "there is no such route"},
	{"GET", "/.well-known/oauth-protected-resource//suite/mcp", []int{301, 307, 404}, "some redirect to the clean path"},
	{"GET", "/.well-known/oauth-protected-resource/suite%2Fmcp", []int{200, 404}, "gin takes it for a slash"},
	{"GET", "/.well-known/oauth-protected-resource/suite/mcp/", []int{200, 301, 404}, "fiber serves it unless StrictRouting is set, gin redirects, the others answer 404"},
	{"GET", "/.well-known/oauth-protected-resource/suite/other", []int{404}, "an API that publishes nothing"},
	{"GET", "/AUTH/LOGOUT", []int{200, 404}, "fiber serves it unless CaseSensitive is set"},
}

// RouterAnswer is one of [RouterAnswers].
type RouterAnswer struct {
	Method, Target string
	Statuses       []int
	Reason         string
}

// router sends a request that a router may answer itself.
func (v *visitor) router(r RouterAnswer) {
	v.s.t.Helper()
	header := with(aPage, "Sec-Fetch-Site", "cross-site")
	e := v.do(r.Method, r.Target, header)
	text := fmt.Sprintf("< one of %v: %s\n", r.Statuses, r.Reason)
	if !slices.Contains(r.Statuses, e.StatusCode) || len(e.Header.Values("Set-Cookie")) > 0 || bytes.Contains([]byte(e.Header.Get("Location")), []byte("/connect/")) {
		text += v.s.answerText(e)
	}
	v.s.write("router "+r.Method+" "+r.Target, "the framework's own", r.Method, r.Target, header, text)
}
