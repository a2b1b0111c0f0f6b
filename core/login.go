package idserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// loginLife is how long a sign-in may take.
const loginLife = 20 * time.Minute

// maxLogins is how many sign-ins one browser may have pending at once, such as in tabs that were restored together.
const maxLogins = 5

// maxLoginCookies is how many login cookies are looked at, because a stranger may send any number.
const maxLoginCookies = 32

// restartMark is appended to the state of a sign-in that was restarted automatically, so that it is not restarted again.
const restartMark = ".r"

// loginParameters are the parameters of /login that are passed on to the provider. Any others are not: a link could
// otherwise change what is asked for.
var loginParameters = []string{"login_hint", "prompt", "ui_locales", "acr_values"}

// pendingLogin is what a browser keeps, sealed, between /login and /callback: one cookie for each attempt, so that tabs
// do not disturb each other.
type pendingLogin struct {
	State    string `json:"state"`
	Browser  string `json:"browser"` // the value of the browser's cookie
	Nonce    string `json:"nonce,omitempty"`
	Verifier string `json:"verifier,omitempty"`
	ReturnTo string `json:"return_to,omitempty"`
	AppData  []byte `json:"app_data,omitempty"`
	Begun    int64  `json:"begun"`
	Spent    int64  `json:"spent,omitempty"` // when it led to a session; 0: not yet
}

// login answers /login: it begins a sign-in and redirects the browser to the provider.
func (c *Client) login(ctx context.Context, r Request) Answer {
	if refused, ok := c.onlyGet(ctx, r); !ok {
		return refused
	}
	asJSON, ok := c.web.mayBegin(r)
	if !ok {
		return c.refuse(ctx, r, CodeNotANavigation, nil)
	}
	if other := c.web.otherLoopbackName(r); other != "" && !asJSON {
		return seeOther(other)
	}
	if c.web.goesInCircles(r, c.now()) {
		return c.refuse(ctx, r, CodeSignInLost, errors.New("three sign-ins within half a minute, and the browser keeps no session cookie"))
	}
	query, err := url.ParseQuery(r.RawQuery)
	if err != nil {
		query = url.Values{}
	}
	extra := url.Values{}
	for _, name := range loginParameters {
		if value := query.Get(name); value != "" && len(value) <= 512 {
			extra.Set(name, value)
		}
	}
	appData, err := appDataOf(query)
	if err != nil {
		return c.refuse(ctx, r, CodeInvalidLogin, err)
	}
	return c.begin(ctx, r, asJSON, pendingLogin{ReturnTo: c.web.returnTo(query.Get("return_to")), AppData: appData}, extra, "")
}

// begin makes the authorization request and the cookie that belongs to it; kept holds what that cookie is to keep
// besides.
func (c *Client) begin(ctx context.Context, r Request, asJSON bool, kept pendingLogin, extra url.Values, mark string) Answer {
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return c.refuse(ctx, r, codeOf(err), err)
	}
	request, err := c.newAuthorizationRequest(m, AuthorizeOptions{Extra: extra}, mark)
	if err != nil {
		return c.refuse(ctx, r, codeOf(err), err)
	}
	browser, keep, err := c.browser(r)
	if err != nil {
		return c.refuse(ctx, r, CodeInternal, err)
	}
	kept.State, kept.Browser, kept.Nonce, kept.Verifier, kept.Begun = request.State, browser, request.Nonce, request.CodeVerifier, c.now().Unix()
	cookies, err := c.web.keepLogin(c, r, kept)
	if err != nil {
		return c.refuse(ctx, r, CodeInternal, err)
	}
	return c.goTo(ctx, r, asJSON, request.URL, append(cookies, keep)...)
}

// browser returns what binds sign-ins to this browser: a random value in a __Host- cookie. Login cookies have the path of
// the routes, which that prefix does not allow. A neighbouring host could therefore plant one that belongs to its own
// sign-in, and sign the browser in as somebody else (login CSRF).
func (c *Client) browser(r Request) (id string, keep Field, err error) {
	id, ok := r.cookie(c.web.browserName)
	if !ok || len(id) != 43 {
		if id, err = randomText(c.cfg.Rand); err != nil {
			return "", Field{}, err
		}
	}
	return id, c.web.setCookie(c.web.browserName, id, "/", int(loginLife.Seconds())), nil
}

