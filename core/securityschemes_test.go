package idserver_test

import (
	"encoding/json"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func TestSecuritySchemes(t *testing.T) {
	const secret = "jF3mV0pQ8sL5xT2bN7wK1yR6dG9hC4zA"
	for name, row := range map[string]struct {
		cfg  idserver.Config
		want string
	}{
		"an API": {
			idserver.Config{Authority: "https://id.example/", Audience: "orders"},
			`{"bearer":{"bearerFormat":"JWT","description":"An access token of https://id.example/ for orders.","scheme":"bearer","type":"http"},` +
				`"openid":{"description":"The access token of bearer, and the provider that issues it.","openIdConnectUrl":"https://id.example/.well-known/openid-configuration","type":"openIdConnect"}}`,
		},
		"an API that does not use the metadata": {
			idserver.Config{Authority: "https://id.example", Provider: idserver.ProviderConfig{Endpoints: idserver.Endpoints{JWKS: "https://id.example/keys"}}},
			`{"bearer":{"bearerFormat":"JWT","description":"An access token of https://id.example for idserver-api.","scheme":"bearer","type":"http"}}`,
		},
		"a web application": {
			idserver.Config{Authority: "https://id.example", ClientID: "web", BaseURL: "https://app.example", SessionSecret: secret},
			`{"bearer":{"bearerFormat":"JWT","description":"An access token of https://id.example for idserver-api.","scheme":"bearer","type":"http"},` +
				`"openid":{"description":"The access token of bearer, and the provider that issues it.","openIdConnectUrl":"https://id.example/.well-known/openid-configuration","type":"openIdConnect"},` +
				`"session":{"description":"The session of a browser that signed in at /auth/login.","in":"cookie","name":"__Host-idserver","type":"apiKey"}}`,
		},
		"a web application on loopback, below a path": {
			idserver.Config{Authority: "https://id.example", ClientID: "web", BaseURL: "http://127.0.0.1:8080/shop", SessionSecret: secret, Provider: idserver.ProviderConfig{Endpoints: idserver.Endpoints{
				JWKS: "https://id.example/keys", Authorization: "https://id.example/a", Token: "https://id.example/t"}}},
			`{"bearer":{"bearerFormat":"JWT","description":"An access token of https://id.example for idserver-api.","scheme":"bearer","type":"http"},` +
				`"session":{"description":"The session of a browser that signed in at /shop/auth/login.","in":"cookie","name":"idserver-8080-8d9001d3","type":"apiKey"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := idserver.New(row.cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			schemes := client.SecuritySchemes()
			if got, err := json.Marshal(schemes); err != nil || string(got) != row.want {
				t.Errorf("%v\n%s, want\n%s", err, got, row.want)
			}
			schemes["bearer"]["type"] = "mine"
			if client.SecuritySchemes()["bearer"]["type"] != "http" {
				t.Error("the result is shared")
			}
		})
	}
}

// The name of the session's cookie is the one that a sign-in sets.
func TestSecuritySchemesNameTheCookie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		if name := w.SecuritySchemes()["session"]["name"]; w.signedIn(t, "alice").cookies[name] == "" {
			t.Errorf("%q is not among the cookies", name)
		}
	})
}
