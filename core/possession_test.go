package idserver_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/jose"
)

const ordersURL = "https://api.example.test" // the scheme and host of ordersAPI

// boundAPI is an API that takes tokens which are bound to a key.
func (w *world) boundAPI(t *testing.T, edit ...func(*idserver.ResourceConfig)) *idserver.Resource {
	t.Helper()
	cfg := idserver.ResourceConfig{Identifier: ordersAPI, DPoP: true}
	for _, e := range edit {
		e(&cfg)
	}
	return w.resource(t, cfg)
}

// boundTo mints a token for the API that is bound.
func (w *world) boundTo(bind ...func(map[string]any)) string {
	return w.provider.MintAccessToken("alice", func(c map[string]any) {
		forOrders(c)
		for _, b := range bind {
			b(c)
		}
	})
}

// proving sends a token with a proof.
func proving(token string, proofs ...string) edit {
	return func(r *idserver.Request) {
		h := r.Header.(http.Header)
		h["Authorization"] = []string{"DPoP " + token}
		if delete(h, "Dpop"); len(proofs) > 0 {
			h["Dpop"] = proofs
		}
	}
}

// forger makes proofs as another program might.
type forger struct {
	key   *ecdsa.PrivateKey
	world *world
}

func newForger(t testing.TB, w *world) *forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &forger{key, w}
}

func (f *forger) bind(c map[string]any) {
	c["cnf"] = map[string]any{"jkt": jose.Thumbprint(f.key.Public())}
}

// proof is a good one for GET /orders, but for what is edited: nil takes a member away.
func (f *forger) proof(token string, header, claims map[string]any) string {
	h := map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": json.RawMessage(jose.PublicJWK(f.key.Public()))}
	c := map[string]any{"jti": rand.Text(), "htm": "GET", "htu": ordersURL + "/orders", "iat": f.world.clock.Now().Unix(), "ath": dpop.Hash(token)}
	for _, edit := range []struct{ to, of map[string]any }{{h, header}, {c, claims}} {
		maps.Copy(edit.to, edit.of)
		maps.DeleteFunc(edit.to, func(_ string, v any) bool { return v == nil })
	}
	signed := encode(h) + "." + encode(c)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, f.key, digest[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// Every check of RFC 9449 section 4.3, for a token that is not remembered and for one that is.
func TestProofs(t *testing.T) {
	type m = map[string]any
	iat := func(w *world, d time.Duration) m { return m{"iat": w.clock.Now().Add(d).Unix()} }
	const invalid = "invalid_dpop_proof"
	for name, row := range map[string]struct {
		proofs func(w *world, f *forger, token string) []string
		code   idserver.RefusalCode // "": it is good
		log    string
	}{
		"good":         {func(w *world, f *forger, token string) []string { return []string{f.proof(token, nil, nil)} }, "", ""},
		"none":         {func(*world, *forger, string) []string { return nil }, invalid, "0 DPoP header fields"},
		"an empty one": {func(*world, *forger, string) []string { return []string{""} }, invalid, "compact JWS"},
		"two": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, nil), f.proof(token, nil, nil)}
		}, invalid, "2 DPoP header fields"},
		"two in one line": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, nil) + ", " + f.proof(token, nil, nil)}
		}, invalid, "compact JWS"},
		"giant":            one(nil, m{"x": strings.Repeat("a", 9000)}, invalid, "longer than"),
		"the token itself": {func(_ *world, _ *forger, token string) []string { return []string{token} }, invalid, "typ"},
		"another typ":      one(m{"typ": "jwt"}, nil, invalid, "typ"),
		"no typ":           one(m{"typ": nil}, nil, invalid, "typ"),
		"alg none":         one(m{"alg": "none"}, nil, invalid, "alg"),
		"alg HS256":        one(m{"alg": "HS256"}, nil, invalid, "alg"),
		"alg RS256":        one(m{"alg": "RS256"}, nil, invalid, "alg"),
		"crit":             one(m{"crit": []string{"x"}}, nil, invalid, "crit"),
		"no jwk":           one(m{"jwk": nil}, nil, invalid, "no jwk"),
		"a symmetric key":  one(m{"jwk": m{"kty": "oct", "k": "AAAA"}}, nil, invalid, "symmetric"),
		"a weak key":       one(m{"jwk": m{"kty": "RSA", "n": "AQAB", "e": "AQAB"}, "alg": "PS256"}, nil, invalid, "key"),
		"a private key": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, m{"jwk": f.private()}, nil)}
		}, invalid, "private"},
		"another key": {func(w *world, f *forger, token string) []string {
			return []string{newForger(t, w).proof(token, nil, nil)}
		}, invalid, "another key"},
		"another signature": {func(w *world, f *forger, token string) []string {
			return []string{swapped(f.proof(token, nil, nil), f.proof(token, nil, nil))}
		}, invalid, "signature"},
		"no jti":         one(nil, m{"jti": nil}, invalid, "jti"),
		"a long jti":     one(nil, m{"jti": strings.Repeat("a", 257)}, invalid, "jti"),
		"another method": one(nil, m{"htm": "POST"}, invalid, "htm"),
		"another case":   one(nil, m{"htm": "get"}, invalid, "htm"),
		"no method":      one(nil, m{"htm": nil}, invalid, "htm"),

		"a query and a fragment":    one(nil, m{"htu": ordersURL + "/orders?x=1#y"}, "", ""),
		"host in capitals":          one(nil, m{"htu": "HTTPS://API.example.TEST/orders"}, "", ""),
		"the default port":          one(nil, m{"htu": ordersURL + ":443/orders"}, "", ""),
		"a needless escape":         one(nil, m{"htu": ordersURL + "/%6frders"}, "", ""),
		"no htu":                    one(nil, m{"htu": nil}, invalid, "htu"),
		"path in capitals":          one(nil, m{"htu": ordersURL + "/Orders"}, invalid, "htu"),
		"a slash more":              one(nil, m{"htu": ordersURL + "/orders/"}, invalid, "htu"),
		"an escaped slash":          one(nil, m{"htu": ordersURL + "%2Forders"}, invalid, "htu"),
		"dots":                      one(nil, m{"htu": ordersURL + "/x/../orders"}, invalid, "htu"),
		"another port":              one(nil, m{"htu": ordersURL + ":8443/orders"}, invalid, "htu"),
		"http":                      one(nil, m{"htu": "http://api.example.test/orders"}, invalid, "htu"),
		"the Host of the request":   one(nil, m{"htu": "http://127.0.0.1:8080/orders"}, invalid, "https://api.example.test/orders"),
		"a user in the URL":         one(nil, m{"htu": "https://x@api.example.test/orders"}, invalid, "htu"),
		"the identifier's own path": one(nil, m{"htu": ordersAPI + "/orders"}, invalid, "htu"),

		"no ath":              one(nil, m{"ath": nil}, invalid, "ath"),
		"an empty ath":        one(nil, m{"ath": ""}, invalid, "ath"),
		"another token's ath": one(nil, m{"ath": dpop.Hash("x")}, invalid, "ath"),

		"no iat":        one(nil, m{"iat": nil}, invalid, "iat"),
		"iat is a text": one(nil, m{"iat": "1893499200"}, invalid, "iat"),
		"iat is huge":   one(nil, m{"iat": 1e300}, invalid, "iat"),
		"as old as may be": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, iat(w, -70*time.Second))}
		}, "", ""},
		"too old": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, iat(w, -71*time.Second))}
		}, invalid, "too long ago"},
		"as early as may be": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, iat(w, 10*time.Second))}
		}, "", ""},
		"from the future": {func(w *world, f *forger, token string) []string {
			return []string{f.proof(token, nil, iat(w, 11*time.Second))}
		}, invalid, "in the future"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			api, f := w.boundAPI(t), newForger(t, w)
			token := w.boundTo(f.bind)
			for i := range 3 { // from the second time on, the token is remembered, and then the key too
				ctx, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders?page=1", proving(token, row.proofs(w, f, token)...))
				if row.code == "" {
					if a.Ends() || idserver.UserFrom(ctx) == nil || idserver.AccessTokenFrom(ctx) != token || api.RememberedProofs() != i+1 {
						t.Fatalf("%d: %d %s, %d remembered", i, a.Status, a.Body, api.RememberedProofs())
					}
					continue
				}
				if a.Status != 401 || code(t, a) != row.code || api.RememberedProofs() != 0 {
					t.Errorf("%d: %d %s, %d remembered", i, a.Status, a.Body, api.RememberedProofs())
				}
				if !strings.Contains(w.log.String(), row.log) {
					t.Errorf("the log does not tell %q: %s", row.log, w.log)
				}
				if !hasChallenge(a, `DPoP error="invalid_dpop_proof", algs="ES256 ES384 ES512 PS256 EdDSA"`) || !hasChallenge(a, "Bearer") {
					t.Errorf("challenges: %v", challengesOf(a))
				}
				if i == 1 { // and with a key that is known
					if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, f.proof(token, nil, nil))); a.Ends() {
						t.Fatalf("a good one: %d %s", a.Status, a.Body)
					}
					api = w.boundAPI(t) // remembers no proofs
				}
			}
		}))
	}
}

