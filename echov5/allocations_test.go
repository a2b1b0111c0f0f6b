//go:build !race

// The race detector makes pools forget, and counts what it allocates itself.

package idecho_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v5"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	idecho "github.com/signward/idserver-go/echov5"
)

// What a guard adds to a request with a known token, or with a known session, is counted: at most 4 allocations.
func TestAllocations(t *testing.T) {
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config("http://127.0.0.1:8080"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	auth := idecho.New(client)
	r := echo.New()
	ok := func(c *echo.Context) error { return c.String(http.StatusOK, "ok") }
	r.GET("/bare", ok)
	r.GET("/user", ok, auth.RequireUser())
	r.GET("/admin", ok, auth.RequireRole("admin"))
	nothing := func(next echo.HandlerFunc) echo.HandlerFunc { return func(c *echo.Context) error { return next(c) } }
	r.GET("/next", ok, auth.RequireUser(), nothing)
	r.GET("/behind", ok, auth.RequireUser(), auth.RequireRole("admin"))
	header := map[string]http.Header{
		"a token":   {"Authorization": {"Bearer " + provider.MintAccessToken("alice")}},
		"a session": {"Cookie": {signedIn(t, client, provider)}},
	}
	for by, h := range header {
		count := func(path string) float64 {
			request, answer := httptest.NewRequest("GET", path, nil), &discard{}
			request.Header = h
			return testing.AllocsPerRun(200, func() {
				answer.header = http.Header{}
				if r.ServeHTTP(answer, request); answer.status != http.StatusOK {
					t.Fatalf("%s by %s: %d", path, by, answer.status)
				}
			})
		}
		bare := count("/bare")
		if n := count("/user") - bare; n > 4 {
			t.Errorf("RequireUser by %s adds %v allocations, want at most 4", by, n)
		}
		if n := count("/admin") - count("/user"); n > 0 {
			t.Errorf("a role by %s adds %v allocations, want none", by, n)
		}
		if n := count("/behind") - count("/next"); n > 0 {
			t.Errorf("a role behind RequireUser by %s adds %v allocations, want none", by, n)
		}
	}
}

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// signedIn returns the Cookie line of alice's browser.
func signedIn(t *testing.T, client *idserver.Client, provider *idtest.Provider) string {
	t.Helper()
	routes, err := client.Routes("/auth")
	if err != nil {
		t.Fatal(err)
	}
	begun := routes[0].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
	var location string
	for _, f := range begun.Set {
		if f.Name == "Location" {
			location = f.Value
		}
	}
	callback, err := provider.Authorize(t.Context(), location, "alice")
	if err != nil {
		t.Fatal(err)
	}
	back := routes[1].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/callback", RawQuery: callback.RawQuery, Header: http.Header{"Cookie": cookies(begun)}})
	return strings.Join(cookies(back), "; ")
}

func cookies(a idserver.Answer) (lines []string) {
	for _, f := range a.Add {
		if f.Name == "Set-Cookie" {
			pair, _, _ := strings.Cut(f.Value, ";")
			lines = append(lines, pair)
		}
	}
	return lines
}
