package idtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// prover makes DPoP proofs as a client that does not use this repository's code might.
type prover struct {
	key *ecdsa.PrivateKey
	now time.Time
}

func newProver(t *testing.T, now time.Time) prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return prover{key, now}
}

func (p prover) jwk() map[string]string {
	jwk := jwkOf(p.key, "", "")
	delete(jwk, "kid")
	delete(jwk, "use")
	return jwk
}

// jkt is the thumbprint of the key, RFC 7638.
func (p prover) jkt() string {
	text, err := json.Marshal(p.jwk()) // sorted by name, as a thumbprint wants it
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p prover) proof(method, target string, edit map[string]any) string {
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": target, "iat": p.now.Unix()}
	maps.Copy(claims, edit)
	return signES256(p.key, map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.jwk()}, claims)
}

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestDPoP(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return now } }, func(o *idtest.Options) { o.Dialect.RequireDPoP = true })
	same(t, "the algorithms", get(t, p, "/.well-known/openid-configuration").json(t)["dpop_signing_alg_values_supported"], []string{"ES256", "ES384", "ES512", "PS256", "EdDSA", "Ed25519"})
	own, other := newProver(t, now), newProver(t, now)
	at := p.URL() + "/connect/token"
	form := func() url.Values { return codeForm(signIn(t, p, "alice").Get("code")) }

	if a := post(t, p, "/connect/token", form()); a.json(t)["error"] != "invalid_request" {
		t.Errorf("without a proof: %s", a.body)
	}
	used := own.proof("POST", at, nil)
	a := post(t, p, "/connect/token", form(), "DPoP", used)
	members := a.json(t)
	same(t, "the type", members["token_type"], "DPoP")
	token := members["access_token"].(string)
	_, claims := decode(t, token)
	same(t, "cnf", claims["cnf"], map[string]string{"jkt": own.jkt()})
	for name, proof := range map[string]string{"used before": used, "for another URL": own.proof("POST", at+"x", nil), "for another method": own.proof("GET", at, nil), "old": own.proof("POST", at, map[string]any{"iat": now.Unix() - 61})} {
		if a := post(t, p, "/connect/token", form(), "DPoP", proof); a.status != http.StatusBadRequest || a.json(t)["error"] != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	info := p.URL() + "/connect/userinfo"
	for name, row := range map[string]struct{ authorization, proof, want string }{
		"with a proof":           {"DPoP " + token, own.proof("GET", info, map[string]any{"ath": ath(token)}), ""},
		"scheme in small":        {"dpop " + token, own.proof("GET", info, map[string]any{"ath": ath(token)}), ""},
		"as a bearer":            {"Bearer " + token, own.proof("GET", info, map[string]any{"ath": ath(token)}), "invalid_token"},
		"without a proof":        {"DPoP " + token, "", "invalid_dpop_proof"},
		"without ath":            {"DPoP " + token, own.proof("GET", info, nil), "invalid_dpop_proof"},
		"another key":            {"DPoP " + token, other.proof("GET", info, map[string]any{"ath": ath(token)}), "invalid_token"},
		"an unbound token":       {"DPoP " + p.MintAccessToken("alice"), own.proof("GET", info, nil), "invalid_token"},
		"an unbound bearer":      {"Bearer " + p.MintAccessToken("alice"), "", ""},
		"not a token":            {"DPoP x", own.proof("GET", info, nil), "invalid_token"},
		"a minted token, bound":  {"Bearer " + p.MintAccessToken("alice", func(c map[string]any) { c["cnf"] = map[string]any{"jkt": own.jkt()} }), "", "invalid_token"},
		"for the token endpoint": {"DPoP " + token, own.proof("POST", at, map[string]any{"ath": ath(token)}), "invalid_dpop_proof"},
	} {
		header := []string{"Authorization", row.authorization}
		if row.proof != "" {
			header = append(header, "DPoP", row.proof)
		}
		a := get(t, p, "/connect/userinfo", header...)
		challenge := a.header.Get("WWW-Authenticate")
		switch {
		case row.want == "" && a.status != http.StatusOK:
			t.Errorf("%s: %d %s", name, a.status, a.body)
		case row.want != "" && (a.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, `DPoP algs="ES256 `) || !strings.Contains(challenge, `error="`+row.want+`"`)):
			t.Errorf("%s: %d %s", name, a.status, challenge)
		}
	}

	// A confidential client's refresh token is bound to no key (RFC 9449 section 5); the new access token is to the new one.
	a = post(t, p, "/connect/token", refreshForm(members["refresh_token"].(string)), "DPoP", other.proof("POST", at, nil))
	_, claims = decode(t, a.json(t)["access_token"].(string))
	same(t, "cnf after a refresh", claims["cnf"], map[string]string{"jkt": other.jkt()})
	a = post(t, p, "/connect/token", codeForm(signIn(t, p, "alice", "client_id", "example-cli").Get("code"), "client_id", "example-cli", "client_secret", ""), "DPoP", own.proof("POST", at, nil))
	public := refreshForm(a.json(t)["refresh_token"].(string), "client_id", "example-cli", "client_secret", "")
	if a := post(t, p, "/connect/token", public, "DPoP", other.proof("POST", at, nil)); a.json(t)["error"] != "invalid_dpop_proof" {
		t.Errorf("a public client's refresh token with another key: %s", a.body)
	}
	if a := post(t, p, "/connect/token", public, "DPoP", own.proof("POST", at, nil)); a.status != http.StatusOK {
		t.Errorf("with its own: %s", a.body)
	}
}

