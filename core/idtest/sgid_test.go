package idtest_test

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid"
)

func sgIDAuthorizationURL(p *idtest.Provider, changes ...string) string {
	return strings.Replace(authorizationURL(p, append([]string{"scope", "openid myinfo.name"}, changes...)...), "/connect/", "/oauth/", 1)
}

func TestSGIDContract(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := idtest.NewSGIDProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return now } })
	if !strings.HasSuffix(p.URL(), "/v2") {
		t.Errorf("the issuer is %s", p.URL())
	}
	back, err := p.Authorize(t.Context(), sgIDAuthorizationURL(p), "meiling")
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

	if back, err = p.Authorize(t.Context(), sgIDAuthorizationURL(p, "scope", "myinfo.name"), "meiling"); err != nil || back.Query().Get("error") != "invalid_scope" {
		t.Errorf("without openid: %v, %v", back, err)
	}
	if back, err = p.Authorize(t.Context(), sgIDAuthorizationURL(p, "code_challenge", ""), "meiling"); err != nil || back.Query().Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v, %v", back, err)
	}
	if a := post(t, p, "/oauth/token", refreshForm("x")); a.json(t)["error"] != "unsupported_grant_type" {
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
	p.SetPerson(idtest.Person{Login: "new", Myinfo: map[string]string{"myinfo.name": "NEW"}})
	p.AddClient(idtest.Client{ID: "keyless", Secret: "s", AnyLoopbackRedirect: true})
	back, err = p.Authorize(t.Context(), sgIDAuthorizationURL(p, "client_id", "keyless"), "new")
	if err != nil {
		t.Fatal(err)
	}
	token = post(t, p, "/oauth/token", codeForm(back.Query().Get("code"), "client_id", "keyless", "client_secret", "s")).json(t)["access_token"].(string)
	if a := get(t, p, "/oauth/userinfo", "Authorization", "Bearer "+token); a.status != 500 || !strings.Contains(a.body, "EncryptionKey") {
		t.Errorf("a client without a key: %d %s", a.status, a.body)
	}
}

func TestSGIDConfigFromEnv(t *testing.T) {
	loopback := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	all := map[string]string{
		"SGID_CLIENT_ID": "id", "SGID_CLIENT_SECRET": "s3cret", "SGID_PRIVATE_KEY": idtest.SGIDPrivateKey(), "SGID_HOSTNAME": "https://api.id.gov.sg", "SESSION_SECRET": strings.Repeat("s", 32),
	}
	for name := range all {
		t.Setenv(name, "")
	}
	for name, algorithms := range map[string]string{"fixtures": "fixtures", "mockpass": "mockpass", "by default": ""} {
		t.Setenv("IDTEST_SGID_ALGORITHMS", algorithms)
		cfg, p, err := idtest.SGIDConfigFromEnv(loopback)
		if err != nil || p == nil {
			t.Fatalf("%s: %v", name, err)
		}
		if cfg.Hostname != p.URL() || cfg.Web.BaseURL != "http://127.0.0.1:8080" || len(cfg.Web.SessionSecret) < 32 {
			t.Errorf("%s: %v", name, cfg)
		}
		client, err := sgid.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		p.Close()
	}
	t.Setenv("IDTEST_SGID_ALGORITHMS", "rot13")
	if _, _, err := idtest.SGIDConfigFromEnv(loopback); err == nil {
		t.Error("unknown algorithms are taken")
	}
	t.Setenv("IDTEST_SGID_ALGORITHMS", "")
	t.Setenv("BASE_URL", "https://app.example.com") // behind a proxy, with all else forgotten
	if _, p, err := idtest.SGIDConfigFromEnv(loopback); err == nil || p != nil || !strings.Contains(err.Error(), "BASE_URL") {
		t.Errorf("a public address has a provider that signs in anyone: %v", err)
	}
	t.Setenv("BASE_URL", "")
	if _, p, err := idtest.SGIDConfigFromEnv(&net.TCPAddr{IP: net.IPv4zero, Port: 1}); err == nil || p != nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("on every interface: %v", err)
	}
	if _, _, err := idtest.SGIDConfigFromEnv(&net.UnixAddr{}); err == nil {
		t.Error("a socket is taken")
	}
	for missing := range all {
		for name, value := range all {
			t.Setenv(name, value)
		}
		t.Setenv(missing, "")
		_, p, err := idtest.SGIDConfigFromEnv(loopback)
		if err == nil || p != nil || !strings.Contains(err.Error(), missing+": not set") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	for name, value := range all {
		t.Setenv(name, value)
	}
	cfg, p, err := idtest.SGIDConfigFromEnv(loopback)
	if err != nil || p != nil || cfg.ClientID != "id" || cfg.Hostname != "https://api.id.gov.sg" || cfg.Web.BaseURL != "http://127.0.0.1:8080" {
		t.Errorf("%v, %v, %v", cfg, p, err)
	}
}
