// Package devenv tells whether a program is configured at all, and whether only this machine can reach it: the two
// questions before a program may sign people in at a development provider of its own.
package devenv

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// IsLoopback reports whether a host, without a port, can only be this machine. Names under .localhost do not count,
// because not every system resolves them alike.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// IsLoopbackURL reports whether a URL can be reached from this machine only: where anyone may sign in must not be seen
// from elsewhere.
func IsLoopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && IsLoopback(u.Hostname())
}

// URLOf returns the URL at which a browser on this machine reaches an address.
func URLOf(address net.TCPAddr) string {
	if address.IP.IsUnspecified() {
		address.IP = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + address.String()
}

// OnOtherPort reports whether a URL leads to this machine and to another port than that of an address: a browser that is
// sent there may find nobody. Elsewhere a proxy may have any port.
func OnOtherPort(text string, address net.TCPAddr) bool {
	u, err := url.Parse(text)
	if err != nil || !IsLoopback(u.Hostname()) {
		return false
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return port != strconv.Itoa(address.Port)
}

// AnySet reports whether a variable of the environment that begins with one of the prefixes has a value.
func AnySet(prefixes ...string) bool {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		for _, prefix := range prefixes {
			if value != "" && strings.HasPrefix(name, prefix) {
				return true
			}
		}
	}
	return false
}
