package idtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	logoutTokenTTL = 2 * time.Minute // OpenID Connect Back-Channel Logout 1.0 section 4
	logoutTimeout  = 5 * time.Second // for a client's answer
)

// MintLogoutToken returns a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4) that tells a client of all sessions of
// a person: without sid. The functions may change its claims before it is signed. It is encrypted as the client's ID tokens are. Its
// header has typ logout+jwt; [Provider.SignRaw] makes others. It panics if there is no such person, or if the client's key set
// cannot be used; the client need not exist.
func (p *Provider) MintLogoutToken(login, clientID string, edit ...func(claims map[string]any)) string {
	token, err := p.logoutToken(clientID, map[string]any{"sub": p.mustPerson(login).Subject}, edit...)
	if err != nil {
		panic(fmt.Sprintf("idtest: %v", err))
	}
	return token
}

func (p *Provider) logoutToken(clientID string, about map[string]any, edit ...func(map[string]any)) (string, error) {
	now := p.now()
	claims := map[string]any{
		"iss": p.Issuer(), "aud": clientID, "iat": now.Unix(), "exp": now.Add(logoutTokenTTL).Unix(), "jti": rand.Text(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	maps.Copy(claims, about)
	for _, change := range edit {
		change(claims)
	}
	return p.forClient(clientID, p.sign("logout+jwt", claims), func(c Client) string { return c.IDTokenEncryption })
}

// SessionIDs returns the sid of each sign-in of a person at a client, in the order in which their codes were redeemed. It panics
// if there is no such person.
func (p *Provider) SessionIDs(login, clientID string) []string {
	person := p.mustPerson(login)
	p.grants.mu.Lock()
	defer p.grants.mu.Unlock()
	var all []string
	for _, g := range p.grants.redeemed {
		if g.login == person.Login && g.client == clientID {
			all = append(all, g.sid)
		}
	}
	return all
}

// EndSessions ends a person's sessions at the provider and tells their clients that have a BackchannelLogoutURI, with a logout
// token for each sign-in: OpenID Connect Back-Channel Logout 1.0. The refresh tokens of these sign-ins are revoked. The error joins
// those of clients that did not answer with 200; call it again to tell those that have not, as a provider does. It panics if there
// is no such person.
func (p *Provider) EndSessions(ctx context.Context, login string) error {
	person := p.mustPerson(login)
	p.grants.mu.Lock()
	var untold []*grant
	for _, g := range p.grants.redeemed {
		if g.login == person.Login && !g.told {
			g.revoked = true
			untold = append(untold, g)
		}
	}
	p.grants.mu.Unlock()
	var faults []error
	for _, g := range untold {
		if err := p.tell(ctx, g, person); err != nil {
			faults = append(faults, err)
			continue
		}
		p.grants.mu.Lock()
		g.told = true
		p.grants.mu.Unlock()
	}
	return errors.Join(faults...)
}

// tell sends a logout token to the client of a grant, if it wants one.
func (p *Provider) tell(ctx context.Context, g *grant, person Person) error {
	client, _ := p.registry.client(g.client)
	if client.BackchannelLogoutURI == "" {
		return nil
	}
	if !isLoopbackURL(client.BackchannelLogoutURI) {
		return fmt.Errorf("idtest: BackchannelLogoutURI %q is not on loopback", client.BackchannelLogoutURI)
	}
	token, err := p.logoutToken(client.ID, map[string]any{"sub": person.Subject, "sid": g.sid})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, logoutTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, client.BackchannelLogoutURI, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := logoutClient.Do(r)
	if err != nil {
		return fmt.Errorf("idtest: the client %q was not told: %w", client.ID, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("idtest: the client %q answered %s: %s", client.ID, response.Status, said)
	}
	return nil
}

// logoutClient sends logout tokens. Redirects are not followed: a token is for the URI that is registered.
var logoutClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
