package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/jose"
)

// signingAlgorithms are those of the keys that are made.
var signingAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "EdDSA"}

// runKeys makes a set of client keys and prints it, for IDSERVER_CLIENT_KEYS, and its public half, for a provider's portal. It
// returns the exit status.
func runKeys(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("idserver-dev keys", flag.ContinueOnError)
	flags.SetOutput(stderr)
	algorithm := flags.String("alg", "ES256", "algorithm of the key that signs: "+strings.Join(signingAlgorithms, ", "))
	decrypts := flags.Bool("enc", false, "make a key that decrypts too (ECDH-ES+A256KW, P-256), for a provider that encrypts ID tokens or userinfo")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err == nil && !slices.Contains(signingAlgorithms, *algorithm):
		err = fmt.Errorf("-alg %q: one of %s is wanted", *algorithm, strings.Join(signingAlgorithms, ", "))
	}
	if err != nil {
		fmt.Fprintln(stderr, "idserver-dev:", err)
		return 2
	}
	if err := printKeys(stdout, *algorithm, *decrypts); err != nil {
		fmt.Fprintln(stderr, "idserver-dev:", err)
		return 1
	}
	return 0
}

func printKeys(w io.Writer, algorithm string, decrypts bool) error {
	key, err := makeKey(algorithm)
	if err != nil {
		return err
	}
	set := []map[string]string{privateJWK(key, "sig", algorithm)}
	if decrypts {
		key, err := makeKey("ES256")
		if err != nil {
			return err
		}
		set = append(set, privateJWK(key, "enc", "ECDH-ES+A256KW"))
	}
	private, err := json.Marshal(map[string]any{"keys": set})
	if err != nil {
		return err
	}
	keys, err := idserver.ParseClientKeys(string(private))
	if err != nil {
		return err
	}
	client, err := idserver.New(idserver.Config{Authority: "https://provider.example", ClientID: "client", ClientKeys: keys, Audience: "none"})
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Fprintf(w, "# Private: keep it as you keep a password.\nexport IDSERVER_CLIENT_KEYS=%s\n\n", quote(string(private)))
	fmt.Fprintf(w, "# Public, for the provider; the application publishes the same at /auth/jwks.\n%s", client.PublicKeys())
	return nil
}

// makeKey makes a private key for a signature algorithm.
func makeKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "PS256":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[algorithm]
	return ecdsa.GenerateKey(curve, rand.Reader)
}

// privateJWK is a private JSON Web Key, RFC 7518 sections 6.2.2 and 6.3.2, RFC 8037 section 2.
func privateJWK(key crypto.Signer, use, algorithm string) map[string]string {
	jwk := map[string]string{}
	if err := json.Unmarshal(jose.PublicJWK(key.Public()), &jwk); err != nil {
		panic(err) // it was made here
	}
	jwk["use"], jwk["alg"], jwk["kid"] = use, algorithm, jose.Thumbprint(key.Public())
	encode := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			panic(err)
		}
		jwk["d"] = encode(d)
	case ed25519.PrivateKey:
		jwk["d"] = encode(key.Seed())
	case *rsa.PrivateKey:
		p := key.Precomputed
		jwk["d"], jwk["p"], jwk["q"] = encode(key.D.Bytes()), encode(key.Primes[0].Bytes()), encode(key.Primes[1].Bytes())
		jwk["dp"], jwk["dq"], jwk["qi"] = encode(p.Dp.Bytes()), encode(p.Dq.Bytes()), encode(p.Qinv.Bytes())
	}
	return jwk
}
