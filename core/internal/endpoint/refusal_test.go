package endpoint

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestRefusal(t *testing.T) {
	for name, row := range map[string]struct {
		body string
		want Refusal
	}{
		"OAuth":                       {`{"error":"invalid_grant","error_description":"The code has expired."}`, Refusal{Code: "invalid_grant", Description: "The code has expired.", Form: OAuth}},
		"a code alone":                {`{"error":"invalid_grant"}`, Refusal{Code: "invalid_grant", Form: OAuth}},
		"a byte order mark":           {"\ufeff" + `{"error":"invalid_grant"}`, Refusal{Code: "invalid_grant", Form: OAuth}},
		"another script":              {`{"error":"invalid_grant","error_description":"コードの期限切れ"}`, Refusal{Code: "invalid_grant", Description: "コードの期限切れ", Form: OAuth}},
		"escapes":                     {`{"error":"a\"\\\u0000\u00e9b","error_description":"c\n\u202ed"}`, Refusal{Code: "ab", Description: "cd", Form: OAuth}},
		"an empty error":              {`{"error":""}`, Refusal{Form: OAuth}},
		"a problem document":          {`{"type":"about:blank","title":"Locked","detail":"The tenant is locked.","status":423}`, Refusal{Description: "Locked: The tenant is locked.", Form: Other}},
		"a title":                     {`{"title":"Locked"}`, Refusal{Description: "Locked", Form: Other}},
		"nested":                      {`{"error":{"code":"invalid_grant","message":"Expired"}}`, Refusal{Code: "invalid_grant", Description: "Expired", Form: Other}},
		"nested, with a number":       {`{"error":{"code":401,"message":"Expired","status":"UNAUTHENTICATED"}}`, Refusal{Code: "UNAUTHENTICATED", Description: "Expired", Form: Other}},
		"nested, with a type":         {`{"error":{"message":"Expired","type":"OAuthException","code":190}}`, Refusal{Code: "OAuthException", Description: "Expired", Form: Other}},
		"nested like OAuth":           {`{"error":{"error":"invalid_grant","error_description":"Expired"}}`, Refusal{Code: "invalid_grant", Description: "Expired", Form: Other}},
		"a list":                      {`{"errors":[{"code":"invalid_grant","detail":"Expired"},{"code":"x"}]}`, Refusal{Code: "invalid_grant", Description: "Expired", Form: Other}},
		"a list of texts":             {`{"errors":["Expired"]}`, Refusal{Description: "Expired", Form: Other}},
		"a list in error":             {`{"error":["Expired"]}`, Refusal{Description: "Expired", Form: Other}},
		"a list alone":                {`[{"error":"invalid_grant"}]`, Refusal{Code: "invalid_grant", Form: Other}},
		"an empty list":               {`{"errors":[]}`, Refusal{Form: Other}},
		"OAuth and a list":            {`{"error":"invalid_grant","errors":[{"detail":"Expired"}]}`, Refusal{Code: "invalid_grant", Description: "Expired", Form: OAuth}},
		"errorCode":                   {`{"errorCode":"E0000011","errorSummary":"Invalid token"}`, Refusal{Code: "E0000011", Description: "Invalid token", Form: Other}},
		"a message":                   {`{"message":"Not found"}`, Refusal{Description: "Not found", Form: Other}},
		"form-encoded":                {"error=invalid_grant&error_description=Expired+%C3%A9", Refusal{Code: "invalid_grant", Description: "Expired é", Form: Other}},
		"form-encoded, in the middle": {"a=b&error=invalid_grant", Refusal{Code: "invalid_grant", Form: Other}},
		"form-encoded, broken":        {"error=%zz", Refusal{Form: Other}},
		"empty":                       {"", Refusal{Form: Empty}},
		"space":                       {" \r\n", Refusal{Form: Empty}},
		"HTML":                        {"<html><title>403</title>error=x", Refusal{Form: Other}},
		"text":                        {"error: no", Refusal{Form: Other}},
		"a number":                    {"1", Refusal{Form: Other}},
		"null":                        {`{"error":null}`, Refusal{Form: Other}},
		"a number as error":           {`{"error":400}`, Refusal{Form: Other}},
		"twice":                       {`{"error":"a","error":"b"}`, Refusal{Form: Other}},
		"cut":                         {`{"error":"a"`, Refusal{Form: Other}},
		"deep":                        {strings.Repeat(`{"error":`, 20) + `"a"` + strings.Repeat("}", 20), Refusal{Form: Other}},
		"deep lists":                  {strings.Repeat("[", 20) + `"a"` + strings.Repeat("]", 20), Refusal{Form: Other}},
		"very long":                   {`{"error":"a","x":"` + strings.Repeat("x", maxRefusal) + `"}`, Refusal{Form: Other}},
		"a long description":          {`{"error":"` + strings.Repeat("c", 100) + `","error_description":"` + strings.Repeat("é", 200) + `"}`, Refusal{Code: strings.Repeat("c", 64), Description: strings.Repeat("é", 128), Form: OAuth}},
		"the code that was sent":      {`{"error":"invalid_grant","error_description":"no ` + code + `"}`, Refusal{Code: "invalid_grant", Description: Redacted, Form: OAuth}},
		"it as the error":             {`{"error":"` + code + `"}`, Refusal{Form: OAuth}},
		"a part of it":                {`{"error":"invalid_grant","error_description":"no ` + code[3:13] + `..."}`, Refusal{Code: "invalid_grant", Description: Redacted, Form: OAuth}},
		"the secret, escaped":         {`{"error":"x","error_description":"` + strings.ToLower(url.PathEscape(secret)) + `"}`, Refusal{Code: "x", Description: Redacted, Form: OAuth}},
	} {
		t.Run(name, func(t *testing.T) {
			row.want.Status = 400
			if got := refused(t, 400, row.body); *got != row.want {
				t.Errorf("got %+v, want %+v", *got, row.want)
			}
		})
	}
	if got := refused(t, 429, "", "Retry-After", "7"); got.RetryAfter != 7*time.Second || got.Status != 429 {
		t.Errorf("got %+v", *got)
	}
}

func TestRefusalError(t *testing.T) {
	for want, r := range map[string]Refusal{
		`status 400`:                                 {Status: 400},
		`status 400: "invalid_grant"`:                {Status: 400, Code: "invalid_grant"},
		`status 400: "invalid_grant": "has expired"`: {Status: 400, Code: "invalid_grant", Description: "has expired"},
	} {
		t.Run(want, func(t *testing.T) {
			if got := fmt.Sprint(&r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func FuzzRefusal(f *testing.F) {
	for _, body := range []string{
		`{"error":"invalid_grant","error_description":"x"}`, `{"error":{"code":"a"}}`, `{"errors":[{"detail":"b"}]}`, "error=a&error_description=b", "\ufeff[]", "{", "", "[[[[",
		`{"title":"a","detail":"` + code + `"}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := refused(t, 400, body)
		for text, most := range map[string]int{r.Code: maxCode, r.Description: maxDescription} {
			switch {
			case len(text) > most || !utf8.ValidString(text):
				t.Errorf("%q has %d bytes", text, len(text))
			case strings.ContainsFunc(text, unicode.IsControl):
				t.Errorf("%q has control characters", text)
			case text != Redacted && (secrets{code, secret}).in(text):
				t.Errorf("%q repeats what was sent", text)
			}
		}
		if (r.Form == Empty) != (strings.TrimSpace(strings.TrimPrefix(body, "\ufeff")) == "") {
			t.Errorf("%q is %s", body, r.Form)
		}
	})
}
