package sgid

import (
	"errors"
	"fmt"

	idserver "github.com/signward/idserver-go/core"
)

// The kinds of faults, for errors.Is, beside those of package idserver: ErrTokenEndpoint, ErrNoAccessToken, ErrNoIDToken,
// ErrInvalidToken with a Reason, ErrDiscovery for the key set, ErrUserInfo, and ErrUnavailable for what may pass. README.md has the table.
// No error holds a token, a code, a key or a value of a person.
var (
	// ErrPrivateKey: Config.PrivateKey is not an RSA private key of at least 2048 bits.
	ErrPrivateKey = errors.New("the private key cannot be used")
	// ErrCodeVerifierLength, ErrPKCEPairLength and ErrNonceLength: a length that is not 43 to 128.
	ErrCodeVerifierLength = errors.New("a code verifier has 43 to 128 characters")
	ErrPKCEPairLength     = errors.New("the code verifier of a PKCE pair has 43 to 128 characters")
	ErrNonceLength        = errors.New("a nonce has 43 to 128 characters")
	// ErrCodeChallenge: it is not what GenerateCodeChallenge makes.
	ErrCodeChallenge = errors.New("the code challenge is not a SHA-256 hash in base64url")
	// ErrMissingRedirectURL: there is none in the call, and none in Config.
	ErrMissingRedirectURL = errors.New("there is no redirect URL: set RedirectURL in the call or in Config")
	// ErrMissingCode and ErrMissingNonce: Callback was called without them.
	ErrMissingCode  = errors.New("there is no code")
	ErrMissingNonce = errors.New("there is no nonce: give the one that AuthorizationURL returned")
	// ErrMissingAccessToken: UserInfo was called without one.
	ErrMissingAccessToken = errors.New("there is no access token")
	// ErrSubMismatch: userinfo's sub is not that of the ID token, or is missing. It comes with idserver.ErrUserInfo.
	ErrSubMismatch = errors.New("userinfo is not about the subject of the ID token")
	// ErrEnvelope: userinfo's answer is not an envelope: key without data, data without key, or values of another type. It
	// comes with idserver.ErrUserInfo.
	ErrEnvelope = errors.New("userinfo's answer is not an envelope of key and data")
	// ErrDecrypt: something was not decrypted, be it altered, encrypted for another key or with an algorithm that is not accepted: which
	// of them is not told. It is a DecryptError, and comes with ErrDecryptBlockKey or ErrDecryptData and with
	// idserver.ErrUserInfo.
	ErrDecrypt         = errors.New("not decrypted")
	ErrDecryptBlockKey = errors.New("the block key was not decrypted: compare the private key with the client's at sgID")
	ErrDecryptData     = errors.New("a field was not decrypted")
	// ErrInvalidData: a value is not of the form that its scope has.
	ErrInvalidData = errors.New("the data are not of the form that is wanted")
)

// DecryptError tells what of userinfo's answer was not decrypted.
type DecryptError struct {
	Field string // the scope whose value it is; empty for the block key
}

func (e *DecryptError) Error() string {
	if e.Field == "" {
		return "sgid: " + ErrDecryptBlockKey.Error()
	}
	return fmt.Sprintf("sgid: %v: %.64q", ErrDecryptData, e.Field)
}

// Unwrap returns what errors.Is finds.
func (e *DecryptError) Unwrap() []error {
	kind := ErrDecryptData
	if e.Field == "" {
		kind = ErrDecryptBlockKey
	}
	return []error{ErrDecrypt, kind, idserver.ErrUserInfo}
}
