package idserver_test

import (
	"bytes"
	"net/http"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func TestJWKSRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		keys := []idserver.ClientKey{{ID: "s1", Private: signP256()}, {ID: "e1", Private: openP256(), Use: "enc"}}
		withKeys := w.client(t, func(c *idserver.Config) { c.ClientSecret, c.ClientKeys = "", keys })
		api := w.client(t, func(c *idserver.Config) { c.ClientKeys, c.BaseURL, c.SessionSecret = keys, "", "" })
		for name, row := range map[string]struct {
			client      *idserver.Client
			mount, path string // "": there is none
		}{
			"at its path":            {withKeys, "/auth", "/jwks"},
			"at the root":            {withKeys, "/", "/auth/jwks"},
			"of an API, at the root": {api, "/", "/auth/jwks"},
			"without keys":           {w.Client, "/", ""},
		} {
			routes, err := row.client.Routes(row.mount)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			found := ""
			for _, route := range routes {
				if route.Path != "/jwks" && route.Path != "/auth/jwks" {
					continue
				}
				found = route.Path
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					a := route.Serve(t.Context(), idserver.Request{Method: method, Path: "/auth/jwks", Header: http.Header{}})
					if a.Status != http.StatusOK || !bytes.Equal(a.Body, row.client.PublicKeys()) || field(a, "Content-Type") != "application/jwk-set+json" || field(a, "Cache-Control") != "public, max-age=300" {
						t.Errorf("%s: %s %d %v %s", name, method, a.Status, a.Set, a.Body)
					}
				}
				if a := route.Serve(t.Context(), idserver.Request{Method: http.MethodPost, Path: "/auth/jwks", Header: http.Header{}}); a.Status != http.StatusMethodNotAllowed {
					t.Errorf("%s: POST %d", name, a.Status)
				}
			}
			if found != row.path {
				t.Errorf("%s: it is at %q, want %q", name, found, row.path)
			}
		}
		if w.provider.Requests("discovery") != 0 {
			t.Error("the provider was asked")
		}
	})
}
