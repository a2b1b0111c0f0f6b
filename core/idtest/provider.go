// Package idtest runs an OpenID provider inside a Go program, for tests and for development. It signs in made-up people
// without a password, and therefore listens on loopback only and answers only to loopback names.
//
// It behaves like Signward Identity Server: the paths under /connect/, the authorization code flow with PKCE S256 (RFC
// 6749, RFC 7636, OpenID Connect Core 1.0), rotating refresh tokens with reuse detection, RS256 access tokens (RFC 9068),
// revocation (RFC 7009), issuer identification (RFC 9207) and RP-initiated sign-out; clients authenticate with secrets or with keys (RFC
// 7523), may push their authorization requests (RFC 9126), ask for the tokens of another API (resource, RFC 8707) and have their tokens bound to a key (DPoP, RFC 9449). Package sgidtest has one that behaves like sgID, and [Dialect] makes others, such as one with a grace period for refresh tokens.
// In addition, a test can count requests, rotate keys, move the clock, edit every
// response and make every endpoint fail.
//
//	func TestSignIn(t *testing.T) {
//		provider := idtest.NewProvider(t)
//		token := provider.MintAccessToken("alice")
//		// provider.URL() is the authority, idtest.ExampleClient and idtest.ExampleSecret the client.
//	}
//
// # Tests that do not depend on the clock
//
// With [Options].InMemory the provider needs no network, and a test in a bubble of testing/synctest runs it and the
// application on the bubble's clock: a token that ends, a refresh and a provider that hangs take no real time, and no test
// fails because the machine is slow. The provider and the idserver.Client must be made in the bubble; the application's
// handler is called with net/http/httptest, without a listener. [Provider.Fail] has an example.
package idtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/devenv"
)

const maxBody = 64 << 10

// TB is what [NewProvider] needs of a *testing.T, *testing.B or *testing.F. It keeps package testing and its flags out of
// programs that import this package.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Provider is a running OpenID provider. All its methods are safe for concurrent use; a setting takes effect with the
// next request.
type Provider struct {
	options Options
	base    *url.URL
	client  *http.Client
	offset  atomic.Int64 // of the clock, a time.Duration

	authentication atomic.Pointer[Authentication]
	devices        devices

	registry registry
	grants   ledger
	opaque   opaqueTokens
	keys     keyring
	faults   faultTable
	hooks    hooks

	lastTokenRequest  recordedForm
	lastPushedRequest recordedForm
	assertions        usedOnce
	proofs            usedOnce
	nonces            nonces
	pushed            pushedRequests

	server    *http.Server
	listeners sync.WaitGroup
	done      chan struct{}
	closing   sync.Once
}

// NewProvider starts a provider on a free port of 127.0.0.1 and closes it when the test ends. The functions may edit its
// options before it starts. If the options are not valid, the test fails.
func NewProvider(t TB, configure ...func(*Options)) *Provider {
	t.Helper()
	var options Options
	for _, edit := range configure {
		edit(&options)
	}
	p, err := Start(options)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(p.Close)
	return p
}

// Start starts a provider that runs until [Provider.Close]. The error says which option is wrong, or that the address
// cannot be listened on.
func Start(options Options) (*Provider, error) {
	o, err := options.complete()
	if err != nil {
		return nil, fmt.Errorf("idtest: %w", err)
	}
	p := &Provider{options: o, done: make(chan struct{})}
	p.registry.fill(o.Clients, o.People)
	p.keys.algorithm = cmp.Or(o.Dialect.SigningAlgorithm, "RS256")
	p.keys.add(firstKey())
	listeners, err := p.listen()
	if err != nil {
		return nil, fmt.Errorf("idtest: Options.Addr: %w", err)
	}
	p.server = &http.Server{
		Handler:           p.guard(p.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       time.Minute,
	}
	if o.TLS { // net/http tells of each client that ends a handshake, and a test may want it to
		p.server.ErrorLog = log.New(io.Discard, "", 0)
	}
	for _, listener := range listeners {
		p.listeners.Go(func() { p.server.Serve(listener) })
	}
	return p, nil
}

// listen opens what the provider is reached by, and sets the base URL and the client that lead there.
func (p *Provider) listen() ([]net.Listener, error) {
	if p.options.InMemory {
		p.base = p.options.baseURL(0)
		listener := newMemory(hostAndPort(p.base))
		transport := listener.transport()
		p.client = &http.Client{Transport: transport}
		if p.options.TLS {
			transport.DialTLSContext, transport.TLSClientConfig = nil, trusting()
			return []net.Listener{encrypted(listener)}, nil
		}
		return []net.Listener{listener}, nil
	}
	listener, err := net.Listen("tcp", p.options.Addr)
	if err != nil {
		return nil, err
	}
	address := listener.Addr().(*net.TCPAddr)
	p.base = p.options.baseURL(address.Port)
	transport := p.transport(address)
	p.client = &http.Client{Transport: transport}
	listeners := []net.Listener{listener}
	// A browser may resolve "localhost" to ::1. A machine without IPv6 does not need the second listener.
	if other, err := net.Listen("tcp", otherLoopback(address)); err == nil {
		listeners = append(listeners, other)
	}
	if p.options.TLS {
		transport.TLSClientConfig = trusting()
		for i := range listeners {
			listeners[i] = encrypted(listeners[i])
		}
	}
	return listeners, nil
}

// hostAndPort returns the host of a URL with the port that a client dials.
func hostAndPort(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Host
	case u.Scheme == "https":
		return u.Host + ":443"
	}
	return u.Host + ":80"
}

