package idserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/endings"
)

// SessionInfo is one of a person's sessions, for a page where people see where they are signed in: see [Client.Sessions].
type SessionInfo struct {
	ID      string // for [Client.EndOneSession]; it opens nothing
	Begun   time.Time
	Seen    time.Time // when its cookie was written last, which happens each tenth of Config.Session.Idle
	Browser string    // its family and system, such as "Firefox on Windows"; empty if not known
	Place   string    // what Config.Session.Place said
	Current bool      // it is the session of the request whose context Sessions was given
}

// Sessions returns the sessions of a person that are going on, those that were seen last first, and at most 100. It needs
// Config.Session.List, and knows the sessions that have begun or were seen since that was set. ctx may be that of a request behind a
// guard. The error wraps [ErrUnavailable] if the store does not answer now; any other says that there is no list.
func (c *Client) Sessions(ctx context.Context, issuer, subject string) ([]SessionInfo, error) {
	w, err := c.listing()
	if err != nil {
		return nil, err
	}
	person := endings.PersonMark(issuer, subject)
	all, err := w.lists.Of(ctx, person)
	if err == nil {
		err = w.markers.LookAll(ctx, sessionsOf(person, all))
	}
	if err != nil {
		return nil, storeAway("Sessions", err)
	}
	var infos []SessionInfo
	for i, s := range sessionsOf(person, all) {
		if w.markers.Known(&s) { // it has ended, by a sign-out that did not reach the list
			continue
		}
		infos = append(infos, SessionInfo{
			ID: base64.RawURLEncoding.EncodeToString(s.ID[:]), Begun: time.UnixMilli(s.Began), Seen: time.UnixMilli(all[i].Seen),
			Browser: all[i].Browser, Place: all[i].Place, Current: c.isOf(ctx, s.ID),
		})
	}
	return infos, nil
}

// EndSessions ends all sessions of a person in this application, at every replica: "sign out everywhere". Streams end too, and the
// person may sign in again at once. Their session at the provider goes on, and refresh tokens that browsers hold are not revoked there; nobody can
// use them here. Without Config.Store it holds in this process alone. The error wraps [ErrUnavailable] if the store does not answer:
// it holds here then, and is repeated until the other replicas know. It is an error to call it without Config.BaseURL.
func (c *Client) EndSessions(ctx context.Context, issuer, subject string) error {
	w, ok := c.site.(*web)
	if !ok {
		return errNoSessions
	}
	return w.endPerson(ctx, issuer, subject)
}

// EndOneSession ends a session of a person, by what [Client.Sessions] says is its ID, in the same way. One that is not in the person's list
// is left alone, without an error.
func (c *Client) EndOneSession(ctx context.Context, issuer, subject, id string) error {
	w, err := c.listing()
	if err != nil {
		return err
	}
	return w.endOne(ctx, endings.PersonMark(issuer, subject), id)
}

var (
	errNoSessions = baseerror.New("idserver: there are no sessions without Config.BaseURL (environment: BASE_URL)")
	errNoList     = baseerror.New("idserver: no list of sessions is kept: set Config.Session.List")
)

// listing returns the site if it keeps lists of sessions.
func (c *Client) listing() (*web, error) {
	switch w, ok := c.site.(*web); {
	case !ok:
		return nil, errNoSessions
	case w.lists == nil:
		return nil, errNoList
	default:
		return w, nil
	}
}

// isOf reports whether ctx is that of a request of a session.
func (c *Client) isOf(ctx context.Context, session endings.Key) bool {
	u := userContextFrom(ctx)
	return u != nil && u.client == c && u.session != nil && u.session.ends.ID == session
}

func storeAway(method string, err error) error {
	return baseerror.Errorf("idserver: %s: %w: %w", method, ErrUnavailable, err)
}

func sessionsOf(person endings.Key, all []endings.Listed) []endings.Session {
	sessions := make([]endings.Session, len(all))
	for i := range all {
		sessions[i] = all[i].Session(person)
	}
	return sessions
}

// endPerson ends a person's sessions. The clocks of replicas where they began may be ahead; whoever signs in afterwards knows of
// the marker, and outlives it.
func (w *web) endPerson(ctx context.Context, issuer, subject string) error {
	ctx = context.WithoutCancel(ctx)
	person := endings.PersonMark(issuer, subject)
	err := w.markers.End(ctx, person, endings.Marker{Before: w.now().Add(w.cfg.Provider.Leeway).UnixMilli()})
	w.cfg.Logger.InfoContext(ctx, "idserver: signed out everywhere", "issuer", issuer, "subject", subject)
	tell(ctx, w.cfg.Logger, "SignedOut", w.cfg.Events.SignedOut, SessionEvent{Issuer: issuer, Subject: subject})
	if err == nil && w.lists != nil {
		err = w.lists.RemoveAll(ctx, person)
	}
	if err != nil {
		return storeAway("EndSessions", err)
	}
	return nil
}

// endOne ends a session that is in its person's list.
func (w *web) endOne(ctx context.Context, person endings.Key, id string) error {
	hash, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(hash) != len(endings.Key{}) {
		return nil // it is in no list
	}
	ctx = context.WithoutCancel(ctx)
	all, err := w.lists.Of(ctx, person)
	if err != nil {
		return storeAway("EndOneSession", err)
	}
	for _, s := range all {
		if s.ID != endings.Key(hash) {
			continue
		}
		err := w.markers.End(ctx, s.ID, endings.Marker{Before: w.now().UnixMilli()})
		if err == nil {
			err = w.lists.Remove(ctx, person, s.ID)
		}
		if err != nil {
			return storeAway("EndOneSession", err)
		}
	}
	return nil
}

// list notes a session in its person's list, when its cookie is written. A list that cannot be written now is written the next
// time.
func (w *web) list(ctx context.Context, r *Request, s *session) {
	if w.lists == nil || w.markers.Resting() {
		return
	}
	l := endings.Listed{
		ID: s.ends.ID, Provider: s.ends.Provider, Began: s.ends.Began, Issued: s.ends.Issued, Outlived: s.ends.Outlived,
		Seen: s.seen.UnixMilli(), Until: s.signedIn.Add(w.cfg.Session.Max).UnixMilli(), Browser: browserFamily(r.value("User-Agent")),
	}
	if w.cfg.Session.Place != nil {
		l.Place = w.cfg.Session.Place(ctx, *r)
	}
	if err := w.lists.Put(context.WithoutCancel(ctx), s.ends.Person, l); err != nil {
		w.cfg.Logger.DebugContext(ctx, "idserver: a session was not noted in the list of its person's sessions", "error", err)
	}
}

// unlist takes a session off its person's list.
func (w *web) unlist(ctx context.Context, s *session) error {
	if w.lists == nil {
		return nil
	}
	if err := w.lists.Remove(context.WithoutCancel(ctx), s.ends.Person, s.ends.ID); err != nil {
		return fmt.Errorf("the list of sessions: %w", err)
	}
	return nil
}
