package idtest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/idtest"
)

// clientKey signs the assertions of these tests, as clients that do not use this repository's code might.
var clientKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func jwkOf(key *ecdsa.PrivateKey, kid, use string) map[string]string {
	point, err := key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return map[string]string{
		"kty": "EC", "crv": "P-256", "kid": kid, "use": use,
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}
}

func setOf(keys ...map[string]string) []byte {
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		panic(err)
	}
	return document
}

// signES256 returns a JWS in compact form.
func signES256(key *ecdsa.PrivateKey, header, claims map[string]any) string {
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(header) + "." + part(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		panic(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	p := idtest.NewProvider(t, func(o *idtest.Options) { o.Now = func() time.Time { return now } })
	document := setOf(jwkOf(clientKey(), "s1", "sig"))
	published := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(document) }))
	t.Cleanup(published.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	p.AddClient(idtest.Client{ID: "fixed", JWKS: document, AnyLoopbackRedirect: true})
	p.AddClient(idtest.Client{ID: "fetched", JWKSURI: published.URL, AnyLoopbackRedirect: true})
	p.AddClient(idtest.Client{ID: "gone", JWKSURI: gone.URL, AnyLoopbackRedirect: true})

	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	assertion := func(client string, key *ecdsa.PrivateKey, header, claims map[string]any) string {
		n++
		h := map[string]any{"alg": "ES256", "typ": "JWT", "kid": "s1"}
		c := map[string]any{"iss": client, "sub": client, "aud": p.URL(), "jti": fmt.Sprint("jti-", n), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()}
		for _, edit := range []struct{ to, of map[string]any }{{h, header}, {c, claims}} {
			maps.Copy(edit.to, edit.of)
			maps.DeleteFunc(edit.to, func(_ string, v any) bool { return v == nil })
		}
		return signES256(key, h, c)
	}
	form := func(client, assertion string, changes ...string) url.Values {
		return with(map[string]string{
			"grant_type": "refresh_token", "refresh_token": "x", "client_id": client, "client_assertion": assertion,
			"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
		}, changes...)
	}
	type members = map[string]any
	used := assertion("fixed", clientKey(), nil, nil)
	for name, row := range map[string]struct {
		form url.Values
		want string // "": the client is known, and the refresh token is not
	}{
		"good":                         {form("fixed", used), ""},
		"fetched":                      {form("fetched", assertion("fetched", clientKey(), nil, nil)), ""},
		"without kid":                  {form("fixed", assertion("fixed", clientKey(), members{"kid": nil}, nil)), ""},
		"typ as of RFC 10070":          {form("fixed", assertion("fixed", clientKey(), members{"typ": "client-authentication+jwt"}, nil)), ""},
		"without typ":                  {form("fixed", assertion("fixed", clientKey(), members{"typ": nil}, nil)), ""},
		"no key set to be had":         {form("gone", assertion("gone", clientKey(), nil, nil)), "not to be had"},
		"no assertion":                 {form("fixed", ""), "malformed"},
		"the ID alone":                 {with(map[string]string{"grant_type": "refresh_token", "refresh_token": "x", "client_id": "fixed"}), "client_assertion_type"},
		"an empty secret":              {form("fixed", "", "client_assertion_type", "", "client_secret", ""), "client_assertion_type"},
		"another type":                 {form("fixed", assertion("fixed", clientKey(), nil, nil), "client_assertion_type", "x"), "client_assertion_type"},
		"another key":                  {form("fixed", assertion("fixed", other, nil, nil)), "does not verify"},
		"an unknown kid":               {form("fixed", assertion("fixed", clientKey(), members{"kid": "s2"}, nil)), "no key"},
		"alg none":                     {form("fixed", assertion("fixed", clientKey(), members{"alg": "none"}, nil)), "alg"},
		"alg HS256":                    {form("fixed", assertion("fixed", clientKey(), members{"alg": "HS256"}, nil)), "alg"},
		"alg RS256":                    {form("fixed", assertion("fixed", clientKey(), members{"alg": "RS256"}, nil)), "alg"},
		"typ of a proof":               {form("fixed", assertion("fixed", clientKey(), members{"typ": "dpop+jwt"}, nil)), "typ"},
		"another iss":                  {form("fixed", assertion("fixed", clientKey(), nil, members{"iss": "fetched"})), "iss"},
		"another sub":                  {form("fixed", assertion("fixed", clientKey(), nil, members{"sub": "fetched"})), "sub"},
		"another aud":                  {form("fixed", assertion("fixed", clientKey(), nil, members{"aud": "https://other.example"})), "aud"},
		"the token endpoint as aud":    {form("fixed", assertion("fixed", clientKey(), nil, members{"aud": p.URL() + "/connect/token"})), "aud"},
		"an array as aud":              {form("fixed", assertion("fixed", clientKey(), nil, members{"aud": []string{p.URL()}})), "aud"},
		"no aud":                       {form("fixed", assertion("fixed", clientKey(), nil, members{"aud": nil})), "aud"},
		"no jti":                       {form("fixed", assertion("fixed", clientKey(), nil, members{"jti": nil})), "jti"},
		"no exp":                       {form("fixed", assertion("fixed", clientKey(), nil, members{"exp": nil})), "exp"},
		"expired":                      {form("fixed", assertion("fixed", clientKey(), nil, members{"iat": now.Add(-2 * time.Minute).Unix(), "exp": now.Unix()})), "expired"},
		"an hour long":                 {form("fixed", assertion("fixed", clientKey(), nil, members{"exp": now.Add(time.Hour).Unix()})), "lives"},
		"no iat":                       {form("fixed", assertion("fixed", clientKey(), nil, members{"iat": nil})), "iat"},
		"from the future":              {form("fixed", assertion("fixed", clientKey(), nil, members{"iat": now.Add(time.Minute).Unix(), "exp": now.Add(2 * time.Minute).Unix()})), "iat"},
		"of another client":            {form("fixed", assertion("fetched", clientKey(), nil, nil)), "iss"},
		"of a client that is not here": {form("nobody", assertion("nobody", clientKey(), nil, nil)), "unknown client"},
	} {
		a := post(t, p, "/connect/token", row.form)
		code, _ := a.json(t)["error"].(string)
		if row.want == "" && code != "invalid_grant" || row.want != "" && (code != "invalid_client" || a.status != http.StatusUnauthorized || !strings.Contains(a.body, row.want)) {
			t.Errorf("%s: %d %s, want %q", name, a.status, a.body, row.want)
		}
	}
	if a := post(t, p, "/connect/token", form("fixed", used)); !strings.Contains(a.body, "used before") {
		t.Errorf("a replay: %s", a.body)
	}
}
