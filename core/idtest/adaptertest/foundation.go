package adaptertest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// A module is a test of a client by the OpenID Foundation: one of the plans "FAPI 2.0 Security Profile Final" and "FAPI 2.0 Message
// Signing Final". Its name there begins with fapi2-security-profile-final-client-test-.
type module struct {
	name string
	does string // what the provider does otherwise than it should
	must ending

	needs func(plan) bool // the plans that have it; nil: all

	options       func(*idtest.Options)
	provider      func(*idtest.Provider)
	idToken       func(claims map[string]any)
	tokenResponse func(p *idtest.Provider, response map[string]any)
	response      func(url.Values)
	signed        func(claims map[string]any) // of the response as a JWT
	back          func(callback url.Values)   // when it is signed
	config        func(*idserver.Config)
	complete      bool // the ID token says all about the person: there is nothing to ask the resource for
}

// ending is what a client must do.
type ending string

const (
	callsResource  ending = "calls the resource"
	pushesNothing  ending = "begins no sign-in"
	redeemsNothing ending = "sends no token request"
	callsNothing   ending = "does not call the resource"
	refreshesTwice ending = "refreshes twice, each time with the newest refresh token"
)

// plan is what a client is certified for: how it authenticates, what its tokens are bound to, and whether messages are signed.
type plan struct {
	name          string
	profile       string
	provider      func(*idtest.Options)
	dpop, signing bool
}

var plans = []plan{
	{name: "private_key_jwt and DPoP", profile: "fapi2", provider: idtest.FAPI2, dpop: true},
	{name: "signed messages", profile: "fapi2-message-signing", provider: idtest.FAPI2MessageSigning, dpop: true, signing: true},
	{name: "mutual TLS", profile: "fapi2", provider: idtest.FAPI2MutualTLS},
}

func withDPoP(p plan) bool    { return p.dpop }
func withSigning(p plan) bool { return p.signing }

