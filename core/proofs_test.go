package idserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/jose"
)

// newBound is newWorld with access tokens that are bound to a key, at a provider of a dialect.
func newBound(t *testing.T, dialect func(*idtest.Dialect), edit ...func(*idserver.Config)) *world {
	t.Helper()
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}, log: &logBuffer{}}
	w.provider = idtest.NewProvider(t, func(o *idtest.Options) {
		o.Now, o.InMemory, o.Dialect.RequireDPoP = w.clock.Now, true, true
		if dialect != nil {
			dialect(&o.Dialect)
		}
	})
	w.cfg = w.provider.Config(base)
	w.cfg.SessionSecret, w.cfg.Now, w.cfg.Logger, w.cfg.DPoP = secretOne, w.clock.Now, textLog(w.log), true
	w.Client = w.client(t, edit...)
	return w
}

// proofs keeps the requests that have a DPoP proof.
type proofs struct {
	http.RoundTripper
	mu  sync.Mutex
	all []proofOf
}

type proofOf struct {
	path, jkt, jti, nonce, authorization string
	status                               int
}

func (p *proofs) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := p.RoundTripper.RoundTrip(r)
	if proof := r.Header.Get("DPoP"); proof != "" {
		one := proofOf{path: r.URL.Path, authorization: r.Header.Get("Authorization")}
		if err == nil {
			one.status = a.StatusCode
		}
		one.jkt, one.jti, one.nonce = readProof(proof)
		p.mu.Lock()
		p.all = append(p.all, one)
		p.mu.Unlock()
	}
	return a, err
}

func (p *proofs) paths() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		all = append(all, fmt.Sprintf("%s %d", one.path, one.status))
	}
	return all
}

func readProof(proof string) (jkt, jti, nonce string) {
	m, err := jose.Parse(proof)
	if err != nil {
		return "", "", ""
	}
	embedded, err := m.Embedded(nil)
	if err != nil || m.Verify(&embedded.Key) != nil {
		return "", "", ""
	}
	var claims struct{ Jti, Nonce string }
	if err := json.Unmarshal(m.Payload, &claims); err != nil {
		return "", "", ""
	}
	return jose.Thumbprint(embedded.Key.Public), claims.Jti, claims.Nonce
}

func recordProofs(w *world) (*proofs, func(*idserver.Config)) {
	p := &proofs{RoundTripper: w.provider.HTTPClient().Transport}
	return p, func(c *idserver.Config) { c.HTTP.Client = &http.Client{Transport: p} }
}

// A sign-in has one key, which no other has, from the authorization request on: at token, userinfo and refresh.
func TestDPoP(t *testing.T) {
	for name, dialect := range map[string]func(*idtest.Dialect){
		"pushed": func(d *idtest.Dialect) { d.RequirePAR = true },
		"not":    nil, "with nonces": func(d *idtest.Dialect) { d.DPoPNonces, d.RequirePAR = true, true },
		"opaque": func(d *idtest.Dialect) { d.OpaqueAccessTokens = true },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newBound(t, dialect)
			seen, record := recordProofs(w)
			w.Client = w.client(t, record)
			b := w.signedIn(t, "alice")
			_, token := b.visit()
			w.clock.advance(14*time.Minute + 30*time.Second)
			if _, newer := b.visit(); newer == token || newer == "" {
				t.Fatalf("the session was not refreshed: %s", w.log)
			}
			ctx, _ := b.pass(w.RequireUser(), "GET", "/")
			user, err := w.UserInfo(ctx, idserver.AccessTokenFrom(ctx), aliceSubject)
			if err != nil || user.Email == "" {
				t.Errorf("userinfo: %v, %v", user, err)
			}
			if name == "not" { // a token that is not the session's is not bound to its key
				if _, err := w.UserInfo(ctx, w.provider.MintAccessToken("alice"), aliceSubject); err != nil {
					t.Errorf("userinfo with another token: %v", err)
				}
			}
			first := seen.all[0].jkt
			ids := map[string]bool{}
			for _, one := range seen.all {
				if one.jkt != first || first == "" || ids[one.jti] || strings.HasPrefix(one.authorization, "Bearer") {
					t.Errorf("a proof is of %+v, want the key %s, and a jti of its own", one, first)
				}
				ids[one.jti] = true
			}
			before := len(seen.all)
			w.signedIn(t, "bob")
			if seen.all[before].jkt == first {
				t.Error("two sign-ins have one key")
			}
		}))
	}
}

