package idserver_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// The whole protocol by hand, as the package comment lists it.
func TestByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		u := tokens.User
		if u.Issuer != w.provider.URL() || u.Email != "alice@example.test" || !u.EmailVerified || u.Name != "Alice Tan" || u.GivenName != "Alice" ||
			u.FamilyName != "Tan" || !u.HasAllRoles("admin", "user", "billing") || u.TenantID == "" {
			t.Errorf("the user is %+v", u)
		}
		if want := w.clock.Now().Add(15 * time.Minute); !tokens.Expiry.Equal(want) {
			t.Errorf("the access token ends at %v, want %v", tokens.Expiry, want)
		}
		if o := tokens.OAuth2(); o.AccessToken != tokens.AccessToken || o.RefreshToken != tokens.RefreshToken || !o.Expiry.Equal(tokens.Expiry) || o.Type() != "Bearer" {
			t.Errorf("as x/oauth2 has it: %+v", o)
		}

		info, err := w.UserInfo(t.Context(), tokens.AccessToken, u.Subject)
		if err != nil {
			t.Fatal(err)
		}
		if info.Subject != u.Subject || info.Issuer != u.Issuer || info.Email != u.Email || !slices.Equal(info.Roles, u.Roles) {
			t.Errorf("userinfo says %+v", info)
		}

		renewed, err := w.RefreshToken(t.Context(), tokens)
		if err != nil {
			t.Fatal(err)
		}
		if renewed.RefreshToken == tokens.RefreshToken || renewed.AccessToken == tokens.AccessToken || renewed.User.Subject != u.Subject || !renewed.User.HasRole("billing") {
			t.Errorf("the refresh gave %+v", renewed.User)
		}
		var refused *idserver.TokenEndpointError
		if _, err := w.RefreshToken(t.Context(), tokens); !errors.As(err, &refused) || refused.Code != "invalid_grant" || errors.Is(err, idserver.ErrUnavailable) {
			t.Errorf("the second use of a refresh token: %v", err)
		}

		_, tokens = signInByHand(t, w, w.Client, "bob")
		if err := w.RevokeToken(t.Context(), tokens.RefreshToken); err != nil {
			t.Fatal(err)
		}
		if !w.provider.Revoked(tokens.RefreshToken) || !w.provider.Revoked(tokens.AccessToken) {
			t.Error("the tokens are not revoked")
		}
		if err := w.RevokeToken(t.Context(), "of-nobody"); err != nil {
			t.Errorf("a token that the provider does not know: %v", err)
		}

		end, err := w.EndSessionURL(t.Context(), idserver.EndSession{IDTokenHint: tokens.IDToken, PostLogoutRedirectURI: base + "/", State: "s&t"})
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"client_id": {idtest.ExampleClient}, "id_token_hint": {tokens.IDToken}, "post_logout_redirect_uri": {base + "/"}, "state": {"s&t"}}
		if !strings.HasPrefix(end, w.provider.URL()+"/connect/endsession?") || !maps.EqualFunc(query(t, end), want, slices.Equal) {
			t.Errorf("the end session URL is %s", end)
		}
		if end, err = w.EndSessionURL(t.Context(), idserver.EndSession{}); err != nil || end != w.provider.URL()+"/connect/endsession?client_id="+idtest.ExampleClient {
			t.Errorf("the shortest end session URL is %s, %v", end, err)
		}
	})
}

