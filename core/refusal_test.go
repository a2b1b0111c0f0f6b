package idserver_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestRenderRefusal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) {
			c.RenderRefusal = func(_ context.Context, refusal idserver.Refusal) idserver.Rendered {
				if refusal.Code == idserver.CodeNotSignedIn {
					return idserver.Rendered{Status: 200, ContentType: "text/plain", Body: []byte("who are you? " + refusal.SignInURL)}
				}
				return idserver.Rendered{Status: http.StatusTeapot}
			}
		})
		_, a := w.browser(t).pass(w.RequireUser(), "GET", "/")
		if a.Status != 401 || string(a.Body) != "who are you? /auth/login" || field(a, "Content-Type") != "text/plain" || field(a, "WWW-Authenticate") != "Bearer" {
			t.Errorf("%d %q %s: a refusal must stay one", a.Status, field(a, "Content-Type"), a.Body)
		}
		_, a = w.browser(t).pass(w.RequireUser(), "GET", "/", bearer("x"))
		if a.Status != http.StatusTeapot || code(t, a) != idserver.CodeInvalidToken {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
}

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
			t.Run(name+", "+what, func(t *testing.T) {
				if a.Status < 400 || field(a, "Cache-Control") != "no-store" || field(a, "X-Content-Type-Options") != "nosniff" || field(a, "Vary") != "Authorization, Cookie" {
					t.Errorf("%d %+v", a.Status, a.Set)
				}
				isPage := strings.HasPrefix(field(a, "Content-Type"), "text/html") && edits == nil
				if policy := field(a, "Content-Security-Policy"); isPage && (!strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "base-uri 'none'")) {
					t.Errorf("the policy is %q", policy)
				}
				if name == "its own" && (string(a.Body) != "no" || field(a, "Content-Type") != "text/html; charset=utf-8") {
					t.Errorf("%s: %q %q, want what RenderRefusal made, as HTML", what, field(a, "Content-Type"), a.Body)
				}
			})
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
		t.Run(name, func(t *testing.T) {
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), how)
			if code(t, a) != idserver.CodeSignInRefused || a.Refusal == nil || !strings.Contains(a.Refusal.Unwrap().Error(), cause) {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if strings.Contains(string(a.Body), "hunter2") || strings.Contains(a.Refusal.Error(), "hunter2") {
				t.Errorf("%s tells the cause: %s", name, a.Body)
			}
		})
	}
	b := w.browser(t)
	q := query(t, b.begin("/auth/login"))
	a := b.route("GET", "/auth/callback?error=unauthorized_client&error_description=written-by-a-stranger&state="+q.Get("state")+"&iss="+w.provider.URL(), navigates)
	if code(t, a) != idserver.CodeProviderError || strings.Contains(string(a.Body), "stranger") {
		t.Errorf("the provider's words are shown: %s", a.Body)
	}
	if !strings.Contains(w.log.String(), "hunter2") || !strings.Contains(w.log.String(), "written-by-a-stranger") {
		t.Error("the operator is not told")
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

// A form that is refused is answered with a page, as a person posted it.
func TestRefusedFormsGetPages(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "bob")
		for name, row := range map[string]struct {
			guard idserver.Guard
			edit  edit
			code  idserver.RefusalCode
			links bool
		}{
			"without the role":  {w.RequireRole("admin"), navigates, idserver.CodeInsufficientRole, true},
			"not admitted":      {w.Require(func(*idserver.User) bool { return false }), navigates, idserver.CodeNotAdmitted, true},
			"from another site": {w.RequireUser(), func(r *idserver.Request) { navigates(r); send(r, "Sec-Fetch-Site", "cross-site") }, idserver.CodeCrossSite, false},
		} {
			_, a := b.pass(row.guard, "POST", "/admin", row.edit, func(r *idserver.Request) { send(r, "Referer", base+"/form") })
			page := string(a.Body)
			if a.Status != 403 || code(t, a) != row.code || !strings.HasPrefix(field(a, "Content-Type"), "text/html") || strings.Contains(page, "return_to=%2Fform") != row.links {
				t.Errorf("%s: %d %s", name, a.Status, page)
			}
		}
		w.clock.advance(14*time.Minute + 30*time.Second)
		w.clock.advance(time.Minute)
		gone, leave := context.WithCancel(t.Context())
		leave()
		r := b.request("POST", "/form", []edit{navigates})
		if _, a := w.RequireUser()(gone, r); a.Status != 503 || strings.Contains(string(a.Body), "Try again</a>") {
			t.Errorf("a link posts nothing again: %d %s", a.Status, a.Body)
		}
	})
}

// Nor is it a megabyte where an application prints a request.
func TestPrintedRequestIsBounded(t *testing.T) {
	t.Parallel()
	r := idserver.Request{Method: strings.Repeat("x", 500_000), Path: "/" + strings.Repeat("y", 900_000)}
	if s := r.String(); len(s) > 512 {
		t.Errorf("%d bytes", len(s))
	}
}
