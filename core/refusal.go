package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/strictjson"
	"github.com/signward/idserver-go/core/internal/vault"
)

// RefusalCode is why a request was refused. Codes are stable: programs and people may rely on them.
type RefusalCode string

// The codes. The table in the module's README.md has the status of each and what to do about it.
const (
	CodeNotSignedIn       RefusalCode = "not_signed_in"
	CodeSessionNotRenewed RefusalCode = "session_not_renewed"
	CodeInvalidToken      RefusalCode = "invalid_token"
	CodeInvalidRequest    RefusalCode = "invalid_request"
	CodeInvalidHandshake  RefusalCode = "invalid_handshake"
	CodeInsufficientRole  RefusalCode = "insufficient_role"
	CodeInsufficientScope RefusalCode = "insufficient_scope"
	CodeNotAdmitted       RefusalCode = "not_admitted"

	CodeInsufficientAuthentication RefusalCode = "insufficient_user_authentication" // RFC 9470

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
	CodeStoreUnavailable      RefusalCode = "store_unavailable"
	CodeSessionTooLarge       RefusalCode = "session_too_large"
	CodeInternal              RefusalCode = "internal"

	// The others are unexported, because hardly any program needs them by name; their texts are as stable.
	codeOtherTenant        RefusalCode = "other_tenant"
	codeNotFound           RefusalCode = "not_found"
	codeInvalidLogoutToken RefusalCode = "invalid_logout_token" // unexported, because only the provider sees it
	// Unexported, because only the programs that make proofs see them, which know them as errors of RFC 9449.
	codeInvalidProof RefusalCode = "invalid_dpop_proof"
	codeUseNonce     RefusalCode = "use_dpop_nonce"
)

// refusalKind is the status of a refusal and its texts: on a page for people, and in a problem document for programs.
type refusalKind struct {
	status        int
	page, problem words
}

// words are a title and what can be done.
type words struct{ title, detail string }

const noAccess, toldBy = "You cannot open this page", " If it happens again, give the people who run this application the code below."

