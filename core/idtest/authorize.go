package idtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// SetAuthorizationResponse sets a function that may change the parameters of every authorization response, successful
// (code, state, iss) or not (error, error_description, state, iss); nil removes it. It is called concurrently.
func (p *Provider) SetAuthorizationResponse(edit func(response url.Values)) {
	p.hooks.authorizationResponse.Store(&edit)
}

// Authorize acts as the person at the browser: it opens the URL of an authorization request, signs in as login, and
// returns the URL that the provider then redirects to, without following it. With an empty login the person cancels. It
// is an error if the provider does not redirect to the client. Both steps count as requests.
func (p *Provider) Authorize(ctx context.Context, authorizationURL, login string) (callback *url.URL, err error) {
	callback, page, err := p.choose(ctx, authorizationURL, login)
	if err == nil && callback == nil {
		return nil, fmt.Errorf("idtest: the authorization endpoint did not redirect: %s", mainText(page))
	}
	return callback, err
}

// AuthorizeForm is like [Provider.Authorize] for a request with response_mode=form_post: it returns the form that the browser
// would post, and where.
func (p *Provider) AuthorizeForm(ctx context.Context, authorizationURL, login string) (action *url.URL, form url.Values, err error) {
	callback, page, err := p.choose(ctx, authorizationURL, login)
	if err != nil {
		return nil, nil, err
	}
	action, form, ok := readFormPostPage(page)
	if callback != nil || !ok {
		return nil, nil, fmt.Errorf("idtest: the authorization endpoint answered without a form: %s", mainText(page))
	}
	return action, form, nil
}

// choose opens the sign-in page and makes the choice there. It returns where the provider redirects to, or its page.
func (p *Provider) choose(ctx context.Context, authorizationURL, login string) (callback *url.URL, page []byte, err error) {
	browser := *p.client
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	visit := func(method string, form url.Values) (*url.URL, []byte, error) {
		r, err := http.NewRequestWithContext(ctx, method, authorizationURL, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, nil, err
		}
		if form != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		a, err := browser.Do(r)
		if err != nil {
			return nil, nil, err
		}
		defer a.Body.Close()
		if location, err := a.Location(); err == nil {
			return location, nil, nil
		}
		page, err := io.ReadAll(io.LimitReader(a.Body, maxBody))
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("idtest: the authorization endpoint answered %s: %s", a.Status, mainText(page))
		}
		return nil, page, err
	}
	if callback, page, err = visit(http.MethodGet, nil); callback != nil || err != nil {
		return callback, nil, err
	}
	if _, _, ok := readFormPostPage(page); ok { // the request was refused
		return nil, page, nil
	}
	if login == "" {
		return visit(http.MethodPost, url.Values{"cancel": {"1"}})
	}
	return visit(http.MethodPost, url.Values{"user": {login}})
}

// authorizationRequest is the request of RFC 6749 section 4.1.1, with RFC 7636 section 4.3 and OpenID Connect Core
// section 3.1.2.1.
type authorizationRequest struct {
	client             Client
	redirectURI, state string
	scope, nonce       string
	challenge          string
	resource           string // RFC 8707
	hint               string
	jkt                string // the key that the code is bound to
	pushed             string // the request_uri of a request that was pushed
	posted             bool   // response_mode=form_post, or form_post.jwt
	signed             bool   // one of JARM
	silent             bool   // prompt=none
	idTokenHint        string
	authentication     wantedAuthentication
	device             string // the user code of the device that is signed in to, in place of a client
}

