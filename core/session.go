package idserver

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/memo"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// session is a sign-in as it is kept. One that was opened from a cookie is shared by requests and is never modified.
type session struct {
	user     *User
	tokens   Tokens
	signedIn time.Time // the absolute limit counts from here
	seen     time.Time // the idle limit counts from here

	grant [32]byte // identifies its refresh token
}

// newSession makes a complete session.
func newSession(user *User, tokens Tokens, signedIn, seen time.Time) *session {
	tokens.User = user
	s := &session{user: user, tokens: tokens, signedIn: signedIn, seen: seen}
	if tokens.RefreshToken != "" {
		s.grant = refreshKey(user.Issuer, tokens.RefreshToken)
	}
	return s
}

// openedSession is a session, and whether it was sealed with an old secret.
type openedSession struct {
	*session
	old bool
}

// openedOverhead is what an opened session takes besides its text, in bytes.
const openedOverhead = 1 << 10

// beginSession begins a session with the result of a sign-in. The error is the application's: AdmitUser refused.
func (w *web) beginSession(ctx context.Context, tokens *Tokens) (*session, error) {
	user, err := w.admitUser(ctx, tokens)
	if err != nil {
		return nil, err
	}
	now := w.now()
	return newSession(user, *tokens, now, now), nil
}

// admitUser asks the application about the user of tokens. It passes a copy, because the tokens' own may be shared.
func (w *web) admitUser(ctx context.Context, tokens *Tokens) (*User, error) {
	u := tokens.User
	own := *u
	own.shared = false
	own.Roles, own.CustomRoles = slices.Clone(u.Roles), slices.Clone(u.CustomRoles)
	if w.cfg.AdmitUser != nil {
		ctx = &userContext{Context: ctx, user: &own, accessToken: tokens.AccessToken}
		if err := w.cfg.AdmitUser(ctx, &own); err != nil {
			return nil, fmt.Errorf("AdmitUser: %w", err)
		}
	}
	own.shared = true
	return &own, nil
}

// over reports whether a session has reached one of its limits.
func (w *web) over(s *session, now time.Time) bool {
	return now.Sub(s.seen) > w.cfg.Session.Idle || now.Sub(s.signedIn) > w.cfg.Session.Max
}

// loadSession opens the session of a request; nil if there is none. renew reports whether its cookie should be written
// again: a tenth of the idle time has passed, or the secret is an old one.
func (w *web) loadSession(r *Request, now time.Time) (s *session, renew bool) {
	value, ok := r.unchunk(w.sessionName)
	if !ok {
		return nil, false
	}
	opened := w.opened.Get(value)
	if opened == nil {
		packed, old, err := w.ring.Open(w.sessionName, value)
		if err != nil {
			return nil, false
		}
		s, size, err := unpackSession(packed)
		if err != nil {
			return nil, false
		}
		e := &memo.Entry[openedSession]{Key: []byte(value), Value: openedSession{s, old}}
		w.opened.Put(e, len(value)+2*size+openedOverhead)
		opened = &e.Value
	}
	if w.over(opened.session, now) {
		return nil, false
	}
	return opened.session, opened.old || now.Sub(opened.seen) > w.cfg.Session.Idle/10
}

// identify finds out who sent a request without an Authorization header: the session cookie tells, unless a page of
// another origin had the browser send it along.
func (w *web) identify(ctx context.Context, r Request) (identity, error) {
	switch {
	case !r.hasCookie(w.sessionName):
		return identity{}, notSignedIn
	case w.crossSite(r):
		return identity{}, refused(CodeCrossSite, nil)
	}
	return w.fromSession(ctx, &r)
}

