package idserver

import (
	"errors"
	"fmt"
	"time"
)

// The kinds of faults, for errors.Is. The types below carry the details, for errors.As. No
// error of this package holds a token, a code, a secret or a cookie.
var (
	// ErrDiscovery: the provider's metadata could not be had or is not usable. See DiscoveryError.
	ErrDiscovery = errors.New("the provider's metadata is not usable")
	// ErrInvalidToken: a token was refused. See InvalidTokenError.
	ErrInvalidToken = errors.New("the token is not valid")
	// ErrTokenEndpoint: the token or revocation endpoint refused or failed. See TokenEndpointError.
	ErrTokenEndpoint = errors.New("the token endpoint did not answer with tokens")
	// ErrNoAccessToken and ErrNoIDToken: the token endpoint answered, without the one or the other. The first comes with
	// ErrTokenEndpoint, the second with ErrInvalidToken.
	ErrNoAccessToken = errors.New("no access token in the answer")
	ErrNoIDToken     = errors.New("no ID token in the answer of the token endpoint")
	// ErrUserInfo: the userinfo endpoint refused or failed. See UserInfoError.
	ErrUserInfo = errors.New("the userinfo endpoint did not answer with the user")
	// ErrUnavailable: the provider cannot be asked now, and the same call may succeed later:
	// it is down, slow, limits the rate or answers nonsense. It comes with one of the others.
	ErrUnavailable = errors.New("the provider is not available")
)

// DiscoveryError tells what was wrong with the provider's metadata.
type DiscoveryError struct {
	URL string // where the metadata was read
	Err error
}

func (e *DiscoveryError) Error() string {
	return fmt.Sprintf("idserver: %v: %s: %v", ErrDiscovery, e.URL, e.Err)
}

func (e *DiscoveryError) Unwrap() []error { return []error{ErrDiscovery, e.Err} }

// Reason is why a token was refused. Reasons are stable and each is an error of its own:
// errors.Is(err, idserver.ReasonExpired).
type Reason string

// The reasons of an InvalidTokenError. OpenID Connect Core section 3.1.3.7 has the rules
// of ID tokens, RFC 7519 section 4.1 those of all claims.
const (
	ReasonMalformed       Reason = "malformed"     // not a compact JWS with a JSON object of claims, or too large
	ReasonAlgorithm       Reason = "algorithm"     // an algorithm that the key may not be used with
	ReasonUnknownKey      Reason = "unknown_key"   // signed with a key that the provider does not publish
	ReasonAmbiguousKey    Reason = "ambiguous_key" // more than one published key may be meant
	ReasonSignature       Reason = "signature"     // the signature does not verify
	ReasonType            Reason = "type"          // a token of another kind
	ReasonIssuer          Reason = "issuer"        // iss is not the provider
	ReasonAudience        Reason = "audience"      // aud lacks the one who is asked
	ReasonAuthorizedParty Reason = "azp"           // azp is not the client, or is missing
	ReasonExpired         Reason = "expired"       // exp is past, or missing
	ReasonNotYetValid     Reason = "not_yet_valid" // nbf or iat is in the future
	ReasonIssuedAt        Reason = "issued_at"     // iat is missing or long ago
	ReasonAuthTime        Reason = "auth_time"     // the user signed in too long ago for max_age, or when is not said
	ReasonNonce           Reason = "nonce"         // nonce is not the one that was sent
	ReasonRevoked         Reason = "revoked"       // this client had it revoked
	ReasonSubject         Reason = "subject"       // sub is missing, too long, or not who was expected
	ReasonAccessTokenHash Reason = "at_hash"       // at_hash is not the access token's
)

func (r Reason) Error() string { return string(r) }

// InvalidTokenError tells why a token was refused.
type InvalidTokenError struct {
	Reason Reason
	Err    error // what was expected and what came; without parts of the token that are secret
}

