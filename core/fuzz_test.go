package idserver_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// published answers a request for metadata with a document, and every other with {}. It keeps where those were sent to.
type published struct {
	document []byte
	sent     []*url.URL
}

func (p *published) RoundTrip(r *http.Request) (*http.Response, error) {
	body := p.document
	if !strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration") {
		p.sent = append(p.sent, r.URL)
		body = []byte("{}")
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// isOutside reports whether a URL is one that a secret or a browser may be sent to by a provider that is not on this machine.
func isOutside(u *url.URL) bool {
	host := u.Hostname()
	return u.Scheme == "https" && host != "" && u.User == nil && u.Fragment == "" &&
		host != "localhost" && !strings.HasSuffix(host, ".localhost") && !strings.HasPrefix(host, "127.") && host != "::1"
}

// FuzzMetadata gives a provider's metadata. Whatever it is, nothing is sent anywhere but over https to other machines, no browser
// either, and what is not used is a DiscoveryError of one line.
func FuzzMetadata(f *testing.F) {
	for _, edit := range []map[string]any{
		nil, {"issuer": "https://id.example/"}, {"issuer": "https://evil.example"}, {"issuer": nil}, {"issuer": []string{"https://id.example"}},
		{"authorization_endpoint": "https://id.example/a?tenant=x"}, {"authorization_endpoint": "javascript:alert(1)"},
		{"token_endpoint": "http://id.example/t"}, {"token_endpoint": "https://127.0.0.1/t"}, {"token_endpoint": "https://u:p@id.example/t"},
		{"jwks_uri": "file:///etc/passwd"}, {"userinfo_endpoint": "https://x.localhost/u"}, {"revocation_endpoint": "https://[::1]/r"},
		{"end_session_endpoint": "https://id.example/e#f"}, {"end_session_endpoint": "//id.example/e"}, {"end_session_endpoint": "https:id.example"},
		{"scopes_supported": []string{"roles", "a b"}, "token_endpoint_auth_methods_supported": []string{"client_secret_basic"}},
		{"authorization_response_iss_parameter_supported": "true"}, {"require_pushed_authorization_requests": true}, {"require_pushed_authorization_requests": true, "pushed_authorization_request_endpoint": "https://id.example/par"},
		{"require_pushed_authorization_requests": true, "pushed_authorization_request_endpoint": "http://127.0.0.1/par"}, {"ISSUER": "x", "Token_Endpoint": "http://evil.example"},
	} {
		f.Add(document(edit))
	}
	for _, text := range []string{``, `null`, `[]`, `{}`, `{"issuer":"https://id.example","issuer":"https://evil.example"}`, `{"issuer":"https://id.example\n"}`, "\ufeff{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		network := &published{document: doc}
		cfg := goodConfig()
		cfg.HTTP.Client = &http.Client{Transport: network}
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		ctx := t.Context()
		r, err := client.AuthorizeURL(ctx, idserver.AuthorizeOptions{})
		if err != nil {
			var e *idserver.DiscoveryError
			var pushed *idserver.TokenEndpointError // "{}" is no answer to a request that must be pushed
			if !errors.As(err, &e) && !errors.As(err, &pushed) || r != nil {
				t.Fatalf("got %v, %v", r, err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("the error %q has control characters", err)
			}
			return
		}
		end, _ := client.EndSessionURL(ctx, idserver.EndSession{})
		for _, address := range []string{r.URL, end} {
			if u, err := url.Parse(address); address != "" && (err != nil || !isOutside(u) || u.Query().Get("client_id") != "example") {
				t.Errorf("a browser is sent to %q", address)
			}
		}
		if q := query(t, r.URL); q.Get("state") != r.State || q.Get("redirect_uri") != "https://app.example/auth/callback" {
			t.Errorf("the provider is asked %q", r.URL)
		}
		_, _ = client.ExchangeCode(ctx, "code", r)
		_, _ = client.UserInfo(ctx, "token", "subject")
		_ = client.RevokeToken(ctx, "token")
		_ = client.Refetch(ctx)
		for _, u := range network.sent {
			if !isOutside(u) {
				t.Errorf("a secret is sent to %q", u)
			}
		}
		if len(network.sent) == 0 {
			t.Error("nothing was sent: the metadata has no token_endpoint")
		}
		if _, err := client.ReadCallback(ctx, url.Values{"state": {r.State}, "code": {"c"}, "iss": {"https://evil.example"}}.Encode(), r); err == nil {
			t.Error("the answer of another issuer is taken")
		}
	})
}

// FuzzUserInfo gives a userinfo answer. Whatever it is, it is of nobody but the subject that was asked for, at the issuer that was,
// and the error is of its kind and repeats nothing that was sent.
func FuzzUserInfo(f *testing.F) {
	const accessToken, subject = "an-access-token-that-is-sent-0123456789", "alice"
	f.Add(200, "application/json", "", []byte(`{"sub":"alice","email":"a@example.test","email_verified":true,"roles":["admin"],"custom_roles":"x","iss":"https://evil.example"}`))
	f.Add(200, "application/json", "", []byte(`{"sub":"bob","roles":["admin"]}`))
	f.Add(200, "application/json", "", []byte(`{"sub":"bob","sub":"alice"}`))
	f.Add(200, "application/json", "", []byte(`{"SUB":"alice"}`))
	f.Add(200, "application/json", "", []byte(`{"sub":["alice"],"email_verified":"true"}`))
	f.Add(200, "application/json", "", []byte(`{"sub":"\u0061lice","name":"\ud83d\ude00","email_verified":1}`))
	f.Add(200, "text/html", "", []byte(`{"sub":"alice"}`))
	f.Add(200, "application/jwt", "", []byte(`eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.`))
	f.Add(401, "application/json", `Bearer error="invalid_token", error_description="`+accessToken+`"`, []byte(`{"error":"invalid_token","error_description":"`+accessToken+`"}`))
	f.Add(401, "", "invalid_token, error_description=\x1b[1m"+accessToken, []byte("no JSON"))
	f.Add(429, "application/problem+json", "", []byte(`{"title":"a\nb","detail":"\u0000`+accessToken+`"}`))
	f.Add(204, "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, status int, kind, challenge string, body []byte) {
		if status < 100 || status > 999 {
			status = 200
		}
		network := roundTrip(func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Content-Type": {kind}, "Www-Authenticate": {challenge}}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		cfg := goodConfig()
		cfg.HTTP.Client = &http.Client{Transport: network}
		cfg.Provider.Endpoints = idserver.Endpoints{Authorization: "https://id.example/a", Token: "https://id.example/t", JWKS: "https://id.example/j", UserInfo: "https://id.example/u"}
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		u, err := client.UserInfo(t.Context(), accessToken, subject)
		if err != nil {
			var e *idserver.UserInfoError
			if !errors.As(err, &e) || u != nil || e.RetryAfter < 0 || e.RetryAfter > 24*time.Hour {
				t.Fatalf("got %v, %v", u, err)
			}
			if strings.Contains(err.Error(), accessToken) {
				t.Errorf("the error %q repeats what was sent", err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("the error %q has control characters", err)
			}
			return
		}
		if status != 200 || u.Subject != subject || u.Issuer != "https://id.example" {
			t.Errorf("status %d gave %+v", status, u)
		}
		if u.EmailVerified && !bytes.Contains(body, []byte("true")) || len(u.Roles)+len(u.CustomRoles) > len(body) {
			t.Errorf("%q gave %+v", body, u)
		}
		claims := map[string]any{}
		if err := u.Claims(&claims); err != nil || claims["sub"] != subject || claims["iss"] != "https://id.example" {
			t.Errorf("the claims are %v, %v", claims, err)
		}
	})
}

// FuzzAuthorization gives a request's Authorization headers. Whatever they are, nobody comes of them without the good token, and
// the answer is one of RFC 6750's and repeats nothing of them.
func FuzzAuthorization(f *testing.F) {
	provider := idtest.NewProvider(f)
	client, err := idserver.New(provider.Config(""))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	good := provider.MintAccessToken("alice")
	for _, line := range []string{
		"Bearer {good}", "bearer {good}", "BEARER   {good}", "Bearer {good} ", "Bearer {good}=", "Bearer {good},{good}", "Bearer\t{good}", "Bearer{good}", " Bearer {good}",
		"", "Bearer", "Bearer ", "Bearer =", "Bearer a", "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic YTpi", "Bearer \x00", "Bearer \u00e4", "\u212aearer x",
		"Bearer " + provider.MintIDToken("alice", idtest.ExampleClient), "Bearer " + strings.Repeat("a", 20_000),
	} {
		f.Add(line, "", false)
	}
	f.Add("Bearer {good}", "Bearer {good}", true)
	f.Add("Basic YTpi", "Bearer {good}", true)
	f.Add("Bearer {good}", "", true)
	guard := client.RequireUser()
	f.Fuzz(func(t *testing.T, line, second string, two bool) {
		lines := []string{strings.ReplaceAll(line, "{good}", good)}
		if two {
			lines = append(lines, strings.ReplaceAll(second, "{good}", good))
		}
		ctx, a := guard(t.Context(), idserver.Request{Method: "GET", Path: "/", Header: http.Header{"Authorization": lines}})
		scheme, token, _ := strings.Cut(lines[0], " ")
		want := len(lines) == 1 && strings.EqualFold(scheme, "Bearer") && strings.TrimLeft(token, " ") == good
		if admitted := !a.Ends(); admitted != want || admitted != (idserver.UserFrom(ctx) != nil) {
			t.Fatalf("%q is admitted: %v", lines, admitted)
		}
		if want {
			return
		}
		challenges := map[string]int{"Bearer": 401, `Bearer error="invalid_token"`: 401, `Bearer error="invalid_request"`: 400}
		if status, ok := challenges[field(a, "WWW-Authenticate")]; !ok || a.Status != status || field(a, "Cache-Control") != "no-store" {
			t.Errorf("%q is answered %d %q", lines, a.Status, field(a, "WWW-Authenticate"))
		}
		if strings.Contains(string(a.Body), good) || len(a.Body) > 1000 {
			t.Errorf("%q is answered %s", lines, a.Body)
		}
	})
}

// FuzzPushed gives the provider's answer to a pushed authorization request. Whatever it is, the browser is sent to the provider with
// the client's ID and one reference, or nowhere.
func FuzzPushed(f *testing.F) {
	for _, text := range []string{
		`{"request_uri":"urn:ietf:params:oauth:request_uri:a","expires_in":60}`, `{"request_uri":"https://id.example/r?a=b&c#d","expires_in":"x"}`,
		`{"request_uri":"urn:a&state=b"}`, `{"request_uri":""}`, `{"request_uri":null}`, `{"request_uri":"urn:a\r\nX: y"}`, `{"error":"x"}`, `{}`, ``, `[]`,
		`{"request_uri":"urn:a","request_uri":"urn:b"}`, `{"REQUEST_URI":"urn:a"}`,
	} {
		f.Add(201, []byte(text))
		f.Add(200, []byte(text))
	}
	metadata := document(map[string]any{"require_pushed_authorization_requests": true, "pushed_authorization_request_endpoint": "https://id.example/par"})
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 100 || status > 999 {
			t.Skip()
		}
		network := roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Path != "/par" {
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(metadata)), Request: r}, nil
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
		})
		cfg := goodConfig()
		cfg.HTTP.Client = &http.Client{Transport: network}
		client, err := idserver.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		r, err := client.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
		if err != nil {
			if !errors.Is(err, idserver.ErrTokenEndpoint) || r != nil || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("got %v, %q", r, err)
			}
			return
		}
		u, err := url.Parse(r.URL)
		if err != nil || !isOutside(u) || len(u.Query()) != 2 || u.Query().Get("client_id") != "example" || !strings.Contains(u.Query().Get("request_uri"), ":") || status/100 != 2 {
			t.Errorf("the browser is sent to %q", r.URL)
		}
	})
}
