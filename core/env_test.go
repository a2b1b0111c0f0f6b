package idserver_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

func TestConfigFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"IDSERVER_AUTHORITY": "https://id.example", "IDSERVER_ISSUER": "https://issuer.example",
		"IDSERVER_CLIENT_ID": "example", "IDSERVER_CLIENT_SECRET": clientSecretText,
		"IDSERVER_CLIENT_KEYS":           `{"kty":"OKP","crv":"Ed25519","kid":"s1","x":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		"IDSERVER_CLIENT_ASSERTION_FILE": "/var/run/secrets/tokens/id", "IDSERVER_AUDIENCE": "my-api", "IDSERVER_SCOPES": " openid  roles\temail ",
		"IDSERVER_TIMEOUT": " 2s ", "IDSERVER_LEEWAY": "1m30s", "IDSERVER_CLIENT_AUTH": "client_secret_basic",
		"IDSERVER_ALGORITHMS": "RS256, ES256 EdDSA,", "IDSERVER_ROLES_CLAIM": "realm_access/roles, https://app.example/my roles,",
		"IDSERVER_RESPONSE_MODE": "form_post", "IDSERVER_PUSHED_AUTHORIZATION": " true", "IDSERVER_DPOP": "true", "IDSERVER_PROFILE": "fapi2",
		"IDSERVER_INSECURE_PLAIN_HTTP":  "keycloak:8080, app:80",
		"IDSERVER_AUTHORIZE_PARAMETERS": " audience=https://api.example&resource=urn%3aa&resource=b&max_age=60&empty= ",
		"TRUSTED_ORIGINS":               "https://www.example https://front.example,https://other.example", "APPLICATION_NAME": "Orders",
		"BASE_URL": "https://app.example", "SESSION_SECRET": secretOne, "SESSION_SECRET_OLD": " " + secretTwo + " ,, x ",
	} {
		t.Setenv(name, value)
	}
	want := idserver.Config{
		Authority: "https://id.example", ClientID: "example", ClientSecret: clientSecretText, ApplicationName: "Orders",
		ClientAssertionFile: "/var/run/secrets/tokens/id",
		ClientKeys:          []idserver.ClientKey{{ID: "s1", Private: signEd()}}, DPoP: true, Profile: "fapi2",
		Provider: idserver.ProviderConfig{
			Issuer: "https://issuer.example", ClientAuth: "client_secret_basic", Algorithms: []string{"RS256", "ES256", "EdDSA"}, Leeway: 90 * time.Second,
			PushedAuthorization: true,
		},
		HTTP: idserver.HTTPConfig{Timeout: 2 * time.Second}, RolesClaim: []string{"realm_access/roles", "https://app.example/my roles"},
		ResponseMode:        "form_post",
		InsecurePlainHTTP:   []string{"keycloak:8080", "app:80"},
		AuthorizeParameters: url.Values{"audience": {"https://api.example"}, "resource": {"urn:a", "b"}, "max_age": {"60"}, "empty": {""}},
		TrustedOrigins:      []string{"https://www.example", "https://front.example", "https://other.example"},
		Audience:            "my-api", Scopes: []string{"openid", "roles", "email"}, BaseURL: "https://app.example",
		SessionSecret: secretOne, Session: idserver.SessionConfig{OldSecrets: []string{secretTwo, "x"}},
	}
	if got := idserver.ConfigFromEnv(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Nothing set in the environment is as good as nothing set in the program.
func TestConfigFromEmptyEnv(t *testing.T) {
	for _, name := range []string{
		"IDSERVER_AUTHORITY", "IDSERVER_ISSUER", "IDSERVER_CLIENT_ID", "IDSERVER_CLIENT_SECRET", "IDSERVER_CLIENT_KEYS", "IDSERVER_CLIENT_ASSERTION_FILE", "IDSERVER_AUDIENCE",
		"IDSERVER_SCOPES", "BASE_URL", "SESSION_SECRET", "SESSION_SECRET_OLD", "IDSERVER_TIMEOUT", "IDSERVER_LEEWAY",
		"IDSERVER_CLIENT_AUTH", "IDSERVER_ALGORITHMS", "IDSERVER_ROLES_CLAIM", "TRUSTED_ORIGINS", "APPLICATION_NAME",
		"IDSERVER_AUTHORIZE_PARAMETERS", "IDSERVER_RESPONSE_MODE", "IDSERVER_INSECURE_PLAIN_HTTP",
		"IDSERVER_PUSHED_AUTHORIZATION", "IDSERVER_DPOP", "IDSERVER_PROFILE",
	} {
		t.Setenv(name, "")
	}
	cfg := idserver.ConfigFromEnv()
	if !reflect.DeepEqual(cfg, idserver.Config{}) {
		t.Errorf("got %+v, want nothing", cfg)
	}
}

func TestParametersFromBadEnv(t *testing.T) {
	for name, text := range map[string]string{
		"no value": "audience", "no name": "=x", "two lines": "a=b&\nc=d", "spaces": "audience=x access_type=offline", "a semicolon": "a=b;c=d", "nothing behind &": "a=b&",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("IDSERVER_AUTHORIZE_PARAMETERS", text)
			cfg := idserver.ConfigFromEnv()
			cfg.Authority = "https://id.example"
			if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "AuthorizeParameters (IDSERVER_AUTHORIZE_PARAMETERS) ") {
				t.Errorf("got %v", err)
			}
		})
	}
}
