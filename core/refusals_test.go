package idserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// No refusal is kept by a cache, none is framed or guessed to be another type, and each says so although it is a problem
// document, a page, or the application's own.
func TestRefusalsAreNotKept(t *testing.T) {
	for name, edits := range map[string][]func(*idserver.Config){
		"built in": nil,
		"its own": {func(c *idserver.Config) {
			c.RenderRefusal = func(context.Context, idserver.Refusal) idserver.Rendered {
				return idserver.Rendered{Body: []byte("no")}
			}
		}},
	} {
		w := newWorld(t, edits...)
		bad := bearer("not-a-token")
		for what, a := range map[string]idserver.Answer{
			"not signed in":           second(w.browser(t).pass(w.RequireUser(), "GET", "/")),
			"a bad token":             second(w.browser(t).pass(w.RequireUser(), "GET", "/", bad)),
			"a bad token, navigating": second(w.browser(t).pass(w.RequireUser(), "GET", "/", bad, navigates)),
			"not admitted":            second(w.signedIn(t, "carol").pass(w.RequireRole("admin"), "GET", "/", navigates)),
			"cross-site":              second(w.signedIn(t, "carol").pass(w.RequireUser(), "POST", "/", func(r *idserver.Request) { send(r, "Sec-Fetch-Site", "cross-site") })),
			"a bad callback":          w.browser(t).route("GET", "/auth/callback", navigates),
			"a frame":                 w.browser(t).route("GET", "/auth/login", func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Dest", "iframe") }),
			"userinfo of nobody":      w.browser(t).route("GET", "/auth/userinfo", fetches),
		} {
			if a.Status < 400 || field(a, "Cache-Control") != "no-store" || field(a, "X-Content-Type-Options") != "nosniff" || field(a, "Vary") != "Authorization, Cookie" {
				t.Errorf("%s, %s: %d %+v", name, what, a.Status, a.Set)
			}
			isPage := strings.HasPrefix(field(a, "Content-Type"), "text/html") && edits == nil
			if policy := field(a, "Content-Security-Policy"); isPage && (!strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "base-uri 'none'")) {
				t.Errorf("%s, %s: the policy is %q", name, what, policy)
			}
			if name == "its own" && (string(a.Body) != "no" || field(a, "Content-Type") != "text/html; charset=utf-8") {
				t.Errorf("%s: %q %q, want what RenderRefusal made, as HTML", what, field(a, "Content-Type"), a.Body)
			}
		}
	}
	signOut := newWorld(t).browser(t).route("GET", "/auth/logout", func(r *idserver.Request) { send(r, "Accept", "text/html") })
	if policy := field(signOut, "Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") || field(signOut, "Cache-Control") != "no-store" {
		t.Errorf("the sign-out button may be framed (clickjacking): %q", policy)
	}
}

// The cause of a refusal is for the log. Neither page nor problem document tells it: it may hold what a stranger wrote or what
// only the operator is to know.
func TestCauseIsNotShown(t *testing.T) {
	const cause = "database password is not hunter2"
	w := newWorld(t, func(c *idserver.Config) {
		c.AdmitUser = func(context.Context, *idserver.User) error { return errors.New(cause) }
	})
	for name, how := range map[string]edit{"a page": navigates, "a problem document": fetches} {
		b := w.browser(t)
		a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), how)
		if code(t, a) != idserver.CodeSignInRefused || a.Refusal == nil || !strings.Contains(a.Refusal.Unwrap().Error(), cause) {
			t.Fatalf("%s: %d %s", name, a.Status, a.Body)
		}
		if strings.Contains(string(a.Body), "hunter2") || strings.Contains(a.Refusal.Error(), "hunter2") {
			t.Errorf("%s tells the cause: %s", name, a.Body)
		}
	}
	b := w.browser(t)
	q := query(t, b.begin("/auth/login"))
	a := b.route("GET", "/auth/callback?error=invalid_scope&error_description=written-by-a-stranger&state="+q.Get("state")+"&iss="+w.provider.URL(), navigates)
	if code(t, a) != idserver.CodeProviderError || strings.Contains(string(a.Body), "stranger") {
		t.Errorf("the provider's words are shown: %s", a.Body)
	}
	if !strings.Contains(w.log.String(), "hunter2") || !strings.Contains(w.log.String(), "written-by-a-stranger") {
		t.Error("the operator is not told")
	}
}

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
		if row.a.Refusal == nil || row.a.Refusal.SignInURL != row.url || (row.a.Refusal.User != nil) != row.another {
			t.Errorf("%s: %d, sign in at %+v, want %q", name, row.a.Status, row.a.Refusal, row.url)
		}
		if body := string(row.a.Body); row.url == "" && strings.Contains(body, "/auth/login") || row.url != "" && !strings.Contains(body, "/auth/login") {
			t.Errorf("%s: the answer is %s", name, body)
		}
		if strings.Contains(string(row.a.Body), "someone else") != (row.another && strings.HasPrefix(field(row.a, "Content-Type"), "text/html")) {
			t.Errorf("%s: the page says %s", name, row.a.Body)
		}
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

