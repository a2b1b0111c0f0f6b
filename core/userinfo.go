package idserver

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// userInfo fetches claims from the userinfo endpoint, and compares their sub with subject: see [Client.UserInfo].
func (p *provider) userInfo(ctx context.Context, accessToken, subject string) (info strictjson.Object, err error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return info, err
	}
	if m.UserInfoEndpoint == "" {
		return info, &DiscoveryError{p.cfg.Authority, errors.New("no userinfo_endpoint in it")}
	}
	a, err := p.do(ctx, "userinfo", endpoint.Call{URL: m.UserInfoEndpoint, Authentication: endpoint.Bearer{AccessToken: accessToken}})
	if err != nil {
		return info, &UserInfoError{Err: err}
	}
	if a.Status != http.StatusOK {
		r := a.Refusal()
		// RFC 6750 section 3 puts the error into this header; sgID sends it without the scheme in front.
		set(&r.Description, a.Text(a.Header.Get("WWW-Authenticate"), maxDescription))
		return info, &UserInfoError{Status: r.Status, Description: r.Description, RetryAfter: r.RetryAfter}
	}
	var body strictjson.Raw
	if err = a.JSON(&body); err == nil && string(body) != "null" { // which has no sub
		info, err = strictjson.ParseObject(body)
	}
	if err != nil {
		return info, &UserInfoError{Status: a.Status, Err: err}
	}
	if info.Get("sub") == "" {
		return info, &UserInfoError{Status: a.Status, Err: errNoSubject}
	}
	if sub := claims.Text(info.Get("sub")); sub == "" || subtle.ConstantTimeCompare([]byte(sub), []byte(subject)) != 1 {
		return info, &UserInfoError{Status: a.Status, Err: fmt.Errorf("%w: its sub is not the subject of the ID token", ReasonSubject)}
	}
	return withText(info, "iss", m.Issuer)
}

// withText returns claims in which one has that value.
func withText(known strictjson.Object, name, value string) (strictjson.Object, error) {
	text, err := strictjson.AppendString(nil, value)
	if err != nil {
		return known, baseerror.Errorf("idserver: %s: %w", name, err)
	}
	return claims.With(known, name, string(text))
}

// errNoSubject marks a response that proves nothing and is dropped.
var errNoSubject = errors.New("there is no sub in it")

// The sources of claims, as a session keeps where its roles came from.
const (
	fromIDToken     = "id_token"
	fromAccessToken = "access_token"
	fromUserInfo    = "userinfo"
)

// complete makes the user of tokens. Their sources, of which the first that knows a claim wins, are the ID token, the
// access token, if that is a JWT that is valid here for the same subject, and userinfo, which is asked only for what is
// missing, and not at all with NoUserInfo. An ID token that is older than the access token (WithoutRoles: a refresh brought no new one) comes after the
// access token, and its roles are taken only if there is no newer source at all.
func (p *provider) complete(ctx context.Context, tokens *Tokens, subject string, idToken claims.Source) error {
	older := idToken.WithoutRoles
	sources := []claims.Source{idToken}
	if access, err := p.verifyAccessToken(ctx, tokens.AccessToken); err == nil && access.Subject == subject {
		if tokens.Expiry.IsZero() { // the token endpoint did not say
			tokens.until(p.now(), access.Expiry)
		}
		source := claims.Source{Name: fromAccessToken, Claims: access.Object}
		if older {
			sources = []claims.Source{source, idToken}
		} else {
			sources = append(sources, source)
		}
	}
	merged, err := claims.Merge(p.roles, sources...)
	if err != nil {
		return baseerror.Errorf("idserver: claims: %w", err)
	}
	if missing := claims.Lacking(merged.Claims, p.roles); len(missing) > 0 {
		info, err := p.missingClaims(ctx, tokens.AccessToken, subject, missing)
		if err != nil {
			return err
		}
		sources = append(sources, info...)
	}
	if older && len(sources) == 1 { // no newer source, or it did not answer
		sources[0].WithoutRoles = false
	}
	if merged, err = claims.Merge(p.roles, sources...); err != nil {
		return baseerror.Errorf("idserver: claims: %w", err)
	}
	tokens.User, tokens.rolesFrom = newUser(merged.Claims, p.roles), merged.RolesFrom
	return nil
}

// missingClaims asks userinfo for what is missing. It returns no source if it must not be asked, if the provider has none, or
// if it does not accept the access token.
func (p *provider) missingClaims(ctx context.Context, accessToken, subject string, missing []string) ([]claims.Source, error) {
	if p.cfg.Provider.NoUserInfo {
		return nil, nil
	}
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.UserInfoEndpoint == "" {
		return nil, nil
	}
	info, err := p.userInfo(ctx, accessToken, subject)
	var refused *UserInfoError
	switch {
	case err == nil:
		return []claims.Source{{Name: fromUserInfo, Claims: info}}, nil
	case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusForbidden || errors.Is(err, errNoSubject)):
		// Some providers do not accept an access token for an API here: the user is signed in with fewer claims.
		p.cfg.Logger.WarnContext(ctx, "idserver: userinfo refuses the access token; the user is signed in without some claims", "missing", missing, "error", err)
		return nil, nil
	}
	return nil, fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
}