// modules are all of them, in the order of the plans.
var modules = []module{
	{name: "happy-path", does: "nothing wrong; it wants DPoP nonces", must: callsResource},
	{name: "happy-path-no-dpop-nonce", needs: withDPoP, does: "nothing wrong, without nonces", must: callsResource,
		options: func(o *idtest.Options) { o.Dialect.DPoPNonces = false }},
	{name: "discovery-issuer-mismatch", does: "`issuer` of its metadata is another", must: pushesNothing,
		provider: func(p *idtest.Provider) {
			p.SetMetadata(func(m map[string]any) { m["issuer"] = p.Issuer() + "INVALID" })
		}},
	{name: "invalid-iss", does: "`iss` of the ID token is another", must: callsNothing, idToken: more("iss")},
	{name: "invalid-missing-iss", does: "no `iss` in the ID token", must: callsNothing, idToken: without("iss")},
	{name: "invalid-aud", does: "`aud` is another", must: callsNothing, idToken: more("aud")},
	{name: "invalid-missing-aud", does: "no `aud`", must: callsNothing, idToken: without("aud")},
	{name: "invalid-secondary-aud", does: "`aud` has a second value, and there is no `azp`", must: callsNothing,
		idToken: func(c map[string]any) { c["aud"] = []any{c["aud"], fmt.Sprint(c["aud"]) + "1"} }},
	{name: "valid-aud-as-array", does: "`aud` is a list of one", must: callsResource,
		idToken: func(c map[string]any) { c["aud"] = []any{c["aud"]} }},
	{name: "invalid-null-alg", does: "`alg` is none, and there is no signature", must: callsNothing,
		tokenResponse: func(_ *idtest.Provider, r map[string]any) {
			r["id_token"] = unsigned(r["id_token"])
		}},
	{name: "invalid-alternate-alg", does: "signed with RS256, by a key that is published without `alg`", must: callsNothing,
		tokenResponse: func(p *idtest.Provider, r map[string]any) {
			claims, _ := base64.RawURLEncoding.DecodeString(payloadOf(r["id_token"]))
			r["id_token"] = p.SignRaw(map[string]any{"alg": "RS256", "kid": alternateKey, "typ": "JWT"}, claims)
		}},
	{name: "invalid-expired-exp", does: "`exp` was six minutes ago", must: callsNothing,
		idToken: func(c map[string]any) { c["exp"] = c["iat"].(int64) - 6*60 }},
	{name: "invalid-missing-exp", does: "no `exp`", must: callsNothing, idToken: without("exp")},
	{name: "invalid-nonce", does: "`nonce` is another", must: callsNothing, idToken: more("nonce")},
	{name: "invalid-missing-nonce", does: "no `nonce`", must: callsNothing, idToken: without("nonce")},
	{name: "invalid-authorization-response-iss", does: "`iss` of the authorization response is another", must: redeemsNothing,
		response: func(r url.Values) { r.Set("iss", r.Get("iss")+"1") }},
	{name: "remove-authorization-response-iss", does: "no `iss` in it, which the metadata announces", must: redeemsNothing,
		response: func(r url.Values) { r.Del("iss") }},
	{name: "ensure-authorization-response-with-invalid-state-fails", does: "`state` is another", must: redeemsNothing,
		response: func(r url.Values) { r.Set("state", r.Get("state")+"1") }},
	{name: "ensure-authorization-response-with-invalid-missing-state-fails", does: "no `state`", must: redeemsNothing,
		response: func(r url.Values) { r.Del("state") }},
	{name: "token-endpoint-response-without-expires_in", does: "no `expires_in` in the token response", must: callsResource,
		tokenResponse: func(_ *idtest.Provider, r map[string]any) { delete(r, "expires_in") }},
	{name: "token-type-case-insensitivity", needs: withDPoP, does: "`token_type` is dpOP", must: callsResource,
		tokenResponse: func(_ *idtest.Provider, r map[string]any) { r["token_type"] = "dpOP" }},
	{name: "rs-dpop-auth-scheme-case-insensitivity", needs: withDPoP, does: "the resource wants another nonce, and says so with the scheme dpOP", must: callsResource,
		options: func(o *idtest.Options) {
			o.Dialect.RefuseUserInfo = func(w http.ResponseWriter, err error) {
				code, _, _ := strings.Cut(err.Error(), ":")
				w.Header().Set("WWW-Authenticate", `dpOP error="`+code+`", algs="ES256"`)
				w.WriteHeader(http.StatusUnauthorized)
			}
		},
		tokenResponse: func(p *idtest.Provider, _ map[string]any) { p.RotateDPoPNonce() }},
	{name: "refresh-token-test", does: "each refresh brings another refresh token, and the one before is worth nothing", must: refreshesTwice,
		options: func(o *idtest.Options) { o.Dialect.NoRotation = false }},
	{name: "invalid-openbanking-intent-id", does: "`openbanking_intent_id` (United Kingdom) is another; `Config.AdmitUser` compares it, with `Config.Provider.NoUserInfo`", must: callsNothing,
		complete: true, idToken: func(c map[string]any) { c["openbanking_intent_id"] = suiteIntent + "1" },
		config: func(c *idserver.Config) {
			c.Provider.NoUserInfo, c.AuthorizeParameters = true, url.Values{"claims": {`{"id_token":{"openbanking_intent_id":{"value":"` + suiteIntent + `","essential":true}}}`}}
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				var of struct {
					Intent string `json:"openbanking_intent_id"`
				}
				if err := u.Claims(&of); err != nil || of.Intent != suiteIntent {
					return errors.Join(errors.New("openbanking_intent_id is not the one that was asked for"), err)
				}
				return nil
			}
		}},
	{name: "ensure-jarm-without-iss", needs: withSigning, does: "no `iss` in the response, which is a JWT", must: redeemsNothing, signed: without("iss")},
	{name: "ensure-jarm-with-invalid-iss", needs: withSigning, does: "its `iss` is another", must: redeemsNothing, signed: more("iss")},
	{name: "ensure-jarm-without-aud", needs: withSigning, does: "no `aud` in it", must: redeemsNothing, signed: without("aud")},
	{name: "ensure-jarm-with-invalid-aud", needs: withSigning, does: "its `aud` is another", must: redeemsNothing, signed: more("aud")},
	{name: "ensure-jarm-without-exp", needs: withSigning, does: "no `exp` in it", must: redeemsNothing, signed: without("exp")},
	{name: "ensure-jarm-with-expired-exp", needs: withSigning, does: "its `exp` was six minutes ago", must: redeemsNothing,
		signed: func(c map[string]any) { c["exp"] = c["exp"].(int64) - 16*60 }}, // of ten
	{name: "ensure-jarm-with-invalid-sig", needs: withSigning, does: "its signature is another's", must: redeemsNothing,
		back: func(q url.Values) {
			parts := strings.Split(q.Get("response"), ".")
			q.Set("response", strings.Join(append(parts[:2], strings.Repeat("A", len(parts[2]))), "."))
		}},
	{name: "ensure-jarm-signature-is-not-none", needs: withSigning, does: "its `alg` is none, and there is no signature", must: redeemsNothing,
		back: func(q url.Values) { q.Set("response", unsigned(q.Get("response"))) }},
}

