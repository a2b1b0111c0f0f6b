package endpoint

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestJSON(t *testing.T) {
	for name, row := range map[string]struct {
		status     int
		kind, body string
		ok         bool
	}{
		"good":            {200, "application/json", `{"a":"b"}`, true},
		"with charset":    {200, "application/json; charset=utf-8", `{"a":"b"}`, true},
		"no type":         {200, "", `{"a":"b"}`, true},
		"text":            {200, "text/plain", `{"a":"b"}`, true},
		"byte order mark": {200, "application/json", "\ufeff" + `{"a":"b"}`, true},
		"two marks":       {200, "application/json", "\ufeff\ufeff" + `{"a":"b"}`, false},
		"said to be HTML": {200, "text/html; charset=utf-8", `{"a":"b"}`, true},
		"HTML":            {200, "text/html; charset=utf-8", `<!doctype html>`, false},
		"status 201":      {201, "application/json", `{"a":"b"}`, true},
		"status 202":      {202, "application/json", `{"a":"b"}`, false},
		"status 400":      {400, "application/json", `{"a":"b"}`, false},
		"empty":           {200, "application/json", "", false},
		"cut":             {200, "application/json", `{"a":"b"`, false},
		"twice":           {200, "application/json", `{"a":"b","a":"c"}`, false},
		"another type":    {200, "application/json", `{"a":1}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			var v struct {
				A string `json:"a"`
			}
			a := &Answer{Status: row.status, Header: http.Header{"Content-Type": {row.kind}}, Body: []byte(row.body)}
			if err := a.JSON(&v); (err == nil) != row.ok || row.ok && v.A != "b" {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                     0,
		"0":                    0,
		"120":                  2 * time.Minute,
		"-1":                   0,
		"1.5":                  0,
		"soon":                 0,
		"1000000":              day,
		"99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(1000 * time.Hour).Format(http.TimeFormat): day,
	} {
		t.Run(value, func(t *testing.T) {
			a := &Answer{Header: http.Header{"Retry-After": {value}}, received: now}
			if got := a.RetryAfter(); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestFreshFor(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                                0,
		"public":                          0,
		"max-age=60":                      time.Minute,
		"public, max-age=60, s-maxage=10": time.Minute,
		`MAX-AGE="60"`:                    time.Minute,
		"max-age=0":                       time.Nanosecond,
		"no-store":                        time.Nanosecond,
		"no-cache, max-age=60":            time.Nanosecond,
		"max-age=-1":                      0,
		"max-age=1.5":                     0,
		"max-age=99999999999":             0,
		"x-max-age=60":                    0,
	} {
		t.Run(value, func(t *testing.T) {
			a := &Answer{Header: http.Header{"Cache-Control": {value}}}
			if got := a.FreshFor(); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestText(t *testing.T) {
	a := &Answer{secrets: secrets{code}}
	for in, want := range map[string]string{
		"":                                      "",
		"a \"quoted\" \\text":                   "a quoted text",
		"Ungültig: 期限切れ 😀":                      "Ungültig: 期限切れ 😀",
		"a\x00b\x1b[31mc\x7f":                   "ab[31mc",
		"one\r\ntwo\tthree":                     "onetwothree",
		"turned \u202eback\u2066":               "turned back",
		"zero\u200bwidth \u2028end":             "zerowidth end",
		"not \xff UTF-8":                        "not  UTF-8",
		"the code " + code:                      Redacted,
		"bb\x00" + code[:4] + "\x00" + code[4:]: Redacted,
		strings.Repeat("é", 40):                 strings.Repeat("é", 20),
	} {
		t.Run(in, func(t *testing.T) {
			if got := a.Text(in, 41); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// FuzzAnswer gives what a provider writes in its header. Whatever it is, nobody waits, or keeps an answer, for longer than is sensible.
func FuzzAnswer(f *testing.F) {
	for _, value := range []string{"120", "-1", "1e9", "99999999999999999999", "Wed, 01 Jan 9999 00:00:00 GMT", "max-age=60, no-store", `MAX-AGE="4294967295"`, "max-age=,,=", "\x00"} {
		f.Add(value, value)
	}
	f.Fuzz(func(t *testing.T, retry, control string) {
		a := &Answer{Header: http.Header{"Retry-After": {retry}, "Cache-Control": {control}}, received: now}
		if d := a.RetryAfter(); d < 0 || d > day {
			t.Errorf("%q: come back after %v", retry, d)
		}
		if d := a.FreshFor(); d < 0 || d > 1<<31*time.Second || d > 0 && !strings.Contains(control, "=") && !strings.Contains(strings.ToLower(control), "no-") {
			t.Errorf("%q: fresh for %v", control, d)
		}
	})
}
