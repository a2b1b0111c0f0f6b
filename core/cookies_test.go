package idserver_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// setCookies reads the cookies that an answer sets and does not delete.
func setCookies(t *testing.T, a idserver.Answer) (all []*http.Cookie) {
	t.Helper()
	for _, f := range a.Add {
		if f.Name != "Set-Cookie" {
			continue
		}
		c, err := http.ParseSetCookie(f.Value)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Value) > 4096 { // RFC 6265 section 6.1: what is larger, browsers may drop
			t.Errorf("cookie %s has %d bytes with its attributes", c.Name, len(f.Value))
		}
		if c.MaxAge >= 0 {
			all = append(all, c)
		}
	}
	return all
}

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
			case code(t, a) != idserver.CodeInternal || b.cookies["idserver-8080"] != "":
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
			if a.Status != 500 || code(t, a) != idserver.CodeInternal || b.cookies["idserver-8080"] != "" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
			if !strings.Contains(w.log.String(), "the session cannot be kept") {
				t.Errorf("%s: the log is %s", name, w.log)
			}
		}
	})
}

// The session's cookie lives as long as the session may: an idle time, and not beyond the end of the longest session. A browser
// that kept it would show somebody who is no longer signed in as if they were.
func TestMaxAgeOfSessionCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Session.Idle, c.Session.Max = time.Hour, 100*time.Minute })
		b := w.signedIn(t, "alice")
		begun := w.clock.Now()
		for _, row := range []struct {
			after time.Duration
			want  int // seconds
		}{{10 * time.Minute, 3600}, {40 * time.Minute, 3600}, {70 * time.Minute, 1800}, {99 * time.Minute, 60}} {
			w.clock.advance(row.after - w.clock.Now().Sub(begun))
			_, a := b.pass(w.RequireUser(), "GET", "/")
			cookies := setCookies(t, a)
			if len(cookies) != 1 || cookies[0].MaxAge != row.want {
				t.Errorf("after %v: %v, want %d s", row.after, cookies, row.want)
			}
		}
	})
}

// Browsers and proxies take Unicode's white space before a cookie's name for a part of the name: such a cookie has no __Host-
// prefix for them, and a neighbouring host may set it. Here it must be no session either.
func TestCookieNamesAreNotTrimmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		good := b.cookies["idserver-8080"]
		for name, row := range map[string]struct {
			line     string
			admitted bool
		}{
			"as it is":             {"idserver-8080=" + good, true},
			"after a space":        {"a=b; idserver-8080=" + good, true},
			"after many spaces":    {"a=b;   idserver-8080=" + good, true},
			"after a tab":          {"a=b;\tidserver-8080=" + good, true},
			"a no-break space":     {"\u00a0idserver-8080=" + good, false},
			"a next line":          {"a=b; \u0085idserver-8080=" + good, false},
			"an em space":          {"a=b; \u2003idserver-8080=" + good, false},
			"an ideographic space": {"\u3000idserver-8080=" + good, false},
			"a vertical tab":       {"\vidserver-8080=" + good, false},
			"a form feed":          {"a=b; \fidserver-8080=" + good, false},
			"a carriage return":    {"\ridserver-8080=" + good, false},
			"a line feed":          {"\nidserver-8080=" + good, false},
			"a zero byte":          {"\x00idserver-8080=" + good, false},
			"one beside the good":  {"\u00a0idserver-8080=x; idserver-8080=" + good, true},
			"another case":         {"IDSERVER-8080=" + good, false},
			"a space at the end":   {"idserver-8080 =" + good, false},
		} {
			_, a := b.pass(w.RequireUser(), "GET", "/", func(r *idserver.Request) { r.Header.(http.Header)["Cookie"] = []string{row.line} })
			if row.admitted == a.Ends() {
				t.Errorf("%s: ends with %d", name, a.Status)
			}
		}
	})
}

// Applications that browsers do not keep apart (another port of the same host, another path, another client of the same program)
// have cookies of other names.
func TestCookieNamesAreApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type names struct{ login, browser string }
		of := func(edit func(*idserver.Config)) (n names) {
			w := newWorld(t, edit)
			a := routesOf(t, w.Client)[0].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
			for _, c := range setCookies(t, a) {
				if before, _, ok := strings.Cut(c.Name, "-login-"); ok {
					n.login = before + "-login-"
				} else {
					n.browser = c.Name
				}
				if secure := strings.HasPrefix(c.Name, "__"); secure != c.Secure {
					t.Errorf("cookie %s: Secure is %v", c.Name, c.Secure)
				}
				if strings.HasPrefix(c.Name, "__Host-") && (c.Path != "/" || c.Domain != "") {
					t.Errorf("cookie %s has the path %q and the domain %q, which its prefix forbids", c.Name, c.Path, c.Domain)
				}
			}
			return n
		}
		seen := map[names]string{}
		for _, row := range []struct{ baseURL, routes, login, browser string }{
			{"https://app.example", "", "__Secure-idserver-login-", "__Host-idserver-browser"},
			{"https://app.example:8443", "", "__Secure-idserver-8443-login-", "__Host-idserver-8443-browser"},
			{"https://app.example:9443", "", "__Secure-idserver-9443-login-", "__Host-idserver-9443-browser"},
			{"https://app.example/one", "", "__Secure-idserver-7692c3ad-login-", "__Host-idserver-7692c3ad-browser"},
			{"https://app.example", "/second", "", ""},
			{"https://app.example", "/third", "", ""},
			{"https://app.example/one", "/second", "", ""},
			{"http://127.0.0.1:8080", "", "idserver-8080-login-", "idserver-8080-browser"},
			{"http://127.0.0.1:8080", "/second", "", ""},
			{"http://127.0.0.1:8081", "", "idserver-8081-login-", "idserver-8081-browser"},
			{"http://127.0.0.1", "", "idserver-login-", "idserver-browser"},
		} {
			n := of(func(c *idserver.Config) { c.BaseURL, c.RoutesPath = row.baseURL, row.routes })
			if n.login == "" || n.browser == "" || row.login != "" && (n.login != row.login || n.browser != row.browser) {
				t.Errorf("%s%s has the cookies %+v", row.baseURL, row.routes, n)
			}
			if other, ok := seen[n]; ok {
				t.Errorf("%s%s has the cookies of %s", row.baseURL, row.routes, other)
			}
			seen[n] = row.baseURL + row.routes
		}
		if same := of(func(c *idserver.Config) { c.BaseURL = "https://app.example:443/" }); seen[same] != "https://app.example" {
			t.Errorf("the port that https implies changes the cookies to %+v", same)
		}
	})
}