// mayBegin reports whether a request may begin a sign-in: a person's navigation, or a script of the application that asks
// for the URL. A frame, an image or a prefetch must not.
func (w *web) mayBegin(r Request) (asJSON, ok bool) {
	switch {
	case r.isPrefetch():
		return false, false
	case r.SecFetchMode == "": // not a browser, or an old one
		return r.acceptsJSON() && !strings.Contains(r.Accept, "text/html"), true
	case r.SecFetchMode == "navigate":
		return false, r.SecFetchDest == "document" || r.SecFetchDest == ""
	}
	return true, w.fromOwnPage(r) && r.acceptsJSON()
}

// otherLoopbackName returns the URL to begin at instead if a developer opened localhost and BaseURL says 127.0.0.1: the
// cookie must belong to the host that the provider redirects the browser to.
func (w *web) otherLoopbackName(r Request) string {
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

// goesInCircles reports whether this browser has signed in several times in a row and still has no session: it does not
// keep the session cookie, or something in front of this program removes it.
func (w *web) goesInCircles(r Request, now time.Time) bool {
	if _, ok := r.cookie(w.sessionName); ok {
		return false
	}
	lately := 0
	for _, p := range w.logins(r) {
		if p.Spent != 0 && now.Unix()-p.Spent < 30 {
			lately++
		}
	}
	return lately >= 3
}

// forgetSpentLogins deletes the marks of completed sign-ins: to sign out and in again is not to go in circles.
func (w *web) forgetSpentLogins(r Request) (fields []Field) {
	open := w.logins(r)
	for _, name := range slices.Sorted(maps.Keys(open)) {
		if open[name].Spent != 0 {
			fields = append(fields, w.setCookie(name, "", w.routes, -1))
		}
	}
	return fields
}

// loginCookie returns the name of the cookie of an attempt.
func (w *web) loginCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return w.loginName + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// keepLogin writes the cookie of p, and deletes those that are too many or no longer useful.
func (w *web) keepLogin(c *Client, r Request, p pendingLogin) ([]Field, error) {
	name := w.loginCookie(p.State)
	content, err := strictjson.Marshal(p)
	if err != nil {
		return nil, err
	}
	sealed, err := w.ring.Seal(c.cfg.Rand, name, content)
	if err != nil {
		return nil, err
	}
	if len(sealed) > maxChunk && p.ReturnTo != "" { // because of a long app_data: the sign-in matters more than the page to return to
		p.ReturnTo = ""
		return w.keepLogin(c, r, p)
	}
	life := int64(loginLife.Seconds()) - (c.now().Unix() - p.Begun)
	fields := []Field{w.setCookie(name, sealed, w.routes, int(life))}

	open := w.logins(r)
	var others []string
	for other := range r.eachCookie(w.loginName) {
		if other != name && !slices.Contains(others, other) {
			if others = append(others, other); len(others) == maxLoginCookies {
				break
			}
		}
	}
	slices.SortFunc(others, func(a, b string) int { return int(open[b].Begun - open[a].Begun) }) // the newest first
	for i, other := range others {
		p, ok := open[other]
		if i >= maxLogins-1 || !ok || c.now().Sub(time.Unix(p.Begun, 0)) > loginLife {
			fields = append(fields, w.setCookie(other, "", w.routes, -1))
		}
	}
	return fields, nil
}

// logins opens the login cookies of a request, by name.
func (w *web) logins(r Request) map[string]pendingLogin {
	all := map[string]pendingLogin{}
	tried := 0
	for name, value := range r.eachCookie(w.loginName) {
		if tried++; tried > maxLoginCookies {
			break
		}
		if p, ok := w.openLogin(name, value); ok {
			all[name] = p
		}
	}
	return all
}

func (w *web) openLogin(name, value string) (p pendingLogin, ok bool) {
	if len(value) > maxChunk {
		return p, false
	}
	content, _, err := w.ring.Open(name, value)
	if err != nil || strictjson.Unmarshal(content, &p) != nil || w.loginCookie(p.State) != name {
		return pendingLogin{}, false
	}
	return p, true
}

// pendingLogin finds the attempt that state belongs to, if it was begun in this browser and is not too old. Its cookie
// binds the state to the browser: a victim who was made to follow an attacker's callback has no cookie for it.
func (w *web) pendingLogin(r Request, state string, now time.Time) (p pendingLogin, ok bool) {
	name := w.loginCookie(state)
	value, ok := r.cookie(name)
	if !ok {
		return p, false
	}
	p, ok = w.openLogin(name, value)
	browser, bound := r.cookie(w.browserName)
	if !ok || !bound || p.Browser != browser || p.State != state || now.Sub(time.Unix(p.Begun, 0)) > loginLife {
		return pendingLogin{}, false
	}
	return p, true
}
