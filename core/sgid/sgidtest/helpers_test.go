package sgidtest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/sgid/sgidtest"
)

const (
	redirectURI = "http://127.0.0.1:8080/callback"
	verifier    = "a-code-verifier-of-at-least-43-characters-is-wanted"
)

// with returns params after pairs of name and value; an empty value removes the name.
func with(params map[string]string, changes ...string) url.Values {
	values := url.Values{}
	for name, value := range params {
		values.Set(name, value)
	}
	for i := 0; i < len(changes); i += 2 {
		if values.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			values.Del(changes[i])
		}
	}
	return values
}

func authorizationURL(p *sgidtest.Provider, changes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	return p.URL() + "/oauth/authorize?" + with(map[string]string{
		"response_type": "code", "client_id": idtest.ExampleClient, "redirect_uri": redirectURI,
		"scope": "openid myinfo.name", "state": "the-state", "nonce": "the-nonce",
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256",
	}, changes...).Encode()
}

func codeForm(code string, changes ...string) url.Values {
	return with(map[string]string{
		"grant_type": "authorization_code", "code": code, "redirect_uri": redirectURI, "code_verifier": verifier,
		"client_id": idtest.ExampleClient, "client_secret": idtest.ExampleSecret,
	}, changes...)
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

func post(t *testing.T, p *sgidtest.Provider, path string, form url.Values) answer {
	t.Helper()
	return do(t, p, http.MethodPost, path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func get(t *testing.T, p *sgidtest.Provider, path string, header ...string) answer {
	t.Helper()
	return do(t, p, http.MethodGet, path, "", header...)
}

func do(t *testing.T, p *sgidtest.Provider, method, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := p.HTTPClient().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}
