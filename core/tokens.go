package idserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/claims"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/endpoint"
	"github.com/signward/idserver-go/core/internal/jose"
	"github.com/signward/idserver-go/core/internal/sessioncodec"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// Tokens are the tokens that the token endpoint issued. The ID token has been verified.
type Tokens struct {
	AccessToken  string
	RefreshToken string    // empty if the provider issued none
	IDToken      string    // signed, also if it came encrypted; empty if neither the sign-in nor a refresh brought one
	Expiry       time.Time // when the access token expires; zero if neither the provider nor the token says
	User         *User     // made from the ID token and other sources: see ExchangeCode
	ProofKey     []byte    // the private key that the access token is bound to (Config.DPoP); nil: it is a bearer token
	refreshAt    time.Time // when a session refreshes it; zero: never
	rotated      bool      // by the refresh that brought them: the refresh token before them is used up
	rolesFrom    string    // the source of the user's roles
	rolesExpiry  time.Time // of the access token that they came with; zero: this one
	first        firstIDToken
	sid          string             // of the sign-in's ID token: the session at the provider
	issued       time.Time          // iat of the same
	session      [32]byte           // the id of the session that begins with them
	version      int64              // of the session, where another replica has refreshed it; 0: this process did
	confirmed    int64              // the beginning of the store's epoch in which a refresh brought them
	later        sessioncodec.Later // that a replica of a later version wrote with them; it counts with version
	scopes       []string           // that the token endpoint told; nil: it told none
	issuedType   string             // issued_token_type, of an exchange (RFC 8693)
}

// String reports which tokens there are, without printing them.
func (t Tokens) String() string {
	return fmt.Sprintf("idserver.Tokens{access token: %t, refresh token: %t, ID token: %t, expiry: %v}", t.AccessToken != "", t.RefreshToken != "", t.IDToken != "", t.Expiry)
}

// OAuth2 returns the tokens as a token of golang.org/x/oauth2, for use with its clients. They cannot prove the possession of a key:
// an API that looks refuses a token of type DPoP from them.
func (t *Tokens) OAuth2() *oauth2.Token {
	return &oauth2.Token{AccessToken: t.AccessToken, TokenType: t.kind(), RefreshToken: t.RefreshToken, Expiry: t.Expiry}
}

// kind is the type of the access token, and the scheme that it is sent with.
func (t *Tokens) kind() string {
	if len(t.ProofKey) > 0 {
		return dpopType
	}
	return "Bearer"
}

// exchangeCode exchanges an authorization code for tokens and makes the user: see [Client.ExchangeCode].
func (p *provider) exchangeCode(ctx context.Context, code string, r *AuthorizationRequest) (*Tokens, error) {
	if code == "" || r == nil {
		return nil, baseerror.New("idserver: ExchangeCode: there is no code, or no request that it answers")
	}
	tokens, err := p.requestTokens(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {r.RedirectURI}, "code_verifier": {r.CodeVerifier},
	}, r.ProofKey)
	if err != nil {
		return nil, err
	}
	if tokens.IDToken == "" {
		return nil, invalidToken(ReasonMalformed, "the token endpoint answered without an ID token: openid must be among the scopes")
	}
	if tokens.IDToken, err = p.opened(tokens.IDToken); err != nil {
		return nil, spent(err)
	}
	check := IDTokenCheck{Nonce: r.Nonce, Code: code, AccessToken: tokens.AccessToken, MaxAge: r.MaxAge, ACR: r.ACR}
	idToken, err := p.verifyIDToken(ctx, tokens.IDToken, check, issuedIDToken)
	if err != nil {
		return nil, spent(err)
	}
	tokens.first, tokens.sid, tokens.issued = firstOf(idToken), claims.Text(idToken.Get("sid")), idToken.IssuedAt
	return tokens, spent(p.makeUser(ctx, &gathered{tokens: tokens, idToken: idToken, renewed: true, requested: r.Scopes}))
}

// errCodeSpent marks a passing fault after the token endpoint has answered: the code cannot be sent again.
var errCodeSpent = errors.New("the code is used up, and who the user is could not be learnt")

func spent(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", errCodeSpent, err)
	}
	return err
}