// Each row is an answer of the token endpoint that gives no tokens. In none of the errors is anything of what
// was sent, although some of the answers repeat it.
func TestTokenEndpointFaults(t *testing.T) {
	type want struct {
		status     int
		code       string
		text       string // in Error()
		retryAfter time.Duration
		passes     bool // errors.Is(err, ErrUnavailable)
	}
	body := func(text string) func(*sent) idtest.Fault {
		return func(*sent) idtest.Fault { return idtest.Fault{Body: text} }
	}
	fault := func(f idtest.Fault) func(*sent) idtest.Fault { return func(*sent) idtest.Fault { return f } }
	retryAfter := func(status int, value string) func(*sent) idtest.Fault {
		return fault(idtest.Fault{Status: status, Header: http.Header{"Retry-After": {value}}})
	}
	for name, row := range map[string]struct {
		fault  func(*sent) idtest.Fault
		want   want
		config func(*idserver.Config)
	}{
		"invalid_grant":             {fault(idtest.Fault{OAuthError: "invalid_grant", OAuthDescription: "used before"}), want{status: 400, code: "invalid_grant", text: `"used before"`}, nil},
		"invalid_client, 401":       {fault(idtest.Fault{Status: 401, OAuthError: "invalid_client"}), want{status: 401, code: "invalid_client"}, nil},
		"an OAuth error with 503":   {fault(idtest.Fault{Status: 503, OAuthError: "temporarily_unavailable"}), want{status: 503, code: "temporarily_unavailable", passes: true}, nil},
		"an OAuth error, forging":   {fault(idtest.Fault{Status: 400, Body: `{"error":"x\r\ny\u001b[1m","error_description":"a\nlevel=INFO\u2028\u202eb"}`}), want{status: 400, code: "xy[1m", text: `"alevel=INFOb"`}, nil},
		"an OAuth error, endless":   {fault(idtest.Fault{Status: 400, Body: `{"error":"` + strings.Repeat("e", 1000) + `"}`}), want{status: 400, code: strings.Repeat("e", 64)}, nil},
		"an OAuth error, numbers":   {fault(idtest.Fault{Status: 400, Body: `{"error":42}`}), want{status: 400}, nil},
		"temporary by name":         {fault(idtest.Fault{Status: 400, OAuthError: "temporarily_unavailable"}), want{status: 400, code: "temporarily_unavailable", passes: true}, nil},
		"an error, by its name":     {fault(idtest.Fault{Status: 400, OAuthError: "server_error"}), want{status: 400, code: "server_error", passes: true}, nil},
		"too fast, by name":         {fault(idtest.Fault{Status: 400, OAuthError: "slow_down"}), want{status: 400, code: "slow_down", passes: true}, nil},
		"a refusal with 500":        {fault(idtest.Fault{Status: 500, OAuthError: "invalid_grant"}), want{status: 500, code: "invalid_grant"}, nil},
		"an error beside tokens":    {body(`{"access_token":"a","token_type":"Bearer","id_token":"b","error":"invalid_grant"}`), want{status: 200, code: "invalid_grant"}, nil},
		"an error with 201":         {fault(idtest.Fault{Status: 201, Body: `{"error":"access_denied"}`}), want{status: 201, code: "access_denied"}, nil},
		"a problem document, 404":   {fault(idtest.Fault{Status: 404, ContentType: "application/problem+json", Body: `{"title":"Not Found","detail":"no such tenant","status":404}`}), want{status: 404, text: `"Not Found: no such tenant"`}, nil},
		"a problem without detail":  {fault(idtest.Fault{Status: 403, ContentType: "application/problem+json", Body: `{"title":"Forbidden"}`}), want{status: 403, text: `"Forbidden"`}, nil},
		"a problem, 423":            {retryAfter(423, "60"), want{status: 423, retryAfter: time.Minute}, nil},
		"a problem, 429":            {fault(idtest.Fault{Status: 429}), want{status: 429, retryAfter: 30 * time.Second, passes: true}, nil},
		"a problem, 500":            {fault(idtest.Fault{}), want{status: 500, passes: true}, nil},
		"Retry-After a date":        {retryAfter(503, "Wed, 01 Jan 2031 00:01:00 GMT"), want{status: 503, retryAfter: 24 * time.Hour, passes: true}, nil},
		"Retry-After a past date":   {retryAfter(503, "Wed, 01 Jan 2020 00:01:00 GMT"), want{status: 503, passes: true}, nil},
		"Retry-After negative":      {retryAfter(503, "-5"), want{status: 503, passes: true}, nil},
		"Retry-After most negative": {retryAfter(503, "-9223372037"), want{status: 503, passes: true}, nil},
		"Retry-After huge":          {retryAfter(503, "99999999999"), want{status: 503, retryAfter: 24 * time.Hour, passes: true}, nil},
		"Retry-After no number":     {retryAfter(503, "soon"), want{status: 503, passes: true}, nil},
		"HTML, 200":                 {fault(idtest.Fault{HTML: true}), want{status: 200, text: "HTML"}, nil},
		"HTML, 500":                 {fault(idtest.Fault{HTML: true, Status: 500}), want{status: 500, passes: true}, nil},
		"HTML, 400":                 {fault(idtest.Fault{HTML: true, Status: 400}), want{status: 400}, nil},
		"JSON said to be HTML":      {fault(idtest.Fault{Body: "{}", ContentType: "text/html; charset=utf-8"}), want{status: 200, text: "no access token"}, nil},
		"a redirect, 302":           {fault(idtest.Fault{Redirect: "http://127.0.0.1:1/", Status: 302}), want{status: 302, text: "redirect"}, nil},
		"a redirect, 307":           {fault(idtest.Fault{Redirect: "http://127.0.0.1:1/"}), want{status: 307, text: "redirect"}, nil},
		"a redirect to nowhere":     {fault(idtest.Fault{Redirect: "http://%zz"}), want{passes: true}, nil},
		"not modified":              {fault(idtest.Fault{Status: 304}), want{status: 304}, nil},
		"created":                   {fault(idtest.Fault{Status: 201, Body: "{}"}), want{status: 201}, nil},
		"no content":                {fault(idtest.Fault{Status: 204}), want{status: 204}, nil},
		"an endless body":           {fault(idtest.Fault{Endless: true}), want{status: 200, text: "longer than 1048576 bytes"}, nil},
		"an endless error":          {fault(idtest.Fault{Endless: true, Status: 400}), want{status: 400, text: "longer than 1048576 bytes"}, nil},
		"a gzip bomb":               {fault(idtest.Fault{GzipBomb: true}), want{status: 200, text: "longer than 1048576 bytes"}, nil},
		"a hanging provider":        {fault(idtest.Fault{Hang: true}), want{text: "no whole answer within 10s", passes: true}, nil},
		"a dropped connection":      {fault(idtest.Fault{Drop: true}), want{passes: true}, nil},
		"empty":                     {fault(idtest.Fault{Status: 200}), want{status: 200, text: "JSON"}, nil},
		"null":                      {body("null"), want{status: 200, text: "no access token"}, nil},
		"an array":                  {body("[]"), want{status: 200}, nil},
		"an empty object":           {body("{}"), want{status: 200, text: "no access token"}, nil},
		"an OAuth error with 200":   {body(`{"error":"invalid_grant"}`), want{status: 200, code: "invalid_grant"}, nil},
		"a form":                    {body("access_token=a&token_type=Bearer"), want{status: 200}, nil},
		"a member twice":            {body(`{"access_token":"a","access_token":"b","token_type":"Bearer"}`), want{status: 200, text: "twice"}, nil},
		"members in other cases":    {body(`{"ACCESS_TOKEN":"a","token_type":"Bearer"}`), want{status: 200, text: "no access token"}, nil},
		"trailing data":             {body(`{"access_token":"a","token_type":"Bearer"}{}`), want{status: 200, text: "JSON"}, nil},
		"too deep":                  {body(`{"access_token":"a","token_type":"Bearer","x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`), want{status: 200, text: "deeper"}, nil},
		"access token a number":     {body(`{"access_token":1,"token_type":"Bearer"}`), want{status: 200}, nil},
		"access token empty":        {body(`{"access_token":"","token_type":"Bearer"}`), want{status: 200, text: "no access token"}, nil},
		"token_type DPoP":           {body(`{"access_token":"a","token_type":"DPoP"}`), want{status: 200, text: "Bearer"}, nil},
		"token_type mac":            {body(`{"access_token":"a","token_type":"mac"}`), want{status: 200, text: "Bearer"}, nil},
		"the code, repeated": {func(s *sent) idtest.Fault {
			return idtest.Fault{OAuthError: "invalid_grant", OAuthDescription: "[redacted: it repeats what was sent]" + s.code}
		}, want{status: 400, code: "invalid_grant", text: "[redacted: it repeats what was sent]"}, nil},
		"the code, repeated far behind": {func(s *sent) idtest.Fault {
			return idtest.Fault{OAuthError: "invalid_grant", OAuthDescription: strings.Repeat("x", 240) + s.code}
		}, want{status: 400, code: "invalid_grant"}, nil},
		"the code as the error": {func(s *sent) idtest.Fault { return idtest.Fault{OAuthError: s.code} }, want{status: 400}, nil},
		"the whole form, repeated": {func(s *sent) idtest.Fault {
			detail, _ := json.Marshal(s.code + " " + s.request.CodeVerifier + " " + idtest.ExampleSecret)
			return idtest.Fault{Status: 422, ContentType: "application/problem+json", Body: `{"title":"` + s.code + `","detail":` + string(detail) + `}`}
		}, want{status: 422}, nil},
		"the code, in a web page": {func(s *sent) idtest.Fault {
			return idtest.Fault{Status: 502, ContentType: "text/html", Body: "<p>" + s.code + s.request.CodeVerifier}
		}, want{status: 502, passes: true}, nil},
		"the code, in a redirect":     {func(s *sent) idtest.Fault { return idtest.Fault{Redirect: "http://127.0.0.1:1/?code=" + s.code} }, want{status: 307, text: "redirect"}, nil},
		"the code, in a bad redirect": {func(s *sent) idtest.Fault { return idtest.Fault{Redirect: "http://%zz/?code=" + s.code} }, want{passes: true}, nil},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			client := w.Client
			if row.config != nil {
				client = w.client(t, row.config)
			}
			r, code := authorizedCode(t, w, client, "alice")
			w.provider.Fail(idtest.Token, row.fault(&sent{code, r}))
			tokens, err := client.ExchangeCode(t.Context(), code, r)
			var e *idserver.TokenEndpointError
			if !errors.As(err, &e) || !errors.Is(err, idserver.ErrTokenEndpoint) || tokens != nil {
				t.Fatalf("got %v, %v, want a TokenEndpointError", tokens, err)
			}
			if e.Status != row.want.status || e.RetryAfter != row.want.retryAfter || errors.Is(err, idserver.ErrUnavailable) != row.want.passes {
				t.Errorf("got status %d, Retry-After %v, ErrUnavailable %v (%v)", e.Status, e.RetryAfter, errors.Is(err, idserver.ErrUnavailable), err)
			}
			if row.want.code != "" && e.Code != row.want.code {
				t.Errorf("got code %q, want %q", e.Code, row.want.code)
			}
			if !strings.Contains(err.Error(), row.want.text) {
				t.Errorf("error %q, want one with %q", err, row.want.text)
			}
			secrets := []string{code, code[:12], r.CodeVerifier, r.State, r.Nonce, idtest.ExampleSecret, secretOne}
			if leaked := leaks(err.Error()+e.Code+e.Description+w.log.String(), secrets...); leaked != "" {
				t.Errorf("%q is in the error or the log: %v\n%s", leaked, err, w.log)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x2028 && r <= 0x202e }) {
				t.Errorf("the error %q has control characters", err)
			}
			if n := w.provider.Requests(idtest.Token); n != 1 {
				t.Errorf("the token endpoint was asked %d times", n)
			}
		}))
	}
}

