package sgidtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/devenv"
	"github.com/signward/idserver-go/core/sgid"
)

// Config returns the configuration of an application at baseURL ("" for one without the routes) that signs its users in at
// this provider as the client of [Clients], with a fresh session secret.
func (p *Provider) Config(baseURL string) sgid.Config {
	cfg := sgid.Config{ClientID: idtest.ExampleClient, ClientSecret: idtest.ExampleSecret, PrivateKey: PrivateKey(), Hostname: p.URL()}
	cfg.HTTP.Client = p.HTTPClient()
	if baseURL != "" {
		cfg.BaseURL, cfg.SessionSecret = baseURL, rand.Text()+rand.Text()
	}
	return cfg
}

// ConfigFromEnv lets the sgID example start without any setup. It returns [sgid.ConfigFromEnv] if SGID_CLIENT_ID,
// SGID_CLIENT_SECRET, SGID_PRIVATE_KEY, SGID_HOSTNAME and SESSION_SECRET are all set, and an error if only some variables
// that begin with SGID_ or SESSION_SECRET are. If none is, it starts a provider that behaves like sgID, which runs as
// long as the program, and returns the configuration for that; both the address listened on and BASE_URL must then be on
// loopback. BaseURL is BASE_URL, or else http:// and the address listened on. IDTEST_SGID_ALGORITHMS, mockpass or
// fixtures, sets that provider's algorithms.
func ConfigFromEnv(listen net.Addr) (sgid.Config, *Provider, error) {
	cfg := sgid.ConfigFromEnv()
	address, ok := listen.(*net.TCPAddr)
	if !ok {
		return cfg, nil, fmt.Errorf("sgidtest: ConfigFromEnv: want a TCP address, got %q", listen)
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = devenv.URLOf(*address)
	}
	wanted := []string{"SGID_CLIENT_ID", "SGID_CLIENT_SECRET", "SGID_PRIVATE_KEY", "SGID_HOSTNAME", "SESSION_SECRET"}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return os.Getenv(name) != "" })
	switch {
	case len(missing) == 0:
		return cfg, nil, nil
	case devenv.AnySet("SGID_", "SESSION_SECRET"):
		return cfg, nil, fmt.Errorf("%s: not set, while other settings of sgID are: set all of them, or none for the development provider", strings.Join(missing, ", "))
	case !address.IP.IsLoopback():
		return cfg, nil, fmt.Errorf("SGID_CLIENT_ID is not set, and ADDR (%v) is not on loopback, where alone the development provider may run: set %s, or ADDR=127.0.0.1:8080", listen, strings.Join(wanted, ", "))
	case !devenv.IsLoopbackURL(cfg.BaseURL):
		return cfg, nil, fmt.Errorf("SGID_CLIENT_ID is not set, and BASE_URL (%s) is not on loopback, where alone the development provider may sign in: set %s", cfg.BaseURL, strings.Join(wanted, ", "))
	}
	var options Options
	switch os.Getenv("IDTEST_SGID_ALGORITHMS") {
	case "", "fixtures":
	case "mockpass":
		options.Algorithms = MockPass
	default:
		return cfg, nil, errors.New("IDTEST_SGID_ALGORITHMS: want fixtures or mockpass")
	}
	provider, err := Start(options)
	if err != nil {
		return cfg, nil, err
	}
	dev := provider.Config(cfg.BaseURL)
	dev.ApplicationName, dev.TrustedOrigins = cfg.ApplicationName, cfg.TrustedOrigins
	return dev, provider, nil
}
