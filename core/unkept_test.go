package idserver_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// A session that no cookie holds, or that could not be read back, is not kept: what the sign-in brought is handed back, as with any other
// refusal, and the sign-in is over. Else a reload after the result is forgotten sends the code again, which providers take for theft.
func TestSessionThatIsNotKept(t *testing.T) {
	for name, claim := range map[string]func() any{
		"too large": func() any {
			noise := make([]rune, 60000)
			for i := range noise {
				noise[i] = rune('!' + rand.IntN(90))
			}
			return string(noise)
		},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, func(c *idserver.Config) {
				c.AdmitUser = func(_ context.Context, u *idserver.User) error { return u.Set("much", claim()) }
			})
			given := make(chan string, 9)
			w.provider.SetTokenResponse(func(r map[string]any) { given <- r["refresh_token"].(string) })
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login"), "alice")
			if a := b.route("GET", callback, navigates); code(t, a) != idserver.CodeInternal || b.cookies["idserver-8080"] != "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if token := <-given; !w.provider.Revoked(token) {
				t.Error("the refresh token was not handed back")
			}
			if len(b.logins()) != 0 {
				t.Error("the sign-in is still open")
			}
			w.clock.advance(16 * time.Minute)
			a := b.route("GET", callback, navigates)
			if n := w.provider.Requests(idtest.Token); n != 1 || !strings.HasPrefix(field(a, "Location"), w.provider.URL()) {
				t.Errorf("reloaded: %d %q, %d token requests for one code", a.Status, field(a, "Location"), n)
			}
		}))
	}
}
