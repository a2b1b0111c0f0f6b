package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

func TestAccessTokenAccepted(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		edit  func(*idToken)
		check idserver.AccessTokenCheck
	}{
		"as it is":                       {func(*idToken) {}, idserver.AccessTokenCheck{}},
		"typ with application/":          {header("typ", "application/at+jwt"), idserver.AccessTokenCheck{}},
		"typ in upper case":              {header("typ", "AT+JWT"), idserver.AccessTokenCheck{}},
		"typ JWT, as many providers":     {header("typ", "JWT"), idserver.AccessTokenCheck{}},
		"no typ":                         {header("typ", nil), idserver.AccessTokenCheck{}},
		"aud among others":               {claim("aud", []string{"another", "idserver-api"}), idserver.AccessTokenCheck{}},
		"no iat":                         {claim("iat", nil), idserver.AccessTokenCheck{}},
		"iat long ago":                   {dated("iat", -86400), idserver.AccessTokenCheck{}},
		"no jti, client_id nor scope":    {all(claim("jti", nil), claim("client_id", nil), claim("scope", nil)), idserver.AccessTokenCheck{}},
		"azp of another client":          {claim("azp", "another"), idserver.AccessTokenCheck{}},
		"scope as an array":              {all(claim("scope", nil), claim("scp", []string{"a", "b"})), idserver.AccessTokenCheck{}},
		"300 groups":                     {claim("groups", groups(300)), idserver.AccessTokenCheck{}},
		"nearly 64 kB":                   {claim("x", strings.Repeat("x", 47<<10)), idserver.AccessTokenCheck{}},
		"over as soon as it began":       {all(dated("iat", 5), dated("exp", 5)), idserver.AccessTokenCheck{}},
		"exp within the leeway":          {all(dated("iat", -60), dated("exp", -9)), idserver.AccessTokenCheck{}},
		"nbf within the leeway":          {dated("nbf", 10), idserver.AccessTokenCheck{}},
		"iat within the leeway":          {dated("iat", 10), idserver.AccessTokenCheck{}},
		"another audience, asked for":    {claim("aud", "other-api"), idserver.AccessTokenCheck{Audience: "other-api"}},
		"more leeway":                    {all(dated("iat", -60), dated("exp", -59)), idserver.AccessTokenCheck{Leeway: time.Minute}},
		"the most leeway there is":       {all(dated("iat", -300), dated("exp", -299)), idserver.AccessTokenCheck{Leeway: time.Hour}},
		"no leeway":                      {dated("exp", 1), idserver.AccessTokenCheck{Leeway: -1}},
		"leeway below zero is none":      {dated("exp", 1), idserver.AccessTokenCheck{Leeway: -time.Hour}},
		"claims of the same name, other": {claim("AUD", "another"), idserver.AccessTokenCheck{}},

		// What decides nothing refuses nobody.
		"nonce null":                      {claim("nonce", json.RawMessage("null")), idserver.AccessTokenCheck{}},
		"nonce, typ at+jwt":               {claim("nonce", "x"), idserver.AccessTokenCheck{}},
		"nonce, another aud and a scope":  {all(header("typ", "JWT"), claim("nonce", "x")), idserver.AccessTokenCheck{}},
		"nonce, no typ and a client_id":   {all(header("typ", nil), claim("nonce", "x"), claim("scope", nil)), idserver.AccessTokenCheck{}},
		"at_hash null":                    {claim("at_hash", json.RawMessage("null")), idserver.AccessTokenCheck{}},
		"nbf 0":                           {claim("nbf", 0), idserver.AccessTokenCheck{}},
		"nbf of the year 1":               {claim("nbf", -62135596800), idserver.AccessTokenCheck{}},
		"iat 0":                           {claim("iat", 0), idserver.AccessTokenCheck{}},
		"iat a string":                    {claim("iat", "now"), idserver.AccessTokenCheck{}},
		"auth_time 0":                     {claim("auth_time", 0), idserver.AccessTokenCheck{}},
		"auth_time a string":              {claim("auth_time", "now"), idserver.AccessTokenCheck{}},
		"azp a number, nonce odd":         {all(claim("azp", 1), claim("nonce", 1)), idserver.AccessTokenCheck{}},
		"azp null":                        {claim("azp", json.RawMessage("null")), idserver.AccessTokenCheck{}},
		"aud twice":                       {claim("aud", []string{"idserver-api", "idserver-api"}), idserver.AccessTokenCheck{}},
		"name and e-mail of a wrong type": {all(claim("name", 1), claim("email", []string{"a"}), claim("email_verified", "yes"), claim("given_name", true)), idserver.AccessTokenCheck{}},
		"token_use access":                {claim("token_use", "access"), idserver.AccessTokenCheck{}},
		"half a character in a name": {func(i *idToken) {
			i.claims["name"] = "?"
			i.raw = i.world.provider.SignRaw(i.header, strings.Replace(string(jsonOf(i.claims)), `"?"`, `"Al\ud83d"`, 1))
		}, idserver.AccessTokenCheck{}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newAccessToken(w)
			row.edit(i)
			u, err := w.ValidateAccessToken(t.Context(), i.token(), row.check)
			if err != nil {
				t.Fatal(err)
			}
			if u.Subject != "alice" || u.Issuer != w.provider.URL() || !u.HasBuiltInRole("admin") {
				t.Errorf("the user is %+v", u)
			}
		})
	}
}

