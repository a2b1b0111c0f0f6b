package idserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Limits on what comes back from the provider, in bytes.
const (
	maxCallback = 16 << 10
	maxState    = 256
	maxCode     = 8 << 10
)

// callbackParameters are the parameters of an authorization response, RFC 6749 section 4.1.2 and RFC 9207.
type callbackParameters struct {
	code, state, issuer string
	err, description    string
	sentIssuer          bool
}

// parseCallback reads the query. A repeated parameter is refused (RFC 6749 section 3.1), because there is no telling
// which of its values another reader would take.
func parseCallback(rawQuery string) (p callbackParameters, err error) {
	if len(rawQuery) > maxCallback {
		return p, fmt.Errorf("the query is longer than %d bytes", maxCallback)
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return p, errors.New("the query cannot be read")
	}
	for name, into := range map[string]*string{
		"code": &p.code, "state": &p.state, "iss": &p.issuer, "error": &p.err, "error_description": &p.description,
	} {
		switch values := query[name]; len(values) {
		case 0:
		case 1:
			*into = values[0]
		default:
			return p, fmt.Errorf("%s stands more than once", name)
		}
	}
	_, p.sentIssuer = query["iss"]
	switch {
	case p.state == "" || len(p.state) > maxState:
		return p, fmt.Errorf("state has %d bytes, want 1 to %d", len(p.state), maxState)
	case (p.code == "") == (p.err == ""):
		return p, errors.New("want either code or error")
	case len(p.code) > maxCode:
		return p, fmt.Errorf("code has %d bytes, want at most %d", len(p.code), maxCode)
	}
	return p, nil
}

// ReadCallback checks the query with which the provider answered r and returns the code in it, for a program that does
// not use [Client.Routes]. The state must be that of r (RFC 6749 section 10.12), the issuer the provider's (RFC 9207),
// and no parameter may be repeated. The error is an [AuthorizationError] if the provider answered with an error, and a
// [DiscoveryError] if its metadata is not available; any other says what is wrong with the query. ReadCallback does not
// detect that a code was used before.
func (c *Client) ReadCallback(ctx context.Context, rawQuery string, r *AuthorizationRequest) (code string, err error) {
	p, err := parseCallback(rawQuery)
	if err != nil {
		return "", fmt.Errorf("idserver: callback: %w", err)
	}
	if r == nil || subtle.ConstantTimeCompare([]byte(p.state), []byte(r.State)) != 1 {
		return "", errors.New("idserver: callback: its state is not that of the sign-in that was begun here")
	}
	m, err := c.metadata.Get(ctx)
	if err != nil {
		return "", err
	}
	if err := checkResponseIssuer(p, m); err != nil {
		return "", fmt.Errorf("idserver: callback: %w", err)
	}
	if p.err != "" {
		return "", p.refused()
	}
	return p.code, nil
}

// refused returns the error that the provider reported.
func (p callbackParameters) refused() *AuthorizationError {
	return &AuthorizationError{Code: printable(p.err, 64), Description: printable(p.description, 256)}
}

// callback answers /callback: it completes a sign-in.
func (c *Client) callback(ctx context.Context, r Request) Answer {
	if refused, ok := c.onlyGet(ctx, r); !ok {
		return refused
	}
	p, err := parseCallback(r.RawQuery)
	if err != nil {
		return c.lostCallback(ctx, r, CodeInvalidCallback, err, p.state)
	}
	login, ok := c.web.pendingLogin(r, p.state, c.now())
	switch {
	case !ok:
		return c.lostCallback(ctx, r, CodeSignInLost, fmt.Errorf("no login cookie for this state (the request's host is %q, BaseURL is %q)", printable(r.Host, 128), c.web.base), p.state)
	case login.Spent != 0: // the page was reloaded, or the user went back to it
		return c.spentCallback(ctx, r, login)
	}
	forget := c.web.setCookie(c.web.loginCookie(login.State), "", c.web.routes, -1)

	m, err := c.metadata.Get(ctx)
	if err != nil {
		return c.refuse(ctx, r, codeOf(err), err)
	}
	if err := checkResponseIssuer(p, m); err != nil {
		return c.refuse(ctx, r, CodeIssuerMismatch, err, forget)
	}
	if p.err != "" {
		return c.refuse(ctx, r, codeOfResponse(p.err), p.refused(), forget)
	}
	tokens, err := c.exchangeOnce(ctx, p.code, login)
	switch {
	case errors.Is(err, errCodeSpent): // a reload begins a new sign-in
		return c.refuse(ctx, r, CodeProviderUnavailable, err, forget)
	case errors.Is(err, ErrUnavailable): // the cookie stays, so that reloading the page tries again
		return c.refuse(ctx, r, CodeProviderUnavailable, err)
	case err != nil:
		return c.refuse(ctx, r, codeOf(err), err, forget)
	}
	s, err := c.beginSession(withAppData(ctx, login.AppData), tokens)
	if err != nil {
		c.revoke(ctx, tokens.RefreshToken)
		if errors.Is(err, ErrUnavailable) { // the application cannot decide now
			return c.refuse(ctx, r, CodeProviderUnavailable, err, forget)
		}
		return c.refuseUser(ctx, r, tokens.User, CodeSignInRefused, err, forget)
	}
	return c.signedIn(ctx, r, s, login, forget)
}