// A browser that leaves while its request waits for the provider is everyday, and no warning to an operator; a provider that is
// away is one.
func TestCallerWhoLeaves(t *testing.T) {
	w := newWorld(t)
	w.provider.Fail(idtest.Discovery, idtest.Fault{Hang: true})
	gone, leave := context.WithCancel(t.Context())
	leave()
	r := w.browser(t).request("GET", "/auth/login", []edit{navigates})
	if a := routesOf(t, w.Client)[0].Serve(gone, r); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	r = w.browser(t).request("GET", "/api", []edit{bearer(w.provider.MintAccessToken("alice"))})
	if _, a := w.RequireUser()(gone, r); a.Status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for line := range strings.Lines(w.log.String()) {
		if strings.Contains(line, "request refused") && !strings.Contains(line, "level=DEBUG") {
			t.Errorf("the operator is told: %s", line)
		}
	}
	if !strings.Contains(w.log.String(), "request refused") {
		t.Errorf("the log is %s", w.log)
	}

	down := newWorld(t)
	down.provider.Fail(idtest.Discovery, idtest.Fault{})
	down.browser(t).route("GET", "/auth/login", navigates)
	if log := down.log.String(); !strings.Contains(log, `level=WARN msg="idserver: request refused" code=provider_unavailable`) {
		t.Errorf("the operator is not told of a provider that is down: %s", log)
	}
}

// A stranger's request must not write a megabyte to the log, nor more than one line.
func TestLogOfRefusalsIsBounded(t *testing.T) {
	long := strings.Repeat("x", 900_000)
	for name, edit := range map[string]edit{
		"a long path":            func(r *idserver.Request) { r.Path = "/" + long },
		"a long query":           func(r *idserver.Request) { r.RawQuery = long },
		"a long method":          func(r *idserver.Request) { r.Method = long },
		"a long host":            func(r *idserver.Request) { r.Host = long },
		"a long scheme":          func(r *idserver.Request) { send(r, "Authorization", long) },
		"a long token":           func(r *idserver.Request) { send(r, "Authorization", "Bearer "+long) },
		"a long origin":          func(r *idserver.Request) { r.Method = "POST"; send(r, "Origin", "https://"+long) },
		"a long page of htmx":    func(r *idserver.Request) { send(r, "Hx-Request", "true", "Hx-Current-Url", "/"+long) },
		"a long referer":         func(r *idserver.Request) { r.Method = "POST"; navigates(r); send(r, "Referer", base+"/"+long) },
		"a path of line breaks":  func(r *idserver.Request) { r.Path = "/a\nlevel=ERROR msg=forged" },
		"a token of long claims": nil,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t)
				if edit == nil {
					edit = bearer(w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = strings.Repeat("x", 8000) }))
				}
				b := w.signedIn(t, "alice")
				before := len(w.log.String())
				_, a := b.pass(w.RequireRole("nobody"), "GET", "/x", edit)
				if !strings.Contains(name, "path") {
					_ = b.route("GET", "/auth/callback?state="+long[:3000], edit)
				}
				if logged := w.log.String()[before:]; a.Status < 300 || len(logged) > 4096 || strings.Contains(logged, "\nlevel=ERROR") {
					t.Errorf("%d: %d bytes are logged: %.300s", a.Status, len(logged), logged)
				}
			})
		})
	}
}
