package sgid_test

import (
	"reflect"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
)

func TestConfigFromEnv(t *testing.T) {
	const secret = "0123456789abcdef0123456789abcdef"
	for name, value := range map[string]string{
		"SGID_CLIENT_ID": "id", "SGID_CLIENT_SECRET": "s", "SGID_PRIVATE_KEY": "k", "SGID_REDIRECT_URI": "https://a.example/cb", "SGID_HOSTNAME": "https://h.example",
		"SGID_SCOPES": "openid  myinfo.email", "APPLICATION_NAME": "Ice cream", "BASE_URL": "https://a.example", "SESSION_SECRET": secret, "SESSION_SECRET_OLD": "a, b",
		"TRUSTED_ORIGINS": "https://b.example, https://c.example", "IDSERVER_AUTHORITY": "https://x.example", "IDSERVER_TIMEOUT": "1s",
	} {
		t.Setenv(name, value)
	}
	want := sgid.Config{
		ClientID: "id", ClientSecret: "s", PrivateKey: "k", RedirectURI: "https://a.example/cb", Hostname: "https://h.example", Scopes: []string{"openid", "myinfo.email"},
		ApplicationName: "Ice cream", BaseURL: "https://a.example", SessionSecret: secret, Session: idserver.SessionConfig{OldSecrets: []string{"a", "b"}},
		TrustedOrigins: []string{"https://b.example", "https://c.example"},
	}
	if got := sgid.ConfigFromEnv(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}