func (e *InvalidTokenError) Error() string {
	return fmt.Sprintf("idserver: %v (%s): %v", ErrInvalidToken, e.Reason, e.Err)
}

func (e *InvalidTokenError) Unwrap() []error { return []error{ErrInvalidToken, e.Reason, e.Err} }

func invalidToken(reason Reason, format string, args ...any) error {
	return &InvalidTokenError{reason, fmt.Errorf(format, args...)}
}

// AuthorizationError is what the provider answered the browser with in the place of a code, RFC 6749 section 4.1.2.1.
type AuthorizationError struct {
	Code        string // such as access_denied: the user cancelled
	Description string // the provider's, for the log
}

func (e *AuthorizationError) Error() string {
	return fmt.Sprintf("idserver: the provider answered with an error: %q: %q", e.Code, e.Description)
}

// TokenEndpointError tells what the token or revocation endpoint answered. Code and
// Description are the OAuth error of RFC 6749 section 5.2; of a problem document (RFC 9457) the
// Description is its title and detail.
type TokenEndpointError struct {
	Status      int    // 0 when there was no answer
	Code        string // such as invalid_grant; empty when the answer had none
	Description string
	RetryAfter  time.Duration // 0 when the answer did not say
	Err         error         // the transport's error, or nil
}

func (e *TokenEndpointError) Error() string {
	return "idserver: " + ErrTokenEndpoint.Error() + describeAnswer(e.Status, e.Code, e.Description, e.Err)
}

func (e *TokenEndpointError) Unwrap() []error {
	return answerErrors(ErrTokenEndpoint, e.Status, e.Err)
}

// terminal reports whether asking again with the same grant is of no use, RFC 6749 section 5.2. Some providers
// answer a bad grant with 400 and nothing more.
func (e *TokenEndpointError) terminal() bool {
	return e.Code == "invalid_grant" || e.Code == "unauthorized_client" || e.Code == "access_denied" ||
		e.Status == 400 && e.Code == "" && e.Description == "" && e.Err == nil
}

// definite reports whether the provider understood the request and refuses it, be it for now: no client of this name, no such
// tenant (404), a tenant that is locked (423).
func (e *TokenEndpointError) definite() bool {
	return e.Status/100 == 4 && e.Status != 408 && e.Status != 425 && e.Status != 429
}

// UserInfoError tells what the userinfo endpoint answered.
type UserInfoError struct {
	Status      int // 0 when there was no answer
	Description string
	RetryAfter  time.Duration
	Err         error
}

func (e *UserInfoError) Error() string {
	return "idserver: " + ErrUserInfo.Error() + describeAnswer(e.Status, "", e.Description, e.Err)
}

func (e *UserInfoError) Unwrap() []error { return answerErrors(ErrUserInfo, e.Status, e.Err) }

func describeAnswer(status int, code, description string, err error) string {
	s := ""
	if status != 0 {
		s += fmt.Sprintf(": status %d", status)
	}
	if code != "" {
		s += fmt.Sprintf(": %q", code)
	}
	if description != "" {
		s += fmt.Sprintf(": %q", description)
	}
	if err != nil {
		s += ": " + err.Error()
	}
	return s
}

// answerErrors classifies: no usable answer, a server's fault and a limit of rate pass; an answer about
// another person does not.
func answerErrors(kind error, status int, err error) []error {
	all := []error{kind}
	if errors.Is(err, ReasonSubject) || errors.Is(err, errNoSubject) {
		return append(all, err)
	}
	if status == 0 || status == 429 || status >= 500 || status/100 != 4 {
		all = append(all, ErrUnavailable)
	}
	if err != nil {
		all = append(all, err)
	}
	return all
}

// retryAfter finds what the provider said about when to come back.
func retryAfter(err error) time.Duration {
	var token *TokenEndpointError
	var info *UserInfoError
	switch {
	case errors.As(err, &token):
		return token.RetryAfter
	case errors.As(err, &info):
		return info.RetryAfter
	}
	return 0
}
