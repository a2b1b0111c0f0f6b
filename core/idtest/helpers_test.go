package idtest_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
)

const (
	callback = "http://127.0.0.1:8080/auth/callback"
	verifier = "a-code-verifier-that-is-long-enough-to-be-allowed"
)

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// with returns the parameters changed by name and value; an empty value takes one away.
func with(params map[string]string, changes ...string) url.Values {
	changed := maps.Clone(params)
	for i := 0; i < len(changes); i += 2 {
		changed[changes[i]] = changes[i+1]
	}
	values := url.Values{}
	for name, value := range changed {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

func authorizationURL(p *idtest.Provider, changes ...string) string {
	return p.URL() + "/connect/authorize?" + with(map[string]string{
		"response_type": "code", "client_id": idtest.ExampleClient, "redirect_uri": callback,
		"scope": "openid profile email roles", "state": "the-state", "nonce": "the-nonce",
		"code_challenge": challenge(verifier), "code_challenge_method": "S256",
	}, changes...).Encode()
}

// signIn returns the parameters of the authorization response.
func signIn(t *testing.T, p *idtest.Provider, login string, changes ...string) url.Values {
	t.Helper()
	target, err := p.Authorize(t.Context(), authorizationURL(p, changes...), login)
	if err != nil {
		t.Fatal(err)
	}
	return target.Query()
}

func codeForm(code string, changes ...string) url.Values {
	return with(map[string]string{
		"grant_type": "authorization_code", "code": code, "redirect_uri": callback, "code_verifier": verifier,
		"client_id": idtest.ExampleClient, "client_secret": idtest.ExampleSecret,
	}, changes...)
}

func refreshForm(token string, changes ...string) url.Values {
	return with(map[string]string{
		"grant_type": "refresh_token", "refresh_token": token,
		"client_id": idtest.ExampleClient, "client_secret": idtest.ExampleSecret,
	}, changes...)
}

// tokens signs in and exchanges the code.
func tokens(t *testing.T, p *idtest.Provider, login string) map[string]any {
	t.Helper()
	a := post(t, p, "/connect/token", codeForm(signIn(t, p, login).Get("code")))
	if a.status != http.StatusOK {
		t.Fatalf("token endpoint: %d %s", a.status, a.body)
	}
	return a.json(t)
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return members
}

func post(t *testing.T, p *idtest.Provider, path string, form url.Values, header ...string) answer {
	t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)
	return do(t, p, http.MethodPost, path, form.Encode(), header...)
}

func get(t *testing.T, p *idtest.Provider, path string, header ...string) answer {
	t.Helper()
	return do(t, p, http.MethodGet, path, "", header...)
}

// do sends a request to a path below the issuer and follows no redirect. "Host" among the fields is the
// request's host.
func do(t *testing.T, p *idtest.Provider, method, path, body string, header ...string) answer {
	t.Helper()
	a, err := try(t.Context(), p, method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(ctx context.Context, p *idtest.Provider, method, path, body string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.URL()+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	client := *p.HTTPClient()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// decode returns the header and the claims of a JWT. The signature is verifiesWith's business.
func decode(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

func same(t *testing.T, what string, got any, want any) {
	t.Helper()
	g, err1 := json.Marshal(got)
	w, err2 := json.Marshal(want)
	if err1 != nil || err2 != nil || string(g) != string(w) {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}