// sent is what a token request held.
type sent struct {
	code    string
	request *idserver.AuthorizationRequest
}

// The same answers at the revocation endpoint; success has no body there.
func TestRevocationFaults(t *testing.T) {
	w := newWorld(t)
	_, tokens := signInByHand(t, w, w.Client, "alice")
	for name, row := range map[string]struct {
		fault  idtest.Fault
		status int
		code   string
		passes bool
	}{
		"unsupported_token_type": {idtest.Fault{OAuthError: "unsupported_token_type", OAuthDescription: "not " + tokens.RefreshToken}, 400, "unsupported_token_type", false},
		"429":                    {idtest.Fault{Status: 429}, 429, "", true},
		"500":                    {idtest.Fault{}, 500, "", true},
		"drop":                   {idtest.Fault{Drop: true}, 0, "", true},
		"a redirect":             {idtest.Fault{Redirect: "http://127.0.0.1:1/"}, 307, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			w.provider.Fail(idtest.Revocation, row.fault)
			defer w.provider.Heal(idtest.Revocation)
			err := w.RevokeToken(t.Context(), tokens.RefreshToken)
			var e *idserver.TokenEndpointError
			if !errors.As(err, &e) || e.Status != row.status || e.Code != row.code || errors.Is(err, idserver.ErrUnavailable) != row.passes {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), tokens.RefreshToken) {
				t.Errorf("the error %q holds the token", err)
			}
		})
	}
	w.provider.SetMetadata(func(m map[string]any) {
		delete(m, "revocation_endpoint")
		delete(m, "end_session_endpoint")
		delete(m, "userinfo_endpoint")
	})
	client := w.client(t)
	_, endErr := client.EndSessionURL(t.Context(), idserver.EndSession{})
	_, infoErr := client.UserInfo(t.Context(), tokens.AccessToken, tokens.User.Subject)
	for name, err := range map[string]error{
		"revocation_endpoint": client.RevokeToken(t.Context(), tokens.RefreshToken), "end_session_endpoint": endErr, "userinfo_endpoint": infoErr,
	} {
		if !errors.Is(err, idserver.ErrDiscovery) || !strings.Contains(err.Error(), name) {
			t.Errorf("no %s: %v", name, err)
		}
	}
}

