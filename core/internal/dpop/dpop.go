// Package dpop makes and checks DPoP proofs (RFC 9449): with one, whoever sends a request shows that they hold the private key
// that an access token is bound to, so that the token alone is of no use to a thief.
//
// The package is pure: no network, no clock. Replays and nonces are remembered by its caller.
package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// Type is the typ of a proof, RFC 9449 section 4.2.
const Type = "dpop+jwt"

// MaxProof limits the size of a proof, in bytes, before any of it is decoded. One with an RSA key of 4096 bits has 2 kB.
const MaxProof = 8 << 10

// ErrProof means that a proof is not one, or not for this request.
var ErrProof = errors.New("the DPoP proof is not valid")

// Hash returns the ath of an access token, RFC 9449 section 4.2.
func Hash(accessToken string) string { return string(appendHash(nil, accessToken)) }

func appendHash(out []byte, accessToken string) []byte {
	sum := sha256.Sum256([]byte(accessToken))
	return base64.RawURLEncoding.AppendEncode(out, sum[:])
}
