package adaptertest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// boundTokens tests an API whose tokens are bound to a key (DPoP, RFC 9449).
func boundTokens(s *suite) {
	v, key := s.visitor(s.serve()), idtest.NewProofKey(s.clock.Now)
	token := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = suiteAPI }, key.Bind)
	unbound := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = suiteAPI })
	proof := func(path, nonce string) string { return key.Proof("GET", suiteOrigin+path, token, nonce) }
	sent := func(token string, proofs ...string) map[string][]string {
		return with(with(aProgram, "Authorization", "DPoP "+token), "Dpop", proofs...)
	}
	const only = "/suite/bound-only"
	v.step("no token at an API of bound tokens", "RFC 9449 section 7.1", "GET", only, aProgram)
	v.step("a bound token with its proof", "alice", "GET", only, sent(token, proof(only, "")))
	v.step("a bound token with its proof, from memory", "the same", "GET", only, sent(token, proof(only+"?page=2", "")))
	once := sent(token, proof(only, ""))
	v.step("a proof, for the first time", "alice", "GET", only, once)
	v.step("a proof, once more", "RFC 9449 section 11.1", "GET", only, once)
	v.step("a proof at two guards", "one request", "GET", "/suite/bound-twice", sent(token, proof("/suite/bound-twice", "")))
	v.step("a bound token as bearer", "whoever found it", "GET", only, with(aProgram, "Authorization", "Bearer "+token))
	v.step("a bound token as bearer at the client's guard", "the same", "GET", "/suite/user", with(aProgram, "Authorization", "Bearer "+token))
	v.step("a bound token at an API that takes none", "the same", "GET", "/suite/api", sent(token, proof("/suite/api", "")))
	v.step("a bearer token where only bound ones are taken", "ResourceConfig.OnlyBound", "GET", only, with(aProgram, "Authorization", "Bearer "+unbound))
	v.step("a bearer token as a bound one", "no cnf", "GET", only, sent(unbound, proof(only, "")))
	v.step("a bound token without a proof", "RFC 9449 section 4.3", "GET", only, sent(token))
	v.step("a bound token with two proofs", "the same", "GET", only, sent(token, proof(only, ""), proof(only, "")))
	v.step("a bound token with the proof of another path", "the same", "GET", only, sent(token, proof("/suite/bound", "")))
	v.step("a bound token with the proof of another host", "never the Host field", "GET", only, sent(token, key.Proof("GET", "http://"+suiteHost+only, token, "")))
	v.step("a bound token with the proof of another method", "the same", "GET", only, sent(token, key.Proof("POST", suiteOrigin+only, token, "")))
	v.step("a bound token with the proof of another key", "the same", "GET", only, sent(token, idtest.NewProofKey(s.clock.Now).Proof("GET", suiteOrigin+only, token, "")))
	v.step("a bound token with the proof of another token", "ath", "GET", only, sent(token, key.Proof("GET", suiteOrigin+only, unbound, "")))
	v.step("a bound token with what is no proof", "not a JWT", "GET", only, sent(token, "x"))
	early := idtest.NewProofKey(func() time.Time { return s.clock.Now().Add(time.Minute) })
	ofEarly := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = suiteAPI }, early.Bind)
	v.step("a bound token with a proof from the future", "iat", "GET", only, sent(ofEarly, early.Proof("GET", suiteOrigin+only, ofEarly, "")))
	late := sent(token, proof(only, ""))
	s.clock.advance(2 * time.Minute)
	v.step("a bound token with an old proof", "iat", "GET", only, late)
	v.step("two tokens, one of them bound", "which one is not known", "GET", only, with(sent(token, proof(only, "")), "Authorization", "DPoP "+token, "Bearer "+unbound))
	v.step("two tokens in one line, one of them bound", "the same", "GET", only, with(sent(token, proof(only, "")), "Authorization", "Bearer "+unbound+", DPoP "+token))
	v.step("the scheme of a bound token alone", "no token", "GET", only, with(sent(token, proof(only, "")), "Authorization", "DPoP"))
	v.step("a bound token, and its scheme in small letters", "RFC 9110 section 11.1", "GET", only, with(sent(token, proof(only, "")), "Authorization", "dpop "+token))
	v.step("bob's bound token at a role", "403, and which scheme", "GET", only, func() map[string][]string {
		bobs := s.provider.MintAccessToken("bob", func(c map[string]any) { c["aud"] = suiteAPI }, key.Bind)
		return sent(bobs, key.Proof("GET", suiteOrigin+only, bobs, ""))
	}())

	e := v.step("a proof without a nonce", "RFC 9449 section 9", "GET", "/suite/bound", sent(token, proof("/suite/bound", "")))
	nonce := e.Header.Get("DPoP-Nonce")
	v.step("a proof with the nonce", "alice", "GET", "/suite/bound", sent(token, proof("/suite/bound", nonce)))
	v.step("a proof with a nonce that is made up", "another one", "GET", "/suite/bound", sent(token, proof("/suite/bound", "x")))
	v.step("a bearer token where bound ones are taken too", "alice", "GET", "/suite/bound", with(aProgram, "Authorization", "Bearer "+unbound))
	s.clock.advance(4 * time.Minute)
	v.step("a proof with a nonce that ends soon", "the next one", "GET", "/suite/bound", sent(token, proof("/suite/bound", nonce)))
	s.clock.advance(2 * time.Minute)
	v.step("a proof with an old nonce", "another one", "GET", "/suite/bound", sent(token, proof("/suite/bound", nonce)))
}

