package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/cookies"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// A provider that rotates refresh tokens and answers none twice ends a session whose answer was lost on the way. Nobody has done
// anything wrong, and the person is mostly still signed in there: the next sign-in of this browser asks without showing a page
// (prompt=none, OpenID Connect Core section 3.1.2.1), once. What comes back goes on with the session that ended: it is the same
// person, signed in no less strongly, for no longer than before. Anything else leads to a sign-in like any other.

// lostLife is for how long after the loss a sign-in is silent.
const lostLife = time.Minute

// maxHint limits the ID token in an authorization request, in bytes: with it the URL stays below maxEndSessionURL, mostly.
const maxHint = 1400

// markLost lets the browser sign in silently, if its session ended because an answer was lost, and for nothing else: err says what
// was recorded here. A session that was signed out, or that the provider or the application refuses, ends aloud.
func (w *web) markLost(s *session, err error, now time.Time) []Field {
	if !errors.Is(err, errMayBeLost) || w.markers.Known(&s.ends) {
		return nil
	}
	packed, err := packLost(s, len(s.tokens.IDToken) <= maxHint)
	if err != nil {
		return nil
	}
	content, err := sessioncodec.PackLogin(sessioncodec.Login{State: "lost", Begun: now.UnixMilli(), Lost: packed})
	if err != nil {
		return nil
	}
	sealed, err := w.ring.Seal(w.cfg.Rand, w.names.Lost, content)
	if err != nil || len(sealed) > cookies.MaxValue {
		return nil
	}
	return []Field{setCookie(w.jar.Set(w.names.Lost, sealed, w.loginsPath, int(lostLife.Seconds())))}
}

// packLost packs what a silent sign-in needs to know of a session: whose it was, by what it can have been ended since, and its ID token.
func packLost(s *session, withIDToken bool) ([]byte, error) {
	r := sessioncodec.Record{
		ID: s.kept.ID, Issuer: s.user.Issuer, Subject: s.user.Subject, SignedIn: s.signedIn.UnixMilli(), Seen: s.seen.UnixMilli(),
		ProviderSession: s.kept.ProviderSession, Issued: s.kept.Issued, Outlived: s.kept.Outlived, ACR: cmp.Or(s.tokens.first.acr, acrOf(s.tokens.IDToken)),
	}
	if withIDToken {
		r.IDToken = s.tokens.IDToken
	}
	return sessioncodec.Pack(r)
}

// lostSession is the session that a sign-in goes on with; nil if it is a sign-in like any other.
func (w *web) lostSession(login sessioncodec.Login) *session {
	if login.Lost == nil {
		return nil
	}
	s, _, err := unpackSession(login.Lost, w.cfg.ClientID)
	if err != nil {
		return nil
	}
	return s
}

// takeLost returns the session that was lost in this browser a moment ago, if the sign-in may be silent. The browser forgets it,
// whatever comes of it: a silent sign-in is tried once.
func (w *web) takeLost(ctx context.Context, r *Request, link url.Values) (lost *session, forget []Field) {
	value, ok := cookies.One(r.cookies(), w.names.Lost)
	if !ok {
		return nil, nil
	}
	forget = w.forgetLost(r)
	content, _, err := w.ring.Open(w.names.Lost, value)
	if err != nil {
		return nil, forget
	}
	mark, err := sessioncodec.UnpackLogin(content)
	age := w.now().Sub(time.UnixMilli(mark.Begun))
	asks := link.Get("prompt") != "" || link.Get("login_hint") != "" || link.Get("acr_values") != ""
	if err != nil || asks || !r.isVisit() || age > lostLife || age < -w.cfg.Provider.Leeway {
		return nil, forget
	}
	if lost = w.lostSession(mark); lost == nil || w.endedSince(ctx, lost) != nil {
		return nil, forget
	}
	return lost, forget
}