// refusalKinds is the one table of statuses and texts.
var refusalKinds = map[RefusalCode]refusalKind{
	CodeNotSignedIn: {http.StatusUnauthorized,
		words{"You are not signed in", "Please sign in to go on."},
		words{"Not signed in", "Sign in, or send an access token, and try again."}},
	CodeSessionNotRenewed: {http.StatusUnauthorized,
		words{"Your session must be renewed first", "Please load the page again."},
		words{"The session must be renewed first", "Its access token has expired, and a request of this kind renews none. Fetch something from the same origin, or load a page, and try again."}},
	CodeInvalidToken: {http.StatusUnauthorized,
		words{"Your sign-in is no longer valid", "Please sign in again."},
		words{"The access token is not valid", "Get a new access token and try again."}},
	codeInvalidProof: {http.StatusUnauthorized,
		words{"This is not for people", "It is for programs, with an access token and a proof that they hold its key."},
		words{"The DPoP proof is not valid", "Make a new proof for this request, with the key that the access token is bound to, and send it in one DPoP header."}},
	codeUseNonce: {http.StatusUnauthorized,
		words{"This is not for people", "It is for programs, with an access token and a proof that they hold its key."},
		words{"The DPoP proof needs a nonce", "Make a new proof with the nonce in the DPoP-Nonce header, and try again."}},
	CodeInvalidRequest: {http.StatusBadRequest,
		words{"Your browser's request cannot be read", "Something on the way here changed it. Please try again, or sign in."},
		words{"The Authorization header cannot be read", "Send one Authorization header of the form: Bearer <access token>."}},
	CodeInvalidHandshake: {http.StatusBadRequest,
		words{"This cannot be opened", "Please load the page again."},
		words{"The handshake has a body", "Open a WebSocket with a GET without a body, and send data when it is open."}},
	CodeInsufficientRole: {http.StatusForbidden,
		words{noAccess, "It needs a role that your account does not have."},
		words{"Not allowed", "The user does not have a role that is required here."}},
	CodeInsufficientScope: {http.StatusForbidden,
		words{noAccess, "It needs a permission that was not given at the sign-in."},
		words{"Not allowed", "The access token lacks a scope that is required here. Get one with the scope that is named, and try again."}},
	CodeInsufficientAuthentication: {http.StatusUnauthorized,
		words{"You need to sign in again for this", "What you opened needs a sign-in that is more recent, or of another kind, than the one that the sign-in service told of." + toldBy},
		words{"The user must be authenticated again", "What is asked for here needs an authentication that is more recent, or of another kind. Ask the sign-in service for the acr_values and the max_age that are named, and try again."}},
	CodeNotAdmitted: {http.StatusForbidden,
		words{noAccess, "Your account is not among those that may see it."},
		words{"Not allowed", "The user has no access here."}},
	codeOtherTenant: {http.StatusForbidden,
		words{noAccess, "It belongs to another organization than your account."},
		words{"Not allowed", "The user is of another tenant."}},
	codeNotFound: {http.StatusNotFound,
		words{"There is nothing here", "The address may be wrong, or what was here is gone."},
		words{"Not found", "There is nothing at this address."}},
	CodeCrossSite: {http.StatusForbidden,
		words{"This was asked for by another site", "Nothing was done. Open this application itself and try again there."},
		words{"The request came from another site", "Go to the application itself and try again there."}},
	CodeNotANavigation: {http.StatusForbidden,
		words{"Sign-in needs a window of its own", "Open this application in its own tab or window, and sign in there."},
		words{"Sign-in starts in the browser's own window", "Open the sign-in page by following a link. A front end fetches it from the same origin with Accept: application/json."}},
	CodeMethodNotAllowed: {http.StatusMethodNotAllowed,
		words{"This does not work here", "Open this application's start page and go on from there."},
		words{"Method not allowed", "This address does not accept this method."}},
	CodeInvalidLogin: {http.StatusBadRequest,
		words{"The sign-in cannot be started", "The link that you followed is damaged. Open this application's start page and sign in from there."},
		words{"The sign-in cannot be started", "The link to it is wrong: its app_data is too long, not UTF-8, or given twice."}},
	CodeInvalidCallback: {http.StatusBadRequest,
		words{"This sign-in cannot be finished", "What the sign-in service sent back is damaged. Please sign in again."},
		words{"The sign-in service's answer cannot be read", "Sign in again."}},
	CodeSignInLost: {http.StatusBadRequest,
		words{"This sign-in cannot be finished", "It took too long, was started in another browser, or your browser keeps no cookies for this site. Allow cookies and sign in again."},
		words{"This sign-in cannot be finished", "It was started in another browser, took too long, or the browser keeps no cookies for this site. Allow cookies and sign in again."}},
	CodeIssuerMismatch: {http.StatusBadRequest,
		words{"This sign-in cannot be trusted", "The answer came from another sign-in service than the one that was asked. Please sign in again."},
		words{"The answer came from another sign-in service", "Sign in again."}},
	CodeAccessDenied: {http.StatusForbidden,
		words{"Sign-in was cancelled", "You can sign in again whenever you like."},
		words{"Sign-in was cancelled", "You can sign in again whenever you like."}},
	CodeProviderError: {http.StatusBadGateway,
		words{"The sign-in did not work", "The sign-in service reported a problem. Please sign in again." + toldBy},
		words{"The sign-in service reported an error", "Try again. If it happens again, the operator finds the cause in the log."}},
	CodeExchangeRefused: {http.StatusBadGateway,
		words{"The sign-in did not work", "The sign-in service did not complete it. Please sign in again."},
		words{"The sign-in service did not complete the sign-in", "Sign in again."}},
	CodeIDTokenRefused: {http.StatusBadGateway,
		words{"The sign-in did not work", "What the sign-in service said about you could not be trusted. Please sign in again." + toldBy},
		words{"The sign-in service's answer was not accepted", "Sign in again. If it happens again, the operator finds the cause in the log."}},
	CodeSignInRefused: {http.StatusForbidden,
		words{"You cannot sign in here", "Your account was recognised, but has no access to this application."},
		words{"The user cannot sign in here", "The account was recognised, but has no access to this application."}},
	CodeProviderUnavailable: {http.StatusServiceUnavailable,
		words{"The sign-in service does not answer", "This is usually over soon. Please try again in a moment."},
		words{"The sign-in service is not available", "Try again in a moment."}},
	CodeStoreUnavailable: {http.StatusServiceUnavailable,
		words{"This application cannot look up your session", "This is usually over soon, and you stay signed in. Please try again in a moment."},
		words{"The store of sessions is not available", "The session goes on. Try again in a moment."}},
	CodeProviderMisconfigured: {http.StatusBadGateway,
		words{"Signing in does not work at the moment", "Please give the people who run this application the code below."},
		words{"The sign-in service is not set up correctly", "The operator finds the cause in the log."}},
	CodeSessionTooLarge: {http.StatusInternalServerError,
		words{"The sign-in did not work", "What the sign-in service says about you does not fit into your browser's cookies. Please give the people who run this application the code below."},
		words{"The session is too large", "What the provider says about the user does not fit into cookies. The operator finds in the log what to do."}},
	codeInvalidLogoutToken: {http.StatusBadRequest,
		words{"This address is not for people", "It is where the sign-in service tells who has signed out there. Open this application's start page and go on from there."},
		words{"The logout request is not accepted", "Its logout_token is missing, repeated, or not valid here. The operator finds the cause in the log."}},
	CodeInternal: {http.StatusInternalServerError,
		words{"Something went wrong", "Please try again." + toldBy},
		words{"Something went wrong", "Try again."}},
}

