package idserver_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
)

type key struct{}

// A guard behind another one of the same client takes the user whom that one found, and gives the same answer: an application may put the
// two together and return the last one's, and middleware between them may have changed what the first one wrote.
func TestGuardBehindAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(cfg *idserver.Config) { cfg.TrustedOrigins = []string{"https://shop.example"} })
		b := w.signedIn(t, "alice")
		own := b.request("GET", "/x", []edit{navigates})
		w.clock.advance(7 * time.Minute) // the first guard writes the cookie again
		for name, r := range map[string]idserver.Request{
			"a session": own,
			"a token":   {Method: "GET", Header: http.Header{"Authorization": {"Bearer " + w.provider.MintAccessToken("alice")}}},
			"a token of a trusted origin's page": {
				Method: "POST", Header: http.Header{
					"Authorization": {"Bearer " + w.provider.MintAccessToken("alice")}, "Origin": {"https://shop.example"}, "Sec-Fetch-Site": {"cross-site"},
				},
			},
		} {
			for first, guard := range map[string]idserver.Guard{"LoadUser": w.LoadUser(), "RequireUser": w.RequireUser()} {
				ctx, before := guard(t.Context(), r)
				if user := idserver.UserFrom(ctx); before.Ends() || user == nil {
					t.Fatalf("%s by %s: %d %s", first, name, before.Status, before.Body)
				}
				for second, guard := range map[string]idserver.Guard{"LoadUser": w.LoadUser(), "RequireUser": w.RequireUser(), "RequireRole": w.RequireRole("admin")} {
					next, a := guard(ctx, r)
					if next != ctx || a.Ends() || !slices.Equal(a.Set, before.Set) || !slices.Equal(a.Add, before.Add) {
						t.Errorf("%s behind %s by %s: another context, or another answer: %v %v, want %v %v", second, first, name, a.Set, a.Add, before.Set, before.Add)
					}
				}
				next, a := w.RequireRole("editor")(context.WithValue(ctx, key{}, "of a middleware between them"), r)
				if a.Status != 403 || code(t, a) != idserver.CodeInsufficientRole || field(a, "Set-Cookie") != field(before, "Set-Cookie") || idserver.UserFrom(next) == nil {
					t.Errorf("a role that she does not have, behind %s by %s: %d %s", first, name, a.Status, a.Body)
				}
				h := http.Header{"Vary": {"Accept-Encoding"}, "Set-Cookie": {"a=b"}}
				before.WriteHeader(h)
				once := h.Clone()
				before.WriteHeader(h)
				if a.WriteHeader(h); len(h["Vary"]) != len(once["Vary"]) || !slices.Equal(h["Set-Cookie"], once["Set-Cookie"]) {
					t.Errorf("written once more, it is %v, and was %v", h, once)
				}
			}
		}
	})
}

// A handler that lasts, and asks a guard again with the context that it was given, is told what is true then.
func TestUserContextIsBoundToItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		token := w.provider.MintAccessToken("alice")
		bySession, byToken := b.request("GET", "/x", []edit{fetches}), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}}
		again := func(r idserver.Request, happens func()) int {
			ctx, a := w.RequireUser()(t.Context(), r)
			if a.Ends() {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			happens()
			_, a = w.RequireRole("admin")(ctx, r)
			return a.Status
		}
		if status := again(byToken, func() { w.clock.advance(time.Second) }); status != 0 {
			t.Errorf("a second later: %d", status)
		}
		if status := again(byToken, func() { w.clock.advance(-time.Second) }); status != 0 {
			t.Errorf("the clock was set back: %d", status)
		}
		if status := again(byToken, func() { w.clock.advance(-time.Hour) }); status != 401 {
			t.Errorf("the clock was set back by an hour, before the token was made: %d", status)
		}
		w.clock.advance(time.Hour)
		if status := again(bySession, func() { w.clock.advance(61 * time.Minute) }); status != 401 {
			t.Errorf("the session is over: %d", status)
		}
		token = w.provider.MintAccessToken("alice")
		byToken.Header.(http.Header)["Authorization"] = []string{"Bearer " + token}
		if status := again(byToken, func() { w.clock.advance(time.Hour) }); status != 401 {
			t.Errorf("the token is over: %d", status)
		}
		token = w.provider.MintAccessToken("alice")
		byToken.Header.(http.Header)["Authorization"] = []string{"Bearer " + token}
		if status := again(byToken, func() {
			if err := w.RevokeToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}); status != 401 {
			t.Errorf("the token was revoked: %d", status)
		}
	})
}

