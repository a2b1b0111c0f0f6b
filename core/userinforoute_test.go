package idserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func TestUserInfoResponseOfOnesOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var fault error
		w := newWorld(t, func(c *idserver.Config) {
			c.UserInfoResponse = func(ctx context.Context, u *idserver.User) (any, error) {
				if idserver.AccessTokenFrom(ctx) == "" || idserver.UserFrom(ctx) != u {
					t.Error("no access token, or another user")
				}
				return map[string]string{"sub": u.Subject, "mine": "yes"}, fault
			}
		})
		b := w.signedIn(t, "alice")
		if a := b.route("GET", "/auth/userinfo", fetches); a.Status != 200 || !strings.Contains(string(a.Body), `"mine":"yes"`) || field(a, "Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := w.browser(t).route("GET", "/auth/userinfo", fetches); a.Status != 401 {
			t.Errorf("nobody: %d", a.Status)
		}
		for name, row := range map[string]struct {
			fault  error
			code   idserver.RefusalCode
			status int
		}{
			"refused": {fmt.Errorf("mine: %w", &idserver.UserInfoError{Status: 403}), idserver.CodeProviderError, 502},
			"over":    {&idserver.UserInfoError{Status: 401}, idserver.CodeInvalidToken, 401},
			"down":    {&idserver.UserInfoError{Status: 500}, idserver.CodeProviderUnavailable, 503},
			"a fault": {errors.New("s3cret"), idserver.CodeInternal, 500},
			"gone":    {context.Canceled, idserver.CodeProviderUnavailable, 503},
		} {
			fault = row.fault
			a := b.route("GET", "/auth/userinfo", fetches)
			if got := code(t, a); a.Status != row.status || got != row.code || strings.Contains(string(a.Body), "s3cret") {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

func TestUserInfoResponse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		const want = `{"id":"6f0c2a3e-0000-4000-8000-00000000a11c","email":"alice@example.test","name":"Alice Tan","tenant_id":"7b1d5c52-0000-4000-8000-00000000acee","roles":["admin","user"],"custom_roles":["billing"]}` + "\n"
		if a := b.route("GET", "/auth/userinfo", fetches); a.Status != 200 || string(a.Body) != want || field(a, "Cache-Control") != "no-store" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		if a := w.browser(t).route("GET", "/auth/userinfo", navigates); a.Status != 401 || field(a, "Location") != "" {
			t.Errorf("signed out, navigating: %d %q", a.Status, field(a, "Location"))
		}
	})
}