// authorize shows the sign-in page and receives the choice made there. The page posts to its own URL, so that the request
// is in the query both times.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	request, params, refusal := p.addressee(r.URL.RawQuery)
	if refusal != "" {
		refusalPage(w, refusal)
		return
	}
	fault := request.read(params)
	if request.pushed == "" && p.wantsPushed(request.client) {
		fault = &oauthError{Code: "invalid_request", Description: "authorization requests must be pushed (RFC 9126)"}
	}
	if fault == nil && p.options.Dialect.OpenIDOnly && !hasScope(request.scope, "openid") {
		fault = &oauthError{Code: "invalid_scope", Description: "openid must be among the scopes"}
	}
	if fault != nil {
		p.respond(w, request, url.Values{"error": {fault.Code}, "error_description": {fault.Description}})
		return
	}
	if request.silent {
		p.authorizeSilently(w, request)
		return
	}
	if r.Method != http.MethodPost {
		p.signInPage(w, request)
		return
	}
	if err := sameOrigin(r); err != nil {
		messagePage(w, http.StatusForbidden, "Sign-in refused", "The choice was not made on this provider's page.")
		return
	}
	form, fault := readForm(r)
	if fault != nil {
		refusalPage(w, fault.Description)
		return
	}
	if request.pushed != "" && !p.pushed.use(request.pushed) {
		refusalPage(w, "the request_uri was used before")
		return
	}
	if form.Has("cancel") {
		p.respond(w, request, url.Values{"error": {"access_denied"}, "error_description": {"the person cancelled"}})
		return
	}
	person, ok := p.registry.person(form.Get("user"))
	if !ok {
		refusalPage(w, fmt.Sprintf("There is no user %q.", form.Get("user")))
		return
	}
	acr, authTime, fault := p.authenticated(request.authentication)
	if fault != nil {
		p.respond(w, request, url.Values{"error": {fault.Code}, "error_description": {fault.Description}})
		return
	}
	p.respondWithCode(w, request, person.Login, acr, authTime)
}

// respondWithCode answers a request with a code for a person who signed in at authTime, in the way of acr.
func (p *Provider) respondWithCode(w http.ResponseWriter, request authorizationRequest, login, acr string, authTime time.Time) {
	p.respond(w, request, url.Values{"code": {p.grants.addCode(code{
		grant: &grant{
			client: request.client.ID, login: login, scope: request.scope, resource: request.resource,
			sid: rand.Text(), acr: acr, authTime: authTime, asked: request.authentication.asked,
		},
		redirectURI: request.redirectURI,
		challenge:   request.challenge,
		nonce:       request.nonce,
		jkt:         request.jkt,
		expires:     p.now().Add(codeTTL),
	})}})
}

// authorizeSilently answers a request with prompt=none.
func (p *Provider) authorizeSilently(w http.ResponseWriter, request authorizationRequest) {
	p.registry.mu.RLock()
	kept := p.registry.signedIn
	p.registry.mu.RUnlock()
	person, ok := p.registry.person(kept.login)
	fault := &oauthError{Code: "login_required", Description: "no sign-in is kept here"}
	if ok && request.idTokenHint != "" {
		hinted, err := p.keys.verify(request.idTokenHint)
		if ok = err == nil && hinted["sub"] == person.Subject; !ok {
			fault.Description = "another person is signed in than id_token_hint says"
		}
	}
	if !ok {
		p.respond(w, request, url.Values{"error": {fault.Code}, "error_description": {fault.Description}})
		return
	}
	if request.pushed != "" && !p.pushed.use(request.pushed) {
		refusalPage(w, "the request_uri was used before")
		return
	}
	p.respondWithCode(w, request, person.Login, "", kept.since)
}

