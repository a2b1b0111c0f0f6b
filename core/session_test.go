package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestSessionLimits(t *testing.T) {
	w := newWorld(t)
	t.Run("idle", func(t *testing.T) {
		b := w.signedIn(t, "alice")
		w.clock.advance(61 * time.Minute)
		_, a := b.pass(w.RequireUser(), "GET", "/profile", navigates)
		if a.Status != 303 || b.cookies["idserver-8080"] != "" {
			t.Errorf("after an idle hour: %d, cookies %v", a.Status, b.cookies)
		}
	})
	t.Run("in use", func(t *testing.T) {
		b := w.signedIn(t, "alice")
		for hour := range 12 {
			for range 2 {
				if !b.admits(w.Client) {
					t.Fatalf("over after %d hours of use", hour)
				}
				w.clock.advance(30 * time.Minute)
			}
		}
		w.clock.advance(time.Second)
		if b.admits(w.Client) {
			t.Error("not over after twelve hours")
		}
	})
}

func TestSessionIsRenewedSeldom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		before := b.cookies["idserver-8080"]
		w.clock.advance(6 * time.Minute)
		_, a := b.pass(w.RequireUser(), "GET", "/")
		if b.cookies["idserver-8080"] != before || field(a, "Cache-Control") == "private, no-store" {
			t.Error("written again within a tenth of the idle time")
		}
		w.clock.advance(time.Second)
		_, a = b.pass(w.RequireUser(), "GET", "/")
		if b.cookies["idserver-8080"] == before || field(a, "Cache-Control") != "private, no-store" {
			t.Error("not written again after a tenth of the idle time, or cacheable with it")
		}
	})
}

func TestSessionSecretRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		rotated := w.client(t, func(c *idserver.Config) { c.SessionSecret, c.Session.OldSecrets = secretTwo, []string{secretOne} })
		stranger := w.client(t, func(c *idserver.Config) { c.SessionSecret = secretTwo })
		other := w.client(t, func(c *idserver.Config) { c.ClientID = "example-cli" })

		if b2 := (&browser{t, w.Client, copyOf(b.cookies)}); b2.admits(stranger) {
			t.Error("opened without the secret")
		}
		if b2 := (&browser{t, w.Client, copyOf(b.cookies)}); b2.admits(other) {
			t.Error("another application opens the session by the same secret")
		}
		if !b.admits(rotated) {
			t.Fatal("the old secret does not open")
		}
		if !b.admits(stranger) {
			t.Error("the session was not sealed with the new secret")
		}
	})
}

func TestSessionTampered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		good := b.cookies["idserver-8080"]
		var login string
		for name, value := range b.cookies {
			if strings.Contains(name, "login") {
				login = value
			}
		}
		tampered := map[string]string{
			"empty": "", "short": "AQ", "not base64url": "!" + good[1:], "cut": good[:len(good)-1], "longer": good + "A",
			"a login cookie's value": login, "padded": good + "=", "chunked of one": "1." + good, "chunked of two": "2." + good, "chunked of a billion": "1000000000." + good,
			"negative": "-1." + good,
		}
		for range 100 {
			i := rand.IntN(len(good))
			tampered[fmt.Sprintf("byte %d", i)] = good[:i] + string("AB"[b2i(good[i] == 'A')]) + good[i+1:]
		}
		for name, value := range tampered {
			b := &browser{t, w.Client, map[string]string{"idserver-8080": value}}
			if b.admits(w.Client) {
				t.Errorf("%s: admitted", name)
			}
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A provider that puts much into its tokens: the session takes several cookies, and none is left over.
func TestLargeSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		noise := make([]byte, 6000)
		for i := range noise {
			noise[i] = byte('!' + rand.IntN(90))
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["noise"] = string(noise) })
		b := w.signedIn(t, "alice")
		chunks := 0
		for name, value := range b.cookies {
			if strings.HasPrefix(name, "idserver-8080") && !strings.Contains(name, "login") {
				chunks++
			}
			if len(name)+len(value) > 4000 {
				t.Errorf("cookie %s has %d bytes", name, len(value))
			}
		}
		if chunks < 2 || !b.admits(w.Client) {
			t.Fatalf("%d chunks, admitted %v", chunks, b.admits(w.Client))
		}
		missing := &browser{t, w.Client, copyOf(b.cookies)}
		delete(missing.cookies, "idserver-8080.1")
		if missing.admits(w.Client) {
			t.Error("admitted without a chunk")
		}
		w.provider.SetIDTokenClaims(nil)
		b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
		for name := range b.cookies {
			if strings.HasPrefix(name, "idserver-8080.") {
				t.Errorf("%s is left of the larger session", name)
			}
		}
		if !b.admits(w.Client) {
			t.Error("not admitted after the session shrank")
		}
	})
}

func TestSessionTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				noise := make([]rune, 60000)
				for i := range noise {
					noise[i] = rune('!' + rand.IntN(90))
				}
				return u.Set("noise", string(noise))
			}
		})
		b := w.browser(t)
		a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
		if code(t, a) != idserver.CodeSessionTooLarge || !strings.Contains(w.log.String(), "cookies hold") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

func TestCookieAttributes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for baseURL, want := range map[string]string{
			"https://app.example":          "__Host-idserver",
			"https://app.example:8443":     "__Host-idserver-8443",
			"http://127.0.0.1:8080":        "idserver-8080",
			"http://localhost":             "idserver",
			"https://app.example/one/":     "__Host-idserver-7692c3ad", // of the SHA-256 of "one"
			"https://app.example/two/deep": "__Host-idserver-",
		} {
			w := newWorld(t, func(c *idserver.Config) { c.BaseURL = baseURL })
			a := routesOf(t, w.Client)[0].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/login"})
			login, err := http.ParseSetCookie(field(a, "Set-Cookie"))
			if err != nil {
				t.Fatal(err)
			}
			browser, err := http.ParseSetCookie(a.Add[len(a.Add)-1].Value)
			if err != nil {
				t.Fatal(err)
			}
			secure := strings.HasPrefix(baseURL, "https")
			if browser.Secure != secure || browser.Path != "/" || browser.Domain != "" || browser.Name != want+"-browser" && !strings.Contains(baseURL, "app.example/") {
				t.Errorf("%s: the browser's cookie is %v", baseURL, browser)
			}
			if login.Secure != secure || strings.HasPrefix(login.Name, "__Secure-") != secure || !strings.HasSuffix(login.Path, "/auth") || login.MaxAge != 1200 {
				t.Errorf("%s: login cookie %s of path %q for %d s", baseURL, login.Name, login.Path, login.MaxAge)
			}
			address := field(a, "Location")
			callback := w.authorizeAnywhere(t, address)
			a = routesOf(t, w.Client)[1].Serve(t.Context(), idserver.Request{Method: "GET", Path: "/auth/callback", RawQuery: callback, Header: http.Header{"Cookie": {login.Name + "=" + login.Value, browser.Name + "=" + browser.Value}}})
			session, err := http.ParseSetCookie(field(a, "Set-Cookie"))
			if err != nil {
				t.Fatalf("%s: %v %s", baseURL, err, a.Body)
			}
			if !strings.HasPrefix(session.Name, want) || session.Secure != secure || session.Path != "/" || session.Domain != "" || session.MaxAge != 3600 {
				t.Errorf("%s: session cookie %s of path %q for %d s, want %s", baseURL, session.Name, session.Path, session.MaxAge, want)
			}
			if !strings.Contains(baseURL, "app.example/") && session.Name != want {
				t.Errorf("%s: session cookie %s, want %s", baseURL, session.Name, want)
			}
		}
	})
}

func idtestClient(redirectURI string) idtest.Client {
	return idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, RedirectURIs: []string{redirectURI}, AnyLoopbackRedirect: true}
}

// authorizeAnywhere allows the redirect_uri first; it returns the callback's query.
func (w *world) authorizeAnywhere(t *testing.T, address string) string {
	t.Helper()
	w.provider.AddClient(idtestClient(query(t, address).Get("redirect_uri")))
	callback, err := w.provider.Authorize(t.Context(), address, "alice")
	if err != nil {
		t.Fatal(err)
	}
	return callback.RawQuery
}