// A nonce is asked for once: the newest is kept, whatever answer brings it.
func TestDPoPNonce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newBound(t, func(d *idtest.Dialect) { d.DPoPNonces, d.RequirePAR = true, true })
		seen, record := recordProofs(w)
		w.Client = w.client(t, record)
		signInByHand(t, w, w.Client, "alice")
		want := []string{"/connect/par 400", "/connect/par 201", "/connect/token 200"}
		if got := seen.paths(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the requests are %v, want %v", got, want)
		}
		w.provider.RotateDPoPNonce()
		_, tokens := signInByHand(t, w, w.Client, "alice")
		if got := seen.paths()[3:]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with another nonce: %v, want %v", got, want)
		}
		w.provider.RotateDPoPNonce()
		if _, err := w.UserInfoOf(t.Context(), tokens); err != nil {
			t.Error(err)
		}
		if got, want := seen.paths()[6:], "[/connect/userinfo 401 /connect/userinfo 200]"; fmt.Sprint(got) != want {
			t.Errorf("userinfo: %v, want %v", got, want)
		}
		w.provider.RotateDPoPNonce()
		if _, err := w.RefreshToken(t.Context(), tokens); err != nil {
			t.Error(err)
		}
	})
}

// A server that asks again and again is asked twice.
func TestDPoPNonceOnce(t *testing.T) {
	for name, header := range map[string]func(n int) []string{
		"another each time": func(n int) []string { return []string{fmt.Sprint("nonce-", n)} },
		"none":              func(int) []string { return nil },
		"two":               func(n int) []string { return []string{fmt.Sprint(n), "b"} },
		"a quote":           func(n int) []string { return []string{fmt.Sprint(n, `"`)} },
		"a long one":        func(n int) []string { return []string{fmt.Sprint(n) + strings.Repeat("a", 512)} },
		"the same":          func(int) []string { return []string{"the-same"} },
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newBound(t, nil)
			n := 0
			client := w.client(t, func(c *idserver.Config) {
				own := w.provider.HTTPClient().Transport
				c.HTTP.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path != "/connect/token" {
						return own.RoundTrip(r)
					}
					n++
					h := http.Header{"Dpop-Nonce": header(n)}
					if n > 5 { // or it would never end
						h = http.Header{}
					}
					return &http.Response{StatusCode: 400, Header: h, Body: io.NopCloser(strings.NewReader(`{"error":"use_dpop_nonce"}`)), Request: r}, nil
				})}
			})
			r, code := authorizedCode(t, w, client, "alice")
			var refused *idserver.TokenEndpointError
			if _, err := client.ExchangeCode(t.Context(), code, r); !errors.As(err, &refused) || refused.Code != "use_dpop_nonce" {
				t.Errorf("got %v", err)
			}
			want := 1
			if name == "another each time" || name == "the same" {
				want = 2
			}
			if n != want {
				t.Errorf("%d requests, want %d", n, want)
			}
			if leaks(w.log.String(), "nonce-") != "" {
				t.Errorf("the log: %s", w.log)
			}
		}))
	}
}

// A provider that answers with a bearer token, or with one of another key, signs nobody in.
func TestDPoPDowngrade(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*world)
		want string
	}{
		"Bearer":  {func(w *world) { w.provider.SetTokenResponse(func(r map[string]any) { r["token_type"] = "Bearer" }) }, "not of type DPoP"},
		"no type": {func(w *world) { w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "token_type") }) }, "not of type DPoP"},
		"another key": {func(w *world) {
			w.provider.SetAccessTokenClaims(func(c map[string]any) { c["cnf"] = map[string]any{"jkt": "x"} })
		}, "another key"},
		"another kind of key": {func(w *world) {
			w.provider.SetAccessTokenClaims(func(c map[string]any) { c["cnf"] = map[string]any{"x5t#S256": "x"} })
		}, "another key"},
		"a text as cnf": {func(w *world) { w.provider.SetAccessTokenClaims(func(c map[string]any) { c["cnf"] = "x" }) }, "another key"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newBound(t, nil)
			row.edit(w)
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if a.Status != http.StatusBadGateway || code(t, a) != idserver.CodeProviderError || !strings.Contains(w.log.String(), row.want) {
				t.Errorf("got %d %s, the log %s", a.Status, code(t, a), w.log)
			}
			if user, _ := b.visit(); user != nil {
				t.Error("somebody is signed in")
			}
		}))
	}
}

// The type and the scheme are compared whatever their case.
func TestDPoPInSmallLetters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newBound(t, nil)
		w.provider.SetTokenResponse(func(r map[string]any) { r["token_type"] = "dpop" })
		if user, _ := w.signedIn(t, "alice").visit(); user == nil {
			t.Error("nobody is signed in")
		}
	})
}

