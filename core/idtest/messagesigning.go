package idtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/signward/idserver-go/core/internal/jose"
)

// FAPI2MessageSigning is [FAPI2] with signed messages, FAPI 2.0 Message Signing: authorization requests are pushed as JWTs that the client
// signed (RFC 9101), and are answered with a JWT (JARM).
func FAPI2MessageSigning(o *Options) {
	FAPI2(o)
	o.Dialect.SignedRequests, o.Dialect.SignedResponses = true, true
}

// SetSignedResponse sets a function that may change the claims of signed authorization responses (JARM), after what
// [Provider.SetAuthorizationResponse] set; nil removes it. It is called concurrently.
func (p *Provider) SetSignedResponse(edit func(claims map[string]any)) {
	p.hooks.signedResponse.Store(&edit)
}

const (
	requestObjectType    = "oauth-authz-req+jwt"
	maxRequestObjectLife = time.Hour
	responseLife         = 10 * time.Minute
)

// signedModes are the response modes of JARM section 2.3.
var signedModes = []string{"jwt", "query.jwt", "form_post.jwt"}

// unsigned returns the parameters of a pushed request that the client signed. Nothing may stand beside it but what authenticates the
// client (RFC 9126 section 3).
func (p *Provider) unsigned(client Client, form url.Values) (url.Values, *oauthError) {
	fault := func(err error) (url.Values, *oauthError) {
		return nil, &oauthError{Code: "invalid_request_object", Description: "the request object: " + err.Error()}
	}
	if !form.Has("request") {
		if p.options.Dialect.SignedRequests {
			return nil, &oauthError{Code: "invalid_request", Description: "authorization requests must be signed (request)"}
		}
		return form, nil
	}
	for name := range form {
		if !slices.Contains([]string{"request", "client_id", "client_secret", "client_assertion", "client_assertion_type"}, name) {
			return nil, &oauthError{Code: "invalid_request", Description: name + " stands beside the request object"}
		}
	}
	document, err := p.keySetOf(client)
	if err != nil {
		return fault(err)
	}
	keys, _, err := jose.ParseSet(document, nil)
	if err != nil {
		return fault(err)
	}
	message, err := jose.Parse(form.Get("request"))
	if err != nil {
		return fault(err)
	}
	if !slices.Contains(assertionAlgorithms, message.Header.Algorithm) || message.Header.Type != requestObjectType {
		return fault(fmt.Errorf("its alg is %q and its typ %q, want one of %v and %s", message.Header.Algorithm, message.Header.Type, assertionAlgorithms, requestObjectType))
	}
	key, err := jose.Select(keys, message.Header)
	if err == nil {
		err = message.Verify(key)
	}
	if err != nil {
		return fault(err)
	}
	params, err := p.requestObject(client, message.Payload)
	if err != nil {
		return fault(err)
	}
	return params, nil
}

// requestObject checks the claims of a request object, and returns those that are parameters.
func (p *Provider) requestObject(client Client, payload []byte) (url.Values, error) {
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, errors.New("its claims are malformed")
	}
	text := func(name string) string { s, _ := claims[name].(string); return s }
	seconds := func(name string) time.Time { n, _ := claims[name].(float64); return time.Unix(int64(n), 0) }
	now, from, until := p.now(), seconds("nbf"), seconds("exp")
	switch {
	case text("iss") != client.ID || text("client_id") != client.ID:
		return nil, fmt.Errorf("its iss is %q and its client_id %q, want %q", claims["iss"], claims["client_id"], client.ID)
	case claims["aud"] != any(p.Issuer()):
		return nil, fmt.Errorf("its aud is %v, want the string %q", claims["aud"], p.Issuer())
	case claims["nbf"] == nil || from.After(now.Add(10*time.Second)) || now.Sub(from) > maxRequestObjectLife:
		return nil, errors.New("its nbf is missing, in the future, or longer ago than an hour")
	case !now.Before(until) || until.Sub(from) > maxRequestObjectLife:
		return nil, errors.New("its exp is missing or past, or longer after nbf than an hour")
	case text("jti") != "" && !p.assertions.first("request\x00"+client.ID+"\x00"+text("jti")):
		return nil, errors.New("it was used before")
	case claims["request"] != nil || claims["request_uri"] != nil:
		return nil, errors.New("it holds another")
	}
	params := url.Values{}
	for name, value := range claims {
		switch value := value.(type) {
		case string:
			if !slices.Contains([]string{"iss", "aud", "jti"}, name) {
				params.Set(name, value)
			}
		case float64:
			if !slices.Contains([]string{"nbf", "iat", "exp"}, name) {
				params.Set(name, strconv.FormatFloat(value, 'f', -1, 64))
			}
		default:
			encoded, err := json.Marshal(value)
			if err != nil {
				return nil, err
			}
			params.Set(name, string(encoded))
		}
	}
	return params, nil
}

// signedResponse is a response as a JWT, JARM section 2.1.
func (p *Provider) signedResponse(client Client, response url.Values) url.Values {
	claims := map[string]any{"aud": client.ID, "exp": p.now().Add(responseLife).Unix()}
	for name, values := range response {
		claims[name] = values[0]
	}
	p.hooks.signedResponse.apply(claims)
	token, err := p.forClient(client.ID, p.sign("JWT", claims), func(c Client) string { return c.ResponseEncryption })
	if err != nil {
		return url.Values{"error": {"server_error"}, "error_description": {err.Error()}}
	}
	return url.Values{"response": {token}}
}

// respondTo sends the browser to the client with a response, or has it post it there.
func respondTo(w http.ResponseWriter, request authorizationRequest, response url.Values) {
	if request.posted {
		formPostPage(w, request.redirectURI, response)
		return
	}
	redirect(w, withQuery(request.redirectURI, response))
}
