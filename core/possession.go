package idserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/fault"
	"github.com/signward/idserver-go/core/internal/replays"
	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/strictjson"
	"github.com/signward/idserver-go/core/internal/vault"
)

// binding is what an access token is bound to: its cnf, RFC 7800 section 3.1.
type binding struct {
	key         string // jkt, RFC 9449 section 6.1; "": no key
	certificate string // x5t#S256, RFC 8705 section 3.1; "": none
	other       bool   // something else, too or alone, of which possession cannot be shown here

	proofs atomic.Pointer[dpop.Known] // of the last good proof, so that the next one takes less work
}

// bindingSize is what a binding takes in memory, with what is known of its proofs, in bytes.
const bindingSize = 1200

// bindingOf reads a cnf; "" is none. One that is not understood binds the token to what nobody can show.
func bindingOf(cnf string) *binding {
	if cnf == "" {
		return nil
	}
	b := new(binding)
	object, err := strictjson.ParseObject([]byte(cnf))
	if err != nil {
		b.other = true
		return b
	}
	for name, value := range object.All() {
		thumbprint, ok := strictjson.String(value)
		switch {
		case !ok || base64.RawURLEncoding.DecodedLen(len(thumbprint)) != sha256.Size:
			b.other = true
		case name == "jkt":
			b.key = thumbprint
		case name == "x5t#S256":
			b.certificate = thumbprint
		default:
			b.other = true
		}
	}
	b.other = b.other || b.key == "" && b.certificate == ""
	return b
}

// copied returns a copy that holds nothing of the token's text.
func (b *binding) copied() *binding {
	return &binding{key: strings.Clone(b.key), certificate: strings.Clone(b.certificate), other: b.other}
}

// possession is what an API asks of a sender whose access token is bound to a key: to show that they hold it.
type possession struct {
	dpop, tls, only bool
	origin          string        // of the API, which proofs are for
	leeway          time.Duration // between the clocks
	nonces          *nonces       // nil: none are wanted
	used            *replays.Memory
	shared          *sharedProofs // in place of used; nil: this process is alone
	forwarded       forwardedCertificates
}

const (
	proofAge = time.Minute // that is accepted, beside the leeway
	nonceAge = 5 * time.Minute
)

// apiProofAlgorithms are those of proofs that are accepted. They must be asymmetric.
var apiProofAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "EdDSA"}

// newPossession returns what an API asks for, or nil if it takes bearer tokens alone.
func newPossession(cfg *ResourceConfig, as *Client) *possession {
	if !cfg.DPoP && !cfg.MTLS {
		return nil
	}
	p := &possession{dpop: cfg.DPoP, tls: cfg.MTLS, only: cfg.OnlyBound, leeway: as.tokens.leeway}
	if cfg.DPoP {
		if u, err := url.Parse(cfg.Identifier); err == nil { // it was parsed before
			p.origin = originOf(u)
		}
		if swapper, ok := as.cfg.Store.(Swapper); ok {
			p.shared = &sharedProofs{as.cfg.Store, swapper}
		} else {
			p.used = replays.New(replays.DefaultMost)
		}
	}
	if cfg.DPoPNonces {
		p.nonces = newNonces(cfg.DPoPNonceSecrets)
	}
	if cfg.InsecureCertificateField != "" {
		p.forwarded, _ = newForwardedCertificates(cfg) // it was checked before
		as.cfg.Logger.Warn("idserver: certificates of clients are taken from a header field (InsecureCertificateField): whoever can send one through these proxies, or from their addresses, is who they say", slog.String("field", p.forwarded.field), slog.Any("proxies", cfg.InsecureCertificateProxies))
	}
	return p
}