// Without Config.DPoP nothing is proved, and a bound token is of no use.
func TestNoDPoP(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen, record := recordProofs(w)
		w.Client = w.client(t, record)
		b := w.browser(t)
		if address := b.begin("/auth/login"); strings.Contains(address, "dpop") {
			t.Errorf("the browser is sent to %s", address)
		}
		w.signedIn(t, "alice")
		if len(seen.all) != 0 {
			t.Errorf("proofs were sent: %+v", seen.all)
		}
		w.provider.SetTokenResponse(func(r map[string]any) { r["token_type"] = "DPoP" })
		r, code := authorizedCode(t, w, w.Client, "alice")
		if _, err := w.ExchangeCode(t.Context(), code, r); err == nil || !strings.Contains(err.Error(), "not of type Bearer") {
			t.Errorf("got %v", err)
		}
	})
}

// What the provider says that it cannot do is told before anybody is sent there.
func TestDPoPMetadata(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for list, ok := range map[string]bool{`["ES256"]`: true, `["PS256"]`: false, `[]`: true, `null`: true} {
			w := newBound(t, nil)
			w.provider.SetMetadata(func(m map[string]any) { m["dpop_signing_alg_values_supported"] = json.RawMessage(list) })
			_, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if ok && err != nil || !ok && (!errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), "dpop_signing_alg_values_supported")) {
				t.Errorf("%s: %v", list, err)
			}
		}
	})
}

// By hand, the key goes along with the request and the tokens. It does not show.
func TestDPoPByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newBound(t, nil)
		r, tokens := signInByHand(t, w, w.Client, "alice")
		if len(r.ProofKey) != 32 || !bytes.Equal(r.ProofKey, tokens.ProofKey) || tokens.OAuth2().TokenType != "DPoP" {
			t.Errorf("the keys are of %d and %d bytes", len(r.ProofKey), len(tokens.ProofKey))
		}
		for _, format := range []string{"%v", "%+v", "%#v"} {
			for _, text := range []string{fmt.Sprintf(format, r), fmt.Sprintf(format, tokens), fmt.Sprintf(format, *tokens)} {
				if leaks(text, base64.StdEncoding.EncodeToString(r.ProofKey), fmt.Sprint(r.ProofKey)) != "" {
					t.Errorf("%s shows the key: %s", format, text)
				}
			}
		}
		kept, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again idserver.AuthorizationRequest
		if err := json.Unmarshal(kept, &again); err != nil || !bytes.Equal(again.ProofKey, r.ProofKey) {
			t.Errorf("the key does not come back: %v", err)
		}
		if user, err := w.UserInfoOf(t.Context(), tokens); err != nil || user.Subject != aliceSubject {
			t.Errorf("userinfo: %v, %v", user, err)
		}
		if _, err := w.UserInfo(t.Context(), tokens.AccessToken, aliceSubject); !errors.Is(err, idserver.ErrUserInfo) {
			t.Errorf("userinfo without the key: %v", err)
		}
		tokens, err = w.RefreshToken(t.Context(), tokens)
		if err != nil || !bytes.Equal(tokens.ProofKey, r.ProofKey) {
			t.Errorf("refreshed: %v", err)
		}
		tokens.ProofKey = []byte("short")
		if _, err := w.RefreshToken(t.Context(), tokens); err == nil || !strings.Contains(err.Error(), "ProofKey") {
			t.Errorf("with a key that is none: %v", err)
		}
		if _, err := w.UserInfoOf(t.Context(), tokens); err == nil || !strings.Contains(err.Error(), "ProofKey") {
			t.Errorf("userinfo with a key that is none: %v", err)
		}
	})
}

// A session that began without a key goes on without one, and one that began with one goes on with it.
func TestDPoPTurnedOnAndOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, on := range []bool{false, true} {
			w := newWorld(t, func(c *idserver.Config) { c.DPoP = on })
			b := w.signedIn(t, "alice")
			b.client = w.client(t, func(c *idserver.Config) { c.DPoP = !on })
			w.clock.advance(14*time.Minute + 30*time.Second)
			if user, _ := b.visit(); user == nil {
				t.Errorf("from %v: nobody is signed in: %s", on, w.log)
			}
			if w.provider.RefreshCounts().Answered != 1 {
				t.Errorf("from %v: no refresh: %s", on, w.log)
			}
		}
	})
}

