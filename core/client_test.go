package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// A closed client says so instead of waiting.
func TestClosedClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.Close()
		w.Close()
		if _, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("got %v", err)
		}
	})
}

func TestPrivacyCenterURL(t *testing.T) {
	for _, row := range []struct{ authority, web, want string }{
		{"https://id.example", "", "https://id.example/Auth/MyPrivacy"},
		{"https://id.example/", "", "https://id.example/Auth/MyPrivacy"},
		{"https://id.example", "https://www.example/x/", "https://www.example/x/Auth/MyPrivacy"},
	} {
		t.Run(row.want, func(t *testing.T) {
			client, err := idserver.New(idserver.Config{Authority: row.authority, Provider: idserver.ProviderConfig{WebBaseURL: row.web}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			if got := client.PrivacyCenterURL(); got != row.want {
				t.Errorf("got %s", got)
			}
		})
	}
}
