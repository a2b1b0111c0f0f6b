package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// Where a refused person may go from there: to a sign-in that comes back to the page; as somebody else when this one is known and
// not admitted; and nowhere when the request came from another site, or signing in is of no use.
func TestSignInURL(t *testing.T) {
	w := newWorld(t)
	carol := w.signedIn(t, "carol")
	crossSite := func(r *idserver.Request) { send(r, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example") }
	for name, row := range map[string]struct {
		a       idserver.Answer
		url     string
		another bool
	}{
		"a bad token, navigating":  {second(carol.pass(w.RequireUser(), "GET", "/a?b=c", navigates, bearer("x"))), "/auth/login?return_to=%2Fa%3Fb%3Dc", false},
		"a bad token of a program": {second(carol.pass(w.RequireUser(), "GET", "/a?b=c", bearer("x"))), "/auth/login", false},
		"not the role, navigating": {second(carol.pass(w.RequireRole("admin"), "GET", "/a?b=c", navigates)), "/auth/login?return_to=%2Fa%3Fb%3Dc&prompt=login", true},
		"not the role, hostile":    {second(carol.pass(w.RequireRole("admin"), "GET", "//evil.example", navigates)), "/auth/login?prompt=login", true},
		"not the role, a script":   {second(carol.pass(w.RequireRole("admin"), "GET", "/a", fetches)), "/auth/login", true},
		"not admitted, navigating": {second(carol.pass(w.Require(func(*idserver.User) bool { return false }), "GET", "/a", navigates)), "/auth/login?return_to=%2Fa&prompt=login", true},
		"from another site":        {second(carol.pass(w.RequireUser(), "POST", "/a", crossSite)), "", false},
		"a sign-out from another":  {carol.route("POST", "/auth/logout", crossSite), "", false},
		"HEAD of login":            {carol.route("HEAD", "/auth/login", navigates), "", false},
		"HEAD of the callback":     {carol.route("HEAD", "/auth/callback"), "", false},
		"a login in a frame": {carol.route("GET", "/auth/login?return_to=/x", func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "iframe") }),
			"/auth/login?return_to=%2Fx", false},
		"an unreadable callback": {w.browser(t).route("GET", "/auth/callback", navigates), "/auth/login", false},
	} {
		t.Run(name, func(t *testing.T) {
			if row.a.Refusal == nil || row.a.Refusal.SignInURL != row.url || (row.a.Refusal.User != nil) != row.another {
				t.Errorf("%d, sign in at %+v, want %q", row.a.Status, row.a.Refusal, row.url)
			}
			if body := string(row.a.Body); row.url == "" && strings.Contains(body, "/auth/login") || row.url != "" && !strings.Contains(body, "/auth/login") {
				t.Errorf("the answer is %s", body)
			}
			if strings.Contains(string(row.a.Body), "someone else") != (row.another && strings.HasPrefix(field(row.a, "Content-Type"), "text/html")) {
				t.Errorf("the page says %s", row.a.Body)
			}
		})
	}
	w.provider.SetMetadata(func(m map[string]any) { m["issuer"] = "https://evil.example" })
	fresh := w.client(t)
	b := &browser{t, fresh, map[string]string{}}
	if a := b.route("GET", "/auth/login", navigates); code(t, a) != idserver.CodeProviderMisconfigured || a.Refusal.SignInURL != "" {
		t.Errorf("a provider that is not set up: %d, sign in at %q", a.Status, a.Refusal.SignInURL)
	}
	if _, a := b.pass(w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" }).RequireUser(), "GET", "/", navigates); a.Refusal.SignInURL != "" {
		t.Errorf("an API sends to %q", a.Refusal.SignInURL)
	}
}

// Fetch Metadata decides where there is some: a request from another site passes for none because it brings no Origin (which
// extensions and privacy settings take out).
func TestCrossSiteWithoutOrigin(t *testing.T) {
	w := newWorld(t, func(c *idserver.Config) { c.TrustedOrigins = []string{"https://admin.example"} })
	for _, site := range []string{"cross-site", "same-site", "Cross-Site", "unknown"} {
		for _, method := range []string{"POST", "PUT", "DELETE"} {
			for _, origin := range []string{"", base, "null"} {
				b := w.signedIn(t, "alice")
				from := func(r *idserver.Request) { send(r, "Sec-Fetch-Site", site, "Origin", origin) }
				if _, a := b.pass(w.RequireUser(), method, "/", from); a.Status != 403 || code(t, a) != idserver.CodeCrossSite {
					t.Errorf("%s of %s with Origin %q: %d", method, site, origin, a.Status)
				}
				if a := b.route("POST", "/auth/logout", from); a.Status != 403 || !b.admits(w.Client) {
					t.Errorf("a sign-out of %s with Origin %q: %d", site, origin, a.Status)
				}
			}
		}
	}
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
