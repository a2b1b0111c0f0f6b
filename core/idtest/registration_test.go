package idtest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

func registering(o *idtest.Options) { o.Registration = true }

func register(t *testing.T, p *idtest.Provider, document string) answer {
	t.Helper()
	return do(t, p, "POST", "/connect/register", document, "Content-Type", "application/json")
}

// A client registers itself and signs in with what it is given.
func TestRegistration(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, registering)
	metadata := get(t, p, "/.well-known/oauth-authorization-server").json(t)
	same(t, "registration_endpoint", metadata["registration_endpoint"], p.URL()+"/connect/register")
	for name, row := range map[string]struct {
		document string
		secret   bool
	}{
		"public":       {`{"redirect_uris":["` + callback + `"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"client_name":"A client","software_id":"ignored"}`, false},
		"confidential": {`{"redirect_uris":["` + callback + `"]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := register(t, p, row.document)
			equal(t, "status", a.status, http.StatusCreated)
			equal(t, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
			given := a.json(t)
			id, _ := given["client_id"].(string)
			secret, hasSecret := given["client_secret"].(string)
			equal(t, "has a secret", hasSecret, row.secret)
			same(t, "redirect_uris", given["redirect_uris"], []string{callback})
			if row.secret {
				same(t, "token_endpoint_auth_method", given["token_endpoint_auth_method"], "client_secret_basic")
				same(t, "grant_types", given["grant_types"], []string{"authorization_code"})
				same(t, "client_secret_expires_at", given["client_secret_expires_at"], 0)
			} else {
				same(t, "client_name", given["client_name"], "A client")
			}
			if given["software_id"] != nil {
				t.Errorf("what was not registered is told: %v", given)
			}
			code := signIn(t, p, "alice", "client_id", id).Get("code")
			_, claims := decode(t, post(t, p, "/connect/token", codeForm(code, "client_id", id, "client_secret", secret)).json(t)["access_token"].(string))
			same(t, "client_id of the access token", claims["client_id"], id)

			refused := get(t, p, strings.TrimPrefix(authorizationURL(p, "client_id", id, "redirect_uri", "http://127.0.0.1:8080/elsewhere"), p.URL()))
			equal(t, "status at another redirect_uri", refused.status, http.StatusBadRequest)
		})
	}
}

func TestRegistrationRefused(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, registering)
	const redirect = `"redirect_uris":["http://127.0.0.1:1/"]`
	for name, row := range map[string]struct{ document, code string }{
		"nothing":                {``, "invalid_client_metadata"},
		"a list":                 {`[]`, "invalid_client_metadata"},
		"a number for a list":    {`{"redirect_uris":1}`, "invalid_client_metadata"},
		"too long":               {`{"client_name":"` + strings.Repeat("x", 64<<10) + `",` + redirect + `}`, "invalid_client_metadata"},
		"no redirect_uris":       {`{}`, "invalid_redirect_uri"},
		"a relative one":         {`{"redirect_uris":["/callback"]}`, "invalid_redirect_uri"},
		"one with a fragment":    {`{"redirect_uris":["https://app.example/#here"]}`, "invalid_redirect_uri"},
		"http elsewhere":         {`{"redirect_uris":["http://app.example/"]}`, "invalid_redirect_uri"},
		"a script":               {`{"redirect_uris":["javascript:alert(1)"]}`, "invalid_redirect_uri"},
		"good and bad":           {`{"redirect_uris":["http://127.0.0.1:1/","http://app.example/"]}`, "invalid_redirect_uri"},
		"another grant":          {`{` + redirect + `,"grant_types":["authorization_code","password"]}`, "invalid_client_metadata"},
		"no grant that signs in": {`{` + redirect + `,"grant_types":["refresh_token"]}`, "invalid_client_metadata"},
		"another response type":  {`{` + redirect + `,"response_types":["token"]}`, "invalid_client_metadata"},
		"another authentication": {`{` + redirect + `,"token_endpoint_auth_method":"tls_client_auth"}`, "invalid_client_metadata"},
		"keys that are missing":  {`{` + redirect + `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://127.0.0.1:1/"}`, "invalid_client_metadata"},
		"keys and a secret":      {`{` + redirect + `,"jwks":{"keys":[]}}`, "invalid_client_metadata"},
	} {
		t.Run(name, func(t *testing.T) {
			a := register(t, p, row.document)
			equal(t, "status", a.status, http.StatusBadRequest)
			same(t, "error", a.json(t)["error"], row.code)
		})
	}
	a := do(t, p, "POST", "/connect/register", `{`+redirect+`}`, "Content-Type", "text/plain")
	equal(t, "status of what a page elsewhere could send", a.status, http.StatusBadRequest)
	for _, uri := range []string{"https://app.example/callback", "com.example.app:/callback", "http://[::1]:7/"} {
		equal(t, "status of "+uri, register(t, p, `{"redirect_uris":["`+uri+`"]}`).status, http.StatusCreated)
	}
}

// Without the option, nobody registers.
func TestNoRegistration(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	equal(t, "status", register(t, p, `{"redirect_uris":["http://127.0.0.1:1/"]}`).status, http.StatusNotFound)
	if _, there := get(t, p, "/.well-known/openid-configuration").json(t)["registration_endpoint"]; there {
		t.Error("the metadata names an endpoint that is not there")
	}
}

// Whoever registers again and again does not fill the memory.
func TestRegistrationIsBounded(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Registration, o.InMemory = true, true })
	for range 1000 {
		if a := register(t, p, `{"redirect_uris":["http://127.0.0.1:1/"]}`); a.status != http.StatusCreated {
			t.Fatalf("status %d", a.status)
		}
	}
	equal(t, "status of one more", register(t, p, `{"redirect_uris":["http://127.0.0.1:1/"]}`).status, http.StatusServiceUnavailable)
}

// The document of RFC 8414 is that of discovery, at its own place.
func TestAuthorizationServerMetadata(t *testing.T) {
	t.Parallel()
	p := idtest.NewProvider(t)
	equal(t, "the document", get(t, p, "/.well-known/oauth-authorization-server").body, get(t, p, "/.well-known/openid-configuration").body)
	below := idtest.NewProvider(t, func(o *idtest.Options) { o.BaseURL = "http://localhost/realms/one" })
	at, _ := url.Parse(below.URL())
	response, err := below.HTTPClient().Get("http://" + at.Host + "/.well-known/oauth-authorization-server/realms/one")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	equal(t, "status before the issuer's path", response.StatusCode, http.StatusOK)
}
