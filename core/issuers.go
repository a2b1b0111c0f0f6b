package idserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/jose"
)

// Issuers returns an API that takes the access tokens of several issuers, each as one of the clients takes it: with its
// keys, audience, leeway and place of the roles. The iss of a token chooses the client before anything is verified or
// fetched; a token of any other issuer is refused. [User].Issuer tells whose it was: a subject is unique at its issuer only.
// What an API has once (log, Events, RenderRefusal, ScopeIncludes) is that of the first client. An API with one audience for
// all of them has [ResourceConfig].Issuers. Bearer tokens only are taken: proofs of possession are for a URL, which an Identifier
// tells (ResourceConfig.Issuers with DPoP or MTLS).
//
// It is an error if there is no client, if one is nil, and if two take tokens of the same issuer. The tenants of one Entra
// authority are one client: see Config.Provider.Tenants.
func Issuers(clients ...*Client) (*Resource, error) {
	if len(clients) == 0 || slices.Contains(clients, nil) {
		return nil, baseerror.New("idserver: Issuers: a client is missing")
	}
	s := new(issuers)
	for _, c := range clients {
		s.listed = append(s.listed, c.api(c.tokens))
	}
	if err := s.faults("clients").Err(); err != nil {
		return nil, baseerror.Errorf("idserver: Issuers: %w", err)
	}
	as := s.listed[0]
	as.issuers = s
	return &Resource{as}, nil
}

// issuers are the providers whose access tokens an API takes. Clients are as they are to the API.
type issuers struct {
	listed []*Client
	ask    func(ctx context.Context, issuer string) (*Client, error) // of ResourceConfig; nil: there are no others
	as     func(*Client) *Client                                     // how one that was found is to the API
	asking *flight.Group[*Client]

	mu    sync.RWMutex
	found map[string]*Client // by iss
}

// Limits on what is asked about issuers that are not listed: anybody can make one up.
const (
	mostIssuers      = 1000
	mostAsking       = 16
	askingLimit      = 10 * time.Second
	unknownKept      = 10 * time.Minute
	mostUnknownBytes = 4 << 20 // about 10,000 issuers
	maxIssuer        = 512     // bytes
)

// newIssuers returns the providers of an API: its own client's, those that are listed, and those that ask finds.
func newIssuers(own *Client, cfg *ResourceConfig) *issuers {
	s := &issuers{listed: []*Client{own}, ask: cfg.FindIssuer, found: map[string]*Client{}}
	s.as = func(c *Client) *Client { return c.api(cfg.rules(c.tokens)) }
	for _, c := range cfg.Issuers {
		s.listed = append(s.listed, s.as(c))
	}
	s.asking = flight.New(flight.Options[*Client]{
		Now: own.cfg.Now, Limit: askingLimit, MostRunning: mostAsking, MostBytes: mostUnknownBytes,
		Size: func(*Client, error) int { return 0 },
		Kept: func(c *Client, err error) time.Duration {
			switch {
			case err != nil:
				return time.Second
			case c == nil:
				return unknownKept
			}
			return 0 // it is in found
		},
	})
	return s
}

// faults are issuers that are listed twice: which client's audience and roles count would depend on the order.
func (s *issuers) faults(field string) (faults fault.List) {
	for i, c := range s.listed {
		for _, other := range s.listed[:i] {
			if other.mayIssue(c.issuer()) || c.mayIssue(other.issuer()) {
				faults.Add(field, "", "have the issuer %q twice", c.issuer())
			}
		}
	}
	return faults
}

// issuer is the iss that is known of a provider before its metadata is.
func (c *Client) issuer() string {
	return cmp.Or(c.tokens.issuer, c.cfg.Provider.Issuer, c.cfg.Authority)
}

// mayIssue reports whether iss may be that of this client's access tokens, as far as that is known before anything is
// fetched. The client itself decides later, by its metadata and tenants.
func (c *Client) mayIssue(iss string) bool {
	p := &c.cfg.Provider
	switch trusted := c.issuer(); {
	case isTemplate(trusted):
		_, ok := tenantOf(trusted, iss)
		return ok
	case iss == trusted:
		return true
	case c.tokens.issuer != "" || p.Issuer != "":
		return false
	case iss == strings.TrimSuffix(trusted, "/"): // which metadata may leave out
		return true
	case len(p.Tenants) > 0 || p.AdmitTenant != nil:
		return isSiblingOf(trusted, iss) // the template is in the metadata
	}
	return false
}

// isSiblingOf reports whether two issuers are the same but for one segment of the path, which names a tenant (Entra).
func isSiblingOf(authority, iss string) bool {
	ours, theirs := strings.Split(strings.TrimSuffix(authority, "/"), "/"), strings.Split(strings.TrimSuffix(iss, "/"), "/")
	if len(ours) != len(theirs) || len(ours) < 4 { // https, nothing, the host, and a path
		return false
	}
	different := 0
	for i := range ours {
		if ours[i] != theirs[i] {
			different++
		}
	}
	return different == 1 && ours[0] == theirs[0] && ours[1] == theirs[1] && ours[2] == theirs[2]
}

