package idserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
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
	return newUser(claims, c.cfg.RolesClaim), nil
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
		return nil, &UserInfoError{Status: e.Status, Description: e.Description, RetryAfter: e.RetryAfter}
	}
	var claims map[string]strictjson.Raw
	if err := a.json(&claims); err != nil {
		return nil, &UserInfoError{Status: a.status, Err: err}
	}
	if sub := text(claims["sub"]); sub == "" || subtle.ConstantTimeCompare([]byte(sub), []byte(subject)) != 1 {
		return nil, &UserInfoError{Status: a.status, Err: fmt.Errorf("%w: its sub is not the subject of the ID token", ReasonSubject)}
	}
	claims["iss"], _ = strictjson.Marshal(m.Issuer)
	return claims, nil
}

// user makes the signed-in user of a verified ID token and of what that lacks: from the access
// token when it is a JWT that validates for the same subject, and else from userinfo, if that lets it. When the
// access token is the newer of both (a refresh without an ID token), it is the other way round.
func (c *Client) user(ctx context.Context, idToken *tokenClaims, accessToken string, accessTokenIsNewer bool) (*User, error) {
	claims := maps.Clone(idToken.all)
	if accessTokenIsNewer || len(c.lacking(claims)) > 0 {
		if access, err := c.verifyAccessToken(ctx, accessToken); err == nil && access.Subject == idToken.Subject {
			if accessTokenIsNewer {
				claims = map[string]strictjson.Raw{}
			}
			add(claims, access.all)
			add(claims, idToken.all)
		}
	}
	if missing := c.lacking(claims); len(missing) > 0 {
		m, err := c.metadata.Get(ctx)
		if err != nil {
			return nil, err
		}
		if m.UserInfoEndpoint != "" {
			info, err := c.userInfo(ctx, accessToken, idToken.Subject)
			var refused *UserInfoError
			switch {
			case err == nil:
				add(claims, info)
			case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden):
				// Some providers let an access token for an API not ask here: the user is signed in, with less.
				c.cfg.Logger.WarnContext(ctx, "idserver: userinfo refuses the access token; the user is signed in without some claims", "missing", missing, "error", err)
			default:
				return nil, fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
			}
		}
	}
	for _, name := range ofTheTokenItself {
		delete(claims, name)
	}
	return newUser(claims, c.cfg.RolesClaim), nil
}

// ofTheTokenItself are claims that say nothing of the user.
var ofTheTokenItself = []string{"aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "client_id", "scope", "scp", "typ"}

// lacking names what a user is made of and claims do not have. TenantID and custom roles are
// not asked for by themselves: a user without them is not a user without answers.
func (c *Client) lacking(claims map[string]strictjson.Raw) []string {
	var missing []string
	if at(claims, c.cfg.RolesClaim) == nil {
		missing = append(missing, c.cfg.RolesClaim[0])
	}
	for _, name := range []string{"email", "name"} {
		if _, ok := claims[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

// add takes over the claims that are not there yet.
func add(claims, more map[string]strictjson.Raw) {
	for name, value := range more {
		if _, ok := claims[name]; !ok && !slices.Contains(ofTheTokenItself, name) {
			claims[name] = value
		}
	}
}
