package idserver

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/keys"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// tokenClaims are the claims that decide whether a token is valid (RFC 7519 section 4.1, OpenID Connect Core section 2),
// and all claims in their original text.
type tokenClaims struct {
	strictjson.Object

	Issuer          string
	Subject         string
	Audience        []string // from a string or an array of strings
	AuthorizedParty *string
	Expiry          time.Time // the zero time means that the claim is absent
	NotBefore       time.Time
	IssuedAt        time.Time
	AuthTime        time.Time
	Nonce           *string
	AccessTokenHash *string
}

func (t *tokenClaims) has(name string) bool { return t.Get(name) != "" }

// all returns the claims by name, for a caller that adds to them.
func (t *tokenClaims) all() map[string]strictjson.Raw {
	claims := map[string]strictjson.Raw{}
	for name, value := range t.All() {
		claims[name] = strictjson.Raw(value)
	}
	return claims
}

// parseClaims parses a verified payload.
func parseClaims(payload []byte) (*tokenClaims, error) {
	object, err := strictjson.ParseObject(payload)
	if err != nil {
		return nil, invalidToken(ReasonMalformed, "claims: %w", err)
	}
	t := &tokenClaims{Object: object}
	for name, value := range object.All() {
		var ok bool
		switch name {
		case "iss":
			t.Issuer, ok = stringOrNull(value)
		case "sub":
			t.Subject, ok = stringOrNull(value)
		case "aud":
			t.Audience, ok = audience(value)
		case "azp":
			t.AuthorizedParty, ok = optionalString(value)
		case "nonce":
			t.Nonce, ok = optionalString(value)
		case "at_hash":
			t.AccessTokenHash, ok = optionalString(value)
		case "exp":
			t.Expiry, ok = numericDate(value)
		case "nbf":
			t.NotBefore, ok = numericDate(value)
		case "iat":
			t.IssuedAt, ok = numericDate(value)
		case "auth_time":
			t.AuthTime, ok = numericDate(value)
		default:
			continue
		}
		if !ok {
			return nil, invalidToken(ReasonMalformed, "claims: %s is of a wrong type, or out of range", name)
		}
	}
	return t, nil
}

func stringOrNull(value string) (string, bool) {
	if value == "null" {
		return "", true
	}
	return strictjson.String(value)
}

func optionalString(value string) (*string, bool) {
	if value == "null" {
		return nil, true
	}
	s, ok := strictjson.String(value)
	return &s, ok
}

// audience parses aud: a string or an array of nothing but strings, RFC 7519 section 4.1.3.
func audience(value string) ([]string, bool) {
	if one, ok := strictjson.String(value); ok {
		return []string{one}, true
	}
	all, mixed, ok := strictjson.Strings(value)
	return all, ok && !mixed
}

// The last second of the year 9999 is the latest date accepted: arithmetic with later ones could overflow.
const maxNumericDate = 253402300799

// numericDate parses seconds since 1970, RFC 7519 section 2: a JSON number, whole or not. The zero time means that the
// claim is absent, as does null; 0 itself is refused, because no token is from 1970.
func numericDate(value string) (time.Time, bool) {
	if value == "null" {
		return time.Time{}, true
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		return time.Unix(seconds, 0), 1 <= seconds && seconds <= maxNumericDate
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 1 && seconds <= maxNumericDate) {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// verified is a token whose form and signature are valid. Its claims have not been checked yet.
type verified struct {
	*tokenClaims
	header jose.Header
	key    *jose.Key // the key that it is signed with
}

// messages hold memory, which is reused.
var messages = sync.Pool{New: func() any { return new(jose.Message) }}

// verify checks a token's form and signature and parses its claims.
func (p *provider) verify(ctx context.Context, token string, now time.Time) (v verified, err error) {
	message := messages.Get().(*jose.Message)
	defer messages.Put(message)
	if err := message.Parse(token, &p.headers); err != nil {
		return v, &InvalidTokenError{ReasonMalformed, err}
	}
	v.header = message.Header
	if !jose.Known(v.header.Algorithm) {
		return v, &InvalidTokenError{ReasonAlgorithm, jose.ErrAlgorithm}
	}
	v.key, err = p.keys.Find(ctx, v.header, now)
	switch {
	case errors.Is(err, jose.ErrUnknownKey):
		return v, &InvalidTokenError{ReasonUnknownKey, err}
	case errors.Is(err, jose.ErrAmbiguous):
		return v, &InvalidTokenError{ReasonAmbiguousKey, err}
	case errors.Is(err, jose.ErrAlgorithm):
		return v, &InvalidTokenError{ReasonAlgorithm, err}
	case errors.Is(err, keys.ErrUnavailable):
		return v, cannotJudge(err)
	case err != nil: // the caller left
		return v, fmt.Errorf("idserver: %w", err)
	}
	if v.key, err = p.verifySignature(ctx, message, v.key); err != nil {
		return v, err
	}
	p.headers.Remember(message)
	v.tokenClaims, err = parseClaims(message.Payload)
	return v, err
}

// verifySignature verifies the signature with key and returns the key that fits. A token that names no key may be signed
// with one that has replaced the known one, which is then fetched as for an unknown kid.
func (p *provider) verifySignature(ctx context.Context, message *jose.Message, key *jose.Key) (*jose.Key, error) {
	err := message.Verify(key)
	if err != nil && message.Header.KeyID == nil {
		if next, refetched := p.keys.FindAnew(ctx, message.Header); refetched == nil && !next.Same(key) {
			key, err = next, message.Verify(next)
		}
	}
	if err != nil {
		return nil, &InvalidTokenError{ReasonSignature, err}
	}
	return key, nil
}

// issuer returns the issuer that every token must have.
func (p *provider) issuer(ctx context.Context, now time.Time) (string, error) {
	m, err := p.metadata.GetAt(ctx, now)
	if err != nil {
		return "", cannotJudge(err)
	}
	return m.Issuer, nil
}

func cannotJudge(err error) error {
	return fmt.Errorf("idserver: the token cannot be judged: %w: %w", ErrUnavailable, err)
}

// checkSubject applies OpenID Connect Core section 2: sub must be present and have at most 255 characters.
func checkSubject(sub string) error {
	if sub == "" || len(sub) > 255 {
		return invalidToken(ReasonSubject, "sub has %d bytes, want 1 to 255", len(sub))
	}
	return nil
}

// checkTimes checks exp, nbf and iat, RFC 7519 sections 4.1.4 to 4.1.6.
func checkTimes(expiry, notBefore, issuedAt, now time.Time, leeway time.Duration) error {
	switch {
	case expiry.IsZero():
		return invalidToken(ReasonExpired, "no exp")
	case !now.Before(expiry.Add(leeway)):
		return invalidToken(ReasonExpired, "exp was %v ago", now.Sub(expiry).Round(time.Second))
	case now.Add(leeway).Before(notBefore):
		return invalidToken(ReasonNotYetValid, "nbf is in %v", notBefore.Sub(now).Round(time.Second))
	case now.Add(leeway).Before(issuedAt):
		return invalidToken(ReasonNotYetValid, "iat is in %v", issuedAt.Sub(now).Round(time.Second))
	}
	return nil
}
