package idserver

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/keys"
)

// parseClaims parses a verified payload.
func parseClaims(payload []byte) (*claims.Claims, error) {
	parsed, err := claims.Parse(payload)
	if err != nil {
		return nil, &InvalidTokenError{ReasonMalformed, err}
	}
	return parsed, nil
}

// verified is a token whose form and signature are valid. Its claims have not been checked yet.
type verified struct {
	*claims.Claims
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
		return v, baseerror.Errorf("idserver: %w", err)
	}
	if v.key, err = p.verifySignature(ctx, message, v.key); err != nil {
		return v, err
	}
	p.headers.Remember(message)
	v.Claims, err = parseClaims(message.Payload)
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
	return baseerror.Errorf("idserver: the token cannot be judged: %w: %w", ErrUnavailable, err)
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
		return invalidToken(ReasonExpired, "exp was %v ago, and the leeway is %v (Config.Provider.Leeway, IDSERVER_LEEWAY)", now.Sub(expiry).Round(time.Second), leeway)
	case now.Add(leeway).Before(notBefore):
		return invalidToken(ReasonNotYetValid, "nbf is in %v: the clock here is behind the provider's by more than the leeway of %v (Config.Provider.Leeway, IDSERVER_LEEWAY)", notBefore.Sub(now).Round(time.Second), leeway)
	case now.Add(leeway).Before(issuedAt):
		return invalidToken(ReasonNotYetValid, "iat is in %v: the clock here is behind the provider's by more than the leeway of %v (Config.Provider.Leeway, IDSERVER_LEEWAY)", issuedAt.Sub(now).Round(time.Second), leeway)
	}
	return nil
}
