package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Answer is the provider's response. Header and Body are what a stranger wrote: errors and logs get them through Text and
// Refusal.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	received time.Time
	secrets  secrets
}

// Text makes a text of the answer fit for errors and logs: [Printable], and [Redacted] in place of one that repeats
// anything confidential that was sent.
func (a *Answer) Text(s string, most int) string { return a.secrets.hide(s, most) }

// JSON decodes an answer of status 200 or 201 into v. What the content type says does not matter: JSON is read under any. A
// byte order mark, which RFC 8259 section 8.1 allows to ignore, is skipped.
func (a *Answer) JSON(v any) error {
	if a.Status != http.StatusOK && a.Status != http.StatusCreated {
		return fmt.Errorf("status %d", a.Status)
	}
	err := strictjson.Unmarshal(withoutMark(a.Body), v)
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil && kind == "text/html" {
		return errors.New("HTML where JSON is wanted")
	}
	return err
}

func withoutMark(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\ufeff")) }

const day = 24 * time.Hour

// RetryAfter returns when the provider said to come back, RFC 9110 section 10.2.3: at most a day, and 0 if it did not say.
func (a *Answer) RetryAfter() time.Duration {
	value := a.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return time.Duration(min(max(seconds, 0), int(day/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(a.received), 0), day)
}

// FreshFor returns how long the answer may be kept, RFC 9111 section 5.2.2.1, and 0 if it does not say. What must not be
// kept at all may be for a nanosecond.
func (a *Answer) FreshFor() time.Duration {
	for directive := range strings.SplitSeq(a.Header.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return time.Nanosecond
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return max(time.Duration(seconds)*time.Second, time.Nanosecond)
			}
		}
	}
	return 0
}
