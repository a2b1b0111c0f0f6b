package idserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// web is what the sign-in routes and the sessions know beside the protocol.
type web struct {
	base        string   // BaseURL without a slash at its end
	basePath    string   // its path: "" or "/app"
	origin      string   // its origin
	trusted     []string // other origins
	routes      string   // where the routes lie, as browsers see it: basePath + RoutesPath
	redirectURI string
	secure      bool // https

	ring        *seal.Ring
	sessionName string // of the session cookie
	loginName   string // begins the name of each login cookie
	browserName string // of the cookie that binds them to a browser
	grants      *grants

	warnedOfLimit atomic.Bool
}

func newWeb(cfg Config) (*web, error) {
	base, err := parseBaseURL(cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	w := &web{
		base:     strings.TrimSuffix(cfg.BaseURL, "/"),
		basePath: strings.TrimSuffix(base.EscapedPath(), "/"),
		origin:   originOf(base),
		trusted:  cfg.TrustedOrigins,
		secure:   base.Scheme == "https",
		grants:   newGrants(cfg.Now),
	}
	w.routes = w.basePath + cfg.RoutesPath
	w.redirectURI = w.base + cfg.RoutesPath + "/callback"
	w.sessionName, w.loginName, w.browserName = cookieNames(base, cfg.RoutesPath)

	issuer := cfg.Issuer
	set(&issuer, cfg.Authority)
	w.ring, err = seal.New(issuer+"\x00"+cfg.ClientID, cfg.SessionSecret, cfg.OldSessionSecrets...)
	return w, err
}

// cookieNames are apart for applications that browsers do not keep apart: cookies are shared by the ports
// of a host, and __Host- cookies by its paths. A neighbouring host cannot plant a __Host- cookie; it can plant a __Secure-
// one, which is why a login cookie is worth nothing without the browser's.
func cookieNames(base *url.URL, routes string) (session, login, browser string) {
	name := "idserver"
	if port := base.Port(); port != "" && port != "443" {
		name += "-" + port
	}
	p := strings.Trim(base.Path, "/")
	if routes != defaultRoutesPath { // another client of the same program
		p += "\x00" + routes
	}
	if p != "" {
		sum := sha256.Sum256([]byte(p))
		name += "-" + hex.EncodeToString(sum[:4])
	}
	if base.Scheme != "https" {
		return name, name + "-login-", name + "-browser"
	}
	return "__Host-" + name, "__Secure-" + name + "-login-", "__Host-" + name + "-browser"
}

// path is where a route lies as browsers see it.
func (w *web) path(route string) string { return w.routes + route }

// asSeen is the path and query of a request as the browser knows them: a reverse proxy may have taken
// BaseURL's path off.
func (w *web) asSeen(r Request) string {
	target := r.Path
	if w.basePath != "" && target != w.basePath && !strings.HasPrefix(target, w.basePath+"/") {
		target = w.basePath + target
	}
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	return target
}

// page is where to go when no page was wanted: one of the configuration, or the root of BaseURL.
func (w *web) page(configured string) string {
	if configured != "" {
		return configured
	}
	return w.basePath + "/"
}

// Routes are the sign-in routes, to be registered below Config.RoutesPath: login, callback,
// logout and userinfo, and OPTIONS of all but callback where there are Config.TrustedOrigins. There are none for a client
// without BaseURL.
func (c *Client) Routes() []Route {
	if c.web == nil {
		return nil
	}
	return c.web.sharedRoutes([]Route{
		{http.MethodGet, "/login", c.login},
		{http.MethodGet, "/callback", c.callback},
		{http.MethodGet, "/logout", c.askSignOut},
		{http.MethodPost, "/logout", c.signOut},
		{http.MethodGet, "/userinfo", c.userInfoRoute},
	})
}

// RoutesPath is where the routes lie, for an adapter whose router takes whole paths: Config.RoutesPath.
func (c *Client) RoutesPath() string { return c.cfg.RoutesPath }

// CheckMount tells an adapter whether the routes may be registered at path: guards, cookies and the
// provider all know them at Config.RoutesPath.
func (c *Client) CheckMount(path string) error {
	if c.web == nil {
		return errors.New("idserver: the sign-in routes need Config.BaseURL (environment: BASE_URL), where browsers reach the application")
	}
	path = "/" + strings.Trim(path, "/")
	if path != c.cfg.RoutesPath && path != c.web.routes {
		return fmt.Errorf("idserver: the sign-in routes are mounted at %q, and Config.RoutesPath is %q: make them the same", path, c.cfg.RoutesPath)
	}
	return nil
}

// wantHeaderLimit is what the header of a request may need: a session's cookies, those of open sign-ins and what a
// browser adds, in bytes.
const wantHeaderLimit = 16 << 10

// CheckHeaderLimit warns in the log, once, when a server takes less of a request's header, in bytes, than a session's
// cookies may need. Such a server answers 431 to some users and not to others. It is for the adapter of
// a framework with a small default.
func (c *Client) CheckHeaderLimit(limit int) {
	if c.web == nil || limit >= wantHeaderLimit || !c.web.warnedOfLimit.CompareAndSwap(false, true) {
		return
	}
	c.cfg.Logger.Warn("idserver: the server refuses requests whose header is longer than its limit (431), and a session's cookies may need more", "limit", limit, "want", wantHeaderLimit)
}

// isNavigation reports whether a browser wants a page: by Fetch Metadata, or in a browser
// without it by what it accepts.
func (r Request) isNavigation() bool {
	if r.Method != http.MethodGet {
		return false
	}
	if r.SecFetchMode != "" {
		return r.SecFetchMode == "navigate"
	}
	return strings.Contains(r.Accept, "text/html")
}

func (r Request) acceptsJSON() bool { return strings.Contains(r.Accept, "application/json") }

// isPrefetch reports whether a browser guesses that its user may go here.
func (r Request) isPrefetch() bool { return strings.Contains(r.SecPurpose, "prefetch") }

// crossSite reports whether an unsafe request comes from a page of another origin, by the rules of
// net/http's CrossOriginProtection, with BaseURL's origin in the place of the Host header: a proxy may
// have changed that one.
func (w *web) crossSite(r Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	switch {
	case r.SecFetchSite == "same-origin" || r.SecFetchSite == "none":
		return false
	case r.SecFetchSite == "" && r.Origin == "": // not a browser, or not one of this decade
		return false
	case r.SecFetchSite == "" && r.Origin == w.origin:
		return false
	}
	return !slices.Contains(w.trusted, r.Origin)
}

// fromOwnPage reports whether a script of this application, or of a trusted origin, sends the request.
func (w *web) fromOwnPage(r Request) bool {
	return r.SecFetchSite == "same-origin" || r.Origin != "" && slices.Contains(w.trusted, r.Origin)
}

// varyOnCredentials keeps caches from giving one user's answer to another.
var varyOnCredentials = Field{"Vary", "Authorization, Cookie"}

var noStore = Field{"Cache-Control", "no-store"}

// seeOther sends the browser on with GET, RFC 9110 section 15.4.4.
func seeOther(target string, add ...Field) Answer {
	return Answer{
		Status: http.StatusSeeOther,
		Set:    []Field{{"Location", target}, noStore},
		Add:    append([]Field{varyOnCredentials}, add...),
	}
}

// jsonAnswer is a 200 for a script of the application's own.
func jsonAnswer(v any, add ...Field) (Answer, error) {
	body, err := strictjson.Marshal(v)
	if err != nil {
		return Answer{}, err
	}
	return Answer{
		Status: http.StatusOK,
		Set:    []Field{{"Content-Type", "application/json"}, {"X-Content-Type-Options", "nosniff"}, noStore},
		Add:    append([]Field{varyOnCredentials}, add...),
		Body:   append(body, '\n'),
	}, nil
}

// goTo sends a browser to target: by a redirect, or by telling a script that navigates by itself.
func (c *Client) goTo(ctx context.Context, r Request, asJSON bool, target string, add ...Field) Answer {
	if !asJSON {
		return seeOther(target, add...)
	}
	a, err := jsonAnswer(struct {
		URL string `json:"url"`
	}{target}, add...)
	if err != nil {
		return c.refuse(ctx, r, CodeInternal, err)
	}
	return a
}

// onlyGet refuses HEAD, which routers take for GET: it must neither begin nor finish anything.
func (c *Client) onlyGet(ctx context.Context, r Request) (Answer, bool) {
	if r.Method == http.MethodGet {
		return Answer{}, true
	}
	a := c.refuse(ctx, r, CodeMethodNotAllowed, nil)
	a.Set = append(a.Set, Field{"Allow", http.MethodGet})
	return a, false
}
