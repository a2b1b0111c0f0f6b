package idserver_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Each row is one thing wrong with a callback that is read by hand.
func TestReadCallback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		good := url.Values{"code": {"the-code"}, "state": {r.State}, "iss": {w.provider.URL()}}
		if got, err := w.ReadCallback(t.Context(), good.Encode()+"&session_state=x", r); err != nil || got != "the-code" {
			t.Errorf("a good callback: %q, %v", got, err)
		}
		for name, row := range map[string]struct {
			change func(url.Values)
			text   string
		}{
			"no state":            {func(q url.Values) { q.Del("state") }, "state"},
			"an empty state":      {func(q url.Values) { q.Set("state", "") }, "state"},
			"another state":       {func(q url.Values) { q.Set("state", strings.Repeat("s", 43)) }, "its state is not"},
			"a part of the state": {func(q url.Values) { q.Set("state", r.State[:42]) }, "its state is not"},
			"a longer state":      {func(q url.Values) { q.Set("state", r.State+".r") }, "its state is not"},
			"an endless state":    {func(q url.Values) { q.Set("state", strings.Repeat("s", 257)) }, "state has 257"},
			"two states":          {func(q url.Values) { q.Add("state", r.State) }, "state stands more than once"},
			"two codes":           {func(q url.Values) { q.Add("code", "x") }, "code stands more than once"},
			"no code":             {func(q url.Values) { q.Del("code") }, "either code or error"},
			"an empty code":       {func(q url.Values) { q.Set("code", "") }, "either code or error"},
			"code and error":      {func(q url.Values) { q.Set("error", "x") }, "either code or error"},
			"an endless code":     {func(q url.Values) { q.Set("code", strings.Repeat("c", 8193)) }, "code has 8193"},
			"an endless query":    {func(q url.Values) { q.Set("x", strings.Repeat("c", 20000)) }, "longer than"},
			"the iss of another":  {func(q url.Values) { q.Set("iss", "https://evil.example") }, "evil.example"},
			"an empty iss":        {func(q url.Values) { q.Set("iss", "") }, "iss"},
			"no iss":              {func(q url.Values) { q.Del("iss") }, "iss"},
			"two iss":             {func(q url.Values) { q.Add("iss", q.Get("iss")) }, "iss stands more than once"},
			"two errors": {func(q url.Values) {
				q.Del("code")
				q["error"] = []string{"a", "b"}
			}, "error stands more than once"},
		} {
			q := url.Values{}
			for name, values := range good {
				q[name] = append([]string{}, values...)
			}
			row.change(q)
			got, err := w.ReadCallback(t.Context(), q.Encode(), r)
			var cancelled *idserver.AuthorizationError
			if err == nil || got != "" || !strings.Contains(err.Error(), row.text) || errors.As(err, &cancelled) {
				t.Errorf("%s: %q, %v, want an error with %q", name, got, err, row.text)
			}
			if err != nil && leaks(err.Error(), r.State, "the-code") != "" {
				t.Errorf("%s: the error is %q", name, err)
			}
		}
		if got, err := w.ReadCallback(t.Context(), "code=%zz&state="+r.State, r); err == nil || got != "" {
			t.Errorf("a query that cannot be read: %q", got)
		}
		for name, none := range map[string]*idserver.AuthorizationRequest{"no request": nil, "an empty request": {}} {
			if got, err := w.ReadCallback(t.Context(), good.Encode(), none); err == nil || got != "" {
				t.Errorf("%s: %q", name, got)
			}
		}

		var e *idserver.AuthorizationError
		cancelled := url.Values{"error": {"access_denied"}, "error_description": {"by\r\nthe user"}, "state": {r.State}, "iss": {w.provider.URL()}}
		if got, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); got != "" || !errors.As(err, &e) || e.Code != "access_denied" || e.Description != "bythe user" {
			t.Errorf("cancelled: %q, %v", got, err)
		}
		cancelled.Set("state", "x") // the error of another sign-in is not this one's
		if _, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); errors.As(err, &e) && err != nil && strings.Contains(err.Error(), "access_denied") {
			t.Errorf("cancelled elsewhere: %v", err)
		}
		cancelled.Set("state", r.State)
		cancelled.Set("iss", "https://evil.example") // and so is that of another provider
		if _, err := w.ReadCallback(t.Context(), cancelled.Encode(), r); err == nil || strings.Contains(err.Error(), "access_denied") {
			t.Errorf("cancelled at another provider: %v", err)
		}

		w.provider.Fail(idtest.Discovery, idtest.Fault{})
		if _, err := w.client(t).ReadCallback(t.Context(), good.Encode(), r); !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("without metadata: %v", err)
		}
	})
}
