package singpass_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/singpass"
	"github.com/signward/idserver-go/core/singpass/singpasstest"
)

// everything is each item that a person of the double has.
var everything = []string{
	"uinfin", "name", "aliasname", "dob", "email", "sex", "race", "nationality", "birthcountry", "residentialstatus", "marital", "housingtype", "hdbtype",
	"passportnumber", "passportexpirydate", "occupation", "employment", "ownerprivate", "mobileno", "regadd", "cpfcontributions", "vehicles",
}

func newMyinfo(t *testing.T, edit ...func(*singpass.Config)) *world {
	t.Helper()
	edit = append([]func(*singpass.Config){func(c *singpass.Config) { c.Scopes = everything }}, edit...)
	return newWorld(t, singpass.Myinfo, nil, edit...)
}

func TestPerson(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newMyinfo(t)
		ctx := w.browser(t).signIn("meiling")
		p, err := w.PersonFrom(ctx)
		if err != nil {
			t.Fatal(err)
		}
		born, okBorn := p.DateOfBirth()
		expires, okExpires := p.PassportExpiryDate()
		address, okAddress := p.RegisteredAddress()
		private, okPrivate := p.Item("ownerprivate").Bool()
		updated, okUpdated := p.Item("name").LastUpdated()
		for name, row := range map[string][2]any{
			"Subject": {p.Subject, "8f1c0b6e-0000-4000-8000-0000000000b1"}, "IdentityNumber": {p.IdentityNumber(), "S0000001I"}, "Name": {p.Name(), "LIM MEI LING"},
			"AliasName": {p.AliasName(), ""}, "Email": {p.Email(), "meiling@example.test"}, "Sex": {p.Sex(), "FEMALE"}, "Race": {p.Race(), "CHINESE"},
			"the code of Sex": {p.Item("sex").Code(), "F"}, "Nationality": {p.Nationality(), "SINGAPORE CITIZEN"}, "BirthCountry": {p.BirthCountry(), "SINGAPORE"},
			"ResidentialStatus": {p.ResidentialStatus(), "CITIZEN"}, "MaritalStatus": {p.MaritalStatus(), "MARRIED"}, "PassportNumber": {p.PassportNumber(), "E0000001X"},
			"Occupation": {p.Occupation(), "ENGINEER"}, "Employer": {p.Employer(), "EXAMPLE PTE LTD"}, "HousingType": {p.HousingType(), ""}, "HDBType": {p.HDBType(), "4-ROOM FLAT (HDB)"},
			"Mobile": {p.Mobile(), "+6590000001"}, "DateOfBirth": {fmt.Sprint(born, okBorn), "1985-10-31 true"}, "PassportExpiryDate": {fmt.Sprint(expires, okExpires), "2031-02-28 true"},
			"a truth": {fmt.Sprint(private, okPrivate), "false true"}, "LastUpdated": {fmt.Sprint(updated, okUpdated), "2026-11-01 true"},
			"a source": {p.Item("occupation").Source(), singpass.UserProvided}, "another": {p.Item("name").Source(), singpass.Verified},
			"an item without value":         {p.Item("vehicles").Available(), false},
			"an item that was not asked":    {p.Item("cpfbalances").Available(), false},
			"the text of what is not there": {p.Item("vehicles").Text() + p.Item("cpfbalances").Text(), ""},
			"a member":                      {p.Item("regadd.postal").Text(), "000001"}, "a list's length": {len(p.Item("cpfcontributions.history").List()), 2},
			"an element": {p.Item("cpfcontributions.history").List()[1].Member("amount").Text(), "1500.5"}, "no list": {len(p.Item("name").List()), 0},
		} {
			if row[0] != row[1] {
				t.Errorf("%s is %v, want %v", name, row[0], row[1])
			}
		}
		want := singpass.Address{Block: "1", Street: "EXAMPLE STREET", Floor: "08", Unit: "15", Postal: "000001", Country: "SINGAPORE"}
		if !okAddress || !reflect.DeepEqual(address, want) {
			t.Errorf("the address is %+v, want %+v", address, want)
		}
		document, err := json.Marshal(p)
		var back map[string]map[string]any
		if err != nil || json.Unmarshal(document, &back) != nil || back["name"]["value"] != "LIM MEI LING" {
			t.Errorf("marshalled: %s, %v", document, err)
		}
		if n := w.provider.Requests(idtest.UserInfo); n != 1 {
			t.Errorf("Myinfo was asked %d times", n)
		}
	})
}

// Of somebody of whom little is known, nothing is made up.
func TestPersonOfLittle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newMyinfo(t)
		p, err := w.PersonFrom(w.browser(t).signIn("kumar"))
		if err != nil {
			t.Fatal(err)
		}
		born, ok := p.DateOfBirth()
		address, okAddress := p.RegisteredAddress()
		if fmt.Sprint(born, ok) != "1979-04 true" || p.Email() != "" || p.Mobile() != "" || p.Race() != "" || !okAddress || fmt.Sprint(address.Lines) != "[1 EXAMPLE ROAD LONDON]" {
			t.Errorf("got %v, %q, %+v", born, p.Email(), address)
		}
		if _, ok := p.PassportExpiryDate(); ok {
			t.Error("a date that is not there")
		}
	})
}

