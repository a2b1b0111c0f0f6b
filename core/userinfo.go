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

// UserInfo fetches the user from the userinfo endpoint, OpenID Connect Core section 5.3. The sub of the response must
// equal subject, which is that of the ID token: without this comparison the response proves nothing (section 5.3.2). The
// error is a [UserInfoError] or a [DiscoveryError].
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
		// RFC 6750 section 3 puts the error into this header; sgID sends it without the scheme in front.
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

// errNoSubject marks a response that proves nothing and is dropped.
var errNoSubject = errors.New("there is no sub in it")

// complete makes the user from a verified ID token. What that lacks is taken from the access token, if it is a JWT that
// is valid here for the same subject, and then from userinfo, if the provider allows that. If the access token is newer
// than the ID token (after a refresh that brought no ID token), its claims come first.
func (c *Client) complete(ctx context.Context, tokens *Tokens, idToken *tokenClaims, accessTokenIsNewer bool) error {
	claims := idToken.all()
	fresh := !accessTokenIsNewer // whether the roles are known to be as new as the access token
	if accessTokenIsNewer {      // a role in the old ID token may have been taken away since
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
				// Some providers do not accept an access token for an API here: the user is signed in with fewer claims.
				c.cfg.Logger.WarnContext(ctx, "idserver: userinfo refuses the access token; the user is signed in without some claims", "missing", missing, "error", err)
			default:
				return fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
			}
		}
	}
	if !fresh { // there was no newer source, or it did not answer
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

// ofTheTokenItself are claims about the token rather than the user.
var ofTheTokenItself = []string{"aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "client_id", "scope", "scp", "typ"}

// lacking returns what a user should have and claims does not. A missing TenantID or missing custom roles alone are no
// reason to ask: many users have none.
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

// add copies the claims that are missing. email_verified belongs to one address and is never combined with another;
// nested roles are taken even if there are other claims next to them.
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
