package idserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// What is remembered of a token is that its signature is good, and nothing that could be otherwise meanwhile.
func TestWarmToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.warm(t)
		first, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if err != nil || again != first {
			t.Errorf("it is verified anew: %p, %p, %v", first, again, err)
		}
		var claims map[string]any
		if err := again.Claims(&claims); err != nil || claims["sub"] != aliceSubject || claims["aud"] != "idserver-api" {
			t.Errorf("its claims are %v, %v", claims, err)
		}
		if again.Email != "alice@example.test" || again.Name != "Alice Tan" || !slices.Equal(again.Roles, []string{"admin", "user"}) || !slices.Equal(again.CustomRoles, []string{"billing"}) {
			t.Errorf("its user is %+v", again)
		}
		if grown := append(again.Roles, "owner"); again.CustomRoles[0] != "billing" || len(grown) != 3 {
			t.Errorf("a role that was appended to the roles is among the custom ones: %q", again.CustomRoles)
		}
		for name, row := range map[string]struct {
			token  string
			check  idserver.AccessTokenCheck
			reason idserver.Reason
		}{
			"for another audience": {token, idserver.AccessTokenCheck{Audience: "other"}, idserver.ReasonAudience},
			"a signature changed":  {token[:len(token)-4] + "AAAA", idserver.AccessTokenCheck{Leeway: -1}, idserver.ReasonSignature},
			"one more byte":        {token + "A", idserver.AccessTokenCheck{Leeway: -1}, idserver.ReasonSignature},
		} {
			if _, err := w.ValidateAccessToken(t.Context(), row.token, row.check); !errors.Is(err, row.reason) {
				t.Errorf("%s: %v, want %s", name, err, row.reason)
			}
		}
		w.clock.advance(15*time.Minute + 5*time.Second)
		if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("within the leeway: %v", err)
		}
		if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{Leeway: -1}); !errors.Is(err, idserver.ReasonExpired) {
			t.Errorf("without leeway: %v", err)
		}
		w.clock.advance(5 * time.Second)
		if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonExpired) {
			t.Errorf("after its end: %v", err)
		}
	})
}

// A key that the provider withdrew signs nothing that is accepted, remembered or not; one that stays keeps its tokens.
func TestWarmTokenOfWithdrawnKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		old := w.warm(t)
		w.provider.RotateKey()
		w.clock.advance(11 * time.Second)
		if err := w.Refetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ValidateAccessToken(t.Context(), old, idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("its key is still published: %v", err)
		}
		w.provider.WithdrawKey()
		w.clock.advance(11 * time.Second)
		if err := w.Refetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ValidateAccessToken(t.Context(), old, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonUnknownKey) {
			t.Errorf("its key is withdrawn: %v", err)
		}
	})
}

func TestRevokedToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token, other := w.warm(t), w.warm(t)
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonRevoked) {
				t.Errorf("revoked here: %v", err)
			}
		}
		if _, err := w.ValidateAccessToken(t.Context(), other, idserver.AccessTokenCheck{}); err != nil {
			t.Errorf("another one: %v", err)
		}
		if err := w.RevokeToken(t.Context(), "opaque"); err != nil {
			t.Error(err)
		}
	})
}

func TestNoTokenCache(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.TokenCacheBytes = -1 })
		token := w.warm(t)
		first, _ := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		again, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if err != nil || first == again || again.Email != first.Email {
			t.Errorf("%p, %p, %v", first, again, err)
		}
		b := w.signedIn(t, "bob")
		if u, _ := b.visit(); u == nil || u.Name != "Bob Lim" {
			t.Errorf("a session is of %+v", u)
		}
	})
}

// The limits of a session hold whether its cookie was opened before or not, and what one request changes no other sees.
func TestWarmSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		old := b.cookies["idserver-8080"]
		for range 3 {
			if u, _ := b.visit(); u == nil || u.Set("x", 1) == nil {
				t.Fatalf("the user is %+v, and may be changed", u)
			}
		}
		w.clock.advance(20 * time.Minute) // the access token is refreshed, and the session written again
		if u, _ := b.visit(); u == nil || b.cookies["idserver-8080"] == old {
			t.Fatal("the session was not renewed")
		}
		w.clock.advance(41 * time.Minute)
		stale := w.browser(t)
		stale.cookies["idserver-8080"] = old
		if _, a := stale.pass(w.RequireUser(), "GET", "/page", navigates); a.Status != http.StatusSeeOther {
			t.Errorf("the old cookie, idle for an hour: %d", a.Status)
		}
		if u, _ := b.visit(); u == nil {
			t.Error("the new cookie is not taken")
		}
		again := b.cookies["idserver-8080"]
		b.route("POST", "/auth/logout", navigates)
		thief := w.browser(t)
		thief.cookies["idserver-8080"] = again
		if _, a := thief.pass(w.RequireUser(), "GET", "/page", navigates); a.Status != http.StatusSeeOther || !strings.Contains(field(a, "Location"), "/auth/login") {
			t.Errorf("after the sign-out: %d", a.Status)
		}
	})
}

// admitted fails the test unless the token is good.
func admitted(t *testing.T, client *idserver.Client, token string) {
	t.Helper()
	if _, err := client.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
		t.Fatal(err)
	}
}

