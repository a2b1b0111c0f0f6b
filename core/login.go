package idserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// loginLife is how long a sign-in may take.
const loginLife = 20 * time.Minute

// restartMark is appended to the state of a sign-in that was restarted automatically, so that it is not restarted again.
const restartMark = ".r"

// onlineMark is appended, in place of restartMark, if the restarted sign-in does not ask for a refresh token.
const onlineMark = ".o" + restartMark

// loginParameters are the parameters of /login that are passed on to the provider. Any others are not: a link could
// otherwise change what is asked for.
var loginParameters = []string{"login_hint", "prompt", "ui_locales", "acr_values"}

// login answers /login: it begins a sign-in and redirects the browser to the provider.
func (w *web) login(ctx context.Context, r *Request) (Answer, error) {
	asJSON, ok := w.mayBegin(r)
	if !ok {
		return Answer{}, refused(CodeNotANavigation, nil)
	}
	if other := w.otherLoopbackName(r); other != "" && !asJSON {
		return seeOther(other), nil
	}
	if w.goesInCircles(r, w.now()) {
		return Answer{}, refused(CodeSignInLost, errors.New("three sign-ins within half a minute, and the browser keeps no session cookie"))
	}
	query, err := url.ParseQuery(r.RawQuery)
	if err != nil {
		query = url.Values{}
	}
	extra := url.Values{}
	for _, name := range loginParameters {
		if w.cfg.Provider.NoLinkParameters {
			break
		}
		if value := query.Get(name); value != "" && len(value) <= 512 {
			extra.Set(name, value)
		}
	}
	appData, err := appDataOf(query)
	if err != nil {
		return Answer{}, refused(CodeInvalidLogin, err)
	}
	kept := sessioncodec.Login{ReturnTo: w.returnTo(query.Get("return_to")), AppData: appData}
	wanted := w.openStepUp(query.Get(stepUpParameter))
	if wanted != nil {
		kept.ACR, kept.MaxAge = wanted.ACR, int64(wanted.MaxAge/time.Second)
		if w.signedInLately(r, w.now()) >= circle {
			return Answer{}, notAuthenticatedSo(errors.New("three sign-ins within half a minute, and a guard wants another one: two guards of the page may want what is never true at once"), kept)
		}
	}
	lost, forget := w.takeLost(ctx, r, extra)
	if lost != nil && wanted == nil && !asJSON && !w.cfg.Provider.NoLinkParameters {
		silently(&kept, extra, lost)
	}
	a, err := w.begin(ctx, r, asJSON, kept, extra, "")
	a.Add = append(a.Add, forget...)
	return a, err
}

// authorizeOptions returns the options of a sign-in: what the application configures lies beneath what it says of this request. A
// guard's wishes stand above both, and what the link says beneath them, because anybody can make a link.
func (w *web) authorizeOptions(ctx context.Context, r *Request) (o AuthorizeOptions, err error) {
	if w.cfg.AuthorizeOptions != nil {
		o, err = w.cfg.AuthorizeOptions(ctx, *r)
		switch {
		case errors.Is(err, ErrUnavailable):
			return o, refused(CodeProviderUnavailable, fmt.Errorf("AuthorizeOptions: %w", err))
		case err != nil:
			return o, refused(CodeInternal, fmt.Errorf("AuthorizeOptions: %w", err))
		case o.RedirectURI != "" && o.RedirectURI != w.redirectURI:
			return o, refused(CodeInternal, errors.New("AuthorizeOptions: RedirectURI must be empty: the routes have one"))
		case faultOfACR(o.ACR) != "":
			return o, refused(CodeInternal, errors.New("AuthorizeOptions: "+faultOfACR(o.ACR)))
		case o.MaxAge < 0 || o.MaxAge%time.Second != 0:
			return o, refused(CodeInternal, fmt.Errorf("AuthorizeOptions: MaxAge is %v: want whole seconds", o.MaxAge))
		}
	}
	maxAge, _ := maxAgeOf(w.cfg.AuthorizeParameters)
	configured := AuthorizeOptions{MaxAge: maxAge, Extra: maps.Clone(w.cfg.AuthorizeParameters)}
	delete(configured.Extra, "max_age")
	return o.or(configured), nil
}