// FuzzProof gives the header fields of a request to an API of bound tokens. Whatever they are, nobody comes of them without the token and a
// proof of its key, as they were made, or a token that is bound to none; and the answer is a refusal with a code, and repeats nothing of them.
func FuzzProof(f *testing.F) {
	provider := idtest.NewProvider(f, func(o *idtest.Options) { o.InMemory = true })
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	api, err := client.NewResource(idserver.ResourceConfig{Identifier: ordersAPI, DPoP: true})
	if err != nil {
		f.Fatal(err)
	}
	key := idtest.NewProofKey(time.Now)
	bound, unbound := provider.MintAccessToken("alice", forOrders, key.Bind), provider.MintAccessToken("bob", forOrders)
	used := key.Proof("GET", ordersURL+"/orders", bound, "")
	for _, line := range []string{
		"DPoP {bound}", "dpop  {bound}", "Bearer {bound}", "Bearer {unbound}", "bearer {unbound}", "DPoP {unbound}", "DPoP", "DPoP ", "DPoP\t{bound}", "DPoP {bound}, Bearer {unbound}", "Bearer {unbound}, DPoP {bound}",
		"Basic {bound}", "", "DPoP \x00", "DPoP {bound}=",
	} {
		for _, proof := range []string{"{proof}", "{used}", "", "{proof},{proof}", "{bound}", "a.b.c", " {proof}", "eyJhbGciOiJub25lIn0.e30."} {
			f.Add(line, "", proof, "", uint8(0))
		}
		f.Add(line, "Bearer {unbound}", "{proof}", "", uint8(1))
		f.Add(line, "", "{proof}", "{proof}", uint8(2))
	}
	guard := api.RequireUser()
	serve := func(ctx context.Context, lines, proofs []string) (context.Context, idserver.Answer) {
		return guard(ctx, idserver.Request{Method: "GET", Path: "/orders", Header: http.Header{"Authorization": lines, "Dpop": proofs}})
	}
	if _, a := serve(f.Context(), []string{"DPoP " + bound}, []string{used}); a.Ends() {
		f.Fatalf("a good one: %d %s", a.Status, a.Body)
	}
	codes := map[idserver.RefusalCode]int{"not_signed_in": 401, "invalid_token": 401, "invalid_dpop_proof": 401, "invalid_request": 400}
	f.Fuzz(func(t *testing.T, line, second, proof, other string, more uint8) {
		fresh := key.Proof("GET", ordersURL+"/orders", bound, "")
		fill := strings.NewReplacer("{bound}", bound, "{unbound}", unbound, "{proof}", fresh, "{used}", used).Replace
		lines, proofs := []string{fill(line)}, []string{fill(proof)}
		if more&1 != 0 {
			lines = append(lines, fill(second))
		}
		if more&2 != 0 {
			proofs = append(proofs, fill(other))
		}
		ctx, a := serve(t.Context(), lines, proofs)
		scheme, token, _ := strings.Cut(lines[0], " ")
		token = strings.TrimLeft(token, " ")
		want := len(lines) == 1 && (strings.EqualFold(scheme, "Bearer") && token == unbound || strings.EqualFold(scheme, "DPoP") && token == bound && len(proofs) == 1 && proofs[0] == fresh)
		if admitted := !a.Ends(); admitted != want || admitted != (idserver.UserFrom(ctx) != nil) {
			t.Fatalf("%q with %q is admitted: %v", lines, proofs, admitted)
		}
		if want {
			return
		}
		if status, ok := codes[a.Refusal.Code]; !ok || a.Status != status || len(challengesOf(a)) != 2 || field(a, "Cache-Control") != "no-store" {
			t.Errorf("%q with %q is answered %d %s", lines, proofs, a.Status, a.Body)
		}
		if leaked := leaks(string(a.Body)+strings.Join(challengesOf(a), "\n"), bound, unbound, fresh); leaked != "" || len(a.Body) > 1000 {
			t.Errorf("%q with %q is answered %s", lines, proofs, a.Body)
		}
	})
}

