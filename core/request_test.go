package idserver_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// The path is the browser's, whatever is left of it in the URL.
func TestRequestFrom(t *testing.T) {
	for name, row := range map[string]struct{ uri, url, path, query string }{
		"as it came":                 {"/app/page?a=b", "/app/page?a=b", "/app/page", "a=b"},
		"behind http.StripPrefix":    {"/app/page?a=b", "/page?a=b", "/app/page", "a=b"},
		"with escapes":               {"/a%2Fb/%C3%A9?x=%zz&y", "/", "/a%2Fb/%C3%A9", "x=%zz&y"},
		"a question mark in a query": {"/a?b?c", "/", "/a", "b?c"},
		"an empty query":             {"/a?", "/", "/a", ""},
		"two slashes in front":       {"//evil.example/x", "/", "//evil.example/x", ""},
		"the absolute form":          {"http://app.example/page?a=b", "/", "/page", "a=b"},
		"what a browser escapes":     {`/a"<b>`, "/", "/a%22%3Cb%3E", ""},
		"of no server":               {"", "/page?a=b", "/page", "a=b"},
		"no path at all":             {"app.example:443", "/", "/", ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(row.url)
			if err != nil {
				t.Fatal(err)
			}
			got := idserver.RequestFrom(&http.Request{Method: "GET", RequestURI: row.uri, URL: u, Host: "app.example"})
			if got.Path != row.path || got.RawQuery != row.query || got.Host != "app.example" {
				t.Errorf("path %q, query %q, host %q; want %q, %q", got.Path, got.RawQuery, got.Host, row.path, row.query)
			}
		})
	}
}

// A limit that the application has set holds for guards too, and they learn of it.
func TestRequestFromLimitedBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("a", 65)))
	r.Body = http.MaxBytesReader(nil, r.Body, 64)
	body, err := io.ReadAll(idserver.RequestFrom(r).Body)
	if tooLong := new(http.MaxBytesError); !errors.As(err, &tooLong) || len(body) != 64 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
