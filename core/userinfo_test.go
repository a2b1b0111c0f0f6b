package idserver_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

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

// Where the signed-in user comes from: the ID token, then the access token, then userinfo, asked at most once.
func TestUserOfSignIn(t *testing.T) {
	idClaims := func(edit func(map[string]any)) func(*idtest.Provider) {
		return func(p *idtest.Provider) { p.SetIDTokenClaims(edit) }
	}
	accessClaims := func(edit func(map[string]any)) func(*idtest.Provider) {
		return func(p *idtest.Provider) { p.SetAccessTokenClaims(edit) }
	}
	opaque := func(p *idtest.Provider) {
		p.SetTokenResponse(func(r map[string]any) { r["access_token"] = "opaque" })
		p.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash") })
		p.Fail(idtest.UserInfo, idtest.Fault{Body: userInfoBody})
	}
	noAtHash := func(c map[string]any) { delete(c, "at_hash") }
	for name, row := range map[string]struct {
		change   func(*idtest.Provider)
		config   func(*idserver.Config)
		requests int // to userinfo
		roles    []string
		email    string
		name     string
	}{
		"a JWT with roles":       {func(*idtest.Provider) {}, nil, 0, []string{"admin", "user"}, "alice@example.test", "Alice Tan"},
		"a JWT with empty roles": {accessClaims(func(c map[string]any) { c["roles"] = []string{} }), nil, 0, nil, "alice@example.test", "Alice Tan"},
		"a JWT with roles null":  {accessClaims(func(c map[string]any) { c["roles"] = nil }), nil, 0, nil, "alice@example.test", "Alice Tan"},
		"a JWT without roles":    {accessClaims(func(c map[string]any) { delete(c, "roles") }), nil, 1, []string{"admin", "user"}, "alice@example.test", "Alice Tan"},
		"a JWT for another API":  {accessClaims(func(c map[string]any) { c["aud"], c["roles"] = "graph", []string{"of-graph"} }), nil, 1, []string{"admin", "user"}, "alice@example.test", "Alice Tan"},
		"opaque":                 {opaque, nil, 1, []string{"from-userinfo"}, "alice@example.test", "Alice Tan"},
		"opaque, a lean ID token": {func(p *idtest.Provider) {
			opaque(p)
			p.SetIDTokenClaims(func(c map[string]any) {
				for _, name := range []string{"at_hash", "email", "name", "given_name", "family_name"} {
					delete(c, name)
				}
			})
		}, nil, 1, []string{"from-userinfo"}, "info@example.test", "Alice Info"},
		"all in the ID token": {idClaims(func(c map[string]any) { c["roles"] = "from-id-token" }), nil, 0, []string{"from-id-token"}, "alice@example.test", "Alice Tan"},
		"the ID token goes before the access token": {func(p *idtest.Provider) {
			p.SetAccessTokenClaims(func(c map[string]any) { c["email"], c["name"] = "access@example.test", "Alice Access" })
		}, nil, 0, []string{"admin", "user"}, "alice@example.test", "Alice Tan"},
		"the access token goes before userinfo": {func(p *idtest.Provider) {
			p.SetIDTokenClaims(func(c map[string]any) { delete(c, "email"); delete(c, "name") })
			p.SetAccessTokenClaims(func(c map[string]any) {
				delete(c, "roles")
				c["email"], c["name"] = "access@example.test", "Alice Access"
			})
		}, nil, 1, []string{"admin", "user"}, "access@example.test", "Alice Access"},
		"the access token of another subject": {func(p *idtest.Provider) {
			p.SetIDTokenClaims(noAtHash)
			p.SetTokenResponse(func(r map[string]any) { r["access_token"] = p.MintAccessToken("bob") })
			p.Fail(idtest.UserInfo, idtest.Fault{Body: userInfoBody})
		}, nil, 1, []string{"from-userinfo"}, "alice@example.test", "Alice Tan"},
		"no userinfo endpoint": {func(p *idtest.Provider) {
			p.SetMetadata(func(m map[string]any) { delete(m, "userinfo_endpoint") })
			p.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
		}, nil, 0, nil, "alice@example.test", "Alice Tan"},
		"userinfo must not be asked": {accessClaims(func(c map[string]any) { delete(c, "roles") }),
			func(c *idserver.Config) { c.Provider.NoUserInfo = true }, 0, nil, "alice@example.test", "Alice Tan"},
		"userinfo lacks them too": {func(p *idtest.Provider) {
			opaque(p)
			p.Fail(idtest.UserInfo, idtest.Fault{Body: `{"sub":"` + aliceSubject + `"}`})
		}, nil, 1, nil, "alice@example.test", "Alice Tan"},
		"roles elsewhere": {accessClaims(func(c map[string]any) { c["realm_access"] = map[string]any{"roles": []string{"nested"}} }),
			func(c *idserver.Config) { c.RolesClaim = []string{"realm_access/roles"} }, 0, []string{"nested"}, "alice@example.test", "Alice Tan"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			row.change(w.provider)
			client := w.Client
			if row.config != nil {
				client = w.client(t, row.config)
			}
			_, tokens := signInByHand(t, w, client, "alice")
			u := tokens.User
			if n := w.provider.Requests(idtest.UserInfo); n != row.requests {
				t.Errorf("userinfo was asked %d times, want %d", n, row.requests)
			}
			if u.Subject != aliceSubject || u.Issuer != w.provider.URL() || u.Email != row.email || u.Name != row.name || !slices.Equal(u.Roles, row.roles) {
				t.Errorf("the user is %+v", u)
			}
			claims := map[string]any{}
			if err := u.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"exp", "iat", "aud", "nonce", "at_hash", "jti", "scope", "client_id", "azp"} {
				if _, ok := claims[name]; ok {
					t.Errorf("the user has the claim %s, which is the token's", name)
				}
			}
		}))
	}
}

