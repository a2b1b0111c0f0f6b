package idserver_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// What cannot be read in the environment is reported with everything else, and names its variable.
func TestConfigFromBadEnv(t *testing.T) {
	for variable, row := range map[string]struct{ value, field, want string }{
		"IDSERVER_TIMEOUT":              {"10", "HTTP.Timeout", "such as 10s"},
		"IDSERVER_LEEWAY":               {"0s", "Provider.Leeway", "more than 0"},
		"IDSERVER_DPOP":                 {"1", "DPoP", "true or false"},
		"IDSERVER_PUSHED_AUTHORIZATION": {"yes", "Provider.PushedAuthorization", "true or false"},
		"IDSERVER_CLIENT_AUTH":          {"tls", "Provider.ClientAuth", "client_secret_post"},
		"IDSERVER_AUTHORIZE_PARAMETERS": {"audience=https://api.example&%zz=1", "AuthorizeParameters", "cannot be read"},
		"IDSERVER_ALGORITHMS":           {"RS256 HS256", "Provider.Algorithms", "HS256"},
		"TRUSTED_ORIGINS":               {"https://*.example", "TrustedOrigins", "wildcard"},
	} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, row.value)
			cfg := goodConfig()
			env := idserver.ConfigFromEnv()
			env.Authority, env.ClientID, env.BaseURL, env.SessionSecret, env.RoutesPath = cfg.Authority, cfg.ClientID, cfg.BaseURL, cfg.SessionSecret, "/"
			_, err := idserver.New(env)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, want := range []string{row.field + " (" + variable + ")", row.want, "RoutesPath"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want one with %q", err, want)
				}
			}
		})
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
		t.Run(fmt.Sprint(insecure), func(t *testing.T) {
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
		})
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
