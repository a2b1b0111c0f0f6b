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

// provenance is where a token came from. What the provider has just sent is fetched keys for out of a budget of its own,
// which strangers cannot spend.
type provenance int

const (
	presented         provenance = iota // with a request, or by the program: a stranger may have made it up
	issuedAccessToken                   // in an answer of the token endpoint
	issuedIDToken
	issuedUserInfo // in an answer of the userinfo endpoint, which may be larger than a token
)

// most limits the size, in bytes. What a person shares at Singpass has 20 kB, and a signed answer with pictures more.
func (from provenance) most() int {
	if from == issuedUserInfo {
		return jose.MaxEncrypted
	}
	return jose.MaxToken
}

func (from provenance) origin() keys.Origin {
	if from == presented {
		return keys.Anybody
	}
	return keys.Endpoint
}

// verified is a token whose form and signature are valid. Its claims have not been checked yet.
type verified struct {
	*claims.Claims
	header jose.Header
	key    *jose.Key // the key that it is signed with
}

// messages hold memory, which is reused.
var messages = sync.Pool{New: func() any { return new(jose.Message) }}

// verify checks a token's form and signature and parses its claims. before, if there is one, refuses a token by what it
// says of itself: nothing is fetched for such a token.
func (p *provider) verify(
	ctx context.Context, token string, from provenance, now time.Time, before func(verified) error,
) (v verified, err error) {
	message := new(jose.Message)
	if len(token) <= jose.MaxToken { // larger ones are rare, and their memory is not kept
		message = messages.Get().(*jose.Message)
		defer messages.Put(message)
	}
	if err := message.ParseUpTo(from.most(), token, &p.headers); err != nil {
		return v, &InvalidTokenError{ReasonMalformed, err}
	}
	v.header = message.Header
	if !jose.Known(v.header.Algorithm) {
		return v, invalidToken(ReasonAlgorithm, "%w: alg is %q, which is never accepted", jose.ErrAlgorithm, v.header.Algorithm)
	}
	if before != nil {
		if v.Claims, err = parseClaims(message.Payload); err == nil {
			err = before(v)
		}
		if err != nil {
			return v, p.refusedBefore(message, err, now)
		}
	}
	if v.key, err = p.findKey(ctx, v.header, from, now); err != nil {
		return v, err
	}
	if v.key, err = p.verifySignature(ctx, message, v.key, from); err != nil {
		return v, err
	}
	p.headers.Remember(message)
	if v.Claims == nil {
		v.Claims, err = parseClaims(message.Payload)
	}
	return v, err
}

// findKey returns the key that a header names.
func (p *provider) findKey(ctx context.Context, h jose.Header, from provenance, now time.Time) (*jose.Key, error) {
	key, err := p.keys.Find(ctx, h, from.origin(), now)
	switch {
	case err == nil:
		return key, nil
	case errors.Is(err, jose.ErrUnknownKey):
		return nil, &InvalidTokenError{ReasonUnknownKey, err}
	case errors.Is(err, jose.ErrAmbiguous):
		return nil, &InvalidTokenError{ReasonAmbiguousKey, err}
	case errors.Is(err, jose.ErrAlgorithm):
		set, _ := p.keys.Held(now)
		return nil, p.algorithmRefused(set, h)
	case errors.Is(err, keys.ErrUnavailable):
		return nil, cannotJudge(err)
	}
	return nil, baseerror.Errorf("idserver: %w", err) // the caller left
}

// refusedBefore refuses a token by what its claims say or, if the key that it names is at hand, by its signature, which comes
// first.
func (p *provider) refusedBefore(message *jose.Message, said error, now time.Time) error {
	set, _ := p.keys.Held(now)
	if key, err := jose.Select(set, message.Header); err == nil && message.Verify(key) != nil {
		return &InvalidTokenError{ReasonSignature, jose.ErrSignature}
	} else if errors.Is(err, jose.ErrAlgorithm) {
		return p.algorithmRefused(set, message.Header)
	}
	return said
}

// algorithmRefused says which algorithm a token has that its key may not be used with, and what would admit it.
func (p *provider) algorithmRefused(set []jose.Key, h jose.Header) error {
	if jose.Admissible(set, h) {
		return invalidToken(ReasonAlgorithm, "%w: alg is %q, and the key names none: if the provider signs with it, list it in Config.Provider.Algorithms (IDSERVER_ALGORITHMS)", jose.ErrAlgorithm, h.Algorithm)
	}
	return invalidToken(ReasonAlgorithm, "%w: alg is %q", jose.ErrAlgorithm, h.Algorithm)
}

// verifySignature verifies the signature with key and returns the key that fits. Another may have taken its place, under
// the same kid (a provider that makes a new key at each start) or where the token names none: the set is then fetched
// again, within the limits.
func (p *provider) verifySignature(ctx context.Context, message *jose.Message, key *jose.Key, from provenance) (*jose.Key, error) {
	err := message.Verify(key)
	if err == nil {
		return key, nil
	}
	next, notNow := p.keys.FindAnew(ctx, message.Header, key, from.origin(), p.now())
	if notNow == nil && !next.Same(key) {
		key, err = next, message.Verify(next)
	}
	if err != nil && from == issuedIDToken {
		if other := p.signedByAnother(ctx, message, key); other != nil {
			return other, nil
		}
	}
	switch {
	case err == nil:
		return key, nil
	case notNow != nil && ctx.Err() != nil: // the caller left before it was known
		return nil, baseerror.Errorf("idserver: %w", notNow)
	case from != presented && errors.Is(notNow, keys.ErrUnavailable): // it is the provider's own, and no reason to end a session
		return nil, cannotJudge(notNow)
	}
	return nil, &InvalidTokenError{ReasonSignature, err}
}

// signedByAnother returns the key of the current set that signed an ID token although the token names key. Hydra signs
// refreshed ID tokens with its new key under the old kid (ory/hydra#3573). The token came straight from the token endpoint,
// over TLS; for any other token, the kid decides.
func (p *provider) signedByAnother(ctx context.Context, message *jose.Message, key *jose.Key) *jose.Key {
	if message.Header.KeyID == nil {
		return nil
	}
	set, _ := p.keys.Held(p.now())
	others := jose.Others(set, key, message.Header.Algorithm)
	for i := range others {
		if message.Verify(&others[i]) == nil {
			p.cfg.Logger.WarnContext(ctx, "idserver: the ID token is signed with another of the provider's keys than the one that it names, a known fault of some providers (ory/hydra#3573)",
				"kid", key.ID, "signed_with", others[i].ID)
			return &others[i]
		}
	}
	return nil
}

// issuer returns the issuer that every token must have.
func (p *provider) issuer(ctx context.Context, now time.Time) (string, error) {
	m, err := p.metadata.GetAt(ctx, now)
	if err != nil {
		return "", cannotJudge(err)
	}
	return m.Issuer, nil
}

// cannotJudge marks that nothing is known about a token: for now, or until the configuration is mended.
func cannotJudge(err error) error {
	if misconfigured(err) {
		return baseerror.Errorf("idserver: the token cannot be judged: %w", err)
	}
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
	case expiry.Before(issuedAt) || expiry.Before(notBefore): // it was never valid, and would be within the leeway
		return invalidToken(ReasonExpired, "exp is before iat or nbf")
	}
	return nil
}
