package idserver_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	idserver "github.com/signward/idserver-go/core"
)

// userOf is the user of an access token with these claims, beside iss, aud, exp and so on.
func userOf(t *testing.T, w *world, client *idserver.Client, claims string) *idserver.User {
	t.Helper()
	i := newAccessToken(w)
	delete(i.claims, "roles")
	if err := json.Unmarshal([]byte(claims), &i.claims); err != nil {
		t.Fatal(err)
	}
	u, err := client.ValidateAccessToken(t.Context(), i.token(), idserver.AccessTokenCheck{})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUserOfClaims(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		claims string
		want   idserver.User
	}{
		"nothing": {`{}`, idserver.User{}},
		"all": {`{"email":"a@b.example","email_verified":true,"name":"A B","given_name":"A","family_name":"B","tenant_id":"t","roles":["x"],"custom_roles":["y"]}`,
			idserver.User{Email: "a@b.example", EmailVerified: true, Name: "A B", GivenName: "A", FamilyName: "B", TenantID: "t", Roles: []string{"x"}, CustomRoles: []string{"y"}}},
		"roles as a string":              {`{"roles":"admin"}`, idserver.User{Roles: []string{"admin"}}},
		"roles are not split":            {`{"roles":"admin,user owner"}`, idserver.User{Roles: []string{"admin,user owner"}}},
		"roles as an empty string":       {`{"roles":""}`, idserver.User{}},
		"roles null":                     {`{"roles":null,"custom_roles":null}`, idserver.User{}},
		"roles an empty array":           {`{"roles":[]}`, idserver.User{}},
		"roles mixed":                    {`{"roles":["a",1,null,true,{"b":1},["c"],"","d"]}`, idserver.User{Roles: []string{"a", "d"}}},
		"roles an object":                {`{"roles":{"admin":{"1":"example.org"},"user":true,"owner":false}}`, idserver.User{Roles: []string{"admin", "user"}}},
		"roles an object of nobody":      {`{"roles":{"admin":false,"owner":null,"root":"true"}}`, idserver.User{}},
		"roles with a name":              {`{"roles":[{"name":"admin"},{"name":"owner","isEnabled":false}]}`, idserver.User{Roles: []string{"admin"}}},
		"roles a number":                 {`{"roles":1}`, idserver.User{}},
		"roles true":                     {`{"roles":true}`, idserver.User{}},
		"ROLES":                          {`{"ROLES":["admin"],"Custom_Roles":["x"]}`, idserver.User{}},
		"custom roles as a string":       {`{"custom_roles":"x"}`, idserver.User{CustomRoles: []string{"x"}}},
		"a role with markup":             {`{"roles":["<b>"]}`, idserver.User{Roles: []string{"<b>"}}},
		"name of two parts":              {`{"given_name":"A","family_name":"B"}`, idserver.User{Name: "A B", GivenName: "A", FamilyName: "B"}},
		"name of the given one":          {`{"given_name":"A"}`, idserver.User{Name: "A", GivenName: "A"}},
		"name of the family":             {`{"family_name":"B"}`, idserver.User{Name: "B", FamilyName: "B"}},
		"name empty":                     {`{"name":"","given_name":"A"}`, idserver.User{Name: "A", GivenName: "A"}},
		"name null":                      {`{"name":null,"given_name":"A"}`, idserver.User{Name: "A", GivenName: "A"}},
		"name of another type":           {`{"name":["A"],"email":4711,"tenant_id":{}}`, idserver.User{}},
		"email_verified false":           {`{"email_verified":false}`, idserver.User{}},
		"email_verified as a string":     {`{"email_verified":"true"}`, idserver.User{}},
		"email_verified as a number":     {`{"email_verified":1}`, idserver.User{}},
		"email_verified null":            {`{"email_verified":null}`, idserver.User{}},
		"email_verified in an array":     {`{"email_verified":[true]}`, idserver.User{}},
		"email_verified in another case": {`{"EMAIL_VERIFIED":true}`, idserver.User{}},
		"a name of other scripts":        {`{"name":"陳大文 \u202e"}`, idserver.User{Name: "陳大文 \u202e"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := userOf(t, w, w.Client, row.claims)
			row.want.Issuer, row.want.Subject = w.provider.URL(), "alice"
			got := idserver.User{
				Issuer: u.Issuer, Subject: u.Subject, Email: u.Email, EmailVerified: u.EmailVerified, Name: u.Name,
				GivenName: u.GivenName, FamilyName: u.FamilyName, TenantID: u.TenantID, Roles: u.Roles, CustomRoles: u.CustomRoles,
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestRolesClaim(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		path   []string
		claims string
		want   []string
	}{
		"one level":              {[]string{"groups"}, `{"groups":["a"],"roles":["no"]}`, []string{"a"}},
		"a URL as the name":      {[]string{"https://app.example/roles"}, `{"https://app.example/roles":["a"]}`, []string{"a"}},
		"a dot is no level":      {[]string{"a.b"}, `{"a.b":"x","a":{"b":"no"}}`, []string{"x"}},
		"two levels":             {[]string{"realm_access/roles"}, `{"realm_access":{"roles":["a","b"]}}`, []string{"a", "b"}},
		"three levels":           {[]string{"resource_access/app/roles"}, `{"resource_access":{"app":{"roles":"a"}}}`, []string{"a"}},
		"the level is missing":   {[]string{"realm_access/roles"}, `{"roles":["no"]}`, nil},
		"the level is a string":  {[]string{"realm_access/roles"}, `{"realm_access":"roles"}`, nil},
		"the level is an array":  {[]string{"realm_access/roles"}, `{"realm_access":[{"roles":"no"}]}`, nil},
		"the level is null":      {[]string{"realm_access/roles"}, `{"realm_access":null}`, nil},
		"the level, other case":  {[]string{"realm_access/roles"}, `{"Realm_Access":{"roles":["no"]}}`, nil},
		"the end is an object":   {[]string{"realm_access"}, `{"realm_access":{"roles":["no"]}}`, nil},
		"custom roles stay flat": {[]string{"groups"}, `{"groups":["a"],"custom_roles":["c"]}`, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := w.client(t, func(c *idserver.Config) { c.RolesClaim = row.path })
			if u := userOf(t, w, client, row.claims); !slices.Equal(u.Roles, row.want) {
				t.Errorf("the roles are %q, want %q", u.Roles, row.want)
			}
		})
	}
}

func TestHasRole(t *testing.T) {
	u := &idserver.User{Roles: []string{"Admin", "user"}, CustomRoles: []string{"Owner", "billing"}}
	type answers struct{ role, builtIn, custom bool }
	for role, want := range map[string]answers{
		"Admin":      {true, true, false},
		"admin":      {true, true, false},
		"ADMIN":      {true, true, false},
		"owner":      {true, false, true},
		"BILLING":    {true, false, true},
		"adm":        {},
		"admin ":     {},
		"":           {},
		"editor":     {},
		"uſer":       {}, // which Unicode folds to user
		"adm\u0131n": {},
	} {
		if got := (answers{u.HasRole(role), u.HasBuiltInRole(role), u.HasCustomRole(role)}); got != want {
			t.Errorf("%q: got %+v, want %+v", role, got, want)
		}
	}
	for _, row := range []struct {
		roles    []string
		any, all bool
	}{
		{[]string{"admin"}, true, true},
		{[]string{"admin", "OWNER"}, true, true},
		{[]string{"editor", "owner"}, true, false},
		{[]string{"owner", "editor"}, true, false},
		{[]string{"editor", "guest"}, false, false},
		{[]string{"editor"}, false, false},
	} {
		if got := u.HasAnyRole(row.roles[0], row.roles[1:]...); got != row.any {
			t.Errorf("any of %q: %v", row.roles, got)
		}
		if got := u.HasAllRoles(row.roles[0], row.roles[1:]...); got != row.all {
			t.Errorf("all of %q: %v", row.roles, got)
		}
	}
	for _, row := range []struct {
		roles    []string
		any, all bool
	}{
		{[]string{"ADMIN"}, true, true},
		{[]string{"admin", "user"}, true, true},
		{[]string{"admin", "owner"}, true, false},
		{[]string{"owner", "admin"}, true, false},
		{[]string{"owner", "billing"}, false, false},
		{[]string{"owner"}, false, false},
	} {
		if got := u.HasAnyBuiltInRole(row.roles[0], row.roles[1:]...); got != row.any {
			t.Errorf("any built-in of %q: %v", row.roles, got)
		}
		if got := u.HasAllBuiltInRoles(row.roles[0], row.roles[1:]...); got != row.all {
			t.Errorf("all built-in of %q: %v", row.roles, got)
		}
	}
	if nobody := (&idserver.User{}); nobody.HasRole("") || nobody.HasAnyRole("", "") || nobody.HasAllRoles("") {
		t.Error("a user without roles has the empty role")
	}
}

// The bytes that a front end gets: six members, always, and nothing of the tokens.
func TestUserMarshalJSON(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		user *idserver.User
		want string
	}{
		"nobody": {&idserver.User{}, `{"id":"","email":"","name":"","tenant_id":"","roles":[],"custom_roles":[]}`},
		"all": {&idserver.User{Issuer: "https://id.example", Subject: "s", Email: "a@b.example", EmailVerified: true, Name: "A B", GivenName: "A", FamilyName: "B", TenantID: "t", Roles: []string{"x", "y"}, CustomRoles: []string{"z"}},
			`{"id":"s","email":"a@b.example","name":"A B","tenant_id":"t","roles":["x","y"],"custom_roles":["z"]}`},
		"of a token": {userOf(t, w, w.Client, `{"email":"a@b.example","roles":"x","secret_claim":"s"}`),
			`{"id":"alice","email":"a@b.example","name":"","tenant_id":"","roles":["x"],"custom_roles":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(row.user)
			if err != nil || string(got) != row.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, row.want)
			}
			if got, err = row.user.MarshalJSON(); err != nil || string(got) != row.want {
				t.Errorf("by hand: %s, %v", got, err)
			}
		})
	}
	quoted, err := json.Marshal(&idserver.User{Name: `</script>"` + "\n"})
	if err != nil || string(quoted) != `{"id":"","email":"","name":"\u003c/script\u003e\"\n","tenant_id":"","roles":[],"custom_roles":[]}` {
		t.Errorf("got %s, %v", quoted, err)
	}
}

func TestUserClaims(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		u := userOf(t, w, w.Client, `{"department":"sales","Department":"mallory","level":3,"address":{"country":"SG"}}`)
		var mine struct {
			Subject    string `json:"sub"`
			Department string `json:"department"`
			Level      int    `json:"level"`
			Address    struct {
				Country string `json:"country"`
			} `json:"address"`
			Absent *string `json:"absent"`
		}
		if err := u.Claims(&mine); err != nil {
			t.Fatal(err)
		}
		if mine.Subject != "alice" || mine.Department != "sales" || mine.Level != 3 || mine.Address.Country != "SG" || mine.Absent != nil {
			t.Errorf("got %+v", mine)
		}
		everything := map[string]any{}
		if err := u.Claims(&everything); err != nil || everything["Department"] != "mallory" || everything["level"] != 3.0 {
			t.Errorf("got %v, %v", everything, err)
		}
		var wrong struct {
			Level string `json:"level"`
		}
		if err := u.Claims(&wrong); err == nil {
			t.Errorf("a number was read into a string: %+v", wrong)
		}
		if err := u.Claims(wrong); err == nil {
			t.Error("claims were read into a value that is no pointer")
		}
		empty := map[string]any{}
		if err := (&idserver.User{}).Claims(&empty); err != nil || len(empty) != 0 {
			t.Errorf("a user of one's own making: %v, %v", empty, err)
		}
	})
}

func TestUserSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		shared := userOf(t, w, w.Client, `{"department":"sales"}`)
		if err := shared.Set("department", "support"); err == nil {
			t.Error("a user who is shared by requests was changed")
		}
		w.provider.SetIDTokenClaims(func(c map[string]any) { c["department"], c["roles"] = "sales", []string{} })
		_, tokens := signInByHand(t, w, w.Client, "carol")
		u := tokens.User
		for claim, value := range map[string]any{"department": "support", "limits": map[string]int{"a": 1}, "none": nil, "roles": []string{"x"}} {
			if err := u.Set(claim, value); err != nil {
				t.Fatal(err)
			}
		}
		var got struct {
			Department string         `json:"department"`
			Limits     map[string]int `json:"limits"`
			None       *int           `json:"none"`
		}
		if err := u.Claims(&got); err != nil || got.Department != "support" || got.Limits["a"] != 1 || got.None != nil {
			t.Errorf("got %+v, %v", got, err)
		}
		if len(u.Roles) != 0 {
			t.Errorf("the field Roles followed the claim: %q", u.Roles)
		}
		if err := u.Set("department", nil); err != nil {
			t.Fatal(err)
		}
		var left map[string]any
		if err := u.Claims(&left); err != nil || left["department"] != nil || left["limits"] == nil {
			t.Errorf("after nil: %v, %v", left, err)
		}
		if _, there := left["department"]; there {
			t.Error("nil does not remove the claim")
		}
		if err := u.Set("bad", make(chan int)); err == nil {
			t.Error("a channel was set")
		}
		own := &idserver.User{}
		if err := own.Set("x", 1); err != nil {
			t.Fatal(err)
		}
		// A copy that was made before is not changed with it.
		copied := *own
		if err := own.Set("x", 2); err != nil {
			t.Fatal(err)
		}
		var before struct {
			X int `json:"x"`
		}
		if err := copied.Claims(&before); err != nil || before.X != 1 {
			t.Errorf("the copy has %d, %v", before.X, err)
		}
	})
}

// AdmitUser keeps claims of the application's own, and cannot make another person of the user: who somebody is, is iss and sub.
func TestSetRefusesIdentity(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var faults []error
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(_ context.Context, u *idserver.User) error {
				for _, name := range []string{"iss", "sub", ""} {
					faults = append(faults, u.Set(name, "mallory"))
				}
				faults = append(faults, u.Set("function", func() {}))
				return u.Set("plan", "gold")
			}
		})
		b := w.signedIn(t, "alice")
		for i, err := range faults {
			if err == nil {
				t.Errorf("Set %d was taken", i)
			}
		}
		if len(faults) != 4 {
			t.Errorf("Set was tried %d times", len(faults))
		}
		u, _ := b.visit()
		claims := map[string]any{}
		if err := u.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		if u.Subject != aliceSubject || claims["sub"] != aliceSubject || claims["iss"] != w.provider.URL() || claims["plan"] != "gold" || claims["function"] != nil {
			t.Errorf("the user is %+v with the claims %v", u, claims)
		}
	})
}
