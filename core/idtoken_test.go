package idserver_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	idserver "github.com/signward/idserver-go/core"
	"github.com/signward/idserver-go/core/idtest"
)

const (
	idNonce       = "n-0S6_WzA2Mj"
	idAccessToken = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
	idAtHash      = "77QmUPtjPfzWtF2AnpK9RQ" // OpenID Connect Core appendix A.3
)

func newIDToken(w *world) *idToken {
	now := w.clock.Now()
	return &idToken{
		header: map[string]any{"alg": "RS256", "kid": w.provider.KeyID(), "typ": "JWT"},
		claims: map[string]any{
			"iss": w.provider.URL(), "sub": "alice", "aud": idtest.ExampleClient, "exp": now.Unix() + 300, "iat": now.Unix(),
			"nonce": idNonce, "at_hash": idAtHash,
		},
		check: idserver.IDTokenCheck{Nonce: idNonce, AccessToken: idAccessToken},
		now:   now,
		world: w,
	}
}

func TestIDTokenAccepted(t *testing.T) {
	w := newWorld(t)
	for name, edit := range map[string]func(*idToken){
		"as it is":                       func(*idToken) {},
		"aud as an array of one":         claim("aud", []string{idtest.ExampleClient}),
		"aud of two with azp":            all(claim("aud", []string{"another", idtest.ExampleClient}), claim("azp", idtest.ExampleClient)),
		"aud of one with azp":            claim("azp", idtest.ExampleClient),
		"azp null":                       claim("azp", json.RawMessage("null")),
		"no typ":                         header("typ", nil),
		"typ in lower case":              header("typ", "jwt"),
		"typ application/jwt":            header("typ", "application/jwt"),
		"typ application/JWT":            header("typ", "application/JWT"),
		"aud twice":                      claim("aud", []string{idtest.ExampleClient, idtest.ExampleClient}),
		"aud of two, twice, with azp":    all(claim("aud", []string{"another", idtest.ExampleClient, "another"}), claim("azp", idtest.ExampleClient)),
		"nbf 0":                          claim("nbf", 0),
		"nbf below 0":                    claim("nbf", -62135596800),
		"auth_time 0":                    claim("auth_time", 0),
		"auth_time a string":             claim("auth_time", "2030-01-01"),
		"auth_time beyond dates":         func(i *idToken) { i.claims["auth_time"] = i.now.UnixNano() },
		"a name of a wrong type":         all(claim("name", 1), claim("email", map[string]any{}), claim("acr", 2), claim("amr", "pwd"), claim("sid", 3)),
		"at_hash and c_hash null":        all(claim("at_hash", json.RawMessage("null")), claim("c_hash", json.RawMessage("null"))),
		"c_hash, and no code to compare": claim("c_hash", idAtHash),
		"c_hash of the code":             all(claim("c_hash", idAtHash), func(i *idToken) { i.check.Code = idAccessToken }),
		"a code, and no c_hash":          func(i *idToken) { i.check.Code = "code" },
		"half a character in a name": func(i *idToken) {
			i.claims["name"] = "?"
			i.raw = i.world.provider.SignRaw(i.header, strings.Replace(string(jsonOf(i.claims)), `"?"`, `"Al\ud83d"`, 1))
		},
		"no kid, one key":                     header("kid", nil),
		"an unknown header member":            header("x-vendor", map[string]any{"a": 1}),
		"jwk in the header":                   header("jwk", map[string]any{"kty": "oct", "k": "AAAA"}),
		"no at_hash":                          claim("at_hash", nil),
		"no at_hash and no access token":      all(claim("at_hash", nil), func(i *idToken) { i.check.AccessToken = "" }),
		"300 groups":                          claim("groups", groups(300)),
		"exp within the leeway":               all(dated("iat", -60), dated("exp", -9)),
		"exp with a fraction":                 func(i *idToken) { i.claims["exp"] = float64(i.in(1)) + 0.5 },
		"exp with an exponent":                func(i *idToken) { i.claims["exp"] = json.RawMessage("4.1e9") },
		"exp in the year 9999":                claim("exp", int64(253402300799)),
		"iat with a fraction":                 func(i *idToken) { i.claims["iat"] = float64(i.in(-1)) + 0.123 },
		"iat ahead within the leeway":         dated("iat", 10),
		"iat as long ago as may be":           dated("iat", -610),
		"nbf ahead within the leeway":         dated("nbf", 10),
		"nbf null":                            claim("nbf", json.RawMessage("null")),
		"sub of 255 characters":               claim("sub", strings.Repeat("s", 255)),
		"claims in other cases":               all(claim("ISS", "https://evil.example"), claim("Sub", "mallory"), claim("NONCE", "x"), claim("Exp", 1)),
		"the subject that was expected":       func(i *idToken) { i.check.Subject = "alice" },
		"a refresh, the nonce repeated":       func(i *idToken) { i.check.Subject, i.check.Nonce = "alice", "" },
		"a refresh without nonce":             all(claim("nonce", nil), func(i *idToken) { i.check.Subject, i.check.Nonce = "alice", "" }),
		"claims as deep as may be":            func(i *idToken) { i.claims["x"] = json.RawMessage(strings.Repeat("[", 31) + strings.Repeat("]", 31)) },
		"an address, numbers and other types": all(claim("address", map[string]any{"country": "SG"}), claim("auth_time", 1), claim("amr", []string{"pwd"})),
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDToken(w)
			edit(i)
			u, err := w.ValidateIDToken(t.Context(), i.token(), i.check)
			if err != nil {
				t.Fatal(err)
			}
			if u.Subject != i.claims["sub"] || u.Issuer != w.provider.URL() {
				t.Errorf("the user is %q of %q", u.Subject, u.Issuer)
			}
		})
	}
}

