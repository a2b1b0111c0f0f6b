package idserver

import (
	"context"
	"net/http"
	"slices"
	"testing"
)

// A document at an absolute path is on the root router only, whether there are sign-in routes or not.
func TestRoutesWithDocuments(t *testing.T) {
	const path = "/.well-known/of-a-test"
	document := siteRoute{method: http.MethodGet, path: path, headToo: true, step: func(context.Context, *Request) (Answer, error) {
		return jsonAnswer(map[string]string{"of": "a test"})
	}}
	for name, row := range map[string]struct {
		baseURL   string
		mount     string
		login     string // its path; "" for none
		documents bool
		fails     bool
	}{
		"the root":                        {baseURL: "https://app.example", mount: "/", login: "/auth/login", documents: true},
		"the routes' path":                {baseURL: "https://app.example", mount: "/auth", login: "/login"},
		"an unknown mount":                {baseURL: "https://app.example", mount: "", login: "/login"},
		"the path of BaseURL":             {baseURL: "https://app.example/app", mount: "/app", login: "/auth/login"},
		"the root, BaseURL with a path":   {baseURL: "https://app.example/app", mount: "/", login: "/auth/login", documents: true},
		"an API's root":                   {mount: "/", documents: true},
		"an API's routes' path":           {mount: "/auth", fails: true},
		"an API whose mount is not known": {mount: "", fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Authority: "https://op.example", ClientID: "app", BaseURL: row.baseURL}
			if row.baseURL != "" {
				cfg.SessionSecret = "3kf8Zq0vXn2Lr7Ts5Yb1Hc9Wd4Mg6Pj8"
			}
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.documents = []siteRoute{document}
			routes, err := c.Routes(row.mount)
			if (err != nil) != row.fails {
				t.Fatalf("error %v, want one: %t", err, row.fails)
			}
			at := func(path string) int { return slices.IndexFunc(routes, func(r Route) bool { return r.Path == path }) }
			if row.login != "" && at(row.login) != 0 || row.login == "" && at("/auth/login") >= 0 {
				t.Errorf("the first of %d routes is not %q", len(routes), row.login)
			}
			if i := at(path); (i >= 0) != row.documents {
				t.Errorf("the document is there: %t, want %t", i >= 0, row.documents)
			} else if row.documents {
				if a := routes[i].Serve(t.Context(), Request{Method: http.MethodHead, Path: path}); a.Status != http.StatusOK {
					t.Errorf("the document is answered with %d", a.Status)
				}
			}
		})
	}
}
