package endpoint

import (
	"fmt"
	"html"
	"net/url"
	"strings"
	"testing"
)

func TestSecretsIn(t *testing.T) {
	hidden := secrets{secret, "", "0123456789abcdef", "p%41ss/word", "short"}
	for name, row := range map[string]struct {
		text string
		want bool
	}{
		"nothing":                {"the client is not known", false},
		"as it is":               {"the secret " + secret + " is wrong", true},
		"as in a query":          {"?client_secret=" + url.QueryEscape(secret), true},
		"as in a path":           {url.PathEscape(secret), true},
		"lower-case percent":     {strings.ToLower(url.QueryEscape(secret)), true},
		"escaped twice":          {url.QueryEscape(url.QueryEscape(secret)), true},
		"as in HTML":             {html.EscapeString(secret), true},
		"numbers in HTML":        {numbered("&#x%x;", "s3cret+with"), true},
		"HTML in a query":        {url.QueryEscape(html.EscapeString(secret)), true},
		"a query in HTML":        {html.EscapeString(url.QueryEscape(secret)), true},
		"as in JSON":             {numbered(`\u%04x`, "s3cret+with"), true},
		"a slash as in JSON":     {`with\/odd\u0026chars`, true},
		"upper case":             {"0123456789ABCDEF", true},
		"its beginning":          {"s3cret+w...", true},
		"seven of it":            {"s3cret+ ", false},
		"its end":                {"...9abcdef", false},
		"eight at its end":       {"...89abcdef", true},
		"a percent in it":        {"p%41ss/word", true},
		"a percent in it, plain": {"pAss/word", true},
		"a short one":            {"too short", true},
		"half of a short one":    {"shor t", false},
		"a percent that is none": {"100% of s3cret%2Bwith%", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := hidden.in(row.text); got != row.want {
				t.Errorf("%q: got %v, want %v", row.text, got, row.want)
			}
		})
	}
}

func numbered(format, text string) (out string) {
	for _, r := range text {
		out += fmt.Sprintf(format, r)
	}
	return out
}

func FuzzHide(f *testing.F) {
	f.Add(secret, "description ", uint8(0), uint8(0))
	f.Add(code, "%", uint8(3), uint8(2))
	f.Add("a&lt;b%25c\\u0041d", "&", uint8(1), uint8(3))
	f.Fuzz(func(t *testing.T, secret, before string, from, how uint8) {
		plain := secrets{}.hide(before, 100)
		if strings.ContainsFunc(plain, func(r rune) bool { return r < ' ' || r == 0x7f }) || len(plain) > 100 {
			t.Errorf("%q became %q", before, plain)
		}
		if Printable(secret, 1000) != secret || len(secret) < fragment || len(before) > 1000 {
			return
		}
		begin := int(from) % (len(secret) - fragment + 1)
		part := secret[begin : begin+fragment]
		if Printable(part, 1000) != part { // cut within a character
			return
		}
		spelt := []string{part, url.QueryEscape(part), url.PathEscape(part), strings.ToLower(url.QueryEscape(part)), html.EscapeString(part)}[int(how)%5]
		text := Printable(before, 1000) + " " + spelt + " "
		if got := (secrets{"other secret", secret}).hide(text, 256); got != Redacted {
			t.Errorf("%q shows a part of %q: %q", text, secret, got)
		}
	})
}
