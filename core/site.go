package idserver

import (
	"context"

	"github.com/signward/idserver-go/core/internal/endings"
)

// site is what a client is to browsers: an application with sign-in routes and sessions (web), or none (apiOnly).
type site interface {
	// routes are the sign-in routes.
	routes() []siteRoute
	// basePath is the path of Config.BaseURL, without a slash at its end.
	basePath() string
	// identify finds out who sent a request that has no Authorization header.
	identify(ctx context.Context, r Request) (identity, error)
	// stream is what a session admits a stream for, and what tells whether that has ended.
	stream(s *session) (a endings.Admission, ended func() error)
	// fresh returns a session with an access token that has not expired: the one that it was, or a later version.
	fresh(ctx context.Context, s *session) (*session, error)
	// crossSite reports whether an unsafe request comes from a page of another origin.
	crossSite(r Request) bool
	// signInURL is where a navigation signs in and comes back to its page; loginURL is the same without a way back.
	signInURL(r Request) string
	loginURL() string
	// stepUp seals what a guard wants of a sign-in, for the link to it.
	stepUp(wanted *Authentication) string
	// sessionCookie is the name of the session's cookie, or of the first if it takes several.
	sessionCookie() string
	// wayHome is the root of the application, unless the request is for that.
	wayHome(r Request) string
	// storeHealth reports what is wrong with Config.Store.
	storeHealth(ctx context.Context) error
	// close ends the background work.
	close()
}

// apiOnly is the site of a client without Config.BaseURL.
type apiOnly struct{}

func (apiOnly) routes() []siteRoute           { return nil }
func (apiOnly) basePath() string              { return "" }
func (apiOnly) crossSite(Request) bool        { return false }
func (apiOnly) signInURL(Request) string      { return "" }
func (apiOnly) loginURL() string              { return "" }
func (apiOnly) stepUp(*Authentication) string { return "" }
func (apiOnly) sessionCookie() string         { return "" }
func (apiOnly) wayHome(Request) string        { return "" }
func (apiOnly) close()                        {}

func (apiOnly) storeHealth(context.Context) error { return nil } // it uses none
func (apiOnly) stream(*session) (endings.Admission, func() error) {
	return endings.Admission{}, nil // there are no sessions
}
func (apiOnly) fresh(context.Context, *session) (*session, error) { return nil, errNoUser }
func (apiOnly) identify(context.Context, Request) (identity, error) {
	return identity{}, notSignedIn
}