// checkBound checks the settings of bound tokens.
func (cfg *ResourceConfig) checkBound(faults *fault.List) {
	if cfg.DPoP {
		u, err := url.Parse(cfg.Identifier)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
			faults.Add("DPoP", "", "needs an Identifier that is the URL at which clients reach the API, with https (http on loopback): their proofs are for it")
		case cfg.Header != "" && cfg.Header != authorization:
			faults.Add("DPoP", "", "is for tokens in the Authorization header (RFC 9449 section 7.1): leave Header out")
		}
	}
	if cfg.OnlyBound && !cfg.DPoP && !cfg.MTLS {
		faults.Add("OnlyBound", "", "would refuse every token: set DPoP or MTLS")
	}
	if cfg.DPoPNonces && !cfg.DPoP {
		faults.Add("DPoPNonces", "", "are for DPoP, which is not set")
	}
	if cfg.DPoPNonceSecrets != nil && !cfg.DPoPNonces {
		faults.Add("DPoPNonceSecrets", "", "are for DPoPNonces, which are not set")
	}
	for i, secret := range cfg.DPoPNonceSecrets {
		if len(secret) < seal.MinSecret {
			faults.Add("DPoPNonceSecrets", "", "has %d bytes in element %d: want at least %d, such as the output of: openssl rand -base64 32", len(secret), i, seal.MinSecret)
		}
	}
	if _, err := newForwardedCertificates(cfg); err != nil {
		faults.Add("InsecureCertificateField", "", "%w", err)
	}
}

// takesProofs reports whether an API takes access tokens with a DPoP proof.
func (c *Client) takesProofs() bool { return c.possession != nil && c.possession.dpop }

// takesOnlyProofs reports whether it takes no others.
func (c *Client) takesOnlyProofs() bool {
	return c.takesProofs() && c.possession.only && !c.possession.tls
}

// check checks that the sender of a request holds what its access token is bound to, and returns the fields to answer with. byProof
// says that the token came with the scheme DPoP; before is what a guard in front of this one found about this proof, or nil.
func (p *possession) check(ctx context.Context, r *Request, token string, b *binding, byProof bool, before *userContext, now time.Time) ([]Field, error) {
	refuse := func(format string, args ...any) error {
		return refused(CodeInvalidToken, invalidToken(ReasonType, format, args...))
	}
	switch {
	case b == nil && byProof: // RFC 9449 section 7.1: a proof of a key that is not in the token proves nothing
		return nil, refuse("it is bound to no key (cnf), and came with the scheme DPoP")
	case b == nil:
		return nil, nil
	case b.other:
		return nil, refuse("it is bound (cnf) to what is not understood here")
	case b.key != "" && !byProof: // section 7.2: whoever found it would get around the proof
		return nil, refuse("it is bound to a key (cnf), and came as a bearer token")
	case b.key == "" && byProof:
		return nil, refuse("it is bound to no key of DPoP (cnf.jkt), and came with the scheme DPoP")
	case b.certificate != "" && !p.tls:
		return nil, refuse("it is bound to a certificate (cnf), and ResourceConfig.MTLS is not set")
	}
	if b.certificate != "" {
		if err := p.checkCertificate(r, b.certificate); err != nil {
			return nil, refuse("%w", err)
		}
	}
	switch {
	case b.key == "":
		return nil, nil
	case before != nil && before.client.possession == p: // the same proof of the same request: a stream may have outlasted it since
		return before.fields, nil
	}
	return p.checkProof(ctx, r, token, b, before != nil, now)
}

// checkProof applies RFC 9449 section 4.3, and sections 9 and 11.1. used says that another Resource, in front of this one, has found this
// to be the first use. That a proof was used is remembered only when all else is found to be good: strangers have nothing to fill the
// memory with.
func (p *possession) checkProof(ctx context.Context, r *Request, token string, b *binding, used bool, now time.Time) ([]Field, error) {
	refuse := func(err error) error { return refused(codeInvalidProof, err, p.nonces.fields(now)...) }
	lines := r.values(proofHeader)
	if len(lines) != 1 {
		return nil, refuse(fmt.Errorf("there are %d DPoP header fields, want one", len(lines)))
	}
	path := r.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	known := b.proofs.Load()
	checked, err := dpop.Check(lines[0], dpop.Rules{
		Method: r.Method, URL: p.origin, Path: path, AccessToken: token, Thumbprint: b.key, Algorithms: apiProofAlgorithms,
		Now: now, MaxAge: proofAge + p.leeway, MaxAhead: p.leeway, Known: known,
	})
	if err != nil {
		return nil, refuse(err)
	}
	if checked.Known != known {
		b.proofs.Store(checked.Known)
	}
	fields, err := p.nonces.check(checked.Nonce, now)
	if err != nil || used {
		return fields, err
	}
	use, oldest := replays.UseOf(checked.Thumbprint, checked.ID), now.Add(-proofAge-p.leeway)
	if p.shared != nil {
		err = p.shared.first(ctx, use, checked.Issued.Add(proofAge+p.leeway))
	} else {
		err = p.used.First(use, checked.Issued, oldest)
	}
	switch {
	case errors.Is(err, vault.ErrAway):
		return nil, refused(CodeStoreUnavailable, err)
	case err != nil:
		return nil, refuse(fmt.Errorf("%w: %w", dpop.ErrProof, err))
	}
	return fields, nil
}