// addressee determines where the response goes. As long as that is in doubt there is no redirect: the person is told, not
// the client.
func (p *Provider) addressee(query string) (request authorizationRequest, params url.Values, refusal string) {
	params, err := url.ParseQuery(query)
	if err != nil {
		return request, nil, "The request cannot be read."
	}
	params, pushed, requestURI, refusal := p.unpacked(params)
	if refusal != "" {
		return request, nil, refusal
	}
	for _, name := range []string{"client_id", "redirect_uri"} {
		if len(params[name]) != 1 || params.Get(name) == "" {
			return request, nil, fmt.Sprintf("%s must be there, and once.", name)
		}
	}
	id, uri := params.Get("client_id"), params.Get("redirect_uri")
	client, ok := p.registry.client(id)
	if !ok {
		return request, nil, fmt.Sprintf("There is no client %q.", id)
	}
	if !client.mayRedirect(uri) {
		return request, nil, fmt.Sprintf("redirect_uri %q is not registered for the client %q.", uri, id)
	}
	request = authorizationRequest{client: client, redirectURI: uri, state: params.Get("state"), pushed: requestURI, jkt: pushed.jkt}
	if request.pushed == "" {
		request.jkt = params.Get("dpop_jkt") // RFC 9449 section 10
	}
	return request, params, ""
}

func (a *authorizationRequest) read(params url.Values) *oauthError {
	fault := func(code, description string) *oauthError {
		return &oauthError{Code: code, Description: description}
	}
	prompt := strings.Fields(params.Get("prompt"))
	mode := params.Get("response_mode")
	a.scope = strings.Join(strings.Fields(params.Get("scope")), " ")
	a.nonce, a.challenge, a.hint = params.Get("nonce"), params.Get("code_challenge"), params.Get("login_hint")
	a.resource = params.Get("resource")
	a.posted, a.signed = mode == formPost || mode == formPost+".jwt", slices.Contains(signedModes, mode)
	name := repeated(params)
	switch {
	case name != "":
		return fault("invalid_request", name+" is there more than once")
	case params.Has("request"):
		return fault("request_not_supported", "request objects are not supported")
	case params.Has("request_uri"):
		return fault("request_uri_not_supported", "request objects are not supported")
	case params.Get("response_type") == "":
		return fault("invalid_request", "response_type is missing")
	case params.Get("response_type") != "code":
		return fault("unsupported_response_type", "response_type must be code")
	case mode != "" && mode != "query" && mode != formPost && !a.signed:
		return fault("invalid_request", "response_mode must be query, form_post, or one of JARM")
	case a.scope == "":
		return fault("invalid_scope", "scope is missing")
	case a.challenge == "" || params.Get("code_challenge_method") != "S256":
		return fault("invalid_request", "PKCE is required: code_challenge with code_challenge_method S256")
	case !isS256(a.challenge):
		return fault("invalid_request", "code_challenge is not a SHA-256 hash in base64url")
	case slices.Contains(prompt, "none") && len(prompt) > 1:
		return fault("invalid_request", "prompt none goes with no other")
	}
	a.silent, a.idTokenHint = slices.Contains(prompt, "none"), params.Get("id_token_hint")
	var wrong *oauthError
	if a.authentication, wrong = readAuthentication(params); wrong != nil {
		return wrong
	}
	return checkResource(a.resource)
}

func isS256(challenge string) bool {
	sum, err := base64url.DecodeString(challenge)
	return err == nil && len(sum) == 32
}

// formPost is the response mode of OAuth 2.0 Form Post Response Mode.
const formPost = "form_post"

// respond redirects the browser to the client, RFC 6749 section 4.1.2 with RFC 9207, or has it post there.
func (p *Provider) respond(w http.ResponseWriter, request authorizationRequest, response url.Values) {
	if request.state != "" {
		response.Set("state", request.state)
	}
	response.Set("iss", p.URL())
	applyEdits(response, p.options.Dialect.AuthorizationResponse, &p.hooks.authorizationResponse)
	if request.signed {
		response = p.signedResponse(request.client, response)
	}
	respondTo(w, request, response)
}

// withQuery adds parameters to a registered URI, which may have a query of its own.
func withQuery(uri string, more url.Values) string {
	if len(more) == 0 {
		return uri
	}
	separator := "?"
	if strings.Contains(uri, "?") {
		separator = "&"
	}
	return uri + separator + more.Encode()
}

func redirect(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the next page must not learn the URL of the request
	w.WriteHeader(http.StatusSeeOther)
}
