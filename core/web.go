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

// web holds what the sign-in routes and sessions need beyond the protocol.
type web struct {
	base        string   // BaseURL without a trailing slash
	basePath    string   // its path: "" or "/app"
	origin      string   // its origin
	trusted     []string // other origins
	routes      string   // the path of the routes as browsers see it: basePath + RoutesPath
	redirectURI string
	secure      bool // https

	ring        *seal.Ring
	sessionName string // of the session cookie
	loginName   string // prefix of the name of each login cookie
	browserName string // of the cookie that binds login cookies to a browser
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

	issuer := cfg.Provider.Issuer
	set(&issuer, cfg.Authority)
	w.ring, err = seal.New(issuer+"\x00"+cfg.ClientID, cfg.SessionSecret, cfg.Session.OldSecrets...)
	return w, err
}

// cookieNames returns different names for applications that browsers would not keep apart: cookies are shared by all
// ports of a host, and __Host- cookies by all its paths. A neighbouring host cannot plant a __Host- cookie. It can plant
// a __Secure- one, which is why a login cookie is worthless without the browser's cookie.
func cookieNames(base *url.URL, routes string) (session, login, browser string) {
	name := "idserver"
	if port := base.Port(); port != "" && port != "443" {
		name += "-" + port
	}
	p := strings.Trim(base.Path, "/")
	if routes != defaultRoutesPath { // another client in the same program
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

// path returns the path of a route as browsers see it.
func (w *web) path(route string) string { return w.routes + route }

// asSeen returns the path and query of a request as the browser sees them: a reverse proxy may have stripped the path of
// BaseURL.
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

// page returns where to go when no page was asked for: the configured one, or the root of BaseURL.
func (w *web) page(configured string) string {
	if configured != "" {
		return configured
	}
	return w.basePath + "/"
}

// Routes returns the sign-in routes, to be registered below Config.RoutesPath: login, callback, logout and userinfo, and,
// if there are Config.TrustedOrigins, OPTIONS for all of them but callback. A client without BaseURL has none.
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

// RoutesPath returns Config.RoutesPath, for an adapter whose router registers whole paths.
func (c *Client) RoutesPath() string { return c.cfg.RoutesPath }

// CheckMount returns an error if an adapter must not register the routes at path. They have to be at Config.RoutesPath,
// where guards, cookies and the provider expect them.
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

// wantHeaderLimit is the size that a request's header may need, in bytes: the session's cookies, those of pending
// sign-ins and what a browser adds.
const wantHeaderLimit = 16 << 10

// CheckHeaderLimit logs a warning, once, if limit, the size in bytes of the largest request header that a server accepts,
// may be too small for a session's cookies. Such a server answers 431 to some users and not to others. It is meant for
// adapters of frameworks with a small default.
func (c *Client) CheckHeaderLimit(limit int) {
	if c.web == nil || limit >= wantHeaderLimit || !c.web.warnedOfLimit.CompareAndSwap(false, true) {
		return
	}
	c.cfg.Logger.Warn("idserver: the server refuses requests whose header is longer than its limit (431), and a session's cookies may need more", "limit", limit, "want", wantHeaderLimit)
}

// isNavigation reports whether a browser is loading a page: judged by Fetch Metadata or, in a browser without it, by the
// Accept header.
func (r *Request) isNavigation() bool {
	if r.Method != http.MethodGet {
		return false
	}
	if r.SecFetchMode != "" {
		return r.SecFetchMode == "navigate"
	}
	return strings.Contains(r.Accept, "text/html")
}

func (r *Request) acceptsJSON() bool { return strings.Contains(r.Accept, "application/json") }

// isPrefetch reports whether a browser is fetching the page only because its user might go there.
func (r *Request) isPrefetch() bool { return strings.Contains(r.SecPurpose, "prefetch") }

// crossSite reports whether an unsafe request comes from a page of another origin. It follows net/http's
// CrossOriginProtection, but compares with the origin of BaseURL instead of the Host header, which a proxy may have
// changed.
func (w *web) crossSite(r *Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return false
	}
	switch {
	case r.SecFetchSite == "same-origin" || r.SecFetchSite == "none":
		return false
	case r.SecFetchSite == "" && r.Origin == "": // not a browser, or one that is many years old
		return false
	case r.SecFetchSite == "" && r.Origin == w.origin:
		return false
	}
	return !slices.Contains(w.trusted, r.Origin)
}

// fromOwnPage reports whether the request was sent by a script of this application or of a trusted origin.
func (w *web) fromOwnPage(r Request) bool {
	return r.SecFetchSite == "same-origin" || r.Origin != "" && slices.Contains(w.trusted, r.Origin)
}

// varyOnCredentials keeps caches from serving one user's response to another.
var varyOnCredentials = Field{"Vary", "Authorization, Cookie"}

var noStore = Field{"Cache-Control", "no-store"}

// seeOther redirects the browser, which follows with GET (RFC 9110 section 15.4.4).
func seeOther(target string, add ...Field) Answer {
	return Answer{
		Status: http.StatusSeeOther,
		Set:    []Field{{"Location", target}, noStore},
		Add:    append([]Field{varyOnCredentials}, add...),
	}
}

// jsonAnswer is a 200 response for a script of the application.
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

// goTo sends a browser to target: with a redirect, or, for a script that navigates by itself, with the URL as JSON.
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

// onlyGet refuses HEAD, which some routers treat as GET: it must neither begin nor complete anything.
func (c *Client) onlyGet(ctx context.Context, r Request) (Answer, bool) {
	if r.Method == http.MethodGet {
		return Answer{}, true
	}
	a := c.refuse(ctx, r, CodeMethodNotAllowed, nil)
	a.Set = append(a.Set, Field{"Allow", http.MethodGet})
	return a, false
}