// forgetLost deletes the mark of a session that was lost, if there is one.
func (w *web) forgetLost(r *Request) []Field {
	if !cookies.Has(r.cookies(), w.names.Lost) {
		return nil
	}
	return []Field{setCookie(w.jar.Delete(w.names.Lost, w.loginsPath))}
}

// silently adds to what is kept of a sign-in, and to what it asks the provider for, that it goes on with a lost session.
func silently(kept *sessioncodec.Login, link url.Values, lost *session) {
	packed, err := packLost(lost, false)
	if err != nil {
		return
	}
	kept.Lost = packed
	link.Set("prompt", "none")
	if lost.tokens.IDToken != "" {
		link.Set("id_token_hint", lost.tokens.IDToken)
	}
	if lost.kept.ACR != "" {
		link.Set("acr_values", lost.kept.ACR)
	}
}

// endedSince reports why a lost session cannot go on, whatever the provider says. If the store is away that is not known, and the
// person is asked.
func (w *web) endedSince(ctx context.Context, lost *session) error {
	ended, err := w.markers.Known(&lost.ends), error(nil)
	if w.vault != nil {
		ended, err = w.markers.Look(ctx, &lost.ends)
	}
	switch {
	case ended:
		return errSignedOut
	case w.now().Sub(lost.signedIn) > w.cfg.Session.Max:
		return errReachedMax
	}
	return err
}

// goesOn checks that what a silent sign-in brought goes on with the lost session.
func (w *web) goesOn(ctx context.Context, lost *session, tokens *Tokens) error {
	if err := w.endedSince(ctx, lost); err != nil {
		return err
	}
	switch acr := acrOf(tokens.IDToken); {
	case tokens.User.Issuer != lost.user.Issuer, tokens.User.Subject != lost.user.Subject:
		return errors.New("the provider answers for somebody else")
	case !noLower(acr, lost.kept.ACR):
		return fmt.Errorf("acr is %.32q, and was %.32q", acr, lost.kept.ACR)
	}
	return nil
}

// goneOn returns the session of a silent sign-in: Session.Max goes on counting, and whatever ended a session that began when the lost one did
// ends this one.
func (s *session) goneOn(lost *session) *session {
	kept := s.kept
	kept.Outlived = lost.kept.Outlived
	return newSession(kept, s.user, s.tokens, lost.signedIn, s.seen)
}

// beginAloud begins a sign-in like any other, after a silent one that led to nothing.
func (w *web) beginAloud(ctx context.Context, r *Request, login sessioncodec.Login, err error, forget Field) (Answer, error) {
	w.cfg.Logger.InfoContext(ctx, "idserver: a silent sign-in after a lost answer led to nothing; the person is asked", "error", err)
	if !w.mayRestart(r, login.State) {
		return Answer{}, refused(CodeNotSignedIn, err, forget)
	}
	a, err := w.begin(ctx, r, false, sessioncodec.Login{ReturnTo: login.ReturnTo}, url.Values{}, restartMark)
	a.Add = append(a.Add, forget)
	return a, err
}

// usedUp reports whether a token endpoint refused a refresh token itself, and not the client or the person.
func usedUp(err error) bool {
	var refused *TokenEndpointError
	return errors.As(err, &refused) && (refused.Code == "invalid_grant" || refused.Code == "" && refused.Status == http.StatusBadRequest)
}

// acrOf returns the acr of an ID token that was verified, or "".
func acrOf(idToken string) string {
	message, err := jose.Parse(idToken)
	if err != nil {
		return ""
	}
	known, err := parseClaims(message.Payload)
	if err != nil {
		return ""
	}
	acr, _ := strictjson.String(known.Get("acr"))
	return acr
}

// noLower reports whether an acr stands for no weaker authentication than before: it is the same, or both are numbers (levels) and it is not
// the lower one. Of others the order is not known.
func noLower(acr, before string) bool {
	if before == "" || acr == before {
		return true
	}
	now, err := strconv.ParseUint(acr, 10, 16)
	then, errThen := strconv.ParseUint(before, 10, 16)
	return err == nil && errThen == nil && now >= then
}
