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

// The bounds of what comes back from the provider, in bytes.
const (
	maxCallback = 16 << 10
	maxState    = 256
	maxCode     = 8 << 10
)

// callbackParameters are what an authorization response says, RFC 6749 section 4.1.2 and RFC 9207.
type callbackParameters struct {
	code, state, issuer string
	err, description    string
	sentIssuer          bool
}

// parseCallback reads the query. A parameter that stands twice is refused (RFC 6749 section 3.1): which one
// another reader would take cannot be known.
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

// ReadCallback reads the query of a provider's answer to r, and returns its code. It is for who signs in by hand: the state must
// be r's (RFC 6749 section 10.12), the issuer the provider's (RFC 9207), and no parameter may stand twice. The error is an
// *AuthorizationError when the provider answered with one, a *DiscoveryError when its metadata cannot be had, and else says what is wrong
// with the query. Whether code was used before is for the caller to know.
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

// refused is the provider's own word.
func (p callbackParameters) refused() *AuthorizationError {
	return &AuthorizationError{Code: printable(p.err, 64), Description: printable(p.description, 256)}
}

// callback answers /callback: it finishes a sign-in.
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
	case login.Spent != 0: // reloaded, or gone back to
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
	case errors.Is(err, errCodeSpent): // a reload begins anew
		return c.refuse(ctx, r, CodeProviderUnavailable, err, forget)
	case errors.Is(err, ErrUnavailable): // the cookie stays: reloading the page tries again
		return c.refuse(ctx, r, CodeProviderUnavailable, err)
	case err != nil:
		return c.refuse(ctx, r, codeOf(err), err, forget)
	}
	s, err := c.beginSession(withAppData(ctx, login.AppData), tokens)
	if err != nil {
		c.revoke(ctx, tokens.RefreshToken)
		code := CodeSignInRefused
		if errors.Is(err, ErrUnavailable) { // the application cannot tell now
			code = CodeProviderUnavailable
		}
		return c.refuse(ctx, r, code, err, forget)
	}
	return c.signedIn(ctx, r, s, login, forget)
}

// checkResponseIssuer applies RFC 9207 section 2.4: the answer of one provider must not be taken
// for another's (a mix-up attack).
func checkResponseIssuer(p callbackParameters, m *metadata) error {
	switch {
	case p.sentIssuer && p.issuer != m.Issuer:
		return fmt.Errorf("iss is %q, want %q", printable(p.issuer, 256), m.Issuer)
	case !p.sentIssuer && m.SendsIssuer:
		return fmt.Errorf("no iss, and the provider's metadata says that it sends %q", m.Issuer)
	}
	return nil
}

// codeOfResponse finds the code for an error of RFC 6749 section 4.1.2.1.
func codeOfResponse(name string) Code {
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

// exchangeOnce trades the code in, once for all requests of the same attempt: a reload while the first
// is under way must not send the code a second time, which providers take for theft.
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

// errCodeSpent marks a fault after the token endpoint's answer: the code cannot be sent again.
var errCodeSpent = errors.New("the code is used up, and who the user is could not be learnt")

// signedIn starts the session and goes to the page that was wanted. The login cookie stays as a
// mark that this attempt is spent; forget deletes it where no session can be kept.
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

// spentCallback deals with an answer to a sign-in that is finished: who is still signed in goes to its page, and who signed
// out since then, and chose a name on the old page of the provider, signs in once more.
func (c *Client) spentCallback(ctx context.Context, r Request, login pendingLogin) Answer {
	if s, _ := c.loadSession(r, c.now()); s == nil && c.mayRestart(r, login.State) {
		return c.begin(ctx, r, false, pendingLogin{ReturnTo: login.ReturnTo}, url.Values{}, restartMark)
	}
	return seeOther(c.web.page(login.ReturnTo))
}

// mayRestart reports whether a sign-in is begun again by itself: for a person's navigation, and once.
func (c *Client) mayRestart(r Request, state string) bool {
	_, mayBegin := c.web.mayBegin(r)
	return mayBegin && r.isNavigation() && !strings.HasSuffix(state, restartMark)
}

// lostCallback deals with an answer that no open sign-in of this browser waits for: who is signed in goes
// on, who is not begins once more by itself, and then is told.
func (c *Client) lostCallback(ctx context.Context, r Request, code Code, err error, state string) Answer {
	if s, _ := c.loadSession(r, c.now()); s != nil {
		return seeOther(c.web.page(c.cfg.AfterSignIn))
	}
	if code == CodeSignInLost && c.mayRestart(r, state) {
		return c.begin(ctx, r, false, pendingLogin{}, url.Values{}, restartMark)
	}
	return c.refuse(ctx, r, code, err)
}
