package idtest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Fault is how an endpoint fails. The first of Lost, Drop, Hang, Redirect, Endless, GzipBomb, OAuthError and HTML that is set
// decides; if none is, Status and Body do, and the zero Fault is a 500.
type Fault struct {
	// Status is the HTTP status. Default: 307 with Redirect, 400 with OAuthError, otherwise 200 if there is something to
	// answer with. A status of 400 or more with nothing else set has an application/problem+json body, and 429 then has a
	// Retry-After of 30 seconds unless Header has another.
	Status int
	// Body is the body, and ContentType its type. Default: "application/json".
	Body        string
	ContentType string
	// Header is added to the response.
	Header http.Header

	// HTML answers with a web page where JSON is expected, as a proxy in between might.
	HTML bool
	// Redirect is the URL to redirect the client to.
	Redirect string
	// Endless answers with JSON that never ends.
	Endless bool
	// Hang does not answer until the client goes away or the provider is closed.
	Hang bool
	// Drop closes the connection without a response.
	Drop bool
	// Lost does what the request asks for, and closes the connection in place of the response: the client cannot know whether a
	// refresh token was used up.
	Lost bool
	// GzipBomb answers with about 270 kB that decompress to 256 MiB of JSON whitespace.
	GzipBomb bool

	// OAuthError is an error code to answer with, such as "invalid_grant", in the form of RFC 6749 section 5.2;
	// OAuthDescription is its error_description.
	OAuthError       string
	OAuthDescription string

	// Slow is how long to wait before the response, whatever Options.Now says: real time, or that of a bubble of
	// testing/synctest. If nothing else is set, the response is the healthy one.
	Slow time.Duration
	// When limits the fault to the requests for which it returns true. form has what a POST has in its body. It is called for
	// one request at a time.
	When func(form url.Values) bool
	// Every limits the fault to each of so many of the requests that would meet it: 10 means the 10th, the 20th and so on.
	// Default: all.
	Every int
	// Once limits the fault to the first request that meets it.
	Once bool
}

// Fail makes an endpoint fail until [Provider.Heal] or, with Once, for one request. It replaces an earlier fault.
func (p *Provider) Fail(endpoint Endpoint, fault Fault) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	if p.faults.faults == nil {
		p.faults.faults = map[Endpoint]*setFault{}
	}
	p.faults.faults[endpoint] = &setFault{Fault: fault}
}

// Heal removes the fault of an endpoint.
func (p *Provider) Heal(endpoint Endpoint) {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	delete(p.faults.faults, endpoint)
}

// Requests returns how many requests an endpoint has received since the start or the last ResetRequests, including those
// that met a fault or have not been answered yet.
func (p *Provider) Requests(endpoint Endpoint) int {
	p.faults.mu.Lock()
	defer p.faults.mu.Unlock()
	return p.faults.requests[endpoint]
}

// ResetRequests sets the counts of all endpoints to zero, and those of [Provider.RefreshCounts].
func (p *Provider) ResetRequests() {
	p.faults.mu.Lock()
	clear(p.faults.requests)
	p.faults.lostRefreshes = 0
	p.faults.mu.Unlock()
	p.grants.mu.Lock()
	p.grants.refreshes = RefreshCounts{}
	p.grants.mu.Unlock()
}

type faultTable struct {
	mu       sync.Mutex
	faults   map[Endpoint]*setFault
	requests map[Endpoint]int

	lostRefreshes int // answers with new tokens that no client got
}

// setFault is a fault, and how many requests would have met it.
type setFault struct {
	Fault
	met int
}

func (t *faultTable) wrap(endpoint Endpoint, done <-chan struct{}, healthy http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault, ok := t.count(endpoint, r)
		switch {
		case ok && fault.Lost:
			t.lose(fault, r, done, healthy)
		case ok && fault.serve(w, r, done):
			return
		}
		healthy(w, r)
	}
}

// count counts a request, and returns the fault that meets it.
func (t *faultTable) count(endpoint Endpoint, r *http.Request) (Fault, bool) {
	var form url.Values
	if t.asksForForm(endpoint) {
		form = formOf(r)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.requests == nil {
		t.requests = map[Endpoint]int{}
	}
	t.requests[endpoint]++
	fault := t.faults[endpoint]
	if fault == nil || fault.When != nil && !fault.When(form) {
		return Fault{}, false
	}
	if fault.met++; fault.Every > 1 && fault.met%fault.Every != 0 {
		return Fault{}, false
	}
	if fault.Once {
		delete(t.faults, endpoint)
	}
	return fault.Fault, true
}

func (t *faultTable) asksForForm(endpoint Endpoint) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	fault := t.faults[endpoint]
	return fault != nil && fault.When != nil
}

