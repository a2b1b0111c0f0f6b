package endpoint

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Refusal is what an answer says about why the provider did not do what it was asked to. All texts are fit for logs.
type Refusal struct {
	Status      int
	Code        string // such as invalid_grant; empty if the answer has none
	Description string
	RetryAfter  time.Duration // 0 if the answer does not say
	Form        Form
}

// Form is what the body of a refusal is.
type Form string

const (
	Empty Form = "empty"
	// OAuth is a JSON object whose error is a string, RFC 6749 section 5.2: the provider itself speaks of the request.
	OAuth Form = "oauth"
	// Other is anything else: another kind of error, or what something between here and the provider wrote.
	Other Form = "other"
)

func (r *Refusal) Error() string {
	text := fmt.Sprintf("status %d", r.Status)
	for _, more := range []string{r.Code, r.Description} {
		if more != "" {
			text += fmt.Sprintf(": %q", more)
		}
	}
	return text
}

const (
	maxCode        = 64
	maxDescription = 256
	maxRefusal     = 64 << 10 // the body of a refusal beyond that is not read
	maxNesting     = 3
)

// Refusal reads an answer as an OAuth error (RFC 6749 section 5.2), a problem document (RFC 9457), or what providers send
// in their place: errors that are nested, in a list, or form-encoded. Of anything else only the status counts.
func (a *Answer) Refusal() *Refusal {
	r := &Refusal{Status: a.Status, RetryAfter: a.RetryAfter(), Form: Other}
	body := bytes.TrimSpace(withoutMark(a.Body))
	switch {
	case len(body) == 0 || string(body) == "{}":
		r.Form = Empty
		return r
	case len(body) > maxRefusal:
		return r
	}
	found := readFault(string(body))
	if found.oauth {
		r.Form = OAuth
	}
	if r.Code = a.Text(ascii(found.code), maxCode); r.Code == Redacted {
		r.Code = ""
	}
	r.Description = a.Text(found.description, maxDescription)
	return r
}

// fault is an error as it stands in a body.
type fault struct {
	code, description string
	oauth             bool
}

func readFault(body string) fault {
	switch body[0] {
	case '{':
		object, err := strictjson.ParseObject([]byte(body))
		if err != nil {
			return fault{}
		}
		found := faultOf(object, 0)
		_, found.oauth = strictjson.String(object.Get("error"))
		return found
	case '[':
		return faultIn(body, 0)
	}
	return formFault(body)
}

// faultOf reads an object. An error that is nested in it says more than what stands beside.
func faultOf(object strictjson.Object, depth int) fault {
	found := fault{
		code: first(object, "error", "code", "errorCode", "error_code"),
		description: first(object, "error_description", "message", "error_message", "errorSummary", "description",
			"error_msg"),
	}
	if depth > 0 && found.code == "" {
		found.code = first(object, "status", "type")
	}
	if found.description == "" {
		found.description = strings.Trim(first(object, "title")+": "+first(object, "detail"), ": ")
	}
	for _, name := range []string{"error", "errors"} {
		if inner := faultIn(object.Get(name), depth+1); inner.code != "" || inner.description != "" {
			return fault{cmp.Or(inner.code, found.code), cmp.Or(inner.description, found.description), false}
		}
	}
	return found
}

// faultIn reads an error that is an object, or the first of a list.
func faultIn(value string, depth int) fault {
	if depth > maxNesting || value == "" {
		return fault{}
	}
	switch value[0] {
	case '{':
		if object, err := strictjson.ParseObject([]byte(value)); err == nil {
			return faultOf(object, depth)
		}
	case '[':
		var all []strictjson.Raw
		if strictjson.Unmarshal([]byte(value), &all) != nil || len(all) == 0 {
			return fault{}
		}
		one := string(all[0])
		if text, ok := strictjson.String(one); ok {
			return fault{description: text}
		}
		return faultIn(one, depth+1)
	}
	return fault{}
}

// formFault reads a form-encoded error, as some providers send it under any content type.
func formFault(body string) fault {
	if !strings.HasPrefix(body, "error=") && !strings.Contains(body, "&error=") {
		return fault{}
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return fault{}
	}
	return fault{code: form.Get("error"), description: form.Get("error_description")}
}

// first returns the first of these members that is a string and not empty.
func first(object strictjson.Object, names ...string) string {
	for _, name := range names {
		if s, _ := strictjson.String(object.Get(name)); s != "" {
			return s
		}
	}
	return ""
}

// ascii keeps the characters that RFC 6749 section 5.2 allows in a code.
func ascii(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}
