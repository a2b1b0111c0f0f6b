package idserver_test

import (
	"net/http"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// BASE_URL=https://app.example// : the sign-in routes would lie at //auth/login, where browsers read the host "auth", and that is
// where guards would send them.
func TestBaseURLEndsInSlashes(t *testing.T) {
	for address, good := range map[string]bool{
		"https://app.example": true, "https://app.example/": true, "https://app.example/a/": true,
		"https://app.example//": false, "https://app.example///": false, "https://app.example/a//": false, "https://app.example//a": false,
	} {
		cfg := goodConfig()
		cfg.BaseURL = address
		client, err := idserver.New(cfg)
		if err != nil {
			if good || !strings.Contains(err.Error(), "BaseURL") {
				t.Errorf("%s: %v", address, err)
			}
			continue
		}
		t.Cleanup(client.Close)
		_, a := client.RequireUser()(t.Context(), idserver.Request{Method: "GET", Path: "/profile", Header: http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}})
		if to := field(a, "Location"); !good || strings.HasPrefix(to, "//") || !strings.HasSuffix(strings.Split(to, "?")[0], "/auth/login") {
			t.Errorf("%s: sent to %q", address, to)
		}
	}
}
