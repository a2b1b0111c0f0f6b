package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// The sources of claims, as a session keeps where its roles came from.
const (
	fromIDToken     = "id_token"
	fromAccessToken = "access_token"
	fromUserInfo    = "userinfo"
	fromNowhere     = "none" // there are none; unlike "", which says that it is not known
)

// gathered is what has been found out about the user of tokens so far.
type gathered struct {
	tokens  *Tokens
	before  *Tokens // of a refresh: what was known before it; nil at a sign-in
	idToken *claims.Claims
	renewed bool // the ID token came with the tokens; one that did not is older than they are
	sources []claims.Source

	requested []string // the scopes that a sign-in asked for; nil: those of every one
	ofAccess  []string // the scopes that the access token has

	access error // why the access token says nothing here; nil if it does
	asked  bool  // userinfo answered
	failed error // or why it did not
}

// makeUser makes the user of tokens. Their sources, of which the first that knows a claim wins, are the ID token, the
// access token, if that is a JWT that is valid here for the same subject, and userinfo, which is asked only for what is
// wanted and missing. An ID token that is older than the access token (a refresh brought no new one) comes after the
// access token, and its roles do not count by themselves: one of them may have been taken away since.
func (p *provider) makeUser(ctx context.Context, g *gathered) error {
	idToken := claims.Source{Name: fromIDToken, Claims: g.idToken.Object, WithoutRoles: !g.renewed}
	g.sources = []claims.Source{idToken}
	if err := p.addAccessToken(ctx, g); err != nil {
		return err
	}
	missing, err := p.missing(ctx, g)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		if err := p.addUserInfo(ctx, g, missing); err != nil {
			return err
		}
	}
	if err := p.addWhatWasKnown(g, missing); err != nil {
		return err
	}
	merged, err := claims.Merge(p.roles, g.sources...)
	if err != nil {
		return baseerror.Errorf("idserver: claims: %w", err)
	}
	if merged.RolesFrom == "" {
		if merged, err = p.keepRoles(ctx, g, merged); err != nil {
			return err
		}
	}
	merged.RolesFrom = cmp.Or(merged.RolesFrom, fromNowhere)
	g.tokens.rolesFrom = merged.RolesFrom
	u := newUser(merged.Claims, p.roles, merged.VerifiedFrom != fromAccessToken)
	if u.Scopes, err = p.scopesOf(ctx, g); err != nil {
		return err
	}
	u.ClientID, u.Expiry = p.cfg.ClientID, g.tokens.Expiry
	u.ACR, u.AuthTime = g.tokens.first.acr, g.tokens.first.authTime
	g.tokens.User = u
	return nil
}

// scopesOf returns the scopes of the access token: those that the token endpoint told or, if it told none, that the token
// itself has. Where neither speaks, they are those of the sign-in, which are those that it asked for: the provider must
// tell any others (RFC 6749 sections 5.1 and 6).
func (p *provider) scopesOf(ctx context.Context, g *gathered) ([]string, error) {
	switch {
	case g.tokens.scopes != nil:
		return g.tokens.scopes, nil
	case g.ofAccess != nil:
		return g.ofAccess, nil
	case g.before != nil:
		return g.before.User.Scopes, nil
	}
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	return p.scopes(m, g.requested), nil
}

// addAccessToken adds the access token to the sources, if it is one that is valid here.
func (p *provider) addAccessToken(ctx context.Context, g *gathered) error {
	access, err := p.verifyAccessToken(ctx, g.tokens)
	if err == nil && access.Subject != g.idToken.Subject {
		err = invalidToken(ReasonSubject, "it is of another subject than the ID token")
	}
	if g.access = err; err != nil {
		return p.withoutAccessToken(ctx, g)
	}
	p.warnOfClaims(ctx, "access token", access)
	if g.tokens.Expiry.IsZero() { // the token endpoint did not say
		g.tokens.until(p.now(), access.Expiry)
	}
	g.ofAccess, _ = claims.Scopes(access.Get("scope"), access.Get("scp"))
	source := claims.Source{Name: fromAccessToken, Claims: access.Object}
	if g.renewed {
		g.sources = append(g.sources, source)
	} else {
		g.sources = slices.Insert(g.sources, 0, source)
	}
	return nil
}

