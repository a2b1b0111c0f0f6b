package idserver_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + rand.IntN(90))
	}
	return string(b)
}

// The largest cookies that there may be: none is larger than browsers keep, all together are less than servers take of a header,
// and what does not fit is refused.
func TestCookieSizes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, baseURL := range []string{base, "https://app.example:65535/" + strings.Repeat("long/", 20)} {
			w := newWorld(t, func(c *idserver.Config) { c.BaseURL = baseURL })
			page := "/" + strings.Repeat("p", 2047)
			var login idserver.Route
			for _, route := range routesOf(t, w.Client) {
				if route.Path == "/login" {
					login = route
				}
			}
			a := login.Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/login", RawQuery: "return_to=" + page + "&app_data=" + strings.Repeat("d", 512)})
			if cookies := setCookies(t, a); a.Status != 303 || len(cookies) != 2 {
				t.Errorf("the largest sign-in: %d with %d cookies", a.Status, len(cookies))
			}
		}

		largest := 0
		for size := 1000; size < 40_000; size += 1500 {
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(_ context.Context, u *idserver.User) error { return u.Set("noise", noise(size)) }
			})
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			total := 0
			for _, c := range setCookies(t, a) {
				total += len(c.Name) + len(c.Value) + len("=; ")
			}
			switch {
			case a.Status == 303 && !b.admits(w.Client):
				t.Fatalf("a session with %d bytes of noise was begun and cannot be read", size)
			case a.Status == 303:
				largest = size
			case code(t, a) != idserver.CodeSessionTooLarge || b.cookies["idserver-8080"] != "":
				t.Fatalf("%d bytes of noise: %d %s", size, a.Status, a.Body)
			}
			if total > 20<<10 {
				t.Errorf("%d bytes of cookies", total)
			}
		}
		if largest < 10_000 || largest > 19_000 {
			t.Errorf("sessions hold %d bytes of noise", largest)
		}
	})
}

// A session that could be written and not be read back would send its browser round and round. It is refused, and the operator
// is told why.
func TestSessionThatCannotBeReadBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for name, value := range map[string]any{
			"a value that deflates well": strings.Repeat("a", 300_000), // and inflates to more than is read
		} {
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(_ context.Context, u *idserver.User) error { return u.Set("x", value) }
			})
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if a.Status != 500 || code(t, a) != idserver.CodeSessionTooLarge || b.cookies["idserver-8080"] != "" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if !strings.Contains(w.log.String(), "the session is too large") {
				t.Errorf("%s: the log is %s", name, w.log)
			}
		}
	})
}
