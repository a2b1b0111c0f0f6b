package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	below := func(base string) *idserver.Client {
		return w.client(t, func(c *idserver.Config) { c.BaseURL = base })
	}
	callback := func(path string) *idserver.Client {
		return w.client(t, func(c *idserver.Config) { c.CallbackPath = path })
	}
	api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
	for name, row := range map[string]struct {
		client *idserver.Client
		mount  string
		first  string   // the path of the first route
		wants  []string // or what the error says
	}{
		"at the path of the routes":           {w.Client, "/auth", "/login", nil},
		"as a prefix without slash":           {w.Client, "auth/", "/login", nil},
		"with a slash at the end":             {w.Client, "/auth/", "/login", nil},
		"at an unknown place":                 {w.Client, "", "/login", nil},
		"at the root":                         {w.Client, "/", "/auth/login", nil},
		"elsewhere":                           {w.Client, "/login", "", []string{`"/login"`, `"/auth"`}},
		"below a path, which is kept":         {below(base + "/app"), "/app/auth", "/login", nil},
		"below a path, at its root":           {below(base + "/app"), "/app", "/auth/login", nil},
		"below a path, which is gone":         {below(base + "/app"), "/auth", "/login", nil},
		"below a path, elsewhere":             {below(base + "/app"), "/app/login", "", []string{`"/app/login"`, `"/auth"`}},
		"a callback elsewhere, at the root":   {callback("/signin-oidc"), "/", "/auth/login", nil},
		"a callback elsewhere, below":         {callback("/signin-oidc"), "/auth", "", []string{`"/signin-oidc"`, "on the root"}},
		"a callback elsewhere, unknown":       {callback("/signin-oidc"), "", "", []string{"on the root"}},
		"a callback deeper, below the routes": {callback("/auth/oidc/back"), "/auth", "/login", nil},
		"of an API, which has none":           {api, "/auth", "", []string{"BASE_URL"}},
		"of an API, at an unknown place":      {api, "", "", []string{"BASE_URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			routes, err := row.client.Routes(row.mount)
			for _, want := range row.wants {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("the error is %v, want %s in it", err, want)
				}
			}
			if row.wants == nil && (err != nil || routes[0].Path != row.first) {
				t.Errorf("%v, the routes are %v, want the first at %s", err, routes, row.first)
			}
		})
	}
}

// A callback that was registered for another program is kept: sign-in works there, with and without a path of BaseURL, and its
// cookies reach both /login and the callback and nothing beyond BaseURL.
func TestCallbackPath(t *testing.T) {
	for name, row := range map[string]struct{ base, callback, at, cookies string }{
		"elsewhere":               {base, "/signin-oidc", "/signin-oidc", "/"},
		"elsewhere, below a path": {base + "/app", "/signin-oidc", "/app/signin-oidc", "/app/"},
		"below the routes":        {base, "/auth/oidc/back", "/auth/oidc/back", "/auth"},
		"beside the routes":       {base, "/authentic", "/authentic", "/"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) { c.BaseURL, c.CallbackPath = row.base, row.callback })
			routes, err := w.Routes("/")
			if err != nil {
				t.Fatal(err)
			}
			b := w.browser(t)
			serve := func(target string) idserver.Answer {
				r := b.request("GET", target, []edit{navigates})
				for _, route := range routes {
					if path := strings.TrimPrefix(r.Path, strings.TrimPrefix(row.base, base)); route.Method == "GET" && route.Path == path {
						return b.keep(route.Serve(t.Context(), r))
					}
				}
				t.Fatalf("no route for %s", target)
				return idserver.Answer{}
			}
			begun := serve(row.base + "/auth/login?return_to=" + row.at)
			if got := query(t, field(begun, "Location")).Get("redirect_uri"); got != base+row.at {
				t.Errorf("redirect_uri is %q, want %q", got, base+row.at)
			}
			for _, c := range setCookies(t, begun) {
				if strings.Contains(c.Name, "login") && c.Path != row.cookies {
					t.Errorf("%s is for %s, want %s", c.Name, c.Path, row.cookies)
				}
			}
			a := serve(w.authorize(t, field(begun, "Location"), "alice"))
			if home := strings.TrimPrefix(row.base, base) + "/"; a.Status != 303 || field(a, "Location") != home {
				t.Errorf("signed in: %d to %s, want %s", a.Status, field(a, "Location"), home)
			}
			if !b.admits(w.Client) {
				t.Error("nobody is signed in")
			}
		}))
	}
}