// Each row is one thing wrong with a good ID token.
func TestIDTokenRefused(t *testing.T) {
	w := newWorld(t)
	warm(t, w)
	stranger := idtest.NewProvider(t)
	stranger.RotateKey() // the providers of a process begin with the same key
	for name, row := range map[string]struct {
		reason idserver.Reason
		edit   func(*idToken)
	}{
		// Form.
		"one part":                {idserver.ReasonMalformed, func(i *idToken) { i.raw = "opaque-token" }},
		"two parts":               {idserver.ReasonMalformed, func(i *idToken) { i.sign = func(s string) string { return s } }},
		"four parts":              {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.token() + ".x" }},
		"five parts, encrypted":   {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.token() + ".x.y" }},
		"padded base64":           {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.token() + "==" }},
		"a line break":            {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.token() + "\n" }},
		"too long":                {idserver.ReasonMalformed, claim("x", strings.Repeat("x", 64<<10))},
		"JSON serialization":      {idserver.ReasonMalformed, func(i *idToken) { i.raw = `{"payload":"e30","signature":"","protected":"e30"}` }},
		"crit":                    {idserver.ReasonMalformed, header("crit", []string{"exp"})},
		"b64 false":               {idserver.ReasonMalformed, header("b64", false)},
		"kid a number":            {idserver.ReasonMalformed, header("kid", 4711)},
		"typ a number":            {idserver.ReasonMalformed, header("typ", 4711)},
		"header an array":         {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.world.provider.SignRaw("[]", i.claims) }},
		"header with alg twice":   {idserver.ReasonMalformed, func(i *idToken) { i.raw = i.world.provider.SignRaw(`{"alg":"none","alg":"RS256"}`, i.claims) }},
		"claims an array":         {idserver.ReasonMalformed, payload("[]")},
		"claims null":             {idserver.ReasonMalformed, payload("null")},
		"claims empty":            {idserver.ReasonMalformed, payload("")},
		"claims no JSON":          {idserver.ReasonMalformed, payload("sub=alice")},
		"a claim twice":           {idserver.ReasonMalformed, payload(`{"sub":"alice","sub":"mallory"}`)},
		"a claim twice, escaped":  {idserver.ReasonMalformed, payload(`{"sub":"alice","\u0073ub":"mallory"}`)},
		"something after":         {idserver.ReasonMalformed, payload(`{"sub":"alice"}{}`)},
		"invalid UTF-8":           {idserver.ReasonMalformed, payload("{\"sub\":\"\xff\"}")},
		"too deep":                {idserver.ReasonMalformed, payload(`{"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`)},
		"iss a number":            {idserver.ReasonMalformed, claim("iss", 4711)},
		"aud a number":            {idserver.ReasonMalformed, claim("aud", 4711)},
		"aud with a number":       {idserver.ReasonMalformed, claim("aud", []any{idtest.ExampleClient, 4711})},
		"aud an object":           {idserver.ReasonMalformed, claim("aud", map[string]any{idtest.ExampleClient: true})},
		"azp a number":            {idserver.ReasonMalformed, claim("azp", 4711)},
		"exp a string":            {idserver.ReasonMalformed, func(i *idToken) { i.claims["exp"] = "4102444800" }},
		"exp beyond numbers":      {idserver.ReasonMalformed, claim("exp", json.RawMessage("1e400"))},
		"exp beyond dates":        {idserver.ReasonMalformed, claim("exp", int64(253402300800))},
		"exp in nanoseconds":      {idserver.ReasonMalformed, func(i *idToken) { i.claims["exp"] = i.now.UnixNano() }},
		"exp 0":                   {idserver.ReasonMalformed, claim("exp", 0)},
		"exp below 0":             {idserver.ReasonMalformed, claim("exp", -1)},
		"exp true":                {idserver.ReasonMalformed, claim("exp", true)},
		"iat a string":            {idserver.ReasonMalformed, claim("iat", "now")},
		"nbf a string":            {idserver.ReasonMalformed, claim("nbf", "now")},
		"nonce a number":          {idserver.ReasonMalformed, claim("nonce", 4711)},
		"sub a number":            {idserver.ReasonMalformed, claim("sub", 4711)},
		"sub an array":            {idserver.ReasonMalformed, claim("sub", []string{"alice"})},
		"at_hash a number":        {idserver.ReasonMalformed, claim("at_hash", 4711)},
		"c_hash a number":         {idserver.ReasonMalformed, claim("c_hash", 4711)},
		"half a character in sub": {idserver.ReasonMalformed, payload(`{"sub":"alice\ud83d"}`)},
		"half a character in aud": {idserver.ReasonMalformed, payload(`{"aud":["\udc00"],"sub":"alice"}`)},

		// Signature: steps 6 to 8.
		"alg none":             {idserver.ReasonAlgorithm, all(header("alg", "none"), func(i *idToken) { i.sign = func(s string) string { return s + "." } })},
		"alg None":             {idserver.ReasonAlgorithm, all(header("alg", "None"), func(i *idToken) { i.sign = func(s string) string { return s + "." } })},
		"alg none, no kid":     {idserver.ReasonAlgorithm, all(header("alg", "none"), header("kid", nil))},
		"no alg":               {idserver.ReasonAlgorithm, header("alg", nil)},
		"HS256, client secret": {idserver.ReasonAlgorithm, all(header("alg", "HS256"), macWith(func(*idToken) []byte { return []byte(idtest.ExampleSecret) }))},
		"HS256, public key":    {idserver.ReasonAlgorithm, all(header("alg", "HS256"), macWith(func(i *idToken) []byte { return i.world.provider.PrivateKey().N.Bytes() }))},
		"another algorithm":    {idserver.ReasonAlgorithm, header("alg", "PS256")},
		"an algorithm of EC":   {idserver.ReasonAlgorithm, header("alg", "ES256")},
		"a longer hash":        {idserver.ReasonAlgorithm, header("alg", "RS512")},
		"an unknown key":       {idserver.ReasonUnknownKey, header("kid", "another")},
		"an empty kid":         {idserver.ReasonUnknownKey, header("kid", "")},
		"a stranger's key":     {idserver.ReasonSignature, func(i *idToken) { i.raw = stranger.SignRaw(i.header, i.claims) }},
		"a key of its own":     {idserver.ReasonSignature, all(header("jwk", jwkOf(stranger, "")), func(i *idToken) { i.raw = stranger.SignRaw(i.header, i.claims) })},
		"no signature":         {idserver.ReasonSignature, func(i *idToken) { i.sign = func(s string) string { return s + "." } }},
		"signed for other claims": {idserver.ReasonSignature, func(i *idToken) {
			_, signature, _ := strings.Cut(strings.TrimPrefix(i.token(), encode(i.header)+"."), ".")
			i.claims["sub"] = "mallory"
			i.sign = func(s string) string { return s + "." + signature }
		}},

		// Kind.
		"an access token's typ": {idserver.ReasonType, header("typ", "at+jwt")},
		"a logout token's typ":  {idserver.ReasonType, header("typ", "logout+jwt")},
		"events":                {idserver.ReasonType, claim("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})},

		// Step 2.
		"another iss":       {idserver.ReasonIssuer, func(i *idToken) { i.claims["iss"] = i.world.provider.URL() + "1" }},
		"iss with a slash":  {idserver.ReasonIssuer, func(i *idToken) { i.claims["iss"] = i.world.provider.URL() + "/" }},
		"iss in upper case": {idserver.ReasonIssuer, func(i *idToken) { i.claims["iss"] = strings.ToUpper(i.world.provider.URL()) }},
		"no iss":            {idserver.ReasonIssuer, claim("iss", nil)},

		// Step 3.
		"another aud":             {idserver.ReasonAudience, claim("aud", idtest.ExampleClient+"1")},
		"aud in upper case":       {idserver.ReasonAudience, claim("aud", strings.ToUpper(idtest.ExampleClient))},
		"aud with a space":        {idserver.ReasonAudience, claim("aud", idtest.ExampleClient+" another")},
		"no aud":                  {idserver.ReasonAudience, claim("aud", nil)},
		"aud an empty array":      {idserver.ReasonAudience, claim("aud", []string{})},
		"aud an array of another": {idserver.ReasonAudience, claim("aud", []string{"another"})},
		"aud the API":             {idserver.ReasonAudience, claim("aud", "idserver-api")},

		// Steps 4 and 5.
		"aud of two without azp": {idserver.ReasonAuthorizedParty, claim("aud", []string{idtest.ExampleClient, "another"})},
		"aud of two, other azp":  {idserver.ReasonAuthorizedParty, all(claim("aud", []string{idtest.ExampleClient, "another"}), claim("azp", "another"))},
		"azp another":            {idserver.ReasonAuthorizedParty, claim("azp", "another")},
		"azp empty":              {idserver.ReasonAuthorizedParty, claim("azp", "")},

		// Steps 9 and 10.
		"expired, at the leeway's end": {idserver.ReasonExpired, dated("exp", -10)},
		"expired 6 minutes ago":        {idserver.ReasonExpired, dated("exp", -360)},
		"no exp":                       {idserver.ReasonExpired, claim("exp", nil)},
		"exp null":                     {idserver.ReasonExpired, claim("exp", json.RawMessage("null"))},
		"nbf ahead":                    {idserver.ReasonNotYetValid, dated("nbf", 11)},
		"iat ahead":                    {idserver.ReasonNotYetValid, dated("iat", 11)},
		"no iat":                       {idserver.ReasonIssuedAt, claim("iat", nil)},
		"over before it began, by iat": {idserver.ReasonExpired, all(dated("iat", 5), dated("exp", 4))},
		"over before it began, by nbf": {idserver.ReasonExpired, all(dated("nbf", 5), dated("exp", 4))},
		"iat too long ago":             {idserver.ReasonIssuedAt, dated("iat", -611)},

		// Step 11.
		"no nonce":                    {idserver.ReasonNonce, claim("nonce", nil)},
		"nonce null":                  {idserver.ReasonNonce, claim("nonce", json.RawMessage("null"))},
		"nonce empty":                 {idserver.ReasonNonce, claim("nonce", "")},
		"another nonce":               {idserver.ReasonNonce, claim("nonce", idNonce+"1")},
		"nonce in other case":         {idserver.ReasonNonce, claim("nonce", strings.ToUpper(idNonce))},
		"nothing to compare with":     {idserver.ReasonNonce, func(i *idToken) { i.check.Nonce = "" }},
		"nothing, and no nonce in it": {idserver.ReasonNonce, all(claim("nonce", nil), func(i *idToken) { i.check.Nonce = "" })},

		// Section 3.1.3.8.
		"another at_hash":      {idserver.ReasonAccessTokenHash, claim("at_hash", idAtHash[1:]+"A")},
		"at_hash empty":        {idserver.ReasonAccessTokenHash, claim("at_hash", "")},
		"at_hash padded":       {idserver.ReasonAccessTokenHash, claim("at_hash", idAtHash+"==")},
		"at_hash of the whole": {idserver.ReasonAccessTokenHash, claim("at_hash", wholeHash(idAccessToken))},
		"another access token": {idserver.ReasonAccessTokenHash, func(i *idToken) { i.check.AccessToken += "1" }},
		"at_hash of nothing": {idserver.ReasonAccessTokenHash, func(i *idToken) {
			i.claims["at_hash"], i.check.AccessToken = "47DEQpj8HBSa-_TImW-5JA", ""
		}},
		"at_hash without a token": {idserver.ReasonAccessTokenHash, func(i *idToken) { i.check.AccessToken = "" }},

		// Section 3.3.2.11.
		"another code":  {"c_hash", all(claim("c_hash", idAtHash), func(i *idToken) { i.check.Code = "another" })},
		"c_hash empty":  {"c_hash", all(claim("c_hash", ""), func(i *idToken) { i.check.Code = idAccessToken })},
		"c_hash padded": {"c_hash", all(claim("c_hash", idAtHash+"=="), func(i *idToken) { i.check.Code = idAccessToken })},

		// Section 2 and 12.2.
		"no sub":                 {idserver.ReasonSubject, claim("sub", nil)},
		"sub null":               {idserver.ReasonSubject, claim("sub", json.RawMessage("null"))},
		"sub empty":              {idserver.ReasonSubject, claim("sub", "")},
		"sub of 256 characters":  {idserver.ReasonSubject, claim("sub", strings.Repeat("s", 256))},
		"another than expected":  {idserver.ReasonSubject, func(i *idToken) { i.check.Subject = "bob" }},
		"expected in other case": {idserver.ReasonSubject, func(i *idToken) { i.check.Subject = "Alice" }},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIDToken(w)
			row.edit(i)
			token := i.token()
			u, err := w.ValidateIDToken(t.Context(), token, i.check)
			refused(t, err, row.reason)
			if u != nil {
				t.Errorf("a user came with the refusal: %+v", u)
			}
			if err != nil && leaks(err.Error(), token, idNonce, idAccessToken, idAtHash) != "" {
				t.Errorf("the error %q holds a part of the token", err)
			}
		})
	}
}

func wholeHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Of two faults the one of the earlier step is reported.
func TestIDTokenOrder(t *testing.T) {
	w := newWorld(t)
	warm(t, w) // who does not have the key yet is not given it for a token with another fault
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	steps := []struct {
		name   string
		reason idserver.Reason
		edit   func(*idToken)
	}{
		{"6, signature", idserver.ReasonSignature, func(i *idToken) {
			i.sign = func(string) string { return stranger.SignRaw(i.header, i.claims) }
		}},
		{"typ", idserver.ReasonType, header("typ", "at+jwt")},
		{"events", idserver.ReasonType, claim("events", map[string]any{})},
		{"2, iss", idserver.ReasonIssuer, claim("iss", "https://evil.example")},
		{"3, aud", idserver.ReasonAudience, claim("aud", "another")},
		{"4, azp missing", idserver.ReasonAuthorizedParty, all(claim("aud", []string{idtest.ExampleClient, "x"}), claim("azp", nil))},
		{"5, azp", idserver.ReasonAuthorizedParty, claim("azp", "another")},
		{"9, exp", idserver.ReasonExpired, dated("exp", -60)},
		{"nbf", idserver.ReasonNotYetValid, dated("nbf", 60)},
		{"10, iat ahead", idserver.ReasonNotYetValid, dated("iat", 60)},
		{"10, iat missing", idserver.ReasonIssuedAt, claim("iat", nil)},
		{"10, iat old", idserver.ReasonIssuedAt, dated("iat", -3600)},
		{"11, nonce", idserver.ReasonNonce, claim("nonce", "another")},
		{"at_hash", idserver.ReasonAccessTokenHash, claim("at_hash", "another")},
		{"sub", idserver.ReasonSubject, claim("sub", "")},
	}
	for first, a := range steps {
		for _, b := range steps[first+1:] {
			t.Run(a.name+" before "+b.name, func(t *testing.T) {
				i := newIDToken(w)
				b.edit(i)
				a.edit(i)
				_, err := w.ValidateIDToken(t.Context(), i.token(), i.check)
				refused(t, err, a.reason)
			})
		}
	}
}

