package sgid

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// What the application sets reaches the engine: every field of Config that idserver.Config has as well.
func TestEngineConfig(t *testing.T) {
	t.Parallel()
	cfg := Config{
		ClientID: "id", ClientSecret: "s", Scopes: []string{"openid", "x"}, ApplicationName: "Ice cream", BaseURL: "https://app.example", RoutesPath: "/in", CallbackPath: "/back",
		SessionSecret: "secret", AfterSignIn: "/a", AfterSignOut: "/b", TrustedOrigins: []string{"https://spa.example"},
		Session: idserver.SessionConfig{Idle: time.Minute}, HTTP: idserver.HTTPConfig{Timeout: time.Second}, TokenCacheBytes: 1,
		Store: struct{ idserver.Store }{}, SingleReplica: true, StrictSignOut: true, ServerSessions: true,
		AdmitUser:        func(context.Context, *idserver.User) error { return nil },
		UserInfoResponse: func(context.Context, *idserver.User) (any, error) { return nil, nil },
		RenderRefusal:    func(context.Context, idserver.Refusal) idserver.Rendered { return idserver.Rendered{} },
		Events:           idserver.Events{KeysFetched: func(context.Context, idserver.KeysEvent) {}},
		Logger:           slog.Default(), LogSubject: "plain", Now: time.Now, Rand: strings.NewReader(""),
		PrivateKey: "k", RedirectURI: "r", Hostname: "h", Leeway: time.Minute,
	}
	own := []string{"PrivateKey", "RedirectURI", "Hostname", "Leeway"}
	engine := (&Client{cfg: cfg}).engineConfig()
	of, to := reflect.ValueOf(cfg), reflect.ValueOf(engine)
	for field, value := range of.Fields() {
		name := field.Name
		switch {
		case value.IsZero():
			t.Errorf("%s is not set by this test", name)
		case slices.Contains(own, name):
		case !to.FieldByName(name).IsValid():
			t.Errorf("%s is not a field of idserver.Config", name)
		case value.Kind() == reflect.Func:
			if to.FieldByName(name).Pointer() != value.Pointer() {
				t.Errorf("%s is another function", name)
			}
		case name == "Events": // of functions, which DeepEqual does not compare
			if engine.Events.KeysFetched == nil {
				t.Error("Events is not handed over")
			}
		case !reflect.DeepEqual(to.FieldByName(name).Interface(), value.Interface()):
			t.Errorf("%s is %v, want %v", name, to.FieldByName(name), value)
		}
	}
	settled := []string{"Authority", "Audience", "RolesClaim", "Provider", "AuthorizeParameters", "AuthorizeOptions", "ResponseMode", "InsecurePlainHTTP", "ClientKeys", "ClientAssertionFile", "ClientCertificate", "ScopeIncludes", "DPoP", "Profile", "TenantOf", "HideTenants"} // sgID has no tenants, documents no more parameters, and is reached over https; its clients have secrets
	for field := range to.Type().Fields() {
		if name := field.Name; field.IsExported() && !slices.Contains(settled, name) && !of.FieldByName(name).IsValid() {
			t.Errorf("idserver.Config has %s: give it to Config, or name it here as settled by sgID", name)
		}
	}
	if engine.Provider.Leeway != cfg.Leeway {
		t.Errorf("Leeway is %v", engine.Provider.Leeway)
	}
}

// A Client is what adapters accept.
var _ idserver.Guards = (*Client)(nil)
