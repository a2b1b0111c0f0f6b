package sgidtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := sgidtest.NewProvider(t, func(o *sgidtest.Options) { o.Now = func() time.Time { return now } })
	if !strings.HasSuffix(p.URL(), "/v2") {
		t.Errorf("the issuer is %s", p.URL())
	}
	back, err := p.Authorize(t.Context(), authorizationURL(p), "meiling")
	if err != nil {
		t.Fatal(err)
	}
	if q := back.Query(); len(q) != 2 || q.Get("state") != "the-state" || q.Get("code") == "" {
		t.Errorf("the authorization response is %v", q)
	}
	a := post(t, p, "/oauth/token", codeForm(back.Query().Get("code")))
	members := a.json(t)
	token, _ := members["access_token"].(string)
	if len(members) != 2 || token == "" || strings.Count(token, ".") != 0 || members["id_token"] == "" {
		t.Errorf("the token endpoint answers %d %s", a.status, a.body)
	}
	members = get(t, p, "/oauth/userinfo", "Authorization", "Bearer "+token).json(t)
	data, _ := members["data"].(map[string]any)
	if members["sub"] != "u=8f1c0b6e-0000-4000-8000-0000000000a1" || len(data) != 1 || strings.Count(members["key"].(string), ".") != 4 {
		t.Errorf("userinfo is %v", members)
	}

	for name, token := range map[string]string{"none": "", "made up": "x"} {
		if a := get(t, p, "/oauth/userinfo", "Authorization", "Bearer "+token); a.status != 401 || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("token %s: %d %v", name, a.status, a.header)
		}
	}
	p.Advance(16 * time.Minute)
	if a := get(t, p, "/oauth/userinfo", "Authorization", "Bearer "+token); a.status != 401 {
		t.Errorf("an old token: %d", a.status)
	}

	if back, err = p.Authorize(t.Context(), authorizationURL(p, "scope", "myinfo.name"), "meiling"); err != nil || back.Query().Get("error") != "invalid_scope" {
		t.Errorf("without openid: %v, %v", back, err)
	}
	if back, err = p.Authorize(t.Context(), authorizationURL(p, "code_challenge", ""), "meiling"); err != nil || back.Query().Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v, %v", back, err)
	}
	if a := post(t, p, "/oauth/token", codeForm("", "grant_type", "refresh_token", "refresh_token", "x")); a.json(t)["error"] != "unsupported_grant_type" {
		t.Errorf("refresh: %d %s", a.status, a.body)
	}
	for _, path := range []string{"/connect/authorize", "/connect/revoke", "/oauth/revoke", "/connect/endsession", "/dev/token"} {
		if a := get(t, p, path); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	metadata := get(t, p, "/.well-known/openid-configuration").json(t)
	if metadata["issuer"] != p.URL() || metadata["authorization_endpoint"] != p.URL()+"/oauth/authorize" || metadata["revocation_endpoint"] != nil {
		t.Errorf("metadata %v", metadata)
	}
	if a := get(t, p, "/"); a.status != 200 || strings.Contains(a.body, "curl") {
		t.Errorf("the home page: %d %s", a.status, a.body)
	}
	p.SetPerson(sgidtest.Person{Person: idtest.Person{Login: "new"}, Data: map[string]string{"myinfo.name": "NEW"}})
	p.AddClient(sgidtest.Client{Client: idtest.Client{ID: "keyless", Secret: "s", AnyLoopbackRedirect: true}})
	back, err = p.Authorize(t.Context(), authorizationURL(p, "client_id", "keyless"), "new")
	if err != nil {
		t.Fatal(err)
	}
	token = post(t, p, "/oauth/token", codeForm(back.Query().Get("code"), "client_id", "keyless", "client_secret", "s")).json(t)["access_token"].(string)
	if a := get(t, p, "/oauth/userinfo", "Authorization", "Bearer "+token); a.status != 500 || !strings.Contains(a.body, "EncryptionKey") {
		t.Errorf("a client without a key: %d %s", a.status, a.body)
	}
}
