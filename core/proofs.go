package idserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// proofHeader is the header field of a DPoP proof, nonceHeader that in which a server says which nonce the next one must have.
const (
	proofHeader = "Dpop" // as net/http writes it
	nonceHeader = "Dpop-Nonce"
)

const dpopType = "DPoP" // the token_type and the scheme of an access token that is bound to a key

// proofAlgorithm is what proofs are signed with.
const proofAlgorithm = "ES256"

// newProofKey makes the key of one sign-in (Config.DPoP), and returns nil if there is to be none. Each sign-in has its own, so that
// nobody can tell by the key that two of them are of one person.
func (p *provider) newProofKey() (*dpop.Key, error) {
	if !p.cfg.DPoP {
		return nil, nil
	}
	return dpop.NewKey(p.cfg.Rand)
}

// proofKey makes the key again that was kept; nil if none was.
func proofKey(kept []byte) (*dpop.Key, error) {
	if len(kept) == 0 {
		return nil, nil
	}
	return dpop.ParseKey(kept)
}

// prover proves the possession of one key with each request.
type prover struct {
	key    *dpop.Key
	nonces *dpopNonces
	random io.Reader
	now    func() time.Time
}

func (p *provider) prover(key *dpop.Key) prover {
	return prover{key, &p.nonces, p.cfg.Rand, p.now}
}

// proof makes the proof for one request, of which no other may be made with the same jti.
func (p prover) proof(method, target, accessToken, nonce string) (string, error) {
	jti, err := randomText(p.random)
	if err != nil {
		return "", err
	}
	return dpop.Make(p.key, dpop.Proof{Method: method, URL: target, AccessToken: accessToken, Nonce: nonce, ID: jti, Now: p.now()})
}

// prove sends a request with a proof of the key, if there is one. A server that wants a nonce in it (RFC 9449 sections 8 and 9) is
// asked a second time, with a new proof and a new client assertion, and only if it has sent another nonce than it got.
func (p *provider) prove(ctx context.Context, name string, call endpoint.Call, key *dpop.Key) (*endpoint.Answer, error) {
	if key == nil {
		return p.do(ctx, name, call)
	}
	u, err := url.Parse(call.URL)
	if err != nil {
		return nil, errors.New("the URL is not usable")
	}
	origin, inner := originOf(u), call.Authentication
	nonce := p.nonces.of(origin)
	for again := false; ; again = true {
		call.Authentication = proving{prover: p.prover(key), by: inner, nonce: nonce}
		a, err := p.do(ctx, name, call)
		if err != nil {
			return nil, err
		}
		newer := p.nonces.learn(origin, a.Header)
		if again || newer == "" || newer == nonce || !wantsNonce(a.Status, a.Header, a.Refusal) {
			return a, nil
		}
		nonce = newer
	}
}

// proving adds a proof to what another authentication has added.
type proving struct {
	prover
	by    endpoint.Authentication
	nonce string
}

// Authenticate implements [endpoint.Authentication].
func (p proving) Authenticate(ctx context.Context, r *endpoint.Request) error {
	if err := p.by.Authenticate(ctx, r); err != nil {
		return err
	}
	method, accessToken := http.MethodPost, ""
	if r.Form == nil {
		method = http.MethodGet
	}
	if bound, ok := p.by.(endpoint.Bound); ok {
		accessToken = bound.AccessToken
	}
	proof, err := p.proof(method, r.URL, accessToken, p.nonce)
	if err != nil {
		return err
	}
	r.Header[proofHeader] = []string{proof}
	r.Hide(proof, p.nonce)
	return nil
}

// String keeps the nonce out of a log.
func (p proving) String() string { return "DPoP" }

// GoString returns what String does.
func (p proving) GoString() string { return p.String() }

// wantsNonce reports whether a server refuses a request because its proof lacks a nonce: in the body of an authorization server's
// answer (RFC 9449 section 8), in the challenge of another's (section 9).
func wantsNonce(status int, header http.Header, refusal func() *endpoint.Refusal) bool {
	switch status {
	case http.StatusBadRequest:
		return refusal().Code == useNonce
	case http.StatusUnauthorized:
		return challengesWith(header.Values("WWW-Authenticate"), dpopType, useNonce) || refusal != nil && refusal().Code == useNonce
	}
	return false
}

const useNonce = "use_dpop_nonce"

// challengesWith reports whether one of the challenges in WWW-Authenticate fields is of that scheme and has that error (RFC 9110
// section 11.6.1, RFC 6750 section 3).
func challengesWith(lines []string, scheme, code string) bool {
	for _, line := range lines {
		ours := false
		for word, value := range challengeWords(line) {
			switch {
			case value == nil:
				ours = strings.EqualFold(word, scheme)
			case ours && strings.EqualFold(word, "error") && *value == code:
				return true
			}
		}
	}
	return false
}