// Refusal is a refused request, for Config.RenderRefusal, for the application's error handler (errors.As finds a
// *Refusal) and for the log.
type Refusal struct {
	Code       RefusalCode
	Status     int
	Title      string        // a few words: for people on a page, more technical ones for a program
	Detail     string        // what they can do
	RetryAfter time.Duration // of a 503
	Navigation bool          // a browser is loading a page; otherwise problem+json is expected
	SignInURL  string        // where to sign in (again); empty if that would not help
	User       *User         // who is known and not admitted, of a 403 or an insufficient_user_authentication; otherwise nil
	Scopes     []string      // of an insufficient_scope: those to ask for
	Err        error         // the cause, for the log; never for the browser

	// Authentication is what is wanted, of an insufficient_user_authentication; otherwise nil.
	Authentication *Authentication
}

// String describes the refusal without the page that was asked for, which SignInURL leads back to, and without the user.
func (r Refusal) String() string {
	return fmt.Sprintf("idserver.Refusal{Code: %s, Status: %d}", r.Code, r.Status)
}

// Error returns the title and the code. They are safe to show in the browser.
func (r *Refusal) Error() string { return r.Title + " (" + string(r.Code) + ")" }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Is reports whether target is [Err], which every error of this package is.
func (r *Refusal) Is(target error) bool { return target == Err }

// Rendered is a refusal as the application renders it.
type Rendered struct {
	Status      int    // 400 to 599; with any other value the refusal's own is sent
	ContentType string // of Body; default: text/html; charset=utf-8
	// Body is nil for the built-in page or problem+json. A page of your own has a Content-Security-Policy only if you set one.
	Body []byte
}

// String describes what was rendered by its size: a page may name its reader.
func (r Rendered) String() string {
	return fmt.Sprintf("idserver.Rendered{Status: %d, ContentType: %q, Body: %d bytes}", r.Status, r.ContentType, len(r.Body))
}