type proofRow = struct {
	proofs func(w *world, f *forger, token string) []string
	code   idserver.RefusalCode
	log    string
}

// one is a row of a proof that is edited.
func one(header, claims map[string]any, code idserver.RefusalCode, log string) proofRow {
	return proofRow{func(_ *world, f *forger, token string) []string { return []string{f.proof(token, header, claims)} }, code, log}
}

func (f *forger) private() json.RawMessage {
	d, err := f.key.Bytes()
	if err != nil {
		panic(err)
	}
	public := string(jose.PublicJWK(f.key.Public()))
	return json.RawMessage(strings.TrimSuffix(public, "}") + `,"d":"` + base64.RawURLEncoding.EncodeToString(d) + `"}`)
}

// swapped is a proof with the signature of another.
func swapped(proof, other string) string {
	return proof[:strings.LastIndexByte(proof, '.')] + other[strings.LastIndexByte(other, '.'):]
}

func challengesOf(a idserver.Answer) (all []string) {
	for _, f := range a.Add {
		if f.Name == "WWW-Authenticate" {
			all = append(all, f.Value)
		}
	}
	return all
}

func hasChallenge(a idserver.Answer, want string) bool {
	for _, c := range challengesOf(a) {
		if c == want {
			return true
		}
	}
	return false
}

