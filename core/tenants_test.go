package idserver_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const (
	tenantOne   = "11111111-0000-4000-8000-000000000001"
	tenantTwo   = "22222222-0000-4000-8000-000000000002"
	template    = "http://localhost/{tenantid}/v2.0"
	stsTemplate = "http://sts.localhost/{tenantid}/"
)

func issuerOfTenant(tenant string) string { return strings.Replace(template, "{tenantid}", tenant, 1) }

// entra makes a provider for many tenants: its metadata names a template, and tokens have the issuer of their tenant.
type entra struct {
	*world
	iss, tid string // of the tokens
}

func newEntra(t *testing.T, edit ...func(*idserver.Config)) *entra {
	t.Helper()
	e := &entra{world: newWorld(t), iss: issuerOfTenant(tenantOne), tid: tenantOne}
	e.provider = idtest.NewProvider(t, func(o *idtest.Options) {
		o.Now, o.InMemory, o.BaseURL = e.clock.Now, true, "http://localhost/organizations/v2.0"
	})
	e.provider.SetMetadata(func(m map[string]any) {
		m["issuer"] = template
		m["authorization_response_iss_parameter_supported"] = false
	})
	claims := func(c map[string]any) {
		if c["iss"], c["tid"] = e.iss, e.tid; e.tid == "" {
			delete(c, "tid")
		}
	}
	e.provider.SetIDTokenClaims(claims)
	e.provider.SetAccessTokenClaims(claims)
	cfg := e.provider.Config(base)
	e.cfg.Authority, e.cfg.HTTP = cfg.Authority, cfg.HTTP
	e.Client = e.client(t, edit...)
	return e
}

func listed(tenants ...string) func(*idserver.Config) {
	return func(c *idserver.Config) { c.Provider.Tenants = tenants }
}

// keyOf publishes the provider's key with an issuer.
func (e *entra) keyOf(t *testing.T, issuer string) {
	t.Helper()
	kid, _, _ := strings.Cut(e.provider.MintIDToken("alice", "x"), ".")
	var header struct{ Kid string }
	text, err := base64.RawURLEncoding.DecodeString(kid)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	public := e.provider.PrivateKey().PublicKey
	document, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "use": "sig", "kid": header.Kid, "issuer": issuer,
		"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	e.provider.SetJWKS(document)
}

// The tenant is decided by the issuer that the token's own tid makes of the template, by the list and by the key, for sign-ins
// and for bearer tokens, verified anew or remembered.
func TestTenants(t *testing.T) {
	for name, row := range map[string]struct {
		configure func(*idserver.Config)
		iss, tid  string
		key       string // the issuer of the key; "" for none
		want      string // in the log; "" if the token is good
	}{
		"listed":                          {listed(tenantTwo, tenantOne), issuerOfTenant(tenantOne), tenantOne, "", ""},
		"not listed":                      {listed(tenantTwo), issuerOfTenant(tenantOne), tenantOne, "", "IDSERVER_TENANTS"},
		"the tid of another":              {listed(tenantOne, tenantTwo), issuerOfTenant(tenantOne), tenantTwo, "", "tid is"},
		"the tid of one that is listed":   {listed(tenantTwo), issuerOfTenant(tenantOne), tenantTwo, "", "tid is"},
		"no tid":                          {listed(tenantOne), issuerOfTenant(tenantOne), "", "", "tid is"},
		"the template itself":             {listed(tenantOne), template, "{tenantid}", "", "iss is"},
		"another issuer":                  {listed(tenantOne), "https://evil.example/" + tenantOne + "/v2.0", tenantOne, "", "iss is"},
		"a path more":                     {listed(tenantOne), "http://localhost/x/" + tenantOne + "/v2.0", tenantOne, "", "iss is"},
		"a longer issuer":                 {listed(tenantOne), issuerOfTenant(tenantOne) + "/", tenantOne, "", "iss is"},
		"a key of the template":           {listed(tenantOne), issuerOfTenant(tenantOne), tenantOne, template, ""},
		"a key of the tenant":             {listed(tenantOne), issuerOfTenant(tenantOne), tenantOne, issuerOfTenant(tenantOne), ""},
		"a key of another tenant":         {listed(tenantOne, tenantTwo), issuerOfTenant(tenantOne), tenantOne, issuerOfTenant(tenantTwo), "signed with a key of"},
		"the tenant's own authority":      {func(c *idserver.Config) { c.Provider.Issuer = template; c.Provider.Tenants = []string{tenantOne} }, issuerOfTenant(tenantOne), tenantOne, "", ""},
		"a function that admits":          {admits(tenantOne), issuerOfTenant(tenantOne), tenantOne, "", ""},
		"a function that refuses":         {admits(tenantTwo), issuerOfTenant(tenantOne), tenantOne, "", "AdmitTenant"},
		"a function beside a list":        {both(admits(tenantTwo), listed(tenantOne)), issuerOfTenant(tenantOne), tenantOne, "", ""},
		"neither, with all endpoints set": {endpoints, issuerOfTenant(tenantOne), tenantOne, "", "IDSERVER_TENANTS"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			e := newEntra(t, row.configure)
			e.iss, e.tid = row.iss, row.tid
			if row.key != "" {
				e.keyOf(t, row.key)
			}
			b := e.browser(t)
			a := b.route("GET", e.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if signedIn := a.Status == 303; signedIn != (row.want == "") || !strings.Contains(e.log.String(), row.want) {
				t.Errorf("sign-in: %d %s", a.Status, e.log)
			}
			token := e.provider.MintAccessToken("alice")
			for range 2 {
				u, err := e.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
				if (err == nil) != (row.want == "") || err != nil && !errors.Is(err, idserver.ReasonIssuer) {
					t.Errorf("bearer: %v", err)
				}
				if err == nil && u.Issuer != row.iss {
					t.Errorf("the issuer of the user is %q", u.Issuer)
				}
			}
		}))
	}
}

