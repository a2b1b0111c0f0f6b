package idserver

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
)

// Of whatever a provider answers, only what is about an access token of its own makes a user.
func FuzzIntrospection(f *testing.F) {
	for _, body := range []string{
		`{"active":true,"sub":"alice","aud":"api","scope":"a b","client_id":"c"}`, `{"active":false}`, `{"active":"true"}`, `{"active":true,"active":false}`, `[]`, ``,
		`{"active":true,"sub":"alice","aud":["api"],"iss":"https://id.example","exp":4102444800,"token_use":"refresh_token"}`, `{"active":true,"sub":"","aud":"api"}`,
		`{"active":true,"sub":"alice","aud":"api","iss":null}`, `{"active":true,"sub":"alice","aud":"api","cnf":{}}`, `{"active":true,"sub":"a","token_type":"DPoP"}`,
		`{"active":true,"sub":"a","aud":"api","exp":1e400}`, `{"active":true,"sub":"a","aud":7,"roles":["x",7]}`, "\xff", `{"active":true,"sub":"a","iss":"https://evil.example"}`,
	} {
		f.Add([]byte(body))
	}
	const issuer = "https://id.example"
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cfg := Config{Authority: issuer, ClientID: "c", Audience: "api", Now: func() time.Time { return now }}
	p := &provider{cfg: cfg, roles: claims.Roles{Places: claims.ParsePlaces("roles")}}
	i := &introspection{of: &Client{cfg: cfg, provider: p, tokens: cfg.rules()}}
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := i.read(t.Context(), &endpoint.Answer{Status: http.StatusOK, Body: body}, issuer)
		if err != nil {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("not known is not invalid: %v", err)
			}
			return
		}
		known, err := i.proven(t.Context(), answer, issuer)
		if err != nil {
			if !errors.Is(err, ErrInvalidToken) {
				t.Errorf("a refusal without a reason: %v", err)
			}
			return
		}
		u := &known.user
		if u.Issuer != issuer || u.Subject == "" || len(u.Subject) > 255 || known.facts.expiry == 0 || !u.shared {
			t.Errorf("%s makes %#v", body, u)
		}
		if value := answer.Get("cnf"); (value != "" && value != "null") != (known.facts.bound != nil) {
			t.Errorf("%s is bound to %v", body, known.facts.bound)
		}
		for _, name := range []string{"at_hash", "events"} {
			if value := answer.Get(name); value != "" && value != "null" {
				t.Errorf("%s has %s", body, name)
			}
		}
	})
}