// challengeWords yields the schemes of a WWW-Authenticate field, each with nil, and the names and values of their parameters. What is
// no challenge ends it.
func challengeWords(line string) func(yield func(word string, value *string) bool) {
	return func(yield func(string, *string) bool) {
		rest := strings.TrimLeft(line, " \t,")
		for rest != "" {
			end := strings.IndexAny(rest, " \t,=")
			if end < 0 {
				yield(rest, nil)
				return
			}
			word, after := rest[:end], strings.TrimLeft(rest[end:], " \t")
			if word == "" {
				return
			}
			if !strings.HasPrefix(after, "=") {
				if !yield(word, nil) {
					return
				}
				rest = strings.TrimLeft(after, " \t,")
				continue
			}
			value, behind, ok := parameterValue(strings.TrimLeft(after[1:], " \t"))
			if !ok || !yield(word, &value) {
				return
			}
			rest = strings.TrimLeft(behind, " \t,")
		}
	}
}

// parameterValue reads a token or a quoted string.
func parameterValue(text string) (value, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, " \t,")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], true
	}
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return out.String(), text[i+1:], true
		case '\\':
			if i++; i == len(text) {
				return "", "", false
			}
		}
		out.WriteByte(text[i])
	}
	return "", "", false
}

const (
	maxNonce        = 512 // bytes: it goes into every proof
	maxNonceOrigins = 64
)

// dpopNonces are the newest nonces of servers, by their origins. It is safe for concurrent use, and the zero value is ready to use.
type dpopNonces struct {
	mu     sync.Mutex
	newest map[string]string
}

func (n *dpopNonces) of(origin string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newest[origin]
}

// learn keeps the nonce of an answer, whatever its status (RFC 9449 section 8.2), and returns it; "" if there is none.
func (n *dpopNonces) learn(origin string, header http.Header) string {
	values := header[nonceHeader]
	if len(values) != 1 || !isNonce(values[0]) {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == nil || len(n.newest) >= maxNonceOrigins && n.newest[origin] == "" {
		n.newest = map[string]string{} // a nonce that is missing costs one request
	}
	n.newest[origin] = strings.Clone(values[0])
	return values[0]
}

// isNonce reports whether a text may be a nonce, RFC 9449 section 8.1.
func isNonce(text string) bool {
	return text != "" && len(text) <= maxNonce && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}

// checkType checks the token_type of an answer: a token that was to be bound to a key must be, and no other can be used.
func checkType(kind string, key *dpop.Key) error {
	switch {
	case key != nil && !strings.EqualFold(kind, dpopType): // a downgrade: whoever finds the token could use it
		return errNotBound
	case key == nil && kind != "" && !strings.EqualFold(kind, "Bearer"): // sgID does not send it
		return errNotBearer
	}
	return nil
}

// checkBinding checks an access token that says which key it is bound to (RFC 9449 section 6.1), or which certificate. What is no
// JWT does not say.
func (p *provider) checkBinding(accessToken string, key *dpop.Key) error {
	switch {
	case key == nil && p.presenter != nil:
		return p.presenter.checkBinding(accessToken, p.cfg.Profile != "")
	case key == nil:
		return nil
	}
	message, err := jose.Parse(accessToken)
	if err != nil {
		return nil
	}
	object, err := strictjson.ParseObject(message.Payload)
	if err != nil {
		return nil
	}
	if !isBoundTo(object.Get("cnf"), key.Thumbprint()) {
		return errOtherKey
	}
	return nil
}

// isBoundTo reports whether a cnf, which may be absent, is of the key with that thumbprint, and of nothing else.
func isBoundTo(cnf, thumbprint string) bool {
	if cnf == "" {
		return true
	}
	object, err := strictjson.ParseObject([]byte(cnf))
	if err != nil {
		return false
	}
	jkt, ok := strictjson.String(object.Get("jkt"))
	return ok && jkt == thumbprint
}

var (
	errNotBearer = errors.New("the access token is not of type Bearer")
	errNotBound  = errors.New("the access token is not of type DPoP, although the request had a proof (Config.DPoP)")
	errOtherKey  = errors.New("the access token is bound to another key than that of the proof")
)

// checkProofs checks that the provider takes proofs as they are made here.
func (m *metadata) checkProofs(cfg Config) error {
	if !cfg.DPoP || len(m.ProofAlgorithms) == 0 || slices.Contains(m.ProofAlgorithms, proofAlgorithm) {
		return nil
	}
	return m.missing("its dpop_signing_alg_values_supported lacks " + proofAlgorithm)
}

// proofKeyIn returns the key that the access token in ctx is bound to; nil if it is another token, or bound to none.
func proofKeyIn(ctx context.Context, accessToken string) []byte {
	u := userContextFrom(ctx)
	if u == nil || u.accessToken != accessToken {
		return nil
	}
	if u.session != nil {
		return u.session.tokens.ProofKey
	}
	return u.proofKey
}