// checkResponseIssuer applies RFC 9207 section 2.4: the response of one provider must not be taken for another's (a
// mix-up attack).
func checkResponseIssuer(p callbackParameters, m *metadata) error {
	switch {
	case p.sentIssuer && p.issuer != m.Issuer:
		return fmt.Errorf("iss is %q, want %q", printable(p.issuer, 256), m.Issuer)
	case !p.sentIssuer && m.SendsIssuer:
		return fmt.Errorf("no iss, and the provider's metadata says that it sends %q", m.Issuer)
	}
	return nil
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
// not send the code again, which providers take for theft.
func (c *Client) exchangeOnce(ctx context.Context, code string, login pendingLogin) (*Tokens, error) {
	key := sha256.Sum256([]byte("code\x00" + login.State))
	return c.web.grants.once(ctx, key, 0, func(ctx context.Context) (*Tokens, error) {
		tokens, err := c.ExchangeCode(ctx, code, &AuthorizationRequest{
			RedirectURI: c.web.redirectURI, State: login.State, Nonce: login.Nonce, CodeVerifier: login.Verifier,
		})
		if tokens != nil && err != nil {
			c.revoke(ctx, tokens.RefreshToken)
			tokens = nil
			if errors.Is(err, ErrUnavailable) {
				err = fmt.Errorf("%w: %v", errCodeSpent, err)
			}
		}
		return tokens, err
	})
}

// errCodeSpent marks a failure after the token endpoint has answered: the code cannot be sent again.
var errCodeSpent = errors.New("the code is used up, and who the user is could not be learnt")

// signedIn starts the session and redirects to the page that was asked for. The login cookie stays, marked as spent;
// forget deletes it if no session can be kept.
func (c *Client) signedIn(ctx context.Context, r Request, s *session, login pendingLogin, forget Field) Answer {
	notKept := func(err error) Answer {
		c.revoke(ctx, s.tokens.RefreshToken)
		return c.refuse(ctx, r, CodeInternal, err, forget)
	}
	cookies, err := c.saveSession(r, s)
	if err != nil {
		return notKept(err)
	}
	target := login.ReturnTo
	set(&target, c.web.page(c.cfg.AfterSignIn))
	login.Nonce, login.Verifier, login.AppData, login.ReturnTo, login.Spent = "", "", nil, target, c.now().Unix()
	spent, err := c.web.keepLogin(c, r, login)
	if err != nil {
		return notKept(err)
	}
	c.cfg.Logger.InfoContext(ctx, "idserver: signed in", "issuer", s.user.Issuer, "subject", s.user.Subject)
	return seeOther(target, append(cookies, spent...)...)
}

// spentCallback handles a response to a sign-in that has been completed. A user who is still signed in goes on to their
// page. One who has signed out since, went back to the provider's page and picked an account there, is signed in again.
func (c *Client) spentCallback(ctx context.Context, r Request, login pendingLogin) Answer {
	if s, _ := c.loadSession(r, c.now()); s == nil && c.mayRestart(r, login.State) {
		return c.begin(ctx, r, false, pendingLogin{ReturnTo: login.ReturnTo}, url.Values{}, restartMark)
	}
	return seeOther(c.web.page(login.ReturnTo))
}

// mayRestart reports whether to begin a new sign-in automatically: only for a user's navigation, and only once.
func (c *Client) mayRestart(r Request, state string) bool {
	_, mayBegin := c.web.mayBegin(r)
	return mayBegin && r.isNavigation() && !strings.HasSuffix(state, restartMark)
}

// lostCallback handles a response for which this browser has no pending sign-in. A user who is signed in goes on. For
// anyone else one new sign-in is begun automatically, and after that the request is refused.
func (c *Client) lostCallback(ctx context.Context, r Request, code RefusalCode, err error, state string) Answer {
	if s, _ := c.loadSession(r, c.now()); s != nil {
		return seeOther(c.web.page(c.cfg.AfterSignIn))
	}
	if code == CodeSignInLost && c.mayRestart(r, state) {
		return c.begin(ctx, r, false, pendingLogin{}, url.Values{}, restartMark)
	}
	return c.refuse(ctx, r, code, err)
}