// denial is an error that says how a request is refused. Steps and guards return it, and refuse renders it.
type denial struct {
	code      RefusalCode
	err       error       // the cause, for the log; nil if the code says all
	fields    []Field     // cookies and others to send along
	challenge []parameter // of the WWW-Authenticate field
	user      *User       // who is signed in, and may not do this
	scopes    []string    // that an access token needs for this
	returnTo  string      // the page of a sign-in; "": that of the request

	authentication *Authentication // that is wanted
	log            []slog.Attr     // what else the operator needs to know
}

func (d *denial) Error() string { return string(d.code) }
func (d *denial) Unwrap() error { return d.err }

func refused(code RefusalCode, err error, fields ...Field) error {
	return &denial{code: code, err: err, fields: fields}
}

// denialOf returns the denial in err, or makes one of an error of the protocol.
func denialOf(err error) *denial {
	var d *denial
	if errors.As(err, &d) {
		return d
	}
	return &denial{code: codeOf(err), err: err}
}

// refuse answers a request that is refused. It is the one place that renders and logs refusals.
func (c *Client) refuse(ctx context.Context, r *Request, err error) Answer {
	d := denialOf(err)
	kind := refusalKinds[d.code]
	refusal := Refusal{Code: d.code, Status: kind.status, Navigation: r.isNavigation(), User: d.user, Scopes: d.scopes, Err: d.err, Authentication: d.authentication.clone()}
	said := kind.problem
	if refusal.Navigation {
		said = kind.page
	}
	refusal.Title, refusal.Detail = said.title, said.detail
	a := Answer{
		Set:         []Field{{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}},
		Add:         append(slices.Clip(c.vary), d.fields...),
		SameContext: true,
		Refusal:     &refusal,
	}
	switch {
	case kind.status == http.StatusServiceUnavailable:
		refusal.RetryAfter = max(retryAfter(d.err), time.Second).Round(time.Second)
		a.Set = append(a.Set, Field{"Retry-After", strconv.Itoa(int(refusal.RetryAfter.Seconds()))})
	case kind.status == http.StatusUnauthorized:
		a.Add = append(a.Add, c.challenges(r, d.code, slices.Concat(d.challenge, d.authentication.challenge(), c.challenged, c.metadata)...)...)
	case d.code == CodeInvalidRequest || d.code == CodeInsufficientScope:
		a.Add = append(a.Add, c.challenges(r, d.code, slices.Concat(d.challenge, c.metadata)...)...)
	}
	refusal.SignInURL = c.signInAgain(r, d)
	canSignIn := (d.code == CodeNotSignedIn || d.code == CodeInsufficientAuthentication) && refusal.SignInURL != "" && !r.hasAuthorization()
	if canSignIn && r.isHTMX() { // which follows no redirect with the whole window
		a.Set = append(a.Set, Field{"HX-Redirect", refusal.SignInURL})
	}
	switch {
	case d.code == CodeNotSignedIn && c.site.loginURL() == "":
		refusal.Detail = "Send an access token and try again."
	case d.code == CodeStoreUnavailable && c.takesProofs():
		refusal.Title, refusal.Detail = "The store of DPoP proofs is not available", "Try again in a moment, with a new proof."
	case d.code == CodeInvalidRequest && c.takesOnlyProofs():
		refusal.Detail = "Send one Authorization header of the form: DPoP <access token>."
	case d.code == CodeInvalidRequest && c.header != authorization:
		refusal.Title, refusal.Detail = "The access token cannot be read", "Send one "+c.header+" header with the access token."
	case (d.code == CodeNotSignedIn || d.code == CodeInsufficientAuthentication) && refusal.Navigation && r.Method == http.MethodPost: // a form filled in before the session ended
		refusal.Detail = "What you sent was not saved. " + refusal.Detail
	}
	c.logRefusal(ctx, r, refusal, d.log)
	c.render(ctx, r, refusal, &a)
	c.tellRefused(ctx, d, a.Status)
	return a
}