// refreshToken requests new tokens and makes the user anew: see [Client.RefreshToken].
func (p *provider) refreshToken(ctx context.Context, old *Tokens) (*Tokens, error) {
	if old.RefreshToken == "" || old.User == nil {
		return nil, baseerror.New("idserver: RefreshToken: there is no refresh token, or no user to compare with")
	}
	tokens, err := p.requestTokens(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.RefreshToken}}, old.ProofKey)
	if err != nil {
		return nil, err
	}
	tokens.RefreshToken = cmp.Or(tokens.RefreshToken, old.RefreshToken)
	tokens.rotated = tokens.RefreshToken != old.RefreshToken
	tokens.first = old.firstIDToken()
	var idToken *claims.Claims
	renewed := tokens.IDToken != ""
	if renewed {
		check := IDTokenCheck{AccessToken: tokens.AccessToken, Subject: old.User.Subject}
		if tokens.IDToken, err = p.opened(tokens.IDToken); err == nil {
			idToken, err = p.verifyIDToken(ctx, tokens.IDToken, check, issuedIDToken)
		}
		if err == nil {
			err = tokens.first.check(idToken)
		}
		if err == nil {
			tokens.first.acr = cmp.Or(claims.Text(idToken.Get("acr")), tokens.first.acr)
		}
	} else {
		tokens.IDToken = old.IDToken
		idToken, err = p.claimsBefore(ctx, old)
	}
	if err == nil {
		err = p.checkTenantAgain(ctx, old.User, idToken)
	}
	if err != nil {
		tokens.IDToken = old.IDToken // one that was not verified is not kept
		return tokens, err
	}
	return tokens, p.makeUser(ctx, &gathered{tokens: tokens, before: old, idToken: idToken, renewed: renewed})
}

// firstIDToken returns what is known of the ID token of the sign-in. Tokens that the caller has put together itself have no
// more than the last one.
func (t *Tokens) firstIDToken() firstIDToken {
	if t.first != (firstIDToken{}) || t.IDToken == "" {
		return t.first
	}
	message, err := jose.Parse(t.IDToken)
	if err != nil {
		return t.first
	}
	if known, err := parseClaims(message.Payload); err == nil {
		return firstOf(known)
	}
	return t.first
}

// checkTenantAgain checks at a refresh that the tenant is that of the sign-in, and still admitted.
func (p *provider) checkTenantAgain(ctx context.Context, old *User, idToken *claims.Claims) error {
	issuer, err := p.issuer(ctx, p.now())
	if err != nil {
		return err
	}
	return p.sameTenant(ctx, issuer, old.Issuer, idToken.Issuer)
}

// claimsBefore returns the claims of an ID token that was verified when it was issued or, without one, what is known of
// the user.
func (p *provider) claimsBefore(ctx context.Context, old *Tokens) (*claims.Claims, error) {
	if old.IDToken == "" {
		issuer, err := p.issuer(ctx, p.now())
		if err != nil {
			return nil, err
		}
		if isTemplate(issuer) {
			issuer = old.User.Issuer
		}
		return p.claimsOf(old.User, issuer)
	}
	message, err := jose.Parse(old.IDToken)
	if err != nil {
		return nil, &InvalidTokenError{ReasonMalformed, err}
	}
	known, err := parseClaims(message.Payload)
	if err == nil && known.Subject != old.User.Subject {
		err = invalidToken(ReasonSubject, "sub is not the one that signed in")
	}
	return known, err
}

// claimsOf returns the claims of a user of this issuer. A User that the caller made itself has none but its subject.
func (p *provider) claimsOf(u *User, issuer string) (*claims.Claims, error) {
	identity, err := withText(strictjson.Object{}, "iss", issuer)
	if err == nil {
		identity, err = withText(identity, "sub", u.Subject)
	}
	if err != nil {
		return nil, err
	}
	known, err := u.object()
	if err != nil {
		return nil, err
	}
	merged, err := claims.Merge(p.roles, claims.Source{Claims: identity}, claims.Source{Claims: known})
	if err != nil {
		return nil, err
	}
	return parseClaims([]byte(merged.Claims.Text()))
}