// Leeway and issuer are the configuration's; a client without an id has no ID tokens.
func TestIDTokenAgainstConfig(t *testing.T) {
	w := newWorld(t)
	for name, row := range map[string]struct {
		config func(*idserver.Config)
		edit   func(*idToken)
		reason idserver.Reason // "": accepted
	}{
		"more leeway, exp":            {func(c *idserver.Config) { c.Provider.Leeway = time.Minute }, all(dated("iat", -60), dated("exp", -59)), ""},
		"more leeway, exp at its end": {func(c *idserver.Config) { c.Provider.Leeway = time.Minute }, dated("exp", -60), idserver.ReasonExpired},
		"more leeway, iat":            {func(c *idserver.Config) { c.Provider.Leeway = time.Minute }, dated("iat", 60), ""},
		"more leeway, iat beyond":     {func(c *idserver.Config) { c.Provider.Leeway = time.Minute }, dated("iat", 61), idserver.ReasonNotYetValid},
		"no leeway to speak of":       {func(c *idserver.Config) { c.Provider.Leeway = time.Nanosecond }, dated("exp", -1), idserver.ReasonExpired},
		"the configured algorithm":    {func(c *idserver.Config) { c.Provider.Algorithms = []string{"RS256"} }, func(*idToken) {}, ""},
		"no client id": {func(c *idserver.Config) {
			*c = idserver.Config{Authority: c.Authority, HTTP: c.HTTP, Now: c.Now, Logger: c.Logger}
		}, claim("aud", ""), idserver.ReasonAudience},
	} {
		t.Run(name, func(t *testing.T) {
			client := w.client(t, row.config)
			i := newIDToken(w)
			row.edit(i)
			_, err := client.ValidateIDToken(t.Context(), i.token(), i.check)
			if row.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, row.reason)
		})
	}
}

