package idserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// The values of ResourceConfig.Introspect.
const (
	introspectOpaque = "opaque"
	introspectAll    = "all"
)

// Limits on what the provider is asked about tokens: strangers send them, and must not use us against it.
const (
	mostIntrospecting   = 32      // at once
	mostIntrospected    = 8 << 20 // bytes of answers that are kept
	introspectionLimit  = 15 * time.Second
	defaultIntrospected = 10 * time.Second // how long an answer is kept
	maxIntrospected     = time.Minute
	inactiveKept        = 5 * time.Second
	failureKept         = time.Second
	withoutExpiry       = time.Hour // the life of a stream by a token of which the provider does not say when it expires
	maxOpaqueToken      = 8 << 10   // bytes
)

// introspection asks a provider what access tokens stand for, RFC 7662. It is safe for concurrent use.
type introspection struct {
	of     *Client // as it is to the API
	all    bool    // JWTs too
	signed bool    // RFC 9701
	kept   time.Duration
	asking *flight.Group[*proven]
}

func newIntrospection(of *Client, cfg *ResourceConfig) *introspection {
	i := &introspection{of: of, all: cfg.Introspect == introspectAll, signed: cfg.SignedIntrospection, kept: defaultIntrospected}
	if cfg.IntrospectionKept != 0 {
		i.kept = max(cfg.IntrospectionKept, 0)
	}
	i.asking = flight.New(flight.Options[*proven]{
		Now: of.cfg.Now, Limit: introspectionLimit, MostRunning: mostIntrospecting, MostBytes: mostIntrospected,
		Kept: i.keptFor,
		Size: func(known *proven, _ error) int {
			if known == nil {
				return 0
			}
			if known.facts.bound != nil {
				return 2*len(known.user.text) + bindingSize
			}
			return 2 * len(known.user.text)
		},
	})
	return i
}

// keptFor is how long an answer is kept: no longer than the token lives.
func (i *introspection) keptFor(known *proven, err error) time.Duration {
	switch {
	case known != nil:
		if left := fromUnixMilli(known.facts.expiry).Sub(i.of.cfg.Now()); left > 0 {
			return min(i.kept, left)
		}
		return inactiveKept // it has expired, whatever the provider says
	case err == nil, errors.Is(err, ErrInvalidToken):
		return inactiveKept
	}
	return failureKept
}

// isJWS reports whether a token is meant to be a JWT that is signed. One that fails its checks is refused, whatever the provider
// would say about it.
func isJWS(token string) bool {
	header, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 {
		return false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(header)
	return strings.HasPrefix(header, "ey") || err == nil && strings.HasPrefix(strings.TrimSpace(string(decoded)), "{")
}

// judge asks the provider about a token, unless it was asked a moment ago, and checks the answer as a JWT's claims.
func (i *introspection) judge(ctx context.Context, token string, want tokenRules, now time.Time) (*proven, error) {
	p := i.of.provider
	switch {
	case len(token) > jose.MaxToken, len(token) > maxOpaqueToken && !isJWS(token), !isToken68(token):
		return nil, invalidToken(ReasonMalformed, "it is no token that the provider is asked about: longer than %d bytes, or of other characters than RFC 6750 allows", maxOpaqueToken)
	case p.isRevoked(token):
		return nil, invalidToken(ReasonRevoked, "it was revoked here")
	}
	// The answer is this client's: another one may be told something else, or nothing.
	key := sha256.Sum256([]byte(i.of.issuer() + "\x00" + p.cfg.ClientID + "\x00" + token))
	known, err := i.asking.Do(ctx, key, func(ctx context.Context) (*proven, error) { return i.ask(ctx, token) })
	switch {
	case errors.Is(err, flight.ErrLeft):
		return nil, baseerror.Errorf("idserver: introspection: %w", err)
	case errors.Is(err, flight.ErrBusy), errors.Is(err, flight.ErrClosed), errors.Is(err, flight.ErrPanicked):
		return nil, cannotJudge(err)
	case err != nil:
		return nil, err
	case known == nil:
		return nil, invalidToken(ReasonRevoked, "the provider says that it is not active: it has expired, was revoked, or is not one of its own")
	case p.isRevoked(token):
		return nil, invalidToken(ReasonRevoked, "it was revoked here")
	}
	want.typed = false // an answer has no typ; its kind was checked
	if err := known.facts.check(known.user.Issuer, known.user.Issuer, p.cfg.ClientID, want, now); err != nil {
		return nil, err
	}
	return known, nil
}

// ask makes one request, RFC 7662 section 2.1. It returns nil for a token that is not active.
func (i *introspection) ask(ctx context.Context, token string) (*proven, error) {
	p := i.of.provider
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, cannotJudge(err)
	}
	if m.IntrospectionEndpoint == "" {
		return nil, &DiscoveryError{p.cfg.Authority, errors.New("no introspection_endpoint in it: set Config.Provider.Endpoints.Introspection, or ResourceConfig.Introspect to nothing")}
	}
	call := endpoint.Call{
		URL: m.IntrospectionEndpoint, Form: url.Values{"token": {token}, "token_type_hint": {"access_token"}}, Authentication: p.authentication(m),
	}
	if i.signed {
		call.Accept = introspectionJWT
	}
	a, err := p.do(ctx, "introspection", call)
	if err != nil {
		return nil, cannotJudge(err)
	}
	if a.Status != http.StatusOK {
		r := a.Refusal()
		return nil, &DiscoveryError{m.IntrospectionEndpoint, &TokenEndpointError{Status: r.Status, Code: r.Code, Description: r.Description, RetryAfter: r.RetryAfter, form: r.Form}}
	}
	answer, err := i.read(ctx, a, m.Issuer)
	if err != nil {
		return nil, err
	}
	switch active := answer.Get("active"); active {
	case "true":
		return i.proven(ctx, answer, m.Issuer)
	case "false":
		return nil, nil
	}
	return nil, cannotJudge(errors.New("introspection: the answer does not say whether the token is active"))
}

