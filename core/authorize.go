package idserver

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/signward/idserver-go/core/internal/baseerror"
	"github.com/signward/idserver-go/core/internal/dpop"
	"github.com/signward/idserver-go/core/internal/strictjson"
)

// AuthorizationRequest is one attempt to sign in: the URL to send the browser to, and what must be kept, bound to that
// browser, until the code comes back.
type AuthorizationRequest struct {
	URL          string
	State        string // must come back unchanged; ReadCallback checks it
	Nonce        string // the ID token must contain it
	CodeVerifier string // the PKCE code verifier, RFC 7636
	RedirectURI  string
	MaxAge       time.Duration // 0: none was requested
	ACR          []string      // of which the ID token must have one; nil: it does not matter
	Scopes       []string      // that were requested
	ProofKey     []byte        // with Config.DPoP, the private key that the access token will be bound to; keep it as secret as the verifier
}

// String describes the request without its secrets.
func (r AuthorizationRequest) String() string {
	return fmt.Sprintf("idserver.AuthorizationRequest{RedirectURI: %q}", r.RedirectURI)
}

// AuthorizeOptions are the optional settings of an authorization request.
type AuthorizeOptions struct {
	RedirectURI string   // default: BaseURL + CallbackPath
	Scopes      []string // default: Config.Scopes
	// MaxAge is how long ago the user may have signed in at the provider, in whole seconds; ExchangeCode checks it.
	MaxAge time.Duration
	// ACR are authentication context class references, the preferred one first: the provider is asked to authenticate the user
	// by one of them, and ExchangeCode checks that the ID token has one of them as its acr. They are asked for as an essential
	// claim (OpenID Connect Core section 5.5.1.1) where the metadata says claims_parameter_supported and Extra has no claims,
	// and otherwise with acr_values.
	ACR []string
	// Extra are further parameters, such as prompt, login_hint or ui_locales. One that the protocol itself sets is an error.
	Extra url.Values
}

// String describes the options without Extra, which may hold a login_hint: somebody's e-mail address.
func (o AuthorizeOptions) String() string {
	return fmt.Sprintf("idserver.AuthorizeOptions{RedirectURI: %q, Scopes: %q, MaxAge: %v, ACR: %q}", o.RedirectURI, o.Scopes, o.MaxAge, o.ACR)
}

// authorize makes an authorization request.
func (p *provider) authorize(ctx context.Context, o AuthorizeOptions, mark string) (*AuthorizationRequest, error) {
	m, err := p.metadata.Get(ctx)
	if err != nil {
		return nil, err
	}
	return p.newAuthorizationRequest(ctx, m, o, mark)
}

// newAuthorizationRequest makes the secrets of an attempt and its URL, and pushes it if that is how it is done here. mark is
// appended to the state.
func (p *provider) newAuthorizationRequest(ctx context.Context, m *metadata, o AuthorizeOptions, mark string) (*AuthorizationRequest, error) {
	r := &AuthorizationRequest{RedirectURI: o.RedirectURI, MaxAge: o.MaxAge, ACR: o.ACR}
	if r.RedirectURI = cmp.Or(r.RedirectURI, p.redirectURI); r.RedirectURI == "" {
		return nil, baseerror.New("idserver: AuthorizeURL: set RedirectURI, or Config.BaseURL")
	}
	var err error
	for _, secret := range []*string{&r.State, &r.Nonce, &r.CodeVerifier} {
		if *secret, err = randomText(p.cfg.Rand); err != nil {
			return nil, err
		}
	}
	key, err := p.newProofKey()
	if err == nil && key != nil {
		r.ProofKey, err = key.Bytes()
	}
	if err != nil {
		return nil, err
	}
	r.State += mark
	r.Scopes = p.scopes(m, o.Scopes)
	if r.URL, err = p.authorizationURL(ctx, m, r, o, key); err != nil {
		return nil, err
	}
	return r, nil
}

func (p *provider) authorizationURL(ctx context.Context, m *metadata, r *AuthorizationRequest, o AuthorizeOptions, key *dpop.Key) (string, error) {
	if m.AuthorizationEndpoint == "" {
		return "", &DiscoveryError{p.cfg.Authority, errors.New("no authorization_endpoint in it")}
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(r.CodeVerifier), oauth2.SetAuthURLParam("nonce", r.Nonce)}
	if p.cfg.Profile == fapi2MessageSigning {
		options = append(options, oauth2.SetAuthURLParam("response_mode", p.cfg.signedMode()))
	} else if p.cfg.ResponseMode == formPost {
		options = append(options, oauth2.SetAuthURLParam("response_mode", formPost))
	}
	if o.MaxAge > 0 {
		options = append(options, oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(o.MaxAge.Seconds()))))
	}
	for name := range o.Extra {
		if isReserved(name) || len(o.ACR) > 0 && strings.EqualFold(name, "acr_values") {
			return "", baseerror.Errorf("idserver: AuthorizeURL: Extra must not hold %q", name)
		}
	}
	if len(o.ACR) > 0 {
		asked, err := askedACR(m, o)
		if err != nil {
			return "", err
		}
		options = append(options, asked)
	}
	config := oauth2.Config{ClientID: p.cfg.ClientID, RedirectURL: r.RedirectURI, Scopes: r.Scopes}
	if p.pushes(m) {
		return p.pushedURL(ctx, m, config.AuthCodeURL(r.State, options...), o.Extra, key)
	}
	if key != nil { // a pushed request has a proof in its place
		options = append(options, oauth2.SetAuthURLParam("dpop_jkt", key.Thumbprint()))
	}
	config.Endpoint.AuthURL = m.AuthorizationEndpoint
	address := config.AuthCodeURL(r.State, options...)
	if len(o.Extra) > 0 { // some may occur more than once, such as resource (RFC 8707)
		address = withQuery(address, o.Extra)
	}
	return address, nil
}