// A token endpoint that does not say when the access token ends: the token does.
func TestExpiryOfTheToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "expires_in") })
		if _, tokens := signInByHand(t, w, w.Client, "alice"); !tokens.Expiry.Equal(w.clock.Now().Add(15 * time.Minute)) {
			t.Errorf("the access token ends at %v", tokens.Expiry)
		}
	})
}

// What the provider may say of the access token's life, and what is made of it.
func TestExpiresIn(t *testing.T) {
	w := newWorld(t)
	w.provider.SetAccessTokenClaims(func(c map[string]any) { c["aud"] = "another-api" }) // whose exp is none of our business
	for name, row := range map[string]struct {
		value any // nil: not there
		want  time.Duration
	}{
		"a number":        {900, 15 * time.Minute},
		"a string":        {"900", 15 * time.Minute},
		"a fraction":      {1.5, 1500 * time.Millisecond},
		"a year":          {366 * 24 * 3600, 366 * 24 * time.Hour},
		"more":            {366*24*3600 + 1, 0},
		"nanoseconds":     {int64(900 * time.Second), 0},
		"huge":            {json.RawMessage("1e300"), 0},
		"beyond numbers":  {json.RawMessage("1e999"), 0},
		"zero":            {0, 0},
		"negative":        {-900, 0},
		"a word":          {"soon", 0},
		"NaN":             {"NaN", 0},
		"infinite":        {"Inf", 0},
		"an empty string": {"", 0},
		"null":            {json.RawMessage("null"), 0},
		"true":            {true, 0},
		"an object":       {map[string]any{}, 0},
		"not there":       {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w.provider.SetTokenResponse(func(r map[string]any) {
				if r["expires_in"] = row.value; row.value == nil {
					delete(r, "expires_in")
				}
			})
			_, tokens := signInByHand(t, w, w.Client, "alice")
			var want time.Time
			if row.want != 0 {
				want = w.clock.Now().Add(row.want)
			}
			if !tokens.Expiry.Equal(want) {
				t.Errorf("the access token ends at %v, want %v", tokens.Expiry, want)
			}
		})
	}
}

// A provider may vary its answer in these ways.
func TestTokenAnswerAccepted(t *testing.T) {
	w := newWorld(t)
	for name, edit := range map[string]func(map[string]any){
		"token_type in lower case": func(r map[string]any) { r["token_type"] = "bearer" },
		"token_type in upper case": func(r map[string]any) { r["token_type"] = "BEARER" },
		"no refresh token":         func(r map[string]any) { delete(r, "refresh_token") },
		"no scope":                 func(r map[string]any) { delete(r, "scope") },
		"refresh token null":       func(r map[string]any) { r["refresh_token"] = nil },
		"members of its own":       func(r map[string]any) { r["not-before-policy"], r["Access_Token"] = 0, "another" },
	} {
		t.Run(name, func(t *testing.T) {
			w.provider.SetTokenResponse(edit)
			if _, tokens := signInByHand(t, w, w.Client, "alice"); tokens.AccessToken == "another" {
				t.Error("the wrong member was read")
			}
		})
	}
}

