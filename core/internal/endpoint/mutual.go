package endpoint

import (
	"crypto/tls"
	"net/http"
)

// CanPresent reports whether a client's transport can be made to present a certificate: it is net/http's own.
func CanPresent(client *http.Client) bool {
	if client == nil || client.Transport == nil {
		return true
	}
	_, ok := client.Transport.(*http.Transport)
	return ok
}

// Presenting returns a copy of a transport that presents a certificate to whoever asks for one.
func Presenting(t *http.Transport, certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)) *http.Transport {
	t = t.Clone()
	if t.TLSClientConfig == nil {
		t.TLSClientConfig = new(tls.Config)
	}
	t.TLSClientConfig.GetClientCertificate = certificate
	return t
}

// ownTransport is what the client's requests over TLS are sent by.
func (c *Client) ownTransport() *http.Transport {
	switch t := c.http.Transport.(type) {
	case *http.Transport:
		return t
	case byScheme:
		return t.usual
	}
	return Transport()
}

// Transport returns a transport like net/http's own.
func Transport() *http.Transport { return transport(false) }

// Unsent marks an error because of which nothing was sent.
func Unsent(err error) error { return unsent{err} }
