package idtest_test

import (
	"errors"
	"slices"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Each kind signs in, refreshes and, where its access tokens are made for APIs, is believed as a bearer, with the configuration that
// is recommended for it.
func TestLike(t *testing.T) {
	t.Parallel()
	for kind, row := range map[idtest.Kind]struct {
		configure func(*idserver.Config)
		roles     []string // of alice
		opaque    bool     // access tokens say nothing to an API
		subject   string   // of the bearer, if it is not that of the ID token
	}{
		idtest.Signward: {func(*idserver.Config) {}, []string{"admin", "user"}, false, ""},
		idtest.Keycloak: {func(c *idserver.Config) { c.RolesClaim = []string{"realm_access/roles"} }, []string{"admin", "user"}, false, ""},
		idtest.Auth0:    {func(c *idserver.Config) { c.RolesClaim = []string{"https://app.example/roles"} }, []string{"admin", "user"}, false, ""},
		idtest.Okta:     {func(c *idserver.Config) { c.RolesClaim = []string{"groups"} }, []string{"admin", "user"}, false, "alice@example.test"},
		idtest.Entra:    {func(*idserver.Config) {}, []string{"admin", "user"}, false, ""},
		idtest.Google:   {func(*idserver.Config) {}, nil, true, ""},
		idtest.Cognito: {func(c *idserver.Config) {
			c.RolesClaim, c.Provider.AccessTokenClients = []string{"cognito:groups"}, []string{idtest.ExampleClient}
		}, []string{"admin", "user"}, false, ""},
		idtest.Apple: {func(c *idserver.Config) { c.ResponseMode = "form_post" }, nil, true, ""},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := idtest.NewProvider(t, idtest.Like(kind), func(o *idtest.Options) { o.InMemory = true })
			p.AddClient(idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, RedirectURIs: []string{"https://app.example/auth/callback"}})
			cfg := p.Config("https://app.example")
			row.configure(&cfg)
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(client.Close)
			request, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			response := ""
			if cfg.ResponseMode == "form_post" {
				_, form, err := p.AuthorizeForm(t.Context(), request.URL, "alice")
				if err != nil {
					t.Fatal(err)
				}
				response = form.Encode()
			} else {
				callback, err := p.Authorize(t.Context(), request.URL, "alice")
				if err != nil {
					t.Fatal(err)
				}
				response = callback.RawQuery
			}
			code, err := client.ReadCallback(t.Context(), response, request)
			if err != nil {
				t.Fatal(err)
			}
			tokens, err := client.ExchangeCode(t.Context(), code, request)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 { // a second refresh shows who rotates
				u := tokens.User
				if u.Issuer != p.Issuer() || u.Subject != "6f0c2a3e-0000-4000-8000-00000000a11c" || u.Email != "alice@example.test" || !slices.Equal(u.Roles, row.roles) {
					t.Errorf("after %d refreshes: %v, %q, roles %q", i, u, u.Email, u.Roles)
				}
				if kind != idtest.Entra && !u.EmailVerified {
					t.Errorf("after %d refreshes the address is not verified", i)
				}
				if tokens, err = client.RefreshToken(t.Context(), tokens); err != nil {
					t.Fatal(err)
				}
			}
			bearer, err := client.ValidateAccessToken(t.Context(), tokens.AccessToken, idserver.AccessTokenCheck{})
			switch {
			case row.opaque:
				if !errors.Is(err, idserver.ErrInvalidToken) {
					t.Errorf("an opaque token: %v", err)
				}
			case err != nil:
				t.Error(err)
			case row.subject != "" && bearer.Subject != row.subject || !slices.Equal(bearer.Roles, row.roles) || bearer.Issuer != p.Issuer():
				t.Errorf("the bearer is %v with the roles %q", bearer, bearer.Roles)
			}
			if _, err := client.ValidateAccessToken(t.Context(), tokens.IDToken, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ErrInvalidToken) {
				t.Errorf("an ID token opens an API: %v", err)
			}
		})
	}
}

func TestLikeNobody(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a kind that is not there")
		}
	}()
	idtest.Like("Nobody")
}
