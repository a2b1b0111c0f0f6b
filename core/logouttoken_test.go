package idserver_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// newLogoutToken is a good logout token for alice's session "s".
func newLogoutToken(w *world) *idToken {
	i := newIDToken(w)
	i.header["typ"] = "logout+jwt"
	i.claims = map[string]any{
		"iss": w.provider.URL(), "sub": aliceSubject, "sid": "s", "aud": idtest.ExampleClient, "iat": i.in(0), "exp": i.in(120), "jti": "j",
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	return i
}

func TestLogoutTokenAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for name, edit := range map[string]func(*idToken){
			"as it is":                      func(*idToken) {},
			"typ application/logout+jwt":    header("typ", "application/logout+jwt"),
			"typ in upper case":             header("typ", "LOGOUT+JWT"),
			"typ JWT":                       header("typ", "JWT"),
			"no typ":                        header("typ", nil),
			"no sid":                        claim("sid", nil),
			"sid null":                      claim("sid", json.RawMessage("null")),
			"no sub":                        claim("sub", nil),
			"sub null":                      claim("sub", json.RawMessage("null")),
			"no jti, which nobody asks for": claim("jti", nil),
			"another member of events":      claim("events", map[string]any{logoutEvent: map[string]any{}, "https://op.example/more": "x"}),
			"a member in the event":         claim("events", map[string]any{logoutEvent: map[string]any{"reason": "admin"}}),
			"aud of two":                    claim("aud", []string{"another", idtest.ExampleClient}),
			"azp":                           claim("azp", idtest.ExampleClient),
			"issued an hour ago":            dated("iat", -3600),
			"exp within the leeway":         all(dated("iat", -60), dated("exp", -9)),
			"iat ahead within the leeway":   dated("iat", 10),
			"iat with a fraction":           func(i *idToken) { i.claims["iat"] = float64(i.in(-1)) + 0.5 },
			"claims that nobody knows":      claim("trace_id", 4711),
		} {
			i := newLogoutToken(w)
			edit(i)
			if a := logout(t, w.Client, i.token()); a.Status != 200 || field(a, "Cache-Control") != "no-store" || len(a.Body) != 0 || cookiesSet(a) != 0 {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
	})
}

// Each row is one thing wrong with a good logout token.
func TestLogoutTokenRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		warm(t, w)
		stranger := idtest.NewProvider(t, func(o *idtest.Options) { o.InMemory = true })
		stranger.RotateKey()
		r, code := authorizedCode(t, w, w.Client, "alice")
		tokens, err := w.ExchangeCode(t.Context(), code, r)
		if err != nil {
			t.Fatal(err)
		}
		for name, row := range map[string]struct {
			reason idserver.Reason
			edit   func(*idToken)
		}{
			"no token":               {idserver.ReasonMalformed, func(i *idToken) { i.raw = "opaque" }},
			"encrypted, to nobody":   {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.token() + ".x.y" }},
			"claims an array":        {idserver.ReasonMalformed, payload("[]")},
			"sub a number":           {idserver.ReasonMalformed, claim("sub", 1)},
			"sid a number":           {idserver.ReasonMalformed, claim("sid", 1)},
			"sid an array":           {idserver.ReasonMalformed, claim("sid", []string{"s"})},
			"iat a string":           {idserver.ReasonMalformed, claim("iat", "now")},
			"aud a number":           {idserver.ReasonMalformed, claim("aud", 1)},
			"events twice":           {idserver.ReasonMalformed, payload(`{"events":{},"events":{}}`)},
			"alg none":               {idserver.ReasonAlgorithm, func(i *idToken) { i.header["alg"], i.sign = "none", func(s string) string { return s + "." } }},
			"alg none, signed":       {idserver.ReasonAlgorithm, header("alg", "none")},
			"alg HS256":              {idserver.ReasonAlgorithm, header("alg", "HS256")},
			"another's key":          {idserver.ReasonUnknownKey, func(i *idToken) { i.header["kid"] = stranger.KeyID(); i.raw = stranger.SignRaw(i.header, i.claims) }},
			"another's signature":    {idserver.ReasonSignature, func(i *idToken) { i.raw = stranger.SignRaw(i.header, i.claims) }},
			"typ at+jwt":             {idserver.ReasonType, header("typ", "at+jwt")},
			"typ secevent+jwt":       {idserver.ReasonType, header("typ", "secevent+jwt")},
			"typ dpop+jwt":           {idserver.ReasonType, header("typ", "dpop+jwt")},
			"iss of another":         {idserver.ReasonIssuer, claim("iss", "https://evil.example")},
			"iss with a slash":       {idserver.ReasonIssuer, claim("iss", w.provider.URL()+"/")},
			"no iss":                 {idserver.ReasonIssuer, claim("iss", nil)},
			"aud of another":         {idserver.ReasonAudience, claim("aud", "another")},
			"aud of an access token": {idserver.ReasonAudience, claim("aud", "idserver-api")},
			"no aud":                 {idserver.ReasonAudience, claim("aud", nil)},
			"azp of another":         {idserver.ReasonAuthorizedParty, claim("azp", "another")},
			"no iat":                 {idserver.ReasonIssuedAt, claim("iat", nil)},
			"iat ahead":              {idserver.ReasonNotYetValid, dated("iat", 11)},
			"nbf ahead":              {idserver.ReasonNotYetValid, dated("nbf", 11)},
			"no exp":                 {idserver.ReasonExpired, claim("exp", nil)},
			"expired":                {idserver.ReasonExpired, all(dated("iat", -120), dated("exp", -10))},
			"exp before iat":         {idserver.ReasonExpired, all(dated("iat", 5), dated("exp", 4))},
			"neither sub nor sid":    {idserver.ReasonSubject, all(claim("sub", nil), claim("sid", nil))},
			"both null":              {idserver.ReasonSubject, all(claim("sub", json.RawMessage("null")), claim("sid", json.RawMessage("null")))},
			"both empty":             {idserver.ReasonSubject, all(claim("sub", ""), claim("sid", ""))},
			"sub too long":           {idserver.ReasonSubject, claim("sub", strings.Repeat("s", 256))},
			"no events":              {idserver.ReasonType, claim("events", nil)},
			"events null":            {idserver.ReasonType, claim("events", json.RawMessage("null"))},
			"events an array":        {idserver.ReasonType, claim("events", []string{logoutEvent})},
			"events a string":        {idserver.ReasonType, claim("events", logoutEvent)},
			"events empty":           {idserver.ReasonType, claim("events", map[string]any{})},
			"another event":          {idserver.ReasonType, claim("events", map[string]any{"http://schemas.openid.net/event/frontchannel-logout": map[string]any{}})},
			"the event in capitals":  {idserver.ReasonType, claim("events", map[string]any{strings.ToUpper(logoutEvent): map[string]any{}})},
			"the event null":         {idserver.ReasonType, claim("events", map[string]any{logoutEvent: nil})},
			"the event true":         {idserver.ReasonType, claim("events", map[string]any{logoutEvent: true})},
			"the event an array":     {idserver.ReasonType, claim("events", map[string]any{logoutEvent: []int{}})},
			"a nonce":                {idserver.ReasonNonce, claim("nonce", "n")},
			"a nonce of null":        {idserver.ReasonNonce, claim("nonce", json.RawMessage("null"))},
			"an ID token":            {idserver.ReasonType, func(i *idToken) { i.raw = tokens.IDToken }},
			"an access token":        {idserver.ReasonType, func(i *idToken) { i.raw = tokens.AccessToken }},
		} {
			b := w.signedIn(t, "alice")
			i := newLogoutToken(w)
			delete(i.claims, "sid") // it would end every session of hers
			if strings.Contains(name, "sid") {
				i.claims["sid"] = "s"
			}
			row.edit(i)
			a := logout(t, w.Client, i.token())
			if a.Status != 400 || a.Refusal == nil || a.Refusal.Code != "invalid_logout_token" || field(a, "Cache-Control") != "no-store" {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
				continue
			}
			refused(t, a.Refusal.Err, row.reason)
			if !b.admits(w.Client) {
				t.Errorf("%s: a session has ended", name)
			}
		}
	})
}

