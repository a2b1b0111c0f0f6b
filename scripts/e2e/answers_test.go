//go:build e2e

package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Everything that the example's page of answers promises, with the embedded provider.
func TestAnswers(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		p := start(t, []string{"ADDR=127.0.0.1:0"}, binary)
		app, provider := p.line("open"), p.line("provider")
		curl := "curl " + p.line("curl")
		if !strings.HasPrefix(app, "http://127.0.0.1:") || !strings.HasPrefix(provider, "http://localhost:") {
			t.Errorf("the app is at %s and the provider at %s", app, provider)
		}
		t.Run("by person", func(t *testing.T) { byPerson(t, app, provider) })
		t.Run("signed out", func(t *testing.T) { signedOut(t, app, provider) })
		t.Run("credentials", func(t *testing.T) { credentials(t, app, provider) })
		t.Run("return_to", func(t *testing.T) { returnTo(t, app) })
		t.Run("login", func(t *testing.T) { login(t, app, provider) })
		t.Run("callback", func(t *testing.T) { callback(t, app, provider) })
		t.Run("logout", func(t *testing.T) { logout(t, app, provider) })
		t.Run("the curl line", func(t *testing.T) {
			out, err := exec.Command("sh", "-c", curl).Output()
			if err != nil || !strings.Contains(string(out), `"alice@example.test"`) {
				t.Errorf("%s: %v %s", curl, err, out)
			}
		})
		for _, secret := range []string{"?code=", "&code=", "state=", "eyJ", "nonce"} {
			if strings.Contains(strings.ReplaceAll(p.log.String(), curl, ""), secret) {
				t.Errorf("the log has %q in it", secret)
			}
		}
	})
}

var people = map[string]struct {
	sub, name, roles, customRoles string
	may                           map[string]bool // where a role is asked for
}{
	"alice": {"6f0c2a3e-0000-4000-8000-00000000a11c", "Alice Tan", `["admin","user"]`, `["billing"]`, map[string]bool{"/admin": true, "/api/admin": true, "/api/editors": true, "/api/billing": true}},
	"bob":   {"6f0c2a3e-0000-4000-8000-000000000b0b", "Bob Lim", `["editor"]`, `[]`, map[string]bool{"/api/editors": true}},
	"carol": {"6f0c2a3e-0000-4000-8000-00000000ca01", "Carol Ng", `["user"]`, `[]`, nil},
}

func (v *visitor) me(user string) string {
	who := people[user]
	return fmt.Sprintf(`{"id":%q,"email":"%s@example.test","name":%q,"tenant_id":"7b1d5c52-0000-4000-8000-00000000acee","roles":%s,"custom_roles":%s}`,
		who.sub, user, who.name, who.roles, who.customRoles)
}

func token(v *visitor, provider, user string) string {
	v.t.Helper()
	var body struct {
		Token string `json:"access_token"`
	}
	a := v.do("POST", provider+"/dev/token", nil, url.Values{"user": {user}})
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Token == "" {
		v.t.Fatalf("/dev/token: %d %s", a.StatusCode, a.body)
	}
	return body.Token
}

const signOutForm = `<form method="post" action="/auth/logout">`

var readableDate = regexp.MustCompile(`<dd>\d\d? [A-Z][a-z]+ \d{4}, \d\d:\d\d:\d\d UTC</dd>`)