// A request whose answer may not bring its cookies renews nothing: a refresh token that was rotated would be lost, and the
// session with it. Nor does what caches store.
func TestSessionIsRenewedWhereCookiesArrive(t *testing.T) {
	fetch := func(mode, dest, site string, more ...string) []string {
		return append([]string{"Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest, "Sec-Fetch-Site", site}, more...)
	}
	for name, row := range map[string]struct {
		header []string
		renews bool
	}{
		"a page":                        {fetch("navigate", "document", "same-origin"), true},
		"a link elsewhere":              {fetch("navigate", "document", "cross-site"), true},
		"a frame":                       {fetch("navigate", "iframe", "same-origin"), true},
		"a script's fetch":              {fetch("cors", "empty", "same-origin"), true},
		"a script's own mode":           {fetch("same-origin", "empty", "same-origin"), true},
		"an event stream":               {fetch("cors", "empty", "same-origin", "Accept", "text/event-stream"), true},
		"htmx":                          {fetch("cors", "empty", "same-origin", "Hx-Request", "true"), true},
		"a trusted origin's script":     {fetch("cors", "empty", "same-site", "Origin", "https://admin.example"), true},
		"a program":                     {nil, true},
		"an old browser":                {[]string{"Accept", "text/html,*/*"}, true},
		"a neighbour's script":          {fetch("cors", "empty", "same-site", "Origin", "http://127.0.0.1:9090"), false},
		"an image":                      {fetch("no-cors", "image", "same-origin"), false},
		"an image with CORS":            {fetch("cors", "image", "same-origin"), false},
		"a script":                      {fetch("no-cors", "script", "same-origin"), false},
		"a module":                      {fetch("cors", "script", "same-origin"), false},
		"a style":                       {fetch("no-cors", "style", "same-origin"), false},
		"a font":                        {fetch("cors", "font", "same-origin"), false},
		"a film":                        {fetch("no-cors", "video", "same-origin"), false},
		"a worker":                      {fetch("same-origin", "worker", "same-origin"), false},
		"a manifest":                    {fetch("cors", "manifest", "same-origin"), false},
		"an object":                     {fetch("navigate", "object", "same-origin"), false},
		"what is not known yet":         {fetch("cors", "hologram", "same-origin"), false},
		"a beacon":                      {fetch("no-cors", "empty", "same-origin"), false},
		"a prefetch":                    {fetch("navigate", "document", "same-origin", "Sec-Purpose", "prefetch"), false},
		"a prerender":                   {fetch("navigate", "document", "none", "Sec-Purpose", "prefetch;prerender"), false},
		"an old browser's prefetch":     {[]string{"Purpose", "prefetch"}, false},
		"Firefox's prefetch":            {[]string{"X-Moz", "prefetch"}, false},
		"an old browser's image":        {[]string{"Accept", "image/webp,*/*"}, false},
		"an old browser's style":        {[]string{"Accept", "text/css,*/*;q=0.1"}, false},
		"a WebSocket":                   {[]string{"Upgrade", "websocket", "Connection", "Upgrade"}, false},
		"a WebSocket over HTTP/2":       {[]string{"Sec-Websocket-Version", "13"}, false},
		"a WebSocket with its metadata": {fetch("websocket", "empty", "same-origin"), false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://admin.example"} })
				b := w.signedIn(t, "alice")
				asks := func() idserver.Answer {
					_, a := b.pass(w.RequireUser(), "GET", "/x", func(r *idserver.Request) { send(r, row.header...) })
					return a
				}
				grants := w.provider.Requests(idtest.Token)
				w.clock.advance(14*time.Minute + 30*time.Second)
				if a := asks(); a.Ends() || (cookiesSet(a) > 0) != row.renews || (w.provider.Requests(idtest.Token) > grants) != row.renews {
					t.Errorf("when a refresh is due: %d, %d cookies, %d refreshes", a.Status, cookiesSet(a), w.provider.Requests(idtest.Token)-grants)
				}
				w.clock.advance(time.Minute)
				if a := asks(); a.Ends() == row.renews || cookiesSet(a) > 0 || !row.renews && code(t, a) != idserver.CodeSessionNotRenewed {
					t.Errorf("when the access token has expired: %d, %d cookies", a.Status, cookiesSet(a))
				}
				if !b.admits(w.Client) {
					t.Error("the session is lost")
				}
			})
		})
	}
}

// What the provider said to another request counts for one that may not ask itself.
func TestSessionThatIsNotRenewedHearsOfRefusals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		line := b.cookies["idserver-8080"]
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.provider.Fail(idtest.Token, idtest.Fault{OAuthError: "invalid_grant"})
		if b.admits(w.Client) {
			t.Fatal("the refresh is not refused")
		}
		b.cookies["idserver-8080"] = line
		_, a := b.pass(w.RequireUser(), "GET", "/ws", func(r *idserver.Request) { send(r, "Upgrade", "websocket") })
		if a.Status != 401 || code(t, a) != idserver.CodeNotSignedIn {
			t.Errorf("%d %s", a.Status, a.Body)
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

// A session that was sealed while the clock was ahead is none once it is right: its limits would hold much later.
func TestSessionFromTheFuture(t *testing.T) {
	for ahead, admitted := range map[time.Duration]bool{
		0: true, 10 * time.Second: true, 11 * time.Second: false, time.Minute: false, 365 * 24 * time.Hour: false,
	} {
		t.Run(ahead.String(), inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.signedIn(t, "alice")
			w.clock.advance(-ahead)
			if b.admits(w.Client) != admitted {
				t.Errorf("%v ahead: admitted %v", ahead, !admitted)
			}
			if _, kept := b.cookies["idserver-8080"]; kept != admitted {
				t.Errorf("%v ahead: the cookie is kept: %v", ahead, kept)
			}
		}))
	}
}