// Each row is one thing wrong with a good access token.
func TestAccessTokenRefused(t *testing.T) {
	w := newWorld(t)
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	for name, row := range map[string]struct {
		reason idserver.Reason
		edit   func(*idToken)
		check  idserver.AccessTokenCheck
	}{
		"opaque":                       {idserver.ReasonMalformed, func(i *idToken) { i.raw = "2YotnFZFEjr1zCsicMWpAA" }, idserver.AccessTokenCheck{}},
		"over before it began, by iat": {idserver.ReasonExpired, all(dated("iat", 5), dated("exp", 4)), idserver.AccessTokenCheck{}},
		"over before it began, by nbf": {idserver.ReasonExpired, all(dated("nbf", 5), dated("exp", 4)), idserver.AccessTokenCheck{}},
		"over before, within leeway":   {idserver.ReasonExpired, all(dated("iat", -4), dated("exp", -5)), idserver.AccessTokenCheck{}},
		"too long":                     {idserver.ReasonMalformed, claim("x", strings.Repeat("x", 64<<10)), idserver.AccessTokenCheck{}},
		"a claim twice":                {idserver.ReasonMalformed, payload(`{"sub":"alice","sub":"bob"}`), idserver.AccessTokenCheck{}},
		"exp a string":                 {idserver.ReasonMalformed, claim("exp", "4102444800"), idserver.AccessTokenCheck{}},
		"exp huge":                     {idserver.ReasonMalformed, claim("exp", json.RawMessage("1e300")), idserver.AccessTokenCheck{}},
		"nbf an object":                {idserver.ReasonMalformed, claim("nbf", map[string]any{}), idserver.AccessTokenCheck{}},
		"sub a number":                 {idserver.ReasonMalformed, claim("sub", 1), idserver.AccessTokenCheck{}},
		"alg none":                     {idserver.ReasonAlgorithm, all(header("alg", "none"), func(i *idToken) { i.sign = func(s string) string { return s + "." } }), idserver.AccessTokenCheck{}},
		"HS256":                        {idserver.ReasonAlgorithm, all(header("alg", "HS256"), macWith(func(*idToken) []byte { return []byte(idtest.ExampleSecret) })), idserver.AccessTokenCheck{}},
		"an unknown key":               {idserver.ReasonUnknownKey, header("kid", "another"), idserver.AccessTokenCheck{}},
		"a stranger's key":             {idserver.ReasonSignature, func(i *idToken) { i.raw = stranger.SignRaw(i.header, i.claims) }, idserver.AccessTokenCheck{}},
		"no signature":                 {idserver.ReasonSignature, func(i *idToken) { i.sign = func(s string) string { return s + "." } }, idserver.AccessTokenCheck{}},

		"a logout token's typ":    {idserver.ReasonType, header("typ", "logout+jwt"), idserver.AccessTokenCheck{}},
		"a DPoP proof's typ":      {idserver.ReasonType, header("typ", "dpop+jwt"), idserver.AccessTokenCheck{}},
		"an introspection's":      {idserver.ReasonType, header("typ", "token-introspection+jwt"), idserver.AccessTokenCheck{}},
		"nonce, aud the client":   {idserver.ReasonType, all(header("typ", "JWT"), claim("nonce", "x"), claim("aud", []string{"idserver-api", idtest.ExampleClient})), idserver.AccessTokenCheck{}},
		"nonce, and nothing else": {idserver.ReasonType, all(header("typ", nil), claim("nonce", "x"), claim("scope", nil), claim("client_id", nil)), idserver.AccessTokenCheck{}},
		"an odd nonce":            {idserver.ReasonType, all(header("typ", "JWT"), claim("nonce", 1), claim("scope", nil), claim("client_id", nil)), idserver.AccessTokenCheck{}},
		"token_use id":            {idserver.ReasonType, claim("token_use", "id"), idserver.AccessTokenCheck{}},
		"half a character in sub": {idserver.ReasonMalformed, payload(`{"sub":"alice\ud83d"}`), idserver.AccessTokenCheck{}},
		"nbf a string":            {idserver.ReasonMalformed, claim("nbf", "now"), idserver.AccessTokenCheck{}},
		"at_hash":                 {idserver.ReasonType, claim("at_hash", "x"), idserver.AccessTokenCheck{}},
		"c_hash":                  {idserver.ReasonType, claim("c_hash", "x"), idserver.AccessTokenCheck{}},
		"events":                  {idserver.ReasonType, claim("events", map[string]any{}), idserver.AccessTokenCheck{}},
		"bound to a key":          {idserver.ReasonType, claim("cnf", map[string]any{"jkt": "x"}), idserver.AccessTokenCheck{}},
		"bound to a cert":         {idserver.ReasonType, claim("cnf", map[string]any{"x5t#S256": "x"}), idserver.AccessTokenCheck{}},
		"cnf null":                {idserver.ReasonType, claim("cnf", json.RawMessage("null")), idserver.AccessTokenCheck{}},
		"another iss":             {idserver.ReasonIssuer, claim("iss", "https://evil.example"), idserver.AccessTokenCheck{}},
		"iss with a slash":        {idserver.ReasonIssuer, func(i *idToken) { i.claims["iss"] = i.world.provider.URL() + "/" }, idserver.AccessTokenCheck{}},
		"no iss":                  {idserver.ReasonIssuer, claim("iss", nil), idserver.AccessTokenCheck{}},
		"another aud":             {idserver.ReasonAudience, claim("aud", "another"), idserver.AccessTokenCheck{}},
		"aud the client":          {idserver.ReasonAudience, claim("aud", idtest.ExampleClient), idserver.AccessTokenCheck{}},
		"aud in upper case":       {idserver.ReasonAudience, claim("aud", "IDSERVER-API"), idserver.AccessTokenCheck{}},
		"no aud":                  {idserver.ReasonAudience, claim("aud", nil), idserver.AccessTokenCheck{}},
		"aud an empty array":      {idserver.ReasonAudience, claim("aud", []string{}), idserver.AccessTokenCheck{}},
		"not the audience":        {idserver.ReasonAudience, func(*idToken) {}, idserver.AccessTokenCheck{Audience: "other-api"}},
		"an empty audience":       {idserver.ReasonAudience, claim("aud", ""), idserver.AccessTokenCheck{Audience: ""}},
		"expired":                 {idserver.ReasonExpired, dated("exp", -10), idserver.AccessTokenCheck{}},
		"expired, no leeway":      {idserver.ReasonExpired, dated("exp", 0), idserver.AccessTokenCheck{Leeway: -1}},
		"beyond all leeway":       {idserver.ReasonExpired, dated("exp", -300), idserver.AccessTokenCheck{Leeway: time.Hour}},
		"no exp":                  {idserver.ReasonExpired, claim("exp", nil), idserver.AccessTokenCheck{}},
		"nbf ahead":               {idserver.ReasonNotYetValid, dated("nbf", 11), idserver.AccessTokenCheck{}},
		"iat ahead":               {idserver.ReasonNotYetValid, dated("iat", 11), idserver.AccessTokenCheck{}},
		"nbf ahead, no leeway":    {idserver.ReasonNotYetValid, dated("nbf", 1), idserver.AccessTokenCheck{Leeway: -1}},
		"no sub":                  {idserver.ReasonSubject, claim("sub", nil), idserver.AccessTokenCheck{}},
		"sub empty":               {idserver.ReasonSubject, claim("sub", ""), idserver.AccessTokenCheck{}},
		"sub too long":            {idserver.ReasonSubject, claim("sub", strings.Repeat("s", 256)), idserver.AccessTokenCheck{}},
	} {
		t.Run(name, func(t *testing.T) {
			i := newAccessToken(w)
			row.edit(i)
			token := i.token()
			u, err := w.ValidateAccessToken(t.Context(), token, row.check)
			refused(t, err, row.reason)
			if u != nil {
				t.Errorf("a user came with the refusal: %+v", u)
			}
			if strings.Contains(err.Error(), token) {
				t.Errorf("the error %q holds the token", err)
			}
		})
	}
}

