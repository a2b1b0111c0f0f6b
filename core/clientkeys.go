package idserver

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// ClientKey is a private key of the application: one that it signs with, or one that the provider encrypts for. See
// Config.ClientKeys.
type ClientKey struct {
	// ID is the kid. Default: the key's SHA-256 thumbprint (RFC 7638).
	ID string
	// Use is "sig" for a key that signs, or "enc" for one that decrypts ID tokens and userinfo. Default: sig, or enc if
	// Algorithm is one of ECDH-ES or RSA-OAEP.
	Use string
	// Algorithm is the only one that the key is used with. Default, by the key: ES256, ES384, ES512, PS256 or EdDSA; to
	// decrypt, any of ECDH-ES, ECDH-ES+A128KW, ECDH-ES+A192KW and ECDH-ES+A256KW (RSA: RSA-OAEP, RSA-OAEP-256), of which the
	// longest is published. RS256 is for a provider that knows nothing newer.
	Algorithm string
	// Private is the key: an *ecdsa.PrivateKey on P-256, P-384 or P-521, an *rsa.PrivateKey of at least 2048 bits, an
	// ed25519.PrivateKey (sig), an *ecdh.PrivateKey (enc), or a key in a KMS or an HSM: any crypto.Signer for sig, and for
	// enc anything with its ECDH(*ecdh.PublicKey) ([]byte, error) and Public() crypto.PublicKey. It is called concurrently,
	// and its errors count as the provider's being away: 503.
	Private any
	// Certificate is the key's own, for a provider that finds the key by the header x5t#S256 of assertions (Entra). Its chain
	// and dates are not checked. Default: none, and no such header.
	Certificate *x509.Certificate
}

// String names the key and shows nothing of it.
func (k ClientKey) String() string {
	return fmt.Sprintf("idserver.ClientKey{ID: %q, Use: %q, Algorithm: %q}", k.ID, k.Use, k.Algorithm)
}