func admits(tenant string) func(*idserver.Config) {
	return func(c *idserver.Config) {
		c.Provider.AdmitTenant = func(_ context.Context, asked string) (bool, error) { return asked == tenant, nil }
	}
}

func both(edits ...func(*idserver.Config)) func(*idserver.Config) {
	return func(c *idserver.Config) {
		for _, e := range edits {
			e(c)
		}
	}
}

// endpoints leaves nothing to the metadata.
func endpoints(c *idserver.Config) {
	const at = "http://localhost/organizations/v2.0"
	c.Provider.Issuer = template
	c.Provider.Endpoints = idserver.Endpoints{Authorization: at + "/connect/authorize", Token: at + "/connect/token", JWKS: at + "/.well-known/jwks.json"}
}

// Access tokens of Entra's version 1 have an issuer of another form, with the tenant in it all the same.
func TestTenantsOfAccessTokenIssuer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := newEntra(t, listed(tenantOne), func(c *idserver.Config) { c.Provider.AccessTokenIssuer = stsTemplate })
		e.keyOf(t, template)
		for iss, ok := range map[string]bool{
			strings.Replace(stsTemplate, "{tenantid}", tenantOne, 1): true, strings.Replace(stsTemplate, "{tenantid}", tenantTwo, 1): false,
			issuerOfTenant(tenantOne): false, stsTemplate: false,
		} {
			token := e.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"] = iss })
			if _, err := e.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); (err == nil) != ok {
				t.Errorf("%s: %v", iss, err)
			}
		}
	})
}

// A template alone is refused with what to do; so is one for other addresses than the authority.
func TestTenantTemplateRefused(t *testing.T) {
	for name, row := range map[string]struct {
		configure func(*idserver.Config)
		issuer    string
		want      []string
	}{
		"without a list":     {func(*idserver.Config) {}, template, []string{"IDSERVER_AUTHORITY", "tenant's own", "IDSERVER_TENANTS"}},
		"for other hosts":    {listed(tenantOne), "https://login.example/{tenantid}/v2.0", []string{"other addresses"}},
		"for the host":       {listed(tenantOne), "http://{tenantid}/organizations/v2.0", nil},
		"twice":              {listed(tenantOne), "http://localhost/{tenantid}/{tenantid}", []string{"other addresses"}},
		"another configured": {both(listed(tenantOne), func(c *idserver.Config) { c.Provider.Issuer = "http://localhost/{tenantid}/" }), template, []string{"they must be equal"}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			e := newEntra(t, row.configure)
			e.provider.SetMetadata(func(m map[string]any) { m["issuer"] = row.issuer })
			err := e.Refetch(t.Context())
			if row.want != nil && err == nil {
				t.Error("accepted")
			}
			for _, want := range row.want {
				if err != nil && !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		}))
	}
}

