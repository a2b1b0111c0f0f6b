package idserver

import (
	"crypto/ed25519"
	"crypto/tls"
	"testing"
)

// A token is bound to the certificate of the connection that it was asked for in, which may be older than the newest one.
func TestPresentedBefore(t *testing.T) {
	t.Parallel()
	var presented []*tls.Certificate
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	next := 0
	c := newPresenter(func() (*tls.Certificate, error) {
		next++
		certificate := &tls.Certificate{Certificate: [][]byte{{byte(next)}}, PrivateKey: key}
		presented = append(presented, certificate)
		return certificate, nil
	})
	for range maxPresented + 1 {
		if _, err := c.certificate(nil); err != nil {
			t.Fatal(err)
		}
	}
	for i, certificate := range presented {
		if is, want := c.isOurs(thumbprintOf(certificate)), i > 0; is != want {
			t.Errorf("certificate %d of %d is ours: %t, want %t", i+1, len(presented), is, want)
		}
	}
	if c.isOurs("") {
		t.Error("no thumbprint is ours")
	}
}
