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
	api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
	for name, row := range map[string]struct {
		client *idserver.Client
		mount  string
		first  string   // the path of the first route
		wants  []string // or what the error says
	}{
		"at the path of the routes":      {w.Client, "/auth", "/login", nil},
		"as a prefix without slash":      {w.Client, "auth/", "/login", nil},
		"with a slash at the end":        {w.Client, "/auth/", "/login", nil},
		"at an unknown place":            {w.Client, "", "/login", nil},
		"at the root":                    {w.Client, "/", "/auth/login", nil},
		"elsewhere":                      {w.Client, "/login", "", []string{`"/login"`, `"/auth"`}},
		"below a path, which is kept":    {below(base + "/app"), "/app/auth", "/login", nil},
		"below a path, at its root":      {below(base + "/app"), "/app", "/auth/login", nil},
		"below a path, which is gone":    {below(base + "/app"), "/auth", "/login", nil},
		"below a path, elsewhere":        {below(base + "/app"), "/app/login", "", []string{`"/app/login"`, `"/auth"`}},
		"of an API, which has none":      {api, "/auth", "", []string{"BASE_URL"}},
		"of an API, at an unknown place": {api, "", "", []string{"BASE_URL"}},
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