// A bound token is worth nothing without its key, whatever it is sent as, wherever and however often; and a proof makes no bearer token
// of another kind.
func TestBoundTokensAndSchemes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		f := newForger(t, w)
		audiences := func(c map[string]any) {
			c["aud"] = []string{ordersAPI, "idserver-api", "https://api.example.test/plain"}
		}
		bound, unbound := w.boundTo(f.bind, audiences), w.boundTo(audiences)
		api, only := w.boundAPI(t), w.boundAPI(t, func(c *idserver.ResourceConfig) { c.OnlyBound = true })
		plain := w.resource(t, idserver.ResourceConfig{Identifier: "https://api.example.test/plain"})
		proof := func(token string) edit { return proving(token, f.proof(token, nil, nil)) }
		bearerAndProof := func(token string) edit {
			return func(r *idserver.Request) { proof(token)(r); bearer(token)(r) }
		}
		for range 2 {
			for name, row := range map[string]struct {
				guard  idserver.Guard
				sent   edit
				status int
				code   idserver.RefusalCode
			}{
				"bound, with its proof":                {api.RequireUser(), proof(bound), 0, ""},
				"bound, as bearer":                     {api.RequireUser(), bearer(bound), 401, idserver.CodeInvalidToken},
				"bound, as bearer with its proof":      {api.RequireUser(), bearerAndProof(bound), 401, idserver.CodeInvalidToken},
				"unbound, as bearer":                   {api.RequireUser(), bearer(unbound), 0, ""},
				"unbound, as bearer with a proof":      {api.RequireUser(), bearerAndProof(unbound), 0, ""},
				"unbound, with a proof":                {api.RequireUser(), proof(unbound), 401, idserver.CodeInvalidToken},
				"bound only: bound":                    {only.RequireUser(), proof(bound), 0, ""},
				"bound only: unbound":                  {only.RequireUser(), bearer(unbound), 401, idserver.CodeInvalidToken},
				"bound only: unbound, with a proof":    {only.RequireUser(), proof(unbound), 401, idserver.CodeInvalidToken},
				"at an API that takes none":            {plain.RequireUser(), proof(bound), 401, idserver.CodeNotSignedIn},
				"at an API that takes none, as bearer": {plain.RequireUser(), bearer(bound), 401, idserver.CodeInvalidToken},
				"at the client":                        {w.RequireUser(), proof(bound), 401, idserver.CodeNotSignedIn},
				"at the client, as bearer":             {w.RequireUser(), bearer(bound), 401, idserver.CodeInvalidToken},
				"in other letters":                     {api.RequireUser(), func(r *idserver.Request) { proof(bound)(r); send(r, "Authorization", "dpop "+bound) }, 0, ""},
				"two Authorization lines": {api.RequireUser(), func(r *idserver.Request) {
					proof(bound)(r)
					r.Header.(http.Header).Add("Authorization", "Bearer "+unbound)
				}, 400, idserver.CodeInvalidRequest},
				"two schemes in one line": {api.RequireUser(), func(r *idserver.Request) {
					proof(bound)(r)
					send(r, "Authorization", "DPoP "+bound+", Bearer "+unbound)
				}, 400, idserver.CodeInvalidRequest},
				"the scheme alone":                      {api.RequireUser(), func(r *idserver.Request) { proof(bound)(r); send(r, "Authorization", "DPoP") }, 400, idserver.CodeInvalidRequest},
				"a proof, and no token":                 {api.RequireUser(), func(r *idserver.Request) { proof(bound)(r); delete(r.Header.(http.Header), "Authorization") }, 401, idserver.CodeNotSignedIn},
				"without the scope":                     {api.RequireScope("orders:write"), proof(bound), 403, idserver.CodeInsufficientScope},
				"bound to more than is understood":      {api.RequireUser(), proof(w.boundTo(f.bind, func(c map[string]any) { c["cnf"].(map[string]any)["jku"] = "https://x.example" })), 401, idserver.CodeInvalidToken},
				"bound to a certificate, not asked for": {api.RequireUser(), bearer(w.boundTo(idtest.BindCertificate([]byte("x")))), 401, idserver.CodeInvalidToken},
				"bound to nothing":                      {api.RequireUser(), proof(w.boundTo(func(c map[string]any) { c["cnf"] = map[string]any{} })), 401, idserver.CodeInvalidToken},
				"bound to a text":                       {api.RequireUser(), proof(w.boundTo(func(c map[string]any) { c["cnf"] = "x" })), 401, idserver.CodeInvalidToken},
				"expired":                               {api.RequireUser(), proof(w.boundTo(f.bind, func(c map[string]any) { c["exp"] = 1 })), 401, idserver.CodeInvalidToken},
			} {
				_, a := w.browser(t).pass(row.guard, "GET", "/orders", row.sent)
				if a.Status != row.status || a.Ends() && code(t, a) != row.code {
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				}
			}
			for _, r := range []*idserver.Resource{api, only, plain} {
				_, err := r.ValidateAccessToken(t.Context(), bound)
				refused(t, err, idserver.ReasonType)
			}
			_, err := only.ValidateAccessToken(t.Context(), unbound)
			refused(t, err, idserver.ReasonType)
			_, err = w.ValidateAccessToken(t.Context(), bound, idserver.AccessTokenCheck{})
			refused(t, err, idserver.ReasonType)
			if ctx, a := w.browser(t).pass(api.LoadUser(), "GET", "/orders", bearer(bound)); a.Ends() || idserver.UserFrom(ctx) != nil {
				t.Errorf("LoadUser: %d", a.Status)
			}
		}
	})
}

// A proof is good once: for one request, and all the guards in its way.
func TestProofOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api, f := w.boundAPI(t), newForger(t, w)
		token := w.boundTo(f.bind)
		guards := idserver.AllOf(api.LoadUser(), idserver.AnyOf(api.RequireRole("nobody"), api.RequireRole("admin")), api.RequireUser())
		sent := proving(token, f.proof(token, nil, nil))
		ctx, a := w.browser(t).pass(guards, "GET", "/orders", sent)
		if a.Ends() || api.RememberedProofs() != 1 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		r := w.browser(t).request("GET", "/orders", []edit{sent})
		w.clock.advance(3 * time.Second) // a long body was read in between
		if _, a := api.RequireUser()(ctx, r); a.Ends() {
			t.Errorf("later in the same request: %d %s", a.Status, a.Body)
		}
		for name, other := range map[string]idserver.Request{
			"another method": w.browser(t).request("POST", "/orders", []edit{sent}),
			"another path":   w.browser(t).request("GET", "/orders/7", []edit{sent}),
		} {
			if _, a := api.RequireUser()(ctx, other); a.Status != 401 || code(t, a) != "invalid_dpop_proof" {
				t.Errorf("%s in the same context: %d %s", name, a.Status, a.Body)
			}
		}
		if _, a := api.RequireUser()(idserver.WithUser(ctx, &idserver.User{Name: "an own one"}), r); a.Ends() {
			t.Errorf("behind a guard of the application's own: %d %s", a.Status, a.Body)
		}
		elsewhere, err := w.NewResource(idserver.ResourceConfig{Identifier: "https://other.example", DPoP: true})
		if err != nil {
			t.Fatal(err)
		}
		both := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = []string{ordersAPI, "https://other.example"} }, f.bind)
		ofBoth := proving(both, f.proof(both, nil, nil))
		behind, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", ofBoth)
		if a.Ends() {
			t.Fatal(a.Status)
		}
		if _, a := elsewhere.RequireUser()(behind, w.browser(t).request("GET", "/orders", []edit{ofBoth})); a.Status != 401 || code(t, a) != "invalid_dpop_proof" {
			t.Errorf("at another API in the same request: %d %s", a.Status, a.Body)
		}
		w.clock.advance(4 * time.Minute) // a stream is open
		if _, a := api.RequireUser()(ctx, r); a.Ends() {
			t.Errorf("much later in the same request: %d %s", a.Status, a.Body)
		}
		used := proving(token, f.proof(token, nil, nil))
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", used); a.Ends() {
			t.Fatal(a.Status)
		}
		if _, a := api.RequireUser()(ctx, w.browser(t).request("GET", "/orders", []edit{used})); a.Status != 401 || code(t, a) != "invalid_dpop_proof" {
			t.Errorf("another request's proof in the same context: %d %s", a.Status, a.Body)
		}
		for after := time.Duration(0); after < 2*time.Minute; after += 13 * time.Second {
			w.clock.advance(after)
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", sent); a.Status != 401 || code(t, a) != "invalid_dpop_proof" {
				t.Errorf("once more: %d %s", a.Status, a.Body)
			}
		}
		if !strings.Contains(w.log.String(), "was used before") {
			t.Errorf("the log does not say so: %s", w.log)
		}
		jti := f.proof(token, nil, map[string]any{"jti": "the same"})
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, jti)); a.Ends() {
			t.Fatal(a.Status)
		}
		again := f.proof(token, nil, map[string]any{"jti": "the same", "nonce": "x"})
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, again)); a.Status != 401 {
			t.Errorf("the same jti in another proof: %d", a.Status)
		}
		other := newForger(t, w)
		token = w.boundTo(other.bind)
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, other.proof(token, nil, map[string]any{"jti": "the same"}))); a.Ends() {
			t.Errorf("another client's same jti: %d %s", a.Status, a.Body)
		}
	})
}