// So is a sign-in in progress.
func TestLoginFromTheFuture(t *testing.T) {
	for ahead, admitted := range map[time.Duration]bool{10 * time.Second: true, time.Minute: false, 365 * 24 * time.Hour: false} {
		t.Run(ahead.String(), inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login"), "alice")
			w.clock.advance(-ahead)
			a := b.route("GET", callback, fetches)
			if _, ok := b.cookies["idserver-8080"]; ok != admitted {
				t.Errorf("%v ahead: %d %s", ahead, a.Status, a.Body)
			}
		}))
	}
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

// The secret is changed while replicas stand side by side. In three steps (accepted everywhere, sealing, the old one removed)
// nobody notices. Where a step is left out, a replica without the secret accepts nothing, and deletes nothing that another
// replica can still open.
func TestSecretsSideBySide(t *testing.T) {
	secrets := func(first string, old ...string) func(*idserver.Config) {
		return func(c *idserver.Config) { c.SessionSecret, c.Session.OldSecrets = first, old }
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		visit := func(step string, client *idserver.Client, want bool) {
			t.Helper()
			w.clock.advance(7 * time.Minute) // the cookie is written again
			b.client = client
			before := b.cookies["idserver-8080"]
			ctx, _ := b.pass(client.RequireUser(), "GET", "/", navigates)
			u := idserver.UserFrom(ctx)
			if (u != nil) != want {
				t.Fatalf("%s: signed in: %v, want %v", step, u != nil, want)
			}
			if after := b.cookies["idserver-8080"]; after == "" || !want && after != before {
				t.Fatalf("%s: the cookie was deleted or replaced", step)
			}
		}
		old, accepting := w.client(t), w.client(t, secrets(secretOne, secretTwo))
		sealing, only := w.client(t, secrets(secretTwo, secretOne)), w.client(t, secrets(secretTwo))
		for range 3 {
			visit("the new one is accepted by half of them", old, true)
			visit("the new one is accepted by half of them", accepting, true)
		}
		for range 3 {
			visit("the new one seals in half of them", accepting, true)
			visit("the new one seals in half of them", sealing, true)
		}
		for range 3 {
			visit("the old one is removed from half of them", sealing, true)
			visit("the old one is removed from half of them", only, true)
		}
		visit("a replica that was forgotten", old, false)
		visit("and the others after it", only, true)
	})
}

// With NoIDToken, sessions keep no ID token, before and after a refresh.
func TestNoIDToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Session.NoIDToken = true })
		b := w.signedIn(t, "alice")
		for range 2 {
			ctx, _ := b.pass(w.RequireUser(), "GET", "/")
			if idToken, _ := idserver.SessionTokensFrom(ctx); idserver.UserFrom(ctx) == nil || idToken != "" {
				t.Errorf("the session has an ID token, or no user: %v", idserver.UserFrom(ctx))
			}
			w.clock.advance(14*time.Minute + 30*time.Second)
		}
		if w.provider.RefreshCounts().Answered != 1 {
			t.Error("it was not refreshed")
		}
		dropIDToken(w.provider)
		w.clock.advance(14*time.Minute + 30*time.Second)
		if user, _ := b.visit(); user == nil || user.Email == "" {
			t.Errorf("after a refresh without ID token: %v, %s", user, w.log)
		}
		a := b.route("GET", "/auth/logout", navigates)
		if strings.Contains(field(a, "Location"), "id_token_hint") {
			t.Errorf("signed out at %s", field(a, "Location"))
		}
	})
}

const sessionCookie = "idserver-8080"

// writtenLater puts into a browser what a later version would have written of its session.
func (b *browser) writtenLater() {
	b.t.Helper()
	value, err := b.client.WithLater(b.cookies[sessionCookie])
	if err != nil {
		b.t.Fatal(err)
	}
	b.cookies[sessionCookie] = value
}