// The two kinds of a real sign-in are never taken for each other, whatever the audience is.
func TestTokensAreNotMistaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		for _, audience := range []string{"idserver-api", idtest.ExampleClient, w.provider.URL()} {
			_, err := w.ValidateAccessToken(t.Context(), tokens.IDToken, idserver.AccessTokenCheck{Audience: audience})
			refused(t, err, idserver.ReasonType)
		}
		_, err := w.ValidateIDToken(t.Context(), tokens.AccessToken, idserver.IDTokenCheck{Nonce: "x"})
		refused(t, err, idserver.ReasonType)
		_, err = w.ValidateAccessToken(t.Context(), tokens.RefreshToken, idserver.AccessTokenCheck{})
		refused(t, err, idserver.ReasonMalformed)
	})
}

// Once the keys are known no token costs a request, and a made-up kid costs one in ten seconds.
func TestAccessTokenCostsNoRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.provider.MintAccessToken("alice")
		unknown := newAccessToken(w)
		unknown.header["kid"] = "made-up"
		for range 5 {
			if _, err := w.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{}); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			_, err := w.ValidateAccessToken(t.Context(), unknown.token(), idserver.AccessTokenCheck{})
			refused(t, err, idserver.ReasonUnknownKey)
		}
		if d, k := w.provider.Requests(idtest.Discovery), w.provider.Requests(idtest.KeySet); d != 1 || k != 2 {
			t.Errorf("%d requests for metadata and %d for keys, want 1 and 2", d, k)
		}
	})
}

