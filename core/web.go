package idserver

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signward/idserver-go/core/internal/budget"
	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/expiring"
	"github.com/signward/idserver-go/core/internal/flight"
	"github.com/signward/idserver-go/core/internal/lease"
	"github.com/signward/idserver-go/core/internal/memo"
	"github.com/signward/idserver-go/core/internal/seal"
	"github.com/signward/idserver-go/core/internal/vault"
)

// web is the site of a client with Config.BaseURL: sign-in routes, cookies and sessions, on top of the protocol.
type web struct {
	cfg      Config
	provider *provider

	base        string   // BaseURL without a trailing slash
	pathOfBase  string   // its path: "" or "/app"
	origin      string   // its origin
	trusted     []string // other origins
	plain       bool     // BaseURL is http and not on loopback: browsers send no Fetch Metadata
	routesPath  string   // the path of the routes as browsers see it: basePath + RoutesPath
	callback    string   // the path of the callback as browsers see it
	loginsPath  string   // the path of login cookies, which holds /login and the callback
	redirectURI string

	ring      *seal.Ring
	vault     *vault.Vault   // what replicas share; nil without Config.Store
	leases    *lease.Leases  // of refreshes; nil without Config.Store
	budget    *budget.Budget // of token requests
	attempts  attempts       // to complete a sign-in
	names     cookies.Names
	jar       cookies.Jar
	loginJar  cookies.Jar // for a sign-in in progress
	sessions  sessionKeeper
	opened    *memo.Memo[openedSession]
	exchanges *flight.Group[*Tokens] // of codes
	refreshes *flight.Group[*Tokens]
	markers   *endings.Markers
	lists     *endings.Lists // of people's sessions; nil without Config.Session.List
	lost      *expiring.Set  // the refresh keys of sessions of whose refresh an answer was lost

	background context.Context // ends with Close
	stop       context.CancelFunc
	watching   sync.WaitGroup // looks at the store
}

func newWeb(cfg Config, p *provider) (*web, error) {
	base, err := parseBaseURL(cfg.BaseURL, cfg.InsecurePlainHTTP)
	if err != nil {
		return nil, err
	}
	w := &web{
		cfg: cfg, provider: p,
		base:       strings.TrimSuffix(cfg.BaseURL, "/"),
		pathOfBase: strings.TrimSuffix(base.EscapedPath(), "/"),
		origin:     originOf(base),
		trusted:    cfg.TrustedOrigins,
		opened:     memo.New[openedSession](cfg.TokenCacheBytes),
		exchanges:  newFlights(cfg.Now, mostExchanges, mostExchangeBytes, keptExchange),
		lost:       expiring.New(cfg.Now, mostLost),
	}
	w.routesPath = w.pathOfBase + cfg.RoutesPath
	w.redirectURI = w.base + cfg.CallbackPath
	w.callback = w.pathOfBase + cfg.CallbackPath
	w.loginsPath = w.routesPath
	if !strings.HasPrefix(w.callback, w.routesPath+"/") {
		w.loginsPath = w.home()
	}
	w.refreshes = newFlights(cfg.Now, mostRefreshes, mostRefreshResults, w.keptRefresh)
	w.plain = base.Scheme == "http" && !isLoopback(base.Hostname())
	w.jar = cookies.Jar{Secure: base.Scheme == "https"}
	w.loginJar = cookies.Jar{Secure: w.jar.Secure, CrossSite: cfg.ResponseMode == formPost}
	routes := cfg.RoutesPath
	if routes == defaultRoutesPath {
		routes = "" // as it always was
	}
	w.names = cookies.NamesOf(base, routes)

	issuer := cmp.Or(cfg.Provider.Issuer, cfg.Authority)
	if w.ring, err = seal.New(issuer+"\x00"+cfg.ClientID, cfg.SessionSecret, cfg.Session.OldSecrets...); err != nil {
		return nil, err
	}
	w.sessions = sealedSessions{w}
	w.background, w.stop = context.WithCancel(context.Background())
	if cfg.Store != nil {
		w.vault = vault.New(vault.Options{Store: cfg.Store, Ring: w.ring, Rand: cfg.Rand, Now: cfg.Now})
		w.leases = newLeases(cfg, w.vault)
		w.sessions = storedSessions{w, sealedSessions{w}}
		w.watchStore()
	}
	w.markers = newMarkers(cfg, w.vault, p.streams)
	w.budget, w.attempts = newBudget(cfg, w.vault), newAttempts(cfg.Now)
	if cfg.Session.List {
		w.lists = endings.NewLists(w.vault, cfg.Now)
	}
	return w, nil
}

// path returns the path of a route as browsers see it.
func (w *web) path(route string) string { return w.routesPath + route }

// asSeen returns the path and query of a request as the browser sees them: a reverse proxy may have stripped the path of
// BaseURL.
func (w *web) asSeen(r *Request) string {
	target := r.Path
	if w.pathOfBase != "" && target != w.pathOfBase && !strings.HasPrefix(target, w.pathOfBase+"/") {
		target = w.pathOfBase + target
	}
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	return target
}

