package sgid_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

// Each row is one thing wrong; the error names the field as this package calls it, and its variable.
func TestNewRefuses(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	for name, row := range map[string]struct {
		edit func(*sgid.Config)
		want string
	}{
		"no client ID":              {func(c *sgid.Config) { c.ClientID = "" }, "ClientID (SGID_CLIENT_ID) is empty"},
		"no client ID, without web": {func(c *sgid.Config) { c.ClientID, c.BaseURL, c.SessionSecret = "", "", "" }, "ClientID (SGID_CLIENT_ID) is empty"},
		"white space":               {func(c *sgid.Config) { c.ClientID += " " }, "ClientID (SGID_CLIENT_ID) begins or ends"},
		"a secret with white space": {func(c *sgid.Config) { c.ClientSecret += "\n" }, "ClientSecret (SGID_CLIENT_SECRET) begins or ends"},
		"scopes with commas":        {func(c *sgid.Config) { c.Scopes = []string{"openid,myinfo.name"} }, "Scopes (SGID_SCOPES)"},
		"an unknown LogSubject":     {func(c *sgid.Config) { c.LogSubject = "x" }, "configuration: LogSubject"},
		"no client secret":          {func(c *sgid.Config) { c.ClientSecret = "" }, "ClientSecret (SGID_CLIENT_SECRET) is empty"},
		"no private key":            {func(c *sgid.Config) { c.PrivateKey = "" }, "PrivateKey (SGID_PRIVATE_KEY)"},
		"a public key":              {func(c *sgid.Config) { c.PrivateKey = strings.ReplaceAll(c.PrivateKey, "PRIVATE", "PUBLIC") }, "public key"},
		"a hostname without scheme": {func(c *sgid.Config) { c.Hostname = "api.id.gov.sg" }, "Hostname (SGID_HOSTNAME)"},
		"a hostname with a path":    {func(c *sgid.Config) { c.Hostname = "https://api.id.gov.sg/v1" }, "Hostname (SGID_HOSTNAME)"},
		"a hostname with a query":   {func(c *sgid.Config) { c.Hostname = "https://api.id.gov.sg?x" }, "Hostname (SGID_HOSTNAME)"},
		"http":                      {func(c *sgid.Config) { c.Hostname = "http://api.id.gov.sg" }, "Hostname (SGID_HOSTNAME) \"http://api.id.gov.sg\": want https"},
		"a redirect URI of nowhere": {func(c *sgid.Config) { c.BaseURL, c.SessionSecret, c.RedirectURI = "", "", "/callback" }, "RedirectURI (SGID_REDIRECT_URI)"},
		"a redirect URI elsewhere":  {func(c *sgid.Config) { c.RedirectURI = redirectURI }, "the routes are at \"http://127.0.0.1:1/auth/callback\""},
		"a base URL over http":      {func(c *sgid.Config) { c.BaseURL = "http://app.example" }, "BaseURL (BASE_URL)"},
		"no session secret":         {func(c *sgid.Config) { c.SessionSecret = "" }, "SessionSecret (SESSION_SECRET) is empty"},
		"a session secret alone":    {func(c *sgid.Config) { c.BaseURL = "" }, "SessionSecret (SESSION_SECRET) is set"},
		"a short old secret":        {func(c *sgid.Config) { c.Session.OldSecrets = []string{"x"} }, "Session.OldSecrets (SESSION_SECRET_OLD)"},
		"idle beyond max":           {func(c *sgid.Config) { c.Session.Idle, c.Session.Max = time.Hour, time.Minute }, "Session.Idle"},
		"routes at the root":        {func(c *sgid.Config) { c.RoutesPath = "/" }, "RoutesPath"},
		"after sign-in elsewhere":   {func(c *sgid.Config) { c.AfterSignIn = "//evil.example" }, "AfterSignIn"},
		"after sign-out elsewhere":  {func(c *sgid.Config) { c.AfterSignOut = "//evil.example" }, "AfterSignOut"},
		"a wildcard origin":         {func(c *sgid.Config) { c.TrustedOrigins = []string{"*"} }, "TrustedOrigins"},
		"a long name":               {func(c *sgid.Config) { c.ApplicationName = strings.Repeat("x", 65) }, "ApplicationName (APPLICATION_NAME)"},
		"leeway below zero":         {func(c *sgid.Config) { c.Leeway = -1 }, "configuration: Leeway"},
		"timeout below zero":        {func(c *sgid.Config) { c.HTTP.Timeout = -1 }, "HTTP.Timeout"},
		"unverified TLS, own client": {func(c *sgid.Config) {
			c.HTTP = idserver.HTTPConfig{Client: &http.Client{}, InsecureSkipTLSVerify: true}
		}, "HTTP.InsecureSkipTLSVerify"},
		"unverified TLS elsewhere": {func(c *sgid.Config) { c.Hostname, c.HTTP = "", idserver.HTTPConfig{InsecureSkipTLSVerify: true} }, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := p.Config("http://127.0.0.1:1")
			row.edit(&cfg)
			c, err := sgid.New(cfg)
			if err == nil {
				c.Close()
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "IDSERVER_") {
				t.Errorf("%v, want only %q", err, row.want)
			}
		})
	}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := sgid.New(sgid.Config{
		Hostname: "api.id.gov.sg", PrivateKey: "s3cret", RedirectURI: "https://app.example/cb", BaseURL: "http://app.example", SessionSecret: "s3cret", Leeway: -1,
	})
	if err == nil {
		t.Fatal("it was accepted")
	}
	all := []string{
		"ClientID (SGID_CLIENT_ID)", "ClientSecret (SGID_CLIENT_SECRET)", "PrivateKey (SGID_PRIVATE_KEY)", "Hostname (SGID_HOSTNAME)", "RedirectURI (SGID_REDIRECT_URI)",
		"BaseURL (BASE_URL)", "SessionSecret (SESSION_SECRET)", "Leeway",
	}
	for _, want := range all {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among %v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(all) {
		t.Errorf("%d faults, want %d:\n%v", n, len(all), err)
	}
	if !errors.Is(err, sgid.ErrPrivateKey) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "IDSERVER_") {
		t.Errorf("%v", err)
	}
}

