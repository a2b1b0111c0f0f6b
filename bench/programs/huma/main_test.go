package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// What the document says is what the guards take: a caller that reads it is let in.
func TestDocument(t *testing.T) {
	var mux *http.ServeMux
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r) }))
	defer server.Close()
	provider := idtest.NewProvider(t)
	client, err := idserver.New(provider.Config(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	mux = routes(client)
	ask := func(path, name, value string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(name, value)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}

	var document struct {
		Components struct {
			SecuritySchemes map[string]map[string]string
		}
		Paths map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	if err := json.NewDecoder(ask("/openapi.json", "Accept", "application/json").Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	schemes := document.Components.SecuritySchemes
	for _, requirement := range document.Paths["/profile"]["get"].Security {
		for name := range requirement {
			if schemes[name] == nil {
				t.Errorf("the document requires %s, and does not say what that is", name)
			}
		}
	}
	if bearer := schemes["bearer"]; bearer["type"] != "http" {
		t.Errorf("bearer is %v", bearer)
	}
	if got := ask("/profile", "Authorization", schemes["bearer"]["scheme"]+" "+provider.MintAccessToken("bob")).StatusCode; got != http.StatusOK {
		t.Errorf("bob's token: %d", got)
	}
	if got := ask("/admin", "Authorization", schemes["bearer"]["scheme"]+" "+provider.MintAccessToken("bob")).StatusCode; got != http.StatusForbidden {
		t.Errorf("bob's token at a role's: %d", got)
	}
	if got := ask("/profile", "Accept", "application/json").StatusCode; got != http.StatusUnauthorized {
		t.Errorf("nobody: %d", got)
	}
	if response, err := provider.HTTPClient().Get(schemes["openid"]["openIdConnectUrl"]); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the provider's metadata: %v %v", response, err)
	} else {
		_ = response.Body.Close()
	}
	if session := schemes["session"]; session["in"] != "cookie" || session["name"] == "" {
		t.Errorf("session is %v", session)
	}
}