func otherLoopback(address *net.TCPAddr) string {
	host := "::1"
	if address.IP.To4() == nil {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, fmt.Sprint(address.Port))
}

// transport reaches the provider however the machine resolves "localhost".
func (p *Provider) transport(address *net.TCPAddr) *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		MaxIdleConnsPerHost: 16,
		DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
			if target == p.base.Host && p.base.Port() == fmt.Sprint(address.Port) {
				target = address.String()
			}
			return dialer.DialContext(ctx, network, target)
		},
	}
}

// URL returns the issuer, which is also the base URL of every endpoint, without a trailing slash: "http://localhost:PORT"
// by default, or "http://localhost" in memory.
func (p *Provider) URL() string { return p.base.String() }

// HTTPClient returns a client that reaches the provider even where "localhost" is not 127.0.0.1. It uses no proxy and has
// no timeout. Its idle connections are closed with the provider.
func (p *Provider) HTTPClient() *http.Client { return p.client }

// Close stops the provider, closes its connections and ends the requests that a [Fault] holds. It may be called more than
// once.
func (p *Provider) Close() {
	p.closing.Do(func() {
		close(p.done)
		p.server.Close()
		p.client.CloseIdleConnections()
	})
	p.listeners.Wait()
}

// SetNow sets the provider's clock, which runs on from there. It determines the iat and exp of what is issued, and what
// has expired.
func (p *Provider) SetNow(now time.Time) {
	p.offset.Store(int64(now.Sub(p.options.Now())))
}

// Advance moves the provider's clock forward by d, or back if d is negative.
func (p *Provider) Advance(d time.Duration) { p.offset.Add(int64(d)) }

func (p *Provider) now() time.Time {
	return p.options.Now().Add(time.Duration(p.offset.Load()))
}

// guard applies to every request. It accepts only loopback names, because a page elsewhere could point its own name at
// this machine (DNS rebinding), and only small bodies.
func (p *Provider) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !devenv.IsLoopback(hostname(r.Host)) {
			problem(w, http.StatusMisdirectedRequest, "this development provider answers to loopback hosts only")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}

func (p *Provider) routes() http.Handler {
	const get, post = http.MethodGet, http.MethodPost
	mux := http.NewServeMux()
	endpoint := func(e Endpoint, handler http.HandlerFunc, methods ...string) {
		if p.path(e) == "" {
			return
		}
		at := p.base.Path + p.path(e)
		if e == AuthorizationServer { // RFC 8414 section 3.1: between the host and the path
			at = p.path(e) + p.base.Path
		}
		wrapped := p.faults.wrap(e, p.done, allow(handler, methods...))
		mux.Handle(at, wrapped)
		if p.options.TLS {
			mux.Handle(p.base.Path+mutualPath+p.path(e), wrapped)
		}
	}
	endpoint(Discovery, p.discovery, get)
	endpoint(AuthorizationServer, p.discovery, get)
	endpoint(KeySet, p.keySet, get)
	endpoint(Authorization, p.authorize, get, post)
	endpoint(Token, p.token, post)
	endpoint(PushedAuthorization, p.push, post)
	endpoint(Registration, p.register, post)
	endpoint(UserInfo, p.userInfo, get, post)
	if !p.options.Dialect.OpaqueAccessTokens {
		mux.Handle(p.base.Path+"/dev/token", allow(p.devToken, post))
	}
	endpoint(Revocation, p.revoke, post)
	endpoint(Introspection, p.introspect, post)
	endpoint(DeviceAuthorization, p.deviceAuthorization, post)
	endpoint(EndSession, p.endSession, get, post)
	mux.Handle(p.base.Path+"/device", allow(p.devicePage, get, post))
	mux.Handle(p.base.Path+"/{$}", allow(p.home, get))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "")
	})
	return mux
}

func allow(handler http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range methods {
			if r.Method == method || r.Method == http.MethodHead && method == http.MethodGet {
				handler(w, r)
				return
			}
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		problem(w, http.StatusMethodNotAllowed, "")
	}
}

// sameOrigin refuses what a page of another origin makes the browser post.
func sameOrigin(r *http.Request) error { return new(http.CrossOriginProtection).Check(r) }

// problem answers with a problem document, RFC 9457.
func problem(w http.ResponseWriter, status int, detail string) {
	members := map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status}
	if detail != "" {
		members["detail"] = detail
	}
	w.Header().Set("Content-Type", "application/problem+json")
	writeJSON(w, status, members)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // only what a test's own function put into a response
		http.Error(w, "idtest: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(body)
}