// fromSession identifies the user by the session cookie, and renews the session when that is due.
func (w *web) fromSession(ctx context.Context, r *Request) (v identity, err error) {
	now, revoked := w.now(), w.provider.revoked.made.Load()
	s, renew := w.loadSession(r, now)
	if s == nil {
		return v, refused(CodeNotSignedIn, nil, w.dropSession(r)...)
	}
	next, err := w.refresh(ctx, s)
	if errors.Is(err, errLeft) {
		return v, refused(CodeProviderUnavailable, err)
	}
	if err != nil {
		w.cfg.Logger.InfoContext(ctx, "idserver: the session is over", "subject", s.user.Subject, "error", err)
		return v, refused(CodeNotSignedIn, nil, w.dropSession(r)...)
	}
	if next == nil && renew {
		next = newSession(s.user, s.tokens, s.signedIn, now)
	}
	if next == nil {
		return identity{user: s.user, accessToken: s.tokens.AccessToken, found: now, revoked: revoked}, nil
	}
	fields, err := w.saveSession(r, next)
	if err != nil {
		return v, refused(CodeInternal, err)
	}
	return identity{user: next.user, accessToken: next.tokens.AccessToken, fields: fields, found: now, revoked: revoked}, nil
}

// saveSession writes the session's cookies, and deletes those left over from a longer one before it.
func (w *web) saveSession(r *Request, s *session) ([]Field, error) {
	packed, err := packSession(s)
	if err != nil {
		return nil, err
	}
	if _, _, err := unpackSession(packed); err != nil { // otherwise the browser would sign in again and again
		return nil, errors.New("the session cannot be read back: the provider's claims are too many or nest too deep")
	}
	value, err := w.ring.Seal(w.cfg.Rand, w.sessionName, packed)
	if err != nil {
		return nil, err
	}
	if len(value) > maxChunk*maxChunks {
		return nil, fmt.Errorf("the session has %d bytes, and cookies hold %d: ask for fewer scopes, or have the provider put less into its tokens", len(value), maxChunk*maxChunks)
	}
	life := min(w.cfg.Session.Idle, w.cfg.Session.Max-w.now().Sub(s.signedIn))
	var fields []Field
	kept := chunks(w.sessionName, value)
	for i := range len(kept) {
		name := chunkName(w.sessionName, i)
		fields = append(fields, w.setCookie(name, kept[name], "/", int(life.Seconds())))
	}
	return append(fields, w.deleteCookies(r, func(name string) bool { _, ok := kept[name]; return !ok })...), nil
}

// dropSession deletes the session's cookies.
func (w *web) dropSession(r *Request) []Field {
	return w.deleteCookies(r, func(string) bool { return true })
}

// deleteCookies deletes the request's session cookies whose names are unwanted.
func (w *web) deleteCookies(r *Request, unwanted func(name string) bool) (fields []Field) {
	for i := range maxChunks {
		name := chunkName(w.sessionName, i)
		if unwanted(name) && r.hasCookie(name) {
			fields = append(fields, w.setCookie(name, "", "/", -1))
		}
	}
	return fields
}

// maxSession limits the size of an unpacked session, in bytes.
const maxSession = 256 << 10

// sessionRecord is the part of a session that is encoded as JSON. AdmitUser may have modified the user's fields, so they
// are kept next to the claims that they came from; compression removes the repetition.
type sessionRecord struct {
	User      userRecord     `json:"user"`
	Claims    strictjson.Raw `json:"claims"`
	SignedIn  int64          `json:"signed_in"`
	Seen      int64          `json:"seen"`
	Expiry    int64          `json:"expiry,omitempty"`
	RefreshAt int64          `json:"refresh_at,omitempty"`
}

type userRecord struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Email         string   `json:"email,omitempty"`
	EmailVerified bool     `json:"email_verified,omitempty"`
	Name          string   `json:"name,omitempty"`
	GivenName     string   `json:"given_name,omitempty"`
	FamilyName    string   `json:"family_name,omitempty"`
	TenantID      string   `json:"tenant_id,omitempty"`
	Roles         []string `json:"roles,omitempty"`
	CustomRoles   []string `json:"custom_roles,omitempty"`
}

