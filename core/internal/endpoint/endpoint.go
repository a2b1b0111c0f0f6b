// Package endpoint sends one request to the provider and reads its answer.
//
// Limits hold for every request: on time, on the size of the answer, and no redirects, because a redirected token request
// would take the code and the client's secret along. Nothing that was sent shows up in an error or in a text of the
// answer, however the provider spells it.
package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// MaxBody limits answers, in bytes after decompression, unless a Call says otherwise.
const MaxBody = 1 << 20

// ErrTimeout means that Config.HTTP.Timeout was over first.
var ErrTimeout = errors.New("no whole answer")

// ErrUnsent marks an error because of which nothing was sent.
var ErrUnsent = errors.New("nothing was sent")

// unsent is an error because of which nothing was sent. It says so to errors.Is, and not in its text.
type unsent struct{ error }

func (u unsent) Unwrap() []error { return []error{ErrUnsent, u.error} }

// Config is what a Client is made of.
type Config struct {
	Client                *http.Client // its transport is used; nil: one like net/http's own
	InsecureSkipTLSVerify bool         // without Client only
	PlainHTTP             bool         // http reaches private networks only, not just loopback; without Client only
	Timeout               time.Duration
	Now                   func() time.Time
	Resolver              *net.Resolver // of names that are reached by plain http; nil: the system's

	// Certificate is what a Call that is Mutual presents over TLS; nil: none does. Client's transport must be one that
	// CanPresent then.
	Certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
}

// Client sends requests. It is safe for concurrent use.
type Client struct {
	http    http.Client
	mutual  *http.Transport // nil: the same as http's
	foreign bool            // http's transport is not ours
	timeout time.Duration
	now     func() time.Time
}

// New returns a client. It follows no redirects and keeps no cookies, whatever cfg.Client does.
func New(cfg Config) *Client {
	c := &Client{timeout: cfg.Timeout, now: cfg.Now}
	if cfg.Client != nil {
		c.http, c.foreign = *cfg.Client, true
	} else if c.http.Transport = transport(cfg.InsecureSkipTLSVerify); cfg.PlainHTTP {
		c.http.Transport = byScheme{transport(cfg.InsecureSkipTLSVerify), privateOnly(transport(false), cfg.Resolver)}
	}
	if cfg.Certificate != nil {
		c.mutual = Presenting(c.ownTransport(), cfg.Certificate)
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http.Jar = nil
	return c
}

// CloseIdleConnections closes connections that are kept for later requests, but for those of Config.Client.
func (c *Client) CloseIdleConnections() {
	if !c.foreign {
		c.http.CloseIdleConnections()
	}
	if c.mutual != nil {
		c.mutual.CloseIdleConnections()
	}
}

func transport(insecure bool) *http.Transport {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
	}
	if own, ok := http.DefaultTransport.(*http.Transport); ok { // tracing libraries replace it with another type
		t = own.Clone()
	}
	t.MaxIdleConnsPerHost = 16
	if insecure {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // the caller has checked that it is loopback
	}
	return t
}

// Call is one request: a POST if there is a form, otherwise a GET.
type Call struct {
	URL            string
	Form           url.Values // is not changed
	Accept         string     // default application/json
	Authentication Authentication
	MaxBody        int64 // default MaxBody
	Mutual         bool  // presents Config.Certificate
}

// Request is what Authentication completes.
type Request struct {
	URL    string
	Header http.Header
	Form   url.Values // nil in a GET

	secrets secrets
}

// Hide names values that are sent and must not show up in any text.
func (r *Request) Hide(values ...string) { r.secrets = append(r.secrets, values...) }

// confidential are the parameters of forms whose values are hidden (RFC 6749, 7009, 7521, 7636, 8628, 8693). The others
// may be repeated: an error that names the redirect_uri helps.
var confidential = []string{
	"code", "code_verifier", "refresh_token", "token", "client_secret", "client_assertion", "assertion", "password",
	"device_code", "subject_token", "actor_token", "id_token_hint", "request",
}

// Do sends the request and reads the whole answer, whatever its status. A redirect is a [RedirectError].
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	r := &Request{URL: call.URL, Header: http.Header{}, Form: maps.Clone(call.Form)}
	for _, name := range confidential {
		r.Hide(r.Form[name]...)
	}
	if call.Authentication != nil {
		if err := call.Authentication.Authenticate(ctx, r); err != nil {
			return nil, unsent{r.secrets.hideError(err)}
		}
	}
	a, err := c.send(ctx, r, call)
	if err != nil {
		return nil, r.secrets.hideError(err)
	}
	return a, nil
}

func (c *Client) send(ctx context.Context, r *Request, call Call) (*Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("%w within %v", ErrTimeout, c.timeout))
	defer cancel()
	request, err := r.http(ctx, call.Accept)
	if err != nil {
		return nil, err
	}
	client := &c.http
	if call.Mutual && c.mutual != nil && request.URL.Scheme == "https" {
		mutual := c.http
		mutual.Transport, client = c.mutual, &mutual
	}
	response, err := client.Do(request)
	if err != nil {
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" || errors.Is(err, ErrUnsent) {
			return nil, unsent{transportError(ctx, err)}
		}
		return nil, transportError(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 == 3 && response.StatusCode != http.StatusNotModified {
		return nil, &AnswerError{response.StatusCode, redirected(response, r.secrets)}
	}
	body, err := readAll(response.Body, call.MaxBody)
	if err != nil {
		return nil, &AnswerError{response.StatusCode, transportError(ctx, err)}
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body, received: c.now(), secrets: r.secrets}, nil
}

// http makes the request that is sent.
func (r *Request) http(ctx context.Context, accept string) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if r.Form != nil {
		method, body = http.MethodPost, strings.NewReader(r.Form.Encode())
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request, err := http.NewRequestWithContext(ctx, method, r.URL, body)
	if err != nil {
		return nil, errors.New("the URL is not usable")
	}
	if accept == "" {
		accept = "application/json"
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "idserver-go")
	request.Header = r.Header
	return request, nil
}

func readAll(body io.Reader, most int64) ([]byte, error) {
	if most == 0 {
		most = MaxBody
	}
	content, err := io.ReadAll(io.LimitReader(body, most+1))
	if err == nil && int64(len(content)) > most {
		err = fmt.Errorf("the answer is longer than %d bytes", most)
	}
	return content, err
}

// transportError leaves the URL out, whose query may hold something confidential, and tells a timeout from a caller that
// has gone away.
func transportError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// AnswerError means that the provider answered, and that the answer cannot be used: it is a redirect, too long, or broke off.
// What was sent has arrived, so that a code is used up.
type AnswerError struct {
	Status int
	Err    error
}

func (e *AnswerError) Error() string { return e.Err.Error() }
func (e *AnswerError) Unwrap() error { return e.Err }

// RedirectError means that the provider answered with a redirect, which is not followed.
type RedirectError struct {
	Status int
	Target string // without its query; empty if there was none that can be read
}

func (e *RedirectError) Error() string {
	to := ""
	if e.Target != "" {
		to = fmt.Sprintf(" to %q", e.Target)
	}
	return fmt.Sprintf("it answered with a redirect (status %d)%s, and redirects are not followed", e.Status, to)
}

func redirected(response *http.Response, hidden secrets) error {
	e := &RedirectError{Status: response.StatusCode}
	if target, err := response.Location(); err == nil {
		target.User, target.RawQuery, target.Fragment = nil, "", ""
		if e.Target = Printable(target.String(), maxDescription); hidden.in(e.Target) {
			e.Target = ""
		}
	}
	return e
}
