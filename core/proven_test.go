package idserver_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
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
