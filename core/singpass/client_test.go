package singpass_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

// With Login somebody signs in, and AdmitUser learns who; nothing of it stays in the browser.
func TestLogin(t *testing.T) {
	for name, options := range map[string]func(*singpasstest.Options){
		"as Singpass": nil, "as MockPass": func(o *singpasstest.Options) { o.LikeMockPass = true },
		"with nonces": func(o *singpasstest.Options) { o.Dialect.DPoPNonces = true },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var identity *singpass.Identity
				w := newWorld(t, singpass.Login, options, func(c *singpass.Config) {
					c.Scopes, c.Message = []string{"user.identity", "name", "email", "mobileno"}, "Sign in to the demo (it's free)!"
					c.AdmitUser = func(ctx context.Context, u *idserver.User) error {
						identity = singpass.IdentityFrom(ctx)
						return u.Set("department", "sales")
					}
				})
				b := w.browser(t)
				ctx := b.signIn("meiling")
				want := &singpass.Identity{
					Subject: "8f1c0b6e-0000-4000-8000-0000000000b1", Level: 2, Methods: []string{"pwd", "face"}, AccountType: "standard",
					IdentityNumber: "S0000001I", IssuedBy: "SG", Name: "LIM MEI LING", Email: "meiling@example.test", Mobile: "+6590000001",
				}
				if name == "as MockPass" {
					want.Level, want.Methods = 1, []string{"pwd"}
				}
				if !reflect.DeepEqual(identity, want) {
					t.Errorf("the identity is %+v, want %+v", identity, want)
				}
				user := idserver.UserFrom(ctx)
				var claims map[string]any
				if err := user.Claims(&claims); err != nil || claims["sub_attributes"] != nil || claims["department"] != "sales" {
					t.Errorf("the session has %v, %v", claims, err)
				}
				if idToken, _ := idserver.SessionTokensFrom(ctx); idToken != "" || singpass.IdentityFrom(ctx) != nil {
					t.Error("the session has the ID token, or the identity")
				}
				form := w.provider.LastPushedRequest()
				if form.Get("authentication_context_type") != "APP_AUTHENTICATION_DEFAULT" || form.Get("authentication_context_message") == "" || form.Get("scope") != "openid user.identity name email mobileno" {
					t.Errorf("pushed was %v", form)
				}
				if _, err := w.PersonFrom(ctx); !errors.Is(err, singpass.ErrNotMyinfo) {
					t.Errorf("PersonFrom: %v", err)
				}
				if strings.Contains(w.log.String(), "S0000001I") || strings.Contains(w.log.String(), "MEI LING") {
					t.Errorf("the log names the person: %s", w.log)
				}
			})
		})
	}
}

// What a link asks the provider for does not reach Singpass, which would refuse the sign-in.
func TestLinkParameters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil)
		if a := w.browser(t).route("/auth/login?login_hint=x&prompt=login&ui_locales=en&acr_values=y"); a.Status != http.StatusSeeOther {
			t.Errorf("login: %d, %s", a.Status, w.log)
		}
	})
}

// A sign-in that is not as sure as it must be is refused.
func TestLevel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil, func(c *singpass.Config) { c.MinimumLevel = 2 })
		w.browser(t).signIn("meiling")
		people := singpasstest.People()
		people[0].Level = 1
		w.provider.SetPerson(people[0])
		a := w.browser(t).callback("meiling")
		if a.Status != http.StatusForbidden || a.Refusal.Code != idserver.CodeSignInRefused || !errors.Is(a.Refusal, singpass.ErrLevel) {
			t.Errorf("got %d, %v", a.Status, a.Refusal)
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "acr") })
		if a := w.browser(t).callback("meiling"); a.Status != http.StatusForbidden || !errors.Is(a.Refusal, singpass.ErrLevel) {
			t.Errorf("without acr: %d, %v", a.Status, a.Refusal)
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["sub_attributes"] = "x" })
		if a := w.browser(t).callback("meiling"); a.Status != http.StatusForbidden || !errors.Is(a.Refusal, singpass.ErrInvalidData) {
			t.Errorf("with odd attributes: %d, %v", a.Status, a.Refusal)
		}
	})
}

// The highest level is asked for, where the client may.
func TestLevelThree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil, func(c *singpass.Config) { c.MinimumLevel = 3 })
		if a := w.browser(t).route("/auth/login"); a.Status != http.StatusBadGateway {
			t.Errorf("a client that may not: %d", a.Status)
		}
		client := singpasstest.Clients()[0]
		client.JWKS, client.ACRValues = w.Client.Client().PublicKeys(), []string{"urn:singpass:authentication:loa:3"}
		w.provider.AddClient(client)
		people := singpasstest.People()
		people[0].Level = 3
		w.provider.SetPerson(people[0])
		w.browser(t).signIn("meiling")
	})
}

// An application that is registered for another product is refused at once, with a line that says what to look at.
func TestWrongProduct(t *testing.T) {
	for name, product := range map[string]singpass.Product{"Login": singpass.Login, "Myinfo": singpass.Myinfo} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, product, nil, func(c *singpass.Config) {
					c.ClientID = map[singpass.Product]string{singpass.Login: singpasstest.MyinfoClient, singpass.Myinfo: singpasstest.LoginClient}[product]
				})
				for _, other := range []singpass.Product{singpass.Login, singpass.Myinfo} {
					w.provider.Register(w.Client, other)
				}
				a := w.browser(t).route("/auth/login")
				if a.Status != http.StatusBadGateway || !strings.Contains(w.log.String(), "authentication_context_type") {
					t.Errorf("got %d, %s", a.Status, w.log)
				}
			})
		})
	}
}

// Singpass or an agency behind it that does not answer is 503, with Retry-After, and nobody is signed in.
func TestUpstream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil)
		w.provider.Fail(idtest.PushedAuthorization, idtest.Fault{Status: 502, OAuthError: "upstream_dependency_error"})
		if a := w.browser(t).route("/auth/login"); a.Status != http.StatusServiceUnavailable || a.Refusal.RetryAfter == 0 {
			t.Errorf("got %d, %v", a.Status, a.Refusal)
		}
	})
}

// An ID token that is not encrypted, or signed with another algorithm, is refused.
func TestIDTokenMustBeEncrypted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil)
		w.provider.SetTokenResponse(func(r map[string]any) { r["id_token"] = w.provider.MintIDToken("meiling", singpasstest.LoginClient) })
		a := w.browser(t).callback("meiling")
		if a.Status != http.StatusBadGateway || !errors.Is(a.Refusal, idserver.ReasonEncryption) {
			t.Errorf("got %d, %v", a.Status, a.Refusal)
		}
	})
}
