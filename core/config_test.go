package idserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

// The secrets of goodConfig, and one that is too short: none may be printed.
const (
	clientSecretText = "client-secret-that-nobody-may-print"
	shortSecret      = "short-secret"
)

func configSecrets() []string {
	return []string{clientSecretText, secretOne, secretTwo, shortSecret}
}

func goodConfig() idserver.Config {
	return idserver.Config{
		Authority:     "https://id.example",
		ClientID:      "example",
		ClientSecret:  clientSecretText,
		BaseURL:       "https://app.example",
		SessionSecret: secretOne,
		Session:       idserver.SessionConfig{OldSecrets: []string{secretTwo}},
		Logger:        slog.New(slog.DiscardHandler),
	}
}

// leaks returns the first of the secrets that text holds.
func leaks(text string, secrets ...string) string {
	for _, secret := range secrets {
		if secret != "" && strings.Contains(text, secret) {
			return secret
		}
	}
	return ""
}

func TestNewAccepts(t *testing.T) {
	for name, edit := range map[string]func(*idserver.Config){
		"a web application":         func(*idserver.Config) {},
		"an API":                    func(c *idserver.Config) { *c = idserver.Config{Authority: "https://id.example"} },
		"a public client":           func(c *idserver.Config) { c.ClientSecret = "" },
		"http on localhost":         func(c *idserver.Config) { c.Authority, c.BaseURL = "http://localhost:5000", "http://localhost:8080" },
		"http below localhost":      func(c *idserver.Config) { c.Authority = "http://id.localhost:5000" },
		"http on 127.0.0.2":         func(c *idserver.Config) { c.Authority = "http://127.0.0.2:5000" },
		"http on IPv6 loopback":     func(c *idserver.Config) { c.Authority = "http://[::1]:5000" },
		"an authority with a slash": func(c *idserver.Config) { c.Authority = "https://id.example/" },
		"an authority with a path":  func(c *idserver.Config) { c.Authority = "https://id.example/realms/one" },
		"an issuer elsewhere":       func(c *idserver.Config) { c.Provider.Issuer = "https://issuer.example" },
		"all algorithms": func(c *idserver.Config) {
			c.Provider.Algorithms = []string{"RS256", "PS512", "ES384", "EdDSA", "Ed25519"}
		},
		"the most leeway":                     func(c *idserver.Config) { c.Provider.Leeway = 5 * time.Minute },
		"client_secret_basic":                 func(c *idserver.Config) { c.Provider.ClientAuth = "client_secret_basic" },
		"routes deeper":                       func(c *idserver.Config) { c.RoutesPath = "/account/auth" },
		"pages of the application":            func(c *idserver.Config) { c.AfterSignIn, c.AfterSignOut = "/welcome?x=1", "/" },
		"a trusted origin with a port":        func(c *idserver.Config) { c.TrustedOrigins = []string{"https://spa.example:8443"} },
		"a session secret of 32 bytes":        func(c *idserver.Config) { c.SessionSecret = strings.Repeat("x", 32) },
		"an unverified provider on localhost": func(c *idserver.Config) { c.Authority, c.HTTP.InsecureSkipTLSVerify = "https://localhost:5001", true },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			edit(&cfg)
			client, err := idserver.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			client.Close()
		})
	}
}

