package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// What the ID token lacks is asked of userinfo when the access token cannot tell.
func TestUserFromUserInfo(t *testing.T) {
	for name, row := range map[string]struct {
		lose   func(*idtest.Provider)
		code   idserver.RefusalCode // of the refused sign-in
		roles  bool
		logged string
	}{
		"it answers":                {func(*idtest.Provider) {}, "", true, ""},
		"it refuses the token":      {func(p *idtest.Provider) { p.Fail(idtest.UserInfo, idtest.Fault{Status: 403}) }, "", false, "without some claims"},
		"it is down":                {func(p *idtest.Provider) { p.Fail(idtest.UserInfo, idtest.Fault{Status: 500}) }, idserver.CodeProviderUnavailable, false, ""},
		"it limits the rate":        {func(p *idtest.Provider) { p.Fail(idtest.UserInfo, idtest.Fault{Status: 429}) }, idserver.CodeProviderUnavailable, false, ""},
		"it answers of another":     {func(p *idtest.Provider) { p.SetUserInfo(func(c map[string]any) { c["sub"] = "mallory" }) }, idserver.CodeProviderError, false, ""},
		"it answers of nobody":      {func(p *idtest.Provider) { p.SetUserInfo(func(c map[string]any) { delete(c, "sub") }) }, "", false, "without some claims"},
		"there is no such endpoint": {func(p *idtest.Provider) { p.SetMetadata(func(m map[string]any) { delete(m, "userinfo_endpoint") }) }, "", false, ""},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			// An access token for another audience says nothing here.
			w.provider.SetAccessTokenClaims(func(c map[string]any) { c["aud"] = "another-api" })
			row.lose(w.provider)
			b := w.browser(t)
			a := b.route("GET", w.authorize(t, b.begin("/auth/login"), "alice"), navigates)
			if row.code != "" {
				if got := code(t, a); got != row.code {
					t.Errorf("%d %s, want %s", a.Status, got, row.code)
				}
				return
			}
			u, _ := b.visit()
			if u == nil || u.HasRole("admin") != row.roles || u.Email != "alice@example.test" {
				t.Errorf("the user is %+v", u)
			}
			if !strings.Contains(w.log.String(), row.logged) {
				t.Errorf("the log is %s", w.log)
			}
		}))
	}
}
