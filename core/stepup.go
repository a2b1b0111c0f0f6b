package idserver

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
)

// Authentication is how somebody must have been authenticated by the provider, for [Client.RequireAuthentication]. At least one of
// the fields must be set; where both are, both count.
type Authentication struct {
	// ACR are authentication context class references (OpenID Connect Core section 2), the one to ask for first. The user's
	// acr must be one of them, exactly: which of two is the stronger is not known, so list the stronger ones too. Default: any.
	ACR []string
	// MaxAge is how long ago they may have signed in at the provider (auth_time), in whole seconds, beside the leeway. Default:
	// at any time.
	MaxAge time.Duration
}

// RequireAuthentication returns a guard that admits a signed-in user who was authenticated as it is wanted here, by the acr and
// the auth_time of the access token or, for a session, of its sign-in (RFC 9470). Anybody else gets 401 and the code
// insufficient_user_authentication, with a challenge that tells what to ask the provider for. A browser that loads a page, or posts
// a form, is sent to sign in again with that, and comes back to the page: after a POST to the one with the form, if its Referer
// is of this application (nothing that was posted is kept). A provider that does not authenticate the user so is told from the
// ID token (OpenID Connect Core section 3.1.3.7, steps 12 and 13); the browser then gets a page that says it.
//
// It panics if nothing is wanted, if an acr cannot be one in a list of them, or if MaxAge is not in whole seconds.
func (c *Client) RequireAuthentication(wanted Authentication) Guard {
	wanted.ACR = slices.Clone(wanted.ACR)
	if fault := wanted.fault(); fault != "" {
		panic("idserver: RequireAuthentication: " + fault)
	}
	return c.guard(requirement{
		code: CodeInsufficientAuthentication, authentication: &wanted,
		met: func(u *User) bool { return wanted.metBy(u, c.cfg.Now(), c.tokens.leeway) },
	})
}

// maxACR limits what is wanted as acr in all, in bytes: it is in cookies and in URLs.
const maxACR = 512

// fault says what is wrong with the requirement.
func (a *Authentication) fault() string {
	switch {
	case len(a.ACR) == 0 && a.MaxAge == 0:
		return "set ACR or MaxAge: a guard that wants nothing is RequireUser"
	case a.MaxAge < 0 || a.MaxAge%time.Second != 0:
		return fmt.Sprintf("MaxAge is %v: want whole seconds", a.MaxAge)
	}
	return faultOfACR(a.ACR)
}

// faultOfACR says what is wrong with values for acr_values, which stand in a list between spaces and in a quoted string.
func faultOfACR(values []string) string {
	for _, acr := range values {
		if !claims.IsScope(acr) {
			return fmt.Sprintf("ACR has %q: want visible ASCII characters without spaces, quotation marks and backslashes", shown(acr))
		}
	}
	if all := strings.Join(values, " "); len(all) > maxACR {
		return fmt.Sprintf("ACR has %d bytes in all, want at most %d", len(all), maxACR)
	}
	return ""
}

// metBy reports whether a user was authenticated so. One of whom it is not known was not.
func (a *Authentication) metBy(u *User, now time.Time, leeway time.Duration) bool {
	switch {
	case len(a.ACR) > 0 && !slices.Contains(a.ACR, u.ACR):
		return false
	case a.MaxAge == 0:
		return true
	}
	return !u.AuthTime.IsZero() && !now.After(u.AuthTime.Add(a.MaxAge+leeway)) && !now.Add(leeway).Before(u.AuthTime)
}

// refuse refuses somebody who was not authenticated so.
func (a *Authentication) refuse(u *User, d *denial) {
	d.authentication = a
	d.log = []slog.Attr{
		slog.Any("wanted_acr", a.ACR), slog.Duration("max_age", a.MaxAge),
		slog.String("acr", endpoint.Printable(u.ACR, maxRoleText)), slog.Time("auth_time", u.AuthTime),
	}
}

// clone returns a copy for the application, which may do with it what it likes.
func (a *Authentication) clone() *Authentication {
	if a == nil {
		return nil
	}
	return &Authentication{slices.Clone(a.ACR), a.MaxAge}
}