// credentials is what of a request a guard behind another compares: line is its Authorization line. A proof is for one method and one
// URL. What a certificate has to do with is looked at each time: "".
func (p *possession) credentials(r *Request, line string) string {
	if scheme, _, _ := strings.Cut(line, " "); !strings.EqualFold(scheme, dpopType) {
		if p.tls {
			return ""
		}
		return line
	}
	lines := r.values(proofHeader)
	if len(lines) != 1 {
		return ""
	}
	return line + "\n" + lines[0] + "\n" + r.Method + "\n" + r.Path
}

// checkCertificate applies RFC 8705 section 3: that the client has the private key was shown to the server, or to the proxy, in the
// handshake. Who has issued the certificate, and whether it is still valid, is not looked at.
func (p *possession) checkCertificate(r *Request, thumbprint string) error {
	certificate, err := p.forwarded.of(r)
	switch {
	case err != nil:
		return err
	case certificate == nil:
		return errors.New("it is bound to a certificate (cnf), and the connection has none")
	}
	sum := sha256.Sum256(certificate)
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(thumbprint)) != 1 {
		return errors.New("it is bound to another certificate (cnf) than that of the connection")
	}
	return nil
}

// nonces are those that proofs must have. Nil wants none.
type nonces struct {
	dpop.Nonces
	newest atomic.Pointer[nonceFields]
	good   atomic.Pointer[goodNonce] // the last one that was recognized: most proofs have the same for a while
}

// goodNonce is a nonce of ours.
type goodNonce struct {
	text string
	made time.Time
}

// nonceFields are those that tell a nonce, of one minute.
type nonceFields struct {
	minute int64
	fields []Field
}

func newNonces(secrets []string) *nonces {
	n := &nonces{Nonces: dpop.Nonces{Life: nonceAge}}
	for _, secret := range secrets {
		n.Secrets = append(n.Secrets, []byte(secret))
	}
	if n.Secrets == nil {
		n.Secrets = [][]byte{make([]byte, seal.MinSecret)}
		_, _ = rand.Read(n.Secrets[0]) // it never fails
	}
	return n
}

// fields tell the nonce for the next proof, RFC 9449 section 9.
func (n *nonces) fields(now time.Time) []Field {
	if n == nil {
		return nil
	}
	minute := now.Unix() / 60
	if newest := n.newest.Load(); newest != nil && newest.minute == minute {
		return newest.fields
	}
	newest := &nonceFields{minute, []Field{{"DPoP-Nonce", n.At(now)}}}
	n.newest.Store(newest)
	return newest.fields
}

// check refuses a proof without a nonce that is still good. In the second half of its life it tells the next one.
func (n *nonces) check(nonce string, now time.Time) ([]Field, error) {
	if n == nil {
		return nil, nil
	}
	before := n.good.Load()
	if before == nil || before.text != nonce || now.Before(before.made) || now.Sub(before.made) > nonceAge {
		made, good := n.Made(nonce, now)
		if !good {
			return nil, refused(codeUseNonce, nil, n.fields(now)...)
		}
		before = &goodNonce{strings.Clone(nonce), made}
		n.good.Store(before)
	}
	if now.Sub(before.made) > nonceAge/2 {
		return n.fields(now), nil
	}
	return nil, nil
}

// sharedProofs are the proofs that were used at any replica: in Config.Store, by a hash, until they expire.
type sharedProofs struct {
	store   Store
	swapper Swapper
}

// sharedProofsTimeout is how long the store may take.
const sharedProofsTimeout = 300 * time.Millisecond

// first is [replays.Memory.First] for all replicas. The error may be vault.ErrAway: it is not known whether this was the first use.
func (s *sharedProofs) first(ctx context.Context, use replays.Use, until time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, sharedProofsTimeout)
	defer cancel()
	key := "idserver:dpop:" + base64.RawURLEncoding.EncodeToString(use[:])
	first, err := s.swapper.SwapCtx(ctx, key, nil, []byte(rand.Text()), until.Add(time.Second))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", vault.ErrAway, err)
	case !first:
		return replays.ErrUsed
	}
	return nil
}
