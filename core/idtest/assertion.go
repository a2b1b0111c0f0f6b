package idtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
)

// Client assertions, RFC 7523 section 2.2.
const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	spiffeAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"

	maxAssertionLife = 5 * time.Minute
	fetchLimit       = 30 * time.Second
)

// assertionAlgorithms are those that this provider accepts.
var assertionAlgorithms = []string{"ES256", "ES384", "ES512", "PS256", "EdDSA", "Ed25519"}

// usedOnce remembers what may be used once. It forgets nothing: a test is short.
type usedOnce struct {
	mu   sync.Mutex
	seen map[string]bool
}

// first reports whether this is the first use.
func (u *usedOnce) first(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[string]bool{}
	}
	before := u.seen[id]
	u.seen[id] = true
	return !before
}

// checkAssertion verifies the client's assertion, RFC 7523 section 3. It must be for this provider alone: its audience is the
// issuer, or the token endpoint where the dialect says so, as one string.
func (p *Provider) checkAssertion(client Client, form url.Values) error {
	want := assertionType
	if strings.HasPrefix(client.AssertionSubject, "spiffe://") {
		want = spiffeAssertionType
	}
	if form.Get("client_assertion_type") != want {
		return errors.New("client_assertion_type must be " + want)
	}
	document, err := p.keySetOf(client)
	if err != nil {
		return err
	}
	keys, _, err := jose.ParseSet(document, nil)
	if err != nil {
		return fmt.Errorf("the client's key set cannot be read: %w", err)
	}
	message, err := jose.Parse(form.Get("client_assertion"))
	if err != nil {
		return fmt.Errorf("the client assertion is malformed: %w", err)
	}
	if !slices.Contains(assertionAlgorithms, message.Header.Algorithm) {
		return fmt.Errorf("the client assertion's alg is %q, want one of %v", message.Header.Algorithm, assertionAlgorithms)
	}
	key, err := jose.Select(keys, message.Header)
	if err != nil {
		return fmt.Errorf("the client assertion: %w", err)
	}
	if err := message.Verify(key); err != nil {
		return fmt.Errorf("the client assertion: %w", err)
	}
	if want := p.options.Dialect.AssertionType; want != "" && message.Header.Type != want {
		return fmt.Errorf("the client assertion's typ is %q, want %q", message.Header.Type, want)
	}
	if !slices.Contains([]string{"", "JWT", "client-authentication+jwt"}, message.Header.Type) {
		return fmt.Errorf("the client assertion's typ is %q", message.Header.Type)
	}
	return p.checkAssertionClaims(client, message.Payload)
}

func (p *Provider) checkAssertionClaims(client Client, payload []byte) error {
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience any    `json:"aud"`
		ID       string `json:"jti"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return errors.New("the client assertion's claims are malformed")
	}
	audience := p.Issuer()
	if p.options.Dialect.AssertionForTokenEndpoint {
		audience = p.URL() + p.path(Token)
	}
	federated := client.AssertionIssuer != ""
	issuer, subject := cmp.Or(client.AssertionIssuer, client.ID), cmp.Or(client.AssertionSubject, client.ID)
	now, most := p.now(), cmp.Or(p.options.Dialect.MaxAssertionLife, maxAssertionLife)
	switch issued, expires := time.Unix(claims.Issued, 0), time.Unix(claims.Expires, 0); {
	case claims.Issuer != issuer || claims.Subject != subject:
		return fmt.Errorf("the client assertion's iss is %q and its sub %q, want %q and %q", claims.Issuer, claims.Subject, issuer, subject)
	case claims.Audience != audience && !(federated && isOnly(claims.Audience, audience)):
		return fmt.Errorf("the client assertion's aud is %q, want the string %q", claims.Audience, audience)
	case claims.Issued == 0 || issued.After(now.Add(10*time.Second)):
		return errors.New("the client assertion's iat is missing, or in the future")
	case !now.Before(expires):
		return errors.New("the client assertion has expired, or has no exp")
	case federated:
	case expires.Sub(issued) > most:
		return fmt.Errorf("the client assertion lives %v, want at most %v", expires.Sub(issued), most)
	case claims.ID == "":
		return errors.New("the client assertion has no jti")
	case !p.assertions.first(client.ID + "\x00" + claims.ID):
		return errors.New("the client assertion was used before")
	}
	return nil
}

// isOnly reports whether an aud is a list of that audience alone, as Kubernetes writes it.
func isOnly(aud any, audience string) bool {
	list, ok := aud.([]any)
	return ok && len(list) == 1 && list[0] == audience
}

// keySetOf returns a client's public keys, fetched anew each time.
func (p *Provider) keySetOf(client Client) ([]byte, error) {
	if client.JWKSURI == "" {
		return client.JWKS, nil
	}
	fetcher := http.Client{Timeout: fetchLimit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	a, err := fetcher.Get(client.JWKSURI)
	if err != nil {
		return nil, fmt.Errorf("the client's key set is not to be had: %w", err)
	}
	defer a.Body.Close()
	document, err := io.ReadAll(io.LimitReader(a.Body, maxBody))
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", a.StatusCode)
	}
	if err != nil {
		return nil, fmt.Errorf("the client's key set is not to be had: %w", err)
	}
	return document, nil
}