// Whatever becomes of the key set, a token that is remembered is judged as one that is seen for the first time.
func TestWarmTokenAfterTheKeySetChanges(t *testing.T) {
	for name, row := range map[string]struct {
		keys func(p *idtest.Provider) []any
		want error
	}{
		"the same key":    {func(p *idtest.Provider) []any { return []any{jwkOf(p, p.KeyID())} }, nil},
		"a key beside it": {func(p *idtest.Provider) []any { return []any{jwkOf(p, p.KeyID()), jwkOf(p, "other")} }, nil},
		"another kid":     {func(p *idtest.Provider) []any { return []any{jwkOf(p, "other")} }, idserver.ReasonUnknownKey},
		"its kid twice":   {func(p *idtest.Provider) []any { return []any{jwkOf(p, p.KeyID()), jwkOf(p, p.KeyID())} }, nil},
		"another key of its kid beside it": {func(p *idtest.Provider) []any {
			kid, own := p.KeyID(), jwkOf(p, p.KeyID())
			p.RotateKey()
			return []any{own, jwkOf(p, kid)}
		}, idserver.ReasonAmbiguousKey},
		"another key of its kid": {func(p *idtest.Provider) []any {
			kid := p.KeyID()
			p.RotateKey()
			return []any{jwkOf(p, kid)}
		}, idserver.ReasonSignature},
		"for another algorithm": {func(p *idtest.Provider) []any {
			key := jwkOf(p, p.KeyID())
			key["alg"] = "RS512"
			return []any{key}
		}, idserver.ReasonAlgorithm},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			i := newAccessToken(w)
			i.claims["exp"] = i.in(7200)
			token := i.token()
			admitted(t, w.Client, token)
			admitted(t, w.Client, token)
			publish(t, w, row.keys(w.provider)...)
			for range 2 {
				_, warm := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
				_, cold := w.client(t, func(c *idserver.Config) { c.TokenCacheBytes = -1 }).ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
				if !says(warm, row.want) || !says(cold, row.want) {
					t.Fatalf("remembered: %v, and anew: %v; want %v", warm, cold, row.want)
				}
			}
		}))
	}
}

// An ECDSA signature has another spelling, which everybody can work out: a token that was revoked does not come back in it.
func TestRevokedTokenInAnotherSpelling(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		b64 := base64.RawURLEncoding.EncodeToString
		publish(t, w, map[string]string{"kty": "EC", "crv": "P-256", "kid": "e", "x": b64(point[1:33]), "y": b64(point[33:])})
		i := newAccessToken(w)
		signed := encode(map[string]string{"alg": "ES256", "kid": "e", "typ": "at+jwt"}) + "." + encode(i.claims)
		digest := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		spelled := func(s *big.Int) string {
			return signed + "." + b64(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		}
		one, other := spelled(s), spelled(new(big.Int).Sub(key.Params().N, s))
		admitted(t, w.Client, one)
		admitted(t, w.Client, other)
		if err := w.RevokeToken(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{one, other} {
			_, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
			refused(t, err, idserver.ReasonRevoked)
		}
	})
}

// A token that is verified while its revocation is under way, at any moment of it, is not remembered for good. The clock
// is what runs in between.
func TestRevokedWhileVerifying(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for moment := range 8 {
			w := newAPI(t, false)
			token := w.provider.MintAccessToken("alice")
			var calls atomic.Int32
			var revoking atomic.Bool
			w.Client = w.client(t, func(c *idserver.Config) {
				c.Now = func() time.Time {
					if revoking.Load() && int(calls.Add(1)) == moment+1 {
						revoking.Store(false)
						_, _ = w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
					}
					return w.clock.Now()
				}
			})
			admitted(t, w.Client, token)
			revoking.Store(true)
			if err := w.RevokeToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			revoking.Store(false)
			for range 2 {
				_, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
				if !errors.Is(err, idserver.ReasonRevoked) {
					t.Fatalf("verified at the clock's reading %d: %v", moment+1, err)
				}
			}
		}
	})
}

// The same, with many at once.
func TestRevokedWhileValidating(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		for range 50 {
			token := w.provider.MintAccessToken("alice")
			begin, done := make(chan struct{}), make(chan struct{})
			for range 4 {
				go func() {
					<-begin
					for range 20 {
						_, _ = w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
					}
					done <- struct{}{}
				}()
			}
			close(begin)
			if err := w.RevokeToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			_, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
			for range 4 {
				<-done
			}
			if _, again := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonRevoked) || !errors.Is(again, idserver.ReasonRevoked) {
				t.Fatalf("after the revocation: %v, and then %v", err, again)
			}
		}
	})
}

// A client that is closed gives the memory back.
func TestCloseForgetsTokens(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		token := w.warm(t)
		first, _ := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		w.Close()
		second, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if err != nil || first == second {
			t.Errorf("%p, %p, %v: a closed client remembers", first, second, err)
		}
	})
}

// Forged tokens that somebody has revoked, which a provider accepts of any string, do not push a real one out of memory.
func TestForgedRevocationsPushNothingOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, false)
		first, second := w.provider.MintAccessToken("alice"), w.provider.MintAccessToken("bob")
		forged := encode(map[string]any{"alg": "RS256", "kid": w.provider.KeyID()}) + "." + encode(map[string]any{"exp": 253402300799, "n": 1}) + ".AAAA"
		for _, token := range []string{first, forged, second, forged, "opaque"} {
			if err := w.RevokeToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		for _, token := range []string{first, second} {
			if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonRevoked) {
				t.Errorf("revoked: %v", err)
			}
		}
		if n := w.RememberedRevocations(); n != 2 {
			t.Errorf("%d revocations are remembered, want 2", n)
		}
	})
}

// While the keys cannot be had, nothing can be said of a token, and one that was revoked must not come back with them.
func TestRevokedWhileTheKeysAreAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newAPI(t, true)
		token := w.provider.MintAccessToken("alice")
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 503})
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		w.provider.Heal(idtest.KeySet)
		w.clock.advance(time.Minute)
		if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); !errors.Is(err, idserver.ReasonRevoked) {
			t.Errorf("when the keys are back: %v", err)
		}
	})
}
