package idserver

import (
	"context"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/expiring"
	"github.com/signward/idserver-go/core/internal/fetched"
	"github.com/signward/idserver-go/core/internal/intern"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/keys"
	"github.com/signward/idserver-go/core/internal/memo"
)

// provider is the protocol at one provider: its metadata and keys, token requests, ID and access tokens, userinfo. It
// knows nothing of cookies, routes or guards. It is safe for concurrent use.
type provider struct {
	cfg         Config
	redirectURI string // for authorization requests that name none; "" in an API
	http        *endpoint.Client
	metadata    *fetched.Value[*metadata]
	keys        *keys.Set
	tenants     tenants
	headers     jose.Headers
	proven      *memo.Memo[proven] // nil: nothing is remembered
	streams     *endings.Streams
	revoked     *expiring.Set // access tokens that would otherwise be valid for a while, by signedHash
	audience    []string      // Config.Audience, shared by all remembered tokens
	scopeLists  intern.Table  // of remembered tokens
	clientIDs   intern.Table
	roles       claims.Roles
	notices     notices
	clientKeys  clientKeys
	presenter   *presenter // nil: there is no certificate
	nonces      dpopNonces

	closed atomic.Bool
	// introspects says that tokens are asked about, so that one that is no JWT may be accepted.
	introspects atomic.Bool
	closing     closing

	rolesConfigured bool // Config.RolesClaim is not the default
}

func newProvider(cfg Config) *provider {
	to := endpoint.Config{
		Client: cfg.HTTP.Client, InsecureSkipTLSVerify: cfg.HTTP.InsecureSkipTLSVerify, Timeout: cfg.HTTP.Timeout, Now: cfg.Now,
		PlainHTTP: len(cfg.InsecurePlainHTTP) > 0,
	}
	presenter := newPresenter(cfg.ClientCertificate)
	if presenter != nil {
		to.Certificate = presenter.certificate
	}
	p := &provider{
		cfg: cfg, http: endpoint.New(to), presenter: presenter,
		proven: memo.New[proven](cfg.TokenCacheBytes), audience: []string{cfg.Audience},
		roles:   claims.Roles{Places: claims.ParsePlaces(cfg.RolesClaim...), Separator: cfg.Provider.RolesSeparator},
		revoked: expiring.New(cfg.Now, maxRevoked), streams: endings.NewStreams(cfg.Now),
	}
	p.clientKeys, _ = readClientKeys(cfg.ClientKeys) // New has checked them
	p.tenants.listed, p.tenants.ask, p.tenants.now = cfg.Provider.Tenants, cfg.Provider.AdmitTenant, cfg.Now
	p.metadata = fetched.New(cfg.Now, mathrand.Float64, p.fetchMetadata)
	p.keys = keys.New(fetched.New(cfg.Now, mathrand.Float64, p.fetchKeys))
	return p
}

// close stops fetching, and waits for it to end.
func (p *provider) close() {
	p.closed.Store(true)
	p.closing.all()
	p.keys.Close()
	p.metadata.Close()
	p.proven.Clear()
	p.http.CloseIdleConnections()
	if p.presenter != nil {
		p.presenter.close()
	}
}

// closing is what ends with a provider besides its own work.
type closing struct {
	mu   sync.Mutex
	ends []func()
}

// alsoClose has end called when the provider is closed.
func (p *provider) alsoClose(end func()) {
	p.closing.mu.Lock()
	defer p.closing.mu.Unlock()
	p.closing.ends = append(p.closing.ends, end)
}

func (c *closing) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		end()
	}
}

func (p *provider) refetch(ctx context.Context) error {
	_, err := p.metadata.Refetch(ctx)
	if err == nil {
		_, err = p.keys.Refetch(ctx)
	}
	return err
}

func (p *provider) now() time.Time { return p.cfg.Now() }
