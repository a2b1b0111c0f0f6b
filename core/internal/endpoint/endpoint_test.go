package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDo(t *testing.T) {
	for name, row := range map[string]struct {
		call                 Call
		method, body, accept string
	}{
		"metadata": {Call{URL: "https://op.example/x?y=z"}, "GET", "", "application/json"},
		"a JWT":    {Call{URL: "https://op.example/x", Accept: "application/jwt"}, "GET", "", "application/jwt"},
		"a form":   {Call{URL: "https://op.example/x", Form: url.Values{"a": {"b c"}}}, "POST", "a=b+c", "application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			var sent *http.Request
			var body string
			c := clientOf(func(r *http.Request) (*http.Response, error) {
				sent = r
				if r.Body != nil {
					read, _ := io.ReadAll(r.Body)
					body = string(read)
				}
				return answers(418, "teapot", "X-A", "b")(r)
			})
			a, err := c.Do(t.Context(), row.call)
			if err != nil || a.Status != 418 || string(a.Body) != "teapot" || a.Header.Get("X-A") != "b" {
				t.Fatalf("got %+v, %v", a, err)
			}
			if sent.Method != row.method || sent.URL.String() != row.call.URL || body != row.body || sent.Header.Get("Accept") != row.accept {
				t.Errorf("sent %s %s %q with %v", sent.Method, sent.URL, body, sent.Header)
			}
			if form := sent.Header.Get("Content-Type") == "application/x-www-form-urlencoded"; form != (row.method == "POST") {
				t.Errorf("a form: %v", form)
			}
			if sent.Header.Get("User-Agent") != "idserver-go" {
				t.Errorf("User-Agent is %q", sent.Header.Get("User-Agent"))
			}
		})
	}
}

