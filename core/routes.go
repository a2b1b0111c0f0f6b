package idserver

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/baseerror"
)

// Guards is what an adapter is built on: something that gives guards and routes. A [Client] is one. Only types of this
// package are, so that it can grow.
type Guards interface {
	LoadUser() Guard
	RequireUser() Guard
	RequireRole(role string, more ...string) Guard
	RequireAllRoles(role string, more ...string) Guard
	RequireAuthentication(wanted Authentication) Guard
	RequireTenant(tenant string) Guard
	Routes(mount string) ([]Route, error)
	CheckHeaderLimit(limit int)
	CheckProcesses() error

	guards()
}

// Guard either admits a request, returning a context for [UserFrom], or answers it. An application's own guards are
// functions of this type too. A Client's guard behind another one of the same Client reuses, within a second, the user
// found for the same credentials: nothing is opened, checked or renewed again. The guards of a Client are safe for
// concurrent use.
type Guard func(context.Context, Request) (context.Context, Answer)

// Route is a route of this package, for an adapter to register.
type Route struct {
	Method string
	Path   string // below the router that Routes was asked for, such as /login
	Serve  func(context.Context, Request) Answer
}

// Routes returns the routes to register on a router that is mounted at mount, with their paths below it: login, callback,
// logout, backchannel-logout and userinfo, with Config.ClientKeys jwks, and, if there are Config.TrustedOrigins, OPTIONS for all of them but callback. mount is "/" for the
// root, or Config.RoutesPath, with or without the path of Config.BaseURL in front; "" stands for Config.RoutesPath, for an
// adapter that can tell only afterwards. Any other is an error, because guards, cookies and the provider expect the routes
// there; so is a client without Config.BaseURL, which has none but jwks on the root, and any but the root if Config.CallbackPath is not below
// Config.RoutesPath.
func (c *Client) Routes(mount string) ([]Route, error) {
	var documents []Route
	if mount != "" && strings.Trim(mount, "/") == "" {
		documents = c.served("", c.documents)
		if c.cfg.BaseURL == "" {
			documents = append(documents, c.served("", c.withKeys(nil, c.cfg.RoutesPath))...)
		}
	}
	signIn := c.site.routes()
	switch {
	case signIn == nil && documents != nil:
		return documents, nil
	case signIn == nil:
		return nil, baseerror.New("idserver: the sign-in routes need Config.BaseURL (environment: BASE_URL), where browsers reach the application")
	}
	below, err := c.below(mount)
	if err != nil {
		return nil, err
	}
	signIn = append(signIn, siteRoute{method: http.MethodGet, path: "/userinfo", step: c.userInfoRoute, headToo: true})
	signIn = c.withKeys(signIn, "")
	if i := slices.IndexFunc(signIn, func(s siteRoute) bool { return s.elsewhere }); i >= 0 && below == "" {
		return nil, baseerror.Errorf("idserver: Config.CallbackPath %q is not below Config.RoutesPath %q: mount the sign-in routes on the root", signIn[i].path, c.cfg.RoutesPath)
	}
	return append(c.cors.routes(below, c.served(below, signIn)), documents...), nil
}

// served makes routes of what the client answers; below comes before their paths.
func (c *Client) served(below string, all []siteRoute) (routes []Route) {
	for _, s := range all {
		at := below + s.path
		if s.elsewhere {
			at = s.path
		}
		routes = append(routes, Route{s.method, at, c.serve(s)})
	}
	return routes
}

// below returns what comes before the path of a sign-in route, on a router that is mounted at mount.
func (c *Client) below(mount string) (string, error) {
	routes, base := c.cfg.RoutesPath, c.site.basePath()
	switch at := "/" + strings.Trim(mount, "/"); {
	case mount == "", at == routes, at == base+routes:
		return "", nil
	case at == "/", at == base:
		return routes, nil
	}
	return "", baseerror.Errorf("idserver: the sign-in routes are mounted at %q, and Config.RoutesPath is %q: make them the same", mount, routes)
}

func (c *Client) guards() {}

// step answers a request, or returns an error that says how it is refused.
type step func(context.Context, *Request) (Answer, error)

// siteRoute is a sign-in route or a document.
type siteRoute struct {
	method, path string
	step         step
	headToo      bool // HEAD is answered like GET
	elsewhere    bool // the path is not below RoutesPath
}

// serve makes a route of a step. HEAD, which some routers treat as GET, is refused: it must neither begin nor complete
// anything.
func (c *Client) serve(s siteRoute) func(context.Context, Request) Answer {
	return func(ctx context.Context, r Request) Answer {
		if r.Method != s.method && !(s.headToo && r.Method == http.MethodHead) {
			return c.refuse(ctx, &r, refused(CodeMethodNotAllowed, nil, Field{"Allow", s.method}))
		}
		a, err := s.step(ctx, &r)
		if err != nil {
			return c.refuse(ctx, &r, err)
		}
		return a
	}
}

// CheckProcesses returns an error if sessions of this client must not be used by several processes at once that share
// nothing but their settings, such as those of fiber's Prefork: where the provider rotates refresh tokens, two of them
// would send the same one, which it takes for theft. Config.Session.NoRotation says that it does not rotate them.
func (c *Client) CheckProcesses() error {
	if c.site.loginURL() == "" || c.cfg.Session.NoRotation {
		return nil
	}
	return baseerror.New("idserver: several processes (fiber's Prefork) would refresh one session each by itself, and a provider that rotates refresh tokens ends it: turn Prefork off or, if the provider does not rotate them, set Config.Session.NoRotation")
}

// wantHeaderLimit is the size that a request's header may need, in bytes: the session's cookies, those of pending
// sign-ins and what a browser adds.
const wantHeaderLimit = 16 << 10

// CheckHeaderLimit logs a warning, once, if limit, the size in bytes of the largest request header that a server accepts,
// may be too small for a session's cookies. Such a server answers 431 to some users and not to others. It is meant for
// adapters of frameworks with a small default.
func (c *Client) CheckHeaderLimit(limit int) {
	if limit >= wantHeaderLimit || c.site.loginURL() == "" || !c.warnedOfLimit.CompareAndSwap(false, true) {
		return
	}
	c.cfg.Logger.Warn("idserver: the server refuses requests whose header is longer than its limit (431), and a session's cookies may need more", "limit", limit, "want", wantHeaderLimit)
}
