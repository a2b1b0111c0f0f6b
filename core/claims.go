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

// tokenClaims are the claims that decide whether a token is good, RFC 7519 section 4.1 and OpenID Connect
// Core section 2, and all claims in their own text.
type tokenClaims struct {
	strictjson.Object

	Issuer          string
	Subject         string
	Audience        []string // of a string or an array of strings
	AuthorizedParty *string
	Expiry          time.Time // the zero time is an absent claim
	NotBefore       time.Time
	IssuedAt        time.Time
	AuthTime        time.Time
	Nonce           *string
	AccessTokenHash *string
}

func (t *tokenClaims) has(name string) bool { return t.Get(name) != "" }

// all are the claims by their names, for who adds to them.
func (t *tokenClaims) all() map[string]strictjson.Raw {
	claims := map[string]strictjson.Raw{}
	for name, value := range t.All() {
		claims[name] = strictjson.Raw(value)
	}
	return claims
}

// parseClaims reads a verified payload.
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

// audience reads aud: a string or an array of strings and of nothing else, RFC 7519 section 4.1.3.
func audience(value string) ([]string, bool) {
	if one, ok := strictjson.String(value); ok {
		return []string{one}, true
	}
	all, mixed, ok := strictjson.Strings(value)
	return all, ok && !mixed
}

// A date of the year 9999 is the last that is believed: beyond, arithmetic with it could wrap.
const maxNumericDate = 253402300799

// numericDate reads seconds since 1970, RFC 7519 section 2: a JSON number, whole or not. The zero time is
// an absent claim, and so is null; 0 itself is refused, for no token is of 1970.
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

// verified is a token whose form and signature are good. What it claims is not checked yet.
type verified struct {
	*tokenClaims
	header jose.Header
	key    *jose.Key // that it is signed with
}

// messages have memory, which is used again.
var messages = sync.Pool{New: func() any { return new(jose.Message) }}

// verify checks a token's form and signature and reads its claims.
func (c *Client) verify(ctx context.Context, token string) (v verified, err error) {
	message := messages.Get().(*jose.Message)
	defer messages.Put(message)
	if err := message.Parse(token, &c.headers); err != nil {
		return v, &InvalidTokenError{ReasonMalformed, err}
	}
	v.header = message.Header
	if !jose.Known(v.header.Algorithm) {
		return v, &InvalidTokenError{ReasonAlgorithm, jose.ErrAlgorithm}
	}
	v.key, err = c.keys.Find(ctx, v.header)
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
	if v.key, err = c.verifySignature(ctx, message, v.key); err != nil {
		return v, err
	}
	c.headers.Remember(message)
	v.tokenClaims, err = parseClaims(message.Payload)
	return v, err
}

// verifySignature verifies with key. A token that names no key may be signed with one that came in the place of the one that is
// known: that one is looked for as for an unknown kid is. It returns the key that it is signed with.
func (c *Client) verifySignature(ctx context.Context, message *jose.Message, key *jose.Key) (*jose.Key, error) {
	err := message.Verify(key)
	if err != nil && message.Header.KeyID == nil {
		if next, refetched := c.keys.FindAnew(ctx, message.Header); refetched == nil && !next.Same(key) {
			key, err = next, message.Verify(next)
		}
	}
	if err != nil {
		return nil, &InvalidTokenError{ReasonSignature, err}
	}
	return key, nil
}

// issuer is who must have issued every token.
func (c *Client) issuer(ctx context.Context) (string, error) {
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return "", cannotJudge(err)
	}
	return m.Issuer, nil
}

func cannotJudge(err error) error {
	return fmt.Errorf("idserver: the token cannot be judged: %w: %w", ErrUnavailable, err)
}

// checkSubject applies OpenID Connect Core section 2: a subject is there and has at most 255 characters.
func checkSubject(sub string) error {
	if sub == "" || len(sub) > 255 {
		return invalidToken(ReasonSubject, "sub has %d bytes, want 1 to 255", len(sub))
	}
	return nil
}

// checkTimes applies exp, nbf and iat, RFC 7519 sections 4.1.4 to 4.1.6.
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
