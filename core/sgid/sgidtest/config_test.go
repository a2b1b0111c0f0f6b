package sgidtest_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/sgid"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

func TestConfigFromEnv(t *testing.T) {
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	all := map[string]string{
		"SGID_CLIENT_ID": "id", "SGID_CLIENT_SECRET": "s3cret", "SGID_PRIVATE_KEY": sgidtest.PrivateKey(), "SGID_HOSTNAME": "https://api.id.gov.sg", "SESSION_SECRET": strings.Repeat("s", 32),
	}
	for name := range all {
		t.Setenv(name, "")
	}
	for name, algorithms := range map[string]string{"fixtures": "fixtures", "mockpass": "mockpass", "by default": ""} {
		t.Setenv("IDTEST_SGID_ALGORITHMS", algorithms)
		cfg, p, err := sgidtest.ConfigFromEnv(loopback)
		if err != nil || p == nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cfg.Hostname != p.URL() || cfg.BaseURL != "http://127.0.0.1:8080" || len(cfg.SessionSecret) < 32 {
			t.Errorf("%s: %v", name, cfg)
		}
		client, err := sgid.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		p.Close()
	}
	t.Setenv("APPLICATION_NAME", "Ice cream")
	t.Setenv("TRUSTED_ORIGINS", "http://localhost:5173")
	t.Setenv("IDTEST_SGID_ALGORITHMS", "")
	cfg, p, err := sgidtest.ConfigFromEnv(loopback)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	if cfg.ApplicationName != "Ice cream" || !slices.Equal(cfg.TrustedOrigins, []string{"http://localhost:5173"}) {
		t.Errorf("what is not about the provider is lost: %q, %q", cfg.ApplicationName, cfg.TrustedOrigins)
	}
	t.Setenv("IDTEST_SGID_ALGORITHMS", "rot13")
	if _, _, err := sgidtest.ConfigFromEnv(loopback); err == nil {
		t.Error("unknown algorithms are taken")
	}
	t.Setenv("IDTEST_SGID_ALGORITHMS", "")
	t.Setenv("BASE_URL", "https://app.example.com") // behind a proxy, with all else forgotten
	if _, p, err := sgidtest.ConfigFromEnv(loopback); err == nil || p != nil || !strings.Contains(err.Error(), "BASE_URL") {
		t.Errorf("a public address has a provider that signs in anyone: %v", err)
	}
	t.Setenv("BASE_URL", "")
	if _, p, err := sgidtest.ConfigFromEnv(&net.TCPAddr{IP: net.IPv4zero, Port: 1}); err == nil || p != nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("on every interface: %v", err)
	}
	if _, _, err := sgidtest.ConfigFromEnv(&net.UnixAddr{}); err == nil {
		t.Error("a socket is taken")
	}
	for missing := range all {
		for name, value := range all {
			t.Setenv(name, value)
		}
		t.Setenv(missing, "")
		_, p, err := sgidtest.ConfigFromEnv(loopback)
		if err == nil || p != nil || !strings.Contains(err.Error(), missing+": not set") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	for name, value := range all {
		t.Setenv(name, value)
	}
	cfg, p, err = sgidtest.ConfigFromEnv(loopback)
	if err != nil || p != nil || cfg.ClientID != "id" || cfg.Hostname != "https://api.id.gov.sg" || cfg.BaseURL != "http://127.0.0.1:8080" {
		t.Errorf("%v, %v, %v", cfg, p, err)
	}
}
