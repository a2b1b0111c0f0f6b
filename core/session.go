package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
	"github.com/signward/idserver-go/core/internal/vault"
)

// session is a sign-in as it is kept. One that was opened from a cookie is shared by requests and is never modified.
type session struct {
	user     *User
	tokens   Tokens
	signedIn time.Time // the absolute limit counts from here
	seen     time.Time // the idle limit counts from here

	kept       sessioncodec.Record       // its id, and what else there is to write again, such as what a later version wrote
	ends       endings.Session           // by what it can be ended
	refreshKey [32]byte                  // identifies its next refresh
	typed      *typedClaims              // of its user
	proofKey   func() (*dpop.Key, error) // made when it is first needed; nil: the access token is bound to none
}

// newSession makes a complete session. The fields of kept that the other arguments hold do not count.
func newSession(kept sessioncodec.Record, user *User, tokens Tokens, signedIn, seen time.Time) *session {
	tokens.User = user
	s := &session{kept: kept, user: user, typed: new(typedClaims), tokens: tokens, signedIn: signedIn, seen: seen}
	s.ends = endedBy(kept.ID, user.Issuer, user.Subject, kept.ProviderSession)
	s.ends.Began, s.ends.Issued, s.ends.Outlived = signedIn.UnixMilli(), kept.Issued, kept.Outlived
	if tokens.RefreshToken != "" {
		s.refreshKey = refreshKeyOf(user.Issuer, tokens)
	}
	if len(tokens.ProofKey) > 0 {
		s.proofKey = sync.OnceValues(func() (*dpop.Key, error) { return dpop.ParseKey(tokens.ProofKey) })
	}
	return s
}

// endedBy returns by what a session can be ended.
func endedBy(id [32]byte, issuer, subject, providerSession string) endings.Session {
	s := endings.Session{
		ID: endings.SessionMark(id), Person: endings.PersonMark(issuer, subject), Provider: endings.UnnamedMark(issuer, subject),
	}
	if providerSession != "" {
		s.Provider = endings.ProviderMark(issuer, providerSession)
	}
	return s
}

// renewed returns the session as it is, seen now.
func (s *session) renewed(now time.Time) *session {
	return newSession(s.kept, s.user, s.tokens, s.signedIn, now)
}

// refreshed returns the session with new tokens.
func (s *session) refreshed(user *User, tokens Tokens, now time.Time) *session {
	kept := s.kept
	kept.Version = max(kept.Version+1, tokens.version)
	kept.Confirmed = max(kept.Confirmed, tokens.confirmed)
	if tokens.version != 0 { // another replica has made them, and may know more of them
		kept.SetLater(tokens.later)
	}
	return newSession(kept, user, tokens, s.signedIn, now)
}

// nameSession makes the id of the session that begins with the result of a sign-in.
func (w *web) nameSession(tokens *Tokens) error {
	_, err := io.ReadFull(w.cfg.Rand, tokens.session[:])
	return err
}

// beginSession begins a session with the result of a sign-in. The error is the application's: AdmitUser refused.
func (w *web) beginSession(ctx context.Context, tokens *Tokens) (*session, error) {
	user, err := w.admitUser(ctx, tokens)
	if err != nil {
		return nil, err
	}
	now := w.now()
	kept := sessioncodec.Record{ID: tokens.session, ProviderSession: tokens.sid, Issued: unixMilli(tokens.issued)}
	return w.outliving(ctx, newSession(kept, user, w.withoutIDToken(*tokens), now, now)), nil
}

// withoutIDToken returns the tokens as a session keeps them.
func (w *web) withoutIDToken(t Tokens) Tokens {
	if w.cfg.Session.NoIDToken {
		t.IDToken = ""
	}
	return t
}