// withoutAccessToken says so if roles may be lost with it.
func (p *provider) withoutAccessToken(ctx context.Context, g *gathered) error {
	wanted, err := p.wanted(ctx, g)
	if err == nil && slices.Contains(wanted, rolesWanted) && !(g.renewed && p.roles.Known(g.idToken.Object)) {
		p.warnOfUnused(ctx, g.tokens.AccessToken, g.access)
	}
	return err
}

// rolesWanted stands for the roles among the claims that are wanted: they may be anywhere.
const rolesWanted = "roles"

// wanted returns the claims that a user of this application should have: an e-mail address and a name if they are asked
// for, and roles if there is reason to think that the provider has any, or userinfo told them before. A missing tenant or
// missing custom roles alone are no reason to ask: many users have none.
func (p *provider) wanted(ctx context.Context, g *gathered) ([]string, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	var wanted []string
	scopes := p.scopes(m, nil)
	for scope, name := range map[string]string{"email": "email", "profile": "name"} {
		if slices.Contains(scopes, scope) {
			wanted = append(wanted, name)
		}
	}
	told := g.before != nil && g.before.rolesFrom == fromUserInfo
	if told || p.rolesConfigured || slices.Contains(scopes, "roles") || isSignwardItself(p.cfg.Authority) {
		wanted = append(wanted, rolesWanted)
	}
	slices.Sort(wanted)
	return wanted, nil
}

// isSignwardItself is isSignward without the providers on loopback: those say by themselves whether they have roles.
func isSignwardItself(authority string) bool {
	u, err := url.Parse(authority)
	return err == nil && isSignward(authority) && !isLoopback(u.Hostname())
}

// missing returns the claims that are wanted and not there.
func (p *provider) missing(ctx context.Context, g *gathered) ([]string, error) {
	wanted, err := p.wanted(ctx, g)
	if err != nil {
		return nil, err
	}
	merged, err := claims.Merge(p.roles, g.sources...)
	if err != nil {
		return nil, baseerror.Errorf("idserver: claims: %w", err)
	}
	has := func(name string) bool { return merged.Claims.Get(name) != "" }
	return slices.DeleteFunc(wanted, func(name string) bool {
		switch name {
		case rolesWanted:
			return p.roles.Known(merged.Claims)
		case "name":
			return has("name") || has("given_name") && has("family_name")
		}
		return has(name)
	}), nil
}

// addUserInfo asks userinfo for what is missing. That decides over nobody's sign-in: without an answer the user has fewer
// claims. Two things are an error all the same: an answer about another person; and that roles are missing and userinfo is
// away, because what it would have said of them is not known.
func (p *provider) addUserInfo(ctx context.Context, g *gathered, missing []string) error {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return err
	}
	if m.UserInfoEndpoint == "" || p.cfg.Provider.NoUserInfo {
		g.failed = errNoUserInfo
		return nil
	}
	info, err := p.userInfo(ctx, g.tokens.AccessToken, g.idToken.Subject, g.tokens.ProofKey)
	switch {
	case err == nil:
		g.asked = true
		g.sources = append(g.sources, claims.Source{Name: fromUserInfo, Claims: info})
		p.warnOfRoles(ctx, fromUserInfo, info)
		return nil
	case errors.Is(err, ReasonSubject):
		return err
	case errors.Is(err, ErrUnavailable) && slices.Contains(missing, rolesWanted), ctx.Err() != nil:
		return fmt.Errorf("%v are neither in the ID token nor in the access token: %w", missing, err)
	}
	g.failed = err
	p.cfg.Logger.WarnContext(ctx, "idserver: userinfo does not tell more about the user, who is signed in without some claims", "missing", missing, "error", err)
	return nil
}

