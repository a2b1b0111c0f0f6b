package idserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// UserInfo asks the userinfo endpoint, OpenID Connect Core section 5.3. The answer's sub must be
// subject, the one of the ID token: without that comparison an answer proves nothing (section 5.3.2). The error is a
// UserInfoError or a DiscoveryError.
func (c *Client) UserInfo(ctx context.Context, accessToken, subject string) (*User, error) {
	claims, err := c.userInfo(ctx, accessToken, subject)
	if err != nil {
		return nil, err
	}
	return userOf(claims, c.cfg.RolesClaim)
}

func (c *Client) userInfo(ctx context.Context, accessToken, subject string) (map[string]strictjson.Raw, error) {
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserInfoEndpoint == "" {
		return nil, &DiscoveryError{c.cfg.Authority, errors.New("no userinfo_endpoint in it")}
	}
	header := http.Header{"Authorization": {"Bearer " + accessToken}}
	a, err := c.http.get(ctx, m.UserInfoEndpoint, header)
	if err != nil {
		return nil, &UserInfoError{Err: redactError(err, []string{accessToken})}
	}
	if a.status != http.StatusOK {
		e := c.refusedBy(a, accessToken)
		// RFC 6750 section 3 has the error there; sgID writes it without the scheme before it.
		set(&e.Description, printable(redact(a.header.Get("WWW-Authenticate"), []string{accessToken}), 256))
		return nil, &UserInfoError{Status: e.Status, Description: e.Description, RetryAfter: e.RetryAfter}
	}
	var claims map[string]strictjson.Raw
	if err := a.json(&claims); err != nil {
		return nil, &UserInfoError{Status: a.status, Err: err}
	}
	if _, ok := claims["sub"]; !ok {
		return nil, &UserInfoError{Status: a.status, Err: errNoSubject}
	}
	if sub := text(claims["sub"]); sub == "" || subtle.ConstantTimeCompare([]byte(sub), []byte(subject)) != 1 {
		return nil, &UserInfoError{Status: a.status, Err: fmt.Errorf("%w: its sub is not the subject of the ID token", ReasonSubject)}
	}
	claims["iss"], _ = strictjson.Marshal(m.Issuer)
	return claims, nil
}

// errNoSubject says that an answer proves nothing: it is dropped.
var errNoSubject = errors.New("there is no sub in it")

// complete makes the signed-in user of a verified ID token and of what that lacks: from the access
// token when it is a JWT that validates for the same subject, and else from userinfo, if that lets it. When the
// access token is the newer of both (a refresh without an ID token), it is the other way round.
func (c *Client) complete(ctx context.Context, tokens *Tokens, idToken *tokenClaims, accessTokenIsNewer bool) error {
	claims := idToken.all()
	fresh := !accessTokenIsNewer // whether what is known of the roles is as new as the access token
	if accessTokenIsNewer {      // a role that the old ID token names may have been taken away since
		delete(claims, c.cfg.RolesClaim[0])
		delete(claims, "custom_roles")
	}
	if access, err := c.verifyAccessToken(ctx, tokens.AccessToken); err == nil && access.Subject == idToken.Subject {
		if tokens.Expiry.IsZero() { // the token endpoint did not say
			tokens.until(c.now(), access.Expiry)
		}
		older := claims
		if accessTokenIsNewer {
			claims, fresh = map[string]strictjson.Raw{}, true
		}
		c.add(claims, access.all())
		c.add(claims, older)
	}
	if missing := c.lacking(claims); len(missing) > 0 {
		m, err := c.metadata.Get(ctx)
		if err != nil {
			return err
		}
		if m.UserInfoEndpoint != "" {
			info, err := c.userInfo(ctx, tokens.AccessToken, idToken.Subject)
			var refused *UserInfoError
			switch {
			case err == nil:
				c.add(claims, info)
				fresh = true
			case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden || errors.Is(err, errNoSubject)):
				// Some providers let an access token for an API not ask here: the user is signed in, with less.
				c.cfg.Logger.WarnContext(ctx, "idserver: userinfo refuses the access token; the user is signed in without some claims", "missing", missing, "error", err)
			default:
				return fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
			}
		}
	}
	if !fresh { // nobody newer was asked, or answered
		c.add(claims, idToken.all())
	}
	for _, name := range ofTheTokenItself {
		delete(claims, name)
	}
	user, err := userOf(claims, c.cfg.RolesClaim)
	if err != nil {
		return err
	}
	tokens.User = user
	return nil
}

// ofTheTokenItself are claims that say nothing of the user.
var ofTheTokenItself = []string{"aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "client_id", "scope", "scp", "typ"}

// lacking names what a user is made of and claims do not have. TenantID and custom roles are
// not asked for by themselves: a user without them is not a user without answers.
func (c *Client) lacking(claims map[string]strictjson.Raw) []string {
	var missing []string
	if at(claims, c.cfg.RolesClaim) == "" {
		missing = append(missing, c.cfg.RolesClaim[0])
	}
	for _, name := range []string{"email", "name"} {
		if _, ok := claims[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// add takes over the claims that are not there yet. email_verified is said of one address and is never joined
// to another; roles that lie deep are taken although something else lies beside them.
func (c *Client) add(claims, more map[string]strictjson.Raw) {
	_, hasEmail := claims["email"]
	if _, ok := more["email"]; ok && !hasEmail {
		delete(claims, "email_verified")
	}
	otherEmail := hasEmail && text(more["email"]) != text(claims["email"])
	if at(claims, c.cfg.RolesClaim) == "" && at(more, c.cfg.RolesClaim) != "" {
		claims[c.cfg.RolesClaim[0]] = more[c.cfg.RolesClaim[0]]
	}
	for name, value := range more {
		if _, ok := claims[name]; ok || slices.Contains(ofTheTokenItself, name) || name == "email_verified" && otherEmail {
			continue
		}
		claims[name] = value
	}
}
