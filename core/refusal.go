package idserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Code is why a request was refused. Codes are stable: programs and people may rely on them.
type RefusalCode string

// The codes. The table in the module's README.md has the status of each and what to do about it.
const (
	CodeNotSignedIn           RefusalCode = "not_signed_in"
	CodeInvalidToken          RefusalCode = "invalid_token"
	CodeInvalidRequest        RefusalCode = "invalid_request"
	CodeInsufficientRole      RefusalCode = "insufficient_role"
	CodeNotAdmitted           RefusalCode = "not_admitted"
	CodeCrossSite             RefusalCode = "cross_site"
	CodeNotANavigation        RefusalCode = "not_a_navigation"
	CodeMethodNotAllowed      RefusalCode = "method_not_allowed"
	CodeInvalidLogin          RefusalCode = "invalid_login"
	CodeInvalidCallback       RefusalCode = "invalid_callback"
	CodeSignInLost            RefusalCode = "sign_in_lost"
	CodeIssuerMismatch        RefusalCode = "issuer_mismatch"
	CodeAccessDenied          RefusalCode = "access_denied"
	CodeProviderError         RefusalCode = "provider_error"
	CodeExchangeRefused       RefusalCode = "code_refused"
	CodeIDTokenRefused        RefusalCode = "id_token_refused"
	CodeSignInRefused         RefusalCode = "sign_in_refused"
	CodeProviderUnavailable   RefusalCode = "provider_unavailable"
	CodeProviderMisconfigured RefusalCode = "provider_misconfigured"
	CodeInternal              RefusalCode = "internal"
)

type refusalKind struct {
	status int
	title  string
	detail string
}

// refusalKinds is the one table of statuses and of the texts that people see.
var refusalKinds = map[RefusalCode]refusalKind{
	CodeNotSignedIn:           {http.StatusUnauthorized, "Not signed in", "Sign in, or send an access token, and try again."},
	CodeInvalidToken:          {http.StatusUnauthorized, "The access token is not valid", "Get a new access token and try again."},
	CodeInvalidRequest:        {http.StatusBadRequest, "The Authorization header cannot be read", "Send one Authorization header of the form: Bearer <access token>."},
	CodeInsufficientRole:      {http.StatusForbidden, "Not allowed", "You are signed in, but your account does not have a role that this page requires."},
	CodeNotAdmitted:           {http.StatusForbidden, "Not allowed", "You are signed in, but your account has no access here."},
	CodeCrossSite:             {http.StatusForbidden, "The request came from another site", "Go to the application itself and try again there."},
	CodeNotANavigation:        {http.StatusForbidden, "Sign-in starts in the browser's own window", "Open the sign-in page by following a link. A front end fetches it from the same origin with Accept: application/json."},
	CodeMethodNotAllowed:      {http.StatusMethodNotAllowed, "Method not allowed", "This address does not accept this method."},
	CodeInvalidLogin:          {http.StatusBadRequest, "The sign-in cannot be started", "The link to it is wrong: its app_data is too long, not UTF-8, or given twice."},
	CodeInvalidCallback:       {http.StatusBadRequest, "The sign-in service's answer cannot be read", "Please sign in again."},
	CodeSignInLost:            {http.StatusBadRequest, "This sign-in cannot be finished", "It was started in another browser, took too long, or the browser keeps no cookies for this site. Allow cookies and sign in again."},
	CodeIssuerMismatch:        {http.StatusBadRequest, "The answer came from another sign-in service", "Please sign in again."},
	CodeAccessDenied:          {http.StatusForbidden, "Sign-in was cancelled", "You can sign in again whenever you like."},
	CodeProviderError:         {http.StatusBadGateway, "The sign-in service reported an error", "Please try again. If it happens again, give the operator of this application the code below."},
	CodeExchangeRefused:       {http.StatusBadGateway, "The sign-in service did not complete the sign-in", "Please sign in again."},
	CodeIDTokenRefused:        {http.StatusBadGateway, "The sign-in service's answer was not accepted", "Please sign in again. If it happens again, give the operator of this application the code below."},
	CodeSignInRefused:         {http.StatusForbidden, "You cannot sign in here", "Your account was recognised, but has no access to this application."},
	CodeProviderUnavailable:   {http.StatusServiceUnavailable, "The sign-in service is not available", "Please try again in a moment."},
	CodeProviderMisconfigured: {http.StatusBadGateway, "The sign-in service is not set up correctly", "Please give the operator of this application the code below."},
	CodeInternal:              {http.StatusInternalServerError, "Something went wrong", "Please try again."},
}

// Refusal is a refused request, for Config.RenderRefusal, for the application's error handler (errors.As finds a
// *Refusal) and for the log.
type Refusal struct {
	Code       RefusalCode
	Status     int
	Title      string        // a few words for people
	Detail     string        // what they can do
	RetryAfter time.Duration // of a 503
	Navigation bool          // a browser is loading a page; otherwise problem+json is expected
	SignInURL  string        // where to sign in (again); empty if that would not help
	Err        error         // the cause, for the log; never for the browser
}

// Error returns the title and the code. They are safe to show in the browser.
func (r *Refusal) Error() string { return r.Title + " (" + string(r.Code) + ")" }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Rendered is a refusal as the application renders it.
type Rendered struct {
	Status      int    // 400 to 599; with any other value the refusal's own is sent
	ContentType string // of Body; default: text/html; charset=utf-8
	Body        []byte // nil: the built-in page or problem+json; a page of your own has a Content-Security-Policy only if you set one
}

