package idserver_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
	"github.com/signward/idserver-go/core/internal/jose"
)

// newSigning is an application that follows FAPI 2.0 Message Signing, at a provider that insists on it.
func newSigning(t *testing.T, registered idtest.Client, edit ...func(*idserver.Config)) (*world, *recorder) {
	t.Helper()
	w := newProfiled(t, []idserver.ClientKey{{ID: "s1", Private: signP256()}, {ID: "e1", Use: "enc", Private: openP256()}}, idtest.FAPI2MessageSigning)
	registered.IDTokenEncryption = "A256GCM"
	register(w, registered)
	seen := &recorder{RoundTripper: w.provider.HTTPClient().Transport}
	w.cfg.Profile, w.cfg.HTTP.Client = "fapi2-message-signing", &http.Client{Transport: seen}
	w.Client = w.client(t, edit...)
	return w, seen
}

// Requests are signed and pushed, responses are signed, and nothing stands beside either.
func TestMessageSigning(t *testing.T) {
	for name, row := range map[string]idtest.Client{"signed": {}, "signed and encrypted": {ResponseEncryption: "A256GCM"}} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, seen := newSigning(t, row, func(c *idserver.Config) {
				c.AuthorizeParameters = url.Values{
					"resource": {"https://a.example", "https://b.example"}, "max_age": {"600"}, "claims": {`{"userinfo":{"name":null}}`}, "ui_locales": {"de \"en"},
					"iss": {"https://evil.example"}, "exp": {"1"},
				}
			})
			w.provider.Fail(idtest.PushedAuthorization, idtest.Fault{Status: http.StatusServiceUnavailable}) // what is sent is enough here
			w.browser(t).route("GET", "/auth/login", navigates)
			w.provider.Heal(idtest.PushedAuthorization)
			form := seen.requests[0].form
			if len(form) != 4 || form.Get("client_id") != idtest.ExampleClient || !form.Has("client_assertion") || !form.Has("client_assertion_type") {
				t.Errorf("beside the request object there is %v", form)
			}
			header, claims := jwtParts(t, form.Get("request"))
			if header["alg"] != "ES256" || header["typ"] != "oauth-authz-req+jwt" || header["kid"] != "s1" || len(header) != 3 {
				t.Errorf("the header is %v", header)
			}
			now := float64(w.clock.Now().Unix())
			for name, want := range map[string]any{
				"iss": idtest.ExampleClient, "aud": w.provider.URL(), "client_id": idtest.ExampleClient, "iat": now, "nbf": now, "exp": now + 60,
				"response_type": "code", "response_mode": "query.jwt", "redirect_uri": base + "/auth/callback", "code_challenge_method": "S256",
				"max_age": 600.0, "ui_locales": "de \"en",
			} {
				if claims[name] != want {
					t.Errorf("%s is %v, want %v", name, claims[name], want)
				}
			}
			list, _ := claims["resource"].([]any)
			about, _ := claims["claims"].(map[string]any)
			if !slices.Equal(list, []any{"https://a.example", "https://b.example"}) || about["userinfo"] == nil {
				t.Errorf("resource is %v, claims is %v", claims["resource"], claims["claims"])
			}
			w.Client = w.client(t, func(c *idserver.Config) { c.AuthorizeParameters = nil })
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login?return_to=/x"), "alice")
			if q := query(t, callback); len(q) != 1 || q.Get("response") == "" || strings.Count(q.Get("response"), ".") != map[bool]int{true: 2, false: 4}[row.ResponseEncryption == ""] {
				t.Errorf("the provider answers %s", callback)
			}
			a := b.route("GET", callback, navigates)
			if a.Status != http.StatusSeeOther || field(a, "Location") != "/x" {
				t.Fatalf("the callback answers %d: %s", a.Status, w.log)
			}
			if a := b.route("GET", callback, navigates); a.Status != http.StatusSeeOther || field(a, "Location") != "/x" {
				t.Errorf("reloaded, it answers %d: %s", a.Status, w.log)
			}
			w.clock.advance(14*time.Minute + 30*time.Second)
			if user, _ := b.visit(); user == nil {
				t.Errorf("nobody is signed in: %s", w.log)
			}
			// By hand.
			r, err := w.AuthorizeURL(t.Context(), idserver.AuthorizeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, raw, _ := strings.Cut(w.authorize(t, r.URL, "alice"), "?")
			code, err := w.ReadCallback(t.Context(), raw, r)
			if err == nil {
				_, err = w.ExchangeCode(t.Context(), code, r)
			}
			if err != nil {
				t.Error(err)
			}
		}))
	}
}

