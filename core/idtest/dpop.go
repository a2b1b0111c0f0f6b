package idtest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/dpop"
)

// proofAlgorithms are those of proofs that this provider accepts.
var proofAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "EdDSA", "Ed25519"}

const (
	proofAge   = time.Minute
	proofAhead = 10 * time.Second
	nonceTTL   = 5 * time.Minute
)

// nonces are those that proofs must have: the newest and the one before, so that a change loses no request.
type nonces struct {
	mu             sync.Mutex
	newest, before string
	made           time.Time
}

// current returns the nonce for the next proof.
func (n *nonces) current(now time.Time) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == "" || now.Sub(n.made) >= nonceTTL || now.Before(n.made) {
		n.newest, n.before, n.made = rand.Text(), n.newest, now
	}
	return n.newest
}

func (n *nonces) accepts(nonce string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return nonce != "" && (nonce == n.newest || nonce == n.before)
}

// forget makes all nonces so far worthless.
func (n *nonces) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.newest, n.before = "", ""
}

// RotateDPoPNonce makes all DPoP nonces so far worthless, where Dialect.DPoPNonces wants them: the next proof is refused with
// use_dpop_nonce (RFC 9449 section 8).
func (p *Provider) RotateDPoPNonce() { p.nonces.forget() }

// wantsProof reports whether a client's tokens must be bound to a key.
func (p *Provider) wantsProof(client Client) bool {
	return client.DPoPBound || p.options.Dialect.RequireDPoP
}

// proofAt returns the thumbprint of the key of a request's DPoP proof, or "" if there is none.
func (p *Provider) proofAt(w http.ResponseWriter, r *http.Request, e Endpoint) (jkt string, fault *oauthError) {
	if p.options.Dialect.NoDPoP {
		return "", nil
	}
	return p.proof(w, r, dpop.Rules{URL: p.at(r, e)})
}

// proof checks the DPoP proof of a request, RFC 9449 section 4.3: its form, then its nonce, and then whether it was used before.
// The errors are those of an authorization server (section 5).
func (p *Provider) proof(w http.ResponseWriter, r *http.Request, rules dpop.Rules) (jkt string, fault *oauthError) {
	if p.options.Dialect.DPoPNonces {
		w.Header().Set("DPoP-Nonce", p.nonces.current(p.now()))
	}
	lines := r.Header.Values("DPoP")
	switch len(lines) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", invalidProof("there is more than one DPoP header field")
	}
	rules.Method, rules.Algorithms, rules.Now = r.Method, proofAlgorithms, p.now()
	rules.MaxAge, rules.MaxAhead = proofAge, proofAhead
	checked, err := dpop.Check(lines[0], rules)
	switch {
	case err != nil:
		return "", invalidProof(strings.ReplaceAll(err.Error(), `"`, "'"))
	case p.options.Dialect.DPoPNonces && !p.nonces.accepts(checked.Nonce):
		return "", &oauthError{Code: "use_dpop_nonce", Description: "a nonce of this provider is wanted in the DPoP proof"}
	case !p.proofs.first(checked.Thumbprint + "\x00" + checked.ID):
		return "", invalidProof("the DPoP proof was used before")
	}
	return checked.Thumbprint, nil
}

func invalidProof(description string) *oauthError {
	return &oauthError{Code: "invalid_dpop_proof", Description: description}
}

// tokenProof returns the thumbprint that the tokens of a token request are bound to; "": none.
func (p *Provider) tokenProof(w http.ResponseWriter, r *http.Request, client Client) (jkt string, fault *oauthError) {
	jkt, fault = p.proofAt(w, r, Token)
	if fault == nil && jkt == "" && p.wantsCertificate(client) {
		certificate := p.certificate(r)
		if certificate == nil {
			return "", &oauthError{Code: "invalid_request", Description: "a certificate is wanted, which the tokens are bound to"}
		}
		return bindingTo(certificate), nil
	}
	if fault == nil && jkt == "" && p.wantsProof(client) {
		fault = &oauthError{Code: "invalid_request", Description: "a DPoP proof is wanted"}
	}
	return jkt, fault
}

// possession checks that whoever presents an access token at the userinfo endpoint holds its key, RFC 9449 section 7.
func (p *Provider) possession(w http.ResponseWriter, r *http.Request, scheme, token string, grant Grant) error {
	switch bound := strings.EqualFold(scheme, "DPoP"); {
	case isBoundToCertificate(grant.jkt): // RFC 8705 section 3: the scheme is Bearer
		if presented := p.certificate(r); bound || presented == nil || bindingTo(presented) != grant.jkt {
			return errors.New("the token is bound to another certificate than that of the connection")
		}
		return nil
	case bound && grant.jkt == "":
		return invalidBoundToken("the token is bound to no key: its scheme is Bearer")
	case !bound && grant.jkt != "":
		return invalidBoundToken("the token is bound to a key: its scheme is DPoP")
	case !bound:
		return nil
	}
	jkt, fault := p.proof(w, r, dpop.Rules{URL: p.at(r, UserInfo), AccessToken: token})
	switch {
	case fault != nil:
		return fault
	case jkt == "":
		return invalidProof("there is no DPoP proof")
	case jkt != grant.jkt:
		return invalidBoundToken("the token is bound to another key than that of the DPoP proof")
	}
	return nil
}

func invalidBoundToken(description string) *oauthError {
	return &oauthError{Code: "invalid_token", Description: description}
}

// dpopChallenge is the WWW-Authenticate of a userinfo request that is refused, RFC 9449 section 7.1.
func dpopChallenge(code, description string) string {
	return fmt.Sprintf(`DPoP algs="%s", error="%s", error_description="%s"`, strings.Join(proofAlgorithms, " "), code, description)
}