// Behind a guard, LoadUser leaves nobody in the context where it finds nobody.
func TestLoadUserForgetsWhomItDoesNotFind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		token := w.provider.MintAccessToken("alice")
		bySession, byToken := b.request("GET", "/x", []edit{fetches}), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}}
		ctx, _ := w.RequireUser()(t.Context(), byToken)
		crossSite := bySession
		crossSite.Header = bySession.Header.(http.Header).Clone()
		crossSite.Method = "POST"
		send(&crossSite, "Sec-Fetch-Site", "cross-site")
		for name, r := range map[string]idserver.Request{"no credentials": {Method: "GET"}, "bad ones": {Method: "GET", Header: http.Header{"Authorization": {"Bearer x"}}}, "another site": crossSite} {
			next, a := w.LoadUser()(context.WithValue(ctx, key{}, "kept"), r)
			if a.Ends() || idserver.UserFrom(next) != nil || idserver.AccessTokenFrom(next) != "" || next.Value(key{}) != "kept" {
				t.Errorf("%s: %v", name, idserver.UserFrom(next))
			}
			if _, a := w.RequireUser()(next, byToken); a.Ends() {
				t.Errorf("%s: and then with good ones: %d", name, a.Status)
			}
		}
		if err := w.RevokeToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if next, _ := w.LoadUser()(ctx, byToken); idserver.UserFrom(next) != nil {
			t.Error("a token that was revoked meanwhile leaves its user")
		}
		own := &idserver.User{Subject: "robot"}
		if next, _ := w.LoadUser()(idserver.WithUser(t.Context(), own), idserver.Request{Method: "GET"}); idserver.UserFrom(next) != own {
			t.Error("the user of an application's own guard is forgotten")
		}
		other := w.client(t, func(cfg *idserver.Config) { cfg.Audience = "another-api" })
		ctx, _ = w.RequireUser()(t.Context(), bySession)
		if next, _ := other.LoadUser()(ctx, idserver.Request{Method: "GET"}); idserver.UserFrom(next) == nil {
			t.Error("the user of another client's guard is forgotten")
		}
	})
}

