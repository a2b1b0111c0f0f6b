package idtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// mutualPath is below the base URL what the paths of endpoints are below that count client certificates.
const mutualPath = "/mtls"

// mutual are the endpoints that the metadata has among mtls_endpoint_aliases, RFC 8705 section 5.
var mutual = map[string]Endpoint{
	"token_endpoint": Token, "userinfo_endpoint": UserInfo, "revocation_endpoint": Revocation, "introspection_endpoint": Introspection,
	"pushed_authorization_request_endpoint": PushedAuthorization,
}

// serverCertificate is what providers with Options.TLS present. Nobody but their own clients trusts it.
var serverCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idtest"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, // not by the clock of a test, which may be anywhere
		NotBefore:   time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

// encrypted makes a listener one of TLS, which asks clients for a certificate and takes any: what it is worth is decided later.
func encrypted(l net.Listener) net.Listener {
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{serverCertificate()}, ClientAuth: tls.RequestClientCert})
}

// trusting is the configuration of a client of such a provider.
func trusting() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(serverCertificate().Leaf)
	return &tls.Config{RootCAs: pool}
}

// certificate returns the client's certificate, where it counts.
func (p *Provider) certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || !strings.HasPrefix(r.URL.Path, p.base.Path+mutualPath+"/") {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// at is the URL of an endpoint at which a request came.
func (p *Provider) at(r *http.Request, e Endpoint) string {
	if strings.HasPrefix(r.URL.Path, p.base.Path+mutualPath+"/") {
		return p.URL() + mutualPath + p.path(e)
	}
	return p.URL() + p.path(e)
}

func (c Client) hasCertificate() bool {
	return len(c.Certificates) > 0 || c.CertificateAuthority != nil
}

// checkCertificate authenticates a client by its certificate: one that is registered (RFC 8705 section 2.2), or one that the
// authority has issued for the subject (section 2.1).
func (p *Provider) checkCertificate(client Client, r *http.Request) error {
	presented := p.certificate(r)
	if presented == nil {
		return errors.New("the client presents no certificate, or not at an endpoint of mtls_endpoint_aliases")
	}
	for _, registered := range client.Certificates {
		if presented.Equal(registered) {
			return nil
		}
	}
	if client.CertificateAuthority == nil {
		return errors.New("the client's certificate is not one that is registered")
	}
	roots := x509.NewCertPool()
	roots.AddCert(client.CertificateAuthority)
	_, err := presented.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: p.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	switch {
	case err != nil:
		return fmt.Errorf("the client's certificate: %w", err)
	case presented.Subject.String() != client.CertificateSubject:
		return fmt.Errorf("the client's certificate is of %q, want %q", presented.Subject, client.CertificateSubject)
	}
	return nil
}

// boundCertificate is in place of the thumbprint of a key where a token is bound to a certificate.
const boundCertificate = "x5t#S256 "

// bindingTo returns what tokens are bound to, RFC 8705 section 3.1.
func bindingTo(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return boundCertificate + base64url.EncodeToString(sum[:])
}

// confirmation is the cnf of a token that is bound.
func confirmation(binding string) map[string]any {
	if thumbprint, ok := strings.CutPrefix(binding, boundCertificate); ok {
		return map[string]any{"x5t#S256": thumbprint}
	}
	return map[string]any{"jkt": binding} // RFC 9449 section 6.1
}

// bindingOf is what a cnf binds a token to.
func bindingOf(cnf map[string]any) string {
	if thumbprint, ok := cnf["x5t#S256"].(string); ok {
		return boundCertificate + thumbprint
	}
	jkt, _ := cnf["jkt"].(string)
	return jkt
}

func isBoundToCertificate(binding string) bool { return strings.HasPrefix(binding, boundCertificate) }

// wantsCertificate reports whether a client's tokens are bound to its certificate.
func (p *Provider) wantsCertificate(client Client) bool {
	return client.CertificateBound || p.options.Dialect.CertificateBound
}
