package endpoint

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestAuthenticate(t *testing.T) {
	for name, row := range map[string]struct {
		by            Authentication
		form          url.Values
		authorization string
		hidden        []string
	}{
		"none":   {None{"my app"}, url.Values{"client_id": {"my app"}}, "", nil},
		"post":   {SecretPost{"my app", "p+ä"}, url.Values{"client_id": {"my app"}, "client_secret": {"p+ä"}}, "", []string{"p+ä"}},
		"basic":  {SecretBasic{"my app", "p+ä"}, url.Values{}, "Basic bXkrYXBwOnAlMkIlQzMlQTQ=", []string{"p+ä", "bXkrYXBwOnAlMkIlQzMlQTQ="}},
		"bearer": {Bearer{"token"}, url.Values{}, "Bearer token", []string{"token"}},
		"bound":  {Bound{"token"}, url.Values{}, "DPoP token", []string{"token"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Request{Header: http.Header{}, Form: url.Values{}}
			if err := row.by.Authenticate(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if !maps.EqualFunc(r.Form, row.form, slices.Equal[[]string]) || r.Header.Get("Authorization") != row.authorization || !slices.Equal([]string(r.secrets), row.hidden) {
				t.Errorf("got %v, %v, %q", r.Form, r.Header, []string(r.secrets))
			}
		})
	}
}

func TestAuthenticationPrintsNoSecrets(t *testing.T) {
	for _, by := range []Authentication{SecretPost{"c", "hidden"}, SecretBasic{"c", "hidden"}, Bearer{"hidden"}, Bound{"hidden"}} {
		for format, text := range map[string]string{
			"%v": fmt.Sprintf("%v", by), "%+v": fmt.Sprintf("%+v", by), "%#v": fmt.Sprintf("%#v", by),
			"within": fmt.Sprintf("%+v", Call{Authentication: by}), "slog": slog.AnyValue(by).Resolve().String(),
		} {
			t.Run(fmt.Sprintf("%T %s", by, format), func(t *testing.T) {
				if strings.Contains(text, "hidden") {
					t.Errorf("got %s", text)
				}
			})
		}
	}
}