// An answer without a good ID token signs nobody in, and userinfo is not asked before.
func TestExchangeRefusesIDToken(t *testing.T) {
	for name, row := range map[string]struct {
		reason idserver.Reason
		change func(*idtest.Provider)
	}{
		"none":           {idserver.ReasonMalformed, func(p *idtest.Provider) { p.SetTokenResponse(func(r map[string]any) { delete(r, "id_token") }) }},
		"null":           {idserver.ReasonMalformed, func(p *idtest.Provider) { p.SetTokenResponse(func(r map[string]any) { r["id_token"] = nil }) }},
		"another issuer": {idserver.ReasonIssuer, func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["iss"] = p.URL() + "1" }) }},
		"another nonce":  {idserver.ReasonNonce, func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { c["nonce"] = "x" }) }},
		"no sub":         {idserver.ReasonSubject, func(p *idtest.Provider) { p.SetIDTokenClaims(func(c map[string]any) { delete(c, "sub") }) }},
		"another token's": {idserver.ReasonAccessTokenHash, func(p *idtest.Provider) {
			p.SetTokenResponse(func(r map[string]any) { r["access_token"] = p.MintAccessToken("alice") })
		}},
		"the access token": {idserver.ReasonType, func(p *idtest.Provider) {
			p.SetTokenResponse(func(r map[string]any) { r["id_token"] = r["access_token"] })
		}},
		"unsigned": {idserver.ReasonAlgorithm, func(p *idtest.Provider) {
			p.SetTokenResponse(func(r map[string]any) {
				_, rest, _ := strings.Cut(r["id_token"].(string), ".")
				claims, _, _ := strings.Cut(rest, ".")
				r["id_token"] = encode(map[string]string{"alg": "none"}) + "." + claims + "."
			})
		}},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			row.change(w.provider)
			w.provider.SetAccessTokenClaims(func(c map[string]any) { delete(c, "roles") }) // so that userinfo would be asked
			r, code := authorizedCode(t, w, w.Client, "alice")
			tokens, err := w.ExchangeCode(t.Context(), code, r)
			refused(t, err, row.reason)
			if tokens != nil {
				t.Errorf("tokens came with the refusal")
			}
			if row.reason == idserver.ReasonMalformed && !strings.Contains(err.Error(), "openid") {
				t.Errorf("the error %q does not tell what to do", err)
			}
			if n := w.provider.Requests(idtest.UserInfo); n != 0 {
				t.Errorf("userinfo was asked %d times", n)
			}
		}))
	}
}

// The code, the verifier and the redirect_uri are those of the attempt, or the provider refuses.
func TestExchangeIsBoundToItsAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, spoil := range map[string]func(*idserver.AuthorizationRequest){
			"another verifier":     func(r *idserver.AuthorizationRequest) { r.CodeVerifier = oauth2.GenerateVerifier() },
			"no verifier":          func(r *idserver.AuthorizationRequest) { r.CodeVerifier = "" },
			"another redirect_uri": func(r *idserver.AuthorizationRequest) { r.RedirectURI += "/" },
		} {
			r, code := authorizedCode(t, w, w.Client, "alice")
			spoil(r)
			var e *idserver.TokenEndpointError
			if _, err := w.ExchangeCode(t.Context(), code, r); !errors.As(err, &e) || e.Status != 400 {
				t.Errorf("%s: %v", name, err)
			}
		}
		r, code := authorizedCode(t, w, w.Client, "alice")
		r.Nonce = ""
		_, err := w.ExchangeCode(t.Context(), code, r)
		refused(t, err, idserver.ReasonNonce) // an empty nonce does not turn the check off
	})
}

// How the client authenticates, RFC 6749 section 2.3.1; the provider decodes and compares.
func TestClientAuthentication(t *testing.T) {
	methods := func(list ...string) func(map[string]any) {
		return func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = list }
	}
	absent := func(m map[string]any) { delete(m, "token_endpoint_auth_methods_supported") }
	const post, basic = "client_secret_post", "client_secret_basic"
	for name, row := range map[string]struct {
		id, secret string
		auth       string // Config.Provider.ClientAuth
		metadata   func(map[string]any)
		want       string // the Authorization header; "": the form has it
	}{
		"both on offer":            {id: "app", secret: "s3cret", metadata: methods(post, basic), want: "Basic YXBwOnMzY3JldA=="},
		"post on offer":            {id: "app", secret: "s3cret", metadata: methods(post)},
		"basic on offer":           {id: "app", secret: "s3cret", metadata: methods(basic), want: "Basic YXBwOnMzY3JldA=="},
		"basic and others":         {id: "app", secret: "s3cret", metadata: methods("private_key_jwt", basic), want: "Basic YXBwOnMzY3JldA=="},
		"nothing on offer":         {id: "app", secret: "s3cret", metadata: absent, want: "Basic YXBwOnMzY3JldA=="},
		"an empty list":            {id: "app", secret: "s3cret", metadata: methods(), want: "Basic YXBwOnMzY3JldA=="},
		"neither on offer":         {id: "app", secret: "s3cret", metadata: methods("private_key_jwt", "tls_client_auth"), want: "Basic YXBwOnMzY3JldA=="},
		"basic by configuration":   {id: "app", secret: "s3cret", auth: basic, metadata: methods(post), want: "Basic YXBwOnMzY3JldA=="},
		"post by configuration":    {id: "app", secret: "s3cret", auth: post, metadata: methods(basic)},
		"a public client":          {id: "app", metadata: methods(basic, "none")},
		"a public client, basic":   {id: "app", auth: basic, metadata: methods(basic)},
		"basic, safe characters":   {id: "my-app_1.a", secret: "a-b_c.d~9", auth: basic, want: "Basic bXktYXBwXzEuYTphLWJfYy5kfjk="},       // as it is: some providers do not decode
		"basic, unsafe characters": {id: "a:b c", secret: "p+q/r=%é", auth: basic, want: "Basic YSUzQWIrYzpwJTJCcSUyRnIlM0QlMjUlQzMlQTk="}, // a%3Ab+c:p%2Bq%2Fr%3D%25%C3%A9
		"post, unsafe characters":  {id: "a:b c", secret: "p+q/r=%é&", auth: post},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.AddClient(idtest.Client{ID: row.id, Secret: row.secret, AnyLoopbackRedirect: true})
			w.provider.SetMetadata(row.metadata)
			seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
			client := w.client(t, func(c *idserver.Config) {
				c.ClientID, c.ClientSecret, c.Provider.ClientAuth = row.id, row.secret, row.auth
				c.HTTP.Client = &http.Client{Transport: seen}
			})
			_, tokens := signInByHand(t, w, client, "alice")
			if _, err := client.RefreshToken(t.Context(), tokens); err != nil {
				t.Fatal(err)
			}
			if err := client.RevokeToken(t.Context(), tokens.RefreshToken); err != nil {
				t.Fatal(err)
			}
			if len(seen.requests) != 3 {
				t.Fatalf("%d requests, want 3", len(seen.requests))
			}
			for _, request := range seen.requests {
				form := request.form
				inForm := form.Get("client_id") == row.id && form.Get("client_secret") == row.secret && form.Has("client_secret") == (row.secret != "")
				inHeader := !form.Has("client_id") && !form.Has("client_secret")
				if request.authorization != row.want || row.want == "" && !inForm || row.want != "" && !inHeader {
					t.Errorf("the header is %q, the form %v", request.authorization, form)
				}
			}
		}))
	}
}

