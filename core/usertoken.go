package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/dpop"
)

// TokenSource returns the access token of the user who sent a request, for calls to another API in their name. ctx is the
// context behind a guard of this client. A session's token is refreshed when it is due, in the same way and no more often
// than requests of the browser do it; a bearer token is returned as it came. Token never returns one that has expired.
//
// The source may be used after the request, by a background job: what it takes from ctx, a [context.WithoutCancel] of it
// keeps. It works until the user signs out or Config.Session.Max is reached, whether or not the browser comes back. Each
// Token waits for the provider as long as ctx lasts, at most half a minute.
//
// With Config.Store a session is refreshed wherever it is needed, and the browser's next request finds the result. Without,
// only the browser's cookie could hold the refresh token that a refresh brings, so that a source refreshes nothing (but with
// Config.Session.NoRotation): it returns what requests have refreshed, and an error when that has expired. A program of one
// process uses memorystore.
//
// The error is [ErrSignedOut] when the session is over, and [ErrInvalidToken] with [ReasonExpired] or [ReasonRevoked] for a bearer
// token that is; it is [ErrUnavailable] when the provider or the store cannot be asked now. Any other says that there is no
// token: nobody is signed in, or the context is none of a guard. A token that is bound to a key (Config.DPoP) is of type DPoP, and of
// no use without a proof, which only [Client.Transport] makes. The source is safe for concurrent use.
func (c *Client) TokenSource(ctx context.Context) oauth2.TokenSource { return c.userTokens(ctx) }

func (c *Client) userTokens(ctx context.Context) *userTokens {
	s := &userTokens{client: c, ctx: ctx, user: userContextFrom(ctx)}
	if s.user != nil {
		s.newest.Store(s.user.session)
	}
	return s
}

// userTokens is the source of [Client.TokenSource].
type userTokens struct {
	client *Client
	ctx    context.Context
	user   *userContext
	newest atomic.Pointer[session]
}

// Token implements [oauth2.TokenSource].
func (s *userTokens) Token() (*oauth2.Token, error) {
	t, err := s.token()
	if err != nil {
		return nil, baseerror.Of(fmt.Errorf("idserver: TokenSource: %w", err))
	}
	return t, nil
}

var errNoUser = errors.New("the context is none behind a guard of this client, or nobody is signed in")

func (s *userTokens) token() (*oauth2.Token, error) {
	t, _, err := s.bound()
	return t, err
}

// bound returns the token, and the key that it is bound to: nil for a bearer token.
func (s *userTokens) bound() (*oauth2.Token, *dpop.Key, error) {
	switch {
	case s.user == nil || s.user.user == nil || s.user.by == nil || s.user.by.provider != s.client.provider:
		return nil, nil, errNoUser
	case s.user.session == nil:
		t, err := s.user.by.bearerToken(s.user)
		return t, nil, err
	}
	next, err := s.client.site.fresh(s.ctx, s.newest.Load())
	if err != nil {
		return nil, nil, err
	}
	s.newest.Store(next)
	var key *dpop.Key
	if next.proofKey != nil {
		if key, err = next.proofKey(); err != nil {
			return nil, nil, err
		}
	}
	t := &next.tokens
	return &oauth2.Token{AccessToken: t.AccessToken, TokenType: t.kind(), Expiry: t.Expiry}, key, nil
}

// String keeps the context, in which the token is, out of a log.
func (s *userTokens) String() string { return "idserver.TokenSource" }

// GoString returns what String does.
func (s *userTokens) GoString() string { return s.String() }

// bearerToken is the token with which a request came.
func (c *Client) bearerToken(u *userContext) (*oauth2.Token, error) {
	expiry := fromUnixMilli(u.until).Add(-c.tokens.leeway)
	switch {
	case c.provider.revoked.Has(signedHash(u.accessToken)):
		return nil, errRevoked
	case !c.cfg.Now().Before(expiry):
		return nil, invalidToken(ReasonExpired, "the request's bearer token has expired")
	}
	return &oauth2.Token{AccessToken: u.accessToken, TokenType: "Bearer", Expiry: expiry}, nil
}

// errUnrefreshed marks an access token that has expired and cannot be refreshed for a TokenSource.
var errUnrefreshed = errors.New("the session's access token has expired; without Config.Store (memorystore for a single process), only a request of the browser refreshes it")

// fresh implements [site]: it returns the session with an access token that has not expired.
func (w *web) fresh(ctx context.Context, s *session) (*session, error) {
	now := w.now()
	if now.Sub(s.signedIn) > w.cfg.Session.Max {
		return nil, errReachedMax
	}
	next, err := w.refresh(ctx, nil, s)
	switch {
	case errors.Is(err, errLeft), errors.Is(err, errStale), errors.Is(err, errUnheard):
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case errors.Is(err, errNotRenewed):
		return nil, errUnrefreshed
	case err != nil:
		w.provider.streams.End(s.ends.ID, errNotGoneOn)
		return nil, fmt.Errorf("%w: %w", ErrSignedOut, err)
	case next == nil:
		next = s
	default:
		w.provider.streams.Extend(w.admission(next))
	}
	switch expiry := next.tokens.Expiry; {
	case expiry.IsZero() || w.now().Before(expiry):
		return next, nil
	case next.tokens.RefreshToken == "":
		return nil, invalidToken(ReasonExpired, "the session's access token has expired, and it has no refresh token")
	}
	return nil, fmt.Errorf("%w: the session's access token has expired, and could not be refreshed", ErrUnavailable)
}

// mayRefreshAway reports whether a session may be refreshed where no answer carries the result to the browser: others find
// it in the store, or the refresh token stays the same.
func (w *web) mayRefreshAway() bool { return w.leases != nil || w.cfg.Session.NoRotation }

