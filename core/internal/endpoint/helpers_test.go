package endpoint

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// clientOf makes a client of whose requests f answers each.
func clientOf(f roundTrip) *Client {
	return New(Config{Client: &http.Client{Transport: f}, Timeout: time.Second, Now: func() time.Time { return now }})
}

// answers always answers the same.
func answers(status int, body string, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Add(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
}

const (
	code   = "splxlOBeZQQYbYS6WxSbIA"
	secret = "s3cret+with/odd&chars <é>"
)

// exchange is a token request.
var exchange = Call{
	URL: "https://op.example/token", Form: url.Values{"grant_type": {"authorization_code"}, "code": {code}},
	Authentication: SecretBasic{"client", secret},
}

// refused sends a token request that is answered with that body.
func refused(t testing.TB, status int, body string, header ...string) *Refusal {
	t.Helper()
	a, err := clientOf(answers(status, body, header...)).Do(t.Context(), exchange)
	if err != nil {
		t.Fatal(err)
	}
	return a.Refusal()
}

var errNetwork = errors.New("connection refused")
