package idserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// maxBody limits every response of the provider, in bytes after decompression.
const maxBody = 1 << 20

// providerHTTP sends requests to the provider, with limits on time and size. It never follows redirects: a redirected
// token request would take the code and the client's secret along.
type providerHTTP struct {
	client  http.Client
	timeout time.Duration
	now     func() time.Time
}

func newProviderHTTP(cfg Config) *providerHTTP {
	h := &providerHTTP{timeout: cfg.HTTP.Timeout, now: cfg.Now}
	if cfg.HTTP.Client != nil {
		h.client = *cfg.HTTP.Client
	} else {
		transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second}
		if own, ok := http.DefaultTransport.(*http.Transport); ok { // tracing libraries replace it with another type
			transport = own.Clone()
		}
		transport.MaxIdleConnsPerHost = 16
		if cfg.HTTP.InsecureSkipTLSVerify {
			transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // loopback only: New has checked that
		}
		h.client.Transport = transport
	}
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h.client.Jar = nil
	return h
}

// answer is the provider's response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (h *providerHTTP) do(ctx context.Context, method, target string, header http.Header, body io.Reader) (*answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.timeout, fmt.Errorf("no whole answer within %v", h.timeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, errors.New("the URL is not usable")
	}
	request.Header = header
	response, err := h.client.Do(request)
	if err != nil {
		return nil, transportError(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, transportError(ctx, err)
	case len(content) > maxBody:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxBody)
	case response.StatusCode/100 == 3 && response.StatusCode != http.StatusNotModified:
		return nil, fmt.Errorf("it answered with a redirect (status %d), and redirects are not followed", response.StatusCode)
	}
	return &answer{response.StatusCode, response.Header, content}, nil
}

func (h *providerHTTP) get(ctx context.Context, target string, header http.Header) (*answer, error) {
	header.Set("Accept", "application/json")
	header.Set("User-Agent", "idserver-go")
	return h.do(ctx, http.MethodGet, target, header, nil)
}

func (h *providerHTTP) postForm(ctx context.Context, target string, header http.Header, form url.Values) (*answer, error) {
	header.Set("Accept", "application/json")
	header.Set("User-Agent", "idserver-go")
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.do(ctx, http.MethodPost, target, header, strings.NewReader(form.Encode()))
}

// transportError removes the URL, whose query may hold something confidential, and tells a timeout from a caller that has
// gone away.
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

// redact removes what was sent from a text that a stranger wrote: some providers repeat the code or the token that they
// refuse.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.NewReplacer(secret, "[redacted]", url.QueryEscape(secret), "[redacted]").Replace(text)
		}
	}
	return text
}

// redactedError is err with the secrets removed from its text.
type redactedError struct {
	err  error
	text string
}

func (e *redactedError) Error() string { return e.text }
func (e *redactedError) Unwrap() error { return e.err }

func redactError(err error, secrets []string) error {
	if text := redact(err.Error(), secrets); text != err.Error() {
		return &redactedError{err, text}
	}
	return err
}

// json decodes a response of status 200 into v.
func (a *answer) json(v any) error {
	if a.status != http.StatusOK {
		return fmt.Errorf("status %d", a.status)
	}
	if kind, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); kind == "text/html" {
		return errors.New("HTML where JSON is wanted")
	}
	return strictjson.Unmarshal(a.body, v)
}

// retryAfter returns the value of the header field of RFC 9110 section 10.2.3, at most a day.
func (h *providerHTTP) retryAfter(a *answer) time.Duration {
	value := a.header.Get("Retry-After")
	seconds, err := strconv.Atoi(value)
	d := time.Duration(min(max(seconds, 0), 24*60*60)) * time.Second
	if err != nil {
		at, err := http.ParseTime(value)
		if err != nil {
			return 0
		}
		d = at.Sub(h.now())
	}
	return min(max(d, 0), 24*time.Hour)
}

// maxAge returns how long the response may be kept, RFC 9111 section 5.2.2.1, or 0 if it does not say.
func (a *answer) maxAge() time.Duration {
	for directive := range strings.SplitSeq(a.header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return time.Nanosecond // raised to the minimum that is kept
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return max(time.Duration(seconds)*time.Second, time.Nanosecond)
			}
		}
	}
	return 0
}