// home is the root of BaseURL.
func (w *web) home() string { return w.pathOfBase + "/" }

func (w *web) wayHome(r Request) string {
	if w.asSeen(&r) == w.home() { // a page that was just refused is no way out
		return ""
	}
	return w.home()
}

func (w *web) routes() []siteRoute {
	callback := siteRoute{method: http.MethodGet, path: w.cfg.CallbackPath, step: w.completeLogin, elsewhere: true}
	if w.cfg.ResponseMode == formPost {
		callback.method = http.MethodPost
	}
	if below, ok := strings.CutPrefix(callback.path, w.cfg.RoutesPath+"/"); ok {
		callback.path, callback.elsewhere = "/"+below, false
	}
	return []siteRoute{
		{method: http.MethodGet, path: "/login", step: w.login},
		callback,
		{method: http.MethodGet, path: "/logout", step: w.askSignOut},
		{method: http.MethodPost, path: "/logout", step: w.signOut},
		{method: http.MethodPost, path: "/backchannel-logout", step: w.backchannelLogout},
	}
}

func (w *web) basePath() string { return w.pathOfBase }

func (w *web) loginURL() string { return w.path("/login") }

func (w *web) sessionCookie() string { return w.names.Session }

func (w *web) close() {
	w.stop()
	w.watching.Wait()
	w.exchanges.Close()
	w.refreshes.Close()
	w.opened.Clear()
	w.markers.Close()
	if w.vault != nil {
		w.leases.Close()
		w.vault.Close()
	}
}

func (w *web) now() time.Time { return w.cfg.Now() }

// signInURL returns where to send a browser that needs a user, with the way back to its page.
func (w *web) signInURL(r Request) string {
	target := w.pageOf(&r)
	if p, _, _ := strings.Cut(target, "?"); p == w.loginURL() { // a sign-in that was not completed: the page that it was for
		query, _ := url.ParseQuery(r.RawQuery)
		target = query.Get("return_to")
	}
	if target = w.returnTo(target); target == "" {
		return w.loginURL()
	}
	return w.loginURL() + "?return_to=" + url.QueryEscape(target)
}

// pageOf returns the page that the browser shows, or would show, when it sends r: what is posted, or fetched into a part of
// a page, is none.
func (w *web) pageOf(r *Request) string {
	switch {
	case r.isHTMX() && !(r.Method == http.MethodGet && r.value("Hx-Boosted") == "true"):
		return r.value("Hx-Current-Url")
	case r.Method == http.MethodPost:
		return r.value("Referer")
	}
	return w.asSeen(r)
}

// crossSite reports whether an unsafe request, or a WebSocket's handshake, comes from a page of another origin. It follows
// net/http's CrossOriginProtection, but compares with the origin of BaseURL instead of the Host header, which a proxy may
// have changed. Browsers send Origin with every handshake, and no Sec-Fetch-Site with some; no other rule of theirs keeps a
// page from opening a WebSocket to another origin, with its cookies (RFC 6455 section 10.2). Where there is no Fetch Metadata
// (Config.InsecurePlainHTTP) Origin decides alone, and a request without one may come from anywhere.
func (w *web) crossSite(r Request) bool {
	handshake := r.isHandshake()
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		if !handshake {
			return false
		}
	}
	site, origin := r.value(secFetchSite), r.value("Origin")
	switch {
	case w.plain, handshake && origin != "":
		return origin != w.origin && !slices.Contains(w.trusted, origin)
	case site == "same-origin" || site == "none":
		return false
	case site == "" && origin == "": // not a browser, or one that is many years old
		return false
	case site == "" && origin == w.origin:
		return false
	}
	return !slices.Contains(w.trusted, origin)
}

// refusedOrigin refuses a request from another site, and tells the operator from which.
func (w *web) refusedOrigin(r *Request) error {
	return &denial{code: CodeCrossSite, log: []slog.Attr{
		slog.String("origin", endpoint.Printable(r.value("Origin"), 256)),
		slog.String("sec_fetch_site", endpoint.Printable(r.value(secFetchSite), 64)),
		slog.String("own_origin", w.origin),
	}}
}

// fromOwnPage reports whether the request was sent by a script of this application or of a trusted origin.
func (w *web) fromOwnPage(r *Request) bool {
	origin := r.value("Origin")
	return r.value(secFetchSite) == "same-origin" || w.plain && origin == w.origin || slices.Contains(w.trusted, origin)
}

// goTo sends a browser to target: with a redirect, or, for a script that navigates by itself, with the URL as JSON.
func goTo(asJSON bool, target string, add ...Field) (Answer, error) {
	if !asJSON {
		return seeOther(target, add...), nil
	}
	return jsonAnswer(struct {
		URL string `json:"url"`
	}{target}, add...)
}
