package idserver

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/fetched"
)

// The kinds of errors, for errors.Is. The types below carry the details, for errors.As. No error of this package contains
// a token, a code, a secret or a cookie.
var (
	// Err is what every error of this package and of those below it (sgid) is: it tells them from the application's own. That
	// includes errors that wrap one of another package, such as context.Canceled.
	Err = baseerror.Err

	// ErrDiscovery means that the provider's metadata or keys could not be fetched or used. See [DiscoveryError].
	ErrDiscovery = baseerror.New("the provider's metadata is not usable")
	// ErrInvalidToken means that a token was refused. See [InvalidTokenError].
	ErrInvalidToken = baseerror.New("the token is not valid")
	// ErrTokenEndpoint means that the token or revocation endpoint refused the request or failed. See
	// [TokenEndpointError].
	ErrTokenEndpoint = baseerror.New("the token endpoint did not answer with tokens")
	// ErrUserInfo means that the userinfo endpoint refused the request or failed. See [UserInfoError].
	ErrUserInfo = baseerror.New("the userinfo endpoint did not answer with the user")
	// ErrUnavailable means that the provider is not available now and the same call may succeed later: it is down, slow,
	// limits the rate or answers with nonsense. It comes with one of the others.
	ErrUnavailable = baseerror.New("the provider is not available")
	// ErrSignedOut means that the session is over, and that only a new sign-in helps: it was signed out, it reached
	// Config.Session.Max, or the provider or Config.AdmitUser refused to go on with it. See [UntilSignedOut].
	ErrSignedOut = baseerror.New("the session is over")
)

// DiscoveryError describes what was wrong with the provider's metadata or keys.
type DiscoveryError struct {
	URL string // where they were read; the Authority if an endpoint is missing
	Err error
}

func (e *DiscoveryError) Error() string {
	return fmt.Sprintf("idserver: %v: %s: %v", ErrDiscovery, e.URL, e.Err)
}

func (e *DiscoveryError) Unwrap() []error { return []error{ErrDiscovery, e.Err} }

// misconfigured reports whether somebody has to mend something before the provider's metadata and keys can be used.
func misconfigured(err error) bool {
	return errors.Is(err, ErrDiscovery) && !errors.Is(err, ErrUnavailable)
}

// Reason is why a token was refused. Reasons are stable, and each is an error of its own: errors.Is(err,
// idserver.ReasonExpired).
type Reason string

// The reasons of an [InvalidTokenError]. The rules for ID tokens are in OpenID Connect Core section 3.1.3.7, those for
// all claims in RFC 7519 section 4.1.
const (
	ReasonMalformed       Reason = "malformed"     // not a compact JWS with a JSON object of claims, or too large
	ReasonAlgorithm       Reason = "algorithm"     // an algorithm that the key may not be used with
	ReasonUnknownKey      Reason = "unknown_key"   // signed with a key that the provider does not publish
	ReasonAmbiguousKey    Reason = "ambiguous_key" // more than one published key could be meant
	ReasonSignature       Reason = "signature"     // the signature does not verify
	ReasonType            Reason = "type"          // a token of another kind
	ReasonIssuer          Reason = "issuer"        // iss is not the provider
	ReasonAudience        Reason = "audience"      // aud does not include the expected audience
	ReasonAuthorizedParty Reason = "azp"           // azp is not the client, or is missing
	ReasonExpired         Reason = "expired"       // exp is past, or missing
	ReasonNotYetValid     Reason = "not_yet_valid" // nbf or iat is in the future
	ReasonIssuedAt        Reason = "issued_at"     // iat is missing or too long ago
	ReasonAuthTime        Reason = "auth_time"     // the user signed in too long ago for max_age, or the token does not say when
	ReasonNonce           Reason = "nonce"         // nonce is not the one that was sent
	ReasonRevoked         Reason = "revoked"       // this client revoked it, or the provider says that it is not active
	ReasonSubject         Reason = "subject"       // sub is missing, too long, or not the expected one
	ReasonEncryption      Reason = "encryption"    // not encrypted for a key of Config.ClientKeys that decrypts, or not in a way that is accepted
	ReasonAccessTokenHash Reason = "at_hash"       // at_hash does not match the access token
	reasonACR             Reason = "acr"           // acr is none of those that were asked for; unexported, because routes have a code for it
	reasonCodeHash        Reason = "c_hash"        // c_hash does not match the authorization code; unexported, because hardly any provider sends it
)

func (r Reason) Error() string { return string(r) }

// Is reports whether target is [Err], which every error of this package is.
func (r Reason) Is(target error) bool { return target == Err }

// InvalidTokenError describes why a token was refused.
type InvalidTokenError struct {
	Reason Reason
	Err    error // what was expected and what was found; without secret parts of the token
}

func (e *InvalidTokenError) Error() string {
	return fmt.Sprintf("idserver: %v (%s): %v", ErrInvalidToken, e.Reason, e.Err)
}

func (e *InvalidTokenError) Unwrap() []error { return []error{ErrInvalidToken, e.Reason, e.Err} }

func invalidToken(reason Reason, format string, args ...any) error {
	for i := range args {
		args[i] = shown(args[i])
	}
	return &InvalidTokenError{reason, fmt.Errorf(format, args...)}
}

// maxShown limits what a token says of itself in an error, in bytes: anybody may have made it up.
const maxShown = 128

func shown(arg any) any {
	switch arg := arg.(type) {
	case string:
		if len(arg) > maxShown {
			return strings.ToValidUTF8(arg[:maxShown], "") + "..."
		}
	case []string:
		var all []string
		for _, s := range arg[:min(len(arg), 4)] {
			all = append(all, shown(s).(string))
		}
		if len(arg) > len(all) {
			all = append(all, "...")
		}
		return all
	}
	return arg
}

