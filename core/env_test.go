package idserver_test

import (
	"reflect"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

func TestConfigFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"IDSERVER_AUTHORITY": "https://id.example", "IDSERVER_ISSUER": "https://issuer.example",
		"IDSERVER_CLIENT_ID": "example", "IDSERVER_CLIENT_SECRET": clientSecretText,
		"IDSERVER_AUDIENCE": "my-api", "IDSERVER_SCOPES": " openid  roles\temail ",
		"IDSERVER_TIMEOUT": " 2s ", "IDSERVER_LEEWAY": "1m30s", "IDSERVER_CLIENT_AUTH": "client_secret_basic",
		"IDSERVER_ALGORITHMS": "RS256, ES256 EdDSA,", "IDSERVER_ROLES_CLAIM": "realm_access/roles, https://app.example/my roles,",
		"TRUSTED_ORIGINS": "https://www.example https://front.example,https://other.example", "APPLICATION_NAME": "Orders",
		"BASE_URL": "https://app.example", "SESSION_SECRET": secretOne, "SESSION_SECRET_OLD": " " + secretTwo + " ,, x ",
	} {
		t.Setenv(name, value)
	}
	want := idserver.Config{
		Authority: "https://id.example", ClientID: "example", ClientSecret: clientSecretText, ApplicationName: "Orders",
		Provider: idserver.ProviderConfig{
			Issuer: "https://issuer.example", ClientAuth: "client_secret_basic", Algorithms: []string{"RS256", "ES256", "EdDSA"}, Leeway: 90 * time.Second,
		},
		HTTP: idserver.HTTPConfig{Timeout: 2 * time.Second}, RolesClaim: []string{"realm_access/roles", "https://app.example/my roles"},
		TrustedOrigins: []string{"https://www.example", "https://front.example", "https://other.example"},
		Audience:       "my-api", Scopes: []string{"openid", "roles", "email"}, BaseURL: "https://app.example",
		SessionSecret: secretOne, Session: idserver.SessionConfig{OldSecrets: []string{secretTwo, "x"}},
	}
	if got := idserver.ConfigFromEnv(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Nothing set in the environment is as good as nothing set in the program.
func TestConfigFromEmptyEnv(t *testing.T) {
	for _, name := range []string{
		"IDSERVER_AUTHORITY", "IDSERVER_ISSUER", "IDSERVER_CLIENT_ID", "IDSERVER_CLIENT_SECRET", "IDSERVER_AUDIENCE",
		"IDSERVER_SCOPES", "BASE_URL", "SESSION_SECRET", "SESSION_SECRET_OLD", "IDSERVER_TIMEOUT", "IDSERVER_LEEWAY",
		"IDSERVER_CLIENT_AUTH", "IDSERVER_ALGORITHMS", "IDSERVER_ROLES_CLAIM", "TRUSTED_ORIGINS", "APPLICATION_NAME",
	} {
		t.Setenv(name, "")
	}
	cfg := idserver.ConfigFromEnv()
	if !reflect.DeepEqual(cfg, idserver.Config{}) {
		t.Errorf("got %+v, want nothing", cfg)
	}
}
