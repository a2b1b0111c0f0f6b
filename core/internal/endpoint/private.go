package endpoint

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// byScheme sends what goes without TLS to addresses in a private network only, and everything else as usual.
type byScheme struct{ usual, plain *http.Transport }

func (t byScheme) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" {
		return t.usual.RoundTrip(r)
	}
	return t.plain.RoundTrip(r)
}

func (t byScheme) CloseIdleConnections() {
	t.usual.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// privateOnly makes t dial addresses in a private network and nothing else, and no proxy, which would resolve names by itself.
func privateOnly(t *http.Transport, resolver *net.Resolver) *http.Transport {
	dialer := net.Dialer{Timeout: 30 * time.Second, Resolver: resolver, ControlContext: refusePublic}
	t.Proxy, t.DialContext = nil, dialer.DialContext
	return t
}

// refusePublic is called with the address that a name was resolved to, just before it is connected to, so that a name server
// cannot answer otherwise in between.
func refusePublic(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !IsPrivate(to.Addr()) {
		return fmt.Errorf("http to %s is refused: it is neither in a private network nor on loopback", address)
	}
	return nil
}

// IsPrivate reports whether an address is private (RFC 1918, RFC 4193), link-local or on loopback.
func IsPrivate(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsLoopback()
}
