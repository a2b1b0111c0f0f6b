package idserver

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// forwardedCertificates are where the certificate of a client comes from: its connection or, behind a proxy that is known by its
// address, a header field. The zero value is for no proxy.
type forwardedCertificates struct {
	field   string // in canonical form
	proxies []netip.Prefix
}

// newForwardedCertificates reads the settings, and says what is wrong with them.
func newForwardedCertificates(cfg *ResourceConfig) (f forwardedCertificates, err error) {
	f.field = http.CanonicalHeaderKey(cfg.InsecureCertificateField)
	switch {
	case f.field == "" && cfg.InsecureCertificateProxies == nil:
		return f, nil
	case f.field == "" || len(cfg.InsecureCertificateProxies) == 0:
		return f, errors.New("and InsecureCertificateProxies belong together")
	case !cfg.MTLS:
		return f, errors.New("is for MTLS, which is not set")
	case !isTokenField(f.field) || slices.Contains([]string{authorization, cfg.Header, http.CanonicalHeaderKey(proofHeader)}, f.field):
		return f, fmt.Errorf("%q: want the name of a header field of its own, such as Client-Cert", shown(f.field))
	}
	for _, text := range cfg.InsecureCertificateProxies {
		prefix, err := netip.ParsePrefix(text)
		if addr, errAddr := netip.ParseAddr(text); errAddr == nil {
			prefix, err = addr.Prefix(addr.BitLen())
		}
		if err != nil || prefix.Bits() == 0 || prefix.Addr().Zone() != "" {
			return f, fmt.Errorf("has the proxy %q: want an address such as 10.0.0.7, or a range such as 10.0.0.0/24", shown(text))
		}
		f.proxies = append(f.proxies, prefix.Masked())
	}
	return f, nil
}

// of returns the certificate of a request's client in DER, or nil if it has none. Behind a proxy, that of the connection is the
// proxy's own; from anywhere else, anybody may have written the field.
func (f *forwardedCertificates) of(r *Request) ([]byte, error) {
	if f.isProxy(r) {
		switch lines := r.values(f.field); len(lines) {
		case 0:
			return nil, nil
		case 1:
			return parseForwardedCertificate(lines[0])
		}
		return nil, errors.New("there is more than one " + f.field + " header field")
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	return r.TLS.PeerCertificates[0].Raw, nil
}

func (f *forwardedCertificates) isProxy(r *Request) bool {
	if f.field == "" || r.Remote == nil {
		return false
	}
	from, err := netip.ParseAddrPort(r.Remote.String())
	if err != nil {
		return false
	}
	addr := from.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(f.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// maxForwardedCertificate limits such a field, in bytes.
const maxForwardedCertificate = 16 << 10

var errForwardedCertificate = errors.New("the header field with the client's certificate cannot be read: want :base64: (RFC 9440), or PEM escaped as in a URL ($ssl_client_escaped_cert of nginx)")

// parseForwardedCertificate reads a certificate as proxies forward it: as Client-Cert does, RFC 9440 section 2.2, or in PEM, escaped as
// in a URL, as nginx does.
func parseForwardedCertificate(value string) ([]byte, error) {
	if len(value) > maxForwardedCertificate {
		return nil, errForwardedCertificate
	}
	var der []byte
	if encoded, ok := strings.CutPrefix(value, ":"); ok {
		encoded, ok := strings.CutSuffix(encoded, ":")
		if !ok || strings.ContainsAny(encoded, "\r\n") {
			return nil, errForwardedCertificate
		}
		var err error
		if der, err = base64.StdEncoding.Strict().DecodeString(encoded); err != nil {
			return nil, errForwardedCertificate
		}
	} else {
		text, err := url.PathUnescape(value) // + stands for itself in base64
		if err != nil {
			return nil, errForwardedCertificate
		}
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(block.Headers) > 0 || strings.TrimSpace(string(rest)) != "" || !strings.HasPrefix(text, "-----BEGIN") {
			return nil, errForwardedCertificate
		}
		der = block.Bytes
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return nil, errForwardedCertificate
	}
	return der, nil
}
