package idserver

import (
	"context"
	"errors"
	"time"
)

// revokeWithin limits how long a sign-out waits for the provider.
const revokeWithin = 3 * time.Second

// askSignOut answers GET /logout. It signs out only if a person followed a link on the application's own pages; otherwise
// any page, image or prefetch could sign people out. In all other cases it shows a button, or that nobody is signed in.
func (c *Client) askSignOut(ctx context.Context, r Request) Answer {
	if refused, ok := c.onlyGet(ctx, r); !ok {
		return refused
	}
	if r.SecFetchSite == "same-origin" && r.SecFetchMode == "navigate" && r.SecFetchDest == "document" && r.SecPurpose == "" {
		return c.endSession(ctx, r, false)
	}
	return Answer{
		Status: 200,
		Set:    append([]Field{noStore, {"X-Content-Type-Options", "nosniff"}}, pageFields...),
		Add:    []Field{varyOnCredentials},
		Body:   c.signOutPage(r),
	}
}

// signOut answers POST /logout.
func (c *Client) signOut(ctx context.Context, r Request) Answer {
	if c.web.crossSite(&r) {
		return c.refuse(ctx, r, CodeCrossSite, nil)
	}
	return c.endSession(ctx, r, r.SecFetchMode != "navigate" && r.acceptsJSON() && c.web.fromOwnPage(r))
}

// endSession signs out here (the cookies), at the token endpoint (the refresh token) and at the provider (its own
// session, OpenID Connect RP-Initiated Logout 1.0 section 2). The first happens even if the others fail.
func (c *Client) endSession(ctx context.Context, r Request, asJSON bool) Answer {
	home := c.web.page(c.cfg.AfterSignOut)
	s, _ := c.loadSession(r, c.now())
	cookies := append(c.dropSession(r), c.web.forgetSpentLogins(r)...)
	if s == nil {
		return c.goTo(ctx, r, asJSON, home, cookies...)
	}
	latest := s.tokens
	newer, ended := c.web.grants.newest(s.user.Issuer, s.grant)
	if newer != nil { // refreshed in the meantime, in another tab
		latest = *newer
	}
	ctx, cancel := context.WithTimeout(ctx, 2*revokeWithin) // the cookies are deleted by this answer
	defer cancel()
	if latest.RefreshToken != "" && !ended { // an old cookie need not have the provider asked again and again
		c.web.grants.end(c.cfg.Session.Idle, s.grant, refreshKey(s.user.Issuer, latest.RefreshToken))
		c.revoke(ctx, latest.RefreshToken)
	}
	c.cfg.Logger.InfoContext(ctx, "idserver: signed out", "issuer", s.user.Issuer, "subject", s.user.Subject)

	target, err := c.EndSessionURL(ctx, EndSession{IDTokenHint: latest.IDToken, PostLogoutRedirectURI: c.web.origin + home})
	if err != nil { // no such endpoint, or the provider is unavailable
		target = home
	}
	a := c.goTo(ctx, r, asJSON, target, cookies...)
	// The browser's back button would show pages of the session: browsers keep some even if the response said no-store.
	a.Set = append(a.Set, Field{"Clear-Site-Data", `"cache"`})
	return a
}

// revoke makes a short attempt to have the provider revoke a refresh token.
func (c *Client) revoke(ctx context.Context, refreshToken string) {
	if refreshToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeWithin)
	defer cancel()
	if err := c.RevokeToken(ctx, refreshToken); err != nil && !errors.Is(err, ErrDiscovery) {
		c.cfg.Logger.WarnContext(ctx, "idserver: the refresh token was not revoked", "error", err)
	}
}