// errNoUserInfo says that there is no userinfo endpoint, or that it is not to be asked.
var errNoUserInfo = errors.New("there is no userinfo endpoint")

// addWhatWasKnown adds to the sources of a refresh what userinfo told before and does not tell now. Roles are not among it.
func (p *provider) addWhatWasKnown(g *gathered, missing []string) error {
	if g.before == nil || g.asked {
		return nil
	}
	var names []string
	if slices.Contains(missing, "email") {
		names = append(names, "email", "email_verified")
	}
	if slices.Contains(missing, "name") {
		names = append(names, "name", "given_name", "family_name")
	}
	known, err := g.before.User.object()
	if err == nil && known.Get("email_verified") != "" { // whose text may have counted or not
		known, err = claims.With(known, "email_verified", strconv.FormatBool(g.before.User.EmailVerified))
	}
	if err == nil {
		known, err = claims.Some(known, names...)
	}
	if err != nil {
		return baseerror.Errorf("idserver: claims: %w", err)
	}
	g.sources = append(g.sources, claims.Source{Claims: known})
	return nil
}

// keepRoles decides what becomes of the roles when no source of a refresh has any. Where the source that they came from
// has answered, or a newer one in its place, there are none now. Where it only did not speak, the old ones last StaleMax.
func (p *provider) keepRoles(ctx context.Context, g *gathered, merged claims.Merged) (claims.Merged, error) {
	if g.before == nil {
		return merged, nil
	}
	old, from, until, err := p.rolesBefore(g)
	switch {
	case err != nil:
		return merged, err
	case from == "" || from == fromNowhere:
		return merged, nil
	case g.asked && !(from == fromAccessToken && errors.Is(g.access, ErrUnavailable)):
		return merged, nil
	case from == fromIDToken && g.renewed, from != fromUserInfo && g.access == nil:
		return merged, nil
	case from == fromUserInfo && g.failed != nil && !errors.Is(g.failed, ErrUnavailable):
		p.cfg.Logger.WarnContext(ctx, "idserver: the user's roles came from userinfo, which now refuses to tell them: they are taken away", "error", g.failed)
		return merged, nil
	case !p.now().Before(until.Add(p.cfg.staleMax())):
		p.cfg.Logger.WarnContext(ctx, "idserver: no refresh has told the user's roles for longer than Session.StaleMax: they are taken away", "roles_from", from)
		return merged, nil
	}
	kept, err := claims.Merge(p.roles, append(g.sources, claims.Source{Name: from, Claims: old})...)
	if err != nil {
		return merged, baseerror.Errorf("idserver: claims: %w", err)
	}
	if kept.RolesFrom != "" {
		g.tokens.rolesExpiry = until
	}
	return kept, nil
}

// rolesBefore returns the roles that were known before a refresh, where they came from, and until when the access token
// that they came with was good. Tokens that the caller has put together itself do not tell the last two: their roles are
// those of the ID token, and as old as that.
func (p *provider) rolesBefore(g *gathered) (old strictjson.Object, from string, until time.Time, err error) {
	from, until = g.before.rolesFrom, g.before.rolesUntil()
	source := g.idToken.Object
	if from != "" && from != fromIDToken || g.renewed {
		source, err = g.before.User.object()
	}
	if err == nil {
		old, err = p.roles.Only(source)
	}
	if err != nil {
		return old, "", until, baseerror.Errorf("idserver: claims: %w", err)
	}
	if from == "" && !g.renewed {
		from = fromIDToken
		if !g.idToken.IssuedAt.IsZero() {
			until = g.idToken.IssuedAt
		}
	}
	if until.IsZero() {
		until = p.now()
	}
	return old, from, until, nil
}

// rolesUntil is when the access token expires, or has expired, with which the roles came.
func (t *Tokens) rolesUntil() time.Time {
	if !t.rolesExpiry.IsZero() {
		return t.rolesExpiry
	}
	return t.Expiry
}

// staleMax is how long a session goes on without word of the provider.
func (c *Config) staleMax() time.Duration { return max(c.Session.StaleMax, 0) }
