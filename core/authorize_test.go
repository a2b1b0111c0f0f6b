package idserver_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// What the authorization request says, OpenID Connect Core section 3.1.2.1 and RFC 7636 section 4.3.
func TestAuthorizeURL(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		options  idserver.AuthorizeOptions
		config   func(*idserver.Config)
		metadata func(map[string]any)
		want     url.Values // beside those that are always there
	}{
		"as it is":                   {want: url.Values{"scope": {"openid profile email roles offline_access"}, "redirect_uri": {base + "/auth/callback"}}},
		"no roles on offer":          {metadata: func(m map[string]any) { delete(m, "scopes_supported") }, want: url.Values{"scope": {"openid profile email"}}},
		"no refresh tokens on offer": {metadata: func(m map[string]any) { m["scopes_supported"] = []string{"openid", "roles"} }, want: url.Values{"scope": {"openid profile email roles"}}},
		"refresh tokens without asking": {metadata: func(m map[string]any) {
			m["authorization_endpoint"] = w.provider.URL() + "/realms/x/protocol/openid-connect/auth"
		}, want: url.Values{"scope": {"openid profile email roles"}}},
		"scopes of the config": {config: func(c *idserver.Config) { c.Scopes = []string{"email", "openid"} }, want: url.Values{"scope": {"email openid"}}},
		"openid is added":      {config: func(c *idserver.Config) { c.Scopes = []string{"email"} }, want: url.Values{"scope": {"openid email"}}},
		"scopes of the call":   {options: idserver.AuthorizeOptions{Scopes: []string{"offline_access"}}, want: url.Values{"scope": {"openid offline_access"}}},
		"a redirect_uri":       {options: idserver.AuthorizeOptions{RedirectURI: "http://localhost:1/cb?x=1&y"}, want: url.Values{"redirect_uri": {"http://localhost:1/cb?x=1&y"}}},
		"other routes":         {config: func(c *idserver.Config) { c.BaseURL, c.RoutesPath = base+"/app/", "/sso" }, want: url.Values{"redirect_uri": {base + "/app/sso/callback"}}},
		"extra parameters": {options: idserver.AuthorizeOptions{Extra: url.Values{"prompt": {"login"}, "ui_locales": {"en fr"}, "login_hint": {"a&b=c"}}},
			want: url.Values{"prompt": {"login"}, "ui_locales": {"en fr"}, "login_hint": {"a&b=c"}}},
		"an extra parameter twice": {options: idserver.AuthorizeOptions{Extra: url.Values{"resource": {"https://a.example", "https://b.example"}}},
			want: url.Values{"resource": {"https://a.example", "https://b.example"}}}, // RFC 8707
		"an endpoint with a query": {metadata: func(m map[string]any) { m["authorization_endpoint"] = w.provider.URL() + "/connect/authorize?tenant=x" },
			want: url.Values{"tenant": {"x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w.provider.SetMetadata(row.metadata)
			defer w.provider.SetMetadata(nil)
			edits := []func(*idserver.Config){}
			if row.config != nil {
				edits = append(edits, row.config)
			}
			r, err := w.client(t, edits...).AuthorizeURL(t.Context(), row.options)
			if err != nil {
				t.Fatal(err)
			}
			got := query(t, r.URL)
			always := url.Values{
				"response_type": {"code"}, "client_id": {idtest.ExampleClient}, "redirect_uri": {r.RedirectURI}, "state": {r.State}, "nonce": {r.Nonce},
				"code_challenge": {oauth2.S256ChallengeFromVerifier(r.CodeVerifier)}, "code_challenge_method": {"S256"},
			}
			maps.Copy(always, row.want)
			for name, want := range always {
				if !slices.Equal(got[name], want) {
					t.Errorf("%s is %q, want %q", name, got[name], want)
				}
			}
			for _, secret := range []string{r.State, r.Nonce, r.CodeVerifier} {
				if len(secret) != 43 {
					t.Errorf("%q has %d characters, want 43", secret, len(secret))
				}
			}
			if strings.Contains(r.URL, r.CodeVerifier) || r.State == r.Nonce || r.Nonce == r.CodeVerifier {
				t.Errorf("the secrets of the attempt are not apart: %+v", r)
			}
		})
	}
}

func TestAuthorizeURLRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for _, name := range []string{
			"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "response_mode", "request", "request_uri",
		} {
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{Extra: url.Values{name: {"x"}, "prompt": {"login"}}})
			if err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
				t.Errorf("Extra with %s: %+v, %v", name, r, err)
			}
		}
		api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret = "", "" })
		if _, err := api.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err == nil || !strings.Contains(err.Error(), "RedirectURI") {
			t.Errorf("no redirect_uri: %v", err)
		}
		if _, err := api.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{RedirectURI: base + "/cb"}); err != nil {
			t.Errorf("an API with a redirect_uri: %v", err)
		}
	})
}

// Two attempts share nothing.
func TestAuthorizeURLIsFresh(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen := map[string]bool{}
		for range 20 {
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{r.State, r.Nonce, r.CodeVerifier} {
				if seen[secret] {
					t.Fatalf("%q came twice", secret)
				}
				seen[secret] = true
			}
		}
	})
}