// formOf reads the form in the body of a request, and puts the body back. One that cannot be read is empty here, and for the
// endpoint to refuse.
func formOf(r *http.Request) url.Values {
	body := readBody(r)
	form, _ := url.ParseQuery(string(body))
	return form
}

// readBody reads the body of a request, and puts it back.
func readBody(r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// lose has the request served, and nobody told. With Hang or Slow the client waits first.
func (t *faultTable) lose(fault Fault, r *http.Request, done <-chan struct{}, healthy http.HandlerFunc) {
	readBody(r) // until then net/http does not notice that the client has gone
	unheard := &nobody{header: http.Header{}}
	healthy(unheard, r)
	if unheard.status == http.StatusOK && r.PostForm.Get("grant_type") == "refresh_token" {
		t.mu.Lock()
		t.lostRefreshes++
		t.mu.Unlock()
	}
	if fault.Slow > 0 || fault.Hang {
		fault.wait(r, done)
	}
	panic(http.ErrAbortHandler)
}

// nobody hears an answer.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(p []byte) (int, error) { n.WriteHeader(http.StatusOK); return len(p), nil }
func (n *nobody) WriteHeader(status int)      { n.status = cmp.Or(n.status, status) }

// serve answers with the fault, or returns false if the healthy response is to follow.
func (f Fault) serve(w http.ResponseWriter, r *http.Request, done <-chan struct{}) bool {
	if f.Slow > 0 || f.Hang {
		f.wait(r, done)
	}
	h := w.Header()
	answer := func(status int, contentType string) {
		f.Status = cmp.Or(f.Status, status)
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", contentType)
		}
		w.WriteHeader(f.Status)
	}
	maps.Copy(h, f.Header)
	if f.ContentType != "" {
		h.Set("Content-Type", f.ContentType)
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Redirect != "":
		h.Set("Location", f.Redirect)
		answer(http.StatusTemporaryRedirect, "text/html; charset=utf-8")
	case f.Endless:
		answer(http.StatusOK, "application/json")
		writeEndlessly(w, done)
	case f.GzipBomb:
		h.Set("Content-Encoding", "gzip")
		answer(http.StatusOK, "application/json")
		w.Write(gzipBomb())
	case f.OAuthError != "":
		(&oauthError{f.OAuthError, f.OAuthDescription, f.Status}).write(w)
	case f.HTML:
		answer(http.StatusOK, "text/html; charset=utf-8")
		io.WriteString(w, "<!doctype html><title>Gateway</title><p>This is not the page you are looking for.")
	case f.Body != "" || f.ContentType != "" || f.Status > 0 && f.Status < 400:
		answer(http.StatusOK, "application/json")
		io.WriteString(w, f.Body)
	case f.Slow > 0 && f.Status == 0:
		return false
	default:
		f.problem(w)
	}
	return true
}

func (f Fault) problem(w http.ResponseWriter) {
	f.Status = cmp.Or(f.Status, http.StatusInternalServerError)
	if f.Status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "30")
	}
	problem(w, f.Status, "")
}

// wait holds a request. It reads the body first, because until then net/http does not notice that the client has gone.
func (f Fault) wait(r *http.Request, done <-chan struct{}) {
	readBody(r)
	var over <-chan time.Time
	if !f.Hang {
		timer := time.NewTimer(f.Slow)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	case <-done:
		panic(http.ErrAbortHandler)
	}
}

func writeEndlessly(w io.Writer, done <-chan struct{}) {
	_, err := io.WriteString(w, `{"endless":"`)
	more := strings.Repeat("a", 32<<10)
	for err == nil {
		select {
		case <-done:
			return
		default:
			_, err = io.WriteString(w, more)
		}
	}
}

// gzipBomb is one small member repeated many times, RFC 1952 section 2.2: compressing all of it would take seconds.
var gzipBomb = sync.OnceValue(func() []byte {
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	return bytes.Repeat(member.Bytes(), 256)
})
