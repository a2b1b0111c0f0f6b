package idserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/keys"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// tokenClaims are the claims that decide whether a token is good, RFC 7519 section 4.1 and OpenID Connect
// Core section 2, and all claims in their own text.
type tokenClaims struct {
	Issuer          string      `json:"iss"`
	Subject         string      `json:"sub"`
	Audience        audience    `json:"aud"`
	AuthorizedParty *string     `json:"azp"`
	Expiry          numericDate `json:"exp"`
	NotBefore       numericDate `json:"nbf"`
	IssuedAt        numericDate `json:"iat"`
	AuthTime        numericDate `json:"auth_time"`
	Nonce           *string     `json:"nonce"`
	AccessTokenHash *string     `json:"at_hash"`

	all map[string]strictjson.Raw
}

func (t *tokenClaims) has(name string) bool { _, ok := t.all[name]; return ok }

// parseClaims reads a verified payload.
func parseClaims(payload []byte) (*tokenClaims, error) {
	t := &tokenClaims{}
	if err := strictjson.Unmarshal(payload, &t.all); err != nil {
		return nil, invalidToken(ReasonMalformed, "claims: %w", err)
	}
	if t.all == nil {
		return nil, invalidToken(ReasonMalformed, "claims: null")
	}
	if err := strictjson.Unmarshal(payload, t); err != nil {
		return nil, invalidToken(ReasonMalformed, "claims: %w", err)
	}
	return t, nil
}

// audience is aud: a string or an array of strings, RFC 7519 section 4.1.3.
type audience []string

func (a *audience) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte{'"'}) {
		*a = make(audience, 1)
		return strictjson.Unmarshal(raw, &(*a)[0])
	}
	if !bytes.HasPrefix(raw, []byte{'['}) {
		return errors.New("aud is neither a string nor an array")
	}
	var elements []strictjson.Raw
	if err := strictjson.Unmarshal(raw, &elements); err != nil {
		return err
	}
	for _, e := range elements {
		if e.Kind() != '"' {
			return errors.New("aud holds what is not a string")
		}
		*a = append(*a, text(e))
	}
	return nil
}

// numericDate is seconds since 1970, RFC 7519 section 2: a JSON number, whole or not. The zero value is
// an absent claim, and so is null; 0 itself is refused, for no token is of 1970.
type numericDate struct{ time.Time }

// A date of the year 9999 is the last that is believed: beyond, arithmetic with it could wrap.
const maxNumericDate = 253402300799

func (d *numericDate) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		return nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || !(seconds >= 1 && seconds <= maxNumericDate) {
		return errors.New("a date that is not a number of seconds")
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}

// verify checks a token's form and signature and reads its claims, which are not checked yet.
func (c *Client) verify(ctx context.Context, token string) (*jose.Message, *tokenClaims, error) {
	message, err := jose.Parse(token)
	if err != nil {
		return nil, nil, &InvalidTokenError{ReasonMalformed, err}
	}
	if !jose.Known(message.Header.Algorithm) {
		return nil, nil, &InvalidTokenError{ReasonAlgorithm, jose.ErrAlgorithm}
	}
	key, err := c.keys.Find(ctx, message.Header)
	switch {
	case errors.Is(err, jose.ErrUnknownKey):
		return nil, nil, &InvalidTokenError{ReasonUnknownKey, err}
	case errors.Is(err, jose.ErrAmbiguous):
		return nil, nil, &InvalidTokenError{ReasonAmbiguousKey, err}
	case errors.Is(err, jose.ErrAlgorithm):
		return nil, nil, &InvalidTokenError{ReasonAlgorithm, err}
	case errors.Is(err, keys.ErrUnavailable):
		return nil, nil, cannotJudge(err)
	case err != nil: // the caller left
		return nil, nil, fmt.Errorf("idserver: %w", err)
	}
	if err := message.Verify(key); err != nil {
		return nil, nil, &InvalidTokenError{ReasonSignature, err}
	}
	claims, err := parseClaims(message.Payload)
	return message, claims, err
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
func checkTimes(t *tokenClaims, now time.Time, leeway time.Duration) error {
	switch {
	case t.Expiry.IsZero():
		return invalidToken(ReasonExpired, "no exp")
	case !now.Before(t.Expiry.Add(leeway)):
		return invalidToken(ReasonExpired, "exp was %v ago", now.Sub(t.Expiry.Time).Round(time.Second))
	case now.Add(leeway).Before(t.NotBefore.Time):
		return invalidToken(ReasonNotYetValid, "nbf is in %v", t.NotBefore.Sub(now).Round(time.Second))
	case now.Add(leeway).Before(t.IssuedAt.Time):
		return invalidToken(ReasonNotYetValid, "iat is in %v", t.IssuedAt.Sub(now).Round(time.Second))
	}
	return nil
}