const introspectionJWT = "application/token-introspection+jwt"

// read reads an answer. Where signed ones are wanted, no other counts (RFC 9701 section 5).
func (i *introspection) read(ctx context.Context, a *endpoint.Answer, issuer string) (answer strictjson.Object, err error) {
	if !i.signed {
		if answer, err = claims.ParseObject(a.Body); err != nil {
			return answer, cannotJudge(fmt.Errorf("introspection: %w", err))
		}
		return answer, nil
	}
	p := i.of.provider
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != introspectionJWT {
		return answer, &DiscoveryError{p.cfg.Authority, fmt.Errorf("the answer of the introspection endpoint is not signed (%q), and ResourceConfig.SignedIntrospection is set", shown(kind))}
	}
	v, err := p.verify(ctx, string(a.Body), issuedUserInfo, p.now(), nil)
	if err == nil {
		switch now, leeway := p.now(), i.of.tokens.leeway; {
		case strings.TrimPrefix(strings.ToLower(v.header.Type), "application/") != "token-introspection+jwt":
			err = fmt.Errorf("typ is %q", shown(v.header.Type))
		case v.Issuer != issuer:
			err = fmt.Errorf("iss is %q, want %q", shown(v.Issuer), issuer)
		case !slices.Contains(v.Audience, p.cfg.ClientID):
			err = fmt.Errorf("aud is %q, want %q", shown(v.Audience), p.cfg.ClientID)
		case v.IssuedAt.IsZero(), now.Add(leeway).Before(v.IssuedAt), now.After(v.IssuedAt.Add(introspectionLimit + leeway)): // an old one says nothing of now
			err = errors.New("iat is missing, or not of now")
		}
	}
	if err == nil {
		answer, err = claims.ParseObject([]byte(v.Get("token_introspection")))
	}
	if invalid := (*InvalidTokenError)(nil); errors.As(err, &invalid) { // the answer is, and says nothing of the token
		err = fmt.Errorf("%v: %w", invalid.Reason, invalid.Err)
	}
	if err != nil {
		return answer, cannotJudge(fmt.Errorf("introspection: the signed answer is not good: %w", err))
	}
	return answer, nil
}

// proven makes of an answer about an active token what the verification of a JWT makes of its claims.
func (i *introspection) proven(ctx context.Context, answer strictjson.Object, issuer string) (*proven, error) {
	p := i.of.provider
	trusted := i.of.tokens.trustedIssuer(issuer)
	if answer.Get("iss") == "" && !isTemplate(trusted) { // RFC 7662 section 2.2: it may be left out
		var err error
		if answer, err = withText(answer, "iss", trusted); err != nil {
			return nil, err
		}
	}
	known, err := parseClaims([]byte(answer.Text()))
	if err != nil {
		return nil, err
	}
	if wanted, err := p.issuerOf(ctx, trusted, known.Issuer, true); err != nil {
		return nil, err
	} else if known.Issuer != wanted {
		return nil, invalidToken(ReasonIssuer, "iss is %q, want %q", known.Issuer, wanted)
	}
	if err := checkIntrospectedKind(answer); err != nil {
		return nil, err
	}
	facts, err := p.accessTokenFacts(known, "")
	switch kind, _ := strictjson.String(answer.Get("token_type")); {
	case err != nil:
		return nil, err
	case strings.EqualFold(kind, dpopType) && (facts.bound == nil || facts.bound.key == ""):
		return nil, invalidToken(ReasonType, "token_type is DPoP, and the answer does not say which key it is bound to (cnf.jkt)")
	}
	if facts.expiry == 0 {
		facts.expiry = unixMilli(p.now().Add(withoutExpiry))
	}
	e := &proven{facts: facts}
	e.user.readClaims(known.Object, p.roles, false)
	e.user.shared = true
	return e, nil
}

// checkIntrospectedKind refuses what is active and no access token: Hydra says so of refresh tokens, with their token_use, and
// Keycloak has the kind in typ.
func checkIntrospectedKind(answer strictjson.Object) error {
	for name, wanted := range map[string][]string{
		"token_use": {"access_token", "access"}, "token_type": {"bearer", "dpop", "access_token", "access"}, "typ": {"bearer", "at+jwt", "application/at+jwt", "jwt"},
	} {
		value := answer.Get(name)
		if value == "" || value == "null" {
			continue
		}
		if text, ok := strictjson.String(value); !ok || !slices.Contains(wanted, strings.ToLower(text)) {
			return invalidToken(ReasonType, "%s is %q: it is not an access token of type Bearer", name, shown(text))
		}
	}
	return nil
}