// Transport returns a transport that adds the user's access token ([Client.TokenSource] of ctx) to requests of one origin:
//
//	api := http.Client{Transport: client.Transport(ctx, "https://orders.example.com", nil)}
//
// Origin is the one origin that gets the token: scheme://host, and a port where it is not the scheme's own. https, or http on
// loopback and where Config.InsecurePlainHTTP lists it; with anything else, each request fails. base sends the requests; nil stands
// for http.DefaultTransport. With a token that is bound to Config.ClientCertificate, or that does not say what it is bound to, a
// copy of base does, which presents the certificate; a base that is no *http.Transport has to present it by itself.
//
// A request to any other origin goes without, also after a redirect, and so does one whose Host is another than its URL's. One that has an
// Authorization header keeps it. With a token that is bound to a key (Config.DPoP), each request has a proof of that (RFC 9449 section 7); one that the
// API refuses because it wants a nonce in the proof is sent a second time, if its body can be read again (GetBody). The request is not modified. The error of the token source is that of the request, which
// is then not sent; the transport does not check what the API's answer says about the token. It is safe for concurrent use.
// Send a token only to an API that it was issued for (its aud).
func (c *Client) Transport(ctx context.Context, origin string, base http.RoundTripper) http.RoundTripper {
	return c.transport(c.userTokens(ctx), origin, base)
}

// boundSource is where a transport has its tokens from.
type boundSource interface {
	// bound returns a token, and the key that it is bound to: nil for a bearer token.
	bound() (*oauth2.Token, *dpop.Key, error)
}

func (c *Client) transport(source boundSource, origin string, base http.RoundTripper) *userTransport {
	t := &userTransport{source: source, base: base, origin: origin, provider: c.provider}
	if t.base == nil {
		t.base = http.DefaultTransport
	}
	u, err := parseServerURL(origin, c.cfg.InsecurePlainHTTP)
	switch {
	case err != nil:
		t.fault = baseerror.Errorf("idserver: Transport: origin %q: %w", origin, err)
	case originOf(u) != origin:
		t.fault = baseerror.Errorf("idserver: Transport: origin %q: want an origin, such as %q", origin, originOf(u))
	}
	return t
}

// userTransport is the transport of [Client.Transport].
type userTransport struct {
	source   boundSource
	base     http.RoundTripper
	origin   string
	provider *provider
	fault    error // of origin
}

// String keeps the source out of a log.
func (t *userTransport) String() string {
	return fmt.Sprintf("idserver.Transport{Origin: %q}", t.origin)
}

// GoString returns what String does.
func (t *userTransport) GoString() string { return t.String() }

// RoundTrip implements [http.RoundTripper].
func (t *userTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case t.fault != nil:
		return nil, notSent(r, t.fault)
	case r.URL == nil || originOf(r.URL) != t.origin || r.Host != "" && r.Host != r.URL.Host || len(r.Header["Authorization"]) > 0:
		return t.base.RoundTrip(r)
	}
	token, key, err := t.source.bound()
	if err != nil {
		return nil, notSent(r, baseerror.Of(fmt.Errorf("idserver: TokenSource: %w", err)))
	}
	if key == nil {
		own := ownRequest(r)
		token.SetAuthHeader(own)
		return t.bearer(token.AccessToken).RoundTrip(own)
	}
	return t.prove(r, token.AccessToken, t.provider.prover(key))
}

// bearer is what a request with a token that is bound to no key is sent by: it presents the client's certificate, if the token may be
// bound to that.
func (t *userTransport) bearer(accessToken string) http.RoundTripper {
	if presenter := t.provider.presenter; presenter != nil && presenter.mayBind(accessToken) {
		if presenting := presenter.copied(t.base); presenting != nil {
			return presenting
		}
	}
	return t.base
}

// ownRequest copies a request, whose header is then the transport's own.
func ownRequest(r *http.Request) *http.Request {
	own := r.Clone(r.Context())
	if own.Header == nil {
		own.Header = http.Header{}
	}
	return own
}

// prove sends a request with a token that is bound to a key, and a proof of that; a second time if the API asks for a nonce that it
// has just told.
func (t *userTransport) prove(r *http.Request, accessToken string, by prover) (*http.Response, error) {
	target := *r.URL
	target.User, target.RawQuery, target.ForceQuery, target.Fragment = nil, "", false, ""
	nonce := by.nonces.of(t.origin)
	for again := false; ; again = true {
		own := ownRequest(r)
		if again && r.Body != nil && r.Body != http.NoBody {
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			own.Body = body
		}
		proof, err := by.proof(cmp.Or(r.Method, http.MethodGet), target.String(), accessToken, nonce)
		if err != nil {
			return nil, notSent(own, baseerror.Errorf("idserver: Transport: %w", err))
		}
		own.Header["Authorization"], own.Header[proofHeader] = []string{dpopType + " " + accessToken}, []string{proof}
		a, err := t.base.RoundTrip(own)
		if err != nil {
			return nil, err
		}
		newer := by.nonces.learn(t.origin, a.Header)
		replayable := r.Body == nil || r.Body == http.NoBody || r.GetBody != nil
		if again || !replayable || newer == "" || newer == nonce || a.StatusCode != http.StatusUnauthorized || !wantsNonce(a.StatusCode, a.Header, nil) {
			return a, nil
		}
		_, _ = io.CopyN(io.Discard, a.Body, maxDiscarded) // so that the connection can be used again
		_ = a.Body.Close()
		nonce = newer
	}
}

// maxDiscarded is how much of an answer is read that nobody wants, in bytes.
const maxDiscarded = 64 << 10

// notSent closes the body of a request that is not sent, as every transport must.
func notSent(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close() // the caller is told of err
	}
	return err
}
