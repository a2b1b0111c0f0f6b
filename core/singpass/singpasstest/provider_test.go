package singpasstest_test

import (
	"net"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

func TestConfigFromEnv(t *testing.T) {
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	for name, row := range map[string]struct {
		env    map[string]string
		listen net.Addr
		want   string // part of the error; "": none
		double bool
	}{
		"nothing":             {nil, loopback, "", true},
		"a product":           {map[string]string{"SINGPASS_PRODUCT": "login"}, loopback, "", true},
		"some":                {map[string]string{"SINGPASS_CLIENT_ID": "x"}, loopback, "SINGPASS_KEYS", false},
		"a secret alone":      {map[string]string{"SESSION_SECRET": "x"}, loopback, "SINGPASS_CLIENT_ID", false},
		"not on loopback":     {nil, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}, "loopback", false},
		"a base elsewhere":    {map[string]string{"BASE_URL": "https://app.example"}, loopback, "BASE_URL", false},
		"another kind":        {nil, &net.UnixAddr{}, "TCP", false},
		"all that is wanted":  {map[string]string{"SINGPASS_PRODUCT": "login", "SINGPASS_ENVIRONMENT": "staging", "SINGPASS_CLIENT_ID": "x", "SINGPASS_KEYS": "x", "SESSION_SECRET": "x"}, loopback, "", false},
		"a variable is empty": {map[string]string{"SINGPASS_CLIENT_ID": ""}, loopback, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"SINGPASS_PRODUCT", "SINGPASS_ENVIRONMENT", "SINGPASS_CLIENT_ID", "SINGPASS_KEYS", "SESSION_SECRET", "BASE_URL"} {
				t.Setenv(variable, row.env[variable])
			}
			cfg, provider, err := singpasstest.ConfigFromEnv(row.listen)
			if provider != nil {
				defer provider.Close()
			}
			if (row.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.want) || (provider != nil) != row.double {
				t.Fatalf("got %v, %v", provider, err)
			}
			if !row.double {
				return
			}
			want := singpass.Myinfo
			if row.env["SINGPASS_PRODUCT"] != "" {
				want = singpass.Login
			}
			if cfg.Product != want || cfg.Issuer != provider.URL() {
				t.Errorf("got %v", cfg)
			}
			sp, err := singpass.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			sp.Close()
		})
	}
}