// admitUser asks the application about the user of tokens. It passes a copy, because the tokens' own may be shared.
func (w *web) admitUser(ctx context.Context, tokens *Tokens) (*User, error) {
	u := tokens.User
	own := *u
	own.shared = false
	own.Roles, own.CustomRoles, own.Scopes = slices.Clone(u.Roles), slices.Clone(u.CustomRoles), slices.Clone(u.Scopes)
	if w.cfg.AdmitUser != nil {
		ctx = &userContext{Context: ctx, user: &own, accessToken: tokens.AccessToken, proofKey: tokens.ProofKey}
		if err := w.cfg.AdmitUser(ctx, &own); err != nil {
			return nil, fmt.Errorf("AdmitUser: %w", err)
		}
	}
	own.shared = true
	return &own, nil
}

// over reports whether a session has reached one of its limits, or comes from the future: it was sealed while the clock
// was ahead, and its limits would not hold for as long.
func (w *web) over(s *session, now time.Time) bool {
	ahead := max(s.seen.Sub(now), s.signedIn.Sub(now))
	return now.Sub(s.seen) > w.cfg.Session.Idle || now.Sub(s.signedIn) > w.cfg.Session.Max || ahead > w.cfg.Provider.Leeway
}

// withoutStaleRoles returns the session without the roles that no refresh has confirmed for longer than StaleMax; nil if
// there are none of that kind.
func (w *web) withoutStaleRoles(ctx context.Context, s *session, now time.Time) *session {
	t := s.tokens
	if t.rolesExpiry.IsZero() || now.Before(t.rolesExpiry.Add(w.cfg.staleMax())) {
		return nil
	}
	w.cfg.Logger.WarnContext(ctx, "idserver: no refresh has told the user's roles for longer than Session.StaleMax: they are taken away", "roles_from", t.rolesFrom)
	t.rolesFrom, t.rolesExpiry = fromNowhere, time.Time{}
	return newSession(s.kept, s.user.withoutRoles(w.provider.roles), t, s.signedIn, now)
}

// errNoSession means that a request has no session, or one that is over; its cookies are of no use.
var errNoSession = errors.New("there is no session")

// errForeignSession means that a request has a session that this process cannot open, and that another one may: during a
// deployment, replicas of two versions or with two secrets stand side by side. It is not accepted, and not deleted.
var errForeignSession = errors.New("the session was written by another version, or sealed with another secret")

// noSession tells what cannot be opened here from what cannot be opened at all.
func noSession(err error) error {
	if errors.Is(err, sessioncodec.ErrVersion) || errors.Is(err, seal.ErrForeign) {
		return errForeignSession
	}
	return errNoSession
}

// sessionKeeper is where sessions live between requests, of which it is given the cookies.
type sessionKeeper interface {
	// load returns the session of a request. The error is errNoSession, errForeignSession for one that another replica may be
	// able to open, or that of a store that is away, which is no verdict.
	load(ctx context.Context, cookies []string, now time.Time) (foundSession, error)
	// named returns as much of the session of a request as its cookies say, to end it while the store is away; nil if that is
	// nothing.
	named(cookies []string, now time.Time) *session
	// remembered returns the session of a request, if that is known without asking a store.
	remembered(cookies []string, now time.Time) (foundSession, bool)
	// save keeps s, which is the successor of what was found or, with a zero found, a new session. It returns what the browser
	// is to be told.
	save(ctx context.Context, cookies []string, found foundSession, s *session) ([]Field, error)
	// drop has the browser forget its session.
	drop(cookies []string) []Field
	// end forgets a session that is over. What it was ended by says so without that.
	end(ctx context.Context, s *session)
}

// foundSession is a session as it was found.
type foundSession struct {
	*session
	renew bool // it should be saved again: a tenth of the idle time has passed, the secret is an old one, or it moves

	// Of a session in a store:
	stored     storedSession           // what the store has of it
	remembered bool                    // the store was not asked now
	reference  *sessioncodec.Reference // that the cookie has; nil: it has the session itself
	old        bool                    // the cookie was sealed with an old secret
	moves      bool                    // from the cookie into the store
	settles    bool                    // the browser has come with what it was given when the session moved
}

