package adaptertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// encrypted sends requests over TLS with a client certificate, which guards must be able to see.
func encrypted(s *suite) {
	s.t.Helper()
	server, client := s.certificate("the server"), s.certificate("the client")
	addr := s.serveOn(func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequestClientCert})
	})
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Leaf)
	v := s.visitor(addr)
	v.transport.TLSClientConfig = &tls.Config{RootCAs: trusted, Certificates: []tls.Certificate{client}}
	v.scheme = "https"
	for _, target := range []string{"/suite/inspect?1", "/suite/inspect?2"} { // over one connection
		if e := v.do("GET", target, nil); !strings.Contains(e.body, "TLS true, with the client\n") {
			s.t.Errorf("over TLS, with the certificate of the client, a guard sees: %d %s", e.StatusCode, e.body)
		}
	}
	for name, row := range map[string]struct {
		certificate tls.Certificate
		status      int
	}{"its own": {client, 200}, "another": {server, 401}} { // RFC 8705 section 3
		token := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = suiteAPI }, idtest.BindCertificate(row.certificate.Certificate[0]))
		if e := v.do("GET", "/suite/certified", with(aProgram, "Authorization", "Bearer "+token)); e.StatusCode != row.status {
			s.t.Errorf("a token that is bound to %s certificate: %d %s", name, e.StatusCode, e.body)
		}
	}
}

// certificate makes a self-signed certificate, which is valid by the real clock: crypto/tls goes by that.
func (s *suite) certificate(name string) tls.Certificate {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{suiteHost},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