// packSession encodes a session compactly: the JSON record and the tokens, each preceded by its length, deflated. The
// parts of a JWT are decoded from base64url first, because in that alphabet the compressor would not see that they repeat
// the claims.
func packSession(s *session) ([]byte, error) {
	u := s.user
	claims, err := u.claimsText()
	if err != nil {
		return nil, err
	}
	record, err := strictjson.Marshal(sessionRecord{
		User:     userRecord{u.Issuer, u.Subject, u.Email, u.EmailVerified, u.Name, u.GivenName, u.FamilyName, u.TenantID, u.Roles, u.CustomRoles},
		Claims:   claims,
		SignedIn: s.signedIn.Unix(), Seen: s.seen.Unix(),
		Expiry: unixMilli(s.tokens.Expiry), RefreshAt: unixMilli(s.tokens.refreshAt),
	})
	if err != nil {
		return nil, err
	}
	parts := [][]byte{record}
	for _, token := range []string{s.tokens.AccessToken, s.tokens.IDToken, s.tokens.RefreshToken} {
		parts = append(parts, packToken(token)...)
	}
	var out bytes.Buffer
	deflater := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(deflater)
	deflater.Reset(&out)
	for _, part := range parts {
		if _, err := deflater.Write(append(binary.AppendUvarint(nil, uint64(len(part))), part...)); err != nil {
			return nil, err
		}
	}
	if err := deflater.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// unpackSession is the inverse of packSession. size is the number of bytes after decompression.
func unpackSession(packed []byte) (s *session, size int, err error) {
	inflater := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(inflater)
	if err := inflater.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
		return nil, 0, err
	}
	plain, err := io.ReadAll(io.LimitReader(inflater, maxSession+1))
	if err != nil || len(plain) > maxSession {
		return nil, 0, errSession
	}
	head, rest, err := nextPart(plain)
	if err != nil {
		return nil, 0, err
	}
	var record sessionRecord
	if err := strictjson.Unmarshal(head, &record); err != nil {
		return nil, 0, err
	}
	k, claims := record.User, "{}"
	if record.Claims != nil {
		if err := record.Claims.Compact(); err != nil {
			return nil, 0, err
		}
		claims = string(record.Claims)
	}
	user := &User{k.Issuer, k.Subject, k.Email, k.EmailVerified, k.Name, k.GivenName, k.FamilyName, k.TenantID, k.Roles, k.CustomRoles, nil, claims, nil, true}
	tokens := Tokens{Expiry: fromUnixMilli(record.Expiry), refreshAt: fromUnixMilli(record.RefreshAt)}
	for _, token := range []*string{&tokens.AccessToken, &tokens.IDToken, &tokens.RefreshToken} {
		if *token, rest, err = unpackToken(rest); err != nil {
			return nil, 0, err
		}
	}
	return newSession(user, tokens, time.Unix(record.SignedIn, 0), time.Unix(record.Seen, 0)), len(plain), nil
}

var errSession = errors.New("not a session that can be read")

// packToken splits a token into parts: for a JWT a count of three and the three decoded parts, otherwise a count of one
// and the token itself.
func packToken(token string) [][]byte {
	segments := strings.Split(token, ".")
	if len(segments) == 3 {
		parts := [][]byte{{3}}
		for _, segment := range segments {
			decoded, err := base64.RawURLEncoding.Strict().DecodeString(segment)
			if err != nil || strings.ContainsAny(segment, "\r\n") {
				return [][]byte{{1}, []byte(token)}
			}
			parts = append(parts, decoded)
		}
		return parts
	}
	return [][]byte{{1}, []byte(token)}
}

func unpackToken(in []byte) (token string, rest []byte, err error) {
	count, rest, err := nextPart(in)
	if err != nil {
		return "", nil, err
	}
	switch {
	case bytes.Equal(count, []byte{1}):
		part, rest, err := nextPart(rest)
		return string(part), rest, err
	case !bytes.Equal(count, []byte{3}):
		return "", nil, errSession
	}
	segments := make([]string, 3)
	for i := range segments {
		var part []byte
		if part, rest, err = nextPart(rest); err != nil {
			return "", nil, err
		}
		segments[i] = base64.RawURLEncoding.EncodeToString(part)
	}
	return strings.Join(segments, "."), rest, nil
}

func nextPart(in []byte) (part, rest []byte, err error) {
	length, n := binary.Uvarint(in)
	if n <= 0 || length > uint64(len(in)-n) {
		return nil, nil, errSession
	}
	return in[n : n+int(length)], in[n+int(length):], nil
}

// Compressors and decompressors have large tables, which are reused.
var (
	deflaters = sync.Pool{New: func() any {
		w, err := flate.NewWriter(nil, flate.BestCompression)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}
)

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