func (c *Client) tellRefused(ctx context.Context, d *denial, status int) {
	e := RefusalEvent{Code: d.code, Status: status}
	if d.user != nil {
		e.Issuer, e.Subject = d.user.Issuer, d.user.Subject
	}
	tell(ctx, c.cfg.Logger, "Refused", c.cfg.Events.Refused, e)
}

// signInAgain returns where the user can sign in after a refusal and come back to its page, or "" if that would not help.
// With prompt=login, the provider lets a user who is signed in but not admitted choose another account, and authenticates one
// again for whom max_age and acr_values were not enough.
func (c *Client) signInAgain(r *Request, d *denial) string {
	code := d.code
	switch {
	case code == CodeCrossSite, code == CodeMethodNotAllowed, code == CodeInvalidHandshake, code == CodeProviderMisconfigured, code == CodeSessionNotRenewed,
		code == CodeStoreUnavailable, code == codeInvalidLogoutToken:
		return ""
	case !r.isNavigation() && !r.isHTMX() && d.authentication != nil:
		return c.withStepUp(c.site.loginURL(), d.authentication)
	case !r.isNavigation() && !r.isHTMX():
		return c.site.loginURL()
	}
	again := c.site.signInURL(*r)
	if d.returnTo != "" {
		again = withParameter(c.site.loginURL(), "return_to="+url.QueryEscape(d.returnTo))
	}
	if d.authentication != nil {
		again = c.withStepUp(again, d.authentication)
	}
	if again != "" && (notAdmitted(code) || code == CodeInsufficientAuthentication && !r.isHTMX()) {
		again = withParameter(again, "prompt=login")
	}
	return again
}

// notAdmitted reports whether the user is known and may not do this: another one might.
func notAdmitted(code RefusalCode) bool {
	return code == CodeInsufficientRole || code == CodeInsufficientScope || code == CodeNotAdmitted || code == CodeSignInRefused || code == codeOtherTenant || code == codeNotFound
}

// parameter is one parameter of a challenge: scope (RFC 6750), acr_values and max_age (RFC 9470), algs (RFC 9449),
// resource_metadata (RFC 9728).
type parameter struct{ name, value string }

// challenges are the WWW-Authenticate fields of a refusal: one for each scheme that is taken (RFC 9449 section 7.1). The error is
// that of the scheme that the request came with.
func (c *Client) challenges(r *Request, code RefusalCode, parameters ...parameter) []Field {
	if !c.takesProofs() {
		return []Field{challenge("Bearer", code, parameters...)}
	}
	onlyProofs := c.takesOnlyProofs()
	scheme, _, _ := strings.Cut(r.value(c.header), " ")
	ofBearer, ofProof := code, CodeNotSignedIn // which has no error
	if onlyProofs || strings.EqualFold(scheme, dpopType) {
		ofBearer, ofProof = ofProof, ofBearer
	}
	proof := challenge(dpopType, ofProof, append([]parameter{{"algs", strings.Join(apiProofAlgorithms, " ")}}, parameters...)...)
	if onlyProofs {
		return []Field{proof}
	}
	return []Field{challenge("Bearer", ofBearer, parameters...), proof}
}

// challenge is one WWW-Authenticate field, as in RFC 6750 section 3; for a request without credentials it has no error code
// (section 3.1).
func challenge(scheme string, code RefusalCode, parameters ...parameter) Field {
	if code != CodeNotSignedIn && code != CodeSessionNotRenewed {
		parameters = append([]parameter{{"error", string(code)}}, parameters...)
	}
	value := scheme
	for i, p := range parameters {
		if i > 0 {
			value += ","
		}
		value += " " + p.name + `="` + quoted.Replace(p.value) + `"`
	}
	return Field{"WWW-Authenticate", value}
}

// quoted writes the text of a quoted-string, RFC 9110 section 5.6.4.
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