// With a store, a proof is good once at all replicas. Where that cannot be told, nobody is let in, and nobody is refused for good.
func TestProofOnceAtAllReplicas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store := newSharedStore()
		w := newWorld(t, func(c *idserver.Config) { c.Store, c.BaseURL, c.SessionSecret = store, "", "" })
		cfg := func(c *idserver.Config) { c.Store, c.BaseURL, c.SessionSecret = store, "", "" }
		f, cfgAPI := newForger(t, w), idserver.ResourceConfig{Identifier: ordersAPI, DPoP: true}
		token := w.boundTo(f.bind)
		var replicas []*idserver.Resource
		for range 2 {
			api, err := w.client(t, cfg).NewResource(cfgAPI)
			if err != nil {
				t.Fatal(err)
			}
			replicas = append(replicas, api)
		}
		ask := func(i int, sent edit) idserver.Answer {
			_, a := w.browser(t).pass(replicas[i].RequireUser(), "GET", "/orders", sent)
			return a
		}
		sent := proving(token, f.proof(token, nil, nil))
		ctx, a := w.browser(t).pass(replicas[0].RequireUser(), "GET", "/orders", sent)
		if a.Ends() {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		// A group of routes may have a Resource of its own in front of a route's.
		if _, a := replicas[1].RequireUser()(ctx, w.browser(t).request("GET", "/orders", []edit{sent})); a.Ends() {
			t.Errorf("another Resource of the same Identifier, in the same request: %d %s", a.Status, a.Body)
		}
		for i := range replicas {
			if a := ask(i, sent); a.Status != 401 || code(t, a) != "invalid_dpop_proof" {
				t.Errorf("once more at replica %d: %d %s", i, a.Status, a.Body)
			}
		}
		for key, value := range store.values {
			if strings.Contains(key, token) || len(key) > 127 || len(value) == 0 {
				t.Errorf("the store has %q", key)
			}
		}
		store.setAway(true)
		sent = proving(token, f.proof(token, nil, nil))
		for range 2 {
			if a := ask(0, sent); a.Status != 503 || code(t, a) != idserver.CodeStoreUnavailable || field(a, "Retry-After") == "" {
				t.Errorf("the store is away: %d %s", a.Status, a.Body)
			}
		}
		if a := ask(0, bearer(w.boundTo())); a.Ends() {
			t.Errorf("a bearer token needs no store: %d", a.Status)
		}
		done := store.done
		if a := ask(0, proving(token, newForger(t, w).proof(token, nil, nil))); a.Status != 401 || store.done != done {
			t.Errorf("a stranger's proof asks the store: %d", a.Status)
		}
		store.setAway(false)
		if a := ask(1, sent); a.Ends() {
			t.Errorf("the store is back: %d %s", a.Status, a.Body)
		}
		slow := w.client(t, cfg, func(c *idserver.Config) { c.Store = hangingSwaps{store} })
		api, err := slow.NewResource(cfgAPI)
		if err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, f.proof(token, nil, nil))); a.Status != 503 || time.Since(before) > time.Second {
			t.Errorf("a store that hangs: %d after %v", a.Status, time.Since(before))
		}
	})
}

// hangingSwaps is a store that does not answer who swaps.
type hangingSwaps struct{ *sharedStore }