// Myinfo is asked for nothing while somebody signs in, and for each call anew; nothing of it is kept.
func TestPersonIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w *world
		var inAdmitUser *singpass.Person
		w = newMyinfo(t, func(c *singpass.Config) {
			c.AdmitUser = func(ctx context.Context, _ *idserver.User) (err error) {
				inAdmitUser, err = w.PersonFrom(ctx)
				return err
			}
		})
		b := w.browser(t)
		ctx := b.signIn("meiling")
		if inAdmitUser == nil || inAdmitUser.Name() != "LIM MEI LING" || w.provider.Requests(idtest.UserInfo) != 1 {
			t.Errorf("in AdmitUser: %v, %d requests", inAdmitUser, w.provider.Requests(idtest.UserInfo))
		}
		for range 2 {
			if _, err := w.PersonFrom(ctx); err != nil {
				t.Error(err)
			}
		}
		if n := w.provider.Requests(idtest.UserInfo); n != 3 {
			t.Errorf("Myinfo was asked %d times, want 3", n)
		}
		var claims map[string]any
		if err := idserver.UserFrom(b.behind()).Claims(&claims); err != nil || claims["person_info"] != nil || claims["name"] != nil {
			t.Errorf("the session has %v, %v", claims, err)
		}
	})
}

func TestPersonRefused(t *testing.T) {
	for name, row := range map[string]struct {
		make func(*world)
		want []error
		not  error
	}{
		"maintenance": {func(w *world) {
			w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 502, OAuthError: "upstream_dependency_error", Header: http.Header{"Retry-After": {"60"}}})
		}, []error{singpass.ErrUpstream, idserver.ErrUnavailable, idserver.ErrUserInfo}, singpass.ErrSignInAgain},
		"down":        {func(w *world) { w.provider.Fail(idtest.UserInfo, idtest.Fault{Drop: true}) }, []error{idserver.ErrUnavailable}, singpass.ErrUpstream},
		"another 502": {func(w *world) { w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 502}) }, []error{idserver.ErrUnavailable}, singpass.ErrUpstream},
		"half an hour later": {func(w *world) {
			w.provider.Advance(31 * time.Minute)
		}, []error{singpass.ErrSignInAgain, idserver.ErrUserInfo}, idserver.ErrUnavailable},
		"a foreign account": {func(w *world) { w.provider.Fail(idtest.UserInfo, idtest.Fault{OAuthError: "invalid_request"}) }, []error{idserver.ErrUserInfo}, idserver.ErrUnavailable},
		"no person_info":    {func(w *world) { w.provider.SetUserInfo(func(c map[string]any) { delete(c, "person_info") }) }, []error{singpass.ErrInvalidData, idserver.ErrUserInfo}, nil},
		"a text":            {func(w *world) { w.provider.SetUserInfo(func(c map[string]any) { c["person_info"] = "x" }) }, []error{singpass.ErrInvalidData}, nil},
		"a list":            {func(w *world) { w.provider.SetUserInfo(func(c map[string]any) { c["person_info"] = []string{"x"} }) }, []error{singpass.ErrInvalidData}, nil},
		"another person":    {func(w *world) { w.provider.SetUserInfo(func(c map[string]any) { c["sub"] = "x" }) }, []error{idserver.ReasonSubject}, nil},
		"no such endpoint":  {func(w *world) { w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 404}) }, []error{idserver.ErrUserInfo}, idserver.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newMyinfo(t)
				ctx := w.browser(t).signIn("meiling")
				row.make(w)
				p, err := w.PersonFrom(ctx)
				if p != nil || err == nil || row.not != nil && errors.Is(err, row.not) {
					t.Errorf("got %v, %v", p, err)
				}
				for _, want := range row.want {
					if !errors.Is(err, want) {
						t.Errorf("%v is no %v", err, want)
					}
				}
			})
		})
	}
	w := newMyinfo(t)
	if _, err := w.PersonFrom(t.Context()); err == nil {
		t.Error("nobody has data")
	}
}

// What GET /auth/userinfo makes of Myinfo's maintenance: 503 with Retry-After, in an application that answers with the person.
func TestUserInfoRoute(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w *world
		w = newMyinfo(t, func(c *singpass.Config) {
			c.UserInfoResponse = func(ctx context.Context, _ *idserver.User) (any, error) { return w.PersonFrom(ctx) }
		})
		b := w.browser(t)
		b.signIn("meiling")
		if a := b.route("/auth/userinfo"); a.Status != http.StatusOK {
			t.Errorf("got %d %s", a.Status, a.Body)
		}
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 502, OAuthError: "upstream_dependency_error", Header: http.Header{"Retry-After": {"60"}}})
		if a := b.route("/auth/userinfo"); a.Status != http.StatusServiceUnavailable || a.Refusal.RetryAfter != time.Minute {
			t.Errorf("in maintenance: %d, %v", a.Status, a.Refusal)
		}
		w.provider.Heal(idtest.UserInfo)
		w.provider.Advance(31 * time.Minute)
		if a := b.route("/auth/userinfo"); a.Status != http.StatusUnauthorized {
			t.Errorf("half an hour later: %d %s", a.Status, a.Body)
		}
	})
}

// A large person, of more than any token of ours may have, is read.
func TestLargePerson(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newMyinfo(t)
		people := singpasstest.People()
		history := ""
		for range 400 {
			history += `,{"employer":{"value":"EXAMPLE PTE LTD"},"date":{"value":"2026-10-12"},"month":{"value":"2026-09"},"amount":{"value":1500.5}}`
		}
		people[0].Data["cpfcontributions"] = `{"history":[` + history[1:] + `]}`
		w.provider.SetPerson(people[0])
		p, err := w.PersonFrom(w.browser(t).signIn("meiling"))
		if err != nil || len(p.Item("cpfcontributions.history").List()) != 400 {
			t.Errorf("got %v", err)
		}
	})
}
