package idserver_test

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"log/slog"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/leaktest"
)

// Every exported type is in this table, with a value of it and the fields that may show. A field that is added later is
// filled by the test, so that it must be hidden or entered here. Nothing of a type without secrets is looked at.
var printedTypes = map[string]struct {
	value any
	shown []string
}{
	"Config":               {new(idserver.Config), []string{"Authority", "ClientID", "BaseURL"}},
	"SessionConfig":        {new(idserver.SessionConfig), nil},
	"HTTPConfig":           {new(idserver.HTTPConfig), nil},
	"ClientKey":            {new(idserver.ClientKey), []string{"ID", "Use", "Algorithm"}},
	"User":                 {new(idserver.User), []string{"Issuer", "Subject"}},
	"Tokens":               {new(idserver.Tokens), nil},
	"AuthorizationRequest": {new(idserver.AuthorizationRequest), []string{"RedirectURI"}},
	"AuthorizeOptions":     {new(idserver.AuthorizeOptions), []string{"RedirectURI", "Scopes", "ACR"}},
	"IDTokenCheck":         {new(idserver.IDTokenCheck), []string{"Subject", "ACR"}},
	"EndSession":           {new(idserver.EndSession), []string{"PostLogoutRedirectURI"}},
	"Request":              {new(idserver.Request), []string{"Method", "Path"}}, // the path is in every access log
	"Answer":               {new(idserver.Answer), []string{"Set.Name", "Add.Name"}},
	"Field":                {new(idserver.Field), []string{"Name"}},
	"Refusal":              {new(idserver.Refusal), []string{"Code", "Title"}}, // as an error, it shows its title
	"Rendered":             {new(idserver.Rendered), []string{"ContentType"}},
	"Client":               {nil, nil}, // below

	"SessionEvent": {nil, nil}, "RefusalEvent": {nil, nil}, // issuer and subject
	"Authentication": {nil, nil}, "Events": {nil, nil}, "KeysEvent": {nil, nil}, "ProviderEvent": {nil, nil},

	"ProviderConfig": {nil, nil}, "Endpoints": {nil, nil}, "AccessTokenCheck": {nil, nil}, "Route": {nil, nil}, "Resource": {nil, nil}, "ResourceConfig": {nil, nil}, "SessionInfo": {nil, nil}, // nothing secret
	"Guard": {nil, nil}, "Guards": {nil, nil}, "Header": {nil, nil}, "Store": {nil, nil}, "Swapper": {nil, nil}, "Notifier": {nil, nil}, // functions and interfaces
	"Reason": {nil, nil}, "RefusalCode": {nil, nil}, // constants
	"DiscoveryError": {nil, nil}, "InvalidTokenError": {nil, nil}, "AuthorizationError": {nil, nil}, // errors hold no secret
	"TokenEndpointError": {nil, nil}, "UserInfoError": {nil, nil},
}

// marshalled are the types that are made to be marshalled; they are not marshalled here.
var marshalled = map[string]string{
	"User":                 "for a front end",
	"AuthorizationRequest": "its caller keeps it, in a sealed cookie for example",
}

func TestPrintedTypesAreAll(t *testing.T) {
	t.Parallel()
	exported := declared(t, func(_ string, kind ast.ObjKind) bool { return kind == ast.Typ })
	if known := slices.Sorted(maps.Keys(printedTypes)); !slices.Equal(exported, known) {
		t.Errorf("the package exports the types %q; this test knows %q", exported, known)
	}
}

// No secret and no personal data show, however a value is printed, logged or marshalled.
func TestPrinted(t *testing.T) {
	t.Parallel()
	for name, row := range printedTypes {
		if row.value == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			leaktest.Mark(row.value)
			v := reflect.ValueOf(row.value).Elem().Interface()
			_, made := marshalled[name]
			leaktest.ShowsOnly(t, v, row.shown, !made)
			leaktest.ShowsOnly(t, row.value, row.shown, !made)
			if text := fmt.Sprint(v); !strings.HasPrefix(text, "idserver."+name+"{") && name != "Field" {
				t.Errorf("it does not tell what it is: %s", text)
			}
		})
	}
}

func TestPrintedClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *idserver.Config) {
		c.SessionSecret = "«SessionSecret»Vv8JZ1l1dB9cN3E2H5o7QwKfG0"
		c.Session.OldSecrets = []string{strings.Repeat("«OldSecrets»", 5)}
		c.ClientSecret = "«ClientSecret»"
	})
	leaktest.ShowsOnly(t, w.Client, nil, true)
}

// The contexts behind a guard, in WithUser and in AdmitUser hold the user, a token and app_data.
func TestPrintedContexts(t *testing.T) {
	user := new(idserver.User)
	leaktest.Mark(user)
	leaktest.ShowsOnly(t, idserver.WithUser(t.Context(), user), nil, true)
	bubble(t, func(t *testing.T) {
		asked := 0
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, _ *idserver.User) error {
				if asked++; idserver.AppDataFrom(ctx) != "«app_data»" {
					t.Errorf("app_data is %q", idserver.AppDataFrom(ctx))
				}
				leaktest.ShowsOnly(t, ctx, nil, true)
				return nil
			}
		})
		b := w.browser(t)
		back := w.authorize(t, b.begin("/auth/login?app_data=«app_data»"), "alice")
		if a := b.route("GET", back, navigates); a.Status != http.StatusSeeOther || asked != 1 {
			t.Fatalf("%v, asked %d times", a, asked)
		}
		ctx, _ := b.pass(w.RequireUser(), "GET", "/")
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "ctx", ctx)
		printed := fmt.Sprintf("%v %+v %#v", ctx, ctx, ctx) + log.String()
		if leaked := leaks(printed, idserver.AccessTokenFrom(ctx), "alice@example.test"); leaked != "" {
			t.Errorf("%s is in %s", leaked, printed)
		}
	})
}

// What is printed by mistake holds no secret.
func TestPrintedTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, tokens := signInByHand(t, w, w.Client, "alice")
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("signed in", "tokens", tokens, "request", r)
		printed := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s", tokens, *tokens, tokens, *tokens, r, *r, r, *r) + log.String()
		if leaked := leaks(printed, tokens.AccessToken, tokens.IDToken, tokens.RefreshToken, r.State, r.Nonce, r.CodeVerifier); leaked != "" {
			t.Errorf("%s is in %s", leaked, printed)
		}
	})
}
