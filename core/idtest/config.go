package idtest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/devenv"
)

// Config returns the configuration of an application at baseURL ("" for an API) that signs its users in at this provider,
// as the client [ExampleClient], with a fresh session secret. It uses the system clock: a test that moves the provider's
// clock with [Provider.Advance] should set Config.Now as well.
func (p *Provider) Config(baseURL string) idserver.Config {
	cfg := idserver.Config{
		Authority:    p.Issuer(),
		ClientID:     ExampleClient,
		ClientSecret: ExampleSecret,
		BaseURL:      baseURL,
		HTTP:         idserver.HTTPConfig{Client: p.HTTPClient()},
		Audience:     p.options.Audience,
	}
	if baseURL != "" {
		cfg.SessionSecret = rand.Text() + rand.Text()
	}
	return cfg
}

// ConfigFromEnv lets the example programs start without any setup. It returns [idserver.ConfigFromEnv] if any variable
// that begins with IDSERVER_ or SESSION_SECRET is set. If none is, it starts a provider, which runs as long as the
// program, and returns the configuration for that; it does so only if both the address listened on and BASE_URL are on
// loopback, so that a deployed program never signs in just anyone. BaseURL is BASE_URL, or else http:// and the address
// listened on. IDTEST_ACCESS_TTL sets the lifetime of that provider's access tokens, such as 15m.
func ConfigFromEnv(listen net.Addr) (idserver.Config, *Provider, error) {
	cfg := idserver.ConfigFromEnv()
	address, ok := listen.(*net.TCPAddr)
	if !ok {
		return cfg, nil, fmt.Errorf("idtest: ConfigFromEnv: want a TCP address, got %q", listen)
	}
	cfg.BaseURL = cmp.Or(cfg.BaseURL, devenv.URLOf(*address))
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/") // the programs append a path to it
	if devenv.OnOtherPort(cfg.BaseURL, *address) {
		slog.Warn("BASE_URL has another port than the one listened on: browsers are sent there", "BASE_URL", cfg.BaseURL, "ADDR", listen.String())
	}
	if devenv.AnySet("IDSERVER_", "SESSION_SECRET") {
		return cfg, nil, nil
	}
	if !address.IP.IsLoopback() {
		return cfg, nil, fmt.Errorf("IDSERVER_AUTHORITY is not set, and ADDR (%v) is not on loopback, where alone the development provider may run: set IDSERVER_AUTHORITY, IDSERVER_CLIENT_ID and SESSION_SECRET, or ADDR=127.0.0.1:8080", listen)
	}
	if !devenv.IsLoopbackURL(cfg.BaseURL) {
		return cfg, nil, fmt.Errorf("IDSERVER_AUTHORITY is not set, and BASE_URL (%s) is not on loopback, where alone the development provider may sign in: set IDSERVER_AUTHORITY, IDSERVER_CLIENT_ID and SESSION_SECRET", cfg.BaseURL)
	}
	options := Options{Registration: true} // as clients of an MCP server want it
	if ttl := os.Getenv("IDTEST_ACCESS_TTL"); ttl != "" {
		d, err := time.ParseDuration(ttl)
		if err != nil || d < time.Second {
			return cfg, nil, fmt.Errorf("IDTEST_ACCESS_TTL is %q: want a duration of at least a second, such as 15m", ttl)
		}
		options.AccessTTL = d
	}
	provider, err := Start(options)
	if err != nil {
		return cfg, nil, err
	}
	dev := provider.Config(cfg.BaseURL)
	dev.ApplicationName, dev.TrustedOrigins = cfg.ApplicationName, cfg.TrustedOrigins
	return dev, provider, nil
}