// begin makes the authorization request and the cookie that belongs to it; kept holds what that cookie is to keep
// besides, and link what the link to /login asks the provider for.
func (w *web) begin(
	ctx context.Context, r *Request, asJSON bool, kept sessioncodec.Login, link url.Values, mark string,
) (Answer, error) {
	m, err := w.provider.metadata.Get(ctx)
	if err != nil {
		return Answer{}, err
	}
	options, err := w.authorizeOptions(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	options = options.steppedUp(authenticationOf(kept)).or(AuthorizeOptions{Extra: link})
	if kept.Lost != nil && options.Extra.Get("prompt") != "none" { // the application wants the person to be asked, always
		kept.Lost = nil
		if options.Extra.Get("id_token_hint") == link.Get("id_token_hint") {
			delete(options.Extra, "id_token_hint")
		}
	}
	if mark == onlineMark && len(options.Scopes) == 0 {
		options.Scopes = onlineScopes(m)
	}
	request, err := w.provider.newAuthorizationRequest(ctx, m, options, mark)
	if err != nil {
		return Answer{}, err
	}
	browser, keep, err := w.browser(r)
	if err != nil {
		return Answer{}, refused(CodeInternal, err)
	}
	kept.State, kept.Nonce, kept.Verifier, kept.ProofKey = request.State, request.Nonce, request.CodeVerifier, request.ProofKey
	kept.Browser, kept.Begun = browser, w.now().UnixMilli()
	kept.MaxAge, kept.ACR, kept.Scopes = int64(request.MaxAge/time.Second), request.ACR, options.Scopes
	written, err := w.keepLogin(r, kept)
	if err != nil {
		return Answer{}, refused(CodeInternal, err)
	}
	return goTo(asJSON, request.URL, append(written, keep)...)
}

// browser returns what binds sign-ins to this browser: a random value in a __Host- cookie. Login cookies have the path of
// the routes, which that prefix does not allow. A neighbouring host could therefore plant one that belongs to its own
// sign-in, and sign the browser in as somebody else (login CSRF).
func (w *web) browser(r *Request) (id string, keep Field, err error) {
	id, ok := cookies.One(r.cookies(), w.names.Browser)
	if !ok || len(id) != 43 {
		if id, err = randomText(w.cfg.Rand); err != nil {
			return "", Field{}, err
		}
	}
	return id, setCookie(w.loginJar.Set(w.names.Browser, id, "/", int(loginLife.Seconds()))), nil
}

// mayBegin reports whether a request may begin a sign-in: a person's navigation, or a script of the application that asks
// for the URL. A frame, an image or a prefetch must not.
func (w *web) mayBegin(r *Request) (asJSON, ok bool) {
	switch {
	case r.isPrefetch():
		return false, false
	case r.value(secFetchMode) == "": // not a browser, or an old one
		return r.acceptsJSON() && !strings.Contains(r.value("Accept"), "text/html"), true
	case r.value(secFetchMode) == "navigate":
		return false, r.value(secFetchDest) == "document" || r.value(secFetchDest) == ""
	}
	return true, w.fromOwnPage(r) && r.acceptsJSON()
}

// otherLoopbackName returns the URL to begin at instead if a developer opened localhost and BaseURL says 127.0.0.1: the
// cookie must belong to the host that the provider redirects the browser to.
func (w *web) otherLoopbackName(r *Request) string {
	base, err := url.Parse(w.base)
	if err != nil || r.Host == "" || r.Host == base.Host {
		return ""
	}
	if host, _ := url.Parse("http://" + r.Host); host == nil || !isLoopback(base.Hostname()) || !isLoopback(host.Hostname()) || host.Port() != base.Port() {
		return ""
	}
	target := w.origin + w.path("/login")
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	return target
}

// circleTime is within how long three sign-ins that left no session are a circle.
const circleTime = 30 * time.Second

// wasKept marks, for as long as a circle may take, that the browser has kept the cookie of a session that ended in another
// way than by a sign-out, such as a refresh that the provider refuses: to sign in again is to go in no circle. A session that
// ends as soon as it has begun leaves no mark, because that is a circle, whatever the reason.
func (w *web) wasKept(s *session, err error, now time.Time) []Field {
	if errors.Is(err, errSignedOut) || now.Sub(s.signedIn) < time.Second {
		return nil
	}
	return []Field{setCookie(w.jar.Set(w.names.Kept, "1", "/", int(circleTime.Seconds())))}
}

// goesInCircles reports whether this browser has signed in several times in a row and still has no session: it does not
// keep the session cookie, or something in front of this program removes it.
func (w *web) goesInCircles(r *Request, now time.Time) bool {
	for _, name := range []string{w.names.Session, w.names.Kept} {
		if _, ok := cookies.One(r.cookies(), name); ok {
			return false
		}
	}
	return w.signedInLately(r, now) >= circle
}

// circle is how many sign-ins within circleTime are one.
const circle = 3

// signedInLately returns how many sign-ins this browser has completed within circleTime.
func (w *web) signedInLately(r *Request, now time.Time) (n int) {
	open, _ := w.logins(r)
	for _, p := range open {
		if p.Spent != 0 && now.Sub(time.UnixMilli(p.Spent)) < circleTime {
			n++
		}
	}
	return n
}