// keepsLater fails the test unless a browser's cookie is not the one from before, and has what a later version wrote.
func (b *browser) keepsLater(before, after string, words ...string) {
	b.t.Helper()
	value := b.cookies[sessionCookie]
	kept, err := b.client.Later(value)
	if err != nil || value == before {
		b.t.Errorf("%s: the cookie is the old one: %t; %v", after, value == before, err)
	}
	for _, word := range words {
		if !strings.Contains(kept, word) {
			b.t.Errorf("%s: it has lost %q: %s", after, word, kept)
		}
	}
}

// What the files of a later version have in a session and in a reference, as Later prints it.
var (
	laterSession   = []string{`{new {"a":[1,2.50,"\u00e9"]}}`, "{odd null}", "{77 ", "{1099511627776 "}
	laterReference = []string{"{new [true]}", "{78 "}
	laterStored    = []string{"{name:new value:\"x\"}", "{kind:79 "}
)

// Two versions stand side by side while a program is being replaced. What the later one writes besides into a sealed cookie is still
// there after this one has renewed it, refreshed it, and sealed it with another secret.
func TestLaterVersionsSessionSurvives(t *testing.T) {
	for name, edit := range map[string]func(*idserver.Config){
		"without a store": func(*idserver.Config) {},
		"with one":        func(c *idserver.Config) { c.Store = newSharedStore() },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newStrictWorld(t, 15*time.Minute, idtest.Dialect{}, edit)
			b := w.signedIn(t, "alice")
			b.writtenLater()
			for _, step := range []struct {
				name string
				wait time.Duration
			}{{"renewed", 7 * time.Minute}, {"refreshed", 7*time.Minute + 30*time.Second}, {"refreshed again", nearlyOver}} {
				time.Sleep(step.wait)
				before := b.cookies[sessionCookie]
				if got := b.seen(); got != "alice" {
					t.Fatalf("%s: %s", step.name, got)
				}
				b.keepsLater(before, step.name, laterSession...)
			}
			if n := w.provider.RefreshCounts().Answered; n != 2 {
				t.Errorf("%d refreshes", n)
			}
			b.client = w.client(t, edit, func(c *idserver.Config) { c.SessionSecret, c.Session.OldSecrets = secretTwo, []string{secretOne} })
			before := b.cookies[sessionCookie]
			if got := b.seen(); got != "alice" {
				t.Fatalf("with another secret: %s", got)
			}
			b.keepsLater(before, "sealed with another secret", laterSession...)
		}))
	}
}

// A replica that takes over what another one has refreshed takes over what a later version wrote there: the one that refreshed may
// be of that version, and this one not.
func TestLaterVersionsRefreshIsTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{})
		b := w.signedIn(t, "alice")
		other := w.at(1, b) // another tab, with what this version has written
		b.writtenLater()
		time.Sleep(nearlyOver)
		if got := w.at(0, b).seen(); got != "alice" { // whose answer is lost
			t.Fatal(got)
		}
		before := other.cookies[sessionCookie]
		if got := other.seen(); got != "alice" {
			t.Fatal(got)
		}
		if n := w.provider.RefreshCounts().Answered; n != 1 {
			t.Errorf("%d refreshes", n)
		}
		other.keepsLater(before, "taken over", laterSession...)
		time.Sleep(nearlyOver)
		before = other.cookies[sessionCookie]
		third := w.at(2, other)
		if got := third.seen(); got != "alice" {
			t.Fatal(got)
		}
		third.keepsLater(before, "refreshed by the third", laterSession...)
	})
}

// The same where sessions live in the store: of the session, of what the store has of it, and of the cookie.
func TestLaterVersionsServerSessionSurvives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, inStore)
		b := w.signedIn(t, "alice")
		b.writtenLater()
		if err := w.clients[1].StoreLater(t.Context(), b.cookies[sessionCookie]); err != nil {
			t.Fatal(err)
		}
		for i, wait := range []time.Duration{7 * time.Minute, 7*time.Minute + 30*time.Second, nearlyOver} {
			time.Sleep(wait)
			at := w.at(i, b)
			if got := at.seen(); got != "alice" {
				t.Fatal(got)
			}
			kept, err := w.clients[0].LaterInStore(t.Context(), b.cookies[sessionCookie])
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range append(laterStored, laterSession...) {
				if !strings.Contains(kept, word) {
					t.Errorf("step %d: the store has lost %q: %s", i, word, kept)
				}
			}
		}
		if n := w.provider.RefreshCounts().Answered; n != 2 {
			t.Errorf("%d refreshes", n)
		}
		next := &browser{t, w.client(t, inStore, func(c *idserver.Config) {
			c.Store, c.SessionSecret, c.Session.OldSecrets = w.store, secretTwo, []string{secretOne}
		}), copyOf(b.cookies)}
		if got := next.seen(); got != "alice" {
			t.Fatal(got)
		}
		next.keepsLater(b.cookies[sessionCookie], "sealed with another secret", laterReference...)
	})
}

