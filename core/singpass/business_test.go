package singpass_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

func ofCorppass(o *singpasstest.Options) { o.Corppass = true }

const meiling = "8f1c0b6e-0000-4000-8000-0000000000b1"

// With Corppass an entity signs in, and a person who acts for it; nothing but their identifiers stays in the session.
func TestCorppass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen *singpass.Identity
		w := newWorld(t, singpass.Corppass, ofCorppass, func(c *singpass.Config) {
			c.Message = "Sign in to the example"
			c.Scopes = []string{"authinfo", "tpauthinfo", "entity.identity", "entity.basic_profile.name", "entity.basic_profile.uen_status", "user.identity", "user.name"}
			c.AdmitUser = func(ctx context.Context, user *idserver.User) error {
				seen = singpass.IdentityFrom(ctx)
				return nil
			}
		})
		b := w.browser(t)
		b.signIn("meiling")
		want := singpass.Entity{ID: "T09LL0001B", Type: "UEN", RegistrationNumber: "T09LL0001B", Country: "SG", Name: "EXAMPLE PTE LTD", Status: "Registered"}
		if seen == nil || seen.Subject != meiling || seen.IdentityNumber != "S0000001I" || seen.Name != "LIM MEI LING" || seen.AccountType != "standard" || seen.Entity == nil || *seen.Entity != want {
			t.Errorf("the identity is %+v", seen)
		}
		ctx := b.behind()
		user := idserver.UserFrom(ctx)
		if user == nil || user.Subject != "T09LL0001B" || singpass.ActorOf(user) != meiling {
			t.Fatalf("the user is %v", user)
		}
		var claims map[string]any
		if err := user.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(claims); strings.Contains(text, "S0000001I") || strings.Contains(text, "MEI LING") || strings.Contains(text, "EXAMPLE PTE") {
			t.Errorf("the session holds %s", text)
		}
		form := w.provider.LastPushedRequest()
		if form.Get("authentication_context_type") != "APP_AUTHENTICATION_DEFAULT" || form.Get("authentication_context_message") != "Sign in to the example" || form.Has("acr_values") {
			t.Errorf("pushed was %v", form)
		}
		if _, err := w.PersonFrom(ctx); !errors.Is(err, singpass.ErrNotMyinfo) {
			t.Errorf("PersonFrom: %v", err)
		}
	})
}

// What userinfo says, in the form that was seen and in the one that is documented.
func TestBusiness(t *testing.T) {
	for name, options := range map[string]func(*singpasstest.Options){
		"as seen": ofCorppass, "as documented": func(o *singpasstest.Options) { o.Corppass, o.AsDocumented = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, singpass.MyinfoBusiness, options, func(c *singpass.Config) {
					c.Scopes = []string{"authinfo", "tpauthinfo", "entity.basic_profile.name", "entity.basic_profile.type", "entity.address", "entity.licences", "user.dob", "user.regadd", "corppass.email"}
				})
				b := w.browser(t)
				b.signIn("meiling")
				ctx := b.behind()
				business, err := w.BusinessFrom(ctx)
				if err != nil {
					t.Fatalf("%v: %s", err, w.log)
				}
				address, ok := business.Entity("address").Address()
				birth, _ := business.Person.DateOfBirth()
				email, verified := business.Email()
				if business.Subject != "T09LL0001B" || business.Person.Subject != meiling || business.Entity("basic_profile.name").Text() != "EXAMPLE PTE LTD" ||
					business.Entity("basic_profile.type").Code() != "LC" || !ok || address.Postal != "000001" || birth.String() != "1985-10-31" || email != "meiling@example.test" || !verified {
					t.Errorf("got %v, %v, %v, %v, %q", business.Subject, business.Person.Subject, address, birth, email)
				}
				if business.Entity("licences").Available() || business.Entity("capitals").Available() {
					t.Error("what is not there is available")
				}
				roles := business.Authorizations()
				if len(roles) != 2 || roles[0].Service != "EXAMPLE-SERVICE" || roles[0].Role != "Approver" || roles[0].Parameters["Effective YA"] != "2020" || roles[1].SubEntity != "001" {
					t.Fatalf("the roles are %+v", roles)
				}
				now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
				if !roles[0].ValidAt(now) || roles[1].ValidAt(now) {
					t.Error("the dates do not count")
				}
				clients := business.ThirdParty()
				if len(clients) != 1 || clients[0].Client != "T10LL0002A" || clients[0].ClientType != "UEN" || clients[0].Role != "Filer" || clients[0].SubEntity != "" {
					t.Errorf("the clients are %+v", clients)
				}
				if text := fmt.Sprintf("%v %+v %#v", business, *business, roles[0]); strings.Contains(text, "EXAMPLE PTE") || strings.Contains(text, "Approver") {
					t.Errorf("printed is %s", text)
				}
				form := w.provider.LastPushedRequest()
				if form.Has("authentication_context_type") || form.Has("authentication_context_message") {
					t.Errorf("pushed was %v", form)
				}
				w.provider.Advance(11 * time.Minute)
				if _, err := w.BusinessFrom(ctx); !errors.Is(err, singpass.ErrSignInAgain) {
					t.Errorf("after ten minutes: %v", err)
				}
			})
		})
	}
}