func (hangingSwaps) SwapCtx(ctx context.Context, _ string, _, _ []byte, _ time.Time) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// A nonce comes with the first refusal, lives for five minutes and is renewed on the way; of replicas with the same secret, each takes the
// other's.
func TestProofNonces(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
		nonces := func(secrets ...string) func(*idserver.ResourceConfig) {
			return func(c *idserver.ResourceConfig) { c.DPoPNonces, c.DPoPNonceSecrets = true, secrets }
		}
		api, replica, alone := w.boundAPI(t, nonces(one)), w.boundAPI(t, nonces(two, one)), w.boundAPI(t, nonces())
		f := newForger(t, w)
		token := w.boundTo(f.bind)
		ask := func(api *idserver.Resource, nonce any) idserver.Answer {
			_, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, f.proof(token, nil, map[string]any{"nonce": nonce})))
			return a
		}
		a := ask(api, nil)
		nonce := field(a, "DPoP-Nonce")
		if a.Status != 401 || code(t, a) != "use_dpop_nonce" || nonce == "" || !hasChallenge(a, `DPoP error="use_dpop_nonce", algs="ES256 ES384 ES512 PS256 EdDSA"`) {
			t.Fatalf("%d %s, %q, %v", a.Status, a.Body, nonce, challengesOf(a))
		}
		if strings.Contains(w.log.String(), nonce) {
			t.Error("the log has the nonce")
		}
		if a := ask(api, nonce); a.Ends() || field(a, "DPoP-Nonce") != "" {
			t.Errorf("with the nonce: %d %s, and another one %q", a.Status, a.Body, field(a, "DPoP-Nonce"))
		}
		if a := ask(replica, nonce); a.Ends() {
			t.Errorf("at a replica whose older secret it is: %d", a.Status)
		}
		for name, bad := range map[string]any{"empty": "", "made up": "x", "another case": strings.ToUpper(nonce), "of another secret": field(ask(alone, nil), "DPoP-Nonce")} {
			if a := ask(api, bad); a.Status != 401 || code(t, a) != "use_dpop_nonce" || field(a, "DPoP-Nonce") != nonce {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		if a := ask(alone, field(ask(alone, nil), "DPoP-Nonce")); a.Ends() {
			t.Errorf("of its own: %d", a.Status)
		}
		either := idserver.AnyOf(w.RequireUser(), api.RequireUser())
		if _, a := w.browser(t).pass(either, "GET", "/orders", proving(token, f.proof(token, nil, nil))); code(t, a) != "use_dpop_nonce" || field(a, "DPoP-Nonce") != nonce {
			t.Errorf("behind a guard that takes none: %d %s", a.Status, a.Body)
		}
		if _, a := w.browser(t).pass(either, "GET", "/orders", proving(token, f.proof(token, nil, map[string]any{"nonce": nonce}))); a.Ends() {
			t.Errorf("behind a guard that takes none, with the nonce: %d %s", a.Status, a.Body)
		}
		remembered := api.RememberedProofs()
		if _, a := w.browser(t).pass(api.RequireUser(), "POST", "/orders", proving(token, f.proof(token, nil, nil))); code(t, a) != "invalid_dpop_proof" || field(a, "DPoP-Nonce") == "" {
			t.Errorf("another fault: %d %s", a.Status, a.Body)
		}
		if n := api.RememberedProofs(); n != remembered {
			t.Errorf("%d are remembered, and there were %d", n, remembered)
		}
		w.clock.advance(4 * time.Minute)
		token = w.boundTo(f.bind)
		ctx, a := w.browser(t).pass(idserver.AllOf(api.LoadUser(), api.RequireUser()), "GET", "/orders", proving(token, f.proof(token, nil, map[string]any{"nonce": nonce})))
		next := field(a, "DPoP-Nonce")
		if a.Ends() || idserver.UserFrom(ctx) == nil || next == "" || next == nonce || field(a, "Cache-Control") == "" {
			t.Errorf("in the second half of its life: %d %s, %q", a.Status, a.Body, next)
		}
		w.clock.advance(2 * time.Minute)
		if a := ask(api, nonce); a.Status != 401 || code(t, a) != "use_dpop_nonce" {
			t.Errorf("too old: %d %s", a.Status, a.Body)
		}
		if a := ask(api, next); a.Ends() {
			t.Errorf("the next one: %d %s", a.Status, a.Body)
		}
	})
}

// What clients are told of bound tokens: in challenges, in the metadata, to pages and to who describes the API.
func TestBoundTokensAreTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := idserver.ResourceConfig{Identifier: ordersAPI, DPoP: true, PublishMetadata: true, Scopes: []string{"orders:read"}, Origins: []string{"https://app.example"}}
		both := w.resource(t, cfg)
		cfg.Identifier, cfg.OnlyBound = ordersAPI+"2", true
		only := w.resource(t, cfg)
		cfg.Identifier, cfg.MTLS = ordersAPI+"3", true
		mutual := w.resource(t, cfg)
		cfg.Identifier, cfg.MTLS, cfg.DPoP, cfg.OnlyBound = ordersAPI+"4", false, false, false
		plain := w.resource(t, cfg)
		const algs = `algs="ES256 ES384 ES512 PS256 EdDSA", scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders`
		for name, row := range map[string]struct {
			api        *idserver.Resource
			sent       edit
			challenges []string
		}{
			"nothing":           {both, func(*idserver.Request) {}, []string{`Bearer scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders"`, "DPoP " + algs + `"`}},
			"a bad token":       {both, bearer("x"), []string{`Bearer error="invalid_token", scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders"`, "DPoP " + algs + `"`}},
			"a bad bound token": {both, proving("x"), []string{`Bearer scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders"`, `DPoP error="invalid_token", ` + algs + `"`}},
			"only bound":        {only, func(*idserver.Request) {}, []string{"DPoP " + algs + `2"`}},
			"only bound: bad":   {only, bearer("x"), []string{`DPoP error="invalid_token", ` + algs + `2"`}},
			"by TLS too":        {mutual, func(*idserver.Request) {}, []string{`Bearer scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders3"`, "DPoP " + algs + `3"`}},
			"none":              {plain, func(*idserver.Request) {}, []string{`Bearer scope="orders:read", resource_metadata="https://api.example.test/.well-known/oauth-protected-resource/orders4"`}},
		} {
			_, a := w.browser(t).pass(row.api.RequireUser(), "GET", "/orders", row.sent)
			if got := challengesOf(a); a.Status != 401 || strings.Join(got, "\n") != strings.Join(row.challenges, "\n") {
				t.Errorf("%s: %d\n%s\nwant\n%s", name, a.Status, strings.Join(got, "\n"), strings.Join(row.challenges, "\n"))
			}
		}
		for api, want := range map[*idserver.Resource][3]any{both: {5, nil, nil}, only: {5, true, nil}, mutual: {5, nil, true}, plain: {0, nil, nil}} {
			routes, err := api.Routes("/")
			if err != nil {
				t.Fatal(err)
			}
			var document map[string]any
			if err := json.Unmarshal(routes[0].Serve(t.Context(), idserver.Request{Method: "GET", Path: routes[0].Path, Header: http.Header{}}).Body, &document); err != nil {
				t.Fatal(err)
			}
			algorithms, _ := document["dpop_signing_alg_values_supported"].([]any)
			if got := [3]any{len(algorithms), document["dpop_bound_access_tokens_required"], document["tls_client_certificate_bound_access_tokens"]}; got != want {
				t.Errorf("the metadata of %v: %v, want %v", api, got, want)
			}
		}
		preflight := func(api *idserver.Resource) idserver.Answer {
			_, a := w.browser(t).pass(api.RequireUser(), "OPTIONS", "/orders", origin("https://app.example"), func(r *idserver.Request) {
				send(r, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization, dpop")
			})
			return a
		}
		if a := preflight(both); a.Status != 204 || field(a, "Access-Control-Allow-Headers") != "authorization, dpop" || !strings.Contains(field(a, "Access-Control-Expose-Headers"), "DPoP-Nonce") {
			t.Errorf("preflight: %d %v", a.Status, a.Set)
		}
		if a := preflight(plain); field(a, "Access-Control-Allow-Headers") != "authorization" || strings.Contains(field(a, "Access-Control-Expose-Headers"), "DPoP") {
			t.Errorf("preflight of an API that takes none: %v", a.Set)
		}
		if s := both.SecuritySchemes(); s["dpop"]["scheme"] != "DPoP" || s["bearer"] == nil {
			t.Errorf("schemes: %v", s)
		}
		if s := only.SecuritySchemes(); s["dpop"] == nil || s["bearer"] != nil {
			t.Errorf("schemes: %v", s)
		}
	})
}

