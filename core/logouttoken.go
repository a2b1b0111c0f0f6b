package idserver

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// logoutToken is what a provider says has ended, OpenID Connect Back-Channel Logout 1.0 section 2.4.
type logoutToken struct {
	issuer   string
	subject  string // empty if it names only the provider's session
	sid      string // empty if all sessions of the subject have ended
	issuedAt time.Time
}

// verifyLogoutToken verifies a logout token as OpenID Connect Back-Channel Logout 1.0 section 2.6 prescribes. It may come from
// anybody, and nothing is fetched for one that is refused by what it says.
func (p *provider) verifyLogoutToken(ctx context.Context, token string) (logoutToken, error) {
	now := p.now()
	issuer, err := p.issuer(ctx, now)
	if err != nil {
		return logoutToken{}, err
	}
	if token, err = p.opened(token); err != nil { // step 1
		return logoutToken{}, err
	}
	rules := func(v verified) error {
		wanted, err := p.issuerOfToken(ctx, issuer, issuer, v)
		if err != nil {
			return err
		}
		return checkLogoutToken(v.Claims, idTokenRules{
			issuer: wanted, clientID: p.cfg.ClientID, now: p.now(), leeway: p.cfg.Provider.Leeway, kind: v.header.Type,
		})
	}
	v, err := p.verify(ctx, token, presented, now, rules) // step 2
	if err != nil {
		return logoutToken{}, err
	}
	if err := rules(v); err != nil { // the keys may have taken a while
		return logoutToken{}, err
	}
	return logoutToken{issuer: v.Issuer, subject: v.Subject, sid: claims.Text(v.Get("sid")), issuedAt: v.IssuedAt}, nil
}

// checkLogoutToken applies the rest of section 2.6, in its order, to claims whose signature is verified. Step 7 is not needed: a
// token that comes again says when it was issued, and ends nothing that began later. Steps 8 to 10 compare with sessions,
// which is what the token's marks do.
func checkLogoutToken(t *claims.Claims, want idTokenRules) error {
	for _, name := range []string{"iat", "azp"} {
		if t.Odd(name) {
			return invalidToken(ReasonMalformed, "%s is of a wrong type, or out of range", name)
		}
	}
	switch { // step 3
	case !slices.Contains([]string{"", "jwt", "application/jwt", "logout+jwt", "application/logout+jwt"}, strings.ToLower(want.kind)):
		return invalidToken(ReasonType, "typ is %q, want logout+jwt", want.kind)
	case t.Issuer != want.issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", t.Issuer, want.issuer)
	case want.clientID == "" || !slices.Contains(t.Audience, want.clientID):
		return invalidToken(ReasonAudience, "aud is %q, want %q", t.Audience, want.clientID)
	case t.AuthorizedParty != nil && *t.AuthorizedParty != want.clientID:
		return invalidToken(ReasonAuthorizedParty, "azp is %q, want %q", *t.AuthorizedParty, want.clientID)
	case t.IssuedAt.IsZero():
		return invalidToken(ReasonIssuedAt, "no iat")
	}
	if err := checkTimes(t.Expiry, t.NotBefore, t.IssuedAt, want.now, want.leeway); err != nil {
		return err
	}
	if err := checkEnded(t); err != nil { // step 4
		return err
	}
	switch events, err := strictjson.ParseObject([]byte(t.Get("events"))); { // step 5
	case !t.Has("events"):
		return invalidToken(ReasonType, "it has no events, as a logout token must")
	case err != nil:
		return invalidToken(ReasonType, "events is no object")
	case !strings.HasPrefix(events.Get(logoutEvent), "{"):
		return invalidToken(ReasonType, "events has no object %s", logoutEvent)
	case t.Has("nonce"): // step 6: an ID token that was made to look like one
		return invalidToken(ReasonNonce, "it has a nonce, which no logout token may have")
	}
	return nil
}

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// checkEnded checks that the token says whose session has ended, or which one.
func checkEnded(t *claims.Claims) error {
	sid := t.Get("sid")
	if _, ok := strictjson.String(sid); sid != "" && sid != "null" && !ok {
		return invalidToken(ReasonMalformed, "sid is of a wrong type")
	}
	switch hasSID := claims.Text(sid) != ""; {
	case hasSID && t.Subject == "":
		return nil
	case !hasSID && t.Subject == "":
		return invalidToken(ReasonSubject, "neither sub nor sid")
	}
	return checkSubject(t.Subject)
}
