package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Limits of a text with private keys.
const (
	maxPrivateText = 256 << 10 // bytes
	maxPrivateKeys = 32
)

// PrivateKey is a private key of a set.
type PrivateKey struct {
	ID, Use, Algorithm string // as they are in the set: each may be empty
	Private            crypto.Signer
	Certificate        []byte // in DER; nil: none
}

// String names the key and nothing else.
func (k PrivateKey) String() string { return fmt.Sprintf("jose.PrivateKey{ID: %q}", k.ID) }

// GoString returns [PrivateKey.String].
func (k PrivateKey) GoString() string { return k.String() }

// ParsePrivateKeys parses private keys as environment variables hold them: a JSON Web Key Set or one JSON Web Key (RFC 7517),
// or PEM with one or more keys (PKCS #8, SEC 1, PKCS #1) and their certificates; any of them in base64, in quotes, or with \n
// in place of line breaks. The error joins what is wrong with each key, and contains none of the text itself.
func ParsePrivateKeys(text string) ([]PrivateKey, error) {
	if len(text) > maxPrivateText {
		return nil, fmt.Errorf("it is longer than %d bytes", maxPrivateText)
	}
	text = unquoted(text)
	if text == "" {
		return nil, errors.New("it is empty")
	}
	if !strings.Contains(text, pemBegin) { // whose letters would be base64 as well
		if decoded, ok := fromBase64(text); ok {
			text = unquoted(decoded)
		}
	}
	var keys []PrivateKey
	var err error
	switch {
	case strings.HasPrefix(text, "{"):
		keys, err = parsePrivateSet(text)
	case strings.Contains(text, pemBegin):
		keys, err = parsePrivatePEM(text)
	default:
		return nil, errors.New("it is neither a JSON Web Key Set ({\"keys\":[…]}) nor PEM (-----BEGIN PRIVATE KEY-----), nor one of them in base64")
	}
	if err == nil && len(keys) > maxPrivateKeys {
		return nil, fmt.Errorf("it has %d keys: want at most %d", len(keys), maxPrivateKeys)
	}
	return keys, err
}

// unquoted removes white space and one pair of quotes around a text.
func unquoted(text string) string {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	for _, quote := range []string{`"`, "'"} {
		if inner, ok := strings.CutPrefix(text, quote); ok && strings.HasSuffix(inner, quote) {
			text = strings.TrimSpace(strings.TrimSuffix(inner, quote))
			break
		}
	}
	return text
}

// fromBase64 decodes a text that is base64 and nothing else, in either alphabet, with padding or without, on any lines.
func fromBase64(text string) (string, bool) {
	text = strings.NewReplacer(`\r`, "", `\n`, "", "-", "+", "_", "/").Replace(text)
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(decoded) == 0 {
		return "", false
	}
	return string(decoded), true
}

// parsePrivateSet parses a JSON Web Key Set or one JSON Web Key. Where quotes and line breaks are escaped, as some tools write
// environment files, they are put back.
func parsePrivateSet(text string) ([]PrivateKey, error) {
	object, err := strictjson.ParseObject([]byte(text))
	if err != nil {
		text = strings.NewReplacer(`\"`, `"`, `\r`, "\n", `\n`, "\n").Replace(text)
		if object, err = strictjson.ParseObject([]byte(text)); err != nil {
			return nil, errors.New("it is not JSON: a part may be missing")
		}
	}
	elements := []strictjson.Raw{strictjson.Raw(text)}
	if object.Get("keys") != "" {
		if elements, err = strictjson.Elements([]byte(text), "keys"); err != nil {
			return nil, errors.New("its keys are not an array")
		}
	}
	if len(elements) == 0 {
		return nil, errors.New("there is no key in it")
	}
	var keys []PrivateKey
	var faults []error
	for i, element := range elements {
		key, err := parsePrivateJWK(element)
		if err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		keys = append(keys, key)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return keys, nil
}

// parsePrivateJWK parses a private JSON Web Key, RFC 7517 section 4, RFC 7518 sections 6.2 and 6.3, RFC 8037 section 2.
func parsePrivateJWK(element []byte) (PrivateKey, error) {
	var m *struct {
		Type        string   `json:"kty"`
		ID          string   `json:"kid"`
		Algorithm   string   `json:"alg"`
		Use         string   `json:"use"`
		Curve       string   `json:"crv"`
		D           string   `json:"d"`
		P           string   `json:"p"`
		Q           string   `json:"q"`
		Certificate []string `json:"x5c"`
	}
	if err := strictjson.Unmarshal(element, &m); err != nil || m == nil {
		return PrivateKey{}, errors.New("it is not a JSON Web Key")
	}
	key := PrivateKey{ID: m.ID, Use: m.Use, Algorithm: m.Algorithm}
	whole, err := strictjson.ParseObject(element)
	switch {
	case err != nil:
		return key, errors.New("it is not a JSON Web Key")
	case m.Type == "oct":
		return key, errors.New("it is symmetric: want a private key of EC, RSA or Ed25519")
	case m.D == "":
		return key, errors.New("it is a public key: the private one is wanted")
	}
	public, err := publicKey(material(whole))
	if err != nil {
		return key, err
	}
	d, err := decode(m.D)
	if err != nil {
		return key, errNoPair
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		key.Private, err = privateEC(public, d)
	case *rsa.PublicKey:
		key.Private, err = privateRSA(public, d, m.P, m.Q)
	case ed25519.PublicKey:
		if len(d) != ed25519.SeedSize || !ed25519.NewKeyFromSeed(d).Public().(ed25519.PublicKey).Equal(public) {
			return key, errNoPair
		}
		key.Private = ed25519.NewKeyFromSeed(d)
	}
	if err == nil && len(m.Certificate) > 0 {
		key.Certificate, err = certificateOf(m.Certificate[0], key.Private)
	}
	return key, err
}

var errNoPair = errors.New("its private part is not that of its public part")

// ellipticCurves are the curves of signature keys by their names.
var ellipticCurves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

func privateEC(public *ecdsa.PublicKey, d []byte) (crypto.Signer, error) {
	key, err := ecdsa.ParseRawPrivateKey(public.Curve, d)
	if err != nil || !key.PublicKey.Equal(public) {
		return nil, errNoPair
	}
	return key, nil
}

func privateRSA(public *rsa.PublicKey, d []byte, p, q string) (crypto.Signer, error) {
	p1, err := decode(p)
	q1, err2 := decode(q)
	if err != nil || err2 != nil || len(p1) == 0 || len(q1) == 0 {
		return nil, errors.New("RSA without its prime factors p and q")
	}
	key := &rsa.PrivateKey{
		PublicKey: *public, D: new(big.Int).SetBytes(d), Primes: []*big.Int{new(big.Int).SetBytes(p1), new(big.Int).SetBytes(q1)},
	}
	key.Precompute()
	if key.Validate() != nil {
		return nil, errNoPair
	}
	return key, nil
}

// certificateOf decodes a certificate of a key, in base64 as x5c has it.
func certificateOf(encoded string, private crypto.Signer) ([]byte, error) {
	der, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || !certifies(der, private) {
		return nil, errors.New("its certificate (x5c) is not of its key")
	}
	return der, nil
}

func certifies(der []byte, private crypto.Signer) bool {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return false
	}
	public, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(private.Public())
}