// An answer of somebody else, or one that is odd, is none.
func TestBusinessRefused(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(map[string]any)
		want error
	}{
		"another subject":             {func(c map[string]any) { c["sub"] = "T10LL0002A" }, idserver.ReasonSubject},
		"no subject":                  {func(c map[string]any) { delete(c, "sub") }, idserver.ErrUserInfo},
		"a block that is a number":    {func(c map[string]any) { c["auth_info"] = 1 }, singpass.ErrInvalidData},
		"a block that is no JSON":     {func(c map[string]any) { c["auth_info"] = "x" }, singpass.ErrInvalidData},
		"a block that is a list":      {func(c map[string]any) { c["entity_info"] = "[]" }, singpass.ErrInvalidData},
		"a block with a member twice": {func(c map[string]any) { c["entity_info"] = `{"a":1,"a":2}` }, singpass.ErrInvalidData},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, singpass.MyinfoBusiness, ofCorppass)
				b := w.browser(t)
				b.signIn("meiling")
				ctx := b.behind()
				w.provider.SetUserInfo(row.edit)
				if business, err := w.BusinessFrom(ctx); business != nil || !errors.Is(err, row.want) {
					t.Errorf("got %v, %v", business, err)
				}
			})
		})
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t, singpass.Login, nil)
		b := w.browser(t)
		b.signIn("meiling")
		if _, err := w.BusinessFrom(b.behind()); !errors.Is(err, singpass.ErrNotCorppass) {
			t.Errorf("Login: %v", err)
		}
	})
}

// An ID token that does not say who acts, or is of a person, signs nobody in.
func TestCorppassRefused(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(map[string]any)
		want error
	}{
		"nobody acts":             {func(c map[string]any) { delete(c, "act") }, singpass.ErrInvalidData},
		"an actor without a name": {func(c map[string]any) { c["act"] = map[string]any{"sub_type": "user"} }, singpass.ErrInvalidData},
		"a person":                {func(c map[string]any) { c["sub_type"] = "user" }, singpass.ErrInvalidData},
		"an odd actor":            {func(c map[string]any) { c["act"] = "x" }, singpass.ErrInvalidData},
		"a level that is too low": {func(c map[string]any) { c["acr"] = "urn:singpass:authentication:loa:1" }, singpass.ErrLevel},
		"no level":                {func(c map[string]any) { delete(c, "acr") }, singpass.ErrLevel},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, singpass.Corppass, func(o *singpasstest.Options) {
					o.Corppass, o.People = true, singpasstest.People()
					o.People[0].Level = 2
				}, func(c *singpass.Config) { c.MinimumLevel = 2 })
				b := w.browser(t)
				b.signIn("meiling")
				if got := w.provider.LastPushedRequest().Get("acr_values"); got != "urn:singpass:authentication:loa:2" {
					t.Errorf("asked for is %q", got)
				}
				w.provider.SetIDTokenClaims(row.edit)
				if a := w.browser(t).callback("meiling"); a.Status != http.StatusForbidden || !errors.Is(a.Refusal, row.want) {
					t.Errorf("got %d, %v", a.Status, a.Refusal)
				}
			})
		})
	}
}