// challenge are the parameters of RFC 9470 section 3.
func (a *Authentication) challenge() (all []parameter) {
	if a == nil {
		return nil
	}
	if len(a.ACR) > 0 {
		all = append(all, parameter{"acr_values", strings.Join(a.ACR, " ")})
	}
	if a.MaxAge > 0 {
		all = append(all, parameter{"max_age", strconv.Itoa(int(a.MaxAge / time.Second))})
	}
	return all
}

// stepUpInstead returns where to send a browser that loads a page or posts a form, and whose user must be authenticated again; ""
// for any other request, which is refused. What is posted is lost, so there must be a page to come back to.
func (c *Client) stepUpInstead(r *Request, wanted *Authentication) string {
	if wanted == nil || r.hasAuthorization() || !r.isNavigation() || r.isPrefetch() {
		return ""
	}
	at := c.site.signInURL(*r)
	if at == "" || !r.isVisit() && at == c.site.loginURL() {
		return ""
	}
	return c.withStepUp(at, wanted)
}

// withStepUp adds to a URL of /login what the sign-in must bring.
func (c *Client) withStepUp(at string, wanted *Authentication) string {
	sealed := c.site.stepUp(wanted)
	if at == "" || sealed == "" {
		return at
	}
	return withParameter(at, stepUpParameter+"="+sealed)
}

// withParameter adds a parameter to a URL of /login.
func withParameter(at, parameter string) string {
	if strings.Contains(at, "?") {
		return at + "&" + parameter
	}
	return at + "?" + parameter
}

// stepUpParameter is the parameter of /login for what a guard wants of the sign-in. It is sealed: a link of somebody else's could
// otherwise ask for less than the application does.
const stepUpParameter = "step_up"

// stepUp seals what a guard wants, for the link to /login.
func (w *web) stepUp(wanted *Authentication) string {
	content, err := sessioncodec.PackLogin(sessioncodec.Login{State: stepUpParameter, ACR: wanted.ACR, MaxAge: int64(wanted.MaxAge / time.Second)})
	if err != nil {
		return ""
	}
	sealed, err := w.ring.Seal(w.cfg.Rand, stepUpParameter, content)
	if err != nil {
		return ""
	}
	return sealed
}

// maxStepUp limits the parameter, in bytes.
const maxStepUp = 8 << 10

// openStepUp returns what the link to /login says that a guard wants; nil for one that this program did not write, or that cannot
// be read any more: the guard will say it again.
func (w *web) openStepUp(sealed string) *Authentication {
	if sealed == "" || len(sealed) > maxStepUp {
		return nil
	}
	content, _, err := w.ring.Open(stepUpParameter, sealed)
	if err != nil {
		return nil
	}
	kept, err := sessioncodec.UnpackLogin(content)
	if err != nil {
		return nil
	}
	return authenticationOf(kept)
}

// authenticationOf is what a sign-in must bring; nil: nothing in particular.
func authenticationOf(kept sessioncodec.Login) *Authentication {
	if len(kept.ACR) == 0 && kept.MaxAge == 0 {
		return nil
	}
	return &Authentication{ACR: kept.ACR, MaxAge: time.Duration(kept.MaxAge) * time.Second}
}

// steppedUp returns the options of a sign-in that must bring more than the application asks for anyway: what a guard wants stands
// above everything else, or the guard would send the browser here again.
func (o AuthorizeOptions) steppedUp(wanted *Authentication) AuthorizeOptions {
	if wanted == nil {
		return o
	}
	if len(wanted.ACR) > 0 {
		o.ACR = wanted.ACR
	}
	if wanted.MaxAge > 0 && (o.MaxAge == 0 || wanted.MaxAge < o.MaxAge) {
		o.MaxAge = wanted.MaxAge
	}
	return o
}

// notAuthenticatedSo refuses a sign-in that did not bring what was asked for: the person may try again, by hand.
func notAuthenticatedSo(err error, login sessioncodec.Login, fields ...Field) error {
	return &denial{
		code: CodeInsufficientAuthentication, err: err, fields: fields, authentication: authenticationOf(login), returnTo: login.ReturnTo,
	}
}
