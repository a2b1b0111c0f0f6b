package sgid_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/internal/leaktest"
	"github.com/signward/idserver-go/core/sgid"
)

// No secret and no personal data show, however a value is printed or logged; nor when it is marshalled, unless it is made
// for that. A Date shows: it is a value by itself, as a text is.
func TestPrinted(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		value      any
		shown      []string
		marshalled bool // what a person shared, and what the caller keeps
	}{
		"Config":               {new(sgid.Config), []string{"ClientID", "RedirectURI", "Hostname", "BaseURL"}, false},
		"AuthorizeOptions":     {new(sgid.AuthorizeOptions), []string{"Scopes", "RedirectURI"}, false},
		"AuthorizationRequest": {new(sgid.AuthorizationRequest), nil, true},
		"CallbackParams":       {new(sgid.CallbackParams), []string{"RedirectURI"}, false},
		"SignIn":               {new(sgid.SignIn), []string{"Sub"}, false},
		"PKCEPair":             {new(sgid.PKCEPair), []string{"CodeChallenge"}, true},
		"UserInfo":             {new(sgid.UserInfo), []string{"Sub"}, true},
		"Data":                 {new(sgid.Data), nil, true},
		"Vehicle":              {new(sgid.Vehicle), nil, true},
		"SponsoredChild":       {new(sgid.SponsoredChild), nil, true},
		"Employment":           {new(sgid.Employment), nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			leaktest.Mark(row.value)
			v := reflect.ValueOf(row.value).Elem().Interface()
			leaktest.ShowsOnly(t, v, row.shown, !row.marshalled)
			leaktest.ShowsOnly(t, row.value, row.shown, !row.marshalled)
			if text := fmt.Sprint(v); !strings.HasPrefix(text, "sgid."+name+"{") {
				t.Errorf("it does not tell what it is: %s", text)
			}
		})
	}
}
