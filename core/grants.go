package idserver

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
)

// grants makes one token request for each code or refresh token, however many requests need it: a provider that rotates
// refresh tokens takes the second use of one for theft, and ends the session.
type grants struct {
	now        func() time.Time
	background context.Context
	stop       context.CancelFunc
	running    sync.WaitGroup

	mu    sync.RWMutex
	byKey map[[32]byte]*grant // keys are hashes: no token is kept as a key
	swept time.Time
}

// grant is a token request in flight or, for a while, its result.
type grant struct {
	done   chan struct{}
	tokens *Tokens // valid after done
	err    error
	until  time.Time // when the result is forgotten; zero while the request is in flight
}

const (
	grantKept     = time.Minute      // browsers still send the old cookie for a moment, from other tabs
	grantKeptMost = 15 * time.Minute // a response that was lost or late brings the old cookie back even later
	grantsAtEase  = 4096             // results are kept that long while there are fewer than this
	grantLimit    = 30 * time.Second // for the token request and what follows it
)

var errClientClosed = baseerror.New("idserver: the client is closed")

func newGrants(now func() time.Time) *grants {
	g := &grants{now: now, byKey: map[[32]byte]*grant{}}
	g.background, g.stop = context.WithCancel(context.Background())
	return g
}

// once runs request for key, waits for whoever is running it, or returns its recent result. The request runs to its end
// even if the caller leaves, because a token request that was sent cannot be undone. After a temporary failure it runs
// again, but not before pause has passed, or what the provider asked for.
func (g *grants) once(ctx context.Context, key [32]byte, pause time.Duration, request func(context.Context) (*Tokens, error)) (*Tokens, error) {
	g.mu.Lock()
	g.sweep()
	known, ok := g.byKey[key]
	if ok && !known.until.IsZero() && !g.now().Before(known.until) {
		ok = false
	}
	if !ok {
		if g.background.Err() != nil {
			g.mu.Unlock()
			return nil, errClientClosed
		}
		known = &grant{done: make(chan struct{})}
		g.byKey[key] = known
		detached := context.WithoutCancel(ctx)
		g.running.Go(func() { g.run(detached, known, pause, request) })
	}
	g.mu.Unlock()
	select {
	case <-known.done:
		return known.tokens, known.err
	case <-ctx.Done():
	}
	select { // of two that are ready, select takes either: a refusal that is known must not be missed by half of those who left
	case <-known.done:
		return known.tokens, known.err
	default:
		return nil, errors.Join(ErrUnavailable, context.Cause(ctx))
	}
}

func (g *grants) run(ctx context.Context, own *grant, pause time.Duration, request func(context.Context) (*Tokens, error)) {
	ctx, cancel := context.WithTimeout(ctx, grantLimit)
	defer cancel()
	defer context.AfterFunc(g.background, cancel)()
	tokens, err := request(ctx)
	kept := grantKept
	if tokens == nil && errors.Is(err, ErrUnavailable) {
		kept = min(max(pause, retryAfter(err)), grantKeptMost)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if tokens != nil && err == nil && len(g.byKey) < grantsAtEase {
		kept = min(max(kept, tokens.refreshAt.Sub(g.now())), grantKeptMost)
	}
	own.tokens, own.err, own.until = tokens, err, g.now().Add(kept)
	close(own.done)
}

var errSignedOut = errors.New("the session was signed out")

// end refuses a session from now on, for as long as a cookie of it can live unused (idle): a response in flight, another
// tab or a copy must not bring back a session that was signed out.
func (g *grants) end(s *session, idle time.Duration) {
	over := &grant{done: make(chan struct{}), err: errSignedOut, until: g.now().Add(max(idle, grantKeptMost))}
	close(over.done)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.byKey[s.id] = over
}

// maxHops limits how many refreshes newest follows: results are kept for a while only, and access tokens live longer.
const maxHops = 16

// newest follows the remembered refreshes of a session, from the grant in its cookie, which may be an old one. It returns
// the last tokens, or nil if there was no refresh.
func (g *grants) newest(issuer string, key [32]byte) (tokens *Tokens) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for range maxHops {
		known := g.byKey[key]
		if known == nil || known.until.IsZero() || known.tokens == nil || known.tokens.RefreshToken == "" {
			return tokens
		}
		tokens = known.tokens
		next := refreshKey(issuer, tokens.RefreshToken)
		if next == key { // the provider does not rotate
			return tokens
		}
		key = next
	}
	return tokens
}

// ended reports whether a session was signed out, with this cookie of it or another one.
func (g *grants) ended(s *session) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	known := g.byKey[s.id]
	return known != nil && known.err == errSignedOut
}

// sweep forgets old results, every now and then. The caller holds the lock.
func (g *grants) sweep() {
	now := g.now()
	if now.Sub(g.swept) < grantKept {
		return
	}
	g.swept = now
	maps.DeleteFunc(g.byKey, func(_ [32]byte, known *grant) bool {
		return !known.until.IsZero() && !now.Before(known.until)
	})
}

// close ends the requests in flight and waits for them.
func (g *grants) close() {
	g.mu.Lock()
	g.stop()
	g.mu.Unlock()
	g.running.Wait()
}