// A context that holds a user opens nothing to a request that has not the credentials by which that user was found.
func TestUserContextIsBoundToItsRequest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		alice, bob := w.signedIn(t, "alice"), w.signedIn(t, "bob")
		token := "Bearer " + w.provider.MintAccessToken("alice")
		bySession := alice.request("GET", "/x", []edit{fetches})
		byToken := idserver.Request{Method: "GET", Header: http.Header{"Authorization": {token}}}
		other := w.client(t, func(cfg *idserver.Config) { cfg.Audience = "another-api" })
		admitted := func(client *idserver.Client, r idserver.Request) context.Context {
			ctx, a := client.RequireUser()(t.Context(), r)
			if a.Ends() {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			return ctx
		}
		with := func(r idserver.Request, change edit) idserver.Request {
			r.Header = r.Header.(http.Header).Clone()
			change(&r)
			return r
		}
		for name, row := range map[string]struct {
			ctx  context.Context
			r    idserver.Request
			code idserver.RefusalCode // "": bob is let in
		}{
			"nobody, behind a session":            {admitted(w.Client, bySession), idserver.Request{Method: "GET"}, idserver.CodeNotSignedIn},
			"nobody, behind a token":              {admitted(w.Client, byToken), idserver.Request{Method: "GET"}, idserver.CodeNotSignedIn},
			"another session":                     {admitted(w.Client, bySession), bob.request("GET", "/x", []edit{fetches}), ""},
			"another token":                       {admitted(w.Client, byToken), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + w.provider.MintAccessToken("bob")}}}, ""},
			"a bad token":                         {admitted(w.Client, byToken), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {token + "x"}}}, idserver.CodeInvalidToken},
			"the token twice":                     {admitted(w.Client, byToken), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {token, token}}}, idserver.CodeInvalidRequest},
			"a bad token beside the session":      {admitted(w.Client, bySession), with(bySession, func(r *idserver.Request) { r.Header.(http.Header)["Authorization"] = []string{"Bearer x"} }), idserver.CodeInvalidToken},
			"the session's cookies as a token":    {admitted(w.Client, bySession), idserver.Request{Method: "GET", Header: http.Header{"Authorization": bySession.Header.(http.Header)["Cookie"]}}, idserver.CodeNotSignedIn},
			"the token as a cookie":               {admitted(w.Client, byToken), idserver.Request{Method: "GET", Header: http.Header{"Cookie": {token}}}, idserver.CodeNotSignedIn},
			"the session, from another site":      {admitted(w.Client, bySession), with(bySession, func(r *idserver.Request) { r.Method = "POST"; send(r, "Sec-Fetch-Site", "cross-site") }), idserver.CodeCrossSite},
			"the token, behind another client":    {admitted(other, idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + w.provider.MintAccessToken("alice", func(claims map[string]any) { claims["aud"] = "another-api" })}}}), idserver.Request{Method: "GET"}, idserver.CodeNotSignedIn},
			"nobody, behind a guard of one's own": {idserver.WithUser(t.Context(), &idserver.User{Subject: "x", Roles: []string{"user"}}), idserver.Request{Method: "GET"}, idserver.CodeNotSignedIn},
			"the session's cookies and another": {admitted(w.Client, bySession), with(bob.request("GET", "/x", []edit{fetches}), func(r *idserver.Request) {
				r.Header.(http.Header)["Cookie"] = append([]string{"a=b"}, r.Header.(http.Header)["Cookie"]...)
			}), ""},
			"nobody, behind a session in 2 lines": {admitted(w.Client, with(bySession, func(r *idserver.Request) {
				r.Header.(http.Header)["Cookie"] = append([]string{"a=b"}, r.Header.(http.Header)["Cookie"]...)
			})), idserver.Request{Method: "GET", Header: http.Header{"Cookie": {""}}}, idserver.CodeNotSignedIn},
			"nobody, with an empty Authorization": {admitted(w.Client, with(bySession, func(r *idserver.Request) {
				r.Header.(http.Header)["Cookie"] = append([]string{"a=b"}, r.Header.(http.Header)["Cookie"]...)
			})), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {""}}}, idserver.CodeNotSignedIn},
			"the token of another client's guards": {admitted(w.Client, byToken), byToken, ""},
		} {
			client := w.Client
			if name == "the token of another client's guards" {
				client, row.code = other, idserver.CodeInvalidToken
			}
			for kind, guard := range map[string]idserver.Guard{"RequireUser": client.RequireUser(), "RequireRole": client.RequireRole("user", "editor")} {
				ctx, a := guard(row.ctx, row.r)
				switch {
				case row.code != "" && (!a.Ends() || code(t, a) != row.code):
					t.Errorf("%s, %s: %d %s, want %s", name, kind, a.Status, a.Body, row.code)
				case row.code == "" && (a.Ends() || idserver.UserFrom(ctx).Email != "bob@example.test"):
					t.Errorf("%s, %s: %d %s %v", name, kind, a.Status, a.Body, idserver.UserFrom(ctx))
				}
			}
		}
	})
}

// bag is a context that cannot be compared.
type bag struct {
	context.Context
	values map[string]int
}

// A log that prints a request's context, or its user, prints no token and no cookie.
func TestUserContextPrintsNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		ctx, _ := w.RequireUser()(t.Context(), idserver.Request{Method: "GET", Header: http.Header{"Authorization": {"Bearer " + token}}})
		within, cancel := context.WithCancel(context.WithValue(ctx, key{}, "value"))
		defer cancel()
		user := idserver.UserFrom(ctx)
		for name, c := range map[string]any{"the context": ctx, "one behind": within, "the user": user, "the user's value": *user} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
				if text := fmt.Sprintf(verb, c); strings.Contains(text, token[:20]) || strings.Contains(text, fmt.Sprint([]byte(token[:20]))[1:40]) || strings.Contains(text, user.Email) {
					t.Errorf("%s of %s prints %s", verb, name, text)
				}
			}
		}
		if fmt.Sprint(ctx) != fmt.Sprint(t.Context())+".WithUser" {
			t.Errorf("it prints %s", fmt.Sprint(ctx))
		}
		if text := fmt.Sprint(idserver.WithUser(&bag{t.Context(), map[string]int{"secret": 4711}}, nil)); text != "*idserver_test.bag.WithUser" {
			t.Errorf("in a context that does not print itself, it prints %s", text)
		}
		if idserver.UserFrom(within) == nil || idserver.AccessTokenFrom(within) != token || within.Value(key{}) != "value" {
			t.Error("a context that is derived from it does not hold what is in it")
		}
		cancel()
		if within.Err() == nil || ctx.Err() != nil {
			t.Error("cancelling it does not work as with any context")
		}
	})
}

