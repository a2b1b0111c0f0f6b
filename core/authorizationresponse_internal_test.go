package idserver

import (
	"net/url"
	"testing"
)

func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"code=a&state=b&iss=https%3A%2F%2Fop.example", "error=access_denied&state=b", "code=a&code=b&state=c", "code=a&error=b&state=c",
		"state=%", "state=;", "code=&state=", "=&&==", "code=%00&state=%ff", "CODE=a&state=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rawQuery string) {
		p, err := parseCallback(rawQuery)
		if err != nil {
			return
		}
		query, err := url.ParseQuery(rawQuery)
		if err != nil || p.state == "" || (p.code == "") == (p.err == "") || len(rawQuery) > maxCallback {
			t.Fatalf("taken: %q", rawQuery)
		}
		for _, name := range []string{"code", "state", "iss", "error", "error_description"} {
			if len(query[name]) > 1 {
				t.Fatalf("%s stands twice in %q", name, rawQuery)
			}
		}
	})
}
