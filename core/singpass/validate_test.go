package singpass_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

func TestGoodConfig(t *testing.T) {
	for name, edit := range map[string]func(*singpass.Config){
		"Login": func(*singpass.Config) {},
		"Myinfo": func(c *singpass.Config) {
			c.Product, c.Scopes = singpass.Myinfo, []string{"name", "cpfcontributions", "hdbownership.address"}
		},
		"without routes":       func(c *singpass.Config) { c.BaseURL, c.SessionSecret = "", "" },
		"localhost in staging": func(c *singpass.Config) { c.Environment, c.BaseURL = singpass.Staging, "http://localhost:3000" },
		"a double": func(c *singpass.Config) {
			c.Environment, c.Issuer, c.BaseURL = singpass.Staging, "http://localhost:5156/singpass/v3/fapi", "http://127.0.0.1:8080"
		},
		"its own issuer": func(c *singpass.Config) { c.Issuer = "https://id.singpass.gov.sg/fapi" },
	} {
		cfg := goodConfig()
		edit(&cfg)
		c, err := singpass.New(cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Close()
	}
}

// What Singpass's portal or its endpoints would refuse, New names, by the field and the variable.
func TestBadConfig(t *testing.T) {
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		edit func(*singpass.Config)
		want string
	}{
		"no product":        {func(c *singpass.Config) { c.Product = "" }, "Product (SINGPASS_PRODUCT) \"\""},
		"another product":   {func(c *singpass.Config) { c.Product = "Corppass" }, "Product (SINGPASS_PRODUCT)"},
		"no environment":    {func(c *singpass.Config) { c.Environment = "" }, "Environment (SINGPASS_ENVIRONMENT)"},
		"no client":         {func(c *singpass.Config) { c.ClientID = "" }, "ClientID (SINGPASS_CLIENT_ID) is empty"},
		"no keys":           {func(c *singpass.Config) { c.Keys = nil }, "Keys (SINGPASS_KEYS)"},
		"no key to sign":    {func(c *singpass.Config) { c.Keys = singpasstest.Keys()[1:] }, "Keys (SINGPASS_KEYS) has no key that signs"},
		"no key to decrypt": {func(c *singpass.Config) { c.Keys = singpasstest.Keys()[:1] }, "Keys (SINGPASS_KEYS) has no key with the use enc"},
		"P-384 to sign": {func(c *singpass.Config) {
			c.Keys = append([]idserver.ClientKey{{ID: "s", Private: p384}}, singpasstest.Keys()[1:]...)
		}, "Keys (SINGPASS_KEYS) signs with ES384"},
		"no item":             {func(c *singpass.Config) { c.Product, c.Scopes = singpass.Myinfo, []string{"openid"} }, "Scopes (SINGPASS_SCOPES)"},
		"an item of Myinfo":   {func(c *singpass.Config) { c.Scopes = []string{"regadd"} }, `Scopes (SINGPASS_SCOPES) has "regadd"`},
		"a scope of sgID":     {func(c *singpass.Config) { c.Product, c.Scopes = singpass.Myinfo, []string{"myinfo.name"} }, "sgID's"},
		"two scopes in one":   {func(c *singpass.Config) { c.Product, c.Scopes = singpass.Myinfo, []string{"name,dob"} }, ""},
		"context of Myinfo":   {func(c *singpass.Config) { c.Product, c.Scopes, c.Context = singpass.Myinfo, []string{"name"}, "APP_X" }, "Context (SINGPASS_CONTEXT) is set"},
		"message of Myinfo":   {func(c *singpass.Config) { c.Product, c.Scopes, c.Message = singpass.Myinfo, []string{"name"}, "x" }, "Message (SINGPASS_MESSAGE) is set"},
		"odd context":         {func(c *singpass.Config) { c.Context = "app login" }, "Context (SINGPASS_CONTEXT)"},
		"a long message":      {func(c *singpass.Config) { c.Message = strings.Repeat("a", 101) }, "Message (SINGPASS_MESSAGE)"},
		"an odd message":      {func(c *singpass.Config) { c.Message = "50% off" }, "Message (SINGPASS_MESSAGE)"},
		"level 4":             {func(c *singpass.Config) { c.MinimumLevel = 4 }, "MinimumLevel 4"},
		"level 1":             {func(c *singpass.Config) { c.MinimumLevel = 1 }, "MinimumLevel 1"},
		"http":                {func(c *singpass.Config) { c.BaseURL = "http://localhost:3000" }, "https"},
		"an address":          {func(c *singpass.Config) { c.BaseURL = "https://192.0.2.1" }, "IP address"},
		"an address, IPv6":    {func(c *singpass.Config) { c.BaseURL = "https://[2001:db8::1]" }, "IP address"},
		"a word":              {func(c *singpass.Config) { c.BaseURL = "https://SingPass.app.example" }, `"singpass" in it`},
		"a word in a path":    {func(c *singpass.Config) { c.CallbackPath = "/auth/myinfo/callback" }, `"myinfo" in it`},
		"another issuer":      {func(c *singpass.Config) { c.Issuer = "https://id.example/fapi" }, "Issuer"},
		"another, in staging": {func(c *singpass.Config) { c.Environment, c.Issuer = singpass.Staging, "https://id.example/fapi" }, "a test double on loopback"},
		"the wrong one":       {func(c *singpass.Config) { c.Issuer = "https://stg-id.singpass.gov.sg/fapi" }, "Issuer"},
		"a double":            {func(c *singpass.Config) { c.Issuer = "http://localhost:5156/fapi" }, "is a test double"},
		"no secret":           {func(c *singpass.Config) { c.SessionSecret = "" }, "SessionSecret (SESSION_SECRET)"},
		"leeway":              {func(c *singpass.Config) { c.Leeway = 6 * minute }, "Leeway"},
	} {
		cfg := goodConfig()
		row.edit(&cfg)
		_, err := singpass.New(cfg)
		if row.want == "" { // a scope's name may be any
			continue
		}
		if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "IDSERVER_CLIENT") || strings.Contains(err.Error(), cfg.SessionSecret) && cfg.SessionSecret != "" {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

func TestConfigFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"SINGPASS_PRODUCT": "login", "SINGPASS_ENVIRONMENT": "staging", "SINGPASS_CLIENT_ID": "client", "SINGPASS_SCOPES": "openid  name",
		"SINGPASS_CONTEXT": "APP_PAYMENT_DEFAULT", "SINGPASS_MESSAGE": "Pay", "BASE_URL": "https://app.example", "SESSION_SECRET": "secret",
		"SINGPASS_KEYS": `{"kty":"OKP","crv":"Ed25519","kid":"s1","x":"O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
	} {
		t.Setenv(name, value)
	}
	cfg := singpass.ConfigFromEnv()
	if cfg.Product != singpass.Login || cfg.Environment != singpass.Staging || cfg.ClientID != "client" || len(cfg.Scopes) != 2 || cfg.Context != "APP_PAYMENT_DEFAULT" ||
		cfg.Message != "Pay" || cfg.BaseURL != "https://app.example" || cfg.SessionSecret != "secret" || len(cfg.Keys) != 1 || cfg.Keys[0].ID != "s1" {
		t.Errorf("got %+v", cfg)
	}
	t.Setenv("SINGPASS_KEYS", "secret that is no key")
	if _, err := singpass.New(singpass.ConfigFromEnv()); err == nil || !strings.Contains(err.Error(), "Keys (SINGPASS_KEYS) cannot be read") || strings.Contains(err.Error(), "secret that") {
		t.Errorf("keys that are none: %v", err)
	}
}
