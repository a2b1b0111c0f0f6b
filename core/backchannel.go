package idserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/signward/idserver-go/core/internal/endings"
	"github.com/signward/idserver-go/core/internal/jose"
)

// maxLogoutRequest limits the body of a logout request, in bytes: a token as long as any that is read, and its name.
const maxLogoutRequest = jose.MaxToken + 1<<10

// backchannelLogout answers POST /backchannel-logout, with which the provider tells that somebody's session there has ended:
// OpenID Connect Back-Channel Logout 1.0. It is done when all replicas can know, and not before: if the store is away, the
// answer is 503, so that the provider repeats. A token that comes again does nothing.
func (w *web) backchannelLogout(ctx context.Context, r *Request) (Answer, error) {
	token, err := logoutTokenIn(r)
	if err != nil {
		return Answer{}, refused(codeInvalidLogoutToken, err)
	}
	t, err := w.provider.verifyLogoutToken(ctx, token)
	switch {
	case errors.Is(err, ErrInvalidToken):
		return Answer{}, refused(codeInvalidLogoutToken, err)
	case err != nil: // nothing can be said about the token now
		return Answer{}, err
	}
	if err := w.endByProvider(ctx, t); err != nil {
		return Answer{}, err
	}
	return Answer{Status: http.StatusOK, Set: []Field{{"Cache-Control", "no-store"}}}, nil // section 2.8
}

// logoutTokenIn reads a logout request, section 2.5. Parameters that are not known are ignored.
func logoutTokenIn(r *Request) (string, error) {
	if kind, _, err := mime.ParseMediaType(r.value("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return "", errors.New("the request is not a form (application/x-www-form-urlencoded)")
	}
	if r.Body == nil {
		return "", errors.New("the request has no body")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLogoutRequest+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("the request was not read: %w", err)
	case len(body) > maxLogoutRequest:
		return "", fmt.Errorf("the request is longer than %d bytes", maxLogoutRequest)
	}
	form, err := url.ParseQuery(string(body))
	switch tokens := form["logout_token"]; {
	case err != nil:
		return "", errors.New("the form cannot be read")
	case len(tokens) != 1 || tokens[0] == "":
		return "", fmt.Errorf("the form has %d logout tokens, want one", len(tokens))
	default:
		return tokens[0], nil
	}
}

// endByProvider ends what a logout token says has ended: the sessions that began at a sign-in before. By the provider's clock,
// that is told by the ID token with which they began; by ours, it is not later than the end of the second that iat is in, and
// not later than now.
func (w *web) endByProvider(ctx context.Context, t logoutToken) error {
	const secondsEnd = 999 // ms: iat is in whole seconds
	m := endings.Marker{Before: min(t.issuedAt.UnixMilli()+secondsEnd, w.now().UnixMilli()), Issued: t.issuedAt.UnixMilli()}
	var marks []endings.Key
	switch {
	case t.sid == "":
		marks = []endings.Key{endings.PersonMark(t.issuer, t.subject)}
	case t.subject == "":
		marks = []endings.Key{endings.ProviderMark(t.issuer, t.sid)}
	default: // a session of which no sid was told may be the one
		marks = []endings.Key{endings.ProviderMark(t.issuer, t.sid), endings.UnnamedMark(t.issuer, t.subject)}
	}
	news := false
	for _, mark := range marks {
		news = !w.markers.Covers(mark, endings.Marker{Issued: m.Issued}) || news
		if err := w.markers.End(context.WithoutCancel(ctx), mark, m); err != nil {
			return err
		}
	}
	if news {
		w.cfg.Logger.InfoContext(ctx, "idserver: signed out by the provider", "issuer", t.issuer, "subject", t.subject, "one_session", t.sid != "")
		tell(ctx, w.cfg.Logger, "SignedOut", w.cfg.Events.SignedOut, SessionEvent{Issuer: t.issuer, Subject: t.subject})
	}
	return nil
}
