package singpass

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/leaktest"
)

func TestItem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		text, code string
		available  bool
	}{
		``: {}, `null`: {}, `{}`: {available: true}, `{"unavailable":true,"value":"x"}`: {}, `{"value":"x"}`: {"x", "", true},
		`{"value":"NA"}`: {available: true}, `{"code":"F","desc":"FEMALE"}`: {"FEMALE", "F", true}, `{"code":"F"}`: {"F", "F", true},
		`{"code":"F","desc":"NA"}`: {"F", "F", true}, `{"code":"NA","desc":"NA"}`: {available: true}, `{"value":12.50}`: {"12.50", "", true}, `{"value":true}`: {"true", "", true},
		`{"value":null,"desc":"d"}`: {"d", "", true}, `{"value":{"value":"x"}}`: {available: true}, `"x"`: {"x", "", true}, `"NA"`: {available: true}, `[]`: {available: true}, `3`: {available: true},
		`{"value":"x","value":"y"}`: {available: true},
	} {
		i := Item{text}
		if i.Text() != want.text || i.Code() != want.code || i.Available() != want.available {
			t.Errorf("%s: %q, %q, %v", text, i.Text(), i.Code(), i.Available())
		}
	}
	for text, want := range map[string]string{
		`{"value":true}`: "true true", `{"value":"Y"}`: "true true", `{"code":"N","desc":"NO"}`: "false true", `{"value":"false"}`: "false true", `{"value":"x"}`: "false false", ``: "false false",
	} {
		value, ok := Item{text}.Bool()
		if got := fmt.Sprint(value, ok); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
	for text, want := range map[string]int{`[1,2]`: 2, `{"value":[{}]}`: 1, `{"value":"x"}`: 0, `{}`: 0, `[1,`: 0, ``: 0, `null`: 0, `{"unavailable":true,"value":[1]}`: 0} {
		if got := len(Item{text}.List()); got != want {
			t.Errorf("%s: %d elements", text, got)
		}
	}
}

// FuzzPerson reads what somebody else wrote: every item can be asked for, and what is marshalled is JSON.
func FuzzPerson(f *testing.F) {
	for _, text := range []string{
		`{"name":{"value":"A"},"regadd":{"block":{"value":"1"},"country":{"code":"SG","desc":"SINGAPORE"}}}`, `{"mobileno":{"prefix":{"value":"+"},"nbr":{"value":"9"}}}`,
		`{"a.b":{"value":"x"},"a":{"b":{"value":[{"c":1}]}}}`, `{"dob":{"value":"1979-04"}}`, `{"name":{"unavailable":true}}`, `{}`, `[]`, `null`, `{"name":1}`, `{"name":[[[[]]]]}`, "{\"name\":\"\\ud800\"}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		items, err := parsePerson(text)
		if err != nil {
			if !errors.Is(err, ErrInvalidData) || !errors.Is(err, idserver.ErrUserInfo) {
				t.Errorf("got %v", err)
			}
			return
		}
		p := &Person{"s", items}
		for name := range items.All() {
			i := p.Item(name)
			_, _, _, _ = i.Text(), i.Code(), i.List(), i.Source()
			_, _ = i.Address()
			_, _ = i.Bool()
			_, _ = i.Date()
			_, _ = i.LastUpdated()
			if document, err := json.Marshal(i); err != nil || !json.Valid(document) {
				t.Errorf("marshalled: %s, %v", document, err)
			}
		}
		_, _, _ = p.Mobile(), p.Name(), p.Item("a.b.c.d")
		if document, err := json.Marshal(p); err != nil || !json.Valid(document) {
			t.Errorf("marshalled: %s, %v", document, err)
		}
	})
}

// Every field of Config reaches the engine, and every field of the engine's is given or settled.
func TestEngineConfig(t *testing.T) {
	cfg := Config{
		Product: Login, Environment: Staging, ClientID: "id", Keys: []idserver.ClientKey{{ID: "k"}}, Scopes: []string{"openid"}, Context: "C", Message: "M", MinimumLevel: 3, Issuer: "i",
		ApplicationName: "Orders", BaseURL: "https://a.example", RoutesPath: "/x", CallbackPath: "/y", SessionSecret: "secret", AfterSignIn: "/a", AfterSignOut: "/b",
		TrustedOrigins: []string{"https://spa.example"}, Session: idserver.SessionConfig{Idle: time.Minute, NoIDToken: true}, HTTP: idserver.HTTPConfig{Timeout: time.Second}, Leeway: time.Minute, TokenCacheBytes: 1,
		Store: struct{ idserver.Store }{}, SingleReplica: true, StrictSignOut: true, ServerSessions: true,
		AdmitUser:        func(context.Context, *idserver.User) error { return nil },
		UserInfoResponse: func(context.Context, *idserver.User) (any, error) { return nil, nil },
		RenderRefusal:    func(context.Context, idserver.Refusal) idserver.Rendered { return idserver.Rendered{} },
		Events:           idserver.Events{KeysFetched: func(context.Context, idserver.KeysEvent) {}},
		Logger:           slog.Default(), LogSubject: "plain", Now: time.Now, Rand: io.Reader(strings.NewReader("")),
	}
	own := []string{"Product", "Environment", "Keys", "Context", "Message", "MinimumLevel", "Issuer", "Leeway", "AdmitUser", "fromEnv"}
	engine := (&Client{cfg: cfg}).engineConfig()
	of, to := reflect.ValueOf(cfg), reflect.ValueOf(engine)
	for field, value := range of.Fields() {
		name := field.Name
		switch {
		case name == "fromEnv":
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
	settled := []string{
		"Authority", "ClientSecret", "ClientKeys", "ClientAssertionFile", "ClientCertificate", "Profile", "DPoP", "Audience", "RolesClaim", "ScopeIncludes", "AuthorizeParameters", "AuthorizeOptions", "ResponseMode", "InsecurePlainHTTP", "Provider", "TenantOf", "HideTenants",
	}
	for field := range to.Type().Fields() {
		if name := field.Name; field.IsExported() && !slices.Contains(settled, name) && !of.FieldByName(name).IsValid() {
			t.Errorf("idserver.Config has %s: give it to Config, or name it here as settled by Singpass", name)
		}
	}
	if engine.Provider.Leeway != cfg.Leeway || engine.AuthorizeParameters.Encode() != "acr_values=urn%3Asingpass%3Aauthentication%3Aloa%3A3&authentication_context_message=M&authentication_context_type=C" {
		t.Errorf("got %v, %s", engine.Provider.Leeway, engine.AuthorizeParameters.Encode())
	}
}

// No secret and no personal data show, however a value is printed or logged; nor when it is marshalled, unless it is made for that.
func TestPrinted(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		value      any
		shown      []string
		marshalled bool // what a person shared
	}{
		"Config":   {new(Config), []string{"Product", "Environment", "ClientID", "BaseURL"}, false},
		"Identity": {new(Identity), []string{"Subject"}, false},
		"Person":   {new(Person), []string{"Subject"}, true},
		"Item":     {new(Item), nil, true},
		"Address":  {new(Address), nil, true},
	} {
		leaktest.Mark(row.value)
		v := reflect.ValueOf(row.value).Elem().Interface()
		leaktest.ShowsOnly(t, v, row.shown, !row.marshalled)
		leaktest.ShowsOnly(t, row.value, row.shown, !row.marshalled)
		if text := fmt.Sprint(v); !strings.HasPrefix(text, "singpass."+name+"{") {
			t.Errorf("it does not tell what it is: %s", text)
		}
	}
}
