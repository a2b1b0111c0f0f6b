package endpoint

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/nametest"
)

func TestIsPrivate(t *testing.T) {
	for address, want := range map[string]bool{
		"10.0.0.1": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "169.254.1.1": true, "127.0.0.1": true,
		"::1": true, "fd00::1": true, "fc00::1": true, "fe80::1": true, "fe80::1%eth0": true, "::ffff:10.0.0.1": true,
		"172.32.0.1": false, "192.169.0.1": false, "100.64.0.1": false, "8.8.8.8": false, "::ffff:8.8.8.8": false, "2001:db8::1": false,
		"fe00::1": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false,
	} {
		t.Run(address, func(t *testing.T) {
			if got := IsPrivate(netip.MustParseAddr(address)); got != want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// What a name is resolved to decides, when it is dialled.
func TestPlainHTTPIsPrivate(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	t.Setenv("HTTP_PROXY", "http://192.0.2.9:1") // resolves names by itself, so that it is not asked
	for name, row := range map[string]struct {
		address [4]byte
		refused string
	}{
		"loopback": {[4]byte{127, 0, 0, 1}, ""},
		"public":   {[4]byte{192, 0, 2, 1}, "http to 192.0.2.1:" + port + " is refused"},
		"any":      {[4]byte{0, 0, 0, 0}, "http to 0.0.0.0:" + port + " is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Config{PlainHTTP: true, Timeout: time.Minute, Now: time.Now, Resolver: nametest.ResolvesTo(row.address)})
			t.Cleanup(c.CloseIdleConnections)
			a, err := c.Do(t.Context(), Call{URL: "http://idp.test:" + port, Form: url.Values{}})
			switch {
			case row.refused == "" && (err != nil || a.Status != http.StatusOK):
				t.Errorf("got %v, %v", a, err)
			case row.refused != "" && (err == nil || !strings.Contains(err.Error(), row.refused)):
				t.Errorf("got %v, %v, want %s", a, err, row.refused)
			}
		})
	}
}

// Plain http does not change what goes by TLS.
func TestPlainHTTPLeavesTLSAlone(t *testing.T) {
	for _, plain := range []bool{false, true} {
		c := New(Config{PlainHTTP: plain, Timeout: time.Minute, Now: time.Now})
		rt := c.http.Transport
		if plain {
			rt = rt.(byScheme).usual
			if c.http.Transport.(byScheme).plain.Proxy != nil {
				t.Error("a proxy is asked")
			}
		}
		if rt.(*http.Transport).Proxy == nil {
			t.Errorf("PlainHTTP %v: no proxy over TLS", plain)
		}
	}
}