// ParseClientKeys reads private keys as environment variables hold them: a JSON Web Key Set or one JSON Web Key (RFC 7517), or
// PEM with one or more keys (PKCS #8, SEC 1, PKCS #1) and their certificates. Either may be in base64 or in quotes, and have \n
// in place of line breaks. A key that says nothing else signs. At most 32 keys, and 256 KiB. The error says of each key what is
// wrong with it, and contains nothing of the text. What Config wants of keys is checked by [New].
func ParseClientKeys(text string) ([]ClientKey, error) {
	parsed, err := jose.ParsePrivateKeys(text)
	if err != nil {
		return nil, baseerror.Errorf("idserver: client keys: %w", err)
	}
	var keys []ClientKey
	for _, key := range parsed {
		k := ClientKey{ID: key.ID, Use: key.Use, Algorithm: key.Algorithm, Private: key.Private}
		if key.Certificate != nil {
			if k.Certificate, err = x509.ParseCertificate(key.Certificate); err != nil {
				return nil, baseerror.Errorf("idserver: client keys: the certificate of %q: %w", key.ID, err)
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// PublicKeys returns the public halves of Config.ClientKeys as a JSON Web Key Set, for a provider's portal. The route
// jwks publishes the same. It returns nil if there are none.
func (c *Client) PublicKeys() []byte { return slices.Clone(c.provider.clientKeys.published) }

// clientKeys are Config.ClientKeys, ready for use.
type clientKeys struct {
	signer    *signingKey    // the first that signs; nil: none
	openers   []*jose.Opener // all that decrypt
	published []byte         // the JWK set; nil: there are no keys
}

// signingKey is a key that signs, with what its header says.
type signingKey struct {
	*jose.Signer
	id, certificate string
}

const (
	useSign    = "sig"
	useDecrypt = "enc"
)

// readClientKeys makes the keys ready. Each that cannot be used is an error of its own.
func readClientKeys(all []ClientKey) (ready clientKeys, faults []error) {
	seen := map[string]bool{}
	var elements [][]byte
	published := map[string]bool{}
	for i, key := range all {
		element, err := ready.add(&key, published)
		if err == nil && seen[key.ID] {
			err = errors.New("another key has the same kid")
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("[%d] (kid %q): %w", i, shown(key.ID), err))
			continue
		}
		seen[key.ID] = true
		if element != nil {
			elements = append(elements, element)
		}
	}
	if len(elements) > 0 {
		ready.published = slices.Concat([]byte(`{"keys":[`), joined(elements), []byte("]}\n"))
	}
	return ready, faults
}

func joined(elements [][]byte) (all []byte) {
	for i, element := range elements {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, element...)
	}
	return all
}

// add makes one key ready, fills in what it leaves out, and returns its public half, or nil if that is not published: of the
// keys that decrypt, only the first is, because the order of the list is how they are rotated.
func (c *clientKeys) add(key *ClientKey, published map[string]bool) ([]byte, error) {
	if key.Use == "" && jose.Decrypts(key.Algorithm) {
		key.Use = useDecrypt
	}
	var public crypto.PublicKey
	algorithm := key.Algorithm
	switch key.Use {
	case "", useSign:
		key.Use = useSign
		private, ok := key.Private.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("its Private is of type %T, which does not sign: want a private key, or a crypto.Signer", key.Private)
		}
		signer, err := jose.NewSigner(private, key.Algorithm)
		if err != nil {
			return nil, err
		}
		public, algorithm = signer.Public(), signer.Algorithm
		if key.ID == "" {
			key.ID = jose.Thumbprint(public)
		}
		if c.signer == nil {
			c.signer = &signingKey{signer, key.ID, ""}
			if key.Certificate != nil {
				sum := sha256.Sum256(key.Certificate.Raw)
				c.signer.certificate = base64.RawURLEncoding.EncodeToString(sum[:])
			}
		}
	case useDecrypt:
		opener, err := jose.NewOpener(key.Private, key.ID, key.Algorithm)
		if err != nil {
			return nil, err
		}
		public = opener.Public()
		if key.ID == "" {
			key.ID = jose.Thumbprint(public)
			opener.ID = key.ID
		}
		if algorithm == "" {
			algorithm = opener.Default()
		}
		c.openers = append(c.openers, opener)
		if len(c.openers) > 1 {
			return nil, checkCertificate(key, public)
		}
	default:
		return nil, fmt.Errorf("its use is %q: want %s or %s", shown(key.Use), useSign, useDecrypt)
	}
	if err := checkCertificate(key, public); err != nil {
		return nil, err
	}
	if thumbprint := jose.Thumbprint(public); published[thumbprint] {
		return nil, errors.New("the same key is in the list twice")
	} else {
		published[thumbprint] = true
	}
	return publicElement(key, public, algorithm)
}

func checkCertificate(key *ClientKey, public crypto.PublicKey) error {
	if key.Certificate == nil {
		return nil
	}
	if own, ok := key.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(public) {
		return errors.New("its certificate is of another key")
	}
	return nil
}

// publicElement is a key as it is published, RFC 7517 section 4.
func publicElement(key *ClientKey, public crypto.PublicKey, algorithm string) ([]byte, error) {
	out := jose.PublicJWK(public)
	out = out[:len(out)-1]
	for _, member := range []struct{ name, value string }{{"use", key.Use}, {"alg", algorithm}, {"kid", key.ID}} {
		var err error
		if out, err = strictjson.AppendString(append(append(append(out, `,"`...), member.name...), `":`...), member.value); err != nil {
			return nil, errors.New("its kid is not UTF-8")
		}
	}
	return append(out, '}'), nil
}

// checkClientKeys checks Config.ClientKeys, and what else says how the client proves who it is.
func (c *Config) checkClientKeys(faults *fault.List) {
	const field, variable = "ClientKeys", "IDSERVER_CLIENT_KEYS"
	keys, wrong := readClientKeys(c.ClientKeys)
	for _, err := range wrong {
		faults.Add(field, variable, "%w", err)
	}
	if (len(c.ClientKeys) > 0 || c.ClientAssertionFile != "" || c.ClientCertificate != nil) && c.ClientID == "" && c.BaseURL == "" { // with BaseURL, it is a fault of its own
		faults.Add("ClientID", "IDSERVER_CLIENT_ID", "is empty, and ClientKeys (IDSERVER_CLIENT_KEYS), ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE) and ClientCertificate (IDSERVER_CLIENT_CERTIFICATE_FILE) are those of a client: set its client_id")
	}
	file := c.ClientAssertionFile != ""
	c.checkAssertionFile(faults)
	c.checkClientCertificate(faults)
	p := &c.Provider
	switch method := p.ClientAuth; {
	case method != "" && !slices.Contains(clientAuthMethods, method):
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%q: want one of %q", method, clientAuthMethods)
	case method == privateKeyJWT && keys.signer == nil && !file && len(wrong) == 0:
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%s needs a key that signs: set ClientKeys (IDSERVER_CLIENT_KEYS), or ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE)", method)
	case method == spiffeJWT && !file:
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%s needs a JWT-SVID: set ClientAssertionFile (IDSERVER_CLIENT_ASSERTION_FILE)", method)
	case (method == tlsClientAuth || method == selfSignedTLS) && c.ClientCertificate == nil:
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%s needs a certificate: set ClientCertificate (IDSERVER_CLIENT_CERTIFICATE_FILE)", method)
	case method == noClientAuth && c.ClientSecret != "":
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%s would leave ClientSecret (IDSERVER_CLIENT_SECRET) unused: leave one of both out", method)
	case (method == clientSecretPost || method == clientSecretBasic) && c.ClientSecret == "" && (keys.signer != nil || file || c.ClientCertificate != nil):
		faults.Add("Provider.ClientAuth", "IDSERVER_CLIENT_AUTH", "%s needs ClientSecret (IDSERVER_CLIENT_SECRET), which is empty: leave it out, so that ClientKeys, ClientAssertionFile or ClientCertificate are used", method)
	}
	switch p.AssertionAudience {
	case "", assertionForTokenEndpoint:
	default:
		faults.Add("Provider.AssertionAudience", "", "%q: want %s, or nothing for the issuer", p.AssertionAudience, assertionForTokenEndpoint)
	}
}