// The answer of an introspection tells the key.
func TestBoundOpaqueTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.boundAPI(t, func(c *idserver.ResourceConfig) { c.Introspect = "opaque" })
		plain := w.introspecting(t)
		f := newForger(t, w)
		token := w.provider.MintOpaqueToken("alice", forOrders, f.bind)
		for range 2 {
			for name, row := range map[string]struct {
				guard idserver.Guard
				sent  edit
				code  idserver.RefusalCode
			}{
				"with its proof":       {api.RequireUser(), proving(token, f.proof(token, nil, nil)), ""},
				"as bearer":            {api.RequireUser(), bearer(token), idserver.CodeInvalidToken},
				"with another's proof": {api.RequireUser(), proving(token, newForger(t, w).proof(token, nil, nil)), "invalid_dpop_proof"},
				"where none are taken": {plain.RequireUser(), bearer(token), idserver.CodeInvalidToken},
			} {
				_, a := w.browser(t).pass(row.guard, "GET", "/orders", row.sent)
				if a.Ends() != (row.code != "") || a.Ends() && (a.Status != 401 || code(t, a) != row.code) {
					t.Errorf("%s: %d %s", name, a.Status, a.Body)
				}
			}
		}
		w.provider.SetIntrospection(func(answer map[string]any) { delete(answer, "cnf") })
		token = w.provider.MintOpaqueToken("alice", forOrders, f.bind)
		for name, sent := range map[string]edit{"as bearer": bearer(token), "with its proof": proving(token, f.proof(token, nil, nil))} {
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", sent); a.Status != 401 || code(t, a) != idserver.CodeInvalidToken {
				t.Errorf("DPoP without a key, %s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// Each issuer's tokens are bound in the same way, and a key that one of them names says nothing about the other's tokens.
func TestBoundTokensOfSeveralIssuers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		other, client := w.another(t, otherURL)
		api := w.boundAPI(t, func(c *idserver.ResourceConfig) { c.Issuers = []*idserver.Client{client} })
		f, g := newForger(t, w), newForger(t, w)
		ours, theirs := w.boundTo(f.bind), other.MintAccessToken("alice", forOrders, g.bind)
		for name, row := range map[string]struct {
			sent edit
			good bool
		}{
			"ours": {proving(ours, f.proof(ours, nil, nil)), true}, "theirs": {proving(theirs, g.proof(theirs, nil, nil)), true},
			"ours by their key": {proving(ours, g.proof(ours, nil, nil)), false}, "theirs, as bearer": {bearer(theirs), false},
			"theirs, bound to nothing": {bearer(other.MintAccessToken("alice", forOrders)), true},
		} {
			if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", row.sent); a.Ends() == row.good {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		several, err := idserver.Issuers(w.Client, client)
		if err != nil {
			t.Fatal(err)
		}
		if _, a := w.browser(t).pass(several.RequireUser(), "GET", "/orders", proving(ours, f.proof(ours, nil, nil))); a.Status != 401 {
			t.Errorf("an API that takes none: %d", a.Status)
		}
	})
}

