package idserver

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// revokeWithin limits how long a sign-out waits for the provider.
const revokeWithin = 3 * time.Second

// askSignOut answers GET /logout. It signs out only if a person followed a link on the application's own pages; otherwise
// any page, image or prefetch could sign people out. In all other cases it shows a button, or that nobody is signed in.
func (w *web) askSignOut(ctx context.Context, r *Request) (Answer, error) {
	followedOwnLink := r.value(secFetchSite) == "same-origin" && r.value(secFetchMode) == "navigate" &&
		r.value(secFetchDest) == "document" && r.value("Sec-Purpose") == ""
	if followedOwnLink {
		return w.endSession(ctx, r, false)
	}
	return pageAnswer(w.signOutPage(ctx, r)), nil
}

// signOut answers POST /logout.
func (w *web) signOut(ctx context.Context, r *Request) (Answer, error) {
	if w.crossSite(*r) {
		return Answer{}, w.refusedOrigin(r)
	}
	asJSON := r.value(secFetchMode) != "navigate" && r.acceptsJSON() && w.fromOwnPage(r)
	return w.endSession(ctx, r, asJSON)
}

// endSession signs out here (the cookies), at the token endpoint (the refresh token) and at the provider (its own
// session, OpenID Connect RP-Initiated Logout 1.0 section 2). The first happens even if the others fail. A store that is away and
// has the session keeps nobody signed in who wants to go: the cookie says which session it is. Its tokens are not known
// then, and the person is told that the sign-out is not complete.
func (w *web) endSession(ctx context.Context, r *Request, asJSON bool) (Answer, error) {
	home := w.afterSignOut(r)
	s, away := w.sessionOf(ctx, r)
	if away != nil {
		s = w.sessions.named(r.cookies(), w.now())
	}
	cookies := slices.Concat(w.sessions.drop(r.cookies()), w.forgetSpentLogins(r), w.forgetLost(r))
	if s == nil {
		return goTo(asJSON, home, cookies...)
	}
	latest := w.latest(ctx, s)                  // it may have been refreshed in the meantime, in another tab
	already, _ := w.markers.Ended(ctx, &s.ends) // if the store is away, the provider is asked once more
	w.end(ctx, s)
	w.sessions.end(context.WithoutCancel(ctx), s)
	ctx, cancel := context.WithTimeout(ctx, 2*revokeWithin) // the cookies are deleted by this answer
	defer cancel()
	if !already { // an old cookie need not have the provider asked again and again
		w.revoke(ctx, latest.RefreshToken)
	}
	if away != nil {
		w.cfg.Logger.WarnContext(ctx, "idserver: signed out while the store is away: the session has ended, and its refresh token was not revoked at the provider", "error", away)
	}
	w.cfg.Logger.InfoContext(ctx, "idserver: signed out", "issuer", s.user.Issuer, "subject", s.user.Subject)
	if !already {
		tell(ctx, w.cfg.Logger, "SignedOut", w.cfg.Events.SignedOut, SessionEvent{Issuer: s.user.Issuer, Subject: s.user.Subject})
	}

	target, err := w.provider.endSessionURL(ctx, EndSession{IDTokenHint: latest.IDToken, PostLogoutRedirectURI: w.postLogout(home)})
	if err != nil { // no such endpoint, or the provider is unavailable
		target = home
	}
	a, err := w.signedOut(asJSON, target, away == nil, cookies)
	if err != nil {
		return a, err
	}
	// The browser's back button would show pages of the session: browsers keep some even if the response said no-store.
	a.Set = append(a.Set, Field{"Clear-Site-Data", `"cache"`})
	return a, nil
}

// signedOut sends the browser on after a sign-out. One that is not complete is told, on a page that goes on by itself: the
// provider's own session would sign in the next person at this screen.
func (w *web) signedOut(asJSON bool, target string, complete bool, cookies []Field) (Answer, error) {
	switch {
	case complete:
		return goTo(asJSON, target, cookies...)
	case asJSON:
		return jsonAnswer(struct {
			URL        string `json:"url"`
			Incomplete bool   `json:"incomplete"`
		}{target, true}, cookies...)
	}
	a := pageAnswer(w.signedOutPage(target))
	a.Set = append(a.Set, Field{"Refresh", strconv.Itoa(int(readWithin.Seconds())) + "; url=" + target})
	a.Add = append(a.Add, cookies...)
	return a, nil
}

// readWithin is how long the page of a sign-out stands that is not complete.
const readWithin = 10 * time.Second

// noPostLogout is the value of Config.AfterSignOut with which the provider is told no URI to come back to.
const noPostLogout = "none"

// afterSignOut returns the page to go to after a sign-out: what return_to asks for, by the same rules as at sign-in, in the
// query or in the form.
func (w *web) afterSignOut(r *Request) string {
	query, _ := url.ParseQuery(r.RawQuery)
	target := query.Get("return_to")
	if target == "" && r.Method == http.MethodPost && r.Body != nil && r.hasForm() {
		form, _ := io.ReadAll(io.LimitReader(r.Body, maxForm))
		query, _ = url.ParseQuery(string(form))
		target = query.Get("return_to")
	}
	home := w.home()
	if w.cfg.AfterSignOut != noPostLogout {
		home = cmp.Or(w.cfg.AfterSignOut, home)
	}
	return cmp.Or(w.returnTo(target), home)
}

// signOutURL returns where the button of the page posts to: it keeps a return_to.
func (w *web) signOutURL(r *Request) string {
	query, _ := url.ParseQuery(r.RawQuery)
	if target := w.returnTo(query.Get("return_to")); target != "" {
		return w.path("/logout") + "?return_to=" + url.QueryEscape(target)
	}
	return w.path("/logout")
}

// maxForm limits a form of the sign-out route, in bytes.
const maxForm = 16 << 10

// postLogout returns the post_logout_redirect_uri for a target, which must be registered at the provider.
func (w *web) postLogout(target string) string {
	switch {
	case w.cfg.AfterSignOut == noPostLogout:
		return ""
	case strings.HasPrefix(target, "/"):
		return w.origin + target
	}
	return target // of a trusted origin
}

// revoke makes a short attempt to have the provider revoke a refresh token.
func (w *web) revoke(ctx context.Context, refreshToken string) {
	if refreshToken == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeWithin)
	defer cancel()
	if err := w.provider.revokeToken(ctx, refreshToken); err != nil && !errors.Is(err, ErrDiscovery) {
		w.cfg.Logger.WarnContext(ctx, "idserver: the refresh token was not revoked", "error", err)
	}
}