// of returns the client whose provider issued a token, by what the token says of itself: nothing is fetched, but for an issuer
// that is not listed the application is asked. The client verifies it then.
func (s *issuers) of(ctx context.Context, token string, now time.Time) (*Client, error) {
	for _, c := range s.listed {
		if c.provider.proven.Get(token) != nil {
			return c, nil
		}
	}
	unverified, err := unverifiedClaims(token)
	if err != nil {
		return nil, err
	}
	iss := unverified.Issuer
	for _, c := range s.listed {
		if c.mayIssue(iss) {
			return c, nil
		}
	}
	switch c := s.known(iss); {
	case c != nil:
		return c, nil
	case s.ask == nil:
		return nil, invalidToken(ReasonIssuer, "iss is %q, which is that of none of the clients", iss)
	}
	own := s.listed[0]
	if err := own.tokens.checkAudience(unverified.Audience); err != nil { // the application is asked about nothing else
		return nil, err
	}
	if err := checkTimes(unverified.Expiry, unverified.NotBefore, unverified.IssuedAt, now, own.tokens.leeway); err != nil {
		return nil, err
	}
	if _, err := parseBaseURL(iss, own.cfg.InsecurePlainHTTP); err != nil || len(iss) > maxIssuer {
		return nil, invalidToken(ReasonIssuer, "iss is %q, which is no issuer's URL", iss)
	}
	return s.find(ctx, strings.Clone(iss))
}

// unverifiedClaims reads what a token says of itself. Anybody may have made it up.
func unverifiedClaims(token string) (*claims.Claims, error) {
	message := messages.Get().(*jose.Message)
	defer messages.Put(message)
	if err := message.Parse(token, nil); err != nil {
		return nil, &InvalidTokenError{ReasonMalformed, err}
	}
	return parseClaims(message.Payload)
}

// known returns the client that the application named for an issuer, unless it has closed it since.
func (s *issuers) known(iss string) *Client {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.found[iss]; c != nil && !c.provider.closed.Load() {
		return c
	}
	return nil
}

// find asks the application for an issuer's client: once at a time, and in ten minutes for one that it does not know.
func (s *issuers) find(ctx context.Context, iss string) (*Client, error) {
	c, err := s.asking.Do(ctx, sha256.Sum256([]byte(iss)), func(ctx context.Context) (*Client, error) {
		if c := s.known(iss); c != nil { // it was found while this was waiting
			return c, nil
		}
		c, err := s.ask(ctx, iss)
		if err != nil || c == nil {
			return nil, err
		}
		as := s.as(c)
		if !as.mayIssue(iss) {
			s.listed[0].cfg.Logger.WarnContext(ctx, "idserver: FindIssuer returned a client of another issuer than the one that it was asked for", slog.String("asked", iss), slog.String("issuer", as.issuer()))
			return nil, nil
		}
		return as, s.keep(iss, as)
	})
	switch {
	case errors.Is(err, flight.ErrLeft):
		return nil, baseerror.Errorf("idserver: FindIssuer: %w", err)
	case err != nil:
		return nil, baseerror.Errorf("idserver: FindIssuer: %w: %w", ErrUnavailable, err)
	case c == nil:
		return nil, invalidToken(ReasonIssuer, "iss is %q, which is listed nowhere, and FindIssuer does not know it", iss)
	}
	return c, nil
}

var errManyIssuers = errors.New("it has found 1000 issuers, and more are not kept: close the clients of those that are not needed any more")

// keep keeps a client that was found, in the place of those that the application has closed.
func (s *issuers) keep(iss string, c *Client) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.found) >= mostIssuers {
		maps.DeleteFunc(s.found, func(_ string, c *Client) bool { return c.provider.closed.Load() })
	}
	if len(s.found) >= mostIssuers {
		return errManyIssuers
	}
	s.found[iss] = c
	return nil
}

// judge verifies an access token. bound says that it may be bound to a key, and that the caller has the sender show that they hold it. by is the
// client whose provider issued it, and revoked the number of revocations before.
func (c *Client) judge(ctx context.Context, token string, bound bool, now time.Time) (by *Client, known *proven, revoked int64, err error) {
	by = c
	opaque := c.introspection != nil && !isJWS(token)
	if c.issuers != nil && !opaque {
		if by, err = c.issuers.of(ctx, token, now); err != nil {
			return c, nil, 0, err
		}
	}
	revoked = by.provider.revoked.Added()
	want := by.tokens
	want.bound = bound
	if by.introspection != nil && (opaque || by.introspection.all) {
		known, err = by.introspection.judge(ctx, token, want, now)
		return by, known, revoked, err
	}
	known, err = by.provider.validateAccessToken(ctx, token, want, now)
	return by, known, revoked, err
}