// What Corppass's portal or its endpoints would refuse, New names.
func TestCorppassConfig(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(*singpass.Config)
		want string // "": good
	}{
		"Corppass":                 {func(c *singpass.Config) {}, ""},
		"Corppass with its scopes": {func(c *singpass.Config) { c.Scopes = []string{"authinfo", "user.name"} }, ""},
		"its issuer":               {func(c *singpass.Config) { c.Issuer = "https://id.corppass.gov.sg" }, ""},
		"Singpass's issuer":        {func(c *singpass.Config) { c.Issuer = "https://id.singpass.gov.sg/fapi" }, "Issuer \"https://id.singpass.gov.sg/fapi\""},
		"a scope of Login":         {func(c *singpass.Config) { c.Scopes = []string{"name"} }, `Scopes (SINGPASS_SCOPES) has "name", which is none of Corppass`},
		"an item of Business":      {func(c *singpass.Config) { c.Scopes = []string{"entity.address"} }, `none of Corppass`},
		"a message with dots":      {func(c *singpass.Config) { c.Message = "Sign in." }, "Message (SINGPASS_MESSAGE)"},
		"level 3":                  {func(c *singpass.Config) { c.MinimumLevel = 3 }, "Corppass has no more than 2"},
		"http":                     {func(c *singpass.Config) { c.Environment, c.BaseURL = singpass.Staging, "http://localhost:3000" }, "Corppass wants https"},
		"Business": {func(c *singpass.Config) {
			c.Product, c.Scopes = singpass.MyinfoBusiness, []string{"authinfo", "entity.address"}
		}, ""},
		"Business without an item": {func(c *singpass.Config) { c.Product, c.Scopes = singpass.MyinfoBusiness, []string{"authinfo"} }, "has no item of Myinfo Business"},
		"Business with one of Myinfo": {func(c *singpass.Config) {
			c.Product, c.Scopes = singpass.MyinfoBusiness, []string{"entity.address", "regadd"}
		}, `has "regadd", which is none of Myinfo Business`},
		"Business with a context": {func(c *singpass.Config) {
			c.Product, c.Scopes, c.Context = singpass.MyinfoBusiness, []string{"entity.address"}, "X"
		}, "Myinfo Business refuses it"},
		"Business with a message": {func(c *singpass.Config) {
			c.Product, c.Scopes, c.Message = singpass.MyinfoBusiness, []string{"entity.address"}, "X"
		}, "Myinfo Business refuses it"},
		"a redirect URI with its name": {func(c *singpass.Config) { c.BaseURL = "https://corppass.example.com" }, `"corppass" in it`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := goodConfig()
			cfg.Product, cfg.Scopes = singpass.Corppass, nil
			row.edit(&cfg)
			c, err := singpass.New(cfg)
			if err == nil {
				c.Close()
			}
			if (row.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestValidAt(t *testing.T) {
	day := func(text string) (d singpass.Date) {
		if err := d.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for name, row := range map[string]struct {
		a    singpass.Authorization
		at   string
		want bool
	}{
		"the first moment":  {singpass.Authorization{From: day("2026-12-01"), Until: day("2026-12-01")}, "2026-12-01T00:00:00+08:00", true},
		"before it":         {singpass.Authorization{From: day("2026-12-01"), Until: day("2026-12-01")}, "2026-11-30T23:59:59+08:00", false},
		"the last moment":   {singpass.Authorization{From: day("2026-12-01"), Until: day("2026-12-01")}, "2026-12-01T23:59:59+08:00", true},
		"after it":          {singpass.Authorization{From: day("2026-12-01"), Until: day("2026-12-01")}, "2026-12-02T00:00:00+08:00", false},
		"without an end":    {singpass.Authorization{From: day("2026-12-01"), Until: day("9999-12-31")}, "2100-01-01T00:00:00Z", true},
		"no dates":          {singpass.Authorization{}, "2026-12-01T00:00:00Z", false},
		"half a date":       {singpass.Authorization{From: day("2026-12"), Until: day("2026-12-31")}, "2026-12-02T00:00:00Z", false},
		"a missing role":    {singpass.Authorization{Role: "ERROR_MISSING_VALUE", From: day("2020-01-01"), Until: day("9999-12-31")}, "2026-12-02T00:00:00Z", false},
		"a missing sub-UEN": {singpass.Authorization{SubEntity: "ERROR_MISSING_VALUE", From: day("2020-01-01"), Until: day("9999-12-31")}, "2026-12-02T00:00:00Z", false},
	} {
		if got := row.a.ValidAt(at(row.at)); got != row.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
