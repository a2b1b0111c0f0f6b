package sgid

import (
	"crypto/rand"
	"fmt"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/baseerror"
)

// The length of a code verifier in characters, RFC 7636 section 4.1. The same applies to a nonce.
const (
	minLength = 43
	maxLength = 128
)

// PKCEPair is a code verifier, which is kept for the callback, and its S256 code challenge, RFC 7636 section 4.
type PKCEPair struct {
	CodeVerifier  string
	CodeChallenge string
}

// String returns the challenge, without the verifier.
func (p PKCEPair) String() string {
	return fmt.Sprintf("sgid.PKCEPair{CodeChallenge: %q}", p.CodeChallenge)
}

// GeneratePKCEPair returns a fresh pair whose verifier has length characters, 43 to 128. The error is
// [ErrPKCEPairLength].
func GeneratePKCEPair(length int) (PKCEPair, error) {
	if !within(length) {
		return PKCEPair{}, baseerror.Errorf("sgid: %w, not %d", ErrPKCEPairLength, length)
	}
	verifier := randomText(length)
	return PKCEPair{verifier, oauth2.S256ChallengeFromVerifier(verifier)}, nil
}

// GenerateCodeVerifier returns a fresh code verifier of length characters, 43 to 128. The error is
// [ErrCodeVerifierLength].
func GenerateCodeVerifier(length int) (string, error) {
	if !within(length) {
		return "", baseerror.Errorf("sgid: %w, not %d", ErrCodeVerifierLength, length)
	}
	return randomText(length), nil
}

// GenerateCodeChallenge returns the S256 code challenge of a verifier of 43 to 128 characters, RFC 7636 section 4.2. The
// error is [ErrCodeVerifierLength].
func GenerateCodeChallenge(verifier string) (string, error) {
	if !within(len(verifier)) {
		return "", baseerror.Errorf("sgid: %w, not %d", ErrCodeVerifierLength, len(verifier))
	}
	return oauth2.S256ChallengeFromVerifier(verifier), nil
}

// GenerateNonce returns a fresh nonce of length characters, 43 to 128. The error is [ErrNonceLength].
func GenerateNonce(length int) (string, error) {
	if !within(length) {
		return "", baseerror.Errorf("sgid: %w, not %d", ErrNonceLength, length)
	}
	return randomText(length), nil
}

func within(length int) bool { return length >= minLength && length <= maxLength }

// alphabet is that of base64url. Its 64 characters are unreserved (RFC 7636 section 4.1), and each encodes six random
// bits, so that all are equally likely.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func randomText(length int) string {
	text := make([]byte, length)
	_, _ = rand.Read(text) // it never fails
	for i, b := range text {
		text[i] = alphabet[b%64]
	}
	return string(text)
}