func TestBoundConfig(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, row := range map[string]struct {
			edit  func(*idserver.ResourceConfig)
			fault string // "": none
		}{
			"DPoP":                 {func(c *idserver.ResourceConfig) {}, ""},
			"on loopback":          {func(c *idserver.ResourceConfig) { c.Identifier = "http://localhost:8080/api" }, ""},
			"no URL":               {func(c *idserver.ResourceConfig) { c.Identifier = "orders" }, "DPoP"},
			"a URN":                {func(c *idserver.ResourceConfig) { c.Identifier = "urn:orders" }, "DPoP"},
			"http":                 {func(c *idserver.ResourceConfig) { c.Identifier = "http://api.example" }, "DPoP"},
			"a field of its own":   {func(c *idserver.ResourceConfig) { c.Header = "X-Token" }, "Header"},
			"the usual field":      {func(c *idserver.ResourceConfig) { c.Header = "authorization" }, ""},
			"only bound":           {func(c *idserver.ResourceConfig) { c.OnlyBound = true }, ""},
			"only bound, and none": {func(c *idserver.ResourceConfig) { c.DPoP, c.OnlyBound = false, true }, "OnlyBound"},
			"nonces":               {func(c *idserver.ResourceConfig) { c.DPoPNonces = true }, ""},
			"nonces of nothing":    {func(c *idserver.ResourceConfig) { c.DPoP, c.DPoPNonces = false, true }, "DPoPNonces"},
			"secrets of no nonces": {func(c *idserver.ResourceConfig) { c.DPoPNonceSecrets = []string{strings.Repeat("x", 32)} }, "DPoPNonceSecrets"},
			"a short secret":       {func(c *idserver.ResourceConfig) { c.DPoPNonces, c.DPoPNonceSecrets = true, []string{"x"} }, "at least 32"},
			"TLS": {func(c *idserver.ResourceConfig) {
				c.Identifier, c.DPoP, c.MTLS, c.OnlyBound = "orders", false, true, true
			}, ""},
			"a proxy": {func(c *idserver.ResourceConfig) {
				c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = true, "client-cert", []string{"10.0.0.0/8", "::1"}
			}, ""},
			"a field, and no proxies": {func(c *idserver.ResourceConfig) { c.MTLS, c.InsecureCertificateField = true, "Client-Cert" }, "belong together"},
			"proxies, and no field":   {func(c *idserver.ResourceConfig) { c.MTLS, c.InsecureCertificateProxies = true, []string{"10.0.0.1"} }, "belong together"},
			"a proxy, and no TLS": {func(c *idserver.ResourceConfig) {
				c.InsecureCertificateField, c.InsecureCertificateProxies = "Client-Cert", []string{"10.0.0.1"}
			}, "MTLS"},
			"everybody is a proxy": {func(c *idserver.ResourceConfig) {
				c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = true, "Client-Cert", []string{"0.0.0.0/0"}
			}, "0.0.0.0/0"},
			"a proxy's name": {func(c *idserver.ResourceConfig) {
				c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = true, "Client-Cert", []string{"nginx"}
			}, "nginx"},
			"a browser's field": {func(c *idserver.ResourceConfig) {
				c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = true, "Cookie", []string{"10.0.0.1"}
			}, "Cookie"},
			"the field of the token": {func(c *idserver.ResourceConfig) {
				c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = true, "Authorization", []string{"10.0.0.1"}
			}, "Authorization"},
			"the field of the other token": {func(c *idserver.ResourceConfig) {
				c.DPoP, c.Header, c.MTLS, c.InsecureCertificateField, c.InsecureCertificateProxies = false, "X-Token", true, "X-Token", []string{"10.0.0.1"}
			}, "X-Token"},
		} {
			cfg := idserver.ResourceConfig{Identifier: ordersAPI, DPoP: true}
			row.edit(&cfg)
			before := len(w.log.String())
			_, err := w.NewResource(cfg)
			if (err == nil) != (row.fault == "") || err != nil && !strings.Contains(err.Error(), row.fault) {
				t.Errorf("%s: %v", name, err)
			}
			if warned := strings.Contains(w.log.String()[before:], "InsecureCertificateField"); warned != (name == "a proxy") {
				t.Errorf("%s: warned %v", name, warned)
			}
		}
	})
}

// The keys of idtest are as any other client's.
func TestIdtestProofKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api, key := w.boundAPI(t), idtest.NewProofKey(w.clock.Now)
		token := w.boundTo(key.Bind)
		ctx, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, key.Proof("GET", ordersURL+"/orders?a=b", token, "")))
		if a.Ends() || idserver.UserFrom(ctx).Email == "" {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		claims, err := idserver.ClaimsOf[struct {
			Confirmation struct {
				Thumbprint string `json:"jkt"`
			} `json:"cnf"`
		}](ctx)
		if err != nil || claims.Confirmation.Thumbprint != key.Thumbprint() {
			t.Errorf("%+v, %v", claims, err)
		}
		if _, a := w.browser(t).pass(api.RequireUser(), "GET", "/orders", proving(token, idtest.NewProofKey(w.clock.Now).Proof("GET", ordersURL+"/orders", token, ""))); a.Status != 401 {
			t.Errorf("another key: %d", a.Status)
		}
	})
}

// What the client proves, the API takes, over real connections: with nonces, with a body, and from one nonce to the next.
func TestOwnClientAtOwnAPI(t *testing.T) {
	w := newBound(t, nil)
	var guard idserver.Guard
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		ctx, a := guard(r.Context(), idserver.RequestFrom(r))
		if a.WriteTo(out); !a.Ends() {
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(out, idserver.UserFrom(ctx).Email+" "+string(body))
		}
	}))
	t.Cleanup(server.Close)
	api := w.resource(t, idserver.ResourceConfig{Identifier: server.URL, DPoP: true, OnlyBound: true, DPoPNonces: true})
	guard = api.RequireUser()
	w.provider.SetAccessTokenClaims(func(c map[string]any) { c["aud"] = []string{"idserver-api", server.URL} })
	ctx, a := w.signedIn(t, "alice").pass(w.RequireUser(), "GET", "/")
	if a.Ends() {
		t.Fatal(a.Status)
	}
	caller := http.Client{Transport: w.Transport(ctx, server.URL, nil)}
	for i, row := range []struct{ method, path, body string }{
		{"GET", "/orders?page=1", ""}, {"GET", "/orders?page=1", ""}, {"POST", "/a%2Fb/%C3%A9", "twice"}, {"DELETE", "/", ""}, {"GET", "", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), row.method, server.URL+row.path, strings.NewReader(row.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := caller.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 || string(body) != "alice@example.test "+row.body {
			t.Errorf("%d, %s %s: %d %s", i, row.method, row.path, response.StatusCode, body)
		}
		w.clock.advance(2 * time.Minute)
	}
	if api.RememberedProofs() == 0 {
		t.Error("no proof was remembered")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+idserver.AccessTokenFrom(ctx))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body.Close(); response.StatusCode != 401 {
		t.Errorf("the same token as a bearer token: %d", response.StatusCode)
	}
}