// While the provider is away nothing is said of a token that may be good: for now, or where somebody has to mend something,
// until then. With keys at hand tokens go on being judged, and what a token says of itself is no secret of the provider's.
func TestAccessTokenWithoutProvider(t *testing.T) {
	w := newWorld(t)
	good, expired := w.provider.MintAccessToken("alice"), newAccessToken(w)
	expired.claims["exp"] = expired.in(-60)
	unavailable := func(client *idserver.Client, token string) {
		t.Helper()
		_, err := client.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if !errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Errorf("got %v, want ErrUnavailable alone", err)
		}
	}
	misconfigured := func(client *idserver.Client, token string) {
		t.Helper()
		_, err := client.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if !errors.Is(err, idserver.ErrDiscovery) || errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) || !strings.Contains(err.Error(), "IDSERVER_AUTHORITY") {
			t.Errorf("got %v, want ErrDiscovery alone, with what to change", err)
		}
	}
	mended := []string{"404", "410", "HTML", "a redirect"}
	for _, endpoint := range []idtest.Endpoint{idtest.Discovery, idtest.KeySet} {
		for name, fault := range map[string]idtest.Fault{
			"500": {}, "404": {Status: 404}, "410": {Status: 410}, "429": {Status: 429}, "drop": {Drop: true}, "HTML": {HTML: true}, "endless": {Endless: true},
			"a redirect": {Redirect: "http://127.0.0.1:1/"}, "nothing": {Status: 200}, "an array": {Body: `[]`}, "twice": {Body: `{"keys":[],"keys":[]}`},
		} {
			t.Run(string(endpoint)+" "+name, func(t *testing.T) {
				w.provider.Fail(endpoint, fault)
				client := w.client(t)
				if slices.Contains(mended, name) {
					misconfigured(client, good)
				} else {
					unavailable(client, good)
				}
				_, err := client.ValidateAccessToken(t.Context(), expired.token(), idserver.AccessTokenCheck{})
				refused(t, err, idserver.ReasonExpired)
				w.provider.Heal(endpoint)
			})
		}
	}
	if _, err := w.ValidateAccessToken(t.Context(), good, idserver.AccessTokenCheck{}); err != nil {
		t.Fatal(err)
	}
	w.provider.Close()
	if _, err := w.ValidateAccessToken(t.Context(), good, idserver.AccessTokenCheck{}); err != nil {
		t.Errorf("with the keys at hand: %v", err)
	}
	_, err := w.ValidateAccessToken(t.Context(), expired.token(), idserver.AccessTokenCheck{})
	refused(t, err, idserver.ReasonExpired)

	unknown := newAccessToken(w)
	unknown.header["kid"] = "another"
	unavailable(w.Client, unknown.token()) // the key may be one that the provider has made since
}