func TestDoFails(t *testing.T) {
	for name, row := range map[string]struct {
		call    Call
		network roundTrip
		want    string
	}{
		"network":            {Call{}, func(*http.Request) (*http.Response, error) { return nil, errNetwork }, "connection refused"},
		"a URL with a space": {Call{URL: "https://op example/?code=x"}, nil, "the URL is not usable"},
		"too long":           {Call{}, answers(200, strings.Repeat("a", MaxBody+1)), "the answer is longer than 1048576 bytes"},
		"too long for this":  {Call{MaxBody: 10}, answers(200, strings.Repeat("a", 11)), "the answer is longer than 10 bytes"},
		"a body that breaks": {Call{}, func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))}, nil
		}, "unexpected EOF"},
		"no form to authenticate in": {Call{Authentication: SecretPost{"c", "secret-secret"}}, nil, "this client authentication needs a form"},
		"a signer that is away":      {Call{Authentication: failing{}}, nil, "the signer is away"},
	} {
		t.Run(name, func(t *testing.T) {
			if row.call.URL == "" {
				row.call.URL = "https://op.example/x?code=confidential"
			}
			a, err := clientOf(row.network).Do(t.Context(), row.call)
			if err == nil || a != nil || err.Error() != row.want {
				t.Errorf("got %v, %v, want %q", a, err, row.want)
			}
		})
	}
	if _, err := clientOf(answers(200, strings.Repeat("a", MaxBody))).Do(t.Context(), Call{URL: "https://op.example"}); err != nil {
		t.Errorf("the longest answer: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type failing struct{}

func (failing) Authenticate(context.Context, *Request) error { return errors.New("the signer is away") }

// A call may be sent again.
func TestDoChangesNoForm(t *testing.T) {
	form := url.Values{"a": {"b"}}
	call := Call{URL: "https://op.example", Form: form, Authentication: SecretPost{"client", secret}}
	if _, err := clientOf(answers(200, "{}")).Do(t.Context(), call); err != nil || len(form) != 1 {
		t.Errorf("the form is %v, %v", form, err)
	}
}

func TestDoFollowsNoRedirect(t *testing.T) {
	for name, row := range map[string]struct {
		location string
		want     RedirectError
	}{
		"elsewhere":     {"https://evil.example/x?code=1#f", RedirectError{307, "https://evil.example/x"}},
		"a path":        {"/login", RedirectError{307, "https://op.example/login"}},
		"a password":    {"https://a:b@evil.example/", RedirectError{307, "https://evil.example/"}},
		"what was sent": {"https://evil.example/" + code, RedirectError{307, ""}},
		"no target":     {"", RedirectError{307, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			_, err := clientOf(func(r *http.Request) (*http.Response, error) {
				asked++
				if row.location == "" {
					return answers(307, "")(r)
				}
				return answers(307, "", "Location", row.location)(r)
			}).Do(t.Context(), exchange)
			var e *RedirectError
			if !errors.As(err, &e) || *e != row.want || asked != 1 {
				t.Errorf("got %v after %d requests, want %v", err, asked, &row.want)
			}
		})
	}
	if a, err := clientOf(answers(304, "")).Do(t.Context(), exchange); err != nil || a.Status != 304 {
		t.Errorf("304 is %v, %v", a, err)
	}
}

func TestDoKeepsNoCookies(t *testing.T) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	sent := 0
	network := roundTrip(func(r *http.Request) (*http.Response, error) {
		sent += len(r.Header["Cookie"])
		return answers(200, "{}", "Set-Cookie", "a=b")(r)
	})
	c := New(Config{Client: &http.Client{Transport: network, Jar: jar}, Timeout: time.Second, Now: time.Now})
	for range 2 {
		if _, err := c.Do(t.Context(), Call{URL: "https://op.example"}); err != nil {
			t.Fatal(err)
		}
	}
	if sent > 0 {
		t.Error("a cookie was sent")
	}
}

func TestDoIsLimitedInTime(t *testing.T) {
	hang := func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	slowBody := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(hanging{r.Context()}), Request: r}, nil
	}
	for name, network := range map[string]roundTrip{"no answer": hang, "no body": slowBody} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				_, err := clientOf(network).Do(t.Context(), Call{URL: "https://op.example"})
				if err == nil || err.Error() != "no whole answer within 1s" || time.Since(begun) != time.Second {
					t.Errorf("got %v after %v", err, time.Since(begun))
				}
			})
		})
		t.Run(name+", and nobody waits", func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			left := errors.New("the browser left")
			cancel(left)
			if _, err := clientOf(network).Do(ctx, Call{URL: "https://op.example"}); !errors.Is(err, left) {
				t.Errorf("got %v", err)
			}
		})
	}
}

type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) {
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

func TestTransport(t *testing.T) {
	for insecure, want := range map[bool]bool{false: false, true: true} {
		t.Run(fmt.Sprint(insecure), func(t *testing.T) {
			own := New(Config{InsecureSkipTLSVerify: insecure}).http.Transport.(*http.Transport)
			if got := own.TLSClientConfig != nil && own.TLSClientConfig.InsecureSkipVerify; got != want {
				t.Errorf("skips verification: %v, want %v", got, want)
			}
			if own == http.DefaultTransport || own.Proxy == nil || own.MaxIdleConnsPerHost != 16 {
				t.Error("not a transport of its own")
			}
		})
	}
}

func TestErrorsRepeatNothing(t *testing.T) {
	network := func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("malformed header \"%s\x00\n\"", code)
	}
	if _, err := clientOf(network).Do(t.Context(), exchange); err == nil || err.Error() != Redacted {
		t.Errorf("got %v", err)
	}
	network = func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("%w: malformed header \"\x00\n%s\"", errNetwork, strings.Repeat("a", 5000))
	}
	if _, err := clientOf(network).Do(t.Context(), exchange); !errors.Is(err, errNetwork) || len(err.Error()) > maxErrorText || strings.ContainsAny(err.Error(), "\x00\n") {
		t.Errorf("got %v", err)
	}
}