// A userinfo answer is good only for the subject of the ID token; otherwise nobody is signed in.
func TestUserInfoRefused(t *testing.T) {
	for name, row := range map[string]struct {
		fault  idtest.Fault
		status int
		text   string
		passes bool
	}{
		"another sub":       {idtest.Fault{Body: `{"sub":"bob","roles":["admin"]}`}, 200, "its sub is not", false},
		"sub in other case": {idtest.Fault{Body: `{"sub":"` + strings.ToUpper(aliceSubject) + `"}`}, 200, "its sub is not", false},
		"sub empty":         {idtest.Fault{Body: `{"sub":""}`}, 200, "its sub is not", false},
		"sub an array":      {idtest.Fault{Body: `{"sub":["` + aliceSubject + `"]}`}, 200, "its sub is not", false},
		"sub twice":         {idtest.Fault{Body: `{"sub":"bob","sub":"` + aliceSubject + `"}`}, 200, "twice", true},
		"no JSON":           {idtest.Fault{Body: `sub=alice`}, 200, "neither a JSON object nor a JWT", true},
		"cut":               {idtest.Fault{Body: `{"sub":"` + aliceSubject}, 200, "JSON", true},
		"HTML":              {idtest.Fault{HTML: true}, 200, "HTML", true},
		"429":               {idtest.Fault{Status: 429}, 429, "", true},
		"500":               {idtest.Fault{}, 500, "", true},
		"endless":           {idtest.Fault{Endless: true}, 0, "longer than", true},
		"a bomb":            {idtest.Fault{GzipBomb: true}, 0, "longer than", true},
		"drop":              {idtest.Fault{Drop: true}, 0, "", true},
		"hang":              {idtest.Fault{Hang: true}, 0, "no whole answer", true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := w.Client
			w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
			w.provider.Fail(idtest.UserInfo, row.fault)
			r, code := authorizedCode(t, w, client, "alice")
			tokens, err := client.ExchangeCode(t.Context(), code, r)
			var e *idserver.UserInfoError
			if !errors.As(err, &e) || !errors.Is(err, idserver.ErrUserInfo) || e.Status != row.status || errors.Is(err, idserver.ErrUnavailable) != row.passes {
				t.Fatalf("got %v, want a UserInfoError of status %d", err, row.status)
			}
			if tokens.User != nil {
				t.Errorf("a user came with the refusal: %+v", tokens.User)
			}
			if !strings.Contains(err.Error(), row.text) || leaks(err.Error()+w.log.String(), tokens.AccessToken, tokens.IDToken, tokens.RefreshToken, code) != "" {
				t.Errorf("the error is %q", err)
			}
			if row.status == 429 && e.RetryAfter != 30*time.Second {
				t.Errorf("Retry-After is %v", e.RetryAfter)
			}

			if u, err := client.UserInfo(t.Context(), tokens.AccessToken, aliceSubject); u != nil || !errors.As(err, &e) || e.Status != row.status {
				t.Errorf("UserInfo: %v, %v", u, err)
			}
		}))
	}
}

func TestUserInfoByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		w.provider.SetUserInfo(func(c map[string]any) { c["iss"] = "https://evil.example" })
		u, err := w.UserInfo(t.Context(), tokens.AccessToken, aliceSubject)
		if err != nil {
			t.Fatal(err)
		}
		if u.Issuer != w.provider.URL() {
			t.Errorf("the issuer is %q: an answer may not choose it", u.Issuer)
		}
		for _, subject := range []string{"", "bob", aliceSubject + " "} {
			if u, err := w.UserInfo(t.Context(), tokens.AccessToken, subject); err == nil {
				t.Errorf("for the subject %q there is %+v", subject, u)
			}
		}
		w.provider.SetUserInfo(func(c map[string]any) { delete(c, "sub") })
		if u, err := w.UserInfo(t.Context(), tokens.AccessToken, ""); err == nil {
			t.Errorf("of nobody, for nobody, there is %+v", u)
		}
		var e *idserver.UserInfoError
		_, err = w.UserInfo(t.Context(), "no-token-of-this-provider", aliceSubject)
		if !errors.As(err, &e) || e.Status != 401 || errors.Is(err, idserver.ErrUnavailable) || strings.Contains(err.Error(), "no-token-of") {
			t.Errorf("a token that the provider refuses: %v", err)
		}
	})
}

// With NoUserInfo, neither a sign-in nor a refresh asks userinfo; who calls UserInfo does.
func TestNoUserInfo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") })
		client := w.client(t, func(c *idserver.Config) { c.Provider.NoUserInfo = true })
		_, tokens := signInByHand(t, w, client, "alice")
		tokens, err := client.RefreshToken(t.Context(), tokens)
		if err != nil || len(tokens.User.Roles) != 0 {
			t.Errorf("refreshed: %+v, %v", tokens, err)
		}
		if n := w.provider.Requests(idtest.UserInfo); n != 0 {
			t.Errorf("userinfo was asked %d times", n)
		}
		if u, err := client.UserInfo(t.Context(), tokens.AccessToken, aliceSubject); err != nil || !u.HasRole("admin") {
			t.Errorf("by hand: %+v, %v", u, err)
		}
	})
}

// Userinfo that is signed, or signed and encrypted, as a client is registered; and large: what people share has 20 kB and more.
func TestUserInfoOfKeys(t *testing.T) {
	for name, row := range map[string]struct {
		client idtest.Client
		size   int
		text   string // what the error says; "": it is accepted
	}{
		"signed":               {idtest.Client{UserInfoSigned: true}, 0, ""},
		"signed, of 100 kB":    {idtest.Client{UserInfoSigned: true}, 100 << 10, ""},
		"signed, of 300 kB":    {idtest.Client{UserInfoSigned: true}, 300 << 10, "longer than"},
		"encrypted":            {idtest.Client{UserInfoEncryption: "A256GCM"}, 0, ""},
		"encrypted, of 100 kB": {idtest.Client{UserInfoEncryption: "A256CBC-HS512"}, 100 << 10, ""},
		"encrypted, of 300 kB": {idtest.Client{UserInfoEncryption: "A256GCM"}, 300 << 10, "not decrypted"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := withKeys(t, w, []idserver.ClientKey{{Private: signP256()}, {Private: openP256(), Use: "enc"}})
			row.client.ID, row.client.JWKS, row.client.AnyLoopbackRedirect, row.client.IDTokenEncryption = idtest.ExampleClient, client.PublicKeys(), true, "A128GCM"
			w.provider.AddClient(row.client)
			_, tokens := signInByHand(t, w, client, "alice")
			w.provider.SetUserInfo(func(c map[string]any) { c["large"] = strings.Repeat("x", row.size) })
			u, err := client.UserInfo(t.Context(), tokens.AccessToken, aliceSubject)
			if row.text == "" && (err != nil || u.Email != "alice@example.test") {
				t.Errorf("%v, %v", u, err)
			}
			if row.text != "" && (!errors.Is(err, idserver.ErrUserInfo) || !strings.Contains(err.Error(), row.text)) {
				t.Errorf("the error is %v, want one with %q", err, row.text)
			}
		}))
	}
}