// certificates tests an API whose tokens are bound to the certificate of the client (RFC 8705), where a proxy ends TLS.
func certificates(s *suite) {
	v := s.visitor(s.serve())
	own, other := s.certificate("the client").Certificate[0], s.certificate("another client").Certificate[0]
	token := s.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = suiteAPI }, idtest.BindCertificate(own))
	sent := with(aProgram, "Authorization", "Bearer "+token)
	forwarded := func(der []byte) map[string][]string {
		return with(sent, "Client-Cert", ":"+base64.StdEncoding.EncodeToString(der)+":")
	}
	v.step("a token of a certificate, without one", "RFC 8705 section 3", "GET", "/suite/certified", sent)
	v.step("a token of a certificate, in a field that counts nowhere", "anybody may write it", "GET", "/suite/certified", forwarded(own))
	v.step("a token of a certificate at the client's guard", "nobody asks for it there", "GET", "/suite/user", sent)
	v.step("a token of a certificate, by the proxy", "InsecureCertificateField", "GET", "/suite/forwarded", forwarded(own))
	v.step("a token of another certificate, by the proxy", "not its own", "GET", "/suite/forwarded", forwarded(other))
	v.step("a token of a certificate, and the proxy saw none", "not its own", "GET", "/suite/forwarded", sent)
	v.step("a token of a certificate, and what is none by the proxy", "not read", "GET", "/suite/forwarded", with(sent, "Client-Cert", ":AAAA:"))
}

// suiteClaims are what the suite asks for by [idserver.ClaimsOf].
type suiteClaims struct {
	Subject string `json:"sub"`
	Plan    string `json:"plan"`
}

// Validate implements what [idserver.ClaimsOf] asks for.
func (c *suiteClaims) Validate() error {
	if c.Plan == "none" {
		return errors.New("there is no such plan")
	}
	return nil
}

// tellClaims is a guard that answers with the claims of the user.
func tellClaims(ctx context.Context, _ idserver.Request) (context.Context, idserver.Answer) {
	claims, err := idserver.ClaimsOf[suiteClaims](ctx)
	again, _ := idserver.ClaimsOf[suiteClaims](ctx)
	text := fmt.Sprintf("plan %v, decoded once %t", claims, claims == again)
	if err != nil {
		text = err.Error()
	}
	return ctx, idserver.Answer{Status: 200, Set: []idserver.Field{{Name: "Content-Type", Value: "text/plain; charset=utf-8"}}, Body: []byte(text), SameContext: true}
}

// typedClaims tests the claims as the application's own type, behind a guard.
func typedClaims(s *suite) {
	v := s.visitor(s.serve(func(c *idserver.Config) { c.Logger = slog.New(slog.DiscardHandler) }))
	of := func(plan any) map[string][]string {
		return with(aProgram, "Authorization", "Bearer "+s.provider.MintAccessToken("alice", func(c map[string]any) { c["plan"] = plan }))
	}
	gold := of("gold")
	v.step("the claims of a token", "ClaimsOf", "GET", "/suite/claims", gold)
	v.step("the claims of a token, from memory", "the same", "GET", "/suite/claims", gold)
	v.step("claims that are not good", "their own Validate", "GET", "/suite/claims", of("none"))
	v.step("claims of another type", "not a text", "GET", "/suite/claims", of(7))
	v.step("the claims of nobody", "the guard in front decides", "GET", "/suite/claims", aProgram)
	v.signIn("alice")
	v.step("the claims of a session", "the same", "GET", "/suite/claims", aScript)
}
