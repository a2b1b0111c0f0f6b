package idserver_test

import (
	"strings"
	"testing"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// Roles do not vanish silently: that an access token is not used, and what to set, is said once. So is what is odd about
// claims that are used.
func TestWarningsOfTokens(t *testing.T) {
	access := func(edit func(c map[string]any)) func(*world) {
		return func(w *world) { w.provider.SetAccessTokenClaims(edit) }
	}
	response := func(accessToken string) func(*world) {
		return func(w *world) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash") })
			w.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = accessToken })
		}
	}
	nothing := func(*idserver.Config) {}
	for name, row := range map[string]struct {
		config func(*idserver.Config)
		change func(*world)
		want   string // "": no warning
		advice string
	}{
		"none":             {nothing, func(*world) {}, "", ""},
		"another audience": {nothing, access(func(c map[string]any) { c["aud"] = "another-api" }), "access token is not used", "IDSERVER_AUDIENCE"},
		"another issuer":   {nothing, access(func(c map[string]any) { c["iss"] = "https://sts.example/" }), "access token is not used", "AccessTokenIssuer"},
		"no audience":      {nothing, access(func(c map[string]any) { delete(c, "aud") }), "access token is not used", "AccessTokenClients"},
		"of another":       {nothing, access(func(c map[string]any) { c["sub"] = "mallory" }), "access token is not used", "another subject"},
		"opaque":           {nothing, response("opaque"), "access token is not used", "it is opaque"},
		"encrypted":        {nothing, response("a.b.c.d.e"), "access token is not used", "five parts"},
		"over the size":    {nothing, response(strings.Repeat("x", 70_000)), "access token is not used", "more than"},
		"opaque, and the ID token has the roles": {nothing, func(w *world) {
			w.provider.SetTokenResponse(func(r map[string]any) { r["access_token"] = "opaque" })
			w.provider.SetIDTokenClaims(func(c map[string]any) { delete(c, "at_hash"); c["roles"] = []string{"admin"} })
		}, "", ""},
		"opaque, and nobody wants roles": {func(c *idserver.Config) { c.Scopes = []string{"openid"} }, response("opaque"), "", ""},
		"roles that are a number":        {nothing, access(func(c map[string]any) { c["roles"] = 7 }), "roles in RolesClaim are not understood", "neither text"},
		"roles with a comma":             {nothing, access(func(c map[string]any) { c["roles"] = "admin,user" }), "roles in RolesClaim are not understood", "RolesSeparator"},
		"roles with a comma, as is set": {func(c *idserver.Config) { c.Provider.RolesSeparator = "," },
			access(func(c map[string]any) { c["roles"] = "admin,user" }), "", ""},
		"roles in userinfo": {nothing, func(w *world) {
			access(func(c map[string]any) { delete(c, "roles") })(w)
			w.provider.SetUserInfo(func(c map[string]any) { c["roles"] = map[string]any{"admin": "yes"} })
		}, "roles in RolesClaim are not understood", "member"},
		"groups that are too many": {nothing, func(w *world) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["_claim_names"] = map[string]any{"groups": "src1"} })
		}, "_claim_names", "app roles"},
		"an odd claim": {nothing, func(w *world) {
			w.provider.SetIDTokenClaims(func(c map[string]any) { c["auth_time"] = "yesterday" })
		}, "a claim of a wrong type is ignored", "auth_time"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t, row.config)
			row.change(w)
			for range 3 {
				w.signedIn(t, "alice")
			}
			warnings := 0
			for line := range strings.Lines(w.log.String()) {
				if !strings.Contains(line, "level=WARN") || strings.Contains(line, "userinfo does not tell more") {
					continue
				}
				if warnings++; row.want == "" || !strings.Contains(line, row.want) || !strings.Contains(line, row.advice) {
					t.Errorf("the warning is %s", line)
				}
			}
			if want := min(len(row.want), 1); warnings != want {
				t.Errorf("%d warnings, want %d: %s", warnings, want, w.log)
			}
		}))
	}
	t.Run("of bearer tokens", inBubble(func(t *testing.T) {
		w := newWorld(t)
		for range 3 {
			token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["roles"], c["hasgroups"], c["iat"] = true, true, "now" })
			if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 3 {
			t.Errorf("%d warnings: %s", n, w.log)
		}
	}))
}

// Access tokens of another issuer (Entra, AD FS) and without aud (Cognito) are accepted by a setting each, and no further.
func TestOtherAccessTokens(t *testing.T) {
	const sts = "http://adfs.example/adfs/services/trust"
	issuer := func(c *idserver.Config) { c.Provider.AccessTokenIssuer = sts }
	clients := func(c *idserver.Config) { c.Provider.AccessTokenClients = []string{"app-1", idtest.ExampleClient} }
	nothing := func(*idserver.Config) {}
	cognito := all(claim("aud", nil), claim("token_use", "access"), header("typ", nil))
	for name, row := range map[string]struct {
		config func(*idserver.Config)
		edit   func(*idToken)
		check  idserver.AccessTokenCheck
		reason idserver.Reason // "": accepted
	}{
		"the other issuer":              {issuer, claim("iss", sts), idserver.AccessTokenCheck{}, ""},
		"the other issuer, not set":     {nothing, claim("iss", sts), idserver.AccessTokenCheck{}, idserver.ReasonIssuer},
		"the provider's own":            {issuer, func(*idToken) {}, idserver.AccessTokenCheck{}, idserver.ReasonIssuer},
		"the other issuer with a slash": {issuer, claim("iss", sts+"/"), idserver.AccessTokenCheck{}, idserver.ReasonIssuer},
		"the other issuer for another":  {issuer, all(claim("iss", sts), claim("aud", "another")), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud":                        {clients, cognito, idserver.AccessTokenCheck{}, ""},
		"no aud, not set":               {nothing, cognito, idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud, another client":        {clients, all(cognito, claim("client_id", "another")), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud, no client":             {clients, all(cognito, claim("client_id", nil)), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud, an ID token":           {clients, all(cognito, claim("token_use", "id")), idserver.AccessTokenCheck{}, idserver.ReasonType},
		"no aud, of no kind":            {clients, all(cognito, claim("token_use", nil)), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud, an empty one":          {clients, all(cognito, claim("aud", []string{})), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
		"no aud, another is asked for":  {clients, cognito, idserver.AccessTokenCheck{Audience: "other-api"}, idserver.ReasonAudience},
		"an aud all the same":           {clients, claim("aud", "another"), idserver.AccessTokenCheck{}, idserver.ReasonAudience},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, row.config)
			i := newAccessToken(w)
			row.edit(i)
			for range 2 { // the second time from memory
				u, err := w.ValidateAccessToken(t.Context(), i.token(), row.check)
				if row.reason != "" {
					refused(t, err, row.reason)
					continue
				}
				if err != nil || u.Issuer != i.claims["iss"] {
					t.Fatalf("got %+v, %v", u, err)
				}
			}
		})
	}
}