// AuthorizationError is the error with which the provider sent the browser back instead of a code, RFC 6749 section
// 4.1.2.1.
type AuthorizationError struct {
	Code        string // such as access_denied: the user cancelled
	Description string // the provider's, for the log
}

func (e *AuthorizationError) Error() string {
	return fmt.Sprintf("idserver: the provider answered with an error: %q: %q", e.Code, e.Description)
}

// Unwrap returns [Err], which every error of this package is.
func (e *AuthorizationError) Unwrap() error { return Err }

// TokenEndpointError describes how the token endpoint failed, or the one for revocation or pushed authorization requests (RFC
// 9126). Code and Description are the OAuth error of
// RFC 6749 section 5.2; for a problem document (RFC 9457), Description is its title and detail.
type TokenEndpointError struct {
	Status      int    // 0 when there was no answer
	Code        string // such as invalid_grant; empty if the response had none
	Description string
	RetryAfter  time.Duration // 0 if the response did not say
	Err         error         // the transport's error, what is wrong with the response, or nil

	form   endpoint.Form // of the body
	pushed bool          // it was the endpoint for pushed authorization requests
}

func (e *TokenEndpointError) Error() string {
	failed := ErrTokenEndpoint.Error()
	if e.pushed {
		failed = "the provider did not take the authorization request that was pushed"
	}
	text := "idserver: " + failed + describeAnswer(e.Status, e.Code, e.Description, e.Err)
	switch mend := toMend(e.Code); {
	case e.pushed && mend != "":
		text += ": " + mend
	case e.refusesClient():
		text += ": compare the client ID, the client secret and how it is sent, or the public keys and the audience of assertions (Config.Provider.AssertionAudience; FAPI 2.0 has the issuer alone), with what the provider wants"
	}
	return text
}

// refusesClient reports whether the provider does not know the client or its secret (RFC 6749 section 5.2), which only its
// operator can mend.
func (e *TokenEndpointError) refusesClient() bool {
	return e.Code == "invalid_client" || e.Code == "" && e.Status == 401
}

func (e *TokenEndpointError) Unwrap() []error {
	all := []error{ErrTokenEndpoint}
	if e.temporary() {
		all = append(all, ErrUnavailable)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

// speaksOfGrant reports whether the provider itself says something about the code or the refresh token that was sent: with
// an OAuth error (RFC 6749 section 5.2), or with 400 and nothing more, as some answer a bad one. Anything else may have
// been written by what lies between, such as a firewall.
func (e *TokenEndpointError) speaksOfGrant() bool {
	nothingMore := e.Status == 400 && e.Code == "" && e.Description == "" && e.Err == nil && e.form != endpoint.Other
	return !e.temporary() && (e.form == endpoint.OAuth || nothingMore)
}

// temporary reports whether the same request may succeed later: there was no answer, the provider limits the rate or is
// out of order, or the error is temporary by its name, whatever the status.
func (e *TokenEndpointError) temporary() bool {
	switch e.Code {
	case "temporarily_unavailable", "server_error", "slow_down", "upstream_dependency_error": // the last is Singpass's
		return true
	case "invalid_grant", "unauthorized_client", "access_denied":
		return e.form != endpoint.OAuth && e.Status >= 500
	}
	return isTemporary(e.Status)
}

// isTemporary reports whether the same request may be answered in another way later. 0 stands for no answer at all.
func isTemporary(status int) bool {
	return slices.Contains([]int{0, 408, 425, 429}, status) || status >= 500
}

// terminal reports whether another attempt with the same grant is useless.
func (e *TokenEndpointError) terminal() bool {
	refused := e.Code == "" || e.Code == "invalid_grant" || e.Code == "unauthorized_client" || e.Code == "access_denied"
	return e.speaksOfGrant() && refused
}

// UserInfoError describes how the userinfo endpoint failed.
type UserInfoError struct {
	Status      int    // 0 when there was no answer
	Code        string // an error code as of RFC 6749 section 5.2, which some send in the body; empty if there was none
	Description string
	RetryAfter  time.Duration
	Err         error
}

func (e *UserInfoError) Error() string {
	return "idserver: " + ErrUserInfo.Error() + describeAnswer(e.Status, e.Code, e.Description, e.Err)
}

func (e *UserInfoError) Unwrap() []error {
	all := []error{ErrUserInfo}
	if !e.definite() {
		all = append(all, ErrUnavailable)
	}
	if e.Err != nil {
		all = append(all, e.Err)
	}
	return all
}

// definite reports whether asking again would bring the same answer: the provider refuses, has no such endpoint, or
// answers with nothing or in a way that is not understood.
func (e *UserInfoError) definite() bool {
	var redirect *endpoint.RedirectError
	switch {
	case errors.As(e.Err, &redirect), errors.Is(e.Err, ReasonSubject), errors.Is(e.Err, errUserInfoForm):
		return true
	case e.Status == http.StatusNoContent, e.Status == http.StatusNotImplemented:
		return true
	}
	return e.Status/100 == 4 && !isTemporary(e.Status)
}

// maxDescription limits the text of a provider's in an error, in bytes.
const maxDescription = 256

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

// retryAfter returns when the provider said to come back.
func retryAfter(err error) time.Duration {
	var token *TokenEndpointError
	var info *UserInfoError
	var later *fetched.Later
	switch {
	case errors.As(err, &token):
		return token.RetryAfter
	case errors.As(err, &info):
		return info.RetryAfter
	case errors.As(err, &later): // of the metadata or the keys
		return later.After
	}
	return 0
}

// reasonOf returns why a token was refused, or "" if err is about something else.
func reasonOf(err error) Reason {
	var invalid *InvalidTokenError
	if errors.As(err, &invalid) {
		return invalid.Reason
	}
	return ""
}
