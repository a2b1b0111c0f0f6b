package idserver

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/memo"
)

// proven is an access token whose signature was verified. It holds no more than requests need, because its size
// determines how many can be remembered.
type proven struct {
	set     atomic.Pointer[jose.Key] // the first of the key set in which key was last found
	revoked atomic.Int64             // the number of revocations when it was last found not to be among them
	facts   accessFacts
	user    User // its first field, Issuer, is read together with the facts and is next to them in memory
	typed   typedClaims
	key     atomic.Pointer[jose.Key] // the key that it is signed with, from that set
}

// provenOverhead is what a remembered token takes besides its own text and its user's, in bytes: the structure above, its
// place in the memo, and what the allocator rounds up.
const provenOverhead = 562

// stringSize is what a string takes besides its text, in bytes.
const stringSize = 16

// remember keeps what was verified of a token, copied so that neither the request nor the text of the claims stays in
// memory.
func (p *provider) remember(e *memo.Entry[proven], token, issuer string) {
	known := &e.Value
	u := &known.user
	u.Issuer = issuer    // equal to the one that it was compared with
	var room [16]*string // on the stack, for most
	texts := append(room[:0], &u.Subject, &u.Email, &u.Name, &u.GivenName, &u.FamilyName, &u.TenantID, &u.ACR)
	for _, list := range [...][]string{u.Roles, u.CustomRoles} {
		for i := range list {
			texts = append(texts, &list[i])
		}
	}
	size := provenOverhead + copyTexts(texts) + stringSize*(len(u.Roles)+len(u.CustomRoles))
	var ofScopes, ofClient int
	u.Scopes, ofScopes = p.scopeLists.List(u.Scopes)
	u.ClientID, ofClient = p.clientIDs.Text(u.ClientID)
	size += ofScopes + ofClient
	if aud := known.facts.audience; len(aud) == 1 && aud[0] == p.cfg.Audience {
		known.facts.audience = p.audience
	} else {
		known.facts.audience = make([]string, len(aud))
		for i := range aud {
			known.facts.audience[i] = strings.Clone(aud[i])
			size += len(aud[i]) + stringSize
		}
	}
	if known.facts.bound != nil {
		known.facts.bound = known.facts.bound.copied()
		size += bindingSize
	}
	e.Key = []byte(token)
	u.text, u.token = "", e.Key
	p.proven.Put(e, len(e.Key)+size)
}

// copyTexts moves texts into one piece of memory of their own, and returns its size.
func copyTexts(texts []*string) int {
	size := 0
	for _, text := range texts {
		size += len(*text)
	}
	var all strings.Builder
	all.Grow(size)
	for _, text := range texts {
		from := all.Len()
		all.WriteString(*text)
		*text = all.String()[from:]
	}
	return size
}

// stillGood reports whether the key that a remembered token was verified with is still the one that the token refers to
// in the key set that the provider publishes now, and whether the token has not been revoked here. It also returns the
// provider's current issuer.
func (p *provider) stillGood(ctx context.Context, known *proven, token string, now time.Time) (issuer string, ok bool) {
	m, err := p.metadata.GetAt(ctx, now)
	if err != nil {
		return "", false
	}
	set, err := p.keys.GetAt(ctx, now)
	if err != nil || len(set) == 0 {
		return "", false
	}
	revoked := p.revoked.Added()
	if known.set.Load() == &set[0] && known.revoked.Load() == revoked {
		return m.Issuer, true
	}
	// Once after each change: in a new set the token may refer to another key, or to two, and it may have been revoked.
	message, err := jose.Parse(token)
	if err != nil {
		return "", false
	}
	if key := sameKeyIn(set, message.Header, known.key.Load()); key != nil && !p.isRevoked(token) {
		known.key.Store(key) // the old set can be freed
		known.set.Store(&set[0])
		known.revoked.Store(revoked)
		return m.Issuer, true
	}
	p.proven.Delete(token)
	return "", false
}

// sameKeyIn returns the key that a token with that header refers to in a key set, if it is the same as key.
func sameKeyIn(set []jose.Key, h jose.Header, key *jose.Key) *jose.Key {
	if found, err := jose.Select(set, h); err == nil && found.Same(key) {
		return found
	}
	return nil
}

// maxRevoked limits how many revoked tokens are remembered.
const maxRevoked = 10_000

// signedHash is the hash of the signed part only: anybody can change an ECDSA signature into a second valid one. Of what is no
// JWS, it is that of all.
func signedHash(token string) [32]byte {
	if strings.Count(token, ".") != 2 {
		return sha256.Sum256([]byte(token))
	}
	return sha256.Sum256([]byte(token[:max(0, strings.LastIndexByte(token, '.'))]))
}

// isRevoked reports whether this client revoked a token.
func (p *provider) isRevoked(token string) bool {
	return p.revoked.Added() > 0 && p.revoked.Has(signedHash(token))
}

// forgetToken makes the client refuse a revoked access token until it would have expired.
func (p *provider) forgetToken(ctx context.Context, token string) {
	p.proven.Delete(token)
	message, err := jose.Parse(token)
	if err != nil {
		if p.introspects.Load() { // until no answer of before is used any more; if there are too many, these go first
			hash := signedHash(token)
			p.revoked.Add(hash, p.now().Add(maxIntrospected+introspectionLimit))
			p.streams.End(hash, errRevoked)
		}
		return // not a JWT, and otherwise never accepted here
	}
	// A provider accepts the revocation of any string. Only what may be accepted here takes up memory: forged tokens
	// would push the real ones out of it.
	if _, err := p.verify(context.WithoutCancel(ctx), token, presented, p.now(), nil); err != nil && !errors.Is(err, ErrUnavailable) {
		return
	}
	if known, err := parseClaims(message.Payload); err == nil && p.now().Before(known.Expiry.Add(maxLeeway)) {
		hash := signedHash(token)
		p.revoked.Add(hash, known.Expiry.Add(maxLeeway))
		p.streams.End(hash, errRevoked)
	}
}