// A browser posts a signed response as it posts any other.
func TestSignedFormPost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := newSigning(t, idtest.Client{}, func(c *idserver.Config) { c.BaseURL, c.ResponseMode = formBase, "form_post" })
		w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: w.PublicKeys(), IDTokenEncryption: "A256GCM", RedirectURIs: []string{formBase + "/auth/callback"}})
		f := &formWorld{w, w.browser(t)}
		form := f.begin(t, "/auth/login?return_to=/x", "alice")
		if len(form) != 1 || form.Get("response") == "" {
			t.Errorf("posted is %v", form)
		}
		if a := f.serve(t, "POST", "/auth/callback", posts(form.Encode(), w.provider.URL())); a.Status != http.StatusSeeOther || field(a, "Location") != "/x" {
			t.Errorf("the answer is %d: %s", a.Status, w.log)
		}
	})
}

// withHeader changes a JWT's header, and leaves its claims and its signature.
func withHeader(t *testing.T, token string, edit func(header map[string]any)) string {
	t.Helper()
	header, _ := jwtParts(t, token)
	edit(header)
	encoded, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(token, ".")
	return base64.RawURLEncoding.EncodeToString(encoded) + "." + rest
}

// What is wrong with a response is found before its code is sent anywhere.
func TestSignedResponseRefused(t *testing.T) {
	set := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	without := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	alg := func(name string) func(*testing.T, url.Values) {
		return func(t *testing.T, q url.Values) {
			q.Set("response", withHeader(t, q.Get("response"), func(h map[string]any) { h["alg"] = name }))
		}
	}
	at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC).Unix()
	for name, row := range map[string]struct {
		claims func(map[string]any)
		query  func(*testing.T, url.Values)
		status int
		code   string
	}{
		"another issuer":           {set("iss", "https://evil.example"), nil, 400, "issuer_mismatch"},
		"no issuer":                {without("iss"), nil, 400, "issuer_mismatch"},
		"another audience":         {set("aud", "another"), nil, 400, "invalid_callback"},
		"two audiences":            {set("aud", []string{idtest.ExampleClient, "another"}), nil, 400, "invalid_callback"},
		"no audience":              {without("aud"), nil, 400, "invalid_callback"},
		"expired":                  {set("exp", at-10), nil, 400, "invalid_callback"},
		"without exp":              {without("exp"), nil, 400, "invalid_callback"},
		"not yet valid":            {set("nbf", at+11), nil, 400, "invalid_callback"},
		"without state":            {without("state"), nil, 400, "invalid_callback"},
		"another state":            {set("state", "another"), nil, 400, "sign_in_lost"},
		"a state that is a number": {set("state", 1), nil, 400, "invalid_callback"},
		"without code":             {without("code"), nil, 400, "invalid_callback"},
		"an empty code":            {set("code", ""), nil, 400, "invalid_callback"},
		"a code that is a list":    {set("code", []string{"x"}), nil, 400, "invalid_callback"},
		"a code and an error":      {set("error", "access_denied"), nil, 400, "invalid_callback"},
		"an ID token":              {set("nonce", "n"), nil, 400, "invalid_callback"},
		"a logout token":           {set("events", map[string]any{}), nil, 400, "invalid_callback"},
		"alg none":                 {nil, alg("none"), 400, "invalid_callback"},
		"alg HS256":                {nil, alg("HS256"), 400, "invalid_callback"},
		"alg RS256":                {nil, alg("RS256"), 400, "invalid_callback"},
		"another typ": {nil, func(t *testing.T, q url.Values) {
			q.Set("response", withHeader(t, q.Get("response"), func(h map[string]any) { h["typ"] = "at+jwt" }))
		}, 400, "invalid_callback"},
		"an unknown key": {nil, func(t *testing.T, q url.Values) {
			q.Set("response", withHeader(t, q.Get("response"), func(h map[string]any) { h["kid"] = "another" }))
		}, 400, "invalid_callback"},
		"another signature": {nil, func(_ *testing.T, q url.Values) {
			token := q.Get("response")
			q.Set("response", token[:strings.LastIndex(token, ".")+1]+strings.Repeat("A", 342))
		}, 400, "invalid_callback"},
		"no signature": {nil, func(_ *testing.T, q url.Values) {
			token := q.Get("response")
			q.Set("response", token[:strings.LastIndex(token, ".")+1])
		}, 400, "invalid_callback"},
		"not a JWT":               {nil, func(_ *testing.T, q url.Values) { q.Set("response", "x") }, 400, "invalid_callback"},
		"five parts of anything":  {nil, func(_ *testing.T, q url.Values) { q.Set("response", "e30.a.b.c.d") }, 400, "invalid_callback"},
		"empty":                   {nil, func(_ *testing.T, q url.Values) { q.Set("response", "") }, 400, "invalid_callback"},
		"twice":                   {nil, func(_ *testing.T, q url.Values) { q.Add("response", q.Get("response")) }, 400, "invalid_callback"},
		"too long":                {nil, func(_ *testing.T, q url.Values) { q.Set("more", strings.Repeat("x", 16<<10)) }, 400, "invalid_callback"},
		"a plain code beside it":  {nil, func(_ *testing.T, q url.Values) { q.Set("code", "x") }, 400, "invalid_callback"},
		"a plain error beside it": {nil, func(_ *testing.T, q url.Values) { q.Set("error", "access_denied") }, 400, "invalid_callback"},
		"a plain iss beside it":   {nil, func(_ *testing.T, q url.Values) { q.Set("iss", "https://id.example") }, 400, "invalid_callback"},
		"a plain response": {nil, func(t *testing.T, q url.Values) {
			_, claims := jwtParts(t, q.Get("response"))
			for _, name := range []string{"code", "state", "iss"} {
				q.Set(name, claims[name].(string))
			}
			q.Del("response")
		}, 400, "invalid_callback"},
		"a plain error": {nil, func(t *testing.T, q url.Values) {
			_, claims := jwtParts(t, q.Get("response"))
			q.Set("error", "access_denied")
			q.Set("state", claims["state"].(string))
			q.Del("response")
		}, 400, "invalid_callback"},
		"refused by the person":      {func(c map[string]any) { delete(c, "code"); c["error"] = "access_denied" }, nil, 403, "access_denied"},
		"refused by the provider":    {func(c map[string]any) { delete(c, "code"); c["error"] = "invalid_request" }, nil, 502, "provider_error"},
		"the provider's own trouble": {func(c map[string]any) { delete(c, "code"); c["error"] = "server_error" }, nil, 503, "provider_unavailable"},
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w, seen := newSigning(t, idtest.Client{})
			if row.claims != nil {
				w.provider.SetSignedResponse(row.claims)
			}
			b := w.browser(t)
			callback := w.authorize(t, b.begin("/auth/login"), "alice")
			if row.query != nil {
				q := query(t, callback)
				row.query(t, q)
				callback = base + "/auth/callback?" + q.Encode()
			}
			sent := len(seen.requests)
			a := b.route("GET", callback, fetches)
			if a.Status != row.status || !strings.Contains(string(a.Body), `"`+row.code+`"`) {
				t.Errorf("the answer is %d %s: %s", a.Status, a.Body, w.log)
			}
			if len(seen.requests) != sent {
				t.Error("something was sent")
			}
		}))
	}
}