// revokeToken asks the provider to revoke a token, and forgets it here: see [Client.RevokeToken].
func (p *provider) revokeToken(ctx context.Context, token string) error {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return err
	}
	if m.RevocationEndpoint == "" {
		return &DiscoveryError{p.cfg.Authority, errors.New("no revocation_endpoint in it")}
	}
	if _, err = p.post(ctx, m, "revocation", m.RevocationEndpoint, url.Values{"token": {token}}, nil); err == nil {
		p.forgetToken(ctx, token)
	}
	return err
}

// requestTokens sends one token request and reads the response, RFC 6749 section 5.1. The access token is bound to the key, if
// there is one.
func (p *provider) requestTokens(ctx context.Context, form url.Values, kept []byte) (*Tokens, error) {
	key, err := proofKey(kept)
	if err != nil {
		return nil, baseerror.Errorf("idserver: ProofKey: %w", err)
	}
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	if m.TokenEndpoint == "" {
		return nil, &DiscoveryError{p.cfg.Authority, errors.New("no token_endpoint in it")}
	}
	asked := p.now()
	a, err := p.post(ctx, m, "token", m.TokenEndpoint, form, key)
	if err != nil {
		return nil, err
	}
	var reply struct {
		AccessToken  string         `json:"access_token"`
		TokenType    string         `json:"token_type"`
		RefreshToken string         `json:"refresh_token"`
		IDToken      string         `json:"id_token"`
		ExpiresIn    strictjson.Raw `json:"expires_in"`
		Scope        strictjson.Raw `json:"scope"`
		IssuedType   strictjson.Raw `json:"issued_token_type"`
	}
	if err := a.JSON(&reply); err != nil {
		return nil, &TokenEndpointError{Status: a.Status, Err: err}
	}
	if reply.AccessToken == "" {
		return nil, &TokenEndpointError{Status: a.Status, Err: errors.New("no access token in the answer")}
	}
	if err = checkType(reply.TokenType, key); err == nil {
		err = p.checkBinding(reply.AccessToken, key)
	}
	if err != nil {
		return nil, &TokenEndpointError{Status: a.Status, Err: err}
	}
	tokens := &Tokens{ProofKey: kept, AccessToken: reply.AccessToken, RefreshToken: reply.RefreshToken, IDToken: reply.IDToken, issuedType: issuedTypeOf(reply.IssuedType)}
	if said := string(reply.Scope); said != "" && said != "null" {
		some, _ := claims.Scopes(said, "") // an array is Twitch's
		tokens.scopes = append([]string{}, some...)
	}
	if d := lifetime(reply.ExpiresIn); d > 0 {
		tokens.until(asked, asked.Add(d))
	}
	return tokens, nil
}

// until records when the access token expires.
func (t *Tokens) until(issued, expiry time.Time) {
	t.Expiry, t.refreshAt = expiry, refreshAt(issued, expiry)
}

// lifetime parses expires_in, in seconds, which some providers write as a string. More than a year cannot be right
// (nanoseconds have been seen) and counts as absent.
func lifetime(raw strictjson.Raw) time.Duration {
	seconds, err := strconv.ParseFloat(strings.Trim(string(raw), `"`), 64)
	if err != nil || !(seconds > 0 && seconds <= 366*24*60*60) {
		return 0
	}
	return time.Duration(seconds * float64(time.Second))
}

// post sends a form with the client's authentication and, if there is a key, a proof of it. An answer of another status than 200 and 201 is an error, and so is
// an OAuth error of any status: some providers, and gateways in front of them, answer 200 with one.
func (p *provider) post(ctx context.Context, m *metadata, name, url string, form url.Values, key *dpop.Key) (*endpoint.Answer, error) {
	a, err := p.prove(ctx, name, endpoint.Call{URL: url, Form: form, Authentication: p.authentication(m)}, key)
	var answered *endpoint.AnswerError
	switch {
	case errors.As(err, &answered):
		return nil, &TokenEndpointError{Status: answered.Status, Err: err}
	case err != nil:
		return nil, &TokenEndpointError{Err: err}
	}
	if r := a.Refusal(); r.Form == endpoint.OAuth || a.Status != http.StatusOK && a.Status != http.StatusCreated {
		return nil, &TokenEndpointError{Status: r.Status, Code: r.Code, Description: r.Description, RetryAfter: r.RetryAfter, form: r.Form}
	}
	return a, nil
}