// A code is bound to the key of the pushed request.
func TestDPoPFromPAROn(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, idtest.FAPI2, func(o *idtest.Options) { o.Now = func() time.Time { return now } })
	own, other := newProver(t, now), newProver(t, now)
	push := func(form url.Values, proof string) answer {
		if proof == "" {
			return post(t, p, "/connect/par", form)
		}
		return post(t, p, "/connect/par", form, "DPoP", proof)
	}
	par, at := p.URL()+"/connect/par", p.URL()+"/connect/token"
	if a := push(with(pushable, "dpop_jkt", other.jkt()), own.proof("POST", par, nil)); a.json(t)["error"] != "invalid_dpop_proof" {
		t.Errorf("another dpop_jkt: %s", a.body)
	}
	for name, a := range map[string]answer{"a proof": push(with(pushable), own.proof("POST", par, nil)), "dpop_jkt": push(with(pushable, "dpop_jkt", own.jkt()), "")} {
		target, err := p.Authorize(t.Context(), pushed(t, p, a), "alice")
		if err != nil {
			t.Fatal(err)
		}
		code := target.Query().Get("code")
		if a := post(t, p, "/connect/token", codeForm(code), "DPoP", other.proof("POST", at, nil)); a.json(t)["error"] != "invalid_dpop_proof" || !strings.Contains(a.body, "does not match the dpop_jkt") {
			t.Errorf("%s: another key: %s", name, a.body)
		}
	}
	target, err := p.Authorize(t.Context(), pushed(t, p, push(with(pushable), own.proof("POST", par, nil))), "alice")
	if err != nil {
		t.Fatal(err)
	}
	members := post(t, p, "/connect/token", codeForm(target.Query().Get("code")), "DPoP", own.proof("POST", at, nil)).json(t)
	header, _ := decode(t, members["id_token"].(string))
	same(t, "alg of the ID token", header["alg"], "PS256")
	refreshed := post(t, p, "/connect/token", refreshForm(members["refresh_token"].(string)), "DPoP", own.proof("POST", at, nil)).json(t)
	same(t, "a new refresh token", refreshed["refresh_token"], nil)
}

func TestDPoPNonces(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.Now = func() time.Time { return now }
		o.Dialect.RequireDPoP, o.Dialect.DPoPNonces = true, true
	})
	own := newProver(t, now)
	at, info := p.URL()+"/connect/token", p.URL()+"/connect/userinfo"
	send := func(nonce string) answer {
		own.now = now
		form := codeForm(signIn(t, p, "alice").Get("code"))
		return post(t, p, "/connect/token", form, "DPoP", own.proof("POST", at, map[string]any{"nonce": nonce}))
	}
	a := send("")
	nonce := a.header.Get("DPoP-Nonce")
	if a.status != http.StatusBadRequest || a.json(t)["error"] != "use_dpop_nonce" || nonce == "" {
		t.Fatalf("without a nonce: %d %s", a.status, a.body)
	}
	if a := send("other"); a.json(t)["error"] != "use_dpop_nonce" || a.header.Get("DPoP-Nonce") != nonce {
		t.Errorf("another nonce: %s", a.body)
	}
	now = now.Add(5 * time.Minute)
	a = send(nonce) // the one before is good too
	token, _ := a.json(t)["access_token"].(string)
	newer := a.header.Get("DPoP-Nonce")
	if token == "" || newer == nonce {
		t.Fatalf("with a nonce: %s, %s", a.body, newer)
	}
	ask := func(nonce string) answer {
		return get(t, p, "/connect/userinfo", "Authorization", "DPoP "+token, "DPoP", own.proof("GET", info, map[string]any{"ath": ath(token), "nonce": nonce}))
	}
	equal(t, "the status of userinfo", ask(newer).status, http.StatusOK)
	p.RotateDPoPNonce()
	if a := ask(newer); a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) || a.header.Get("DPoP-Nonce") == newer {
		t.Errorf("an old nonce: %d %v", a.status, a.header)
	}
}

func TestSigningAlgorithm(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"PS256", "ES256"} {
		p := idtest.NewProvider(t, func(o *idtest.Options) { o.Dialect.SigningAlgorithm = algorithm })
		token := p.MintAccessToken("alice")
		p.RotateKey()
		for _, token := range []string{token, p.MintAccessToken("alice")} {
			header, _ := decode(t, token)
			same(t, "alg", header["alg"], algorithm)
			equal(t, "the status of userinfo", get(t, p, "/connect/userinfo", "Authorization", "Bearer "+token).status, http.StatusOK)
			if changed := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+token[:len(token)-8]+"AAAAAAAA"); changed.status != http.StatusUnauthorized {
				t.Errorf("%s: a changed signature is %d", algorithm, changed.status)
			}
		}
		same(t, "what the metadata says", get(t, p, "/.well-known/openid-configuration").json(t)["id_token_signing_alg_values_supported"], []string{algorithm})
	}
	if _, err := idtest.Start(idtest.Options{Dialect: idtest.Dialect{SigningAlgorithm: "HS256"}}); err == nil {
		t.Error("a provider that signs with HS256")
	}
}

// A provider that does not know DPoP ignores proofs.
func TestNoDPoP(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Dialect.NoDPoP = true })
	same(t, "the algorithms", get(t, p, "/.well-known/openid-configuration").json(t)["dpop_signing_alg_values_supported"], nil)
	a := post(t, p, "/connect/token", codeForm(signIn(t, p, "alice").Get("code")), "DPoP", "x")
	same(t, "the type", a.json(t)["token_type"], "Bearer")
	equal(t, "the status of userinfo", get(t, p, "/connect/userinfo", "Authorization", "DPoP "+a.json(t)["access_token"].(string)).status, http.StatusUnauthorized)
}