// Each row is one thing wrong; the error names the field, the variable where there is one, and no secret.
func TestNewRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*idserver.Config)
		want []string
	}{
		"no authority":              {func(c *idserver.Config) { c.Authority = "" }, []string{"Authority", "IDSERVER_AUTHORITY", "empty"}},
		"an authority over http":    {func(c *idserver.Config) { c.Authority = "http://id.example" }, []string{"Authority", "IDSERVER_AUTHORITY", "https", "loopback"}},
		"localhost as a prefix":     {func(c *idserver.Config) { c.Authority = "http://localhost.evil.example" }, []string{"Authority", "loopback"}},
		"an authority that is none": {func(c *idserver.Config) { c.Authority = "id.example" }, []string{"Authority", "with a scheme and a host"}},
		"an authority of ftp":       {func(c *idserver.Config) { c.Authority = "ftp://id.example" }, []string{"Authority", "with a scheme and a host"}},
		"an authority without host": {func(c *idserver.Config) { c.Authority = "https://:443" }, []string{"Authority", "with a scheme and a host"}},
		"an authority not a URL":    {func(c *idserver.Config) { c.Authority = "https://id.example/%zz" }, []string{"Authority", "not a URL"}},
		"an authority with a user":  {func(c *idserver.Config) { c.Authority = "https://me@id.example" }, []string{"Authority", "no user"}},
		"an authority, fragment":    {func(c *idserver.Config) { c.Authority = "https://id.example/#x" }, []string{"Authority", "no fragment"}},
		"an issuer over http":       {func(c *idserver.Config) { c.Provider.Issuer = "http://id.example" }, []string{"Issuer", "IDSERVER_ISSUER", "https"}},
		"a WebBaseURL over http":    {func(c *idserver.Config) { c.Provider.WebBaseURL = "http://id.example" }, []string{"WebBaseURL", "https"}},
		"authorization over http":   {func(c *idserver.Config) { c.Provider.Endpoints.Authorization = "http://id.example/a" }, []string{"Endpoints.Authorization", "https"}},
		"token over http":           {func(c *idserver.Config) { c.Provider.Endpoints.Token = "http://id.example/t" }, []string{"Endpoints.Token", "https"}},
		"keys over http":            {func(c *idserver.Config) { c.Provider.Endpoints.JWKS = "http://id.example/j" }, []string{"Endpoints.JWKS", "https"}},
		"userinfo over http":        {func(c *idserver.Config) { c.Provider.Endpoints.UserInfo = "http://id.example/u" }, []string{"Endpoints.UserInfo", "https"}},
		"revocation over http":      {func(c *idserver.Config) { c.Provider.Endpoints.Revocation = "http://id.example/r" }, []string{"Endpoints.Revocation", "https"}},
		"end session over http":     {func(c *idserver.Config) { c.Provider.Endpoints.EndSession = "http://id.example/e" }, []string{"Endpoints.EndSession", "https"}},
		"no client id":              {func(c *idserver.Config) { c.ClientID = "" }, []string{"ClientID", "IDSERVER_CLIENT_ID", "empty"}},
		"an unknown ClientAuth":     {func(c *idserver.Config) { c.Provider.ClientAuth = "private_key_jwt" }, []string{"ClientAuth", "private_key_jwt", "client_secret_basic"}},
		"a base URL over http":      {func(c *idserver.Config) { c.BaseURL = "http://app.example" }, []string{"BaseURL", "BASE_URL", "https"}},
		"an API with a secret":      {func(c *idserver.Config) { c.BaseURL = "" }, []string{"SessionSecret", "SESSION_SECRET", "BaseURL", "BASE_URL"}},
		"no session secret":         {func(c *idserver.Config) { c.SessionSecret = "" }, []string{"SessionSecret", "SESSION_SECRET", "empty", "openssl rand"}},
		"a short session secret":    {func(c *idserver.Config) { c.SessionSecret = shortSecret }, []string{"SessionSecret", "SESSION_SECRET", "12 bytes", "at least 32"}},
		"a short old secret":        {func(c *idserver.Config) { c.Session.OldSecrets = []string{shortSecret} }, []string{"Session.OldSecrets", "SESSION_SECRET_OLD", "12 bytes"}},
		"an empty old secret":       {func(c *idserver.Config) { c.Session.OldSecrets = []string{""} }, []string{"Session.OldSecrets", "empty"}},
		"HS256":                     {func(c *idserver.Config) { c.Provider.Algorithms = []string{"RS256", "HS256"} }, []string{"Algorithms", "HS256"}},
		"alg none":                  {func(c *idserver.Config) { c.Provider.Algorithms = []string{"none"} }, []string{"Algorithms", "none"}},
		"an empty algorithm":        {func(c *idserver.Config) { c.Provider.Algorithms = []string{""} }, []string{"Algorithms"}},
		"too much leeway":           {func(c *idserver.Config) { c.Provider.Leeway = 5*time.Minute + 1 }, []string{"Leeway", "5m0s"}},
		"leeway below zero":         {func(c *idserver.Config) { c.Provider.Leeway = -1 }, []string{"Leeway"}},
		"timeout below zero":        {func(c *idserver.Config) { c.HTTP.Timeout = -1 }, []string{"Timeout"}},
		"a name of two lines":       {func(c *idserver.Config) { c.ApplicationName = "Or\nders" }, []string{"ApplicationName (APPLICATION_NAME)", "control"}},
		"a name of no letters":      {func(c *idserver.Config) { c.ApplicationName = "\xff" }, []string{"ApplicationName (APPLICATION_NAME)", "UTF-8"}},
		"a name of 65 bytes":        {func(c *idserver.Config) { c.ApplicationName = strings.Repeat("x", 65) }, []string{"ApplicationName (APPLICATION_NAME)", "64 bytes"}},
		"an empty part of a claim":  {func(c *idserver.Config) { c.RolesClaim = []string{"realm_access", ""} }, []string{"RolesClaim", "empty"}},
		"routes at the root":        {func(c *idserver.Config) { c.RoutesPath = "/" }, []string{"RoutesPath", "/auth"}},
		"routes without a slash":    {func(c *idserver.Config) { c.RoutesPath = "auth" }, []string{"RoutesPath"}},
		"routes that go up":         {func(c *idserver.Config) { c.RoutesPath = "/a/../auth" }, []string{"RoutesPath"}},
		"routes with a query":       {func(c *idserver.Config) { c.RoutesPath = "/auth?x" }, []string{"RoutesPath"}},
		"after sign-in elsewhere":   {func(c *idserver.Config) { c.AfterSignIn = "https://evil.example/" }, []string{"AfterSignIn", "path of this application"}},
		"after sign-out elsewhere":  {func(c *idserver.Config) { c.AfterSignOut = "//evil.example" }, []string{"AfterSignOut", "path of this application"}},
		"an origin with a path":     {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://spa.example/"} }, []string{"TrustedOrigins", `want "https://spa.example"`}},
		"a wildcard in an origin":   {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://*.example"} }, []string{"TrustedOrigins", "wildcard"}},
		"an origin in capitals":     {func(c *idserver.Config) { c.TrustedOrigins = []string{"https://SPA.example:443"} }, []string{"TrustedOrigins", `want "https://spa.example"`}},
		"a host without its scheme": {func(c *idserver.Config) { c.Authority = "id.example.test" }, []string{"IDSERVER_AUTHORITY", "with a scheme and a host"}},
		"a port without a scheme":   {func(c *idserver.Config) { c.Authority = "localhost:9000" }, []string{"IDSERVER_AUTHORITY", "http://... on loopback"}},
		"an address without scheme": {func(c *idserver.Config) { c.BaseURL = "127.0.0.1:8080" }, []string{"BASE_URL", "http://... on loopback"}},
		"a wildcard origin":         {func(c *idserver.Config) { c.TrustedOrigins = []string{"*"} }, []string{"TrustedOrigins"}},
		"the null origin":           {func(c *idserver.Config) { c.TrustedOrigins = []string{"null"} }, []string{"TrustedOrigins"}},
		"a session of a second":     {func(c *idserver.Config) { c.Session.Idle = time.Second }, []string{"Session.Idle", "minute"}},
		"idle beyond max":           {func(c *idserver.Config) { c.Session.Idle, c.Session.Max = 2*time.Hour, time.Hour }, []string{"Session.Idle", "Session.Max"}},
		"unverified TLS elsewhere":  {func(c *idserver.Config) { c.HTTP.InsecureSkipTLSVerify = true }, []string{"InsecureSkipTLSVerify", "loopback", "https://id.example"}},
		"unverified TLS, own client": {func(c *idserver.Config) {
			c.Authority, c.HTTP.InsecureSkipTLSVerify, c.HTTP.Client = "https://localhost", true, &http.Client{}
		}, []string{"InsecureSkipTLSVerify", "HTTP.Client"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			row.edit(&cfg)
			client, err := idserver.New(cfg)
			if err == nil {
				client.Close()
				t.Fatal("it was accepted")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q has more than one fault", err)
			}
			if secret := leaks(err.Error(), configSecrets()...); secret != "" {
				t.Errorf("error %q holds the secret %q", err, secret)
			}
		})
	}
}

func TestNewReportsAllFaultsAtOnce(t *testing.T) {
	_, err := idserver.New(idserver.Config{
		BaseURL:       "http://app.example",
		SessionSecret: shortSecret,
		Provider:      idserver.ProviderConfig{ClientAuth: "tls", Leeway: time.Hour},
		RoutesPath:    "/",
		AfterSignIn:   "//evil.example",
	})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, field := range []string{"IDSERVER_AUTHORITY", "BASE_URL", "IDSERVER_CLIENT_ID", "SESSION_SECRET", "ClientAuth", "Leeway", "RoutesPath", "AfterSignIn"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in the error:\n%v", field, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 8 {
		t.Errorf("%d faults, want 8:\n%v", n, err)
	}
}

func TestConfigFromEnv(t *testing.T) {
	for name, value := range map[string]string{
		"IDSERVER_AUTHORITY": "https://id.example", "IDSERVER_ISSUER": "https://issuer.example",
		"IDSERVER_CLIENT_ID": "example", "IDSERVER_CLIENT_SECRET": clientSecretText,
		"IDSERVER_AUDIENCE": "my-api", "IDSERVER_SCOPES": " openid  roles\temail ",
		"BASE_URL": "https://app.example", "SESSION_SECRET": secretOne, "SESSION_SECRET_OLD": " " + secretTwo + " ,, x ",
	} {
		t.Setenv(name, value)
	}
	want := idserver.Config{
		Authority: "https://id.example", Provider: idserver.ProviderConfig{Issuer: "https://issuer.example"}, ClientID: "example", ClientSecret: clientSecretText,
		Audience: "my-api", Scopes: []string{"openid", "roles", "email"}, BaseURL: "https://app.example",
		SessionSecret: secretOne, Session: idserver.SessionConfig{OldSecrets: []string{secretTwo, "x"}},
	}
	if got := idserver.ConfigFromEnv(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Nothing set in the environment is as good as nothing set in the program.
func TestConfigFromEmptyEnv(t *testing.T) {
	for _, name := range []string{
		"IDSERVER_AUTHORITY", "IDSERVER_ISSUER", "IDSERVER_CLIENT_ID", "IDSERVER_CLIENT_SECRET", "IDSERVER_AUDIENCE",
		"IDSERVER_SCOPES", "BASE_URL", "SESSION_SECRET", "SESSION_SECRET_OLD",
	} {
		t.Setenv(name, "")
	}
	cfg := idserver.ConfigFromEnv()
	cfg.Scopes = nil
	if !reflect.DeepEqual(cfg, idserver.Config{}) {
		t.Errorf("got %+v, want nothing", cfg)
	}
}

func TestConfigPrintsNoSecret(t *testing.T) {
	cfg := goodConfig()
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for name, value := range map[string]any{
		"Config": cfg, "*Config": &cfg, "in a slice": []idserver.Config{cfg}, "in a struct": struct{ C idserver.Config }{cfg},
		"*Client": client, "Client in a struct": struct{ C *idserver.Client }{client},
	} {
		t.Run(name, func(t *testing.T) {
			printed := map[string]string{}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
				printed[verb] = fmt.Sprintf(verb, value)
			}
			printed["Print"] = fmt.Sprint(value)
			marshalled, _ := json.Marshal(value)
			printed["json"] = string(marshalled)
			log := &logBuffer{}
			slog.New(slog.NewTextHandler(log, nil)).Info("x", "value", value)
			slog.New(slog.NewJSONHandler(log, nil)).Info("x", "value", value)
			printed["slog"] = log.String()
			for how, text := range printed {
				if secret := leaks(text, configSecrets()...); secret != "" {
					t.Errorf("%s prints the secret %q: %s", how, secret, text)
				}
			}
		})
	}
	for _, text := range []string{cfg.String(), cfg.GoString(), fmt.Sprint(client)} {
		for _, want := range []string{`"https://id.example"`, `"example"`, `"https://app.example"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s", text, want)
			}
		}
	}
}

// The switch reaches a provider on loopback whose certificate nobody knows, and is told of in the log.
func TestInsecureSkipTLSVerify(t *testing.T) {
	provider := httptest.NewUnstartedServer(nil)
	provider.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": provider.URL, "authorization_endpoint": provider.URL + "/a", "token_endpoint": provider.URL + "/t", "jwks_uri": provider.URL + "/j",
		})
	})
	provider.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	provider.StartTLS()
	t.Cleanup(provider.Close)
	for _, insecure := range []bool{false, true} {
		log := &logBuffer{}
		cfg := goodConfig()
		cfg.Authority, cfg.HTTP.InsecureSkipTLSVerify = provider.URL, insecure
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		warned := strings.Contains(log.String(), "InsecureSkipTLSVerify")
		_, err = client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
		if insecure != warned || insecure != (err == nil) {
			t.Errorf("InsecureSkipTLSVerify %v: warned %v, %v", insecure, warned, err)
		}
		if !insecure && !errors.Is(err, idserver.ErrDiscovery) {
			t.Errorf("got %v, want ErrDiscovery", err)
		}
	}
}

func TestNoRandomness(t *testing.T) {
	cfg := goodConfig()
	cfg.Rand = io.LimitReader(strings.NewReader(strings.Repeat("r", 95)), 95) // state, nonce and verifier need 96
	cfg.Provider.Endpoints = idserver.Endpoints{Authorization: "https://id.example/a", Token: "https://id.example/t", JWKS: "https://id.example/j"}
	client, err := idserver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if r, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{}); err == nil || r != nil {
		t.Errorf("got %v, %v, want an error and nothing else", r, err)
	}
}
