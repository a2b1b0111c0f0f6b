package sgidtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"

	"github.com/signward/idserver-go/core/idtest"
)

// Client is a relying party registered at the provider.
type Client struct {
	idtest.Client

	// EncryptionKey is the key that the client's userinfo is encrypted for. Without one, userinfo answers 500.
	EncryptionKey *rsa.PublicKey
}

// exampleKey is the key of the client of [Clients].
var exampleKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
})

// PrivateKey returns the private key of the client of [Clients], in PEM (PKCS#8). It is generated once in each process.
func PrivateKey() string {
	der, err := x509.MarshalPKCS8PrivateKey(exampleKey())
	if err != nil {
		panic(err) // an RSA key can always be encoded
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// Clients returns the client of the sgID example: [idtest.ExampleClient], with any loopback redirect_uri, whose key is
// [PrivateKey]. The caller may modify the slice.
func Clients() []Client {
	return []Client{{
		Client:        idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, AnyLoopbackRedirect: true},
		EncryptionKey: &exampleKey().PublicKey,
	}}
}