func byPerson(t *testing.T, app, provider string) {
	for user, who := range people {
		session := newVisitor(t, app)
		session.signIn(user)
		if size := len(session.cookies()); size > 3000 {
			t.Errorf("%s's cookies have %d bytes", user, size)
		}
		bearer := script.with("Authorization", "Bearer "+token(session, provider, user))
		for how, ask := range map[string]func(path string) answer{
			"session, navigating": func(path string) answer { return session.get(path) },
			"session, script":     func(path string) answer { return session.do("GET", path, script, nil) },
			"bearer":              func(path string) answer { return newVisitor(t, app).do("GET", path, bearer, nil) },
		} {
			for _, path := range []string{"/admin", "/api/admin", "/api/editors", "/api/billing"} {
				a := ask(path)
				switch {
				case who.may[path] && a.StatusCode == 200:
					if path != "/admin" && strings.TrimSpace(a.body) != `{"ok":true}` {
						t.Errorf("%s, %s by %s: %s", path, user, how, a.body)
					}
				case who.may[path] || a.StatusCode != 403 || code(t, a) != "insufficient_role":
					t.Errorf("%s, %s by %s: %d %s", path, user, how, a.StatusCode, a.body)
				}
			}
			for _, path := range []string{"/api/me", "/auth/userinfo"} {
				if a := ask(path); a.StatusCode != 200 || strings.TrimSpace(a.body) != session.me(user) || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
					t.Errorf("%s, %s by %s: %d %s", path, user, how, a.StatusCode, a.body)
				}
			}
			if a := ask("/profile"); a.StatusCode != 200 || !strings.Contains(a.body, who.name) || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
				t.Errorf("/profile, %s by %s: %d %s", user, how, a.StatusCode, a.body)
			}
			if a := ask("/profile"); !readableDate.MatchString(a.body) || !strings.Contains(a.body, "<title>Your profile · ") || !strings.Contains(a.body, signOutForm) {
				t.Errorf("/profile, %s by %s, lacks a readable date, its title or the sign-out button: %s", user, how, a.body)
			}
		}
		if a := session.get("/"); !strings.Contains(a.body, who.name) || !strings.Contains(a.body, user+"@example.test") || !strings.Contains(a.body, "00000000acee") ||
			!strings.Contains(a.body, signOutForm) {
			t.Errorf("/ of %s: %s", user, a.body)
		}
		for name, h := range map[string]header{"session": script, "bearer": bearer, "another site's with a bearer": bearer.with("Sec-Fetch-Site", "cross-site")} {
			if a := session.do("POST", "/api/echo", h, nil); a.StatusCode != 200 || strings.TrimSpace(a.body) != `{"ok":true}` {
				t.Errorf("POST /api/echo by %s: %d %s", name, a.StatusCode, a.body)
			}
		}
	}
}

func signedOut(t *testing.T, app, provider string) {
	v := newVisitor(t, app)
	if a := v.get("/"); a.StatusCode != 200 || !strings.Contains(a.body, `href="/auth/login"`) {
		t.Errorf("/: %d %s", a.StatusCode, a.body)
	}
	for _, path := range []string{"/profile", "/admin", "/api/me", "/api/admin", "/api/editors", "/api/billing"} {
		if a := v.get(path); a.StatusCode != 303 || a.location() != "/auth/login?return_to="+url.QueryEscape(path) {
			t.Errorf("navigating to %s: %d %q", path, a.StatusCode, a.location())
		}
		for _, h := range []header{script, {}, {"Accept": "*/*"}} {
			if a := v.do("GET", path, h, nil); a.StatusCode != 401 || code(t, a) != "not_signed_in" || a.Header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s: %d %q %s", path, a.StatusCode, a.Header.Get("WWW-Authenticate"), a.body)
			}
		}
	}
	for _, h := range []header{navigation, script} {
		if a := v.do("GET", "/auth/userinfo", h, nil); a.StatusCode != 401 {
			t.Errorf("/auth/userinfo: %d", a.StatusCode)
		}
	}
	if a := v.do("POST", "/api/echo", script, nil); a.StatusCode != 401 {
		t.Errorf("POST /api/echo: %d", a.StatusCode)
	}
}