// pemPart is one block of a PEM text.
type pemPart struct{ label, body string }

// parsePrivatePEM parses the keys of a PEM text. A certificate belongs to the key that it certifies.
func parsePrivatePEM(text string) ([]PrivateKey, error) {
	parts, err := pemParts(text)
	if err != nil {
		return nil, err
	}
	var keys []PrivateKey
	var certificates [][]byte
	for i, part := range parts {
		fail := func(err error) ([]PrivateKey, error) { return nil, fmt.Errorf("block %d: %w", i+1, err) }
		switch {
		case part.label == "EC PARAMETERS": // openssl ecparam writes them before the key, which names its curve itself
			continue
		case strings.Contains(part.label, "ENCRYPTED") || strings.Contains(part.body, "ENCRYPTED"):
			return fail(errors.New("the key is encrypted with a passphrase: decrypt it first (openssl pkey)"))
		case strings.Contains(part.label, "PUBLIC KEY"):
			return fail(errors.New("it is a public key: the private one is wanted"))
		case part.label != "CERTIFICATE" && !strings.HasSuffix(part.label, "PRIVATE KEY"):
			return fail(fmt.Errorf("it is of the kind %q: a private key is wanted", printableLabel(part.label)))
		}
		der, err := base64.StdEncoding.Strict().DecodeString(part.body)
		if err != nil {
			return fail(errors.New("its text is not base64: a part may be missing"))
		}
		if part.label == "CERTIFICATE" {
			certificates = append(certificates, der)
			continue
		}
		private, err := privateDER(part.label, der)
		if err != nil {
			return fail(err)
		}
		keys = append(keys, PrivateKey{Private: private})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no private key in it")
	}
	for i := range keys {
		if j := slices.IndexFunc(certificates, func(der []byte) bool { return certifies(der, keys[i].Private) }); j >= 0 {
			keys[i].Certificate = bytes.Clone(certificates[j])
		}
	}
	return keys, nil
}

// privateDER parses a private key by the label of its block.
func privateDER(label string, der []byte) (crypto.Signer, error) {
	var parsed any
	var err error
	switch label {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(der)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(der)
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(der)
	default:
		return nil, fmt.Errorf("it is of the kind %q: a private key of EC, RSA or Ed25519 is wanted", printableLabel(label))
	}
	if err != nil {
		return nil, errors.New("it is not the private key that its first line says, or its curve is unknown")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("it is a key that does not sign: a private key of EC, RSA or Ed25519 is wanted")
	}
	return private, checkPublic(private.Public())
}

// pemParts splits a text into its PEM blocks, whatever became of the line breaks: see pemBlock.
func pemParts(text string) (parts []pemPart, err error) {
	for {
		begin := strings.Index(text, pemBegin)
		if begin < 0 {
			break
		}
		text = text[begin:]
		end := strings.Index(text, pemEnd)
		if end < 0 {
			return nil, errors.New("it is not PEM: -----END is missing")
		}
		rest := text[end+len(pemEnd):]
		dash := strings.Index(rest, pemDash)
		if dash < 0 {
			return nil, errors.New("it is not PEM: its last line breaks off")
		}
		label, body, err := pemBlock(text[:end+len(pemEnd)+dash+len(pemDash)])
		if err != nil {
			return nil, err
		}
		if parts = append(parts, pemPart{label, body}); len(parts) > 2*maxPrivateKeys {
			return nil, fmt.Errorf("it has more than %d blocks", 2*maxPrivateKeys)
		}
		text = rest[dash+len(pemDash):]
	}
	return parts, nil
}
