package idserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/budget"
	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
	"github.com/signward/idserver-go/core/internal/vault"
)

// completeLogin answers the callback: it completes a sign-in.
func (w *web) completeLogin(ctx context.Context, r *Request) (Answer, error) {
	response, err := w.response(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	p, err := w.provider.readResponse(ctx, response)
	switch {
	case err != nil && isUndecided(err):
		return Answer{}, err
	case err != nil:
		return w.lostCallback(ctx, r, codeOfUnread(err), p.unproven(err), p.state)
	}
	login, ok := w.pendingLogin(r, p.state, w.now())
	switch {
	case !ok:
		err := fmt.Errorf("no login cookie for this state (the request's host is %q, BaseURL is %q)", endpoint.Printable(r.Host, 128), w.base)
		return w.lostCallback(ctx, r, CodeSignInLost, p.unproven(err), p.state)
	case login.Spent != 0: // the page was reloaded, or the user went back to it
		return w.spentCallback(ctx, r, login)
	}
	return w.completeAttempt(ctx, r, p, login)
}

// completeAttempt completes the sign-in that a response belongs to.
func (w *web) completeAttempt(ctx context.Context, r *Request, p callbackParameters, login sessioncodec.Login) (Answer, error) {
	forget := w.forgetLogin(login.State)
	m, err := w.provider.metadata.Get(ctx)
	if err != nil {
		return Answer{}, err
	}
	if err := checkResponseIssuer(p, m); err != nil {
		return Answer{}, refused(CodeIssuerMismatch, p.unproven(err), forget)
	}
	lost := w.lostSession(login)
	if p.err != "" && lost != nil {
		return w.beginAloud(ctx, r, login, p.refused(), forget)
	}
	if p.err == "invalid_scope" && w.provider.asksOffline(m) && w.mayRestart(r, login.State) {
		return w.beginOnline(ctx, r, login, p.refused(), forget)
	}
	if p.err == "unmet_authentication_requirements" { // OpenID Connect Core Error Code unmet_authentication_requirements 1.0
		return Answer{}, notAuthenticatedSo(p.refused(), login, forget)
	}
	if p.err != "" {
		return Answer{}, refused(codeOfResponse(p.err), p.refused(), forget)
	}
	tokens, err := w.exchangeOnce(ctx, p.code, login)
	if err != nil {
		if errors.Is(err, reasonACR) || errors.Is(err, ReasonAuthTime) {
			return Answer{}, notAuthenticatedSo(err, login, forget)
		}
		return Answer{}, exchangeRefused(err, forget)
	}
	if w.markers.Has(endings.SessionMark(tokens.session)) { // its session is over, begun by another answer, or was refused
		return w.spentCallback(ctx, r, login)
	}
	if lost != nil {
		if err := w.goesOn(ctx, lost, tokens); err != nil {
			w.discard(ctx, tokens)
			return w.beginAloud(ctx, r, login, err, forget)
		}
	}
	s, err := w.beginSession(withUnprovenName(withAppData(ctx, login.AppData), w.unprovenName(p)), tokens)
	if err != nil {
		w.discard(ctx, tokens)
		return Answer{}, signInRefused(ctx, err, tokens.User, forget)
	}
	if lost != nil {
		s = s.goneOn(lost)
	}
	return w.signedIn(ctx, r, s, login, forget)
}

// exchangeRefused is the refusal of a sign-in whose code was not exchanged.
func exchangeRefused(err error, forget Field) error {
	switch {
	case errors.Is(err, errCodeSpent): // a reload begins a new sign-in
		return refused(CodeProviderUnavailable, err, forget)
	case errors.Is(err, ErrUnavailable): // the cookie stays, so that reloading the page tries again
		return refused(CodeProviderUnavailable, err)
	}
	return refused(codeOf(err), err, forget)
}

// signInRefused is the refusal of a sign-in that the application did not admit.
func signInRefused(ctx context.Context, err error, user *User, forget Field) error {
	if errors.Is(err, ErrUnavailable) || ctx.Err() != nil && errors.Is(err, ctx.Err()) { // the application cannot decide now
		return refused(CodeProviderUnavailable, err, forget)
	}
	return &denial{code: CodeSignInRefused, err: err, user: user, fields: []Field{forget}}
}

// discard gives up the result of a sign-in for which there is no session, and for which none may begin by a reload.
func (w *web) discard(ctx context.Context, tokens *Tokens) {
	w.markers.EndHere(endings.SessionMark(tokens.session), endings.Marker{}, w.now().Add(resultKept))
	w.revoke(ctx, tokens.RefreshToken)
}

// codeOfResponse maps an error of RFC 6749 section 4.1.2.1 to a refusal code.
func codeOfResponse(name string) RefusalCode {
	switch name {
	case "access_denied":
		return CodeAccessDenied
	case "server_error", "temporarily_unavailable":
		return CodeProviderUnavailable
	case "login_required", "interaction_required", "account_selection_required", "consent_required": // after prompt=none
		return CodeNotSignedIn
	}
	return CodeProviderError
}

// exchangeOnce exchanges the code, once for all requests of the same attempt: a reload while the first is in flight must
// not send the code again, which providers take for theft. The session has its id from here: to sign out ends it in
// whichever answer it was sent.
func (w *web) exchangeOnce(ctx context.Context, code string, login sessioncodec.Login) (*Tokens, error) {
	key := sha256.Sum256([]byte("code\x00" + login.State))
	return flown(w.exchanges.Do(ctx, key, func(ctx context.Context) (*Tokens, error) {
		if err := w.attempts.take(login.Browser); err != nil {
			return nil, err
		}
		tokens, err := w.withinBudget(ctx, budget.SignIn, func() (*Tokens, error) {
			return w.provider.exchangeCode(ctx, code, &AuthorizationRequest{
				RedirectURI: w.redirectURI, State: login.State, Nonce: login.Nonce, CodeVerifier: login.Verifier,
				MaxAge: time.Duration(login.MaxAge) * time.Second, ACR: login.ACR, Scopes: login.Scopes, ProofKey: login.ProofKey,
			})
		})
		if tokens != nil && err != nil {
			w.revoke(ctx, tokens.RefreshToken)
			tokens = nil
		}
		if err == nil {
			err = w.nameSession(tokens)
		}
		return tokens, err
	}))
}

// signedIn starts the session and redirects to the page that was asked for. The login cookie stays, marked as spent;
// forget deletes it if no session can be kept.
func (w *web) signedIn(ctx context.Context, r *Request, s *session, login sessioncodec.Login, forget Field) (Answer, error) {
	notKept := func(err error) (Answer, error) {
		w.discard(ctx, &s.tokens)
		return Answer{}, refused(codeOfSaving(err), err, forget)
	}
	cookies, err := w.sessions.save(ctx, r.cookies(), foundSession{}, s)
	switch {
	case err == errSignedOut: // by a request with another answer to the same sign-in
		return w.spentCallback(ctx, r, login)
	case errors.Is(err, vault.ErrAway): // reloading the page tries again with the same tokens
		return Answer{}, err
	case err != nil:
		return notKept(err)
	}
	target := cmp.Or(login.ReturnTo, w.cfg.AfterSignIn, w.home())
	login.Nonce, login.Verifier, login.ProofKey, login.AppData, login.Scopes, login.Lost = "", "", nil, nil, nil, nil
	login.ACR, login.MaxAge = nil, 0
	login.ReturnTo, login.Spent = target, w.now().UnixMilli()
	spent, err := w.keepLogin(r, login)
	if err != nil {
		return notKept(err)
	}
	w.list(ctx, r, s)
	w.cfg.Logger.InfoContext(ctx, "idserver: signed in", "issuer", s.user.Issuer, "subject", s.user.Subject)
	tell(ctx, w.cfg.Logger, "SignedIn", w.cfg.Events.SignedIn, SessionEvent{Issuer: s.user.Issuer, Subject: s.user.Subject})
	return seeOther(target, append(cookies, spent...)...), nil
}

// spentCallback handles a response to a sign-in that has been completed. A user who is still signed in goes on to their
// page. One who has signed out since, went back to the provider's page and picked an account there, is signed in again.
func (w *web) spentCallback(ctx context.Context, r *Request, login sessioncodec.Login) (Answer, error) {
	posted := w.cfg.ResponseMode == formPost // the session's cookie is not with it, and the page tells whether there is one
	s, err := w.sessionOf(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	if s == nil && !posted && w.mayRestart(r, login.State) {
		return w.begin(ctx, r, false, sessioncodec.Login{ReturnTo: login.ReturnTo}, url.Values{}, restartMark)
	}
	return seeOther(cmp.Or(login.ReturnTo, w.home())), nil
}

// beginOnline begins a sign-in again without offline_access, which this package added and the provider refuses: to the
// clients that may have no refresh token, say. It is decided for each sign-in anew, because anybody can send such an error to
// the callback of a sign-in of their own.
func (w *web) beginOnline(ctx context.Context, r *Request, login sessioncodec.Login, err error, forget Field) (Answer, error) {
	w.cfg.Logger.WarnContext(ctx, "idserver: the provider refuses a scope; signing in without offline_access, which its metadata lists: let this client have refresh tokens, or set Config.Scopes (IDSERVER_SCOPES)", "error", err)
	kept := sessioncodec.Login{ReturnTo: login.ReturnTo, AppData: login.AppData, ACR: login.ACR, MaxAge: login.MaxAge}
	a, err := w.begin(ctx, r, false, kept, url.Values{}, onlineMark)
	a.Add = append(a.Add, forget)
	return a, err
}

// mayRestart reports whether to begin a new sign-in automatically: only for a user's navigation, and only once.
func (w *web) mayRestart(r *Request, state string) bool {
	_, mayBegin := w.mayBegin(r)
	return mayBegin && r.isNavigation() && !strings.HasSuffix(state, restartMark)
}

// lostCallback handles a response for which this browser has no pending sign-in. A user who is signed in goes on. For
// anyone else one new sign-in is begun automatically, and after that the request is refused.
func (w *web) lostCallback(ctx context.Context, r *Request, code RefusalCode, err error, state string) (Answer, error) {
	switch s, err := w.sessionOf(ctx, r); {
	case err != nil:
		return Answer{}, err
	case s != nil:
		return seeOther(cmp.Or(w.cfg.AfterSignIn, w.home())), nil
	}
	if code == CodeSignInLost && w.mayRestart(r, state) {
		return w.begin(ctx, r, false, sessioncodec.Login{}, url.Values{}, restartMark)
	}
	return Answer{}, refused(code, err)
}
