package idserver_test

import (
	"errors"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// A provider elsewhere names an endpoint on the machine of the application (SSRF): whatever the spelling of that name, what
// listens there must not be sent a token request.
func TestMetadataLeadsToOwnMachine(t *testing.T) {
	for _, host := range []string{
		"localhost", "LOCALHOST", "LocalHost", "localhost.", "LOCALHOST.", "x.localhost", "x.LocalHost.", "127.0.0.1", "127.255.0.9", "[::1]",
		"[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "0.0.0.0.", "[::]", "[::ffff:0.0.0.0]",
	} {
		for _, name := range []string{"token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"} {
			network := &provided{status: 200, kind: "application/json", body: document(map[string]any{name: "https://" + host + ":8443/x"})}
			client := elsewhere(t, network, nil)
			_, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			switch name { // what nobody needs to sign in counts as absent
			case "userinfo_endpoint":
				_, err = client.UserInfo(t.Context(), "a", "b")
			case "revocation_endpoint":
				err = client.RevokeToken(t.Context(), "a")
			default:
				if err == nil || !strings.Contains(err.Error(), "loopback") {
					t.Errorf("%s on %s: %v", name, host, err)
				}
			}
			if asked := network.location.Load().(string); !errors.Is(err, idserver.ErrDiscovery) || !strings.HasPrefix(asked, "https://id.example/") {
				t.Errorf("%s on %s: %v, and %s was asked", name, host, err, asked)
			}
		}
	}
	for _, host := range []string{"localhost.example", "notlocalhost", "127.0.0.1.example", "10.0.0.1", "[2001:db8::1]"} { // elsewhere, or a network that may be the provider's own
		client := elsewhere(t, &provided{status: 200, kind: "application/json", body: document(map[string]any{"token_endpoint": "https://" + host + "/t"})}, nil)
		if _, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}