// A caller who leaves is told so, and the next one is served.
func TestAccessTokenCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.provider.Fail(idtest.Discovery, idtest.Fault{Hang: true, Once: true})
		_, err := w.ValidateAccessToken(ctx, w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{})
		if !errors.Is(err, context.Canceled) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestAudienceOfConfig(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret, c.ClientID, c.Audience = "", "", "", "orders" })
		_, err := api.ValidateAccessToken(t.Context(), w.provider.MintAccessToken("alice"), idserver.AccessTokenCheck{})
		refused(t, err, idserver.ReasonAudience)
		token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = []string{"orders"} })
		u, err := api.ValidateAccessToken(t.Context(), token, idserver.AccessTokenCheck{})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(u.Roles, []string{"admin", "user"}) || !slices.Equal(u.CustomRoles, []string{"billing"}) {
			t.Errorf("the roles are %q and %q", u.Roles, u.CustomRoles)
		}
	})
}

// Tokens with 300 groups work where they need not fit into a cookie: by hand, and at an API.
func TestTokensWithManyGroups(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		many := func(c map[string]any) { c["groups"] = groups(300) }
		w.provider.SetIDTokenClaims(many)
		w.provider.SetAccessTokenClaims(many)
		_, tokens := signInByHand(t, w, w.Client, "alice")
		if len(tokens.IDToken) < 16<<10 || len(tokens.AccessToken) < 16<<10 {
			t.Fatalf("they have %d and %d bytes", len(tokens.IDToken), len(tokens.AccessToken))
		}
		for range 2 { // the second time it is remembered
			u, err := w.ValidateAccessToken(t.Context(), tokens.AccessToken, idserver.AccessTokenCheck{})
			var said struct {
				Groups []string `json:"groups"`
			}
			if err != nil || u.Claims(&said) != nil || len(said.Groups) != 300 {
				t.Errorf("%v with %d groups, %v", u, len(said.Groups), err)
			}
		}
		if _, err := w.RefreshToken(t.Context(), tokens); err != nil {
			t.Error(err)
		}
	})
}