func TestIDTokenAmongSeveralKeys(t *testing.T) {
	w := newWorld(t)
	stranger := idtest.NewProvider(t)
	stranger.RotateKey()
	own := jwkOf(w.provider, w.provider.KeyID())
	decoy := map[string]string{
		"kty": "EC", "crv": "P-256", "kid": w.provider.KeyID(), // RFC 7517 appendix A.1
		"x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
	}
	encryption := jwkOf(stranger, w.provider.KeyID())
	encryption["use"] = "enc"
	noAlgorithm := maps.Clone(own)
	delete(noAlgorithm, "alg")
	for name, row := range map[string]struct {
		keys   []any
		edit   func(*idToken)
		reason idserver.Reason
	}{
		"a key that names no algorithm":   {[]any{noAlgorithm}, func(*idToken) {}, ""},
		"the same kid on another type":    {[]any{decoy, own}, func(*idToken) {}, ""},
		"the same kid for encryption":     {[]any{encryption, own}, func(*idToken) {}, ""},
		"broken and unknown keys beside":  {[]any{map[string]any{"kty": "XYZ"}, 4711, nil, own}, func(*idToken) {}, ""},
		"the same kid twice":              {[]any{jwkOf(stranger, w.provider.KeyID()), own}, func(*idToken) {}, idserver.ReasonAmbiguousKey},
		"no kid, two that fit":            {[]any{jwkOf(stranger, "other"), own}, header("kid", nil), idserver.ReasonAmbiguousKey},
		"no kid, one that fits":           {[]any{decoy, own}, header("kid", nil), ""},
		"an oct key, published":           {[]any{own, map[string]string{"kty": "oct", "kid": "mac", "alg": "HS256", "k": encode("secret")}}, all(header("kid", "mac"), header("alg", "HS256")), idserver.ReasonAlgorithm},
		"the provider withdrew the key":   {[]any{jwkOf(stranger, "other")}, func(*idToken) {}, idserver.ReasonUnknownKey},
		"the key is there, under no name": {[]any{jwkOf(w.provider, "")}, func(*idToken) {}, idserver.ReasonUnknownKey},
		"the algorithm is not that key's": {[]any{decoy}, func(*idToken) {}, idserver.ReasonAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			document, err := json.Marshal(map[string]any{"keys": row.keys})
			if err != nil {
				t.Fatal(err)
			}
			w.provider.SetJWKS(document)
			client := w.client(t)
			i := newIDToken(w)
			row.edit(i)
			_, err = client.ValidateIDToken(t.Context(), i.token(), i.check)
			if row.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, row.reason)
		})
	}
}

