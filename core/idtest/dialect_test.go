package idtest_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

func TestDialectPaths(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.Dialect.Paths = map[idtest.Endpoint]string{
			idtest.Discovery: "/.well-known/openid-configuration", idtest.KeySet: "/keys",
			idtest.Authorization: "/authorize", idtest.Token: "/token",
		}
	})
	metadata := get(t, p, "/.well-known/openid-configuration").json(t)
	same(t, "token_endpoint", metadata["token_endpoint"], p.URL()+"/token")
	for _, name := range []string{"userinfo_endpoint", "revocation_endpoint", "end_session_endpoint"} {
		if value, ok := metadata[name]; ok {
			t.Errorf("%s is %v", name, value)
		}
	}
	equal(t, "the key set's status", get(t, p, "/keys").status, http.StatusOK)
	equal(t, "the status at a path that is gone", get(t, p, "/connect/userinfo").status, http.StatusNotFound)

	for name, paths := range map[string]map[idtest.Endpoint]string{
		"an unknown endpoint": {"tokens": "/token"}, "no slash": {idtest.Token: "token"}, "a pattern": {idtest.Token: "/{token}"},
		"not clean": {idtest.Token: "/a/../token"}, "empty": {idtest.Token: ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := idtest.Start(idtest.Options{Dialect: idtest.Dialect{Paths: paths}})
			if err == nil {
				p.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "Dialect.Paths") {
				t.Errorf("%v", err)
			}
		})
	}
}

// A dialect's functions run before a test's own.
func TestDialectEditsFirst(t *testing.T) {
	t.Parallel()
	mark := func(members map[string]any) { members["x"] = "dialect" }
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.Dialect.Metadata, o.Dialect.TokenResponse, o.Dialect.IDTokenClaims = mark, mark, mark
		o.Dialect.AuthorizationResponse = func(response url.Values) { response.Set("x", "dialect") }
		o.Dialect.UserInfo = func(idtest.Grant) (map[string]any, error) { return map[string]any{"x": "dialect"}, nil }
	})
	then := func(members map[string]any) { members["x"] = members["x"].(string) + ", test" }
	p.SetMetadata(then)
	p.SetTokenResponse(then)
	p.SetIDTokenClaims(then)
	p.SetUserInfo(then)
	p.SetAuthorizationResponse(func(response url.Values) { response.Set("x", response.Get("x")+", test") })

	const want = "dialect, test"
	same(t, "metadata", get(t, p, "/.well-known/openid-configuration").json(t)["x"], want)
	response := signIn(t, p, "alice")
	same(t, "the authorization response", response.Get("x"), want)
	members := post(t, p, "/connect/token", codeForm(response.Get("code"))).json(t)
	same(t, "the token response", members["x"], want)
	_, claims := decode(t, members["id_token"].(string))
	same(t, "the ID token", claims["x"], want)
	info := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+members["access_token"].(string))
	same(t, "userinfo", info.json(t)["x"], want)
}

func TestDialectTokens(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.Dialect.OpaqueAccessTokens, o.Dialect.NoRefreshTokens, o.Dialect.OpenIDOnly = true, true, true
	})
	members := tokens(t, p, "alice")
	token := members["access_token"].(string)
	if members["refresh_token"] != nil || strings.Contains(token, ".") {
		t.Errorf("tokens %v", members)
	}
	same(t, "a refresh", post(t, p, "/connect/token", refreshForm("x")).json(t)["error"], "unsupported_grant_type")
	same(t, "without openid", signIn(t, p, "alice", "scope", "email").Get("error"), "invalid_scope")
	equal(t, "the status of /dev/token", post(t, p, "/dev/token", url.Values{"user": {"alice"}}).status, http.StatusNotFound)

	info := func(token string) answer { return get(t, p, "/connect/userinfo", "Authorization", "Bearer "+token) }
	same(t, "userinfo", info(token).json(t)["email"], "alice@example.test")
	for name, token := range map[string]string{"made up": "x", "a JWT": p.MintAccessToken("alice")} {
		equal(t, "the status of a token that is "+name, info(token).status, http.StatusUnauthorized)
	}
	if p.Revoked(token) {
		t.Error("the token counts as revoked")
	}
	equal(t, "the status of the revocation", post(t, p, "/connect/revoke", codeForm("", "token", token)).status, http.StatusOK)
	a := info(token)
	if challenge := a.header.Get("WWW-Authenticate"); !p.Revoked(token) || !strings.Contains(challenge, "revoked") {
		t.Errorf("a revoked token: %d %v", a.status, a.header)
	}
	token = tokens(t, p, "alice")["access_token"].(string)
	p.Advance(15 * time.Minute)
	equal(t, "the status of an old token", info(token).status, http.StatusUnauthorized)
}

func TestDialectUserInfo(t *testing.T) {
	t.Parallel()
	seen := make(chan idtest.Grant, 1)
	p := idtest.NewProvider(t, func(o *idtest.Options) {
		o.Dialect.UserInfo = func(grant idtest.Grant) (map[string]any, error) {
			seen <- grant
			return nil, errors.New("no such luck")
		}
		o.Dialect.RefuseUserInfo = func(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusTeapot) }
	})
	alice := idtest.People()[0]
	a := get(t, p, "/connect/userinfo", "Authorization", "Bearer "+tokens(t, p, "alice")["access_token"].(string))
	if a.status != http.StatusInternalServerError || !strings.Contains(a.body, "no such luck") {
		t.Errorf("an error: %d %s", a.status, a.body)
	}
	equal(t, "the grant", <-seen, idtest.Grant{
		Login: "alice", Subject: alice.Subject, ClientID: idtest.ExampleClient, Scope: "openid profile email roles",
	})
	equal(t, "the status of a refusal", get(t, p, "/connect/userinfo").status, http.StatusTeapot)
	a = get(t, p, "/connect/userinfo", "Authorization", "DPoP unknown")
	if a.status != http.StatusTeapot || !strings.HasPrefix(a.body, "invalid_token:") {
		t.Errorf("the refusal of a bound token: %d %s", a.status, a.body)
	}
}