// With keys that decrypt, a logout token must be encrypted as ID tokens are.
func TestEncryptedLogoutToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		client := withKeys(t, w, []idserver.ClientKey{{Private: signP256()}, {Private: openP256(), Use: "enc"}})
		a := logout(t, client, w.provider.MintLogoutToken("alice", idtest.ExampleClient))
		if a.Status != 400 {
			t.Fatalf("one that is not encrypted: %d", a.Status)
		}
		refused(t, a.Refusal.Err, idserver.ReasonEncryption)
		w.provider.AddClient(idtest.Client{ID: idtest.ExampleClient, JWKS: client.PublicKeys(), IDTokenEncryption: "A256GCM", AnyLoopbackRedirect: true})
		token := w.provider.MintLogoutToken("alice", idtest.ExampleClient)
		if a := logout(t, client, token); a.Status != 200 || strings.Count(token, ".") != 4 {
			t.Errorf("an encrypted one: %d %s", a.Status, a.Body)
		}
	})
}

// FuzzLogoutToken gives the header and the claims of a logout token that the provider has signed. What is accepted is one to the
// letter.
func FuzzLogoutToken(f *testing.F) {
	w := &world{clock: &clock{t: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}}
	w.provider = idtest.NewProvider(f, func(o *idtest.Options) { o.Now, o.InMemory = w.clock.Now, true })
	cfg := w.provider.Config(base)
	cfg.SessionSecret, cfg.Now, cfg.Logger = secretOne, w.clock.Now, slog.New(slog.DiscardHandler)
	client, err := idserver.New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(client.Close)
	for _, edit := range []func(*idToken){
		func(*idToken) {}, claim("nonce", "n"), claim("events", nil), claim("sub", nil), claim("sid", 1), header("typ", "at+jwt"), dated("exp", -100),
	} {
		i := newLogoutToken(w)
		edit(i)
		f.Add(string(jsonOf(i.header)), string(jsonOf(i.claims)))
	}
	f.Fuzz(func(t *testing.T, header, text string) {
		a := logout(t, client, w.provider.SignRaw(header, text))
		if a.Status == 400 {
			return
		}
		var has map[string]json.RawMessage
		var said struct {
			Iss, Sub, Sid string
			Iat, Exp      float64
			Events        map[string]map[string]any
		}
		if err := errors.Join(json.Unmarshal([]byte(text), &has), json.Unmarshal([]byte(text), &said)); a.Status != 200 || err != nil {
			t.Fatalf("%d %s: %v", a.Status, a.Body, err)
		}
		now := float64(w.clock.Now().Unix())
		switch {
		case said.Iss != w.provider.URL(), said.Sub == "" && said.Sid == "", said.Iat > now+10, said.Exp <= now-10, said.Events[logoutEvent] == nil, has["nonce"] != nil:
			t.Errorf("accepted: %s", text)
		}
	})
}
