package idtest

import (
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	requestURIPrefix = "urn:ietf:params:oauth:request_uri:"
	pushedTTL        = time.Minute
)

// LastPushedRequest returns the form of the last pushed authorization request (RFC 9126) that did not meet a [Fault], or nil if
// there was none. Client secrets and assertions are replaced with "[redacted]".
func (p *Provider) LastPushedRequest() url.Values {
	last := p.lastPushedRequest.Load()
	if last == nil {
		return nil
	}
	return maps.Clone(*last)
}

// pushedRequest is an authorization request that a client pushed.
type pushedRequest struct {
	client  string
	params  url.Values
	jkt     string // the key that the code will be bound to
	expires time.Time
	used    bool
}

// pushedRequests are those of a provider, by their request_uri.
type pushedRequests struct {
	mu  sync.Mutex
	all map[string]*pushedRequest
}

func (s *pushedRequests) add(r pushedRequest) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*pushedRequest{}
	}
	uri := requestURIPrefix + rand.Text()
	s.all[uri] = &r
	return uri
}

// find returns the request of a client, which has not led to an answer yet.
func (s *pushedRequests) find(uri, client string, now time.Time) (pushedRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.all[uri]
	switch {
	case r == nil:
		return pushedRequest{}, errors.New("there is no such request_uri")
	case r.client != client:
		return pushedRequest{}, errors.New("the request_uri was issued to another client")
	case r.used:
		return pushedRequest{}, errors.New("the request_uri was used before")
	case !now.Before(r.expires):
		return pushedRequest{}, errors.New("the request_uri has expired")
	}
	return *r, nil
}

// use reports whether this is the first answer to a request, RFC 9126 section 4.
func (s *pushedRequests) use(uri string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.all[uri]
	first := r != nil && !r.used
	if first {
		r.used = true
	}
	return first
}

// push implements RFC 9126 section 2, with the proof of RFC 9449 section 10.1.
func (p *Provider) push(w http.ResponseWriter, r *http.Request) {
	client, form, fault := p.authenticate(w, r)
	if r.PostForm != nil {
		shown := redact(r.PostForm)
		p.lastPushedRequest.Store(&shown)
	}
	var jkt string
	if fault == nil {
		jkt, fault = p.proofAt(w, r, PushedAuthorization)
	}
	if fault == nil {
		form, fault = p.unsigned(client, form)
	}
	if fault == nil {
		fault = p.checkPushed(client, form, jkt)
	}
	if fault != nil {
		fault.write(w)
		return
	}
	params := maps.Clone(form)
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		delete(params, name)
	}
	params.Set("client_id", client.ID)
	if jkt == "" {
		jkt = params.Get("dpop_jkt")
	}
	uri := p.pushed.add(pushedRequest{client: client.ID, params: params, jkt: jkt, expires: p.now().Add(pushedTTL)})
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": int64(pushedTTL / time.Second)})
}

// checkPushed checks a pushed request as the authorization endpoint would.
func (p *Provider) checkPushed(client Client, form url.Values, jkt string) *oauthError {
	fault := func(code, description string) *oauthError { return &oauthError{Code: code, Description: description} }
	if form.Has("request_uri") {
		return fault("invalid_request", "request_uri must not be pushed")
	}
	if !client.mayRedirect(form.Get("redirect_uri")) {
		return fault("invalid_request", "redirect_uri is not registered for this client")
	}
	if wanted := form.Get("dpop_jkt"); wanted != "" && jkt != "" && wanted != jkt {
		return fault("invalid_dpop_proof", "dpop_jkt is not the key of the proof")
	}
	if jkt == "" && form.Get("dpop_jkt") == "" && p.wantsProof(client) {
		return fault("invalid_request", "a DPoP proof or dpop_jkt is wanted")
	}
	var request authorizationRequest
	if fault := request.read(form); fault != nil && fault.Code != "login_required" { // the browser is told that
		return fault
	}
	if p.options.Dialect.SignedResponses && !request.signed {
		return fault("invalid_request", "responses are signed: response_mode must be one of JARM")
	}
	if check := p.options.Dialect.CheckPushed; check != nil {
		if err := check(client.ID, form); err != nil {
			return fault("invalid_request", err.Error())
		}
	}
	return nil
}

// wantsPushed reports whether a client must push its requests.
func (p *Provider) wantsPushed(client Client) bool {
	return client.RequirePAR || p.options.Dialect.RequirePAR
}

// unpacked returns the parameters that a client pushed, if the query refers to them; nothing may stand beside (RFC 9126
// section 4).
func (p *Provider) unpacked(query url.Values) (params url.Values, pushed pushedRequest, uri, refusal string) {
	uri = query.Get("request_uri")
	if !strings.HasPrefix(uri, requestURIPrefix) || p.path(PushedAuthorization) == "" {
		return query, pushed, "", ""
	}
	for name, values := range query {
		if name != "client_id" && name != "request_uri" || len(values) != 1 {
			return nil, pushed, "", "Only client_id and request_uri may be in the query of a pushed request, and once. There is " + name + "."
		}
	}
	pushed, err := p.pushed.find(uri, query.Get("client_id"), p.now())
	if err != nil {
		return nil, pushed, "", err.Error()
	}
	return pushed.params, pushed, uri, ""
}
