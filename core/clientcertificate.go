package idserver

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// maxPresented is how many certificates are remembered that were presented: a connection may be older than the newest.
const maxPresented = 4

// presenter presents Config.ClientCertificate. It is safe for concurrent use.
type presenter struct {
	source func() (*tls.Certificate, error)

	mu        sync.Mutex
	presented []string                            // the thumbprints, the newest first
	copies    map[*http.Transport]*http.Transport // of bases, that present it to other APIs
}

// newPresenter returns nil if there is nothing to present.
func newPresenter(source func() (*tls.Certificate, error)) *presenter {
	if source == nil {
		return nil
	}
	return &presenter{source: source}
}

// certificate is called in each handshake in which a server asks for one.
func (c *presenter) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	certificate, err := c.current()
	if err != nil {
		return nil, endpoint.Unsent(err)
	}
	return certificate, nil
}

func (c *presenter) current() (*tls.Certificate, error) {
	certificate, err := c.source()
	if err == nil {
		err = checkPresentable(certificate)
	}
	if err != nil {
		return nil, fmt.Errorf("the client's certificate: %w", err)
	}
	thumbprint := thumbprintOf(certificate)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.presented, thumbprint) {
		c.presented = append([]string{thumbprint}, c.presented[:min(len(c.presented), maxPresented-1)]...)
	}
	return certificate, nil
}

func checkPresentable(certificate *tls.Certificate) error {
	switch {
	case certificate == nil || len(certificate.Certificate) == 0:
		return errors.New("there is none")
	case certificate.PrivateKey == nil:
		return errors.New("it has no private key")
	}
	return nil
}

// thumbprintOf is the x5t#S256 of a certificate, RFC 8705 section 3.1.
func thumbprintOf(certificate *tls.Certificate) string {
	sum := sha256.Sum256(certificate.Certificate[0])
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// isOurs reports whether a thumbprint is that of a certificate of ours.
func (c *presenter) isOurs(thumbprint string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.presented, thumbprint)
}

// maxCopies limits the copies of transports, each of which has connections of its own.
const maxCopies = 16

// copied returns a copy of a base that presents the certificate, the same one each time; nil if base cannot be copied.
func (c *presenter) copied(base http.RoundTripper) http.RoundTripper {
	t, ok := base.(*http.Transport)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.copies == nil || len(c.copies) >= maxCopies && c.copies[t] == nil {
		c.closeCopies()
		c.copies = map[*http.Transport]*http.Transport{}
	}
	if c.copies[t] == nil {
		c.copies[t] = endpoint.Presenting(t, c.certificate)
	}
	return c.copies[t]
}

func (c *presenter) closeCopies() {
	for _, t := range c.copies {
		t.CloseIdleConnections()
	}
}

func (c *presenter) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeCopies()
}

var (
	errOtherCertificate   = errors.New("the access token is bound to another certificate than the client's")
	errNoBoundCertificate = errors.New("the access token is not bound to the client's certificate, as Config.Profile (IDSERVER_PROFILE) wants it without DPoP")
)

// checkBinding checks that the access token is bound to the certificate, if it says what it is bound to: RFC 8705 section 3.1. What is no
// JWT does not say. With required, one that is bound to nothing is a downgrade.
func (c *presenter) checkBinding(accessToken string, required bool) error {
	switch thumbprint, isJWT := certificateOf(accessToken); {
	case !isJWT:
		return nil
	case thumbprint == "" && required:
		return errNoBoundCertificate
	case thumbprint != "" && !c.isOurs(thumbprint):
		return errOtherCertificate
	}
	return nil
}

// mayBind reports whether an access token that the provider issued to us is bound to the certificate, or does not say what it is
// bound to.
func (c *presenter) mayBind(accessToken string) bool {
	thumbprint, isJWT := certificateOf(accessToken)
	return !isJWT || thumbprint != ""
}

// certificateOf returns the thumbprint of the certificate that an access token is bound to: "" if it is bound to none.
func certificateOf(accessToken string) (thumbprint string, isJWT bool) {
	message, err := jose.Parse(accessToken)
	if err != nil {
		return "", false
	}
	object, err := strictjson.ParseObject(message.Payload)
	if err != nil {
		return "", false
	}
	cnf := object.Get("cnf")
	if cnf == "" {
		return "", true
	}
	if object, err = strictjson.ParseObject([]byte(cnf)); err != nil {
		return "", true
	}
	thumbprint, _ = strictjson.String(object.Get("x5t#S256"))
	return thumbprint, true
}

// checkClientCertificate checks Config.ClientCertificate.
func (c *Config) checkClientCertificate(faults *fault.List) {
	const field, variable = "ClientCertificate", "IDSERVER_CLIENT_CERTIFICATE_FILE"
	if c.ClientCertificate == nil {
		return
	}
	certificate, err := c.ClientCertificate()
	if err == nil {
		err = checkPresentable(certificate)
	}
	if err != nil {
		faults.Add(field, variable, "cannot be used: %w", err)
	}
	if u, err := url.Parse(c.Authority); err == nil && u.Scheme == "http" {
		faults.Add(field, variable, "is presented over TLS alone, and Authority (IDSERVER_AUTHORITY) is %q", c.Authority)
	}
	if !endpoint.CanPresent(c.HTTP.Client) {
		faults.Add("HTTP.Client", "", "has a transport of type %T, which cannot be made to present ClientCertificate: want an *http.Transport", c.HTTP.Client.Transport)
	}
}

// certificateFromEnv reads a certificate and its key from two files, or from one that has both; nil if no file is set.
func certificateFromEnv(faults *fault.List, field, variable, keyVariable string) func() (*tls.Certificate, error) {
	file, key := strings.TrimSpace(os.Getenv(variable)), strings.TrimSpace(os.Getenv(keyVariable))
	switch {
	case file == "" && key != "":
		faults.Add(field, variable, "is empty, and %s is set: set both, or %[2]s to a file that has both", keyVariable, variable)
		return nil
	case file == "":
		return nil
	case key == "":
		key = file
	}
	return func() (*tls.Certificate, error) { return readCertificate(file, key) }
}

// maxCertificateFile limits a file with certificates or a key, in bytes.
const maxCertificateFile = 256 << 10

// readCertificate reads the files for each handshake: a certificate that is replaced needs no restart.
func readCertificate(file, key string) (*tls.Certificate, error) {
	chain, err := readBounded(file, maxCertificateFile)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", file, err)
	}
	private, err := readBounded(key, maxCertificateFile)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	certificate, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return nil, fmt.Errorf("%q and %q: %w", file, key, err)
	}
	return &certificate, nil
}