// A response that cannot be verified now can be reloaded.
func TestSignedResponseWithoutKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w, _ := newSigning(t, idtest.Client{})
		b := w.browser(t)
		callback := w.authorize(t, b.begin("/auth/login"), "alice")
		w.Client = w.client(t) // another process, which has no keys yet
		b.client = w.Client
		w.provider.Fail(idtest.KeySet, idtest.Fault{Status: http.StatusServiceUnavailable})
		if a := b.route("GET", callback, navigates); a.Status != http.StatusServiceUnavailable {
			t.Errorf("the answer is %d: %s", a.Status, w.log)
		}
		w.provider.Heal(idtest.KeySet)
		w.clock.advance(15 * time.Second)
		if a := b.route("GET", callback, navigates); a.Status != http.StatusSeeOther {
			t.Errorf("reloaded, the answer is %d: %s", a.Status, w.log)
		}
	})
}

// What the metadata rules out, and what New does.
func TestMessageSigningRefused(t *testing.T) {
	for member, value := range map[string]any{
		"request_object_signing_alg_values_supported": []string{"PS256"}, "authorization_signing_alg_values_supported": []string{"RS256"},
		"response_modes_supported": []string{"query", "form_post"},
	} {
		t.Run(member, inBubble(func(t *testing.T) {
			w, _ := newSigning(t, idtest.Client{})
			w.provider.SetMetadata(func(m map[string]any) { m[member] = value })
			a := w.browser(t).route("GET", "/auth/login", navigates)
			if a.Status != http.StatusBadGateway || !strings.Contains(w.log.String(), member) {
				t.Errorf("the answer is %d: %s", a.Status, w.log)
			}
			w.provider.SetMetadata(func(m map[string]any) { delete(m, member) })
			if a := (&browser{t, w.client(t), map[string]string{}}).route("GET", "/auth/login", navigates); a.Status != http.StatusSeeOther {
				t.Errorf("without the member, the answer is %d: %s", a.Status, w.log)
			}
		}))
	}
	cfg := goodConfig()
	c := clientCertificates()
	cfg.ClientSecret, cfg.Profile, cfg.ClientCertificate = "", "fapi2-message-signing", presents(&c.selfSigned)
	if _, err := idserver.New(cfg); err == nil || !strings.Contains(err.Error(), "ClientKeys (IDSERVER_CLIENT_KEYS) has no key that signs, and Profile (IDSERVER_PROFILE) is fapi2-message-signing") {
		t.Errorf("got %v", err)
	}
}

