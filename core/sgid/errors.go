package sgid

import (
	"fmt"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/internal/baseerror"
)

// The kinds of errors, for errors.Is, besides those of package idserver: ErrTokenEndpoint,
// ErrInvalidToken with a Reason, ErrDiscovery for the key set, ErrUserInfo, and ErrUnavailable for what may
// be temporary. README.md has a table of them. No error contains a token, a code, a key or a person's data.
var (
	// ErrPrivateKey means that Config.PrivateKey is not an RSA private key of 2048 to 16384 bits.
	ErrPrivateKey = baseerror.New("the private key cannot be used")
	// ErrCodeVerifierLength, ErrPKCEPairLength and ErrNonceLength mean that a length is not between 43 and 128.
	ErrCodeVerifierLength = baseerror.New("a code verifier has 43 to 128 characters")
	ErrPKCEPairLength     = baseerror.New("the code verifier of a PKCE pair has 43 to 128 characters")
	ErrNonceLength        = baseerror.New("a nonce has 43 to 128 characters")
	// ErrCodeChallenge means that the code challenge is not one that GenerateCodeChallenge returns.
	ErrCodeChallenge = baseerror.New("the code challenge is not a SHA-256 hash in base64url")
	// ErrMissingRedirectURI means that there is no redirect URI, neither in the call nor in Config.
	ErrMissingRedirectURI = baseerror.New("there is no redirect URI: set RedirectURI in the call or in Config (SGID_REDIRECT_URI), or Config.BaseURL (BASE_URL)")
	// ErrMissingCode and ErrMissingNonce mean that Callback was called without a code, or without a nonce.
	ErrMissingCode  = baseerror.New("there is no code")
	ErrMissingNonce = baseerror.New("there is no nonce: give the one that AuthorizeURL returned")
	// ErrMissingAccessToken means that UserInfo was called without an access token.
	ErrMissingAccessToken = baseerror.New("there is no access token")
	// ErrSubMismatch means that the sub of userinfo is missing or is not that of the ID token. It comes with
	// idserver.ErrUserInfo.
	ErrSubMismatch = baseerror.New("userinfo is not about the subject of the ID token")
	// ErrEnvelope means that the userinfo response is not an envelope: it has key without data, data without key, or
	// values of another type. It comes with idserver.ErrUserInfo.
	ErrEnvelope = baseerror.New("userinfo's answer is not an envelope of key and data")
	// ErrDecrypt means that something could not be decrypted: it was altered, encrypted for another key, or with an
	// algorithm that is not accepted. Which of these is not disclosed. The error is a [DecryptError], and comes with
	// ErrDecryptBlockKey or ErrDecryptData and with idserver.ErrUserInfo.
	ErrDecrypt         = baseerror.New("not decrypted")
	ErrDecryptBlockKey = baseerror.New("the block key was not decrypted: compare the private key with the client's at sgID")
	ErrDecryptData     = baseerror.New("a field was not decrypted")
	// ErrInvalidData means that a value does not have the form that its scope requires.
	ErrInvalidData = baseerror.New("the data are not of the form that is wanted")
)

// DecryptError says which part of the userinfo response could not be decrypted.
type DecryptError struct {
	Field string // the scope of the value; empty for the block key
}

func (e *DecryptError) Error() string {
	if e.Field == "" {
		return "sgid: " + ErrDecryptBlockKey.Error()
	}
	return fmt.Sprintf("sgid: %v: %.64q", ErrDecryptData, e.Field)
}

// Unwrap returns the errors that errors.Is finds.
func (e *DecryptError) Unwrap() []error {
	kind := ErrDecryptData
	if e.Field == "" {
		kind = ErrDecryptBlockKey
	}
	return []error{ErrDecrypt, kind, idserver.ErrUserInfo}
}