// The function is asked about tenants whose signature was verified, once in ten minutes each; what it cannot tell now is 503.
func TestAdmitTenantIsAskedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := map[string]int{}
		var fails error
		e := newEntra(t, func(c *idserver.Config) {
			c.Provider.AdmitTenant = func(_ context.Context, tenant string) (bool, error) {
				asked[tenant]++
				return tenant == tenantOne, fails
			}
		})
		validate := func(token string) error {
			_, err := e.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
			return err
		}
		mint := func(tenant string) string {
			return e.provider.MintAccessToken("alice", func(c map[string]any) { c["iss"], c["tid"] = issuerOfTenant(tenant), tenant })
		}
		forged := mint("33333333-0000-4000-8000-000000000003")
		if err := validate(forged[:len(forged)-4] + "AAAA"); !errors.Is(err, idserver.ReasonSignature) {
			t.Errorf("forged: %v", err)
		}
		fails = errors.New("the database is away")
		if err := validate(mint(tenantOne)); !errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Errorf("not known now: %v", err)
		}
		fails = nil
		for range 3 {
			if err := validate(mint(tenantOne)); err != nil {
				t.Error(err)
			}
			if err := validate(mint(tenantTwo)); !errors.Is(err, idserver.ReasonIssuer) {
				t.Errorf("refused: %v", err)
			}
		}
		if want := map[string]int{tenantOne: 2, tenantTwo: 1}; !maps.Equal(asked, want) {
			t.Errorf("asked %v, want %v", asked, want)
		}
		e.clock.advance(11 * time.Minute)
		if err := validate(mint(tenantTwo)); !errors.Is(err, idserver.ReasonIssuer) || asked[tenantTwo] != 2 {
			t.Errorf("later: %v, asked %v", err, asked)
		}
	})
}

// A refresh keeps the tenant of the sign-in, and asks again whether that is admitted.
func TestTenantAtRefresh(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(*entra)
		tenants []string
		ok      bool
	}{
		"the same":         {func(*entra) {}, []string{tenantOne, tenantTwo}, true},
		"no ID token":      {func(e *entra) { dropIDToken(e.provider) }, []string{tenantOne}, true},
		"another tenant":   {func(e *entra) { e.iss, e.tid = issuerOfTenant(tenantTwo), tenantTwo }, []string{tenantOne, tenantTwo}, false},
		"no longer listed": {func(e *entra) { dropIDToken(e.provider) }, []string{tenantTwo}, false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			e := newEntra(t, listed(tenantOne, tenantTwo))
			_, tokens := signInByHand(t, e.world, e.Client, "alice")
			row.change(e)
			client := e.client(t, listed(row.tenants...))
			renewed, err := client.RefreshToken(t.Context(), tokens)
			if (err == nil) != row.ok || err != nil && !errors.Is(err, idserver.ReasonIssuer) {
				t.Errorf("%v", err)
			}
			if row.ok && (renewed.User == nil || renewed.User.Issuer != issuerOfTenant(tenantOne)) {
				t.Errorf("the user is %v", renewed.User)
			}
		}))
	}
}

func TestTenantsConfiguration(t *testing.T) {
	for _, tenant := range []string{"", "contoso.onmicrosoft.com", "{tenantid}", "common", strings.ToUpper("aaaaaaaa-0000-4000-8000-00000000000a")} {
		t.Run(tenant, func(t *testing.T) {
			cfg := goodConfig()
			cfg.Provider.Tenants = []string{tenantOne, tenant}
			if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "Provider.Tenants (IDSERVER_TENANTS)") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Setenv("IDSERVER_TENANTS", tenantOne+", "+tenantTwo)
	if got := idserver.ConfigFromEnv().Provider.Tenants; !slices.Equal(got, []string{tenantOne, tenantTwo}) {
		t.Errorf("from the environment: %q", got)
	}
}
