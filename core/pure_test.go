package idserver

import (
	"encoding/base64"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

func TestDefaults(t *testing.T) {
	got := Config{Authority: "https://id.example"}.withDefaults()
	if got.Logger == nil || got.Now == nil {
		t.Error("no logger or no clock")
	}
	got.Logger, got.Now = nil, nil
	want := Config{
		Authority: "https://id.example", Audience: "idserver-api", RoutesPath: "/auth", RolesClaim: []string{"roles"},
		Session:  SessionConfig{Idle: time.Hour, Max: 12 * time.Hour},
		Provider: ProviderConfig{WebBaseURL: "https://id.example", Leeway: 10 * time.Second},
		HTTP:     HTTPConfig{Timeout: 10 * time.Second}, TokenCacheBytes: 16 << 20, LogSubject: SubjectHashed,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	own := Config{
		Authority: "https://id.example", Audience: "a", RoutesPath: "/r", RolesClaim: []string{"g"},
		Session: SessionConfig{Idle: 1, Max: 1}, Provider: ProviderConfig{WebBaseURL: "https://www.example", Leeway: 1},
		HTTP: HTTPConfig{Timeout: 1}, TokenCacheBytes: 1, LogSubject: SubjectPlain,
	}
	got = own.withDefaults()
	if got.Logger, got.Now = nil, nil; !reflect.DeepEqual(got, own) {
		t.Errorf("a setting was replaced: %#v", got)
	}
}

// at_hash is made with the hash of the ID token's algorithm, OpenID Connect Core section 3.1.3.6. The first
// row is that of its appendix A.3; the others were made with: printf %s TOKEN | openssl dgst -sha384 -binary | head -c24 | basenc --base64url.
func TestAtHashOfEachAlgorithm(t *testing.T) {
	const token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	const sha256, sha384, sha512 = "77QmUPtjPfzWtF2AnpK9RQ", "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs", "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM"
	for algorithm, want := range map[string]string{
		"RS256": sha256, "PS256": sha256, "ES256": sha256,
		"RS384": sha384, "PS384": sha384, "ES384": sha384,
		"RS512": sha512, "PS512": sha512, "ES512": sha512, "EdDSA": sha512, "Ed25519": sha512,
	} {
		t.Run(algorithm, func(t *testing.T) {
			now := time.Unix(1800000000, 0)
			check := func(atHash string) error {
				nonce := "n"
				return checkIDToken(&claims.Claims{
					Issuer: "i", Subject: "s", Audience: []string{"c"}, Nonce: &nonce, AccessTokenHash: &atHash,
					Expiry: now.Add(time.Minute), IssuedAt: now,
				}, idTokenRules{
					IDTokenCheck: IDTokenCheck{Nonce: nonce, AccessToken: token}, issuer: "i", clientID: "c", now: now, algorithm: algorithm, kind: "JWT",
				})
			}
			if err := check(want); err != nil {
				t.Error(err)
			}
			for _, other := range []string{sha256, sha384, sha512, "", want[:len(want)-1]} {
				if err := check(other); other != want && !errors.Is(err, ReasonAccessTokenHash) {
					t.Errorf("at_hash %q: %v", other, err)
				}
			}
			if raw, err := base64.RawURLEncoding.DecodeString(want); err != nil || sameHash(base64.URLEncoding.EncodeToString(raw)+"=", token, algorithm) {
				t.Errorf("a padded at_hash is taken: %v", err)
			}
		})
	}
}

func TestRefreshAt(t *testing.T) {
	issued := time.Unix(1800000000, 0)
	for life, want := range map[time.Duration]time.Duration{
		time.Hour: 59 * time.Minute, 5 * time.Minute: 4 * time.Minute, time.Minute: 48 * time.Second, 10 * time.Second: 8 * time.Second,
	} {
		if got := refreshAt(issued, issued.Add(life)).Sub(issued); got != want {
			t.Errorf("a life of %v is renewed after %v, want %v", life, got, want)
		}
	}
}

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
		facts, accessErr := accessTokenFacts(c, "")
		if accessErr == nil {
			accessErr = facts.check(c.Issuer, "i", "c", AccessTokenCheck{Audience: "c"}, now)
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
		u := newUser(c.Object, claims.ParsePlaces("roles"))
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