const (
	suiteIntent  = "intent-4711"
	alternateKey = "alternate"
)

func more(claim string) func(map[string]any) {
	return func(c map[string]any) { c[claim] = fmt.Sprint(c[claim]) + "1" }
}

func without(claim string) func(map[string]any) {
	return func(c map[string]any) { delete(c, claim) }
}

// unsigned returns a token without its signature.
func unsigned(token any) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payloadOf(token) + "."
}

// payloadOf returns the second part of a token.
func payloadOf(token any) string {
	parts := strings.Split(fmt.Sprint(token), ".")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

//go:embed foundation.golden
var foundationGolden string

// foundation runs the modules against an application, and compares what happened with foundation.golden, whose lines are those of a
// table in the documentation. What a module says that a client must do is checked whatever is written there.
func foundation(t T, application Application) {
	t.Helper()
	want := strings.Split(strings.TrimSuffix(foundationGolden, "\n"), "\n")
	for i, row := range foundationTable(t, application) {
		if i >= len(want) {
			t.Errorf("the module is not in foundation.golden:\n%s", row)
		} else if row != want[i] {
			t.Errorf("module %s\n%s", modules[i].name, difference(want[i], row))
		}
	}
	if len(want) > len(modules) {
		t.Errorf("foundation.golden has %d modules, and %d were run", len(want), len(modules))
	}
}

// foundationTable runs each module in each plan that has it, and returns a row of a Markdown table for it: what happened in the first and,
// where a client refused otherwise, in another.
func foundationTable(t T, application Application) (rows []string) {
	t.Helper()
	for _, m := range modules {
		var first outcome
		happened := ""
		for _, p := range plans {
			if m.needs != nil && !m.needs(p) {
				continue
			}
			o := m.run(newSuite(t, application), p)
			if fault := o.fault(m.must); fault != "" {
				t.Errorf("module %s, %s: the client %s: want one that %s", m.name, p.name, fault, m.must)
			}
			switch {
			case happened == "":
				first, happened = o, o.String()
			case o.at != first.at || o.status != first.status || o.code != first.code:
				happened += "; " + p.name + ": " + o.verdict()
			}
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", m.name, m.does, m.must, happened))
	}
	return rows
}

// outcome is what a client did.
type outcome struct {
	at                        string // the route that refused; empty: none
	status                    int
	code                      string
	reason                    string
	pushes, tokens, resources int // requests
	refreshes                 idtest.RefreshCounts
}

// verdict is whether the client signed in, or how it refused.
func (o outcome) verdict() string {
	switch {
	case o.at == "" && o.refreshes.Answered > 0:
		return fmt.Sprintf("signed in, and refreshed %d times", o.refreshes.Answered)
	case o.at == "":
		return "signed in"
	case o.reason != "":
		return fmt.Sprintf("%s: %d `%s` (%s)", o.at, o.status, o.code, o.reason)
	}
	return fmt.Sprintf("%s: %d `%s`", o.at, o.status, o.code)
}

// String is the outcome as the table shows it.
func (o outcome) String() string {
	return fmt.Sprintf("%s, pushed %d, token %d, resource %d", o.verdict(), o.pushes, o.tokens, o.resources)
}

// fault says what a client did that it must not do, or did not do that it must.
func (o outcome) fault(must ending) string {
	signedIn := o.at == ""
	switch {
	case must == pushesNothing && o.pushes > 0:
		return "pushed an authorization request"
	case (must == pushesNothing || must == redeemsNothing) && o.tokens > 0:
		return "sent a token request"
	case must != callsResource && must != refreshesTwice && o.resources > 0:
		return "called the resource"
	case must != callsResource && must != refreshesTwice && signedIn:
		return "signed somebody in"
	case (must == callsResource || must == refreshesTwice) && !signedIn:
		return fmt.Sprintf("refused the sign-in: %s", o)
	case (must == callsResource || must == refreshesTwice) && o.resources == 0:
		return "did not call the resource"
	case must == refreshesTwice && (o.refreshes.Answered != 2 || o.refreshes.Reused != 0):
		return fmt.Sprintf("refreshed: %+v", o.refreshes)
	}
	return ""
}

// run signs a person in at a provider as the module wants it, which insists on the profile all along: PAR, client assertions for the
// issuer alone, proofs with one key, nonces. The resource is the userinfo endpoint, because the ID token does not tell the e-mail
// address.
func (m module) run(s *suite, p plan) (o outcome) {
	s.t.Helper()
	s.provider = idtest.NewProvider(s.t, p.provider, func(options *idtest.Options) {
		options.Now, options.InMemory, options.Dialect.DPoPNonces, options.Dialect.OpaqueAccessTokens = s.clock.Now, true, p.dpop, true
		if m.options != nil {
			m.options(options)
		}
	})
	s.publishDecoys()
	s.provider.SetIDTokenClaims(func(c map[string]any) {
		if !m.complete {
			delete(c, "email")
		}
		if m.idToken != nil {
			m.idToken(c)
		}
	})
	if m.provider != nil {
		m.provider(s.provider)
	}
	if m.tokenResponse != nil {
		s.provider.SetTokenResponse(func(r map[string]any) { m.tokenResponse(s.provider, r) })
	}
	if m.response != nil {
		s.provider.SetAuthorizationResponse(m.response)
	}
	if m.signed != nil {
		s.provider.SetSignedResponse(m.signed)
	}
	var mu sync.Mutex
	var reason idserver.Reason
	registered := idtest.Client{ID: idtest.ExampleClient, RedirectURIs: []string{suiteOrigin + "/auth/callback"}}
	v := s.visitor(s.serve(func(c *idserver.Config) {
		c.Profile, c.ClientSecret = p.profile, ""
		if p.dpop {
			c.ClientKeys = []idserver.ClientKey{{ID: "s1", Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}}
		} else {
			certificate := s.certificate("the application")
			registered.Certificates = []*x509.Certificate{certificate.Leaf}
			c.ClientCertificate = func() (*tls.Certificate, error) { return &certificate, nil }
		}
		c.RenderRefusal = func(_ context.Context, r idserver.Refusal) idserver.Rendered {
			var invalid *idserver.InvalidTokenError
			if errors.As(r.Err, &invalid) {
				mu.Lock()
				defer mu.Unlock()
				reason = invalid.Reason
			}
			return idserver.Rendered{}
		}
		if m.config != nil {
			m.config(c)
		}
	}))
	if p.dpop {
		registered.JWKS = []byte(v.do("GET", "/auth/jwks", aProgram).body)
	}
	s.provider.AddClient(registered)
	at, e := m.signIn(v)
	if at == "" && m.must == refreshesTwice {
		for range 2 {
			s.clock.advance(14*time.Minute + 30*time.Second)
			if e := v.do("GET", "/suite/user", aScript); e.StatusCode != http.StatusOK {
				at = "page"
			}
		}
	}
	o.at, o.status = at, e.StatusCode
	if at != "" {
		var problem struct{ Code string }
		if err := json.Unmarshal([]byte(e.body), &problem); err != nil {
			s.t.Errorf("module %s: %s: %v: %s", m.name, at, err, e.body)
		}
		mu.Lock()
		o.code, o.reason = problem.Code, string(reason)
		mu.Unlock()
	}
	o.pushes, o.tokens = s.provider.Requests(idtest.PushedAuthorization), s.provider.Requests(idtest.Token)
	o.resources, o.refreshes = s.provider.Requests(idtest.UserInfo), s.provider.RefreshCounts()
	return o
}

// signIn signs alice in. It returns the route that refused, with its answer, or "" if none did.
func (m module) signIn(v *visitor) (at string, e exchange) {
	v.s.t.Helper()
	e = v.do("GET", "/auth/login", aScript)
	if e.StatusCode != http.StatusOK {
		return "login", e
	}
	var begun struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(e.body), &begun); err != nil {
		v.s.t.Fatalf("module %s: login: %v: %s", m.name, err, e.body)
	}
	if u, err := url.Parse(begun.URL); err != nil || len(u.Query()) != 2 || !u.Query().Has("client_id") || !u.Query().Has("request_uri") {
		v.s.t.Errorf("module %s: the browser carries more than client_id and request_uri, or less: %s", m.name, begun.URL)
	}
	back := v.comeBack(begun.URL, "alice")
	if m.back != nil {
		back = edited(back, m.back)
	}
	e = v.do("GET", back, aProgram)
	if e.StatusCode != http.StatusSeeOther {
		return "callback", e
	}
	if !strings.Contains(v.cookies("/"), "__Host-idserver=") {
		v.s.t.Errorf("module %s: there is no session after the callback", m.name)
	}
	return "", e
}

// publishDecoys publishes more keys, as the Foundation's suite does: of other types under the kid of the one that signs, and one
// without alg.
func (s *suite) publishDecoys() {
	s.t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	a, err := s.provider.HTTPClient().Get(s.provider.URL() + "/.well-known/jwks.json")
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	defer a.Body.Close()
	document, err := io.ReadAll(a.Body)
	if err = errors.Join(err, json.Unmarshal(document, &set)); err != nil || len(set.Keys) != 1 {
		s.t.Fatalf("the provider's key set: %v: %s", err, document)
	}
	signs := set.Keys[0]
	base64url := base64.RawURLEncoding.EncodeToString
	ec, edwards := decoys()
	point, err := ec.Bytes()
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	set.Keys = append(
		[]map[string]any{
			{"kty": "EC", "crv": "P-256", "x": base64url(point[1:33]), "y": base64url(point[33:]), "kid": signs["kid"]},
			{"kty": "OKP", "crv": "Ed25519", "x": base64url(edwards), "kid": signs["kid"], "use": "sig"},
			{"kty": "RSA", "n": signs["n"], "e": signs["e"], "kid": signs["kid"], "use": "enc"},
		},
		signs,
		map[string]any{"kty": "RSA", "n": signs["n"], "e": signs["e"], "kid": alternateKey},
	)
	var published bytes.Buffer
	if err := json.NewEncoder(&published).Encode(set); err != nil {
		s.t.Fatalf("%v", err)
	}
	s.provider.SetJWKS(published.Bytes())
}

// decoys are keys that sign nothing.
var decoys = sync.OnceValues(func() (*ecdsa.PublicKey, ed25519.PublicKey) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return &ec.PublicKey, edwards
})