// sessionOf returns the session of a request, or nil if there is none that can be opened here. The error is that of a store
// that is away.
func (w *web) sessionOf(ctx context.Context, r *Request) (*session, error) {
	found, err := w.sessions.load(ctx, r.cookies(), w.now())
	if err == errNoSession || err == errForeignSession {
		return nil, nil
	}
	return found.session, err
}

// identify finds out who sent a request without an Authorization header: the session cookie tells, unless a page of
// another origin had the browser send it along.
func (w *web) identify(ctx context.Context, r Request) (identity, error) {
	switch {
	case !cookies.Has(r.cookies(), w.names.Session):
		return identity{}, notSignedIn
	case w.crossSite(r):
		return identity{}, w.refusedOrigin(&r)
	}
	return w.fromSession(ctx, &r)
}

// fromSession identifies the user by the session cookie, and renews the session when that is due.
func (w *web) fromSession(ctx context.Context, r *Request) (v identity, err error) {
	now, revoked := w.now(), w.provider.revoked.Added()
	found, ok := w.sessions.remembered(r.cookies(), now)
	if !ok {
		found, err = w.sessions.load(ctx, r.cookies(), now)
	}
	switch {
	case err == errForeignSession: // while this program is being replaced: the other one can open it
		return v, notSignedIn
	case err == errNoSession:
		return v, refused(CodeNotSignedIn, nil, w.sessions.drop(r.cookies())...)
	case err != nil:
		return v, err
	}
	s := found.session
	next, err := w.refresh(ctx, r, s)
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errStale), errors.Is(err, errUnheard):
		return v, refused(codeOfStale(err), err)
	case errors.Is(err, errUnconfirmed): // with the cookie, as another replica may know better
		w.cfg.Logger.InfoContext(ctx, "idserver: the session is not known to go on", "subject", s.user.Subject, "error", err)
		return v, notSignedIn
	case errors.Is(err, errNotRenewed):
		return v, refused(CodeSessionNotRenewed, nil)
	case err != nil:
		w.cfg.Logger.InfoContext(ctx, "idserver: the session is over", "subject", s.user.Subject, "error", err)
		w.provider.streams.End(s.ends.ID, errNotGoneOn)
		w.sessions.end(context.WithoutCancel(ctx), s)
		return v, refused(CodeNotSignedIn, nil, slices.Concat(w.sessions.drop(r.cookies()), w.wasKept(s, err, now), w.markLost(s, err, now))...)
	}
	if next != nil {
		w.provider.streams.Extend(w.admission(next))
	}
	mayRenew := (next != nil || found.renew) && w.mayRenew(r)
	switch {
	case next == nil && mayRenew:
		next = s.renewed(now)
	case next == nil:
		next = s
	}
	if fewer := w.withoutStaleRoles(ctx, next, now); fewer != nil {
		next, mayRenew = fewer, w.mayRenew(r)
	}
	var fields []Field
	if mayRenew {
		fields, err = w.sessions.save(ctx, r.cookies(), found, next)
		switch {
		case err == errSignedOut: // while this request was answered
			return v, refused(CodeNotSignedIn, nil, w.sessions.drop(r.cookies())...)
		case err != nil:
			return v, refused(codeOfSaving(err), err)
		}
		w.list(ctx, r, next)
	}
	return identity{
		user: next.user, typed: next.typed, accessToken: next.tokens.AccessToken, session: next, fields: fields, found: now, revoked: revoked,
	}, nil
}

// mayRenew reports whether a session may be refreshed and its cookies written with the answer to r. The answer must reach
// the browser with its cookies: a refresh token that was rotated is lost with them, and the session half an hour later. So
// only a person's navigation and a script of the application's own renew. The answer to a WebSocket's handshake keeps no
// cookies, nobody may come for a prefetch's, a beacon's page is gone, and images, scripts, styles and fonts are what caches
// store.
func (w *web) mayRenew(r *Request) bool {
	if r.isHandshake() || r.isPrefetch() {
		return false
	}
	dest := r.value(secFetchDest)
	switch r.value(secFetchMode) {
	case "": // not a browser, or an old one
		accept, _, _ := strings.Cut(r.value("Accept"), "/")
		asset := slices.Contains([]string{"image", "audio", "video", "font"}, accept) || strings.HasPrefix(r.value("Accept"), "text/css")
		return dest == "" && !asset
	case "navigate":
		return slices.Contains([]string{"document", "iframe", "frame", ""}, dest)
	case "cors", "same-origin":
		return (dest == "empty" || dest == "") && (w.fromOwnPage(r) || r.value(secFetchSite) == "none")
	}
	return false
}

