package idserver

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"
)

var errNotHTTPS = errors.New("want https: http is allowed on loopback only")

// parseServerURL parses the URL of a server that is trusted: https, or http on loopback and at the servers of plain.
func parseServerURL(raw string, plain plainHTTP) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, errors.New("not a URL with a scheme and a host: want https://..., or http://... on loopback")
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !plain.lists(u):
		return nil, errNotHTTPS
	case u.User != nil || strings.Contains(raw, "#"):
		return nil, errors.New("want no user and no fragment")
	case strings.ContainsFunc(u.Host, func(c rune) bool { return c >= 0x80 }):
		return nil, fmt.Errorf("the host has letters beyond ASCII: write it as %s", asciiHost(u.Host))
	}
	return u, nil
}

// parseBaseURL parses a URL that others are made from by appending a path.
func parseBaseURL(raw string, plain plainHTTP) (*url.URL, error) {
	u, err := parseServerURL(raw, plain)
	switch {
	case err != nil:
		return nil, err
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("want no query")
	}
	if p := strings.TrimSuffix(u.EscapedPath(), "/"); p != "" && (path.Clean(p) != p || p == "/") {
		return nil, errors.New("want a plain path: no // and no .. in it")
	}
	return u, nil
}

// isLoopback decides by the name alone; nothing is resolved.
func isLoopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, ".")) // resolvers treat the two spellings as the same name
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// isUnspecified reports whether host is 0.0.0.0 or [::]: connecting to either reaches the machine itself.
func isUnspecified(host string) bool {
	addr, err := netip.ParseAddr(strings.TrimSuffix(host, "."))
	return err == nil && addr.Unmap().IsUnspecified()
}

// originOf returns the ASCII serialization of a URL's origin, RFC 6454 section 6.2.
func originOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + host
}