// An ID token must not open an API whose audience is the client itself. At such a provider only what tells that it is an access
// token is one.
func TestIDTokenIsNoAccessToken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, func(c *idserver.Config) { c.Audience = c.ClientID })
		plain := func(more map[string]any) map[string]any {
			c := map[string]any{
				"iss": w.provider.URL(), "sub": "alice", "aud": idtest.ExampleClient,
				"iat": w.clock.Now().Unix(), "exp": w.clock.Now().Unix() + 600,
			}
			for name, value := range more {
				c[name] = value
			}
			return c
		}
		header := func(typ string) map[string]any {
			h := map[string]any{"alg": "RS256", "kid": w.provider.KeyID()}
			if typ != "" {
				h["typ"] = typ
			}
			return h
		}
		for name, row := range map[string]struct {
			token    string
			accepted bool
		}{
			"an ID token of the sign-in":   {w.provider.MintIDToken("alice", idtest.ExampleClient), false},
			"one without a nonce":          {w.provider.MintIDToken("alice", idtest.ExampleClient, func(c map[string]any) { delete(c, "nonce"); delete(c, "at_hash") }), false},
			"no typ":                       {w.provider.SignRaw(header(""), plain(nil)), false},
			"typ JWT":                      {w.provider.SignRaw(header("JWT"), plain(nil)), false},
			"typ JWT, azp":                 {w.provider.SignRaw(header("JWT"), plain(map[string]any{"azp": idtest.ExampleClient})), false},
			"typ JWT and a scope":          {w.provider.SignRaw(header("JWT"), plain(map[string]any{"scope": "openid"})), true},
			"typ JWT and a scp":            {w.provider.SignRaw(header("JWT"), plain(map[string]any{"scp": []string{"read"}})), true},
			"no typ and a client_id":       {w.provider.SignRaw(header(""), plain(map[string]any{"client_id": "x"})), true},
			"typ at+jwt":                   {w.provider.SignRaw(header("at+jwt"), plain(nil)), true},
			"typ application/AT+JWT":       {w.provider.SignRaw(header("application/AT+JWT"), plain(nil)), true},
			"typ at+jwt and a nonce":       {w.provider.SignRaw(header("at+jwt"), plain(map[string]any{"nonce": "n"})), true},
			"a scope and a nonce, typ JWT": {w.provider.SignRaw(header("JWT"), plain(map[string]any{"nonce": "n", "scope": "openid"})), false},
		} {
			_, err := w.ValidateAccessToken(t.Context(), row.token, idserver.AccessTokenCheck{})
			if row.accepted != (err == nil) {
				t.Errorf("%s: %v", name, err)
			}
			if !row.accepted {
				refused(t, err, idserver.ReasonType)
			}
			_, a := w.browser(t).pass(w.RequireUser(), "GET", "/api", bearer(row.token))
			if row.accepted == a.Ends() || a.Ends() && a.Status != http.StatusUnauthorized {
				t.Errorf("%s: the guard ends with %d", name, a.Status)
			}
		}
	})
}

// What a stranger's token says of itself is cut in errors: the log gets a line and no book.
func TestWhatTokensSayIsCut(t *testing.T) {
	long := strings.Repeat("x", 30<<10)
	for name, edit := range map[string]func(*idToken){
		"iss": claim("iss", long), "aud": claim("aud", []string{long, "b", "c", "d", "e", "f"}), "typ": header("typ", long), "alg": header("alg", long),
	} {
		t.Run(name, inBubble(func(t *testing.T) {
			w := newAPI(t, false)
			i := newAccessToken(w)
			edit(i)
			_, err := w.ValidateAccessToken(t.Context(), i.token(), idserver.AccessTokenCheck{})
			if !errors.Is(err, idserver.ErrInvalidToken) || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "xxx") {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}))
	}
}
