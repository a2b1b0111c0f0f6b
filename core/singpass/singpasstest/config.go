package singpasstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/devenv"
	"github.com/signward/idserver-go/core/singpass"
)

// Keys returns the keys of the applications of [Provider.Config]: one that signs and one that decrypts. They are made once in each
// process.
func Keys() []idserver.ClientKey { return slices.Clone(keys()) }

var keys = sync.OnceValue(func() []idserver.ClientKey {
	var all []idserver.ClientKey
	for _, use := range []string{"sig", "enc"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err) // crypto/rand does not fail
		}
		all = append(all, idserver.ClientKey{ID: "example-" + use, Use: use, Private: key})
	}
	return all
})

// Config returns the configuration of an application at baseURL ("" for one without the routes) that signs its users in at this
// provider, as the client of [Clients] for a product, with a fresh session secret. Its keys must be registered: see [Provider.Register].
func (p *Provider) Config(product singpass.Product, baseURL string) singpass.Config {
	cfg := singpass.Config{Product: product, Environment: singpass.Staging, ClientID: LoginClient, Keys: Keys(), Issuer: p.URL()}
	switch product {
	case singpass.Myinfo:
		cfg.ClientID, cfg.Scopes = MyinfoClient, []string{"openid", "name"}
	case singpass.Corppass:
		cfg.ClientID, cfg.Scopes = CorppassClient, []string{"openid", "authinfo"}
	case singpass.MyinfoBusiness:
		cfg.ClientID, cfg.Scopes = MyinfoBusinessClient, []string{"openid", "entity.address"}
	}
	cfg.HTTP.Client = p.HTTPClient()
	if baseURL != "" {
		cfg.BaseURL, cfg.SessionSecret = baseURL, rand.Text()+rand.Text()
	}
	return cfg
}

// ConfigFromEnv lets the Singpass example start without any setup. It returns [singpass.ConfigFromEnv] if SINGPASS_PRODUCT,
// SINGPASS_ENVIRONMENT, SINGPASS_CLIENT_ID, SINGPASS_KEYS and SESSION_SECRET are all set, and an error if only some variables that
// begin with SINGPASS_ or SESSION_SECRET are, but for SINGPASS_PRODUCT alone. If none is, it starts a provider that behaves like Singpass, which
// runs as long as the program and fetches the application's keys at /auth/jwks, and returns the configuration for that, with the product of
// SINGPASS_PRODUCT, or else Myinfo; both the address listened on and BASE_URL must then be on loopback. BaseURL is
// BASE_URL, or else http:// and the address listened on.
func ConfigFromEnv(listen net.Addr) (singpass.Config, *Provider, error) {
	cfg := singpass.ConfigFromEnv()
	address, ok := listen.(*net.TCPAddr)
	if !ok {
		return cfg, nil, fmt.Errorf("singpasstest: ConfigFromEnv: want a TCP address, got %q", listen)
	}
	if cfg.BaseURL == "" {
		cfg.BaseURL = devenv.URLOf(*address)
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	wanted := []string{"SINGPASS_PRODUCT", "SINGPASS_ENVIRONMENT", "SINGPASS_CLIENT_ID", "SINGPASS_KEYS", "SESSION_SECRET"}
	missing := slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return os.Getenv(name) != "" })
	others := slices.ContainsFunc(os.Environ(), func(line string) bool {
		name, value, _ := strings.Cut(line, "=")
		return value != "" && name != "SINGPASS_PRODUCT" && (strings.HasPrefix(name, "SINGPASS_") || strings.HasPrefix(name, "SESSION_SECRET"))
	})
	switch {
	case len(missing) == 0:
		return cfg, nil, nil
	case others:
		return cfg, nil, fmt.Errorf("%s: not set, while other settings of Singpass are: set all of them, or none for the development provider", strings.Join(missing, ", "))
	case !address.IP.IsLoopback():
		return cfg, nil, fmt.Errorf("SINGPASS_CLIENT_ID is not set, and ADDR (%v) is not on loopback, where alone the development provider may run: set %s, or ADDR=127.0.0.1:8080", listen, strings.Join(wanted, ", "))
	case !devenv.IsLoopbackURL(cfg.BaseURL):
		return cfg, nil, fmt.Errorf("SINGPASS_CLIENT_ID is not set, and BASE_URL (%s) is not on loopback, where alone the development provider may sign in: set %s", cfg.BaseURL, strings.Join(wanted, ", "))
	}
	product := cfg.Product
	if product == "" {
		product = singpass.Myinfo
	}
	options := Options{Corppass: product == singpass.Corppass || product == singpass.MyinfoBusiness}
	clients := Clients()
	if options.Corppass {
		clients = CorppassClients()
	}
	for i := range clients {
		clients[i].JWKSURI = cfg.BaseURL + "/auth/jwks"
	}
	options.Clients = clients
	provider, err := Start(options)
	if err != nil {
		return cfg, nil, err
	}
	dev := provider.Config(product, cfg.BaseURL)
	dev.ApplicationName, dev.TrustedOrigins = cfg.ApplicationName, cfg.TrustedOrigins
	return dev, provider, nil
}
