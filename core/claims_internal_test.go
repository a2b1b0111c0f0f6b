package idserver

import (
	"errors"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// FuzzParseClaims reads the payload of a token that anybody may have written. What is accepted has sane dates,
// and what lacks a claim that decides is refused by both checks.
func FuzzParseClaims(f *testing.F) {
	for _, seed := range []string{
		`{"iss":"i","sub":"s","aud":"c","exp":1800000100,"iat":1800000000,"nonce":"n"}`,
		`{"iss":"i","sub":"s","aud":["c","d"],"azp":"c","exp":1.8000001e9,"nbf":null,"iat":1800000000.5,"nonce":"n","roles":"x"}`,
		`{"aud":[],"exp":-1}`, `{"exp":"1"}`, `{"exp":1e400}`, `{"aud":[1]}`, `null`, `[]`, `{"sub":"a","sub":"b"}`, `{"email_verified":true,"name":"\ud83d\ude00"}`,
	} {
		f.Add([]byte(seed))
	}
	now := time.Unix(1800000000, 0)
	f.Fuzz(func(t *testing.T, payload []byte) {
		c, err := parseClaims(payload)
		if err != nil {
			if !errors.Is(err, ReasonMalformed) || c != nil {
				t.Fatalf("got %v, %v", c, err)
			}
			return
		}
		for name, d := range map[string]time.Time{"exp": c.Expiry, "nbf": c.NotBefore, "iat": c.IssuedAt} {
			if !d.IsZero() && (d.Unix() < 1 || d.Year() > 9999) {
				t.Errorf("%s is %v", name, d)
			}
			if !d.IsZero() && !c.Has(name) {
				t.Errorf("%s comes from nowhere", name)
			}
		}
		if c.Subject != claims.Text(c.Get("sub")) || c.Issuer != claims.Text(c.Get("iss")) {
			t.Errorf("sub %q and iss %q are not those of the user", c.Subject, c.Issuer)
		}
		idErr := checkIDToken(c, idTokenRules{IDTokenCheck: IDTokenCheck{Nonce: "n"}, issuer: "i", clientID: "c", now: now, algorithm: "RS256"})
		facts, accessErr := (&provider{cfg: Config{ClientID: "c"}}).accessTokenFacts(c, "")
		if accessErr == nil {
			accessErr = facts.check(c.Issuer, "i", "c", tokenRules{audience: "c"}, now)
		}
		for _, err := range []error{idErr, accessErr} {
			sound := c.Issuer == "i" && c.Subject != "" && len(c.Subject) <= 255 && len(c.Audience) > 0 && c.Expiry.After(now)
			if err == nil && !sound {
				t.Errorf("%s was accepted", payload)
			}
			if err != nil && !errors.Is(err, ErrInvalidToken) {
				t.Errorf("a refusal without a reason: %v", err)
			}
		}
		if idErr == nil && accessErr == nil {
			t.Errorf("%s is an ID token and an access token", payload)
		}
		u := newUser(c.Object, claims.Roles{Places: claims.ParsePlaces("roles")}, false)
		out, err := u.MarshalJSON()
		var front map[string]any
		if err != nil || strictjson.Unmarshal(out, &front) != nil || len(front) != 6 || front["roles"] == nil || front["custom_roles"] == nil {
			t.Errorf("the user is written as %s, %v", out, err)
		}
		var all map[string]strictjson.Raw
		n := 0
		for range c.All() {
			n++
		}
		if err := u.Claims(&all); err != nil || len(all) != n {
			t.Errorf("the claims are read back as %v, %v", all, err)
		}
	})
}