func (c *Client) render(ctx context.Context, r *Request, refusal Refusal, a *Answer) {
	a.Status = refusal.Status
	if c.cfg.RenderRefusal != nil {
		own := c.cfg.RenderRefusal(ctx, refusal)
		if own.Status >= 400 && own.Status <= 599 {
			a.Status = own.Status
		}
		if own.Body != nil {
			own.ContentType = cmp.Or(own.ContentType, "text/html; charset=utf-8")
			a.Set = append(a.Set, Field{"Content-Type", own.ContentType})
			a.Body = own.Body
			return
		}
	}
	if refusal.Navigation {
		a.Set = append(a.Set, pageFields...)
		a.Body = c.refusalPage(r, &refusal)
		return
	}
	a.Set = append(a.Set, Field{"Content-Type", "application/problem+json"})
	a.Body = problem(refusal, a.Status)
}

// problem returns the problem document of RFC 9457. It contains nothing of the request.
func problem(refusal Refusal, status int) []byte {
	var acrValues string
	var maxAge int
	if wanted := refusal.Authentication; wanted != nil {
		acrValues, maxAge = strings.Join(wanted.ACR, " "), int(wanted.MaxAge/time.Second)
	}
	body, err := strictjson.Marshal(struct {
		Type      string      `json:"type"`
		Title     string      `json:"title"`
		Status    int         `json:"status"`
		Detail    string      `json:"detail"`
		Code      RefusalCode `json:"code"`
		Scope     string      `json:"scope,omitempty"`
		ACRValues string      `json:"acr_values,omitempty"`
		MaxAge    int         `json:"max_age,omitzero"`
		SignInURL string      `json:"sign_in_url,omitempty"`
	}{"about:blank", refusal.Title, status, refusal.Detail, refusal.Code, strings.Join(refusal.Scopes, " "), acrValues, maxAge, refusal.SignInURL})
	if err != nil {
		return []byte(`{}`)
	}
	return append(body, '\n')
}

// What a stranger wrote is cut before it is logged, in bytes: one request must not write a megabyte.
const (
	maxMethodText = 32
	maxPathText   = 256
	maxErrorText  = 4 << 10 // the stack of an application's panic is among them
)

// logRefusal logs what the operator has to fix as a warning and the rest as information; a request that merely lacks
// credentials is routine.
func (c *Client) logRefusal(ctx context.Context, r *Request, refusal Refusal, more []slog.Attr) {
	level := slog.LevelInfo
	switch {
	case refusal.Code == CodeNotSignedIn, refusal.Code == CodeSessionNotRenewed, refusal.Code == codeUseNonce, errors.Is(refusal.Err, context.Canceled): // the caller left
		level = slog.LevelDebug
	case refusal.Status >= 500:
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{slog.String("code", string(refusal.Code)), slog.String("method", endpoint.Printable(r.Method, maxMethodText)), slog.String("path", endpoint.Printable(r.Path, maxPathText))}
	if refusal.Err != nil {
		attributes = append(attributes, slog.String("error", endpoint.Cut(refusal.Err.Error(), maxErrorText)))
	}
	if refusal.User != nil {
		attributes = append(attributes, slog.String("subject", refusal.User.Subject))
	}
	c.cfg.Logger.LogAttrs(ctx, level, "idserver: request refused", append(attributes, more...)...)
}

// codeOf maps an error of the protocol to a refusal code.
func codeOf(err error) RefusalCode {
	var token *TokenEndpointError
	switch {
	case errors.Is(err, vault.ErrAway):
		return CodeStoreUnavailable
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return CodeProviderUnavailable
	case errors.Is(err, ErrInvalidToken):
		return CodeIDTokenRefused
	case errors.As(err, &token) && !token.pushed && token.terminal():
		return CodeExchangeRefused
	case errors.Is(err, ErrDiscovery):
		return CodeProviderMisconfigured
	case errors.Is(err, ErrTokenEndpoint), errors.Is(err, ErrUserInfo):
		return CodeProviderError
	default:
		return CodeInternal
	}
}
