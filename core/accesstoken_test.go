package idserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

// newAccessToken is a good access token, in the hands of the same edits as an ID token.
func newAccessToken(w *world) *idToken {
	now := w.clock.Now()
	return &idToken{
		header: map[string]any{"alg": "RS256", "kid": w.provider.KeyID(), "typ": "at+jwt"},
		claims: map[string]any{
			"iss": w.provider.URL(), "sub": "alice", "aud": "idserver-api", "exp": now.Unix() + 300, "iat": now.Unix(),
			"jti": "1", "client_id": idtest.ExampleClient, "scope": "openid", "roles": []string{"admin"},
		},
		now:   now,
		world: w,
	}
}

func TestAccessTokenAccepted(t *testing.T) {
	w := newWorld(t)
	type options = []idserver.ValidateOption
	for name, row := range map[string]struct {
		edit    func(*idToken)
		options options
	}{
		"as it is":                       {func(*idToken) {}, nil},
		"typ with application/":          {header("typ", "application/at+jwt"), nil},
		"typ in upper case":              {header("typ", "AT+JWT"), nil},
		"typ JWT, as many providers":     {header("typ", "JWT"), nil},
		"no typ":                         {header("typ", nil), nil},
		"aud among others":               {claim("aud", []string{"another", "idserver-api"}), nil},
		"no iat":                         {claim("iat", nil), nil},
		"iat long ago":                   {dated("iat", -86400), nil},
		"no jti, client_id nor scope":    {all(claim("jti", nil), claim("client_id", nil), claim("scope", nil)), nil},
		"azp of another client":          {claim("azp", "another"), nil},
		"scope as an array":              {all(claim("scope", nil), claim("scp", []string{"a", "b"})), nil},
		"exp within the leeway":          {dated("exp", -9), nil},
		"nbf within the leeway":          {dated("nbf", 10), nil},
		"iat within the leeway":          {dated("iat", 10), nil},
		"another audience, asked for":    {claim("aud", "other-api"), options{idserver.WithAudience("other-api")}},
		"more leeway":                    {dated("exp", -59), options{idserver.WithLeeway(time.Minute)}},
		"the most leeway there is":       {dated("exp", -299), options{idserver.WithLeeway(time.Hour)}},
		"no leeway":                      {dated("exp", 1), options{idserver.WithLeeway(0)}},
		"leeway below zero is none":      {dated("exp", 1), options{idserver.WithLeeway(-time.Hour)}},
		"the last option decides":        {func(*idToken) {}, options{idserver.WithAudience("x"), idserver.WithAudience("idserver-api")}},
		"claims of the same name, other": {claim("AUD", "another"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			i := newAccessToken(w)
			row.edit(i)
			u, err := w.ValidateToken(t.Context(), i.token(), row.options...)
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
	type options = []idserver.ValidateOption
	for name, row := range map[string]struct {
		reason  idserver.Reason
		edit    func(*idToken)
		options options
	}{
		"opaque":           {idserver.ReasonMalformed, func(i *idToken) { i.raw = "2YotnFZFEjr1zCsicMWpAA" }, nil},
		"too long":         {idserver.ReasonMalformed, claim("x", strings.Repeat("x", 16<<10)), nil},
		"a claim twice":    {idserver.ReasonMalformed, payload(`{"sub":"alice","sub":"bob"}`), nil},
		"exp a string":     {idserver.ReasonMalformed, claim("exp", "4102444800"), nil},
		"exp huge":         {idserver.ReasonMalformed, claim("exp", json.RawMessage("1e300")), nil},
		"nbf an object":    {idserver.ReasonMalformed, claim("nbf", map[string]any{}), nil},
		"sub a number":     {idserver.ReasonMalformed, claim("sub", 1), nil},
		"alg none":         {idserver.ReasonAlgorithm, all(header("alg", "none"), func(i *idToken) { i.sign = func(s string) string { return s + "." } }), nil},
		"HS256":            {idserver.ReasonAlgorithm, all(header("alg", "HS256"), macWith(func(*idToken) []byte { return []byte(idtest.ExampleSecret) })), nil},
		"an unknown key":   {idserver.ReasonUnknownKey, header("kid", "another"), nil},
		"a stranger's key": {idserver.ReasonSignature, func(i *idToken) { i.raw = stranger.SignRaw(i.header, i.claims) }, nil},
		"no signature":     {idserver.ReasonSignature, func(i *idToken) { i.sign = func(s string) string { return s + "." } }, nil},

		"a logout token's typ":  {idserver.ReasonType, header("typ", "logout+jwt"), nil},
		"a DPoP proof's typ":    {idserver.ReasonType, header("typ", "dpop+jwt"), nil},
		"an introspection's":    {idserver.ReasonType, header("typ", "token-introspection+jwt"), nil},
		"nonce":                 {idserver.ReasonType, claim("nonce", "x"), nil},
		"nonce null":            {idserver.ReasonType, claim("nonce", json.RawMessage("null")), nil},
		"at_hash":               {idserver.ReasonType, claim("at_hash", "x"), nil},
		"c_hash":                {idserver.ReasonType, claim("c_hash", "x"), nil},
		"events":                {idserver.ReasonType, claim("events", map[string]any{}), nil},
		"bound to a key":        {idserver.ReasonType, claim("cnf", map[string]any{"jkt": "x"}), nil},
		"bound to a cert":       {idserver.ReasonType, claim("cnf", map[string]any{"x5t#S256": "x"}), nil},
		"cnf null":              {idserver.ReasonType, claim("cnf", json.RawMessage("null")), nil},
		"another iss":           {idserver.ReasonIssuer, claim("iss", "https://evil.example"), nil},
		"iss with a slash":      {idserver.ReasonIssuer, func(i *idToken) { i.claims["iss"] = i.world.provider.URL() + "/" }, nil},
		"no iss":                {idserver.ReasonIssuer, claim("iss", nil), nil},
		"another aud":           {idserver.ReasonAudience, claim("aud", "another"), nil},
		"aud the client":        {idserver.ReasonAudience, claim("aud", idtest.ExampleClient), nil},
		"aud in upper case":     {idserver.ReasonAudience, claim("aud", "IDSERVER-API"), nil},
		"no aud":                {idserver.ReasonAudience, claim("aud", nil), nil},
		"aud an empty array":    {idserver.ReasonAudience, claim("aud", []string{}), nil},
		"not the audience":      {idserver.ReasonAudience, func(*idToken) {}, options{idserver.WithAudience("other-api")}},
		"an empty audience":     {idserver.ReasonAudience, func(*idToken) {}, options{idserver.WithAudience("")}},
		"an empty audience, so": {idserver.ReasonAudience, claim("aud", ""), options{idserver.WithAudience("")}},
		"expired":               {idserver.ReasonExpired, dated("exp", -10), nil},
		"expired, no leeway":    {idserver.ReasonExpired, dated("exp", 0), options{idserver.WithLeeway(0)}},
		"beyond all leeway":     {idserver.ReasonExpired, dated("exp", -300), options{idserver.WithLeeway(time.Hour)}},
		"no exp":                {idserver.ReasonExpired, claim("exp", nil), nil},
		"nbf ahead":             {idserver.ReasonNotYetValid, dated("nbf", 11), nil},
		"iat ahead":             {idserver.ReasonNotYetValid, dated("iat", 11), nil},
		"nbf ahead, no leeway":  {idserver.ReasonNotYetValid, dated("nbf", 1), options{idserver.WithLeeway(0)}},
		"no sub":                {idserver.ReasonSubject, claim("sub", nil), nil},
		"sub empty":             {idserver.ReasonSubject, claim("sub", ""), nil},
		"sub too long":          {idserver.ReasonSubject, claim("sub", strings.Repeat("s", 256)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			i := newAccessToken(w)
			row.edit(i)
			token := i.token()
			u, err := w.ValidateToken(t.Context(), token, row.options...)
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
	w := newWorld(t)
	_, tokens := signInByHand(t, w, w.Client, "alice")
	for _, audience := range []string{"idserver-api", idtest.ExampleClient, w.provider.URL()} {
		_, err := w.ValidateToken(t.Context(), tokens.IDToken, idserver.WithAudience(audience))
		refused(t, err, idserver.ReasonType)
	}
	_, err := w.ValidateIDToken(t.Context(), tokens.AccessToken, idserver.IDTokenCheck{Nonce: "x"})
	refused(t, err, idserver.ReasonType)
	_, err = w.ValidateToken(t.Context(), tokens.RefreshToken)
	refused(t, err, idserver.ReasonMalformed)
}

// Once the keys are known no token costs a request, and a made-up kid costs one in ten seconds.
func TestAccessTokenCostsNoRequests(t *testing.T) {
	w := newWorld(t)
	token := w.provider.MintAccessToken("alice")
	unknown := newAccessToken(w)
	unknown.header["kid"] = "made-up"
	for range 5 {
		if _, err := w.ValidateToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		_, err := w.ValidateToken(t.Context(), unknown.token())
		refused(t, err, idserver.ReasonUnknownKey)
	}
	if d, k := w.provider.Requests(idtest.Discovery), w.provider.Requests(idtest.KeySet); d != 1 || k != 2 {
		t.Errorf("%d requests for metadata and %d for keys, want 1 and 2", d, k)
	}
}

// While the provider is away nothing is said of any token; with keys at hand tokens go on being judged.
func TestAccessTokenWithoutProvider(t *testing.T) {
	w := newWorld(t)
	good, expired := w.provider.MintAccessToken("alice"), newAccessToken(w)
	expired.claims["exp"] = expired.in(-60)
	unavailable := func(client *idserver.Client, token string) {
		t.Helper()
		_, err := client.ValidateToken(t.Context(), token)
		if !errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Errorf("got %v, want ErrUnavailable alone", err)
		}
	}
	for _, endpoint := range []idtest.Endpoint{idtest.Discovery, idtest.KeySet} {
		for name, fault := range map[string]idtest.Fault{
			"500": {}, "404": {Status: 404}, "429": {Status: 429}, "drop": {Drop: true}, "HTML": {HTML: true}, "endless": {Endless: true},
			"a redirect": {Redirect: "http://127.0.0.1:1/"}, "nothing": {Status: 200}, "no keys": {Body: `{"keys":[]}`},
			"only a broken key": {Body: `{"keys":[{"kty":"RSA"}]}`}, "keys twice": {Body: `{"keys":[],"keys":[]}`},
		} {
			t.Run(string(endpoint)+" "+name, func(t *testing.T) {
				w.provider.Fail(endpoint, fault)
				client := w.client(t)
				unavailable(client, good)
				unavailable(client, expired.token())
				w.provider.Heal(endpoint)
			})
		}
	}
	if _, err := w.ValidateToken(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	w.provider.Close()
	if _, err := w.ValidateToken(t.Context(), good); err != nil {
		t.Errorf("with the keys at hand: %v", err)
	}
	_, err := w.ValidateToken(t.Context(), expired.token())
	refused(t, err, idserver.ReasonExpired)

	unknown := newAccessToken(w)
	unknown.header["kid"] = "another"
	unavailable(w.Client, unknown.token()) // the key may be one that the provider has made since
}

// A caller who leaves is told so, and the next one is served.
func TestAccessTokenCallerLeaves(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.provider.Fail(idtest.Discovery, idtest.Fault{Hang: true, Once: true})
	_, err := w.ValidateToken(ctx, w.provider.MintAccessToken("alice"))
	if !errors.Is(err, context.Canceled) || errors.Is(err, idserver.ErrInvalidToken) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestAudienceOfConfig(t *testing.T) {
	w := newWorld(t)
	api := w.client(t, func(c *idserver.Config) { c.BaseURL, c.SessionSecret, c.ClientID, c.Audience = "", "", "", "orders" })
	_, err := api.ValidateToken(t.Context(), w.provider.MintAccessToken("alice"))
	refused(t, err, idserver.ReasonAudience)
	token := w.provider.MintAccessToken("alice", func(c map[string]any) { c["aud"] = []string{"orders"} })
	u, err := api.ValidateToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(u.Roles, []string{"admin", "user"}) || !slices.Equal(u.CustomRoles, []string{"billing"}) {
		t.Errorf("the roles are %q and %q", u.Roles, u.CustomRoles)
	}
}