// refuse answers a request with a refusal. more are header fields to send along.
func (c *Client) refuse(ctx context.Context, r Request, code RefusalCode, err error, more ...Field) Answer {
	kind := refusalKinds[code]
	refusal := Refusal{Code: code, Status: kind.status, Title: kind.title, Detail: kind.detail, Navigation: r.isNavigation(), Err: err}
	if code == CodeNotSignedIn && c.web == nil {
		refusal.Detail = "Send an access token and try again."
	}
	a := Answer{
		Set: []Field{{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}},
		Add: append([]Field{varyOnCredentials}, more...),
	}
	a.Refusal = &refusal
	switch {
	case code == CodeProviderUnavailable:
		refusal.RetryAfter = max(retryAfter(err), time.Second).Round(time.Second)
		a.Set = append(a.Set, Field{"Retry-After", strconv.Itoa(int(refusal.RetryAfter.Seconds()))})
	case kind.status == http.StatusUnauthorized || code == CodeInvalidRequest:
		a.Add = append(a.Add, challenge(code))
	}
	refusal.SignInURL = c.signInAgain(r, code)
	c.logRefusal(ctx, r, refusal)
	c.render(ctx, refusal, &a)
	return a
}

// signInAgain returns where the user can sign in after a refusal and come back to its page, or "" if that would not help.
// With prompt=login, the provider lets a user who is signed in but not admitted choose another account.
func (c *Client) signInAgain(r Request, code RefusalCode) string {
	switch {
	case c.web == nil, code == CodeCrossSite, code == CodeMethodNotAllowed, code == CodeProviderMisconfigured:
		return ""
	case !r.isNavigation():
		return c.web.path("/login")
	}
	again := c.web.signInURL(r)
	if notAdmitted(code) {
		separator := "?"
		if strings.Contains(again, "?") {
			separator = "&"
		}
		again += separator + "prompt=login"
	}
	return again
}

func notAdmitted(code RefusalCode) bool {
	return code == CodeInsufficientRole || code == CodeNotAdmitted || code == CodeSignInRefused
}

// AsSomeoneElse reports whether SignInURL leads to a sign-in as another user, because this one is known and not admitted.
func (r *Refusal) AsSomeoneElse() bool { return notAdmitted(r.Code) }

// challenge is the WWW-Authenticate field of RFC 6750 section 3; for a request without credentials it has no error code
// (section 3.1).
func challenge(code RefusalCode) Field {
	if code == CodeNotSignedIn {
		return Field{"WWW-Authenticate", "Bearer"}
	}
	return Field{"WWW-Authenticate", `Bearer error="` + string(code) + `"`}
}

func (c *Client) render(ctx context.Context, refusal Refusal, a *Answer) {
	a.Status = refusal.Status
	if c.cfg.RenderRefusal != nil {
		own := c.cfg.RenderRefusal(ctx, refusal)
		if own.Status >= 400 && own.Status <= 599 {
			a.Status = own.Status
		}
		if own.Body != nil {
			set(&own.ContentType, "text/html; charset=utf-8")
			a.Set = append(a.Set, Field{"Content-Type", own.ContentType})
			a.Body = own.Body
			return
		}
	}
	if refusal.Navigation {
		a.Set = append(a.Set, pageFields...)
		a.Body = refusalPage(refusal)
		return
	}
	a.Set = append(a.Set, Field{"Content-Type", "application/problem+json"})
	a.Body = problem(refusal, a.Status)
}

// problem returns the problem document of RFC 9457. It contains nothing of the request.
func problem(refusal Refusal, status int) []byte {
	body, err := strictjson.Marshal(struct {
		Type      string      `json:"type"`
		Title     string      `json:"title"`
		Status    int         `json:"status"`
		Detail    string      `json:"detail"`
		Code      RefusalCode `json:"code"`
		SignInURL string      `json:"sign_in_url,omitempty"`
	}{"about:blank", refusal.Title, status, refusal.Detail, refusal.Code, refusal.SignInURL})
	if err != nil {
		return []byte(`{}`)
	}
	return append(body, '\n')
}

// logRefusal logs what the operator has to fix as a warning and the rest as information; a request that merely lacks
// credentials is routine.
func (c *Client) logRefusal(ctx context.Context, r Request, refusal Refusal) {
	level := slog.LevelInfo
	switch {
	case refusal.Code == CodeNotSignedIn, errors.Is(refusal.Err, context.Canceled): // the caller left
		level = slog.LevelDebug
	case refusal.Status >= 500:
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{slog.String("code", string(refusal.Code)), slog.String("method", r.Method), slog.String("path", r.Path)}
	if refusal.Err != nil {
		attributes = append(attributes, slog.String("error", refusal.Err.Error()))
	}
	c.cfg.Logger.LogAttrs(ctx, level, "idserver: request refused", attributes...)
}

// codeOf maps an error of the protocol to a refusal code.
func codeOf(err error) RefusalCode {
	var token *TokenEndpointError
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeProviderUnavailable
	case errors.Is(err, ErrInvalidToken):
		return CodeIDTokenRefused
	case errors.As(err, &token) && token.terminal():
		return CodeExchangeRefused
	case errors.Is(err, ErrDiscovery):
		return CodeProviderMisconfigured
	case errors.Is(err, ErrTokenEndpoint), errors.Is(err, ErrUserInfo):
		return CodeProviderError
	default:
		return CodeInternal
	}
}