// A key that the provider has made since is fetched within the same call.
func TestIDTokenAfterRotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		for range 2 {
			i := newIDToken(w)
			if _, err := w.ValidateIDToken(t.Context(), i.token(), i.check); err != nil {
				t.Fatal(err)
			}
			w.provider.RotateKey()
			w.clock.advance(11 * time.Second)
		}
		if n := w.provider.Requests(idtest.KeySet); n != 2 {
			t.Errorf("the key set was asked for %d times, want 2", n)
		}
	})
}

// Nothing is said of a token that may be good while the keys cannot be had.
func TestIDTokenWithoutProvider(t *testing.T) {
	for _, endpoint := range []idtest.Endpoint{idtest.Discovery, idtest.KeySet} {
		t.Run(string(endpoint), inBubble(func(t *testing.T) {
			w := newWorld(t)
			w.provider.Fail(endpoint, idtest.Fault{Status: 503})
			i, expired := newIDToken(w), newIDToken(w)
			expired.claims["exp"] = expired.in(-60)
			_, err := w.ValidateIDToken(t.Context(), i.token(), i.check)
			if !errors.Is(err, idserver.ErrUnavailable) || errors.Is(err, idserver.ErrInvalidToken) {
				t.Errorf("got %v, want ErrUnavailable alone", err)
			}
			_, err = w.ValidateIDToken(t.Context(), expired.token(), i.check)
			if errors.Is(err, idserver.ErrUnavailable) != (endpoint == idtest.Discovery) || errors.Is(err, idserver.ReasonExpired) != (endpoint == idtest.KeySet) {
				t.Errorf("got %v of one that says that it is over", err)
			}
			w.provider.Heal(endpoint)
			w.clock.advance(2 * time.Second)
			if _, err := w.ValidateIDToken(t.Context(), i.token(), i.check); err != nil {
				t.Error(err)
			}
		}))
	}
}

// A caller who leaves is told so: that says nothing of the token.
func TestIDTokenCallerLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.provider.Fail(idtest.KeySet, idtest.Fault{Hang: true})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		i := newIDToken(w)
		_, err := w.ValidateIDToken(ctx, i.token(), i.check)
		if !errors.Is(err, context.Canceled) || errors.Is(err, idserver.ErrInvalidToken) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}
