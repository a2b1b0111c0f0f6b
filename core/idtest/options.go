package idtest

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/devenv"
)

// Options configure a [Provider]. The zero value is a provider with the example clients and people on a free port.
type Options struct {
	// Addr is the address to listen on, a loopback host and a port; port 0 means any free port. "localhost" means
	// 127.0.0.1. If the port is also free on the other of 127.0.0.1 and [::1], the provider listens there too. Default:
	// "127.0.0.1:0".
	Addr string

	// InMemory runs the provider without a network: nothing listens, and only the client of [Provider.HTTPClient] reaches
	// it. A test in a bubble of testing/synctest can then use the provider and an idserver.Client with the bubble's clock;
	// both must be made in the bubble. Addr must be empty. BaseURL is "http://localhost" by default, and gets no port.
	InMemory bool

	// TLS serves https with a certificate that only the client of [Provider.HTTPClient] trusts, and asks clients for theirs, which
	// count at the endpoints of mtls_endpoint_aliases (RFC 8705 section 5). BaseURL must be https, and is "https://localhost" by
	// default.
	TLS bool

	// BaseURL is the issuer and the base of every endpoint: http or https, with the host localhost, one in 127.0.0.0/8 or
	// [::1], and optionally a path. If it has no port, it gets the one that is listened on. Default: "http://localhost",
	// so that an app at 127.0.0.1 does not share cookies with it.
	BaseURL string

	// Clients are the registered clients. Default: [Clients].
	Clients []Client

	// People are those who can be signed in. Default: [People].
	People []Person

	// Registration lets anybody register a client (RFC 7591), as clients of MCP servers do. Redirect URIs must be https, http at
	// a loopback address, or of a scheme of the application's own.
	Registration bool

	// Dialect is how the provider differs from Signward Identity Server. Default: in nothing.
	Dialect Dialect

	// Audience is the aud claim of access tokens, unless the client asks for those of another API (resource, RFC 8707).
	// Default: "idserver-api".
	Audience string

	// AccessTTL is the lifetime of access tokens, at least a second. Default: 15 minutes.
	AccessTTL time.Duration

	// RefreshTTL is the lifetime of an unused refresh token, at least a second. Default: 24 hours.
	RefreshTTL time.Duration

	// Now is the clock. It is called concurrently. Default: time.Now.
	Now func() time.Time
}

const (
	codeTTL    = time.Minute
	idTokenTTL = 15 * time.Minute
)

// complete validates the options and fills in the defaults.
func (o Options) complete() (Options, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("Options."+format, args...)) }

	if o.InMemory && o.Addr != "" {
		fault("Addr %q: with InMemory there is nothing to listen on", o.Addr)
	}
	o.Addr = cmp.Or(o.Addr, "127.0.0.1:0")
	if o.TLS {
		o.BaseURL = cmp.Or(o.BaseURL, "https://localhost")
	}
	o.BaseURL = cmp.Or(o.BaseURL, "http://localhost")
	if o.TLS && !strings.HasPrefix(strings.ToLower(o.BaseURL), "https:") {
		fault("BaseURL %q: with TLS, https is wanted", o.BaseURL)
	}
	o.Audience = cmp.Or(o.Audience, "idserver-api")
	o.AccessTTL = cmp.Or(o.AccessTTL, 15*time.Minute)
	o.RefreshTTL = cmp.Or(o.RefreshTTL, 24*time.Hour)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Clients == nil {
		o.Clients = Clients()
	}
	if o.People == nil {
		o.People = People()
	}

	switch host, port, err := net.SplitHostPort(o.Addr); {
	case err != nil:
		fault("Addr %q: a host and a port are wanted, such as 127.0.0.1:9000", o.Addr)
	case !devenv.IsLoopback(host):
		fault("Addr %q is not on loopback: a provider that signs in anyone must not be reached from elsewhere", o.Addr)
	case strings.EqualFold(host, "localhost"):
		o.Addr = net.JoinHostPort("127.0.0.1", port)
	}
	if err := checkBaseURL(o.BaseURL); err != nil {
		fault("BaseURL %q: %w", o.BaseURL, err)
	}
	if o.AccessTTL < time.Second {
		fault("AccessTTL is %v, at least 1s is wanted", o.AccessTTL)
	}
	if o.RefreshTTL < time.Second {
		fault("RefreshTTL is %v, at least 1s is wanted", o.RefreshTTL)
	}
	if o.Dialect.RefreshGrace < 0 {
		fault("Dialect.RefreshGrace is %v, at least 0 is wanted", o.Dialect.RefreshGrace)
	}
	if a := o.Dialect.SigningAlgorithm; a != "" && signingMethods[a] == nil {
		fault("Dialect.SigningAlgorithm %q: RS256, PS256 or ES256 is wanted", a)
	}
	for e, path := range o.Dialect.Paths {
		if paths[e] == "" || !isPlainPath(path) {
			fault("Dialect.Paths[%q] %q: an endpoint and a plain path are wanted", e, path)
		}
	}
	ids := map[string]bool{}
	for i, client := range o.Clients {
		if client.ID == "" || ids[client.ID] {
			fault("Clients[%d].ID %q: it must be there, and once", i, client.ID)
		}
		ids[client.ID] = true
	}
	logins := map[string]bool{}
	for i, person := range o.People {
		if person.Login == "" || logins[person.Login] {
			fault("People[%d].Login %q: it must be there, and once", i, person.Login)
		}
		logins[person.Login] = true
	}
	return o, errors.Join(faults...)
}

func checkBaseURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("its scheme must be http or https")
	case !devenv.IsLoopback(u.Hostname()):
		return errors.New("its host must be localhost, in 127.0.0.0/8 or [::1]")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("it may have a host, a port and a path, and nothing else")
	}
	if base := strings.TrimRight(u.Path, "/"); base != "" && !isPlainPath(base) {
		return errors.New("its path must be plain")
	}
	return nil
}

// isPlainPath reports whether a path means itself to an http.ServeMux.
func isPlainPath(text string) bool {
	return strings.HasPrefix(text, "/") && path.Clean(text) == text && !strings.ContainsAny(text, "{} ")
}

// baseURL returns BaseURL without a trailing slash, and with a port unless port is 0; complete has checked it.
func (o Options) baseURL(port int) *url.URL {
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		panic(err)
	}
	if u.Port() == "" && port != 0 {
		u.Host = net.JoinHostPort(u.Hostname(), fmt.Sprint(port))
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u
}
