package idserver

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/signward/idserver-go/core/internal/claims"
)

// signedMode is the response_mode with which the provider signs its response: JARM (JWT Secured Authorization Response Mode for OAuth
// 2.0) section 2.3.
func (c *Config) signedMode() string {
	if c.ResponseMode == formPost {
		return "form_post.jwt"
	}
	return "query.jwt"
}

// readResponse reads the parameters of an authorization response: with a profile that wants it signed, those that are signed, and none
// besides. What it returns along with an error is the provider's too, unless the error says that nobody knows whose it is.
func (p *provider) readResponse(ctx context.Context, rawQuery string) (callbackParameters, error) {
	if p.cfg.Profile != fapi2MessageSigning {
		return parseCallback(rawQuery)
	}
	token, err := signedResponse(rawQuery)
	if err != nil {
		return callbackParameters{}, err
	}
	return p.verifyResponse(ctx, token)
}

// plainParameters are those of a response that is not signed.
var plainParameters = []string{"code", "state", "error", "error_description", "iss"}

// signedResponse returns the JWT of a response. One with parameters beside it is refused: whoever reads those and whoever reads the
// JWT would see two responses.
func signedResponse(rawQuery string) (token string, err error) {
	if len(rawQuery) > maxCallback {
		return "", fmt.Errorf("the response is longer than %d bytes", maxCallback)
	}
	seen := false
	for pair := range strings.SplitSeq(rawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		switch name = unescaped(name); {
		case slices.Contains(plainParameters, name):
			return "", fmt.Errorf("%s stands outside of a response that must be signed (response, Config.Profile)", name)
		case name != "response":
		case seen:
			return "", errors.New("response stands more than once")
		default:
			if token, err = url.QueryUnescape(value); err != nil {
				return "", errors.New("response cannot be read")
			}
			seen = true
		}
	}
	if token == "" {
		return "", errors.New("there is no signed response (response), which Config.Profile wants")
	}
	return token, nil
}

// verifyResponse verifies a signed response, JARM section 2.4, and returns what is in it. It comes by way of the browser, and
// anybody may have made it up: nothing is fetched for one that is refused by what it says.
func (p *provider) verifyResponse(ctx context.Context, token string) (response callbackParameters, err error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return response, err
	}
	if strings.Count(token, ".") == 4 {
		if token, err = p.opened(token); err != nil {
			return response, err
		}
	}
	rules := func(v verified) error { return p.checkResponse(v, m) }
	v, err := p.verify(ctx, token, presented, p.now(), rules)
	if err == nil {
		err = rules(v) // the keys may have taken a while
	}
	if err != nil {
		return response, err
	}
	for name, into := range map[string]*string{
		"code": &response.code, "state": &response.state, "iss": &response.issuer, "error": &response.err, "error_description": &response.description,
	} {
		value := v.Get(name)
		if *into = claims.Text(value); *into == "" && value != "" && value != "null" && value != `""` && name != "error_description" {
			return callbackParameters{}, fmt.Errorf("%s is no text", name)
		}
	}
	response.sentIssuer = true
	return response, response.check()
}

// checkResponse checks what a signed response says of itself, JARM section 2.4 steps 3 to 5.
func (p *provider) checkResponse(v verified, m *metadata) error {
	kind := strings.TrimPrefix(strings.ToLower(v.header.Type), "application/")
	switch {
	case !slices.Contains([]string{"", "jwt", "oauth-authz-resp+jwt"}, kind) || v.Has("nonce") || v.Has("events"):
		return invalidToken(ReasonType, "it is a token of another kind (typ %q)", v.header.Type)
	case v.Issuer != m.Issuer:
		return invalidToken(ReasonIssuer, "iss is %q, want %q", v.Issuer, m.Issuer)
	case len(v.Audience) != 1 || v.Audience[0] != p.cfg.ClientID:
		return invalidToken(ReasonAudience, "aud is %q, want %q", v.Audience, p.cfg.ClientID)
	}
	return checkTimes(v.Expiry, v.NotBefore, v.IssuedAt, p.now(), p.cfg.Provider.Leeway)
}

// isUndecided reports whether a response may be good, and cannot be verified now.
func isUndecided(err error) bool {
	return errors.Is(err, ErrUnavailable) || errors.Is(err, ErrDiscovery) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// codeOfUnread is the code of a response that was not read.
func codeOfUnread(err error) RefusalCode {
	if errors.Is(err, ReasonIssuer) {
		return CodeIssuerMismatch
	}
	return CodeInvalidCallback
}