func credentials(t *testing.T, app, provider string) {
	v := newVisitor(t, app)
	v.signIn("alice")
	good := token(v, provider, "bob")
	for name, row := range map[string]struct {
		authorization string
		status        int
		code          string
		challenge     string
	}{
		"broken":         {"Bearer abc", 401, "invalid_token", `Bearer error="invalid_token"`},
		"tampered":       {"Bearer " + good[:len(good)-2] + "AA", 401, "invalid_token", `Bearer error="invalid_token"`},
		"empty":          {"Bearer ", 400, "invalid_request", `Bearer error="invalid_request"`},
		"another scheme": {"Basic YTpi", 401, "not_signed_in", "Bearer"},
	} {
		a := v.do("GET", "/api/me", script.with("Authorization", row.authorization), nil)
		if a.StatusCode != row.status || code(t, a) != row.code || a.Header.Get("WWW-Authenticate") != row.challenge {
			t.Errorf("%s: %d %q %s", name, a.StatusCode, a.Header.Get("WWW-Authenticate"), a.body)
		}
	}
	if a := v.do("GET", "/api/me", script.with("Authorization", "Bearer "+good), nil); strings.TrimSpace(a.body) != v.me("bob") {
		t.Errorf("the cookie was looked at beside the header: %s", a.body)
	}
	for name, h := range map[string]header{
		"another site":              script.with("Sec-Fetch-Site", "cross-site").with("Origin", "https://evil.example"),
		"a neighbouring site":       script.with("Sec-Fetch-Site", "same-site").with("Origin", "http://127.0.0.1:1"),
		"an old browser, elsewhere": {"Origin": "https://evil.example"},
	} {
		if a := v.do("POST", "/api/echo", h, nil); a.StatusCode != 403 || code(t, a) != "cross_site" {
			t.Errorf("POST from %s: %d %s", name, a.StatusCode, a.body)
		}
		if a := v.do("GET", "/api/me", h, nil); a.StatusCode != 200 {
			t.Errorf("GET from %s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

func returnTo(t *testing.T, app string) {
	for target, want := range map[string]string{
		"/profile": "/profile", "/api/me?a=b&c=%2F": "/api/me?a=b&c=%2F", app + "/admin": "/admin",
		"//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/", "/\t/evil.example": "/", "/%09/evil.example": "/",
		"/%2f/evil.example": "/", "javascript:alert(1)": "/", app + "@evil.example": "/", "/auth/logout": "/", "": "/",
	} {
		v := newVisitor(t, app)
		if a := v.get(v.callback(v.begin(target), "carol")); a.StatusCode != 303 || a.location() != want {
			t.Errorf("return_to %q leads to %q, want %q", target, a.location(), want)
		}
	}
}

func login(t *testing.T, app, provider string) {
	v := newVisitor(t, app)
	q, err := url.Parse(v.begin("/"))
	if err != nil || q.Scheme+"://"+q.Host != provider || q.Path != "/connect/authorize" {
		t.Fatalf("%v %v", q, err)
	}
	if q.Query().Get("code_challenge_method") != "S256" || q.Query().Get("redirect_uri") != app+"/auth/callback" {
		t.Errorf("%v", q.Query())
	}
	var body struct{ URL string }
	if a := v.do("GET", "/auth/login", script, nil); json.Unmarshal([]byte(a.body), &body) != nil || a.StatusCode != 200 || !strings.HasPrefix(body.URL, provider) {
		t.Errorf("as JSON: %d %s", a.StatusCode, a.body)
	}
	for name, h := range map[string]header{
		"an image":          {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"},
		"a frame":           navigation.with("Sec-Fetch-Dest", "iframe"),
		"a prefetch":        navigation.with("Sec-Purpose", "prefetch"),
		"another's script":  script.with("Sec-Fetch-Site", "cross-site"),
		"a script for HTML": script.with("Accept", "text/html"),
	} {
		if a := v.do("GET", "/auth/login", h, nil); a.StatusCode != 403 || code(t, a) != "not_a_navigation" {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	localhost := strings.Replace(app, "127.0.0.1", "localhost", 1)
	if a := newVisitor(t, localhost).get("/auth/login?return_to=/profile"); a.location() != app+"/auth/login?return_to=/profile" {
		t.Errorf("at localhost: %d %q", a.StatusCode, a.location())
	}
}

func callback(t *testing.T, app, provider string) {
	t.Run("replayed", func(t *testing.T) {
		v := newVisitor(t, app)
		address := v.callback(v.begin("/profile"), "alice")
		v.get(address)
		before := v.cookies()
		if a := v.get(address); a.StatusCode != 303 || a.location() != "/profile" || v.cookies() != before {
			t.Errorf("%d %q", a.StatusCode, a.location())
		}
		thief := newVisitor(t, app)
		if a := thief.get(address); !strings.HasPrefix(a.location(), provider) {
			t.Errorf("in another browser: %d %q", a.StatusCode, a.location())
		}
		if a := thief.do("GET", "/api/me", script, nil); a.StatusCode != 401 {
			t.Errorf("another browser is signed in by it: %s", a.body)
		}
	})
	t.Run("tabs", func(t *testing.T) {
		v := newVisitor(t, app)
		one, two := v.begin("/profile?1"), v.begin("/profile?2")
		for page, want := range map[string]string{one: "/profile?1", two: "/profile?2"} {
			if a := v.get(v.callback(page, "bob")); a.location() != want {
				t.Errorf("%d %q, want %q", a.StatusCode, a.location(), want)
			}
		}
	})
	t.Run("no cookies at all", func(t *testing.T) {
		v := newVisitor(t, app)
		v.client.Jar = nil
		a := v.get(v.callback(v.begin("/profile"), "bob"))
		if !strings.HasPrefix(a.location(), provider) {
			t.Fatalf("%d %q, want one new sign-in", a.StatusCode, a.location())
		}
		if a = v.get(v.callback(a.location(), "bob")); a.StatusCode != 400 || code(t, a) != "sign_in_lost" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		v := newVisitor(t, app)
		a := v.do("POST", v.begin("/profile"), header{"Accept": "text/html"}, url.Values{"cancel": {"1"}})
		if a = v.get(a.location()); a.StatusCode != 403 || code(t, a) != "access_denied" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	})
	for query, want := range map[string]string{"": "invalid_callback", "?code=x": "invalid_callback", "?code=x&state=a&state=b": "invalid_callback"} {
		if a := newVisitor(t, app).get("/auth/callback" + query); a.StatusCode != 400 || code(t, a) != want {
			t.Errorf("%q: %d %s", query, a.StatusCode, a.body)
		}
	}
	if a := newVisitor(t, app).do("HEAD", "/auth/callback", navigation, nil); a.StatusCode != 404 && a.StatusCode != 405 {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
}

func logout(t *testing.T, app, provider string) {
	in := func() *visitor {
		v := newVisitor(t, app)
		v.signIn("alice")
		return v
	}
	out := func(v *visitor) bool { return v.do("GET", "/api/me", script, nil).StatusCode == 401 }

	v := in()
	a := v.do("POST", "/auth/logout", navigation, nil)
	if a.StatusCode != 303 || !strings.HasPrefix(a.location(), provider+"/connect/endsession?") || !out(v) {
		t.Errorf("POST: %d %q", a.StatusCode, a.location())
	}
	if page, at := v.follow(a); at != app+"/" || !strings.Contains(page.body, `href="/auth/login"`) {
		t.Errorf("signing out ends at %s:\n%s", at, page.body)
	}
	v = in()
	if a := v.get("/auth/logout"); a.StatusCode != 303 || !out(v) {
		t.Errorf("GET from an own page: %d", a.StatusCode)
	}
	for name, h := range map[string]header{
		"another site":   navigation.with("Sec-Fetch-Site", "cross-site"),
		"typed in":       navigation.with("Sec-Fetch-Site", "none"),
		"an image":       {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"},
		"a prefetch":     navigation.with("Sec-Purpose", "prefetch"),
		"an old browser": {"Accept": "text/html"},
	} {
		v := in()
		if a := v.do("GET", "/auth/logout", h, nil); a.StatusCode != 200 || !strings.Contains(a.body, "<button>Sign out</button>") || out(v) {
			t.Errorf("GET from %s: %d %s", name, a.StatusCode, a.body)
		}
	}
	v = in()
	if a := v.do("POST", "/auth/logout", navigation.with("Sec-Fetch-Site", "cross-site"), nil); a.StatusCode != 403 || code(t, a) != "cross_site" || out(v) {
		t.Errorf("POST from another site: %d %s", a.StatusCode, a.body)
	}
}

// The access token is renewed ahead of its end, and the cookie with it.
func TestRefresh(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		p := start(t, []string{"ADDR=127.0.0.1:0", "IDTEST_ACCESS_TTL=1s"}, binary)
		v := newVisitor(t, p.line("open"))
		v.signIn("alice")
		first := v.cookies()
		for v.cookies() == first { // the test's own deadline ends this
			if a := v.do("GET", "/api/me", script, nil); a.StatusCode != 200 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
		}
		if a := v.do("GET", "/api/me", script, nil); strings.TrimSpace(a.body) != v.me("alice") {
			t.Errorf("after the refresh: %d %s", a.StatusCode, a.body)
		}
	})
}

// A bad or missing setting is named, with what it wants; a forgotten one never starts a provider.
func TestSettings(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		secret := rand.Text() + rand.Text()
		for _, row := range []struct {
			env   []string
			wants string
		}{
			{[]string{"ADDR=nowhere"}, "ADDR"},
			{[]string{"ADDR=0.0.0.0:0"}, "IDSERVER_AUTHORITY"},
			{[]string{"ADDR=127.0.0.1:0", "IDTEST_ACCESS_TTL=soon"}, "IDTEST_ACCESS_TTL"},
			{[]string{"ADDR=127.0.0.1:0", "SESSION_SECRET=" + secret}, "IDSERVER_AUTHORITY"},
			{[]string{"ADDR=127.0.0.1:0", "IDSERVER_CLIENT_ID=x"}, "IDSERVER_AUTHORITY"},
			{[]string{"ADDR=127.0.0.1:0", "IDSERVER_AUTHORITY=https://op.example", "SESSION_SECRET=" + secret}, "IDSERVER_CLIENT_ID"},
			{[]string{"ADDR=127.0.0.1:0", "IDSERVER_AUTHORITY=https://op.example", "IDSERVER_CLIENT_ID=x"}, "SESSION_SECRET"},
			{[]string{"ADDR=127.0.0.1:0", "IDSERVER_AUTHORITY=https://op.example", "IDSERVER_CLIENT_ID=x", "SESSION_SECRET=short"}, "SESSION_SECRET"},
			{[]string{"ADDR=127.0.0.1:0", "IDSERVER_AUTHORITY=http://op.example", "IDSERVER_CLIENT_ID=x", "SESSION_SECRET=" + secret}, "IDSERVER_AUTHORITY"},
			{[]string{"ADDR=127.0.0.1:0", "BASE_URL=ftp://x", "IDSERVER_AUTHORITY=https://op.example", "IDSERVER_CLIENT_ID=x", "SESSION_SECRET=" + secret}, "BASE_URL"},
		} {
			said := fails(t, row.env, binary)
			if !strings.Contains(said, row.wants) || strings.Contains(said, secret) {
				t.Errorf("with %v it says:\n%s", row.env, said)
			}
		}
	})
}

// Starting needs no provider.
func TestStartWithoutProvider(t *testing.T) {
	eachExample(t, func(t *testing.T, binary string) {
		authority := "http://" + freeAddr(t)
		p := start(t, []string{"ADDR=127.0.0.1:0", "IDSERVER_AUTHORITY=" + authority, "IDSERVER_CLIENT_ID=x", "SESSION_SECRET=" + rand.Text() + rand.Text()}, binary)
		v := newVisitor(t, p.line("open"))
		if a := v.get("/"); a.StatusCode != 200 {
			t.Errorf("/: %d", a.StatusCode)
		}
		if a := v.get("/auth/login"); a.StatusCode != http.StatusServiceUnavailable || code(t, a) != "provider_unavailable" || a.Header.Get("Retry-After") == "" {
			t.Errorf("/auth/login: %d %s", a.StatusCode, a.body)
		}
		claims := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"` + authority + `","sub":"x","aud":"idserver-api","iat":1700000000,"exp":4000000000}`))
		if a := v.do("GET", "/api/me", script.with("Authorization", "Bearer "+"eyJhbGciOiJSUzI1NiJ9."+claims+".AAAA"), nil); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a token: %d %s", a.StatusCode, a.body)
		}
	})
}
