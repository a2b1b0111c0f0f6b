package idserver_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// What the client proves, the API takes, over real connections: with nonces, with a body, and from one nonce to the next.
func TestOwnClientAtOwnAPI(t *testing.T) {
	w := newBound(t, nil)
	var guard idserver.Guard
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		ctx, a := guard(r.Context(), idserver.RequestFrom(r))
		if a.WriteTo(out); !a.Ends() {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(out, idserver.UserFrom(ctx).Email+" "+string(body))
		}
	}))
	t.Cleanup(server.Close)
	api := w.resource(t, idserver.ResourceConfig{Identifier: server.URL, DPoP: true, OnlyBound: true, DPoPNonces: true})
	guard = api.RequireUser()
	w.provider.SetAccessTokenClaims(func(c map[string]any) { c["aud"] = []string{"idserver-api", server.URL} })
	ctx, a := w.signedIn(t, "alice").pass(w.RequireUser(), "GET", "/")
	if a.Ends() {
		t.Fatal(a.Status)
	}
	caller := http.Client{Transport: w.Transport(ctx, idserver.TransportOptions{Origin: server.URL})}
	for i, row := range []struct{ method, path, body string }{
		{"GET", "/orders?page=1", ""}, {"GET", "/orders?page=1", ""}, {"POST", "/a%2Fb/%C3%A9", "twice"}, {"DELETE", "/", ""}, {"GET", "", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := caller.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 || string(body) != "alice@example.test "+row.body {
			t.Errorf("%d, %s %s: %d %s", i, row.method, row.path, response.StatusCode, body)
		}
		w.clock.advance(2 * time.Minute)
	}
	if api.RememberedProofs() == 0 {
		t.Error("no proof was remembered")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+idserver.AccessTokenFrom(ctx))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != 401 {
		t.Errorf("the same token as a bearer token: %d", response.StatusCode)
	}
}