// What the token requests hold beside the client's authentication.
func TestTokenRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
		client := w.client(t, func(c *idserver.Config) {
			c.Provider.ClientAuth, c.HTTP.Client = "client_secret_basic", &http.Client{Transport: seen}
		})
		r, code := authorizedCode(t, w, client, "alice")
		tokens, err := client.ExchangeCode(t.Context(), code, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.RefreshToken(t.Context(), tokens); err != nil {
			t.Fatal(err)
		}
		if err := client.RevokeToken(t.Context(), "t"); err != nil {
			t.Fatal(err)
		}
		for i, want := range []url.Values{
			{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.RedirectURI}, "code_verifier": {r.CodeVerifier}},
			{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}},
			{"token": {"t"}},
		} {
			if !maps.EqualFunc(seen.requests[i].form, want, slices.Equal) {
				t.Errorf("the form is %v, want %v", seen.requests[i].form, want)
			}
		}
	})
}

func TestRefreshByHand(t *testing.T) {
	for name, row := range map[string]struct {
		change  func(*idtest.Provider, *idserver.Tokens)
		reason  idserver.Reason // "": accepted
		same    bool            // the ID token stays the old one
		roles   []string
		lookups int // at userinfo
	}{
		"as it is":         {func(*idtest.Provider, *idserver.Tokens) {}, "", false, []string{"admin", "user"}, 0},
		"roles changed":    {func(p *idtest.Provider, _ *idserver.Tokens) { demote(p) }, "", false, []string{"user"}, 0},
		"no new ID token":  {func(p *idtest.Provider, _ *idserver.Tokens) { demote(p); dropIDToken(p) }, "", true, []string{"user"}, 0},
		"no ID token ever": {func(p *idtest.Provider, old *idserver.Tokens) { demote(p); dropIDToken(p); old.IDToken = "" }, "", true, []string{"user"}, 0},
		"a user of the caller": {func(p *idtest.Provider, old *idserver.Tokens) {
			dropIDToken(p)
			old.IDToken, old.User = "", &idserver.User{Subject: aliceSubject}
		}, "", true, []string{"admin", "user"}, 0},
		"a user of the caller, opaque": {func(p *idtest.Provider, old *idserver.Tokens) {
			p.SetTokenResponse(func(r map[string]any) { delete(r, "id_token"); r["access_token"] = "opaque" })
			p.Fail(idtest.UserInfo, idtest.Fault{Body: userInfoBody})
			old.IDToken, old.User = "", &idserver.User{Subject: aliceSubject}
		}, "", true, []string{"from-userinfo"}, 1},
		"opaque, no ID token": {func(p *idtest.Provider, _ *idserver.Tokens) {
			p.SetTokenResponse(func(r map[string]any) { delete(r, "id_token"); r["access_token"] = "opaque" })
			p.Fail(idtest.UserInfo, idtest.Fault{Body: userInfoBody})
		}, "", true, []string{"from-userinfo"}, 1},
		"a nonce that is repeated": {func(p *idtest.Provider, old *idserver.Tokens) {
			p.SetIDTokenClaims(func(c map[string]any) { c["nonce"] = signInNonce(old) })
		}, "", false, []string{"admin", "user"}, 0},
		"the nonce of another sign-in": {func(p *idtest.Provider, _ *idserver.Tokens) {
			p.SetIDTokenClaims(func(c map[string]any) { c["nonce"] = "of-another-sign-in" })
		}, idserver.ReasonNonce, false, nil, 0},
		"the ID token of another": {func(p *idtest.Provider, _ *idserver.Tokens) {
			p.SetIDTokenClaims(func(c map[string]any) { c["sub"] = "bob" })
		}, idserver.ReasonSubject, false, nil, 0},
		"the ID token of another issuer": {func(p *idtest.Provider, _ *idserver.Tokens) {
			p.SetIDTokenClaims(func(c map[string]any) { c["iss"] = p.URL() + "1" })
		}, idserver.ReasonIssuer, false, nil, 0},
		"an old ID token": {func(p *idtest.Provider, old *idserver.Tokens) {
			p.SetIDTokenClaims(func(c map[string]any) { c["iat"] = 1700000000 })
		}, idserver.ReasonIssuedAt, false, nil, 0},
		"the ID token is of another than the user": {func(p *idtest.Provider, old *idserver.Tokens) {
			dropIDToken(p)
			old.IDToken = p.MintIDToken("bob", idtest.ExampleClient)
		}, idserver.ReasonSubject, false, nil, 0},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			_, old := signInByHand(t, w, w.Client, "alice")
			row.change(w.provider, old)
			renewed, err := w.RefreshToken(t.Context(), old)
			if n := w.provider.Requests(idtest.UserInfo); n != row.lookups {
				t.Errorf("userinfo was asked %d times, want %d", n, row.lookups)
			}
			if row.reason != "" {
				refused(t, err, row.reason)
				if renewed != nil && (renewed.User != nil || renewed.IDToken != old.IDToken) {
					t.Errorf("a user or a refused ID token came with the refusal: %+v", renewed.User)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (renewed.IDToken == old.IDToken) != row.same {
				t.Errorf("the ID token is the old one: %v", !row.same)
			}
			u := renewed.User
			if u.Subject != aliceSubject || u.Issuer != w.provider.URL() || !slices.Equal(u.Roles, row.roles) || renewed.RefreshToken == old.RefreshToken {
				t.Errorf("the user is %+v", u)
			}
		}))
	}
}