var writeGolden = flag.String("golden", "", "write testdata/golden/NAME.json, when a version is released")

// written is what a version of this program has written: cookies, and a store with its root, sessions, leases, markers and lists.
type written struct {
	Issuer, Secret string
	Time           time.Time // when it was written
	Cookies        map[string]map[string]string
	Store          map[string][]byte
}

// goldenUsers are whose cookies there are, by where their session lives, and what a visit shows.
var goldenUsers = map[string]string{"sealed": "alice", "refreshed by another replica": "bob", "in the store": "carol", "signed out": "401"}

// What a version has written stays readable for two minor versions: a rolling deployment signs nobody out, and brings back nobody who
// has signed out. A file is added with "go test ./core -run TestGolden -golden v0.2.0" when a version is released; none is written anew.
func TestGolden(t *testing.T) {
	if *writeGolden != "" {
		bubble(t, func(t *testing.T) { writeGoldenFile(t, filepath.Join("testdata", "golden", *writeGolden+".json")) })
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var f written
			if err := json.Unmarshal(text, &f); err != nil {
				t.Fatal(err)
			}
			for name, edit := range map[string]func(*idserver.Config){"sessions in cookies": inCookies, "sessions in the store": inStore} {
				t.Run(name, func(t *testing.T) { f.isRead(t, edit) })
			}
		})
	}
}

// isRead fails the test unless a client of this version answers whoever has the cookies. It cannot reach the provider.
func (f *written) isRead(t *testing.T, edit func(*idserver.Config)) {
	store := newSharedStore()
	for key, value := range f.Store {
		store.values[key] = value
	}
	cfg := idserver.Config{
		Authority: f.Issuer, ClientID: idtest.ExampleClient, ClientSecret: idtest.ExampleSecret, BaseURL: base, SessionSecret: f.Secret, Store: store,
		Now: func() time.Time { return f.Time.Add(time.Second) }, Logger: textLog(&logBuffer{}),
	}
	cfg.Session.List, cfg.Session.StaleMax = true, -1 // nobody is let in because the provider is away
	cfg.HTTP.Client = &http.Client{Transport: nowhere{}}
	edit(&cfg)
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for whose, want := range goldenUsers {
		b := &browser{t, client, copyOf(f.Cookies[whose])}
		if got := b.seen(); got != want {
			t.Errorf("%s: %s, want %s", whose, got, want)
		}
	}
	all, err := client.Sessions(t.Context(), f.Issuer, aliceSubject)
	if err != nil || len(all) != 1 || all[0].Browser != "Firefox on Linux" {
		t.Errorf("alice's list is %+v, %v", all, err)
	}
}

// nowhere is a network without a provider.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("unplugged") }

// writeGoldenFile has people sign in, and writes what there is then.
func writeGoldenFile(t *testing.T, file string) {
	w := newReplicas(t, 15*time.Minute, idtest.Dialect{}, func(c *idserver.Config) { c.Session.List = true })
	f := written{Issuer: w.provider.URL(), Secret: secretOne, Cookies: map[string]map[string]string{}}
	bob := w.signedIn(t, "bob")
	f.Cookies["refreshed by another replica"] = copyOf(bob.cookies)
	time.Sleep(nearlyOver)
	if got := w.at(1, bob).seen(); got != "bob" {
		t.Fatal(got)
	}
	time.Sleep(time.Minute) // what bob's first cookie holds has expired
	f.Cookies["sealed"] = w.signedInFrom(t, "alice", fromFirefox).cookies
	out := w.signedIn(t, "alice")
	f.Cookies["signed out"] = copyOf(out.cookies)
	out.route("POST", "/auth/logout", navigates)
	stored := w.client(t, inStore, func(c *idserver.Config) { c.Store, c.Session.List = w.store, true })
	carol := &browser{t, stored, map[string]string{}}
	carol.route("GET", w.authorize(t, carol.begin("/auth/login"), "carol"), navigates)
	f.Cookies["in the store"] = carol.cookies
	f.Time, f.Store = time.Now(), w.store.values
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}
