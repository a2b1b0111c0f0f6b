package dpop

import (
	"crypto/ecdsa"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Life is how long a proof says that it is valid (exp), which RFC 9449 does not need, and Singpass demanded for a while.
const Life = time.Minute

// Key is the private key of proofs, on P-256: all that is needed to make them. It is safe for concurrent use.
type Key struct {
	private *ecdsa.PrivateKey
	signer  *jose.Signer
	public  []byte // as JWK
}

// NewKey makes a key of random bytes.
func NewKey(random io.Reader) (*Key, error) {
	private, err := jose.NewECKey(random)
	if err != nil {
		return nil, err
	}
	return keyOf(private)
}

// ParseKey makes the key again that [Key.Bytes] returned.
func ParseKey(d []byte) (*Key, error) {
	private, err := jose.ParseECKey(d)
	if err != nil {
		return nil, err
	}
	return keyOf(private)
}

func keyOf(private *ecdsa.PrivateKey) (*Key, error) {
	signer, err := jose.NewSigner(private, "ES256")
	if err != nil {
		return nil, err
	}
	return &Key{private, signer, jose.PublicJWK(signer.Public())}, nil
}

// Bytes returns the private key, to be kept where only its owner reads it.
func (k *Key) Bytes() ([]byte, error) { return k.private.Bytes() }

// Thumbprint is what tokens are bound to: the jkt of RFC 9449 section 6.1.
func (k *Key) Thumbprint() string { return jose.Thumbprint(k.signer.Public()) }

// String, GoString and LogValue show nothing of the key.
func (k *Key) String() string       { return "dpop.Key{…}" }
func (k *Key) GoString() string     { return k.String() }
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Proof is what a proof is for.
type Proof struct {
	Method      string
	URL         string // query and fragment are left out
	AccessToken string // that is sent with it; "" at the token endpoint and before
	Nonce       string // that the server asked for; "": none
	ID          string // jti, never used before
	Now         time.Time
}

// Make makes the proof for one request, RFC 9449 section 4.2.
func Make(k *Key, p Proof) (string, error) {
	target := p.URL
	if i := strings.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	out := make([]byte, 0, 256+len(target)+len(p.Nonce))
	var err error
	for _, member := range [...]struct{ name, value string }{{`{"jti":`, p.ID}, {`,"htm":`, p.Method}, {`,"htu":`, target}, {`,"nonce":`, p.Nonce}} {
		if member.value == "" {
			continue
		}
		if out, err = strictjson.AppendString(append(out, member.name...), member.value); err != nil {
			return "", err
		}
	}
	out = strconv.AppendInt(append(out, `,"iat":`...), p.Now.Unix(), 10)
	out = strconv.AppendInt(append(out, `,"exp":`...), p.Now.Add(Life).Unix(), 10)
	if p.AccessToken != "" {
		out = append(appendHash(append(out, `,"ath":"`...), p.AccessToken), '"')
	}
	return k.signer.Sign(jose.SigningHeader{Type: Type, Key: k.public}, append(out, '}'))
}