// demote takes alice's admin role away.
func demote(p *idtest.Provider) {
	alice := idtest.People()[0]
	alice.Roles = []string{"user"}
	p.SetPerson(alice)
}

// A provider that does not rotate gives no new refresh token: the old one stays.
func TestRefreshByHandWithoutRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, old := signInByHand(t, w, w.Client, "alice")
		w.provider.SetTokenResponse(func(r map[string]any) { delete(r, "refresh_token") })
		renewed, err := w.RefreshToken(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		if renewed.RefreshToken != old.RefreshToken {
			t.Error("the refresh token is gone")
		}
	})
}

// What cannot be refreshed costs no request.
func TestRefreshByHandNeedsSomething(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for _, old := range []*idserver.Tokens{{}, {RefreshToken: "x"}, {User: &idserver.User{Subject: "x"}}} {
			if _, err := w.RefreshToken(t.Context(), old); err == nil {
				t.Errorf("%+v was refreshed", old)
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 0 {
			t.Errorf("the token endpoint was asked %d times", n)
		}
	})
}

// When the new ID token cannot be judged, the rotated refresh token must not be lost, and the ID token that
// nobody has verified must not be kept as if it were.
func TestRefreshByHandWhileKeysAreAway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, old := signInByHand(t, w, w.Client, "alice")
		w.provider.RotateKey()
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: 503})
		renewed, err := w.RefreshToken(t.Context(), old)
		if !errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		if renewed == nil || renewed.RefreshToken == old.RefreshToken || renewed.AccessToken == old.AccessToken {
			t.Fatalf("the new tokens are lost: %+v", renewed)
		}
		if renewed.User != nil || renewed.IDToken != old.IDToken {
			t.Error("what was not verified is kept")
		}
	})
}

// signInNonce reads the nonce of an ID token.
func signInNonce(tokens *idserver.Tokens) string {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(tokens.IDToken, ".")[1])
	if err != nil {
		panic(err)
	}
	var claims struct{ Nonce string }
	if err := json.Unmarshal(payload, &claims); err != nil || claims.Nonce == "" {
		panic("no nonce")
	}
	return claims.Nonce
}

// What the token endpoint may leave out, and what it may not.
func TestTokenAnswerWithLess(t *testing.T) {
	for name, row := range map[string]struct {
		edit func(map[string]any)
		want error
	}{
		"no token_type":   {func(r map[string]any) { delete(r, "token_type") }, nil},
		"no access token": {func(r map[string]any) { delete(r, "access_token") }, idserver.ErrTokenEndpoint},
		"no ID token":     {func(r map[string]any) { delete(r, "id_token") }, idserver.ReasonMalformed},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			r, code := authorizedCode(t, w, w.Client, "alice")
			w.provider.SetTokenResponse(row.edit)
			_, err := w.ExchangeCode(t.Context(), code, r)
			if !errors.Is(err, row.want) || row.want == nil && err != nil {
				t.Errorf("%v, want %v", err, row.want)
			}
		}))
	}
}

