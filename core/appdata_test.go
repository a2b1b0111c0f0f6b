package idserver_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

func TestAppData(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen, token string
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
				seen, token = idserver.AppDataFrom(ctx), idserver.AccessTokenFrom(ctx)
				if idserver.UserFrom(ctx) != u {
					t.Error("the context has another user")
				}
				return u.Set("app_data", seen)
			}
		})
		for name, data := range map[string]string{
			"a choice": "icecream=Vanilla", "not ASCII": "冰淇淋 \"\\ \n\x00\u2028", "the most": strings.Repeat(`"`, 512), "none": "",
		} {
			b := w.browser(t)
			seen = "not called"
			address := b.begin("/auth/login?return_to=/x&app_data=" + url.QueryEscape(data))
			for cookie, value := range b.cookies {
				if len(cookie)+len(value) > 4000 || data != "" && strings.Contains(value, data) {
					t.Errorf("%s: a cookie of %d bytes", name, len(value))
				}
			}
			if data != "" && strings.Contains(address, url.QueryEscape(data)) {
				t.Errorf("%s: the provider sees it", name)
			}
			if a := b.route("GET", w.authorize(t, address, "alice"), navigates); a.Status != 303 || field(a, "Location") != "/x" {
				t.Fatalf("%s: %d %s", name, a.Status, a.Body)
			}
			if seen != data || token == "" {
				t.Errorf("%s: AdmitUser sees %q and the token %q", name, seen, token)
			}
			ctx, _ := b.pass(w.RequireUser(), "GET", "/")
			var kept struct {
				AppData string `json:"app_data"`
			}
			if err := idserver.UserFrom(ctx).Claims(&kept); err != nil || kept.AppData != data || idserver.AppDataFrom(ctx) != "" {
				t.Errorf("%s: later it is %q, %v", name, kept.AppData, err)
			}
		}
	})
}

func TestAppDataRefused(t *testing.T) {
	for name, query := range map[string]string{
		"too long": "app_data=" + strings.Repeat("x", 513), "twice": "app_data=a&app_data=b", "not UTF-8": "app_data=%ff",
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			b := w.browser(t)
			a := b.route("GET", "/auth/login?"+query, navigates)
			if got := code(t, a); a.Status != 400 || got != idserver.CodeInvalidLogin || len(b.cookies) != 0 {
				t.Errorf("%d %s", a.Status, got)
			}
		}))
	}
}
