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

// userInfo fetches claims from the userinfo endpoint, and compares their sub with subject: see [Client.UserInfo].
func (p *provider) userInfo(ctx context.Context, accessToken, subject string) (map[string]strictjson.Raw, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserInfoEndpoint == "" {
		return nil, &DiscoveryError{p.cfg.Authority, errors.New("no userinfo_endpoint in it")}
	}
	header := http.Header{"Authorization": {"Bearer " + accessToken}}
	a, err := p.http.get(ctx, m.UserInfoEndpoint, header)
	if err != nil {
		return nil, &UserInfoError{Err: redactError(err, []string{accessToken})}
	}
	if a.status != http.StatusOK {
		e := p.refusedBy(a, accessToken)
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
func (p *provider) complete(ctx context.Context, tokens *Tokens, idToken *tokenClaims, accessTokenIsNewer bool) error {
	claims := idToken.all()
	fresh := !accessTokenIsNewer // whether the roles are known to be as new as the access token
	if accessTokenIsNewer {      // a role in the old ID token may have been taken away since
		delete(claims, p.cfg.RolesClaim[0])
		delete(claims, "custom_roles")
	}
	if access, err := p.verifyAccessToken(ctx, tokens.AccessToken); err == nil && access.Subject == idToken.Subject {
		if tokens.Expiry.IsZero() { // the token endpoint did not say
			tokens.until(p.now(), access.Expiry)
		}
		older := claims
		if accessTokenIsNewer {
			claims, fresh = map[string]strictjson.Raw{}, true
		}
		p.add(claims, access.all())
		p.add(claims, older)
	}
	if missing := p.lacking(claims); len(missing) > 0 {
		m, err := p.metadata.Get(ctx)
		if err != nil {
			return err
		}
		if m.UserInfoEndpoint != "" {
			info, err := p.userInfo(ctx, tokens.AccessToken, idToken.Subject)
			var refused *UserInfoError
			switch {
			case err == nil:
				p.add(claims, info)
				fresh = true
			case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden || errors.Is(err, errNoSubject)):
				// Some providers do not accept an access token for an API here: the user is signed in with fewer claims.
				p.cfg.Logger.WarnContext(ctx, "idserver: userinfo refuses the access token; the user is signed in without some claims", "missing", missing, "error", err)
			default:
				return fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
			}
		}
	}
	if !fresh { // there was no newer source, or it did not answer
		p.add(claims, idToken.all())
	}
	for _, name := range ofTheTokenItself {
		delete(claims, name)
	}
	user, err := userOf(claims, p.cfg.RolesClaim)
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
func (p *provider) lacking(claims map[string]strictjson.Raw) []string {
	var missing []string
	if at(claims, p.cfg.RolesClaim) == "" {
		missing = append(missing, p.cfg.RolesClaim[0])
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
func (p *provider) add(claims, more map[string]strictjson.Raw) {
	_, hasEmail := claims["email"]
	if _, ok := more["email"]; ok && !hasEmail {
		delete(claims, "email_verified")
	}
	otherEmail := hasEmail && text(more["email"]) != text(claims["email"])
	if at(claims, p.cfg.RolesClaim) == "" && at(more, p.cfg.RolesClaim) != "" {
		claims[p.cfg.RolesClaim[0]] = more[p.cfg.RolesClaim[0]]
	}
	for name, value := range more {
		if _, ok := claims[name]; ok || slices.Contains(ofTheTokenItself, name) || name == "email_verified" && otherEmail {
			continue
		}
		claims[name] = value
	}
}