// AdmitUser may ask userinfo, too.
func TestDPoPInAdmitUser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w *world
		var failed error
		asked := 0
		w = newBound(t, nil, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
				asked++
				_, failed = w.UserInfo(ctx, idserver.AccessTokenFrom(ctx), u.Subject)
				return nil
			}
		})
		w.signedIn(t, "alice")
		if asked != 1 || failed != nil {
			t.Errorf("asked %d times, %v", asked, failed)
		}
	})
}

// api is another API, which checks proofs.
type api struct {
	w      *world
	nonce  string // that it wants; "": none
	seen   []string
	header string // scheme of its challenge
	bodies []string

	changes bool // it wants another nonce each time, up to the fifth
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	a.bodies = append(a.bodies, body)
	answer := func(status int, name, value string) (*http.Response, error) {
		h := http.Header{}
		if name != "" {
			h[name] = []string{value}
		}
		if a.nonce != "" {
			h["Dpop-Nonce"] = []string{a.nonce}
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("answer")), Request: r}, nil
	}
	if a.seen = append(a.seen, r.Header.Get("Authorization")); a.changes && len(a.seen) < 5 {
		a.nonce = fmt.Sprint("another-", len(a.seen))
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
	checked, err := dpop.Check(r.Header.Get("DPoP"), dpop.Rules{
		Method: r.Method, URL: r.URL.String(), AccessToken: token, Algorithms: []string{"ES256"}, Now: a.w.clock.Now(), MaxAge: time.Minute,
	})
	switch {
	case err != nil:
		return answer(401, "Www-Authenticate", `DPoP error="invalid_dpop_proof"`)
	case a.nonce != "" && checked.Nonce != a.nonce:
		return answer(401, "Www-Authenticate", a.header)
	}
	return answer(200, "", "")
}

// Each request to another API has a proof of its own; a nonce that it wants is sent the second time.
func TestTransportProves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newBound(t, nil)
		b := w.signedIn(t, "alice")
		ctx, _ := b.pass(w.RequireUser(), "GET", "/")
		if token, err := w.TokenSource(ctx).Token(); err != nil || token.TokenType != "DPoP" {
			t.Errorf("the token source: %v, %v", token, err)
		}
		other := &api{w: w, header: `Bearer realm="a, b", DPoP algs="ES256", error="use_dpop_nonce"`}
		client := http.Client{Transport: w.Transport(ctx, "https://api.example", other)}
		send := func(body io.Reader) *http.Response {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example/orders?page=2#x", body)
			if err != nil {
				t.Fatal(err)
			}
			a, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = a.Body.Close()
			return a
		}
		if a := send(strings.NewReader("order")); a.StatusCode != 200 || len(other.seen) != 1 {
			t.Errorf("without nonces: %d, %d requests", a.StatusCode, len(other.seen))
		}
		other.nonce, other.seen, other.bodies = "first", nil, nil
		if a := send(strings.NewReader("order")); a.StatusCode != 200 || fmt.Sprint(other.bodies) != "[order order]" {
			t.Errorf("with a nonce: %d, %q", a.StatusCode, other.bodies)
		}
		if a := send(nil); a.StatusCode != 200 || len(other.seen) != 3 {
			t.Errorf("with the same nonce: %d, %d requests", a.StatusCode, len(other.seen))
		}
		other.nonce, other.seen = "second", nil
		if a := send(io.MultiReader(strings.NewReader("once"))); a.StatusCode != 401 || len(other.seen) != 1 {
			t.Errorf("a body that cannot be read again: %d, %d requests", a.StatusCode, len(other.seen))
		}
		if a := send(io.MultiReader(strings.NewReader("once"))); a.StatusCode != 200 {
			t.Errorf("the nonce of a refusal was not kept: %d", a.StatusCode)
		}
		other.nonce, other.seen, other.header = "third", nil, `Bearer error="use_dpop_nonce"`
		if a := send(nil); a.StatusCode != 401 || len(other.seen) != 1 {
			t.Errorf("a challenge of another scheme: %d, %d requests", a.StatusCode, len(other.seen))
		}
		other.header, other.seen, other.changes = `DPoP error="use_dpop_nonce"`, nil, true
		if a := send(nil); a.StatusCode != 401 || len(other.seen) != 2 {
			t.Errorf("another nonce each time: %d, %d requests", a.StatusCode, len(other.seen))
		}
		elsewhere, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://evil.example/", nil)
		if err != nil {
			t.Fatal(err)
		}
		other.seen = nil
		a, err := client.Do(elsewhere)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		if other.seen[0] != "" {
			t.Errorf("another origin got %q", other.seen[0])
		}
	})
}