// askedACR is the parameter that asks for an acr. Both at once would mean nothing that is specified (OpenID Connect Core section
// 5.5.1.1).
func askedACR(m *metadata, o AuthorizeOptions) (oauth2.AuthCodeOption, error) {
	if fault := faultOfACR(o.ACR); fault != "" {
		return nil, baseerror.New("idserver: AuthorizeURL: " + fault)
	}
	if !m.ClaimsParameter || o.Extra.Has("claims") {
		return oauth2.SetAuthURLParam("acr_values", strings.Join(o.ACR, " ")), nil
	}
	type claim struct {
		Essential bool     `json:"essential"`
		Values    []string `json:"values"`
	}
	asked, err := strictjson.Marshal(map[string]map[string]claim{"id_token": {"acr": {true, o.ACR}}})
	if err != nil {
		return nil, err
	}
	return oauth2.SetAuthURLParam("claims", string(asked)), nil
}

// pushedURL pushes the parameters in query, which begins with a question mark, and extra. The URL that it returns has nothing but
// what stands for them (RFC 9126 section 4).
func (p *provider) pushedURL(ctx context.Context, m *metadata, query string, extra url.Values, key *dpop.Key) (string, error) {
	form, err := url.ParseQuery(strings.TrimPrefix(query, "?"))
	if err != nil {
		return "", err
	}
	maps.Copy(form, extra)
	if p.cfg.Profile == fapi2MessageSigning {
		signed, err := p.requestObject(m, form)
		if err != nil {
			return "", notPushed(&TokenEndpointError{Err: err})
		}
		form = url.Values{"request": {signed}} // RFC 9126 section 3: nothing besides, but what authenticates the client
	}
	requestURI, err := p.push(ctx, m, form, key)
	if err != nil {
		return "", err
	}
	return withQuery(m.AuthorizationEndpoint, url.Values{"client_id": {p.cfg.ClientID}, "request_uri": {requestURI}}), nil
}

// isReserved reports whether the protocol itself sets a parameter of the authorization request, or one that would stand for
// it (request, RFC 9101). Some providers read names whatever their case.
func isReserved(name string) bool {
	return name == "" || slices.Contains([]string{
		"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "max_age", "code_challenge", "code_challenge_method",
		"response_mode", "request", "request_uri", "dpop_jkt",
	}, strings.ToLower(name))
}

// maxAgeOf reads max_age from parameters that the application configures: whole seconds from 1, as 0 in
// [AuthorizeOptions] means that none is sent.
func maxAgeOf(parameters url.Values) (time.Duration, bool) {
	values, ok := parameters["max_age"]
	if !ok {
		return 0, true
	}
	if len(values) != 1 {
		return 0, false
	}
	seconds, err := strconv.ParseUint(values[0], 10, 31)
	return time.Duration(seconds) * time.Second, err == nil && seconds > 0
}

// or returns the options with those of under where they say nothing.
func (o AuthorizeOptions) or(under AuthorizeOptions) AuthorizeOptions {
	if o.MaxAge == 0 {
		o.MaxAge = under.MaxAge
	}
	if o.ACR == nil && !o.Extra.Has("acr_values") {
		o.ACR = under.ACR
	}
	extra := maps.Clone(under.Extra)
	if extra == nil {
		extra = url.Values{}
	}
	maps.Copy(extra, o.Extra)
	if len(o.ACR) > 0 { // which is more than a wish
		delete(extra, "acr_values")
	}
	o.Extra = extra
	return o
}

// scopes returns the scopes to ask for. openid is always among them: without it there is no ID token.
func (p *provider) scopes(m *metadata, asked []string) []string {
	scopes := asked
	if len(scopes) == 0 {
		scopes = p.cfg.Scopes
	}
	if len(scopes) == 0 {
		scopes = onlineScopes(m)
		if p.asksOffline(m) {
			scopes = append(scopes, offlineAccess)
		}
	}
	if !slices.Contains(scopes, "openid") {
		scopes = append([]string{"openid"}, scopes...)
	}
	return scopes
}

// offlineAccess is the scope that asks for a refresh token, OpenID Connect Core section 11.
const offlineAccess = "offline_access"

// onlineScopes are what is asked for by default, without a refresh token.
func onlineScopes(m *metadata) []string {
	scopes := []string{"openid", "profile", "email"}
	if slices.Contains(m.ScopesSupported, "roles") {
		scopes = append(scopes, "roles")
	}
	return scopes
}

// asksOffline reports whether to ask for a refresh token by default: where the provider lists the scope for it. Keycloak
// lists it too, and gives everybody a refresh token without: there the scope makes an offline session, which stays when the
// person signs out at the provider.
func (p *provider) asksOffline(m *metadata) bool {
	return len(p.cfg.Scopes) == 0 && slices.Contains(m.ScopesSupported, offlineAccess) &&
		!strings.HasSuffix(m.AuthorizationEndpoint, "/protocol/openid-connect/auth")
}

// randomText returns 256 random bits as 43 characters of base64url, for a state, a nonce or a verifier.
func randomText(random io.Reader) (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", baseerror.Errorf("idserver: no randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