// Encrypted userinfo that is not for this application proves nothing, and a KMS that is away is no verdict.
func TestEncryptedUserInfoRefused(t *testing.T) {
	away := errors.New("away")
	for name, row := range map[string]struct {
		keys   []idserver.ClientKey
		text   string
		passes bool
	}{
		"no key that decrypts": {[]idserver.ClientKey{{Private: signP256()}}, "IDSERVER_CLIENT_KEYS", false},
		"another key":          {[]idserver.ClientKey{{Private: signP256()}, {Private: openP521(), Use: "enc"}}, "kid", false},
		"a key that is away":   {[]idserver.ClientKey{{Private: signP256()}, {ID: "e1", Private: agrees{mustKey(openP256().ECDH()), away}, Use: "enc"}}, "did not do its work", true},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			withEnc := w.client(t, func(c *idserver.Config) {
				c.ClientSecret, c.ClientKeys = "", []idserver.ClientKey{{Private: signP256()}, {ID: "e1", Private: openP256(), Use: "enc"}}
			})
			w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: withEnc.PublicKeys(), UserInfoEncryption: "A256GCM", IDTokenEncryption: "A256GCM", AnyLoopbackRedirect: true})
			_, tokens := signInByHand(t, w, withEnc, "alice")
			client := w.client(t, func(c *idserver.Config) { c.ClientSecret, c.ClientKeys = "", row.keys })
			u, err := client.UserInfo(t.Context(), tokens.AccessToken, aliceSubject)
			if u != nil || !errors.Is(err, idserver.ErrUserInfo) || errors.Is(err, idserver.ErrUnavailable) != row.passes || !strings.Contains(err.Error(), row.text) {
				t.Errorf("%v, %v", u, err)
			}
		}))
	}
}

// The code of a refusal is told.
func TestUserInfoErrorCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Fail(idtest.UserInfo, idtest.Fault{Status: 502, OAuthError: "upstream_dependency_error"})
		var refused *idserver.UserInfoError
		if _, err := w.UserInfo(t.Context(), w.provider.MintAccessToken("alice"), aliceSubject); !errors.As(err, &refused) || refused.Code != "upstream_dependency_error" || !errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

// The sub of userinfo may be the client's ID only where that is set, and only in an answer that is signed for the client.
func TestUserInfoOfClient(t *testing.T) {
	for name, row := range map[string]struct {
		set, signed bool
		sub         string
		ok          bool
	}{
		"the user's":                     {true, true, aliceSubject, true},
		"the user's, not signed":         {true, false, aliceSubject, true},
		"the client's":                   {true, true, idtest.ExampleClient, true},
		"the client's, not signed":       {true, false, idtest.ExampleClient, false},
		"the client's, and it is not so": {false, true, idtest.ExampleClient, false},
		"another's":                      {true, true, "another", false},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := w.client(t, func(c *idserver.Config) { c.Provider.UserInfoOfClient, c.Provider.NoUserInfo = row.set, true })
			w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, Secret: idtest.ExampleSecret, UserInfoSigned: row.signed, AnyLoopbackRedirect: true})
			w.provider.SetUserInfo(func(claims map[string]any) {
				claims["sub"] = row.sub
				if !row.signed { // as if that made it an answer for the client
					claims["aud"] = idtest.ExampleClient
				}
			})
			_, tokens := signInByHand(t, w, client, "alice")
			user, err := client.UserInfoOf(t.Context(), tokens)
			if ok := err == nil && user.Email != ""; ok != row.ok || !ok && !errors.Is(err, idserver.ReasonSubject) {
				t.Errorf("got %v, %v", user, err)
			}
		}))
	}
}
