package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// minRSA and maxRSA limit the size of an RSA key, in bits.
const (
	minRSA = 2048
	maxRSA = 16384
)

// ParseRSAPrivateKey parses an RSA private key in PEM, PKCS#1 (RFC 8017 appendix A.1.2) or PKCS#8 (RFC 5958). It accepts
// the forms that environment variables have: with \n in place of line breaks, on one line, in quotes, or with blank
// lines. The error for a key of another kind says which kind it is; no error contains any of the text itself.
func ParseRSAPrivateKey(text string) (*rsa.PrivateKey, error) {
	label, body, err := pemBlock(text)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.Contains(label, "ENCRYPTED") || strings.Contains(body, "ENCRYPTED"):
		return nil, errors.New("the key is encrypted with a passphrase: decrypt it first (openssl pkey)")
	case strings.Contains(label, "PUBLIC KEY"):
		return nil, errors.New("it is a public key: the private one is wanted")
	case label == "CERTIFICATE":
		return nil, errors.New("it is a certificate: the private key is wanted")
	case label != "PRIVATE KEY" && label != "RSA PRIVATE KEY":
		return nil, fmt.Errorf("it is of the kind %q: an RSA private key is wanted", printableLabel(label))
	}
	der, err := base64.StdEncoding.Strict().DecodeString(body)
	if err != nil {
		return nil, errors.New("its text is not base64: a part may be missing")
	}
	key, err := rsaPrivateKey(label, der)
	if err != nil {
		return nil, err
	}
	if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
		return nil, fmt.Errorf("it is an RSA key of %d bits: %d to %d are wanted", bits, minRSA, maxRSA)
	}
	return key, nil
}

func rsaPrivateKey(label string, der []byte) (*rsa.PrivateKey, error) {
	if label == "RSA PRIVATE KEY" {
		key, err := x509.ParsePKCS1PrivateKey(der)
		if err != nil {
			return nil, errors.New("it is not an RSA private key in PKCS#1, though its first line says so")
		}
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("it is not a private key in PKCS#8, though its first line says so")
	}
	switch key := parsed.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return nil, errors.New("it is an EC key: an RSA private key is wanted")
	case ed25519.PrivateKey:
		return nil, errors.New("it is an Ed25519 key: an RSA private key is wanted")
	}
	return nil, errors.New("it is a key of another type: an RSA private key is wanted")
}

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
	pemDash  = "-----"
)

// pemBlock finds the one PEM block of a text, RFC 7468, and returns its label and its body without white space.
// encoding/pem requires the line breaks that get lost in environment variables.
func pemBlock(text string) (label, body string, err error) {
	text = strings.NewReplacer(`\r`, "\n", `\n`, "\n").Replace(text)
	_, rest, ok := strings.Cut(text, pemBegin)
	label, rest, ok2 := strings.Cut(rest, pemDash)
	body, rest, ok3 := strings.Cut(rest, pemEnd)
	switch {
	case strings.TrimSpace(text) == "":
		return "", "", errors.New("it is empty")
	case !ok || !ok2 || !ok3 || !strings.HasPrefix(rest, label+pemDash):
		return "", "", errors.New("it is not PEM: it begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY----- and ends with the same of END")
	case strings.Contains(rest, pemBegin):
		return "", "", errors.New("there is more than one key in it")
	}
	return label, strings.Join(strings.Fields(body), ""), nil
}

// printableLabel keeps the characters that a label may have, RFC 7468 section 3.
func printableLabel(label string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, label[:min(len(label), 32)])
}
