package idserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/vault"
)

// README.md lists every code with its status.
func TestCodesAreListed(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[RefusalCode]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(string(readme), -1) {
		status, _ := strconv.Atoi(row[2])
		listed[RefusalCode(row[1])] = status
	}
	for code, kind := range refusalKinds {
		if listed[code] != kind.status {
			t.Errorf("README.md lists %s with status %d, want %d", code, listed[code], kind.status)
		}
		if slices.Contains([]string{kind.page.title, kind.page.detail, kind.problem.title, kind.problem.detail}, "") {
			t.Errorf("%s lacks words", code)
		}
	}
	if len(listed) != len(refusalKinds) {
		t.Errorf("README.md lists %d codes, want %d", len(listed), len(refusalKinds))
	}
}

func TestChallenge(t *testing.T) {
	for name, row := range map[string]struct {
		code       RefusalCode
		parameters []parameter
		want       string
	}{
		"no credentials: bare": {CodeNotSignedIn, nil, `Bearer`},
		"no credentials, and where to read about it": {CodeNotSignedIn, []parameter{{"resource_metadata", "https://api.example/.well-known/oauth-protected-resource"}},
			`Bearer resource_metadata="https://api.example/.well-known/oauth-protected-resource"`},
		"an error": {CodeInvalidToken, nil, `Bearer error="invalid_token"`},
		"the error first, the others in their order": {CodeInvalidToken, []parameter{{"scope", "orders:read orders:write"}, {"max_age", "300"}, {"acr_values", "b a"}},
			`Bearer error="invalid_token", scope="orders:read orders:write", max_age="300", acr_values="b a"`},
		"an empty value":                         {CodeInvalidToken, []parameter{{"scope", ""}}, `Bearer error="invalid_token", scope=""`},
		"a quote ends nothing":                   {CodeInvalidRequest, []parameter{{"scope", `a", error="none`}}, `Bearer error="invalid_request", scope="a\", error=\"none"`},
		"a backslash at the end escapes nothing": {CodeInvalidRequest, []parameter{{"scope", `a\`}, {"algs", "ES256"}}, `Bearer error="invalid_request", scope="a\\", algs="ES256"`},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // what is given is not changed
				if got := challenge("Bearer", row.code, row.parameters...); got != (Field{"WWW-Authenticate", row.want}) {
					t.Errorf("%s: %s\nwant %s", got.Name, got.Value, row.want)
				}
			}
		})
	}
}

// A denial's parameters are in the refusal.
func TestChallengeOfADenial(t *testing.T) {
	c, err := New(Config{Authority: "https://op.example"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a := c.refuse(t.Context(), &Request{Method: "GET", Path: "/"}, &denial{code: CodeInvalidToken, challenge: []parameter{{"max_age", "60"}}})
	want := Field{"WWW-Authenticate", `Bearer error="invalid_token", max_age="60"`}
	for _, f := range a.Add {
		if f.Name == want.Name && f.Value != want.Value {
			t.Errorf("%s, want %s", f.Value, want.Value)
		}
		if f == want {
			return
		}
	}
	t.Error("the refusal has no challenge")
}

// A store that is away refuses nobody for good: 503, when to come back, no cookie touched, and no word of the store's own.
func TestStoreUnavailable(t *testing.T) {
	c, err := New(Config{
		Authority: "https://op.example", ClientID: "app", BaseURL: "https://app.example", SessionSecret: "x7Jq2mVd9Lr4Tz8Kc1Wf6Yb3Hs5Gn0Pa",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	away := fmt.Errorf("%w: %w", vault.ErrAway, context.DeadlineExceeded)
	for mode, want := range map[string]string{"navigate": `<a href="">Try again</a>`, "cors": `"code":"store_unavailable"}`} {
		r := Request{Method: "GET", Path: "/", Header: http.Header{"Sec-Fetch-Mode": {mode}, "Accept": {"text/html"}}}
		a := c.refuse(t.Context(), &r, away)
		if !slices.Contains(a.Set, Field{"Retry-After", "1"}) || a.Status != 503 || a.Refusal.Code != CodeStoreUnavailable || a.Refusal.RetryAfter != time.Second {
			t.Errorf("%s: %d %v %v", mode, a.Status, a.Set, a.Refusal)
		}
		if body := string(a.Body); !strings.Contains(body, want) || strings.Contains(body, "Sign in") || strings.Contains(body, "deadline") {
			t.Errorf("%s: %s", mode, body)
		}
		if slices.ContainsFunc(a.Add, func(f Field) bool { return f.Name == "Set-Cookie" || f.Name == "WWW-Authenticate" }) {
			t.Errorf("%s: %v", mode, a.Add)
		}
	}
}
