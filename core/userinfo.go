package idserver

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// userInfo fetches claims from the userinfo endpoint, and compares their sub with subject: see [Client.UserInfo]. bound is the key
// that the access token is bound to, or nil.
func (p *provider) userInfo(ctx context.Context, accessToken, subject string, bound []byte) (info strictjson.Object, err error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return info, err
	}
	if m.UserInfoEndpoint == "" {
		return info, &DiscoveryError{p.cfg.Authority, errors.New("no userinfo_endpoint in it")}
	}
	key, err := proofKey(bound)
	if err != nil {
		return info, baseerror.Errorf("idserver: ProofKey: %w", err)
	}
	call := endpoint.Call{
		URL: m.UserInfoEndpoint, Accept: "application/json, application/jwt", Authentication: endpoint.Bearer{AccessToken: accessToken},
	}
	if key != nil {
		call.Authentication = endpoint.Bound{AccessToken: accessToken}
	}
	a, err := p.prove(ctx, "userinfo", call, key)
	if err != nil {
		return info, &UserInfoError{Err: err}
	}
	if a.Status/100 != 2 {
		r := a.Refusal()
		// RFC 6750 section 3 puts the error into this header; sgID sends it without the scheme in front.
		r.Description = cmp.Or(r.Description, a.Text(a.Header.Get("WWW-Authenticate"), maxDescription))
		return info, &UserInfoError{Status: r.Status, Code: r.Code, Description: r.Description, RetryAfter: r.RetryAfter}
	}
	if info, err = p.userInfoClaims(ctx, a, m.Issuer); err != nil {
		return info, &UserInfoError{Status: a.Status, Err: err}
	}
	switch sub := info.Get("sub"); {
	case sub == "":
		return info, &UserInfoError{Status: a.Status, Err: fmt.Errorf("%w: there is no sub in it", errUserInfoForm)}
	case p.cfg.Provider.UserInfoOfClient && claims.Text(sub) == p.cfg.ClientID && claims.Text(info.Get("aud")) == p.cfg.ClientID && isSigned(a):
	case subject == "" || subtle.ConstantTimeCompare([]byte(claims.Text(sub)), []byte(subject)) != 1:
		return info, &UserInfoError{Status: a.Status, Err: fmt.Errorf("%w: its sub is not the subject of the ID token", ReasonSubject)}
	}
	if isTemplate(m.Issuer) { // the answer does not tell whose it is
		return info, nil
	}
	return withText(info, "iss", m.Issuer)
}

// isSigned reports whether an answer was a JWT, whose signature is verified then.
func isSigned(a *endpoint.Answer) bool {
	return !bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(a.Body, byteOrderMark)), []byte("{"))
}

// errUserInfoForm marks an answer that is the provider's own, proves nothing, and would be the same the next time.
var errUserInfoForm = errors.New("the answer cannot be used")

// userInfoClaims reads an answer: a JSON object or, at clients that are registered so, a signed JWT that may be encrypted
// (OpenID Connect Core section 5.3.2). What is neither may come from something between here and the provider.
func (p *provider) userInfoClaims(ctx context.Context, a *endpoint.Answer, issuer string) (info strictjson.Object, err error) {
	body := strings.TrimSpace(strings.TrimPrefix(string(a.Body), "\ufeff"))
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	switch {
	case body == "":
		return info, fmt.Errorf("%w: it is empty", errUserInfoForm)
	case body == "null" || body[0] == '[':
		return info, fmt.Errorf("%w: it is no JSON object", errUserInfoForm)
	case body[0] == '{':
		return claims.ParseObject([]byte(body))
	case body[0] == '<':
		return info, errors.New("HTML where JSON is wanted")
	case strings.Count(body, ".") == 4 && (kind == "application/jwt" || !strings.ContainsAny(body, " <\n")):
		return p.encryptedUserInfo(ctx, body, issuer)
	case kind == "application/jwt" || strings.Count(body, ".") == 2 && !strings.ContainsAny(body, " <\n"):
		return p.signedUserInfo(ctx, body, issuer)
	}
	return info, errors.New("it is neither a JSON object nor a JWT")
}

// encryptedUserInfo reads an answer that is signed and encrypted.
func (p *provider) encryptedUserInfo(ctx context.Context, token, issuer string) (info strictjson.Object, err error) {
	if len(p.clientKeys.openers) == 0 {
		return info, fmt.Errorf("%w: it is encrypted (five parts), and Config.ClientKeys (IDSERVER_CLIENT_KEYS) have no key that decrypts", errUserInfoForm)
	}
	signed, err := p.opened(token)
	switch {
	case errors.Is(err, ErrUnavailable):
		return info, err
	case err != nil:
		return info, fmt.Errorf("%w: %w", errUserInfoForm, err)
	}
	return p.signedUserInfo(ctx, signed, issuer)
}

// signedUserInfo verifies a signed answer. iss and aud should be in it (section 5.3.2); where they are, they must be the
// provider and this client. It is refused if it is another kind of token, or no longer valid.
func (p *provider) signedUserInfo(ctx context.Context, token, issuer string) (info strictjson.Object, err error) {
	v, err := p.verify(ctx, token, issuedUserInfo, p.now(), nil)
	switch {
	case errors.Is(err, ErrUnavailable), ctx.Err() != nil && err != nil:
		return info, err
	case err != nil:
		return info, fmt.Errorf("%w: %v", errUserInfoForm, err)
	}
	kind := strings.TrimPrefix(strings.ToLower(v.header.Type), "application/")
	switch now, leeway := p.now(), p.cfg.Provider.Leeway; {
	case !slices.Contains([]string{"", "jwt", "userinfo+jwt"}, kind) || v.Has("events") || v.Has("nonce"):
		err = errors.New("it is a token of another kind")
	case v.Has("iss") && v.Issuer != issuer:
		err = fmt.Errorf("iss is %q, want %q", v.Issuer, issuer)
	case v.Has("aud") && !slices.Contains(v.Audience, p.cfg.ClientID):
		err = fmt.Errorf("aud is %q, want %q", v.Audience, p.cfg.ClientID)
	case !v.Expiry.IsZero() && !now.Before(v.Expiry.Add(leeway)):
		err = errors.New("it has expired")
	case now.Add(leeway).Before(v.NotBefore):
		err = errors.New("it is not valid yet")
	}
	if err != nil {
		return info, fmt.Errorf("%w: %w", errUserInfoForm, err)
	}
	return v.Object, nil
}

// withText returns claims in which one has that value.
func withText(known strictjson.Object, name, value string) (strictjson.Object, error) {
	text, err := strictjson.AppendString(nil, value)
	if err != nil {
		return known, baseerror.Errorf("idserver: %s: %w", name, err)
	}
	return claims.With(known, name, string(text))
}