// FuzzSignedResponse gives the claims of a response that the provider has signed, and what stands beside it. What is accepted is one to
// the letter.
func FuzzSignedResponse(f *testing.F) {
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	signer, err := jose.NewSigner(signP256(), "")
	if err != nil {
		f.Fatal(err)
	}
	cfg := goodConfig()
	cfg.ClientSecret, cfg.Profile, cfg.ClientKeys = "", "fapi2-message-signing", []idserver.ClientKey{{ID: "s1", Private: signP256()}}
	cfg.Now = func() time.Time { return now }
	var keys []byte
	metadata := document(map[string]any{"pushed_authorization_request_endpoint": "https://id.example/par"})
	cfg.HTTP.Client = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body := keys
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			body = metadata
		}
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	})}
	client, err := idserver.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	keys = client.PublicKeys()
	good := map[string]any{"iss": "https://id.example", "aud": cfg.ClientID, "exp": now.Unix() + 60, "state": "S", "code": "C"}
	for _, edit := range []func(map[string]any){
		func(map[string]any) {}, func(m map[string]any) { m["error"] = "x" }, func(m map[string]any) { m["aud"] = []string{cfg.ClientID} },
		func(m map[string]any) { delete(m, "state") }, func(m map[string]any) { m["exp"] = "x" }, func(m map[string]any) { m["code"] = 1 },
	} {
		m := map[string]any{}
		for name, value := range good {
			m[name] = value
		}
		edit(m)
		f.Add(string(jsonOf(m)), "")
		f.Add(string(jsonOf(m)), "&code=x")
		f.Add(string(jsonOf(m)), "&%63ode=x&response=a")
	}
	f.Fuzz(func(t *testing.T, claims, beside string) {
		token, err := signer.Sign(jose.SigningHeader{KeyID: "s1"}, []byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		code, err := client.ReadCallback(t.Context(), "response="+token+beside, &idserver.AuthorizationRequest{State: "S"})
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Errorf("the error %q has control characters", err)
			}
			return
		}
		var said struct {
			Iss, State, Code, Error string
			Aud                     any
			Exp                     float64
		}
		if err := json.Unmarshal([]byte(claims), &said); err != nil {
			t.Fatal(err)
		}
		if list, ok := said.Aud.([]any); ok && len(list) == 1 {
			said.Aud = list[0]
		}
		if said.Iss != "https://id.example" || said.State != "S" || code != said.Code || code == "" || said.Error != "" || said.Aud != any(cfg.ClientID) || said.Exp <= float64(now.Unix()-10) {
			t.Errorf("accepted: %s", claims)
		}
		if values, err := url.ParseQuery("response=x" + beside); err == nil && (len(values["response"]) != 1 || values.Has("code") || values.Has("state") || values.Has("iss") || values.Has("error")) {
			t.Errorf("accepted beside %q", beside)
		}
	})
}