// Only a guard that has nothing to add says so: an adapter then copies no request.
func TestSameContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn(t, "alice")
		alice, nobody := b.request("GET", "/x", []edit{fetches}), idserver.Request{Method: "GET"}
		first, a := w.RequireUser()(t.Context(), alice)
		if a.SameContext {
			t.Error("the user is in a context of its own")
		}
		for name, row := range map[string]struct {
			guard idserver.Guard
			ctx   context.Context
			r     idserver.Request
			want  bool
		}{
			"behind the first":               {w.RequireRole("admin"), first, alice, true},
			"LoadUser behind the first":      {w.LoadUser(), first, alice, true},
			"LoadUser, and there is nobody":  {w.LoadUser(), t.Context(), nobody, true},
			"LoadUser, and there is a user":  {w.LoadUser(), t.Context(), alice, false},
			"LoadUser, and she is forgotten": {w.LoadUser(), first, nobody, false},
			"a refusal":                      {w.RequireUser(), t.Context(), nobody, true},
		} {
			if ctx, a := row.guard(row.ctx, row.r); a.SameContext != row.want || (ctx == row.ctx) != row.want {
				t.Errorf("%s: SameContext is %v, want %v", name, a.SameContext, row.want)
			}
		}
	})
}

// The session's other tokens are found in the context of a session, and nowhere else.
func TestSessionTokensFrom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var admitting []string
		w := newWorld(t, func(c *idserver.Config) {
			c.AdmitUser = func(ctx context.Context, _ *idserver.User) error {
				idToken, refreshToken := idserver.SessionTokensFrom(ctx)
				admitting = append(admitting, idToken+refreshToken)
				return nil
			}
		})
		b := w.signedIn(t, "alice")
		visit := func(edits ...edit) (idToken, refreshToken string) {
			ctx, _ := b.pass(w.RequireUser(), "GET", "/", edits...)
			return idserver.SessionTokensFrom(ctx)
		}
		idToken, refreshToken := visit()
		user, err := w.ValidateIDToken(t.Context(), idToken, idserver.IDTokenCheck{Subject: aliceSubject, AccessToken: second(b.visit())})
		if err != nil || user.Subject != aliceSubject || refreshToken == "" {
			t.Errorf("the session's ID token is of %v, %v; a refresh token: %t", user, err, refreshToken != "")
		}
		ctx, _ := b.pass(w.RequireUser(), "GET", "/")
		ctx, _ = w.RequireUser()(ctx, b.request("GET", "/", nil))
		if again, _ := idserver.SessionTokensFrom(ctx); again != idToken {
			t.Error("a guard behind another loses the ID token")
		}
		w.clock.advance(14*time.Minute + 30*time.Second)
		if _, next := visit(); next == "" || next == refreshToken {
			t.Errorf("after a refresh there is a refresh token: %t, the old one: %t", next != "", next == refreshToken)
		}
		if idToken, refreshToken := visit(bearer(w.provider.MintAccessToken("alice"))); idToken+refreshToken != "" {
			t.Error("a bearer token is given the session's tokens")
		}
		for name, ctx := range map[string]context.Context{"no guard": t.Context(), "WithUser": idserver.WithUser(t.Context(), user)} {
			if idToken, refreshToken := idserver.SessionTokensFrom(ctx); idToken+refreshToken != "" {
				t.Errorf("%s: there are tokens", name)
			}
		}
		if len(admitting) != 2 || admitting[0]+admitting[1] != "" {
			t.Errorf("AdmitUser finds tokens: %d calls", len(admitting))
		}
	})
}

func TestUserContext(t *testing.T) {
	u := &idserver.User{Subject: "alice"}
	ctx := idserver.WithUser(t.Context(), u)
	if idserver.UserFrom(ctx) != u || idserver.AccessTokenFrom(ctx) != "" {
		t.Error("the user is not found")
	}
	if idserver.UserFrom(t.Context()) != nil || idserver.AccessTokenFrom(t.Context()) != "" {
		t.Error("a user is found where none is")
	}
	if idserver.UserFrom(idserver.WithUser(ctx, nil)) != nil {
		t.Error("nobody is somebody")
	}
}