// Who asks for a fresh sign-in (max_age) is not served an old one: auth_time must be there and not too long ago, OpenID Connect
// Core section 3.1.3.7 step 13.
func TestMaxAgeOfSignIn(t *testing.T) {
	ago := func(d time.Duration) func(*world) any {
		return func(w *world) any { return w.clock.Now().Add(-d).Unix() }
	}
	for name, row := range map[string]struct {
		maxAge   time.Duration
		authTime func(*world) any // nil: absent
		reason   idserver.Reason  // "": accepted
	}{
		"now":                 {time.Minute, ago(0), ""},
		"within":              {time.Minute, ago(time.Minute), ""},
		"within the leeway":   {time.Minute, ago(70 * time.Second), ""},
		"too old":             {time.Minute, ago(71 * time.Second), idserver.ReasonAuthTime},
		"of yesterday":        {time.Minute, ago(24 * time.Hour), idserver.ReasonAuthTime},
		"absent":              {time.Minute, nil, idserver.ReasonAuthTime},
		"null":                {time.Minute, func(*world) any { return nil }, idserver.ReasonAuthTime},
		"zero":                {time.Minute, func(*world) any { return 0 }, idserver.ReasonAuthTime},
		"a string":            {time.Minute, func(w *world) any { return w.clock.Now().Format(time.RFC3339) }, idserver.ReasonAuthTime},
		"not asked, absent":   {0, nil, ""},
		"not asked, too old":  {0, ago(24 * time.Hour), ""},
		"not asked, a string": {0, func(*world) any { return "x" }, ""},
		"not asked, zero":     {0, func(*world) any { return 0 }, ""},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.SetIDTokenClaims(func(c map[string]any) {
				if delete(c, "auth_time"); row.authTime != nil {
					c["auth_time"] = row.authTime(w)
				}
			})
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{MaxAge: row.maxAge})
			if err != nil {
				t.Fatal(err)
			}
			if sent := query(t, r.URL)["max_age"]; row.maxAge == 0 && len(sent) != 0 || row.maxAge != 0 && (len(sent) != 1 || sent[0] != "60") {
				t.Errorf("max_age is sent as %q", sent)
			}
			tokens, err := w.ExchangeCode(t.Context(), query(t, w.authorize(t, r.URL, "alice")).Get("code"), r)
			if row.reason == "" {
				if err != nil || tokens.User == nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if refused(t, err, row.reason); tokens != nil {
				t.Error("tokens came with the refusal")
			}
		}))
	}
	w := newWorld(t)
	if _, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{Extra: url.Values{"max_age": {"0"}}}); err == nil {
		t.Error("max_age passed by the field that ExchangeCode reads")
	}
}

// What cannot be exchanged costs no request, and no panic.
func TestExchangeCodeNeedsSomething(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		r, code := authorizedCode(t, w, w.Client, "alice")
		for name, exchange := range map[string]func() (*idserver.Tokens, error){
			"no code":        func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), "", r) },
			"no request":     func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), code, nil) },
			"nothing at all": func() (*idserver.Tokens, error) { return w.ExchangeCode(t.Context(), "", nil) },
		} {
			if tokens, err := exchange(); err == nil || tokens != nil || strings.Contains(err.Error(), code) {
				t.Errorf("%s: %v, %v", name, tokens, err)
			}
		}
		if n := w.provider.Requests(idtest.Token); n != 0 {
			t.Errorf("the token endpoint was asked %d times", n)
		}
		if _, err := w.ExchangeCode(t.Context(), code, r); err != nil {
			t.Errorf("the code was spent: %v", err)
		}
	})
}

// FuzzTokenAnswer gives the token endpoint's answer to a refresh. Whatever it is, nobody else comes of it, the
// times stay in bounds, and the error is of its kind and repeats nothing that was sent.
func FuzzTokenAnswer(f *testing.F) {
	const refreshToken, subject = "a-refresh-token-that-is-sent-0123456789", "alice"
	f.Add(200, "application/json", []byte(`{"access_token":"a","token_type":"Bearer","expires_in":"900","refresh_token":"r"}`))
	f.Add(200, "application/json", []byte(`{"access_token":"a","token_type":"Bearer","id_token":"e30.e30.","expires_in":1e99}`))
	f.Add(400, "application/json", []byte(`{"error":"invalid_grant","error_description":"`+refreshToken+`"}`))
	f.Add(429, "application/problem+json", []byte(`{"title":"a\nb","detail":"\u0000"}`))
	f.Add(200, "text/html", []byte(`<p>`))
	f.Fuzz(func(t *testing.T, status int, kind string, body []byte) {
		if status < 100 || status > 999 {
			status = 200
		}
		network := &provided{status: status, kind: kind, body: body}
		now := time.Unix(1800000000, 0)
		client := elsewhere(t, network, func(c *idserver.Config) {
			c.Now = func() time.Time { return now }
			c.Provider.Endpoints = idserver.Endpoints{Authorization: "https://id.example/a", Token: "https://id.example/t", JWKS: "https://id.example/j"}
		})
		tokens, err := client.RefreshToken(t.Context(), &idserver.Tokens{RefreshToken: refreshToken, User: &idserver.User{Subject: subject}})
		if err != nil {
			known := errors.Is(err, idserver.ErrTokenEndpoint) || errors.Is(err, idserver.ErrInvalidToken) || errors.Is(err, idserver.ErrUnavailable)
			if !known || tokens != nil && tokens.User != nil {
				t.Errorf("got %v, %v", tokens, err)
			}
			if strings.Contains(err.Error(), refreshToken) || strings.Contains(err.Error(), clientSecretText) {
				t.Errorf("the error %q repeats what was sent", err)
			}
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("the error %q has control characters", err)
			}
			return
		}
		if status != 200 || tokens.AccessToken == "" || tokens.RefreshToken == "" || tokens.User.Subject != subject || tokens.User.Issuer != "https://id.example" || tokens.IDToken != "" {
			t.Errorf("status %d gave %+v of %+v", status, tokens, tokens.User)
		}
		if !tokens.Expiry.IsZero() && (tokens.Expiry.Before(now) || tokens.Expiry.After(now.AddDate(1, 0, 2))) {
			t.Errorf("the access token ends at %v", tokens.Expiry)
		}
	})
}