// errTooLarge marks a session that cannot be kept because of what the provider says.
var errTooLarge = errors.New("the session is too large")

func codeOfSaving(err error) RefusalCode {
	switch {
	case errors.Is(err, errTooLarge):
		return CodeSessionTooLarge
	case errors.Is(err, vault.ErrAway):
		return CodeStoreUnavailable
	}
	return CodeInternal
}

// packSession encodes a session. It fails if unpackSession would refuse the result: a browser that is given such a session
// would sign in again and again.
func packSession(s *session) ([]byte, error) {
	claims, err := s.user.claimsText()
	if err != nil {
		return nil, err
	}
	u, t, r := s.user, &s.tokens, s.kept
	r.Issuer, r.Subject, r.TenantID, r.Claims = u.Issuer, u.Subject, u.TenantID, string(claims)
	r.Email, r.EmailVerified = u.Email, u.EmailVerified
	r.Name, r.GivenName, r.FamilyName = u.Name, u.GivenName, u.FamilyName
	r.Roles, r.CustomRoles, r.RolesFrom = u.Roles, u.CustomRoles, t.rolesFrom
	r.Scopes = u.Scopes
	r.SignedIn, r.Seen = s.signedIn.UnixMilli(), s.seen.UnixMilli()
	r.AccessToken, r.IDToken, r.RefreshToken, r.ProofKey = t.AccessToken, t.IDToken, t.RefreshToken, t.ProofKey
	r.Expiry, r.RefreshAt, r.RolesExpiry = unixMilli(t.Expiry), unixMilli(t.refreshAt), unixMilli(t.rolesExpiry)
	r.Nonce, r.AuthTime, r.ACR = t.first.nonce, unixMilli(t.first.authTime), t.first.acr
	return sessioncodec.Pack(r)
}

// unpackSession is the inverse of packSession: clientID, which no session of another client has, is not packed. size is the number of bytes after decompression.
func unpackSession(packed []byte, clientID string) (s *session, size int, err error) {
	r, size, err := sessioncodec.Unpack(packed)
	if err != nil {
		return nil, 0, err
	}
	user := &User{
		Issuer: r.Issuer, Subject: r.Subject, Email: r.Email, EmailVerified: r.EmailVerified, Name: r.Name, GivenName: r.GivenName,
		FamilyName: r.FamilyName, TenantID: r.TenantID, Roles: r.Roles, CustomRoles: r.CustomRoles,
		Scopes: r.Scopes, ClientID: clientID, Expiry: fromUnixMilli(r.Expiry), text: r.Claims, shared: true,
		ACR: r.ACR, AuthTime: fromUnixMilli(r.AuthTime),
	}
	user.text = cmp.Or(user.text, "{}")
	tokens := Tokens{
		AccessToken: r.AccessToken, IDToken: r.IDToken, RefreshToken: r.RefreshToken, ProofKey: r.ProofKey,
		Expiry: fromUnixMilli(r.Expiry), refreshAt: fromUnixMilli(r.RefreshAt),
		rolesFrom: r.RolesFrom, rolesExpiry: fromUnixMilli(r.RolesExpiry),
		first: firstIDToken{nonce: r.Nonce, authTime: fromUnixMilli(r.AuthTime), acr: r.ACR},
	}
	return newSession(r, user, tokens, time.UnixMilli(r.SignedIn), time.UnixMilli(r.Seen)), size, nil
}

// In milliseconds, because a fifth of a short lifetime matters.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromUnixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
