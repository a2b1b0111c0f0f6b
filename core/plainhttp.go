package idserver

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/fault"
)

// plainHTTP are servers for which http is allowed although they are not on loopback, each as host:port.
type plainHTTP []string

// lists reports whether u is http at one of the servers. The port of http://app is 80.
func (p plainHTTP) lists(u *url.URL) bool {
	if u.Scheme != "http" {
		return false
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	server := net.JoinHostPort(u.Hostname(), port)
	return slices.ContainsFunc(p, func(listed string) bool { return strings.EqualFold(listed, server) })
}

// checkPlainHTTP checks Config.InsecurePlainHTTP. Where a name leads to is only known when it is dialled.
func (c *Config) checkPlainHTTP(faults *fault.List) {
	const field, variable = "InsecurePlainHTTP", "IDSERVER_INSECURE_PLAIN_HTTP"
	for _, server := range c.InsecurePlainHTTP {
		host, ok := splitServer(server)
		addr, err := netip.ParseAddr(host)
		switch {
		case !ok:
			faults.Add(field, variable, "has %q: want a host and a port, such as keycloak:8080", server)
		case err == nil && !endpoint.IsPrivate(addr):
			faults.Add(field, variable, "has %q, which is neither a private address nor loopback: use https", server)
		}
	}
	if c.HTTP.Client == nil {
		return
	}
	for _, e := range append([]namedURL{{"Authority", c.Authority}}, c.Provider.Endpoints.named()...) {
		if u, err := parseServerURL(e.url, c.InsecurePlainHTTP); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			faults.Add(field, variable, "allows %q (%s) at a private address only, which an HTTP.Client of your own does not check: leave it out", e.url, e.field)
			return
		}
	}
}

// splitServer reports whether text is exactly host:port, and returns the host.
func splitServer(text string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || strings.ContainsFunc(host, isNotOfHost) || net.JoinHostPort(host, port) != text {
		return "", false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// isNotOfHost reports whether c is in no name and no address that a URL may have.
func isNotOfHost(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._:", c))
}