// Without routes and without RedirectURI, each call brings its own.
func TestNewWithoutRedirectURI(t *testing.T) {
	t.Parallel()
	c, err := sgid.New(sgidtest.NewProvider(t).Config(""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	o := sgid.AuthorizeOptions{CodeChallenge: challenge}
	if _, err := c.AuthorizeURL(o); !errors.Is(err, sgid.ErrMissingRedirectURI) || !strings.Contains(err.Error(), "BASE_URL") || !strings.Contains(err.Error(), "SGID_REDIRECT_URI") {
		t.Errorf("%v", err)
	}
	o.RedirectURI = redirectURI
	if _, err := c.AuthorizeURL(o); err != nil {
		t.Error(err)
	}
}

func TestHostname(t *testing.T) {
	t.Parallel()
	p := sgidtest.NewProvider(t)
	for hostname, want := range map[string]string{
		"": "https://api.id.gov.sg", "https://api.id.gov.sg": "https://api.id.gov.sg", "https://api.id.gov.sg/": "https://api.id.gov.sg",
		"https://api.id.gov.sg/v2": "https://api.id.gov.sg", "http://localhost:5156": "http://localhost:5156",
	} {
		t.Run(hostname, func(t *testing.T) {
			t.Parallel()
			cfg := p.Config("")
			cfg.Hostname, cfg.RedirectURI = hostname, redirectURI
			c, err := sgid.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			a, err := c.AuthorizeURL(sgid.AuthorizeOptions{CodeChallenge: challenge})
			if err != nil {
				t.Fatal(err)
			}
			if want += "/v2/oauth/authorize?"; !strings.HasPrefix(a.URL, want) {
				t.Errorf("%s, want %s", a.URL, want)
			}
		})
	}
}
